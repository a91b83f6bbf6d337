//! `GET /`: a page of a session's messages.

use shared::fields::{self, Fields};
use shared::function::Exchange;
use shared::host::Host;
use shared::http::Response;
use shared::id::Id;
use shared::json::{Object, ObjectWriter};
use shared::problem::{Problem, Rule};

use crate::ChatMessage;
use crate::cursor::{Cursor, Order};

static OTHER_ORDER: Rule = Rule { code: "invalid_cursor", detail: "was given out for the other order" };

/// Messages a page holds unless asked otherwise.
const DEFAULT_LIMIT: u64 = 50;
/// Most messages a page holds: at most 8000 characters each, that is an answer a phone can take.
const MAX_LIMIT: u64 = 200;

/// A page to read.
#[derive(Debug)]
struct Page {
    session_id: Id,
    limit: u64,
    before: Option<Cursor>,
    order: Order,
}

/// Reads a page.
pub(crate) async fn history<H: Host>(exchange: &Exchange<'_, H, ChatMessage>) -> Result<Response, Problem> {
    let caller = exchange.authenticate().await?;
    let page = Page::parse(exchange.query())?;
    let found = exchange.rpc(&caller, "get_history", &page.arguments()).await?;
    page.answer(&found)
}

impl Page {
    fn parse(mut query: Fields) -> Result<Self, Problem> {
        let session_id = query.required("session_id", fields::id);
        let limit = query.optional("limit", |value| fields::integer(value, MAX_LIMIT)).unwrap_or(DEFAULT_LIMIT);
        let order = query.optional("order", Order::parse);
        let before = query.optional("before", Cursor::parse);
        // A cursor knows its direction: without `order` it goes on the way it came.
        if let (Some(order), Some(before)) = (order, before)
            && order != before.order
        {
            query.fault("before", OTHER_ORDER.broken());
        }
        query.finish()?;
        let Some(session_id) = session_id else {
            return Err(Problem::invalid(Vec::new())); // unreachable: finish() reports a required field without value
        };
        Ok(Self { session_id, limit, before, order: order.or(before.map(|before| before.order)).unwrap_or_default() })
    }

    /// The parameters of `get_history`.
    fn arguments(&self) -> String {
        let mut arguments = ObjectWriter::new();
        arguments.string("session_id", self.session_id.as_str());
        arguments.number("limit", self.limit);
        if let Some(before) = self.before {
            arguments.number("before", before.seq);
        }
        arguments.string("order", self.order.name());
        arguments.finish()
    }

    /// The database's page, with its `next` made opaque.
    fn answer(&self, found: &[u8]) -> Result<Response, Problem> {
        let unexpected = || Problem::new(&shared::code::UPSTREAM_ERROR, "get_history did not answer with a page.");
        let page = Object::of_bytes(found).ok_or_else(unexpected)?;
        let (Some(messages), Some(next)) = (page.get("messages"), page.get("next")) else {
            return Err(unexpected());
        };
        let mut body = ObjectWriter::new();
        body.raw("messages", messages.text());
        match next.text() {
            "null" => body.raw("next", "null"),
            seq => {
                let seq = seq.parse().map_err(|_| unexpected())?;
                body.string("next", &Cursor { order: self.order, seq }.encode());
            }
        }
        Ok(Response::json(200, body.finish()))
    }
}
