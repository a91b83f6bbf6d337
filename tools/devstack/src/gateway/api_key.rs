//! The `apikey` a request must carry, as at Supabase's own gateway.

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::json;

use super::{reply, state::Shared};

/// Refuses a request without the project's key.
pub async fn require(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    // Nested: the path is the issuer's own.
    let open = request.method() == Method::OPTIONS || request.uri().path() == "/.well-known/jwks.json";
    if !open && let Some(refusal) = refusal(&shared.routes.publishable_key, request.headers(), request.uri().query()) {
        return refusal;
    }
    next.run(request).await
}

/// The answer to a request whose key is missing or wrong.
pub fn refusal(key: &str, headers: &HeaderMap, query: Option<&str>) -> Option<Response<Body>> {
    let sent = headers.get("apikey").map(|value| value.as_bytes()).or_else(|| in_query(query).map(str::as_bytes));
    let body = match sent {
        Some(sent) if sent == key.as_bytes() => return None,
        Some(_) => json!({ "message": "Invalid API key", "hint": "Double check the API key of this stack." }),
        None => json!({
            "message": "No API key found in request",
            "hint": "No `apikey` request header or url param was found."
        }),
    };
    Some(reply::json(StatusCode::UNAUTHORIZED, &body))
}

fn in_query(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("apikey="))
}

/// A query without its `apikey`, which PostgREST would take for the name of a column; otherwise byte for byte.
pub fn without_key(query: &str) -> String {
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("apikey=")).collect();
    rest.join("&")
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, header::HeaderValue};

    use super::{refusal, without_key};

    #[test]
    fn the_key_may_be_in_a_header_or_in_the_query() {
        let mut headers = HeaderMap::new();
        assert!(refusal("k", &headers, None).is_some());
        assert!(refusal("k", &headers, Some("a=b&apikey=k")).is_none());
        headers.insert("apikey", HeaderValue::from_static("k"));
        assert!(refusal("k", &headers, None).is_none());
        headers.insert("apikey", HeaderValue::from_static("other"));
        assert!(refusal("k", &headers, Some("apikey=k")).is_some());
    }

    #[test]
    fn only_the_key_leaves_the_query() {
        assert_eq!(without_key("a=%20b&apikey=k&c=d+e"), "a=%20b&c=d+e");
        assert_eq!(without_key("apikey=k"), "");
    }
}
