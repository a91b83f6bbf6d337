//! Every operation of the old repository, in its place here: the table of `docs/chat-domain.md`, row by row.

use conformance::client::{Answer, call};
use conformance::person::{Person, message};
use conformance::stack::{Stack, checkout};
use devstack::checkout::Function;
use devstack::keys::token::TokenOptions;
use serde_json::{Value, json};
use uuid::Uuid;

async fn get(person: &Person, function: &str, target: &str) -> Value {
    let answer = person.call("GET", function, target).send().await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.json()
}

async fn move_on(person: &Person, session_id: Uuid, event: &str, response: Option<&str>) -> Value {
    let mut body = json!({ "session_id": session_id, "event": event });
    if let Some(response) = response {
        body["response"] = json!(response);
    }
    let answer = person.call("POST", "fsm-transition", "").json(&body).send().await;
    assert_eq!(answer.status, 200, "{event}: {}", answer.text());
    answer.json()
}

#[track_caller]
fn created(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn create_session_is_part_of_the_first_message_or_move_and_never_resets() {
    let person = Person::new(&Stack::running()).await;
    let (by_message, by_move) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(person.say(by_message, "hello").await["session"]["fsm_state"], "welcome");
    assert_eq!(move_on(&person, by_move, "next_step", None).await["from"], "welcome");
    // Again, in either way: as it is.
    assert_eq!(person.say(by_move, "hello").await["session"]["fsm_state"], "support_people");
    assert_eq!(move_on(&person, by_message, "next_step", None).await["version"], 1);
}

#[tokio::test]
async fn get_session_data_is_one_session_or_nothing() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let target = format!("/sessions/{session_id}");
    assert_eq!(person.call("GET", "chat-message", &target).send().await.status, 404);
    let state = format!("?session_id={session_id}");
    assert_eq!(person.call("GET", "fsm-transition", &state).send().await.status, 404);
    let saved = person.say(session_id, "hello").await;
    assert_eq!(get(&person, "chat-message", &target).await, saved["session"]);
    assert_eq!(get(&person, "fsm-transition", &state).await["state"], "welcome");
}

#[tokio::test]
async fn update_session_state_and_mark_session_completed_are_moves() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let began = person.say(session_id, "hello").await["session"]["last_activity"].clone();
    move_on(&person, session_id, "next_step", None).await;
    for step in ["support_people", "strengths", "worries", "goals"] {
        move_on(&person, session_id, "next_step", Some(step)).await;
    }
    let open = get(&person, "chat-message", &format!("/sessions/{session_id}")).await;
    assert_eq!((&open["fsm_state"], &open["completed"]), (&json!("summary"), &json!(false)));
    assert!(open["last_activity"].as_str() > began.as_str());
    assert_eq!(move_on(&person, session_id, "start_llm_chat", None).await["completed"], true);
    let done = get(&person, "chat-message", &format!("/sessions/{session_id}")).await;
    assert_eq!((&done["fsm_state"], &done["completed"]), (&json!("llm_conversation"), &json!(true)));
    let row = person.rest("GET", &format!("sessions?session_id=eq.{session_id}")).send().await.json();
    assert!(row[0]["completion_time"].is_string());
}

#[tokio::test]
async fn save_message_saves_session_message_and_last_activity_or_nothing() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut wrong = message(session_id, "hello");
    wrong["meta"] = json!([]);
    assert_eq!(person.save(&wrong).await.status, 422);
    assert_eq!(person.history(session_id, "").await.status, 404);
    let saved = created(&person.save(&message(session_id, "hello")).await);
    assert_eq!(saved["message"]["created_at"], saved["session"]["last_activity"]);
}

#[tokio::test]
async fn get_history_of_six_is_the_newest_six_newest_first() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for n in 1..=8 {
        person.say(session_id, &format!("message {n}")).await;
    }
    let page = get(&person, "chat-message", &format!("?session_id={session_id}&limit=6")).await;
    let texts: Vec<_> =
        page["messages"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect();
    assert_eq!(texts, [8, 7, 6, 5, 4, 3].map(|n| format!("message {n}")));
}

#[tokio::test]
async fn save_user_response_and_update_attempt_count_are_moves_and_get_user_responses_is_the_state() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    move_on(&person, session_id, "next_step", None).await;
    assert_eq!(move_on(&person, session_id, "unclear", Some("hm")).await["attempt_count"], 1);
    move_on(&person, session_id, "next_step", Some("my aunt")).await;
    move_on(&person, session_id, "next_step", Some("football")).await;
    let state = get(&person, "fsm-transition", &format!("?session_id={session_id}")).await;
    assert_eq!(state["responses"], json!({ "support_people": "my aunt", "strengths": "football" }));
    assert_eq!(state["attempts"], json!({ "support_people": 1 }));
}

