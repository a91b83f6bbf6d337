//! The defects of the originals, as `docs/chat-domain.md` numbers them: one test for each, named after it.

use conformance::assertions::{assert_problem, faults};
use conformance::catalogue::Catalogue;
use conformance::client::{Answer, call};
use conformance::cursor;
use conformance::isolated::Isolated;
use conformance::person::{Person, message};
use conformance::seed::a_row_in_every_table;
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

async fn move_on(person: &Person, body: &Value) -> Answer {
    person.call("POST", "fsm-transition", "").json(body).send().await
}

/// The one session's row, as its owner sees it.
async fn session(person: &Person, session_id: Uuid) -> Value {
    person.rest("GET", &format!("sessions?session_id=eq.{session_id}")).send().await.json()[0].clone()
}

/// The types of a session's events, sorted.
async fn events(person: &Person, session_id: Uuid) -> Vec<String> {
    let rows = person.rest("GET", &format!("analytics?session_id=eq.{session_id}&order=event_type")).send().await;
    rows.json().as_array().unwrap().iter().map(|row| row["event_type"].as_str().unwrap().to_owned()).collect()
}

async fn count(person: &Person, table: &str, session_id: Uuid) -> usize {
    let rows = person.rest("GET", &format!("{table}?session_id=eq.{session_id}")).send().await;
    rows.json().as_array().unwrap().len()
}

#[tokio::test]
async fn defect_01_recreating_a_session_never_resets_its_state() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let next = json!({ "session_id": session_id, "event": "next_step" });
    assert_eq!(move_on(&person, &next).await.status, 200);
    let before = session(&person, session_id).await;
    assert_eq!((&before["fsm_state"], &before["version"]), (&json!("support_people"), &json!(1)));
    // Every way there is to make a session.
    person.say(session_id, "hello").await;
    assert_eq!(person.rpc("save_message", &message(session_id, "hello")).await.status, 201);
    let row = json!({ "session_id": session_id });
    for (prefer, status) in
        [("return=minimal", 409), ("resolution=ignore-duplicates", 200), ("resolution=merge-duplicates", 403)]
    {
        let answer = person.rest("POST", "sessions").header("prefer", prefer).json(&row).send().await;
        assert!(answer.status == status || (status == 200 && answer.status == 201), "{prefer}: {}", answer.text());
    }
    assert_eq!(person.rest("PUT", &format!("sessions?session_id=eq.{session_id}")).json(&row).send().await.status, 403);
    assert_eq!(move_on(&person, &json!({ "session_id": session_id, "event": "unclear" })).await.status, 200);
    let after = session(&person, session_id).await;
    assert_eq!((&after["fsm_state"], &after["version"]), (&json!("support_people"), &json!(2)));
    assert_eq!(after["created_at"], before["created_at"]);
}

#[tokio::test]
async fn defect_02_the_first_message_of_a_session_makes_the_session() {
    let person = Person::new(&Stack::running()).await;
    for role in ["user", "bot", "system"] {
        let session_id = Uuid::new_v4();
        let mut first = message(session_id, "hello");
        first["role"] = json!(role);
        let answer = person.save(&first).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(session(&person, session_id).await["fsm_state"], "welcome");
    }
}

#[tokio::test]
async fn defect_03_risk_and_event_and_the_count_of_attempts_are_atomic() {
    let person = Person::new(&Stack::running()).await;
    // The risk is stored last: if it cannot be, nothing of the message or its session is.
    let session_id = Uuid::new_v4();
    let mut said = message(session_id, "hello");
    said["intent"] = json!({ "label": "worries", "method": "rule_based" });
    said["risk"] = json!({ "label": "x".repeat(65) });
    assert_eq!(person.rpc("save_message", &said).await.status, 400);
    for table in ["sessions", "chat_history", "intent_classifications", "risk_detections", "analytics"] {
        assert_eq!(count(&person, table, session_id).await, 0, "{table}");
    }
    // If it can be, all of it is.
    said["risk"] = json!({ "label": "distress" });
    assert_eq!(person.rpc("save_message", &said).await.status, 201);
    for table in ["sessions", "chat_history", "intent_classifications", "risk_detections", "analytics"] {
        assert_eq!(count(&person, table, session_id).await, 1, "{table}");
    }
    // Two attempts at once are two.
    let asked = Uuid::new_v4();
    let unclear = json!({ "session_id": asked, "event": "unclear", "machine": "check-in" });
    let answers = join_all([move_on(&person, &unclear), move_on(&person, &unclear)]).await;
    let mut attempts: Vec<_> = answers.iter().map(|answer| answer.json()["attempt_count"].as_i64()).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [Some(1), Some(2)]);
    let stored = person.rest("GET", &format!("user_responses?session_id=eq.{asked}")).send().await.json();
    assert_eq!(stored[0]["attempt_count"], 2);
}

