//! Intent and risk: stored with their message or not at all, one event for each risk, and resources for whoever needs
//! them, whatever else goes wrong.

use conformance::assertions::{assert_problem, faults};
use conformance::client::{Answer, call};
use conformance::cursor;
use conformance::isolated::Isolated;
use conformance::person::{Person, message};
use conformance::stack::{Stack, repository};
use serde_json::{Value, json};
use uuid::Uuid;

/// A message in which something was found.
fn alarming(session_id: Uuid) -> Value {
    let mut said = message(session_id, "I do not want to go on");
    said["intent"] = json!({
        "label": "worries", "confidence": 0.5, "method": "rule_based", "fsm_state": "worries", "inference_time_ms": 12
    });
    said["risk"] = json!({
        "label": "suicidal_ideation", "trigger_phrase": "go on", "confidence": 0.25, "method": "rule_based",
        "model": "none", "details": { "words": ["go", "on"] }
    });
    said
}

/// The caller's own rows of a table for a session, as PostgREST shows them.
async fn rows(person: &Person, table: &str, session_id: Uuid) -> Vec<Value> {
    let answer = person.rest("GET", &format!("{table}?session_id=eq.{session_id}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_array().unwrap().clone()
}

/// How many rows there are: of messages, intents, risks and events.
async fn counts(person: &Person, session_id: Uuid) -> [usize; 4] {
    let mut counts = [0; 4];
    let tables = ["chat_history", "intent_classifications", "risk_detections", "analytics"];
    for (count, table) in counts.iter_mut().zip(tables) {
        *count = rows(person, table, session_id).await.len();
    }
    counts
}

/// Saves by the database function, which must succeed.
async fn saved(person: &Person, said: &Value) -> Value {
    let answer = person.rpc("save_message", said).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    assert_eq!(answer.status, if answer.json()["replayed"] == true { 200 } else { 201 }, "{}", answer.text());
    answer.json()
}

/// A country's own helplines, without a new build.
#[tokio::test]
async fn crisis_resources_of_the_configuration_replace_the_built_in_ones() {
    let stack = Stack::running();
    let resources = json!({ "resources": [{ "name": "Samaritans", "phone": "116 123", "country": "GB" }] });
    let variables = [("CRISIS_RESOURCES", resources.to_string()), ("PROBLEM_TYPE_BASE", "https://docs.example".into())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let function = Isolated::start(&stack, "chat-message", &variables).await;
    let person = Person::new(&stack).await;
    let send = async |token: &str| {
        let call = call("POST", &function.url).header("authorization", format!("Bearer {token}"));
        call.json(&alarming(Uuid::new_v4())).send().await
    };
    let saved = send(&person.token).await;
    assert_eq!((saved.status.as_u16(), &saved.json()["crisis"]), (201, &resources));
    let refused = send("a.b.c").await.json();
    assert_eq!(refused["crisis"], resources);
    assert_eq!(refused["type"], "https://docs.example/docs/errors.md#malformed_token");
}

/// As many detections as are asked for, all of one moment, put there directly.
async fn detections(person: &Person, session_id: Uuid, count: i64) {
    let database = person.stack.database().await;
    database
        .execute(
            "insert into public.sessions (session_id, user_id) values ($1, $2) on conflict do nothing",
            &[&session_id, &person.user_id],
        )
        .await
        .unwrap();
    database
        .execute(
            "with said as (
               insert into public.chat_history (session_id, id, role, message)
               select $1, gen_random_uuid(), 'bot', 'message ' || n from generate_series(1, $2::bigint) n returning id
             )
             insert into public.risk_detections (session_id, message_id, label) select $1, id, 'self_harm' from said",
            &[&session_id, &count],
        )
        .await
        .unwrap();
}

/// The crisis resources an answer carries, which must be usable.
#[track_caller]
fn assert_helps(answer: &Answer) {
    let crisis = &answer.json()["crisis"];
    let shipped = std::fs::read_to_string(repository().join("functions/chat-message/resources/AU.json")).unwrap();
    let names = |list: &Value| -> Vec<String> {
        let list = list.get("resources").unwrap_or(list).as_array().expect("resources");
        list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert!(names(crisis).len() >= 6, "{}", answer.text());
    assert_eq!(names(crisis), names(&serde_json::from_str(&shipped).unwrap()));
    for number in ["13 92 76", "13 11 14", "1800 55 1800", "1300 659 467", "1300 22 4636", "000"] {
        assert!(crisis.to_string().contains(number), "{number}: {crisis}");
    }
}

#[tokio::test]
async fn what_was_made_of_a_message_is_stored_with_it() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let said = alarming(session_id);
    let stored = saved(&person, &said).await;
    assert_eq!(stored["replayed"], false);
    for (table, member, extra) in [("intent_classifications", "intent", 4), ("risk_detections", "risk", 5)] {
        let rows = rows(&person, table, session_id).await;
        let row = rows[0].as_object().unwrap();
        assert_eq!(rows.len(), 1);
        let given = said[member].as_object().unwrap();
        for (name, value) in given {
            assert!(&row[name] == value || row[name].as_f64() == value.as_f64(), "{name}: {} {value}", row[name]);
        }
        assert_eq!(row["message_id"], said["id"]);
        assert_eq!(row.len(), given.len() + extra, "{row:?}");
    }
    assert_eq!(rows(&person, "risk_detections", session_id).await[0]["resources_shown"], true);
    let events = rows(&person, "analytics", session_id).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["event_type"], "risk_triggered");
    // The label, and nothing of what was said.
    assert_eq!(events[0]["event_data"], json!({ "label": "suicidal_ideation" }));
    assert_eq!(events[0]["user_id"], json!(person.user_id));
}

#[tokio::test]
async fn only_what_must_be_given_must_be_given() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut said = message(session_id, "hello");
    said["intent"] = json!({ "label": "greeting", "method": "rule_based" });
    said["risk"] = json!({ "label": "distress" });
    saved(&person, &said).await;
    let risk = &rows(&person, "risk_detections", session_id).await[0];
    assert_eq!((&risk["details"], &risk["confidence"], &risk["method"]), (&json!({}), &Value::Null, &Value::Null));
    // Null is as good as absent.
    let mut other = message(session_id, "hello again");
    other["meta"] = Value::Null;
    other["intent"] = Value::Null;
    other["risk"] = Value::Null;
    saved(&person, &other).await;
    assert_eq!(counts(&person, session_id).await, [2, 1, 1, 1]);
}

