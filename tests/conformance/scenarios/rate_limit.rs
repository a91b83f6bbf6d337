//! Thirty messages of a user in a minute, whichever way they come, and not one more.

use conformance::assertions::assert_problem;
use conformance::client::Answer;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::{Transaction, error::SqlState};
use uuid::Uuid;

/// How many messages a person has in all.
async fn stored(person: &Person) -> i64 {
    let count =
        "select count(*) from public.chat_history h join public.sessions s using (session_id) where s.user_id = $1";
    person.stack.database().await.query_one(count, &[&person.user_id]).await.unwrap().get(0)
}

/// What PostgREST tells of a refusal: the seconds to wait.
#[track_caller]
fn refused(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.text());
    let problem = answer.json();
    assert_eq!(problem["message"], "rate_limited");
    let details: Value = serde_json::from_str(problem["details"].as_str().unwrap()).unwrap();
    let seconds = details["retry_after"].as_u64().unwrap_or_else(|| panic!("{details}"));
    assert!((1..=60).contains(&seconds), "{seconds}");
    seconds
}

/// Puts a person's count to this many, so many seconds ago.
async fn used(person: &Person, count: i32, seconds_ago: f64) {
    let put = "insert into public.rate_limit_uses (user_id, what, used_at, used)
        values ($1, 'user_messages', array[clock_timestamp() - make_interval(secs => $3)], array[$2::integer])
        on conflict (caller, what) do update set used_at = excluded.used_at, used = excluded.used";
    person.stack.database().await.execute(put, &[&person.user_id, &count, &seconds_ago]).await.unwrap();
}

fn bulk(session_id: Uuid, count: usize, role: &str) -> Value {
    let one = |n| json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": role, "message": format!("{n}") });
    (0..count).map(one).collect()
}

#[tokio::test]
async fn of_fifty_callers_at_once_over_several_sessions_thirty_get_through() {
    let person = Person::new(&Stack::running()).await;
    let sessions: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    let all: Vec<Value> = (0..50).map(|n| message(sessions[n % 5], &format!("message {n}"))).collect();
    let answers = join_all(all.iter().map(|one| person.rpc("save_message", one))).await;
    let (through, over): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((through.len(), over.len()), (30, 20));
    for answer in over {
        refused(answer);
    }
    assert_eq!(stored(&person).await, 30);
    // Somebody else is not held up.
    Person::new(&person.stack).await.say(Uuid::new_v4(), "hello").await;
}

#[tokio::test]
async fn of_fifty_callers_of_the_function_thirty_get_through_and_the_others_are_told_when_to_come_back() {
    let person = Person::new(&Stack::running()).await;
    let sessions: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    let all: Vec<Value> = (0..50).map(|n| message(sessions[n % 5], &format!("message {n}"))).collect();
    let answers = join_all(all.iter().map(|one| person.save(one))).await;
    let (through, over): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((through.len(), over.len()), (30, 20));
    for answer in over {
        assert_problem(answer, 429, "rate_limited");
        let seconds: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    assert_eq!(stored(&person).await, 30);
}

#[tokio::test]
async fn messages_and_bulk_inserts_over_the_same_sessions_never_wait_for_each_other() {
    let person = Person::new(&Stack::running()).await;
    // Sorted, as whoever inserts into several sessions at once should have them.
    let mut sessions: Vec<Uuid> = (0..4).map(|_| Uuid::new_v4()).collect();
    sessions.sort();
    for session_id in &sessions {
        assert_eq!(person.rest("POST", "sessions").json(&json!({ "session_id": session_id })).send().await.status, 201);
    }
    let roles = ["user", "bot"];
    let bulks: Vec<Value> = (0..6)
        .map(|n| {
            let one = |(place, session_id): (usize, &Uuid)| {
                let mut said = message(*session_id, "in bulk");
                said["role"] = json!(roles[(n + place) % 2]);
                said
            };
            sessions.iter().enumerate().map(one).collect()
        })
        .collect();
    let singles: Vec<Value> = (0..18).map(|n| message(sessions[n % 4], &format!("message {n}"))).collect();
    let (bulks, singles) = tokio::join!(
        join_all(bulks.iter().map(|bulk| person.rest("POST", "chat_history").json(bulk).send())),
        join_all(singles.iter().map(|one| person.rpc("save_message", one)))
    );
    // Twelve in bulk and eighteen alone are thirty: none is refused, and none is a victim of a deadlock.
    for answer in bulks.iter().chain(&singles) {
        assert!(answer.status.is_success(), "{}", answer.text());
    }
    refused(&person.rpc("save_message", &message(sessions[0], "one more")).await);
}

#[tokio::test]
async fn who_waits_as_long_as_told_gets_through() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    used(&person, 30, 56.5).await;
    let said = message(session_id, "patience");
    let seconds = refused(&person.rpc("save_message", &said).await);
    assert!(seconds <= 4, "{seconds}");
    tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
    assert_eq!(person.rpc("save_message", &said).await.status, 201);
    // The thirty are all gone by now: the window slides.
    let bulk = bulk(session_id, 29, "user");
    let answer = person.rest("POST", "chat_history").json(&bulk).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    refused(&person.rpc("save_message", &message(session_id, "one more")).await);
}

