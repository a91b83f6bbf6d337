//! The code of docs/analytics.md: in a real browser whose page is left, and in Node.js on a network that fails.

use conformance::event::stored;
use conformance::person::Person;
use conformance::stack::{Stack, repository};
use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;

/// Runs a client against `analytics`, and reads what it prints.
pub(crate) async fn client<'a>(
    stack: &Stack,
    script: &str,
    word: &str,
    more: impl IntoIterator<Item = &'a str>,
) -> Value {
    let output = Command::new("node")
        .arg(repository().join("tests/clients").join(script))
        .args([stack.function("analytics"), &stack.publishable_key, word])
        .args(more)
        .kill_on_drop(true)
        .output()
        .await
        .expect("node");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let hint = "(`cargo xtask test --only conformance` installs the browser)";
    assert!(output.status.success(), "{stdout}{stderr}{hint}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

#[tokio::test]
async fn what_a_page_sends_while_it_closes_arrives_once() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    for (token, owner) in [(Some(person.token.as_str()), Some(person.user_id)), (None, None)] {
        let word = Uuid::new_v4().to_string();
        let sent = client(&stack, "beacon.mjs", &word, token).await;
        let beacons: Vec<_> =
            sent.as_array().unwrap().iter().filter(|sent| sent["url"].as_str().unwrap().contains("beacon=1")).collect();
        assert_eq!(beacons.len(), 2, "{sent:#}");
        for beacon in beacons {
            // What makes a beacon one: no header of its own, no preflight, and no token where logs would keep it.
            assert_eq!((&beacon["method"], &beacon["status"]), (&"POST".into(), &204.into()), "{beacon:#}");
            assert_eq!(beacon["headers"]["content-type"], "text/plain;charset=UTF-8");
            assert!(beacon["headers"].get("authorization").is_none() && beacon["headers"].get("apikey").is_none());
            let body: Value = serde_json::from_str(beacon["body"].as_str().unwrap()).unwrap();
            assert_eq!(body.get("access_token").and_then(Value::as_str), token);
            assert!(!beacon["url"].as_str().unwrap().contains("eyJ"));
        }
        let keepalive = sent.as_array().unwrap().last().unwrap();
        assert_eq!((&keepalive["leaving"], &keepalive["status"]), (&"keepalive".into(), &201.into()), "{keepalive:#}");

        let stored = stored(&stack, &word).await;
        let mut found: Vec<_> = stored
            .iter()
            .map(|event| [&event.event_data["leaving"], &event.event_data["at"]].map(|text| text.as_str().unwrap()))
            .collect();
        found.sort_unstable();
        let expected = ["close", "keepalive", "navigate"].map(|leaving| [[leaving, "ease"], [leaving, "last"]]);
        assert_eq!(found, expected.concat());
        assert!(stored.iter().all(|event| event.user_id == owner && !event.clamped), "{stored:?}");
    }
}

#[tokio::test]
async fn an_offline_queue_loses_nothing_and_doubles_nothing() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let word = Uuid::new_v4().to_string();
    let tracked = client(&stack, "offline-queue.mjs", &word, [person.token.as_str()]).await;
    let mut tracked: Vec<Uuid> = serde_json::from_value(tracked).unwrap();
    tracked.sort_unstable();
    let stored: Vec<Uuid> = stored(&stack, &word).await.into_iter().map(|event| event.id).collect();
    assert_eq!(stored, tracked);
    assert_eq!(stored.len(), 549);
}
