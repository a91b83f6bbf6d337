//! A data-only restore: the rows of one database, copied into another that has been migrated, are the same rows there.

use std::pin::pin;

use conformance::scratch_api::ScratchApi;
use conformance::scratch_database::ScratchDatabase;
use conformance::stack::Stack;
use futures_util::{SinkExt as _, TryStreamExt as _};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

/// All tables with rows of people, and those that an operator changes, each after the ones it refers to.
const TABLES: &str = "
    with recursive refers (child, parent) as (
      select conrelid, confrelid from pg_constraint where contype = 'f' and conrelid <> confrelid
    ), depth (relation, level) as (
      select c.oid, 0 from pg_class c where c.relkind = 'r'
        and c.relnamespace in ('public'::regnamespace, 'auth'::regnamespace, 'selvedge'::regnamespace)
      union
      select r.child, d.level + 1 from depth d join refers r on r.parent = d.relation
    )
    select format('%I.%I', n.nspname, c.relname) from depth d join pg_class c on c.oid = d.relation
      join pg_namespace n on n.oid = c.relnamespace
    group by 1 order by max(d.level), 1";

/// Filled by migrations, and the same in both.
const BY_MIGRATIONS: [&str; 3] = ["public.fsm_machines", "public.fsm_states", "public.fsm_transitions"];

/// Filled by migrations, and changed by operators: emptied before the copy.
const BY_OPERATORS: [&str; 2] = ["public.settings", "public.rate_limits"];