#[tokio::test]
async fn save_risk_detection_comes_with_its_message_and_get_risk_detections_lists_them() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut said = message(session_id, "I do not want to go on");
    said["risk"] = json!({ "label": "suicidal_ideation", "trigger_phrase": "go on", "confidence": 0.9 });
    let saved = created(&person.save(&said).await);
    assert!(saved["crisis"]["resources"].as_array().is_some_and(|list| !list.is_empty()), "{saved}");
    for target in [format!("/risk-detections?session_id={session_id}"), "/risk-detections".to_owned()] {
        let page = get(&person, "chat-message", &target).await;
        let found = &page["risk_detections"][0];
        assert_eq!((&found["message_id"], &found["trigger_phrase"]), (&said["id"], &json!("go on")));
        assert_eq!(page["risk_detections"].as_array().unwrap().len(), 1);
    }
    let events = person.rest("GET", &format!("analytics?session_id=eq.{session_id}")).send().await.json();
    assert_eq!(events[0]["event_type"], "risk_triggered");
    assert_eq!(events.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn save_intent_classification_comes_with_its_message() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut said = message(session_id, "my aunt helps me");
    said["intent"] = json!({ "label": "support_people", "method": "hybrid", "confidence": 0.8, "fsm_state": "welcome", "inference_time_ms": 12.5 });
    created(&person.save(&said).await);
    let rows = person.rest("GET", &format!("intent_classifications?session_id=eq.{session_id}")).send().await.json();
    assert_eq!((&rows[0]["message_id"], &rows[0]["label"]), (&said["id"], &json!("support_people")));
    assert_eq!((&rows[0]["confidence"], &rows[0]["inference_time_ms"]), (&json!(0.8), &json!(12.5)));
}

#[tokio::test]
async fn save_session_summary_and_get_latest_summary_are_put_and_get() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person.say(session_id, "hello").await;
    for summary_type in ["partial", "complete", "llm_context"] {
        let target = format!("/sessions/{session_id}/summaries/{summary_type}");
        for (text, status) in [("first", 201), ("latest", 200)] {
            let body = json!({ "summary_data": { "text": text } });
            let put = person.call("PUT", "chat-message", &target).json(&body).send().await;
            assert_eq!(put.status, status, "{}", put.text());
        }
        assert_eq!(get(&person, "chat-message", &target).await["summary_data"], json!({ "text": "latest" }));
    }
}

#[tokio::test]
async fn save_analytics_event_is_counted_and_get_analytics_summary_tells_of_it() {
    let person = Person::new(&Stack::running()).await;
    let event = json!({ "id": Uuid::new_v4(), "event_type": "llm_fallback_used", "event_data": { "turn": 3 } });
    for accepted in [1, 0] {
        let answer = person.call("POST", "analytics", "").json(&event).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["accepted"]), (201, &json!(accepted)), "{}", answer.text());
    }
    move_on(&person, Uuid::new_v4(), "next_step", None).await;
    let summary = get(&person, "analytics", "/summary?days=7").await;
    assert_eq!(summary["event_counts"], json!({ "llm_fallback_used": 1, "session_started": 1 }));
    assert_eq!(summary["completion_stats"]["total_sessions"], 1);
}

#[tokio::test]
async fn save_system_log_keeps_a_line() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let word = Uuid::new_v4().to_string();
    let line = json!({ "log_level": "CRITICAL", "component": "llm_router", "message": word, "error_trace": "at 7" });
    let answer = person.call("POST", "analytics", "/logs").json(&line).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let query = "select log_level, component from public.system_logs where message = $1 and user_id = $2";
    let row = stack.database().await.query_one(query, &[&word, &person.user_id]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("CRITICAL", "llm_router"));
}

#[tokio::test]
async fn cleanup_old_sessions_is_for_the_operator() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let options = TokenOptions { role: "service_role".into(), ..TokenOptions::default() };
    let operator = Person { token: stack.mint(&options), ..person.clone() };
    // Of what age, retention.rs shows: this one must not take other tests' sessions.
    let asked = json!({ "days": 36_500 });
    let answer = operator.rpc("cleanup_old_sessions", &asked).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(0)));
    assert_eq!(person.rpc("cleanup_old_sessions", &asked).await.status, 403);
}

#[tokio::test]
async fn the_deep_health_check_asks_the_database() {
    let stack = Stack::running();
    for Function { name: function } in checkout().functions().unwrap() {
        let answer = call("GET", format!("{}/health?deep=1", stack.function(&function))).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["database"]), (200, &json!("connected")), "{function}");
    }
}
