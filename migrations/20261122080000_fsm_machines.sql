-- State machines as data. Their rows come from generated migrations, one for each machine and version
-- (`cargo xtask machines`); nobody writes them at run time.

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

-- Machines are no secret, and transition_session reads them as its caller.
create policy fsm_machines_select on public.fsm_machines for select to authenticated using (true);
create policy fsm_states_select on public.fsm_states for select to authenticated using (true);
create policy fsm_transitions_select on public.fsm_transitions for select to authenticated using (true);

revoke all on public.fsm_machines, public.fsm_states, public.fsm_transitions from public, anon, authenticated, service_role;
grant select on public.fsm_machines, public.fsm_states, public.fsm_transitions to authenticated, service_role;
