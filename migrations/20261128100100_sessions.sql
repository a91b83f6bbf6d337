-- Sessions: one conversation of one person. Every other row of a person belongs to one.
set local lock_timeout = '5s';

create table public.sessions (
  session_id uuid primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  title public.text_200,
  meta public.json_object_16_kib not null default '{}',
  machine text not null,
  machine_version integer not null,
  fsm_state text not null,
  version integer not null default 0 constraint sessions_version check (version >= 0),
  created_at timestamptz not null default now(),
  last_activity timestamptz not null default now(),
  completed boolean not null default false,
  completion_time timestamptz,
  constraint sessions_completion check (completed = (completion_time is not null))
);
comment on table public.sessions is
  'One conversation. session_id is made by the client; title and meta are the client''s; everything else is set by the '
  'database.';

-- Serves: list_sessions (a person's sessions, latest first, from any place on); deleting a user (the foreign key).
create index sessions_user_id_last_activity_session_id_idx
  on public.sessions (user_id, last_activity desc, session_id desc);

alter table public.sessions enable row level security;
alter table public.sessions force row level security;
create policy sessions_select_own on public.sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy sessions_insert_own on public.sessions for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy sessions_update_own on public.sessions for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));
create policy sessions_delete_own on public.sessions for delete to authenticated
  using (user_id = (select auth.uid()));

revoke all on public.sessions from public, anon, authenticated, service_role;
-- A caller may name a session and its machine, give it a title and meta, and delete it. The other columns are for
-- triggers; sessions_only_within_a_trigger refuses everything else.
grant select, insert (session_id, machine, title, meta), delete,
  update (title, meta, machine, machine_version, fsm_state, version, last_activity, completed, completion_time)
  on public.sessions to authenticated;
grant select, insert, update, delete on public.sessions to service_role;
select selvedge.without_statistics('public.sessions');

create function selvedge.only_own_sessions(relation regclass, variadic verbs text[]) returns void
language plpgsql volatile security invoker set search_path = '' as $$
declare
  name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = relation);
  -- Written out in each policy: a function here would be called for each row. Without `offset 0` the planner may read all
  -- of the caller's sessions, however many, to look a few rows' sessions up among them.
  own constant text := format('exists (select from public.sessions s
    where s.session_id = %I.session_id and s.user_id = (select auth.uid()) offset 0)', name);
  verb text;
begin
  execute format('alter table %s enable row level security', relation);
  execute format('alter table %s force row level security', relation);
  foreach verb in array verbs loop
    execute format('create policy %I on %s for %s to authenticated %s', format('%s_%s_own', name, verb), relation, verb,
      case verb when 'insert' then format('with check (%s)', own)
        when 'update' then format('using (%1$s) with check (%1$s)', own)
        else format('using (%s)', own) end);
  end loop;
end
$$;
comment on function selvedge.only_own_sessions(regclass, text[]) is
  'For migrations. Switches row level security on for a table whose rows belong to a session (column session_id), with a '
  'policy for each verb: a caller reaches the rows of their own sessions. Errors: none.';
revoke all on function selvedge.only_own_sessions(regclass, text[]) from public;

-- A caller's session ------------------------------------------------------------------------------------------------

create function selvedge.refuse_session(session_id uuid, owner uuid) returns void
language plpgsql volatile security invoker set search_path = '' as $$
begin
  if exists (select from public.deleted_ids d
      where d.kind = 'session' and d.id = refuse_session.session_id and d.user_id = refuse_session.owner) then
    raise sqlstate 'PT410' using message = 'session_deleted', detail = 'This session was deleted.';
  end if;
  raise sqlstate 'PT404' using message = 'session_not_found', detail = 'No such session, or not the caller''s.';
end
$$;
comment on function selvedge.refuse_session(uuid, uuid) is
  'The one place that says that a session cannot be used. Errors: PT410 session_deleted to its owner; PT404 '
  'session_not_found to everybody else, whether there is or was such a session or not.';
revoke all on function selvedge.refuse_session(uuid, uuid) from public;
grant execute on function selvedge.refuse_session(uuid, uuid) to authenticated, service_role;

create function selvedge.read_session(session_id uuid) returns public.sessions
language plpgsql stable security invoker set search_path = '' as $$
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s where s.session_id = read_session.session_id;
  if not found then
    perform selvedge.refuse_session(read_session.session_id, auth.uid());
  end if;
  return session;
end
$$;
comment on function selvedge.read_session(uuid) is
  'The caller''s session. Errors: PT404 session_not_found, PT410 session_deleted.';
revoke all on function selvedge.read_session(uuid) from public;
grant execute on function selvedge.read_session(uuid) to authenticated;

