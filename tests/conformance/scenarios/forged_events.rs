//! Events that a caller makes up change no statistic of what the database writes itself.

use conformance::scratch_api::{Caller, ScratchApi};
use conformance::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

const VIEWS: [&str; 2] = ["session_completion_stats?order=date", "session_outcomes?order=began_at"];

/// What the database writes itself.
const OWN: &str = "event_type=in.(session_started,step_completed,session_completed,risk_triggered)";

async fn statistics(who: &Caller) -> Vec<Value> {
    let mut told = Vec::new();
    for view in VIEWS {
        told.push(who.rest("GET", view).send().await.json());
    }
    told.push(who.rest("GET", &format!("daily_analytics?{OWN}&order=event_type")).send().await.json());
    told
}

async fn summary(who: &Caller) -> Value {
    who.rpc("get_analytics_summary", &json!({})).await.json()
}

#[tokio::test]
async fn thousands_of_made_up_events_change_no_statistic() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    database.batch_execute("update public.rate_limits set at_most = 1000000").await.unwrap();
    let (person, visitor, service) = (api.person().await, api.visitor(), api.service());
    // A session that is real, and not completed.
    let moved = json!({ "session_id": Uuid::new_v4(), "id": Uuid::new_v4(), "event": "next_step", "response": "x",
        "machine": "check-in" });
    assert_eq!(person.rpc("transition_session", &moved).await.status, 200);
    let session = &moved["session_id"];
    let before = (statistics(&service).await, statistics(&person).await, summary(&person).await);
    assert_eq!(before.0[0][0]["completed_sessions"], 0, "{before:?}");

    let event = |kind: &str, session: Value| {
        json!({ "id": Uuid::new_v4(), "event_type": kind, "session_id": session,
            "event_data": { "began_at": "2026-01-01T00:00:00Z", "label": "x" } })
    };
    let kinds = ["session_started", "session_completed"];
    let made_up: Value = (0..500).map(|n| event(kinds[n % 2], json!(Uuid::new_v4()))).collect();
    let unnamed: Value = (0..500).map(|n| event(kinds[n % 2], Value::Null)).collect();
    let risks: Value = (0..500).map(|_| event("risk_triggered", session.clone())).collect();
    let steps: Value = [event("session_started", session.clone()), event("session_completed", session.clone())].into();
    for who in [&person, &visitor] {
        for events in [&made_up, &unnamed, &risks, &risks, &steps] {
            let answer = who.rpc("record_events", &json!({ "events": events })).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
    }
    let more: Value = (0..500).map(|_| event("risk_triggered", session.clone())).collect();
    assert_eq!(person.insert("analytics", &more).await.status, 201);
    assert_eq!((statistics(&service).await, statistics(&person).await, summary(&person).await), before);
    // They are there, and the person can read them: only statistics leave them out.
    let own = person.rest("GET", "analytics?source=eq.caller&limit=1").header("prefer", "count=exact").send().await;
    assert!(own.header("content-range").ends_with("/2002"), "{}", own.header("content-range"));
    api.remove().await;
}

#[tokio::test]
async fn nobody_but_the_database_says_that_an_event_is_the_databases() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let event = json!({ "event_type": "session_completed", "source": "server" });
    for (who, status) in [(api.person().await, 403), (api.visitor(), 401)] {
        for prefer in ["return=minimal", "resolution=ignore-duplicates", "resolution=merge-duplicates"] {
            let call = who.rest("POST", "analytics").header("prefer", prefer).json(&event);
            assert_eq!(call.send().await.status, status, "{prefer}");
        }
        let batch = json!([{ "event_type": "x", "source": "caller" }, event]);
        assert_eq!(who.insert("analytics", &batch).await.status, status);
        // The function has no such member, and leaves it out.
        let forged = json!({ "id": Uuid::new_v4(), "event_type": "x", "source": "server" });
        assert_eq!(who.rpc("record_events", &json!({ "events": [forged] })).await.status, 201);
    }
    let database = api.database.connect().await;
    let forged = "select count(*) from public.analytics where source <> 'caller'";
    assert_eq!(database.query_one(forged, &[]).await.unwrap().get::<_, i64>(0), 0);
    api.remove().await;
}
