//! What a product builds on a conversation: long replies with their parts, what is new, titles, and who wrote what.

use conformance::assertions::{assert_problem, faults};
use conformance::client::call;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use devstack::keys::token::TokenOptions;
use serde_json::{Value, json};
use uuid::Uuid;

/// Somebody who holds the service key.
fn backend(stack: &Stack, person: &Person) -> Person {
    let token = stack.mint(&TokenOptions { role: "service_role".into(), ..TokenOptions::default() });
    Person { token, ..person.clone() }
}

fn said(session_id: Uuid, role: &str, text: &str) -> Value {
    let mut said = message(session_id, text);
    said["role"] = json!(role);
    said
}

#[tokio::test]
async fn a_bots_long_reply_with_its_parts_is_kept_as_it_was_written() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut reply = said(session_id, "bot", &"x".repeat(20_000));
    let text = "y".repeat(30_000);
    reply["parts"] = json!([{ "type": "text", "text": text, "n": 1.50 }]);
    reply["written_at"] = json!("2026-11-27T23:59:59.5+09:30");
    let body = reply.to_string().replace("1.5", "1.50");
    let saved = person.call("POST", "chat-message", "").body("application/json", body).send().await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    assert!(saved.text().contains("\"n\":1.50"), "as it was written");
    let saved = saved.json();
    assert_eq!(saved["message"]["parts"], reply["parts"]);
    assert_eq!(saved["message"]["written_at"], "2026-11-27T14:29:59.5+00:00");
    assert_eq!(saved["message"]["written_by"], "caller");
    // The same again is a replay; with other parts it is another message.
    assert_eq!(person.save(&reply).await.json()["replayed"], true);
    for (member, other) in [("parts", json!([])), ("written_at", json!("2026-11-27T00:00:00Z"))] {
        let mut other_reply = reply.clone();
        other_reply[member] = other;
        assert_problem(&person.save(&other_reply).await, 409, "id_reused");
    }
    assert_eq!(person.history(session_id, "").await.json()["messages"][0], saved["message"]);
}

#[tokio::test]
async fn no_way_in_takes_parts_or_a_length_over_the_limits() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
    for (role, member, value, code) in [
        ("bot", "message", json!("x".repeat(65_537)), "too_long"),
        ("user", "message", json!("x".repeat(1001)), "too_long"),
        ("bot", "parts", json!({}), "wrong_type"),
        ("bot", "parts", json!("[]"), "wrong_type"),
        ("bot", "parts", json!([deep]), "too_deep"),
        ("bot", "parts", json!(["x".repeat(256 * 1024)]), "too_large"),
        ("bot", "parts", json!(["\0"]), "not_storable"),
        ("bot", "written_at", json!("no time"), "invalid_date_time"),
    ] {
        let mut reply = said(session_id, role, "x");
        reply[member] = value;
        let problem = assert_problem(&person.save(&reply).await, 422, "validation_failed");
        assert_eq!(faults(&problem), [(format!("/{member}"), code.to_owned())]);
        if role == "user" {
            // The database holds 8000; the function's limit is configuration.
            reply[member] = json!("x".repeat(8001));
        }
        for target in ["chat_history", "rpc/save_message"] {
            let answer = person.rest("POST", target).json(&reply).send().await;
            assert_eq!(answer.status, 400, "{target} {role} {member}: {}", answer.text());
        }
    }
    assert_eq!(person.history(session_id, "").await.json()["last_seq"], 1);
}

