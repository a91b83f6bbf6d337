//! Processor time of a request in workerd, Selvedge against its JavaScript peers.

use std::time::Duration;

use super::{
    figures::{Spread, seconds},
    load::{Load, Side, rounds},
    table::{Budget, Section, Table},
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
pub async fn measure(workers: &Workers, rounds_wanted: u32, progress: Progress) -> Result<Section> {
    let mut table = Table::new(["request", "Selvedge", "against", "takes", "Selvedge against it"]);
    for operation in Operation::ALL {
        let name = operation.name();
        progress.say(format!("processor time in workerd: {name}"));
        let peers: Vec<_> = BUDGETS.iter().filter(|(of, ..)| *of == operation).collect();
        let mut running = vec![workers.start(Selvedge, operation).await?];
        for (_, kind, _) in &peers {
            running.push(workers.start(*kind, operation).await?);
        }
        let mut sides: Vec<Side> = running.iter().map(|worker| worker.side(operation)).collect();
        let turn = Duration::from_secs(2);
        // As long as a turn: by then the runtime has compiled what is used often.
        let load = Load { callers: CALLERS, warm_up: turn, turn, at_most: usize::MAX, rounds: rounds_wanted };
        let mut by_turns: Vec<&mut Side> = sides.iter_mut().collect();
        rounds(&mut by_turns, &load, None, progress).await?;
        for worker in running {
            worker.stop().await;
        }

        let mut times = sides.iter().map(Side::processor_times);
        let own = times.next().unwrap_or_default();
        let median = |times: &[f64]| Spread::of(times).median;
        let mut row = |against: &str, takes: f64, ratio: String, budget| {
            let cells = [name, &seconds(median(&own)), against, &seconds(takes), &ratio];
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
    let told = format!(
        "The processor time of the workerd process (user and system, all its threads) for each request. {CALLERS} \
         connections that are kept, from people whose token the function has seen before; every request is logged. The \
         peers are in `tests/peers`: *floor* forwards and checks nothing, *Hono + jose* has the same checks as Selvedge, \
         `@supabase/server` verifies the token and calls the database function through supabase-js. Each worker has a \
         process of its own, and the upstream is a stub that answers at once, in another."
    );
    Ok(Section { title: "Processor time of a request", told, table })
}
