-- chat-message: the history of a session, saved and read as its owner.

create table public.chat_history (
  id uuid not null,
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  role text not null,
  message text not null,
  meta jsonb not null default '{}',
  seq bigint not null,
  created_at timestamptz not null default now(),
  -- Ids are scoped to the session, so that nobody can probe another person''s.
  primary key (session_id, id),
  -- Serves: a page of history, in either direction; and the next seq of a session.
  constraint chat_history_session_id_seq_key unique (session_id, seq),
  constraint chat_history_seq check (seq > 0),
  constraint chat_history_role check (role in ('user', 'bot', 'system')),
  -- 8000 characters is the limit of bot and system messages; the edge holds user messages to less.
  constraint chat_history_message_length check (char_length(message) <= 8000),
  -- Blank as Unicode''s White_Space has it, whatever the database''s locale.
  constraint chat_history_message_not_blank check (
    btrim(message, E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000') <> ''
  ),
  constraint chat_history_meta_object check (jsonb_typeof(meta) = 'object'),
  -- The edge admits 8 KiB as the caller wrote it; jsonb prints a space after each comma and colon.
  constraint chat_history_meta_size check (octet_length(meta::text) <= 16384),
  constraint chat_history_meta_depth check (
    not jsonb_path_exists(meta, 'strict $.**{16 to last} ? (@.type() == "object" || @.type() == "array")')
  )
);

comment on table public.chat_history is
  'Messages of a session, append-only. Order by seq: rows of one transaction share created_at.';
comment on column public.chat_history.seq is
  'Place in the session: 1, 2, 3 … without a gap, given out under the session''s row lock.';

alter table public.chat_history enable row level security;
alter table public.chat_history force row level security;

create policy chat_history_select_own on public.chat_history for select to authenticated
  using (exists (
    select from public.sessions s
    where s.session_id = chat_history.session_id and s.user_id = (select auth.uid())
  ));
create policy chat_history_insert_own on public.chat_history for insert to authenticated
  with check (exists (
    select from public.sessions s
    where s.session_id = chat_history.session_id and s.user_id = (select auth.uid())
  ));

-- Append-only, and seq and created_at are the server''s.
revoke all on public.chat_history from public, anon, authenticated;
grant select, insert (session_id, id, role, message, meta) on public.chat_history to authenticated;
grant select, insert, update, delete on public.chat_history to service_role;

create function public.chat_history_append() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Touching the session takes its row lock. From here to the commit this transaction is the only one that
  -- appends to it, so seq becomes visible in order and a reader paging upwards never misses a row.
  update public.sessions s set last_activity = now()
    where s.session_id = new.session_id and s.last_activity < now();
  if not found then
    -- Already touched by this transaction or by a later one: the lock alone.
    perform from public.sessions s where s.session_id = new.session_id for no key update;
    if not found then
      raise sqlstate 'PT404' using message = 'session_not_found',
        detail = 'No such session, or not the caller''s.';
    end if;
  end if;
  new.seq := coalesce(
    (select max(h.seq) from public.chat_history h where h.session_id = new.session_id), 0) + 1;
  return new;
end
$$;
comment on function public.chat_history_append() is
  'Trigger on chat_history. Gives the message its seq and the session its last_activity. '
  'Errors: PT404 session_not_found.';
revoke all on function public.chat_history_append() from public, anon, authenticated, service_role;

create trigger chat_history_append before insert on public.chat_history
  for each row execute function public.chat_history_append();

create function public.save_message(
  session_id uuid,
  id uuid,
  role text,
  message text,
  meta jsonb default '{}'
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  stored public.chat_history;
  replayed boolean := false;
begin
  -- Made if new; an old session keeps its state, whoever asks.
  insert into public.sessions (session_id) values (save_message.session_id)
    on conflict (session_id) do nothing;

  -- Under the lock, so that of two equal requests at once the second sees the first one''s row.
  perform from public.sessions s where s.session_id = save_message.session_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  select h.* into stored from public.chat_history h
    where h.session_id = save_message.session_id and h.id = save_message.id;
  if found then
    if (stored.role, stored.message, stored.meta)
       is distinct from (save_message.role, save_message.message, save_message.meta) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another message of the session.';
    end if;
    replayed := true;
  else
    insert into public.chat_history (session_id, id, role, message, meta)
      values (save_message.session_id, save_message.id, save_message.role, save_message.message, save_message.meta)
      returning * into stored;
  end if;

  return json_build_object(
    'message', to_json(stored),
    'session', (
      select json_build_object(
        'session_id', s.session_id, 'fsm_state', s.fsm_state, 'version', s.version,
        'created_at', s.created_at, 'last_activity', s.last_activity, 'completed', s.completed)
      from public.sessions s where s.session_id = save_message.session_id),
    'replayed', replayed);
end
$$;
comment on function public.save_message(uuid, uuid, text, text, jsonb) is
  'Caller: authenticated. Saves one message, making its session if new. Same ids and content again: the '
  'stored row, nothing written. Errors: PT404 session_not_found, PT409 id_reused, 23514 for a value no '
  'column takes.';
revoke all on function public.save_message(uuid, uuid, text, text, jsonb) from public, anon, service_role;
grant execute on function public.save_message(uuid, uuid, text, text, jsonb) to authenticated;

-- One row of json, not a set of rows: PostgREST cuts sets at the server's maximum without a word.
create function public.get_history(
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
        and h.seq > coalesce(get_history.before, 0)
      order by h.seq limit page_size + 1)
    union all
    (select h.* from public.chat_history h
      where not ascending and h.session_id = get_history.session_id
        and h.seq < coalesce(get_history.before, 9223372036854775807)
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
comment on function public.get_history(uuid, integer, bigint, text) is
  'Caller: authenticated. A page of a session''s messages: newest first, or oldest first with order = asc; '
  'before = the seq the last page ended with. next is that seq for the page to follow, or null. '
  'Errors: PT404 session_not_found.';
revoke all on function public.get_history(uuid, integer, bigint, text) from public, anon, service_role;
grant execute on function public.get_history(uuid, integer, bigint, text) to authenticated;

-- PostgREST learns of new functions only when told.
notify pgrst, 'reload schema';
