-- What every other migration stands on: the schema of helpers, settings, blank and sized texts, sized json, guards,
-- limits, and the memory of what was deleted.
--
-- Helpers stand in a schema of their own, `selvedge`, which PostgREST does not expose: callers may use them through
-- policies, checks and functions, and cannot call them over HTTP.
set local lock_timeout = '5s';

create schema selvedge;
comment on schema selvedge is 'Helpers of the tables and functions in public. Not exposed over HTTP.';
revoke all on schema selvedge from public;
grant usage on schema selvedge to anon, authenticated, service_role;

-- Texts -------------------------------------------------------------------------------------------------------------

create function selvedge.is_blank(text text) returns boolean
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
begin
  -- Blank as Unicode's White_Space has it, whatever the database's locale.
  return btrim(text, E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000') = '';
end
$$;
comment on function selvedge.is_blank(text) is 'Whether a text is empty or white space only. Errors: none.';
revoke all on function selvedge.is_blank(text) from public;
grant execute on function selvedge.is_blank(text) to anon, authenticated, service_role;

-- A domain for each length, in characters. Each text has something in it besides white space.
create domain public.text_64 as text
  constraint text_64_length check (char_length(value) <= 64)
  constraint text_64_not_blank check (not selvedge.is_blank(value));
create domain public.text_128 as text
  constraint text_128_length check (char_length(value) <= 128)
  constraint text_128_not_blank check (not selvedge.is_blank(value));
create domain public.text_200 as text
  constraint text_200_length check (char_length(value) <= 200)
  constraint text_200_not_blank check (not selvedge.is_blank(value));
create domain public.text_1000 as text
  constraint text_1000_length check (char_length(value) <= 1000)
  constraint text_1000_not_blank check (not selvedge.is_blank(value));
create domain public.text_4000 as text
  constraint text_4000_length check (char_length(value) <= 4000)
  constraint text_4000_not_blank check (not selvedge.is_blank(value));
create domain public.text_16000 as text
  constraint text_16000_length check (char_length(value) <= 16000)
  constraint text_16000_not_blank check (not selvedge.is_blank(value));
create domain public.text_65536 as text
  constraint text_65536_length check (char_length(value) <= 65536)
  constraint text_65536_not_blank check (not selvedge.is_blank(value));

-- JSON --------------------------------------------------------------------------------------------------------------

create function selvedge.json_fits(value jsonb, max_bytes integer, max_depth integer) returns boolean
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
begin
  -- Each check makes the next one cheap. The last one prints the value, and `1e131071`, 8 bytes in a request, prints as
  -- 128 KB; so numbers are looked at first. A value takes less than 5 times its printed length in memory.
  -- A statement each: of one expression the planner would compute the last part before the first, because it plans a
  -- function's first calls with the values given.
  if pg_column_size(value) > 5 * max_bytes then
    return false;
  end if;
  if jsonb_path_exists(value,
      format('strict $.**{%s to last} ? (@.type() == "object" || @.type() == "array")', max_depth)::jsonpath) then
    return false;
  end if;
  if exists (
      -- As an array: the set-returning jsonb_path_query takes time by the square of what it finds.
      select from jsonb_array_elements(jsonb_path_query_array(value, 'strict $.** ? (@.type() == "number")')) as number
      -- What a double can hold, which is what JSON's readers have, with all its digits.
      where abs(number::numeric) >= 1e309 or scale(number::numeric) > 400
    ) then
    return false;
  end if;
  return octet_length(value::text) <= max_bytes;
end
$$;
comment on function selvedge.json_fits(jsonb, integer, integer) is
  'Whether a value is at most so many bytes when PostgreSQL prints it, and at most so many levels of objects and arrays '
  'deep, and holds only numbers that print short. Cheap whatever the value is. Errors: none.';
revoke all on function selvedge.json_fits(jsonb, integer, integer) from public;
grant execute on function selvedge.json_fits(jsonb, integer, integer) to anon, authenticated, service_role;

-- A domain for each size. The edge admits half of it as the caller wrote it; jsonb prints a space after each comma and
-- colon.
create domain public.json_object_16_kib as jsonb
  constraint json_object_16_kib_type check (jsonb_typeof(value) = 'object')
  constraint json_object_16_kib_size check (selvedge.json_fits(value, 16384, 16));
create domain public.json_object_64_kib as jsonb
  constraint json_object_64_kib_type check (jsonb_typeof(value) = 'object')
  constraint json_object_64_kib_size check (selvedge.json_fits(value, 65536, 16));
create domain public.json_object_128_kib as jsonb
  constraint json_object_128_kib_type check (jsonb_typeof(value) = 'object')
  constraint json_object_128_kib_size check (selvedge.json_fits(value, 131072, 16));

create function selvedge.checked_members(given json, kinds jsonb, name text) returns json
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
declare
  wrong text;
begin
  if given is null or json_typeof(given) = 'null' then
    return null;
  end if;
  if json_typeof(given) <> 'object' then
    raise invalid_parameter_value using message = name || ' is not an object';
  end if;
  -- Before anything is converted: a member of another type would be printed to become a text.
  select left(m.key, 64) into wrong from json_each(given) as m
    where kinds -> m.key is null or json_typeof(m.value) not in ('null', kinds ->> m.key)
    limit 1;
  if found then
    raise invalid_parameter_value using message = format('%s.%s is not known, or of the wrong type', name, wrong);
  end if;
  return given;
end
$$;
comment on function selvedge.checked_members(json, jsonb, text) is
  'The object itself, or null where there is none. kinds: each known member with its JSON type. Errors: 22023 for an '
  'unknown member or one of another type, so that a misspelt member is not lost in silence.';
revoke all on function selvedge.checked_members(json, jsonb, text) from public;
grant execute on function selvedge.checked_members(json, jsonb, text) to authenticated, service_role;

-- Lists -------------------------------------------------------------------------------------------------------------

create function selvedge.page_cursor(place text) returns text
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
-- Not `language sql`: with a search_path of its own such a function is never inlined but planned anew in every
-- transaction, which takes longer than the encoding.
begin
  -- base64url: the characters that `translate` has no counterpart for, padding and line ends, are left out.
  return translate(encode(convert_to(page_cursor.place, 'UTF8'), 'base64'), E'+/=\n', '-_');
end
$$;
comment on function selvedge.page_cursor(text) is
  'A place in a list as an opaque cursor: base64url without padding. Errors: none.';
revoke all on function selvedge.page_cursor(text) from public;
grant execute on function selvedge.page_cursor(text) to authenticated, service_role;

create function selvedge.before_moment(before_time bigint) returns timestamptz
language plpgsql immutable parallel safe security invoker set search_path = '' as $$
begin
  -- Times no page can have ended with are brought to the nearest that one could.
  return case when before_time is null then 'infinity'
    else timestamptz 'epoch' + least(greatest(before_time, 0), 253402300799000000) * interval '1 microsecond' end;
end
$$;
comment on function selvedge.before_moment(bigint) is
  'Where a list by time goes on: microseconds since 1970, or the end of time for the first page. Errors: none.';
revoke all on function selvedge.before_moment(bigint) from public;
grant execute on function selvedge.before_moment(bigint) to authenticated;

-- Guards ------------------------------------------------------------------------------------------------------------
--
-- Triggers run as their caller, so what a trigger writes its caller has a grant for. These guards see to it that nothing
-- but a trigger uses the grant. Rules for callers hold for every role that row level security holds for, a project's own
-- roles included: each such trigger has `when (row_security_active(...))`. The owner and service_role keep the values
-- they give, so that a restored row is the row that was saved.

create function selvedge.only_within_a_trigger() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  -- At depth 1 it is the caller's own statement; a trigger's are one deeper. Callers cannot make triggers.
  if pg_trigger_depth() < 2 then
    raise insufficient_privilege using message = format('only the database itself changes this in %s', tg_table_name);
  end if;
  return new;
end
$$;
comment on function selvedge.only_within_a_trigger() is
  'Trigger. Refuses a caller who writes what only triggers may write. Errors: 42501.';
revoke all on function selvedge.only_within_a_trigger() from public;

-- Planner statistics ------------------------------------------------------------------------------------------------

create function selvedge.without_statistics(relation regclass) returns void
language plpgsql volatile security invoker set search_path = '' as $$
declare
  name text;
begin
  for name in
    select a.attname from pg_catalog.pg_attribute a
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
  loop
    execute format('alter table %s alter column %I set statistics 0', relation, name);
  end loop;
end
$$;
comment on function selvedge.without_statistics(regclass) is
  'For migrations. Lets ANALYZE take no samples of a table whose rows belong to people: PostgREST tells everybody the '
  'planner''s guess at how many rows a filter finds (Prefer: count=planned), and the guess comes from samples of all '
  'rows. docs/security.md says what that costs and what else was considered. Errors: none.';
revoke all on function selvedge.without_statistics(regclass) from public;

-- Settings ----------------------------------------------------------------------------------------------------------

create table public.settings (
  name text primary key,
  value text not null
);
comment on table public.settings is
  'What an operator of this database may change without a migration. Each migration adds its own rows.';
alter table public.settings enable row level security;
alter table public.settings force row level security;
-- No secret is a setting, and triggers read them as their caller.
create policy settings_select on public.settings for select to authenticated using (true);
revoke all on public.settings from public, anon, authenticated, service_role;
grant select on public.settings to authenticated;
grant select, insert, update, delete on public.settings to service_role;

-- Limits ------------------------------------------------------------------------------------------------------------

create table public.rate_limits (
  what text not null,
  -- Who: people who are signed in, each for themselves; or all visitors without an account together.
  role text not null constraint rate_limits_role check (role in ('authenticated', 'anon')),
  "window" interval constraint rate_limits_window
    check ("window" between interval '1 second' and interval '1 day' and extract(month from "window") = 0),
  at_most bigint not null constraint rate_limits_at_most check (at_most >= 0),
  primary key (what, role),
  -- A total must be given back when something is deleted, which is only done for these. A migration that does it for more
  -- replaces this check.
  constraint rate_limits_total check ("window" is not null or what in ('sessions'))
);
comment on table public.rate_limits is
  'How much of what a caller may add. at_most in any window of that length; without a window, in all. Where there is no '
  'row there is no limit. Operators may change it; the change holds from the next statement on.';
comment on column public.rate_limits.what is
  'Each migration adds its own: user_messages, other_messages, sessions, moves, events, event_bytes, log_lines, summaries …';

create table public.rate_limit_uses (
  -- Null: all visitors together.
  user_id uuid references auth.users (id) on delete cascade,
  -- A primary key cannot hold a null.
  caller uuid generated always as (coalesce(user_id, '00000000-0000-0000-0000-000000000000')) stored,
  what text not null,
  -- When something was used within the last window, and how much; oldest first.
  used_at timestamptz[] not null default '{}',
  used bigint[] not null default '{}',
  -- Of limits without a window: how much there is.
  total bigint not null default 0,
  primary key (caller, what)
);
comment on table public.rate_limit_uses is
  'What each caller used of each limit. It belongs to the person: deleting a session gives nothing back within a window.';
-- Serves: deleting a user (the foreign key).
create index rate_limit_uses_user_id_idx on public.rate_limit_uses (user_id);

alter table public.rate_limits enable row level security;
alter table public.rate_limits force row level security;
alter table public.rate_limit_uses enable row level security;
alter table public.rate_limit_uses force row level security;
-- Callers neither read nor write these: functions with their owner's rights do it for them.
create policy rate_limits_nobody on public.rate_limits for all to anon, authenticated using (false);
create policy rate_limit_uses_nobody on public.rate_limit_uses for all to anon, authenticated using (false);
revoke all on public.rate_limits, public.rate_limit_uses from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.rate_limits, public.rate_limit_uses to service_role;
select selvedge.without_statistics('public.rate_limit_uses');

create function selvedge.take(what text, amount bigint) returns void
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_variable
declare
  -- Longest list of uses: a limit of more is counted in slots of a sixtieth of its window.
  most_uses constant integer := 60;
  -- Where no time helps, only deleting something: asked again once a day does no harm.
  never constant integer := 86400;
  caller constant uuid := auth.uid();
  allowed public.rate_limits;
  uses public.rate_limit_uses;
  moment timestamptz;
  excess bigint;
  retry_after integer;
begin
  select l.* into allowed from public.rate_limits l
    where l.what = what and l.role = case when caller is null then 'anon' else 'authenticated' end;
  if amount = 0 or not found then
    return;
  end if;

  -- One at a time for each caller. Whoever waits here reads what the one before left.
  loop
    select u.* into uses from public.rate_limit_uses u
      where u.caller = coalesce(caller, '00000000-0000-0000-0000-000000000000') and u.what = what
      for no key update;
    exit when found;
    insert into public.rate_limit_uses (user_id, what) values (caller, what) on conflict do nothing;
  end loop;

  if allowed."window" is null then
    if uses.total + amount > allowed.at_most then
      raise sqlstate 'PT429' using message = 'rate_limited',
        detail = json_build_object('limit', what, 'retry_after', never);
    end if;
    update public.rate_limit_uses u set total = u.total + amount where u.caller = uses.caller and u.what = what;
    return;
  end if;

  -- The clock after the wait, not the transaction's beginning.
  moment := clock_timestamp();
  select coalesce(array_agg(t.at order by t.place), '{}'), coalesce(array_agg(t.used order by t.place), '{}')
    into uses.used_at, uses.used
    from unnest(uses.used_at, uses.used) with ordinality as t (at, used, place)
    where t.at > moment - allowed."window";
  excess := coalesce((select sum(n) from unnest(uses.used) n), 0) + amount - allowed.at_most;
  if excess > 0 then
    -- Until enough has expired; where nothing is enough, a whole window.
    select ceil(extract(epoch from min(t.at) + allowed."window" - moment)) into retry_after from (
      select at, sum(used) over (order by place) as freed
      from unnest(uses.used_at, uses.used) with ordinality as t (at, used, place)
    ) t where t.freed >= excess;
    raise sqlstate 'PT429' using message = 'rate_limited', detail = json_build_object('limit', what, 'retry_after',
      greatest(coalesce(retry_after, ceil(extract(epoch from allowed."window"))), 1)::integer);
  end if;
  if allowed.at_most > most_uses then
    -- The end of its slot, so that nothing is forgotten too early.
    moment := date_bin(allowed."window" / most_uses, moment, 'epoch') + allowed."window" / most_uses;
  end if;
  if uses.used_at[cardinality(uses.used_at)] = moment then
    uses.used[cardinality(uses.used)] := uses.used[cardinality(uses.used)] + amount;
  else
    uses.used_at := uses.used_at || moment;
    uses.used := uses.used || amount;
  end if;
  update public.rate_limit_uses u set used_at = uses.used_at, used = uses.used
    where u.caller = uses.caller and u.what = what;
end
$$;
comment on function selvedge.take(text, bigint) is
  'For triggers that run with their owner''s rights. Counts an amount of what the caller may add, or refuses it. The lock '
  'it takes is the last of its statement, so that two callers never wait for each other. Errors: PT429 rate_limited '
  'with limit and retry_after, in seconds.';
revoke all on function selvedge.take(text, bigint) from public;

create function selvedge.give_back(user_id uuid, what text, amount bigint) returns void
language plpgsql volatile security invoker set search_path = '' as $$
begin
  update public.rate_limit_uses u set total = greatest(u.total - give_back.amount, 0)
    where u.caller = give_back.user_id and u.what = give_back.what and u.total > 0;
end
$$;
comment on function selvedge.give_back(uuid, text, bigint) is
  'For triggers that run with their owner''s rights. What was deleted no longer counts in a total. Errors: none.';
revoke all on function selvedge.give_back(uuid, text, bigint) from public;

create function selvedge.room(what text) returns bigint
language plpgsql volatile security invoker set search_path = '' as $$
#variable_conflict use_variable
declare
  caller constant uuid := auth.uid();
  allowed public.rate_limits;
begin
  select l.* into allowed from public.rate_limits l
    where l.what = what and l.role = case when caller is null then 'anon' else 'authenticated' end;
  return allowed.at_most - coalesce((
    select case when allowed."window" is null then u.total
      else (select sum(t.used) from unnest(u.used_at, u.used) t (at, used) where t.at > now() - allowed."window") end
    from public.rate_limit_uses u
    where u.caller = coalesce(caller, '00000000-0000-0000-0000-000000000000') and u.what = what), 0);
end
$$;
comment on function selvedge.room(text) is
  'For triggers that run with their owner''s rights. How much of a limit the caller has left, as it looks without a lock; '
  'null where there is no limit. Errors: none.';
revoke all on function selvedge.room(text) from public;

create function selvedge.stop_early() returns trigger
-- With its owner's rights, because callers may not read what was counted. A trigger is called by nobody.
language plpgsql security definer set search_path = '' as $$
declare
  most_rows constant integer := 500;
  what constant text := tg_argv[0];
  room bigint;
  rows bigint;
begin
  if tg_level = 'STATEMENT' then
    perform set_config('selvedge.rows', '0', true);
    for n in 0 .. tg_nargs - 1 loop
      perform set_config('selvedge.rows_' || tg_argv[n], '0', true),
        set_config('selvedge.room_' || tg_argv[n], coalesce(selvedge.room(tg_argv[n])::text, ''), true);
    end loop;
    return null;
  end if;
  rows := current_setting('selvedge.rows')::bigint + 1;
  if rows > most_rows then
    raise sqlstate 'PT413' using message = 'too_many_rows', detail = 'One statement writes at most 500 rows.';
  end if;
  perform set_config('selvedge.rows', rows::text, true);
  if what is not null then
    rows := current_setting('selvedge.rows_' || what)::bigint + 1;
    perform set_config('selvedge.rows_' || what, rows::text, true);
    room := nullif(current_setting('selvedge.room_' || what), '')::bigint;
    if rows > room then
      -- Refuses with the time to wait. If something has expired since the statement began, it can be sent again at once.
      perform selvedge.take(what, rows);
      raise sqlstate 'PT429' using message = 'rate_limited', detail = json_build_object('limit', what, 'retry_after', 1);
    end if;
  end if;
  return new;
end
$$;
comment on function selvedge.stop_early() is
  'Trigger before each statement, with the names of its limits, and before each row, with the name of the row''s. Stops a '
  'statement at its 501st row, or at the first that is over its limit: what is refused has cost and written little. '
  'Errors: PT413 too_many_rows, PT429 rate_limited.';
revoke all on function selvedge.stop_early() from public;

create function selvedge.limit_writes(relation regclass, verb text, what text) returns void
language plpgsql volatile security invoker set search_path = '' as $$
declare
  name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = relation);
  -- What a caller's own statement writes, or that of a function it calls; not what triggers write.
  callers constant text := format('when (row_security_active(%L::regclass) and pg_trigger_depth() = 0)', relation);
  argument constant text := coalesce(quote_literal(what), '');