#[tokio::test]
async fn what_is_newer_than_a_message_comes_oldest_first_with_its_intent_and_risk() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for n in 1..=7 {
        let mut reply = said(session_id, "bot", &format!("message {n}"));
        if n == 6 {
            reply["intent"] = json!({ "label": "worries", "method": "rule_based", "confidence": 0.5 });
            reply["risk"] = json!({ "label": "self_harm", "details": { "a": 1 } });
        }
        assert_eq!(person.save(&reply).await.status, 201);
    }
    let seqs = |page: &Value| -> Vec<i64> {
        page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
    };
    let page = person.history(session_id, "&after=4").await.json();
    assert_eq!((seqs(&page), &page["next"], &page["last_seq"]), (vec![5, 6, 7], &Value::Null, &json!(7)));
    let nothing = person.history(session_id, "&after=7").await.json();
    assert_eq!(nothing, json!({ "messages": [], "next": null, "last_seq": 7 }));
    // Page by page, by the cursor.
    let first = person.history(session_id, "&after=0&limit=3").await.json();
    assert_eq!(seqs(&first), [1, 2, 3]);
    let next = first["next"].as_str().unwrap();
    let second = person.history(session_id, &format!("&before={next}&limit=3")).await.json();
    assert_eq!(seqs(&second), [4, 5, 6]);

    let included = person.history(session_id, "&after=4&include=intent,risk").await.json();
    assert_eq!((&included["messages"][0]["intent"], &included["messages"][0]["risk"]), (&Value::Null, &Value::Null));
    assert_eq!(included["messages"][1]["intent"]["label"], "worries");
    assert_eq!(included["messages"][1]["risk"]["details"], json!({ "a": 1 }));
    let without = person.history(session_id, "&include=intent").await.json();
    assert!(without["messages"][0].get("risk").is_none() && without["messages"][0].get("intent").is_some());

    for (query, expected) in [
        (format!("&after=1&before={next}"), [("/after", "not_together")]),
        ("&after=1&order=desc".to_owned(), [("/after", "not_together")]),
        ("&include=mood".to_owned(), [("/include", "not_allowed")]),
    ] {
        let problem = assert_problem(&person.history(session_id, &query).await, 422, "validation_failed");
        assert_eq!(faults(&problem), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())), "{query}");
    }
}

#[tokio::test]
async fn a_list_of_sessions_is_a_sidebar() {
    let person = Person::new(&Stack::running()).await;
    let (talked, silent) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(person.rest("POST", "sessions").json(&json!({ "session_id": silent })).send().await.status, 201);
    person.say(talked, "hello").await;
    let long = "é".repeat(300);
    assert_eq!(person.save(&said(talked, "bot", &long)).await.status, 201);
    let target = format!("/sessions/{talked}");
    let patched = person.call("PATCH", "chat-message", &target);
    let patched = patched.json(&json!({ "title": "  School ", "meta": { "pinned": true } })).send().await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    assert_eq!((&patched.json()["title"], &patched.json()["meta"]), (&json!("School"), &json!({ "pinned": true })));

    let page = person.call("GET", "chat-message", "/sessions").send().await.json();
    let listed = &page["sessions"][0];
    assert_eq!((&listed["title"], &listed["message_count"]), (&json!("School"), &json!(2)));
    assert_eq!(listed["last_message"]["role"], "bot");
    assert_eq!(listed["last_message"]["preview"], "é".repeat(140));
    assert_eq!(
        (&page["sessions"][1]["message_count"], &page["sessions"][1]["last_message"]),
        (&json!(0), &Value::Null)
    );

    // What is not sent stays; null takes it away.
    let untitled = person.call("PATCH", "chat-message", &target).json(&json!({ "title": null })).send().await.json();
    assert_eq!((&untitled["title"], &untitled["meta"]), (&Value::Null, &json!({ "pinned": true })));
    for (body, pointer, code) in [
        (json!({ "title": "x".repeat(201) }), "/title", "too_long"),
        (json!({ "title": " " }), "/title", "blank"),
        (json!({ "meta": [] }), "/meta", "wrong_type"),
        (json!({ "fsm_state": "goals" }), "/fsm_state", "unknown_field"),
    ] {
        let answer = person.call("PATCH", "chat-message", &target).json(&body).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem), [(pointer.to_owned(), code.to_owned())], "{body}");
        if pointer != "/fsm_state" {
            let direct = person.rest("PATCH", &format!("sessions?session_id=eq.{talked}")).json(&body).send().await;
            assert_eq!(direct.status, 400, "{body}: {}", direct.text());
        }
    }
    let stranger = Person::new(&person.stack).await;
    let elses = stranger.call("PATCH", "chat-message", &target).json(&json!({ "title": "mine" })).send().await;
    assert_problem(&elses, 404, "session_not_found");
}

