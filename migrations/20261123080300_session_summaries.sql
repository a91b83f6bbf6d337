-- chat-message: summaries of a session, the latest of each type.

create table public.session_summaries (
  session_id uuid not null references public.sessions (session_id) on delete cascade,
  summary_type text not null
    constraint session_summaries_type check (summary_type in ('partial', 'complete', 'llm_context')),
  summary_data jsonb not null,
  generated_at timestamptz not null default now(),
  -- Serves: get_session_summary, put_session_summary; deleting a session (the foreign key).
  primary key (session_id, summary_type),
  constraint session_summaries_data_object check (jsonb_typeof(summary_data) = 'object'),
  -- The edge admits 64 KiB as the caller wrote it; jsonb prints a space after each comma and colon.
  constraint session_summaries_data_size check (octet_length(summary_data::text) <= 131072),
  constraint session_summaries_data_depth check (
    not jsonb_path_exists(summary_data, 'strict $.**{16 to last} ? (@.type() == "object" || @.type() == "array")')
  )
);
comment on table public.session_summaries is 'The latest summary of each type of a session.';

alter table public.session_summaries enable row level security;
alter table public.session_summaries force row level security;

create policy session_summaries_select_own on public.session_summaries for select to authenticated
  using (exists (select from public.sessions s
    where s.session_id = session_summaries.session_id and s.user_id = (select auth.uid())));
create policy session_summaries_insert_own on public.session_summaries for insert to authenticated
  with check (exists (select from public.sessions s
    where s.session_id = session_summaries.session_id and s.user_id = (select auth.uid())));
create policy session_summaries_update_own on public.session_summaries for update to authenticated
  using (exists (select from public.sessions s
    where s.session_id = session_summaries.session_id and s.user_id = (select auth.uid())))
  with check (exists (select from public.sessions s
    where s.session_id = session_summaries.session_id and s.user_id = (select auth.uid())));

-- A summary may be replaced; when that was is the server's.
revoke all on public.session_summaries from public, anon, authenticated;
grant select, insert (session_id, summary_type, summary_data), update (summary_data)
  on public.session_summaries to authenticated;
grant select, insert, update, delete on public.session_summaries to service_role;

create function public.session_summaries_touch() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- Never backwards: a transaction that waited for the row began before the one it waited for.
  new.generated_at := greatest(old.generated_at, now());
  return new;
end
$$;
comment on function public.session_summaries_touch() is
  'Trigger on session_summaries. A replaced summary was generated now. Errors: none.';
revoke all on function public.session_summaries_touch() from public, anon, authenticated, service_role;
-- Only for callers: maintenance (service_role, migrations) may set the time it means.
create trigger session_summaries_touch before update on public.session_summaries
  for each row when (current_user in ('anon', 'authenticated')) execute function public.session_summaries_touch();

create function public.put_session_summary(session_id uuid, summary_type text, summary_data jsonb) returns json
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
  return json_build_object('summary', to_json(stored), 'created', created);
end
$$;
comment on function public.put_session_summary(uuid, text, jsonb) is
  'Caller: authenticated. Stores a summary in place of the one there is of its type. Errors: PT404 session_not_found, '
  '23502 and 23514 for a value no column takes.';
revoke all on function public.put_session_summary(uuid, text, jsonb) from public, anon, service_role;
grant execute on function public.put_session_summary(uuid, text, jsonb) to authenticated;

create function public.get_session_summary(session_id uuid, summary_type text) returns json
language plpgsql stable security invoker set search_path = '' as $$
#variable_conflict use_column
declare
  stored public.session_summaries;
begin
  perform from public.sessions s where s.session_id = get_session_summary.session_id;
  if not found then
    raise sqlstate 'PT404' using message = 'session_not_found',
      detail = 'No such session, or not the caller''s.';
  end if;
  select y.* into stored from public.session_summaries y
    where y.session_id = get_session_summary.session_id and y.summary_type = get_session_summary.summary_type;
  if not found then
    raise sqlstate 'PT404' using message = 'summary_not_found', detail = 'The session has no such summary.';
  end if;
  return to_json(stored);
end
$$;
comment on function public.get_session_summary(uuid, text) is
  'Caller: authenticated. The latest summary of a type. Errors: PT404 session_not_found, summary_not_found.';
revoke all on function public.get_session_summary(uuid, text) from public, anon, service_role;
grant execute on function public.get_session_summary(uuid, text) to authenticated;

notify pgrst, 'reload schema';