#[tokio::test]
async fn the_same_content_however_it_is_written_is_a_replay() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut said = alarming(session_id);
    said["meta"] = json!({ "n": 1, "list": [1, 2] });
    saved(&person, &said).await;
    let before = counts(&person, session_id).await;
    let same = said.to_string();
    for (what, from, to) in [
        ("the same bytes", "", ""),
        ("another scale", "0.25", "0.250"),
        ("an exponent", "0.25", "25e-2"),
        ("a number of meta", "\"n\":1", "\"n\":1.0"),
        ("a number of milliseconds", ":12", ":12.0"),
    ] {
        let text = same.replacen(from, to, 1);
        assert!(from == to || text != same, "{what}");
        let again = person.rest("POST", "rpc/save_message").body("application/json", text).send().await;
        assert_eq!((again.status.as_u16(), &again.json()["replayed"]), (200, &json!(true)), "{what}");
    }
    // With nothing but what must be given, absent and null are the same.
    let mut plain = message(session_id, "plain");
    plain["risk"] = json!({ "label": "distress" });
    saved(&person, &plain).await;
    plain["meta"] = Value::Null;
    plain["intent"] = Value::Null;
    plain["risk"] = json!({ "label": "distress", "details": null, "confidence": null });
    assert_eq!(saved(&person, &plain).await["replayed"], true);
    plain["risk"]["details"] = json!({});
    assert_eq!(saved(&person, &plain).await["replayed"], true);
    assert_eq!(counts(&person, session_id).await, [before[0] + 1, before[1], before[2] + 1, before[3] + 1]);
}

