//! The suites that start a stack themselves: conformance, and the faults, which break and mend it on purpose.

use super::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::Result,
    host::Host,
    tools::{command::Tool, rust::cargo},
};

/// What a browser meets: the scenarios that are run again behind the gateway of a self-hosted Supabase.
const OF_BROWSERS: [&str; 3] = ["cors::", "analytics_browser::", "supabase_js::"];

/// Runs the scenarios for one host.
pub async fn conformance(checkout: &Checkout, host: Host) -> Result<Outcome> {
    Ok(Outcome::of_tests(&suite(checkout, "conformance", host).run().await?))
}

/// Runs those of them that are about browsers behind Kong, which answers preflights itself.
pub async fn behind_kong(checkout: &Checkout) -> Result<Outcome> {
    let suite = suite(checkout, "conformance", Host::Workers).args(["--gateway", "kong"]).args(OF_BROWSERS);
    Ok(Outcome::of_tests(&suite.run().await?))
}

/// Runs the faults for one host. They take some minutes, so the suite says what it is doing meanwhile.
pub async fn faults(checkout: &Checkout, host: Host) -> Result<Outcome> {
    Ok(Outcome::of_tests(&suite(checkout, "faults", host).run_showing_progress().await?))
}

fn suite(checkout: &Checkout, package: &str, host: Host) -> Tool {
    Tool::new(cargo(), checkout.root()).args(["run", "--quiet", "-p", package, "--", "--host", host.name()])
}
