-- {{name}}: a person's entries.
set local lock_timeout = '5s';

create table public.{{stem}} (
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  id uuid not null,
  text text not null check (char_length(text) between 1 and 1000 and text ~ '\S'),
  created_at timestamptz not null default now(),
  -- Ids are scoped to the person, so that nobody can probe another's.
  primary key (user_id, id)
);
comment on table public.{{stem}} is 'Entries. id is made by the client; user_id and created_at by the database.';
-- For a page of a person's entries.
create index {{stem}}_newest on public.{{stem}} (user_id, created_at desc, id desc);

alter table public.{{stem}} enable row level security;
alter table public.{{stem}} force row level security;
create policy {{stem}}_select_own on public.{{stem}} for select to authenticated
  using (user_id = (select auth.uid()));
create policy {{stem}}_insert_own on public.{{stem}} for insert to authenticated
  with check (user_id = (select auth.uid()));
revoke all on public.{{stem}} from public, anon, authenticated;
grant select, insert (id, text) on public.{{stem}} to authenticated;
grant select, insert, update, delete on public.{{stem}} to service_role;
-- No samples for the planner, because PostgREST shows its estimates to every caller: docs/security.md.
select selvedge.without_statistics('public.{{stem}}');

create function public.{{stem}}_object(entry public.{{stem}}) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', entry.id, 'text', entry.text, 'created_at', entry.created_at)
$$;
comment on function public.{{stem}}_object(public.{{stem}}) is
  'Caller: authenticated. What a response shows of an entry. Errors: none.';
revoke all on function public.{{stem}}_object(public.{{stem}}) from public, anon, authenticated, service_role;
grant execute on function public.{{stem}}_object(public.{{stem}}) to authenticated;

create function public.save_{{stem}}(id uuid, text text) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  entry public.{{stem}};
  is_new boolean;
begin
  insert into public.{{stem}} (id, text) values (save_{{stem}}.id, save_{{stem}}.text) on conflict do nothing;
  is_new := found;
  select e.* into entry from public.{{stem}} e
    where e.user_id = (select auth.uid()) and e.id = save_{{stem}}.id;
  if entry.text is distinct from save_{{stem}}.text then
    raise sqlstate 'PT409' using message = 'id_reused', detail = 'This id already stands for another entry.';
  end if;
  if is_new then
    -- PostgREST applies it to this response, and the function passes it on.
    perform set_config('response.status', '201', true);
  end if;
  return json_build_object('entry', public.{{stem}}_object(entry), 'replayed', not is_new);
end
$$;
comment on function public.save_{{stem}}(uuid, text) is
  'Caller: authenticated. Saves an entry: status 201. The same id and text again: 200, nothing written. Errors: PT409 '
  'id_reused; 23502, 23514 for a value no column takes.';
revoke all on function public.save_{{stem}}(uuid, text) from public, anon, authenticated, service_role;
grant execute on function public.save_{{stem}}(uuid, text) to authenticated;

-- One row of json, not a set of rows, because PostgREST cuts sets at the server's maximum. 200 texts of 1000 characters
-- are less than the 1 MiB that a page may have.
create function public.list_{{stem}}(
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' as $$
declare
  page_size constant integer := least(greatest(coalesce(list_{{stem}}.limit, 50), 1), 200);
  -- Computed before the query: under row level security, the index cannot be entered at a place that the query itself
  -- computes.
  before_moment constant timestamptz := case when list_{{stem}}.before_time is null then 'infinity'
    else timestamptz 'epoch'
      + least(greatest(list_{{stem}}.before_time, 0), 253402300799000000) * interval '1 microsecond' end;
  before_entry constant uuid := coalesce(list_{{stem}}.before_id, '00000000-0000-0000-0000-000000000000');
  page json;
begin
  -- One row more than the page holds tells whether another page follows.
  with candidate as (
    select e as entry, row_number() over (order by e.created_at desc, e.id desc) as place from public.{{stem}} e
      where e.user_id = (select auth.uid()) and (e.created_at, e.id) < (before_moment, before_entry)
      order by e.created_at desc, e.id desc limit page_size + 1
  )
  select json_build_object(
      'entries', coalesce(json_agg(public.{{stem}}_object(c.entry) order by c.place)
        filter (where c.place <= page_size), '[]'),
      'next', case when count(*) > page_size then max(public.page_cursor(
        (extract(epoch from (c.entry).created_at) * 1000000)::bigint || ':' || (c.entry).id))
        filter (where c.place = page_size) end)
    into page from candidate c;
  return page;
end
$$;
comment on function public.list_{{stem}}(integer, bigint, uuid) is
  'Caller: authenticated. A page of the caller''s entries, the newest first; before_time (microseconds since 1970) and '
  'before_id = where the page before ended. next is the cursor of the page that follows, or null. Errors: none.';
revoke all on function public.list_{{stem}}(integer, bigint, uuid) from public, anon, authenticated, service_role;
grant execute on function public.list_{{stem}}(integer, bigint, uuid) to authenticated;

notify pgrst, 'reload schema';