#[tokio::test]
async fn until_its_first_move_a_session_may_be_put_on_another_machine() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let mut named = message(session_id, "on another machine");
    named["machine"] = json!("check-in");
    let saved = person.save(&named).await;
    assert_eq!((saved.status.as_u16(), &saved.json()["session"]["machine"]), (201, &json!("check-in")));
    // Back and forth, by the other function, too.
    let moved = json!({ "session_id": session_id, "event": "next_step", "machine": "supportive-yarn" });
    let answer = person.call("POST", "fsm-transition", "").json(&moved).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["to"]), (200, &json!("support_people")), "{}", answer.text());
    // Now it stays.
    named["id"] = json!(Uuid::new_v4());
    let problem = assert_problem(&person.save(&named).await, 409, "machine_conflict");
    assert_eq!(problem["machine"], "supportive-yarn");
    named["machine"] = json!("no-such-machine");
    named["session_id"] = json!(Uuid::new_v4());
    assert_problem(&person.save(&named).await, 404, "machine_not_found");
}

#[tokio::test]
async fn a_backend_writes_into_a_persons_session_and_says_so() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let service = backend(&stack, &person);
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let mut reply = said(session_id, "bot", "a reply");
    reply["user_id"] = json!(person.user_id);
    reply["risk"] = json!({ "label": "self_harm" });
    let saved = service.rpc("save_message_as", &reply).await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    assert_eq!(
        (&saved.json()["message"]["written_by"], &saved.json()["message"]["seq"]),
        (&json!("service"), &json!(2))
    );
    assert_eq!(service.rpc("save_message_as", &reply).await.json()["replayed"], true);
    let page = person.history(session_id, "&include=risk").await.json();
    assert_eq!(page["messages"][0]["risk"]["label"], "self_harm");
    let events = person.rest("GET", &format!("analytics?session_id=eq.{session_id}&event_type=eq.risk_triggered"));
    assert_eq!(events.send().await.json()[0]["source"], "server");
    // Only into the person's own, and only by the service key.
    reply["user_id"] = json!(other.user_id);
    reply["id"] = json!(Uuid::new_v4());
    let elses = service.rpc("save_message_as", &reply).await;
    assert_eq!((elses.status.as_u16(), &elses.json()["message"]), (404, &json!("session_not_found")));
    assert_eq!(person.rpc("save_message_as", &reply).await.status, 403);
    let nobody = call("POST", format!("{}/rest/v1/rpc/save_message_as", stack.api_url));
    assert_eq!(nobody.header("apikey", &stack.publishable_key).json(&reply).send().await.status, 401);
    let deleted = person.call("DELETE", "chat-message", &format!("/sessions/{session_id}")).send().await;
    assert_eq!(deleted.status, 204);
    reply["user_id"] = json!(person.user_id);
    let late = service.rpc("save_message_as", &reply).await;
    assert_eq!((late.status.as_u16(), &late.json()["message"]), (410, &json!("session_deleted")));
}

/// In a transaction that is rolled back: the setting is everybody's.
#[tokio::test]
async fn where_a_backend_writes_the_bots_messages_callers_write_their_own_only() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let mut database = person.stack.database().await;
    let transaction = database.transaction().await.unwrap();
    let claims = json!({ "sub": person.user_id, "role": "authenticated" });
    let become_caller = format!(
        "update public.settings set value = 'service' where name = 'bot_messages_by';
         set local role authenticated; set local \"request.jwt.claims\" = '{claims}';"
    );
    transaction.batch_execute(&become_caller).await.unwrap();
    let save = "select public.save_message($1, gen_random_uuid(), $2, 'x')";
    transaction.query_one(save, &[&session_id, &"user"]).await.unwrap();
    for role in ["bot", "system"] {
        let attempt = transaction.execute("savepoint attempt", &[]).await;
        assert!(attempt.is_ok());
        let refused = transaction.query_one(save, &[&session_id, &role]).await.unwrap_err();
        let refused = refused.as_db_error().unwrap();
        assert_eq!((refused.code().code(), refused.message()), ("PT403", "role_not_allowed_here"));
        transaction.batch_execute("rollback to savepoint attempt").await.unwrap();
    }
    transaction.rollback().await.unwrap();
}
