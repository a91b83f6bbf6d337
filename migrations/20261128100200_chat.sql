-- chat-message: messages with what was made of them (intent, risk), and summaries.
set local lock_timeout = '5s';

create function selvedge.parts_fit(value json) returns boolean
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
begin
  -- In this order: a long text is not parsed, and what is no array is not looked into.
  -- A statement each, as in json_fits. Unknown where the value is null.
  if octet_length(value::text) > 262144 then
    return false;
  end if;
  if json_typeof(value) <> 'array' then
    return false;
  end if;
  return selvedge.json_fits(value::jsonb, 1048576, 64);
end
$$;
comment on function selvedge.parts_fit(json) is
  'Whether a value is an array of at most 256 KiB as written, and at most 64 levels deep. Its numbers must print short '
  'too, in case somebody converts it to jsonb. Errors: none.';
revoke all on function selvedge.parts_fit(json) from public;
grant execute on function selvedge.parts_fit(json) to authenticated, service_role;

create table public.chat_history (
  id uuid not null,
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  role text not null,
  message public.text_65536 not null,
  -- `json`, not `jsonb`: kept as written, because a client compares what it reads with what it wrote.
  parts json constraint chat_history_parts check (selvedge.parts_fit(parts)),
  meta public.json_object_16_kib not null default '{}',
  seq bigint not null,
  written_at timestamptz,
  written_by text not null default 'caller',
  created_at timestamptz not null default now(),
  -- Ids are scoped to the session, so that nobody can probe another person's.
  primary key (session_id, id),
  -- Serves: a page of history, in either direction; and the next seq of a session.
  constraint chat_history_session_id_seq_key unique (session_id, seq),
  constraint chat_history_seq check (seq > 0),
  constraint chat_history_role check (role in ('user', 'bot', 'system')),
  constraint chat_history_written_by check (written_by in ('caller', 'service')),
  -- The edge holds user messages to less.
  constraint chat_history_user_message_length check (role <> 'user' or char_length(message) <= 8000)
);
comment on table public.chat_history is
  'Messages of a session, append-only. Order by seq: rows of one transaction share created_at.';
comment on column public.chat_history.seq is
  'Place in the session: 1, 2, 3 … without a gap, given out under the session''s row lock.';
comment on column public.chat_history.parts is 'What an AI SDK calls the parts of a message.';
comment on column public.chat_history.written_at is
  'When it was written, by the client''s clock: an outbox sends late. Never ordered by.';
comment on column public.chat_history.written_by is
  'caller: whoever owns the session. service: a backend with the service key, by save_message_as.';

select selvedge.only_own_sessions('public.chat_history', 'select', 'insert');
-- Append-only, and seq, written_by and created_at are the server's.
revoke all on public.chat_history from public, anon, authenticated, service_role;
grant select, insert (session_id, id, role, message, parts, meta, written_at) on public.chat_history to authenticated;
grant select, insert, update, delete on public.chat_history to service_role;
select selvedge.without_statistics('public.chat_history');

insert into public.settings (name, value) values
  -- `service`: callers write messages of role user only; the others come from a backend, by save_message_as.
  ('bot_messages_by', 'caller')
on conflict do nothing;

create function selvedge.chat_history_append() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  last_activity timestamptz;
begin
  -- With the session's row lock. From here to the commit this transaction is the only one that appends to it, so seq
  -- becomes visible in order and a reader paging upwards never misses a row.
  select s.last_activity into last_activity from public.sessions s where s.session_id = new.session_id for no key update;
  if not found then
    perform selvedge.refuse_session(new.session_id, auth.uid());
  end if;
  if last_activity < now() then
    update public.sessions s set last_activity = now() where s.session_id = new.session_id;
  end if;
  -- Not max(): on a table that was empty when the query was planned, the planner would read the whole session for it.
  new.seq := coalesce((select h.seq from public.chat_history h
    where h.session_id = new.session_id order by h.seq desc limit 1), 0) + 1;
  return new;
