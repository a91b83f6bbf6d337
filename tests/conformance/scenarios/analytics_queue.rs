//! The queue of docs/analytics.md in a real browser: two users, two tabs, pages that close, events that nobody takes.

use conformance::event::stored;
use conformance::person::Person;
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::analytics_browser::client;

/// Two people and a word for their events.
struct Two {
    stack: Stack,
    a: Person,
    b: Person,
    word: String,
}

impl Two {
    async fn new() -> Self {
        let stack = Stack::running();
        let (a, b) = (Person::new(&stack).await, Person::new(&stack).await);
        Self { stack, a, b, word: Uuid::new_v4().to_string() }
    }

    /// Plays a scenario, and returns what it saw.
    async fn play(&self, scenario: &str) -> Value {
        let more = [scenario, &self.a.token, &self.b.token];
        client(&self.stack, "queue-in-browser.mjs", &self.word, more).await
    }

    /// Each stored event: whose it is for the page, and whose it is in the database.
    async fn owners(&self) -> Vec<(String, &'static str)> {
        let name = |id: Option<Uuid>| match id {
            None => "visitor",
            Some(id) if id == self.a.user_id => "A",
            Some(id) if id == self.b.user_id => "B",
            Some(_) => "somebody else",
        };
        let mut owners: Vec<_> = stored(&self.stack, &self.word)
            .await
            .iter()
            .map(|event| (event.event_data["of"].as_str().unwrap_or_default().to_owned(), name(event.user_id)))
            .collect();
        owners.sort_unstable();
        owners
    }
}

#[tokio::test]
async fn each_users_queue_is_sent_with_their_token_only() {
    let two = Two::new().await;
    let seen = two.play("users").await;
    assert_eq!((&seen["left"], &seen["afterwards"]), (&json!(1), &json!(0)), "{seen:#}");
    for post in seen["posts"].as_array().unwrap() {
        assert!(post["of"].as_array().unwrap().iter().all(|of| *of == post["as"]), "{seen:#}");
    }
    let expected = [("A", "A"), ("B", "B"), ("visitor", "visitor")].map(|(of, owner)| (of.to_owned(), owner));
    assert_eq!(two.owners().await, expected);
}

#[tokio::test]
async fn an_event_of_a_page_that_closes_before_its_first_flush_is_one_row_of_its_user() {
    let two = Two::new().await;
    let seen = two.play("closing").await;
    assert_eq!(seen["left"], 0);
    assert_eq!(two.owners().await, vec![("A".to_owned(), "A"); 2]);
}

#[tokio::test]
async fn two_tabs_that_track_at_once_lose_nothing() {
    let two = Two::new().await;
    let seen = two.play("tabs").await;
    assert_eq!(seen["secure"], json!({ "hasLocks": true, "left": 0 }));
    assert_eq!(seen["insecure"], json!({ "hasLocks": false, "left": 0 }));
    let owners = two.owners().await;
    let count = |of| owners.iter().filter(|owner| **owner == (String::from(of), "A")).count();
    assert_eq!((count("secure"), count("insecure"), owners.len()), (800, 800, 1600));
}

#[tokio::test]
async fn an_event_that_can_never_be_stored_is_dropped_and_the_rest_is_sent() {
    let two = Two::new().await;
    let database = two.stack.database().await;
    assert_eq!(database.execute("delete from auth.users where id = $1", &[&two.a.user_id]).await.unwrap(), 1);
    let seen = two.play("poison").await;
    assert_eq!(seen["left"], 0, "{seen:#}");
    let dropped = |event_type, code| json!({ "event_type": event_type, "code": code });
    let expected = json!([
        dropped("llm_turn_completed", "too_large"),
        dropped("llm_turn_completed", "status_413"),
        dropped("Not a type", "invalid_event_type"),
    ]);
    assert_eq!(seen["dropped"], expected);
    assert_eq!(seen["deleted"], json!([dropped("llm_turn_completed", "conflict")]));
    assert_eq!(two.owners().await, vec![("B".to_owned(), "B"); 104]);
}

#[tokio::test]
async fn the_queue_waits_as_long_as_retry_after_says() {
    let two = Two::new().await;
    let seen = two.play("waiting").await;
    assert_eq!(seen["left"], 0);
    for one in seen["seen"].as_array().unwrap() {
        assert_eq!(one["asked"], 1, "{seen:#}");
        assert!(one["waited"].as_u64().unwrap() >= 2000, "{seen:#}");
    }
    assert_eq!(two.owners().await, vec![("A".to_owned(), "A"); 2]);
}

#[tokio::test]
async fn nothing_throws_where_storage_or_random_ids_are_missing() {
    let two = Two::new().await;
    let seen = two.play("without").await;
    assert_eq!(seen["fullness"], "QuotaExceededError");
    assert_eq!(seen["denial"], "SecurityError");
    assert_eq!(seen["randomUUID"], "undefined");
    assert_eq!(seen["left"], json!([0, 0, 0]));
    let expected = ["full", "idless", "refused"].map(|of| (of.to_owned(), "A"));
    assert_eq!(two.owners().await, expected);
}
