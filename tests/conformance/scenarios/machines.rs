//! Machines: shown, and the same everywhere: in the file, in the database, and in the real XState.

use conformance::assertions::assert_problem;
use conformance::client::call;
use conformance::machine::MachineFile;
use conformance::person::Person;
use conformance::stack::{Stack, repository};
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

#[tokio::test]
async fn anyone_may_look_at_a_machine() {
    let stack = Stack::running();
    let url = format!("{}/machines/supportive-yarn", stack.function("fsm-transition"));
    let json = call("GET", &url).send().await;
    assert_eq!((json.status.as_u16(), json.header("content-type")), (200, "application/json"));
    assert_eq!(json.json(), MachineFile::read("supportive-yarn").0);
    let unknown = call("GET", format!("{}/machines/no-such", stack.function("fsm-transition"))).send().await;
    assert_problem(&unknown, 404, "machine_not_found");
    assert_problem(&call("GET", format!("{url}?version=9")).send().await, 404, "machine_not_found");
}

#[tokio::test]
async fn a_machine_is_shown_in_the_form_that_is_asked_for() {
    let stack = Stack::running();
    let url = format!("{}/machines/supportive-yarn", stack.function("fsm-transition"));
    for (query, accept, media_type, begins) in [
        ("?format=mermaid", "", "text/vnd.mermaid; charset=utf-8", "stateDiagram-v2\n"),
        ("", "text/vnd.mermaid", "text/vnd.mermaid; charset=utf-8", "stateDiagram-v2\n"),
        ("?format=svg", "text/vnd.mermaid", "image/svg+xml", "<svg xmlns="),
        ("", "text/html,image/svg+xml;q=0.9,*/*", "image/svg+xml", "<svg xmlns="),
        ("?format=json", "image/svg+xml", "application/json", "{"),
        ("", "*/*", "application/json", "{"),
    ] {
        let answer = call("GET", format!("{url}{query}")).header("accept", accept).send().await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media_type), "{query} {accept}");
        assert!(answer.text().starts_with(begins), "{}", answer.text());
        assert!(!answer.text().contains("now at") && !answer.text().contains("current"), "nothing is marked");
    }
    let diagram = call("GET", format!("{url}?format=mermaid")).send().await.text();
    let guide = std::fs::read_to_string(repository().join("docs/machines.md")).unwrap();
    assert!(guide.contains(&diagram), "docs/machines.md shows another");
    let picture = call("GET", format!("{url}?format=svg")).send().await;
    let drawn = std::fs::read_to_string(repository().join("docs/machines/supportive-yarn.svg")).unwrap();
    assert_eq!(picture.text(), drawn);
    assert!(picture.header("content-security-policy").starts_with("default-src 'none'"));
    let wrong = assert_problem(&call("GET", format!("{url}?format=png")).send().await, 422, "validation_failed");
    assert_eq!(wrong["errors"][0]["pointer"], "/format");
}

#[tokio::test]
async fn the_state_of_a_session_is_marked_for_its_owner_alone() {
    let stack = Stack::running();
    let (person, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    for body in [
        json!({ "session_id": session_id, "event": "next_step" }),
        json!({ "session_id": session_id, "event": "next_step", "response": "my sister" }),
    ] {
        assert_eq!(person.call("POST", "fsm-transition", "").json(&body).send().await.status, 200);
    }
    let target = |format: &str| format!("/machines/supportive-yarn?session_id={session_id}&format={format}");
    let picture = person.call("GET", "fsm-transition", &target("svg")).send().await.text();
    assert!(picture.contains(", now at strengths</title>"), "{picture}");
    assert!(picture.contains("#state-strengths rect{"), "{picture}");
    let diagram = person.call("GET", "fsm-transition", &target("mermaid")).send().await.text();
    assert!(diagram.ends_with("class strengths current\n"), "{diagram}");
    let definition = person.call("GET", "fsm-transition", &target("json")).send().await.json();
    assert_eq!(definition, MachineFile::read("supportive-yarn").0);

    let answer = other.call("GET", "fsm-transition", &target("svg")).send().await;
    assert_problem(&answer, 404, "session_not_found");
    let nobody = call("GET", format!("{}{}", stack.function("fsm-transition"), target("svg"))).send().await;
    assert_problem(&nobody, 401, "missing_token");
    let elsewhere = format!("/machines/check-in?session_id={session_id}");
    let answer = person.call("GET", "fsm-transition", &elsewhere).send().await;
    assert_eq!(assert_problem(&answer, 409, "machine_conflict")["machine"], "supportive-yarn");
}

#[tokio::test]
async fn a_state_that_is_known_is_not_sent_again() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    person
        .call("POST", "fsm-transition", "")
        .json(&json!({ "session_id": session_id, "event": "next_step" }))
        .send()
        .await;
    let look = |etag: &str| {
        let target = format!("?session_id={session_id}");
        person.call("GET", "fsm-transition", &target).header("if-none-match", etag.to_owned()).send()
    };
    let known = look("W/\"1\"").await;
    assert_eq!((known.status.as_u16(), known.bytes.len(), known.header("etag")), (304, 0, "\"1\""));
    assert_eq!(look("\"0\"").await.status, 200);
}

