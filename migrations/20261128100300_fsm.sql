-- fsm-transition: a session moves only as its machine allows, whoever asks and by whatever way.
--
-- The rule stands in one place, the trigger on session_transitions: a move is a row there, and inserting the row makes
-- the move. transition_session adds what a client needs to be safe: replay, the expected version, the answer.
set local lock_timeout = '5s';

-- Machines ----------------------------------------------------------------------------------------------------------
--
-- State machines as data. Their rows come from generated migrations, one for each machine and version
-- (`cargo xtask machines`); no caller writes them.

create table public.fsm_machines (
  machine text not null,
  machine_version integer not null check (machine_version > 0),
  initial text not null,
  definition jsonb not null check (jsonb_typeof(definition) = 'object'),
  primary key (machine, machine_version)
);
comment on table public.fsm_machines is 'Each version of each state machine, as in functions/fsm-transition/machines.';

create table public.fsm_states (
  machine text not null,
  machine_version integer not null,
  state text not null,
  is_final boolean not null,
  -- A step is a state in which the person answers something.
  is_step boolean not null,
  -- After this many unclear answers the conversation moves on by force.
  max_attempts integer check (max_attempts > 0),
  primary key (machine, machine_version, state),
  foreign key (machine, machine_version) references public.fsm_machines (machine, machine_version)
);
comment on table public.fsm_states is 'The states of each machine.';

create table public.fsm_transitions (
  machine text not null,
  machine_version integer not null,
  from_state text not null,
  event text not null,
  to_state text not null,
  -- The branch taken once the attempts are exhausted.
  forced boolean not null,
  primary key (machine, machine_version, from_state, event, forced),
  foreign key (machine, machine_version, from_state)
    references public.fsm_states (machine, machine_version, state),
  foreign key (machine, machine_version, to_state)
    references public.fsm_states (machine, machine_version, state)
);
comment on table public.fsm_transitions is 'The moves of each machine: what is not here is illegal.';
-- Serves: the foreign key from to_state.
create index fsm_transitions_to_state_idx on public.fsm_transitions (machine, machine_version, to_state);

alter table public.fsm_machines enable row level security;
alter table public.fsm_machines force row level security;
alter table public.fsm_states enable row level security;
alter table public.fsm_states force row level security;
alter table public.fsm_transitions enable row level security;
alter table public.fsm_transitions force row level security;
-- Machines are no secret, and moves read them as their caller.
create policy fsm_machines_select on public.fsm_machines for select to authenticated using (true);
create policy fsm_states_select on public.fsm_states for select to authenticated using (true);
create policy fsm_transitions_select on public.fsm_transitions for select to authenticated using (true);
revoke all on public.fsm_machines, public.fsm_states, public.fsm_transitions from public, anon, authenticated, service_role;
grant select on public.fsm_machines, public.fsm_states, public.fsm_transitions to authenticated, service_role;

create function selvedge.newest_machine(machine text) returns public.fsm_machines
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  newest public.fsm_machines;
begin
  select m.* into newest from public.fsm_machines m
    where m.machine = newest_machine.machine order by m.machine_version desc limit 1;
  if not found then
    raise sqlstate 'PT404' using message = 'machine_not_found', detail = 'There is no such machine.';
  end if;
  return newest;
end
$$;
comment on function selvedge.newest_machine(text) is
  'The newest version of a machine. Errors: PT404 machine_not_found.';
revoke all on function selvedge.newest_machine(text) from public;
grant execute on function selvedge.newest_machine(text) to authenticated, service_role;

create function selvedge.allowed_events(machine text, machine_version integer, state text) returns json
language sql stable security invoker set search_path = '' as $$
  select coalesce(json_agg(distinct t.event), '[]') from public.fsm_transitions t
    where t.machine = allowed_events.machine and t.machine_version = allowed_events.machine_version
      and t.from_state = allowed_events.state
$$;
comment on function selvedge.allowed_events(text, integer, text) is
  'The events a state takes, as a JSON array. Errors: none.';
revoke all on function selvedge.allowed_events(text, integer, text) from public;
grant execute on function selvedge.allowed_events(text, integer, text) to authenticated;

-- The machine of a session ------------------------------------------------------------------------------------------

-- What a session's state may be.
alter table public.sessions add constraint sessions_state
  foreign key (machine, machine_version, fsm_state)
  references public.fsm_states (machine, machine_version, state);
-- Serves: the foreign key above.
create index sessions_machine_idx on public.sessions (machine, machine_version, fsm_state);

insert into public.settings (name, value) values
  -- Of sessions for which nobody named one.
  ('default_machine', 'supportive-yarn')
on conflict do nothing;

create function selvedge.sessions_begin() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  newest public.fsm_machines;
begin
  if new.machine is null then
    select s.value into new.machine from public.settings s where s.name = 'default_machine';
  end if;
  newest := selvedge.newest_machine(new.machine);
  new.machine_version := newest.machine_version;
  new.fsm_state := newest.initial;
  return new;
