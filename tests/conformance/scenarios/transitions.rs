//! Moves: allowed and forbidden, once and again, one at a time and many at once.

use conformance::assertions::{assert_problem, faults};
use conformance::client::Answer;
use conformance::isolated::Isolated;
use conformance::machine::MachineFile;
use conformance::person::{Person, message};
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

/// Asks for a move.
async fn move_on(person: &Person, body: &Value) -> Answer {
    person.call("POST", "fsm-transition", "").json(body).send().await
}

/// A move that must succeed.
async fn moved(person: &Person, body: &Value) -> Value {
    let answer = move_on(person, body).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    let made = answer.json();
    assert_eq!(answer.header("etag"), format!("\"{}\"", made["version"]));
    made
}

async fn state(person: &Person, session_id: Uuid) -> Value {
    let answer = person.call("GET", "fsm-transition", &format!("?session_id={session_id}")).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let state = answer.json();
    assert_eq!(answer.header("etag"), format!("\"{}\"", state["version"]));
    state
}

/// What a session's trail says: (version, from, event, to), in order.
async fn trail(stack: &Stack, session_id: Uuid) -> Vec<(i32, String, String, String)> {
    let rows = stack
        .database()
        .await
        .query(
            "select version, from_state, event, to_state from public.session_transitions
             where session_id = $1 order by version",
            &[&session_id],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// Puts a new session into a state, as nobody but the database's owner can.
async fn session_in(person: &Person, machine: &MachineFile, state: &str) -> Uuid {
    let session_id = Uuid::new_v4();
    let id = machine.0["id"].as_str().unwrap();
    let put = "insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state) values ($1, $2, $3, 1, $4)";
    person.stack.database().await.execute(put, &[&session_id, &person.user_id, &id, &state]).await.unwrap();
    session_id
}

#[tokio::test]
async fn every_pair_of_state_and_event_does_what_the_file_says() {
    let person = Person::new(&Stack::running()).await;
    for machine in [MachineFile::read("supportive-yarn"), MachineFile::read("check-in")] {
        let mut events = machine.events();
        events.push("made_up".to_owned());
        for from in machine.states() {
            for event in &events {
                // A session of its own for each pair: a final state cannot be left again.
                let session_id = session_in(&person, &machine, &from).await;
                let mut body = json!({ "session_id": session_id, "event": event });
                if machine.is_step(&from) && !machine.is_attempt(&from, event) {
                    body["response"] = json!("an answer");
                }
                let answer = move_on(&person, &body).await;
                match machine.target(&from, event) {
                    Some(to) => {
                        assert_eq!(answer.status, 200, "{from} {event}: {}", answer.text());
                        let made = answer.json();
                        assert_eq!((&made["from"], &made["to"]), (&json!(from), &json!(to)), "{event}");
                        assert_eq!(made["allowed_events"], json!(machine.allowed(&to)));
                        assert_eq!(made["completed"], json!(machine.0["states"][&to]["type"] == "final"));
                    }
                    None => {
                        let problem = assert_problem(&answer, 422, "illegal_transition");
                        assert_eq!(problem["state"], from);
                        assert_eq!(problem["allowed_events"], json!(machine.allowed(&from)));
                        assert_eq!(state(&person, session_id).await["version"], 0);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn the_whole_walk_leads_to_free_conversation() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let first = moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    assert_eq!(
        first,
        json!({
            "session_id": session_id, "from": "welcome", "to": "support_people", "event": "next_step", "version": 1,
            "attempt_count": 0, "forced": false, "completed": false, "allowed_events": ["next_step", "unclear"],
            "replayed": false,
        })
    );
    for step in ["support_people", "strengths", "worries", "goals"] {
        let made = moved(
            &person,
            &json!({ "session_id": session_id, "event": "next_step", "response": format!(" my {step} ") }),
        )
        .await;
        assert_eq!(made["from"], step);
    }
    let last = moved(&person, &json!({ "session_id": session_id, "event": "start_llm_chat" })).await;
    assert_eq!(
        (&last["to"], &last["completed"], &last["version"]),
        (&json!("llm_conversation"), &json!(true), &json!(6))
    );
    assert_eq!(
        state(&person, session_id).await,
        json!({
            "state": "llm_conversation", "version": 6, "allowed_events": [],
            "responses": { "support_people": "my support_people", "strengths": "my strengths", "worries": "my worries", "goals": "my goals" },
            "attempts": {}, "completed": true, "machine": { "id": "supportive-yarn", "version": 1 },
        })
    );
    let session = &person.rest("GET", &format!("sessions?session_id=eq.{session_id}")).send().await.json()[0];
    assert!(session["completion_time"].is_string());
    let events = person.rest("GET", &format!("analytics?session_id=eq.{session_id}")).send().await.json();
    let mut types: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap()).collect();
    types.sort_unstable();
    let mut expected = vec!["step_completed"; 4];
    expected.extend(["session_completed", "session_started"]);
    expected.sort_unstable();
    assert_eq!(types, expected);
    assert_eq!(trail(&stack, session_id).await.len(), 6);
}

#[tokio::test]
async fn the_second_unclear_answer_moves_on_by_force_and_attempts_survive_a_restart() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let first = moved(&person, &json!({ "session_id": session_id, "event": "unclear", "response": "hm" })).await;
    assert_eq!(
        (&first["to"], &first["attempt_count"], &first["forced"]),
        (&json!("support_people"), &json!(1), &json!(false))
    );
    assert_eq!(state(&person, session_id).await["attempts"], json!({ "support_people": 1 }));
    // Another instance, which has never heard of the first attempt.
    let restarted = Isolated::start(&stack, "fsm-transition", &[]).await;
    let answer = conformance::client::call("POST", &restarted.url)
        .header("authorization", format!("Bearer {}", person.token))
        .json(&json!({ "session_id": session_id, "event": "unclear", "response": "dunno" }))
        .send()
        .await;
    let second = answer.json();
    assert_eq!(
        (&second["to"], &second["attempt_count"], &second["forced"]),
        (&json!("strengths"), &json!(2), &json!(true))
    );
    let state = state(&person, session_id).await;
    assert_eq!(state["responses"], json!({ "support_people": "Unclear: dunno" }));
    assert_eq!(state["attempts"], json!({ "support_people": 2 }));
}

#[tokio::test]
async fn a_response_is_for_steps_and_only_for_steps() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let with_response = json!({ "session_id": session_id, "event": "next_step", "response": "x" });
    assert_problem(&move_on(&person, &with_response).await, 422, "response_refused");
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let problem = assert_problem(
        &move_on(&person, &json!({ "session_id": session_id, "event": "next_step" })).await,
        422,
        "response_required",
    );
    assert_eq!(problem["state"], "support_people");
    moved(&person, &json!({ "session_id": session_id, "event": "unclear" })).await;
    moved(&person, &json!({ "session_id": session_id, "event": "next_step", "response": "\u{1F9F6}".repeat(1000) }))
        .await;
}

#[tokio::test]
async fn the_same_id_again_is_the_first_answer() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let body = json!({ "id": Uuid::new_v4(), "session_id": session_id, "event": "next_step", "expected_version": 0 });
    let first = moved(&person, &body).await;
    moved(&person, &json!({ "session_id": session_id, "event": "unclear" })).await;
    let mut again = moved(&person, &body).await;
    assert_eq!(again["replayed"], true);
    again["replayed"] = json!(false);
    assert_eq!(again, first);
    let mut other = body.clone();
    other["event"] = json!("unclear");
    assert_problem(&move_on(&person, &other).await, 409, "id_reused");
    assert_eq!(trail(&stack, session_id).await.len(), 2);
}

#[tokio::test]
async fn a_session_that_has_moved_on_is_a_conflict() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let begin = json!({ "session_id": session_id, "event": "next_step", "expected_version": 0 });
    moved(&person, &begin).await;
    let problem = assert_problem(&move_on(&person, &begin).await, 409, "version_conflict");
    assert_eq!((&problem["state"], &problem["version"]), (&json!("support_people"), &json!(1)));

    let unclear = json!({ "session_id": session_id, "event": "unclear" });
    let if_match = |etag: &str| {
        person.call("POST", "fsm-transition", "").header("if-match", etag.to_owned()).json(&unclear).send()
    };
    let problem = assert_problem(&if_match("\"0\"").await, 412, "version_conflict");
    assert_eq!((&problem["state"], &problem["version"]), (&json!("support_people"), &json!(1)));
    assert_eq!(if_match("\"1\"").await.status, 200);
    assert_eq!(if_match("*").await.status, 200);
    for etag in ["1", "w/\"1\"", "\"x\"", "\"1\", \"2\""] {
        let problem = assert_problem(&if_match(etag).await, 422, "validation_failed");
        assert_eq!(faults(&problem), [("/expected_version".to_owned(), "invalid_etag".to_owned())]);
    }
    let mut both = unclear.clone();
    both["expected_version"] = json!(1);
    let send_both =
        |etag: &str| person.call("POST", "fsm-transition", "").header("if-match", etag.to_owned()).json(&both).send();
    assert_eq!(
        faults(&assert_problem(&send_both("\"2\"").await, 422, "validation_failed")),
        [("/expected_version".to_owned(), "if_match_mismatch".to_owned())]
    );
    assert_problem(&send_both("\"1\"").await, 412, "version_conflict");
}

/// A host that compresses an answer may weaken its tag, as Deno does.
#[tokio::test]
async fn the_tag_of_a_compressed_answer_is_good_for_the_next_request() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let target = format!("?session_id={session_id}");
    let look = || person.call("GET", "fsm-transition", &target).header("accept-encoding", "gzip");
    let etag = look().send().await.header("etag").to_owned();
    assert_eq!(look().header("if-none-match", &etag).send().await.status, 304, "{etag}");
    for etag in [etag, "W/\"2\"".to_owned()] {
        let body = json!({ "session_id": session_id, "event": "next_step", "response": "yes" });
        let answer = person.call("POST", "fsm-transition", "").header("if-match", &etag).json(&body).send().await;
        assert_eq!(answer.status, 200, "{etag}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_session_stays_on_the_machine_it_began_with() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let file = MachineFile::read("check-in");
    let event = file.allowed(file.initial())[0].clone();
    let mut begin = json!({ "session_id": session_id, "event": event, "machine": "check-in" });
    if file.is_step(file.initial()) {
        begin["response"] = json!("fine");
    }
    assert_eq!(moved(&person, &begin).await["from"], file.initial());
    assert_eq!(state(&person, session_id).await["machine"], json!({ "id": "check-in", "version": 1 }));
    let other = json!({ "session_id": session_id, "event": "next_step", "machine": "supportive-yarn" });
    let problem = assert_problem(&move_on(&person, &other).await, 409, "machine_conflict");
    assert_eq!(problem["machine"], "check-in");
    let unknown = json!({ "session_id": Uuid::new_v4(), "event": "next_step", "machine": "no-such" });
    assert_problem(&move_on(&person, &unknown).await, 404, "machine_not_found");
}

#[tokio::test]
async fn sessions_stay_on_the_version_of_their_first_move() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    // A machine of this test's own, so that no other test meets its second version.
    let machine = format!("m-{}", Uuid::new_v4().simple());
    let publish = async |version: i32, end: &str| {
        let database = stack.database().await;
        database
            .batch_execute(&format!(
                "insert into public.fsm_machines values ('{machine}', {version}, 'begin', '{{}}');
                 insert into public.fsm_states values ('{machine}', {version}, 'begin', false, false, null),
                   ('{machine}', {version}, '{end}', true, false, null);
                 insert into public.fsm_transitions values ('{machine}', {version}, 'begin', 'go', '{end}', false),
                   ('{machine}', {version}, 'begin', 'stay', 'begin', false);"
            ))
            .await
            .unwrap();
    };
    publish(1, "old_end").await;
    let [moving, waiting, new] = [(); 3].map(|()| Uuid::new_v4());
    for session_id in [moving, waiting] {
        let begin = json!({ "session_id": session_id, "machine": machine });
        assert_eq!(person.rest("POST", "sessions").json(&begin).send().await.status, 201);
    }
    let send = |session_id: Uuid, event: &str| json!({ "session_id": session_id, "event": event, "machine": machine });
    assert_eq!(moved(&person, &send(moving, "stay")).await["to"], "begin");
    publish(2, "new_end").await;
    assert_eq!(moved(&person, &send(moving, "go")).await["to"], "old_end");
    assert_eq!(moved(&person, &send(waiting, "go")).await["to"], "new_end");
    assert_eq!(moved(&person, &send(new, "go")).await["to"], "new_end");
    for (session_id, version) in [(moving, 1), (waiting, 2), (new, 2)] {
        assert_eq!(state(&person, session_id).await["machine"], json!({ "id": machine, "version": version }));
    }
}

#[tokio::test]
async fn invalid_fields_are_all_named() {
    let person = Person::new(&Stack::running()).await;
    let body = json!({
        "id": 1, "session_id": "x", "event": "Next Step", "response": " ", "expected_version": -1, "machine": "", "to": "goals"
    });
    let problem = assert_problem(&move_on(&person, &body).await, 422, "validation_failed");
    let expected = [
        ("/event", "invalid_name"),
        ("/expected_version", "out_of_range"),
        ("/id", "wrong_type"),
        ("/machine", "invalid_name"),
        ("/response", "blank"),
        ("/session_id", "invalid_uuid"),
        ("/to", "unknown_field"),
    ];
    assert_eq!(faults(&problem), expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
}

#[tokio::test]
async fn of_sixty_four_equal_requests_exactly_one_wins_two_hundred_times_over() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    // A machine that can go round for ever.
    let file = MachineFile::read("check-in");
    let mut here = file.initial().to_owned();
    let database = stack.database().await;
    for version in 0..200 {
        if version % 100 == 0 {
            // Moves are limited.
            let forget = "delete from public.rate_limit_uses where user_id = $1";
            database.execute(forget, &[&person.user_id]).await.unwrap();
        }
        let event = file
            .allowed(&here)
            .into_iter()
            .find(|event| {
                let target = file.target(&here, event).unwrap();
                file.0["states"][&target]["type"] != "final" && target != here
            })
            .expect("a machine with a cycle");
        let mut body =
            json!({ "session_id": session_id, "event": event, "expected_version": version, "machine": "check-in" });
        if file.is_step(&here) && !file.is_attempt(&here, &event) {
            body["response"] = json!("again");
        }
        let answers = join_all((0..64).map(|_| move_on(&person, &body))).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "round {version}");
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            assert_problem(lost, 409, "version_conflict");
        }
        here = won[0].json()["to"].as_str().unwrap().to_owned();
    }
    let trail = trail(&stack, session_id).await;
    assert_eq!(trail.len(), 200);
    for (place, pair) in trail.windows(2).enumerate() {
        assert_eq!(usize::try_from(pair[0].0).unwrap(), place + 1);
        assert_eq!(pair[0].3, pair[1].1, "each move begins where the last one ended");
    }
}

