//! How many requests a function sends for each operation, counted at the gateway.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::{self, Next},
};
use hyper::Method;
use serde_json::json;
use uuid::Uuid;

use super::{
    call::{Caller, Door, Wanted},
    events, messages,
    scene::Scene,
    table::{Budget, Section, Table},
};
use devstack::{
    error::{Error, Result},
    gateway::Watch,
    host::Host,
    progress::Progress,
};

/// What each operation causes: not more, and not less either, for then the record has missed it.
const BUDGET: usize = 1;
/// The time of the events.
const THEN: &str = "2026-11-21T10:00:00Z";

/// An operation.
struct Operation {
    name: &'static str,
    /// What an isolate does once has no budget.
    has_budget: bool,
    wanted: Wanted,
}

/// What an operation caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    name: &'static str,
    has_budget: bool,
    sent: usize,
}

/// Counts on one host. One operation after the other: what is sent meanwhile is its doing.
pub async fn count(scene: &Scene, sent: &AtomicUsize, progress: Progress) -> Result<Vec<Counted>> {
    progress.say(format!("{}: counting upstream requests", scene.host));
    let mut caller = Caller::to(scene.rest.port).await?;
    let mut counted = Vec::new();
    for Operation { name, has_budget, wanted } in operations(scene)? {
        let before = sent.load(Ordering::SeqCst);
        caller.send(&wanted).await?;
        counted.push(Counted { name, has_budget, sent: sent.load(Ordering::SeqCst) - before });
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
pub fn section(hosts: &[(Host, Vec<Counted>)]) -> Section {
    let mut table =
        Table::new(["operation".to_owned()].into_iter().chain(hosts.iter().map(|(host, _)| host.to_string())));
    let operations = hosts.first().map(|(_, counted)| counted.as_slice()).unwrap_or_default();
    for operation in operations {
        let of_hosts = hosts.iter().filter_map(|(_, counted)| counted.iter().find(|one| one.name == operation.name));
        let sent: Vec<usize> = of_hosts.map(|one| one.sent).collect();
        let met = sent.iter().all(|sent| *sent == BUDGET);
        let cells = [operation.name.to_owned()].into_iter().chain(sent.iter().map(usize::to_string)).collect();
        table.row(cells, operation.has_budget.then(|| Budget::new(BUDGET.to_string(), met)));
    }
    let told = "Everything a function sends while it carries out an operation, counted at the gateway. An isolate \
         fetches the project's key set with its first request, and every ten minutes after that, unless \
         `SUPABASE_JWKS` holds it."
        .to_owned();
    Section { title: "Upstream requests for each operation", told, table }
}

fn operations(scene: &Scene) -> Result<Vec<Operation>> {
    let person = scene.people.first().ok_or_else(|| Error::new("nobody is signed in"))?;
    let (session, token) = (person.session_id, person.token.as_str());
    let chat = scene.function("chat-message");
    let machine = scene.function("fsm-transition");
    let analytics = scene.function("analytics");

    let get = |door: &Door, path: &str| door.request(Method::GET, path, Some(token), "");
    let said = chat.post("", token, messages::body(person, "user"));
    let risky = json!({
        "id": Uuid::new_v4(), "session_id": session, "role": "user", "message": "I cannot go on",
        "intent": { "label": "crisis", "method": "rule_based" },
        "risk": { "label": "self_harm", "method": "rule_based" },
    });
    let summary = format!("/sessions/{session}/summaries/partial");
    let summary_data = r#"{"summary_data":{"text":"short"}}"#;
    let answer = |session: Uuid| {
        let (event, response) = ("next_step", "Well, thank you");
        let machine = "check-in";
        json!({ "id": Uuid::new_v4(), "session_id": session, "machine": machine, "event": event, "response": response })
    };
    let walk = Uuid::new_v4();
    let marked = format!("/machines/check-in?format=svg&session_id={walk}");
    let line = json!({ "id": Uuid::new_v4(), "log_level": "INFO", "component": "bench", "message": "hello" });
    let delete = chat.request(Method::DELETE, &format!("/sessions/{session}"), Some(token), "");

    let once = |name, wanted| Operation { name, has_budget: false, wanted };
    let each = |name, wanted| Operation { name, has_budget: true, wanted };
    Ok(vec![
        once("`chat-message`: an isolate's first request", get(&chat, "/sessions")),
        each("save a message", said.clone()),
        each("save it again: a replay", said),
        each("save a message with intent and risk", chat.post("", token, risky.to_string())),
        each("read a page of history", get(&chat, &format!("?session_id={session}"))),
        each("list sessions", get(&chat, "/sessions")),
        each("read a session", get(&chat, &format!("/sessions/{session}"))),
        each("store a summary", chat.request(Method::PUT, &summary, Some(token), summary_data)),
        each("read a summary", get(&chat, &summary)),
        each("list risks", get(&chat, "/risk-detections")),
        each("delete a session", delete),
        once(
            "`fsm-transition`: an isolate's first request",
            machine.post("", token, answer(Uuid::new_v4()).to_string()),
        ),
        each("make a move, which begins a session", machine.post("", token, answer(walk).to_string())),
        each("read a session's state", get(&machine, &format!("?session_id={walk}"))),
        each("draw a machine with a session's state", get(&machine, &marked)),
        once("`analytics`: an isolate's first request", get(&analytics, "/summary")),
        each("1 event", analytics.post("", token, events::body(1, THEN))),
        each("500 events", analytics.post("", token, events::body(500, THEN))),
        each("500 events of a visitor", analytics.request(Method::POST, "", None, events::body(500, THEN))),
        each("a log line", analytics.post("/logs", token, line.to_string())),
        each("a person's statistics", get(&analytics, "/summary")),
    ])
}

#[cfg(test)]
mod tests {
    use super::{Counted, section};
    use devstack::host::Host;

    #[test]
    fn one_host_off_the_budget_misses_it() {
        let counted = |sent| {
            vec![
                Counted { name: "first", has_budget: false, sent: 2 },
                Counted { name: "save", has_budget: true, sent },
            ]
        };
        let of = |sent| section(&[(Host::Workers, counted(1)), (Host::Supabase, counted(sent))]).table;
        assert_eq!(of(1).missed(), 0);
        assert_eq!(of(2).missed(), 1);
        assert_eq!(of(0).missed(), 1);
        assert!(of(2).markdown().contains("workers | supabase"));
    }
}
