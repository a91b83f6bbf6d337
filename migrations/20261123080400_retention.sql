-- How long conversations are kept.

create function public.cleanup_old_sessions(days integer default 30) returns integer
language plpgsql volatile security invoker set search_path = '' as $$
declare
  deleted integer;
begin
  if coalesce(cleanup_old_sessions.days < 1, true) then
    raise invalid_parameter_value using message = 'days must be 1 or more';
  end if;
  -- What hangs on a session goes with it. No index serves this: it runs once a day.
  -- One that somebody is writing to at this moment goes the next day: waiting for many sessions in any order could end
  -- in a circle.
  delete from public.sessions s where s.session_id in (
    select o.session_id from public.sessions o
    where o.completed and o.completion_time < now() - make_interval(days => cleanup_old_sessions.days)
    for update skip locked);
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
comment on function public.cleanup_old_sessions(integer) is
  'Caller: service_role, or pg_cron as the owner. Deletes sessions completed more than so many days ago with all that '
  'hangs on them, and answers how many. Events in analytics stay. Errors: 22023 for days below 1.';
revoke all on function public.cleanup_old_sessions(integer) from public, anon, authenticated;
grant execute on function public.cleanup_old_sessions(integer) to service_role;

notify pgrst, 'reload schema';