#[tokio::test]
async fn moves_and_messages_of_one_session_do_not_lock_each_other_out() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let moves = join_all((0..30).map(|_| async {
        let answer = move_on(&person, &json!({ "session_id": session_id, "event": "unclear" })).await;
        assert!(answer.status == 200 || answer.json()["code"] == "illegal_transition", "{}", answer.text());
        usize::from(answer.status == 200)
    }));
    let messages = join_all((0..30).map(|n| async move { n }).map(|n| async {
        let answer = person.save(&message(session_id, &format!("message {}", n.await))).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }));
    let (moves, _) = tokio::join!(moves, messages);
    // Eight unclear answers use all four steps up; after that the event is illegal.
    assert_eq!(moves.iter().sum::<usize>(), 8);
    assert_eq!(state(&person, session_id).await["version"], 9);
    assert_eq!(trail(&stack, session_id).await.len(), 9);
}

#[tokio::test]
async fn someone_elses_session_does_not_move_and_is_not_there() {
    let stack = Stack::running();
    let (owner, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    let session_id = Uuid::new_v4();
    moved(&owner, &json!({ "session_id": session_id, "event": "next_step" })).await;
    assert_problem(
        &move_on(&stranger, &json!({ "session_id": session_id, "event": "unclear" })).await,
        404,
        "session_not_found",
    );
    let look = stranger.call("GET", "fsm-transition", &format!("?session_id={session_id}")).send().await;
    assert_problem(&look, 404, "session_not_found");
    assert_eq!(state(&owner, session_id).await["version"], 1);
}

#[tokio::test]
async fn past_the_function_no_state_is_set_and_no_version_turned_back() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let session = format!("sessions?session_id=eq.{session_id}");
    for change in [
        json!({ "fsm_state": "llm_conversation" }),
        json!({ "fsm_state": "strengths", "version": 2 }),
        json!({ "version": 0 }),
        json!({ "completed": true, "completion_time": "2026-01-01T00:00:00Z" }),
        json!({ "machine": "check-in" }),
        json!({ "machine_version": 2 }),
    ] {
        let answer = person.rest("PATCH", &session).json(&change).send().await;
        let refused = if change.get("machine").is_some() { 409 } else { 403 };
        assert_eq!(answer.status, refused, "{change}: {}", answer.text());
    }
    for row in [
        json!({ "session_id": Uuid::new_v4(), "fsm_state": "goals" }),
        json!({ "session_id": Uuid::new_v4(), "version": 5 }),
        json!({ "session_id": Uuid::new_v4(), "completed": true }),
    ] {
        let answer = person.rest("POST", "sessions").json(&row).send().await;
        assert_eq!(answer.status, 403, "{row}: {}", answer.text());
    }
    let response = json!({ "session_id": session_id, "step": "goals", "response": "mine", "attempt_count": 9 });
    assert_eq!(person.rest("POST", "user_responses").json(&response).send().await.status, 403);
    let forged =
        json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "next_step", "to_state": "llm_conversation" });
    assert_eq!(person.rest("POST", "session_transitions").json(&forged).send().await.status, 403);
    let illegal = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "start_llm_chat" });
    assert_eq!(person.rest("POST", "session_transitions").json(&illegal).send().await.status, 422);
    for verb in ["PATCH", "DELETE"] {
        let trail = format!("session_transitions?session_id=eq.{session_id}");
        let answer = person.rest(verb, &trail).json(&json!({ "to_state": "goals" })).send().await;
        assert_eq!(answer.status, 403, "the trail is append-only: {}", answer.text());
    }
    // A legal move made directly is a move like any other, and made once.
    let legal = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "unclear" });
    assert_eq!(person.rest("POST", "session_transitions").json(&legal).send().await.status, 201);
    for preference in ["", "resolution=ignore-duplicates", "resolution=merge-duplicates"] {
        let again = person.rest("POST", "session_transitions").header("prefer", preference).json(&legal).send().await;
        assert!([403, 409].contains(&again.status.as_u16()), "{preference}: {}", again.text());
    }
    let twice = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "next_step", "response": "yes" });
    let at_once = person.rest("POST", "session_transitions").header("prefer", "resolution=ignore-duplicates");
    assert_eq!(at_once.json(&json!([twice, twice])).send().await.status, 409);
    let state = state(&person, session_id).await;
    assert_eq!(
        (&state["state"], &state["version"], &state["attempts"]),
        (&json!("support_people"), &json!(2), &json!({ "support_people": 1 }))
    );
}

