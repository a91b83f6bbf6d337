//! Where a page goes on: keyset cursors, opaque to clients.

use shared::base64url;
use shared::id::Id;
use shared::json::{Object, ObjectWriter, digits, push_number, quoted};
use shared::problem::Rule;
use shared::text::cut;

/// What a caller is told of a cursor nobody gave out.
pub(crate) static NOT_A_CURSOR: Rule = Rule { code: "invalid_cursor", detail: "must be the next of an earlier page" };

/// Greatest number the database counts to.
const BIGINT_MAX: u64 = i64::MAX as u64;

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
    /// The words for them in a query and in the database.
    pub(crate) const NAMES: [&str; 2] = ["asc", "desc"];

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }

    /// The order of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "asc" => Some(Self::Asc),
            "desc" => Some(Self::Desc),
            _ => None,
        }
    }
}

/// The cursor behind the message `seq` of a history, for a reader who goes in this order.
pub(crate) fn encode(order: Order, seq: u64) -> String {
    let mut text = String::from(order.name());
    text.push(':');
    push_number(&mut text, seq);
    base64url::encode(text.as_bytes())
}

/// Reads the cursor of a history.
pub(crate) fn decode(cursor: &str) -> Option<(Order, u64)> {
    let text = base64url::decode_text(cursor)?;
    let (order, seq) = cut(&text, b':');
    let (order, seq) = (Order::named(order)?, digits(seq?)?);
    (seq <= BIGINT_MAX && encode(order, seq) == cursor).then_some((order, seq))
}

/// The cursor behind a row that has a time (in microseconds since 1970) and an id, as the database gives them:
/// `{"time": …, "id": …}`.
pub(crate) fn encode_row(place: &Object) -> Option<String> {
    let time = digits(place.get("time")?.text())?;
    let mut text = String::new();
    push_number(&mut text, time);
    text.push(':');
    text.push_str(&place.get("id")?.string()?);
    Some(base64url::encode(text.as_bytes()))
}

/// Reads the cursor behind such a row.
pub(crate) fn decode_row(cursor: &str) -> Option<(u64, Id)> {
    let text = base64url::decode_text(cursor)?;
    let (time, id) = cut(&text, b':');
    Some((digits(time).filter(|time| *time <= BIGINT_MAX)?, Id::parse(id?)?))
}

/// A cursor of a history as JSON, if it is one.
pub(crate) fn of_history(text: &str) -> Option<String> {
    decode(text).map(|_| quoted(text))
}

/// A cursor behind a row as JSON, if it is one.
pub(crate) fn of_rows(text: &str) -> Option<String> {
    decode_row(text).map(|_| quoted(text))
}

/// The database's page of rows, with its `next` made opaque.
pub(crate) fn page_of_rows(found: &[u8], rows: &str) -> Option<String> {
    let page = Object::of_bytes(found)?;
    let mut body = ObjectWriter::new();
    body.raw(rows, page.get(rows)?.text());
    match Object::read(page.get("next")?) {
        Some(place) => body.string("next", &encode_row(&place)?),
        None => body.raw("next", "null"),
    }
    Some(body.finish())
}

#[cfg(test)]
mod tests {
    use super::{Order, decode, decode_row, encode, encode_row, page_of_rows};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use shared::base64url;
    use shared::json::Object;

    const ID: &str = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";

    #[test]
    fn a_cursor_reads_back() {
        for (order, seq) in [(Order::Asc, 0), (Order::Desc, i64::MAX as u64)] {
            assert_eq!(decode(&encode(order, seq)), Some((order, seq)));
        }
        let place = format!(r#"{{"time":1800000000000000,"id":"{ID}"}}"#);
        let cursor = encode_row(&Object::parse(&place).unwrap()).unwrap();
        let (time, id) = decode_row(&cursor).unwrap();
        assert_eq!((time, id.as_str()), (1_800_000_000_000_000, ID));
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        for text in ["", "1", "desc:1", "ZGVzYzox=", "!!"] {
            assert!(decode(text).is_none() && decode_row(text).is_none(), "{text}");
        }
        for inside in ["desc", "desc:", "desc:-1", "desc:+1", "desc:01", "up:1", "desc:9223372036854775808"] {
            assert_eq!(decode(&base64url::encode(inside.as_bytes())), None, "{inside}");
        }
        for inside in [
            "1",
            "1:",
            ":",
            "-1:018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "9223372036854775808:018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
        ] {
            assert_eq!(decode_row(&base64url::encode(inside.as_bytes())), None, "{inside}");
        }
    }

    #[test]
    fn a_page_of_rows_has_an_opaque_next_or_none() {
        assert_eq!(
            page_of_rows(br#"{"rows":[1],"next":null}"#, "rows").as_deref(),
            Some(r#"{"rows":[1],"next":null}"#)
        );
        let found = format!(r#"{{"rows":[],"next":{{"time":5,"id":"{ID}"}}}}"#);
        let page = page_of_rows(found.as_bytes(), "rows").unwrap();
        let next = Object::parse(&page).unwrap().get("next").unwrap().string().unwrap();
        assert_eq!(decode_row(&next).unwrap().0, 5);
        assert_eq!(page_of_rows(b"[]", "rows"), None);
    }

    proptest! {
        #[test]
        fn every_cursor_reads_back(seq in 0..=i64::MAX as u64, time in 0..=i64::MAX as u64) {
            for order in [Order::Asc, Order::Desc] {
                prop_assert_eq!(decode(&encode(order, seq)), Some((order, seq)));
            }
            let place = format!(r#"{{"time":{time},"id":"{ID}"}}"#);
            let (found, id) = decode_row(&encode_row(&Object::parse(&place).unwrap()).unwrap()).unwrap();
            prop_assert_eq!((found, id.as_str()), (time, ID));
        }

        #[test]
        fn what_reads_as_a_cursor_is_the_one_spelling_of_it(text in any::<String>(), inside in "(asc|desc|up):[0-9+]{0,3}") {
            for text in [text, base64url::encode(inside.as_bytes())] {
                let again = decode(&text).map(|(order, seq)| encode(order, seq));
                prop_assert_eq!(again.as_ref().unwrap_or(&text), &text);
                let _ = decode_row(&text);
            }
        }
    }
}
