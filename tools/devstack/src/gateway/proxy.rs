//! Passing requests on, without holding bodies back in either direction.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    body::Body as _,
    header::{AUTHORIZATION, CONNECTION, HeaderValue},
};
use serde_json::json;

use super::{
    api_key, cors,
    drain::Drained,
    headers, reply,
    route::{Target, target},
    state::Shared,
    style::Style,
};
use crate::stack::ports;

/// Bodies above this, in bytes, travel on a connection of their own.
const LONG_BODY: u64 = 16 * 1024;

/// Sends a request where its path says.
pub async fn forward(State(shared): State<Shared>, mut request: Request) -> Response {
    let uri = request.uri().clone();
    let preflight = request.method() == Method::OPTIONS;
    if preflight && shared.routes.style == Style::Kong && uri.path().starts_with("/functions/v1/") {
        return cors::kong_preflight();
    }
    match target(&shared.routes, uri.path()) {
        Target::Rest { path } => {
            let key = &shared.routes.publishable_key;
            if !preflight && let Some(mut refusal) = api_key::refusal(key, request.headers(), uri.query()) {
                cors::open(refusal.headers_mut());
                return refusal;
            }
            be_anonymous_without_a_token(&shared, request.headers_mut());
            let query = uri.query().map(api_key::without_key).filter(|query| !query.is_empty());
            let path = if path.is_empty() { "/" } else { path };
            send(&shared, request, shared.routes.postgrest, path, query.as_deref(), "/rest/v1").await
        }
        Target::Function { port, path, prefix } => send(&shared, request, port, path, uri.query(), prefix).await,
        Target::NoFunction => refuse(StatusCode::NOT_FOUND, "Requested function was not found"),
        Target::Unknown => refuse(StatusCode::NOT_FOUND, "no Route matched with those values"),
    }
}

/// A caller with the publishable key and no token of their own is the role `anon`, by a token made here: PostgREST
/// never sees the key.
fn be_anonymous_without_a_token(shared: &Shared, headers: &mut HeaderMap) {
    let only_the_key = match headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) {
        None => true,
        Some(value) => value.strip_prefix(b"Bearer ") == Some(shared.routes.publishable_key.as_bytes()),
    };
    if only_the_key && let Ok(token) = HeaderValue::from_str(&format!("Bearer {}", shared.issuer.anon_token())) {
        headers.insert(AUTHORIZATION, token);
    }
}

async fn send(
    shared: &Shared,
    mut request: Request,
    port: u16,
    path: &str,
    query: Option<&str>,
    prefix: &str,
) -> Response {
    let path_and_query = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let authority = ports::address(port).to_string();
    let uri = Uri::builder().scheme("http").authority(authority).path_and_query(path_and_query).build();
    let Ok(uri) = uri else { return refuse(StatusCode::BAD_REQUEST, "The path cannot be passed on") };
    *request.uri_mut() = uri;
    headers::strip_hop_by_hop(request.headers_mut());
    headers::note_forwarding(request.headers_mut(), prefix);
    if request.method() == Method::HEAD || request.body().size_hint().exact().is_none_or(|length| length > LONG_BODY) {
        // PostgREST hangs up after a HEAD, and whoever refuses a long body closes the connection: it must not be taken
        // for another request meanwhile.
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let request = request.map(|body| Body::new(Drained::from(body)));
    match shared.client.request(request).await {
        Ok(mut response) => {
            headers::strip_hop_by_hop(response.headers_mut());
            response.map(Body::new)
        }
        Err(error) if error.is_connect() => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, "What is behind this path does not answer")
        }
        Err(_) => refuse(StatusCode::BAD_GATEWAY, "What is behind this path broke off"),
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let mut response = reply::json(status, &json!({ "message": message }));
    cors::open(response.headers_mut());
    response
}
