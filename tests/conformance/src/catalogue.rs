//! The schema `public` as PostgreSQL itself describes it: what there is, and who may do what with it.
//!
//! Read from pg_catalog, so that nobody has to remember to add a new table to a list.

mod faults;
mod ownership;

use tokio_postgres::{GenericClient, Row};

pub use faults::{May, faults};

/// Everything there is.
#[derive(Debug)]
pub struct Catalogue {
    /// Tables, views, materialized views, foreign tables and sequences.
    pub relations: Vec<Relation>,
    /// Functions, procedures and aggregates.
    pub functions: Vec<Function>,
    /// What callers' roles, and everybody, may do.
    pub grants: Vec<Grant>,
    /// Foreign keys of the tables.
    references: Vec<Reference>,
    /// What a caller's role has beyond grants on objects: other roles, attributes, the schema itself.
    powers: Vec<String>,
}

/// A table, or something like one.
#[derive(Debug)]
pub struct Relation {
    /// Its name, without the schema.
    pub name: String,
    /// `r`, `p`, `v`, `m`, `f` or `S`, as `pg_class.relkind` has it.
    pub kind: String,
    /// In order.
    pub columns: Vec<String>,
    /// Columns of the primary key; empty where there is none.
    pub key: Vec<String>,
    row_security: bool,
    forced: bool,
    security_invoker: bool,
    policies: i64,
    /// Policies for everybody, roles of the future included.
    public_policies: Vec<String>,
    /// What the planner takes samples of: columns, expressions of indexes, extended statistics.
    sampled: Vec<String>,
}

/// A function.
#[derive(Debug)]
pub struct Function {
    /// Its name alone.
    pub name: String,
    /// Its name with the types of its arguments: `get_history(uuid, integer)`.
    pub signature: String,
    /// Arguments without a default: name and type.
    pub required: Vec<(String, String)>,
    /// Whether only triggers can call it.
    pub is_trigger: bool,
    definer: bool,
    search_path: bool,
}

/// One privilege.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `PUBLIC` or a role.
    pub role: String,
    /// `SELECT`, `INSERT`, … `EXECUTE`.
    pub verb: String,
    /// A relation's name or a function's signature.
    pub on: String,
    /// The only column it is for.
    pub column: Option<String>,
}

/// A foreign key.
#[derive(Debug)]
struct Reference {
    table: String,
    columns: Vec<String>,
    /// With its schema: `auth.users`.
    to: String,
    to_columns: Vec<String>,
}

const RELATIONS: &str = "
    select c.relname::text, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity,
      coalesce((select option_value::boolean from pg_options_to_table(c.reloptions)
        where option_name = 'security_invoker'), false),
      (select count(*) from pg_policy p where p.polrelid = c.oid),
      array(select p.polname::text from pg_policy p where p.polrelid = c.oid and 0 = any (p.polroles)),
      array(select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
      array(select a.attname::text from pg_index i join pg_attribute a
          on a.attrelid = c.oid and a.attnum = any (i.indkey)
        where i.indrelid = c.oid and i.indisprimary),
      array(select a.attname::text from pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and coalesce(a.attstattarget, -1) <> 0
        union all
        select i.indexrelid::regclass::text from pg_index i join pg_attribute a on a.attrelid = i.indexrelid
          where i.indrelid = c.oid and i.indkey[a.attnum - 1] = 0 and coalesce(a.attstattarget, -1) <> 0
        union all
        select s.stxname::text from pg_statistic_ext s where s.stxrelid = c.oid)
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    order by 1";

const FUNCTIONS: &str = "
    select p.proname::text, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), p.prosecdef,
      exists (select from unnest(p.proconfig) s where s like 'search_path=%'),
      p.prorettype in ('trigger'::regtype, 'event_trigger'::regtype),
      coalesce(p.proargnames, '{}')::text[],
      array(select format_type(t, null) from unnest(p.proargtypes) with ordinality as u (t, place)
        where place <= p.pronargs - p.pronargdefaults order by place)
    from pg_proc p where p.pronamespace = 'public'::regnamespace
    order by 2";

