//! `GET /summary`: what a person's events come to.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step};
use shared::problem::Problem;

/// Longest time a summary looks back, in days. Without `days` the database looks back 7.
const MAX_DAYS: u64 = 365;

static PARAMETERS: &[Field] = &[Field::optional("days", Kind::Within(MAX_DAYS))];

/// Tells the caller's own statistics.
pub(crate) fn summary(exchange: &Exchange<()>) -> Result<Step, Problem> {
    Ok(Step::pass_on("get_analytics_summary", exchange.query(PARAMETERS).arguments()?))
}
