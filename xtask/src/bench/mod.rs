//! `cargo xtask bench`: what Selvedge spares and what it costs, on the real local stack, for docs/benchmarks.md.
//!
//! No time stands alone: each has its counterpart, taken in the same run by turns, and what is judged is the ratio of the
//! two. Counts and sizes stand against their budgets. One that is missed is said as plainly as one that is met.

pub mod added;
pub mod call;
pub mod events;
pub mod figures;
pub mod load;
pub mod machine;
pub mod messages;
pub mod page;
pub mod scene;
pub mod sizes;
pub mod table;
pub mod upstream;

use std::process::ExitCode;

use crate::{
    build,
    check::leftovers,
    checkout::Checkout,
    error::{Error, Result},
    host::Host,
    progress::Progress,
    signals,
    tools::{node, npm, platform::Platform, rust},
};
use table::Section;

/// How often each side has its turn, unless told otherwise.
pub const ROUNDS: u32 = 5;

/// What `cargo xtask bench` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchOptions {
    /// On these hosts.
    pub hosts: Vec<Host>,
    /// How often each side has its turn.
    pub rounds: u32,
    /// Whether a missed budget is a failure.
    pub check: bool,
}

/// Runs the command.
pub async fn run(checkout: &Checkout, options: &BenchOptions) -> Result<ExitCode> {
    let progress = Progress::start();
    let stop = signals::stop_requested()?;
    let report = tokio::select! {
        report = measure(checkout, options, progress) => report?,
        () = stop => return Err(Error::new("stopped")),
    };
    let figures = report.markdown();
    println!("{figures}");
    if options.hosts == Host::ALL {
        page::write(checkout, &figures)?;
        println!("written    {}", page::PAGE);
    } else {
        println!("unchanged  {}, which has figures of both hosts or none", page::PAGE);
    }
    let missed = report.missed();
    println!("budgets missed: {missed}");
    Ok(if options.check && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All that was measured.
#[derive(Debug)]
struct Report {
    /// Where, when, and of what.
    taken: String,
    sections: Vec<Section>,
}

impl Report {
    fn markdown(&self) -> String {
        let sections: Vec<String> = self.sections.iter().map(Section::markdown).collect();
        format!("{}\n\n{}", self.taken, sections.join("\n"))
    }

    fn missed(&self) -> usize {
        self.sections.iter().map(|section| section.table.missed()).sum()
    }
}

async fn measure(checkout: &Checkout, options: &BenchOptions, progress: Progress) -> Result<Report> {
    let BenchOptions { hosts, rounds, .. } = options;
    leftovers::clear(checkout).await;
    Platform::this()?;
    node::check(checkout.root()).await?;
    rust::ensure_wasm(checkout.root()).await?;
    npm::ensure(checkout).await?;
    let functions = checkout.functions()?;
    let mut weights = Vec::new();
    for host in hosts {
        weights.extend(build::build(checkout, *host, &functions, progress).await?);
    }

    let mut counted = Vec::new();
    for host in hosts {
        let count = scene::with(checkout, *host, true, progress, async |scene| upstream::count(scene, progress).await);
        counted.push((*host, count.await?));
    }

    let (mut events, mut added) = (events::section(), added::section());
    let (mut taken, mut messages) = (None, None);
    for host in hosts {
        // On a stack without a recorder, which would take its time from one side alone.
        let timed = scene::with(checkout, *host, false, progress, async |scene| {
            events::measure(scene, *rounds, progress, &mut events).await?;
            added::measure(scene, *rounds, progress, &mut added).await?;
            // Neither depends on the host.
            if messages.is_none() {
                messages = Some(messages::measure(scene, *rounds, progress).await?);
                taken = Some(machine::told(checkout, scene, hosts, *rounds).await?);
            }
            Ok(())
        });
        timed.await?;
    }

    let sections =
        [Some(events), messages, Some(added), Some(upstream::section(&counted)), Some(sizes::section(&weights))];
    Ok(Report { taken: taken.unwrap_or_default(), sections: sections.into_iter().flatten().collect() })
}

#[cfg(test)]
mod tests {
    use super::{
        Report,
        table::{Budget, Section, Table},
    };

    #[test]
    fn a_report_says_where_and_counts_what_is_missed_in_every_section() {
        let section = |title, met| {
            let mut table = Table::new(["what"]);
            table.row(vec!["insert".into()], Some(Budget::new("1", met)));
            Section { title, told: "Told.".into(), table }
        };
        let report = Report { taken: "Here.".into(), sections: vec![section("A", false), section("B", true)] };
        assert_eq!(report.missed(), 1);
        let markdown = report.markdown();
        assert!(markdown.starts_with("Here.\n\n### A\n\nTold.\n\n| what"), "{markdown}");
        assert!(markdown.contains("|\n\n### B\n"), "{markdown}");
    }
}
