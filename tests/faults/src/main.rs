//! The fault suite: what goes wrong on purpose on the real stack, one fault after the other, and what a caller sees.
//!
//! `cargo xtask test --only faults` runs it for each host. By hand: `cargo run -p faults -- --host supabase reset breaker`
//! runs the faults whose names have one of these words in them. The functions must have been built
//! (`cargo xtask build`). `-- --table` prints the table of docs/faults.md and runs nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that cannot go on should stop there and say where"
)]

mod breaker;
mod crowd;
mod database;
mod graceful_stop;
mod health;
mod injected;
mod keys;
mod leaving;
mod list;
mod processes;
mod scene;
mod table;
mod verdict;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use conformance::arguments::Arguments;
use list::FAULTS;
use scene::Scene;
use verdict::{Verdict, Verdicts};

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--table") {
        print!("{}", table::table());
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::read().unwrap_or_else(|error| panic!("{error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if runtime.block_on(run(&arguments)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs every fault the filters name, and says whether all went as expected.
async fn run(Arguments { host, filters, .. }: &Arguments) -> bool {
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let host = *host;
    let mut verdicts = Verdicts::new(host);
    for (name, check) in [(table::CHECK, table::check as fn() -> Verdict), (table::CODES_CHECK, table::check_codes)] {
        if is_wanted(name) {
            verdicts.add(name, Instant::now(), check());
        }
    }
    let wanted: Vec<_> = FAULTS.iter().filter(|fault| is_wanted(fault.name)).collect();
    if !wanted.is_empty() {
        let scene = Arc::new(Scene::set(host).await);
        verdict::keep_panics();
        // The first fault finds the stack as every other one does: warm, with the issuer's keys known.
        scene.clone().mended().await;
        for fault in wanted {
            eprintln!("[faults, {host}] {} …", fault.name);
            let began = Instant::now();
            let tried = verdict::caught(fault.attempt(scene.clone())).await;
            let mended = verdict::caught(scene.clone().mended()).await;
            let held = verdict::caught(scene.clone().complaints()).await;
            verdicts.add(fault.name, began, Verdict::of(tried, mended, held, scene.told()));
        }
        if let Ok(scene) = Arc::try_unwrap(scene) {
            scene.end().await;
        }
    }
    verdicts.finish()
}
