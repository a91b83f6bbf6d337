//! base64url, query parameters, UUIDs and times, held to the crates that are known for them.

use std::borrow::Cow;

use analytics::Analytics;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};
use shared::edge::Edge;
use shared::fake::{FakeHost, answer};
use shared::http::Request;
use shared::id::Id;
use shared::{base64url, query};

use super::reference;
use super::request::variables;
use crate::engine::Verdict;
use crate::input::{expand, expand_text};

/// Feeds one text to all decoders.
pub(crate) fn run(input: &str) -> Verdict {
    let bytes = expand(input);
    let text = expand_text(input);
    ensure!(
        base64url::encode(&bytes) == Base64UrlUnpadded::encode_string(&bytes),
        "base64url is written wrong: {bytes:?}"
    );
    let decoded = base64url::decode(&text);
    ensure!(decoded == reference::base64url(&text), "base64url is read wrong: {text:?}");
    let as_text = base64url::decode_text(&text);
    ensure!(as_text == reference::base64url_text(&text), "base64url text is read wrong: {text:?}");
    let id = Id::parse(&text);
    ensure!(id.is_some() == reference::is_uuid(&text), "a UUID is judged wrong: {text:?}");
    ensure!(id.is_none_or(|id| id.as_str() == text.to_lowercase()), "a UUID is changed: {text:?}");
    let ours: Vec<_> = query::parse(&text).collect();
    // The standard puts U+FFFD where escapes are not UTF-8; this reader leaves the whole text as it is, to be refused.
    let theirs: Vec<_> = form_urlencoded::parse(text.as_bytes()).map(|(name, value)| [name, value]).collect();
    ensure!(ours.len() == theirs.len(), "parameters are lost: {text:?}");
    for ((name, value), theirs) in ours.iter().zip(&theirs) {
        for (ours, theirs) in [name, value].into_iter().zip(theirs) {
            ensure!(ours == theirs || theirs.contains('\u{fffd}'), "a parameter is read wrong: {ours:?} {theirs:?}");
        }
    }
    let escaped = theirs.iter().flatten().any(|part| matches!(part, Cow::Owned(_)));
    Ok(format!("{:?} {} {} {escaped}", decoded.map(|bytes| bytes.len().min(4)), as_text.is_some(), ours.len().min(4)))
}

/// Feeds one text as the time of an event.
pub(crate) fn date_time(input: &str) -> Verdict {
    let text = expand_text(input);
    let edge = Edge::<_, Analytics>::new(FakeHost::default(), &variables);
    edge.host().answer(200, r#"{"accepted":1,"duplicates":0}"#);
    let request = Request {
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: json!({ "event_type": "a", "occurred_at": text }).to_string().into_bytes(),
        body_error: None,
    };
    let status = answer(&edge, &request).status;
    ensure!((status == 201) == is_date_time(&text), "a time is judged wrong: {status} {text:?}");
    if let Some(sent) = edge.host().sent.borrow().first() {
        let sent = serde_json::from_str::<Value>(sent.body.as_deref().unwrap_or_default()).unwrap_or_default();
        ensure!(sent.pointer("/events/0/occurred_at") == Some(&json!(text)), "a time is changed: {sent}");
    }
    let shape: String =
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).take(40).collect();
    Ok(format!("{status} {}", if status == 201 { shape } else { String::new() }))
}

/// Whether a text has the form of RFC 3339 section 5.6, and `jiff` knows the day and the time, and PostgreSQL the offset.
fn is_date_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00").or_else(|| shape.strip_prefix("0000-00-00t00:00:00"))
    else {
        return false;
    };
    let decimals = rest.strip_prefix('.').map_or(0, |rest| rest.len() - rest.trim_start_matches('0').len());
    let offset = rest.get(if rest.starts_with('.') { 1 + decimals } else { 0 }..).unwrap_or_default();
    let is_formed =
        (!rest.starts_with('.') || (1..=9).contains(&decimals)) && matches!(offset, "Z" | "z" | "+00:00" | "-00:00");
    let (local, offset) = text.split_at(text.len() - if is_formed { offset.len() } else { 0 });
    let in_bounds = offset.len() < 6
        || offset.get(1..3).is_some_and(|hours| hours < "16") && offset.get(4..).is_some_and(|minutes| minutes < "60");
    let is_known = local.to_uppercase().parse::<jiff::civil::DateTime>().is_ok();
    is_formed && in_bounds && is_known && !text.starts_with("0000")
}
