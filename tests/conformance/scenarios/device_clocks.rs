//! A device's clock may say anything; how far apart its events were is right nevertheless.

use conformance::scratch_api::{Caller, ScratchApi};
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

fn events(times: &[&str]) -> Value {
    let event = |time: &&str| json!({ "id": Uuid::new_v4(), "event_type": "ticked", "occurred_at": time });
    times.iter().map(event).collect()
}

/// How many seconds before its arrival each event happened, latest first, and whether it was clamped.
async fn stored(api: &ScratchApi, person: &Caller) -> Vec<(i64, bool)> {
    let query = "select round(extract(epoch from received_at - occurred_at))::bigint, clamped from public.analytics
        where user_id = $1 and event_type = 'ticked' order by occurred_at desc, row_id";
    let database = api.database.connect().await;
    let rows = database.query(query, &[&person.user_id]).await.unwrap();
    database.execute("delete from public.analytics where user_id = $1", &[&person.user_id]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn record(person: &Caller, times: &[&str], sent_at: &str) {
    let answer = person.rpc("record_events", &json!({ "events": events(times), "sent_at": sent_at })).await;
    assert_eq!(answer.status, 201, "{times:?} {sent_at}: {}", answer.text());
}

#[tokio::test]
async fn events_of_a_clock_in_another_century_are_as_far_apart_as_they_were() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let person = api.person().await;
    for (times, sent_at) in [
        // The Buddhist calendar's.
        (["2569-11-28T09:00:00Z", "2569-11-28T10:00:00Z", "2569-11-28T11:00:00Z"], "2569-11-28T12:00:00Z"),
        (["1970-01-01T00:00:00Z", "1970-01-01T01:00:00Z", "1970-01-01T02:00:00Z"], "1970-01-01T03:00:00Z"),
        (["9999-12-31T20:59:59Z", "9999-12-31T21:59:59Z", "9999-12-31T22:59:59Z"], "9999-12-31T23:59:59Z"),
        (["0001-01-01T00:00:00Z", "0001-01-01T01:00:00Z", "0001-01-01T02:00:00Z"], "0001-01-01T03:00:00Z"),
        // In another time zone, too.
        (["2569-11-28T16:00:00+07:00", "2569-11-28T10:00:00Z", "2569-11-28T18:00:00+07:00"], "2569-11-28T12:00:00Z"),
    ] {
        record(&person, &times, sent_at).await;
        let expected = [(3600, false), (7200, false), (10_800, false)];
        assert_eq!(stored(&api, &person).await, expected, "{sent_at}");
    }
    api.remove().await;
}

#[tokio::test]
async fn times_that_no_clock_shows_are_brought_to_the_nearest_that_can_be_and_marked() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let person = api.person().await;
    let month = 30 * 86_400;
    for (time, sent_at, expected) in [
        ("infinity", "2026-01-01T00:00:00Z", (0, true)),
        ("-infinity", "2026-01-01T00:00:00Z", (month, true)),
        ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", (0, true)),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", (month, true)),
        ("4713-01-01 00:00:00 BC", "2026-01-01T00:00:00Z", (month, true)),
        ("294276-12-31 23:59:59", "4713-01-01 00:00:00 BC", (0, true)),
        ("infinity", "infinity", (0, false)),
        ("-infinity", "-infinity", (0, false)),
        ("infinity", "-infinity", (0, true)),
        ("-infinity", "infinity", (month, true)),
    ] {
        record(&person, &[time], sent_at).await;
        assert_eq!(stored(&api, &person).await, [expected], "{time} sent at {sent_at}");
    }
    // Inserted directly, without a clock to compare with.
    for (time, expected) in [
        ("infinity", (0, true)),
        ("-infinity", (month, true)),
        ("2569-11-28T09:00:00Z", (0, true)),
        ("0001-01-01T00:00:00Z", (month, true)),
        ("4713-01-01 00:00:00 BC", (month, true)),
    ] {
        let answer = person.insert("analytics", &events(&[time])).await;
        assert_eq!(answer.status, 201, "{time}: {}", answer.text());
        assert_eq!(stored(&api, &person).await, [expected], "{time}");
        let message = json!({ "session_id": Uuid::new_v4(), "id": Uuid::new_v4(), "role": "bot", "message": "x",
            "written_at": time });
        let saved = person.rpc("save_message", &message).await;
        assert!(saved.status.as_u16() < 500, "{time}: {}", saved.text());
        if saved.status == 201 {
            let read = person.rpc("get_history", &json!({ "session_id": message["session_id"] })).await;
            assert_eq!(read.status, 200, "{time}: {}", read.text());
        }
    }
    // What is no time at all is the caller's mistake.
    for time in ["now and then", "2026-02-30T00:00:00Z", "999999-01-01T00:00:00Z", "2026-01-01T00:00:00+99:00"] {
        let answer = person.rpc("record_events", &json!({ "events": events(&[time]) })).await;
        assert_eq!(answer.status, 400, "{time}: {}", answer.text());
    }
    api.remove().await;
}
