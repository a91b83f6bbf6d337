//! Processor time of a request in workerd, Selvedge against its JavaScript peers.

use super::{
    figures::{Spread, time},
    load::{Load, Side, rounds},
    table::{Budget, Table},
    workers::{
        Kind::{self, Floor, Hono, Selvedge, Server},
        Operation, Workers,
    },
};
use devstack::{error::Result, progress::Progress};

/// Callers at once, each with a connection that is kept.
const CALLERS: usize = 8;
/// What Workers Free allows a request, in seconds.
const WORKERS_FREE: f64 = 0.010;

/// What is compared, and how much Selvedge may take of the peer's time.
const BUDGETS: [(Operation, Kind, f64); 6] = [
    (Operation::Message, Floor, 1.4),
    (Operation::Message, Hono, 0.75),
    (Operation::Message, Server, 0.42),
    (Operation::Page, Floor, 1.4),
    (Operation::LargePage, Floor, 1.2),
    (Operation::Batch, Hono, 1.0),
];

/// Measures it.
pub async fn measure(workers: &Workers, rounds_wanted: u32, progress: Progress) -> Result<Table> {
    let mut table =
        Table::new("Processor time of a request", ["request", "Selvedge", "against", "takes", "Selvedge against it"]);
    for operation in Operation::ALL {
        let name = operation.name();
        progress.say(format!("processor time in workerd: {name}"));
        let peers: Vec<_> = BUDGETS.iter().filter(|(of, ..)| *of == operation).collect();
        let mut running = vec![workers.start(Selvedge, operation).await?];
        for (_, kind, _) in &peers {
            running.push(workers.start(*kind, operation).await?);
        }
        let mut sides: Vec<Side> = running.iter().map(|worker| worker.side(operation)).collect();
        let load = Load { callers: CALLERS, seconds: Some(2.0), ..Load::default() };
        rounds(&mut sides.iter_mut().collect::<Vec<_>>(), load, rounds_wanted, &[], progress).await?;
        for worker in running {
            worker.stop().await;
        }

        let mut times = sides.iter().map(Side::processor_times);
        let own = times.next().unwrap_or_default();
        let median = |times: &[f64]| Spread::of(times).median;
        let mut row = |against: &str, takes: f64, ratio: String, budget| {
            let cells = [name, &time(median(&own)), against, &time(takes), &ratio];
            table.row(cells.map(str::to_owned).to_vec(), Some(budget));
        };
        for ((_, kind, budget), those) in peers.into_iter().zip(times) {
            let ratio = Spread::of_ratios(&own, &those);
            row(kind.name(), median(&those), ratio.times(), Budget::at_most(*budget, ratio.median));
        }
        if operation == Operation::Batch {
            let budget = Budget::new("< 10 ms", median(&own) < WORKERS_FREE);
            row("Workers Free", WORKERS_FREE, String::new(), budget);
        }
    }
    Ok(table)
}
