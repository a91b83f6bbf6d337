//! Problem codes: the stable names a client may branch on.
//!
//! A code, its status and its title are defined once, here or in the function that raises it. `docs/errors.md`
//! lists every one of them with cause and cure, and a test holds the two together.

use http::StatusCode;

/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable name, `snake_case`.
    pub name: &'static str,
    /// HTTP status of the response.
    pub status: u16,
    /// Short summary, the same every time (RFC 9457 section 3.1.3).
    pub title: &'static str,
}

impl Code {
    /// The status, as a type.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $ident:ident = $status:literal $name:literal $title:literal;)*) => {
        $($(#[$doc])* pub const $ident: Code = Code { name: $name, status: $status, title: $title };)*

        /// Every code of this crate, for the test that holds `docs/errors.md` to it.
        pub const ALL: &[&Code] = &[$(&$ident),*];
    };
}

codes! {
    /// The body is not JSON.
    INVALID_JSON = 400 "invalid_json" "The body is not valid JSON";
    /// The connection broke while the body was read.
    BODY_INTERRUPTED = 400 "body_interrupted" "The body ended too early";
    /// No bearer token came with the request.
    MISSING_TOKEN = 401 "missing_token" "A user's access token is required";
    /// The token is longer than any this function reads.
    TOKEN_TOO_LARGE = 401 "token_too_large" "The access token is too large";
    /// An API key was sent where a user's token belongs.
    API_KEY_AS_TOKEN = 401 "api_key_as_token" "An API key is not a user's access token";
    /// The token is not a signed JSON Web Token.
    MALFORMED_TOKEN = 401 "malformed_token" "The access token is not a JSON Web Token";
    /// The token names an algorithm its key is not for.
    UNSUPPORTED_ALGORITHM = 401 "unsupported_algorithm" "The token's algorithm is not accepted";
    /// The token names a key the issuer does not publish.
    UNKNOWN_KEY = 401 "unknown_key" "The token's key is not known";
    /// The signature does not belong to the token.
    BAD_SIGNATURE = 401 "bad_signature" "The token's signature is wrong";
    /// The token was valid once.
    TOKEN_EXPIRED = 401 "token_expired" "The access token has expired";
    /// The token is not valid yet.
    TOKEN_NOT_YET_VALID = 401 "token_not_yet_valid" "The access token is not valid yet";
    /// Another issuer made the token.
    WRONG_ISSUER = 401 "wrong_issuer" "The token is from another issuer";
    /// The token is meant for someone else.
    WRONG_AUDIENCE = 401 "wrong_audience" "The token is for another audience";
    /// A claim is missing or not of the form it must have.
    INVALID_CLAIMS = 401 "invalid_claims" "The token's claims are not valid";
    /// The database refused the token.
    TOKEN_REJECTED = 401 "token_rejected" "The database did not accept the token";
    /// The token's role may not call this function.
    ROLE_NOT_ALLOWED = 403 "role_not_allowed" "The token's role may not call";
    /// A visitor's write from a page that may not call.
    ORIGIN_NOT_ALLOWED = 403 "origin_not_allowed" "This page may not call";
    /// Row Level Security or a grant refused the operation.
    FORBIDDEN = 403 "forbidden" "The database does not allow this to the caller";
    /// Nothing lives at this path.
    NOT_FOUND = 404 "not_found" "No such resource";
    /// The resource exists and has no such method.
    METHOD_NOT_ALLOWED = 405 "method_not_allowed" "The resource has no such method";
    /// The body's end did not come in time.
    REQUEST_TIMEOUT = 408 "request_timeout" "The body took too long";
    /// A unique value is already taken, or a row the request refers to is gone.
    CONFLICT = 409 "conflict" "The request conflicts with what is stored";
    /// The body is over the function's limit.
    BODY_TOO_LARGE = 413 "body_too_large" "The body is too large";
    /// The body is not in a form this function reads.
    UNSUPPORTED_MEDIA_TYPE = 415 "unsupported_media_type" "The media type is not supported";
    /// One or more fields are wrong; `errors` lists them all.
    VALIDATION_FAILED = 422 "validation_failed" "Some fields are not valid";
    /// More requests than a limit allows: the database's own, or that of something before it.
    RATE_LIMITED = 429 "rate_limited" "Too many requests";
    /// Something broke inside the function.
    INTERNAL = 500 "internal_error" "The function failed";
    /// The function's configuration is incomplete or wrong.
    MISCONFIGURED = 500 "misconfigured" "The function is misconfigured";
    /// The database answered with something the function cannot use.
    UPSTREAM_ERROR = 502 "upstream_error" "The database gave an unexpected answer";
    /// The database's clock is behind that of the token's issuer.
    CLOCK_SKEW = 503 "clock_skew" "The database's clock is behind";
    /// The database cannot be reached now.
    UPSTREAM_UNAVAILABLE = 503 "upstream_unavailable" "The database cannot be reached";
    /// The issuer's keys cannot be had now, so no token can be checked.
    KEYS_UNAVAILABLE = 503 "keys_unavailable" "The issuer's keys cannot be fetched";
    /// The database took too long.
    UPSTREAM_TIMEOUT = 504 "upstream_timeout" "The database did not answer in time";
}
