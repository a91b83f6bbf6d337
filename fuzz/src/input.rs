//! What is in a corpus file: text that a person can read and write, and what it stands for.
//!
//! Some of what is sent cannot be read (a token, a byte that is not UTF-8) or is very long. It is written between
//! `«` and `»`, as an operation and what it is done to:
//!
//! | written | stands for |
//! |---|---|
//! | `«token»` | a token the function accepts |
//! | `«base64url {"alg":"ES256"}»` | that text in base64url |
//! | `«hex ff 00»` | these bytes |
//! | `«600 times ab»` | `abab…` |
//!
//! Mutations change the text as it is written: so they reach into tokens and cursors, and leave them well encoded.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use shared::fake::FakeHost;
use shared::host::{FetchError, Inbound};
use shared::http::{BodyError, READ_HEADERS, Request};

/// Whose token `«token»` is.
pub(crate) const SUBJECT: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";

/// Longest input there is, in bytes: a little more than any function reads.
const MOST_BYTES: usize = 600 * 1024;

/// A token the functions accept.
pub(crate) fn good_token() -> String {
    let payload = format!(
        r#"{{"iss":"https://abc.supabase.co/auth/v1","sub":"{SUBJECT}","aud":"authenticated","role":"authenticated","exp":1800003600}}"#
    );
    FakeHost::token("k1", &payload)
}

/// The bytes a text stands for.
pub(crate) fn expand(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('«') {
        bytes.extend_from_slice(before.as_bytes());
        match after.split_once('»').and_then(|(inside, after)| Some((replaced(inside)?, after))) {
            Some((replaced, after)) => {
                bytes.extend_from_slice(&replaced);
                rest = after;
            }
            None => {
                bytes.extend_from_slice("«".as_bytes());
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.truncate(MOST_BYTES);
    bytes
}

/// What stands for one operation, if it is one.
fn replaced(inside: &str) -> Option<Vec<u8>> {
    if inside == "token" {
        return Some(good_token().into_bytes());
    }
    let (operation, rest) = inside.split_once(' ')?;
    match operation {
        "base64url" => Some(Base64UrlUnpadded::encode_string(rest.as_bytes()).into_bytes()),
        "hex" => rest.split(' ').map(|byte| u8::from_str_radix(byte, 16).ok()).collect(),
        times => {
            let repeated = rest.strip_prefix("times ")?;
            let times = times.parse::<usize>().ok()?.min(MOST_BYTES / repeated.len().max(1));
            Some(repeated.repeat(times).into_bytes())
        }
    }
}

/// The same, where only text can be.
pub(crate) fn expand_text(text: &str) -> String {
    String::from_utf8_lossy(&expand(text)).into_owned()
}

/// A request, and what the database answers to it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) request: Request,
    pub(crate) answers: Vec<Result<Inbound, FetchError>>,
}

impl Message {
    /// Reads a message. As HTTP has it: `POST /chat-message?x=1`, headers, an empty line, the body; and among the headers a
    /// line for each answer: `< 503 retry-after 2 {"code":"57P01"}`, or `< timeout`. Any text is a message of some kind.
    pub(crate) fn parse(text: &str, body_limit: usize) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.split('\n');
        let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", "/"));
        let target = expand_text(target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut headers: Vec<(&'static str, String)> = Vec::new();
        let mut answers = Vec::new();
        for line in lines {
            if let Some(answer) = line.strip_prefix("< ") {
                answers.push(read_answer(answer));
            } else if let Some((name, value)) = line.split_once(": ")
                && let Some(name) = READ_HEADERS.iter().find(|known| **known == name)
                && headers.iter().all(|(known, _)| known != name)
            {
                headers.push((name, header_value(value)));
            }
        }
        let mut body = expand(body);
        let body_error = (body.len() > body_limit).then_some(BodyError::TooLarge);
        body.truncate(body_limit);
        let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
        Self { request: Request { method, path, query, headers, body, body_error }, answers }
    }
}

/// The value of a header as a host would hand it on: no control characters, no white space around it.
fn header_value(text: &str) -> String {
    let value: String = expand_text(text).chars().filter(|character| !character.is_control()).collect();
    value.trim().to_owned()
}

fn read_answer(line: &str) -> Result<Inbound, FetchError> {
    if line == "timeout" {
        return Err(FetchError::Timeout);
    }
    let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
    let Ok(status) = status.parse() else { return Err(FetchError::Unreachable) };
    let (retry_after, body) =
        match rest.strip_prefix("retry-after ").map(|rest| rest.split_once(' ').unwrap_or((rest, ""))) {
            Some((seconds, body)) => (seconds.parse().ok(), body),
            None => (None, rest),
        };
    Ok(Inbound { status, retry_after, body: expand(body) })
}

#[cfg(test)]
mod tests {
    use super::{Message, expand, expand_text};
    use shared::host::FetchError;
    use shared::http::BodyError;

    #[test]
    fn what_cannot_be_read_is_written_as_an_operation() {
        for (text, bytes) in [
            ("a«base64url desc:8»b", &b"aZGVzYzo4b"[..]),
            ("«hex ff 00»", &[0xff, 0]),
            ("«3 times ab»", b"ababab"),
            ("«0 times ab»", b""),
            ("«»«what»«3 times", "«»«what»«3 times".as_bytes()),
        ] {
            assert_eq!(expand(text), bytes, "{text}");
        }
        assert!(expand_text("«token»").starts_with("eyJ"));
        assert!(expand("«99999999999999 times abc»").len() <= 600 * 1024);
    }

    #[test]
    fn a_message_reads_as_http_with_the_answers_among_the_headers() {
        let text = "POST /x?a=«base64url b»\nprefer: a \u{1}\nx-other: c\n< 503 retry-after 2 {}\n< 200 []\n< timeout\n< what\n\nbody";
        let message = Message::parse(text, 3);
        let request = &message.request;
        assert_eq!((&*request.method, &*request.path, &*request.query), ("POST", "/x", "a=Yg"));
        assert_eq!(request.headers, [("prefer", "a".to_owned())]);
        assert_eq!((&*request.body, request.body_error), (&b"bod"[..], Some(BodyError::TooLarge)));
        let answers: Vec<_> = message
            .answers
            .iter()
            .map(|answer| answer.as_ref().map(|found| (found.status, found.retry_after, &*found.body)))
            .collect();
        let (timeout, unreachable) = (FetchError::Timeout, FetchError::Unreachable);
        assert_eq!(
            answers,
            [Ok((503, Some(2), &b"{}"[..])), Ok((200, None, &b"[]"[..])), Err(&timeout), Err(&unreachable)]
        );
    }
}
