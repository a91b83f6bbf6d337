//! Lines that clients log: stored once, with a session only where it is the caller's, read by nobody else.

use conformance::person::Person;
use conformance::stack::Stack;
use conformance::visitor::Visitor;
use serde_json::{Value, json};
use uuid::Uuid;

fn line() -> Value {
    json!({ "id": Uuid::new_v4(), "log_level": "ERROR", "component": "composer", "message": "it broke" })
}

async fn log(person: &Person, line: &Value) -> Value {
    let answer = person.rest("POST", "rpc/record_log").json(line).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// The rows with this id, whosever they are: owner and session.
async fn rows(stack: &Stack, id: &Value) -> Vec<(Option<Uuid>, Option<Uuid>)> {
    let id: Uuid = id.as_str().unwrap().parse().unwrap();
    let query = "select user_id, session_id from public.system_logs where id = $1 order by user_id";
    let rows = stack.database().await.query(query, &[&id]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_line_sent_again_is_stored_once_and_ids_are_each_callers_own() {
    let stack = Stack::running();
    let (one, other, visitor) = (Person::new(&stack).await, Person::new(&stack).await, Visitor(stack.clone()));
    let line = line();
    for person in [&one, &other] {
        for replayed in [false, true] {
            assert_eq!(log(person, &line).await, json!({ "id": line["id"], "replayed": replayed }));
        }
    }
    for replayed in [false, true] {
        let answer = visitor.rest("POST", "rpc/record_log").json(&line).send().await;
        assert_eq!((answer.status.as_u16(), answer.json()), (201, json!({ "id": line["id"], "replayed": replayed })));
    }
    let mut owners: Vec<_> = rows(&stack, &line["id"]).await.into_iter().map(|(owner, _)| owner).collect();
    owners.sort_unstable();
    let mut expected = vec![None, Some(one.user_id), Some(other.user_id)];
    expected.sort_unstable();
    assert_eq!(owners, expected);
    let seen = one.rest("GET", "system_logs?select=*").send().await.json();
    assert_eq!((seen.as_array().unwrap().len(), &seen[0]["user_id"]), (1, &json!(one.user_id)));
    assert_eq!(visitor.rest("GET", "system_logs").send().await.status, 401);
}

#[tokio::test]
async fn a_line_keeps_the_callers_own_session_and_tells_nothing_of_another_persons() {
    let stack = Stack::running();
    let (owner, stranger, visitor) = (Person::new(&stack).await, Person::new(&stack).await, Visitor(stack.clone()));
    let session_id = Uuid::new_v4();
    owner.say(session_id, "hello").await;
    for (person, session, kept) in
        [(&owner, session_id, Some(session_id)), (&owner, Uuid::new_v4(), None), (&stranger, session_id, None)]
    {
        let mut line = line();
        line["session_id"] = json!(session);
        log(person, &line).await;
        assert_eq!(rows(&stack, &line["id"]).await, [(Some(person.user_id), kept)]);
        line["id"] = json!(Uuid::new_v4());
        let direct = person.rest("POST", "system_logs").json(&line).send().await;
        assert_eq!(direct.status, 201, "{}", direct.text());
        assert_eq!(rows(&stack, &line["id"]).await, [(Some(person.user_id), kept)]);
    }
    let mut line = line();
    line["session_id"] = json!(session_id);
    let answer = visitor.rest("POST", "rpc/record_log").json(&line).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(rows(&stack, &line["id"]).await, [(None, None)]);
}

#[tokio::test]
async fn lines_go_with_their_session_and_their_user() {
    let stack = Stack::running();
    let (person, database) = (Person::new(&stack).await, stack.database().await);
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let (mut within, without) = (line(), line());
    within["session_id"] = json!(session_id);
    log(&person, &within).await;
    log(&person, &without).await;
    database.execute("delete from public.sessions where session_id = $1", &[&session_id]).await.unwrap();
    assert_eq!(rows(&stack, &within["id"]).await, []);
    assert_eq!(rows(&stack, &without["id"]).await.len(), 1);
    database.execute("delete from auth.users where id = $1", &[&person.user_id]).await.unwrap();
    assert_eq!(rows(&stack, &without["id"]).await, []);
}

#[tokio::test]
async fn no_way_in_takes_a_line_that_breaks_a_rule_and_every_level_there_is_works() {
    let person = Person::new(&Stack::running()).await;
    for (member, value) in [
        ("id", Value::Null),
        ("log_level", json!("info")),
        ("log_level", json!("FATAL")),
        ("log_level", Value::Null),
        ("component", json!("")),
        ("component", json!("x".repeat(129))),
        ("component", Value::Null),
        ("message", json!("")),
        ("message", json!(" \u{2003}\n")),
        ("message", json!("x".repeat(4001))),
        ("message", Value::Null),
        ("error_trace", json!("x".repeat(16_001))),
        ("session_id", json!("not-a-uuid")),
    ] {
        let mut bad = line();
        bad[member] = value.clone();
        for target in ["system_logs", "rpc/record_log"] {
            let answer = person.rest("POST", target).json(&bad).send().await;
            assert_eq!(answer.status, 400, "{target} {member} {value}: {}", answer.text());
        }
    }
    for (column, value) in [
        ("user_id", json!(Uuid::new_v4())),
        ("created_at", json!("2020-01-01T00:00:00Z")),
        ("row_id", json!(Uuid::nil())),
    ] {
        let mut row = line();
        row[column] = value;
        assert_eq!(person.rest("POST", "system_logs").json(&row).send().await.status, 403, "{column}");
    }
    for level in ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] {
        let mut good = line();
        good["log_level"] = json!(level);
        good["component"] = json!("é".repeat(128));
        good["message"] = json!("é".repeat(4000));
        good["error_trace"] = json!("é".repeat(16_000));
        log(&person, &good).await;
    }
    for method in ["PATCH", "DELETE"] {
        let answer =
            person.rest(method, "system_logs?id=not.is.null").json(&json!({ "message": "other" })).send().await;
        assert_eq!(answer.status, 403, "{method}: {}", answer.text());
    }
}
