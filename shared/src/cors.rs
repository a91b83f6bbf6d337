//! Cross-origin requests (the Fetch standard's CORS protocol): which pages may call, and what they may see.

use crate::http::{Request, Response};
use crate::text::{cut, parts};

/// How long a browser may remember a preflight, in seconds: Chromium's own upper bound.
const MAX_AGE_SECONDS: &str = "7200";
/// Request headers a page may send: the contract's list, of which supabase-js itself sends the first four.
const ALLOW_HEADERS: &str = "authorization, apikey, content-type, x-client-info, x-region, idempotency-key, if-match, \
                             prefer, x-request-id, traceparent, tracestate";
/// Response headers a page may read.
const EXPOSE_HEADERS: &str = "etag, location, retry-after, server-timing, x-request-id";

/// Origins whose pages may call: a comma list of origins (`https://app.example`), or `*`. None by default.
#[derive(Debug, Default)]
pub struct AllowedOrigins(pub(crate) String);

impl AllowedOrigins {
    /// Hands a list back whose every part is an origin or `*`.
    pub(crate) fn check(text: String) -> Option<String> {
        let is_origin = |origin: &str| {
            origin == "*" || {
                let (scheme, rest) = cut(origin, b':');
                let host = rest.and_then(|rest| rest.strip_prefix("//")).unwrap_or_default();
                let is_host = |byte| !matches!(byte, b'/' | b'?' | b'#' | b' ' | b'*');
                !scheme.is_empty() && !host.is_empty() && host.bytes().all(is_host)
            }
        };
        let all = list(&text).all(is_origin);
        all.then_some(text)
    }

    /// Adds the CORS headers to an answer: none for an origin that is not on the list. A preflight's answer has an
    /// `Allow`, which is what the page is told.
    pub fn apply(&self, request: &Request, response: &mut Response) {
        let has = |origin: &str| list(&self.0).any(|allowed| allowed == origin);
        let allowed = if has("*") {
            "*"
        } else {
            // The answer depends on the origin even where it allows nothing.
            response.add("vary", "Origin");
            match request.header("origin") {
                Some(origin) if has(origin) => origin,
                _ => return,
            }
        };
        response.add("access-control-allow-origin", allowed);
        response.add("access-control-expose-headers", EXPOSE_HEADERS);
        if is_preflight(request)
            && let Some(methods) = response.header("allow").map(str::to_owned)
        {
            response.add("access-control-allow-methods", methods);
            response.add("access-control-allow-headers", ALLOW_HEADERS);
            response.add("access-control-max-age", MAX_AGE_SECONDS);
        }
    }
}

/// Whether a browser asks what a page may do (the Fetch standard's CORS-preflight request).
pub(crate) fn is_preflight(request: &Request) -> bool {
    request.method == "OPTIONS" && request.header("access-control-request-method").is_some()
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    parts(text, b',').map(str::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::AllowedOrigins;
    use crate::http::{Request, Response};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    fn answer(allowed: &str, origin: Option<&str>) -> Response {
        let request = Request {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: origin.map(|origin| ("origin", origin.to_owned())).into_iter().collect(),
            body: Vec::new(),
            body_error: None,
        };
        let mut response = Response::empty(200);
        AllowedOrigins(AllowedOrigins::check(allowed.to_owned()).unwrap()).apply(&request, &mut response);
        response
    }

    #[test]
    fn an_origin_on_the_list_is_echoed() {
        let response = answer("https://a.example, https://b.example", Some("https://b.example"));
        assert_eq!(response.header("access-control-allow-origin"), Some("https://b.example"));
        assert_eq!(response.header("vary"), Some("Origin"));
    }

    #[test]
    fn an_origin_not_on_the_list_gets_no_cors_headers() {
        for origin in [Some("https://b.example.evil"), Some("null"), Some("http://a.example"), None] {
            let response = answer("https://a.example", origin);
            assert_eq!(response.header("access-control-allow-origin"), None, "{origin:?}");
            assert_eq!(response.header("access-control-expose-headers"), None);
        }
    }

    #[test]
    fn a_star_lets_every_page_in() {
        let response = answer("*", Some("https://b.example"));
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(response.header("vary"), None);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in ["a.example", "https://a.example/path", "https://", "https://*.example", "https://a,"] {
            assert!(AllowedOrigins::check(text.to_owned()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn only_origins_that_stand_on_the_list_are_let_in(
            listed in proptest::collection::vec("https?://[a-z]{1,3}", 1..4), origin in "https?://[a-z]{1,3}"
        ) {
            let response = answer(&listed.join(" , "), Some(&origin));
            let allowed = response.header("access-control-allow-origin").map(str::to_owned);
            prop_assert_eq!(allowed, listed.contains(&origin).then_some(origin));
        }

        #[test]
        fn no_list_makes_the_reader_panic(text in any::<String>()) {
            let _ = AllowedOrigins::check(text);
        }
    }
}
