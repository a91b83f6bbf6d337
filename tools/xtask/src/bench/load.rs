//! The turns that two or more sides take under load. The load itself is autocannon's (`tests/peers/load.js`).

use std::{process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tokio_postgres::Client;

use super::{
    call::{People, Wanted},
    figures::Spread,
    machine,
};
use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    progress::Progress,
};

/// How long a process whose processor time is taken may still work on a turn that is over.
const SETTLES: Duration = Duration::from_millis(20);

/// How much a turn sends: until its time is up, or its requests have been sent.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Load {
    /// Callers at once, each with a connection and one request at a time.
    pub callers: usize,
    /// How long a turn takes.
    pub seconds: Option<f64>,
    /// The most requests in a turn.
    pub most: Option<usize>,
    /// The most requests of each caller in a second. None: each sends the next when it is answered.
    pub rate: Option<u32>,
}

/// One of the sides of a comparison.
#[derive(Debug)]
pub struct Side {
    /// What it is called.
    pub name: String,
    /// What each person sends, in this order and again.
    requests: Vec<Wanted>,
    people: People,
    /// The process that answers, where its processor time is wanted.
    process: Option<u32>,
    turns: Vec<Turn>,
}

/// What one turn brought.
#[derive(Debug, Deserialize)]
pub struct Turn {
    /// How many requests were answered.
    pub requests: f64,
    /// How many were not answered with success.
    pub failed: u64,
    /// What became of the first of those.
    pub first_failure: Option<String>,
    seconds: f64,
    /// The processor time of the callers.
    cpu_seconds: f64,
    /// The time that half of the requests took at most, in seconds.
    pub p50: f64,
    /// The time that 99 of 100 took at most.
    pub p99: f64,
    /// The processor time of the process that answers.
    #[serde(skip)]
    process: Option<Duration>,
}

impl Turn {
    /// The turn, unless a request failed: a benchmark of failures is none.
    pub fn without_failures(self, of: &str) -> Result<Self> {
        if self.failed == 0 {
            return Ok(self);
        }
        let why = self.first_failure.as_deref().unwrap_or("the connection was closed");
        Err(Error::new(format!("{of}: {} requests failed, the first with {why}", self.failed)))
    }
}

impl Side {
    /// A side that sends requests as people who take turns.
    pub fn new(name: impl Into<String>, requests: Vec<Wanted>, people: &People) -> Self {
        Self { name: name.into(), requests, people: people.clone(), process: None, turns: Vec::new() }
    }

    /// Names the process that answers, so that its processor time is taken.
    #[must_use]
    pub fn by_process(self, pid: u32) -> Self {
        Self { process: Some(pid), ..self }
    }

    /// Sends so many requests, which are not counted.
    pub async fn send(&self, callers: usize, requests: usize) -> Result<()> {
        let load = Load { callers, most: Some(requests), ..Load::default() };
        Generator::start()?.take(self, load).await?.without_failures(&self.name).map(drop)
    }

    fn figures(&self, of: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.turns.iter().map(of).collect()
    }

    /// Processor time of the process that answers for each request, in seconds, round by round.
    pub fn processor_times(&self) -> Vec<f64> {
        self.figures(|turn| turn.process.map_or(f64::NAN, |time| time.as_secs_f64() / turn.requests))
    }

    /// Requests a second, round by round.
    pub fn rates(&self) -> Vec<f64> {
        self.figures(|turn| turn.requests / turn.seconds)
    }

    /// Time of a request in seconds, the median of each round.
    pub fn p50(&self) -> Vec<f64> {
        self.figures(|turn| turn.p50)
    }

    /// The time that 99 of 100 requests took at most, round by round.
    pub fn p99(&self) -> Vec<f64> {
        self.figures(|turn| turn.p99)
    }

    /// How many percent of the machine's processor time the callers took.
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 processors")]
    pub fn callers_part(&self) -> f64 {
        Spread::of(&self.figures(|turn| turn.cpu_seconds / turn.seconds)).median / machine::cores() as f64 * 100.0
    }
}

/// The program that makes the load.
#[derive(Debug)]
pub struct Generator {
    turns: ChildStdin,
    results: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Generator {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let checkout = Checkout::here()?;
        let mut command = Command::new("node");
        command.arg(checkout.path("tests/peers/load.js")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().context(|| "node did not start".into())?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (turns, output) = pipes.ok_or_else(|| Error::new("node has no standard input and output"))?;
        Ok(Self { turns, results: BufReader::new(output).lines(), _process: process })
    }

    /// Has a side take a turn.
    pub async fn take(&mut self, side: &Side, load: Load) -> Result<Turn> {
        let what = || format!("{}: the load generator ended", side.name);
        let port = side.requests.first().map(|wanted| wanted.port);
        let turn = json!({ "port": port, "people": *side.people, "requests": side.requests, "load": load });
        let spent = || side.process.and_then(machine::processor_time_of);
        let before = spent();
        self.turns.write_all(format!("{turn}\n").as_bytes()).await.context(what)?;
        let result = self.results.next_line().await.context(what)?.ok_or_else(|| Error::new(what()))?;
        let mut turn: Turn = serde_json::from_str(&result).context(what)?;
        if side.process.is_some() {
            tokio::time::sleep(SETTLES).await;
        }
        turn.process = spent().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(turn)
    }
}

/// Lets the sides take turns, A B A B …, each after `reset` was run in its database: usually on empty tables. The turn of
/// each before the first round is not counted: connections, plans and code get warm.
pub async fn rounds(
    sides: &mut [&mut Side],
    load: Load,
    rounds: u32,
    reset: &[(&Client, &str)],
    progress: Progress,
) -> Result<()> {
    let mut generator = Generator::start()?;
    for round in 0..=rounds {
        for side in sides.iter_mut() {
            for (database, reset) in reset {
                database.batch_execute(reset).await?;
            }
            let turn = generator.take(side, load).await?.without_failures(&side.name)?;
            if round > 0 {
                side.turns.push(turn);
            }
        }
        if round > 0 {
            progress.say(format!("  round {round} of {rounds}"));
        }
    }
    Ok(())
}
