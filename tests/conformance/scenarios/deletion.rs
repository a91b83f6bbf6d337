//! What is deleted stays deleted: a late retry does not bring it back, and what remains for statistics is nobody's.

use std::collections::BTreeSet;

use conformance::assertions::assert_problem;
use conformance::client::Answer;
use conformance::person::{Person, message};
use conformance::scratch_api::{Caller, ScratchApi};
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

/// Functions callers may call that take a session, with their arguments in order.
const FUNCTIONS: &str = "
    select p.proname::text, p.proargnames::text[] from pg_proc p
    where p.pronamespace = 'public'::regnamespace and 'session_id' = any (p.proargnames)
      and has_function_privilege('authenticated', p.oid, 'EXECUTE') order by 1";

/// Tables callers may insert into that belong to a session.
const TABLES: &str = "
    select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'session_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and has_column_privilege('authenticated', c.oid, a.attnum, 'INSERT') order by 1";

/// Every row of every table that tells of any of these words, by table.
async fn rows_that_tell(database: &Client, words: &[String]) -> Vec<(String, String)> {
    let tables = "select oid::regclass::text from pg_class where relkind = 'r' and relnamespace in
        ('public'::regnamespace, 'auth'::regnamespace, 'selvedge'::regnamespace)";
    let mut found = Vec::new();
    for table in database.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let query = format!(
            "select row_to_json(t)::text from {table} t
             where exists (select from unnest($1::text[]) w where strpos(row_to_json(t)::text, w) > 0)"
        );
        let rows = database.query(&query, &[&words]).await.unwrap();
        found.extend(rows.iter().map(|row| (table.clone(), row.get(0))));
    }
    found
}

fn refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["message"], message);
}

/// Something for each parameter a function may have.
fn arguments(session_id: Uuid, names: &[String]) -> Value {
    let value = |name: &str| match name {
        "session_id" => json!(session_id),
        "id" => json!(Uuid::new_v4()),
        "role" => json!("user"),
        "message" => json!("late"),
        "event" => json!("unclear"),
        "summary_type" => json!("partial"),
        "summary_data" | "changes" => json!({}),
        "log_level" => json!("INFO"),
        "component" => json!("x"),
        _ => Value::Null,
    };
    names.iter().map(|name| (name.clone(), value(name))).filter(|(_, value)| !value.is_null()).collect()
}

