//! `analytics`: takes events in batches and counts each once.
//!
//! | request | answer |
//! |---|---|
//! | `POST /` one event, `{events: […], sent_at?}`, or a line of JSON for each | 201 `{accepted, duplicates}` |
//! | `POST /?beacon=1`, the token in the body | 204 |
//! | `POST /logs` | 201 `{id, replayed}` |
//! | `GET /summary?days=7` | 200, the caller's own statistics |
//!
//! However many events: one database function, one round trip, one transaction. Callers without a token may add, and
//! read nothing. An event is identified by its owner and an id the *client* makes, so that one sent again, or twice at
//! once, is counted once.

mod date_time;
mod event;
mod events;
mod logs;
mod summary;

use shared::config::Variables;
use shared::function::{Access, Function, Operation};
use shared::postgrest::Raised;

pub use logs::LOG_LEVELS;

/// The function.
#[derive(Debug)]
pub struct Analytics;

impl Function for Analytics {
    const NAME: &'static str = "analytics";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// 500 events of 1 KiB.
    const BODY_LIMIT: usize = 512 * 1024;
    const RAISED: &'static [Raised] = &[];
    type Settings = ();

    fn settings(_: &mut Variables) {}

    fn resource(path: &[&str]) -> &'static [Operation<()>] {
        match path {
            [] => &[Operation { method: "POST", route: "/", access: Access::Anonymous, plan: events::record }],
            ["logs"] => &[Operation { method: "POST", route: "/logs", access: Access::Anonymous, plan: logs::record }],
            ["summary"] => {
                &[Operation { method: "GET", route: "/summary", access: Access::User, plan: summary::summary }]
            }
            _ => &[],
        }
    }
}

shared::serve!(Analytics);
