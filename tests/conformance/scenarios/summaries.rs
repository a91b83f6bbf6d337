//! Summaries: the latest of each type of a session.

use conformance::assertions::{assert_problem, faults};
use conformance::client::Answer;
use conformance::person::Person;
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

fn summary(session_id: Uuid, summary_type: &str, summary_data: Value) -> Value {
    json!({ "session_id": session_id, "summary_type": summary_type, "summary_data": summary_data })
}

#[tokio::test]
async fn the_latest_of_each_type_is_kept() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    for summary_type in ["partial", "complete", "llm_context"] {
        let mut times = Vec::new();
        for (n, status) in [(1, 201), (2, 200), (3, 200)] {
            let put = person.rpc("put_session_summary", &summary(session_id, summary_type, json!({ "n": n }))).await;
            assert_eq!(put.status, status, "{}", put.text());
            let stored = put.json();
            assert_eq!((&stored["summary_type"], &stored["summary_data"]), (&json!(summary_type), &json!({ "n": n })));
            assert_eq!(stored.as_object().unwrap().len(), 4);
            let asked = json!({ "session_id": session_id, "summary_type": summary_type });
            assert_eq!(person.rpc("get_session_summary", &asked).await.json(), stored);
            times.push(stored["generated_at"].as_str().unwrap().to_owned());
        }
        assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    }
}

#[tokio::test]
async fn a_summary_makes_no_session_and_is_nobody_elses() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let (session_id, none) = (Uuid::new_v4(), Uuid::new_v4());
    person.say(session_id, "hello").await;
    let code = |answer: Answer| (answer.status.as_u16(), answer.json()["message"].as_str().unwrap().to_owned());
    for (who, of) in [(&person, none), (&stranger, none), (&stranger, session_id)] {
        let put = who.rpc("put_session_summary", &summary(of, "partial", json!({}))).await;
        assert_eq!(code(put), (404, "session_not_found".to_owned()));
        let asked = json!({ "session_id": of, "summary_type": "partial" });
        assert_eq!(code(who.rpc("get_session_summary", &asked).await), (404, "session_not_found".to_owned()));
    }
    assert_eq!(person.rpc("get_session", &json!({ "session_id": none })).await.status, 404);
    for summary_type in ["partial", "no_such_type"] {
        let asked = json!({ "session_id": session_id, "summary_type": summary_type });
        assert_eq!(code(person.rpc("get_session_summary", &asked).await), (404, "summary_not_found".to_owned()));
    }
}

