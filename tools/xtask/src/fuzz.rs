//! `cargo xtask fuzz`, and the bounded run of `cargo xtask test`: builds the crate `fuzz`, runs its targets side by side,
//! and keeps the inputs that fail. The simulation is a target too.

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    thread::available_parallelism,
    time::{Instant, UNIX_EPOCH},
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{check::report::Outcome, simulation};
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    fingerprint,
    progress::print,
    signals,
    tools::{command::Tool, rust::cargo},
};

/// Where the inputs are: a folder for each target.
const CORPUS: &str = "tests/fuzz/corpus";
/// Where the fuzzer is built, as its compiler flags are no other's, and where it keeps the inputs it makes.
const BUILT: &str = "target/fuzzing";
/// Makes the compiler count which code runs. It could note what is compared as well; that takes half of the time here.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table";
/// How libFuzzer searches. One or two small changes at a time, of inputs of any length, reach more code here than its
/// defaults: a request with many changes fails its first check.
const SEARCH: [&str; 5] =
    ["-dict=tests/fuzz/dictionary", "-mutate_depth=2", "-len_control=0", "-cross_over_uniform_dist=1", "-timeout=60"];

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct FuzzOptions {
    /// Only these targets
    #[arg(value_name = "TARGET", value_parser = target())]
    pub targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u32,
    /// How many inputs each target runs at most; of the simulation, how many seeds
    #[arg(long, value_name = "N")]
    pub executions: Option<u32>,
    /// Makes the same inputs as an earlier run; of the simulation, the first seed [default: another one each time]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub seed: Option<u32>,
}

/// Reads a target; a name that is none gets the nearest one suggested.
fn target() -> impl TypedValueParser<Value = String> {
    let targets = Checkout::here().and_then(|checkout| targets(&checkout)).unwrap_or_default();
    PossibleValuesParser::new(targets.into_iter().chain([simulation::TARGET.to_owned()]))
}

/// Every target of the fuzzer: the folders of the corpus.
fn targets(checkout: &Checkout) -> Result<Vec<String>> {
    let entries = fs::read_dir(checkout.path(CORPUS)).context(|| format!("{CORPUS} cannot be read"))?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Searches for as long as was asked for.
pub async fn run(checkout: &Checkout, options: FuzzOptions) -> Result<ExitCode> {
    let stop = signals::stop_requested()?;
    let outcome = tokio::select! {
        outcome = all(checkout, options) => outcome?,
        () = stop => return Err(Error::new("stopped")),
    };
    Ok(if outcome.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs every target for a while, always with the same seed, so that a failure is due to what was changed. Each counts.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    let options = FuzzOptions { targets: vec![], seconds: 10, executions: Some(100_000), seed: Some(1) };
    search(checkout, options, false).await
}

/// Runs the targets of the fuzzer, and then the simulation, which takes all processors itself.
async fn all(checkout: &Checkout, mut options: FuzzOptions) -> Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos().max(1));
    options.seed = Some(seed);
    let (seconds, executions) = (options.seconds, options.executions);
    let is_all = options.targets.is_empty();
    let simulates = is_all || options.targets.iter().any(|target| target == simulation::TARGET);
    options.targets.retain(|target| target != simulation::TARGET);
    let mut outcome = Outcome::default();
    if is_all || !options.targets.is_empty() {
        outcome = search(checkout, options, true).await?;
    }
    if simulates {
        let Outcome { passed, failed, .. } = simulation::run(checkout, seed, executions, seconds).await?;
        outcome.passed += passed;
        outcome.failed += failed;
    }
    Ok(outcome)
}