end
$$;
comment on function selvedge.chat_history_append() is
  'Trigger on chat_history. Gives a message without a seq the next one, and the session its last_activity. Errors: PT404 '
  'session_not_found, PT410 session_deleted.';
revoke all on function selvedge.chat_history_append() from public;
-- Callers can give no seq. A restored row brings its own.
create trigger chat_history_append before insert on public.chat_history
  for each row when (new.seq is null) execute function selvedge.chat_history_append();

create function selvedge.chat_history_by_service() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  if exists (select from public.settings s where s.name = 'bot_messages_by' and s.value = 'service') then
    raise sqlstate 'PT403' using message = 'role_not_allowed_here',
      detail = 'Here callers write messages of role user only.';
  end if;
  return new;
end
$$;
comment on function selvedge.chat_history_by_service() is
  'Trigger on chat_history. With the setting bot_messages_by = service, callers write messages of role user only. Errors: '
  'PT403 role_not_allowed_here.';
revoke all on function selvedge.chat_history_by_service() from public;
create trigger chat_history_by_service before insert on public.chat_history
  for each row when (new.role <> 'user' and row_security_active('public.chat_history'::regclass))
  execute function selvedge.chat_history_by_service();

insert into public.rate_limits (what, role, "window", at_most) values
  ('user_messages', 'authenticated', interval '1 minute', 30),
  ('other_messages', 'authenticated', interval '1 minute', 120),
  ('message_bytes', 'authenticated', interval '1 minute', 8 * 1024 * 1024),
  ('summaries', 'authenticated', interval '1 minute', 60);

create function selvedge.limit_messages() returns trigger
-- With its owner's rights, as limit_rows.
language plpgsql security definer set search_path = '' as $$
declare
  of_user constant bigint := (select count(*) from inserted i where i.role = 'user');
  others constant bigint := (select count(*) from inserted i where i.role <> 'user');
begin
  perform selvedge.take('user_messages', of_user), selvedge.take('other_messages', others),
    selvedge.take('message_bytes', (select sum(octet_length(i.message) + coalesce(octet_length(i.parts::text), 0)
      + pg_column_size(i.meta)) from inserted i));
  return null;
end
$$;
comment on function selvedge.limit_messages() is
  'Trigger on chat_history. Counts user_messages, other_messages and message_bytes. Errors: PT429 rate_limited.';
revoke all on function selvedge.limit_messages() from public;
-- As limit_writes makes them, but which limit a row counts for depends on its role.
create trigger chat_history_a_statement before insert on public.chat_history for each statement
  when (row_security_active('public.chat_history'::regclass) and pg_trigger_depth() = 0)
  execute function selvedge.stop_early('user_messages', 'other_messages');
create trigger chat_history_a_user_row before insert on public.chat_history for each row
  when (new.role = 'user' and row_security_active('public.chat_history'::regclass) and pg_trigger_depth() = 0)
  execute function selvedge.stop_early('user_messages');
create trigger chat_history_a_row before insert on public.chat_history for each row
  when (new.role <> 'user' and row_security_active('public.chat_history'::regclass) and pg_trigger_depth() = 0)
  execute function selvedge.stop_early('other_messages');
create trigger chat_history_limit after insert on public.chat_history
  referencing new table as inserted for each statement when (row_security_active('public.chat_history'::regclass))
  execute function selvedge.limit_messages();

-- Intent and risk ---------------------------------------------------------------------------------------------------

-- Any JSON number from 0 to 1.
create domain public.confidence as double precision constraint confidence_range check (value between 0 and 1);

create table public.intent_classifications (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null,
  message_id uuid not null,
  -- Labels and methods are free text: a closed list made the original's own writes fail.
  label public.text_64 not null,
  confidence public.confidence,
  method public.text_64 not null,
  fsm_state public.text_64,
  inference_time_ms double precision constraint intent_classifications_inference_time_ms
    -- Not NaN either: PostgreSQL places it after infinity.
    check (inference_time_ms >= 0 and inference_time_ms < 'infinity'),
  created_at timestamptz not null default now(),
  -- One for each message, so that sending one again cannot add a second.
  -- Serves: finding a message's; deleting a message (the foreign key).
  constraint intent_classifications_session_id_message_id_key unique (session_id, message_id),
  constraint intent_classifications_message foreign key (session_id, message_id)
    references public.chat_history (session_id, id) on delete cascade
);
comment on table public.intent_classifications is 'What a message was taken to mean, append-only, at most one for each.';

