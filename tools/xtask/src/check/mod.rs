//! `cargo xtask test`: everything CI checks, step by step, counted.

pub mod advisors;
pub mod cargo_tools;
pub mod deploy;
pub mod fresh_database;
pub mod leftovers;
pub mod migrations;
pub mod new_function;
pub mod openapi;
pub mod report;
pub mod rust;
pub mod suites;
pub mod typescript;
pub mod wasm;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use crate::{build, cli, fuzz, simulation};
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    host::Host,
    progress::{Progress, print},
    signals,
    tools::{node, npm, platform::Platform, rust as toolchain},
};
use report::{Outcome, Report};

/// The steps, in the order they run.
pub const STEPS: [&str; 15] = [
    "fmt",
    "clippy",
    "unit",
    "new",
    "fuzz",
    "simulation",
    "wasm",
    "openapi",
    "build",
    "glue",
    "deploy",
    "migrations",
    "advisors",
    "conformance",
    "faults",
];

/// What `cargo xtask test` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(
    after_help = "Environment:\n  SELVEDGE_LOAD_SECONDS  how long `faults` lets 100 callers call at once (default 60)"
)]
pub struct TestOptions {
    /// On this host only
    #[arg(long, value_parser = cli::word::<Host>())]
    host: Option<Host>,
    /// Only these steps
    #[arg(long, value_name = "STEP", num_args = 1.., value_parser = PossibleValuesParser::new(STEPS))]
    pub only: Vec<String>,
}

impl TestOptions {
    /// The hosts.
    pub fn hosts(&self) -> Vec<Host> {
        self.host.map_or_else(|| Host::ALL.to_vec(), |host| vec![host])
    }
}

/// Runs the command. The last line on stdout is `N passed, N failed`.
pub async fn run(checkout: &Checkout, options: &TestOptions) -> Result<ExitCode> {
    let stop = signals::stop_requested()?;
    let mut report = Report::new(Progress::start());
    let stopped = tokio::select! {
        ran = steps(checkout, options, &mut report) => ran.err(),
        () = stop => Some(Error::new("stopped")),
    };
    if let Some(error) = stopped {
        report.failed(&error);
    }
    print(report.summary());
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn steps(checkout: &Checkout, options: &TestOptions, report: &mut Report) -> Result<()> {
    let hosts = options.hosts();
    let wanted = |step: &str| options.only.is_empty() || options.only.iter().any(|one| one == step);
    leftovers::clear(checkout).await;
    Platform::this()?;
    node::check(checkout.root()).await?;
    toolchain::ensure_wasm(checkout.root()).await?;

    if wanted("fmt") {
        report.step("fmt", rust::format(checkout)).await;
    }
    if wanted("clippy") {
        rust::lint(checkout, &hosts, report).await?;
    }
    if wanted("unit") {
        report.step("unit", rust::unit_tests(checkout)).await;
    }
    if wanted("new") {
        report.step("new", new_function::check(checkout)).await;
    }
    if wanted("fuzz") {
        report.step("fuzz", fuzz::check(checkout)).await;
    }
    if wanted("simulation") {
        report.step("simulation", simulation::check(checkout)).await;
    }
    if wanted("wasm") {
        wasm::tests(checkout, report).await?;
    }
    if ["openapi", "build", "glue", "deploy", "migrations", "advisors", "conformance", "faults"].into_iter().any(wanted)
    {
        npm::ensure(checkout).await?;
    }
    if wanted("openapi") {
        report.step("openapi", openapi::check(checkout)).await;
    }
    // The steps after it use what it builds, so it runs even when it is not asked for; then it is not counted.
    if ["build", "glue", "deploy", "conformance", "faults"].into_iter().any(wanted) {
        for host in &hosts {
            let built = build_for(checkout, *host, report.progress());
            if wanted("build") {
                report.step(&format!("build, {host}"), built).await;
            } else {
                built.await?;
            }
        }
    }
    if wanted("glue") && hosts.contains(&Host::Supabase) {
        report.step("glue, types", typescript::check(checkout)).await;
    }
    if wanted("deploy") && hosts.contains(&Host::Workers) {
        for function in checkout.functions()? {
            report.step(&format!("deploy, {} (dry run)", function.name), deploy::dry_run(checkout, &function)).await;
        }
    }
    if wanted("migrations") {
        migrations::check(checkout, report).await;
    }
    if wanted("advisors") {
        report.step("advisors", advisors::check(checkout)).await;
    }
    if wanted("conformance") {
        npm::ensure_browser(checkout).await?;
        for host in &hosts {
            report.step(&format!("conformance, {host}"), suites::conformance(checkout, *host)).await;
        }
        if hosts.contains(&Host::Workers) {
            report.step("conformance, workers behind kong", suites::behind_kong(checkout)).await;
        }
    }
    if wanted("faults") {
        for host in &hosts {
            report.step(&format!("faults, {host}"), suites::faults(checkout, *host)).await;
        }
    }
    Ok(())
}

/// Builds every function for a host, and notes their sizes.
async fn build_for(checkout: &Checkout, host: Host, progress: Progress) -> Result<Outcome> {
    let weights = build::build(checkout, host, &checkout.functions()?, progress).await?;
    let table = build::size::table(&weights);
    Ok(Outcome { passed: 1, failed: 0, output: table.clone(), note: Some(table) })
}
