//! A person with a row in every table that holds rows of people.

use serde_json::json;
use uuid::Uuid;

use crate::person::{Person, message};

/// Leads a conversation that leaves something in every such table, with a secret wherever the person's own words go.
/// A test that finds a table empty says so: whoever adds a table adds it here.
pub async fn a_row_in_every_table(person: &Person, session_id: Uuid, secret: &str) {
    // An answer that may be given again, so that the owner's own direct move is a legal one. First of all, because it
    // begins the session, on the machine that has such an answer.
    let answer = json!({ "session_id": session_id, "event": "unclear", "response": secret, "machine": "check-in" });
    let made = person.call("POST", "fsm-transition", "").json(&answer).send().await;
    assert_eq!(made.status, 200, "{}", made.text());
    let mut said = message(session_id, secret);
    said["meta"] = json!({ "said": secret });
    said["intent"] = json!({ "label": "worries", "method": "rule_based", "confidence": 0.9 });
    said["risk"] = json!({
        "label": "self_harm", "trigger_phrase": secret, "confidence": 0.7, "method": "rule_based", "model": "none",
        "details": { "phrase": secret },
    });
    let summary = json!({ "session_id": session_id, "summary_type": "partial", "summary_data": { "text": [secret] } });
    let line = json!({
        "id": Uuid::new_v4(), "log_level": "INFO", "component": "seed", "message": secret, "session_id": session_id,
    });
    for (function, arguments) in [("save_message", said), ("put_session_summary", summary), ("record_log", line)] {
        let made = person.rpc(function, &arguments).await;
        assert_eq!(made.status, 201, "{function}: {}", made.text());
    }
    // What was deleted is remembered.
    let other = Uuid::new_v4();
    for (function, arguments) in
        [("save_message", message(other, "gone")), ("delete_session", json!({ "session_id": other }))]
    {
        let made = person.rpc(function, &arguments).await;
        assert!(made.status.is_success(), "{function}: {}", made.text());
    }
    // `cargo xtask new` adds a new function's here.
}
