-- analytics: events in batches, each counted once, from people signed in and from visitors who are not; lines that
-- clients log; statistics.
set local lock_timeout = '5s';

-- Events ------------------------------------------------------------------------------------------------------------

create table public.analytics (
  -- A random key of its own, because a primary key cannot hold the nulls of visitors' events. A counter would tell how
  -- many rows others have written.
  row_id uuid primary key default gen_random_uuid(),
  id uuid not null default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  event_type text not null constraint analytics_event_type check (event_type ~ '^[a-z][a-z0-9_]{0,63}$'),
  event_data public.json_object_64_kib not null default '{}',
  -- No foreign key: statistics outlive sessions.
  session_id uuid,
  session_count integer not null default 1 constraint analytics_session_count check (session_count >= 0),
  occurred_at timestamptz not null default now(),
  received_at timestamptz not null default now(),
  clamped boolean not null default false,
  -- Within a trigger it is the database that writes. Callers have no grant for this column.
  source text not null default case when pg_trigger_depth() > 0 then 'server' else 'caller' end
    constraint analytics_source check (source in ('server', 'caller')),
  -- Ids are scoped to the user. Serves: counting an event once; deleting a user (the foreign key).
  constraint analytics_user_id_id_key unique nulls not distinct (user_id, id)
);
comment on table public.analytics is
  'Events, append-only. id is the sender''s: the same event twice is one row. user_id is null for visitors without an '
  'account, and for events of deleted sessions.';
comment on column public.analytics.session_count is
  'How many sessions the row stands for: 1. Rows moved over from an older store may say more. No statistic adds it up, '
  'because the events of one session would count it again and again; they count distinct session_id.';
comment on column public.analytics.occurred_at is
  'When it happened by the server''s clock, as far as the sender''s can be corrected. Of a caller''s event never after '
  'received_at, and never more than 30 days before it: then clamped is true.';
comment on column public.analytics.source is
  'server: written by the database itself, when a session moved or a risk was saved. caller: everything else.';
-- Serves: a person's events by type and time.
create index analytics_user_id_event_type_occurred_at_idx on public.analytics (user_id, event_type, occurred_at);
-- Serves: deleting a session, which takes its id out of its events.
create index analytics_session_id_idx on public.analytics (session_id) where session_id is not null;
-- Serves: cleanup_old_events. Rows come in the order of their time, so a block range index is enough.
create index analytics_received_at_idx on public.analytics using brin (received_at);

alter table public.analytics enable row level security;
alter table public.analytics force row level security;
create policy analytics_select_own on public.analytics for select to authenticated
  using (user_id = (select auth.uid()));
create policy analytics_insert_own on public.analytics for insert to authenticated
  with check (user_id = (select auth.uid()));
-- Visitors without an account may add, and read nothing, their own events included.
create policy analytics_insert_anonymous on public.analytics for insert to anon with check (user_id is null);
revoke all on public.analytics from public, anon, authenticated, service_role;
grant select, insert (id, event_type, event_data, session_id, occurred_at) on public.analytics to authenticated;
grant insert (id, event_type, event_data, session_id, occurred_at) on public.analytics to anon;
grant select, insert, update, delete on public.analytics to service_role;
select selvedge.without_statistics('public.analytics');

create function selvedge.analytics_clamp() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  new.clamped := new.occurred_at is not null;
  new.occurred_at := least(greatest(coalesce(new.occurred_at, now()), now() - interval '30 days'), now());
  return new;
end
$$;
comment on function selvedge.analytics_clamp() is
  'Trigger on analytics. Brings a time that cannot be true to the nearest that can, and marks the row. Errors: none.';
revoke all on function selvedge.analytics_clamp() from public;
-- The condition stands here and not in the function, so that a batch of true times calls no function at all.
create trigger analytics_clamp before insert on public.analytics
  for each row when (
    (new.occurred_at is null or new.occurred_at > now() or new.occurred_at < now() - interval '30 days')
    and row_security_active('public.analytics'::regclass)
  )
  execute function selvedge.analytics_clamp();

insert into public.rate_limits (what, role, "window", at_most) values
  ('events', 'authenticated', interval '1 minute', 2000),
  ('event_bytes', 'authenticated', interval '1 minute', 2 * 1024 * 1024),
  ('events', 'anon', interval '1 minute', 6000),
  ('event_bytes', 'anon', interval '1 minute', 6 * 1024 * 1024),
  ('log_lines', 'authenticated', interval '1 minute', 60),
  ('log_lines', 'anon', interval '1 minute', 120);