/// Runs targets, as many at a time as there are processors, and prints how each one went. It goes on from the inputs
/// of earlier runs only if it is to.
async fn search(checkout: &Checkout, options: FuzzOptions, goes_on: bool) -> Result<Outcome> {
    let targets = if options.targets.is_empty() { targets(checkout)? } else { options.targets };
    let seed = options.seed.unwrap_or(1);
    let fuzzer = Arc::new(Fuzzer::build(checkout).await?);
    let how = if fuzzer.has_coverage { "with coverage" } else { "without coverage: no C++ compiler" };
    print(format!("      {how}, seed {seed}"));
    let most = options.executions.map_or(-1, i64::from);
    let limits = [format!("-seed={seed}"), format!("-runs={most}"), format!("-max_total_time={}", options.seconds)];
    let slots = Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from)));
    let mut running = JoinSet::new();
    for target in targets {
        let (fuzzer, slots, limits) = (Arc::clone(&fuzzer), Arc::clone(&slots), limits.clone());
        running.spawn(async move {
            let _slot = slots.acquire().await;
            fuzzer.run(&target, &limits, goes_on).await
        });
    }
    let mut outcome = Outcome::default();
    while let Some(ran) = running.join_next().await {
        let is_good = ran.context(|| "A target was lost".into())??;
        outcome.passed += u32::from(is_good);
        outcome.failed += u32::from(!is_good);
    }
    Ok(outcome)
}

/// The crate `fuzz`, compiled.
#[derive(Debug)]
struct Fuzzer {
    checkout: Checkout,
    program: PathBuf,
    has_coverage: bool,
}

impl Fuzzer {
    /// Compiles it, with libFuzzer if there is a C++ compiler.
    async fn build(checkout: &Checkout) -> Result<Self> {
        let root = checkout.root();
        let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
        let has_coverage =
            Tool::new(compiler, root).arg("--version").run().await.is_ok_and(|said| said.status.success());
        let host = Tool::new("rustc", root).args(["--print", "host-tuple"]).succeed("rustc").await?;
        let host = host.stdout.trim();
        // With `--target`, the flags are not for build scripts and macros.
        let mut cargo = Tool::new(cargo(), root).args([
            "build",
            "--quiet",
            "--profile",
            "fuzz",
            "--package",
            "fuzz",
            "--target",
            host,
            "--target-dir",
            BUILT,
        ]);
        if has_coverage {
            cargo = cargo.args(["--features", "libfuzzer"]).env("RUSTFLAGS", COVERAGE);
        }
        cargo.succeed("Building the fuzzer").await?;
        let program = checkout.path(BUILT).join(host).join("fuzz/fuzz");
        Ok(Self { checkout: checkout.clone(), program, has_coverage })
    }

    /// A run of a target with options of libFuzzer.
    fn tool(&self, target: &str, options: &[String]) -> Tool {
        let tool = Tool::new(&self.program, self.checkout.root()).env("FUZZ_TARGET", target);
        // What a panic says is enough: the input is there to be run again.
        tool.env("RUST_BACKTRACE", "0").args(options)
    }

    /// Runs a target, prints how it went, and returns whether it went well. An input that fails goes into the corpus.
    async fn run(&self, target: &str, limits: &[String], goes_on: bool) -> Result<bool> {
        let made = self.checkout.path(BUILT).join("corpus").join(target);
        if !goes_on {
            let _ = fs::remove_dir_all(&made);
        }
        fs::create_dir_all(&made).context(|| format!("{} cannot be made", made.display()))?;
        let found = self.checkout.path(BUILT).join(format!("found-{target}"));
        let _ = fs::remove_file(&found);
        let mut options = limits.to_vec();
        options.extend(SEARCH.map(str::to_owned));
        options.push(format!("-exact_artifact_path={}", found.display()));
        options.extend([made.display().to_string(), format!("{CORPUS}/{target}")]);
        let began = Instant::now();
        let said = self.tool(target, &options).run().await?;
        if said.status.success() {
            print(format!("      {target}: {}", summary(&said.everything(), began.elapsed().as_secs_f64())));
            return Ok(true);
        }
        let input = fs::read(&found).map_err(|_| Error::new(said.last_lines(30)))?;
        let path = self.keep(target, input).await?;
        let text = fs::read_to_string(&path).unwrap_or_default();
        print(format!("FAIL  {target}: {}\nThe input, in {}:\n{text}", reason(&said.everything()), path.display()));
        Ok(false)
    }

