//! Request types: what a caller may send, as structs whose every value is valid.
//!
//! A struct with `#[derive(Request)]` ([`shared_derive`]) is read from a request by [`read`]: all its fields before the
//! caller hears of any, so that every fault is reported at once, each with a JSON Pointer and a code. What exists is
//! valid; nothing checks it again. The same declaration gives the JSON Schema for OpenAPI and, by `Serialize`, the
//! parameters of the database function.
//!
//! | attribute | where the field comes from |
//! |---|---|
//! | none | the body with `Input<T>`, the query with `Query<T>` |
//! | `#[request(idempotency_key)]` | the same, or the `Idempotency-Key` header, or made for the request |
//! | `#[request(if_match)]` | the same, or the `If-Match` header |
//! | `#[request(path)]` | the path's parameters, in order |
//! | `#[request(query)]` | the query, also with `Input<T>` |
//! | `#[request(flatten)]` | from where the fields of that struct say; it may have no `check` |
//! | `#[request(skip)]` | as without; it is no parameter of the database function |
//!
//! A struct may have `#[request(check = function)]` for rules across fields, and `settings = Type` where those need the
//! function's configuration. One without a rule whose fields all come from the body can be a field of another one.
//!
//! A rule that would never run does not compile:
//!
//! ```compile_fail,E0080
//! use shared::request::{Count, Faults, Request};
//!
//! #[derive(Request)]
//! #[request(check = in_order)]
//! struct Range { first: Count, last: Count }
//!
//! fn in_order(_: &RangeDraft, _: &mut Faults) {}
//!
//! #[derive(Request)]
//! struct Search {
//!     #[request(flatten)]
//!     range: Range,
//! }
//! ```

mod body;
mod date_time;
mod draft;
mod fault;
mod id;
mod number;
mod object;
mod page;
#[cfg(not(target_arch = "wasm32"))]
pub mod schema;
mod storable;
mod text;
mod value;
mod word;

pub use body::{RequestBody, is_utf8};
pub use date_time::DateTime;
pub use draft::{
    Draft, FromRequest, Params, Parts, Primary, ReadFields, Source, read, read_members, read_object, read_query,
};
pub use fault::{At, Faults, NOT_AN_OBJECT, push};
pub use id::Id;
pub use number::{Amount, Count, ExpectedVersion, Fraction, Within};
pub use object::{JsonArray, JsonObject};
pub use page::{CursorField, Flatten, PageDraft, serialize};
pub use shared_derive::{Request, Word};
pub use storable::Storable;
pub use text::{Name, Text};
pub use value::{Field, Nullable, Value};
pub use word::{Flag, Word, read_word};