/// A conversation with something in every table, and a secret wherever the person's own words go.
async fn conversation(person: &Caller, session_id: Uuid, secret: &str) {
    let said = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": secret,
        "machine": "check-in", "meta": { "m": secret }, "intent": { "label": secret, "method": "x" },
        "risk": { "label": secret, "trigger_phrase": secret, "details": { "d": secret } } });
    let moved = |event: &str, response: Value| json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": event, "response": response });
    let summary = json!({ "session_id": session_id, "summary_type": "partial", "summary_data": { "s": secret } });
    let event = json!({ "id": Uuid::new_v4(), "event_type": "clicked", "event_data": { "e": secret },
        "session_id": session_id });
    let line = json!({ "id": Uuid::new_v4(), "log_level": "INFO", "component": "x", "message": secret,
        "session_id": session_id });
    for (function, arguments) in [
        ("save_message", said),
        ("transition_session", moved("next_step", json!(secret))),
        ("transition_session", moved("close", Value::Null)),
        ("put_session_summary", summary),
        ("record_events", json!({ "events": [event] })),
        ("record_log", line),
    ] {
        let answer = person.rpc(function, &arguments).await;
        assert!(answer.status.is_success(), "{function}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_same_request_after_a_deletion_is_gone_by_every_function_and_for_others_was_never_there() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, stranger, session_id) = (api.person().await, api.person().await, Uuid::new_v4());
    conversation(&person, session_id, "secret").await;
    let functions = database.query(FUNCTIONS, &[]).await.unwrap();
    assert!(functions.len() >= 10, "{functions:?}");
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": session_id })).await.status, 200);
    for row in &functions {
        let (function, names): (String, Vec<String>) = (row.get(0), row.get(1));
        let other_id = Uuid::new_v4();
        let (gone, unknown) = (arguments(session_id, &names), arguments(other_id, &names));
        if function == "record_log" {
            // A log line is never lost: the session is left out.
            assert_eq!(person.rpc(&function, &gone).await.status, 201);
            continue;
        }
        println!("{function}");
        refused(&person.rpc(&function, &gone).await, 410, "session_deleted");
        refused(&stranger.rpc(&function, &gone).await, 404, "session_not_found");
        // For a session that never existed the answer is not "deleted".
        let answer = stranger.rpc(&function, &unknown).await;
        assert_ne!(answer.status, 410, "{}", answer.text());
    }
    api.remove().await;
}

#[tokio::test]
async fn past_the_functions_nothing_is_written_under_a_deleted_id_either() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, stranger, session_id) = (api.person().await, api.person().await, Uuid::new_v4());
    conversation(&person, session_id, "secret").await;
    let gone = person.rest("DELETE", &format!("sessions?session_id=eq.{session_id}")).send().await;
    assert_eq!(gone.status, 204);
    let row = json!({ "session_id": session_id });
    refused(&person.insert("sessions", &row).await, 410, "session_deleted");
    refused(&stranger.insert("sessions", &row).await, 404, "session_not_found");
    let merged = person.rest("POST", "sessions").header("prefer", "resolution=merge-duplicates").json(&row);
    assert_eq!(merged.send().await.status, 403);
    let said = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "user", "message": "late" });
    refused(&person.insert("chat_history", &said).await, 410, "session_deleted");
    refused(&stranger.insert("chat_history", &said).await, 404, "session_not_found");
    let moved = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "unclear" });
    refused(&person.insert("session_transitions", &moved).await, 410, "session_deleted");
    // All tables, those that are not named above included: refused, or stored without the session.
    for table in database.query(TABLES, &[]).await.unwrap() {
        let table: String = table.get(0);
        let names: Vec<String> = ["session_id", "id", "role", "message", "event", "summary_type", "summary_data"]
            .into_iter()
            .chain(["log_level", "component"])
            .map(str::to_owned)
            .collect();
        let columns = "select array_agg(attname::text) from pg_attribute where attrelid = $1::text::regclass";
        let columns: Vec<String> = database.query_one(columns, &[&table]).await.unwrap().get(0);
        let mut row = arguments(session_id, &names);
        row.as_object_mut().unwrap().retain(|name, _| columns.contains(name));
        for (name, value) in [("message_id", json!(Uuid::new_v4())), ("label", json!("x")), ("method", json!("x"))] {
            if columns.iter().any(|column| column == name) {
                row[name] = value;
            }
        }
        row.as_object_mut()
            .unwrap()
            .extend(columns.contains(&"event_type".to_owned()).then(|| ("event_type".to_owned(), json!("x"))));
        person.insert(&table, &row).await;
        let left = format!("select count(*) from public.{table} where session_id = $1");
        let left: i64 = database.query_one(&left, &[&session_id]).await.unwrap().get(0);
        assert_eq!(left, 0, "{table}");
    }
    api.remove().await;
}

/// Whichever commits first: the write is there and is deleted with the session, or the answer is that it was deleted.
#[tokio::test]
async fn a_write_that_races_the_deletion_of_its_session_is_saved_or_gone_and_never_not_found() {
    let api = ScratchApi::new(&Stack::running(), 20).await;
    let database = api.database.connect().await;
    database.batch_execute("update public.rate_limits set at_most = 1000000").await.unwrap();
    let person = api.person().await;
    let mut statuses = BTreeSet::new();
    for _ in 0..60 {
        let sessions: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
        let answers = join_all(sessions.iter().map(async |session_id| {
            let said = |role: &str| {
                json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": role, "message": "x", "machine": "check-in" })
            };
            assert_eq!(person.rpc("save_message", &said("user")).await.status, 201);
            let (late, later, gone) = (said("user"), said("bot"), json!({ "session_id": session_id }));
            let moved = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "unclear" });
            let summary = json!({ "session_id": session_id, "summary_type": "partial", "summary_data": {} });
            let event = json!({ "events": [{ "id": Uuid::new_v4(), "event_type": "raced", "session_id": session_id }] });
            let (a, b, c, d, e, deleted) = tokio::join!(
                person.rpc("save_message", &late),
                person.rpc("save_message", &later),
                person.rpc("transition_session", &moved),
                person.rpc("put_session_summary", &summary),
                person.rpc("record_events", &event),
                person.rpc("delete_session", &gone),
            );
            assert_eq!(deleted.status, 200, "{}", deleted.text());
            // Events are stored, with their session or without.
            assert_eq!(e.status, 201, "{}", e.text());
            refused(&person.rpc("save_message", &late).await, 410, "session_deleted");
            [a, b, c, d]
        }))
        .await;
        for answer in answers.iter().flatten() {
            assert!([200, 201, 410].contains(&answer.status.as_u16()), "{}", answer.text());
            statuses.insert(answer.status.as_u16());
        }
        let left = "select (select count(*) from public.sessions where session_id = any ($1))
            + (select count(*) from public.chat_history where session_id = any ($1))
            + (select count(*) from public.analytics where session_id = any ($1))";
        assert_eq!(database.query_one(left, &[&sessions]).await.unwrap().get::<_, i64>(0), 0);
    }
    assert!(statuses.contains(&410) && statuses.len() > 1, "the race was none: {statuses:?}");
    let events =
        "select count(*) from public.analytics where event_type = 'raced' and user_id is null and event_data = '{}'";
    assert_eq!(database.query_one(events, &[]).await.unwrap().get::<_, i64>(0), 300);
    api.remove().await;
}

