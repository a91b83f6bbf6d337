//! Requests and responses as plain data. Host adapters translate to and from these; nothing else touches the wire.

use crate::text::cut;

/// The headers a function may read. Adapters copy these and no others.
pub const READ_HEADERS: &[&str] = &[
    "accept",
    "access-control-request-method",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "origin",
    "prefer",
    "traceparent",
    "tracestate",
    "x-request-id",
];

/// An HTTP request, its body already read up to the function's limit.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method name, as sent (methods are case-sensitive, RFC 9110 section 9.1).
    pub method: String,
    /// Path of the URL, still percent-encoded.
    pub path: String,
    /// Query of the URL without `?`, still percent-encoded.
    pub query: String,
    /// Lower-case names out of [`READ_HEADERS`], with their values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// Why there is no more of it, when it did not come whole.
    pub body_error: Option<BodyError>,
}

/// Why a request body did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the function takes; reading stopped there.
    TooLarge,
    /// The connection broke before the end.
    Interrupted,
}

impl Request {
    /// Splits an absolute URL into path and query. A missing path is `/`. (Requests have no fragment, RFC 9112.)
    pub fn split_url(url: &str) -> (String, String) {
        let after_scheme = cut(url, b':').1.and_then(|rest| rest.strip_prefix("//")).unwrap_or(url);
        let authority = after_scheme.bytes().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after_scheme.len());
        let (path, query) = cut(after_scheme.get(authority..).unwrap_or_default(), b'?');
        (if path.is_empty() { "/" } else { path }.to_owned(), query.unwrap_or_default().to_owned())
    }

    /// The value of a header out of [`READ_HEADERS`].
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(&'static str, String)>,
    /// The body; nothing for 204, 304 and HEAD.
    pub body: Option<Vec<u8>>,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// A JSON answer. `body` must be JSON text.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body: Some(body.into()) }
    }

    /// Adds a header.
    pub fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name, value.into()));
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.add(name, value);
        self
    }

    /// Adds members to a body that is a JSON object: those of another one.
    pub fn add_members(&mut self, object: &str) {
        let (Some(body), Some(members)) = (&mut self.body, object.strip_prefix("{")) else { return };
        body.truncate(body.trim_ascii_end().len());
        if body.pop_if(|last| *last == b'}').is_some() {
            if !body.trim_ascii_end().ends_with(b"{") {
                body.push(b',');
            }
            body.extend_from_slice(members.as_bytes());
        }
    }

    /// The value of a header set so far.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, Response};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn members_are_added_to_any_object() {
        for (body, expected) in [
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("{\"a\":{} }\n", r#"{"a":{} ,"b":2}"#),
            ("{}", r#"{"b":2}"#),
            (" { } ", r#" { "b":2}"#),
        ] {
            let mut response = Response::json(200, body);
            response.add_members(r#"{"b":2}"#);
            assert_eq!(response.body.as_deref(), Some(expected.as_bytes()), "{body}");
        }
    }

    #[test]
    fn splits_urls_into_path_and_query() {
        for (url, path, query) in [
            ("https://a.example/functions/v1/chat-message?limit=6", "/functions/v1/chat-message", "limit=6"),
            ("https://a.example", "/", ""),
            ("https://a.example?x=1", "/", "x=1"),
            ("http://127.0.0.1:8787/sessions/1", "/sessions/1", ""),
            ("https://a.example/?q=http://b.example/?", "/", "q=http://b.example/?"),
        ] {
            assert_eq!(Request::split_url(url), (path.to_owned(), query.to_owned()), "{url}");
        }
    }

    proptest! {
        #[test]
        fn a_url_splits_into_what_it_was_made_of(
            host in "[a-z0-9.:-]{1,12}", path in "(/[a-z0-9%/.=&é-]{0,12})?", query in "[a-z=&%/?:é]{0,12}"
        ) {
            let split = |url: &str| Request::split_url(url);
            let expected = (if path.is_empty() { "/".to_owned() } else { path.clone() }, query.clone());
            prop_assert_eq!(split(&format!("https://{host}{path}?{query}")), expected);
        }

        #[test]
        fn no_url_makes_it_panic(url in any::<String>()) {
            let _ = Request::split_url(&url);
        }
    }
}