end
$$;
comment on function selvedge.sessions_begin() is
  'Trigger on sessions. A caller names at most the machine; version and state are the machine''s. Errors: PT404 '
  'machine_not_found.';
revoke all on function selvedge.sessions_begin() from public;
-- A restored row brings its own machine, version and state.
create trigger sessions_begin before insert on public.sessions
  for each row when (new.machine_version is null or row_security_active('public.sessions'::regclass))
  execute function selvedge.sessions_begin();

create function selvedge.sessions_choose_machine() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  newest public.fsm_machines;
begin
  if new.machine = old.machine then
    return new;
  end if;
  if old.version > 0 then
    raise sqlstate 'PT409' using message = 'machine_conflict', detail = json_build_object('machine', old.machine);
  end if;
  newest := selvedge.newest_machine(new.machine);
  new.machine_version := newest.machine_version;
  new.fsm_state := newest.initial;
  return new;
end
$$;
comment on function selvedge.sessions_choose_machine() is
  'Trigger on sessions. Until its first move a caller may put a session on another machine. Errors: PT404 '
  'machine_not_found, PT409 machine_conflict.';
revoke all on function selvedge.sessions_choose_machine() from public;
create trigger sessions_choose_machine before update of machine on public.sessions
  for each row when (row_security_active('public.sessions'::regclass))
  execute function selvedge.sessions_choose_machine();

-- Responses and moves -----------------------------------------------------------------------------------------------

create table public.user_responses (
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  step text not null,
  -- Null while there have been unclear answers only. A forced move stores `Unclear: ` before the response.
  response text constraint user_responses_response check (char_length(response) between 1 and 1009),
  attempt_count integer not null default 0 constraint user_responses_attempt_count check (attempt_count >= 0),
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
  response public.text_1000,
  created_at timestamptz not null default now(),
  primary key (session_id, id),
  -- Serves: the trail of a session in order; and that no two moves have the same version.
  constraint session_transitions_session_id_version_key unique (session_id, version)
);
comment on table public.session_transitions is
  'The moves of a session, append-only, one for each version. A caller''s insert makes the move.';

select selvedge.only_own_sessions('public.user_responses', 'select', 'insert', 'update');
select selvedge.only_own_sessions('public.session_transitions', 'select', 'insert');
revoke all on public.user_responses, public.session_transitions from public, anon, authenticated, service_role;
-- Those on user_responses are for the trigger of a move.
grant select, insert (session_id, step, response, attempt_count), update (response, attempt_count, updated_at)
  on public.user_responses to authenticated;
grant select, insert (session_id, id, event, response) on public.session_transitions to authenticated;
grant select, insert, update, delete on public.user_responses, public.session_transitions to service_role;
select selvedge.without_statistics('public.user_responses'), selvedge.without_statistics('public.session_transitions');

create trigger user_responses_only_within_a_trigger before insert or update on public.user_responses
  for each row when (row_security_active('public.user_responses'::regclass))
  execute function selvedge.only_within_a_trigger();

create function selvedge.session_transitions_are_new() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- A conflict that is to be ignored (Prefer: resolution=ignore-duplicates) is only found after the triggers before the
  -- row have run. The session would have moved by then, and the row that says so would be left out.
  -- Under the session's lock, so that of two equal rows at once the second sees the first.
  perform selvedge.lock_session(new.session_id, auth.uid());
  if exists (select from public.session_transitions t where t.session_id = new.session_id and t.id = new.id) then
    raise unique_violation using message = 'this id already stands for a move of the session';
  end if;
  return new;
end
$$;
comment on function selvedge.session_transitions_are_new() is
  'Trigger on session_transitions. Refuses a row that is there, so that none can be passed over. Errors: 23505, PT404 '
  'session_not_found, PT410 session_deleted.';
revoke all on function selvedge.session_transitions_are_new() from public;
-- Triggers fire in the order of their names: this one before session_transitions_move.
create trigger session_transitions_are_new before insert on public.session_transitions
  for each row when (row_security_active('public.session_transitions'::regclass))
  execute function selvedge.session_transitions_are_new();

create function selvedge.session_transitions_move() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  session public.sessions;
  newest public.fsm_machines;
  here public.fsm_states;
  move public.fsm_transitions;
  there public.fsm_states;
  attempts integer;
  is_attempt boolean;
begin
  session := selvedge.lock_session(new.session_id, auth.uid());
  if session.version = 0 then
    -- A session stays on the machine version of its first move.
    newest := selvedge.newest_machine(session.machine);
    if newest.machine_version <> session.machine_version then
      session.machine_version := newest.machine_version;
      session.fsm_state := newest.initial;
    end if;
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
      'allowed_events', selvedge.allowed_events(session.machine, session.machine_version, session.fsm_state));
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
    set machine_version = session.machine_version, fsm_state = move.to_state, version = new.version,
        last_activity = now(), completed = there.is_final, completion_time = case when there.is_final then now() end
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

  insert into public.analytics (event_type, event_data, session_id)
    select e.event_type, e.event_data, new.session_id
    from (values
      ('session_started', jsonb_build_object('machine', session.machine), session.version = 0),
      ('step_completed', jsonb_build_object('step', session.fsm_state, 'forced', move.forced),
        here.is_step and move.to_state <> session.fsm_state),
      -- With the time the session began, for statistics of sessions that were deleted since.
      ('session_completed', jsonb_build_object('machine', session.machine, 'began_at', session.created_at),
        there.is_final)
    ) as e (event_type, event_data, happened)
    where e.happened;
  return new;
