//! Maintenance that ends: in portions that fit the shortest statement_timeout, and migrations that wait for nobody long.

use std::fs;
use std::time::Duration;

use conformance::scratch_api::{Caller, ScratchApi};
use conformance::scratch_database::ScratchDatabase;
use conformance::stack::{Stack, repository};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// Calls a function until it returns 0, and tells what it returned.
async fn until_done(service: &Caller, function: &str, arguments: &Value) -> Vec<i64> {
    let mut portions = Vec::new();
    loop {
        let answer = service.rpc(function, arguments).await;
        assert_eq!(answer.status, 200, "{function} after {portions:?}: {}", answer.text());
        match answer.json().as_i64().unwrap() {
            0 => return portions,
            portion => portions.push(portion),
        }
    }
}

async fn left(database: &Client, table: &str) -> i64 {
    database.query_one(&format!("select count(*) from public.{table}"), &[]).await.unwrap().get(0)
}

/// Sessions with so many messages each, the first half of them completed, all of them idle for a hundred days.
async fn old_sessions(database: &Client, person: Uuid, sessions: i32, messages: i32) {
    let scene = format!(
        "set session_replication_role = replica;
         insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state, completed,
             completion_time, created_at, last_activity)
           select gen_random_uuid(), '{person}', 'check-in', 1, 'closed', n <= {sessions} / 2,
             case when n <= {sessions} / 2 then now() - interval '100 days' end, now() - interval '101 days',
             now() - interval '100 days'
           from generate_series(1, {sessions}) n;
         insert into public.chat_history (session_id, id, role, message, seq)
           select s.session_id, gen_random_uuid(), 'bot', repeat('x', 200), n
           from public.sessions s, generate_series(1, {messages}) n;
         set session_replication_role = origin;
         analyze;"
    );
    database.batch_execute(&scene).await.unwrap();
}

#[tokio::test]
async fn ninety_thousand_old_messages_are_cleaned_up_in_portions_that_fit_the_timeout() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, service) = (api.person().await, api.service());
    old_sessions(&database, person.user_id, 300, 300).await;
    let portions = until_done(&service, "cleanup_old_sessions", &json!({ "at_most": 40 })).await;
    assert_eq!(portions.iter().sum::<i64>(), 150, "{portions:?}");
    assert!(portions.iter().all(|portion| *portion <= 40) && portions.len() >= 4, "{portions:?}");
    // Those that were not completed are only idle.
    assert_eq!(left(&database, "sessions").await, 150);
    assert_eq!(until_done(&service, "cleanup_old_sessions", &json!({ "idle_days": 101 })).await, [0; 0]);
    let portions = until_done(&service, "cleanup_old_sessions", &json!({ "idle_days": 99 })).await;
    assert_eq!(portions.iter().sum::<i64>(), 150, "{portions:?}");
    assert_eq!((left(&database, "sessions").await, left(&database, "chat_history").await), (0, 0));
    // Cleaned up is deleted: the ids are kept.
    assert_eq!(left(&database, "deleted_ids").await, 300);
    api.remove().await;
}

/// Slower rows make the whole longer than a statement may take; each call ends within it all the same.
#[tokio::test]
async fn a_portion_ends_before_the_statement_timeout_however_slow_deleting_is() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, service) = (api.person().await, api.service());
    old_sessions(&database, person.user_id, 40, 1).await;
    // Twenty completed ones, half a second each: ten seconds in all, where eight are allowed.
    let slow = "create function public.slow() returns trigger language plpgsql
          as $$ begin perform pg_sleep(0.5); return old; end $$;
        create trigger slow before delete on public.sessions for each row execute function public.slow();";
    database.batch_execute(slow).await.unwrap();
    let portions = until_done(&service, "cleanup_old_sessions", &json!({})).await;
    assert!(portions.len() > 1 && portions.iter().sum::<i64>() == 20, "{portions:?}");
    api.remove().await;
}

#[tokio::test]
async fn old_events_lines_and_ids_are_cleaned_up_in_batches() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, service) = (api.person().await, api.service());
    for (table, columns, values) in [
        ("analytics", "event_type, received_at", "'x'"),
        ("system_logs", "log_level, component, message, created_at", "'INFO', 'x', 'x'"),
        ("deleted_ids", "kind, id, user_id, deleted_at", "'session', gen_random_uuid(), $1"),
    ] {
        let values = values.replace("$1", &format!("'{}'", person.user_id));
        let insert = format!(
            "insert into public.{table} ({columns})
             select {values}, now() - case when n <= 25 then interval '401 days' else interval '1 day' end
             from generate_series(1, 30) n"
        );
        database.batch_execute(&insert).await.unwrap();
        let function = match table {
            "analytics" => "cleanup_old_events",
            "system_logs" => "cleanup_old_logs",
            _ => "cleanup_deleted_ids",
        };
        let portions = until_done(&service, function, &json!({ "days": 400, "at_most": 10 })).await;
        assert_eq!(portions, [10, 10, 5], "{function}");
        assert_eq!(left(&database, table).await, 5, "{table}");
        for (days, at_most) in [(json!(0), json!(10)), (Value::Null, json!(10)), (json!(400), json!(0))] {
            let answer = service.rpc(function, &json!({ "days": days, "at_most": at_most })).await;
            assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("22023")), "{function}");
        }
    }
    api.remove().await;
}

#[tokio::test]
async fn maintenance_is_for_the_service_role_alone() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let functions = "select proname::text from pg_proc where pronamespace = 'public'::regnamespace
        and (proname like 'cleanup%' or proname like 'recount%')";
    let functions = database.query(functions, &[]).await.unwrap();
    assert!(functions.len() >= 4, "{functions:?}");
    for function in functions {
        let function: String = function.get(0);
        assert_eq!(api.person().await.rpc(&function, &json!({})).await.status, 403, "{function}");
        assert_eq!(api.visitor().rpc(&function, &json!({})).await.status, 401, "{function}");
        assert_eq!(api.service().rpc(&function, &json!({})).await.status, 200, "{function}");
    }
    api.remove().await;
}

/// The first statement of a migration, after its comment.
fn first_statement(script: &str) -> &str {
    let lines = script.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("--"));
    lines.unwrap_or_default()
}

#[tokio::test]
async fn a_migration_gives_up_soon_where_a_reader_is_in_its_way() {
    let mut limits = Vec::new();
    for entry in fs::read_dir(repository().join("migrations")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let script = fs::read_to_string(&path).unwrap();
            let first = first_statement(&script).to_owned();
            assert!(first.starts_with("set local lock_timeout = "), "{}: {first}", path.display());
            limits.push(first);
        }
    }
    limits.sort();
    limits.dedup();
    let stack = Stack::running();
    let scratch = ScratchDatabase::new(&stack).await;
    let (reader, migration) = (scratch.connect().await, scratch.connect().await);
    reader.batch_execute("begin; select count(*) from public.sessions;").await.unwrap();
    for limit in limits {
        let script = format!("begin; {limit} alter table public.sessions add column wanted text;");
        let ended = timeout(Duration::from_secs(30), migration.batch_execute(&script)).await.expect("it gives up");
        assert_eq!(ended.unwrap_err().code(), Some(&SqlState::LOCK_NOT_AVAILABLE), "{limit}");
        migration.batch_execute("rollback").await.unwrap();
    }
    drop((reader, migration));
    scratch.remove().await;
}
