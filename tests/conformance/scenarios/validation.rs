//! Bad input: refused with the field's name, and nothing written.

use conformance::assertions::{assert_problem, faults};
use conformance::client::call;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use hyper::body::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[tokio::test]
async fn every_invalid_field_is_named() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let long = |length: usize| json!("x".repeat(length));
    for (member, value, code) in [
        ("id", json!("1"), "invalid_uuid"),
        ("id", json!(1), "wrong_type"),
        ("id", json!("{018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e}"), "invalid_uuid"),
        ("session_id", Value::Null, "required"),
        ("session_id", json!(""), "invalid_uuid"),
        ("session_id", json!(["018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e"]), "wrong_type"),
        ("role", Value::Null, "required"),
        ("role", json!("assistant"), "not_allowed"),
        ("role", json!("USER"), "not_allowed"),
        ("role", json!(true), "wrong_type"),
        ("message", Value::Null, "required"),
        ("message", json!(""), "blank"),
        ("message", json!(" \t\n\u{a0}\u{2003}\u{3000}"), "blank"),
        ("message", json!("a\u{0}b"), "nul_character"),
        ("message", json!(7), "wrong_type"),
        ("message", long(1001), "too_long"),
        ("message", json!("\u{1F9F6}".repeat(1001)), "too_long"),
        ("meta", json!([]), "wrong_type"),
        ("meta", json!("{}"), "wrong_type"),
        ("meta", nested(17), "too_deep"),
        ("meta", nested(500), "too_deep"),
        ("meta", json!({ "a": long(8192) }), "too_large"),
        ("meta", json!({ "a": "\u{0}" }), "not_storable"),
        ("meta", json!({ "\u{0}": 1 }), "not_storable"),
        ("sesion_id", json!("x"), "unknown_field"),
        ("user_id", json!(Uuid::new_v4()), "unknown_field"),
        ("seq", json!(1), "unknown_field"),
        ("created_at", json!("2020-01-01T00:00:00Z"), "unknown_field"),
    ] {
        let mut sent = message(session_id, "hello");
        sent[member] = value;
        let problem = assert_problem(&person.save(&sent).await, 422, "validation_failed");
        assert_eq!(faults(&problem), [(format!("/{member}"), code.to_owned())], "{sent}");
    }
    assert_problem(&person.history(session_id, "").await, 404, "session_not_found");
}

#[tokio::test]
async fn what_json_can_say_and_jsonb_cannot_hold_is_refused() {
    let person = Person::new(&Stack::running()).await;
    for (member, code) in [
        (r#""message":"\ud800""#, "invalid_string"),
        (r#""message":"hi","meta":{"a":"\udc00"}"#, "not_storable"),
        (r#""message":"hi","meta":{"a":1e400}"#, "not_storable"),
        (r#""message":"hi","message":"ho""#, "duplicate_field"),
    ] {
        let body = format!(r#"{{"session_id":"{}","role":"user",{member}}}"#, Uuid::new_v4());
        let answer = person.call("POST", "chat-message", "").body("application/json", body.clone()).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem)[0].1, code, "{body}");
    }
}

#[tokio::test]
async fn limits_themselves_are_allowed() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let user =
        json!({ "session_id": session_id, "role": "user", "message": "\u{1F9F6}".repeat(1000), "meta": nested(16) });
    let bot = json!({ "session_id": session_id, "role": "bot", "message": "\u{1F9F6}".repeat(8000) });
    let meta = json!({ "session_id": session_id, "role": "system", "message": "x", "meta": { "a": "x".repeat(8184) } });
    for sent in [user, bot, meta] {
        let answer = person.save(&sent).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.json()["message"]["message"], sent["message"]);
    }
}

#[tokio::test]
async fn malformed_json_is_located() {
    let person = Person::new(&Stack::running()).await;
    for (body, place) in [
        ("{\n  \"role\": user\n}", "line 2, column 11"),
        ("", "line 1"),
        ("{\"a\":1,}", "line 1, column 8"),
        ("{} {}", "line 1, column 4"),
        ("{\"a\":\"\t\"}", "line 1"),
    ] {
        let answer = person.call("POST", "chat-message", "").body("application/json", body).send().await;
        let problem = assert_problem(&answer, 400, "invalid_json");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{body:?}: {problem}");
    }
    let not_utf8 = Bytes::from_static(b"{\"message\":\"\xff\"}");
    let answer = person.call("POST", "chat-message", "").body("application/json", not_utf8).send().await;
    assert_problem(&answer, 400, "invalid_json");
    for body in ["[]", "\"x\"", "1", "null"] {
        let answer = person.call("POST", "chat-message", "").body("application/json", body).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem), [(String::new(), "wrong_type".to_owned())]);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_is_sent() {
    let person = Person::new(&Stack::running()).await;
    let padded = |length: usize| {
        let json = message(Uuid::new_v4(), "hello").to_string();
        let padding = " ".repeat(length - json.len());
        Bytes::from(json + &padding)
    };
    let whole = |length| person.call("POST", "chat-message", "").body("application/json", padded(length)).send();
    assert_eq!(whole(512 * 1024).await.status, 201);
    assert_problem(&whole(512 * 1024 + 1).await, 413, "body_too_large");
    let chunked = |length| {
        let chunks = padded(length).chunks(1000).map(Bytes::copy_from_slice).collect();
        person.call("POST", "chat-message", "").chunks("application/json", chunks).send()
    };
    assert_eq!(chunked(512 * 1024).await.status, 201);
    assert_problem(&chunked(512 * 1024 + 1).await, 413, "body_too_large");
    assert_problem(&chunked(2 * 1024 * 1024).await, 413, "body_too_large");
}

#[tokio::test]
async fn media_types_other_than_json_are_refused() {
    let person = Person::new(&Stack::running()).await;
    let send = |media_type: &str| {
        person.call("POST", "chat-message", "").body(media_type, message(Uuid::new_v4(), "hi").to_string()).send()
    };
    assert_eq!(send("application/json; charset=utf-8").await.status, 201);
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"] {
        assert_problem(&send(media_type).await, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_but_the_gateways_own_are_not() {
    let person = Person::new(&Stack::running()).await;
    let send = |query: &str| person.call("POST", "chat-message", query).json(&message(Uuid::new_v4(), "hi")).send();
    assert_eq!(send("?forceFunctionRegion=eu-west-1").await.status, 201);
    let problem = assert_problem(&send("?session=1").await, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/session".to_owned(), "unknown_field".to_owned())]);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    assert_problem(&person.call("GET", "chat-message", "/nowhere").send().await, 404, "not_found");
    for method in ["PUT", "PATCH", "DELETE"] {
        let answer = person.call(method, "chat-message", "").send().await;
        assert_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), "GET, HEAD, POST, OPTIONS");
    }
    let health = call("GET", format!("{}/health", stack.function("chat-message"))).send().await;
    assert_eq!(health.status, 200);
    assert_eq!(
        health.json(),
        json!({ "status": "ok", "function": "chat-message", "version": env!("CARGO_PKG_VERSION") })
    );
}