#[tokio::test]
async fn defect_04_messages_of_one_moment_keep_their_order() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    assert_eq!(person.rest("POST", "sessions").json(&json!({ "session_id": session_id })).send().await.status, 201);
    let rows: Vec<Value> = (0..20).map(|n| message(session_id, &format!("message {n:02}"))).collect();
    assert_eq!(person.rest("POST", "chat_history").json(&json!(rows)).send().await.status, 201);
    for (order, reversed) in [("asc", false), ("desc", true)] {
        let page = person.history(session_id, &format!("&order={order}")).await.json();
        let messages = page["messages"].as_array().unwrap();
        let mut texts: Vec<_> = messages.iter().map(|one| one["message"].as_str().unwrap()).collect();
        if reversed {
            texts.reverse();
        }
        assert_eq!(texts, rows.iter().map(|row| row["message"].as_str().unwrap()).collect::<Vec<_>>());
        assert!(messages.iter().all(|one| one["created_at"] == messages[0]["created_at"]), "one moment: {page}");
    }
}

#[tokio::test]
async fn defect_05_people_reach_their_own_rows_with_the_publishable_key() {
    let stack = Stack::running();
    let (person, stranger) = (Person::new(&stack).await, Person::new(&stack).await);
    a_row_in_every_table(&person, Uuid::new_v4(), "hello").await;
    let catalogue = Catalogue::read(&stack.database().await).await;
    let personal = catalogue.relations.iter().filter(|table| table.is_table() && catalogue.is_personal(table));
    let mut read = 0;
    for table in personal.map(|table| &table.name) {
        let mine = person.rest("GET", table).send().await;
        // What is written for operators alone is refused, not empty.
        if mine.status == 403 {
            continue;
        }
        assert!(!mine.json().as_array().unwrap().is_empty(), "{table}: {}", mine.text());
        assert_eq!(stranger.rest("GET", table).send().await.json(), json!([]), "{table}");
        read += 1;
    }
    assert!(read >= 8, "{read}");
}

#[tokio::test]
async fn defect_06_no_view_shows_anothers_rows() {
    let stack = Stack::running();
    let database = stack.database().await;
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    a_row_in_every_table(&person, session_id, "hello").await;
    // Completed long ago, which is what the views look for; nobody but the database's owner can arrange it.
    let complete = "update public.sessions set completed = true, completion_time = now() - interval '31 days',
        fsm_state = 'closed' where session_id = $1";
    database.execute(complete, &[&session_id]).await.unwrap();
    let stranger = Person::new(&stack).await;
    let catalogue = Catalogue::read(&database).await;
    let views: Vec<_> =
        catalogue.relations.iter().filter(|relation| matches!(relation.kind.as_str(), "v" | "m")).collect();
    let names: Vec<_> = views.iter().map(|view| view.name.as_str()).collect();
    for expected in ["daily_analytics", "session_completion_stats", "sessions_to_cleanup"] {
        assert!(names.contains(&expected), "{expected} is not among {names:?}");
    }
    for view in names {
        // Refused, or empty for someone who has nothing.
        let answer = stranger.rest("GET", view).send().await;
        assert!(answer.status == 403 || answer.json() == json!([]), "{view}: {}", answer.text());
        let anonymous =
            call("GET", format!("{}/rest/v1/{view}", stack.api_url)).header("apikey", &stack.publishable_key);
        assert_eq!(anonymous.send().await.status, 401, "{view}");
    }
}

