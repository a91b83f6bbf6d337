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
//! The fuzzer changes the text as it is written: so changes reach into tokens and cursors, and leave them well encoded.

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::host::fake::FakeHost;
use shared::host::{BodyError, FetchError, INBOUND_HEADERS, READ_HEADERS, Request};
use shared::http::{HeaderMap, HeaderValue, StatusCode};

/// Whose token `«token»` is.
pub(crate) const SUBJECT: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";

/// Longest body, in bytes: a little more than any function reads.
const MOST_BYTES: usize = 600 * 1024;
/// Longest text, in bytes: longer than any header or value may be.
const MOST_TEXT: usize = 16 * 1024;

/// A token the functions accept.
pub(crate) fn good_token() -> String {
    let payload = format!(
        r#"{{"iss":"https://abc.supabase.co/auth/v1","sub":"{SUBJECT}","aud":"authenticated","role":"authenticated","exp":1800003600}}"#
    );
    FakeHost::token("k1", &payload)
}

/// The bytes a text stands for.
pub(crate) fn expand(text: &str) -> Vec<u8> {
    expand_to(MOST_BYTES, text)
}

/// The same, where only text can be.
pub(crate) fn expand_text(text: &str) -> String {
    String::from_utf8_lossy(&expand_to(MOST_TEXT, text)).into_owned()
}

fn expand_to(most: usize, text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('«') {
        bytes.extend_from_slice(before.as_bytes());
        match after.split_once('»').and_then(|(inside, after)| Some((replaced(most, inside)?, after))) {
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
    bytes.truncate(most);
    bytes
}

/// What stands for one operation, if it is one.
fn replaced(most: usize, inside: &str) -> Option<Vec<u8>> {
    if inside == "token" {
        return Some(good_token().into_bytes());
    }
    let (operation, rest) = inside.split_once(' ')?;
    match operation {
        "base64url" => Some(URL_SAFE_NO_PAD.encode(rest).into_bytes()),
        "hex" => rest.split(' ').map(|byte| u8::from_str_radix(byte, 16).ok()).collect(),
        times => {
            let repeated = rest.strip_prefix("times ")?;
            let times = times.parse::<usize>().ok()?.min(most / repeated.len().max(1));
            Some(repeated.repeat(times).into_bytes())
        }
    }
}

/// What the database answers, or why there is no answer.
pub(crate) type Answer = Result<(StatusCode, HeaderMap, Vec<u8>), FetchError>;

/// A request, and the database's answers to come.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) request: Request,
    pub(crate) body: Result<Vec<u8>, BodyError>,
    pub(crate) answers: Vec<Answer>,
}

impl Message {
    /// Reads a message. As HTTP has it: `POST /chat-message?x=1`, headers, an empty line, the body; and among the headers a
    /// line for each answer: `< 503 retry-after 2 {"code":"57P01"}`, `< 200 etag "3" {}` or `< timeout`. Any text is a
    /// message of some kind.
    pub(crate) fn parse(text: &str, body_limit: usize) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.split('\n');
        let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", "/"));
        let target = expand_text(target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Request::new(method, "");
        (request.path, request.query) = (path.to_owned(), query.to_owned());
        let mut answers = Vec::new();
        for line in lines {
            if let Some(answer) = line.strip_prefix("< ") {
                answers.push(read_answer(answer));
            } else if let Some((name, value)) = line.split_once(": ")
                && let Some(name) = READ_HEADERS.iter().find(|known| known.as_str() == name)
                && !request.headers.contains_key(name)
            {
                request.add_header(name.clone(), &header_value(value));
            }
        }
        let body = expand(body);
        let body = if body.len() > body_limit { Err(BodyError::TooLarge) } else { Ok(body) };
        Self { request, body, answers }
    }
}

/// The value of a header as a host would hand it on: no control characters, no white space around it.
fn header_value(text: &str) -> String {
    let value: String = expand_text(text).chars().filter(|character| !character.is_control()).collect();
    value.trim().to_owned()
}

fn read_answer(line: &str) -> Answer {
    if line == "timeout" {
        return Err(FetchError::Timeout);
    }
    let (status, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or(FetchError::Unreachable)?;
    let mut headers = HeaderMap::new();
    while let Some((name, after)) = rest.split_once(' ')
        && let Some(name) = INBOUND_HEADERS.iter().find(|known| known.as_str() == name)
    {
        let (value, after) = after.split_once(' ').unwrap_or((after, ""));
        // The hosts write no others into a response.
        if let Ok(value) = HeaderValue::from_str(&header_value(value))
            && !value.is_empty()
            && value.to_str().is_ok()
        {
            headers.insert(name.clone(), value);
        }
        rest = after;
    }
    Ok((status, headers, expand(rest)))
}

#[cfg(test)]
mod tests {
    use super::{Answer, Message, expand, expand_text};
    use shared::host::{BodyError, FetchError};

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
        let long = "«99999999999999 times abc»";
        assert_eq!((expand(long).len(), expand_text(long).len()), (600 * 1024, 16 * 1024 - 1));
    }

    #[test]
    fn a_message_reads_as_http_with_the_answers_among_the_headers() {
        let text = "POST /x?a=«base64url b»\nprefer: a \u{1}\nx-other: c\nprefer: b\n< 503 retry-after 2 {}\n\
                    < 201 location ?a etag \"3\" {\n< 200 []\n< timeout\n< what\n< 7\n\nbody";
        let message = Message::parse(text, 4);
        let request = &message.request;
        assert_eq!((request.method.as_str(), &*request.path, &*request.query), ("POST", "/x", "a=Yg"));
        assert_eq!(request.headers.len(), 1);
        assert_eq!(request.header("prefer"), Some("a"));
        assert_eq!(message.body, Ok(b"body".to_vec()));
        assert_eq!(Message::parse(text, 3).body, Err(BodyError::TooLarge));
        let seen = |answer: &Answer| {
            let (status, headers, body) = answer.clone()?;
            let headers: Vec<_> = headers.values().map(|value| value.to_str().unwrap().to_owned()).collect();
            Ok((status.as_u16(), headers.join(","), String::from_utf8(body).unwrap()))
        };
        let answers: Vec<Result<_, FetchError>> = message.answers.iter().map(seen).collect();
        let answer = |status, headers: &str, body: &str| Ok((status, headers.to_owned(), body.to_owned()));
        assert_eq!(
            answers,
            [
                answer(503, "2", "{}"),
                answer(201, "?a,\"3\"", "{"),
                answer(200, "", "[]"),
                Err(FetchError::Timeout),
                Err(FetchError::Unreachable),
                Err(FetchError::Unreachable),
            ]
        );
    }
}