/// The edge and the database must agree on what a response may be.
#[tokio::test]
async fn past_the_function_a_response_is_neither_blank_nor_endless() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    moved(&person, &json!({ "session_id": session_id, "event": "next_step" })).await;
    let blank = (1..=char::MAX as u32).filter_map(char::from_u32).filter(|character| character.is_whitespace());
    let mut refused: Vec<String> = blank.map(String::from).collect();
    refused.extend([String::new(), "x".repeat(1001)]);
    for response in refused {
        for event in ["next_step", "unclear"] {
            let row = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": event, "response": response });
            for target in ["session_transitions", "rpc/transition_session"] {
                let answer = person.rest("POST", target).json(&row).send().await;
                assert_eq!(answer.status, 400, "{target} {event} {response:?}: {}", answer.text());
            }
        }
    }
    assert_eq!(state(&person, session_id).await["version"], 1);
    let longest = json!({ "session_id": session_id, "event": "next_step", "response": "é".repeat(1000) });
    moved(&person, &longest).await;
}

#[tokio::test]
async fn every_sessions_version_is_the_number_of_its_moves() {
    let broken = "select count(*) from public.sessions s
        where s.version <> (select count(*) from public.session_transitions t where t.session_id = s.session_id)";
    let count: i64 = Stack::running().database().await.query_one(broken, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
}
