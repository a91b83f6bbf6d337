-- The machine supportive-yarn, version 1. Generated from functions/fsm-transition/machines/supportive-yarn.json
-- by `cargo xtask machines`. Do not edit: sessions stay on the version of their first move, so a change is a new
-- version. See docs/machines.md.
set local lock_timeout = '5s';

insert into public.fsm_machines (machine, machine_version, initial, definition) values
  ('supportive-yarn', 1, 'welcome', '{"id":"supportive-yarn","version":"1","meta":{"title":"Supportive Yarn","description":"Four steps of a yarn with a young person, then free conversation. A step asks again once; the second unclear answer moves on."},"initial":"welcome","states":{"welcome":{"meta":{"title":"Welcome"},"on":{"next_step":{"target":"support_people"}}},"support_people":{"meta":{"title":"Who is there for you?","step":true,"max_attempts":2},"on":{"next_step":{"target":"strengths"},"unclear":[{"guard":"attempts_exhausted","target":"strengths"},{"target":"support_people"}]}},"strengths":{"meta":{"title":"What are you good at?","step":true,"max_attempts":2},"on":{"next_step":{"target":"worries"},"unclear":[{"guard":"attempts_exhausted","target":"worries"},{"target":"strengths"}]}},"worries":{"meta":{"title":"What worries you?","step":true,"max_attempts":2},"on":{"next_step":{"target":"goals"},"unclear":[{"guard":"attempts_exhausted","target":"goals"},{"target":"worries"}]}},"goals":{"meta":{"title":"What would you like?","step":true,"max_attempts":2},"on":{"next_step":{"target":"summary"},"unclear":[{"guard":"attempts_exhausted","target":"summary"},{"target":"goals"}]}},"summary":{"meta":{"title":"What we talked about"},"on":{"start_llm_chat":{"target":"llm_conversation"}}},"llm_conversation":{"meta":{"title":"Free conversation"},"type":"final"}}}'::jsonb)
on conflict do nothing;

insert into public.fsm_states (machine, machine_version, state, is_final, is_step, max_attempts) values
  ('supportive-yarn', 1, 'welcome', false, false, null),
  ('supportive-yarn', 1, 'support_people', false, true, 2),
  ('supportive-yarn', 1, 'strengths', false, true, 2),
  ('supportive-yarn', 1, 'worries', false, true, 2),
  ('supportive-yarn', 1, 'goals', false, true, 2),
  ('supportive-yarn', 1, 'summary', false, false, null),
  ('supportive-yarn', 1, 'llm_conversation', true, false, null)
on conflict do nothing;

insert into public.fsm_transitions (machine, machine_version, from_state, event, to_state, forced) values
  ('supportive-yarn', 1, 'welcome', 'next_step', 'support_people', false),
  ('supportive-yarn', 1, 'support_people', 'next_step', 'strengths', false),
  ('supportive-yarn', 1, 'support_people', 'unclear', 'strengths', true),
  ('supportive-yarn', 1, 'support_people', 'unclear', 'support_people', false),
  ('supportive-yarn', 1, 'strengths', 'next_step', 'worries', false),
  ('supportive-yarn', 1, 'strengths', 'unclear', 'worries', true),
  ('supportive-yarn', 1, 'strengths', 'unclear', 'strengths', false),
  ('supportive-yarn', 1, 'worries', 'next_step', 'goals', false),
  ('supportive-yarn', 1, 'worries', 'unclear', 'goals', true),
  ('supportive-yarn', 1, 'worries', 'unclear', 'worries', false),
  ('supportive-yarn', 1, 'goals', 'next_step', 'summary', false),
  ('supportive-yarn', 1, 'goals', 'unclear', 'summary', true),
  ('supportive-yarn', 1, 'goals', 'unclear', 'goals', false),
  ('supportive-yarn', 1, 'summary', 'start_llm_chat', 'llm_conversation', false)
on conflict do nothing;
