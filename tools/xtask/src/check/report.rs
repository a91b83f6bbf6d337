//! What passed and what failed.

use std::time::Instant;

use devstack::{
    error::{Error, Result},
    progress::{Progress, print},
    tools::command::Said,
};

/// How one step went.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Checks that held.
    pub passed: u32,
    /// Checks that did not.
    pub failed: u32,
    /// What to show when something failed.
    pub output: String,
    /// What to show in any case.
    pub note: Option<String>,
}

impl Outcome {
    /// A step that is one check: did the tool succeed?
    pub fn of_one(said: &Said) -> Self {
        let good = said.status.success();
        Self { passed: u32::from(good), failed: u32::from(!good), output: said.everything(), note: None }
    }

    /// A step that ran Rust tests: each counts. Failing without saying which (it did not compile) counts as one.
    pub fn of_tests(said: &Said) -> Self {
        let output = said.everything();
        let (passed, failed) =
            output.lines().filter_map(counts).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let failed = if said.status.success() { failed } else { failed.max(1) };
        Self { passed, failed, output, note: None }
    }
}

/// Reads `test result: ok. 12 passed; 1 failed; …`.
fn counts(line: &str) -> Option<(u32, u32)> {
    let rest = line.trim_start().strip_prefix("test result: ")?;
    let number =
        |word: &str| rest.split([';', '.']).find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok());
    Some((number(" passed")?, number(" failed")?))
}

/// How many of the slowest steps the summary shows.
const SLOWEST: usize = 10;

/// The sum of all steps, each shown as it ends.
#[derive(Debug)]
pub struct Report {
    progress: Progress,
    passed: u32,
    failed: u32,
    /// Each step and the seconds it took.
    steps: Vec<(String, f64)>,
}

impl Report {
    /// Nothing yet.
    pub fn new(progress: Progress) -> Self {
        Self { progress, passed: 0, failed: 0, steps: Vec::new() }
    }

    /// The clock all steps share.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Runs a step and says how it went. Whatever happens, the next one runs.
    pub async fn step(&mut self, name: &str, step: impl Future<Output = Result<Outcome>>) -> bool {
        self.progress.say(format!("{name} …"));
        let began = Instant::now();
        let outcome =
            step.await.unwrap_or_else(|error| Outcome { failed: 1, output: error.to_string(), ..Outcome::default() });
        let seconds = began.elapsed().as_secs_f64();
        let Outcome { passed, failed, output, note } = outcome;
        self.passed += passed;
        self.failed += failed;
        self.steps.push((name.to_owned(), seconds));
        if failed == 0 {
            print(format!("ok    {name}: {passed} passed ({seconds:.1} s)"));
            if let Some(note) = note {
                print(note.trim_end());
            }
        } else {
            print(format!("{}\nFAIL  {name}: {passed} passed, {failed} failed ({seconds:.1} s)", output.trim_end()));
        }
        failed == 0
    }

    /// Something outside the steps went wrong, and the rest did not run.
    pub fn failed(&mut self, error: &Error) {
        self.failed += 1;
        print(format!("{error}"));
    }

    /// Whether everything held, and there was something.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// The slowest steps, and the last line.
    pub fn summary(&self) -> String {
        let mut slowest: Vec<_> = self.steps.iter().collect();
        slowest.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let mut lines = vec!["The slowest steps:".to_owned()];
        lines.extend(slowest.iter().take(SLOWEST).map(|(name, seconds)| format!("{seconds:>8.1} s  {name}")));
        lines.push(format!("{} passed, {} failed", self.passed, self.failed));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_result_lines_are_read() {
        let line = "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(counts(line), Some((12, 1)));
        assert_eq!(counts("test result: FAILED. 0 passed; 2 failed; 0 ignored"), Some((0, 2)));
        assert_eq!(counts("    test result: ok. 3 passed; 0 failed; 0 ignored; 0 filtered out"), Some((3, 0)));
        assert_eq!(counts("test result was good"), None);
        assert_eq!(counts("test a::b ... ok"), None);
    }

    #[tokio::test]
    async fn a_report_needs_something_that_passed() {
        let mut report = Report::new(Progress::start());
        assert!(!report.is_good());
        report.step("a", async { Ok(Outcome { passed: 2, ..Outcome::default() }) }).await;
        assert!(report.is_good());
        report.step("b", async { Err(Error::new("no")) }).await;
        assert!(!report.is_good());
        assert_eq!(report.summary().lines().last(), Some("2 passed, 1 failed"));
    }

    #[test]
    fn a_summary_begins_with_the_slowest_ten_steps() {
        let steps = (1..=12_u8).map(|number| (format!("step {number}"), f64::from(number))).collect();
        let report = Report { steps, ..Report::new(Progress::start()) };
        let summary = report.summary();
        let lines: Vec<&str> = summary.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!((lines[1].trim(), lines[10].trim()), ("12.0 s  step 12", "3.0 s  step 3"));
    }
}
