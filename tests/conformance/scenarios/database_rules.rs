//! The edge is the first line, not the only one: every rule about data holds for a caller who goes straight to
//! PostgREST with the same token.

use chat_message::MESSAGE_MAX_CHARS;
use conformance::person::Person;
use conformance::scratch_database::ScratchDatabase;
use conformance::stack::Stack;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

#[tokio::test]
async fn no_way_in_takes_a_value_that_breaks_a_rule() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (member, value) in [
        ("role", json!("assistant")),
        ("role", Value::Null),
        ("message", json!("x".repeat(MESSAGE_MAX_CHARS + 1))),
        ("message", json!("")),
        ("message", Value::Null),
        ("meta", json!([])),
        ("meta", json!("{}")),
        ("meta", nested(17)),
        ("meta", json!({ "a": "x".repeat(20_000) })),
        ("id", Value::Null),
    ] {
        let mut row =
            json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "bot", "message": "x", "meta": {} });
        row[member] = value;
        for target in ["chat_history", "rpc/save_message"] {
            let answer = person.rest("POST", target).json(&row).send().await;
            assert_eq!(answer.status, 400, "{target} {member}: {}", answer.text());
        }
    }
    let kept = person.history(session_id, "").await.json();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_kind_of_white_space_is_blank_to_the_database_too() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    // All of Unicode's White_Space, as Rust's trim() has it: the edge and the database must agree.
    for character in (1..=char::MAX as u32).filter_map(char::from_u32).filter(|character| character.is_whitespace()) {
        let row =
            json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": character.to_string() });
        let answer = person.rest("POST", "chat_history").json(&row).send().await;
        assert_eq!(answer.status, 400, "U+{:04X} {}", character as u32, answer.text());
    }
}

#[tokio::test]
async fn no_text_that_the_edge_wants_something_in_is_blank() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let said = person.say(session_id, "hello").await;
    let message_id = &said["message"]["id"];
    let intent = json!({ "session_id": session_id, "message_id": message_id, "label": "x", "method": "x" });
    let risk = json!({ "session_id": session_id, "message_id": message_id, "label": "x" });
    let line = json!({ "id": Uuid::new_v4(), "log_level": "INFO", "component": "x", "message": "x" });
    for (table, row, columns) in [
        ("intent_classifications", &intent, &["label", "method", "fsm_state"][..]),
        ("risk_detections", &risk, &["label", "trigger_phrase", "method", "model"]),
        ("system_logs", &line, &["component", "message", "error_trace"]),
    ] {
        let insert = async |row: &Value| {
            person.rest("POST", table).header("prefer", "return=minimal").json(row).send().await.status.as_u16()
        };
        for column in columns {
            for blank in ["", " ", "\t\r\n", "\u{a0}\u{2003}\u{3000}"] {
                let mut row = row.clone();
                row[*column] = json!(blank);
                assert_eq!(insert(&row).await, 400, "{table}.{column} {blank:?}");
            }
        }
        assert_eq!(insert(row).await, 201, "{table}");
    }
}

#[tokio::test]
async fn a_caller_names_no_column_that_is_the_servers() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    for (column, value) in [("seq", json!(7)), ("created_at", json!("2020-01-01T00:00:00Z"))] {
        let mut row = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": "x" });
        row[column] = value;
        let answer = person.rest("POST", "chat_history").json(&row).send().await;
        assert_eq!(answer.status, 403, "{column}: {}", answer.text());
    }
    for (column, value) in [
        ("user_id", json!(Uuid::new_v4())),
        ("fsm_state", json!("llm_conversation")),
        // Until its first move a caller may put a session on another machine, but on none that does not exist.
        ("machine", json!("other")),
        ("machine_version", json!(2)),
        ("version", json!(9)),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("completed", json!(true)),
        ("completion_time", json!("2020-01-01T00:00:00Z")),
    ] {
        if column != "machine" {
            // A caller names the machine of a new session, and nothing else of it.
            let mut row = json!({ "session_id": Uuid::new_v4() });
            row[column] = value.clone();
            let answer = person.rest("POST", "sessions").json(&row).send().await;
            assert_eq!(answer.status, 403, "insert {column}: {}", answer.text());
        }
        let target = format!("sessions?session_id=eq.{session_id}");
        let answer = person.rest("PATCH", &target).json(&json!({ column: value })).send().await;
        let refused = if column == "machine" { 404 } else { 403 };
        assert_eq!(answer.status, refused, "update {column}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_message_inserted_past_the_function_still_gets_its_place_and_touches_its_session() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let before = person.say(session_id, "one").await["session"]["last_activity"].clone();
    let row = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": "two" });
    let answer = person.rest("POST", "chat_history").header("prefer", "return=representation").json(&row).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()[0]["seq"]), (201, &json!(2)));
    let session = person.rest("GET", &format!("sessions?session_id=eq.{session_id}")).send().await.json();
    assert!(session[0]["last_activity"].as_str() > before.as_str());
}

