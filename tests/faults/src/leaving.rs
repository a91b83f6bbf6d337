//! Callers who go away: during the upload, while the function waits, and in the middle of a page.

use std::sync::Arc;
use std::time::Duration;

use conformance::client::Call;
use conformance::fault_proxy::Fault as Break;
use conformance::person::Person;
use devstack::wait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::scene::{Probe, Scene, TIMEOUT};

/// As many leave at once: fewer than the failures that open the circuit breaker.
const LEAVING: usize = 3;
/// When nothing of theirs may be left.
const RELEASED: Duration = Duration::from_secs(2 * TIMEOUT);
/// A page of so many messages of so many characters is streamed: it is far over the 64 KiB that are buffered.
const MESSAGES: usize = 50;
const CHARACTERS: usize = 7900;

/// The head and half of the body.
pub(crate) async fn during_the_upload(scene: Arc<Scene>) {
    let probes: Vec<_> = (0..LEAVING).map(|_| scene.probe()).collect();
    let callers = join_all(probes.iter().map(async |probe| {
        let (authority, head, body) = probe.request.written();
        send(&authority, &[head.as_bytes(), &body[..body.len() / 2]].concat()).await
    }));
    let callers = callers.await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    callers.into_iter().for_each(reset);
    next_is_served(&scene).await;
    released(&scene).await;
    assert_eq!(scene.proxy.seen().len(), 1, "upstream was asked for the next caller only");
    for probe in &probes {
        assert_eq!(stored(&scene, probe).await, (0, 0));
    }
    all_send_again(&scene, &probes, 201).await;
}

/// The whole request; upstream has not done it yet, or has done it and does not answer.
pub(crate) async fn while_it_waits(scene: Arc<Scene>) {
    for (fault, rows) in [(Break::Slow(3 * RELEASED), 0), (Break::Silence, 1)] {
        scene.proxy.forget();
        scene.proxy.next(vec![Some(fault); LEAVING]);
        let probes: Vec<_> = (0..LEAVING).map(|_| scene.probe()).collect();
        let callers = join_all(probes.iter().map(|probe| whole(&probe.request))).await;
        asked(&scene).await;
        callers.into_iter().for_each(reset);
        next_is_served(&scene).await;
        released(&scene).await;
        for probe in &probes {
            assert_eq!(stored(&scene, probe).await, (rows, rows), "a session with its message, or neither");
        }
        all_send_again(&scene, &probes, if rows == 0 { 201 } else { 200 }).await;
    }
}

/// The first part of a page has come, and the rest takes its time.
pub(crate) async fn in_the_middle_of_a_page(scene: Arc<Scene>) {
    let (person, session_id) = (Person::new(&scene.stack).await, Uuid::new_v4());
    for _ in 0..MESSAGES {
        let message =
            json!({ "id": Uuid::new_v4(), "session_id": session_id, "role": "bot", "message": "x".repeat(CHARACTERS) });
        assert_eq!(person.save(&message).await.status, 201);
    }
    let page = person.call("GET", "chat-message", &format!("?session_id={session_id}"));
    scene.proxy.forget();
    scene.proxy.next(vec![Some(Break::StalledHalfWay); LEAVING]);
    let mut callers = join_all((0..LEAVING).map(|_| whole(&page))).await;
    asked(&scene).await;
    for caller in &mut callers {
        let mut first = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(1), caller.read(&mut first)).await;
        let length = read.expect("a page is streamed: its first part comes at once").unwrap();
        assert!(first[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first[..length]));
    }
    assert_eq!(scene.proxy.under_way(), LEAVING, "the rest of the pages is still to come");
    callers.into_iter().for_each(reset);
    let whole = scene.browser.once(&page).await.expect("a whole answer");
    assert_eq!((whole.status.as_u16(), whole.json()["messages"].as_array().map(Vec::len)), (200, Some(MESSAGES)));
    released(&scene).await;
    let stored: Value = whole.json();
    assert_eq!(scene.browser.once(&page).await.map(|again| again.json()), Some(stored));
}

/// Sends a whole request, and leaves the connection open.
async fn whole(request: &Call) -> TcpStream {
    let (authority, head, body) = request.written();
    send(&authority, &[head.as_bytes(), &body].concat()).await
}

async fn send(authority: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(authority).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Goes away, so that the other side sees a reset.
fn reset(caller: TcpStream) {
    let _ = caller.set_zero_linger();
}

/// Until upstream has been asked for each of them.
async fn asked(scene: &Scene) {
    let all = wait::until(Duration::from_millis(10), async || scene.proxy.seen().len() >= LEAVING);
    tokio::time::timeout(Duration::from_secs(1), all).await.expect("upstream is asked for each caller");
}

/// Until no connection upstream has a request under way; they have just left.
async fn released(scene: &Scene) {
    let all = wait::until(Duration::from_millis(10), async || scene.proxy.under_way() == 0);
    let held = tokio::time::timeout(RELEASED, all).await;
    assert!(held.is_ok(), "{} connections are held after twice the timeout", scene.proxy.under_way());
}

async fn next_is_served(scene: &Scene) {
    let answer = scene.send(&scene.probe()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// How many rows there are of a probe's session, and how many messages in it.
async fn stored(scene: &Scene, probe: &Probe) -> (i64, i64) {
    let query = "select (select count(*) from public.sessions where session_id = $1),
        (select count(*) from public.chat_history where session_id = $1)";
    let row = scene.stack.database().await.query_one(query, &[&probe.session_id]).await.unwrap();
    (row.get(0), row.get(1))
}

/// The same requests again, from callers who stay.
async fn all_send_again(scene: &Scene, probes: &[Probe], status: u16) {
    for probe in probes {
        let answer = scene.send(probe).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
}
