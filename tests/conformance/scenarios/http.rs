//! What every answer carries, whoever asks for what.

use conformance::client::call;
use conformance::openapi;
use conformance::person::{Person, message};
use conformance::stack::{Stack, checkout};
use devstack::checkout::Function;
use uuid::Uuid;

#[tokio::test]
async fn a_request_id_is_echoed_when_it_is_one_and_made_when_it_is_not() {
    let person = Person::new(&Stack::running()).await;
    let echoed = |id: String| {
        let person = person.clone();
        async move {
            let call = person.call("GET", "chat-message", "/nowhere").header("x-request-id", id);
            call.send().await.header("x-request-id").to_owned()
        }
    };
    for id in ["r-1".to_owned(), "!\"#~".to_owned(), "x".repeat(128)] {
        assert_eq!(echoed(id.clone()).await, id);
    }
    for id in ["x".repeat(129), "a b".to_owned(), "\u{e9}".to_owned()] {
        let made = echoed(id.clone()).await;
        assert!(Uuid::try_parse(&made).is_ok(), "{id} became {made}");
    }
    let one = person.call("GET", "chat-message", "/nowhere").send().await;
    let two = person.call("GET", "chat-message", "/nowhere").send().await;
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn exchanges_are_held_to_the_openapi_documents() {
    let person = Person::new(&Stack::running()).await;
    for Function { name: function } in checkout().functions().unwrap() {
        let before = openapi::checked();
        person.call("GET", &function, "/health").send().await;
        assert!(openapi::checked() > before, "{function}");
    }
}

#[tokio::test]
async fn no_answer_may_be_cached_and_every_answer_says_how_long_it_took() {
    let person = Person::new(&Stack::running()).await;
    let saved = person.save(&message(Uuid::new_v4(), "hello")).await;
    let refused = person.call("POST", "chat-message", "").json(&serde_json::json!({})).send().await;
    for answer in [saved, refused] {
        assert_eq!(answer.header("cache-control"), "no-store");
        let timing = answer.header("server-timing");
        let names: Vec<_> = timing.split(", ").map(|metric| metric.split(";dur=").next().unwrap()).collect();
        assert_eq!(names, ["auth", "db", "total"], "{timing}");
        assert!(timing.split("dur=").skip(1).all(|rest| rest.starts_with(|c: char| c.is_ascii_digit())), "{timing}");
    }
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let answer = person.call("HEAD", "chat-message", &format!("?session_id={session_id}")).send().await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/json");
    let health = format!("{}/health", person.stack.function("chat-message"));
    assert_eq!(call("HEAD", health).send().await.status, 200);
}

#[tokio::test]
async fn options_without_a_preflight_tells_the_methods() {
    let answer = call("OPTIONS", Stack::running().function("chat-message")).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (204, "GET, HEAD, POST, OPTIONS"));
}
