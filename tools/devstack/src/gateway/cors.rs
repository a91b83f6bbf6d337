//! CORS for what the gateway answers itself. PostgREST and the functions answer for themselves.

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue,
    },
};

/// Lets a page from anywhere use the issuer.
pub async fn allow_any_origin(request: Request, next: Next) -> Response {
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(asked),
        _ => next.run(request).await,
    };
    open(response.headers_mut());
    response
}

fn preflight(asked: Option<HeaderValue>) -> Response<Body> {
    let headers = asked.unwrap_or(HeaderValue::from_static("authorization, apikey, content-type, x-client-info"));
    let allowed = [
        (ACCESS_CONTROL_ALLOW_HEADERS, headers),
        (ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200")),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// The answer of Supabase's self-hosted gateway to every preflight of a function, which never sees it.
pub fn kong_preflight() -> Response<Body> {
    let headers = [
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, x-client-info, apikey, content-type"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (StatusCode::OK, headers).into_response()
}

/// Any page may read an answer.
pub fn open(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
