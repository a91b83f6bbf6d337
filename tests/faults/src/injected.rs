//! Faults of the connection and of what is in between, made by the proxy.

use std::sync::Arc;
use std::time::Duration;

use conformance::fault_proxy::{Canned, Fault as Break, FaultProxy};
use conformance::isolated::Isolated;
use conformance::person::message;
use devstack::wait;
use serde_json::json;
use uuid::Uuid;

use crate::list::{Sees, problem};
use crate::scene::Scene;

/// One caller, whose answer is looked at; then the same request again; then several who insist.
pub(crate) async fn attempt(scene: Arc<Scene>, breaks: Vec<Break>, sees: Sees) {
    let verdict = look_closely(&scene, &breaks, sees).await;
    // Nobody retries here: this 502 stays however often it is retried, and a 429 asks for a pause.
    let breaks = if matches!(sees, Sees::Problem { status: 429 | 502, .. }) { Vec::new() } else { breaks };
    insist_through(&scene, &breaks).await;
    verdict.unwrap_or_else(|error| panic!("{error}"));
}

async fn look_closely(scene: &Arc<Scene>, breaks: &[Break], sees: Sees) -> Result<(), String> {
    let probe = scene.probe();
    scene.proxy.forget();
    scene.proxy.next(breaks.iter().cloned().map(Some));
    let answer = scene.send(&probe).await;
    let asked = scene.proxy.seen().len();
    scene.tell("probe", json!({ "status": answer.status.as_u16(), "asked": asked }));
    // Whatever came, the same request again is stored, once.
    scene.clone().mended().await;
    let again = scene.send(&probe).await;
    let stored = again.status == 200 || (again.status == 201 && !answer.status.is_success());
    sees.check(&answer, asked)?;
    if stored { Ok(()) } else { Err(format!("the same again: {} {}", again.status, again.text())) }
}

/// Every other request is broken, until each break has happened a few times.
async fn insist_through(scene: &Scene, breaks: &[Break]) {
    let slow = |one: &Break| matches!(one, Break::Silence | Break::StalledBody | Break::Slow(_));
    let times = if breaks.iter().any(slow) { 2 } else { 6 };
    let script = breaks.iter().cycle().take(times).flat_map(|one| [Some(one.clone()), None]);
    scene.proxy.next(script);
    scene.traffic(2, until_over(&scene.proxy)).await;
}

/// Until the script has been used up; not for ever, because everybody may have given up before that.
async fn until_over(proxy: &FaultProxy) {
    let used_up = wait::until(Duration::from_millis(10), || async { proxy.ahead() == 0 });
    let _ = tokio::time::timeout(Duration::from_secs(30), used_up).await;
}

/// Nobody listens.
pub(crate) async fn refused(scene: Arc<Scene>) {
    scene.proxy.refuse().await;
    let probe = scene.probe();
    let answer = scene.send(&probe).await;
    scene.clone().mended().await;
    let again = scene.send(&probe).await;
    scene
        .traffic(2, async {
            for _ in 0..2 {
                scene.proxy.refuse().await;
                tokio::time::sleep(Duration::from_millis(400)).await;
                scene.proxy.accept().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await;
    problem(&answer, 503, "upstream_unavailable").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.status, 201, "{}", again.text());
}

/// The other side has gone while the connection was idle; it shows when the next request is sent.
pub(crate) async fn kept_alive(scene: Arc<Scene>) {
    assert_eq!(scene.send(&scene.probe()).await.status, 201);
    scene.proxy.forget();
    scene.proxy.next([Some(Break::ResetUnread)]);
    let answer = scene.send(&scene.probe()).await;
    let asked = scene.proxy.seen().len();
    Sees::Saved { asked: 2 }.check(&answer, asked).unwrap_or_else(|error| panic!("{error}"));
}

/// Whoever is told to wait a second waits that second, and no caller notices more than that.
pub(crate) async fn retry_after(scene: Arc<Scene>) {
    scene.proxy.next([Some(Break::Answer(Canned::page(503).retry_after("1")))]);
    let answer = scene.send(&scene.probe()).await;
    let seen = scene.proxy.seen();
    Sees::Saved { asked: 2 }.check(&answer, seen.len()).unwrap_or_else(|error| panic!("{error}"));
    let waited = seen[1].at - seen[0].at;
    assert!(waited >= Duration::from_secs(1), "asked again after {waited:?}");
}

/// A function that nobody has told how long to wait.
pub(crate) async fn slow_under_the_default(scene: Arc<Scene>) {
    let proxy = FaultProxy::start(&scene.stack.api_url, "/rest/v1").await;
    let issuer = format!("{}/auth/v1", scene.stack.api_url);
    let variables = [("SUPABASE_URL", proxy.url.as_str()), ("SUPABASE_JWT_ISSUER", &issuer)];
    let function = Isolated::start(&scene.stack, "chat-message", &variables).await;
    proxy.always(Break::Slow(Duration::from_secs(5)));
    let answer = conformance::client::call("POST", &function.url)
        .header("authorization", format!("Bearer {}", scene.person.token))
        .json(&message(Uuid::new_v4(), "slowly"))
        .send()
        .await;
    Sees::Saved { asked: 1 }.check(&answer, proxy.seen().len()).unwrap_or_else(|error| panic!("{error}"));
}
