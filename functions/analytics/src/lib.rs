//! `analytics`: takes events in batches and counts each once.
//!
//! | request | response |
//! |---|---|
//! | `POST /` one event, `{events: […], sent_at?}`, or a line of JSON for each | 201 `{accepted, duplicates}` |
//! | `POST /?beacon=1`, the token in the body | 204 |
//! | `POST /logs` | 201 `{id, replayed}` |
//! | `GET /summary?days=7` | 200, the caller's own statistics |
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

use shared::edge::{Function, get, post};

pub use logs::LogLevel;
#[cfg(not(target_arch = "wasm32"))]
pub use openapi::openapi;

/// Longest request body, in bytes: 500 events of 1 KiB.
const BODY_LIMIT: usize = 512 * 1024;

/// The function.
pub fn function() -> Function<()> {
    Function::new("analytics", env!("CARGO_PKG_VERSION"))
        .body_limit(BODY_LIMIT)
        .route("/", post(events::record))
        .route("/logs", post(logs::record))
        .route("/summary", get(summary::summary))
}

shared::serve!(function, ());
