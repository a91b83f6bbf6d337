//! Forwarding: one database function of PostgREST's, called as the caller.
//!
//! ```text
//! Database::call -> Upstream::call (retries, Breaker) -> Host::fetch
//! ```

mod breaker;
mod call;
mod database;
mod error;

pub use breaker::Breaker;
pub use call::Upstream;
pub(crate) use call::{CallStats, Rpc};
pub use database::{Database, Identity};
pub use error::DatabaseError;