#[tokio::test]
async fn past_the_function_messages_are_counted_one_by_one_and_a_batch_over_the_limit_is_refused_whole() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    assert_eq!(person.rest("POST", "sessions").json(&json!({ "session_id": session_id })).send().await.status, 201);
    let insert = async |rows: Value| person.rest("POST", "chat_history").json(&rows).send().await;
    assert_eq!(refused(&insert(bulk(session_id, 31, "user")).await), 60);
    assert_eq!(stored(&person).await, 0);
    assert_eq!(insert(bulk(session_id, 29, "user")).await.status, 201);
    refused(&insert(bulk(session_id, 2, "user")).await);
    assert_eq!(insert(bulk(session_id, 1, "user")).await.status, 201);
    refused(&insert(bulk(session_id, 1, "user")).await);
    refused(&person.rpc("save_message", &message(session_id, "by the function")).await);
    assert_eq!(stored(&person).await, 30);
}

#[tokio::test]
async fn replays_refusals_and_what_the_others_say_are_not_counted() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let first = message(session_id, "first");
    for n in 0..40 {
        assert_eq!(person.rpc("save_message", &first).await.status, if n == 0 { 201 } else { 200 });
    }
    let mut reused = first.clone();
    reused["message"] = json!("other");
    let mut invalid = message(session_id, "invalid");
    invalid["meta"] = json!([]);
    for (sent, status) in [(&reused, 409), (&invalid, 400)] {
        for _ in 0..5 {
            assert_eq!(person.rpc("save_message", sent).await.status, status);
        }
    }
    for role in ["bot", "system"] {
        let answer = person.rest("POST", "chat_history").json(&bulk(session_id, 40, role)).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    let rest = person.rest("POST", "chat_history").json(&bulk(session_id, 29, "user")).send().await;
    assert_eq!(rest.status, 201, "{}", rest.text());
    refused(&person.rpc("save_message", &message(session_id, "one more")).await);
    // At the limit, a lost answer can still be asked for.
    assert_eq!(person.rpc("save_message", &first).await.json()["replayed"], true);
}

#[tokio::test]
async fn deleting_a_session_gives_nothing_back() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.rpc("save_message", &message(session_id, "first")).await;
    let answer = person.rest("POST", "chat_history").json(&bulk(session_id, 29, "user")).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": session_id })).await.status, 200);
    assert_eq!(stored(&person).await, 0);
    refused(&person.rpc("save_message", &message(Uuid::new_v4(), "again")).await);
}

