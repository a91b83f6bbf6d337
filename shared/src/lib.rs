//! What every Selvedge function stands on, in layers; imports only go down this list.
//!
//! | layer | what |
//! |---|---|
//! | [`edge`] | handles every request: host adapters, routing, extractors, CORS, timing, log, health |
//! | [`request`] | request types: reading with every fault at once |
//! | [`auth`] | the caller: token, claims, key set, memory |
//! | [`upstream`] | calls one database function as the caller: call, retry, breaker, PostgREST's errors |
//! | [`answer`] | problems, codes, pages and their cursors, entity tags |
//! | [`host`] | the world as one trait, with an implementation over web standards and one for native tests |
//!
//! Below them all are [`config`] and [`members`]. Nothing in this crate is about chat.
//!
//! Features: `fake` brings the fake host (native tests only).

// The derives write `::shared`.
extern crate self as shared;

pub mod answer;
pub mod auth;
pub mod config;
pub mod edge;
pub mod host;
pub mod members;
pub mod request;
pub mod upstream;

// What the derives write names these.
pub use http;
pub use serde;
pub use serde_json;
