-- fsm-transition: a session moves only as its machine allows, whoever asks and by whatever way.
--
-- The rule stands in one place, the trigger on session_transitions: a move is a row there, and inserting the row makes
-- the move. transition_session adds what a client needs to be safe: replay, the expected version, the answer.

-- What a session's state may be.
alter table public.sessions add constraint sessions_state
  foreign key (machine, machine_version, fsm_state)
  references public.fsm_states (machine, machine_version, state);
-- Serves: the foreign key above.
create index sessions_machine_idx on public.sessions (machine, machine_version, fsm_state);

create table public.analytics (
  seq bigint generated always as identity primary key,
  id uuid not null default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  event_type text not null constraint analytics_event_type check (event_type ~ '^[a-z][a-z0-9_]{0,63}$'),
  event_data jsonb not null default '{}' constraint analytics_event_data check (jsonb_typeof(event_data) = 'object'),
  -- No foreign key: statistics outlive sessions.
  session_id uuid,
  session_count integer not null default 1 check (session_count >= 0),
  occurred_at timestamptz not null default now(),
  received_at timestamptz not null default now(),
  clamped boolean not null default false,
  constraint analytics_user_id_id_key unique nulls not distinct (user_id, id)
);
comment on table public.analytics is
  'Events, append-only. id is the sender''s: the same event twice is one row.';

-- Serves: a person''s events by type and time.
create index analytics_user_id_event_type_occurred_at_idx
  on public.analytics (user_id, event_type, occurred_at);

alter table public.analytics enable row level security;
alter table public.analytics force row level security;
create policy analytics_select_own on public.analytics for select to authenticated
  using (user_id = (select auth.uid()));
create policy analytics_insert_own on public.analytics for insert to authenticated
  with check (user_id = (select auth.uid()));
revoke all on public.analytics from public, anon, authenticated;
revoke all on sequence public.analytics_seq_seq from public, anon, authenticated;
grant select, insert (id, event_type, event_data, session_id, occurred_at) on public.analytics to authenticated;
grant select, insert, update, delete on public.analytics to service_role;