create table public.risk_detections (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null,
  message_id uuid not null,
  label public.text_64 not null,
  trigger_phrase public.text_1000,
  confidence public.confidence,
  method public.text_64,
  model public.text_128,
  details public.json_object_16_kib not null default '{}',
  detected_at timestamptz not null default now(),
  -- The function's answer to a message with a risk carries the crisis resources, always. Of a row that a caller inserts
  -- past the function this says nothing.
  resources_shown boolean not null default true,
  -- One for each message, so that sending one again cannot add a second, nor a second event.
  -- Serves: finding a message's; deleting a message (the foreign key).
  constraint risk_detections_session_id_message_id_key unique (session_id, message_id),
  constraint risk_detections_message foreign key (session_id, message_id)
    references public.chat_history (session_id, id) on delete cascade
);
comment on table public.risk_detections is
  'Signs of a crisis found in messages, append-only, at most one for each message. A caller''s insert writes the '
  'analytics event risk_triggered.';
-- Serves: list_risk_detections, for one session and for all of a person's: newest first, from any place on.
create index risk_detections_session_id_detected_at_id_idx
  on public.risk_detections (session_id, detected_at desc, id desc);

select selvedge.only_own_sessions('public.intent_classifications', 'select', 'insert');
select selvedge.only_own_sessions('public.risk_detections', 'select', 'insert');
-- Append-only; ids, times and resources_shown are the server's.
revoke all on public.intent_classifications, public.risk_detections from public, anon, authenticated, service_role;
grant select, insert (session_id, message_id, label, confidence, method, fsm_state, inference_time_ms)
  on public.intent_classifications to authenticated;
grant select, insert (session_id, message_id, label, trigger_phrase, confidence, method, model, details)
  on public.risk_detections to authenticated;
grant select, insert, update, delete on public.intent_classifications, public.risk_detections to service_role;
select selvedge.without_statistics('public.intent_classifications'), selvedge.without_statistics('public.risk_detections');
-- At most one for each message, and messages are limited.
select selvedge.limit_writes('public.intent_classifications', 'insert', null), selvedge.limit_writes('public.risk_detections', 'insert', null);

create function selvedge.risk_detections_event() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  insert into public.analytics (event_type, event_data, session_id)
    values ('risk_triggered', jsonb_build_object('label', new.label), new.session_id);
  return null;
end
$$;
comment on function selvedge.risk_detections_event() is
  'Trigger on risk_detections: a caller''s detection writes one event risk_triggered, with its label. Errors: none.';
revoke all on function selvedge.risk_detections_event() from public;
-- After the insert, so that a row which `on conflict do nothing` leaves out has no event.
create trigger risk_detections_event after insert on public.risk_detections
  for each row when (row_security_active('public.risk_detections'::regclass))
  execute function selvedge.risk_detections_event();

-- Saving ------------------------------------------------------------------------------------------------------------

create function selvedge.message_object(
  message public.chat_history,
  with_intent boolean default false,
  with_risk boolean default false
) returns json
language plpgsql stable security invoker set search_path = '' as $$
declare
  object text;