#[tokio::test]
async fn another_intent_or_risk_is_another_message() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let said = alarming(session_id);
    saved(&person, &said).await;
    let before = counts(&person, session_id).await;
    let mut others = Vec::new();
    for member in ["intent", "risk"] {
        let mut without = said.clone();
        without.as_object_mut().unwrap().remove(member);
        others.push(without);
        for name in said[member].as_object().unwrap().keys() {
            let mut changed = said.clone();
            changed[member][name] = match &said[member][name] {
                Value::String(_) => json!("other"),
                Value::Number(_) => json!(0.75),
                _ => json!({ "other": true }),
            };
            others.push(changed);
            if !matches!(name.as_str(), "label" | "method") {
                let mut absent = said.clone();
                absent[member].as_object_mut().unwrap().remove(name);
                others.push(absent);
            }
        }
    }
    assert!(others.len() > 15);
    for other in others {
        let answer = person.rpc("save_message", &other).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (409, &json!("id_reused")), "{other}");
    }
    // Nor does a message get one afterwards.
    let plain = message(session_id, "plain");
    saved(&person, &plain).await;
    for member in ["intent", "risk"] {
        let mut more = plain.clone();
        more[member] = said[member].clone();
        assert_eq!(person.rpc("save_message", &more).await.status, 409, "{member}");
    }
    assert_eq!(counts(&person, session_id).await, [before[0] + 1, before[1], before[2], before[3]]);
}

/// What no intent or risk may be: the member, and its value.
fn bad() -> Vec<(&'static str, Value)> {
    let long = |length: usize| json!("x".repeat(length));
    let deep = (1..17).fold(json!({}), |inner, _| json!({ "a": inner }));
    vec![
        ("/intent", json!([])),
        ("/intent", json!("greeting")),
        ("/intent/label", Value::Null),
        ("/intent/label", json!("")),
        ("/intent/label", long(65)),
        ("/intent/label", json!(1)),
        ("/intent/method", Value::Null),
        ("/intent/method", long(65)),
        ("/intent/confidence", json!(1.01)),
        ("/intent/confidence", json!(-0.01)),
        ("/intent/confidence", json!("0.5")),
        ("/intent/fsm_state", long(65)),
        ("/intent/inference_time_ms", json!(-1)),
        ("/intent/inference_time_ms", json!("12")),
        ("/intent/lable", json!("greeting")),
        ("/intent/lable", Value::Null),
        ("/risk", json!(true)),
        ("/risk/label", Value::Null),
        ("/risk/label", long(65)),
        ("/risk/trigger_phrase", long(1001)),
        ("/risk/trigger_phrase", json!(["go on"])),
        ("/risk/confidence", json!(2)),
        ("/risk/method", long(65)),
        ("/risk/model", long(129)),
        ("/risk/details", json!([])),
        ("/risk/details", json!("{}")),
        ("/risk/details", deep),
        ("/risk/details", json!({ "a": "x".repeat(20_000) })),
        ("/risk/resources_shown", json!(false)),
        ("/risk/id", json!(Uuid::new_v4())),
    ]
}

/// A message with one member replaced.
fn with(said: &Value, pointer: &str, value: Value) -> Value {
    let mut said = said.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    said.pointer_mut(parent).unwrap()[name] = value;
    said
}

#[tokio::test]
async fn what_breaks_a_rule_stores_nothing_of_the_message_either() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    for (pointer, value) in bad() {
        let said = with(&alarming(session_id), pointer, value);
        let answer = person.rpc("save_message", &said).await;
        assert_eq!(answer.status, 400, "{pointer}: {}", answer.text());
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(["22023", "23502", "23514"].contains(&code.as_str()), "{pointer}: {}", answer.text());
    }
    assert_eq!(counts(&person, session_id).await, [0; 4]);
    assert_eq!(person.rpc("get_session", &json!({ "session_id": session_id })).await.status, 404);
    // What no JSON can say, and a column might have taken.
    let said = message(session_id, "hello");
    saved(&person, &said).await;
    for (table, column, word) in [
        ("intent_classifications", "inference_time_ms", "NaN"),
        ("intent_classifications", "inference_time_ms", "Infinity"),
        ("intent_classifications", "confidence", "NaN"),
        ("risk_detections", "confidence", "NaN"),
    ] {
        let mut row = json!({ "session_id": session_id, "message_id": said["id"], "label": "x", "method": "x" });
        row[column] = json!(word);
        assert_eq!(person.rest("POST", table).json(&row).send().await.status, 400, "{column} {word}");
    }
}