/// What operators read, by day.
async fn statistics(api: &ScratchApi) -> Value {
    let service = api.service();
    let counts = service.rest("GET", "daily_analytics?select=date,event_type,event_count&order=date,event_type").send();
    let completion = service.rest("GET", "session_completion_stats?order=date").send();
    json!([counts.await.json(), completion.await.json()])
}

#[tokio::test]
async fn what_stays_of_a_deleted_session_is_nobodys_and_statistics_stay_right() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, other) = (api.person().await, api.person().await);
    let (session_id, kept, secret) = (Uuid::new_v4(), Uuid::new_v4(), format!("secret-{}", Uuid::new_v4()));
    conversation(&person, session_id, &secret).await;
    conversation(&other, kept, "kept").await;
    // A conversation over two days counts on the one it began.
    let began = "update public.sessions set created_at = created_at - interval '2 days' where session_id = $1";
    let completed = "update public.analytics set event_data = event_data
        || jsonb_build_object('began_at', (event_data ->> 'began_at')::timestamptz - interval '2 days')
        where session_id = $1 and event_type = 'session_completed'";
    for change in [began, completed] {
        database.execute(change, &[&session_id]).await.unwrap();
    }
    let ids = "select array_agg(id::text) from public.analytics where session_id = $1";
    let ids: Vec<String> = database.query_one(ids, &[&session_id]).await.unwrap().get(0);
    assert_eq!(ids.len(), 5, "started, step, completed, risk and the caller's own");
    let (before, others) = (statistics(&api).await, rows_that_tell(&database, &[kept.to_string()]).await);
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": session_id })).await.status, 200);
    assert_eq!(statistics(&api).await, before);
    assert_eq!(rows_that_tell(&database, &[kept.to_string()]).await, others);

    let mut words = ids;
    words.push(secret);
    assert_eq!(rows_that_tell(&database, &words).await, []);
    let left = rows_that_tell(&database, &[session_id.to_string()]).await;
    assert_eq!(left.iter().map(|(table, _)| table.as_str()).collect::<Vec<_>>(), ["deleted_ids"], "{left:?}");
    let events = "select event_type, event_data::text from public.analytics
        where user_id is null and session_id is null order by event_type";
    let events: Vec<(String, String)> =
        database.query(events, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["clicked", "risk_triggered", "session_completed", "session_started", "step_completed"]);
    for (kind, data) in &events {
        assert!(!["clicked", "risk_triggered"].contains(&kind.as_str()) || data == "{}", "{kind} {data}");
    }
    // The person's own statistics have nothing of it, and PostgREST shows them no row of nobody's.
    assert_eq!(person.rest("GET", "analytics").send().await.json(), json!([]));
    api.remove().await;
}

#[tokio::test]
async fn a_late_event_of_a_deleted_session_is_counted_and_tells_nothing() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, session_id) = (api.person().await, Uuid::new_v4());
    conversation(&person, session_id, "early").await;
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": session_id })).await.status, 200);
    let (late, direct) = (Uuid::new_v4(), Uuid::new_v4());
    let event = |id: Uuid| json!({ "id": id, "event_type": "late", "event_data": { "e": "late words" }, "session_id": session_id });
    let answer = person.rpc("record_events", &json!({ "events": [event(late)] })).await;
    assert_eq!(answer.json(), json!({ "accepted": 1, "duplicates": 0 }));
    assert_eq!(person.insert("analytics", &event(direct)).await.status, 201);
    let words = [late.to_string(), direct.to_string(), "late words".to_owned()];
    assert_eq!(rows_that_tell(&database, &words).await, []);
    let counted = "select count(*) from public.analytics where event_type = 'late' and user_id is null
        and session_id is null and event_data = '{}'";
    assert_eq!(database.query_one(counted, &[]).await.unwrap().get::<_, i64>(0), 2);
    // Somebody else's event that names the session by chance keeps what it has.
    let stranger = api.person().await;
    let answer = stranger.rpc("record_events", &json!({ "events": [event(Uuid::new_v4())] })).await;
    assert_eq!(answer.status, 201);
    let own = stranger.rest("GET", "analytics?select=event_data").send().await;
    assert_eq!(own.json(), json!([{ "event_data": { "e": "late words" } }]));
    api.remove().await;
}

