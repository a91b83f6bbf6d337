//! `cargo xtask machines`, which is a program of the function's crate.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use devstack::{
    checkout::Checkout,
    error::{Context as _, Result},
    tools::rust::cargo,
};

/// Runs it with the arguments it reads itself.
pub fn run(checkout: &Checkout, args: &[OsString]) -> Result<ExitCode> {
    let status = Command::new(cargo())
        .current_dir(checkout.root())
        .args(["run", "--quiet", "--package", "fsm-transition", "--example", "machines", "--"])
        .args(args)
        .status()
        .context(|| "cargo did not start".into())?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
