//! `cargo xtask bench`: what Selvedge spares and what it costs, on the real local stack, for docs/benchmarks.md.
//!
//! No time stands alone: each has its counterpart, taken in the same run by turns, and what is judged is the ratio of the
//! two. Counts and sizes stand against their budgets. One that is missed is said as plainly as one that is met.

pub mod call;
pub mod cpu;
pub mod events;
pub mod figures;
pub mod first_request;
pub mod growth;
pub mod load;
pub mod machine;
pub mod memory;
pub mod messages;
pub mod page;
pub mod scene;
pub mod sizes;
pub mod soak;
pub mod table;
pub mod upstream;
pub mod workers;

use clap::builder::PossibleValuesParser;
use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use crate::{build, check::leftovers, cli};
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    host::Host,
    progress::{Progress, print},
    signals,
    tools::{node, npm, platform::Platform, rust},
};
use table::Table;
use workers::Workers;

/// How often each side has its turn, unless told otherwise.
pub const ROUNDS: u32 = 5;

/// The sections by name, as `--only` takes them.
pub const SECTIONS: [&str; 9] =
    ["events", "messages", "added", "growth", "cpu", "first-request", "memory", "upstream", "sizes"];

/// What `cargo xtask bench` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BenchOptions {
    /// On this host only
    #[arg(long, value_parser = cli::word::<Host>())]
    host: Option<Host>,
    /// How often each side has its turn
    #[arg(long, value_name = "N", default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Fail where a budget is missed
    #[arg(long)]
    pub check: bool,
    /// Only these sections
    #[arg(long, value_name = "SECTION", num_args = 1.., value_parser = PossibleValuesParser::new(SECTIONS))]
    pub only: Vec<String>,
    /// Instead of all that: 20 callers on Workers for so long, while one in 100 upstream requests fails
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["host", "rounds", "only"])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub soak: Option<u32>,
}

impl BenchOptions {
    /// The hosts.
    pub fn hosts(&self) -> Vec<Host> {
        self.host.map_or_else(|| Host::ALL.to_vec(), |host| vec![host])
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == section)
    }

    fn wants_any(&self, sections: &[&str]) -> bool {
        sections.iter().any(|section| self.wants(section))
    }
}

