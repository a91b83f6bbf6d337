//! Feeds the parsers of all functions what nobody would write, and judges what comes of it: `cargo xtask fuzz`.
//!
//! | module | what |
//! |---|---|
//! | [`input`] | what is in a corpus file, and what it stands for |
//! | [`mutation`] | how an input is changed |
//! | [`engine`] | the loop: replay, change, judge, keep, shrink |
//! | [`targets`] | what is fed, and the rules that what comes of it must keep |

mod engine;
mod input;
mod mutation;
mod targets;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::{Limits, Run, Target};
use lexopt::{Arg, Parser, ValueExt as _};
use targets::ALL;

const HELP: &str = "fuzz [TARGET]... [--executions N] [--seconds N] [--seed N]";

fn main() -> ExitCode {
    match read(Parser::from_env()) {
        Ok((chosen, limits)) => fuzz(chosen, limits),
        Err(error) => {
            eprintln!("{error}\n{HELP}\nTargets: {}", ALL.map(|target| target.name).join(", "));
            ExitCode::FAILURE
        }
    }
}

fn read(mut parser: Parser) -> Result<(Vec<Target>, Limits), lexopt::Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut chosen = Vec::new();
    let mut limits =
        Limits { executions: u64::MAX, time: Duration::from_secs(60), seed: u64::from(now.subsec_nanos()) };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("executions") => limits.executions = parser.value()?.parse()?,
            Arg::Long("seconds") => limits.time = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("seed") => limits.seed = parser.value()?.parse()?,
            Arg::Value(name) => {
                let found = ALL.into_iter().find(|target| name == target.name);
                chosen.push(found.ok_or_else(|| format!("there is no target {name:?}"))?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if chosen.is_empty() {
        chosen = ALL.to_vec();
    }
    Ok((chosen, limits))
}

/// Runs targets side by side, as many as there are processors.
fn fuzz(mut chosen: Vec<Target>, limits: Limits) -> ExitCode {
    engine::catch_panics();
    println!("seed {}", limits.seed);
    chosen.reverse();
    let waiting = Mutex::new(chosen);
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
    let corpus = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| "tests/fuzz".into())).join("corpus");
    let work = || {
        let mut good = true;
        while let Some(target) = next() {
            match engine::run(target, &corpus, limits) {
                Ok(run) => good &= told(target, &run),
                Err(error) => {
                    println!("FAIL  {}: {error}", target.name);
                    good = false;
                }
            }
        }
        good
    };
    let good = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().all(|worker| worker.join().unwrap_or(false))
    });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells how a target went, and whether it went well.
fn told(target: Target, run: &Run) -> bool {
    let Run { executions, took, files, seen, failure } = run;
    let a_second = *executions as f64 / took.as_secs_f64().max(0.001);
    let name = target.name;
    match failure {
        None => println!(
            "ok    {name}: {executions} executions ({a_second:.0} a second), {files} corpus files, {seen} different outcomes"
        ),
        Some((what, input, path)) => println!(
            "FAIL  {name}: after {executions} executions\n{what}\nThe input is in {}; it is part of the corpus now, so that \
             `cargo xtask fuzz {name}` begins with it:\n{input}",
            path.display()
        ),
    }
    failure.is_none()
}
