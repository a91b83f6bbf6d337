//! Batches: all or nothing unless the caller is lenient, every bad event named, and an answer with an end to whatever
//! somebody makes up.

use conformance::assertions::{assert_problem, faults};
use conformance::client::Answer;
use conformance::event::{count, event, events};
use conformance::isolated::Isolated;
use conformance::lost_answer::LostAnswer;
use conformance::person::Person;
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

/// Longest answer to anything, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Longest body, in bytes.
const LONGEST_BODY: usize = 512 * 1024;

fn word() -> String {
    Uuid::new_v4().to_string()
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

async fn lenient(person: &Person, media_type: &str, body: String) -> Answer {
    let call = person.call("POST", "analytics", "").header("prefer", "handling=lenient");
    let answer = call.body(media_type, body).send().await;
    if answer.status == 201 {
        assert_eq!(answer.header("preference-applied"), "handling=lenient");
    }
    answer
}

async fn sent(person: &Person, media_type: &str, body: impl Into<hyper::body::Bytes>) -> Answer {
    person.call("POST", "analytics", "").body(media_type, body).send().await
}

/// The pointers of what was rejected.
fn rejected(answer: &Answer) -> Vec<String> {
    let list = answer.json()["rejected"].as_array().expect("rejected").clone();
    list.iter()
        .map(|one| {
            assert!(["code", "detail"].iter().all(|member| one[*member].is_string()), "{one}");
            one["pointer"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn every_bad_event_is_named_and_nothing_is_written_unless_the_caller_is_lenient() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(8, &word);
    batch[1]["event_type"] = json!("Upper");
    batch[3]["event_data"] = json!("{}");
    batch[4] = json!(7);
    batch[6]["occured_at"] = json!("2026-01-01T00:00:00Z");
    batch[7].as_object_mut().unwrap().remove("event_type");
    let body = json!({ "events": batch });
    let problem = assert_problem(&person.track(&body).await, 422, "validation_failed");
    let mut pointers: Vec<_> = faults(&problem).into_iter().map(|(pointer, _)| pointer).collect();
    let expected =
        ["/events/1/event_type", "/events/3/event_data", "/events/4", "/events/6/occured_at", "/events/7/event_type"];
    assert_eq!(pointers, expected);
    assert!(problem.get("errors_omitted").is_none(), "{problem}");
    assert_eq!(count(&person.stack, &word).await, 0);

    let answer = lenient(&person, "application/json", body.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["accepted"]), (201, &json!(3)), "{}", answer.text());
    pointers = rejected(&answer);
    pointers.sort();
    assert_eq!(pointers, expected);
    assert_eq!(count(&person.stack, &word).await, 3);
    // And once more: the good ones are known, the bad ones still bad.
    let answer = lenient(&person, "application/json", body.to_string()).await;
    assert_eq!((&answer.json()["accepted"], &answer.json()["duplicates"]), (&json!(0), &json!(3)));
    assert_eq!(rejected(&answer).len(), 5);
}

/// For pages behind gateways that allow no `Prefer` header.
#[tokio::test]
async fn the_query_may_ask_for_lenience_too() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(3, &word);
    batch[1]["event_type"] = json!("Upper");
    let body = json!({ "events": batch });
    let ask = async |query: &str, prefer: &str| {
        let call = person.call("POST", "analytics", query).json(&body);
        let call = if prefer.is_empty() { call } else { call.header("prefer", prefer) };
        call.send().await
    };
    let answer = ask("?handling=lenient", "").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["accepted"]), (201, &json!(2)), "{}", answer.text());
    assert_eq!(rejected(&answer), ["/events/1/event_type"]);
    assert_eq!(ask("?handling=lenient", "handling=lenient").await.status, 201);
    assert_problem(&ask("?handling=strict", "").await, 422, "validation_failed");
    for (query, prefer) in [("?handling=strict", "handling=lenient"), ("?handling=lenient", "handling=strict")] {
        let problem = assert_problem(&ask(query, prefer).await, 422, "validation_failed");
        assert!(faults(&problem).contains(&("/handling".to_owned(), "handling_mismatch".to_owned())), "{problem}");
    }
    let problem = assert_problem(&ask("?handling=kind", "").await, 422, "validation_failed");
    assert!(faults(&problem).contains(&("/handling".to_owned(), "not_allowed".to_owned())), "{problem}");
}

