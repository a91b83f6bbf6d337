//! `GET /`: a page of a session's messages.

use shared::answer::{Cursor, Fault, Page, Problem, bigint};
use shared::auth::Caller;
use shared::edge::Query;
use shared::host::Response;
use shared::request::{At, Count, Faults, Field, Id, Request, Value, Word, push, read_word};
use shared::serde::ser::SerializeMap;
use shared::serde::{Serialize, Serializer};
use shared::upstream::Database;

const OTHER_ORDER: Fault = Fault::new("invalid_cursor", "was given out for the other order");
const AFTER_WITH_BEFORE: Fault = Fault::new("not_together", "cannot stand together with before");
const AFTER_DOWNWARDS: Fault = Fault::new("not_together", "reads oldest first, so order cannot be desc");

/// Which page of a history.
#[derive(Debug, Request)]
#[request(check = same_order)]
pub(crate) struct History {
    /// The session.
    pub(crate) session_id: Id,
    /// Which page.
    #[request(flatten)]
    pub(crate) page: Page<Place>,
    /// `desc`, newest first, if neither it nor a cursor is given. A cursor goes on the way it came.
    pub(crate) order: Option<Order>,
    /// A `seq`: what is newer than that message, oldest first. 0 is from the beginning. The pages that follow go on from
    /// `next`, or `after` the newest message read.
    pub(crate) after: Option<Count>,
    /// What to add to each message, separated by commas: `intent`, `risk`. Null where a message has none.
    pub(crate) include: Option<Include>,
}

/// What a history may add to each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub(crate) enum Included {
    /// What it was taken for.
    Intent,
    /// A danger that was seen in it.
    Risk,
}

/// A list of what to add, separated by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Include(Vec<Included>);

impl Serialize for Include {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for Include {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        value.string()?.split(',').map(|word| read_word(Value::Text(word))).collect::<Result<_, _>>().map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> shared::serde_json::Value {
        shared::serde_json::json!({ "type": "string", "pattern": "^(intent|risk)(,(intent|risk))*$" })
    }
}

/// In which direction a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Word)]
pub(crate) enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// A place in a history, for a reader who goes in this order: `desc:41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    order: Order,
    seq: u64,
}

impl Cursor for Place {
    fn parse(inside: &str) -> Option<Self> {
        let (order, digits) = inside.split_once(':')?;
        let (_, order) = *Order::ALL.iter().find(|(word, _)| *word == order)?;
        // One spelling for each place: `41`, not `041`.
        let seq = bigint(digits).filter(|seq| seq.to_string() == digits)?;
        Some(Self { order, seq })
    }

    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("before", &self.seq)
    }
}

/// Refuses a cursor of the other order, and two places to read from.
fn same_order(draft: &HistoryDraft, faults: &mut Faults) {
    if let (Some(asked), Some(before)) = (draft.order.valid(), draft.page.before.valid())
        && before.0.order != *asked
    {
        push(faults, &At::Root.member("before"), OTHER_ORDER);
    }
    if draft.after.valid().is_some() {
        let at = At::Root.member("after");
        if draft.page.before.valid().is_some() {
            push(faults, &at, AFTER_WITH_BEFORE);
        }
        if draft.order.valid() == Some(&Order::Desc) {
            push(faults, &at, AFTER_DOWNWARDS);
        }
    }
}

/// Reads a page.
pub(crate) async fn history(
    caller: Caller,
    Query(mut history): Query<History>,
    database: Database,
) -> Result<Response, Problem> {
    history.order = history.order.or(history.page.before.map(|before| before.order));
    database.call("get_history", &caller, &history).await
}

#[cfg(test)]
mod tests {
    use super::{Order, Place};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use shared::answer::Cursor;
    use shared::request::Word;

    #[test]
    fn a_made_up_place_is_refused() {
        for inside in ["", "desc", "desc:", "desc:-1", "desc:+1", "desc:01", "up:1", "desc:9223372036854775808"] {
            assert_eq!(Place::parse(inside), None, "{inside}");
        }
        for cursor in ["", "1", "desc:1", "ZGVzYzox=", "!!"] {
            assert_eq!(Place::decode(cursor), None, "{cursor}");
        }
        assert_eq!(Place::decode("ZGVzYzo4"), Some(Place { order: Order::Desc, seq: 8 }));
    }

    proptest! {
        #[test]
        fn what_reads_as_a_place_is_the_one_spelling_of_it(seq in 0..=i64::MAX as u64, text in any::<String>(), inside in "(asc|desc|up):[0-9+]{0,3}") {
            for order in [Order::Asc, Order::Desc] {
                prop_assert_eq!(Place::parse(&format!("{}:{seq}", order.word())), Some(Place { order, seq }));
            }
            for text in [text, inside] {
                let again = Place::parse(&text).map(|Place { order, seq }| format!("{}:{seq}", order.word()));
                prop_assert_eq!(again.as_ref().unwrap_or(&text), &text);
            }
        }
    }
}