#[tokio::test]
async fn whoever_inserts_a_detection_has_exactly_one_event_for_it() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let said: Vec<Value> = (0..2).map(|n| message(session_id, &format!("message {n}"))).collect();
    for one in &said {
        saved(&person, one).await;
    }
    let detection = |n: usize| json!({ "session_id": session_id, "message_id": said[n]["id"], "label": "distress" });
    // Past the function.
    assert_eq!(person.rest("POST", "risk_detections").json(&detection(0)).send().await.status, 201);
    assert_eq!(counts(&person, session_id).await[2..], [1, 1]);
    // Again: refused, or left out, and no event either way.
    assert_eq!(person.rest("POST", "risk_detections").json(&detection(0)).send().await.status, 409);
    let left_out = person.rest("POST", "risk_detections?on_conflict=session_id,message_id");
    let left_out = left_out.header("prefer", "resolution=ignore-duplicates").json(&detection(0)).send().await;
    assert!(left_out.status.is_success(), "{}", left_out.text());
    assert_eq!(counts(&person, session_id).await[2..], [1, 1]);
    // By maintenance, which may be a restore: no event, because that is restored too.
    let insert =
        "insert into public.risk_detections (session_id, message_id, label) values ($1, $2::text::uuid, 'late')";
    let database = stack.database().await;
    database.execute(insert, &[&session_id, &said[1]["id"].as_str().unwrap()]).await.unwrap();
    assert_eq!(counts(&person, session_id).await[2..], [2, 1]);
}

#[tokio::test]
async fn nothing_is_found_in_a_message_that_is_not_ones_own_or_not_there() {
    let stack = Stack::running();
    let (owner, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let (session_id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let said = message(session_id, "private");
    saved(&owner, &said).await;
    saved(&owner, &message(other, "elsewhere")).await;
    for table in ["risk_detections", "intent_classifications"] {
        let row = |session_id: Uuid, message_id: &Value| json!({ "session_id": session_id, "message_id": message_id, "label": "x", "method": "x" });
        let elses = stranger.rest("POST", table).json(&row(session_id, &said["id"])).send().await;
        let none = stranger.rest("POST", table).json(&row(Uuid::new_v4(), &said["id"])).send().await;
        assert_eq!((elses.status.as_u16(), elses.text()), (403, none.text()), "the two look the same");
        // Of the same person, in another session; and nowhere.
        for row in [row(other, &said["id"]), row(session_id, &json!(Uuid::new_v4()))] {
            let answer = owner.rest("POST", table).json(&row).send().await;
            assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (409, &json!("23503")));
        }
    }
    assert_eq!(counts(&owner, session_id).await, [1, 0, 0, 0]);
}

#[tokio::test]
async fn what_was_found_is_never_changed_and_what_is_the_servers_is_never_given() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    saved(&person, &alarming(session_id)).await;
    let other = message(session_id, "another");
    saved(&person, &other).await;
    let time = json!("2020-01-01T00:00:00Z");
    for (table, servers) in [
        (
            "risk_detections",
            vec![("id", json!(Uuid::new_v4())), ("detected_at", time.clone()), ("resources_shown", json!(false))],
        ),
        ("intent_classifications", vec![("id", json!(Uuid::new_v4())), ("created_at", time)]),
    ] {
        let target = format!("{table}?session_id=eq.{session_id}");
        for (column, value) in &servers {
            let mut row = json!({ "session_id": session_id, "message_id": other["id"], "label": "x", "method": "x" });
            row[column] = value.clone();
            assert_eq!(person.rest("POST", table).json(&row).send().await.status, 403, "{table} {column}");
        }
        for column in ["label", "method", "confidence", servers[0].0, servers[1].0] {
            let answer = person.rest("PATCH", &target).json(&json!({ column: null })).send().await;
            assert_eq!(answer.status, 403, "{table} {column}");
        }
        assert_eq!(person.rest("DELETE", &target).send().await.status, 403);
    }
    assert_eq!(counts(&person, session_id).await, [2, 1, 1, 1]);
}