/// Nobody reads its response.
#[tokio::test]
async fn the_good_events_of_a_beacon_are_stored_whatever_is_wrong_with_others() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(3, &word);
    batch[1]["event_type"] = json!("Upper");
    let call = person.call("POST", "analytics", "?beacon=1");
    let answer = call.body("text/plain", json!({ "events": batch }).to_string()).send().await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0), "{}", answer.text());
    assert_eq!(count(&person.stack, &word).await, 2);
}

#[tokio::test]
async fn every_invalid_field_of_an_event_is_named_alone_and_in_a_batch() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    for (member, value, code) in [
        ("id", json!("1"), "invalid_uuid"),
        ("id", json!(1), "wrong_type"),
        ("event_type", Value::Null, "required"),
        ("event_type", json!(1), "wrong_type"),
        ("event_type", json!(""), ""),
        ("event_type", json!("a b"), ""),
        ("event_type", json!("a".repeat(65)), ""),
        ("event_type", json!("a-b"), ""),
        ("event_type", json!("a\n"), ""),
        ("event_data", json!([]), "wrong_type"),
        ("event_data", json!("{}"), "wrong_type"),
        ("event_data", nested(17), "too_deep"),
        ("event_data", json!({ "a": "\u{0}" }), "not_storable"),
        ("session_id", json!("1"), "invalid_uuid"),
        ("occurred_at", json!("yesterday"), ""),
        ("occurred_at", json!("2026-02-30T00:00:00Z"), ""),
        ("occurred_at", json!("2026-01-01"), ""),
        ("occurred_at", json!("2026-01-01T00:00:00"), ""),
        ("occurred_at", json!("infinity"), ""),
        ("occurred_at", json!(1_760_000_000), "wrong_type"),
        ("user_id", json!(Uuid::new_v4()), "unknown_field"),
        ("session_count", json!(5), "unknown_field"),
        ("clamped", json!(true), "unknown_field"),
    ] {
        let mut bad = event(&word);
        bad[member] = value.clone();
        for (body, pointer) in [
            (bad.clone(), format!("/{member}")),
            (json!({ "events": [event(&word), bad.clone()] }), format!("/events/1/{member}")),
        ] {
            let problem = assert_problem(&person.track(&body).await, 422, "validation_failed");
            let found = faults(&problem);
            assert_eq!(found.len(), 1, "{member} {value}: {problem}");
            assert_eq!(found[0].0, pointer, "{value}");
            assert!(code.is_empty() || found[0].1 == code, "{member} {value}: {problem}");
        }
    }
    assert_eq!(count(&person.stack, &word).await, 0);
}

