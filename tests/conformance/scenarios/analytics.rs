//! `analytics` over HTTP: who may send what in which form, log lines, and one's own statistics.

use conformance::assertions::{assert_problem, faults};
use conformance::capture::sent_with;
use conformance::client::Answer;
use conformance::event::{count, event, events, seconds_from_now, stored};
use conformance::person::Person;
use conformance::stack::Stack;
use conformance::visitor::Visitor;
use devstack::keys::token::TokenOptions;
use serde_json::{Value, json};
use uuid::Uuid;

fn word() -> String {
    Uuid::new_v4().to_string()
}

#[track_caller]
fn counted(answer: &Answer, accepted: usize, duplicates: usize) {
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "accepted": accepted, "duplicates": duplicates }));
}

#[tokio::test]
async fn one_event_a_batch_and_lines_are_one_request_upstream_each() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let upstream = |answer: &Answer| sent_with(answer.header("x-request-id")).len();
    let one = person.track(&event(&word)).await;
    counted(&one, 1, 0);
    let batch = person.track(&json!({ "events": events(500, &word) })).await;
    counted(&batch, 500, 0);
    let lines = events(3, &word).iter().map(Value::to_string).collect::<Vec<_>>().join("\n\n") + "\r\n \n";
    let lines = person.call("POST", "analytics", "").body("application/x-ndjson", lines).send().await;
    counted(&lines, 3, 0);
    assert_eq!([&one, &batch, &lines].map(upstream), [1, 1, 1]);
    assert_eq!(count(&person.stack, &word).await, 504);
    let found = person.rest("GET", &format!("analytics?event_data-%3E%3Eword=eq.{word}&select=id")).send().await.json();
    assert_eq!(found.as_array().unwrap().len(), 504, "event_data holds objects that queries find");
}

#[tokio::test]
async fn an_event_without_an_id_gets_one_and_is_counted_each_time() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let body = json!({ "event_type": "step_completed", "event_data": { "word": word } });
    counted(&person.track(&body).await, 1, 0);
    counted(&person.track(&body).await, 1, 0);
    counted(&person.track(&json!({ "events": [body, body] })).await, 2, 0);
    assert_eq!(count(&person.stack, &word).await, 4);
}

#[tokio::test]
async fn with_an_idempotency_key_events_without_an_id_are_counted_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let send = async |key: Uuid, body: &Value| {
        person.call("POST", "analytics", "").header("idempotency-key", key.to_string()).json(body).send().await
    };
    let own = event(&word);
    let mut none = own.clone();
    none.as_object_mut().unwrap().remove("id");
    let key = Uuid::new_v4();
    counted(&send(key, &none).await, 1, 0);
    counted(&send(key, &none).await, 0, 1);
    // One event is what the key stands for; those of a batch are numbered from it, and an id of their own is kept.
    assert!(stored(&person.stack, &word).await.iter().any(|event| event.id == key));
    let batch = json!({ "events": [none, own, none] });
    counted(&send(key, &batch).await, 3, 0);
    counted(&send(key, &batch).await, 0, 3);
    let lines = [&none, &own, &none].map(Value::to_string).join("\n");
    let call = person.call("POST", "analytics", "").header("idempotency-key", key.to_string());
    counted(&call.body("application/x-ndjson", lines).send().await, 0, 3);
    counted(&send(Uuid::new_v4(), &batch).await, 2, 1);
    assert_eq!(count(&person.stack, &word).await, 6);
    // An id that is the key itself is another event's.
    let key = Uuid::new_v4();
    let mut same = event(&word);
    same["id"] = json!(key);
    counted(&send(key, &json!({ "events": [none, same] })).await, 2, 0);
    assert_eq!(count(&person.stack, &word).await, 8);
    let wrong = person.call("POST", "analytics", "").header("idempotency-key", "mine").json(&batch).send().await;
    assert_eq!(
        faults(&assert_problem(&wrong, 422, "validation_failed")),
        [("/id".to_owned(), "invalid_uuid".to_owned())]
    );
}

