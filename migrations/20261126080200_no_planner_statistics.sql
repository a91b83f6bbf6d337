-- No statistic lets one user count another's rows: how many there are of everybody together is left. PostgREST tells everybody the planner's guess at how many rows a
-- filter finds (Prefer: count=planned), and the planner guesses from samples of all rows, whoever's they are: which
-- values are common, and how common. So it gets no samples of tables that hold what persons did.
--
-- The queries here hardly need them: each finds its rows by a unique key, or by an index that begins with whose they
-- are. ANALYZE still counts the tables' rows in all, which every planner needs.
do $$
declare
  place record;
begin
  for place in
    select a.attrelid::regclass as relation, a.attname as name
    from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    where a.attrelid = any (array[
        'public.sessions', 'public.chat_history', 'public.user_responses', 'public.session_transitions',
        'public.intent_classifications', 'public.risk_detections', 'public.session_summaries', 'public.analytics',
        'public.system_logs', 'public.rate_limit_uses'
      ]::regclass[])
      and a.attnum > 0 and not a.attisdropped
  loop
    execute format('alter table %s alter column %I set statistics 0', place.relation, place.name);
    -- Samples that were taken before stay for good, and only a superuser can remove them. On a new database there are
    -- none yet.
    if (select r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user) then
      delete from pg_catalog.pg_statistic where starelid = place.relation;
    end if;
  end loop;
end
$$;

-- The one that does: taking people for having few sessions, the planner would rather read and sort them all than follow
-- the index for a page.
alter function public.list_sessions(integer, bigint, uuid) set enable_bitmapscan = off;