end
$$;
comment on function selvedge.session_transitions_move() is
  'Trigger on session_transitions: makes the move that a caller''s row names, or refuses it. Stores the step''s response, '
  'counts attempts, writes the analytics events. Errors: PT404 session_not_found; PT410 session_deleted; PT422 '
  'illegal_transition, response_required, response_refused.';
revoke all on function selvedge.session_transitions_move() from public;
create trigger session_transitions_move before insert on public.session_transitions
  for each row when (row_security_active('public.session_transitions'::regclass))
  execute function selvedge.session_transitions_move();

insert into public.rate_limits (what, role, "window", at_most) values
  ('moves', 'authenticated', interval '1 minute', 120);
select selvedge.limit_writes('public.session_transitions', 'insert', 'moves');

-- Functions ---------------------------------------------------------------------------------------------------------

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
  session := selvedge.begin_session(transition_session.session_id, auth.uid(), false, transition_session.machine);
  select t.* into move from public.session_transitions t
    where t.session_id = transition_session.session_id and t.id = transition_session.id;
  if found then
    if (move.event, move.response::text)
         is distinct from (transition_session.event, transition_session.response) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another move of the session.';
    end if;
    replayed := true;
  else
    if transition_session.machine <> session.machine then
      -- Allowed until the first move; a trigger decides.
      update public.sessions s set machine = transition_session.machine where s.session_id = session.session_id
        returning s.* into session;
    end if;
    if session.version <> coalesce(transition_session.expected_version, session.version) then
      raise sqlstate 'PT409' using message = 'version_conflict',
        detail = json_build_object('state', session.fsm_state, 'version', session.version);
    end if;
    insert into public.session_transitions (session_id, id, event, response)
      values (transition_session.session_id, transition_session.id, transition_session.event, transition_session.response)
      returning * into move;
    select s.* into session from public.sessions s where s.session_id = move.session_id;
  end if;

  perform set_config('response.headers', format('[{"ETag": "\"%s\""}]', move.version), true);
  return json_build_object(
    'session_id', move.session_id, 'from', move.from_state, 'to', move.to_state, 'event', move.event,
    'version', move.version, 'attempt_count', move.attempt_count, 'forced', move.forced,
    'completed', (select f.is_final from public.fsm_states f where f.machine = session.machine
      and f.machine_version = session.machine_version and f.state = move.to_state),
    'allowed_events', selvedge.allowed_events(session.machine, session.machine_version, move.to_state),
    'replayed', replayed);
end
$$;
comment on function public.transition_session(uuid, uuid, text, text, integer, text) is
  'Caller: authenticated. One move of a session, which is made if new. The same id again: the first answer, nothing '
  'written. Header ETag: the version after the move, in quotes. Errors: PT404 session_not_found, machine_not_found; '
  'PT409 id_reused, machine_conflict, version_conflict; PT410 session_deleted; PT422 illegal_transition, '
  'response_required, response_refused; PT429 rate_limited; 23514 for a value no column takes.';
revoke all on function public.transition_session(uuid, uuid, text, text, integer, text) from public, anon, service_role;
grant execute on function public.transition_session(uuid, uuid, text, text, integer, text) to authenticated;

create function public.get_session_state(session_id uuid) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session constant public.sessions := selvedge.read_session(get_session_state.session_id);
begin
  perform set_config('response.headers', format('[{"ETag": "\"%s\""}]', session.version), true);
  return (
    select json_build_object(
      'state', session.fsm_state, 'version', session.version,
      'allowed_events', selvedge.allowed_events(session.machine, session.machine_version, session.fsm_state),
      'responses', coalesce(json_object_agg(r.step, r.response) filter (where r.response is not null), '{}'),
      'attempts', coalesce(json_object_agg(r.step, r.attempt_count) filter (where r.attempt_count > 0), '{}'),
      'completed', session.completed,
      'machine', json_build_object('id', session.machine, 'version', session.machine_version))
    from public.user_responses r where r.session_id = session.session_id);
end
$$;
comment on function public.get_session_state(uuid) is
  'Caller: authenticated. Where a session is and how it got there. Header ETag: its version, in quotes. Errors: PT404 '
  'session_not_found, PT410 session_deleted.';
revoke all on function public.get_session_state(uuid) from public, anon, service_role;
grant execute on function public.get_session_state(uuid) to authenticated;

notify pgrst, 'reload schema';