begin
  object := json_build_object('id', message.id, 'session_id', message.session_id, 'role', message.role,
    'message', message.message, 'meta', message.meta, 'seq', message.seq, 'created_at', message.created_at,
    'written_by', message.written_by);
  -- Members that not every message has are left out, not null. `parts` is added as text, as it was written.
  if message.parts is not null or message.written_at is not null or with_intent or with_risk then
    object := left(object, -1)
      || coalesce(', "parts" : ' || message.parts::text, '')
      || coalesce(', "written_at" : ' || to_json(message.written_at)::text, '')
      || case when with_intent then ', "intent" : ' || coalesce((
          select json_build_object('label', i.label, 'confidence', i.confidence, 'method', i.method,
            'fsm_state', i.fsm_state, 'inference_time_ms', i.inference_time_ms)::text
          from public.intent_classifications i
          where i.session_id = message.session_id and i.message_id = message.id), 'null') else '' end
      || case when with_risk then ', "risk" : ' || coalesce((
          select json_build_object('label', d.label, 'trigger_phrase', d.trigger_phrase, 'confidence', d.confidence,
            'method', d.method, 'model', d.model, 'details', d.details)::text
          from public.risk_detections d
          where d.session_id = message.session_id and d.message_id = message.id), 'null') else '' end
      || '}';
  end if;
  return object::json;
end
$$;
comment on function selvedge.message_object(public.chat_history, boolean, boolean) is
  'A message as callers see it, with its intent and its risk where they are asked for. Errors: none.';
revoke all on function selvedge.message_object(public.chat_history, boolean, boolean) from public;
grant execute on function selvedge.message_object(public.chat_history, boolean, boolean) to authenticated, service_role;

create function selvedge.begin_session(session_id uuid, owner uuid, by_service boolean, machine text)
returns public.sessions
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s
    where s.session_id = begin_session.session_id and s.user_id = begin_session.owner for no key update;
  if found then
    return session;
  end if;
  -- Made if new; of an old session nothing changes, whoever asks.
  if begin_session.by_service then
    insert into public.sessions (session_id, user_id, machine)
      values (begin_session.session_id, begin_session.owner, begin_session.machine) on conflict (session_id) do nothing;
  else
    insert into public.sessions (session_id, machine)
      values (begin_session.session_id, begin_session.machine) on conflict (session_id) do nothing;
  end if;
  return selvedge.lock_session(begin_session.session_id, begin_session.owner);
end
$$;
comment on function selvedge.begin_session(uuid, uuid, boolean, text) is
  'A person''s session, made if it is new, with its row lock. Errors: PT404 session_not_found, machine_not_found; PT410 '
  'session_deleted; PT429 rate_limited.';
revoke all on function selvedge.begin_session(uuid, uuid, boolean, text) from public;
grant execute on function selvedge.begin_session(uuid, uuid, boolean, text) to authenticated, service_role;