#[tokio::test]
async fn the_devices_clock_error_is_taken_out() {
    let person = Person::new(&Stack::running()).await;
    let (stack, word) = (&person.stack, word());
    let mut body = json!({ "events": events(1, &word), "sent_at": seconds_from_now(stack, 7200.0).await });
    body["events"][0]["occurred_at"] = json!(seconds_from_now(stack, 7200.0 - 60.0).await);
    counted(&person.track(&body).await, 1, 0);
    let mut late = event(&word);
    late["occurred_at"] = json!("1999-01-01T00:00:00+02:00");
    counted(&person.track(&late).await, 1, 0);
    let mut ages: Vec<_> = stored(stack, &word).await.into_iter().map(|event| (event.age, event.clamped)).collect();
    ages.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!((ages[0].0 - 60.0).abs() < 30.0 && !ages[0].1, "{ages:?}");
    assert_eq!(ages[1], (30.0 * 86_400.0, true));
}

#[tokio::test]
async fn without_a_token_events_are_nobodys() {
    let stack = Stack::running();
    let (visitor, word) = (Visitor(stack.clone()), word());
    let batch = json!({ "events": events(2, &word) });
    counted(&visitor.track(&batch).await, 2, 0);
    counted(&visitor.track(&batch).await, 0, 2);
    let answer = visitor.track(&event(&word)).await;
    counted(&answer, 1, 0);
    assert!(stored(&stack, &word).await.iter().all(|event| event.user_id.is_none()));
    let sent = sent_with(answer.header("x-request-id"));
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].all("authorization"), [""; 0]);
    assert_eq!(sent[0].all("apikey"), [stack.publishable_key.as_str()]);
}

#[tokio::test]
async fn a_bad_token_is_refused_and_never_taken_for_none() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    let sub = Some(person.user_id.to_string());
    let expired = stack.mint(&TokenOptions { ttl: -60, sub: sub.clone(), ..TokenOptions::default() });
    let anon = stack.mint(&TokenOptions { role: "anon".into(), sub, ..TokenOptions::default() });
    for (token, status, code) in [
        ("a.b.c", 401, "malformed_token"),
        ("", 401, "malformed_token"),
        (expired.as_str(), 401, "token_expired"),
        (anon.as_str(), 403, "role_not_allowed"),
        (stack.publishable_key.as_str(), 401, "api_key_as_token"),
    ] {
        let batch = json!({ "events": events(1, &word) });
        if !token.is_empty() {
            let call = visitor.call("POST", "analytics", "").header("authorization", format!("Bearer {token}"));
            assert_problem(&call.json(&batch).send().await, status, code);
        }
        for mut body in [batch, event(&word)] {
            body["access_token"] = json!(token);
            let answer =
                visitor.call("POST", "analytics", "?beacon=1").body("text/plain", body.to_string()).send().await;
            assert!([401, 403, 422].contains(&answer.status.as_u16()), "{token}: {}", answer.text());
            assert!(token.is_empty() || !answer.text().contains(token));
        }
    }
    assert_eq!(count(&stack, &word).await, 0);
}