begin
  -- Triggers fire in the order of their names: these before all others of the table.
  execute format('create trigger %I before %s on %s for each statement %s execute function selvedge.stop_early(%s)',
    name || '_' || verb || '_a_statement', verb, relation, callers, argument);
  execute format('create trigger %I before %s on %s for each row %s execute function selvedge.stop_early(%s)',
    name || '_' || verb || '_a_row', verb, relation, callers, argument);
  if what is not null then
    execute format('create trigger %I after %s on %s referencing new table as inserted for each statement %s '
      'execute function selvedge.limit_rows(%L)', name || '_' || verb || '_limit', verb, relation, callers, what);
  end if;
end
$$;
comment on function selvedge.limit_writes(regclass, text, text) is
  'For migrations. Callers insert or update (`verb`) at most 500 rows of a table in one statement, and each row counts for '
  'the limit `what` (null: no limit, or a trigger of its own). Errors: none.';
revoke all on function selvedge.limit_writes(regclass, text, text) from public;

create function selvedge.limit_rows() returns trigger
-- With its owner's rights, because callers may not touch what was counted. A trigger is called by nobody.
language plpgsql security definer set search_path = '' as $$
begin
  -- Once after each statement, not for each row: a statement's sessions are all locked by then, and the caller's count is
  -- the last lock anyone takes. So two callers can never wait for each other.
  perform selvedge.take(tg_argv[0], (select count(*) from inserted));
  return null;
