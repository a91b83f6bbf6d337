//! JSON (RFC 8259), read without building a tree and written without one.
//!
//! A value keeps the text its sender wrote ([`Raw`]): it is decoded as the type its field has, or passed on as it is,
//! so that no number loses a digit on the way. Duplicate names survive reading, to be refused.
//!
//! Why not `serde_json`: in each function's module it costs 16 KB compressed of the 45 there are, most of it for
//! floating-point numbers no function computes with. The tests hold this reader to it, text for text.

mod read;
mod write;

pub use read::{Measure, Object, Raw, digits, position};
pub use write::{ObjectWriter, array_of, push_number, quoted};
