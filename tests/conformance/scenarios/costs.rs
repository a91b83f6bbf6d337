//! Refusing is cheap, and so is accepting: 100 KB of anything, in every column a caller may write and in every parameter
//! of every function a caller may call, costs a backend less than 100 MB.
//!
//! Columns and parameters are the catalogue's, so that what a new migration adds is tried by itself. Sent straight to
//! PostgREST, which has one connection here: its backend is the one to watch.

use std::time::{Duration, Instant};

use conformance::backend::Backend;
use conformance::bombs::{Bomb, WORST, bombs};
use conformance::client::Answer;
use conformance::scratch_api::{Caller, ScratchApi};
use conformance::stack::Stack;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

/// The contract's.
const MOST_BYTES: u64 = 100_000_000;

/// Errors of the server that are PostgreSQL's plain no to a depth: stack depth limit exceeded.
const TOO_DEEP: &str = "54001";

/// What each role may write: verb, relation or function, column or parameter, type, whether it must be there.
const PLACES: &str = "
    select r.role, v.verb, c.relname::text, a.attname::text, format_type(a.atttypid, null),
        a.attnotnull and not a.atthasdef and v.verb = 'INSERT'
      from unnest(array['anon', 'authenticated']) r (role) cross join unnest(array['INSERT', 'UPDATE']) v (verb)
        join pg_class c on c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where has_column_privilege(r.role, c.oid, a.attnum, v.verb)
    union all
    select r.role, 'EXECUTE', p.proname::text, n.name, format_type(p.proargtypes[n.place - 1], null),
        n.place <= p.pronargs - p.pronargdefaults
      from unnest(array['anon', 'authenticated']) r (role)
        join pg_proc p on p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype
        cross join unnest(p.proargnames) with ordinality as n (name, place)
      where n.place <= p.pronargs and has_function_privilege(r.role, p.oid, 'EXECUTE')
    order by 1, 2, 3, 4";

#[derive(Debug, Clone)]
struct Place {
    role: String,
    verb: String,
    on: String,
    name: String,
    kind: String,
    required: bool,
}

impl Place {
    async fn all(database: &Client) -> Vec<Self> {
        let rows = database.query(PLACES, &[]).await.unwrap_or_else(|error| panic!("{error:?}"));
        let place = |row: &tokio_postgres::Row| Self {
            role: row.get(0),
            verb: row.get(1),
            on: row.get(2),
            name: row.get(3),
            kind: row.get(4),
            required: row.get(5),
        };
        rows.iter().map(place).collect()
    }

    fn is_json(&self) -> bool {
        self.verb == "EXECUTE" && self.kind.starts_with("json")
    }
}

/// A caller with a session to write into, and what everything was like at its most expensive.
struct Scene {
    api: ScratchApi,
    database: Client,
    person: Caller,
    session_id: Uuid,
    message_id: Uuid,
    backend: i32,
    /// Counts the rows of all tables.
    rows: String,
    costs: Vec<(u64, Duration, String)>,
    wrong: Vec<String>,
}

impl Scene {
    async fn new() -> Self {
        let api = ScratchApi::new(&Stack::running(), 1).await;
        let database = api.database.connect().await;
        // Limits would refuse the bulk of it: without them each one gets as far as it can.
        database.batch_execute("delete from public.rate_limits").await.unwrap();
        let (person, session_id, message_id) = (api.person().await, Uuid::new_v4(), Uuid::new_v4());
        let said = json!({ "session_id": session_id, "id": message_id, "role": "user", "message": "x",
            "machine": "check-in" });
        let answer = person.rpc("save_message", &said).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let summary = json!({ "session_id": session_id, "summary_type": "complete", "summary_data": {} });
        assert_eq!(person.rpc("put_session_summary", &summary).await.status, 201);
        let backends = "select pid from pg_stat_activity where usename = $1 and query not ilike 'listen%'";
        let backend = database.query_one(backends, &[&api.login]).await.expect("one backend").get(0);
        let tables = "select string_agg(format('select count(*) from %s', oid::regclass), ' union all ')
            from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'";
        let tables: String = database.query_one(tables, &[]).await.unwrap().get(0);
        let rows = format!("select sum(count)::bigint from ({tables}) t");
        let (costs, wrong) = (Vec::new(), Vec::new());
        Self { api, database, person, session_id, message_id, backend, rows, costs, wrong }
    }

