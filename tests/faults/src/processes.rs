//! Programs that are killed while people write, and come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use conformance::browser::Saw;

use crate::scene::Scene;

/// How long people write before the kill: some writes are under way at any time then.
const BEFORE: Duration = Duration::from_millis(400);
/// How long the program is away.
const AWAY: Duration = Duration::from_millis(700);
/// How long they go on writing afterwards.
const AFTER: Duration = Duration::from_millis(400);

/// PostgREST.
pub(crate) async fn postgrest_killed(scene: Arc<Scene>) {
    let saw = scene
        .traffic(4, async {
            tokio::time::sleep(BEFORE).await;
            let mut parts = scene.parts.lock().await;
            parts.kill_postgrest().await;
            tokio::time::sleep(AWAY).await;
            parts.start_postgrest().await.unwrap_or_else(|error| panic!("{error}"));
            tokio::time::sleep(AFTER).await;
        })
        .await;
    only(&saw, &["upstream_unavailable"], &[]);
}

/// PostgreSQL: every process, with what they had in memory.
pub(crate) async fn postgres_killed(scene: Arc<Scene>) {
    let saw = scene
        .traffic(4, async {
            tokio::time::sleep(BEFORE).await;
            let mut parts = scene.parts.lock().await;
            parts.kill_postgres().await;
            tokio::time::sleep(AWAY).await;
            parts.restart_postgres().await.unwrap_or_else(|error| panic!("{error}"));
            tokio::time::sleep(AFTER).await;
        })
        .await;
    only(&saw, &["upstream_unavailable", "upstream_timeout"], &[]);
}

/// What the functions run in. In front of it there is nothing of ours, so its callers see what the platform says.
pub(crate) async fn functions_killed(scene: Arc<Scene>) {
    let saw = scene
        .traffic(4, async {
            tokio::time::sleep(BEFORE).await;
            let mut parts = scene.parts.lock().await;
            parts.kill_functions().await;
            tokio::time::sleep(AWAY).await;
            parts.restart_functions().await.unwrap_or_else(|error| panic!("{error}"));
            tokio::time::sleep(AFTER).await;
        })
        .await;
    only(&saw, &[], &[502, 503]);
    assert!(saw.keys().any(|saw| matches!(saw, Saw::Platform(_) | Saw::Nothing)), "nobody noticed the kill: {saw:?}");
}

/// Nothing but success, these problems, and these failures of the platform's.
fn only(saw: &BTreeMap<Saw, usize>, codes: &[&str], platform: &[u16]) {
    let expected = |saw: &Saw| match saw {
        Saw::Good(_) => true,
        Saw::Problem(_, code) => codes.contains(&code.as_str()),
        Saw::Platform(status) => platform.contains(status),
        Saw::Nothing => !platform.is_empty(),
    };
    assert!(saw.keys().all(expected), "{saw:?}");
}
