-- chat-message: what was made of a message, stored with it in one transaction: its intent, and a risk it shows.

create table public.intent_classifications (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null,
  message_id uuid not null,
  -- Labels and methods are free text: a closed list made the original's own writes fail.
  label text not null constraint intent_classifications_label check (char_length(label) between 1 and 64),
  confidence double precision constraint intent_classifications_confidence check (confidence between 0 and 1),
  method text not null constraint intent_classifications_method check (char_length(method) between 1 and 64),
  fsm_state text constraint intent_classifications_fsm_state check (char_length(fsm_state) between 1 and 64),
  inference_time_ms double precision constraint intent_classifications_inference_time_ms
    -- Not NaN either: PostgreSQL places it after infinity.
    check (inference_time_ms >= 0 and inference_time_ms < 'infinity'),
  created_at timestamptz not null default now(),
  -- One for each message, so that sending one again cannot add a second.
  -- Serves: save_message's look for what is there already; deleting a message (the foreign key).
  constraint intent_classifications_session_id_message_id_key unique (session_id, message_id),
  constraint intent_classifications_message foreign key (session_id, message_id)
    references public.chat_history (session_id, id) on delete cascade
);
comment on table public.intent_classifications is 'What a message was taken to mean, append-only, at most one for each.';

create table public.risk_detections (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null,
  message_id uuid not null,
  label text not null constraint risk_detections_label check (char_length(label) between 1 and 64),
  trigger_phrase text constraint risk_detections_trigger_phrase check (char_length(trigger_phrase) between 1 and 1000),
  confidence double precision constraint risk_detections_confidence check (confidence between 0 and 1),
  method text constraint risk_detections_method check (char_length(method) between 1 and 64),
  model text constraint risk_detections_model check (char_length(model) between 1 and 128),
  details jsonb not null default '{}',
  detected_at timestamptz not null default now(),
  -- The function's answer to a message with a risk carries the crisis resources, always. Of a row that a caller inserts
  -- past the function this says nothing.
  resources_shown boolean not null default true,
  -- One for each message, so that sending one again cannot add a second, nor a second event.
  -- Serves: save_message's look for what is there already; deleting a message (the foreign key).
  constraint risk_detections_session_id_message_id_key unique (session_id, message_id),
  constraint risk_detections_message foreign key (session_id, message_id)
    references public.chat_history (session_id, id) on delete cascade,
  -- As for chat_history.meta.
  constraint risk_detections_details_object check (jsonb_typeof(details) = 'object'),
  constraint risk_detections_details_size check (octet_length(details::text) <= 16384),
  constraint risk_detections_details_depth check (
    not jsonb_path_exists(details, 'strict $.**{16 to last} ? (@.type() == "object" || @.type() == "array")')
  )
);
comment on table public.risk_detections is
  'Signs of a crisis found in messages, append-only, at most one for each message. Inserting one writes the analytics '
  'event risk_triggered.';

-- Serves: list_risk_detections, for one session and for all of a person's: newest first, from any place on.
create index risk_detections_session_id_detected_at_id_idx
  on public.risk_detections (session_id, detected_at desc, id desc);

alter table public.intent_classifications enable row level security;
alter table public.intent_classifications force row level security;
alter table public.risk_detections enable row level security;
alter table public.risk_detections force row level security;

create policy intent_classifications_select_own on public.intent_classifications for select to authenticated
  using (exists (select from public.sessions s
    where s.session_id = intent_classifications.session_id and s.user_id = (select auth.uid())));
create policy intent_classifications_insert_own on public.intent_classifications for insert to authenticated
  with check (exists (select from public.sessions s
    where s.session_id = intent_classifications.session_id and s.user_id = (select auth.uid())));
create policy risk_detections_select_own on public.risk_detections for select to authenticated
  using (exists (select from public.sessions s
    where s.session_id = risk_detections.session_id and s.user_id = (select auth.uid())));
create policy risk_detections_insert_own on public.risk_detections for insert to authenticated
  with check (exists (select from public.sessions s
    where s.session_id = risk_detections.session_id and s.user_id = (select auth.uid())));