create function selvedge.analytics_inserted() returns trigger
-- With its owner's rights: callers touch neither what was counted nor events that are stored.
language plpgsql security definer set search_path = '' as $$
declare
  caller constant uuid := auth.uid();
  rows bigint;
  bytes bigint;
  named uuid[];
  gone uuid[];
begin
  select count(*), sum(pg_column_size(i.event_data)) into rows, bytes from inserted i where i.source = 'caller';
  if rows = 0 then
    return null;
  end if;
  -- Arrays, because without statistics the planner would join whole tables with the rows. Only own sessions: nobody holds up
  -- anybody else.
  named := array(select distinct i.session_id from inserted i
    where i.source = 'caller' and i.user_id is not null and i.session_id is not null);
  if named <> '{}' then
    -- Locked, so that a deletion at this moment waits and then finds these events; in order, so that two never wait for
    -- each other.
    perform from public.sessions s where s.session_id = any (named) and s.user_id is not distinct from caller
      order by s.session_id for key share;
    gone := array(select d.id from public.deleted_ids d
      where d.kind = 'session' and d.id = any (named) and d.user_id is not distinct from caller);
    if gone <> '{}' then
      -- Sent late, of a session that was deleted since: what a deletion leaves is all that is kept, and once.
      delete from public.analytics a using inserted i
        where a.row_id = i.row_id and i.session_id = any (gone) and exists (select from public.analytics b
          where b.user_id is null and b.id = selvedge.nobodys_id(i.user_id, i.id));
      update public.analytics a
        set id = selvedge.nobodys_id(i.user_id, i.id), user_id = null, session_id = null, event_data = '{}'
        from inserted i where a.row_id = i.row_id and i.session_id = any (gone);
    end if;
  end if;
  perform selvedge.take('events', rows), selvedge.take('event_bytes', bytes);
  return null;
end
$$;
comment on function selvedge.analytics_inserted() is
  'Trigger on analytics. Counts events and event_bytes (as stored, before compression), and takes ids and data out of '
  'events of sessions that were deleted. Errors: PT429 rate_limited.';
revoke all on function selvedge.analytics_inserted() from public;
-- At most 500 rows. Not stopped early at a limit, because duplicates would be counted as well.
create trigger analytics_a_statement before insert on public.analytics for each statement
  when (row_security_active('public.analytics'::regclass) and pg_trigger_depth() = 0)
  execute function selvedge.stop_early();
create trigger analytics_a_row before insert on public.analytics for each row
  when (row_security_active('public.analytics'::regclass) and pg_trigger_depth() = 0)
  execute function selvedge.stop_early();
create trigger analytics_inserted after insert on public.analytics
  referencing new table as inserted for each statement when (row_security_active('public.analytics'::regclass))
  execute function selvedge.analytics_inserted();

create function public.record_events(events json, sent_at timestamptz default null) returns json
language plpgsql volatile security invoker set search_path = '' as $$
declare
  max_events constant integer := 500;
  -- The times that RFC 3339 can write; beyond them PostgreSQL's arithmetic could fail, and refuse the whole batch.
  earliest constant timestamptz := '0001-01-01T00:00:00Z';
  latest constant timestamptz := '9999-12-31T23:59:59Z';
  -- Where there is none, null: greatest() and least() would leave it out.
  sent constant timestamptz := case when record_events.sent_at is not null
    then least(greatest(record_events.sent_at, earliest), latest) end;
  total integer;
  accepted integer;
