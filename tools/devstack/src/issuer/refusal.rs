//! What the issuer says no with, in the words of Supabase's own.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use hyper::StatusCode;
use serde_json::json;

use crate::{error::why, gateway::reply};

/// A status, a stable code and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// As Supabase's auth server puts it.
    pub fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned() }
    }

    /// 503: no database.
    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure", "The database cannot be reached")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl From<tokio_postgres::Error> for Refusal {
    /// A developer's own stack: the database's words help them.
    fn from(error: tokio_postgres::Error) -> Self {
        let message = format!("Database error: {}", why(&error));
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "unexpected_failure", message }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let body = json!({ "code": self.status.as_u16(), "error_code": self.code, "msg": self.message });
        reply::json(self.status, &body)
    }
}
