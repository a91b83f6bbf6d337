//! Cursors, through the function that takes them: what is taken is what the database makes, and nothing else.

use std::rc::Rc;

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use shared::answer::{Cursor as _, RowPlace};
use shared::edge::Edge;
use shared::host::Request;
use shared::host::fake::{FakeHost, run as finish};
use shared::http::header::AUTHORIZATION;

use super::Verdict;
use super::reference::{base64url_text, is_uuid};
use super::request::{Answered, variables};
use crate::input::{SUBJECT, expand_text, good_token};

/// Feeds one text as the cursor of a history and of a list, and as what cursors are made of.
pub(crate) fn run(input: &str) -> Verdict {
    let text = expand_text(input);

    let (status, _, sent) = ask("", "session_id", &text, r#"{"messages":[],"next":null}"#);
    let expected = base64url_text(&text).and_then(|inside| {
        let (order, seq) = inside.split_once(':')?;
        let seq = seq.parse::<u64>().ok().filter(|number| *number <= i64::MAX as u64 && number.to_string() == seq)?;
        ["asc", "desc"].contains(&order).then(|| json!({ "session_id": SUBJECT, "order": order, "before": seq }))
    });
    ensure!(sent == expected, "a cursor of a history is read wrong: {text:?} {sent:?}");
    ensure!(status == if sent.is_some() { 200 } else { 422 }, "a cursor is no reason for this status: {status}");

    let (_, _, sent) = ask("/sessions", "limit", &text, r#"{"sessions":[],"next":null}"#);
    let expected = base64url_text(&text).and_then(|inside| {
        let (time, id) = inside.split_once(':')?;
        let is_digits = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        let time = time.parse::<u64>().ok().filter(|time| is_digits && *time <= i64::MAX as u64)?;
        is_uuid(id).then(|| json!({ "limit": 7, "before_time": time, "before_id": id.to_lowercase() }))
    });
    ensure!(sent == expected, "a cursor of a list is read wrong: {text:?} {sent:?}");
    let place = RowPlace::decode(&text)
        .map(|RowPlace { time, id }| json!({ "limit": 7, "before_time": time, "before_id": id.to_string() }));
    ensure!(place == expected, "a place in a list is read wrong: {text:?} {place:?}");

    // What the database gives as next passes through, and comes back as the place it was made of.
    if let Ok(seq) = text.parse::<u64>() {
        let made = URL_SAFE_NO_PAD.encode(format!("desc:{seq}"));
        let page = format!(r#"{{"messages":[],"next":"{made}"}}"#);
        let (status, body, _) = ask("", "session_id", "ZGVzYzo4", &page);
        ensure!((status, &body) == (200, &page), "a page is changed: {status} {body}");
        let (_, _, sent) = ask("", "session_id", &made, r#"{"messages":[],"next":null}"#);
        let back = sent.and_then(|sent| sent.get("before").and_then(Value::as_u64));
        ensure!(back == Some(seq).filter(|seq| *seq <= i64::MAX as u64), "a cursor does not come back: {seq} {back:?}");
    }
    Ok(())
}

/// Asks for a page before a cursor; the status, the body of the answer, and what was sent to the database.
fn ask(path: &str, field: &str, cursor: &str, found: &str) -> (u16, String, Option<Value>) {
    let value = if field == "limit" { "7" } else { SUBJECT };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(field, value).append_pair("before", cursor);
    let mut request = Request::new("GET", &format!("https://edge.example/chat-message{path}?{}", query.finish()));
    request.add_header(AUTHORIZATION, &format!("Bearer {}", good_token()));
    let host = Rc::new(FakeHost::default());
    host.answer(200, found);
    let edge = Edge::new(Rc::<FakeHost>::clone(&host), chat_message::function(), &variables);
    let arrival = Rc::new(edge.arrival(request));
    let response = finish(edge.respond(arrival, Ok(Vec::new()))).map(Answered::from);
    let (status, body) =
        response.map_or((0, String::new()), |response| (response.status, response.text().into_owned()));
    let sent = host.sent.borrow().first().and_then(|sent| serde_json::from_str(sent.body.as_deref()?).ok());
    (status, body, sent)
}