-- Append-only; ids, times and resources_shown are the server's.
revoke all on public.intent_classifications, public.risk_detections from public, anon, authenticated;
grant select, insert (session_id, message_id, label, confidence, method, fsm_state, inference_time_ms)
  on public.intent_classifications to authenticated;
grant select, insert (session_id, message_id, label, trigger_phrase, confidence, method, model, details)
  on public.risk_detections to authenticated;
grant select, insert, update, delete on public.intent_classifications, public.risk_detections to service_role;

create function public.risk_detections_event() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- The label and nothing of what was said: statistics outlive the session.
  if current_user in ('anon', 'authenticated') then
    insert into public.analytics (event_type, event_data, session_id)
      values ('risk_triggered', jsonb_build_object('label', new.label), new.session_id);
  else
    -- Maintenance is nobody in particular; the event is the session's owner's.
    insert into public.analytics (user_id, event_type, event_data, session_id)
      select s.user_id, 'risk_triggered', jsonb_build_object('label', new.label), new.session_id
      from public.sessions s where s.session_id = new.session_id;
  end if;
  return null;
end
$$;
comment on function public.risk_detections_event() is
  'Trigger on risk_detections: one detection, one analytics event risk_triggered, whoever inserts it. Errors: none.';
revoke all on function public.risk_detections_event() from public, anon, authenticated, service_role;
-- After the insert, so that a row which `on conflict do nothing` leaves out has no event.
create trigger risk_detections_event after insert on public.risk_detections
  for each row execute function public.risk_detections_event();

-- Callers with the five arguments of old are served by the new one.
drop function public.save_message(uuid, uuid, text, text, jsonb);

create function public.save_message(
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

  return json_build_object(
    'message', to_json(stored),
    'session', (select public.session_object(s) from public.sessions s where s.session_id = save_message.session_id),
    'replayed', replayed);
end
$$;
comment on function public.save_message(uuid, uuid, text, text, jsonb, jsonb, jsonb) is
  'Caller: authenticated. Saves one message with its intent and its risk, making its session if new. A risk also '
  'writes the analytics event risk_triggered. Same ids and content again: the stored row, nothing written. Errors: '
  'PT404 session_not_found, PT409 id_reused, PT429 rate_limited with retry_after, 22023 for an unknown member of '
  'intent or risk or one of the wrong type, 23502 and 23514 for a value no column takes.';
revoke all on function public.save_message(uuid, uuid, text, text, jsonb, jsonb, jsonb) from public, anon, service_role;
grant execute on function public.save_message(uuid, uuid, text, text, jsonb, jsonb, jsonb) to authenticated;

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
  before_moment constant timestamptz := case when list_risk_detections.before_time is null then 'infinity'
    else timestamptz 'epoch'
      + least(greatest(list_risk_detections.before_time, 0), 253402300799000000) * interval '1 microsecond' end;
  -- Worked out here: under row level security an expression such as coalesce() in the query would keep the index from
  -- being entered at this place.
  before_detection constant uuid :=
    coalesce(list_risk_detections.before_id, '00000000-0000-0000-0000-000000000000');
  page json;
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
  ), placed as (
    select to_json(c) as detection, c.detected_at, c.id,
      row_number() over (order by c.detected_at desc, c.id desc) as place
    from candidate c
  )
  select json_build_object(
      'risk_detections', coalesce(json_agg(p.detection order by p.place) filter (where p.place <= page_size), '[]'),
      'next', case when count(*) > page_size then json_agg(json_build_object(
          'time', (extract(epoch from p.detected_at) * 1000000)::bigint, 'id', p.id))
        filter (where p.place = page_size) -> 0 end)
    into page from placed p;
  return page;
end
$$;
comment on function public.list_risk_detections(uuid, integer, bigint, uuid) is
  'Caller: authenticated. A page of the risks found in the caller''s sessions, or in one of them, newest first; '
  'before_time (microseconds since 1970) and before_id = the next of the page before. next is null on the last page. '
  'Errors: PT404 session_not_found.';
revoke all on function public.list_risk_detections(uuid, integer, bigint, uuid) from public, anon, service_role;
grant execute on function public.list_risk_detections(uuid, integer, bigint, uuid) to authenticated;

notify pgrst, 'reload schema';
