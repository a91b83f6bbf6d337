//! What the database makes of events, whoever sends them and by whatever way: each stored once, at a time that can be
//! true, and readable by nobody else.

use std::collections::BTreeSet;

use conformance::client::Answer;
use conformance::event::{count, event, events, seconds_from_now, stored};
use conformance::lost_answer::LostAnswer;
use conformance::person::Person;
use conformance::stack::Stack;
use conformance::visitor::Visitor;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

async fn record(person: &Person, events: &[Value]) -> Answer {
    person.rest("POST", "rpc/record_events").json(&json!({ "events": events })).send().await
}

#[track_caller]
fn counted(answer: &Answer, accepted: usize, duplicates: usize) {
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "accepted": accepted, "duplicates": duplicates }));
}

fn word() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_repeated_event_is_counted_and_changes_nothing_also_within_one_batch() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(3, &word);
    let mut other = batch[0].clone();
    other["event_data"]["later"] = json!(true);
    batch.push(other.clone());
    counted(&record(&person, &batch).await, 3, 1);
    counted(&record(&person, &batch).await, 0, 4);
    counted(&record(&person, &[other, event(&word)]).await, 1, 1);
    let stored = stored(&person.stack, &word).await;
    assert_eq!(stored.len(), 4);
    assert!(stored.iter().all(|event| event.event_data == json!({ "word": word })), "{stored:?}");
}

#[tokio::test]
async fn equal_batches_at_once_store_each_event_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let batch = events(100, &word);
    let answers = join_all((0..8).map(|_| record(&person, &batch))).await;
    let mut sums = (0, 0);
    for answer in answers {
        assert_eq!(answer.status, 201, "{}", answer.text());
        sums.0 += answer.json()["accepted"].as_u64().unwrap();
        sums.1 += answer.json()["duplicates"].as_u64().unwrap();
    }
    assert_eq!(sums, (100, 700));
    assert_eq!(count(&person.stack, &word).await, 100);
}

/// An offline queue sends what is left in whatever batches it likes; two tabs share one.
#[tokio::test]
async fn batches_that_overlap_in_any_order_wait_for_each_other_and_never_in_a_circle() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    for _ in 0..10 {
        let forwards = events(200, &word);
        let backwards: Vec<Value> = forwards.iter().rev().cloned().collect();
        for answer in join_all([&forwards, &backwards, &forwards, &backwards].map(|batch| record(&person, batch))).await
        {
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }
    assert_eq!(count(&person.stack, &word).await, 2000);
}

#[tokio::test]
async fn a_batch_cut_off_after_the_commit_and_sent_again_is_stored_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let batch = json!({ "events": events(50, &word) });
    let way = LostAnswer::to("/rest/v1/rpc/record_events", 1, &person.stack).await;
    let lossy = Person { stack: person.stack.behind(&way.url), ..person.clone() };
    let send = || lossy.rest("POST", "rpc/record_events").json(&batch).try_send();
    assert!(send().await.is_err(), "the answer was to be lost");
    assert!(way.is_done());
    assert_eq!(count(&person.stack, &word).await, 50, "it was committed");
    counted(&send().await.unwrap(), 0, 50);
    assert_eq!(count(&person.stack, &word).await, 50);
}

#[tokio::test]
async fn a_batch_of_one_person_repeated_by_others_is_theirs_as_well() {
    let stack = Stack::running();
    let (one, other, visitor) = (Person::new(&stack).await, Person::new(&stack).await, Visitor(stack.clone()));
    let word = word();
    let batch = events(5, &word);
    counted(&record(&one, &batch).await, 5, 0);
    counted(&record(&other, &batch).await, 5, 0);
    let anonymous = || visitor.rest("POST", "rpc/record_events").json(&json!({ "events": batch })).send();
    counted(&anonymous().await, 5, 0);
    // Nulls are one owner: defect 9 of the original.
    counted(&anonymous().await, 0, 5);
    let owners = stored(&stack, &word).await.into_iter().map(|event| event.user_id);
    let mut owners: Vec<_> = owners.collect();
    owners.sort_unstable();
    owners.dedup();
    let mut expected = vec![None, Some(one.user_id), Some(other.user_id)];
    expected.sort_unstable();
    assert_eq!(owners, expected);
    for person in [&one, &other] {
        let seen = person.rest("GET", "analytics?select=*").send().await.json();
        assert_eq!(seen.as_array().unwrap().len(), 5);
        let only_theirs = |row: &Value| row["user_id"] == person.user_id.to_string();
        assert!(seen.as_array().unwrap().iter().all(only_theirs), "{seen}");
    }
}

#[tokio::test]
async fn event_data_is_an_object_that_queries_find() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut without = event(&word);
    without.as_object_mut().unwrap().remove("event_data");
    let mut none = event(&word);
    none["event_data"] = Value::Null;
    counted(&record(&person, &[event(&word), without, none]).await, 3, 0);
    let found = person.rest("GET", &format!("analytics?event_data-%3E%3Eword=eq.{word}")).send().await.json();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found[0]["event_data"], json!({ "word": word }));
    let empty = person.rest("GET", "analytics?event_data=eq.%7B%7D").send().await.json();
    assert_eq!(empty.as_array().unwrap().len(), 2, "{empty}");
}

