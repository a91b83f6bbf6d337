//! What the issuer says no with, in the words of Supabase's own.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use hyper::StatusCode;
use serde_json::json;

use crate::{gateway::reply, stack::database::why};

/// A status, a stable code and a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    /// 400.
    pub fn bad_request(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.to_owned() }
    }

    /// 422.
    pub fn unprocessable(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code, message: message.to_owned() }
    }

    /// 401.
    pub fn unauthorized(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, code, message: message.to_owned() }
    }

    /// 403.
    pub fn forbidden(code: &'static str, message: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, code, message: message.to_owned() }
    }

    /// 503: no database.
    pub fn unavailable() -> Self {
        let message = "The database cannot be reached".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, code: "unexpected_failure", message }
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