#[tokio::test]
async fn last_activity_is_the_servers_time_whatever_a_caller_sends() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let before = person.say(session_id, "one").await["session"]["last_activity"].clone();
    for time in ["2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"] {
        let answer = person
            .rest("PATCH", &format!("sessions?session_id=eq.{session_id}"))
            .header("prefer", "return=representation")
            .json(&json!({ "last_activity": time }))
            .send()
            .await;
        let stored = answer.json()[0]["last_activity"].as_str().unwrap().to_owned();
        assert!(stored.as_str() >= before.as_str().unwrap() && stored.as_str() < "2999", "{stored}");
    }
}

/// A hundred people, the first of whom has half of everything.
const ONE_WITH_MUCH: &str = "
    set session_replication_role = replica;
    create function pg_temp.nth(n bigint) returns uuid language sql immutable
      as $$ select lpad(to_hex(n), 32, '0')::uuid $$;
    insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state)
      select pg_temp.nth(n), pg_temp.nth(case when n % 2 = 0 then 1 else 1 + n % 100 end), 'supportive-yarn', 1,
        case when n % 2 = 0 then 'goals' else 'welcome' end from generate_series(1, 10000) n;
    insert into public.chat_history (session_id, id, role, message, seq)
      select pg_temp.nth(case when n % 2 = 0 then 2 else n end), pg_temp.nth(n), 'user',
        case when n % 2 = 0 then 'my secret' else n::text end, n from generate_series(1, 10000) n;
    insert into public.analytics (user_id, event_type)
      select pg_temp.nth(case when n % 2 = 0 then 1 else 1 + n % 100 end), 'e' || case when n % 2 = 0 then 0 else n end
      from generate_series(1, 10000) n;
    set session_replication_role = origin;
    analyze;";

/// What each of these filters is guessed to find, as PostgREST would ask for somebody else: with the value of the one
/// who has much, and with one that nobody has.
async fn guesses(database: &Client) -> Vec<(&'static str, [i64; 2])> {
    let filters = [
        ("sessions", "user_id", ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000ffff"]),
        ("sessions", "fsm_state", ["goals", "no such state"]),
        (
            "chat_history",
            "session_id",
            ["00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-00000000ffff"],
        ),
        ("chat_history", "message", ["my secret", "another secret"]),
        ("analytics", "user_id", ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000ffff"]),
        ("analytics", "event_type", ["e0", "no_such_event"]),
    ];
    let claims = json!({ "sub": Uuid::new_v4(), "role": "authenticated" });
    let begin = format!("begin; set local role authenticated; set local \"request.jwt.claims\" = '{claims}';");
    database.batch_execute(&begin).await.unwrap();
    let mut found = Vec::new();
    for (table, column, values) in filters {
        let mut rows = [0; 2];
        for (value, rows) in values.iter().zip(&mut rows) {
            let query = format!("explain (format json) select from public.{table} where {column} = '{value}'");
            let plan: Value = database.query_one(&query, &[]).await.unwrap().get(0);
            *rows = plan[0]["Plan"]["Plan Rows"].as_i64().unwrap();
        }
        found.push((column, rows));
    }
    database.batch_execute("rollback").await.unwrap();
    found
}

/// `Prefer: count=planned` tells the planner's guess to whoever asks.
#[tokio::test]
async fn the_planners_guesses_say_nothing_of_anothers_rows() {
    let scratch = ScratchDatabase::new(&Stack::running()).await;
    let database = scratch.connect().await;
    database.batch_execute(ONE_WITH_MUCH).await.unwrap();
    let told = guesses(&database).await;
    // With samples they do, or this test holds nothing.
    let sample = "alter table public.sessions alter user_id set statistics 100, alter fsm_state set statistics 100;
        alter table public.chat_history alter session_id set statistics 100, alter message set statistics 100;
        alter table public.analytics alter user_id set statistics 100, alter event_type set statistics 100;
        analyze;";
    database.batch_execute(sample).await.unwrap();
    let sampled = guesses(&database).await;
    drop(database);
    scratch.remove().await;
    assert!(told.iter().all(|(_, [much, none])| much == none), "{told:?}");
    assert!(sampled.iter().all(|(_, [much, none])| much != none), "{sampled:?}");
}
