//! A hundred callers at once, and no fault at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::browser::{Browser, Saw};
use conformance::ledger::Kind;
use conformance::person::Person;
use conformance::writer::Writer;
use futures_util::future::join_all;

use crate::scene::{Scene, TIMEOUT};

const CALLERS: usize = 100;
/// `SUPABASE_TIMEOUT` where it is not set, in seconds.
const DEFAULT_TIMEOUT: u64 = 10;

/// Everybody writes and reads for a minute (`SELVEDGE_LOAD_SECONDS`); nobody sees anything but success.
pub(crate) async fn calls(scene: Arc<Scene>) {
    let seconds = std::env::var("SELVEDGE_LOAD_SECONDS").map_or(60, |text| text.parse().expect("a number of seconds"));
    // A crowd is no fault: the functions run as they do where nobody has configured anything.
    scene.restart_functions_with_timeout(DEFAULT_TIMEOUT).await;
    let people = join_all((0..CALLERS).map(|_| Person::new(&scene.stack))).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let callers = people.into_iter().map(|person| tokio::spawn(caller(scene.clone(), person, until)));
    let mut saw: BTreeMap<Saw, usize> = BTreeMap::new();
    for caller in join_all(callers).await {
        for (one, count) in caller.expect("a caller that did not panic") {
            *saw.entry(one).or_insert(0) += count;
        }
    }
    scene.restart_functions_with_timeout(TIMEOUT).await;
    let requests: usize = saw.values().sum();
    scene.tell("requests", requests);
    scene.tell("seconds", seconds);
    assert!(saw.keys().all(|saw| matches!(saw, Saw::Good(_))), "{saw:?}");
    assert!(requests > CALLERS, "hardly anybody called");
}

/// One of them: writes one of each kind, reads both back, and so on. The first try must succeed.
async fn caller(scene: Arc<Scene>, person: Person, until: Instant) -> BTreeMap<Saw, usize> {
    let browser = Browser::default();
    let mut writers: Vec<Writer> = Kind::on(&scene.stack).into_iter().map(|kind| Writer::new(&person, kind)).collect();
    let mut saw = BTreeMap::new();
    while Instant::now() < until {
        for writer in &mut writers {
            for one in writer.write(&browser, &scene.ledger).await.saw {
                *saw.entry(one).or_insert(0) += 1;
            }
            let (_, session_id) = writer.session();
            let target = match writer.kind() {
                Kind::Message => format!("?session_id={session_id}&limit=20"),
                Kind::Move => format!("?session_id={session_id}"),
                Kind::Event => "/summary?days=1".to_owned(),
            };
            let question = person.call("GET", writer.kind().function(), &target);
            let answer = browser.once(&question).await;
            *saw.entry(answer.as_ref().map_or(Saw::Nothing, Saw::of)).or_insert(0) += 1;
        }
    }
    saw
}
