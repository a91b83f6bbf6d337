//! The conformance suite, on a stack of its own, and then what its functions sent upstream meanwhile.

use std::fs;

use super::{
    capture,
    report::{Outcome, Report},
    unbroken,
};
use crate::{
    checkout::Checkout,
    error::{Context as _, Result},
    host::Host,
    progress::Progress,
    stack::{Stack, StackOptions},
    tools::{command::Tool, rust::cargo},
};

/// What is left to look at when the stack has stopped.
#[derive(Debug)]
struct Record {
    text: String,
    publishable_key: String,
    /// What the suite has left in the database, gone over.
    unbroken: Result<Outcome>,
}

/// Checks one host: three steps.
pub async fn check(checkout: &Checkout, host: Host, report: &mut Report) {
    let mut record = None;
    let suite = run(checkout, host, report.progress(), &mut record);
    report.step(&format!("conformance, {host}"), suite).await;
    if let Some(Record { text, publishable_key, unbroken }) = record {
        report.step(&format!("conversations, {host}"), async { unbroken }).await;
        report.step(&format!("capture, {host}"), async { capture::judge(&text, &publishable_key) }).await;
    }
}

/// Starts an empty stack on free ports, runs the suite against it, and stops it.
async fn run(checkout: &Checkout, host: Host, progress: Progress, record: &mut Option<Record>) -> Result<Outcome> {
    let mut stack = Stack::reserve(checkout, StackOptions::ephemeral(checkout, host)).await?;
    let capture = stack.record()?;
    let stack = stack.started(progress).await?;
    let suite = Tool::new(cargo(), checkout.root())
        .args(["test", "-p", "conformance", "--no-fail-fast"])
        .env("SELVEDGE_STACK", stack.home().description())
        .env("SELVEDGE_CAPTURE", &capture)
        .env("SELVEDGE_HOST", host.name());
    let said = tokio::select! {
        said = suite.run() => said,
        error = stack.broken() => Err(error),
    };
    // The folder it is in goes with the stack.
    let text = fs::read_to_string(&capture).context(|| format!("{} cannot be read", capture.display()));
    let publishable_key = stack.description().publishable_key.clone();
    let unbroken = unbroken::judge(&stack.description().db_url).await;
    stack.stop().await;
    *record = Some(Record { text: text?, publishable_key, unbroken });
    Ok(Outcome::of_tests(&said?))
}