create function selvedge.lock_session(session_id uuid, owner uuid) returns public.sessions
language plpgsql volatile security invoker set search_path = '' as $$
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s
    where s.session_id = lock_session.session_id and s.user_id = lock_session.owner for no key update;
  if not found then
    perform selvedge.refuse_session(lock_session.session_id, lock_session.owner);
  end if;
  return session;
end
$$;
comment on function selvedge.lock_session(uuid, uuid) is
  'A person''s session, with its row lock: until the commit this transaction is the only one that writes to the session. '
  'Errors: PT404 session_not_found, PT410 session_deleted.';
revoke all on function selvedge.lock_session(uuid, uuid) from public;
grant execute on function selvedge.lock_session(uuid, uuid) to authenticated, service_role;

-- Triggers ----------------------------------------------------------------------------------------------------------

create trigger sessions_only_within_a_trigger
  before update of machine_version, fsm_state, version, completed, completion_time on public.sessions
  for each row when (row_security_active('public.sessions'::regclass))
  execute function selvedge.only_within_a_trigger();

create function selvedge.sessions_touch() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Never backwards: a transaction that waited for the row began before the one it waited for.
  new.last_activity := greatest(old.last_activity, now());
  return new;
end
$$;
comment on function selvedge.sessions_touch() is
  'Trigger on sessions. Whatever time a caller sends as last_activity, the server''s own is stored. Errors: none.';
revoke all on function selvedge.sessions_touch() from public;
create trigger sessions_touch before update of last_activity on public.sessions
  for each row when (row_security_active('public.sessions'::regclass))
  execute function selvedge.sessions_touch();

create function selvedge.sessions_are_new() returns trigger
-- With its owner's rights: the id may be one that another person deleted.
language plpgsql security definer set search_path = '' as $$
begin
  -- After the insert: an insert that waited for a deletion to commit sees here what that deletion left.
  if exists (select from public.deleted_ids d where d.kind = 'session' and d.id = new.session_id) then
    perform selvedge.refuse_session(new.session_id, new.user_id);
  end if;
  return null;
end
$$;
comment on function selvedge.sessions_are_new() is
  'Trigger on sessions. The id of a deleted session is never used again, by anybody. Errors: PT410 session_deleted, PT404 '
  'session_not_found.';
revoke all on function selvedge.sessions_are_new() from public;
create trigger sessions_are_new after insert on public.sessions
  for each row execute function selvedge.sessions_are_new();

create function selvedge.nobodys_id(user_id uuid, id uuid) returns uuid
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
begin
  return md5(nobodys_id.user_id::text || nobodys_id.id::text)::uuid;
end
$$;
comment on function selvedge.nobodys_id(uuid, uuid) is
  'The id of an event whose session was deleted: the same each time it is sent, so that it is counted once, and nothing '
  'leads from it back to the event. Errors: none.';
revoke all on function selvedge.nobodys_id(uuid, uuid) from public;

create function selvedge.sessions_deleted() returns trigger
-- With its owner's rights: callers may neither write down that an id was deleted, nor change events.
language plpgsql security definer set search_path = '' as $$
begin
  -- Of a user who is being deleted nothing stays; their rows go by their foreign keys.
  insert into public.deleted_ids (kind, id, user_id)
    select 'session', d.session_id, d.user_id
    from deleted d where exists (select from auth.users u where u.id = d.user_id)
    on conflict do nothing;
  -- Statistics stay, without ids and without what anybody wrote.
  update public.analytics a
    set id = selvedge.nobodys_id(d.user_id, a.id), user_id = null, session_id = null,
        -- With the time the session began, as session_completed has it: its first move may be of another day.
        event_data = case when a.source <> 'server' then '{}'
          when a.event_type = 'session_started' then a.event_data || jsonb_build_object('began_at', d.created_at)
          else a.event_data - 'label' end
    from deleted d
    -- Also what a visitor sent about it. Written so that only the index of session_id fits: without statistics the planner
    -- would read all of the person's events.
    where a.session_id = d.session_id and coalesce(a.user_id, d.user_id) = d.user_id
      and exists (select from auth.users u where u.id = d.user_id);
  perform selvedge.give_back(d.user_id, 'sessions', count(*)) from deleted d group by d.user_id;
  return null;
end
$$;
comment on function selvedge.sessions_deleted() is
  'Trigger on sessions. Remembers the ids in deleted_ids, and takes the ids and the caller''s data out of the events of '
  'these sessions. Errors: none.';
revoke all on function selvedge.sessions_deleted() from public;
create trigger sessions_deleted after delete on public.sessions
  referencing old table as deleted for each statement execute function selvedge.sessions_deleted();

insert into public.rate_limits (what, role, "window", at_most) values
  ('sessions', 'authenticated', interval '1 minute', 60),
  ('session_changes', 'authenticated', interval '1 minute', 300);
