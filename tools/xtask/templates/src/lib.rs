//! `{{name}}`: keeps entries and reads them back, as the caller.
//!
//! | request | response |
//! |---|---|
//! | `POST /` | 201 `{entry, replayed: false}`; the same id and text again: 200 `replayed: true` |
//! | `GET /?limit=&before=` | 200 `{entries, next}`, the newest first |
//!
//! Every operation is one database function, so one round trip and one transaction; they are in `migrations/`.

mod entries;
#[cfg(not(target_arch = "wasm32"))]
mod openapi;

use shared::answer::Code;
use shared::edge::{Function, get};
use shared::upstream::DatabaseError;

#[cfg(not(target_arch = "wasm32"))]
pub use openapi::openapi;

/// The id stands for another entry.
pub const ID_REUSED: Code = Code { name: "id_reused", status: 409, title: "The id is already in use" };

/// What `save_{{stem}}` raises.
const OF_SAVING: &[DatabaseError] =
    &[DatabaseError::new(&ID_REUSED, "This id already stands for another entry. Make a new id for a new entry.")];

/// The function.
pub fn function() -> Function<()> {
    Function::new("{{name}}", env!("CARGO_PKG_VERSION"))
        .route("/", get(entries::list).post(entries::save).raises(OF_SAVING))
}

shared::serve!(function, ());
