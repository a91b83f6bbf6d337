//! `cargo xtask bench --soak MINUTES`: whether anything leaks, fails or slows down while the database fails now and then.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use tokio::sync::Mutex;

use super::{
    call::Caller,
    events,
    figures::{Spread, time},
    load::{Generator, Load, Side, Turn},
    machine::{megabytes, memory_of_all},
    messages,
    scene::Scene,
    table::{Budget, Table},
    upstream,
};
use devstack::{error::Result, gateway::Watch, progress::Progress};

/// Callers at once.
const CALLERS: usize = 20;
/// How many requests each of them sends in a second.
const RATE: u32 = 4;
/// Of so many upstream requests, one fails.
const ONE_IN: u64 = 100;
/// How often memory and connections are looked at.
const EVERY: Duration = Duration::from_secs(10);
/// How many parts of a minute that is.
const A_MINUTE: usize = 6;
/// The run is compared in so many parts: the last against the second, since the first warms up.
const PARTS: usize = 6;
/// How long it must take to be written down, in minutes.
pub const WRITTEN_FROM: u32 = 60;

/// What is looked at.
const WATCHED: [&str; 4] =
    ["database connections", "memory of workerd", "memory of PostgREST", "memory of PostgreSQL's processes"];
/// How much may grow.
const GROWTH_BUDGET: f64 = 1.05;
/// How many retries have to succeed, in percent.
const RETRIES_BUDGET: f64 = 90.0;
/// How much longer than half of the requests 99 of 100 may take.
const SLOWEST_BUDGET: f64 = 5.0;

/// What became of the functions' requests for the database.
#[derive(Debug, Default)]
pub struct Record {
    sent: u64,
    failed: u64,
    retried: u64,
    /// The request ids of those that failed, and have not been retried with success yet.
    waiting: HashSet<HeaderValue>,
}

impl Record {
    /// Whether this request is one to fail: chosen by its number, the same ones in every run.
    fn fails(&mut self, id: &HeaderValue) -> bool {
        self.sent += 1;
        let mut hasher = DefaultHasher::new();
        self.sent.hash(&mut hasher);
        let fails = hasher.finish().is_multiple_of(ONE_IN);
        if fails {
            self.failed += 1;
            self.waiting.insert(id.clone());
        }
        fails
    }

    /// A request has succeeded. Where one with the same id has failed before, this was its retry.
    fn succeeded(&mut self, id: &HeaderValue) {
        self.retried += u64::from(self.waiting.remove(id));
    }

    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52")]
    fn retries(&self) -> f64 {
        self.retried as f64 / self.failed as f64 * 100.0
    }
}

/// Has some of the functions' requests for the database fail at the gateway, before the database hears of them.
pub fn failing() -> (Arc<Mutex<Record>>, Watch) {
    let record = Arc::new(Mutex::new(Record::default()));
    let layer = middleware::from_fn_with_state(record.clone(), fail_some);
    (record, Watch { clients: Box::new(|app| app), functions: Box::new(|app| app.layer(layer)) })
}

async fn fail_some(State(record): State<Arc<Mutex<Record>>>, request: Request, next: Next) -> Response {
    // A retry has the id of its request. Only requests for key sets have none.
    let id = request.headers().get(HeaderName::from_static("x-request-id")).cloned();
    let Some(id) = id else { return next.run(request).await };
    if record.lock().await.fails(&id) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let response = next.run(request).await;
    if response.status().is_success() {
        record.lock().await.succeeded(&id);
    }
    response
}

/// Runs it.
pub async fn measure(scene: &Scene, record: &Mutex<Record>, minutes: u32, progress: Progress) -> Result<Table> {
    let (chat, machine) = (scene.function("chat-message"), scene.function("fsm-transition"));
    let analytics = scene.function("analytics");
    let save = chat.post("", messages::body("user"));
    let history = chat.get("?session_id={session}&limit=50");
    let some_events = analytics.post("", events::body(5, &scene.asked("select to_json(now()) #>> '{}'").await?));
    let answer = machine.post("", upstream::moves("{session}", "next_step", Some("Well, thank you")));
    let again = machine.post("", upstream::moves("{session}", "ask_again", None));
    // Everybody answers first, which makes their session.
    for person in &*scene.people {
        Caller::default().send(&answer.by(person)).await?;
    }
    let sessions = chat.get("/sessions");
    let requests = [&save, &history, &save, &some_events, &sessions, &save, &history, &some_events, &again, &answer];
    let side = Side::new("the soak", requests.map(Clone::clone).to_vec(), &scene.people);
    let load = Load { callers: CALLERS, seconds: Some(60.0 * f64::from(minutes)), most: None, rate: Some(RATE) };

    let mut generator = Generator::start()?;
    let mut samples = Vec::new();
    let watching = async {
        loop {
            tokio::time::sleep(EVERY).await;
            match sample(scene).await {
                Ok(sample) => samples.push(sample),
                Err(error) => break error,
            }
            if samples.len().is_multiple_of(A_MINUTE) {
                let Record { sent, failed, retried, .. } = &*record.lock().await;
                let now: Vec<String> =
                    samples.last().into_iter().flatten().map(|value| format!("{value:.0}")).collect();
                progress.say(format!(
                    "  minute {} of {minutes}: {sent} upstream requests, {failed} failed, {retried} retried with \
                     success; {} connections; {} MB",
                    samples.len() / A_MINUTE,
                    now.first().map_or("no", String::as_str),
                    now.get(1..).unwrap_or_default().join(", "),
                ));
            }
        }
    };
    let turn = tokio::select! {
        turn = generator.take(&side, load) => turn?,
        error = watching => return Err(error),
    };
    if let Some(failure) = &turn.first_failure {
        progress.say(format!("the first error of a caller: {failure}"));
    }
    Ok(section(&turn, &*record.lock().await, &samples, minutes))
}

