-- analytics: events in batches, each counted once, from people signed in and from visitors who are not.

-- seq counted the rows of everybody: whoever reads two of their own rows a day apart learns how many others were
-- written between. Grants by column could hide it, but PostgREST's select=* asks for every column and would then be
-- refused. So the key is random. (This rewrites the table under an exclusive lock; it has one row for each event so far.)
alter table public.analytics drop column seq;
alter table public.analytics add column row_id uuid primary key default gen_random_uuid();
comment on column public.analytics.row_id is
  'The row''s own key, which says nothing. An event is known by (user_id, id); a primary key cannot hold the nulls of '
  'anonymous ones.';
comment on column public.analytics.session_count is
  'How many sessions the row stands for: 1. Rows moved over from an older store may say more. No statistic adds it up, '
  'because the events of one session would count it again and again; they count distinct session_id.';
comment on column public.analytics.occurred_at is
  'When it happened by the server''s clock, as far as the sender''s can be corrected. Never after received_at, and never '
  'more than 30 days before it: then clamped is true.';

alter table public.analytics
  -- The edge admits 32 KiB an event as the caller wrote it; jsonb prints a space after each comma and colon.
  add constraint analytics_event_data_size check (octet_length(event_data::text) <= 65536),
  add constraint analytics_event_data_depth check (
    not jsonb_path_exists(event_data, 'strict $.**{16 to last} ? (@.type() == "object" || @.type() == "array")')
  );

-- Visitors without an account: they may add, and read nothing, their own events included.
create policy analytics_insert_anonymous on public.analytics for insert to anon with check (user_id is null);
grant insert (id, event_type, event_data, session_id, occurred_at) on public.analytics to anon;

create function public.analytics_clamp() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  new.clamped := new.occurred_at is not null;
  new.occurred_at := least(greatest(coalesce(new.occurred_at, now()), now() - interval '30 days'), now());
  return new;
end
$$;
comment on function public.analytics_clamp() is
  'Trigger on analytics. Brings a time that cannot be true to the nearest that can, and marks the row. Errors: none.';
revoke all on function public.analytics_clamp() from public, anon, authenticated, service_role;

-- The condition stands here and not in the function, so that a batch of true times calls no function at all. Only for
-- callers: whoever moves an older store over means the times it has.
create trigger analytics_clamp before insert on public.analytics
  for each row when (
    current_user in ('anon', 'authenticated')
    and (new.occurred_at is null or new.occurred_at > now() or new.occurred_at < now() - interval '30 days')
  )
  execute function public.analytics_clamp();

create function public.record_events(events jsonb, sent_at timestamptz default null) returns json
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
  return json_build_object('accepted', accepted, 'duplicates', total - accepted);
end
$$;
comment on function public.record_events(jsonb, timestamptz) is
  'Caller: authenticated, anon. Stores up to 500 events {id, event_type, event_data?, session_id?, occurred_at?} in one '
  'statement, all or none; those whose id the caller has used before are counted as duplicates and change nothing. '
  'sent_at is the sender''s clock now: its error is taken out of each occurred_at. Errors: 22023 for no array or more '
  'than 500 events; 22P02, 22007, 22008, 23502, 23514 for a value no column takes.';
revoke all on function public.record_events(jsonb, timestamptz) from public, anon, service_role;
grant execute on function public.record_events(jsonb, timestamptz) to authenticated, anon;

notify pgrst, 'reload schema';