#[tokio::test]
async fn nobody_reads_or_writes_a_count_or_a_limit() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    used(&person, 30, 1.0).await;
    let mine = format!("rate_limit_uses?user_id=eq.{}", person.user_id);
    for who in [&person, &stranger] {
        for (method, target, body) in [
            ("POST", "rate_limit_uses", json!({ "what": "user_messages" })),
            ("POST", "rate_limit_uses", json!({ "what": "another" })),
            ("POST", "rate_limit_uses", json!({ "user_id": person.user_id, "what": "user_messages", "used_at": [] })),
            ("PATCH", mine.as_str(), json!({ "used_at": [], "used": [] })),
            ("DELETE", mine.as_str(), Value::Null),
            ("GET", mine.as_str(), Value::Null),
            ("GET", "rate_limits", Value::Null),
            ("PATCH", "rate_limits?what=eq.user_messages", json!({ "at_most": 1000 })),
            ("POST", "rate_limits", json!({ "what": "another", "role": "authenticated", "at_most": 1 })),
            ("DELETE", "rate_limits?what=eq.user_messages", Value::Null),
        ] {
            let answer = who.rest(method, target).json(&body).send().await;
            assert_eq!(answer.status, 403, "{method} {target} {body}: {}", answer.text());
        }
    }
    refused(&person.rpc("save_message", &message(session_id, "still")).await);
}

/// Sends so many messages of a user as the caller, within a transaction that is rolled back: the limit is everybody's.
/// A refusal is the seconds to wait.
async fn send(transaction: &mut Transaction<'_>, session_id: Uuid, count: i32) -> Result<(), u64> {
    let attempt = transaction.transaction().await.unwrap();
    let insert = "insert into public.chat_history (session_id, id, role, message)
        select $1, gen_random_uuid(), 'user', 'message ' || n from generate_series(1, $2::integer) n";
    match attempt.execute(insert, &[&session_id, &count]).await {
        Ok(_) => {
            attempt.commit().await.unwrap();
            Ok(())
        }
        Err(error) => {
            let error = error.as_db_error().expect("an error of the database's").clone();
            assert_eq!((error.code(), error.message()), (&SqlState::from_code("PT429"), "rate_limited"));
            let detail: Value = serde_json::from_str(error.detail().unwrap()).unwrap();
            Err(detail["retry_after"].as_u64().unwrap())
        }
    }
}

#[tokio::test]
async fn a_limit_raised_or_lowered_holds_from_then_on_and_forgets_nothing() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "first").await;
    let mut database = person.stack.database().await;
    let mut transaction = database.transaction().await.unwrap();
    let claims = json!({ "sub": person.user_id, "role": "authenticated" });
    let become_caller = format!("set local role authenticated; set local \"request.jwt.claims\" = '{claims}';");
    for (limit, fits, over) in [(10, 9, 1), (5, 0, 1), (20, 10, 1), (20, 0, 1), (21, 1, 1), (0, 0, 1)] {
        let set = format!("reset role; update public.rate_limits set at_most = {limit} where what = 'user_messages';");
        transaction.batch_execute(&(set + &become_caller)).await.unwrap();
        if fits > 0 {
            assert_eq!(send(&mut transaction, session_id, fits).await, Ok(()), "{limit}");
        }
        let refusal = send(&mut transaction, session_id, over).await.expect_err(&limit.to_string());
        // The oldest of them is seconds old at most; where none may be sent, only the whole window is right.
        assert!(refusal <= 60 && refusal > if limit == 0 { 59 } else { 30 }, "{limit}: {refusal}");
    }
    // A shorter window: what is outside of it counts no more. And no row, no limit.
    let shorter = "reset role;
        update public.rate_limits set at_most = 3, \"window\" = interval '5 s' where what = 'user_messages';
        update public.rate_limit_uses set used_at = array[clock_timestamp() - interval '6 s'], used = array[30]";
    let narrowed = format!("{shorter} where user_id = '{}' and what = 'user_messages';", person.user_id);
    transaction.batch_execute(&(narrowed + &become_caller)).await.unwrap();
    assert_eq!(send(&mut transaction, session_id, 3).await, Ok(()));
    assert!(send(&mut transaction, session_id, 1).await.is_err_and(|seconds| (1..=5).contains(&seconds)));
    let none = "reset role; delete from public.rate_limits where what = 'user_messages';".to_owned();
    transaction.batch_execute(&(none + &become_caller)).await.unwrap();
    assert_eq!(send(&mut transaction, session_id, 100).await, Ok(()));
    transaction.rollback().await.unwrap();
}
