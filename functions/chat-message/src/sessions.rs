//! `/sessions`: a person's conversations, one of them, and its end.

use shared::form::{Field, Form, Kind};
use shared::function::{Exchange, Step, handed_on, unexpected};
use shared::http::Response;
use shared::problem::Problem;

use crate::cursor::{self, NOT_A_CURSOR};
use crate::history::MAX_LIMIT;
use crate::{SESSION_NOT_FOUND, Settings};

static PAGE: &[Field] = &[
    Field::optional("limit", Kind::Within(MAX_LIMIT)),
    Field::optional(BEFORE, Kind::Parsed(cursor::of_rows, &NOT_A_CURSOR)),
];
const BEFORE: &str = "before";
static SESSION_ID: Field = Field::required("session_id", Kind::Id);

/// `GET /sessions`: a page of the caller's sessions, the one with the latest activity first.
pub(crate) fn list(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    rows(exchange.query(PAGE), "list_sessions", "sessions")
}

/// A page of rows the database finds.
pub(crate) fn rows(mut form: Form, function: &'static str, rows: &'static str) -> Result<Step, Problem> {
    if let Some((time, id)) = form.take_text(BEFORE).as_deref().and_then(cursor::decode_row) {
        form.put_number("before_time", time);
        form.put("before_id", shared::json::quoted(id.as_str()));
    }
    Ok(Step::call(function, form.arguments()?, move |found| {
        let page = cursor::page_of_rows(&found?, rows).ok_or_else(unexpected)?;
        Ok(Response::json(200, page))
    }))
}

/// `GET /sessions/{id}`.
pub(crate) fn read(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    Ok(Step::pass_on("get_session", named(exchange, exchange.query(&[])).arguments()?))
}

/// `DELETE /sessions/{id}`: everything of it goes, statistics stay.
pub(crate) fn delete(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    let arguments = named(exchange, exchange.query(&[])).arguments()?;
    let step = Step::call("delete_session", arguments, |found| handed_on(200, found?).map(|_| Response::empty(204)));
    Ok(step.done_if_retried(&SESSION_NOT_FOUND))
}

/// A form with the session the path names added.
pub(crate) fn named(exchange: &Exchange<Settings>, mut form: Form) -> Form {
    form.add_text(&SESSION_ID, exchange.path.get(1).copied().unwrap_or_default());
    form
}
