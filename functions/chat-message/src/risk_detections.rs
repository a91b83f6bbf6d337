//! `GET /risk-detections`: a page of what was detected in the caller's messages, the latest first.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step};
use shared::problem::Problem;

use crate::cursor::{self, NOT_A_CURSOR};
use crate::history::MAX_LIMIT;
use crate::{Settings, sessions};

static PARAMETERS: &[Field] = &[
    Field::optional("session_id", Kind::Id),
    Field::optional("limit", Kind::Within(MAX_LIMIT)),
    Field::optional("before", Kind::Parsed(cursor::of_rows, &NOT_A_CURSOR)),
];

/// Reads a page.
pub(crate) fn list(exchange: &Exchange<Settings>) -> Result<Step, Problem> {
    sessions::rows(exchange.query(PARAMETERS), "list_risk_detections", "risk_detections")
}