#[tokio::test]
async fn one_event_that_breaks_a_rule_keeps_the_whole_batch_out_and_no_other_way_takes_it() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let word = word();
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (member, value) in [
        ("id", Value::Null),
        ("id", json!("not-a-uuid")),
        ("event_type", Value::Null),
        ("event_type", json!("")),
        ("event_type", json!("Upper")),
        ("event_type", json!("1st")),
        ("event_type", json!("a b")),
        ("event_type", json!("line\n")),
        ("event_type", json!("a".repeat(65))),
        ("event_data", json!([])),
        ("event_data", json!("{}")),
        ("event_data", json!(1)),
        ("event_data", nested(17)),
        ("event_data", json!({ "a": "x".repeat(65_536) })),
        ("session_id", json!("not-a-uuid")),
        ("occurred_at", json!("soon")),
    ] {
        let mut bad = event(&word);
        bad[member] = value.clone();
        let mut batch = events(3, &word);
        batch.insert(1, bad.clone());
        assert_eq!(record(&person, &batch).await.status, 400, "{member} {value}");
        let direct = person.rest("POST", "analytics").json(&bad).send().await;
        assert_eq!(direct.status, 400, "{member} {value}: {}", direct.text());
    }
    for events in [json!({}), json!("[]"), Value::Null, json!([1]), json!([[]]), json!([null])] {
        let answer = person.rest("POST", "rpc/record_events").json(&json!({ "events": events })).send().await;
        assert_eq!(answer.status, 400, "{events}: {}", answer.text());
    }
    let longest = json!({ "a": "x".repeat(32_000), "deep": nested(15) });
    assert_eq!(count(&stack, &word).await, 0);
    let mut good = event(&word);
    good["event_data"] = longest;
    counted(&record(&person, &[good]).await, 1, 0);
}

#[tokio::test]
async fn a_batch_has_500_events_at_most() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let batch = events(501, &word);
    let answer = record(&person, &batch).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (400, &json!("too_many_events")));
    assert_eq!(count(&person.stack, &word).await, 0);
    counted(&record(&person, &batch[1..]).await, 500, 0);
    counted(&record(&person, &[]).await, 0, 0);
}

const DAY: f64 = 86_400.0;