async fn tables(database: &Client) -> Vec<String> {
    database.query(TABLES, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Every row, as it is stored: JSON as written, times with their microseconds.
async fn rows(database: &Client, table: &str) -> Vec<String> {
    let query = format!("select t::text from {table} t order by 1");
    database.query(&query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn copied(from: &Client, to: &Client, table: &str) {
    let out = from.copy_out(&format!("copy {table} to stdout")).await.unwrap();
    let all: Vec<Bytes> = out.try_collect().await.unwrap();
    let sink = to.copy_in(&format!("copy {table} from stdin")).await.unwrap();
    let mut sink = pin!(sink);
    for bytes in all {
        sink.send(bytes).await.unwrap();
    }
    sink.finish().await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
}

/// Conversations, moves, events, lines, limits and deletions, by the ways callers have.
async fn filled(api: &ScratchApi) -> Uuid {
    let database = api.database.connect().await;
    let (person, service) = (api.person().await, api.service());
    let (session, completed, deleted) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let id = || json!(Uuid::new_v4());
    for session_id in [session, completed, deleted] {
        let said = json!({ "session_id": session_id, "id": id(), "role": "user", "message": "hello  \u{1f9f6}",
            "machine": "check-in", "meta": { "n": 1.50 }, "written_at": "2020-02-03T04:05:06.789Z",
            "intent": { "label": "worries", "method": "m", "confidence": 0.5, "fsm_state": "asked" },
            "risk": { "label": "self_harm", "trigger_phrase": "x", "confidence": 1e-100, "details": { "a": [1] } } });
        let mut answer = json!({ "session_id": session_id, "id": id(), "role": "bot", "message": "x" });
        answer["user_id"] = json!(person.user_id);
        let moved = |event: &str, response: Value| json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": event, "response": response });
        let changes = json!({ "session_id": session_id, "changes": { "title": "T", "meta": { "m": true } } });
        let event = json!({ "id": id(), "event_type": "x", "session_id": session_id, "event_data": { "e": 1 },
            "occurred_at": "1999-01-01T00:00:00Z" });
        let summary = json!({ "session_id": session_id, "summary_type": "partial", "summary_data": { "s": 1 } });
        let line =
            json!({ "id": id(), "log_level": "INFO", "component": "x", "message": "x", "session_id": session_id });
        for (function, arguments) in [
            ("save_message", said),
            ("transition_session", moved("unclear", json!("perhaps"))),
            ("transition_session", moved("next_step", json!("fine"))),
            ("update_session", changes),
            ("put_session_summary", summary),
            ("record_events", json!({ "events": [event] })),
            ("record_log", line),
        ] {
            let done = person.rpc(function, &arguments).await;
            assert!(done.status.is_success(), "{function}: {}", done.text());
        }
        if session_id == completed {
            assert_eq!(person.rpc("transition_session", &moved("close", Value::Null)).await.status, 200);
        }
        let answered = service.rpc("save_message_as", &answer).await;
        assert_eq!(answered.status, 201, "{}", answered.text());
    }
    let parts = json!({ "session_id": session, "id": id(), "role": "bot", "message": "with parts" }).to_string();
    // As written, with a space and a number that a reader would shorten.
    let parts = parts.replace('}', ",\"parts\":[ {\"type\": \"text\", \"n\":1.50}]}");
    let saved = person.rest("POST", "rpc/save_message").body("application/json", parts).send().await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": deleted })).await.status, 200);
    let visitors = json!({ "events": [{ "id": id(), "event_type": "seen" }] });
    assert_eq!(api.visitor().rpc("record_events", &visitors).await.status, 201);
    // All of it happened some time ago.
    let earlier = "update public.sessions set created_at = created_at - interval '40 days',
            last_activity = last_activity - interval '39 days';
        update public.chat_history set created_at = created_at - interval '40 days';
        update public.analytics set occurred_at = occurred_at - interval '40 days', received_at = received_at - interval '40 days';
        update public.session_summaries set generated_at = generated_at - interval '40 days';
        update public.deleted_ids set deleted_at = deleted_at - interval '40 days';
        update public.rate_limits set at_most = 5 where what = 'moves';
        insert into public.settings (name, value) values ('another', 'x');";
    database.batch_execute(earlier).await.unwrap();
    session
}

#[tokio::test]
async fn rows_copied_into_a_migrated_database_are_the_same_rows_and_nothing_is_added() {
    let stack = Stack::running();
    let api = ScratchApi::new(&stack, 5).await;
    let session = filled(&api).await;
    let restored = ScratchDatabase::new(&stack).await;
    let (from, to) = (api.database.connect().await, restored.connect().await);
    for table in BY_OPERATORS {
        to.batch_execute(&format!("delete from {table}")).await.unwrap();
    }
    let all = tables(&from).await;
    for table in all.iter().filter(|table| !BY_MIGRATIONS.contains(&table.as_str())) {
        assert_ne!(rows(&from, table).await.len() + usize::from(table.starts_with("auth.")), 0, "{table} is empty");
        copied(&from, &to, table).await;
    }
    for table in &all {
        assert_eq!(rows(&to, table).await, rows(&from, table).await, "{table}");
    }
    // It goes on from there: the next message has the next place.
    let next = "insert into public.chat_history (session_id, id, role, message)
        values ($1, gen_random_uuid(), 'bot', 'next') returning seq";
    let places = "select max(seq) from public.chat_history where session_id = $1";
    let last: i64 = from.query_one(places, &[&session]).await.unwrap().get(0);
    assert_eq!(to.query_one(next, &[&session]).await.unwrap().get::<_, i64>(0), last + 1);
    drop((from, to));
    restored.remove().await;
    api.remove().await;
}

#[tokio::test]
async fn rows_that_the_service_role_inserts_through_postgrest_keep_their_values() {
    let stack = Stack::running();
    let (api, other) = (ScratchApi::new(&stack, 5).await, ScratchApi::new(&stack, 5).await);
    filled(&api).await;
    let (from, to) = (api.database.connect().await, other.database.connect().await);
    for table in BY_OPERATORS {
        to.batch_execute(&format!("delete from {table}")).await.unwrap();
    }
    let all = tables(&from).await;
    for table in all.iter().filter(|table| !BY_MIGRATIONS.contains(&table.as_str())) {
        let Some(name) = table.strip_prefix("public.") else {
            copied(&from, &to, table).await;
            continue;
        };
        let columns = "select string_agg(quote_ident(attname), ',') from pg_attribute
            where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = ''";
        let columns: String = from.query_one(columns, &[table]).await.unwrap().get(0);
        // `parts` as text, so that nothing between here and there rewrites it.
        let body = format!("select json_agg(t)::text from (select {columns} from {table}) t");
        let body: String = from.query_one(&body, &[]).await.unwrap().get(0);
        let target = format!("{name}?columns={}", columns.replace('"', ""));
        let sent = other.service().rest("POST", &target).header("prefer", "return=minimal");
        let answer = sent.body("application/json", body).send().await;
        assert_eq!(answer.status, 201, "{table}: {}", answer.text());
    }
    for table in &all {
        assert_eq!(rows(&to, table).await, rows(&from, table).await, "{table}");
    }
    api.remove().await;
    other.remove().await;
}
