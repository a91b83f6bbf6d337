//! A request as it arrives: plain data, so that only host adapters touch the wire.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The request headers a function may read. Adapters copy these and no others.
pub static READ_HEADERS: [HeaderName; 15] = [
    header::ACCEPT,
    header::ACCESS_CONTROL_REQUEST_HEADERS,
    header::ACCESS_CONTROL_REQUEST_METHOD,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    header::TRANSFER_ENCODING,
    HeaderName::from_static("x-request-id"),
];

/// The same by method: each is asked for where it means something. The last is for all other methods.
pub const READ_BY_METHOD: [(&[&str], &[&str]); 3] = [
    (
        &["GET", "HEAD"],
        &["accept", "authorization", "if-none-match", "origin", "traceparent", "tracestate", "x-request-id"],
    ),
    (
        &["OPTIONS"],
        &[
            "access-control-request-headers",
            "access-control-request-method",
            "origin",
            "traceparent",
            "tracestate",
            "x-request-id",
        ],
    ),
    (
        &[],
        &[
            "authorization",
            "content-length",
            "content-type",
            "idempotency-key",
            "if-match",
            "origin",
            "prefer",
            "traceparent",
            "tracestate",
            "transfer-encoding",
            "x-request-id",
        ],
    ),
];

/// The head of a request.
#[derive(Clone)]
pub struct Request {
    /// Method (case-sensitive, RFC 9110 section 9.1).
    pub method: Method,
    /// Path of the URL, still percent-encoded.
    pub path: String,
    /// Query of the URL without `?`, still percent-encoded.
    pub query: String,
    /// Those out of [`READ_HEADERS`] that were sent.
    pub headers: HeaderMap,
}

/// Why a request body did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the function takes; reading stopped there.
    TooLarge,
    /// The connection broke before the end.
    Interrupted,
    /// The end did not come in time.
    TooSlow,
}

impl Request {
    /// A request for an absolute URL, without headers. A missing path is `/`. (Requests have no fragment, RFC 9112.)
    pub fn new(method: &str, url: &str) -> Self {
        let (_, after_scheme) = url.split_once("://").unwrap_or(("", url));
        let authority = after_scheme.find(['/', '?']).unwrap_or(after_scheme.len());
        let target = after_scheme.get(authority..).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            // A token of other characters is no method: nothing answers to the one that stands for it.
            method: Method::from_bytes(method.as_bytes()).unwrap_or(Method::TRACE),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
        }
    }

    /// Adds a header out of [`READ_HEADERS`].
    pub fn add_header(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.append(name, value);
        }
    }

    /// The value of a header out of [`READ_HEADERS`].
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
    }
}

impl fmt::Debug for Request {
    /// Without the headers: a token is among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}?{}", self.method, self.path, self.query)
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderName, READ_BY_METHOD, READ_HEADERS, Request};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn split(url: &str) -> (String, String) {
        let Request { path, query, .. } = Request::new("GET", url);
        (path, query)
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
            assert_eq!(split(url), (path.to_owned(), query.to_owned()), "{url}");
        }
    }

    #[test]
    fn every_header_that_is_read_is_read_with_some_method() {
        let mut names: Vec<_> = READ_BY_METHOD.iter().flat_map(|(_, names)| *names).copied().collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.into_iter().eq(READ_HEADERS.iter().map(HeaderName::as_str)));
    }

    proptest! {
        #[test]
        fn a_url_splits_into_what_it_was_made_of(
            host in "[a-z0-9.:-]{1,12}", path in "(/[a-z0-9%/.=&é-]{0,12})?", query in "[a-z=&%/?:é]{0,12}"
        ) {
            let expected = (if path.is_empty() { "/".to_owned() } else { path.clone() }, query.clone());
            prop_assert_eq!(split(&format!("https://{host}{path}?{query}")), expected);
        }

        #[test]
        fn no_url_and_no_method_makes_it_panic(method in any::<String>(), url in any::<String>()) {
            let _ = Request::new(&method, &url);
        }
    }
}
