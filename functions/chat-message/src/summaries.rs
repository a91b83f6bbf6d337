//! `/sessions/{id}/summaries/{type}`: what a conversation comes down to, the latest of each type.

use shared::form::{Field, Form, Kind};
use shared::function::{Exchange, Step, unexpected};
use shared::http::Response;
use shared::json::{Object, Raw, quoted};
use shared::problem::Problem;

use crate::{Settings, sessions};

/// Types of summaries. The database's CHECK has the same words; a test holds the two together.
pub const SUMMARY_TYPES: [&str; 3] = ["partial", "complete", "llm_context"];

/// Largest summary, in bytes as the caller wrote it: what fits into a body beside its braces.
const SUMMARY_MAX_BYTES: u32 = 64 * 1024;

static FIELDS: &[Field] = &[Field::required("summary_data", Kind::Object(SUMMARY_MAX_BYTES))];

/// `PUT`: stores a summary in place of the one there was. Safe to repeat.
pub(crate) fn store(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    let mut form = named(exchange, exchange.body(FIELDS)?);
    Ok(Step::call("put_session_summary", form.arguments()?, |stored| {
        let stored = stored?;
        let object = Object::of_bytes(&stored).ok_or_else(unexpected)?;
        let is_new = object.get("created").and_then(Raw::boolean).ok_or_else(unexpected)?;
        let summary = object.get("summary").ok_or_else(unexpected)?.text();
        Ok(Response::json(if is_new { 201 } else { 200 }, summary))
    }))
}

/// `GET`: the summary there is.
pub(crate) fn read(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    Ok(Step::pass_on("get_session_summary", named(exchange, exchange.query(&[])).arguments()?))
}

/// A form with what the path names added. The router has let only known types through.
fn named(exchange: &Exchange<Settings>, form: Form) -> Form {
    let mut form = sessions::named(exchange, form);
    form.put("summary_type", quoted(exchange.path.last().copied().unwrap_or_default()));
    form
}