    fn caller(&self, role: &str) -> Caller {
        if role == "anon" { self.api.visitor() } else { self.person.clone() }
    }

    /// A value of that name and type that would do.
    fn value(&self, name: &str, kind: &str) -> Value {
        match (name, kind) {
            ("session_id", _) => json!(self.session_id),
            ("message_id", _) => json!(self.message_id),
            ("role", _) => json!("user"),
            ("log_level", _) => json!("INFO"),
            ("summary_type", _) => json!("partial"),
            ("machine", _) => json!("check-in"),
            ("event", _) => json!("unclear"),
            ("step", _) => json!("asked"),
            ("events", _) => json!([]),
            (_, "uuid") => json!(Uuid::new_v4()),
            (_, "integer" | "bigint" | "double precision" | "confidence") => json!(1),
            (_, "timestamp with time zone") => json!("2026-01-01T00:00:00Z"),
            (_, "json" | "jsonb") => json!({}),
            (_, kind) if kind.starts_with("json_object") => json!({}),
            (_, kind) if kind.ends_with("[]") => json!([]),
            _ => json!("x"),
        }
    }

    /// Writes a value into a place, beside what must be there. JSON as text, because no library need read a bomb.
    async fn write(&mut self, place: &Place, all: &[Place], what: &str, value: &str) {
        let same = |other: &&Place| (&other.role, &other.verb, &other.on) == (&place.role, &place.verb, &place.on);
        let others = all.iter().filter(same).filter(|other| other.required && other.name != place.name);
        let members: Vec<String> = others
            .map(|other| format!("{:?}:{}", other.name, self.value(&other.name, &other.kind)))
            .chain([format!("{:?}:{value}", place.name)])
            .collect();
        let (method, target) = match place.verb.as_str() {
            "INSERT" => ("POST", place.on.clone()),
            "UPDATE" => ("PATCH", format!("{}?session_id=eq.{}", place.on, self.session_id)),
            _ => ("POST", format!("rpc/{}", place.on)),
        };
        let label = format!("{} {} {}.{}: {what}", place.role, place.verb, place.on, place.name);
        self.send(&place.role, method, &target, format!("{{{}}}", members.join(",")), label).await;
    }

    async fn send(&mut self, role: &str, method: &str, target: &str, body: String, label: String) -> Answer {
        let before = self.count().await;
        let watched = Backend::watched(self.backend);
        let begun = Instant::now();
        let call = self.caller(role).rest(method, target).header("prefer", "return=minimal");
        let answer = call.body("application/json", body).send().await;
        let (took, grew) = (begun.elapsed(), watched.map_or(0, |backend| backend.grew()));
        let code = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default()["code"].clone();
        if answer.status.as_u16() >= 500 && code != TOO_DEEP {
            self.wrong.push(format!("{label}: {} {}", answer.status, cut(&answer.text())));
        }
        if !answer.status.is_success() && self.count().await != before {
            self.wrong.push(format!("{label}: refused, and something was written"));
        }
        if grew > MOST_BYTES {
            self.wrong.push(format!("{label}: the backend grew by {} MB ({})", grew / 1_000_000, answer.status));
        }
        self.costs.push((grew, took, format!("{label} ({})", answer.status)));
        answer
    }

    async fn count(&self) -> i64 {
        self.database.query_one(&self.rows, &[]).await.unwrap().get(0)
    }

