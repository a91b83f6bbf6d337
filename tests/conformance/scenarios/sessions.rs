//! A person's sessions: listed, read, deleted.

use conformance::assertions::{assert_problem, faults};
use conformance::cursor;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

/// As many sessions as are asked for, put there directly: every three of them active at the same moment.
async fn sessions_of(person: &Person, count: i32) -> Vec<Uuid> {
    let rows = person
        .stack
        .database()
        .await
        .query(
            "insert into public.sessions (session_id, user_id, last_activity)
             select gen_random_uuid(), $1, timestamptz '2026-01-01 00:00:00.123456Z' + n / 3 * interval '1 microsecond'
             from generate_series(1, $2::integer) n returning session_id",
            &[&person.user_id, &count],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The order sessions are listed in.
fn key(session: &Value) -> (String, String) {
    (session["last_activity"].as_str().unwrap().to_owned(), session["session_id"].as_str().unwrap().to_owned())
}

/// Asserts that these are all of these sessions, each once, the latest active first.
#[track_caller]
fn assert_all(seen: &[Value], expected: &[Uuid]) {
    let keys: Vec<_> = seen.iter().map(key).collect();
    let mut sorted = keys.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(keys, sorted, "the latest first, none twice");
    let mut expected: Vec<String> = expected.iter().map(Uuid::to_string).collect();
    let mut found: Vec<String> = keys.into_iter().map(|key| key.1).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

async fn read(person: &Person, target: &str) -> Value {
    let answer = person.call("GET", "chat-message", target).send().await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn pages_of_sessions_hold_every_session_once_and_nobody_elses() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let mine = sessions_of(&person, 31).await;
    sessions_of(&other, 5).await;
    for limit in [1, 4, 31, 200] {
        let (mut seen, mut asked) = (Vec::new(), json!({ "limit": limit }));
        loop {
            let answer = person.rpc("list_sessions", &asked).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            seen.extend(page["sessions"].as_array().unwrap().iter().cloned());
            if !cursor::follow(&page, &mut asked) {
                break;
            }
        }
        assert_all(&seen, &mine);
    }
    let nobody = Person::new(&stack).await;
    assert_eq!(nobody.rpc("list_sessions", &json!({})).await.json(), json!({ "sessions": [], "next": null }));
}

#[tokio::test]
async fn a_page_is_never_larger_than_two_hundred_and_never_empty_for_its_size() {
    let person = Person::new(&Stack::running()).await;
    sessions_of(&person, 250).await;
    for (limit, expected) in [(json!(1000), 200), (json!(0), 1), (json!(-5), 1), (Value::Null, 50)] {
        let page = person.rpc("list_sessions", &json!({ "limit": limit })).await.json();
        assert_eq!(page["sessions"].as_array().unwrap().len(), expected, "{limit}");
        let (_, id) = cursor::time_and_id(&page["next"]);
        assert_eq!(id, page["sessions"][expected - 1]["session_id"]);
    }
    // A cursor nobody was given is a place like any other.
    for (time, expected) in [(i64::MAX, 50), (i64::MIN, 0), (-1, 0), (0, 0)] {
        let asked = json!({ "before_time": time, "before_id": Uuid::nil() });
        let answer = person.rpc("list_sessions", &asked).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["sessions"].as_array().unwrap().len(), expected, "{time}");
    }
}

#[tokio::test]
async fn one_session_is_what_saving_said_it_was() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    let saved = person.say(session_id, "hello").await["session"].clone();
    let asked = json!({ "session_id": session_id });
    assert_eq!(person.rpc("get_session", &asked).await.json(), saved);
    let mut listed = saved.clone();
    listed["message_count"] = json!(1);
    let listed_all = person.rpc("list_sessions", &json!({})).await.json();
    let last = &listed_all["sessions"][0]["last_message"];
    assert_eq!((&last["role"], &last["preview"]), (&json!("user"), &json!("hello")));
    listed["last_message"] = last.clone();
    assert_eq!(listed_all["sessions"], json!([listed]));
    let elses = stranger.rpc("get_session", &asked).await;
    let none = stranger.rpc("get_session", &json!({ "session_id": Uuid::new_v4() })).await;
    assert_eq!((elses.status.as_u16(), elses.text()), (404, none.text()), "the two look the same");
    assert_eq!(elses.json()["message"], "session_not_found");
}

#[tokio::test]
async fn a_session_is_deleted_by_its_owner_alone_once_and_for_good() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let (session_id, kept) = (Uuid::new_v4(), Uuid::new_v4());
    person.say(session_id, "hello").await;
    person.say(kept, "hello").await;
    let asked = json!({ "session_id": session_id });
    let elses = stranger.rpc("delete_session", &asked).await;
    assert_eq!((elses.status.as_u16(), &elses.json()["message"]), (404, &json!("session_not_found")));
    assert_eq!(person.rpc("get_session", &asked).await.status, 200);
    let gone = person.rpc("delete_session", &asked).await;
    assert_eq!((gone.status.as_u16(), gone.json()), (200, json!({})));
    for function in ["delete_session", "get_session"] {
        let answer = person.rpc(function, &asked).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (410, &json!("session_deleted")), "{function}");
    }
    // Past the function, too.
    let directly = person.rest("DELETE", &format!("sessions?session_id=eq.{kept}")).send().await;
    assert_eq!(directly.status, 204, "{}", directly.text());
    assert_eq!(person.rpc("list_sessions", &json!({})).await.json()["sessions"], json!([]));
    // The id is never used again, by anyone; that somebody deleted it is nobody else's business.
    for (who, status) in [(&person, 410), (&stranger, 404)] {
        let anew = who.rpc("save_message", &message(session_id, "mine now")).await;
        assert_eq!(anew.status, status, "{}", anew.text());
    }
}