end
$$;
comment on function selvedge.limit_rows() is
  'Trigger after each statement, with the rows as `inserted`. Its argument names the limit each row counts for. Errors: '
  'PT429 rate_limited.';
revoke all on function selvedge.limit_rows() from public;

-- Maintenance -------------------------------------------------------------------------------------------------------

create function selvedge.delete_older(relation regclass, moment name, days integer, least_days integer, at_most integer)
returns integer
language plpgsql volatile security invoker set search_path = '' as $$
declare
  deleted integer;
begin
  if coalesce(days < least_days or at_most < 1, true) then
    raise invalid_parameter_value using message = format('days must be %s or more, at_most 1 or more', least_days);
  end if;
  -- Rows that somebody is deleting at this moment are left for the next call.
  execute format('delete from %1$s where ctid = any (array(
    select o.ctid from %1$s o where o.%2$I < now() - make_interval(days => $1) limit $2 for update skip locked))',
    relation, moment) using days, at_most;
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
comment on function selvedge.delete_older(regclass, name, integer, integer, integer) is
  'What the cleanup functions do: deletes at most so many rows whose time is more than so many days ago, and returns how '
  'many. Errors: 22023 for fewer than least_days, or at_most below 1.';
revoke all on function selvedge.delete_older(regclass, name, integer, integer, integer) from public;
grant execute on function selvedge.delete_older(regclass, name, integer, integer, integer) to service_role;