#[tokio::test]
async fn defect_07_json_is_stored_as_json_never_as_text() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    a_row_in_every_table(&person, session_id, "hello").await;
    // Text in the place of an object is refused at both lines.
    let mut said = message(session_id, "hello");
    said["meta"] = json!("{\"a\":1}");
    let problem = assert_problem(&person.save(&said).await, 422, "validation_failed");
    assert_eq!(faults(&problem), [("/meta".to_owned(), "wrong_type".to_owned())]);
    assert_eq!(person.rest("POST", "chat_history").json(&said).send().await.status, 400);
    // What was saved is found by what is in it.
    said["meta"] = json!({ "mood": { "today": "good" } });
    assert_eq!(person.save(&said).await.status, 201);
    let found =
        person.rest("GET", &format!("chat_history?session_id=eq.{session_id}&meta-%3Emood-%3E%3Etoday=eq.good"));
    assert_eq!(found.send().await.json().as_array().unwrap().len(), 1);
    // And so it is in every column there is: only objects, by a rule of the table.
    let database = stack.database().await;
    // A message's parts are an array, which is kept as it was written.
    let columns = "select c.relname::text, a.attname::text, exists (select from pg_constraint k
          where k.contype = 'c' and (k.conrelid = c.oid and pg_get_constraintdef(k.oid)
              like '%jsonb_typeof(' || a.attname || ') = ''object''%'
            or k.contypid = t.oid and pg_get_constraintdef(k.oid) like '%jsonb_typeof((VALUE)::jsonb) = ''object''%'
            or k.contypid = t.oid and pg_get_constraintdef(k.oid) like '%jsonb_typeof(VALUE) = ''object''%'))
        from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
          and not a.attisdropped and (c.relname, a.attname) <> ('chat_history', 'parts')
          and coalesce(nullif(t.typbasetype, 0), t.oid) in ('jsonb'::regtype, 'json'::regtype)";
    let columns = database.query(columns, &[]).await.unwrap();
    assert!(columns.len() >= 5);
    for row in columns {
        let (table, column, held): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        assert!(held, "{table}.{column} may hold something other than an object");
        let wrong = format!("select count(*) from public.{table} where jsonb_typeof(to_jsonb({column})) <> 'object'");
        assert_eq!(database.query_one(&wrong, &[]).await.unwrap().get::<_, i64>(0), 0, "{table}.{column}");
    }
}

#[tokio::test]
async fn defect_08_every_word_the_original_wrote_is_taken() {
    let stack = Stack::running();
    let (mut person, mut session_id) = (Person::new(&stack).await, Uuid::new_v4());
    let labels = "greeting question affirmative negative support_people strengths worries goals no_support \
        no_strengths no_worries no_goals unclear";
    let methods = "roberta_zero_shot rule_based hf_zero_shot_bart_mnli distilbert hybrid llm_fallback empty_input \
        no_scores all_failed unavailable";
    let pairs =
        labels.split_whitespace().flat_map(|label| methods.split_whitespace().map(move |method| (label, method)));
    let mut saved = 0;
    for (label, method) in pairs {
        if saved % 100 == 0 {
            // Messages are limited.
            (person, session_id) = (Person::new(&stack).await, Uuid::new_v4());
        }
        let mut said = message(session_id, "hello");
        said["role"] = json!("bot");
        said["intent"] = json!({ "label": label, "method": method });
        said["risk"] = json!({ "label": label, "method": method });
        let answer = person.rpc("save_message", &said).await;
        assert_eq!(answer.status, 201, "{label} {method}: {}", answer.text());
        saved += 1;
    }
    assert_eq!(saved, 130);
    let types = "session_started session_completed step_completed risk_triggered llm_fallback_used distilbert_used \
        rule_based_used llm_turn_completed";
    let database = person.stack.database().await;
    for event_type in types.split_whitespace() {
        let insert = "insert into public.analytics (user_id, event_type, session_id) values ($1, $2, $3)";
        database.execute(insert, &[&person.user_id, &event_type, &session_id]).await.unwrap();
    }
}

#[tokio::test]
async fn defect_09_uniqueness_holds_where_a_column_is_null() {
    let mut database = Stack::running().database().await;
    let open = "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indisunique and not i.indisprimary and not i.indnullsnotdistinct
          and c.relnamespace = 'public'::regnamespace
          and exists (select from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey)
            and not a.attnotnull)";
    let open: Vec<String> = database.query(open, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(open, [""; 0], "unique over a column that may be null, with nulls that differ");
    // The one that has such a column: an event of nobody in particular, sent twice.
    let transaction = database.transaction().await.unwrap();
    let insert = "insert into public.analytics (id, user_id, event_type) values ($1, null, 'x')";
    let id = Uuid::new_v4();
    transaction.execute(insert, &[&id]).await.unwrap();
    let again = transaction.execute(insert, &[&id]).await.expect_err("a duplicate");
    assert_eq!(again.code(), Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION));
    transaction.rollback().await.unwrap();
}