#[tokio::test]
async fn saving_into_a_session_while_it_is_deleted_leaves_all_of_it_or_nothing() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    for round in 0..10 {
        let session_id = Uuid::new_v4();
        person.say(session_id, "hello").await;
        let said: Vec<Value> = (0..4)
            .map(|n| {
                let mut said = message(session_id, &format!("message {n}"));
                said["role"] = json!("bot");
                said["risk"] = json!({ "label": "distress" });
                said
            })
            .collect();
        let deleted = json!({ "session_id": session_id });
        let (deleted, answers) = tokio::join!(
            person.rpc("delete_session", &deleted),
            futures_util::future::join_all(said.iter().map(|said| person.rpc("save_message", said)))
        );
        assert_eq!(deleted.status, 200, "{}", deleted.text());
        for answer in answers {
            let status = answer.status.as_u16();
            assert!(
                status == 201 || (status == 410 && answer.json()["message"] == "session_deleted"),
                "{round}: {}",
                answer.text()
            );
        }
        let history = person.rest("GET", &format!("chat_history?session_id=eq.{session_id}&order=seq")).send().await;
        let places: Vec<i64> =
            history.json().as_array().unwrap().iter().map(|row| row["seq"].as_i64().unwrap()).collect();
        assert_eq!(places, (1..=i64::try_from(places.len()).unwrap()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn sessions_are_listed_over_http_page_by_page() {
    let person = Person::new(&Stack::running()).await;
    let mine = sessions_of(&person, 8).await;
    let (mut seen, mut target) = (Vec::new(), "/sessions?limit=3".to_owned());
    loop {
        let page = read(&person, &target).await;
        seen.extend(page["sessions"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/sessions?limit=3&before={next}");
    }
    assert_all(&seen, &mine);
    assert_eq!(seen[0].as_object().unwrap().len(), 11);
    assert_eq!(read(&person, "/sessions").await["sessions"].as_array().unwrap().len(), 8);
    let wrong = person.call("GET", "chat-message", "/sessions?limit=201&before=zzz&session_id=1").send().await;
    let expected = [("/before", "invalid_cursor"), ("/limit", "out_of_range"), ("/session_id", "unknown_field")];
    assert_eq!(
        faults(&assert_problem(&wrong, 422, "validation_failed")),
        expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned()))
    );
}

#[tokio::test]
async fn a_session_is_read_and_deleted_over_http() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    let saved = person.say(session_id, "hello").await["session"].clone();
    let target = format!("/sessions/{session_id}");
    assert_eq!(read(&person, &target).await, saved);
    for verb in ["GET", "DELETE"] {
        let elses = stranger.call(verb, "chat-message", &target).send().await;
        assert_problem(&elses, 404, "session_not_found");
        let wrong = person.call(verb, "chat-message", "/sessions/1").send().await;
        let problem = assert_problem(&wrong, 422, "validation_failed");
        assert_eq!(faults(&problem), [("/session_id".to_owned(), "invalid_uuid".to_owned())]);
    }
    let gone = person.call("DELETE", "chat-message", &target).send().await;
    assert_eq!((gone.status.as_u16(), gone.text().as_str()), (204, ""));
    for verb in ["GET", "DELETE"] {
        assert_problem(&person.call(verb, "chat-message", &target).send().await, 410, "session_deleted");
    }
    assert_problem(&person.history(session_id, "").await, 410, "session_deleted");
    let post = person.call("POST", "chat-message", &target).json(&json!({})).send().await;
    assert_problem(&post, 405, "method_not_allowed");
    assert_eq!(post.header("allow"), "GET, HEAD, PATCH, DELETE, OPTIONS");
}