    /// The file of the corpus that an input is in. One that is new is made smaller first, and written as text.
    async fn keep(&self, target: &str, mut input: Vec<u8>) -> Result<PathBuf> {
        let folder = self.checkout.path(CORPUS).join(target);
        let entries = fs::read_dir(&folder).context(|| format!("{} cannot be read", folder.display()))?;
        let mut files = entries.filter_map(|entry| entry.ok()).map(|entry| entry.path());
        if let Some(known) = files.find(|file| fs::read(file).is_ok_and(|known| known == input)) {
            return Ok(known);
        }
        if self.has_coverage {
            let from = self.checkout.path(BUILT).join(format!("found-{target}"));
            let to = self.checkout.path(BUILT).join(format!("smaller-{target}"));
            let mut options = ["-minimize_crash=1", "-runs=20000", "-max_total_time=10"].map(str::to_owned).to_vec();
            options.extend([format!("-exact_artifact_path={}", to.display()), from.display().to_string()]);
            self.tool(target, &options).run().await?;
            // Nothing is written if it cannot be smaller.
            input = fs::read(&to).unwrap_or(input);
            let _ = fs::remove_file(to);
        }
        let text = String::from_utf8_lossy(&input);
        let name: String = fingerprint::of(text.as_bytes()).chars().take(16).collect();
        let path = folder.join(format!("found-{name}"));
        fs::write(&path, &*text).context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// What a target that went well says of itself: `#9 DONE cov: 8 ft: 7 …`, where only libFuzzer measures coverage.
fn summary(said: &str, seconds: f64) -> String {
    let line = said.lines().rfind(|line| line.contains("DONE")).unwrap_or_default();
    let after = |word: &str| line.split_once(word).and_then(|(_, rest)| rest.split_whitespace().next());
    let executions = after("#").unwrap_or_default();
    let a_second = executions.parse().unwrap_or(0.0) / seconds;
    let coverage = after("cov:").zip(after("ft:"));
    let coverage = coverage.map(|(places, features)| format!(", {places} places of code ({features} features)"));
    format!("{executions} executions, {a_second:.0} a second{}", coverage.unwrap_or_default())
}

/// Why a target failed: what its panic says, or what libFuzzer says of a time-out or of memory that ran out.
fn reason(said: &str) -> &str {
    let after = |word: &str| said.split_once(word).map(|(_, rest)| rest);
    let panic = after("panicked at ").and_then(|rest| rest.split("\nnote: ").next());
    panic.or_else(|| after("ERROR: libFuzzer: ")?.lines().next()).unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::{reason, summary};

    #[test]
    fn executions_and_coverage_are_told() {
        let libfuzzer = "INFO: Seed: 1\n#9\tNEW    cov: 1 ft: 2\n#90\tDONE   cov: 12 ft: 34 corp: 5/6b\nDone 90 runs";
        assert_eq!(summary(libfuzzer, 2.0), "90 executions, 45 a second, 12 places of code (34 features)");
        assert_eq!(summary("#90 DONE\n", 3.0), "90 executions, 30 a second");
    }

    #[test]
    fn a_failure_says_which_rule_was_broken() {
        let said = "INFO\nthread 'x' panicked at a.rs:1:2:\na UUID is judged wrong: \"\n\"\nnote: run with\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(reason(said), "a.rs:1:2:\na UUID is judged wrong: \"\n\"");
        assert_eq!(reason("==1== ERROR: libFuzzer: timeout after 60 seconds\n"), "timeout after 60 seconds");
        assert_eq!(reason("it is gone"), "it is gone");
    }
}
