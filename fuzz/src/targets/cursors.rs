//! Cursors, through the function that gives them out: what is taken is what was given, and nothing else.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use chat_message::ChatMessage;
use serde_json::{Value, json};
use shared::edge::Edge;
use shared::fake::{FakeHost, answer};
use shared::http::{Request, Response};

use super::reference::{base64url_text, is_uuid};
use super::request::variables;
use crate::engine::Verdict;
use crate::input::{SUBJECT, expand_text, good_token};

/// Feeds one text as the cursor of a history and of a list, and as what cursors are made of.
pub(crate) fn run(input: &str) -> Verdict {
    let text = expand_text(input);
    let mut sight = String::new();

    let (status, _, sent) = ask("", "session_id", &text, r#"{"messages":[],"next":null}"#);
    let expected = base64url_text(&text).and_then(|inside| {
        let (order, seq) = inside.split_once(':')?;
        let seq = seq.parse::<u64>().ok().filter(|number| *number <= i64::MAX as u64 && number.to_string() == seq)?;
        ["asc", "desc"].contains(&order).then(|| json!({ "session_id": SUBJECT, "order": order, "before": seq }))
    });
    ensure!(sent == expected, "a cursor of a history is read wrong: {text:?} {sent:?}");
    ensure!(status == if sent.is_some() { 200 } else { 422 }, "a cursor is no reason for this status: {status}");
    sight.push_str(if sent.is_some() { "history " } else { "" });

    let (_, _, sent) = ask("/sessions", "limit", &text, r#"{"sessions":[],"next":null}"#);
    let expected = base64url_text(&text).and_then(|inside| {
        let (time, id) = inside.split_once(':')?;
        let is_digits = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        let time = time.parse::<u64>().ok().filter(|time| is_digits && *time <= i64::MAX as u64)?;
        is_uuid(id).then(|| json!({ "limit": 7, "before_time": time, "before_id": id.to_lowercase() }))
    });
    ensure!(sent == expected, "a cursor of a list is read wrong: {text:?} {sent:?}");
    sight.push_str(if sent.is_some() { "list " } else { "" });

    // What the database says comes next goes out as a cursor, and comes back as what it was.
    if let Ok(seq) = text.parse::<u64>() {
        let (status, next, _) = ask("", "session_id", "ZGVzYzo4", &format!(r#"{{"messages":[],"next":{seq}}}"#));
        let plain = seq.to_string() == text;
        if let Some(next) = next {
            let encoded = Base64UrlUnpadded::encode_string(format!("desc:{seq}").as_bytes());
            ensure!(next == encoded, "a cursor is written wrong: {next}");
            let (_, _, sent) = ask("", "session_id", &next, r#"{"messages":[],"next":null}"#);
            let back = sent.and_then(|sent| sent.get("before").and_then(Value::as_u64));
            ensure!(back == Some(seq) || seq > i64::MAX as u64, "a cursor does not come back: {seq} {back:?}");
        }
        sight.push_str(if plain { "number " } else { "" });
        sight.push_str(&status.to_string());
    }
    Ok(sight)
}

/// Asks for a page before a cursor; the status, the `next` of the answer, and what was sent to the database.
fn ask(path: &str, field: &str, cursor: &str, found: &str) -> (u16, Option<String>, Option<Value>) {
    let value = if field == "limit" { "7" } else { SUBJECT };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(field, value).append_pair("before", cursor);
    let request = Request {
        method: "GET".to_owned(),
        path: ["/chat-message", path].concat(),
        query: query.finish(),
        headers: vec![("authorization", format!("Bearer {}", good_token()))],
        body: Vec::new(),
        body_error: None,
    };
    let edge = Edge::<_, ChatMessage>::new(FakeHost::default(), &variables);
    edge.host().answer(200, found);
    let Response { status, body, .. } = answer(&edge, &request);
    let body = serde_json::from_slice::<Value>(&body.unwrap_or_default()).unwrap_or_default();
    let next = body.get("next").and_then(Value::as_str).map(str::to_owned);
    let sent = edge.host().sent.borrow().first().and_then(|sent| serde_json::from_str(sent.body.as_deref()?).ok());
    (status, next, sent)
}
