//! The conformance suite, on a stack of its own.

use super::report::Outcome;
use crate::{
    checkout::Checkout,
    error::Result,
    host::Host,
    progress::Progress,
    stack::{Stack, StackOptions},
    tools::{command::Tool, rust::cargo},
};

/// Starts an empty stack on free ports, runs the suite against it, and stops it.
pub async fn run(checkout: &Checkout, host: Host, progress: Progress) -> Result<Outcome> {
    let stack = Stack::start(checkout, StackOptions::ephemeral(checkout, host), progress).await?;
    let suite = Tool::new(cargo(), checkout.root())
        .args(["test", "-p", "conformance", "--no-fail-fast"])
        .env("SELVEDGE_STACK", stack.home().description())
        .env("SELVEDGE_HOST", host.name());
    let said = tokio::select! {
        said = suite.run() => said,
        error = stack.broken() => Err(error),
    };
    stack.stop().await;
    Ok(Outcome::of_tests(&said?))
}
