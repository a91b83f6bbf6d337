//! Cross-origin requests (the Fetch standard's CORS protocol): which pages may call, and what they may see.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN, VARY,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use crate::answer;
use crate::config::AllowedOrigins;
use crate::host::{Request, Response};

/// How long a browser may cache a preflight, in seconds: Chromium's own upper bound.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");
/// The names of request headers that a preflight is allowed have at most so many bytes together.
const ALLOWED_HEADERS_MAX_BYTES: usize = 1024;
/// Response headers a page may read.
const EXPOSE_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, location, retry-after, server-timing, x-request-id");

/// The response to `OPTIONS`: the methods there are.
pub(super) fn allow<'a>(methods: impl Iterator<Item = &'a str>) -> Response {
    let methods: Vec<_> = methods.chain(["OPTIONS"]).collect();
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    answer::set_header(response.headers_mut(), ALLOW, &methods.join(", "));
    response
}

/// Adds the CORS headers: none for an origin that is not on the list. The response to a preflight has an `Allow`, which
/// is what the page hears.
pub(super) fn apply(origins: &AllowedOrigins, request: &Request, response: &mut Response) {
    let is_preflight = is_preflight(request);
    let headers = response.headers_mut();
    let allowed = if origins.is_any() {
        "*"
    } else {
        // The response depends on the origin even where it allows nothing.
        headers.insert(VARY, HeaderValue::from_static("Origin"));
        match request.header(ORIGIN) {
            Some(origin) if origins.contains(origin) => origin,
            _ => return,
        }
    };
    answer::set_header(headers, ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
    if let Some(methods) = headers.get(ALLOW).filter(|_| is_preflight).cloned() {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        if let Some(asked) = request.header(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer::set_header(headers, ACCESS_CONTROL_ALLOW_HEADERS, &allowed_headers(asked));
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
    }
}

/// The request headers a page may send: those it asks for. A function ignores headers it does not know, and a fixed list
/// breaks pages with the next library that adds one.
fn allowed_headers(asked: &str) -> String {
    let mut allowed = String::new();
    let names = asked.split(',').map(str::trim_ascii).filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok());
    for name in names {
        if allowed.len() + ", ".len() + name.len() > ALLOWED_HEADERS_MAX_BYTES {
            break;
        }
        if !allowed.is_empty() {
            allowed.push_str(", ");
        }
        allowed.push_str(name);
    }
    allowed
}

/// Whether a browser asks what a page may do (the Fetch standard's CORS-preflight request).
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use super::{allowed_headers, apply};
    use crate::config::AllowedOrigins;
    use crate::host::{Request, Response};
    use http::header::ORIGIN;
    use proptest::prelude::{prop_assert_eq, proptest};

    fn answer(allowed: &str, origin: Option<&str>) -> Response {
        let mut request = Request::new("GET", "/");
        if let Some(origin) = origin {
            request.add_header(ORIGIN, origin);
        }
        let mut response = Response::default();
        apply(&AllowedOrigins::parse(allowed).unwrap(), &request, &mut response);
        response
    }

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn an_origin_on_the_list_is_echoed() {
        let response = answer("https://a.example, https://b.example", Some("https://b.example"));
        assert_eq!(header(&response, "access-control-allow-origin"), Some("https://b.example"));
        assert_eq!(header(&response, "vary"), Some("Origin"));
    }

    #[test]
    fn an_origin_not_on_the_list_gets_no_cors_headers() {
        for origin in [Some("https://b.example.evil"), Some("null"), Some("http://a.example"), None] {
            let response = answer("https://a.example", origin);
            assert_eq!(header(&response, "access-control-allow-origin"), None, "{origin:?}");
            assert_eq!(header(&response, "access-control-expose-headers"), None);
        }
    }

    #[test]
    fn a_star_lets_every_page_in() {
        let response = answer("*", Some("https://b.example"));
        assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
        assert_eq!(header(&response, "vary"), None);
    }

    #[test]
    fn a_preflight_is_allowed_the_headers_it_asks_for() {
        for (asked, allowed) in [
            ("baggage,sentry-trace, If-None-Match", "baggage, sentry-trace, If-None-Match"),
            ("authorization, a b, \"x\", é,,apikey", "authorization, apikey"),
            ("", ""),
        ] {
            assert_eq!(allowed_headers(asked), allowed, "{asked}");
        }
        let long = vec!["x-a-header-of-20-char"; 100].join(",");
        assert!((1000..=1024).contains(&allowed_headers(&long).len()));
    }

    proptest! {
        #[test]
        fn only_origins_that_stand_on_the_list_are_let_in(
            listed in proptest::collection::vec("https?://[a-z]{1,3}", 1..4), origin in "https?://[a-z]{1,3}"
        ) {
            let response = answer(&listed.join(" , "), Some(&origin));
            let allowed = header(&response, "access-control-allow-origin").map(str::to_owned);
            prop_assert_eq!(allowed, listed.contains(&origin).then_some(origin));
        }
    }
}
