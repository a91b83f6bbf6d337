-- What PostgREST returns from these functions is the functions' HTTP response: body, status and headers. The edge
-- passes it on and parses nothing. Apart from that the functions do what they did, and `create or replace` keeps who
-- may call them.
--
-- Status and headers are set in the last statements before `return`, for this transaction only. No helper sets whatever
-- status or header it is given: PostgREST would serve it to everybody, and a link to the API could then answer with a
-- redirect or a cookie of the link's author.
set local lock_timeout = '5s';

create or replace function public.page_cursor(place text) returns text
language plpgsql immutable security invoker set search_path = '' as $$
-- Not `language sql`: with a search_path of its own such a function is never inlined but planned anew in every
-- transaction, which takes longer than the encoding.
begin
  -- base64url: the characters that `translate` has no counterpart for, padding and line ends, are left out.
  return translate(encode(convert_to(page_cursor.place, 'UTF8'), 'base64'), E'+/=\n', '-_');
end
$$;
comment on function public.page_cursor(text) is
  'Caller: authenticated. A place in a list as an opaque cursor: base64url without padding. Errors: none.';
revoke all on function public.page_cursor(text) from public, anon, authenticated, service_role;
grant execute on function public.page_cursor(text) to authenticated;

create or replace function public.save_message(
  session_id uuid,
  id uuid,
  role text,
  message text,
  meta jsonb default '{}',
  intent jsonb default null,
  risk jsonb default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  given_meta constant jsonb := coalesce(nullif(save_message.meta, 'null'), '{}');
  given_intent constant jsonb := nullif(save_message.intent, 'null');
  given_risk constant jsonb := nullif(save_message.risk, 'null');
  -- The same as rows: a number is its value here, however it was written.
  new_intent constant public.intent_classifications :=
    jsonb_populate_record(null::public.intent_classifications, given_intent);
  new_risk constant public.risk_detections := jsonb_populate_record(null::public.risk_detections, given_risk);
  stored public.chat_history;
  old_intent public.intent_classifications;
  old_risk public.risk_detections;
  wrong text;
  replayed boolean := false;
begin
  if given_intent is not null or given_risk is not null then
    -- Nothing is passed over in silence: a misspelt member would be lost.
    select p.name || '.' || m.key into wrong
      from (values
        ('intent', given_intent, jsonb '{"label": "string", "confidence": "number", "method": "string",
          "fsm_state": "string", "inference_time_ms": "number"}'),
        ('risk', given_risk, jsonb '{"label": "string", "trigger_phrase": "string", "confidence": "number",
          "method": "string", "model": "string", "details": "object"}')
      ) as p (name, given, kinds) cross join lateral jsonb_each(p.given) as m
      where p.kinds -> m.key is null or jsonb_typeof(m.value) not in ('null', p.kinds ->> m.key)
      limit 1;
    if found then
      raise invalid_parameter_value using message = wrong || ' is not known, or of the wrong type';
    end if;
  end if;

  -- Made if new; an old session keeps its state, whoever asks.
  insert into public.sessions (session_id) values (save_message.session_id)
    on conflict (session_id) do nothing;

  -- Under the lock, so that of two equal requests at once the second sees the first one's row.
  perform from public.sessions s where s.session_id = save_message.session_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  select h.* into stored from public.chat_history h
    where h.session_id = save_message.session_id and h.id = save_message.id;
  if found then
    select i.* into old_intent from public.intent_classifications i
      where i.session_id = save_message.session_id and i.message_id = save_message.id;
    select d.* into old_risk from public.risk_detections d
      where d.session_id = save_message.session_id and d.message_id = save_message.id;
    -- Where there is none, all members of a row are null.
    if (stored.role, stored.message, stored.meta)
         is distinct from (save_message.role, save_message.message, given_meta)
       or (old_intent.label, old_intent.confidence, old_intent.method, old_intent.fsm_state,
           old_intent.inference_time_ms)
         is distinct from (new_intent.label, new_intent.confidence, new_intent.method, new_intent.fsm_state,
           new_intent.inference_time_ms)
       or (old_risk.label, old_risk.trigger_phrase, old_risk.confidence, old_risk.method, old_risk.model,
           coalesce(old_risk.details, '{}'))
         is distinct from (new_risk.label, new_risk.trigger_phrase, new_risk.confidence, new_risk.method,
           new_risk.model, coalesce(new_risk.details, '{}')) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another message of the session.';
    end if;
    replayed := true;
  else
    insert into public.chat_history (session_id, id, role, message, meta)
      values (save_message.session_id, save_message.id, save_message.role, save_message.message, given_meta)
      returning * into stored;
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
    end if;
  end if;

  if not replayed then
    -- The message is the only one of a page of one, read downwards from the place after it.
    perform set_config('response.status', '201', true),
      set_config('response.headers', format('[{"Location": "?session_id=%s&limit=1&before=%s"}]',
        stored.session_id, public.page_cursor('desc:' || stored.seq + 1)), true);
  end if;
  return json_build_object(
    'message', to_json(stored),
    'session', (select public.session_object(s) from public.sessions s where s.session_id = save_message.session_id),
    'replayed', replayed);
end
$$;
comment on function public.save_message(uuid, uuid, text, text, jsonb, jsonb, jsonb) is
  'Caller: authenticated. Saves one message with its intent and its risk, making its session if new. A risk also '
  'writes the analytics event risk_triggered. Status 201 and header Location, the query of chat-message that reads the '
  'message. Same ids and content again: 200, the stored row, nothing written. Errors: PT404 session_not_found, PT409 '
  'id_reused, PT429 rate_limited with retry_after, 22023 for an unknown member of intent or risk or one of the '
  'wrong type, 23502 and 23514 for a value no column takes.';

-- The three lists end a page before the item that would take it over 1 MiB. Each reads its rows in a loop, which stops
-- there: the query hands out a few at a time, and rows past the end of the page are not turned into JSON for nothing.
-- Two hundred of the largest messages are 10 MB.

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
  most_bytes constant integer := 1048576;
  bytes integer := 0;
  messages json[] := '{}';
  message json;
  seq bigint;
  last_seq bigint;
  more boolean := false;
begin
  perform from public.sessions s where s.session_id = get_history.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  -- One row more than asked for tells whether another page follows. Only one half ever runs.
  for message, seq in
    select to_json(m), m.seq from (
      select h.* from (
        (select h.* from public.chat_history h
          where ascending and h.session_id = get_history.session_id
            and h.seq > after_seq
          order by h.seq limit page_size + 1)
        union all
        (select h.* from public.chat_history h
          where not ascending and h.session_id = get_history.session_id
            and h.seq < before_seq
          order by h.seq desc limit page_size + 1)
      ) h
      order by case when ascending then h.seq else -h.seq end
    ) m
  loop
    bytes := bytes + octet_length(message::text);
    more := cardinality(messages) = page_size or (bytes > most_bytes and cardinality(messages) > 0);
    exit when more;
    messages := messages || message;
    last_seq := seq;
  end loop;
  return json_build_object('messages', messages, 'next',
    case when more then public.page_cursor(case when ascending then 'asc:' else 'desc:' end || last_seq) end);
end
$$;
comment on function public.get_history(uuid, integer, bigint, text) is
  'Caller: authenticated. A page of a session''s messages: newest first, or oldest first with order = asc; '
  'before = the seq the last page ended with. A page ends before the message that would take it over 1 MiB, but holds '
  'one at least. next is the cursor desc:<seq> or asc:<seq> of the page to follow, or null. Errors: PT404 '
  'session_not_found.';

-- Without bitmap scans, as before: taking people for having few sessions, the planner would rather read and sort them
-- all than follow the index for a page.
create or replace function public.list_sessions(
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' set enable_bitmapscan = off as $$
declare
  page_size constant integer := least(greatest(coalesce(list_sessions.limit, 50), 1), 200);
  -- Times no page can have ended with are brought to the nearest that one could.
  before_moment constant timestamptz := case when list_sessions.before_time is null then 'infinity'
    else timestamptz 'epoch'
      + least(greatest(list_sessions.before_time, 0), 253402300799000000) * interval '1 microsecond' end;
  -- Worked out here: under row level security an expression such as coalesce() in the query would keep the index from
  -- being entered at this place.
  before_session constant uuid := coalesce(list_sessions.before_id, '00000000-0000-0000-0000-000000000000');
  most_bytes constant integer := 1048576;
  bytes integer := 0;
  sessions json[] := '{}';
  session json;
  moment timestamptz;
  id uuid;
  last_moment timestamptz;
  last_id uuid;
  more boolean := false;
begin
  -- One row more than asked for tells whether another page follows.
  for session, moment, id in
    select public.session_object(s), s.last_activity, s.session_id from public.sessions s
      where s.user_id = (select auth.uid())
        and (s.last_activity, s.session_id) < (before_moment, before_session)
      order by s.last_activity desc, s.session_id desc limit page_size + 1
  loop
    bytes := bytes + octet_length(session::text);
    more := cardinality(sessions) = page_size or (bytes > most_bytes and cardinality(sessions) > 0);
    exit when more;
    sessions := sessions || session;
    last_moment := moment;
    last_id := id;
  end loop;
  return json_build_object('sessions', sessions, 'next',
    case when more then
      public.page_cursor((extract(epoch from last_moment) * 1000000)::bigint || ':' || last_id) end);
end
$$;
comment on function public.list_sessions(integer, bigint, uuid) is
  'Caller: authenticated. A page of the caller''s own sessions, the latest active first; before_time (microseconds '
  'since 1970) and before_id = where the page before ended. A page ends before the session that would take it over '
  '1 MiB, but holds one at least. next is the cursor <before_time>:<before_id> of the page to follow, or null. '
  'Errors: none.';

create or replace function public.list_risk_detections(
  session_id uuid default null,
  "limit" integer default 50,
  before_time bigint default null,
  before_id uuid default null
) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  page_size constant integer := least(greatest(coalesce(list_risk_detections.limit, 50), 1), 200);
  before_moment constant timestamptz := case when list_risk_detections.before_time is null then 'infinity'
    else timestamptz 'epoch'
      + least(greatest(list_risk_detections.before_time, 0), 253402300799000000) * interval '1 microsecond' end;
  -- Worked out here: under row level security an expression such as coalesce() in the query would keep the index from
  -- being entered at this place.
  before_detection constant uuid :=
    coalesce(list_risk_detections.before_id, '00000000-0000-0000-0000-000000000000');
  most_bytes constant integer := 1048576;
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
    perform from public.sessions s where s.session_id = list_risk_detections.session_id;
    if not found then
      raise sqlstate 'PT404' using message = 'session_not_found',
        detail = 'No such session, or not the caller''s.';
    end if;
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
    more := cardinality(risk_detections) = page_size or (bytes > most_bytes and cardinality(risk_detections) > 0);
    exit when more;
    risk_detections := risk_detections || detection;
    last_moment := moment;
    last_id := id;
  end loop;
  return json_build_object('risk_detections', risk_detections, 'next',
    case when more then
      public.page_cursor((extract(epoch from last_moment) * 1000000)::bigint || ':' || last_id) end);
end
$$;
comment on function public.list_risk_detections(uuid, integer, bigint, uuid) is
  'Caller: authenticated. A page of the risks found in the caller''s sessions, or in one of them, newest first; '
  'before_time (microseconds since 1970) and before_id = where the page before ended. A page ends before the detection '
  'that would take it over 1 MiB, but holds one at least. next is the cursor <before_time>:<before_id> of the page to '
  'follow, or null. Errors: PT404 session_not_found.';

create or replace function public.put_session_summary(session_id uuid, summary_type text, summary_data jsonb) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  stored public.session_summaries;
  created boolean;
begin
  -- The session must be there, and stay until the summary is. A summary never makes one.
  perform from public.sessions s where s.session_id = put_session_summary.session_id for key share;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  insert into public.session_summaries (session_id, summary_type, summary_data)
    values (put_session_summary.session_id, put_session_summary.summary_type, put_session_summary.summary_data)
    on conflict (session_id, summary_type) do nothing returning * into stored;
  created := found;
  if not created then
    update public.session_summaries y set summary_data = put_session_summary.summary_data
      where y.session_id = put_session_summary.session_id and y.summary_type = put_session_summary.summary_type
      returning * into stored;
  end if;
  if created then
    perform set_config('response.status', '201', true);
  end if;
  return to_json(stored);
end
$$;
comment on function public.put_session_summary(uuid, text, jsonb) is
  'Caller: authenticated. Stores a summary, and returns it. Status 201 where it is the first of its type, 200 where it '
  'replaces one. Errors: PT404 session_not_found, 23502 and 23514 for a value no column takes.';

create or replace function public.transition_session(
  session_id uuid,
  id uuid,
  event text,
  response text default null,
  expected_version integer default null,
  machine text default null
) returns json
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
  move public.session_transitions;
  replayed boolean := false;
begin
  insert into public.sessions (session_id, machine)
    values (transition_session.session_id, coalesce(transition_session.machine, 'supportive-yarn'))
    on conflict (session_id) do nothing;
  select s.* into session from public.sessions s
    where s.session_id = transition_session.session_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;

  select t.* into move from public.session_transitions t
    where t.session_id = transition_session.session_id and t.id = transition_session.id;
  if found then
    if (move.event, move.response) is distinct from (transition_session.event, transition_session.response) then
      raise sqlstate 'PT409' using message = 'id_reused',
        detail = 'This id already stands for another move of the session.';
    end if;
    replayed := true;
  else
    if session.machine <> coalesce(transition_session.machine, session.machine) then
      raise sqlstate 'PT409' using message = 'machine_conflict',
        detail = json_build_object('machine', session.machine);
    end if;
    if session.version <> coalesce(transition_session.expected_version, session.version) then
      raise sqlstate 'PT409' using message = 'version_conflict',
        detail = json_build_object('state', session.fsm_state, 'version', session.version);
    end if;
    insert into public.session_transitions (session_id, id, event, response)
      values (transition_session.session_id, transition_session.id, transition_session.event, transition_session.response)
      returning * into move;
  end if;

  perform set_config('response.headers', format('[{"ETag": "\"%s\""}]', move.version), true);
  return json_build_object(
    'session_id', move.session_id, 'from', move.from_state, 'to', move.to_state, 'event', move.event,
    'version', move.version, 'attempt_count', move.attempt_count, 'forced', move.forced,
    'completed', (select f.is_final from public.fsm_states f where f.machine = session.machine
      and f.machine_version = session.machine_version and f.state = move.to_state),
    'allowed_events', public.fsm_allowed_events(session.machine, session.machine_version, move.to_state),
    'replayed', replayed);
end
$$;
comment on function public.transition_session(uuid, uuid, text, text, integer, text) is
  'Caller: authenticated. One move of a session, which is made if new. The same id again: the first answer, nothing '
  'written. Header ETag: the version after the move, in quotes. Errors: PT404 session_not_found, machine_not_found; '
  'PT409 id_reused, machine_conflict, version_conflict; PT422 illegal_transition, response_required, response_refused.';

create or replace function public.get_session_state(session_id uuid) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  session public.sessions;
begin
  select s.* into session from public.sessions s where s.session_id = get_session_state.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  perform set_config('response.headers', format('[{"ETag": "\"%s\""}]', session.version), true);
  return (
    select json_build_object(
      'state', session.fsm_state, 'version', session.version,
      'allowed_events', public.fsm_allowed_events(session.machine, session.machine_version, session.fsm_state),
      'responses', coalesce(json_object_agg(r.step, r.response) filter (where r.response is not null), '{}'),
      'attempts', coalesce(json_object_agg(r.step, r.attempt_count) filter (where r.attempt_count > 0), '{}'),
      'completed', session.completed,
      'machine', json_build_object('id', session.machine, 'version', session.machine_version))
    from public.user_responses r where r.session_id = session.session_id);
end
$$;
comment on function public.get_session_state(uuid) is
  'Caller: authenticated. Where a session is and how it got there. Header ETag: its version, in quotes. Errors: PT404 '
  'session_not_found.';

create or replace function public.record_events(events jsonb, sent_at timestamptz default null) returns json
language plpgsql volatile security invoker set search_path = '' as $$
declare
  total integer;
  accepted integer;
  -- How far the sender's clock is behind: at most a century, as one that has lost its time says 1970. Without a limit it
  -- could push a time out of what timestamptz holds, and that would refuse the whole batch.
  sender_is_behind interval := now() - least(greatest(coalesce(record_events.sent_at, now()),
    now() - interval '100 years'), now() + interval '100 years');
begin
  if jsonb_typeof(record_events.events) is distinct from 'array' then
    raise invalid_parameter_value using message = 'events_not_an_array';
  end if;
  total := jsonb_array_length(record_events.events);
  if total > 500 then
    raise invalid_parameter_value using message = 'too_many_events', detail = 'A batch has at most 500 events.';
  end if;

  -- In the order of their ids, so that two batches that overlap wait for each other and never in a circle. No conflict
  -- target: naming one asks for the right to read, which anon has not.
  insert into public.analytics (id, event_type, event_data, session_id, occurred_at)
    select e.id, e.event_type, coalesce(e.event_data, '{}'), e.session_id,
      coalesce(e.occurred_at + sender_is_behind, now())
    from rows from (
      jsonb_to_recordset(record_events.events)
        as (id uuid, event_type text, event_data jsonb, session_id uuid, occurred_at timestamptz)
    ) with ordinality as e (id, event_type, event_data, session_id, occurred_at, place)
    order by e.id, e.place
    on conflict do nothing;
  get diagnostics accepted = row_count;
  perform set_config('response.status', '201', true);
  return json_build_object('accepted', accepted, 'duplicates', total - accepted);
end
$$;
comment on function public.record_events(jsonb, timestamptz) is
  'Caller: authenticated, anon. Stores up to 500 events {id, event_type, event_data?, session_id?, occurred_at?} in one '
  'statement, all or none; those whose id the caller has used before are counted as duplicates and change nothing. '
  'sent_at is the sender''s clock now: its error is taken out of each occurred_at. Status 201. Errors: 22023 for no '
  'array or more than 500 events; 22P02, 22007, 22008, 23502, 23514 for a value no column takes.';

create or replace function public.record_log(
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
  'true. Status 201 either way. A session that is not the caller''s is left out. Errors: 23502, 23514 for a value no '
  'column takes.';

notify pgrst, 'reload schema';
