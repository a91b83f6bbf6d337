-- The machine check-in, version 1. Generated from functions/fsm-transition/machines/check-in.json
-- by `cargo xtask machines`. Do not edit: sessions stay on the version of their first move, so a change is a new
-- version. See docs/machines.md.
set local lock_timeout = '5s';

insert into public.fsm_machines (machine, machine_version, initial, definition) values
  ('check-in', 1, 'asked', '{"id":"check-in","version":"1","meta":{"title":"Check-in","description":"One question, asked as often as the person likes. The third unclear answer ends it."},"initial":"asked","states":{"asked":{"meta":{"title":"How are you today?","step":true,"max_attempts":3},"on":{"next_step":{"target":"answered"},"unclear":[{"guard":"attempts_exhausted","target":"closed"},{"target":"asked"}]}},"answered":{"meta":{"title":"Thank you"},"on":{"ask_again":{"target":"asked"},"close":{"target":"closed"}}},"closed":{"meta":{"title":"See you"},"type":"final"}}}'::jsonb)
on conflict do nothing;

insert into public.fsm_states (machine, machine_version, state, is_final, is_step, max_attempts) values
  ('check-in', 1, 'asked', false, true, 3),
  ('check-in', 1, 'answered', false, false, null),
  ('check-in', 1, 'closed', true, false, null)
on conflict do nothing;

insert into public.fsm_transitions (machine, machine_version, from_state, event, to_state, forced) values
  ('check-in', 1, 'asked', 'next_step', 'answered', false),
  ('check-in', 1, 'asked', 'unclear', 'closed', true),
  ('check-in', 1, 'asked', 'unclear', 'asked', false),
  ('check-in', 1, 'answered', 'ask_again', 'asked', false),
  ('check-in', 1, 'answered', 'close', 'closed', false)
on conflict do nothing;
