//! Reading back: pages in both directions, complete while rows arrive.

use conformance::assertions::{assert_problem, faults};
use conformance::person::Person;
use conformance::stack::Stack;
use serde_json::Value;
use uuid::Uuid;

fn places(page: &Value) -> Vec<i64> {
    page["messages"].as_array().unwrap().iter().map(|message| message["seq"].as_i64().unwrap()).collect()
}

/// A session with this many messages, put there directly.
async fn session_of(person: &Person, count: i64) -> Uuid {
    let session_id = Uuid::new_v4();
    let database = person.stack.database().await;
    database
        .execute("insert into public.sessions (session_id, user_id) values ($1, $2)", &[&session_id, &person.user_id])
        .await
        .unwrap();
    database
        .execute(
            "insert into public.chat_history (session_id, id, role, message)
             select $1, gen_random_uuid(), 'bot', 'message ' || n from generate_series(1, $2::bigint) n",
            &[&session_id, &count],
        )
        .await
        .unwrap();
    session_id
}

#[tokio::test]
async fn newest_first_fifty_a_page_by_default() {
    let person = Person::new(&Stack::running()).await;
    let session_id = session_of(&person, 60).await;
    let first = person.history(session_id, "").await.json();
    assert_eq!(places(&first), (11..=60).rev().collect::<Vec<_>>());
    let next = first["next"].as_str().unwrap();
    let second = person.history(session_id, &format!("&before={next}")).await.json();
    assert_eq!(places(&second), (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(second["next"], Value::Null);
}

#[tokio::test]
async fn oldest_first_when_asked() {
    let person = Person::new(&Stack::running()).await;
    let session_id = session_of(&person, 5).await;
    let first = person.history(session_id, "&order=asc&limit=3").await.json();
    assert_eq!(places(&first), [1, 2, 3]);
    let next = first["next"].as_str().unwrap();
    assert_eq!(places(&person.history(session_id, &format!("&before={next}")).await.json()), [4, 5]);
}

#[tokio::test]
async fn a_page_that_is_just_full_is_the_last() {
    let person = Person::new(&Stack::running()).await;
    let session_id = session_of(&person, 6).await;
    let page = person.history(session_id, "&limit=6").await.json();
    assert_eq!((places(&page).len(), &page["next"]), (6, &Value::Null));
}

#[tokio::test]
async fn ten_thousand_messages_page_without_gap_or_repeat_while_more_arrive() {
    let person = Person::new(&Stack::running()).await;
    let session_id = session_of(&person, 10_000).await;
    let writer = tokio::spawn({
        let person = person.clone();
        async move {
            for n in 0..25 {
                person.say(session_id, &format!("meanwhile {n}")).await;
            }
        }
    });
    for order in ["desc", "asc"] {
        let mut seen = Vec::new();
        let mut parameters = format!("&limit=200&order={order}");
        loop {
            let answer = person.history(session_id, &parameters).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            seen.extend(places(&page));
            let Some(next) = page["next"].as_str() else { break };
            parameters = format!("&limit=200&order={order}&before={next}");
        }
        if order == "desc" {
            seen.reverse();
        }
        let last = *seen.last().unwrap();
        assert!(last >= 10_000, "{last}");
        assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "{order}");
    }
    writer.await.unwrap();
    assert_eq!(places(&person.history(session_id, "&limit=1").await.json()), [10_025]);
}

#[tokio::test]
async fn wrong_parameters_are_all_named() {
    let person = Person::new(&Stack::running()).await;
    let answer = person
        .call("GET", "chat-message", "?session_id=1&limit=201&order=up&before=zzz&after=-1&include=mood&limit=5")
        .send()
        .await;
    let expected = [
        ("/after", "out_of_range"),
        ("/before", "invalid_cursor"),
        ("/include", "not_allowed"),
        ("/limit", "duplicate_field"),
        ("/limit", "out_of_range"),
        ("/order", "not_allowed"),
        ("/session_id", "invalid_uuid"),
    ];
    let problem = assert_problem(&answer, 422, "validation_failed");
    assert_eq!(faults(&problem), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
    let answer = person.call("GET", "chat-message", "").send().await;
    assert_eq!(
        faults(&assert_problem(&answer, 422, "validation_failed")),
        [("/session_id".to_owned(), "required".to_owned())]
    );
}