#[tokio::test]
async fn detections_of_one_moment_page_without_gap_or_repeat() {
    let person = Person::new(&Stack::running()).await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    detections(&person, one, 23).await;
    detections(&person, two, 9).await;
    for (of, expected) in [(Value::Null, 32), (json!(one), 23), (json!(two), 9)] {
        let mut seen = Vec::new();
        let mut asked = json!({ "session_id": of, "limit": 4 });
        loop {
            let answer = person.rpc("list_risk_detections", &asked).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            let list = page["risk_detections"].as_array().unwrap();
            assert!(list.len() == 4 || page["next"].is_null());
            let key = |row: &Value| (row["detected_at"].to_string(), row["id"].as_str().unwrap().to_owned());
            seen.extend(list.iter().map(key));
            if !cursor::follow(&page, &mut asked) {
                break;
            }
        }
        assert_eq!(seen.len(), expected);
        let mut sorted = seen.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!(seen, sorted, "newest first, none twice");
    }
    let all = person.rpc("list_risk_detections", &json!({ "limit": 1000 })).await.json();
    assert_eq!((all["risk_detections"].as_array().unwrap().len(), &all["next"]), (32, &Value::Null));
    assert_eq!(all["risk_detections"][0].as_object().unwrap().len(), 11);
    let least = person.rpc("list_risk_detections", &json!({ "limit": -1 })).await.json();
    assert_eq!(least["risk_detections"].as_array().unwrap().len(), 1);

    let stranger = Person::new(&person.stack).await;
    let none = json!({ "risk_detections": [], "next": null });
    assert_eq!(stranger.rpc("list_risk_detections", &json!({})).await.json(), none);
    for session_id in [one, Uuid::new_v4()] {
        let answer = stranger.rpc("list_risk_detections", &json!({ "session_id": session_id })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["message"]), (404, &json!("session_not_found")));
    }
}

#[tokio::test]
async fn with_a_risk_every_answer_carries_the_resources() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let said = alarming(session_id);
    for (status, replayed) in [(201, false), (200, true)] {
        let answer = person.save(&said).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["replayed"]),
            (status, &json!(replayed)),
            "{}",
            answer.text()
        );
        assert_helps(&answer);
    }
    let mut reused = said.clone();
    reused["message"] = json!("other");
    let answer = person.save(&reused).await;
    assert_problem(&answer, 409, "id_reused");
    assert_helps(&answer);
    let answer = Person::new(&stack).await.save(&said).await;
    assert_problem(&answer, 404, "session_not_found");
    assert_helps(&answer);
    // Without a risk there is nothing to help with.
    let plain = person.save(&message(session_id, "plain")).await;
    assert_eq!(plain.json().get("crisis"), None);
    let invalid = person.save(&with(&message(session_id, "plain"), "/role", json!("x"))).await;
    assert_eq!(assert_problem(&invalid, 422, "validation_failed").get("crisis"), None);
}

#[tokio::test]
async fn with_a_risk_the_resources_are_there_though_other_fields_or_the_risk_itself_are_wrong() {
    let person = Person::new(&Stack::running()).await;
    let said = alarming(Uuid::new_v4());
    for (pointer, value) in [
        ("/message", json!("")),
        ("/message", json!("x".repeat(1001))),
        ("/session_id", json!("x")),
        ("/role", json!("x")),
        ("/meta", json!([])),
        ("/intent", json!({})),
        ("/surprise", json!(1)),
        ("/risk", json!({})),
        ("/risk", json!("yes")),
        ("/risk/label", json!("")),
        ("/risk/surprise", json!(1)),
    ] {
        let answer = person.save(&with(&said, pointer, value)).await;
        assert_problem(&answer, 422, "validation_failed");
        assert_helps(&answer);
    }
}

