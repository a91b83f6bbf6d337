//! Saving: once, again, at once, and with an id that is taken.

use conformance::assertions::assert_problem;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

/// How many messages a session really has, and when it was last active.
async fn stored(stack: &Stack, session_id: Uuid) -> (i64, String) {
    let row = stack
        .database()
        .await
        .query_one(
            "select (select count(*) from public.chat_history where session_id = $1), last_activity::text
             from public.sessions where session_id = $1",
            &[&session_id],
        )
        .await
        .unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_message_is_saved_with_its_session() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let (session_id, id) = (Uuid::new_v4(), Uuid::new_v4());
    let sent = json!({
        "id": id, "session_id": session_id, "role": "user", "message": "  Hello, \u{1F9F6}\n", "meta": { "k": [1.50, null] }
    });
    let answer = person.save(&sent).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let saved = answer.json();
    let message = &saved["message"];
    assert_eq!(message["id"], id.to_string());
    assert_eq!(message["session_id"], session_id.to_string());
    assert_eq!(message["role"], "user");
    assert_eq!(message["message"], "Hello, \u{1F9F6}");
    assert_eq!(message["meta"], json!({ "k": [1.50, null] }));
    assert_eq!(message["seq"], 1);
    assert!(message["created_at"].is_string());
    assert_eq!(message["written_by"], "caller");
    assert_eq!(message.as_object().unwrap().len(), 8);
    let session = &saved["session"];
    assert_eq!(session["session_id"], session_id.to_string());
    assert_eq!(session["fsm_state"], "welcome");
    assert_eq!(session["version"], 0);
    assert_eq!(session["completed"], false);
    assert!(session["created_at"].is_string() && session["last_activity"].is_string());
    assert_eq!(session.as_object().unwrap().len(), 9);
    assert_eq!(saved["replayed"], false);

    let owner: Uuid = stack
        .database()
        .await
        .query_one("select user_id from public.sessions where session_id = $1", &[&session_id])
        .await
        .unwrap()
        .get(0);
    assert_eq!(owner, person.user_id);
}

#[tokio::test]
async fn location_leads_to_the_message() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "one").await;
    let answer = person.save(&message(session_id, "two")).await;
    person.say(session_id, "three").await;
    let found = person.call("GET", "chat-message", answer.header("location")).send().await.json();
    assert_eq!(found["messages"].as_array().unwrap().len(), 1);
    assert_eq!(found["messages"][0], answer.json()["message"]);
}

#[tokio::test]
async fn the_same_message_again_is_replayed_and_writes_nothing() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let sent = message(session_id, "hello");
    let first = person.save(&sent).await.json();
    let before = stored(&stack, session_id).await;
    for _ in 0..3 {
        let answer = person.save(&sent).await;
        assert_eq!(answer.status, 200);
        let again = answer.json();
        assert_eq!(again["replayed"], true);
        assert_eq!(again["message"], first["message"]);
    }
    assert_eq!(stored(&stack, session_id).await, before);
}

#[tokio::test]
async fn an_id_does_not_stand_for_two_messages() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let sent = message(session_id, "hello");
    person.save(&sent).await;
    for (member, other) in [("message", json!("goodbye")), ("role", json!("bot")), ("meta", json!({ "a": 1 }))] {
        let mut reused = sent.clone();
        reused[member] = other;
        assert_problem(&person.save(&reused).await, 409, "id_reused");
    }
    let kept = person.history(session_id, "").await.json();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 1);
    assert_eq!(kept["messages"][0]["message"], "hello");
}

#[tokio::test]
async fn ids_are_scoped_to_their_session() {
    let person = Person::new(&Stack::running()).await;
    let sent = message(Uuid::new_v4(), "hello");
    person.save(&sent).await;
    let mut elsewhere = sent.clone();
    elsewhere["session_id"] = json!(Uuid::new_v4());
    assert_eq!(person.save(&elsewhere).await.status, 201);
    // Nor does another person learn that the id is taken.
    let stranger = Person::new(&Stack::running()).await;
    elsewhere["session_id"] = json!(Uuid::new_v4());
    assert_eq!(stranger.save(&elsewhere).await.status, 201);
}

#[tokio::test]
async fn the_very_first_messages_of_a_session_may_come_at_once() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let answers = join_all((0..40).map(|n| {
        // Of the bot: it may send more than thirty in a minute.
        let mut sent = message(session_id, &format!("message {n}"));
        sent["role"] = json!("bot");
        let person = person.clone();
        async move { person.save(&sent).await }
    }))
    .await;
    let mut places: Vec<u64> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 201, "{}", answer.text());
            answer.json()["message"]["seq"].as_u64().unwrap()
        })
        .collect();
    places.sort_unstable();
    assert_eq!(places, (1..=40).collect::<Vec<_>>(), "seq has no gap and no repeat");
}

#[tokio::test]
async fn the_same_message_twenty_times_at_once_is_one_message() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let sent = message(session_id, "hello");
    let answers = join_all((0..20).map(|_| {
        let (person, sent) = (person.clone(), sent.clone());
        async move { person.save(&sent).await }
    }))
    .await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let replayed = answers.iter().filter(|answer| answer.status == 200 && answer.json()["replayed"] == true).count();
    assert_eq!((created, replayed), (1, 19));
    assert_eq!(stored(&stack, session_id).await.0, 1);
}

#[tokio::test]
async fn saving_never_touches_an_old_sessions_state() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    let next = json!({ "session_id": session_id, "event": "next_step" });
    assert_eq!(person.call("POST", "fsm-transition", "").json(&next).send().await.status, 200);
    let session = person.say(session_id, "again").await["session"].clone();
    assert_eq!((&session["fsm_state"], &session["version"]), (&json!("support_people"), &json!(1)));
}

#[tokio::test]
async fn last_activity_moves_with_every_message() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let at = |saved: &Value| saved["session"]["last_activity"].as_str().unwrap().to_owned();
    let first = at(&person.say(session_id, "one").await);
    let second = at(&person.say(session_id, "two").await);
    assert!(second > first, "{second} > {first}");
}

#[tokio::test]
async fn the_id_may_be_the_idempotency_key_or_none_at_all() {
    let person = Person::new(&Stack::running()).await;
    let (session_id, id) = (Uuid::new_v4(), Uuid::new_v4());
    let sent = json!({ "session_id": session_id, "role": "user", "message": "hello" });
    let with_key = || person.call("POST", "chat-message", "").header("idempotency-key", id.to_string()).json(&sent);
    let first = with_key().send().await;
    assert_eq!((first.status.as_u16(), &first.json()["message"]["id"]), (201, &json!(id)));
    assert_eq!(with_key().send().await.json()["replayed"], true);

    let made: Uuid = person.save(&sent).await.json()["message"]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(made.get_version_num(), 7);
}