/// Runs the command.
pub async fn run(checkout: &Checkout, options: &BenchOptions) -> Result<ExitCode> {
    if cfg!(debug_assertions) {
        return Err(hand_over(checkout));
    }
    let progress = Progress::start();
    let stop = signals::stop_requested()?;
    let report = tokio::select! {
        report = measure(checkout, options, progress) => report?,
        () = stop => return Err(Error::new("stopped")),
    };
    let figures = report.markdown();
    print(&figures);
    let (place, whole) = match options.soak {
        Some(minutes) => (page::SOAK, minutes >= soak::WRITTEN_FROM),
        None => (page::FIGURES, options.host.is_none() && options.only.is_empty()),
    };
    if whole {
        place.write(checkout, &figures)?;
        print(format!("written    {}", page::PAGE));
    } else {
        print(format!("unchanged  {}, which has figures of whole runs only", page::PAGE));
    }
    let missed = report.missed();
    print(format!("budgets missed: {missed}"));
    Ok(if options.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Becomes the same command in a build that is optimised: the callers and the gateway are part of this program, and their
/// time is in what is measured. Returns where that fails.
fn hand_over(checkout: &Checkout) -> Error {
    let error = Command::new(rust::cargo())
        .current_dir(checkout.root())
        .args(["run", "--quiet", "--profile", "bench-host", "--package", "xtask", "--"])
        .args(env::args_os().skip(1))
        .exec();
    Error::new(format!("cargo did not start: {error}"))
}

/// All that was measured.
#[derive(Debug)]
struct Report {
    /// Where, when, and of what.
    taken: String,
    sections: Vec<Table>,
}

impl Report {
    fn markdown(&self) -> String {
        let sections: Vec<String> = self.sections.iter().map(Table::markdown).collect();
        format!("{}\n\n{}", self.taken, sections.join("\n"))
    }

    fn missed(&self) -> usize {
        self.sections.iter().map(Table::missed).sum()
    }
}

async fn measure(checkout: &Checkout, options: &BenchOptions, progress: Progress) -> Result<Report> {
    let hosts = &if options.soak.is_some() { vec![Host::Workers] } else { options.hosts() };
    let rounds = options.rounds;
    leftovers::clear(checkout).await;
    Platform::this()?;
    node::check(checkout.root()).await?;
    rust::ensure_wasm(checkout.root()).await?;
    npm::ensure(checkout).await?;
    npm::ensure_peers(checkout).await?;
    let functions = checkout.functions()?;
    let mut weights = Vec::new();
    for host in hosts {
        weights.extend(build::build(checkout, *host, &functions, progress).await?);
    }

    if let Some(minutes) = options.soak {
        return soaked(checkout, minutes, progress).await;
    }

    let mut counted = Vec::new();
    for host in hosts.iter().filter(|_| options.wants("upstream")) {
        let (sent, watch) = upstream::counter();
        let count = scene::with(checkout, *host, Some(watch), progress, async |scene| {
            upstream::count(scene, &sent, progress).await
        });
        counted.push((*host, count.await?));
    }

    let (mut events, mut added) = (events::section(), messages::added_section());
    let (mut messages, mut growth) = (None, None);
    for host in hosts.iter().filter(|_| options.wants_any(&["events", "messages", "added"])) {
        // With nobody watching, which would take its time from one side alone.
        let timed = scene::with(checkout, *host, None, progress, async |scene| {
            if options.wants("events") {
                events::measure(scene, rounds, progress, &mut events).await?;
            }
            if options.wants("added") {
                messages::measure_added(scene, rounds, progress, &mut added).await?;
            }
            // This does not depend on the host.
            if options.wants("messages") && messages.is_none() {
                messages = Some(messages::measure(scene, rounds, progress).await?);
            }
            Ok(())
        });
        timed.await?;
    }
    if hosts.contains(&Host::Workers) && options.wants("growth") {
        let measured = scene::with(checkout, Host::Workers, None, progress, async |few| {
            scene::with(checkout, Host::Workers, None, progress, async |many| {
                growth::measure(few, many, rounds, progress).await
            })
            .await
        });
        growth = Some(measured.await?);
    }
    let of_workers =
        if hosts.contains(&Host::Workers) { of_workers(checkout, options, progress).await? } else { vec![] };

    let section = |name: &str, section: Table| options.wants(name).then_some(section);
    let mut sections: Vec<Table> =
        [section("events", events), messages, section("added", added), growth].into_iter().flatten().collect();
    sections.extend(of_workers);
    sections.extend(section("upstream", upstream::section(&counted)));
    sections.extend(section("sizes", sizes::section(&weights)));
    let taken = format!(
        "{} {rounds} rounds: rates, times and ratios are the median of the rounds; of ratios, the lowest and the highest \
         are in brackets.",
        machine::told(checkout).await?
    );
    Ok(Report { taken, sections })
}

/// The report of a soak.
async fn soaked(checkout: &Checkout, minutes: u32, progress: Progress) -> Result<Report> {
    let (record, watch) = soak::failing();
    let measured = scene::with(checkout, Host::Workers, Some(watch), progress, async |scene| {
        soak::measure(scene, &record, minutes, progress).await
    });
    Ok(Report { taken: machine::told(checkout).await?, sections: vec![measured.await?] })
}

/// The sections about workers without a stack.
async fn of_workers(checkout: &Checkout, options: &BenchOptions, progress: Progress) -> Result<Vec<Table>> {
    let mut sections = Vec::new();
    if !options.wants_any(&["cpu", "first-request", "memory"]) {
        return Ok(sections);
    }
    if !cfg!(target_os = "linux") {
        progress.say("processor time and memory of a process are measured on Linux only");
        return Ok(sections);
    }
    let workers = Workers::open(checkout).await?;
    if options.wants("cpu") {
        sections.push(cpu::measure(&workers, options.rounds, progress).await?);
    }
    if options.wants("first-request") {
        sections.push(first_request::measure(&workers, progress).await?);
    }
    if options.wants("memory") {
        sections.push(memory::measure(&workers, progress).await?);
    }
    workers.close();
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::{
        Report,
        table::{Budget, Table},
    };

    #[test]
    fn a_report_says_where_and_counts_what_is_missed_in_every_section() {
        let section = |title, met| {
            let mut table = Table::new(title, ["what"]);
            table.row(vec!["insert".into()], Some(Budget::new("1", met)));
            table
        };
        let report = Report { taken: "Here.".into(), sections: vec![section("A", false), section("B", true)] };
        assert_eq!(report.missed(), 1);
        let markdown = report.markdown();
        assert!(markdown.starts_with("Here.\n\n### A\n\n| what"), "{markdown}");
        assert!(markdown.contains("|\n\n### B\n"), "{markdown}");
    }
}
