//! rustfmt, clippy, and the tests that need no stack.

use super::report::{Outcome, Report};
use devstack::{
    checkout::Checkout,
    error::Result,
    host::Host,
    tools::{
        command::Tool,
        rust::{WASM, cargo},
    },
};

/// Whether everything is formatted.
pub async fn format(checkout: &Checkout) -> Result<Outcome> {
    let said = Tool::new(cargo(), checkout.root()).args(["fmt", "--all", "--check"]).run().await?;
    Ok(Outcome::of_one(&said))
}

/// Lints: all code for this machine, then what becomes wasm, as each host compiles it.
pub async fn lint(checkout: &Checkout, hosts: &[Host], report: &mut Report) -> Result<()> {
    report.step("clippy, native", clippy(checkout, &["--workspace", "--all-targets"])).await;
    report.step("clippy, wasm, shared", clippy(checkout, &["-p", "shared", "--tests", "--target", WASM])).await;
    let functions = checkout.functions()?;
    for host in hosts {
        let mut args = vec!["--target", WASM, "--no-default-features", "--features", host.name()];
        args.extend(functions.iter().flat_map(|function| ["-p", &function.name]));
        report.step(&format!("clippy, wasm, {host}"), clippy(checkout, &args)).await;
    }
    Ok(())
}

async fn clippy(checkout: &Checkout, args: &[&str]) -> Result<Outcome> {
    let tool = Tool::new(cargo(), checkout.root()).arg("clippy").args(args);
    Ok(Outcome::of_one(&tool.args(["--", "-D", "warnings"]).run().await?))
}

/// Unit, property and documentation tests.
pub async fn unit_tests(checkout: &Checkout) -> Result<Outcome> {
    let tool = Tool::new(cargo(), checkout.root());
    let said = tool.args(["test", "--workspace", "--exclude", "conformance", "--no-fail-fast"]).run().await?;
    Ok(Outcome::of_tests(&said))
}