#[tokio::test]
async fn of_a_deleted_user_no_row_is_left_not_even_the_ids_of_what_they_deleted() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, deleted, kept) = (api.person().await, Uuid::new_v4(), Uuid::new_v4());
    conversation(&person, deleted, "first").await;
    conversation(&person, kept, "second").await;
    assert_eq!(person.rpc("delete_session", &json!({ "session_id": deleted })).await.status, 200);
    let words = [person.user_id, deleted, kept].map(|id| id.to_string());
    let before: BTreeSet<String> =
        rows_that_tell(&database, &words).await.into_iter().map(|(table, _)| table).collect();
    // Everything that has a column for a person or a session, as the catalogue says.
    let personal = "select distinct c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname in ('user_id', 'session_id')";
    for table in database.query(personal, &[]).await.unwrap() {
        assert!(before.contains(table.get::<_, &str>(0)), "{table:?} holds nothing; let conversation() make a row");
    }
    database.execute("delete from auth.users where id = $1", &[&person.user_id]).await.unwrap();
    assert_eq!(rows_that_tell(&database, &words).await, []);
    api.remove().await;
}

#[tokio::test]
async fn ids_of_what_was_deleted_are_kept_for_ninety_days_at_least() {
    let api = ScratchApi::new(&Stack::running(), 5).await;
    let database = api.database.connect().await;
    let (person, service) = (api.person().await, api.service());
    let put = "insert into public.deleted_ids (kind, id, user_id, deleted_at)
        select 'session', gen_random_uuid(), $1, now() - days * interval '1 day' from unnest(array[89, 91, 400]) days";
    database.execute(put, &[&person.user_id]).await.unwrap();
    for days in [json!(89), json!(0), json!(-1), Value::Null] {
        let answer = service.rpc("cleanup_deleted_ids", &json!({ "days": days })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (400, &json!("22023")), "{days}");
    }
    for (asked, forgotten) in [(json!({ "days": 365 }), 1), (json!({}), 1), (json!({ "days": 90 }), 0)] {
        assert_eq!(service.rpc("cleanup_deleted_ids", &asked).await.json(), json!(forgotten), "{asked}");
    }
    api.remove().await;
}

/// Through the edge functions. Their helper gives the code `session_deleted`.
#[tokio::test]
async fn through_the_edge_functions_a_deleted_session_is_410_session_deleted_on_every_route() {
    let stack = Stack::running();
    let (person, stranger, session_id) = (Person::new(&stack).await, Person::new(&stack).await, Uuid::new_v4());
    let first = message(session_id, "first");
    assert_eq!(person.save(&first).await.status, 201);
    let gone = person.call("DELETE", "chat-message", &format!("/sessions/{session_id}")).send().await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let moved = json!({ "session_id": session_id, "event": "unclear" });
    let session = format!("/sessions/{session_id}");
    let query = format!("?session_id={session_id}");
    let (summary, summaries) = (json!({ "summary_data": {} }), format!("{session}/summaries/partial"));
    for (method, function, target, body) in [
        ("POST", "chat-message", "", Some(&first)),
        ("GET", "chat-message", query.as_str(), None),
        ("GET", "chat-message", session.as_str(), None),
        ("DELETE", "chat-message", session.as_str(), None),
        ("PUT", "chat-message", summaries.as_str(), Some(&summary)),
        ("GET", "chat-message", summaries.as_str(), None),
        ("POST", "fsm-transition", "", Some(&moved)),
        ("GET", "fsm-transition", query.as_str(), None),
    ] {
        println!("{method} {function}{target}");
        let send = async |who: &Person| {
            let call = who.call(method, function, target);
            match body {
                Some(body) => call.json(body).send().await,
                None => call.send().await,
            }
        };
        assert_problem(&send(&person).await, 410, "session_deleted");
        assert_problem(&send(&stranger).await, 404, "session_not_found");
    }
}