#[tokio::test]
async fn what_is_around_the_events_is_checked_too() {
    let person = Person::new(&Stack::running()).await;
    for (body, pointer) in [
        (json!({ "events": {} }), "/events"),
        (json!({ "events": null }), "/events"),
        (json!({ "events": [], "sent_at": "now" }), "/sent_at"),
        (json!({ "events": [], "sent": "2026-01-01T00:00:00Z" }), "/sent"),
        (json!({ "events": [], "event_type": "a" }), "/event_type"),
        (json!([]), ""),
        (json!([event("")]), ""),
    ] {
        let problem = assert_problem(&person.track(&body).await, 422, "validation_failed");
        assert!(faults(&problem).iter().any(|(found, _)| found == pointer), "{body}: {problem}");
    }
    for media_type in ["application/x-www-form-urlencoded", "text/csv", "application/octet-stream"] {
        let answer = sent(&person, media_type, event("").to_string()).await;
        assert_problem(&answer, 415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_batch_has_500_events_at_most() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let body = json!({ "events": events(501, &word) });
    let problem = assert_problem(&person.track(&body).await, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/events".to_owned(), "too_many".to_owned())]);
    // The limit is not a matter of single events, so lenience does not help.
    let problem =
        assert_problem(&lenient(&person, "application/json", body.to_string()).await, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/events".to_owned(), "too_many".to_owned())]);
    let lines = body["events"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let problem = assert_problem(&sent(&person, "application/x-ndjson", lines).await, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/events".to_owned(), "too_many".to_owned())]);
    assert_eq!(count(&person.stack, &word).await, 0);
}

#[tokio::test]
async fn five_hundred_events_in_512_kib_are_taken_and_one_byte_more_is_not() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut body = json!({ "events": events(500, &word) });
    let empty = body.to_string().len();
    // `,"pad":""` around what fills each event up; the last takes the rest.
    let each = (LONGEST_BODY - empty) / 500 - 9;
    for n in 0..500 {
        let rest = if n == 499 { LONGEST_BODY - empty - 500 * (each + 9) } else { 0 };
        body["events"][n]["event_data"]["pad"] = json!("x".repeat(each + rest));
    }
    let text = body.to_string();
    assert_eq!(text.len(), LONGEST_BODY);
    assert_problem(&sent(&person, "application/json", format!("{text} ")).await, 413, "body_too_large");
    assert_eq!(count(&person.stack, &word).await, 0);
    let answer = sent(&person, "application/json", text).await;
    assert_eq!(answer.json(), json!({ "accepted": 500, "duplicates": 0 }), "{}", answer.text());
    assert_eq!(count(&person.stack, &word).await, 500);
}

#[tokio::test]
async fn an_event_has_32_kib_at_most() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let padded = |length: usize| {
        let mut event = event(&word);
        event["event_data"]["pad"] = json!("");
        let bare = event.to_string().len();
        event["event_data"]["pad"] = json!("x".repeat(length - bare));
        assert_eq!(event.to_string().len(), length);
        event
    };
    let limit = 32 * 1024;
    assert_eq!(person.track(&padded(limit)).await.status, 201);
    let batch = json!({ "events": [event(&word), padded(limit + 1), padded(limit)] });
    let problem = assert_problem(&person.track(&batch).await, 422, "validation_failed");
    let found = faults(&problem);
    assert_eq!((found.len(), found[0].1.as_str()), (1, "too_large"), "{problem}");
    assert!(found[0].0.starts_with("/events/1"), "{problem}");
    assert_eq!(count(&person.stack, &word).await, 1);
    let answer = lenient(&person, "application/json", batch.to_string()).await;
    assert_eq!(answer.json()["accepted"], 2, "{}", answer.text());
}

#[tokio::test]
async fn the_answer_stays_short_when_almost_everything_is_wrong() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(500, &word);
    for bad in batch.iter_mut().skip(1) {
        bad["event_type"] = json!("x".repeat(500));
    }
    let body = json!({ "events": batch });
    let answer = person.track(&body).await;
    let problem = assert_problem(&answer, 422, "validation_failed");
    assert_eq!((faults(&problem).len(), &problem["errors_omitted"]), (100, &json!(399)));
    assert_eq!(problem["errors"][0]["pointer"], "/events/1/event_type", "the first ones are told");
    assert!(answer.bytes.len() < LONGEST_ANSWER, "{} bytes", answer.bytes.len());
    let answer = lenient(&person, "application/json", body.to_string()).await;
    let told = answer.json();
    assert_eq!((&told["accepted"], rejected(&answer).len()), (&json!(1), 100), "{}", answer.text());
    let omitted = told.as_object().unwrap().iter().find(|(name, _)| name.ends_with("_omitted"));
    assert_eq!(omitted.map(|(_, omitted)| omitted), Some(&json!(399)), "{told}");
    assert!(answer.bytes.len() < LONGEST_ANSWER, "{} bytes", answer.bytes.len());
    // Many mistakes in one event count as many.
    let mut one = event(&word);
    for n in 0..5000 {
        one[format!("unknown_{n}_{}", "x".repeat(60))] = json!(1);
    }
    let answer = person.track(&json!({ "events": [one] })).await;
    let problem = assert_problem(&answer, 422, "validation_failed");
    assert!(faults(&problem).len() <= 100 && answer.bytes.len() < LONGEST_ANSWER, "{} bytes", answer.bytes.len());
    // Nor does one long name come back as it went in.
    let mut one = event(&word);
    one["y".repeat(20_000)] = json!(1);
    let answer = person.track(&one).await;
    assert_problem(&answer, 422, "validation_failed");
    assert!(answer.bytes.len() < LONGEST_ANSWER, "{} bytes", answer.bytes.len());
}

#[tokio::test]
async fn a_torn_last_line_is_named_and_lenience_keeps_the_others() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let whole = events(2, &word).iter().map(Value::to_string).collect::<Vec<_>>().join("\n\n");
    let torn = event(&word).to_string();
    for cut in [1, torn.len() / 2, torn.len() - 1] {
        let body = format!("{whole}\n{}", &torn[..cut]);
        let problem =
            assert_problem(&sent(&person, "application/x-ndjson", body.clone()).await, 422, "validation_failed");
        let found = faults(&problem);
        assert_eq!((found.len(), found[0].0.as_str()), (1, "/events/2"), "{problem}");
    }
    assert_eq!(count(&person.stack, &word).await, 0);
    let body = format!("{whole}\n{}", &torn[..torn.len() / 2]);
    let answer = lenient(&person, "application/x-ndjson", body).await;
    assert_eq!((&answer.json()["accepted"], rejected(&answer)), (&json!(2), vec!["/events/2".to_owned()]));
    assert_eq!(count(&person.stack, &word).await, 2);
    // Lines that are JSON and no event.
    let body = format!("{}\n[]\n7\n\"x\"\nnull\n{}", event(&word), event(&word));
    let problem = assert_problem(&sent(&person, "application/x-ndjson", body).await, 422, "validation_failed");
    let pointers: Vec<_> = faults(&problem).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(pointers, ["/events/1", "/events/2", "/events/3", "/events/4"]);
}

/// Each up to 512 KiB. It must be refused soon, in few words, and leave the function as it was.
#[tokio::test]
async fn hostile_bodies_are_refused_and_nobody_else_notices() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let fill = |text: &str, length: usize| text.repeat(length / text.len());
    let in_event =
        |data: &str| format!(r#"{{"events":[{{"id":"{}","event_type":"a","event_data":{data}}}]}}"#, Uuid::new_v4());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_objects = format!("{}1{}", fill(r#"{"a":"#, 300_000), "}".repeat(60_000));
    let duplicates = format!("{{{}\"a\":1}}", fill(r#""a":1,"#, 500_000));
    for body in [
        "[".repeat(500_000),
        deep.clone(),
        in_event(&deep),
        in_event(&format!(r#"{{"a":{deep}}}"#)),
        in_event(&deep_objects),
        duplicates.clone(),
        in_event(&duplicates),
        format!(r#"{{"events":{duplicates}}}"#),
        in_event(&format!(r#"{{"a":{}}}"#, "9".repeat(500_000))),
        in_event(r#"{"a":1e999999999}"#),
        in_event(r#"{"a":-1e-999999999}"#),
        in_event(&format!(r#"{{"a":1e{}}}"#, "9".repeat(1000))),
        in_event(&format!(r#"{{"a":[{}1]}}"#, fill("1e308,", 32_000))),
        in_event(&format!(r#"{{"a":"{}"}}"#, fill(r"\u0000", 500_000))),
        in_event(&format!(r#"{{"a":"{}"}}"#, fill(r"\ud800", 500_000))),
        in_event(&format!(r#"{{"{}":1}}"#, "k".repeat(500_000))),
        format!(r#"{{"events":[{}1]}}"#, fill("1,", 500_000)),
        format!(r#"{{"events":[{}{{}}]}}"#, fill("{},", 500_000)),
        fill("\n", 500_000),
        fill("{}\n", 500_000),
        fill("\u{feff}", 500_000),
        "\u{0}".repeat(500_000),
        format!("\"{}", fill("\\\"", 500_000)),
    ] {
        let shown = body.chars().take(60).collect::<String>();
        assert!(body.len() <= LONGEST_BODY, "{shown}");
        for media_type in ["application/json", "application/x-ndjson", "text/plain"] {
            for prefer in ["handling=strict", "handling=lenient"] {
                let call = person.call("POST", "analytics", "").header("prefer", prefer);
                let answer = call.body(media_type, body.clone()).send().await;
                // Lenient, all that is bad is left out, and it may be all there is. Blank lines are no events at all.
                let may_be_empty = prefer == "handling=lenient" || body.trim().is_empty();
                let is_empty = answer.status == 201 && may_be_empty && answer.json()["accepted"] == 0;
                let is_refused = [400, 413, 422].contains(&answer.status.as_u16());
                assert!(is_refused || is_empty, "{media_type} {prefer} {shown}: {} {}", answer.status, answer.text());
                assert!(answer.bytes.len() < LONGEST_ANSWER, "{shown}: {} bytes", answer.bytes.len());
            }
        }
        assert_eq!(person.track(&event(&word)).await.status, 201, "after {shown}");
    }
}

#[tokio::test]
async fn the_same_batch_twice_and_twice_at_once_is_stored_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let body = json!({ "events": events(50, &word) });
    for (accepted, duplicates) in [(50, 0), (0, 50)] {
        let answer = person.track(&body).await;
        assert_eq!(answer.json(), json!({ "accepted": accepted, "duplicates": duplicates }), "{}", answer.text());
    }
    let other = json!({ "events": events(50, &word) });
    let answers = join_all((0..6).map(|_| person.track(&other))).await;
    let accepted: u64 = answers.iter().map(|answer| answer.json()["accepted"].as_u64().unwrap()).sum();
    assert_eq!(accepted, 50);
    assert_eq!(count(&person.stack, &word).await, 100);
}

#[tokio::test]
async fn a_batch_of_one_person_repeated_by_another_is_theirs_as_well() {
    let stack = Stack::running();
    let (one, other) = (Person::new(&stack).await, Person::new(&stack).await);
    let word = word();
    let body = json!({ "events": events(5, &word) });
    for person in [&one, &other] {
        let answer = person.track(&body).await;
        assert_eq!(answer.json(), json!({ "accepted": 5, "duplicates": 0 }), "{}", answer.text());
    }
    assert_eq!(count(&stack, &word).await, 10);
}

#[tokio::test]
async fn a_batch_cut_off_on_its_way_back_to_the_page_and_sent_again_is_stored_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let body = json!({ "events": events(50, &word) });
    let way = LostAnswer::to("/functions/v1/analytics", 1, &person.stack).await;
    let send = || {
        let call = conformance::client::call("POST", format!("{}/functions/v1/analytics", way.url));
        call.header("authorization", format!("Bearer {}", person.token)).json(&body).try_send()
    };
    assert!(send().await.is_err(), "the answer was to be lost");
    assert_eq!(count(&person.stack, &word).await, 50, "it was committed");
    let again = send().await.unwrap();
    assert_eq!(again.json(), json!({ "accepted": 0, "duplicates": 50 }), "{}", again.text());
    assert_eq!(count(&person.stack, &word).await, 50);
}

/// Whether the function asks once more itself or tells the caller to, and also for events that came without an id.
#[tokio::test]
async fn a_batch_cut_off_between_the_database_and_the_function_is_stored_once() {
    let person = Person::new(&Stack::running()).await;
    let word = word();
    let mut batch = events(20, &word);
    batch[0].as_object_mut().unwrap().remove("id");
    let body = json!({ "events": batch });
    let way = LostAnswer::to("/rest/v1/rpc/record_events", 1, &person.stack).await;
    let issuer = format!("{}/auth/v1", person.stack.api_url);
    let variables = [("SUPABASE_URL", way.url.as_str()), ("SUPABASE_JWT_ISSUER", issuer.as_str())];
    let function = Isolated::start(&person.stack, "analytics", &variables).await;
    let send = || {
        let call = conformance::client::call("POST", &function.url);
        call.header("authorization", format!("Bearer {}", person.token)).json(&body).send()
    };
    let answer = send().await;
    assert!(way.is_done());
    assert_eq!(count(&person.stack, &word).await, 20, "{}", answer.text());
    if answer.status == 201 {
        assert_eq!(answer.json(), json!({ "accepted": 0, "duplicates": 20 }));
    } else {
        assert!(answer.status.is_server_error(), "{}", answer.text());
    }
    // With its own ids only: the one without is another event each time it is sent.
    let body = json!({ "events": batch[1..] });
    let again = person.track(&body).await;
    assert_eq!(again.json(), json!({ "accepted": 0, "duplicates": 19 }), "{}", again.text());
    assert_eq!(count(&person.stack, &word).await, 20);
}