#[tokio::test]
async fn file_and_database_agree() {
    let database = Stack::running().database().await;
    for id in ["supportive-yarn", "check-in"] {
        let file = MachineFile::read(id);
        let row = database
            .query_one(
                "select initial, definition from public.fsm_machines where machine = $1 and machine_version = 1",
                &[&id],
            )
            .await
            .unwrap();
        assert_eq!((row.get::<_, String>(0), row.get::<_, Value>(1)), (file.initial().to_owned(), file.0.clone()));
        let states =
            "select state, is_final, is_step from public.fsm_states where machine = $1 and machine_version = 1";
        let rows = database.query(states, &[&id]).await.unwrap();
        assert_eq!(rows.len(), file.states().len());
        for row in rows {
            let state: String = row.get(0);
            assert_eq!(row.get::<_, bool>(1), file.0["states"][&state]["type"] == "final", "{state}");
            assert_eq!(row.get::<_, bool>(2), file.is_step(&state), "{state}");
        }
        let moves = "select from_state, event, to_state from public.fsm_transitions where machine = $1 and not forced";
        let rows = database.query(moves, &[&id]).await.unwrap();
        let expected: usize = file.states().iter().map(|state| file.allowed(state).len()).sum();
        assert_eq!(rows.len(), expected);
        for row in rows {
            let (from, event, to): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(file.target(&from, &event), Some(to), "{from} {event}");
        }
    }
}

/// Random walks: the real `xstate` on the same file, and the function, after every event.
#[tokio::test]
async fn xstate_and_the_function_agree_at_every_step() {
    let stack = Stack::running();
    for id in ["supportive-yarn", "check-in"] {
        let script = repository().join("tests/clients/xstate-walks.mjs");
        let file = repository().join(format!("functions/fsm-transition/machines/{id}.json"));
        let output = Command::new("node").arg(script).arg(file).arg("25").output().await.expect("node");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let walks: Value = serde_json::from_slice(&output.stdout).unwrap();
        let machine = MachineFile::read(id);
        for walk in walks.as_array().unwrap() {
            // A person for each walk: moves are limited.
            let (person, session_id) = (Person::new(&stack).await, Uuid::new_v4());
            let mut here = machine.initial().to_owned();
            for step in walk.as_array().unwrap() {
                let (event, expected) = (step["event"].as_str().unwrap(), step["state"].as_str().unwrap());
                let mut body = json!({ "session_id": session_id, "event": event, "machine": id });
                if machine.is_step(&here) && !machine.is_attempt(&here, event) {
                    body["response"] = json!("an answer");
                }
                let answer = person.call("POST", "fsm-transition", "").json(&body).send().await;
                let reached = match answer.status.as_u16() {
                    200 => answer.json()["to"].as_str().unwrap().to_owned(),
                    _ => {
                        assert_problem(&answer, 422, "illegal_transition");
                        here.clone()
                    }
                };
                assert_eq!(reached, expected, "{walk}");
                here = reached;
            }
        }
    }
}
