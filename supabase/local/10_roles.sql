-- What hosted Supabase already has: the roles PostgREST switches between.
-- Applied only to the local stack's own database, never to a hosted project, and again whenever a file in this folder
-- has changed: every statement can run twice.

do $$
declare
  name text;
begin
  foreach name in array array['anon', 'authenticated', 'service_role', 'authenticator'] loop
    if to_regrole(name) is null then
      execute format('create role %I noinherit', name);
    end if;
  end loop;
end
$$;
alter role service_role bypassrls;

-- PostgREST logs in as `authenticator`, which may do nothing itself but become one of the three. The stack gives it
-- another password at each start.
alter role authenticator login;
grant anon, authenticated, service_role to authenticator;

-- Hosted projects cut long statements by role; the same limits here, so that nothing passes only locally.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';

-- Hosted Supabase grants broadly by default and expects migrations to revoke. The tests are only worth
-- something if this is as open here as it is there.
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
