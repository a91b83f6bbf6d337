//! The gateway's own answers.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use hyper::{StatusCode, header};
use serde_json::Value;

/// JSON with a status.
pub fn json(status: StatusCode, body: &Value) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}
