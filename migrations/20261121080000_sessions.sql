-- Sessions: one conversation of one person. Every other row of a person hangs on it.

create table public.sessions (
  session_id uuid primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  machine text not null default 'supportive-yarn',
  machine_version integer not null default 1,
  fsm_state text not null default 'welcome',
  version integer not null default 0 check (version >= 0),
  created_at timestamptz not null default now(),
  last_activity timestamptz not null default now(),
  completed boolean not null default false,
  completion_time timestamptz,
  constraint sessions_completion check (completed = (completion_time is not null))
);

comment on table public.sessions is
  'One conversation. session_id is made by the client; everything else is set by the database.';

-- Serves: deleting a user (the foreign key), and a person''s sessions, latest first.
create index sessions_user_id_last_activity_idx on public.sessions (user_id, last_activity desc);

alter table public.sessions enable row level security;
alter table public.sessions force row level security;

create policy sessions_select_own on public.sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy sessions_insert_own on public.sessions for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy sessions_update_own on public.sessions for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

-- A caller may name a session and nothing else of it: the owner, the state, the version and all times come
-- from defaults. last_activity may be touched, and the trigger below decides what it becomes.
revoke all on public.sessions from public, anon, authenticated;
grant select, insert (session_id), update (last_activity) on public.sessions to authenticated;
grant select, insert, update, delete on public.sessions to service_role;

create function public.sessions_touch() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Never backwards: a transaction that waited for the row began before the one it waited for.
  new.last_activity := greatest(old.last_activity, now());
  return new;
end
$$;
comment on function public.sessions_touch() is
  'Trigger on sessions. Whatever time a caller sends as last_activity, the server''s own is stored.';
revoke all on function public.sessions_touch() from public, anon, authenticated, service_role;

-- Only for callers: maintenance (service_role, migrations) may set the time it means.
create trigger sessions_touch before update of last_activity on public.sessions
  for each row when (current_user in ('anon', 'authenticated'))
  execute function public.sessions_touch();