#[tokio::test]
async fn a_beacon_carries_its_token_in_the_body_and_is_answered_with_nothing() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    let target = format!("?beacon=1&apikey={}", stack.publishable_key);
    for mut body in [json!({ "events": events(2, &word) }), event(&word)] {
        body["access_token"] = json!(person.token);
        for media_type in ["text/plain;charset=UTF-8", "application/json"] {
            let answer = visitor.call("POST", "analytics", &target).body(media_type, body.to_string()).send().await;
            assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0), "{}", answer.text());
            let sent = sent_with(answer.header("x-request-id"));
            assert_eq!(sent[0].all("authorization"), [format!("Bearer {}", person.token)]);
            assert!(!sent[0].target.contains("eyJ"));
        }
    }
    let stored = stored(&stack, &word).await;
    assert_eq!(stored.len(), 3);
    assert!(stored.iter().all(|event| event.user_id == Some(person.user_id)), "{stored:?}");
    // A token is no part of an event.
    let query = "select count(*) from public.analytics where event_data::text like '%eyJ%'";
    assert_eq!(stack.database().await.query_one(query, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn two_different_tokens_are_refused_and_one_given_twice_is_one() {
    let stack = Stack::running();
    let (person, other, word) = (Person::new(&stack).await, Person::new(&stack).await, word());
    let mut body = event(&word);
    body["access_token"] = json!(person.token);
    counted(&person.track(&body).await, 1, 0);
    let problem = assert_problem(&other.track(&body).await, 422, "validation_failed");
    assert_eq!(faults(&problem)[0].0, "/access_token");
    assert_eq!(count(&stack, &word).await, 1);
}

#[tokio::test]
async fn a_token_in_the_url_is_refused() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    let target = format!("?beacon=1&access_token={}", person.token);
    let answer = visitor.call("POST", "analytics", &target).json(&event(&word)).send().await;
    let problem = assert_problem(&answer, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/access_token".to_owned(), "unknown_field".to_owned())]);
    assert_eq!(count(&stack, &word).await, 0);
}

#[tokio::test]
async fn a_summary_is_what_the_database_says_of_the_callers_own_rows() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    counted(&person.track(&json!({ "events": events(3, "") })).await, 3, 0);
    let summary = person.call("GET", "analytics", "/summary?days=30").send().await;
    assert_eq!(summary.status, 200, "{}", summary.text());
    let direct = person.rest("POST", "rpc/get_analytics_summary").json(&json!({ "days": 30 })).send().await;
    assert_eq!(summary.json(), direct.json());
    assert_eq!(summary.json()["event_counts"], json!({ "step_completed": 3 }));
    assert_eq!(summary.json()["daily"][0]["count"], 3);
    let others = other.call("GET", "analytics", "/summary").send().await.json();
    assert_eq!(others["event_counts"], json!({}));
    for days in ["0", "366", "-1", "x", "", "7.5"] {
        let answer = person.call("GET", "analytics", &format!("/summary?days={days}")).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem)[0].0, "/days");
    }
    assert_problem(&Visitor(stack).call("GET", "analytics", "/summary").send().await, 401, "missing_token");
}

/// The lines with this message: whose, with which session.
async fn lines(stack: &Stack, message: &str) -> Vec<(Option<Uuid>, Option<Uuid>)> {
    let query = "select user_id, session_id from public.system_logs where message = $1";
    let rows = stack.database().await.query(query, &[&message]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_line_is_logged_once_by_people_and_by_visitors() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let key = Uuid::new_v4().to_string();
    let line = json!({ "log_level": "ERROR", "component": "composer", "message": word, "session_id": session_id,
        "error_trace": "at composer.js:7" });
    let mut with_id = line.clone();
    with_id["id"] = json!(key);
    for body in [&line, &line, &with_id] {
        let answer = person.call("POST", "analytics", "/logs").header("idempotency-key", &key).json(body).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (201, &json!(key)), "{}", answer.text());
        assert_eq!(sent_with(answer.header("x-request-id")).len(), 1);
    }
    assert_eq!(lines(&stack, &word).await, [(Some(person.user_id), Some(session_id))]);
    let answer = visitor.call("POST", "analytics", "/logs").json(&line).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(Uuid::try_parse(answer.json()["id"].as_str().unwrap()).is_ok());
    assert!(lines(&stack, &word).await.contains(&(None, None)), "a visitor has no session");
}

#[tokio::test]
async fn every_invalid_field_of_a_line_is_named() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    for (member, value) in [
        ("log_level", json!("info")),
        ("log_level", Value::Null),
        ("component", json!("")),
        ("component", json!("x".repeat(129))),
        ("message", json!("  ")),
        ("message", json!("x".repeat(4001))),
        ("session_id", json!("1")),
        ("error_trace", json!("x".repeat(16_001))),
        ("error_trace", json!({})),
        ("id", json!("1")),
        ("user_id", json!(Uuid::new_v4())),
    ] {
        let mut line = json!({ "log_level": "INFO", "component": "c", "message": word });
        line[member] = value;
        let answer = person.call("POST", "analytics", "/logs").json(&line).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        let pointers: Vec<_> = faults(&problem).into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, [format!("/{member}")]);
    }
    assert_eq!(lines(&person.stack, &word).await, []);
}
