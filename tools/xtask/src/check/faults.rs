//! The fault suite: what goes wrong on purpose, on a stack that the suite starts, breaks and mends by itself.

use super::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::Result,
    host::Host,
    tools::{command::Tool, rust::cargo},
};

/// Runs it for one host. It takes some minutes, so it says what it is doing meanwhile.
pub async fn check(checkout: &Checkout, host: Host) -> Result<Outcome> {
    let suite =
        Tool::new(cargo(), checkout.root()).args(["run", "--quiet", "-p", "faults", "--", "--host", host.name()]);
    Ok(Outcome::of_tests(&suite.run_showing_progress().await?))
}
