//! How many requests a function sends for each operation, counted at the gateway.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{Caller, Wanted},
    events, messages,
    scene::Scene,
    table::{Budget, Table},
};
use devstack::{error::Result, gateway::Watch, host::Host, progress::Progress};

/// What each operation causes: not more, and not less either, for then the record has missed it.
const BUDGET: usize = 1;
/// The time of the events.
const THEN: &str = "2026-11-21T10:00:00Z";

/// What an isolate does once, by the end of its name; it has no budget.
const ONCE: &str = "an isolate's first request";

/// The operations by name, each with how many requests it caused.
pub type Counted = Vec<(&'static str, usize)>;

/// Counts on one host. One operation after the other: what is sent meanwhile is its doing.
pub async fn count(scene: &Scene, sent: &AtomicUsize, progress: Progress) -> Result<Counted> {
    progress.say(format!("{}: counting upstream requests", scene.host));
    let caller = Caller::default();
    let mut counted = Vec::new();
    for (name, wanted) in operations(scene)? {
        let before = sent.load(Ordering::SeqCst);
        caller.send(&wanted.by(scene.first()?)).await?;
        counted.push((name, sent.load(Ordering::SeqCst) - before));
    }
    Ok(counted)
}

/// Counts the requests of the functions at the gateway, each before it goes on.
pub fn counter() -> (Arc<AtomicUsize>, Watch) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = |State(sent): State<Arc<AtomicUsize>>, request: Request, next: Next| {
        sent.fetch_add(1, Ordering::SeqCst);
        next.run(request)
    };
    let counted = middleware::from_fn_with_state(sent.clone(), count);
    let watch = Watch { clients: Box::new(|app| app), functions: Box::new(|app| app.layer(counted)) };
    (sent, watch)
}

/// The section: a row for each operation, a column for each host.
pub fn section(hosts: &[(Host, Counted)]) -> Table {
    let names = hosts.iter().map(|(host, _)| host.to_string());
    let mut table = Table::new("Upstream requests for each operation", ["operation".into()].into_iter().chain(names));
    let operations = hosts.first().map(|(_, counted)| counted.as_slice()).unwrap_or_default();
    for (place, (name, _)) in operations.iter().enumerate() {
        let sent = hosts.iter().filter_map(|(_, counted)| counted.get(place)).map(|(_, sent)| *sent);
        let met = sent.clone().all(|sent| sent == BUDGET);
        let cells = [(*name).to_owned()].into_iter().chain(sent.map(|sent| sent.to_string())).collect();
        table.row(cells, (!name.ends_with(ONCE)).then(|| Budget::new(BUDGET.to_string(), met)));
    }
    table
}

fn operations(scene: &Scene) -> Result<Vec<(&'static str, Wanted)>> {
    let chat = scene.function("chat-message");
    let machine = scene.function("fsm-transition");
    let analytics = scene.function("analytics");

    let said = chat.post("", messages::body("user")).by(scene.first()?);
    let risky = json!({
        "id": "{uuid}", "session_id": "{session}", "role": "user", "message": "I cannot go on",
        "intent": { "label": "crisis", "method": "rule_based" },
        "risk": { "label": "self_harm", "method": "rule_based" },
    });
    let summary = "/sessions/{session}/summaries/partial";
    let summary_data = r#"{"summary_data":{"text":"short"}}"#;
    let walk = Uuid::new_v4();
    let answer = |session: &str| moves(session, "next_step", Some("Well, thank you"));
    let line = json!({ "id": "{uuid}", "log_level": "INFO", "component": "bench", "message": "hello" });

    Ok(vec![
        ("`chat-message`: an isolate's first request", chat.get("/sessions")),
        ("save a message", said.clone()),
        ("save it again: a replay", said),
        ("save a message with intent and risk", chat.post("", risky.to_string())),
        ("read a page of history", chat.get("?session_id={session}")),
        ("list sessions", chat.get("/sessions")),
        ("read a session", chat.get("/sessions/{session}")),
        ("store a summary", chat.request("PUT", summary, summary_data).signed_in()),
        ("read a summary", chat.get(summary)),
        ("list risks", chat.get("/risk-detections")),
        ("delete a session", chat.request("DELETE", "/sessions/{session}", "").signed_in()),
        ("`fsm-transition`: an isolate's first request", machine.post("", answer("{uuid}"))),
        ("make a move, which begins a session", machine.post("", answer(&walk.to_string()))),
        ("read a session's state", machine.get(&format!("?session_id={walk}"))),
        (
            "draw a machine with a session's state",
            machine.get(&format!("/machines/check-in?format=svg&session_id={walk}")),
        ),
        ("`analytics`: an isolate's first request", analytics.get("/summary")),
        ("1 event", analytics.post("", events::body(1, THEN))),
        ("500 events", analytics.post("", events::body(500, THEN))),
        ("500 events of a visitor", analytics.request("POST", "", events::body(500, THEN))),
        ("a log line", analytics.post("/logs", line.to_string())),
        ("a person's statistics", analytics.get("/summary")),
    ])
}

/// A move on the check-in machine.
pub fn moves(session: &str, event: &str, response: Option<&str>) -> String {
    let wanted = [("id", "{uuid}"), ("session_id", session), ("machine", "check-in"), ("event", event)];
    let response = response.map(|response| ("response", response));
    wanted
        .into_iter()
        .chain(response)
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<Value>()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::section;
    use devstack::host::Host;

    #[test]
    fn one_host_off_the_budget_misses_it() {
        let counted = |sent| vec![("`x`: an isolate's first request", 2), ("save", sent)];
        let of = |sent| section(&[(Host::Workers, counted(1)), (Host::Supabase, counted(sent))]);
        assert_eq!(of(1).missed(), 0);
        assert_eq!(of(2).missed(), 1);
        assert_eq!(of(0).missed(), 1);
        assert!(of(2).markdown().contains("workers | supabase"));
    }
}
