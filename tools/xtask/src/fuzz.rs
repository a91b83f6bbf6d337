//! `cargo xtask fuzz`, and the bounded run of `cargo xtask test`. What is searched, and judged, is the crate `fuzz`.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread::available_parallelism,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::check::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    progress::print,
    signals,
    tools::{command::Tool, rust::cargo},
};

/// Where the inputs are: a folder for each target.
const CORPUS: &str = "tests/fuzz/corpus";
/// What the fuzzer builds and finds. Its own, because its compiler flags differ from all others.
const BUILT: &str = "target/fuzzing";
/// Makes the compiler count which code runs, and note what is compared, for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct FuzzOptions {
    /// Only these targets
    #[arg(value_name = "TARGET", value_parser = target())]
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// How many inputs each target gets at most
    #[arg(long, value_name = "N")]
    executions: Option<u64>,
    /// Repeats the run with this seed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
}

/// Reads the name of a target; a name that is none gets the nearest one suggested.
fn target() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(Checkout::here().and_then(|checkout| targets(&checkout)).unwrap_or_default())
}

/// Every target: the folders of the corpus.
fn targets(checkout: &Checkout) -> Result<Vec<String>> {
    let entries = fs::read_dir(checkout.path(CORPUS)).context(|| format!("{CORPUS} cannot be read"))?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Runs the targets that were asked for.
pub async fn run(checkout: &Checkout, options: FuzzOptions) -> Result<ExitCode> {
    let outcome = tokio::select! {
        outcome = fuzz(checkout, options) => outcome?,
        () = signals::stop_requested()? => return Err(Error::new("stopped")),
    };
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every target for a while; each counts. The seed is always the same, so that a failure is due to what was changed.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    fuzz(checkout, FuzzOptions { targets: vec![], seconds: 10, executions: Some(100_000), seed: Some(1) }).await
}

/// Runs targets side by side, as many as there are processors, and prints how each one went.
async fn fuzz(checkout: &Checkout, options: FuzzOptions) -> Result<Outcome> {
    let FuzzOptions { targets: chosen, seconds, executions, seed } = options;
    let chosen = if chosen.is_empty() { targets(checkout)? } else { chosen };
    let seed = seed.unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos().max(1));
    let fuzzer = Arc::new(Fuzzer::build(checkout).await?);
    print(format!("      {}, seed {seed}", if fuzzer.by_coverage { "with coverage" } else { "without coverage: no C++ compiler" }));
    Ok(Outcome::default())
}
