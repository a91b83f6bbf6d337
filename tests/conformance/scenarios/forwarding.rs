//! What a function sends on, whatever it is sent: seen from upstream, in the record the stack keeps.

use conformance::capture::sent_with;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use serde_json::Value;
use uuid::Uuid;

/// What a browser, a proxy or an attacker may send along, and nobody upstream is to see. PostgREST would follow some
/// of it: another schema, another shape of the answer, a transaction that is rolled back.
const NOT_FORWARDED: [(&str, &str); 16] = [
    ("cookie", "sb-access-token=someone-elses; theme=dark"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-host", "attacker.example"),
    ("forwarded", "for=203.0.113.7"),
    ("x-real-ip", "203.0.113.7"),
    ("cf-connecting-ip", "203.0.113.7"),
    ("x-client-info", "supabase-js-web/2.0.0"),
    ("x-region", "eu-west-1"),
    ("prefer", "tx=rollback, return=minimal"),
    ("accept-profile", "auth"),
    ("content-profile", "auth"),
    ("range", "0-0"),
    ("x-http-method-override", "DELETE"),
    ("x-made-up", "decoy"),
    ("x-supabase-role", "service_role"),
    ("referer", "https://app.example/private?token=decoy"),
];

const TRACE: [(&str, &str); 2] = [
    ("traceparent", "00-0AF7651916CD43DD8448EB211C80319c-b7ad6b7169203331-01"),
    ("tracestate", "congo=t61rcWkgMzE,  rojo=00f067aa0ba902b7,a@b=~!#$%^&*()"),
];

#[tokio::test]
async fn nothing_a_caller_sends_along_travels_on() {
    let person = Person::new(&Stack::running()).await;
    let id = Uuid::new_v4().to_string();
    let mut call = person.call("POST", "chat-message", "").header("x-request-id", &id);
    for (name, value) in NOT_FORWARDED {
        call = call.header(name, value);
    }
    let answer = call.json(&message(Uuid::new_v4(), "hello")).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());

    let sent = sent_with(&id);
    assert_eq!(sent.len(), 1, "{sent:?}");
    for (name, value) in NOT_FORWARDED {
        let is_there = |(known, text): &(String, String)| known == name || text.contains(value);
        assert!(!sent[0].headers.iter().any(is_there), "{name} in {:?}", sent[0]);
    }
    assert_eq!(sent[0].all("authorization"), [format!("Bearer {}", person.token)]);
    assert_eq!(sent[0].all("apikey"), [person.stack.publishable_key.as_str()]);
}

#[tokio::test]
async fn the_request_id_and_the_trace_travel_on_as_they_came() {
    let person = Person::new(&Stack::running()).await;
    // Every character an id may have, and what makes this one findable: as long as an id may be.
    let id = &format!("{}--{}", ('!'..='~').collect::<String>(), Uuid::new_v4().simple());
    assert_eq!(id.len(), 128);
    let mut call = person.call("POST", "chat-message", "").header("x-request-id", id);
    for (name, value) in TRACE {
        call = call.header(name, value);
    }
    let answer = call.json(&message(Uuid::new_v4(), "hello")).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (201, id.as_str()), "{}", answer.text());
    let sent = sent_with(id);
    assert_eq!(sent.len(), 1, "{sent:?}");
    for (name, value) in TRACE {
        assert_eq!(sent[0].all(name), [value], "{name}");
    }
}

#[tokio::test]
async fn no_trace_is_made_up_for_a_caller_who_sends_none() {
    let person = Person::new(&Stack::running()).await;
    let answer = person.save(&message(Uuid::new_v4(), "hello")).await;
    let sent = sent_with(answer.header("x-request-id"));
    assert_eq!(sent.len(), 1, "{sent:?}");
    for (name, _) in TRACE {
        assert!(sent[0].all(name).is_empty(), "{:?}", sent[0]);
    }
}

#[tokio::test]
async fn a_caller_of_any_spelling_of_bearer_is_forwarded_with_the_token_byte_for_byte() {
    let person = Person::new(&Stack::running()).await;
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        let anonymous = conformance::client::call("POST", person.stack.function("chat-message"));
        let call = anonymous.header("authorization", format!("{scheme}   {}", person.token));
        let answer = call.json(&message(Uuid::new_v4(), "hello")).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let sent = sent_with(answer.header("x-request-id"));
        assert_eq!(sent[0].all("authorization"), [format!("Bearer {}", person.token)]);
    }
}

#[tokio::test]
async fn a_replay_and_a_page_are_one_request_each_and_a_refusal_is_none() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let body = message(session_id, "hello");
    let upstream = |answer: &conformance::client::Answer| sent_with(answer.header("x-request-id")).len();
    for status in [201, 200] {
        let answer = person.save(&body).await;
        assert_eq!((answer.status.as_u16(), upstream(&answer)), (status, 1));
    }
    assert_eq!(upstream(&person.history(session_id, "").await), 1);
    let nobody = Person { token: "a.b.c".to_owned(), ..person.clone() };
    for (answer, status) in [
        (nobody.save(&body).await, 401),
        (person.save(&Value::Null).await, 422),
        (person.call("DELETE", "chat-message", "").send().await, 405),
        (person.call("GET", "chat-message", "/health").send().await, 200),
    ] {
        assert_eq!((answer.status.as_u16(), upstream(&answer)), (status, 0), "{}", answer.text());
    }
}
