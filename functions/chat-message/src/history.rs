//! `GET /`: a page of a session's messages.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step, unexpected};
use shared::http::Response;
use shared::json::{Object, ObjectWriter, digits, quoted};
use shared::problem::{Problem, Rule};

use crate::Settings;
use crate::cursor::{self, NOT_A_CURSOR, Order};

static NOT_AN_ORDER: Rule = Rule { code: "not_allowed", detail: "must be asc or desc" };
static OTHER_ORDER: Rule = Rule { code: "invalid_cursor", detail: "was given out for the other order" };

/// Most rows a page holds: of messages at most 8000 characters each, that is an answer a phone can take. Without
/// `limit` the database gives 50.
pub(crate) const MAX_LIMIT: u64 = 200;

static PARAMETERS: &[Field] = &[
    Field::required("session_id", Kind::Id),
    Field::optional("limit", Kind::Within(MAX_LIMIT)),
    Field::optional("order", Kind::Word(&Order::NAMES, &NOT_AN_ORDER)),
    Field::optional("before", Kind::Parsed(cursor::of_history, &NOT_A_CURSOR)),
];

/// Reads a page.
pub(crate) fn history(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    let mut form = exchange.query(PARAMETERS);
    let before = form.take_text("before").as_deref().and_then(cursor::decode);
    let asked = form.take_text("order").as_deref().and_then(Order::named);
    // A cursor knows its direction: without `order` it goes on the way it came.
    if let (Some(asked), Some((given_for, _))) = (asked, before)
        && asked != given_for
    {
        form.fault("before", OTHER_ORDER.broken());
    }
    let order = asked.or(before.map(|(order, _)| order)).unwrap_or_default();
    form.put("order", quoted(order.name()));
    if let Some((_, seq)) = before {
        form.put_number("before", seq);
    }
    Ok(Step::call("get_history", form.arguments()?, move |found| {
        let page = page(&found?, order).ok_or_else(unexpected)?;
        Ok(Response::json(200, page))
    }))
}

/// The database's page, with its `next` made opaque.
fn page(found: &[u8], order: Order) -> Option<String> {
    let page = Object::of_bytes(found)?;
    let mut body = ObjectWriter::new();
    body.raw("messages", page.get("messages")?.text());
    match page.get("next")?.text() {
        "null" => body.raw("next", "null"),
        seq => body.string("next", &cursor::encode(order, digits(seq)?)),
    }
    Some(body.finish())
}