#[tokio::test]
async fn with_a_risk_the_resources_are_there_though_the_limit_is_reached() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for n in 0..30 {
        person.say(session_id, &format!("message {n}")).await;
    }
    let answer = person.save(&alarming(session_id)).await;
    assert_problem(&answer, 429, "rate_limited");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
    assert_helps(&answer);
}

#[tokio::test]
async fn with_a_risk_the_resources_are_there_though_the_database_is_not() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    // The keys are given, so that the caller is known without asking anyone; PostgREST is where nothing listens.
    let jwks = call("GET", format!("{}/auth/v1/.well-known/jwks.json", stack.api_url)).send().await.text();
    let issuer = format!("{}/auth/v1", stack.api_url);
    let variables = [
        ("SUPABASE_URL", "http://127.0.0.1:9"),
        ("SUPABASE_JWKS", jwks.as_str()),
        ("SUPABASE_JWT_ISSUER", issuer.as_str()),
    ];
    let cut_off = Isolated::start(&stack, "chat-message", &variables).await;
    let answer = call("POST", &cut_off.url)
        .header("authorization", format!("Bearer {}", person.token))
        .json(&alarming(Uuid::new_v4()))
        .send()
        .await;
    assert_problem(&answer, 503, "upstream_unavailable");
    assert_helps(&answer);
}

#[tokio::test]
async fn every_faulty_member_of_intent_and_risk_is_named() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for (pointer, value) in bad() {
        let answer = person.save(&with(&alarming(session_id), pointer, value.clone())).await;
        let problem = assert_problem(&answer, 422, "validation_failed");
        let faults = faults(&problem);
        if pointer.ends_with("/lable") || pointer == "/risk/resources_shown" || pointer == "/risk/id" {
            assert_eq!(faults, [(pointer.to_owned(), "unknown_field".to_owned())], "{value}");
        } else {
            assert_eq!(faults.iter().map(|fault| fault.0.as_str()).collect::<Vec<_>>(), [pointer], "{value}");
        }
    }
    assert_eq!(counts(&person, session_id).await, [0; 4]);
    // All at once, with what is wrong elsewhere.
    let mut said = alarming(session_id);
    said["role"] = json!("x");
    said["intent"] = json!({ "label": "" });
    said["risk"] = json!({ "confidence": 2 });
    let problem = assert_problem(&person.save(&said).await, 422, "validation_failed");
    let pointers: Vec<_> = faults(&problem).into_iter().map(|fault| fault.0).collect();
    assert_eq!(pointers, ["/intent/label", "/intent/method", "/risk/confidence", "/risk/label", "/role"]);
}

#[tokio::test]
async fn detections_are_read_page_by_page() {
    let person = Person::new(&Stack::running()).await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    detections(&person, one, 5).await;
    detections(&person, two, 2).await;
    let page = async |query: &str| {
        let answer = person.call("GET", "chat-message", &format!("/risk-detections{query}")).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    for (of, expected) in [(String::new(), 7), (format!("&session_id={one}"), 5)] {
        let (mut seen, mut query) = (0, format!("?limit=2{of}"));
        loop {
            let page = page(&query).await;
            seen += page["risk_detections"].as_array().unwrap().len();
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit=2{of}&before={next}");
        }
        assert_eq!(seen, expected);
    }
    assert_eq!(page("").await["risk_detections"].as_array().unwrap().len(), 7);
    let stranger = Person::new(&person.stack).await;
    let elses = stranger.call("GET", "chat-message", &format!("/risk-detections?session_id={one}")).send().await;
    assert_problem(&elses, 404, "session_not_found");
    let wrong = person.call("GET", "chat-message", "/risk-detections?session_id=1&limit=0&before=zzz&after=1");
    let problem = assert_problem(&wrong.send().await, 422, "validation_failed");
    let expected = [
        ("/after", "unknown_field"),
        ("/before", "invalid_cursor"),
        ("/limit", "out_of_range"),
        ("/session_id", "invalid_uuid"),
    ];
    assert_eq!(faults(&problem), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
}