create function selvedge.store_message(
  owner uuid,
  by_service boolean,
  session_id uuid,
  id uuid,
  role text,
  message text,
  parts json,
  meta json,
  intent json,
  risk json,
  machine text,
  written_at timestamptz
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  given_meta constant jsonb := coalesce(nullif(store_message.meta::jsonb, 'null'), '{}');
  given_parts constant json := case when json_typeof(store_message.parts) <> 'null' then store_message.parts end;
  given_intent constant json := selvedge.checked_members(store_message.intent, '{"label": "string",
    "confidence": "number", "method": "string", "fsm_state": "string", "inference_time_ms": "number"}', 'intent');
  given_risk constant json := selvedge.checked_members(store_message.risk, '{"label": "string",
    "trigger_phrase": "string", "confidence": "number", "method": "string", "model": "string",
    "details": "object"}', 'risk');
  -- The same as rows: a number is its value here, however it was written.
  new_intent constant public.intent_classifications :=
    json_populate_record(null::public.intent_classifications, given_intent);
  new_risk constant public.risk_detections := json_populate_record(null::public.risk_detections, given_risk);
  session public.sessions;
  stored public.chat_history;
  old_intent public.intent_classifications;
  old_risk public.risk_detections;
  replayed boolean := false;
begin
  session := selvedge.begin_session(store_message.session_id, store_message.owner, store_message.by_service,
    store_message.machine);
  -- Under the session's lock, so that of two equal requests at once the second sees the first one's row.
  select h.* into stored from public.chat_history h
    where h.session_id = store_message.session_id and h.id = store_message.id;
  if found then
    select i.* into old_intent from public.intent_classifications i
      where i.session_id = store_message.session_id and i.message_id = store_message.id;
    select d.* into old_risk from public.risk_detections d
      where d.session_id = store_message.session_id and d.message_id = store_message.id;
    -- Where there is none, all members of a row are null.
    if (stored.role, stored.message::text, stored.meta::jsonb, stored.parts::jsonb, stored.written_at, stored.written_by)
         is distinct from (store_message.role, store_message.message, given_meta, given_parts::jsonb,
           store_message.written_at, case when store_message.by_service then 'service' else 'caller' end)
       or (old_intent.label::text, old_intent.confidence::double precision, old_intent.method::text,
           old_intent.fsm_state::text, old_intent.inference_time_ms)
         is distinct from (new_intent.label::text, new_intent.confidence::double precision, new_intent.method::text,
           new_intent.fsm_state::text, new_intent.inference_time_ms)
       or (old_risk.label::text, old_risk.trigger_phrase::text, old_risk.confidence::double precision,
           old_risk.method::text, old_risk.model::text, coalesce(old_risk.details::jsonb, '{}'))
         is distinct from (new_risk.label::text, new_risk.trigger_phrase::text, new_risk.confidence::double precision,
           new_risk.method::text, new_risk.model::text, coalesce(new_risk.details::jsonb, '{}')) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another message of the session.';
    end if;
    replayed := true;
  else
    if store_message.machine <> session.machine then
      -- Allowed until the first move; a trigger decides.
      update public.sessions s set machine = store_message.machine where s.session_id = session.session_id;
    end if;
    if store_message.by_service then
      insert into public.chat_history (session_id, id, role, message, parts, meta, written_at, written_by)
        values (store_message.session_id, store_message.id, store_message.role, store_message.message, given_parts,
          given_meta, store_message.written_at, 'service')
        returning * into stored;
    else
      insert into public.chat_history (session_id, id, role, message, parts, meta, written_at)
        values (store_message.session_id, store_message.id, store_message.role, store_message.message, given_parts,
          given_meta, store_message.written_at)
        returning * into stored;
    end if;
    if given_intent is not null then
      insert into public.intent_classifications
          (session_id, message_id, label, confidence, method, fsm_state, inference_time_ms)
        values (stored.session_id, stored.id, new_intent.label, new_intent.confidence, new_intent.method,
          new_intent.fsm_state, new_intent.inference_time_ms);
    end if;
    if given_risk is not null then
      insert into public.risk_detections
          (session_id, message_id, label, trigger_phrase, confidence, method, model, details)
        values (stored.session_id, stored.id, new_risk.label, new_risk.trigger_phrase, new_risk.confidence,
          new_risk.method, new_risk.model, coalesce(new_risk.details, '{}'));
      if store_message.by_service then
        -- For callers a trigger does it.
        insert into public.analytics (user_id, event_type, event_data, session_id, source)
          values (store_message.owner, 'risk_triggered', jsonb_build_object('label', new_risk.label), stored.session_id,
            'server');
      end if;
    end if;
    -- The message is the only one of a page of one, read downwards from the place after it.
    perform set_config('response.status', '201', true),
      set_config('response.headers', format('[{"Location": "?session_id=%s&limit=1&before=%s"}]',
        stored.session_id, selvedge.page_cursor('desc:' || stored.seq + 1)), true);
  end if;
  return json_build_object(
    'message', selvedge.message_object(stored),
    'session', (select selvedge.session_object(s) from public.sessions s
      where s.session_id = store_message.session_id),
    'replayed', replayed);
end
$$;
comment on function selvedge.store_message(uuid, boolean, uuid, uuid, text, text, json, json, json, json, text, timestamptz) is
  'What save_message and save_message_as do.';
revoke all on function selvedge.store_message(uuid, boolean, uuid, uuid, text, text, json, json, json, json, text, timestamptz)
  from public;
grant execute on function selvedge.store_message(uuid, boolean, uuid, uuid, text, text, json, json, json, json, text, timestamptz)
  to authenticated, service_role;

-- `json` parameters: what the caller sent is looked at as text before anything is converted.
create function public.save_message(
  session_id uuid,
  id uuid,
  role text,
  message text,
  parts json default null,
  meta json default '{}',
  intent json default null,
  risk json default null,
  machine text default null,
  written_at timestamptz default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return selvedge.store_message(auth.uid(), false, session_id, id, role, message, parts, meta, intent, risk, machine,
    written_at);
end
$$;
comment on function public.save_message(uuid, uuid, text, text, json, json, json, json, text, timestamptz) is
  'Caller: authenticated. Saves one message with its intent and its risk, making its session if new. A risk also writes '
  'the analytics event risk_triggered. Status 201 and header Location, the query of chat-message that reads the message. '
  'Same ids and content again: 200, the stored row, nothing written. Errors: PT403 role_not_allowed_here, PT404 '
  'session_not_found, machine_not_found, PT409 id_reused, machine_conflict, PT410 session_deleted, PT429 rate_limited '
  'with retry_after, 22023 for an unknown member of intent or risk or one of the wrong type, 23502 and 23514 for a value '
  'no column takes.';
revoke all on function public.save_message(uuid, uuid, text, text, json, json, json, json, text, timestamptz)
  from public, anon, service_role;
grant execute on function public.save_message(uuid, uuid, text, text, json, json, json, json, text, timestamptz)
  to authenticated;

create function public.save_message_as(
  user_id uuid,
  session_id uuid,
  id uuid,
  role text,
  message text,
  parts json default null,
  meta json default '{}',
  intent json default null,
  risk json default null,
  written_at timestamptz default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return selvedge.store_message(user_id, true, session_id, id, role, message, parts, meta, intent, risk, null,
    written_at);
end
$$;
comment on function public.save_message_as(uuid, uuid, uuid, text, text, json, json, json, json, timestamptz) is
  'Caller: service_role, from a backend; no edge function calls it. Saves one message in a session of the person '
  '`user_id`, with written_by = service; otherwise as save_message, without limits. Errors: as save_message; 23503 where '
  'there is no such person.';
revoke all on function public.save_message_as(uuid, uuid, uuid, text, text, json, json, json, json, timestamptz)
  from public, anon, authenticated;
grant execute on function public.save_message_as(uuid, uuid, uuid, text, text, json, json, json, json, timestamptz)
  to service_role;

-- Reading -----------------------------------------------------------------------------------------------------------
--
-- One row of json, not a set of rows: PostgREST cuts sets at the server's maximum without a word. A page ends before the
-- item that would take it over 1 MiB. Rows are read in a loop, which stops there: those behind it are not made into JSON
-- for nothing.

create function public.get_history(
  session_id uuid,
  "limit" integer default 50,
  "before" bigint default null,
  "after" bigint default null,
  "order" text default 'desc',
  include text[] default '{}'
) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  page_size constant integer := least(greatest(coalesce(get_history.limit, 50), 1), 200);
  -- What is newer than a place is read upwards. `before` is where a page ended, in either direction.
  ascending constant boolean := get_history.after is not null or coalesce(get_history.order, 'desc') = 'asc';
  after_seq constant bigint := coalesce(get_history.after, get_history.before, 0);
  before_seq constant bigint := coalesce(get_history.before, 9223372036854775807);
  max_bytes constant integer := 1048576;
  with_intent constant boolean := coalesce('intent' = any (get_history.include), false);
  with_risk constant boolean := coalesce('risk' = any (get_history.include), false);
  bytes integer := 0;
  messages json[] := '{}';
  message json;
  seq bigint;
  last_seq bigint;
  more boolean := false;
begin
  perform selvedge.read_session(get_history.session_id);
  -- One row more than asked for tells whether another page follows. Only one half ever runs.
  for message, seq in
    select selvedge.message_object(m, with_intent, with_risk), m.seq from (
      select h.* from (
        (select h.* from public.chat_history h
          where ascending and h.session_id = get_history.session_id and h.seq > after_seq
          order by h.seq limit page_size + 1)
        union all
        (select h.* from public.chat_history h
          where not ascending and h.session_id = get_history.session_id and h.seq < before_seq
          order by h.seq desc limit page_size + 1)
      ) h
      order by case when ascending then h.seq else -h.seq end
    ) m
  loop
    bytes := bytes + octet_length(message::text);
    more := cardinality(messages) = page_size or (bytes > max_bytes and cardinality(messages) > 0);
    exit when more;
    messages := messages || message;
    last_seq := seq;
  end loop;
  return json_build_object(
    'messages', messages,
    'next', case when more then
      selvedge.page_cursor(case when ascending then 'asc:' else 'desc:' end || last_seq) end,
    'last_seq', coalesce((select h.seq from public.chat_history h
      where h.session_id = get_history.session_id order by h.seq desc limit 1), 0));
end
$$;
comment on function public.get_history(uuid, integer, bigint, bigint, text, text[]) is
  'Caller: authenticated. A page of a session''s messages: newest first, or oldest first with order = asc; before = the '
  'seq the last page ended with. after = a seq: what is newer, oldest first. include: intent, risk, added to each message. '
  'A page ends before the message that would take it over 1 MiB, but holds one at least. next is the cursor desc:<seq> '
  'or asc:<seq> of the page to follow, or null; last_seq is the newest message''s, 0 where there is none. Errors: PT404 '
  'session_not_found, PT410 session_deleted.';
revoke all on function public.get_history(uuid, integer, bigint, bigint, text, text[]) from public, anon, service_role;
grant execute on function public.get_history(uuid, integer, bigint, bigint, text, text[]) to authenticated;

create function public.list_risk_detections(
  session_id uuid default null,
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  page_size constant integer := least(greatest(coalesce(list_risk_detections.limit, 50), 1), 200);
  before_moment constant timestamptz := selvedge.before_moment(list_risk_detections.before_time);
  -- Computed here, as in list_sessions.
  before_detection constant uuid :=
    coalesce(list_risk_detections.before_id, '00000000-0000-0000-0000-000000000000');
  max_bytes constant integer := 1048576;
  bytes integer := 0;
  risk_detections json[] := '{}';
  detection json;
  moment timestamptz;
  id uuid;
  last_moment timestamptz;
  last_id uuid;
  more boolean := false;
begin
  if list_risk_detections.session_id is not null then
    perform selvedge.read_session(list_risk_detections.session_id);
  end if;

  -- The newest of each session by its index, and of those the newest: rows of others are never looked at. Detections of
  -- one transaction share their time; the id decides between them, so that no page loses one.
  for detection, moment, id in
    with asked as (
      select s.session_id from public.sessions s
        where list_risk_detections.session_id is not null and s.session_id = list_risk_detections.session_id
      union all
      select s.session_id from public.sessions s
        where list_risk_detections.session_id is null and s.user_id = (select auth.uid())
    ), candidate as (
      select d.* from asked a cross join lateral (
        select d.* from public.risk_detections d
          where d.session_id = a.session_id
            and (d.detected_at, d.id) < (before_moment, before_detection)
          order by d.detected_at desc, d.id desc limit page_size + 1
      ) d
      order by d.detected_at desc, d.id desc limit page_size + 1
    )
    select to_json(c), c.detected_at, c.id from candidate c order by c.detected_at desc, c.id desc
  loop
    bytes := bytes + octet_length(detection::text);
    more := cardinality(risk_detections) = page_size or (bytes > max_bytes and cardinality(risk_detections) > 0);
    exit when more;
    risk_detections := risk_detections || detection;
    last_moment := moment;
    last_id := id;
  end loop;
  return json_build_object('risk_detections', risk_detections, 'next',
    case when more then
      selvedge.page_cursor((extract(epoch from last_moment) * 1000000)::bigint || ':' || last_id) end);
end
$$;
comment on function public.list_risk_detections(uuid, integer, bigint, uuid) is
  'Caller: authenticated. A page of the risks found in the caller''s sessions, or in one of them, newest first; '
  'before_time (microseconds since 1970) and before_id = where the page before ended. A page ends before the detection '
  'that would take it over 1 MiB, but holds one at least. next is the cursor <before_time>:<before_id> of the page to '
  'follow, or null. Errors: PT404 session_not_found, PT410 session_deleted.';
revoke all on function public.list_risk_detections(uuid, integer, bigint, uuid) from public, anon, service_role;
grant execute on function public.list_risk_detections(uuid, integer, bigint, uuid) to authenticated;

-- Summaries ---------------------------------------------------------------------------------------------------------

create table public.session_summaries (
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  summary_type text not null
    constraint session_summaries_type check (summary_type in ('partial', 'complete', 'llm_context')),
  summary_data public.json_object_128_kib not null,
  generated_at timestamptz not null default now(),
  -- Serves: get_session_summary, put_session_summary; deleting a session (the foreign key).
  primary key (session_id, summary_type)
);
comment on table public.session_summaries is 'The latest summary of each type of a session.';
select selvedge.only_own_sessions('public.session_summaries', 'select', 'insert', 'update');
-- A summary may be replaced; when that was is the server's.
revoke all on public.session_summaries from public, anon, authenticated, service_role;
grant select, insert (session_id, summary_type, summary_data), update (summary_data)
  on public.session_summaries to authenticated;
grant select, insert, update, delete on public.session_summaries to service_role;
select selvedge.without_statistics('public.session_summaries');

create function selvedge.session_summaries_touch() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Never backwards: a transaction that waited for the row began before the one it waited for.
  new.generated_at := greatest(old.generated_at, now());
  return new;
end
$$;
comment on function selvedge.session_summaries_touch() is
  'Trigger on session_summaries. A replaced summary was generated now. Errors: none.';
revoke all on function selvedge.session_summaries_touch() from public;
create trigger session_summaries_touch before update on public.session_summaries
  for each row when (row_security_active('public.session_summaries'::regclass))
  execute function selvedge.session_summaries_touch();
select selvedge.limit_writes('public.session_summaries', 'insert', 'summaries');
-- A replaced summary counts, too.
select selvedge.limit_writes('public.session_summaries', 'update', 'summaries');

create function public.put_session_summary(session_id uuid, summary_type text, summary_data jsonb) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  stored public.session_summaries;
begin
  -- The session must be there, and stay until the summary is. A summary never makes one.
  perform selvedge.lock_session(put_session_summary.session_id, auth.uid());
  insert into public.session_summaries (session_id, summary_type, summary_data)
    values (put_session_summary.session_id, put_session_summary.summary_type, put_session_summary.summary_data)
    on conflict (session_id, summary_type) do nothing returning * into stored;
  if found then
    perform set_config('response.status', '201', true);
  else
    update public.session_summaries y set summary_data = put_session_summary.summary_data
      where y.session_id = put_session_summary.session_id and y.summary_type = put_session_summary.summary_type
      returning * into stored;
  end if;
  return to_json(stored);
end
$$;
comment on function public.put_session_summary(uuid, text, jsonb) is
  'Caller: authenticated. Stores a summary, and returns it. Status 201 where it is the first of its type, 200 where it '
  'replaces one. Errors: PT404 session_not_found, PT410 session_deleted, PT429 rate_limited, 23502 and 23514 for a value '
  'no column takes.';
revoke all on function public.put_session_summary(uuid, text, jsonb) from public, anon, service_role;
grant execute on function public.put_session_summary(uuid, text, jsonb) to authenticated;

create function public.get_session_summary(session_id uuid, summary_type text) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  stored public.session_summaries;
begin
  perform selvedge.read_session(get_session_summary.session_id);
  select y.* into stored from public.session_summaries y
    where y.session_id = get_session_summary.session_id and y.summary_type = get_session_summary.summary_type;
  if not found then
    raise sqlstate 'PT404' using message = 'summary_not_found', detail = 'The session has no such summary.';
  end if;
  return to_json(stored);
end
$$;
comment on function public.get_session_summary(uuid, text) is
  'Caller: authenticated. The latest summary of a type. Errors: PT404 session_not_found, summary_not_found; PT410 '
  'session_deleted.';
revoke all on function public.get_session_summary(uuid, text) from public, anon, service_role;
grant execute on function public.get_session_summary(uuid, text) to authenticated;

notify pgrst, 'reload schema';
