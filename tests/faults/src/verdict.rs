//! How each fault went: said at once, counted as cargo's own runner counts, and written to a file for other programs.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Instant;

use conformance::stack::repository;
use devstack::host::Host;
use serde_json::{Value, json};

/// How one fault went.
pub(crate) struct Verdict {
    /// What was not as expected; empty when all was.
    pub complaints: Vec<String>,
    /// What was seen, for the file.
    pub told: Value,
}

impl Verdict {
    /// All of it: the caller's view, the stack's recovery, the ledger's complaints.
    pub(crate) fn of(
        tried: Result<(), String>,
        mended: Result<(), String>,
        held: Result<Vec<String>, String>,
        told: Value,
    ) -> Self {
        let recovery = mended.err().map(|error| format!("afterwards: {error}"));
        let ledger = held.unwrap_or_else(|error| vec![error]);
        let ledger = ledger.iter().take(10).map(|complaint| format!("ledger: {complaint}"));
        Self { complaints: tried.err().into_iter().chain(recovery).chain(ledger).collect(), told }
    }
}

/// Runs something that may panic, as assertions do, and hands back what it said.
pub(crate) async fn caught<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Result<T, String> {
    tokio::spawn(task).await.map_err(|_| std::mem::take(&mut *PANICS.lock().unwrap()).join("\n"))
}

/// What has been said by panics, with the place, since somebody last asked.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what panics say for the verdict, instead of printing it between the lines.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("it panicked");
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(format!("{text}{place}"));
        }
    }));
}

/// All of them.
pub(crate) struct Verdicts {
    host: Host,
    file: File,
    passed: usize,
    failures: Vec<String>,
}

impl Verdicts {
    /// None yet. They go to `target/faults-<host>.jsonl`.
    pub(crate) fn new(host: Host) -> Self {
        let path = repository().join(format!("target/faults-{host}.jsonl"));
        Self { host, file: File::create(path).expect("a file in target"), passed: 0, failures: Vec::new() }
    }

    /// Notes one.
    pub(crate) fn add(&mut self, name: &str, began: Instant, verdict: Verdict) {
        let Verdict { complaints, told } = verdict;
        let seconds = began.elapsed().as_secs_f64();
        let good = complaints.is_empty();
        let line = json!({
            "host": self.host.to_string(), "fault": name, "as_expected": good, "complaints": complaints, "told": told,
        });
        writeln!(self.file, "{line}").expect("the verdict");
        println!("test {name} ... {} ({seconds:.1} s)", if good { "ok" } else { "FAILED" });
        eprintln!("[faults, {}] {name}: {} ({seconds:.1} s) {told}", self.host, if good { "ok" } else { "FAILED" });
        if good {
            self.passed += 1;
        } else {
            self.failures.push(format!("---- {name} ----\n{}\n", complaints.join("\n")));
        }
    }

    /// Says the sum, as cargo's runner does: `cargo xtask test` reads it.
    pub(crate) fn finish(self) -> bool {
        let (passed, failed) = (self.passed, self.failures.len());
        for failure in &self.failures {
            println!("\n{failure}");
        }
        let word = if failed == 0 { "ok" } else { "FAILED" };
        println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
        failed == 0 && passed > 0
    }
}
