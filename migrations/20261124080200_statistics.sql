-- analytics: statistics. People get theirs, because the views run with the caller's rights; service_role gets everybody's.
-- A date is a day of UTC, whatever the time zone of a connection.

create view public.sessions_to_cleanup with (security_invoker = true) as
  select s.session_id, s.user_id, s.machine, s.created_at, s.last_activity, s.completion_time
  from public.sessions s
  where s.completed and s.completion_time < now() - interval '30 days';
comment on view public.sessions_to_cleanup is 'Sessions completed more than 30 days ago.';

create view public.daily_analytics with (security_invoker = true) as
  select (a.occurred_at at time zone 'utc')::date as date,
    a.event_type,
    count(*) as event_count,
    count(distinct a.session_id) as total_sessions
  from public.analytics a
  group by 1, 2;
comment on view public.daily_analytics is
  'Events by day and type. total_sessions: how many different sessions they name; an event without one counts for none.';

-- A session is known by its row while there is one, and by its events once it has been deleted: otherwise cleaning up
-- completed sessions would leave the impression that nobody had ever completed one. Grouped by owner, so that an event
-- that names another person's session says nothing about theirs; and without its id, for nobody needs it to count.
create view public.session_outcomes with (security_invoker = true) as
  select known.user_id, min(known.began_at) as began_at, bool_or(known.completed) as completed
  from (
    select s.user_id, s.session_id, s.created_at as began_at, s.completed
    from public.sessions s
    union all
    select a.user_id, a.session_id, case when a.event_type = 'session_started' then a.occurred_at end,
      a.event_type = 'session_completed'
    from public.analytics a
    where a.event_type in ('session_started', 'session_completed')
      and a.session_id is not null and a.user_id is not null
  ) known
  group by known.user_id, known.session_id
  having min(known.began_at) is not null;
comment on view public.session_outcomes is
  'A row for each session there is or was: when it began, and whether it was completed. What the statistics below count.';

create view public.session_completion_stats with (security_invoker = true) as
  select (o.began_at at time zone 'utc')::date as date,
    count(*) as total_sessions,
    count(*) filter (where o.completed) as completed_sessions,
    round(100.0 * count(*) filter (where o.completed) / count(*), 2)::numeric(5, 2) as completion_rate
  from public.session_outcomes o
  group by 1;
comment on view public.session_completion_stats is
  'Sessions by the day they began, and how many of these were completed since; completion_rate in percent.';

revoke all on public.sessions_to_cleanup, public.daily_analytics, public.session_outcomes,
  public.session_completion_stats from public, anon, authenticated, service_role;
grant select on public.sessions_to_cleanup, public.daily_analytics, public.session_outcomes,
  public.session_completion_stats to authenticated, service_role;

-- One json value with an end: what a person could send in a year has none.
create function public.get_analytics_summary(days integer default 7) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  since constant timestamptz :=
    now() - make_interval(days => least(greatest(coalesce(get_analytics_summary.days, 7), 1), 365));
  most_types constant integer := 100;
  most_daily constant integer := 1000;
  summary json;
begin
  -- Row level security leaves the caller's own rows; said again, so that the index on (user_id, …) is an obvious choice.
  with daily as materialized (
    select (a.occurred_at at time zone 'utc')::date as date, a.event_type, count(*) as count
    from public.analytics a
    where a.user_id = (select auth.uid()) and a.occurred_at >= since
    group by 1, 2
  ), by_type as (
    select d.event_type, sum(d.count)::bigint as count, row_number() over (order by sum(d.count) desc, d.event_type) as place
    from daily d group by d.event_type
  ), by_day as (
    select d.*, row_number() over (order by d.date desc, d.count desc, d.event_type) as place from daily d
  ), sessions as (
    select count(*) as total, count(*) filter (where o.completed) as completed
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
comment on function public.get_analytics_summary(integer) is
  'Caller: authenticated. The caller''s own events and sessions of the last days (1 to 365) times 24 hours: the 100 most '
  'frequent types; the sessions that began then, completion_rate in percent; counts by day of UTC, latest first, 1000 '
  'entries. omitted says how many more there are. Errors: none.';
revoke all on function public.get_analytics_summary(integer) from public, anon, service_role;
grant execute on function public.get_analytics_summary(integer) to authenticated;

notify pgrst, 'reload schema';
