//! `{{name}}` from request to response, over the fake host: what it sends, and what it refuses before sending.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::rc::Rc;

use shared::edge::Edge;
use shared::host::Request;
use shared::host::fake::{FakeHost, Sent, run};
use shared::http::HeaderName;
use shared::serde_json::{Value, from_str, json};
use {{stem}}::function;

const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-000000000001";

fn variables(name: &str) -> Option<String> {
    let value = match name {
        "SUPABASE_URL" => "https://abc.supabase.co".to_owned(),
        "SUPABASE_PUBLISHABLE_KEY" => "sb_publishable_x".to_owned(),
        "SUPABASE_JWKS" => FakeHost::key_set(&["k1"]),
        _ => return None,
    };
    Some(value)
}

/// Sends a request to the function, with a database that answers `upstream`; returns the response's status and body,
/// and what the function sent.
fn respond(method: &str, target: &str, body: &str, upstream: Option<(u16, &str)>) -> (u16, Value, Vec<Sent>) {
    let token = FakeHost::token(
        "k1",
        r#"{"iss":"https://abc.supabase.co/auth/v1","sub":"018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "aud":"authenticated","role":"authenticated","exp":1800003600}"#,
    );
    let mut head = Request::new(method, &format!("https://edge.example{target}"));
    head.add_header(HeaderName::from_static("authorization"), &format!("Bearer {token}"));
    head.add_header(HeaderName::from_static("content-type"), "application/json");
    let host = Rc::new(FakeHost::default());
    if let Some((status, body)) = upstream {
        host.answer(status, body);
    }
    let edge = Edge::new(Rc::<FakeHost>::clone(&host), function(), &variables);
    let arrival = Rc::new(edge.arrival(head));
    let response = run(edge.respond(arrival, Ok(body.as_bytes().to_vec()))).unwrap();
    let status = response.status().as_u16();
    let text = String::from_utf8(response.into_body().into_bytes().unwrap()).unwrap();
    let sent = host.sent.borrow().clone();
    (status, from_str(&text).unwrap(), sent)
}

#[test]
fn an_entry_is_one_call_and_its_answer_passes_through() {
    let saved = r#"{"entry":{},"replayed":false}"#;
    let (status, answer, sent) = respond("POST", "/", &format!(r#"{{"id":"{ID}","text":" hi "}}"#), Some((201, saved)));
    assert_eq!((status, answer, sent.len()), (201, from_str(saved).unwrap(), 1));
    assert_eq!(sent[0].url, "https://abc.supabase.co/rest/v1/rpc/save_{{stem}}");
    assert_eq!(sent[0].body.as_deref(), Some(&*format!(r#"{{"id":"{ID}","text":"hi"}}"#)));
}

#[test]
fn every_fault_is_reported_and_nothing_is_sent() {
    let (status, problem, sent) = respond("POST", "/", r#"{"id":"1","txet":"hi"}"#, None);
    let mut pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!((status, pointers, sent.len()), (422, vec!["/id", "/text", "/txet"], 0));
}

#[test]
fn an_id_that_stands_for_another_entry_is_a_conflict() {
    let raised = r#"{"code":"PT409","message":"id_reused","details":null,"hint":null}"#;
    let (status, problem, _) = respond("POST", "/", &format!(r#"{{"id":"{ID}","text":"hi"}}"#), Some((409, raised)));
    assert_eq!((status, &problem["code"]), (409, &json!("id_reused")));
}

#[test]
fn a_page_is_one_call() {
    let (status, _, sent) = respond("GET", "/?limit=2", "", Some((200, r#"{"entries":[],"next":null}"#)));
    assert_eq!((status, sent.len()), (200, 1));
    assert_eq!(sent[0].url, "https://abc.supabase.co/rest/v1/rpc/list_{{stem}}");
    assert_eq!(from_str::<Value>(sent[0].body.as_ref().unwrap()).unwrap(), json!({ "limit": 2 }));
}