/// An object without an access list has its owner's defaults, which for functions is everybody.
const GRANTS: &str = "
    with object (acl, what, attname) as (
      select coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::\"char\", c.relowner)),
          c.relname::text, null::text
        from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      union all
      select a.attacl, c.relname::text, a.attname::text
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and not a.attisdropped and a.attacl is not null
      union all
      select coalesce(p.proacl, acldefault('f', p.proowner)),
          format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), null
        from pg_proc p where p.pronamespace = 'public'::regnamespace
    )
    select coalesce(r.rolname::text, 'PUBLIC'), g.privilege_type, o.what, o.attname
    from object o cross join lateral aclexplode(o.acl) g left join pg_roles r on r.oid = g.grantee
    where g.grantee = 0 or r.rolname in ('anon', 'authenticated', 'authenticator')
    order by 3, 4 nulls first, 1, 2";

const REFERENCES: &str = "
    select c.relname::text,
      array(select a.attname::text from unnest(k.conkey) with ordinality as u (n, place)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n order by place),
      format('%s.%s', f.relnamespace::regnamespace, f.relname),
      array(select a.attname::text from unnest(k.confkey) with ordinality as u (n, place)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = n order by place)
    from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
    where k.contype = 'f' and c.relnamespace = 'public'::regnamespace";

const POWERS: &str = "
    select format('%s is a member of %s', m.member::regrole, m.roleid::regrole) from pg_auth_members m
      where m.member in ('anon'::regrole, 'authenticated'::regrole)
    union all
    select format('%s is a superuser, bypasses row level security, or makes roles or databases', r.rolname)
      from pg_roles r
      where r.rolname in ('anon', 'authenticated', 'authenticator')
        and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb)
    union all
    select format('%s may create objects in the schema public', r.rolname) from pg_roles r
      where r.rolname in ('anon', 'authenticated', 'authenticator')
        and has_schema_privilege(r.oid, 'public', 'create')";

impl Catalogue {
    /// Reads it, as this connection or transaction sees it.
    pub async fn read(client: &impl GenericClient) -> Self {
        Self {
            relations: all(client, RELATIONS, relation).await,
            functions: all(client, FUNCTIONS, function).await,
            grants: all(client, GRANTS, grant).await,
            references: all(client, REFERENCES, reference).await,
            powers: all(client, POWERS, |row| row.get(0)).await,
        }
    }
}

impl Relation {
    /// Whether it holds rows of its own.
    pub fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }

    /// Whether PostgREST shows it.
    pub fn is_exposed(&self) -> bool {
        self.kind != "S"
    }
}

async fn all<T>(client: &impl GenericClient, query: &str, read: impl Fn(&Row) -> T) -> Vec<T> {
    client.query(query, &[]).await.unwrap_or_else(|error| panic!("{error:?}")).iter().map(read).collect()
}

fn relation(row: &Row) -> Relation {
    Relation {
        name: row.get(0),
        kind: row.get(1),
        row_security: row.get(2),
        forced: row.get(3),
        security_invoker: row.get(4),
        policies: row.get(5),
        public_policies: row.get(6),
        columns: row.get(7),
        key: row.get(8),
        sampled: row.get(9),
    }
}

fn function(row: &Row) -> Function {
    let (names, types): (Vec<String>, Vec<String>) = (row.get(5), row.get(6));
    Function {
        name: row.get(0),
        signature: row.get(1),
        definer: row.get(2),
        search_path: row.get(3),
        is_trigger: row.get(4),
        required: names.into_iter().zip(types).collect(),
    }
}

fn grant(row: &Row) -> Grant {
    Grant { role: row.get(0), verb: row.get(1), on: row.get(2), column: row.get(3) }
}

fn reference(row: &Row) -> Reference {
    Reference { table: row.get(0), columns: row.get(1), to: row.get(2), to_columns: row.get(3) }
}
