//! Statistics: everybody's own, counted honestly, and the same after the sessions they are about are gone.

use conformance::assertions::{assert_problem, faults};
use conformance::event::{event, seconds_from_now};
use conformance::person::Person;
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

const DAY: f64 = 86_400.0;

async fn record(person: &Person, events: &[Value]) {
    let answer = person.rest("POST", "rpc/record_events").json(&json!({ "events": events })).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["duplicates"]), (201, &json!(0)), "{}", answer.text());
}

fn of_type(event_type: &str, session_id: Option<Uuid>) -> Value {
    let mut event = event("");
    event["event_type"] = json!(event_type);
    event["session_id"] = json!(session_id);
    event
}

/// Walks a session through `check-in`, to its end or not.
async fn walk(person: &Person, session_id: Uuid, to_the_end: bool) {
    let moves = [("next_step", Some("fine")), ("close", None)];
    for (event, response) in moves.into_iter().take(if to_the_end { 2 } else { 1 }) {
        let body = json!({ "session_id": session_id, "event": event, "response": response, "machine": "check-in" });
        let answer = person.call("POST", "fsm-transition", "").json(&body).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["completed"]), (200, &json!(event == "close")));
    }
}

async fn summary(person: &Person, days: Value) -> Value {
    let answer = person.rest("POST", "rpc/get_analytics_summary").json(&json!({ "days": days })).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn view(person: &Person, name: &str) -> Value {
    let answer = person.rest("GET", name).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn days_count_their_events_and_the_different_sessions_these_name() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let sessions = [Uuid::new_v4(), Uuid::new_v4()];
    let mut batch: Vec<Value> = [Some(sessions[0]), Some(sessions[0]), Some(sessions[1]), None]
        .into_iter()
        .map(|session| of_type("llm_turn_completed", session))
        .collect();
    batch.push(of_type("distilbert_used", None));
    record(&person, &batch).await;
    record(&other, &[of_type("llm_turn_completed", Some(sessions[0]))]).await;
    let mut days = view(&person, "daily_analytics?select=event_type,event_count,total_sessions&order=event_type").await;
    let expected = json!([
        { "event_type": "distilbert_used", "event_count": 1, "total_sessions": 0 },
        { "event_type": "llm_turn_completed", "event_count": 4, "total_sessions": 2 },
    ]);
    assert_eq!(days, expected);
    days = view(&other, "daily_analytics?select=event_count,total_sessions").await;
    assert_eq!(days, json!([{ "event_count": 1, "total_sessions": 1 }]));
}

#[tokio::test]
async fn completion_is_counted_by_session_and_of_deleted_ones_the_operator_keeps_it() {
    let stack = Stack::running();
    let (person, other, database) = (Person::new(&stack).await, Person::new(&stack).await, stack.database().await);
    for to_the_end in [true, false, false] {
        walk(&person, Uuid::new_v4(), to_the_end).await;
    }
    walk(&other, Uuid::new_v4(), true).await;
    // Said again by the client, and said of a session that is not theirs: neither changes a number of anybody's.
    let own: Uuid =
        view(&person, "sessions?completed=is.true").await[0]["session_id"].as_str().unwrap().parse().unwrap();
    let foreign: Uuid = view(&other, "sessions").await[0]["session_id"].as_str().unwrap().parse().unwrap();
    record(&person, &["session_started", "session_completed"].map(|kind| of_type(kind, Some(own)))).await;
    record(&person, &[of_type("session_completed", Some(foreign)), of_type("session_completed", None)]).await;
    let expected = json!([{ "total_sessions": 3, "completed_sessions": 1, "completion_rate": 33.33 }]);
    let select = "session_completion_stats?select=total_sessions,completed_sessions,completion_rate";
    assert_eq!(view(&person, select).await, expected);
    let stats = &summary(&person, json!(7)).await["completion_stats"];
    assert_eq!(*stats, json!({ "total_sessions": 3, "completed": 1, "completion_rate": 33.33 }));

    // In a transaction, so that no other test's sessions are counted or not in between.
    let mut database = database;
    let transaction = database.transaction().await.unwrap();
    transaction.batch_execute("lock table public.sessions, public.analytics in exclusive mode").await.unwrap();
    let all = "select coalesce(sum(total_sessions), 0)::bigint, coalesce(sum(completed_sessions), 0)::bigint
        from public.session_completion_stats";
    let counted = |row: tokio_postgres::Row| (row.get::<_, i64>(0), row.get::<_, i64>(1));
    let before = counted(transaction.query_one(all, &[]).await.unwrap());
    transaction.execute("delete from public.sessions where user_id = $1", &[&person.user_id]).await.unwrap();
    assert_eq!(counted(transaction.query_one(all, &[]).await.unwrap()), before);
    transaction.commit().await.unwrap();
    // No row of a deleted session names its owner, so they are not the owner's any more.
    assert_eq!(view(&person, select).await, json!([]));
    let others = json!([{ "total_sessions": 1, "completed_sessions": 1, "completion_rate": 100.00 }]);
    assert_eq!(view(&other, select).await, others);
}

#[tokio::test]
async fn a_session_that_has_only_messages_counts_too() {
    let person = Person::new(&Stack::running()).await;
    person.say(Uuid::new_v4(), "hello").await;
    let stats = &summary(&person, json!(7)).await["completion_stats"];
    assert_eq!(*stats, json!({ "total_sessions": 1, "completed": 0, "completion_rate": 0.00 }));
}

#[tokio::test]
async fn a_summary_is_of_the_callers_own_rows_within_its_days() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let mut batch = Vec::new();
    for age in [0.0, 6.5 * DAY, 7.5 * DAY, 29.0 * DAY] {
        let mut event = of_type("llm_turn_completed", None);
        event["occurred_at"] = json!(seconds_from_now(&stack, -age).await);
        batch.push(event);
    }
    batch.push(of_type("distilbert_used", None));
    record(&person, &batch).await;
    for (days, turns) in [
        (json!(1), 1),
        (json!(7), 2),
        (Value::Null, 2),
        (json!(8), 3),
        (json!(30), 4),
        (json!(0), 1),
        (json!(-1), 1),
        (json!(100_000), 4),
    ] {
        let told = summary(&person, days.clone()).await;
        assert_eq!(told["event_counts"], json!({ "llm_turn_completed": turns, "distilbert_used": 1 }), "{days}");
        let daily = told["daily"].as_array().unwrap();
        let sum: u64 = daily.iter().map(|day| day["count"].as_u64().unwrap()).sum();
        assert_eq!(sum, turns + 1, "{days}: {told}");
        let dates: Vec<_> = daily.iter().map(|day| day["date"].as_str().unwrap()).collect();
        assert!(dates.is_sorted_by(|one, next| one >= next), "{dates:?}");
        assert_eq!(told["omitted"], json!({ "event_counts": 0, "daily": 0 }));
    }
    let nothing = json!({
        "event_counts": {}, "daily": [], "omitted": { "event_counts": 0, "daily": 0 },
        "completion_stats": { "total_sessions": 0, "completed": 0, "completion_rate": 0.00 },
    });
    assert_eq!(summary(&other, json!(30)).await, nothing);
}