begin
  if json_typeof(record_events.events) is distinct from 'array' then
    raise invalid_parameter_value using message = 'events_not_an_array';
  end if;
  total := json_array_length(record_events.events);
  if total > max_events then
    raise invalid_parameter_value using message = 'too_many_events', detail = 'A batch has at most 500 events.';
  end if;

  -- In the order of their ids, so that two batches that overlap wait for each other and never in a circle. No conflict
  -- target: naming one asks for the right to read, which anon has not.
  insert into public.analytics (id, event_type, event_data, session_id, occurred_at)
    select e.id, e.event_type, coalesce(e.event_data, '{}'), e.session_id,
      case
        when e.occurred_at is null then now()
        when sent is null then e.occurred_at
        -- As long before its arrival as it happened before it was sent: the sender's clock does not matter. Of a time
        -- that cannot be true, enough is left for the trigger to see that.
        else now() + least(greatest(least(greatest(e.occurred_at, earliest), latest) - sent,
          interval '-31 days'), interval '1 day')
      end
    from rows from (
      json_to_recordset(record_events.events)
        as (id uuid, event_type text, event_data jsonb, session_id uuid, occurred_at timestamptz)
    ) with ordinality as e (id, event_type, event_data, session_id, occurred_at, place)
    order by e.id, e.place
    on conflict do nothing;
  get diagnostics accepted = row_count;
  perform set_config('response.status', '201', true);
  return json_build_object('accepted', accepted, 'duplicates', total - accepted);
end
$$;
comment on function public.record_events(json, timestamptz) is
  'Caller: authenticated, anon. Stores up to 500 events {id, event_type, event_data?, session_id?, occurred_at?} in one '
  'statement, all or none; those whose id the caller has used before are counted as duplicates and change nothing. '
  'sent_at is the sender''s clock now: its error is taken out of each occurred_at. Status 201. Errors: PT429 '
  'rate_limited; 22023 for no array or more than 500 events; 22P02, 22007, 22008, 23502, 23514 for a value no column '
  'takes.';
revoke all on function public.record_events(json, timestamptz) from public, anon, service_role;
grant execute on function public.record_events(json, timestamptz) to authenticated, anon;

-- Log lines ---------------------------------------------------------------------------------------------------------

