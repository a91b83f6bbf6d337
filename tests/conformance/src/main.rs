//! Runs the scenarios on a stack of their own, and then checks what the functions sent upstream meanwhile, and what the
//! suite has left in the database.
//!
//! `cargo run -p conformance -- [--host workers|supabase] [--gateway supabase|kong] [FILTER]...`; the functions must have been built
//! (`cargo xtask build`).

use std::process::ExitCode;

use conformance::arguments::Arguments;
use conformance::capture::{recorder::Capture, rules};
use conformance::stack::GATEWAY;
use conformance::{conversations, verdict};
use devstack::checkout::Checkout;
use devstack::error::{Context as _, Result};
use devstack::progress::Progress;
use devstack::stack::{Stack, StackOptions};
use devstack::tools::rust::cargo;
use tokio::process::Command;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything held.
async fn run() -> Result<bool> {
    let Arguments { host, gateway, filters } = Arguments::read()?;
    let checkout = Checkout::here()?;
    let options = StackOptions { gateway, ..StackOptions::ephemeral(&checkout, host) };
    let mut stack = Stack::reserve(&checkout, options).await?;
    let capture = Capture::create(stack.home().folder().join("capture.jsonl"))?;
    stack.watch(capture.watch())?;
    let stack = stack.started(Progress::start()).await?;
    let checked = async {
        let mut suite = Command::new(cargo());
        suite
            .current_dir(checkout.root())
            .args(["test", "--package", "conformance", "--no-fail-fast", "--"])
            .args(&filters)
            .env("SELVEDGE_STACK", stack.home().description())
            .env("SELVEDGE_CAPTURE", capture.path())
            .env(GATEWAY, gateway.to_string())
            .kill_on_drop(true);
        let is_good = suite.status().await.context(|| "cargo did not start".into())?.success();
        let record = std::fs::read_to_string(capture.path()).context(|| "The record cannot be read".into())?;
        let mut verdicts = conversations::judge(&stack.description().db_url).await?;
        verdicts.extend(rules::judge(&record, &stack.description().publishable_key)?);
        // Some of the rules want something to look at, which only the whole suite leaves.
        Ok(is_good & (!filters.is_empty() || verdict::print(&verdicts)))
    };
    let checked = tokio::select! {
        checked = checked => checked,
        error = stack.broken() => Err(error),
    };
    stack.stop().await;
    checked
}
