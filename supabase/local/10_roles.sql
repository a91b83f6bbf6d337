-- What hosted Supabase already has: the roles PostgREST switches between.
-- Applied only to the local stack's own database, never to a hosted project.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;

-- PostgREST logs in as `authenticator`, which may do nothing itself but become one of the three.
-- No password: the local database listens on loopback and trusts it.
create role authenticator login noinherit;
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
