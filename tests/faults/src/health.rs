//! `GET /health?deep=1` really asks, remembers what it heard, and names nobody.

use std::sync::Arc;
use std::time::Duration;

use conformance::client::{Answer, call};
use futures_util::future::join_all;
use serde_json::Value;

use crate::scene::Scene;

/// For how long an answer is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);

/// With the database's API there, away, and there again.
pub(crate) async fn deep(scene: Arc<Scene>) {
    // Fresh isolates, which remember no probe.
    scene.parts.lock().await.restart_functions().await.unwrap_or_else(|error| panic!("{error}"));
    scene.proxy.forget();
    let all = join_all((0..20).map(|_| ask(&scene))).await;
    assert!(all.iter().all(|answer| answer.status == 200), "{}", all[0].text());
    let seen = scene.proxy.seen().len();
    assert_eq!(seen, 1, "callers at the same time share one probe");
    let first = is(&all[0], "ok", "connected");

    scene.parts.lock().await.kill_postgrest().await;
    assert_eq!(is(&ask(&scene).await, "ok", "connected"), first, "within ten seconds nobody asks again");
    scene.parts.lock().await.restart_functions().await.unwrap_or_else(|error| panic!("{error}"));
    let away = ask(&scene).await;
    assert_eq!(away.status, 503, "{}", away.text());
    is(&away, "degraded", "disconnected");

    scene.parts.lock().await.start_postgrest().await.unwrap_or_else(|error| panic!("{error}"));
    tokio::time::sleep(REMEMBERED).await;
    let back = ask(&scene).await;
    assert_eq!(back.status, 200, "{}", back.text());
    is(&back, "ok", "connected");
    // The shallow one never asks anybody.
    scene.proxy.forget();
    let shallow = call("GET", format!("{}/health", scene.stack.function("chat-message"))).send().await;
    assert_eq!((shallow.status.as_u16(), scene.proxy.seen().len()), (200, 0));
}

async fn ask(scene: &Scene) -> Answer {
    call("GET", format!("{}/health?deep=1", scene.stack.function("chat-message"))).send().await
}

/// What it says, whole and with nothing besides; hands back when it was found out.
fn is(answer: &Answer, status: &str, database: &str) -> Value {
    let said = answer.json();
    assert_eq!((&said["status"], &said["database"]), (&status.into(), &database.into()), "{said}");
    for (name, is_right) in [
        ("latency_ms", said["latency_ms"].is_number() || (said["latency_ms"].is_null() && status != "ok")),
        ("breaker", said["breaker"].is_string()),
        ("retries", said["retries"].is_number()),
        ("checked_at", !said["checked_at"].is_null()),
    ] {
        assert!(is_right, "{name} in {said}");
    }
    for secret in ["127.0.0.1", "localhost", "http:", "sb_publishable", "postgres"] {
        assert!(!answer.text().contains(secret), "{secret} in {said}");
    }
    said["checked_at"].clone()
}
