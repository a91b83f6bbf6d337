-- chat-message: how many messages a person may send, by whatever way.

create table public.rate_limits (
  name text primary key,
  max_count integer not null check (max_count between 0 and 10000),
  per_seconds integer not null check (per_seconds between 1 and 86400)
);
comment on table public.rate_limits is
  'How many, in how many seconds, for each person. Where a name has no row there is no limit.';
-- Before row level security is forced, which holds for the owner, too.
insert into public.rate_limits (name, max_count, per_seconds) values ('user_messages', 30, 60);

create table public.rate_limit_uses (
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  name text not null,
  -- When the person did it, within the last per_seconds.
  used_at timestamptz[] not null default '{}',
  -- Serves: the count of one person; deleting a user (the foreign key).
  primary key (user_id, name)
);
comment on table public.rate_limit_uses is
  'What each person used of each limit. It hangs on the person: deleting a session gives nothing back.';

alter table public.rate_limits enable row level security;
alter table public.rate_limits force row level security;
alter table public.rate_limit_uses enable row level security;
alter table public.rate_limit_uses force row level security;

-- Limits are no secret, and the trigger reads them as its caller.
create policy rate_limits_select on public.rate_limits for select to authenticated using (true);
create policy rate_limit_uses_select_own on public.rate_limit_uses for select to authenticated
  using (user_id = (select auth.uid()));
create policy rate_limit_uses_insert_own on public.rate_limit_uses for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy rate_limit_uses_update_own on public.rate_limit_uses for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

revoke all on public.rate_limits, public.rate_limit_uses from public, anon, authenticated, service_role;
grant select on public.rate_limits to authenticated;
-- For the trigger below, which runs with the caller's rights; the guard sees to it that nothing else uses them.
grant select, insert (name), update (used_at) on public.rate_limit_uses to authenticated;
grant select, insert, update, delete on public.rate_limits, public.rate_limit_uses to service_role;

create function public.only_within_a_trigger() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- At depth 1 it is the caller's own statement. Callers cannot make triggers.
  if pg_trigger_depth() < 2 then
    raise insufficient_privilege using message = 'only a trigger changes this';
  end if;
  return new;
end
$$;
comment on function public.only_within_a_trigger() is
  'Trigger. Refuses a caller who writes what only triggers may write. Error: 42501.';
revoke all on function public.only_within_a_trigger() from public, anon, authenticated, service_role;
create trigger rate_limit_uses_only_within_a_trigger before insert or update on public.rate_limit_uses
  for each row when (current_user in ('anon', 'authenticated')) execute function public.only_within_a_trigger();

create function public.chat_history_rate_limit() returns trigger
language plpgsql security invoker set search_path = '' as $$
declare
  more constant integer := (select count(*) from inserted i where i.role = 'user');
  allowed public.rate_limits;
  times timestamptz[];
  now_locked timestamptz;
  room_at timestamptz;
begin
  if more = 0 then
    return null;
  end if;
  select l.* into allowed from public.rate_limits l where l.name = 'user_messages';
  if not found then
    return null;
  end if;

  -- One at a time for each person. Whoever waits here reads what the one before left.
  select u.used_at into times from public.rate_limit_uses u
    where u.user_id = (select auth.uid()) and u.name = allowed.name for no key update;
  if not found then
    insert into public.rate_limit_uses (name) values (allowed.name) on conflict (user_id, name) do nothing;
    select u.used_at into times from public.rate_limit_uses u
      where u.user_id = (select auth.uid()) and u.name = allowed.name for no key update;
  end if;

  -- The clock after the wait, not the transaction's beginning.
  now_locked := clock_timestamp();
  times := array(select t from unnest(times) as t
    where t > now_locked - make_interval(secs => allowed.per_seconds) order by t);
  if cardinality(times) + more > allowed.max_count then
    -- Until the use has expired that leaves room enough; where none does, a whole window.
    room_at := times[cardinality(times) + more - allowed.max_count] + make_interval(secs => allowed.per_seconds);
    raise sqlstate 'PT429' using message = 'rate_limited', detail = json_build_object('retry_after',
      case when room_at is null then allowed.per_seconds
        else least(allowed.per_seconds, greatest(1, ceil(extract(epoch from room_at - now_locked))::integer)) end);
  end if;
  update public.rate_limit_uses u set used_at = times || array_fill(now_locked, array[more])
    where u.user_id = (select auth.uid()) and u.name = allowed.name;
  return null;
end
$$;
comment on function public.chat_history_rate_limit() is
  'Trigger on chat_history. Counts a caller''s messages of role user, in any 60 seconds at most 30 or what '
  'rate_limits says, and refuses what is more. Errors: PT429 rate_limited with retry_after, in seconds.';
revoke all on function public.chat_history_rate_limit() from public, anon, authenticated, service_role;

-- Once after each statement, not for each row: a statement's sessions are all locked by then, and the person's count
-- is the last lock anyone takes. So two callers can never wait for each other.
create trigger chat_history_rate_limit after insert on public.chat_history
  referencing new table as inserted
  for each statement when (current_user in ('anon', 'authenticated'))
  execute function public.chat_history_rate_limit();

notify pgrst, 'reload schema';
