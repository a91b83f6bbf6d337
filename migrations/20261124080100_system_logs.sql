-- analytics: lines that clients log, next to their events.

create table public.system_logs (
  row_id uuid primary key default gen_random_uuid(),
  id uuid not null default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  log_level text not null
    constraint system_logs_log_level check (log_level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
  component text not null constraint system_logs_component check (char_length(component) between 1 and 128),
  message text not null constraint system_logs_message_length check (char_length(message) <= 4000),
  session_id uuid references public.sessions (session_id) on delete cascade,
  error_trace text constraint system_logs_error_trace check (char_length(error_trace) <= 16000),
  created_at timestamptz not null default now(),
  -- Blank as Unicode''s White_Space has it, whatever the database's locale.
  constraint system_logs_message_not_blank check (
    btrim(message, E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000') <> ''
  ),
  -- Ids are scoped to the user, so that nobody can probe another person's. Serves: recognising a line that was sent
  -- again; a person's own lines; deleting a user (the foreign key).
  constraint system_logs_user_id_id_key unique nulls not distinct (user_id, id)
);
comment on table public.system_logs is
  'What clients log, append-only. id is the sender''s: the same line twice is one row. user_id is null for visitors '
  'without an account.';

-- Serves: deleting a session (the foreign key). Most lines have none.
create index system_logs_session_id_idx on public.system_logs (session_id) where session_id is not null;

alter table public.system_logs enable row level security;
alter table public.system_logs force row level security;
create policy system_logs_select_own on public.system_logs for select to authenticated
  using (user_id = (select auth.uid()));
create policy system_logs_insert_own on public.system_logs for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy system_logs_insert_anonymous on public.system_logs for insert to anon with check (user_id is null);

revoke all on public.system_logs from public, anon, authenticated;
grant select, insert (id, log_level, component, message, session_id, error_trace) on public.system_logs to authenticated;
grant insert (id, log_level, component, message, session_id, error_trace) on public.system_logs to anon;
grant select, insert, update, delete on public.system_logs to service_role;

create function public.system_logs_own_session() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- The foreign key looks past row level security: it would tell whether another person's session exists. anon has
  -- none, and may not look.
  if current_user = 'anon' then
    new.session_id := null;
    return new;
  end if;
  -- Locked, so that a session deleted at this moment is no error either.
  perform from public.sessions s where s.session_id = new.session_id for key share;
  if not found then
    new.session_id := null;
  end if;
  return new;
end
$$;
comment on function public.system_logs_own_session() is
  'Trigger on system_logs. Forgets a session that is not the caller''s, or not there: a log line is never lost for it. '
  'Errors: none.';
revoke all on function public.system_logs_own_session() from public, anon, authenticated, service_role;
create trigger system_logs_own_session before insert on public.system_logs
  for each row when (new.session_id is not null and current_user in ('anon', 'authenticated'))
  execute function public.system_logs_own_session();

create function public.record_log(
  id uuid,
  log_level text,
  component text,
  message text,
  session_id uuid default null,
  error_trace text default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  inserted integer;
begin
  -- No conflict target: naming one asks for the right to read, which anon has not.
  insert into public.system_logs (id, log_level, component, message, session_id, error_trace)
    values (record_log.id, record_log.log_level, record_log.component, record_log.message, record_log.session_id,
      record_log.error_trace)
    on conflict do nothing;
  get diagnostics inserted = row_count;
  return json_build_object('id', record_log.id, 'replayed', inserted = 0);
end
$$;
comment on function public.record_log(uuid, text, text, text, uuid, text) is
  'Caller: authenticated, anon. Stores one line. The same id of the same caller again: nothing is written, replayed is '
  'true. A session that is not the caller''s is left out. Errors: 23502, 23514 for a value no column takes.';
revoke all on function public.record_log(uuid, text, text, text, uuid, text) from public, anon, service_role;
grant execute on function public.record_log(uuid, text, text, text, uuid, text) to authenticated, anon;

notify pgrst, 'reload schema';
