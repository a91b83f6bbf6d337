-- chat-message: a page of history far down a long session reads that page, not all that lies before it.
--
-- As it was, but for the place to read from, which is worked out before the query. Row level security does not let
-- PostgreSQL evaluate coalesce() ahead of the policy, so the index was entered at the end of the session and every row
-- up to the page was read and thrown away.

-- One row of json, not a set of rows: PostgREST cuts sets at the server's maximum without a word.
create or replace function public.get_history(
  session_id uuid,
  "limit" integer default 50,
  "before" bigint default null,
  "order" text default 'desc'
) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  page_size constant integer := least(greatest(coalesce(get_history.limit, 50), 1), 200);
  ascending constant boolean := coalesce(get_history.order, 'desc') = 'asc';
  after_seq constant bigint := coalesce(get_history.before, 0);
  before_seq constant bigint := coalesce(get_history.before, 9223372036854775807);
  page json;
begin
  perform from public.sessions s where s.session_id = get_history.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  -- One row more than asked for tells whether another page follows. Only one half ever runs.
  with candidate as (
    (select h.* from public.chat_history h
      where ascending and h.session_id = get_history.session_id
        and h.seq > after_seq
      order by h.seq limit page_size + 1)
    union all
    (select h.* from public.chat_history h
      where not ascending and h.session_id = get_history.session_id
        and h.seq < before_seq
      order by h.seq desc limit page_size + 1)
  ), placed as (
    select to_json(c) as message, c.seq,
      row_number() over (order by case when ascending then c.seq else -c.seq end) as place
    from candidate c
  )
  select json_build_object(
      'messages', coalesce(json_agg(p.message order by p.place) filter (where p.place <= page_size), '[]'),
      'next', case when count(*) > page_size then max(p.seq) filter (where p.place = page_size) end)
    into page from placed p;
  return page;
end
$$;

notify pgrst, 'reload schema';
