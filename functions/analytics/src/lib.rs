//! `analytics`: takes events in batches and counts each once.
//!
//! | request | response |
//! |---|---|
//! | `POST /` one event, `{events: […], sent_at?}`, or a line of JSON for each | 201 `{accepted, duplicates}` |
//! | `POST /?beacon=1`, the token in the body | 204 |
//! | `POST /logs` | 201 `{id, replayed}` |
//! | `GET /summary?days=7&tz=UTC` | 200, the caller's own statistics |
//!
//! However many events: one database function, one round trip, one transaction. Callers without a token may add, and
//! read nothing. An event is identified by its owner and an id the *client* makes, so that one sent again, or twice at
//! once, is counted once.

mod event;
mod events;
mod logs;
#[cfg(not(target_arch = "wasm32"))]
mod openapi;
mod summary;

use shared::answer::problem::RETRY_AFTER_MEMBER;
use shared::answer::{Code, code};
use shared::edge::{Function, get, post};
use shared::upstream::DatabaseError;

pub use logs::LogLevel;
#[cfg(not(target_arch = "wasm32"))]
pub use openapi::openapi;

/// What `record_events` and `record_log` raise.
const OF_INSERTS: &[DatabaseError] =
    &[DatabaseError::new(&code::RATE_LIMITED, "Wait as long as Retry-After says, then send the same again.")
        .with(&[RETRY_AFTER_MEMBER])];

/// There is no such time zone.
pub const UNKNOWN_TIME_ZONE: Code =
    Code { name: "unknown_time_zone", status: 422, title: "There is no such time zone" };

/// What `get_analytics_summary` raises.
const OF_SUMMARIES: &[DatabaseError] =
    &[DatabaseError::new(&UNKNOWN_TIME_ZONE, "Send tz as an IANA name, such as Australia/Darwin.")];

/// The function.
pub fn function() -> Function<()> {
    Function::new("analytics", env!("CARGO_PKG_VERSION"))
        .route("/", post(events::record).raises(OF_INSERTS))
        .route("/logs", post(logs::record).raises(OF_INSERTS))
        .route("/summary", get(summary::summary).raises(OF_SUMMARIES))
}

shared::serve!(function, ());
