//! `cargo xtask fuzz`, and the bounded run of `cargo xtask test`. The fuzzer itself is the crate `fuzz`.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use crate::check::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::{Context as _, Result},
    tools::{command::Tool, rust::cargo},
};

const FUZZER: [&str; 7] = ["run", "--quiet", "--profile", "fuzz", "--package", "fuzz", "--"];

/// How long each target runs in `cargo xtask test`: so many inputs, or so many seconds on a slow machine. Always with the
/// same seed: a run is to be red for what was changed, and not for luck.
const BOUNDS: [&str; 6] = ["--executions", "100000", "--seconds", "6", "--seed", "1"];

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct FuzzOptions {
    /// Targets and options of the fuzzer itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

/// Runs the fuzzer with what it was asked for, until it is done.
pub fn run(checkout: &Checkout, options: &FuzzOptions) -> Result<ExitCode> {
    let status = Command::new(cargo())
        .current_dir(checkout.root())
        .args(FUZZER)
        .args(&options.arguments)
        .status()
        .context(|| "cargo did not start".into())?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every target for a while; each counts.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    let said = Tool::new(cargo(), checkout.root()).args(FUZZER).args(BOUNDS).run().await?;
    Ok(outcome(said.status.success(), said.everything()))
}

fn outcome(is_good: bool, output: String) -> Outcome {
    let count = |word: &str| output.lines().filter(|line| line.starts_with(word)).count() as u32;
    let (passed, failed) = (count("ok    "), count("FAIL  "));
    // One that never ran its targets has failed as well.
    let failed = if is_good { failed } else { failed.max(1) };
    let note = output.lines().map(|line| format!("      {}\n", line.trim_start_matches("ok    "))).collect();
    Outcome { passed, failed, note: Some(note), output }
}

#[cfg(test)]
mod tests {
    use super::outcome;

    #[test]
    fn each_target_counts_and_its_executions_are_told() {
        let good = outcome(true, "seed 7\nok    a: 9 executions\nok    b: 8 executions\n".to_owned());
        assert_eq!((good.passed, good.failed), (2, 0));
        assert_eq!(good.note.as_deref(), Some("      seed 7\n      a: 9 executions\n      b: 8 executions\n"));
        assert_eq!(outcome(false, "ok    a: 9\nFAIL  b: after 8\n".to_owned()).failed, 1);
        assert_eq!(outcome(false, "error: it does not compile".to_owned()).failed, 1);
    }
}