/// `[what the device says of the event, what it says the time is, the age that is stored, whether that is clamped]`,
/// all in seconds from the true time.
#[tokio::test]
async fn the_devices_clock_error_is_taken_out_and_what_cannot_be_true_is_clamped_and_marked() {
    let person = Person::new(&Stack::running()).await;
    for (said, sent_at, age, clamped) in [
        // No sent_at: the device is believed.
        (Some(-60.0), None, 60.0, false),
        (Some(-29.0 * DAY), None, 29.0 * DAY, false),
        (Some(3600.0), None, 0.0, true),
        (Some(-31.0 * DAY), None, 30.0 * DAY, true),
        // An hour fast, an hour slow, forty years slow; the event was a minute ago.
        (Some(3600.0 - 60.0), Some(3600.0), 60.0, false),
        (Some(-3600.0 - 60.0), Some(-3600.0), 60.0, false),
        (Some(-40.0 * 365.0 * DAY - 60.0), Some(-40.0 * 365.0 * DAY), 60.0, false),
        // Kept offline for ten days on a device two days fast.
        (Some(-8.0 * DAY), Some(2.0 * DAY), 10.0 * DAY, false),
        // By the device's own clock after it was sent; and longer ago than anybody keeps events.
        (Some(100.0), Some(0.0), 0.0, true),
        (Some(-100.0 * DAY), Some(-60.0 * DAY), 30.0 * DAY, true),
        // No time of its own: it is new.
        (None, Some(-3600.0), 0.0, false),
        (None, None, 0.0, false),
    ] {
        let (stack, word) = (&person.stack, word());
        let mut batch = json!({ "events": events(2, &word) });
        if let Some(said) = said {
            batch["events"][0]["occurred_at"] = json!(seconds_from_now(stack, said).await);
            batch["events"][1]["occurred_at"] = batch["events"][0]["occurred_at"].clone();
        }
        if let Some(sent_at) = sent_at {
            batch["sent_at"] = json!(seconds_from_now(stack, sent_at).await);
        }
        let answer = person.rest("POST", "rpc/record_events").json(&batch).send().await;
        counted(&answer, 2, 0);
        for event in conformance::event::stored(stack, &word).await {
            // What passes between making the time here and storing it there.
            assert!((event.age - age).abs() < 30.0, "{said:?} {sent_at:?}: {event:?}");
            assert_eq!(event.clamped, clamped, "{said:?} {sent_at:?}: {event:?}");
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_millennia_off_refuses_no_batch() {
    let person = Person::new(&Stack::running()).await;
    let (first, last) = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z");
    for (occurred_at, sent_at) in [(first, last), (last, first), (first, first), (last, last)] {
        let mut batch = json!({ "events": events(2, &word()), "sent_at": sent_at });
        batch["events"][0]["occurred_at"] = json!(occurred_at);
        counted(&person.rest("POST", "rpc/record_events").json(&batch).send().await, 2, 0);
    }
}

#[tokio::test]
async fn a_time_given_past_the_function_is_clamped_too_and_the_owner_of_the_database_may_mean_any() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    for said in ["2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "infinity", "-infinity"] {
        let mut row = event(&word);
        row["occurred_at"] = json!(said);
        for call in [person.rest("POST", "analytics"), visitor.rest("POST", "analytics")] {
            let answer = call.json(&row).send().await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }
    let clamped = stored(&stack, &word).await;
    assert_eq!(clamped.len(), 8);
    for event in clamped {
        assert!(event.clamped && [0.0, 30.0 * DAY].contains(&event.age), "{event:?}");
    }
    let moved = "insert into public.analytics (id, user_id, event_type, occurred_at)
        values ($1, $2, 'session_started', '1999-01-01T00:00:00Z') returning clamped, extract(year from occurred_at)::int4";
    let row = stack.database().await.query_one(moved, &[&Uuid::new_v4(), &person.user_id]).await.unwrap();
    assert_eq!((row.get::<_, bool>(0), row.get::<_, i32>(1)), (false, 1999));
}

#[tokio::test]
async fn a_caller_names_no_column_of_an_event_that_is_the_servers() {
    let stack = Stack::running();
    let (person, visitor, word) = (Person::new(&stack).await, Visitor(stack.clone()), word());
    for (column, value) in [
        ("user_id", json!(Uuid::new_v4())),
        ("user_id", Value::Null),
        ("row_id", json!(Uuid::new_v4())),
        ("session_count", json!(1000)),
        ("received_at", json!("2020-01-01T00:00:00Z")),
        ("clamped", json!(false)),
    ] {
        let mut row = event(&word);
        row[column] = value;
        let answer = person.rest("POST", "analytics").json(&row).send().await;
        assert_eq!(answer.status, 403, "{column}: {}", answer.text());
        let answer = visitor.rest("POST", "analytics").json(&row).send().await;
        assert_eq!(answer.status, 401, "{column}: {}", answer.text());
        // The function takes no notice of what it does not know.
        counted(&record(&person, &[row]).await, 1, 0);
    }
    let owned = stored(&stack, &word).await;
    assert!(owned.iter().all(|event| event.user_id == Some(person.user_id) && event.age == 0.0), "{owned:?}");
    let query = "select max(session_count) from public.analytics where event_data ->> 'word' = $1";
    assert_eq!(stack.database().await.query_one(query, &[&word]).await.unwrap().get::<_, i32>(0), 1);
}

#[tokio::test]
async fn a_visitor_without_a_token_adds_events_of_nobody_and_reads_none() {
    let stack = Stack::running();
    let (visitor, word) = (Visitor(stack.clone()), word());
    let batch = json!({ "events": events(3, &word) });
    counted(&visitor.rest("POST", "rpc/record_events").json(&batch).send().await, 3, 0);
    assert_eq!(visitor.rest("POST", "analytics").json(&event(&word)).send().await.status, 201);
    let returning = visitor.rest("POST", "analytics").header("prefer", "return=representation");
    assert_eq!(returning.json(&event(&word)).send().await.status, 401);
    let stored = stored(&stack, &word).await;
    assert_eq!(stored.len(), 4);
    assert!(stored.iter().all(|event| event.user_id.is_none()), "{stored:?}");
    for target in ["analytics", "daily_analytics", "session_completion_stats", "session_outcomes", "system_logs"] {
        let answer = visitor.rest("GET", target).send().await;
        assert_eq!(answer.status, 401, "{target}: {}", answer.text());
    }
    assert_eq!(visitor.rest("POST", "rpc/get_analytics_summary").json(&json!({})).send().await.status, 401);
}

/// Whoever reads two numbers of one sequence learns how many others were given out between.
#[tokio::test]
async fn no_column_that_callers_may_read_is_numbered_for_everybody() {
    let database = Stack::running().database().await;
    let query = "select c.relname || '.' || a.attname, a.attidentity <> '' or exists (
            select from pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum
              and pg_get_expr(d.adbin, d.adrelid) ~ 'nextval|txid|xact_id'),
          has_column_privilege('authenticated', c.oid, a.attnum, 'select')
            or has_column_privilege('anon', c.oid, a.attnum, 'select')
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')";
    let columns: Vec<(String, bool, bool)> =
        database.query(query, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert!(columns.iter().any(|(name, _, readable)| name == "analytics.row_id" && *readable), "{columns:?}");
    let found: BTreeSet<_> = columns.iter().filter(|(_, numbered, readable)| *numbered && *readable).collect();
    assert!(found.is_empty(), "{found:?}");
}
