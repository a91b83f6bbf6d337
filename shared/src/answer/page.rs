//! Pages of lists: how many items, and from where on.
//!
//! A database function returns `{<items>, next}`: at most `limit` items, and it stops before the item that would bring
//! them over [`PAGE_BYTES`], after at least one. `next` is the opaque cursor of the page that follows, or null. The
//! response passes through as it is; the edge only reads cursors that come back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::SerializeMap;
use uuid::Uuid;

/// Most items of a page.
pub const MAX_LIMIT: u32 = 200;

/// A page ends before the item that would bring its items over so many bytes of JSON, but has at least one: a response
/// a phone can take, whatever the items hold. The database function counts.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// Which page of a list is asked for. Without `limit` the database gives 50 items; without `before` the first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<C> {
    /// At most so many items: 1 to [`MAX_LIMIT`].
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub before: Option<C>,
}

/// What a cursor stands for: a place in a list. The database writes them; opaque to clients.
pub trait Cursor: Sized {
    /// Reads the text inside a cursor.
    fn parse(inside: &str) -> Option<Self>;

    /// Writes the place as parameters of a database function.
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// Reads a cursor: unpadded base64url (RFC 4648 section 5) of its text.
    fn decode(cursor: &str) -> Option<Self> {
        Self::parse(&String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?)
    }
}

/// A place in a list of rows that are ordered by a time and an id: `<microseconds since 1970>:<UUID>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace {
    /// In microseconds since 1970: at most what PostgreSQL's `bigint` holds.
    pub time: u64,
    /// The row's id.
    pub id: Uuid,
}

impl Cursor for RowPlace {
    fn parse(inside: &str) -> Option<Self> {
        let (time, id) = inside.split_once(':')?;
        let id = Uuid::try_parse(id).ok().filter(|_| id.len() == uuid::fmt::Hyphenated::LENGTH)?;
        Some(Self { time: bigint(time)?, id })
    }

    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("before_time", &self.time)?;
        map.serialize_entry("before_id", &*self.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// The number that decimal digits write, where PostgreSQL's `bigint` holds it.
pub fn bigint(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| is_number && *number <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::{Cursor, RowPlace, URL_SAFE_NO_PAD};
    use base64::Engine as _;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";

    #[test]
    fn a_made_up_cursor_is_refused() {
        for text in ["", "1", "desc:1", "ZGVzYzox=", "!!"] {
            assert!(RowPlace::decode(text).is_none(), "{text}");
        }
        let beyond = format!("9223372036854775808:{ID}");
        for inside in ["1", "1:", ":", &format!("-1:{ID}"), &format!("+1:{ID}"), &beyond, &format!("1:{{{ID}}}")] {
            assert_eq!(RowPlace::decode(&URL_SAFE_NO_PAD.encode(inside)), None, "{inside}");
        }
    }

    proptest! {
        #[test]
        fn every_cursor_reads_back(time in 0..=i64::MAX as u64) {
            let place = RowPlace::decode(&URL_SAFE_NO_PAD.encode(format!("{time}:{ID}"))).unwrap();
            prop_assert_eq!((place.time, place.id.to_string()), (time, ID.to_owned()));
        }

        #[test]
        fn no_cursor_makes_the_reader_panic(text in any::<String>()) {
            let _ = (RowPlace::decode(&text), RowPlace::parse(&text));
        }
    }
}