create table public.user_responses (
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  step text not null,
  -- Null while there have been unclear answers only.
  response text constraint user_responses_response check (char_length(response) between 1 and 1009),
  attempt_count integer not null default 0 check (attempt_count >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (session_id, step)
);
comment on table public.user_responses is
  'What the person answered in each step, and how many answers were unclear. Written by moves alone.';

create table public.session_transitions (
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  id uuid not null,
  from_state text not null,
  event text not null,
  to_state text not null,
  version integer not null,
  forced boolean not null,
  attempt_count integer not null,
  response text,
  created_at timestamptz not null default now(),
  primary key (session_id, id),
  -- Serves: the trail of a session in order; and that no two moves have the same version.
  constraint session_transitions_session_id_version_key unique (session_id, version)
);
comment on table public.session_transitions is
  'The moves of a session, append-only, one for each version. Inserting one makes the move.';

alter table public.user_responses enable row level security;
alter table public.user_responses force row level security;
alter table public.session_transitions enable row level security;
alter table public.session_transitions force row level security;

create policy user_responses_select_own on public.user_responses for select to authenticated
  using (exists (select from public.sessions s
    where s.session_id = user_responses.session_id and s.user_id = (select auth.uid())));
create policy user_responses_insert_own on public.user_responses for insert to authenticated
  with check (exists (select from public.sessions s
    where s.session_id = user_responses.session_id and s.user_id = (select auth.uid())));
create policy user_responses_update_own on public.user_responses for update to authenticated
  using (exists (select from public.sessions s
    where s.session_id = user_responses.session_id and s.user_id = (select auth.uid())))
  with check (exists (select from public.sessions s
    where s.session_id = user_responses.session_id and s.user_id = (select auth.uid())));
create policy session_transitions_select_own on public.session_transitions for select to authenticated
  using (exists (select from public.sessions s
    where s.session_id = session_transitions.session_id and s.user_id = (select auth.uid())));
create policy session_transitions_insert_own on public.session_transitions for insert to authenticated
  with check (exists (select from public.sessions s
    where s.session_id = session_transitions.session_id and s.user_id = (select auth.uid())));

-- The grants on sessions and user_responses are for the trigger below, which runs with the caller's rights; the guards
-- see to it that nothing else uses them.
revoke all on public.user_responses, public.session_transitions from public, anon, authenticated;
grant select, insert (session_id, step, response, attempt_count), update (response, attempt_count, updated_at)
  on public.user_responses to authenticated;
grant select, insert (session_id, id, event, response) on public.session_transitions to authenticated;
grant select, insert, update, delete on public.user_responses, public.session_transitions to service_role;
grant insert (machine) on public.sessions to authenticated;
grant update (fsm_state, version, completed, completion_time) on public.sessions to authenticated;

create function public.only_within_a_move() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- At depth 1 it is the caller's own statement; a move's are one trigger deeper. Callers cannot make triggers.
  if pg_trigger_depth() < 2 then
    raise insufficient_privilege using message = 'only a move changes this';
  end if;
  return new;
end
$$;
comment on function public.only_within_a_move() is
  'Trigger. Refuses a caller who writes what only the trigger of session_transitions may write. Error: 42501.';
revoke all on function public.only_within_a_move() from public, anon, authenticated, service_role;

create trigger sessions_only_within_a_move
  before update of machine, machine_version, fsm_state, version, completed, completion_time on public.sessions
  for each row when (current_user in ('anon', 'authenticated')) execute function public.only_within_a_move();
create trigger user_responses_only_within_a_move before insert or update on public.user_responses
  for each row when (current_user in ('anon', 'authenticated')) execute function public.only_within_a_move();

create function public.sessions_begin() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- A session begins on the newest version of its machine, and stays there.
  select m.machine_version, m.initial into new.machine_version, new.fsm_state
    from public.fsm_machines m where m.machine = new.machine order by m.machine_version desc limit 1;
  if not found then
    raise sqlstate 'PT404' using message = 'machine_not_found', detail = 'There is no such machine.';
  end if;
  return new;
end
$$;
comment on function public.sessions_begin() is
  'Trigger on sessions. A caller names at most the machine; state and version are the machine''s. '
  'Errors: PT404 machine_not_found.';
revoke all on function public.sessions_begin() from public, anon, authenticated, service_role;
create trigger sessions_begin before insert on public.sessions
  for each row when (current_user in ('anon', 'authenticated')) execute function public.sessions_begin();

create function public.session_transitions_move() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  session public.sessions;
  here public.fsm_states;
  move public.fsm_transitions;
  there public.fsm_states;
  attempts integer;
  is_attempt boolean;
begin
  select s.* into session from public.sessions s where s.session_id = new.session_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  select f.* into here from public.fsm_states f
    where f.machine = session.machine and f.machine_version = session.machine_version
      and f.state = session.fsm_state;
  select coalesce(max(r.attempt_count), 0) into attempts from public.user_responses r
    where r.session_id = new.session_id and r.step = session.fsm_state;

  -- An event with a forced branch is an unclear answer, and counts.
  is_attempt := exists (select from public.fsm_transitions t
    where t.machine = session.machine and t.machine_version = session.machine_version
      and t.from_state = session.fsm_state and t.event = new.event and t.forced);
  if is_attempt then
    attempts := attempts + 1;
  end if;
  select t.* into move from public.fsm_transitions t
    where t.machine = session.machine and t.machine_version = session.machine_version
      and t.from_state = session.fsm_state and t.event = new.event
      and t.forced = (is_attempt and attempts >= here.max_attempts);
  if not found then
    raise sqlstate 'PT422' using message = 'illegal_transition', detail = json_build_object(
      'state', session.fsm_state, 'version', session.version,
      'allowed_events', public.fsm_allowed_events(session.machine, session.machine_version, session.fsm_state));
  end if;
  if new.response is null and here.is_step and not is_attempt then
    raise sqlstate 'PT422' using message = 'response_required', detail = json_build_object('state', session.fsm_state);
  end if;
  if new.response is not null and not here.is_step then
    raise sqlstate 'PT422' using message = 'response_refused', detail = json_build_object('state', session.fsm_state);
  end if;
  select f.* into there from public.fsm_states f
    where f.machine = move.machine and f.machine_version = move.machine_version and f.state = move.to_state;

  new.from_state := session.fsm_state;
  new.to_state := move.to_state;
  new.version := session.version + 1;
  new.forced := move.forced;
  new.attempt_count := attempts;

  update public.sessions s
    set fsm_state = move.to_state, version = new.version, last_activity = now(),
        completed = there.is_final, completion_time = case when there.is_final then now() end
    where s.session_id = new.session_id;
  if here.is_step then
    insert into public.user_responses as r (session_id, step, response, attempt_count)
      values (new.session_id, session.fsm_state,
        case when not is_attempt then new.response
             when move.forced then 'Unclear: ' || coalesce(new.response, '') end,
        attempts)
      on conflict (session_id, step) do update
        set response = coalesce(excluded.response, r.response), attempt_count = excluded.attempt_count,
            updated_at = now();
  end if;

  insert into public.analytics (id, event_type, event_data, session_id)
    select gen_random_uuid(), e.event_type, e.event_data, new.session_id
    from (values
      ('session_started', json_build_object('machine', session.machine)::jsonb, session.version = 0),
      ('step_completed', json_build_object('step', session.fsm_state, 'forced', move.forced)::jsonb,
        here.is_step and move.to_state <> session.fsm_state),
      ('session_completed', json_build_object('machine', session.machine)::jsonb, there.is_final)
    ) as e (event_type, event_data, happened)
    where e.happened;
  return new;
end
$$;
comment on function public.session_transitions_move() is
  'Trigger on session_transitions: makes the move the row names, or refuses it. Stores the step''s response, counts '
  'attempts, writes the analytics events. Errors: PT404 session_not_found; PT422 illegal_transition, '
  'response_required, response_refused.';
revoke all on function public.session_transitions_move() from public, anon, authenticated, service_role;
create trigger session_transitions_move before insert on public.session_transitions
  for each row execute function public.session_transitions_move();

create function public.fsm_allowed_events(machine text, machine_version integer, state text) returns json
language sql stable security invoker set search_path = '' as $$
  select coalesce(json_agg(distinct t.event), '[]') from public.fsm_transitions t
    where t.machine = fsm_allowed_events.machine and t.machine_version = fsm_allowed_events.machine_version
      and t.from_state = fsm_allowed_events.state
$$;
comment on function public.fsm_allowed_events(text, integer, text) is
  'Caller: authenticated. The events a state takes, as a JSON array. Errors: none.';
revoke all on function public.fsm_allowed_events(text, integer, text) from public, anon, service_role;
grant execute on function public.fsm_allowed_events(text, integer, text) to authenticated;

create function public.transition_session(
  session_id uuid,
  id uuid,
  event text,
  response text default null,
  expected_version integer default null,
  machine text default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
  move public.session_transitions;
  replayed boolean := false;
begin
  insert into public.sessions (session_id, machine)
    values (transition_session.session_id, coalesce(transition_session.machine, 'supportive-yarn'))
    on conflict (session_id) do nothing;
  select s.* into session from public.sessions s
    where s.session_id = transition_session.session_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  select t.* into move from public.session_transitions t
    where t.session_id = transition_session.session_id and t.id = transition_session.id;
  if found then
    if (move.event, move.response) is distinct from (transition_session.event, transition_session.response) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another move of the session.';
    end if;
    replayed := true;
  else
    if session.machine <> coalesce(transition_session.machine, session.machine) then
      raise sqlstate 'PT409' using message = 'machine_conflict',
        detail = json_build_object('machine', session.machine);
    end if;
    if session.version <> coalesce(transition_session.expected_version, session.version) then
      raise sqlstate 'PT409' using message = 'version_conflict',
        detail = json_build_object('state', session.fsm_state, 'version', session.version);
    end if;
    insert into public.session_transitions (session_id, id, event, response)
      values (transition_session.session_id, transition_session.id, transition_session.event, transition_session.response)
      returning * into move;
  end if;

  return json_build_object(
    'session_id', move.session_id, 'from', move.from_state, 'to', move.to_state, 'event', move.event,
    'version', move.version, 'attempt_count', move.attempt_count, 'forced', move.forced,
    'completed', (select f.is_final from public.fsm_states f where f.machine = session.machine
      and f.machine_version = session.machine_version and f.state = move.to_state),
    'allowed_events', public.fsm_allowed_events(session.machine, session.machine_version, move.to_state),
    'replayed', replayed);
end
$$;
comment on function public.transition_session(uuid, uuid, text, text, integer, text) is
  'Caller: authenticated. One move of a session, which is made if new. The same id again: the first answer, nothing '
  'written. Errors: PT404 session_not_found, machine_not_found; PT409 id_reused, machine_conflict, version_conflict; '
  'PT422 illegal_transition, response_required, response_refused.';
revoke all on function public.transition_session(uuid, uuid, text, text, integer, text) from public, anon, service_role;
grant execute on function public.transition_session(uuid, uuid, text, text, integer, text) to authenticated;

create function public.get_session_state(session_id uuid) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s where s.session_id = get_session_state.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  return (
    select json_build_object(
      'state', session.fsm_state, 'version', session.version,
      'allowed_events', public.fsm_allowed_events(session.machine, session.machine_version, session.fsm_state),
      'responses', coalesce(json_object_agg(r.step, r.response) filter (where r.response is not null), '{}'),
      'attempts', coalesce(json_object_agg(r.step, r.attempt_count) filter (where r.attempt_count > 0), '{}'),
      'completed', session.completed,
      'machine', json_build_object('id', session.machine, 'version', session.machine_version))
    from public.user_responses r where r.session_id = session.session_id);
end
$$;
comment on function public.get_session_state(uuid) is
  'Caller: authenticated. Where a session is and how it got there. Errors: PT404 session_not_found.';
revoke all on function public.get_session_state(uuid) from public, anon, service_role;
grant execute on function public.get_session_state(uuid) to authenticated;

notify pgrst, 'reload schema';