#[tokio::test]
async fn no_way_in_takes_a_summary_that_breaks_a_rule() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    let long = |length: usize| json!({ "a": "x".repeat(length) });
    for (summary_type, summary_data) in [
        ("final", json!({})),
        ("Partial", json!({})),
        ("partial", json!([])),
        ("partial", json!("{}")),
        ("partial", Value::Null),
        ("partial", deep(17)),
        ("partial", long(131_072)),
    ] {
        for target in ["session_summaries", "rpc/put_session_summary"] {
            let row = summary(session_id, summary_type, summary_data.clone());
            let answer = person.rest("POST", target).json(&row).send().await;
            assert_eq!(answer.status, 400, "{target} {summary_type}: {}", answer.text());
        }
    }
    for (summary_data, status) in [(deep(16), 201), (long(131_000), 200)] {
        let answer = person.rpc("put_session_summary", &summary(session_id, "partial", summary_data)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn past_the_function_a_summary_is_replaced_at_the_servers_time() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let first = person.rpc("put_session_summary", &summary(session_id, "partial", json!({ "n": 1 }))).await.json();
    let target = format!("session_summaries?session_id=eq.{session_id}");
    let change = json!({ "summary_data": { "n": 2 } });
    let elses = stranger.rest("PATCH", &target).header("prefer", "return=representation").json(&change).send().await;
    assert_eq!(elses.json(), json!([]));
    let mine = person.rest("PATCH", &target).header("prefer", "return=representation").json(&change).send().await;
    let stored = mine.json()[0].clone();
    assert_eq!(stored["summary_data"], json!({ "n": 2 }));
    assert!(stored["generated_at"].as_str() > first["generated_at"].as_str());
    for (column, value) in [
        ("generated_at", json!("2999-01-01T00:00:00Z")),
        ("summary_type", json!("complete")),
        ("session_id", json!(Uuid::new_v4())),
    ] {
        assert_eq!(person.rest("PATCH", &target).json(&json!({ column: value })).send().await.status, 403, "{column}");
    }
    let mut row = summary(session_id, "complete", json!({}));
    row["generated_at"] = json!("2999-01-01T00:00:00Z");
    assert_eq!(person.rest("POST", "session_summaries").json(&row).send().await.status, 403);
    assert_eq!(person.rest("DELETE", &target).send().await.status, 403);
}

#[tokio::test]
async fn of_many_first_summaries_at_once_one_is_the_first() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let all = (0..20).map(|n| summary(session_id, "complete", json!({ "n": n }))).collect::<Vec<_>>();
    let answers = join_all(all.iter().map(|one| person.rpc("put_session_summary", one))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    let mut expected = vec![200; 19];
    expected.push(201);
    assert_eq!(statuses, expected, "{:?}", answers.iter().map(Answer::text).collect::<Vec<_>>());
}

#[tokio::test]
async fn summaries_are_put_and_read_over_http() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let target = format!("/sessions/{session_id}/summaries/llm_context");
    assert_problem(&person.call("GET", "chat-message", &target).send().await, 404, "summary_not_found");
    for (n, status) in [(1, 201), (2, 200)] {
        let body = json!({ "summary_data": { "n": n, "nested": { "list": [1.50, null] } } });
        let put = person.call("PUT", "chat-message", &target).json(&body).send().await;
        assert_eq!(put.status, status, "{}", put.text());
        let stored = put.json();
        assert_eq!((&stored["session_id"], &stored["summary_type"]), (&json!(session_id), &json!("llm_context")));
        assert_eq!(stored["summary_data"], body["summary_data"]);
        assert_eq!(stored.as_object().unwrap().len(), 4);
        let got = person.call("GET", "chat-message", &target).send().await;
        assert_eq!((got.status.as_u16(), got.json()), (200, stored));
    }
    let body = json!({ "summary_data": {} });
    for (who, of) in [(&stranger, session_id), (&person, Uuid::new_v4())] {
        let target = format!("/sessions/{of}/summaries/partial");
        assert_problem(&who.call("PUT", "chat-message", &target).json(&body).send().await, 404, "session_not_found");
        assert_problem(&who.call("GET", "chat-message", &target).send().await, 404, "session_not_found");
    }
    let no_such_type = format!("/sessions/{session_id}/summaries/final");
    assert_problem(&person.call("PUT", "chat-message", &no_such_type).json(&body).send().await, 404, "not_found");
    assert_problem(&person.call("GET", "chat-message", &no_such_type).send().await, 404, "not_found");
    let wrong = person.call("PUT", "chat-message", "/sessions/1/summaries/partial").json(&body).send().await;
    assert_eq!(
        faults(&assert_problem(&wrong, 422, "validation_failed")),
        [("/session_id".to_owned(), "invalid_uuid".to_owned())]
    );
    for (body, pointer, code) in [
        (json!({}), "/summary_data", "required"),
        (json!({ "summary_data": [] }), "/summary_data", "wrong_type"),
        (json!({ "summary_data": "{}" }), "/summary_data", "wrong_type"),
        (json!({ "summary_data": {}, "generated_at": 1 }), "/generated_at", "unknown_field"),
    ] {
        let answer = person.call("PUT", "chat-message", &target).json(&body).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
    let large = json!({ "summary_data": { "a": "x".repeat(64 * 1024) } });
    let answer = person.call("PUT", "chat-message", &target).json(&large).send().await;
    let problem = assert_problem(&answer, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/summary_data".to_owned(), "too_large".to_owned())]);
}
