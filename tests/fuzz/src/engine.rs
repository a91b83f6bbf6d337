//! The runner: replays the corpus, then changes what is in it, and keeps every input that showed something new.
//!
//! "New" is what the target saw (a status, a code, the function called), not which lines ran: coverage needs nightly Rust
//! or a C++ compiler, and contributors have neither.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use mutatis::Session;

use crate::mutation::{Splice, tokens};

/// What one execution saw, in a few words; or how what it saw breaks a rule.
pub(crate) type Verdict = Result<String, String>;

/// Something to feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Its name, and that of its folder in `tests/fuzz/corpus`.
    pub(crate) name: &'static str,
    /// Runs it on one input and judges what comes of it.
    pub(crate) run: fn(&str) -> Verdict,
}

/// How long to go on, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) executions: u64,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) executions: u64,
    pub(crate) took: Duration,
    pub(crate) files: usize,
    pub(crate) seen: usize,
    /// What is wrong, the input that shows it, and the file it is in.
    pub(crate) failure: Option<(String, String, PathBuf)>,
}

/// Most inputs that are kept to be changed further, and the most tokens of one.
const MOST_KEPT: usize = 4096;
const MOST_TOKENS: usize = 4000;
/// How often a smaller input is tried for, once one fails.
const SHRINKING: usize = 20_000;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic says for [`execute`], and prints nothing of it.
pub(crate) fn catch_panics() {
    set_hook(Box::new(|panic| PANIC.with(|text| *text.borrow_mut() = panic.to_string())));
}

fn execute(target: Target, input: &str) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input)))
        .unwrap_or_else(|_| Err(PANIC.with(|text| text.borrow().clone())))
}

/// Runs a target.
pub(crate) fn run(target: Target, corpus: &Path, limits: Limits) -> io::Result<Run> {
    let folder = corpus.join(target.name);
    let began = Instant::now();
    let mut run = Run { executions: 0, took: Duration::ZERO, files: 0, seen: 0, failure: None };
    let mut pool = Vec::new();
    let mut seen = HashSet::new();
    for (path, text) in read(&folder)? {
        run.files += 1;
        run.executions += 1;
        match execute(target, &text) {
            Ok(sight) => {
                seen.insert(sight);
            }
            Err(what) => {
                run.failure = Some((what, text, path));
                break;
            }
        }
        pool.push(tokens(&text));
    }
    let mut session = Session::new().seed(limits.seed ^ hash(target.name));
    while run.failure.is_none() && run.executions < limits.executions && began.elapsed() < limits.time {
        let mut input = changed(&pool, &mut session, hash(&(limits.seed, run.executions)));
        input.truncate(MOST_TOKENS);
        let text = input.concat();
        run.executions += 1;
        match execute(target, &text) {
            Ok(sight) => {
                if pool.len() < MOST_KEPT && seen.insert(sight) {
                    pool.push(input);
                }
            }
            Err(what) => {
                let text = shrunk(target, input, &what, limits.seed);
                let what = execute(target, &text).err().unwrap_or(what);
                let path = folder.join(format!("found-{:016x}", hash(&text)));
                fs::write(&path, format!("{text}\n"))?;
                run.failure = Some((what, text, path));
            }
        }
    }
    run.took = began.elapsed();
    run.seen = seen.len();
    Ok(run)
}

/// The files of a corpus, in the order of their names; the line feed at a file's end is no part of the input.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        files.push((path, text.strip_suffix('\n').unwrap_or(&text).to_owned()));
    }
    files.sort();
    Ok(files)
}

/// One of the inputs, changed in one to four places: of one line most often, because a request with a broken path shows
/// nothing of its body.
fn changed(pool: &[Vec<String>], session: &mut Session, mut chance: u64) -> Vec<String> {
    // Each choice takes its part of the number.
    let mut choose = |among: usize| {
        let among = among.max(1) as u64;
        let chosen = chance % among;
        chance /= among;
        usize::try_from(chosen).unwrap_or(0)
    };
    let mut input = pool.get(choose(pool.len())).cloned().unwrap_or_default();
    let lines: Vec<_> = input.split(|token| token == "\n").map(<[String]>::len).collect();
    let line = match choose(8) {
        0 => None,
        1..4 => Some(lines.len() - 1),
        _ => Some(choose(lines.len())),
    };
    let start = line.map_or(0, |line| lines.iter().take(line).map(|length| length + 1).sum());
    let end = line.and_then(|line| lines.get(line)).map_or(input.len(), |length| start + length);
    let after = input.split_off(end);
    let mut part = input.split_off(start);
    for _ in 0..[1, 1, 2, 4].get(choose(4)).copied().unwrap_or(1) {
        // A part nothing can be changed in is as good as any.
        let _ = session.mutate_with(&mut Splice::with(pool), &mut part);
    }
    input.extend(part);
    input.extend(after);
    input
}

/// A smaller input that fails in the same way: up to the first colon the words are the same.
fn shrunk(target: Target, mut input: Vec<String>, what: &str, seed: u64) -> String {
    let kind = |what: &str| what.split(':').next().unwrap_or_default().to_owned();
    let mut session = Session::new().seed(seed).shrink(true);
    for _ in 0..SHRINKING {
        let mut smaller = input.clone();
        if session.mutate_with(&mut Splice::with(&[]), &mut smaller).is_err() {
            break;
        }
        let text = smaller.concat();
        if text.len() < input.concat().len() && execute(target, &text).is_err_and(|found| kind(&found) == kind(what)) {
            input = tokens(&text);
        }
    }
    input.concat()
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Limits, Target, Verdict, read, run};
    use std::path::PathBuf;
    use std::time::Duration;

    const LIMITS: Limits = Limits { executions: 100_000, time: Duration::from_secs(60), seed: 1 };

    /// A folder of its own with a corpus of one file.
    fn corpus(name: &str, text: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("selvedge-fuzz-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("t")).unwrap();
        std::fs::write(folder.join("t/a"), text).unwrap();
        folder
    }

    fn brittle(input: &str) -> Verdict {
        if input.contains("[[") {
            return Err(format!("twice open: {input}"));
        }
        Ok(input.matches('[').count().to_string())
    }

    #[test]
    fn a_failing_input_is_found_shrunk_kept_and_replayed() {
        let corpus = corpus("found", "{\"a\":[1,2,3],\"b\":2}\n");
        let target = Target { name: "t", run: brittle };
        let (what, text, path) = run(target, &corpus, LIMITS).unwrap().failure.unwrap();
        assert_eq!((what.as_str(), text.as_str()), ("twice open: [[", "[["));
        assert_eq!(read(&corpus.join("t")).unwrap().len(), 2);
        let again = run(target, &corpus, LIMITS).unwrap();
        assert_eq!((again.executions, again.failure), (2, Some((what, text, path))));
        std::fs::remove_dir_all(corpus).unwrap();
    }

    #[test]
    fn the_same_seed_goes_the_same_way() {
        fn counted(input: &str) -> Verdict {
            Ok(format!("{:x}", super::hash(input) % 1000))
        }
        let corpus = corpus("seed", "[1]");
        let target = Target { name: "t", run: counted };
        let seen = |seed| {
            let run = run(target, &corpus, Limits { executions: 300, seed, ..LIMITS }).unwrap();
            (run.seen, run.executions)
        };
        assert_eq!(seen(1), seen(1));
        assert_ne!(seen(1), seen(2));
        std::fs::remove_dir_all(corpus).unwrap();
    }
}