/// What is watched, now: connections, then memory in megabytes.
async fn sample(scene: &Scene) -> Result<[f64; 4]> {
    let query = "select count(*)::float8 from pg_stat_activity where backend_type = 'client backend'";
    let row = scene.database.query_one(query, &[]).await?;
    let [functions, postgrest, postgres] = scene.processes.map(memory_of_all);
    Ok([
        row.get(0),
        megabytes(functions?.resident),
        megabytes(postgrest?.resident),
        // Without the memory they share, which is the table's cache and fills up as it should.
        megabytes(postgres?.anonymous),
    ])
}

/// The median of what was watched in a part of the run, counted from 0.
fn part_of(samples: &[[f64; 4]], part: usize, what: usize) -> f64 {
    let length = samples.len() / PARTS;
    let part = samples.chunks_exact(length.max(1)).nth(part).unwrap_or_default();
    Spread::of(&part.iter().filter_map(|sample| sample.get(what).copied()).collect::<Vec<_>>()).median
}

fn section(turn: &Turn, record: &Record, samples: &[[f64; 4]], minutes: u32) -> Table {
    let mut table = Table::new("With failures", ["what", "figure"]);
    table.note = format!("{CALLERS} callers for {minutes} minutes.");
    let mut row = |what: &str, figure: String, budget| table.row(vec![what.to_owned(), figure], Some(budget));
    let requests = turn.requests;
    row("errors seen by callers", format!("{} of {requests}", turn.failed), Budget::new("0", turn.failed == 0));
    let share = record.retries();
    row(
        "failed upstream requests whose retry succeeded",
        format!("{} of {}: {share:.1} %", record.retried, record.failed),
        Budget::new(format!("≥ {RETRIES_BUDGET} %"), share >= RETRIES_BUDGET),
    );
    for (place, what) in WATCHED.into_iter().enumerate() {
        let (before, after) = (part_of(samples, 1, place), part_of(samples, PARTS - 1, place));
        let figure = if place == 0 {
            format!("{before:.0}, then {after:.0}")
        } else {
            format!("{before:.1} MB, then {after:.1} MB")
        };
        row(what, format!("{figure}: {:.2} ×", after / before), Budget::at_most(GROWTH_BUDGET, after / before));
    }
    let slowest = turn.p99 / turn.p50;
    row(
        "p99 against p50 of the callers",
        format!("{} against {}: {slowest:.1} ×", time(turn.p99), time(turn.p50)),
        Budget::at_most(SLOWEST_BUDGET, slowest),
    );
    table
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::{Record, part_of, section};
    use crate::bench::load::Turn;

    #[test]
    fn one_percent_fails_the_same_in_every_run_and_a_retry_is_known_by_its_id() {
        let run = || {
            let mut record = Record::default();
            let failed: Vec<u32> = (0..100_000)
                .filter(|number| {
                    let id = HeaderValue::from(*number);
                    let fails = record.fails(&id);
                    record.succeeded(&id);
                    fails
                })
                .collect();
            assert!(record.retried == record.failed && record.waiting.is_empty());
            failed
        };
        let failed = run();
        assert!((900..1100).contains(&failed.len()), "{}", failed.len());
        assert_eq!(failed, run());
    }

    #[test]
    fn the_last_sixth_stands_against_the_second() {
        let mut samples: Vec<[f64; 4]> = (0..13).map(|at| [f64::from(at), 100.0, 100.0, 100.0]).collect();
        assert_eq!((part_of(&samples, 1, 0), part_of(&samples, 5, 0)), (2.5, 10.5));
        assert!(part_of(&samples[..5], 5, 0).is_nan());

        let turn =
            r#"{"requests":100,"failed":0,"first_failure":null,"seconds":1,"cpu_seconds":1,"p50":0.01,"p99":0.05}"#;
        let turn: Turn = serde_json::from_str(turn).unwrap();
        let record = Record { failed: 10, retried: 9, ..Record::default() };
        for sample in &mut samples {
            sample[0] = 5.0;
        }
        assert_eq!(section(&turn, &record, &samples, 1).missed(), 0);
        assert_eq!(section(&turn, &Record { retried: 8, ..record }, &[], 1).missed(), 5);
    }
}
