-- What every function's deep health check asks.

create function public.database_is_there() returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('database', 'connected')
$$;
comment on function public.database_is_there() is
  'Caller: anyone. Says that it was called, which takes a working database, and reads nothing. Errors: none.';
revoke all on function public.database_is_there() from public, service_role;
grant execute on function public.database_is_there() to anon, authenticated;

notify pgrst, 'reload schema';