create table public.system_logs (
  row_id uuid primary key default gen_random_uuid(),
  id uuid not null default gen_random_uuid(),
  user_id uuid default auth.uid() references auth.users (id) on delete cascade,
  log_level text not null
    constraint system_logs_log_level check (log_level in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')),
  component public.text_128 not null,
  message public.text_4000 not null,
  session_id uuid references public.sessions (session_id) on delete cascade,
  error_trace public.text_16000,
  created_at timestamptz not null default now(),
  -- Ids are scoped to the user. Serves: recognising a line that was sent again; a person's own lines; deleting a user
  -- (the foreign key).
  constraint system_logs_user_id_id_key unique nulls not distinct (user_id, id)
);
comment on table public.system_logs is
  'What clients log, append-only. id is the sender''s: the same line twice is one row. user_id is null for visitors '
  'without an account.';
-- Serves: deleting a session (the foreign key). Most lines have none.
create index system_logs_session_id_idx on public.system_logs (session_id) where session_id is not null;
-- Serves: cleanup_old_logs.
create index system_logs_created_at_idx on public.system_logs using brin (created_at);

alter table public.system_logs enable row level security;
alter table public.system_logs force row level security;
create policy system_logs_select_own on public.system_logs for select to authenticated
  using (user_id = (select auth.uid()));
create policy system_logs_insert_own on public.system_logs for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy system_logs_insert_anonymous on public.system_logs for insert to anon with check (user_id is null);
revoke all on public.system_logs from public, anon, authenticated, service_role;
grant select, insert (id, log_level, component, message, session_id, error_trace) on public.system_logs to authenticated;
grant insert (id, log_level, component, message, session_id, error_trace) on public.system_logs to anon;
grant select, insert, update, delete on public.system_logs to service_role;
select selvedge.without_statistics('public.system_logs');

create function selvedge.system_logs_own_session() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- The foreign key looks past row level security: it would tell whether another person's session exists. Visitors have
  -- none, and may not look. A session is locked, so that one deleted at this moment is no error either.
  if auth.uid() is null then
    new.session_id := null;
  elsif exists (select from public.deleted_ids d
      where d.kind = 'session' and d.id = new.session_id and d.user_id = auth.uid()) then
    -- Sent late, or again, of a session that was deleted since: what was said in it does not come back.
    return null;
  else
    perform from public.sessions s where s.session_id = new.session_id for key share;
    if not found then
      new.session_id := null;
    end if;
  end if;
  return new;
end
$$;
comment on function selvedge.system_logs_own_session() is
  'Trigger on system_logs. Forgets a session that is not the caller''s, or not there: a log line is not lost for it. A line '
  'of a session that the caller has deleted is left out. Errors: none.';
revoke all on function selvedge.system_logs_own_session() from public;
create trigger system_logs_own_session before insert on public.system_logs
  for each row when (new.session_id is not null and row_security_active('public.system_logs'::regclass))
  execute function selvedge.system_logs_own_session();
-- Not stopped early, because a line that is there already, which is left out, would be counted as well.
select selvedge.limit_writes('public.system_logs', 'insert', null);
create trigger system_logs_limit after insert on public.system_logs
  referencing new table as inserted for each statement when (row_security_active('public.system_logs'::regclass))
  execute function selvedge.limit_rows('log_lines');

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
  perform set_config('response.status', '201', true);
  return json_build_object('id', record_log.id, 'replayed', inserted = 0);
end
$$;
comment on function public.record_log(uuid, text, text, text, uuid, text) is
  'Caller: authenticated, anon. Stores one line. The same id of the same caller again: nothing is written, replayed is '
  'true. Status 201 either way. A session that is not the caller''s is left out; a line of one that was deleted is not stored. Errors: PT429 rate_limited; 23502, 23514 '
  'for a value no column takes.';
revoke all on function public.record_log(uuid, text, text, text, uuid, text) from public, anon, service_role;
grant execute on function public.record_log(uuid, text, text, text, uuid, text) to authenticated, anon;

-- Statistics --------------------------------------------------------------------------------------------------------
--
-- People get theirs, because the views run with the caller's rights; service_role gets everybody's. A date is a day of
-- UTC, whatever the time zone of a connection.

create view selvedge.counted_events with (security_invoker = true) as
  select a.* from public.analytics a
  -- Of what the database writes itself, a caller's claim does not count.
  where a.source = 'server'
    or a.event_type not in ('session_started', 'session_completed', 'risk_triggered');
comment on view selvedge.counted_events is 'Events that statistics count.';
revoke all on selvedge.counted_events from public;
grant select on selvedge.counted_events to authenticated, service_role;

create view public.daily_analytics with (security_invoker = true) as
  select (a.occurred_at at time zone 'utc')::date as date,
    a.event_type,
    count(*) as event_count,
    count(distinct a.session_id) as total_sessions
  from selvedge.counted_events a
  group by 1, 2;
comment on view public.daily_analytics is
  'Events by day and type. total_sessions: how many different sessions they name; an event without one counts for none.';

-- A session is known by its row while there is one, and by two events of the database once it has been deleted:
-- otherwise cleaning up completed sessions would leave the impression that nobody had ever completed one. The events of
-- deleted sessions name neither person nor session, so the owner's rows here are of sessions there are.
create view public.session_outcomes with (security_invoker = true) as
  select s.user_id, s.created_at as began_at, 1 as sessions, s.completed::integer as completed
  from public.sessions s
  union all
  select a.user_id,
    coalesce((a.event_data ->> 'began_at')::timestamptz, a.occurred_at),
    (a.event_type = 'session_started')::integer,
    (a.event_type = 'session_completed')::integer
  from public.analytics a
  where a.source = 'server' and a.session_id is null and a.event_type in ('session_started', 'session_completed');
comment on view public.session_outcomes is
  'What statistics of sessions add up: how many began and how many of them were completed, by the time they began. One '
  'row for each session there is; for a deleted one, one for each of its two events.';

create view public.session_completion_stats with (security_invoker = true) as
  select (o.began_at at time zone 'utc')::date as date,
    sum(o.sessions) as total_sessions,
    sum(o.completed) as completed_sessions,
    -- Of deleted sessions one of the two events may have been cleaned up.
    least(round(100.0 * sum(o.completed) / nullif(sum(o.sessions), 0), 2), 100)::numeric(5, 2) as completion_rate
  from public.session_outcomes o
  group by 1;
comment on view public.session_completion_stats is
  'Sessions by the day they began, and how many of these were completed since; completion_rate in percent.';

revoke all on public.daily_analytics, public.session_outcomes, public.session_completion_stats
  from public, anon, authenticated, service_role;
grant select on public.daily_analytics, public.session_outcomes, public.session_completion_stats
  to authenticated, service_role;

-- One json value with an end: what a person could send in a year has none.
create function public.get_analytics_summary(days integer default 7, tz text default 'UTC') returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  since constant timestamptz :=
    now() - make_interval(days => least(greatest(coalesce(get_analytics_summary.days, 7), 1), 365));
  zone constant text := coalesce(get_analytics_summary.tz, 'UTC');
  most_types constant integer := 100;
  most_daily constant integer := 1000;
  summary json;
begin
  begin
    -- Names only: PostgreSQL would take `XYZ+3` and `A/B+3` for zones, too, and count its hours the other way round. It refuses
    -- other names that it does not know.
    if zone !~ '^([A-Za-z_]{1,14}(/[A-Za-z_-]{1,14}){0,2}|Etc/GMT[+-][0-9]{1,2})$' then
      raise invalid_parameter_value;
    end if;
    perform now() at time zone zone;
  exception when invalid_parameter_value then
    raise sqlstate 'PT422' using message = 'unknown_time_zone', detail = 'tz is not the name of a time zone.';
  end;
  -- Row level security leaves the caller's own rows; said again, so that the index on (user_id, …) is an obvious choice.
  with daily as materialized (
    select (a.occurred_at at time zone zone)::date as date, a.event_type, count(*) as count
    from selvedge.counted_events a
    where a.user_id = (select auth.uid()) and a.occurred_at >= since
    group by 1, 2
  ), by_type as (
    select d.event_type, sum(d.count)::bigint as count, row_number() over (order by sum(d.count) desc, d.event_type) as place
    from daily d group by d.event_type
  ), by_day as (
    select d.*, row_number() over (order by d.date desc, d.count desc, d.event_type) as place from daily d
  ), sessions as (
    select coalesce(sum(o.sessions), 0) as total, coalesce(sum(o.completed), 0) as completed
    from public.session_outcomes o
    where o.user_id = (select auth.uid()) and o.began_at >= since
  )
  select json_build_object(
      'event_counts', (select coalesce(json_object_agg(t.event_type, t.count order by t.place), '{}')
        from by_type t where t.place <= most_types),
      'completion_stats', (select json_build_object(
          'total_sessions', s.total, 'completed', s.completed,
          'completion_rate', coalesce(round(100.0 * s.completed / nullif(s.total, 0), 2), 0.00))
        from sessions s),
      'daily', (select coalesce(json_agg(
          json_build_object('date', d.date, 'event_type', d.event_type, 'count', d.count) order by d.place), '[]')
        from by_day d where d.place <= most_daily),
      'omitted', json_build_object(
        'event_counts', (select greatest(count(*) - most_types, 0) from by_type),
        'daily', (select greatest(count(*) - most_daily, 0) from by_day)))
    into summary;
  return summary;
end
$$;
comment on function public.get_analytics_summary(integer, text) is
  'Caller: authenticated. The caller''s own events and sessions of the last days (1 to 365) times 24 hours: the 100 most '
  'frequent types; the sessions that began then, completion_rate in percent; counts by day of tz (an IANA name), latest '
  'first, 1000 entries. omitted says how many more there are. Errors: PT422 unknown_time_zone.';
revoke all on function public.get_analytics_summary(integer, text) from public, anon, service_role;
grant execute on function public.get_analytics_summary(integer, text) to authenticated;

-- Maintenance -------------------------------------------------------------------------------------------------------

create function public.cleanup_old_events(days integer default 365, at_most integer default 10000) returns integer
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return selvedge.delete_older('public.analytics', 'received_at', days, 1, at_most);
end
$$;
comment on function public.cleanup_old_events(integer, integer) is
  'Caller: service_role, or pg_cron as the owner. Deletes events received more than so many days ago, and returns how '
  'many; call it until it returns 0. Errors: 22023 for a number below 1.';
revoke all on function public.cleanup_old_events(integer, integer) from public, anon, authenticated;
grant execute on function public.cleanup_old_events(integer, integer) to service_role;

create function public.cleanup_old_logs(days integer default 30, at_most integer default 10000) returns integer
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return selvedge.delete_older('public.system_logs', 'created_at', days, 1, at_most);
end
$$;
comment on function public.cleanup_old_logs(integer, integer) is
  'Caller: service_role, or pg_cron as the owner. Deletes log lines older than so many days, and returns how many; call it '
  'until it returns 0. Errors: 22023 for a number below 1.';
revoke all on function public.cleanup_old_logs(integer, integer) from public, anon, authenticated;
grant execute on function public.cleanup_old_logs(integer, integer) to service_role;

notify pgrst, 'reload schema';
