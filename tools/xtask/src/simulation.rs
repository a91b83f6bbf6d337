//! The simulation of `docs/fuzzing.md`: builds the crate `simulation`, and runs the worlds of many seeds.

use devstack::{
    checkout::Checkout,
    error::Result,
    progress::print,
    tools::{command::Tool, rust::cargo},
};

use crate::check::report::Outcome;

/// Its name among the targets of `cargo xtask fuzz`.
pub const TARGET: &str = "simulation";
/// How many seeds `cargo xtask test` runs, and for how long at most, in seconds.
const SEEDS: u32 = 2500;
const SECONDS: u32 = 60;

/// Runs the same seeds every time, so that a failure is due to what was changed.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    run(checkout, 1, Some(SEEDS), SECONDS).await
}

/// Runs seeds, from the first on, as many as there is time for unless fewer were asked for. It prints how that went.
pub async fn run(checkout: &Checkout, first: u32, seeds: Option<u32>, seconds: u32) -> Result<Outcome> {
    let build = ["build", "--quiet", "--profile", "fuzz", "--package", "simulation"];
    Tool::new(cargo(), checkout.root()).args(build).succeed("Building the simulation").await?;
    let mut tool = Tool::new(checkout.path("target/fuzz/simulation"), checkout.root())
        .args([format!("--seed={first}"), format!("--seconds={seconds}")]);
    if let Some(seeds) = seeds {
        tool = tool.arg(format!("--seeds={seeds}"));
    }
    let said = tool.run().await?;
    let is_good = said.status.success();
    let text = said.everything();
    print(if is_good { format!("      {TARGET}: {}", text.trim_end()) } else { format!("FAIL  {TARGET}:\n{text}") });
    Ok(Outcome { passed: u32::from(is_good), failed: u32::from(!is_good), ..Outcome::default() })
}
