//! The circuit breaker: opens, leaves upstream alone, lets one request try, closes.

use std::sync::Arc;
use std::time::Duration;

use conformance::fault_proxy::{Canned, Fault as Break};
use futures_util::future::join_all;

use crate::list::problem;
use crate::scene::Scene;

/// Half-open after this long.
const HALF_OPEN_AFTER: Duration = Duration::from_secs(5);
/// More calls than five failures can need, however the failures are counted.
const ENOUGH: usize = 12;

/// A storm until it opens; then what an open, a half-open and a closed one do.
pub(crate) async fn opens_and_closes(scene: Arc<Scene>) {
    scene.proxy.always(Break::Answer(Canned::page(503)));
    open(&scene).await;
    is_open(&scene).await;

    // Half-open, and still the storm: one request tries, and it is open again.
    tokio::time::sleep(HALF_OPEN_AFTER).await;
    scene.proxy.forget();
    let answer = scene.send(&scene.probe()).await;
    problem(&answer, 503, "upstream_unavailable").unwrap_or_else(|error| panic!("{error}"));
    assert!(!scene.proxy.seen().is_empty(), "after 5 s nobody tried");
    is_open(&scene).await;

    // Half-open, and the storm is over: of many at once one tries, slowly, and the others are not let through.
    tokio::time::sleep(HALF_OPEN_AFTER).await;
    scene.proxy.clear();
    scene.proxy.forget();
    scene.proxy.next([Some(Break::Slow(Duration::from_millis(700)))]);
    let probes: Vec<_> = (0..10).map(|_| scene.probe()).collect();
    let answers = join_all(probes.iter().map(|probe| scene.send(probe))).await;
    let good = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((good, scene.proxy.seen().len()), (1, 1), "one tries, and it succeeds");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        problem(refused, 503, "upstream_unavailable").unwrap_or_else(|error| panic!("{error}"));
    }

    // Closed: everybody may.
    let answers = join_all(probes.iter().map(|probe| scene.send(probe))).await;
    assert!(answers.iter().all(|answer| answer.status.is_success()), "closed, and yet somebody was refused");
}

/// Calls until an answer comes without a request upstream.
async fn open(scene: &Scene) {
    for _ in 0..ENOUGH {
        scene.proxy.forget();
        scene.send(&scene.probe()).await;
        if scene.proxy.seen().is_empty() {
            return;
        }
    }
    panic!("the breaker has not opened after {ENOUGH} requests that failed");
}

async fn is_open(scene: &Scene) {
    scene.proxy.forget();
    for _ in 0..5 {
        let answer = scene.send(&scene.probe()).await;
        problem(&answer, 503, "upstream_unavailable").unwrap_or_else(|error| panic!("{error}"));
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!(wait <= HALF_OPEN_AFTER.as_secs(), "Retry-After: {wait}");
    }
    assert_eq!(scene.proxy.seen().len(), 0, "an open breaker lets nothing through");
}
