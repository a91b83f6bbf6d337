//! `GET /machines/{id}`: a machine's definition. Anyone may look: a machine is no secret.

use shared::fields;
use shared::function::Exchange;
use shared::host::Host;
use shared::http::Response;
use shared::problem::Problem;

use crate::{FsmTransition, MACHINE_NOT_FOUND, machines};

/// Shows a machine, in its newest version unless asked otherwise.
pub(crate) fn definition<H: Host>(exchange: &Exchange<'_, H, FsmTransition>) -> Result<Response, Problem> {
    let mut query = exchange.query();
    let version = query.optional("version", |value| fields::integer(value, u32::MAX.into()));
    query.finish()?;
    let id = exchange.path.last().copied().unwrap_or_default();
    match machines::find(id, version.and_then(|version| u32::try_from(version).ok())) {
        Some(machine) => Ok(Response::json(200, machine.definition)),
        None => Err(Problem::new(&MACHINE_NOT_FOUND, "There is no machine of this name and version.")),
    }
}