#[tokio::test]
async fn a_summary_has_an_end_however_many_types_and_days_somebody_makes_up() {
    let person = Person::new(&Stack::running()).await;
    let database = person.stack.database().await;
    let fill = "insert into public.analytics (id, user_id, event_type, occurred_at)
        select gen_random_uuid(), $1, 'made_up_' || kind, now() - make_interval(days => day)
        from generate_series(1, 150) kind, generate_series(0, 19) day";
    database.execute(fill, &[&person.user_id]).await.unwrap();
    record(&person, &[of_type("made_up_150", None)]).await;
    let told = summary(&person, json!(365)).await;
    assert_eq!(told["event_counts"].as_object().unwrap().len(), 100);
    assert_eq!(told["event_counts"]["made_up_150"], 21, "the most frequent are kept");
    assert_eq!(told["daily"].as_array().unwrap().len(), 1000);
    assert_eq!(told["omitted"], json!({ "event_counts": 50, "daily": 2000 }));
}

/// Whatever time zone a connection, a role or a database has.
#[tokio::test]
async fn a_date_is_a_day_of_utc() {
    let stack = Stack::running();
    let (person, mut database) = (Person::new(&stack).await, stack.database().await);
    let transaction = database.transaction().await.unwrap();
    let insert = "insert into public.analytics (id, user_id, event_type, occurred_at)
        values ($1, $2, 'distilbert_used', '2026-01-01T23:30:00Z'), ($3, $2, 'distilbert_used', '2026-01-02T00:30:00Z')";
    transaction.execute(insert, &[&Uuid::new_v4(), &person.user_id, &Uuid::new_v4()]).await.unwrap();
    let claims = json!({ "sub": person.user_id, "role": "authenticated" }).to_string();
    transaction.execute("select set_config('request.jwt.claims', $1, true)", &[&claims]).await.unwrap();
    for zone in ["Australia/Sydney", "America/New_York", "UTC"] {
        transaction
            .batch_execute(&format!("set local time zone '{zone}'; set local role authenticated"))
            .await
            .unwrap();
        let query = "select date::text, event_count from public.daily_analytics order by 1";
        let days: Vec<(String, i64)> =
            transaction.query(query, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(days, [("2026-01-01".to_owned(), 1), ("2026-01-02".to_owned(), 1)], "{zone}");
    }
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn sessions_to_clean_up_are_those_completed_over_thirty_days_ago_and_ones_own() {
    let stack = Stack::running();
    let (person, other, database) = (Person::new(&stack).await, Person::new(&stack).await, stack.database().await);
    let (old, recent, open) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    walk(&person, old, true).await;
    walk(&person, recent, true).await;
    walk(&person, open, false).await;
    let age = "update public.sessions set created_at = now() - interval '99 days', last_activity = now() - interval '99 days',
        completion_time = case when completed then now() - make_interval(days => $2) end where session_id = $1";
    for (session_id, days) in [(old, 31), (recent, 29), (open, 99)] {
        database.execute(age, &[&session_id, &days]).await.unwrap();
    }
    let found = view(&person, "sessions_to_cleanup?select=session_id").await;
    assert_eq!(found, json!([{ "session_id": old }]));
    assert_eq!(view(&other, "sessions_to_cleanup").await, json!([]));
}

/// Friday at nine in Sydney is Thursday of UTC.
#[tokio::test]
async fn a_summarys_days_are_of_the_zone_that_is_asked_for() {
    let stack = Stack::running();
    let (person, database) = (Person::new(&stack).await, stack.database().await);
    let insert = "insert into public.analytics (user_id, event_type, occurred_at)
        values ($1, 'distilbert_used', date_trunc('day', now(), 'UTC') - interval '2 hours')";
    database.execute(insert, &[&person.user_id]).await.unwrap();
    let days = "select (date_trunc('day', now(), 'UTC') at time zone 'utc' - interval '1 day')::date::text,
        (date_trunc('day', now(), 'UTC') at time zone 'utc')::date::text";
    let row = database.query_one(days, &[]).await.unwrap();
    let (before, after): (String, String) = (row.get(0), row.get(1));
    for (query, expected) in
        [("", &before), ("&tz=UTC", &before), ("&tz=Australia/Sydney", &after), ("&tz=America/New_York", &before)]
    {
        let answer = person.call("GET", "analytics", &format!("/summary?days=7{query}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["daily"][0]["date"], json!(expected), "{query}");
    }
    let unknown = person.call("GET", "analytics", "/summary?tz=Australia/Atlantis").send().await;
    assert_problem(&unknown, 422, "unknown_time_zone");
    let at_sea = person.call("GET", "analytics", "/summary?tz=Etc/GMT%2B9").send().await;
    assert_eq!(at_sea.status, 200, "{}", at_sea.text());
    for zone in ["XYZ%2B3", "A/B%2B3", "UTC/1", "", "a/b/c/d", "Australia/'"] {
        let answer = person.call("GET", "analytics", &format!("/summary?tz={zone}")).send().await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        assert_eq!(faults(&problem), [("/tz".to_owned(), "invalid_time_zone".to_owned())], "{zone}");
    }
    let direct = person.rest("POST", "rpc/get_analytics_summary").json(&json!({ "tz": "XYZ+3" })).send().await;
    assert_eq!((direct.status.as_u16(), &direct.json()["message"]), (422, &json!("unknown_time_zone")));
}