select selvedge.limit_writes('public.sessions', 'insert', 'sessions'),
  selvedge.limit_writes('public.sessions', 'update', 'session_changes');

-- Functions ---------------------------------------------------------------------------------------------------------

create function selvedge.session_object(s public.sessions) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object(
    'session_id', s.session_id, 'title', s.title, 'meta', s.meta, 'machine', s.machine, 'fsm_state', s.fsm_state,
    'version', s.version, 'created_at', s.created_at, 'last_activity', s.last_activity, 'completed', s.completed)
$$;
comment on function selvedge.session_object(public.sessions) is 'A session as callers see it. Errors: none.';
revoke all on function selvedge.session_object(public.sessions) from public;
grant execute on function selvedge.session_object(public.sessions) to authenticated, service_role;

create function public.get_session(session_id uuid) returns json
language plpgsql stable security invoker set search_path = '' as $$
begin
  return selvedge.session_object(selvedge.read_session(get_session.session_id));
end
$$;
comment on function public.get_session(uuid) is
  'Caller: authenticated. One session. Errors: PT404 session_not_found, PT410 session_deleted.';
revoke all on function public.get_session(uuid) from public, anon, service_role;
grant execute on function public.get_session(uuid) to authenticated;

-- Without bitmap scans: taking people for having few sessions, the planner would rather read and sort them all than
-- follow the index for a page.
create function public.list_sessions(
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' set enable_bitmapscan = off as $$
declare
  page_size constant integer := least(greatest(coalesce(list_sessions.limit, 50), 1), 200);
  before_moment constant timestamptz := selvedge.before_moment(list_sessions.before_time);
  -- Computed here: with row level security an expression such as coalesce() in the query would keep the planner from
  -- entering the index at this place.
  before_session constant uuid := coalesce(list_sessions.before_id, '00000000-0000-0000-0000-000000000000');
  max_bytes constant integer := 1048576;
  preview_length constant integer := 140;
  bytes integer := 0;
  sessions json[] := '{}';
  session json;
  moment timestamptz;
  id uuid;
  last_moment timestamptz;
  last_id uuid;
  more boolean := false;
begin
  -- One row more than asked for tells whether another page follows. Rows are read in a loop, which stops where the page
  -- is full: those behind it are not made into JSON for nothing.
  for session, moment, id in
    select json_build_object(
        'session_id', s.session_id, 'title', s.title, 'meta', s.meta, 'machine', s.machine, 'fsm_state', s.fsm_state,
        'version', s.version, 'created_at', s.created_at, 'last_activity', s.last_activity, 'completed', s.completed,
        -- Messages are numbered without a gap.
        'message_count', coalesce(h.seq, 0),
        'last_message', case when h.seq is not null then json_build_object(
          'role', h.role, 'preview', left(h.message, preview_length), 'created_at', h.created_at) end),
      s.last_activity, s.session_id
    from public.sessions s left join lateral (
      select h.seq, h.role, h.message, h.created_at from public.chat_history h
      where h.session_id = s.session_id order by h.seq desc limit 1
    ) h on true
    where s.user_id = (select auth.uid()) and (s.last_activity, s.session_id) < (before_moment, before_session)
    order by s.last_activity desc, s.session_id desc limit page_size + 1
  loop
    bytes := bytes + octet_length(session::text);
    more := cardinality(sessions) = page_size or (bytes > max_bytes and cardinality(sessions) > 0);
    exit when more;
    sessions := sessions || session;
    last_moment := moment;
    last_id := id;
  end loop;
  return json_build_object('sessions', sessions, 'next',
    case when more then
      selvedge.page_cursor((extract(epoch from last_moment) * 1000000)::bigint || ':' || last_id) end);
end
$$;
comment on function public.list_sessions(integer, bigint, uuid) is
  'Caller: authenticated. A page of the caller''s own sessions, the latest active first, each with message_count and '
  'last_message: {role, preview, created_at}; before_time (microseconds since 1970) and before_id = where the page before '
  'ended. A page ends before the session that would take it over 1 MiB, but holds one at least. next is the cursor '
  '<before_time>:<before_id> of the page to follow, or null. Errors: none.';
revoke all on function public.list_sessions(integer, bigint, uuid) from public, anon, service_role;
grant execute on function public.list_sessions(integer, bigint, uuid) to authenticated;

create function public.update_session(session_id uuid, changes json) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  given constant json := selvedge.checked_members(update_session.changes, '{"title": "string", "meta": "object"}', 'changes');
  session public.sessions := selvedge.lock_session(update_session.session_id, auth.uid());
begin
  -- A member that is not there changes nothing; `null` takes the value away.
  if given -> 'title' is not null then
    session.title := given ->> 'title';
  end if;
  if given -> 'meta' is not null then
    session.meta := coalesce(nullif((given -> 'meta')::jsonb, 'null'), '{}');
  end if;
  update public.sessions s set title = session.title, meta = session.meta
    where s.session_id = session.session_id;
  return selvedge.session_object(session);
end
$$;
comment on function public.update_session(uuid, json) is
  'Caller: authenticated. Changes the title, the meta or both of a session; changes is an object with the members to '
  'change, null to remove one. Returns the session. Errors: PT404 session_not_found, PT410 session_deleted, 22023 for an '
  'unknown member, 23514 for a value no column takes.';
revoke all on function public.update_session(uuid, json) from public, anon, service_role;
grant execute on function public.update_session(uuid, json) to authenticated;

create function public.delete_session(session_id uuid) returns json
language plpgsql volatile security invoker set search_path = '' as $$
begin
  delete from public.sessions s where s.session_id = delete_session.session_id;
  if not found then
    perform selvedge.refuse_session(delete_session.session_id, auth.uid());
  end if;
  return '{}';
end
$$;
comment on function public.delete_session(uuid) is
  'Caller: authenticated. Deletes a session for good, with all its rows; of its events statistics stay, without ids and '
  'without data of the caller. Errors: PT404 session_not_found, PT410 session_deleted.';
revoke all on function public.delete_session(uuid) from public, anon, service_role;
grant execute on function public.delete_session(uuid) to authenticated;

-- Maintenance -------------------------------------------------------------------------------------------------------

create view public.sessions_to_cleanup with (security_invoker = true) as
  select s.session_id, s.user_id, s.machine, s.created_at, s.last_activity, s.completion_time
  from public.sessions s
  where s.completed and s.completion_time < now() - interval '30 days';
comment on view public.sessions_to_cleanup is 'Sessions completed more than 30 days ago.';
revoke all on public.sessions_to_cleanup from public, anon, authenticated, service_role;
grant select on public.sessions_to_cleanup to authenticated, service_role;

create function public.cleanup_old_sessions(
  days integer default 30,
  at_most integer default 1000,
  idle_days integer default null
) returns integer
language plpgsql volatile security invoker set search_path = '' as $$
declare
  -- Well within the shortest statement_timeout of hosted projects, 8 seconds.
  until constant timestamptz := clock_timestamp() + interval '3 seconds';
  old uuid;
  deleted integer := 0;
begin
  if coalesce(days < 1 or at_most < 1, true) or idle_days < 1 then
    raise invalid_parameter_value using message = 'days, at_most and idle_days must be 1 or more';
  end if;
  -- One at a time, because one may have many messages. No index serves the search: it runs once a day. A session that
  -- somebody is writing to at this moment is left for the next day.
  for old in
    select s.session_id from public.sessions s
    where (s.completed and s.completion_time < now() - make_interval(days => cleanup_old_sessions.days))
      or s.last_activity < now() - make_interval(days => cleanup_old_sessions.idle_days)
    limit cleanup_old_sessions.at_most
    for update skip locked
  loop
    delete from public.sessions s where s.session_id = old;
    deleted := deleted + 1;
    exit when clock_timestamp() > until;
  end loop;
  return deleted;
end
$$;
comment on function public.cleanup_old_sessions(integer, integer, integer) is
  'Caller: service_role, or pg_cron as the owner. Deletes sessions that were completed more than `days` days ago, or that '
  'nobody has used for `idle_days` days if that is given, as delete_session does; returns how many. It stops after '
  'at_most of them or about 3 seconds: call it until it returns 0. Errors: 22023 for a number below 1.';
revoke all on function public.cleanup_old_sessions(integer, integer, integer) from public, anon, authenticated;
grant execute on function public.cleanup_old_sessions(integer, integer, integer) to service_role;

create function public.recount_rate_limits() returns integer
language plpgsql volatile security invoker set search_path = '' as $$
declare
  counted integer;
begin
  update public.rate_limit_uses u set total = 0 where u.what = 'sessions';
  insert into public.rate_limit_uses as u (user_id, what, total)
    select s.user_id, 'sessions', count(*) from public.sessions s
    where exists (select from public.rate_limits l where l.what = 'sessions' and l."window" is null)
    group by s.user_id
    on conflict (caller, what) do update set total = excluded.total;
  get diagnostics counted = row_count;
  return counted;
end
$$;
comment on function public.recount_rate_limits() is
  'Caller: service_role, or the owner. Counts again, from the rows, what limits without a window are about: after a '
  'restore, and after such a limit was set. Returns how many people have something. Errors: none.';
revoke all on function public.recount_rate_limits() from public, anon, authenticated;
grant execute on function public.recount_rate_limits() to service_role;

notify pgrst, 'reload schema';
