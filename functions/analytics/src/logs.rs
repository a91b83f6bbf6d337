//! `POST /logs`: a line of a client's log.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step, handed_on};
use shared::problem::{Problem, Rule};

/// Levels of a line. The database's CHECK has the same words; a test holds the two together.
pub const LOG_LEVELS: [&str; 5] = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
static NOT_A_LEVEL: Rule = Rule { code: "not_allowed", detail: "must be DEBUG, INFO, WARNING, ERROR or CRITICAL" };

/// What the columns hold, in characters.
const COMPONENT_MAX_CHARS: u32 = 128;
const MESSAGE_MAX_CHARS: u32 = 4000;
const TRACE_MAX_CHARS: u32 = 16_000;

static FIELDS: &[Field] = &[
    Field::optional("id", Kind::Id),
    Field::required("log_level", Kind::Word(&LOG_LEVELS, &NOT_A_LEVEL)),
    Field::required("component", Kind::Text(COMPONENT_MAX_CHARS)),
    Field::required("message", Kind::Text(MESSAGE_MAX_CHARS)),
    Field::optional("session_id", Kind::Id),
    Field::optional("error_trace", Kind::Text(TRACE_MAX_CHARS)),
];

/// Keeps a line.
pub(crate) fn record(exchange: &Exchange<()>) -> Result<Step, Problem> {
    let mut form = exchange.body(FIELDS)?;
    form.identify(exchange.idempotency_key(), &exchange.id);
    Ok(Step::call("record_log", form.arguments()?, |kept| handed_on(201, kept?)))
}
