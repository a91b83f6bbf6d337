-- chat-message: a person's sessions, listed, read and deleted.

-- Serves: list_sessions (a person's sessions, latest first, from any place on); deleting a user (the foreign key).
-- In place of the index without session_id, which left open what comes first of two sessions of the same moment.
create index sessions_user_id_last_activity_session_id_idx
  on public.sessions (user_id, last_activity desc, session_id desc);
drop index public.sessions_user_id_last_activity_idx;

-- Everything of a session hangs on it and goes with it; events in analytics do not, and stay.
create policy sessions_delete_own on public.sessions for delete to authenticated
  using (user_id = (select auth.uid()));
grant delete on public.sessions to authenticated;

create function public.session_object(s public.sessions) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object(
    'session_id', s.session_id, 'fsm_state', s.fsm_state, 'version', s.version,
    'created_at', s.created_at, 'last_activity', s.last_activity, 'completed', s.completed)
$$;
comment on function public.session_object(public.sessions) is
  'Caller: authenticated. What an answer shows of a session. Errors: none.';
revoke all on function public.session_object(public.sessions) from public, anon, service_role;
grant execute on function public.session_object(public.sessions) to authenticated;

create function public.get_session(session_id uuid) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s where s.session_id = get_session.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  return public.session_object(session);
end
$$;
comment on function public.get_session(uuid) is
  'Caller: authenticated. One session. Errors: PT404 session_not_found.';
revoke all on function public.get_session(uuid) from public, anon, service_role;
grant execute on function public.get_session(uuid) to authenticated;

create function public.delete_session(session_id uuid) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
begin
  delete from public.sessions s where s.session_id = delete_session.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  return '{}';
end
$$;
comment on function public.delete_session(uuid) is
  'Caller: authenticated. Deletes a session and all that hangs on it; events in analytics stay. '
  'Errors: PT404 session_not_found.';
revoke all on function public.delete_session(uuid) from public, anon, service_role;
grant execute on function public.delete_session(uuid) to authenticated;

create function public.list_sessions(
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' as $$
declare
  page_size constant integer := least(greatest(coalesce(list_sessions.limit, 50), 1), 200);
  -- Times no page can have ended with are brought to the nearest that one could.
  before_moment constant timestamptz := case when list_sessions.before_time is null then 'infinity'
    else timestamptz 'epoch'
      + least(greatest(list_sessions.before_time, 0), 253402300799000000) * interval '1 microsecond' end;
  -- Worked out here: under row level security an expression such as coalesce() in the query would keep the index from
  -- being entered at this place.
  before_session constant uuid := coalesce(list_sessions.before_id, '00000000-0000-0000-0000-000000000000');
  page json;
begin
  -- One row more than asked for tells whether another page follows.
  with candidate as (
    select s.session_id, s.last_activity, public.session_object(s) as session from public.sessions s
      where s.user_id = (select auth.uid())
        and (s.last_activity, s.session_id) < (before_moment, before_session)
      order by s.last_activity desc, s.session_id desc limit page_size + 1
  ), placed as (
    select c.*, row_number() over (order by c.last_activity desc, c.session_id desc) as place from candidate c
  )
  select json_build_object(
      'sessions', coalesce(json_agg(p.session order by p.place) filter (where p.place <= page_size), '[]'),
      'next', case when count(*) > page_size then json_agg(json_build_object(
          'time', (extract(epoch from p.last_activity) * 1000000)::bigint, 'id', p.session_id))
        filter (where p.place = page_size) -> 0 end)
    into page from placed p;
  return page;
end
$$;
comment on function public.list_sessions(integer, bigint, uuid) is
  'Caller: authenticated. A page of the caller''s own sessions, the latest active first; before_time (microseconds '
  'since 1970) and before_id = the next of the page before. next is null on the last page. Errors: none.';
revoke all on function public.list_sessions(integer, bigint, uuid) from public, anon, service_role;
grant execute on function public.list_sessions(integer, bigint, uuid) to authenticated;

notify pgrst, 'reload schema';