-- Deletion ----------------------------------------------------------------------------------------------------------

create table public.deleted_ids (
  kind text not null,
  id uuid not null,
  user_id uuid not null references auth.users (id) on delete cascade,
  deleted_at timestamptz not null default now(),
  -- Serves: whether an id was deleted; no id is used twice.
  primary key (kind, id)
);
comment on table public.deleted_ids is
  'Ids of what was deleted, and nothing else of it, so that a late retry does not bring it back.';
-- Serves: deleting a user (the foreign key).
create index deleted_ids_user_id_idx on public.deleted_ids (user_id);
-- Serves: cleanup_deleted_ids. Rows come in the order of their time, so a block range index is enough.
create index deleted_ids_deleted_at_idx on public.deleted_ids using brin (deleted_at);
alter table public.deleted_ids enable row level security;
alter table public.deleted_ids force row level security;
create policy deleted_ids_select_own on public.deleted_ids for select to authenticated
  using (user_id = (select auth.uid()));
revoke all on public.deleted_ids from public, anon, authenticated, service_role;
-- For the functions that tell their caller "deleted" from "not found".
grant select on public.deleted_ids to authenticated;
grant select, insert, update, delete on public.deleted_ids to service_role;
select selvedge.without_statistics('public.deleted_ids');

create function public.cleanup_deleted_ids(days integer default 90, at_most integer default 10000) returns integer
language plpgsql volatile security invoker set search_path = '' as $$
begin
  return selvedge.delete_older('public.deleted_ids', 'deleted_at', days, 90, at_most);
end
$$;
comment on function public.cleanup_deleted_ids(integer, integer) is
  'Caller: service_role, or pg_cron as the owner. Forgets ids that were deleted more than so many days ago, 90 at least, '
  'and returns how many; call it until it returns 0. Errors: 22023 for days below 90 or at_most below 1.';
revoke all on function public.cleanup_deleted_ids(integer, integer) from public, anon, authenticated;
grant execute on function public.cleanup_deleted_ids(integer, integer) to service_role;

-- Health ------------------------------------------------------------------------------------------------------------

create function public.database_is_there() returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('database', 'connected')
$$;
comment on function public.database_is_there() is
  'Caller: anyone. What deep health checks call: an answer takes a working database. Reads nothing. Errors: none.';
revoke all on function public.database_is_there() from public, service_role;
grant execute on function public.database_is_there() to anon, authenticated;

notify pgrst, 'reload schema';
