//! What the database answers, in all its forms: nothing of it reaches the caller in a problem but what may.

use serde_json::{Value, json};
use shared::http::header::{ETAG, LOCATION};

use super::Verdict;
use super::reference::Members;
use super::request::tell;
use crate::input::Message;

/// Feeds one message, and then the same one with only that left of the database's answers which may matter: the caller
/// must be told the same both times.
pub(crate) fn run(input: &str) -> Verdict {
    let told = tell(input, &|_| {})?;
    if told.response.header("content-type") == Some("application/problem+json") {
        let raised: Vec<_> = told.raised.iter().map(|raised| raised.code.name).collect();
        let again = tell(input, &|message: &mut Message| {
            for (status, headers, body) in message.answers.iter_mut().flatten() {
                if !matches!(status.as_u16(), 200 | 201) {
                    *body = essence(body, &raised).unwrap_or_default();
                    headers.remove(LOCATION);
                    headers.remove(ETAG);
                }
            }
        })?;
        for name in ["code", "title", "detail", "type", "status"] {
            let (first, second) = (told.response.json.get(name), again.response.json.get(name));
            ensure!(first == second, "the database's words get out: {first:?} {second:?}");
        }
        let after = told.response.header("retry-after");
        ensure!(after.is_none_or(|after| after.parse::<u64>().is_ok()), "Retry-After is no number: {after:?}");
    }
    Ok(())
}

/// What a gateway says of a key, and not of a token.
const OF_A_KEY: [&str; 2] = ["Invalid authentication credentials", "You cannot consume this service"];

/// What may matter of an error: its code, its message where that names a problem of ours or a gateway refuses a key, and the
/// details of that one.
fn essence(body: &[u8], raised: &[&str]) -> Option<Vec<u8>> {
    let body = Members::of(std::str::from_utf8(body).ok()?)?;
    let mut left = json!({ "message": "relation \"secrets\" does not exist" });
    let members = left.as_object_mut()?;
    // An empty one has a meaning: PostgREST's connection broke. One that is no string has none.
    if let Some(code) = body.string("code") {
        members.insert("code".to_owned(), Value::from(code));
    }
    if let Some(message) = body.string("message").filter(|message| raised.contains(&&**message)) {
        members.insert("message".to_owned(), Value::from(message));
        members.insert("details".to_owned(), Value::from(body.string("details").unwrap_or_default()));
    }
    let is_of_a_key = |message: &str| message.contains("API key") || OF_A_KEY.contains(&message);
    let is_a_gateways = body.string("code").unwrap_or_default().is_empty();
    if is_a_gateways && body.string("message").is_some_and(|message| is_of_a_key(&message)) {
        members.insert("message".to_owned(), Value::from("Invalid API key"));
    }
    Some(left.to_string().into_bytes())
}