    /// What it came to. Times are for whoever reads the log: a busy machine must not fail a test.
    async fn over(mut self, at_least: usize) {
        println!("{} requests", self.costs.len());
        self.costs.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        for (bytes, _, label) in self.costs.iter().take(8) {
            println!("{:>6} KB  {label}", bytes / 1000);
        }
        self.costs.sort_by_key(|(_, took, _)| std::cmp::Reverse(*took));
        for (_, took, label) in self.costs.iter().take(8) {
            println!("{:>6} ms  {label}", took.as_millis());
        }
        let backends = "select count(*) from pg_stat_activity where pid = $1";
        let same: i64 = self.database.query_one(backends, &[&self.backend]).await.unwrap().get(0);
        assert_eq!(same, 1, "the backend that was watched is the one that did it");
        assert!(self.costs.len() >= at_least, "{} requests", self.costs.len());
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        self.api.remove().await;
    }
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

#[tokio::test]
async fn a_bomb_in_any_column_or_parameter_costs_little_and_writes_nothing_by_halves() {
    let mut scene = Scene::new().await;
    let (places, bombs) = (Place::all(&scene.database).await, bombs());
    for place in &places {
        for Bomb { name, json } in &bombs {
            scene.write(place, &places, name, json).await;
        }
    }
    scene.over(bombs.len() * 100).await;
}

/// A json parameter's members have no names in the catalogue; those of the columns they end up in are tried.
#[tokio::test]
async fn a_bomb_in_a_member_of_a_parameter_costs_little_and_writes_nothing_by_halves() {
    let mut scene = Scene::new().await;
    let places = Place::all(&scene.database).await;
    let mut names: Vec<&str> = places.iter().filter(|place| place.verb == "INSERT").map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let bombs: Vec<Bomb> = bombs().into_iter().filter(|bomb| WORST.contains(&bomb.name)).collect();
    assert_eq!(bombs.len(), WORST.len());
    for place in places.iter().filter(|place| place.is_json()) {
        for (name, bomb) in names.iter().flat_map(|name| bombs.iter().map(move |bomb| (name, bomb))) {
            let object = format!("{{{name:?}:{}}}", bomb.json);
            scene.write(place, &places, &format!("{name} = {}", bomb.name), &object).await;
            let mut event: Map<String, Value> = Map::new();
            event.insert("id".into(), json!(Uuid::new_v4()));
            event.insert("event_type".into(), json!("x"));
            event.remove(*name);
            let event = Value::Object(event).to_string();
            let list = format!("[{},{name:?}:{}}}]", event.trim_end_matches('}'), bomb.json).replace("[{,", "[{");
            scene.write(place, &places, &format!("in a list, {name} = {}", bomb.name), &list).await;
        }
    }
    scene.over(1000).await;
}

#[tokio::test]
async fn more_than_five_hundred_small_rows_in_one_statement_are_refused_before_they_cost_much() {
    let mut scene = Scene::new().await;
    let places = Place::all(&scene.database).await;
    let mut tables: Vec<(&String, &String)> =
        places.iter().filter(|place| place.verb == "INSERT").map(|place| (&place.role, &place.on)).collect();
    tables.dedup();
    for (role, table) in tables {
        let here = places.iter().filter(|place| (&place.role, &place.on) == (role, table) && place.verb == "INSERT");
        let required: Vec<&Place> = here.filter(|place| place.required).collect();
        let mut rows = Vec::new();
        let mut length = 0;
        while length < 100_000 {
            let value = |place: &&Place| (place.name.clone(), scene.value(&place.name, &place.kind));
            let row = Value::Object(required.iter().map(value).collect());
            length += row.to_string().len() + 1;
            rows.push(row);
        }
        assert!(rows.len() > 500, "{table}: {} rows", rows.len());
        let target =
            format!("{table}?columns={}", required.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(","));
        let label = format!("{role} INSERT {table}: {} rows", rows.len());
        let answer = scene.send(role, "POST", &target, Value::Array(rows).to_string(), label.clone()).await;
        let code = answer.json()["message"].clone();
        // At the 501st row, or before that at the first over a limit. A table that only triggers write refuses the first
        // row; where there is one of each, the second is refused; and so is a move that is none.
        let refused = answer.status == 413 && code == "too_many_rows"
            || answer.status == 429 && code == "rate_limited"
            || [403, 409, 422].contains(&answer.status.as_u16());
        assert!(refused, "{label}: {} {}", answer.status, answer.text());
    }
    scene.over(8).await;
}
