-- The schemas `public` and `selvedge`, a line for each thing in them, so that two databases can be compared line by line.
-- Bodies of functions are left out: what they do is tested, not how.
with here as (
  select n.oid, n.nspname from pg_namespace n where n.nspname in ('public', 'selvedge')
), relation as (
  select c.*, h.nspname || '.' || c.relname as name from pg_class c join here h on h.oid = c.relnamespace
), listing (line) as (
  select format('schema %s', h.nspname) from here h
  union all
  select format('%s %s%s', case r.relkind when 'r' then 'table' when 'v' then 'view' when 'S' then 'sequence' else r.relkind::text end,
      r.name, case when r.relkind = 'r' then format(' rls=%s forced=%s', r.relrowsecurity, r.relforcerowsecurity)
        when r.reloptions is not null then ' ' || array_to_string(r.reloptions, ' ') else '' end)
    from relation r where r.relkind in ('r', 'v', 'S', 'm', 'f', 'p')
  union all
  select format('column %s.%s %s%s%s%s', r.name, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end,
      case when a.attgenerated <> '' then ' generated ' else ' default ' end || pg_get_expr(d.adbin, d.adrelid),
      case when r.relkind = 'r' and coalesce(a.attstattarget, -1) <> 0 then ' sampled' else '' end)
    from relation r join pg_attribute a on a.attrelid = r.oid
      left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
    where r.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
  union all
  select format('constraint %s on %s %s', k.conname, r.name, pg_get_constraintdef(k.oid))
    from pg_constraint k join relation r on r.oid = k.conrelid where k.contype <> 'n'
  union all
  select format('domain %s.%s %s %s', h.nspname, t.typname, format_type(t.typbasetype, null),
      (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname) from pg_constraint k where k.contypid = t.oid))
    from pg_type t join here h on h.oid = t.typnamespace where t.typtype = 'd'
  union all
  select format('index %s', pg_get_indexdef(i.indexrelid))
    from pg_index i join relation r on r.oid = i.indrelid
    where not exists (select from pg_constraint k where k.conindid = i.indexrelid)
  union all
  select format('trigger %s', pg_get_triggerdef(t.oid))
    from pg_trigger t join relation r on r.oid = t.tgrelid where not t.tgisinternal
  union all
  select format('policy %s on %s for %s to %s using (%s) with check (%s)', p.polname, r.name, p.polcmd,
      (select string_agg(o::regrole::text, ', ' order by o::regrole::text) from unnest(p.polroles) o),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from pg_policy p join relation r on r.oid = p.polrelid
  union all
  select format('function %s.%s(%s) returns %s %s%s%s', h.nspname, p.proname, pg_get_function_arguments(p.oid),
      pg_get_function_result(p.oid), case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
      case when p.prosecdef then ' definer' else '' end, ' ' || array_to_string(p.proconfig, ' '))
    from pg_proc p join here h on h.oid = p.pronamespace
  union all
  select format('grant %s on %s to %s', g.privilege_type, o.name, coalesce(g.grantee::regrole::text, 'public'))
    from (
      select r.name, acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner) as usual, r.relacl as acl
        from relation r where r.relkind in ('r', 'v', 'S', 'm', 'f', 'p')
      union all
      select format('%s(%s)', r.name, a.attname), null, a.attacl
        from relation r join pg_attribute a on a.attrelid = r.oid where a.attacl is not null and not a.attisdropped
      union all
      select format('%s.%s(%s)', h.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
          acldefault('f', p.proowner), p.proacl
        from pg_proc p join here h on h.oid = p.pronamespace
      union all
      select 'schema ' || h.nspname, acldefault('n', n.nspowner), n.nspacl
        from pg_namespace n join here h on h.oid = n.oid where h.nspname <> 'public'
    ) o (name, usual, acl)
    cross join lateral (
      select e.privilege_type, nullif(e.grantee, 0) as grantee from aclexplode(coalesce(o.acl, o.usual)) e
      where e.grantee = 0 or e.grantee in ('anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole)
    ) g
)
select l.line from (select regexp_replace(line, '\s+', ' ', 'g') as line from listing) l order by l.line collate "C";