#[tokio::test]
async fn defect_10_what_happened_once_is_counted_once() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let walk = [("next_step", ""), ("next_step", "a"), ("unclear", "b"), ("unclear", "c"), ("next_step", "d")];
    for (event, response) in walk.into_iter().chain([("next_step", "e"), ("start_llm_chat", "")]) {
        let mut body = json!({ "session_id": session_id, "event": event });
        if !response.is_empty() {
            body["response"] = json!(response);
        }
        let answer = move_on(&person, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut said = message(session_id, "hello");
    said["risk"] = json!({ "label": "distress" });
    assert_eq!(person.rpc("save_message", &said).await.status, 201);
    // By another way in, past the function.
    let other = message(session_id, "hello again");
    assert_eq!(person.rpc("save_message", &other).await.status, 201);
    let found = json!({ "session_id": session_id, "message_id": other["id"], "label": "distress" });
    assert_eq!(person.rest("POST", "risk_detections").json(&found).send().await.status, 201);
    let mut expected = vec!["risk_triggered"; 2];
    expected.extend(["session_completed", "session_started"]);
    expected.extend(["step_completed"; 4]);
    assert_eq!(events(&person, session_id).await, expected);
    let attempts = person.rest("GET", &format!("user_responses?session_id=eq.{session_id}&step=eq.strengths"));
    assert_eq!(attempts.send().await.json()[0]["attempt_count"], 2);
}

#[tokio::test]
async fn defect_11_health_asks_the_database_when_told_to_and_names_no_host() {
    let stack = Stack::running();
    let told = |answer: &Answer| {
        for word in ["127.0.0.1", "localhost", "http:", "postgres", "5432", &stack.publishable_key] {
            assert!(!answer.text().contains(word), "{word}: {}", answer.text());
        }
    };
    let cut_off = Isolated::start(&stack, "chat-message", &[("SUPABASE_URL", "http://127.0.0.1:9")]).await;
    // Without being told to, it asks nobody and says nothing of the database.
    for url in [stack.function("chat-message"), &cut_off.url] {
        let shallow = call("GET", format!("{url}/health")).send().await;
        assert_eq!((shallow.status.as_u16(), shallow.json().get("database")), (200, None));
        told(&shallow);
    }
    for (url, status, database) in
        [(stack.function("chat-message"), 200, "connected"), (&cut_off.url, 503, "disconnected")]
    {
        let deep = call("GET", format!("{url}/health?deep=1")).send().await;
        assert_eq!((deep.status.as_u16(), &deep.json()["database"]), (status, &json!(database)), "{}", deep.text());
        told(&deep);
    }
}

#[tokio::test]
async fn defect_12_a_write_sent_again_is_applied_once() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    let mut said = message(session_id, "hello");
    said["intent"] = json!({ "label": "greeting", "method": "rule_based" });
    said["risk"] = json!({ "label": "distress" });
    let answers = join_all((0..10).map(|_| person.rpc("save_message", &said))).await;
    let replayed = answers.iter().filter(|answer| answer.status == 200 && answer.json()["replayed"] == true).count();
    assert_eq!((replayed, answers.iter().filter(|answer| answer.status == 201).count()), (9, 1));
    let moved = json!({ "id": Uuid::new_v4(), "session_id": session_id, "event": "next_step" });
    for answer in join_all((0..10).map(|_| move_on(&person, &moved))).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let summary = json!({ "session_id": session_id, "summary_type": "complete", "summary_data": {} });
    let answers = join_all((0..10).map(|_| person.rpc("put_session_summary", &summary))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(201), with(200)), (1, 9));
    for table in
        ["chat_history", "intent_classifications", "risk_detections", "session_transitions", "session_summaries"]
    {
        assert_eq!(count(&person, table, session_id).await, 1, "{table}");
    }
    assert_eq!(events(&person, session_id).await, ["risk_triggered", "session_started"]);
}

#[tokio::test]
async fn defect_13_a_detected_crisis_always_shows_the_resources() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let mut said = message(Uuid::new_v4(), "hello");
    said["risk"] = json!({ "label": "distress" });
    let mut invalid = said.clone();
    invalid["role"] = json!("nobody");
    let mut reused = said.clone();
    reused["message"] = json!("other");
    for (sent, status) in [(&said, 201), (&said, 200), (&reused, 409), (&invalid, 422)] {
        let answer = person.save(sent).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        // Where nobody has to look for it: not below a debug field.
        let resources = answer.json()["crisis"]["resources"].clone();
        assert!(resources.as_array().is_some_and(|list| list.len() >= 6), "{}", answer.text());
    }
}

