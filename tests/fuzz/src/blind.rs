//! The search without coverage, for machines without a C++ compiler. It understands the options of libFuzzer that
//! `cargo xtask fuzz` uses.

use std::fs;
use std::io;
use std::ops::Range;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::targets::judge;

/// Runs the target on the files of all folders that are named, then on inputs made from them.
pub(crate) fn search() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name));
    let number = |name| option(name).and_then(|number| number.parse::<u64>().ok());
    let (most, time) =
        (number("-runs=").unwrap_or(u64::MAX), Duration::from_secs(number("-max_total_time=").unwrap_or(60)));
    let mut random = Rng::with_seed(number("-seed=").unwrap_or_default());
    let mut corpus = Vec::new();
    for folder in arguments.iter().filter(|argument| !argument.starts_with('-')) {
        for entry in fs::read_dir(folder)? {
            corpus.push(String::from_utf8_lossy(&fs::read(entry?.path())?).chars().collect::<Vec<_>>());
        }
    }
    corpus.sort();
    let began = Instant::now();
    let mut executions = 0;
    // The whole corpus runs, however long it takes.
    while executions < corpus.len() as u64 || executions < most && began.elapsed() < time {
        let known = usize::try_from(executions).ok().and_then(|place| corpus.get(place));
        let input: String = known.cloned().unwrap_or_else(|| changed(&corpus, &mut random)).into_iter().collect();
        if catch_unwind(|| judge(input.as_bytes())).is_err() {
            fs::write(option("-exact_artifact_path=").unwrap_or("found"), input)?;
            std::process::exit(1);
        }
        executions += 1;
    }
    eprintln!("#{executions} DONE");
    Ok(())
}

/// One of the inputs, with one to four of its parts replaced by parts of others.
fn changed(corpus: &[Vec<char>], random: &mut Rng) -> Vec<char> {
    let mut input = random.choice(corpus).cloned().unwrap_or_default();
    for _ in 0..random.u8(1..=4) {
        let other = random.choice(corpus).map(Vec::as_slice).unwrap_or_default();
        let part = other.get(part(other.len(), random)).unwrap_or_default().to_vec();
        input.splice(self::part(input.len(), random), part);
    }
    input
}

/// A part of at most 32 characters.
fn part(length: usize, random: &mut Rng) -> Range<usize> {
    let start = random.usize(..=length);
    start..(start + random.usize(..=32)).min(length)
}

#[cfg(test)]
mod tests {
    use super::changed;
    use fastrand::Rng;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [r#"{"a":1}"#, "[1,2,3]"].map(|text| text.chars().collect());
        let inputs = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..9).map(|_| changed(&corpus, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }
}
