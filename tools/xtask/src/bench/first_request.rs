//! How long the first request of a fresh process takes.

use std::time::Instant;

use super::{
    call::Caller,
    figures::{Spread, median_time},
    table::{Budget, Table},
    workers::{
        Kind::{self, Floor, Hono, Selvedge, Server},
        Operation, Workers,
    },
};
use devstack::{error::Result, progress::Progress};

/// How many processes of each worker are started.
const STARTS: usize = 7;
/// The peers, each with the budget against it.
const PEERS: [(Kind, Option<f64>); 3] = [(Floor, None), (Hono, Some(1.2)), (Server, Some(0.8))];

/// Measures it.
pub async fn measure(workers: &Workers, progress: Progress) -> Result<Table> {
    progress.say("the first request of a fresh process");
    // The upstream is to be warm, whoever comes first.
    time(workers, Floor).await?;
    let (mut own, mut others) = (Vec::new(), PEERS.map(|_| Vec::new()));
    for _ in 0..STARTS {
        own.push(time(workers, Selvedge).await?);
        for ((kind, _), times) in PEERS.iter().zip(&mut others) {
            times.push(time(workers, *kind).await?);
        }
    }
    let mut table = Table::new(
        "The first request of a fresh process",
        ["against", "takes", "Selvedge takes", "Selvedge against it"],
    );
    for ((kind, budget), times) in PEERS.iter().zip(&others) {
        let ratio = Spread::of(&own).median / Spread::of(times).median;
        let spread = Spread { median: ratio, ..Spread::of_ratios(&own, times) };
        table.row(
            vec![kind.name().into(), median_time(times), median_time(&own), spread.times()],
            budget.map(|budget| Budget::at_most(budget, ratio)),
        );
    }
    Ok(table)
}

/// The time of one, in seconds.
async fn time(workers: &Workers, kind: Kind) -> Result<f64> {
    let worker = workers.start(kind, Operation::Message).await?;
    let (caller, wanted) = (Caller::default(), Operation::Message.wanted(&worker.door).by(worker.person()?));
    let sent = Instant::now();
    caller.send(&wanted).await?;
    let took = sent.elapsed().as_secs_f64();
    worker.stop().await;
    Ok(took)
}
