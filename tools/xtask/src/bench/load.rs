//! Callers who call as fast as they are answered, and the turns that two or more sides take at it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::{
    call::{Caller, Wanted},
    figures, machine,
};
use devstack::{
    error::{Context as _, Error, Result},
    progress::Progress,
    stack::database,
};

/// How long the turn before the first round usually is, which is not counted: connections, plans and code get warm.
pub const WARM_UP: Duration = Duration::from_millis(400);
/// How long a process whose processor time is taken may still work on a turn that is over.
const SETTLES: Duration = Duration::from_millis(20);

/// How hard and how long each side is tried.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Callers at once, each with a connection and one request at a time.
    pub callers: usize,
    /// How long the turn before the first round takes.
    pub warm_up: Duration,
    /// How long a turn takes.
    pub turn: Duration,
    /// The most requests in a turn.
    pub at_most: usize,
    /// How often each side has its turn.
    pub rounds: u32,
}

/// One of the sides of a comparison.
pub struct Side {
    /// What it is called.
    pub name: String,
    port: u16,
    /// The process that answers, where its processor time is wanted.
    process: Option<u32>,
    make: Arc<dyn Fn(usize) -> Wanted + Send + Sync>,
    turns: Vec<Turn>,
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("name", &self.name).field("turns", &self.turns.len()).finish_non_exhaustive()
    }
}

/// What one turn brought.
#[derive(Debug)]
struct Turn {
    took: Duration,
    times: Vec<Duration>,
    /// The processor time of this program in it, where the system tells.
    own: Option<Duration>,
    /// That of the process that answers.
    process: Option<Duration>,
}

impl Side {
    /// A side that sends what `make` makes of each request's number.
    pub fn new(name: impl Into<String>, port: u16, make: impl Fn(usize) -> Wanted + Send + Sync + 'static) -> Self {
        Self { name: name.into(), port, process: None, make: Arc::new(make), turns: Vec::new() }
    }

    /// Names the process that answers, so that its processor time is taken.
    #[must_use]
    pub fn by_process(self, pid: u32) -> Self {
        Self { process: Some(pid), ..self }
    }

    /// Processor time of the process that answers for each request, in seconds, round by round.
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52")]
    pub fn processor_times(&self) -> Vec<f64> {
        let of = |turn: &Turn| turn.process.map_or(f64::NAN, |time| time.as_secs_f64() / turn.times.len() as f64);
        self.turns.iter().map(of).collect()
    }

    /// The request of a number.
    pub fn wanted(&self, number: usize) -> Wanted {
        (self.make)(number)
    }

    /// Sends so many requests, which are not counted.
    pub async fn send(&self, callers: usize, requests: usize) -> Result<()> {
        self.take_turn(callers, requests, Duration::MAX).await.map(drop)
    }

    /// Requests a second, round by round.
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52")]
    pub fn rates(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| turn.times.len() as f64 / turn.took.as_secs_f64()).collect()
    }

    /// Time of a request in seconds, the median of each round.
    pub fn medians(&self) -> Vec<f64> {
        self.turns.iter().map(|turn| figures::percentile(&turn.times, 0.5).as_secs_f64()).collect()
    }

    /// Of all requests of all rounds.
    pub fn percentile(&self, part: f64) -> Duration {
        let all: Vec<Duration> = self.turns.iter().flat_map(|turn| turn.times.iter().copied()).collect();
        figures::percentile(&all, part)
    }

    /// Which part of the machine's processor time this program took in its turns: callers, and gateway where it is on
    /// the way.
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 processors")]
    pub fn own_part(&self) -> Option<f64> {
        let own: Option<Duration> = self.turns.iter().map(|turn| turn.own).sum();
        let took: Duration = self.turns.iter().map(|turn| turn.took).sum();
        Some(own?.as_secs_f64() / (took.as_secs_f64() * machine::cores() as f64))
    }

    async fn take_turn(&self, count: usize, at_most: usize, length: Duration) -> Result<Turn> {
        let mut callers = Vec::new();
        for _ in 0..count {
            callers.push(Caller::to(self.port).await?);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let spent = || self.process.and_then(machine::processor_time_of);
        let own = machine::own_processor_time();
        let process = spent();
        let began = Instant::now();
        let mut calling = JoinSet::new();
        for mut caller in callers {
            let (make, next) = (self.make.clone(), next.clone());
            calling.spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < length {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= at_most {
                        break;
                    }
                    let wanted = make(number);
                    let sent = Instant::now();
                    caller.send(&wanted).await?;
                    times.push(sent.elapsed());
                }
                Ok::<_, Error>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(ended) = calling.join_next().await {
            times.extend(ended.context(|| format!("{}: a caller broke off", self.name))??);
        }
        // Until the last answer is in: a side with long requests gains nothing by those that are under way at the end.
        let took = began.elapsed();
        let between = |(after, before): (Duration, Duration)| after.saturating_sub(before);
        let own = machine::own_processor_time().zip(own).map(between);
        if self.process.is_some() {
            tokio::time::sleep(SETTLES).await;
        }
        let process = spent().zip(process).map(between);
        Ok(Turn { took, times, own, process })
    }
}

/// Lets the sides take turns, A B A B …, each on tables that `reset` has emptied, where there is a database.
pub async fn rounds(
    sides: &mut [&mut Side],
    load: &Load,
    reset: Option<(&Client, &str)>,
    progress: Progress,
) -> Result<()> {
    for round in 0..=load.rounds {
        for side in sides.iter_mut() {
            if let Some((database, reset)) = reset {
                database.batch_execute(reset).await.map_err(|error| Error::new(database::why(&error)))?;
            }
            let length = if round == 0 { load.warm_up } else { load.turn };
            let turn = side.take_turn(load.callers, load.at_most, length).await?;
            if round > 0 {
                side.turns.push(turn);
            }
        }
        if round > 0 {
            progress.say(format!("  round {round} of {}", load.rounds));
        }
    }
    Ok(())
}
