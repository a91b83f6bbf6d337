//! Who may do what: tokens at the function, Row Level Security behind it.

use conformance::assertions::assert_problem;
use conformance::client::{Answer, call};
use conformance::person::{Person, message};
use conformance::stack::Stack;
use devstack::keys::token::{Algorithm, TokenOptions};
use serde_json::{Value, json};
use uuid::Uuid;

/// The number of sessions there are with this id, whoever owns them.
async fn sessions(stack: &Stack, session_id: Uuid) -> i64 {
    let count = "select count(*) from public.sessions where session_id = $1";
    stack.database().await.query_one(count, &[&session_id]).await.unwrap().get(0)
}

#[tokio::test]
async fn without_a_token_there_is_no_access() {
    let stack = Stack::running();
    let session_id = Uuid::new_v4();
    for (method, target) in [("POST", String::new()), ("GET", format!("?session_id={session_id}"))] {
        let answer = call(method, format!("{}{target}", stack.function("chat-message")))
            .header("apikey", &stack.publishable_key)
            .json(&message(session_id, "hello"))
            .send()
            .await;
        assert_problem(&answer, 401, "missing_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(sessions(&stack, session_id).await, 0);
}

#[tokio::test]
async fn an_api_key_is_not_a_token() {
    let stack = Stack::running();
    for key in [stack.publishable_key.as_str(), "sb_secret_abcdefghijklmnop"] {
        let answer = call("POST", stack.function("chat-message"))
            .header("authorization", format!("Bearer {key}"))
            .json(&message(Uuid::new_v4(), "hello"))
            .send()
            .await;
        assert_problem(&answer, 401, "api_key_as_token");
        assert!(!answer.text().contains(key));
    }
}

#[tokio::test]
async fn forged_expired_and_misdirected_tokens_are_refused_and_write_nothing() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let options = TokenOptions { sub: Some(person.user_id.to_string()), ..TokenOptions::default() };
    let with = |claims: Value| TokenOptions { claims: claims.as_object().unwrap().clone(), ..options.clone() };
    let stranger = devstack::keys::StackKey::generate();
    let mut tampered = stack.mint(&options);
    let payload = tampered.find('.').unwrap() + 10;
    let swapped = if tampered.as_bytes()[payload] == b'A' { "B" } else { "A" };
    tampered.replace_range(payload..=payload, swapped);
    for (token, status, code) in [
        (stack.mint(&TokenOptions { ttl: -1, ..options.clone() }), 401, "token_expired"),
        (stack.mint(&TokenOptions { role: "service_role".into(), ..options.clone() }), 403, "role_not_allowed"),
        (stack.mint(&TokenOptions { role: "anon".into(), ..options.clone() }), 403, "role_not_allowed"),
        (stack.mint(&TokenOptions { role: "postgres".into(), ..options.clone() }), 403, "role_not_allowed"),
        (stack.mint(&TokenOptions { algorithm: Algorithm::None, ..options.clone() }), 401, "unknown_key"),
        (stack.mint(&TokenOptions { algorithm: Algorithm::Hs256, ..options.clone() }), 401, "unsupported_algorithm"),
        (stack.mint(&with(json!({ "exp": null }))), 401, "invalid_claims"),
        (stack.mint(&with(json!({ "sub": "someone" }))), 401, "invalid_claims"),
        (stack.mint(&with(json!({ "iss": "https://other.example/auth/v1" }))), 401, "wrong_issuer"),
        (stack.mint(&with(json!({ "aud": "other" }))), 401, "wrong_audience"),
        (devstack::keys::token::mint(&stranger, &stack.api_url, &options).unwrap(), 401, "unknown_key"),
        (tampered, 401, "bad_signature"),
        ("a.b.c".to_owned(), 401, "malformed_token"),
        ("x".repeat(8193), 401, "token_too_large"),
    ] {
        let impostor = Person { token, ..person.clone() };
        assert_problem(&impostor.save(&message(session_id, "hello")).await, status, code);
    }
    assert_eq!(sessions(&stack, session_id).await, 0);
    // Signed with the issuer's other key they are let in by the edge and by PostgREST alike.
    let rs256 = TokenOptions { algorithm: Algorithm::Rs256, ..options.clone() };
    let other_key = Person { token: stack.mint(&rs256), ..person.clone() };
    other_key.say(Uuid::new_v4(), "hello").await;
    // The same claims honestly signed are let in: it was not something else that refused them.
    let honest = Person { token: stack.mint(&options), ..person };
    honest.say(session_id, "hello").await;
}

#[tokio::test]
async fn someone_elses_session_looks_like_one_that_does_not_exist() {
    let stack = Stack::running();
    let (owner, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    let saved = owner.say(session_id, "private").await;

    assert_problem(&stranger.save(&message(session_id, "hello")).await, 404, "session_not_found");
    let mut copied = message(session_id, "private");
    copied["id"] = saved["message"]["id"].clone();
    assert_problem(&stranger.save(&copied).await, 404, "session_not_found");

    let without_id = |answer: Answer| {
        let mut problem = assert_problem(&answer, 404, "session_not_found");
        problem["request_id"] = Value::Null;
        problem
    };
    let elses = without_id(stranger.history(session_id, "").await);
    assert_eq!(elses, without_id(stranger.history(Uuid::new_v4(), "").await));
    let kept = owner.history(session_id, "").await.json();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn past_the_function_a_row_is_invisible_and_untouchable_to_others() {
    let stack = Stack::running();
    let (owner, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    owner.say(session_id, "private").await;

    for table in ["chat_history", "sessions"] {
        let target = format!("{table}?session_id=eq.{session_id}");
        assert_eq!(owner.rest("GET", &target).send().await.json().as_array().unwrap().len(), 1);
        assert_eq!(stranger.rest("GET", &target).send().await.json(), json!([]));
        let anonymous = call("GET", format!("{}/rest/v1/{target}", stack.api_url))
            .header("apikey", &stack.publishable_key)
            .send()
            .await;
        assert_eq!(anonymous.status, 401, "{}", anonymous.text());
        // The owner may delete a whole session, and nobody one message of it.
        let stranger_may = if table == "sessions" { 204 } else { 403 };
        assert_eq!(stranger.rest("DELETE", &target).send().await.status, stranger_may, "{table}");
        assert_eq!(owner.rest("GET", &target).send().await.json().as_array().unwrap().len(), 1, "{table}");
    }
    let one = format!("chat_history?session_id=eq.{session_id}");
    assert_eq!(owner.rest("DELETE", &one).send().await.status, 403);
    let history = format!("chat_history?session_id=eq.{session_id}");
    for person in [&owner, &stranger] {
        let answer = person.rest("PATCH", &history).json(&json!({ "message": "changed" })).send().await;
        assert_eq!(answer.status, 403, "history is append-only: {}", answer.text());
    }
    let answer = stranger
        .rest("PATCH", &format!("sessions?session_id=eq.{session_id}"))
        .header("prefer", "return=representation")
        .json(&json!({ "last_activity": "2020-01-01T00:00:00Z" }))
        .send()
        .await;
    assert_eq!(answer.json(), json!([]));
    let forged = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": "forged" });
    assert_eq!(stranger.rest("POST", "chat_history").json(&forged).send().await.status, 404);
    for call in [
        stranger.rest("POST", "rpc/save_message").json(&forged),
        stranger.rest("POST", "rpc/get_history").json(&json!({ "session_id": session_id })),
    ] {
        assert_eq!(call.send().await.status, 404);
    }
    let kept = owner.history(session_id, "").await.json();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 1);
    assert_eq!(kept["messages"][0]["message"], "private");
}

#[tokio::test]
async fn anonymous_callers_cannot_call_the_database_functions() {
    let stack = Stack::running();
    for (function, arguments) in
        [("save_message", message(Uuid::new_v4(), "hello")), ("get_history", json!({ "session_id": Uuid::new_v4() }))]
    {
        let answer = call("POST", format!("{}/rest/v1/rpc/{function}", stack.api_url))
            .header("apikey", &stack.publishable_key)
            .json(&arguments)
            .send()
            .await;
        assert_eq!(answer.status, 401, "{function}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_deleted_users_token_writes_nothing() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let gone = "delete from auth.users where id = $1";
    stack.database().await.execute(gone, &[&person.user_id]).await.unwrap();
    let session_id = Uuid::new_v4();
    assert_problem(&person.save(&message(session_id, "hello")).await, 409, "conflict");
    assert_eq!(sessions(&stack, session_id).await, 0);
}
