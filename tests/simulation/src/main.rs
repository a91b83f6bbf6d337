//! Runs the worlds of many seeds, one for each processor at a time, until the time or the seeds are over or a rule is
//! broken. `cargo xtask fuzz simulation` starts it.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};

use simulation::run;

/// What all worlds did together.
#[derive(Default)]
struct Tally {
    seeds: u64,
    requests: u64,
    exchanges: u64,
    steps: u64,
    /// The smallest seed whose world broke a rule.
    failed: Option<u64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        arguments.iter().find_map(|argument| argument.strip_prefix(name)).and_then(|number| number.parse::<u64>().ok())
    };
    let first = number("--seed=").unwrap_or(1);
    let end = first.saturating_add(number("--seeds=").unwrap_or(u64::MAX));
    let time = Duration::from_secs(number("--seconds=").unwrap_or(60));
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let tally = Mutex::new(Tally::default());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let has_failed = tally.lock().map_or(true, |tally| tally.failed.is_some());
        if seed >= end || began.elapsed() >= time || has_failed {
            break;
        }
        let outcome = run(seed, false);
        let Ok(mut tally) = tally.lock() else { break };
        tally.seeds += 1;
        tally.requests += outcome.requests;
        tally.exchanges += outcome.exchanges;
        tally.steps += outcome.steps;
        if outcome.broken.is_some() {
            tally.failed = Some(tally.failed.map_or(seed, |other| other.min(seed)));
        }
    };
    scope(|threads| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            threads.spawn(work);
        }
    });
    let Ok(tally) = tally.into_inner() else { return ExitCode::FAILURE };
    if let Some(seed) = tally.failed {
        tell(seed);
        return ExitCode::FAILURE;
    }
    let Tally { seeds, requests, exchanges, steps, .. } = tally;
    let a_second = u128::from(requests) * 1000 / began.elapsed().as_millis().max(1);
    println!("{seeds} seeds, {requests} requests, {exchanges} exchanges, {steps} steps, {a_second} requests a second");
    ExitCode::SUCCESS
}

/// Runs the world of a seed again, and prints what happened in it last and which rule it broke.
fn tell(seed: u64) {
    let outcome = run(seed, true);
    for line in outcome.trace {
        println!("{line}");
    }
    match outcome.broken {
        Some(rule) => println!("seed {seed}: {rule}"),
        None => println!("seed {seed}: a rule was broken, and is not when the seed is run again"),
    }
    println!("Again: cargo xtask fuzz simulation --seed {seed} --executions 1");
}
