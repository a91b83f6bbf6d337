//! The conformance suite, on a stack that it starts itself.

use super::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::Result,
    host::Host,
    tools::{command::Tool, rust::cargo},
};

/// Runs it for one host.
pub async fn check(checkout: &Checkout, host: Host) -> Result<Outcome> {
    let suite =
        Tool::new(cargo(), checkout.root()).args(["run", "--quiet", "-p", "conformance", "--", "--host", host.name()]);
    Ok(Outcome::of_tests(&suite.run().await?))
}