#[tokio::test]
async fn defect_14_no_read_is_cut_at_the_servers_maximum() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let database = stack.database().await;
    // What callers may call answers with one value. A set of rows PostgREST would cut without a word.
    let sets = "select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proretset
          and (has_function_privilege('authenticated', p.oid, 'execute') or has_function_privilege('anon', p.oid, 'execute'))";
    let sets: Vec<String> = database.query(sets, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(sets, [""; 0]);
    // More rows than hosted PostgREST gives at once (1000), of each list there is.
    let session_id = Uuid::new_v4();
    let insert = "with s as (insert into public.sessions (session_id, user_id)
          select case n when 1 then $2 else gen_random_uuid() end, $1 from generate_series(1, 1050) n returning session_id)
        select count(*) from s";
    database.query_one(insert, &[&person.user_id, &session_id]).await.unwrap();
    let insert = "with said as (insert into public.chat_history (session_id, id, role, message)
          select $1, gen_random_uuid(), 'bot', 'x' from generate_series(1, 1050) returning id)
        insert into public.risk_detections (session_id, message_id, label) select $1, id, 'distress' from said";
    database.execute(insert, &[&session_id]).await.unwrap();
    for (function, member, mut asked) in [
        ("list_sessions", "sessions", json!({ "limit": 200 })),
        ("list_risk_detections", "risk_detections", json!({ "limit": 200 })),
        ("get_history", "messages", json!({ "limit": 200, "session_id": session_id })),
    ] {
        let mut seen = 0;
        loop {
            let page = person.rpc(function, &asked).await.json();
            seen += page[member].as_array().unwrap().len();
            if !cursor::follow(&page, &mut asked) {
                break;
            }
        }
        assert_eq!(seen, 1050, "{function}");
    }
}

#[tokio::test]
async fn defect_15_no_client_begins_or_moves_a_session_in_a_state_it_names() {
    let person = Person::new(&Stack::running()).await;
    let session_id = Uuid::new_v4();
    for member in ["fsm_state", "state", "to", "version", "completed"] {
        let mut body = json!({ "session_id": session_id, "event": "next_step" });
        body[member] = json!("llm_conversation");
        let problem = assert_problem(&move_on(&person, &body).await, 422, "validation_failed");
        assert_eq!(faults(&problem), [(format!("/{member}"), "unknown_field".to_owned())]);
        let mut said = message(session_id, "hello");
        said[member] = json!("llm_conversation");
        assert_problem(&person.save(&said).await, 422, "validation_failed");
    }
    for (table, row) in [
        ("sessions", json!({ "session_id": session_id, "fsm_state": "llm_conversation" })),
        ("sessions", json!({ "session_id": session_id, "completed": true, "completion_time": "2026-01-01T00:00:00Z" })),
    ] {
        assert_eq!(person.rest("POST", table).json(&row).send().await.status, 403, "{row}");
    }
    person.say(session_id, "hello").await;
    let target = format!("sessions?session_id=eq.{session_id}");
    for change in [json!({ "fsm_state": "goals" }), json!({ "fsm_state": "goals", "version": 4 })] {
        assert_eq!(person.rest("PATCH", &target).json(&change).send().await.status, 403, "{change}");
    }
    let skip = json!({ "session_id": session_id, "event": "start_llm_chat" });
    assert_problem(&move_on(&person, &skip).await, 422, "illegal_transition");
    assert_eq!(session(&person, session_id).await["fsm_state"], "welcome");
}

#[tokio::test]
async fn defect_16_attempts_are_counted_across_workers() {
    let stack = Stack::running();
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    let unclear = json!({ "session_id": session_id, "event": "unclear", "machine": "check-in" });
    assert_eq!(move_on(&person, &unclear).await.json()["attempt_count"], 1);
    // Two more workers, neither of which has seen what came before.
    for (attempt, forced) in [(2, false), (3, true)] {
        let worker = Isolated::start(&stack, "fsm-transition", &[]).await;
        let answer = call("POST", &worker.url)
            .header("authorization", format!("Bearer {}", person.token))
            .json(&unclear)
            .send()
            .await
            .json();
        assert_eq!((&answer["attempt_count"], &answer["forced"]), (&json!(attempt), &json!(forced)), "{answer}");
    }
}
