//! Where a page of history goes on: a keyset cursor, opaque to clients.

use shared::base64url;
use shared::fields::{self, Value};
use shared::problem::{Fault, Rule};

static NOT_AN_ORDER: Rule = Rule { code: "not_allowed", detail: "must be asc or desc" };
static NOT_A_CURSOR: Rule = Rule { code: "invalid_cursor", detail: "must be the next of an earlier page" };

/// In which direction a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

impl Order {
    /// The word for it in a query and in the database.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    /// Reads an order.
    pub(crate) fn parse(value: Value) -> Result<Self, Fault> {
        Self::named(&fields::string(value)?).ok_or(NOT_AN_ORDER.broken())
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Asc, Self::Desc].into_iter().find(|order| order.name() == name)
    }
}

/// A place between two messages, and the direction the reader goes from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The direction it was given out for.
    pub(crate) order: Order,
    /// `seq` of the message it lies behind.
    pub(crate) seq: u64,
}

impl Cursor {
    /// The text a client hands back.
    pub(crate) fn encode(self) -> String {
        base64url::encode(format!("{}:{}", self.order.name(), self.seq).as_bytes())
    }

    /// Reads a cursor.
    pub(crate) fn parse(value: Value) -> Result<Self, Fault> {
        Self::decode(&fields::string(value)?).ok_or(NOT_A_CURSOR.broken())
    }

    fn decode(text: &str) -> Option<Self> {
        let decoded = base64url::decode_text(text)?;
        let (order, seq) = decoded.split_once(':')?;
        let cursor = Self { order: Order::named(order)?, seq: seq.parse().ok()? };
        // The database counts in bigint.
        (i64::try_from(cursor.seq).is_ok() && cursor.encode() == text).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Order};
    use proptest::prelude::{any, proptest};
    use shared::base64url;

    #[test]
    fn a_cursor_reads_back() {
        for cursor in [Cursor { order: Order::Asc, seq: 0 }, Cursor { order: Order::Desc, seq: i64::MAX as u64 }] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        for text in ["", "1", "desc:1", "ZGVzYzox=", "!!"] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
        for inside in ["desc", "desc:", "desc:-1", "desc:+1", "desc:01", "up:1", "desc:9223372036854775808"] {
            assert_eq!(Cursor::decode(&base64url::encode(inside.as_bytes())), None, "{inside}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Cursor::decode(&text);
        }
    }
}
