//! Every row of rate_limits: exactly so much, whichever way it comes, however many come at once, and not one more.
//!
//! The rows are the table's own. A migration that adds one must add here how a caller uses it, or the first test fails.

use std::collections::BTreeSet;
use std::time::Duration;

use conformance::client::Answer;
use conformance::scratch_api::{Caller, ScratchApi};
use conformance::stack::Stack;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

/// One thing that a limit counts.
struct Way {
    what: &'static str,
    role: &'static str,
    /// What one use costs.
    amount: i64,
    /// By function: its name, and arguments for a session of its own.
    call: fn(Uuid) -> (&'static str, Value),
    /// By insert: a table and a row, for a session that is there.
    row: fn(Uuid) -> (&'static str, Value),
    /// Whether the same request again costs nothing.
    repeats: bool,
}

const SIGNED_IN: &str = "authenticated";

fn said(session_id: Uuid, role: &str) -> Value {
    json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": role, "message": "x" })
}

fn event(session_id: Option<Uuid>) -> Value {
    json!({ "id": Uuid::new_v4(), "event_type": "x", "event_data": { "a": "b" }, "session_id": session_id })
}

fn line() -> Value {
    json!({ "id": Uuid::new_v4(), "log_level": "INFO", "component": "x", "message": "x" })
}

fn summary(session_id: Uuid) -> Value {
    json!({ "session_id": session_id, "summary_type": "partial", "summary_data": {} })
}

fn a_move(session_id: Uuid) -> Value {
    json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "unclear" })
}

fn a_first_move(session_id: Uuid) -> Value {
    json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "unclear", "machine": "check-in" })
}

/// How much `event()` is, in bytes as stored.
const EVENT_BYTES: i64 = 15;

/// How much a message of `said()` is.
const MESSAGE_BYTES: i64 = 6;

fn ways() -> Vec<Way> {
    vec![
        Way {
            what: "user_messages",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("save_message", said(session, "user")),
            row: |session| ("chat_history", said(session, "user")),
            repeats: true,
        },
        Way {
            what: "other_messages",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("save_message", said(session, "bot")),
            row: |session| ("chat_history", said(session, "system")),
            repeats: true,
        },
        Way {
            what: "message_bytes",
            role: SIGNED_IN,
            amount: MESSAGE_BYTES,
            call: |session| ("save_message", said(session, "bot")),
            row: |session| ("chat_history", said(session, "system")),
            repeats: true,
        },
        Way {
            what: "session_changes",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("update_session", json!({ "session_id": session, "changes": { "title": "x" } })),
            // Nothing is inserted.
            row: |session| ("rpc/update_session", json!({ "session_id": session, "changes": { "title": "x" } })),
            repeats: false,
        },
        Way {
            what: "sessions",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("save_message", said(session, "bot")),
            row: |_| ("sessions", json!({ "session_id": Uuid::new_v4() })),
            repeats: true,
        },
        Way {
            what: "moves",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("transition_session", a_first_move(session)),
            row: |session| ("session_transitions", a_move(session)),
            repeats: true,
        },
        Way {
            what: "summaries",
            role: SIGNED_IN,
            amount: 1,
            call: |session| ("put_session_summary", summary(session)),
            row: |session| ("session_summaries", summary(session)),
            // A replaced summary counts.
            repeats: false,
        },
        Way {
            what: "events",
            role: SIGNED_IN,
            amount: 1,
            call: |_| ("record_events", json!({ "events": [event(None)] })),
            row: |_| ("analytics", event(None)),
            repeats: true,
        },
        Way {
            what: "event_bytes",
            role: SIGNED_IN,
            amount: EVENT_BYTES,
            call: |session| ("record_events", json!({ "events": [event(Some(session))] })),
            row: |_| ("analytics", event(None)),
            repeats: true,
        },
        Way {
            what: "log_lines",
            role: SIGNED_IN,
            amount: 1,
            call: |_| ("record_log", line()),
            row: |_| ("system_logs", line()),
            repeats: true,
        },
        Way {
            what: "events",
            role: "anon",
            amount: 1,
            call: |_| ("record_events", json!({ "events": [event(None)] })),
            row: |_| ("analytics", event(None)),
            repeats: true,
        },
        Way {
            what: "event_bytes",
            role: "anon",
            amount: EVENT_BYTES,
            call: |_| ("record_events", json!({ "events": [event(None)] })),
            row: |_| ("analytics", event(None)),
            repeats: true,
        },
        Way {
            what: "log_lines",
            role: "anon",
            amount: 1,
            call: |_| ("record_log", line()),
            row: |_| ("system_logs", line()),
            repeats: true,
        },
    ]
}

/// A database where one limit holds, and the others stand in nobody's way.
struct Scene {
    api: ScratchApi,
    database: Client,
}

impl Scene {
    async fn new() -> Self {
        let api = ScratchApi::new(&Stack::running(), 20).await;
        let database = api.database.connect().await;
        Self { api, database }
    }

    async fn allow(&self, way: &Way, at_most: i64, window: Option<&str>) {
        let set = format!(
            "update public.rate_limits set at_most = 1000000, \"window\" = interval '1 minute';
             delete from public.rate_limit_uses;
             update public.rate_limits set at_most = {}, \"window\" = {}
               where what = '{}' and role = '{}'",
            at_most * way.amount,
            window.map_or("null".to_owned(), |window| format!("interval '{window}'")),
            way.what,
            way.role
        );
        self.database.batch_execute(&set).await.unwrap();
    }

    async fn caller(&self, role: &str) -> Caller {
        if role == SIGNED_IN { self.api.person().await } else { self.api.visitor() }
    }

    /// Sessions to write into, where there is somebody to have them.
    async fn sessions(&self, caller: &Caller, count: usize) -> Vec<Uuid> {
        let sessions: Vec<Uuid> = (0..count).map(|_| Uuid::new_v4()).collect();
        if !caller.user_id.is_nil() {
            let insert = "insert into public.sessions (session_id, user_id, machine)
                select id, $1, 'check-in' from unnest($2::uuid[]) id";
            self.database.execute(insert, &[&caller.user_id, &sessions]).await.unwrap();
        }
        sessions
    }

    /// Sessions for calls: a call that begins sessions counts them, the others write into some that are there.
    async fn sessions_for(&self, way: &Way, caller: &Caller, count: usize) -> Vec<Uuid> {
        if way.what == "sessions" {
            return (0..count).map(|_| Uuid::new_v4()).collect();
        }
        self.sessions(caller, count).await
    }
}

async fn by_function(way: &Way, caller: &Caller, session_id: Uuid) -> Answer {
    let (function, arguments) = (way.call)(session_id);
    caller.rpc(function, &arguments).await
}

async fn by_insert(way: &Way, caller: &Caller, session_id: Uuid) -> Answer {
    let (table, row) = (way.row)(session_id);
    caller.insert(table, &row).await
}

/// The seconds to wait that a refusal tells.
#[track_caller]
fn refused(answer: &Answer, what: &str) -> u64 {
    assert_eq!(answer.status, 429, "{what}: {}", answer.text());
    let problem = answer.json();
    assert_eq!((&problem["code"], &problem["message"]), (&json!("PT429"), &json!("rate_limited")), "{what}");
    let details: Value = serde_json::from_str(problem["details"].as_str().unwrap()).unwrap();
    assert_eq!(details["limit"], what);
    details["retry_after"].as_u64().filter(|seconds| *seconds >= 1).unwrap_or_else(|| panic!("{what}: {details}"))
}

/// How many got through; the others must have been refused by this limit.
#[track_caller]
fn through(answers: &[Answer], what: &str) -> usize {
    let (through, over): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status.is_success());
    for answer in over {
        refused(answer, what);
    }
    through.len()
}

#[tokio::test]
async fn every_limit_there_is_has_a_way_to_use_it_here() {
    let scene = Scene::new().await;
    let rows = scene.database.query("select what, role from public.rate_limits", &[]).await.unwrap();
    let there: BTreeSet<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let here = ways().iter().map(|way| (way.what.to_owned(), way.role.to_owned())).collect();
    assert_eq!(there, here);
    scene.api.remove().await;
}

#[tokio::test]
async fn of_twenty_callers_at_once_exactly_as_many_get_through_as_may() {
    let scene = Scene::new().await;
    for way in ways() {
        // Up to sixty uses are remembered one by one, more in slots; both must be exact. And as a total, which only
        // sessions may have.
        for (window, used_before) in [(Some("1 minute"), 0), (Some("1 minute"), 93), (None, 0)] {
            if window.is_none() && way.what != "sessions" {
                continue;
            }
            scene.allow(&way, 7 + used_before, window).await;
            let caller = scene.caller(way.role).await;
            let user_id = (!caller.user_id.is_nil()).then_some(caller.user_id);
            let put = "insert into public.rate_limit_uses (user_id, what, used_at, used)
                values ($1, $2, array[clock_timestamp() - interval '10 s'], array[$3::bigint])";
            scene.database.execute(put, &[&user_id, &way.what, &(used_before * way.amount)]).await.unwrap();
            let sessions = scene.sessions_for(&way, &caller, 20).await;
            let answers = join_all(sessions.iter().map(|session| by_function(&way, &caller, *session))).await;
            assert_eq!(through(&answers, way.what), 7, "{} of {} by function, {window:?}", way.what, way.role);
            // What was used by function is used for inserts, too.
            let session = scene.sessions(&caller, 1).await[0];
            if way.what != "sessions" {
                assert_eq!(through(&[by_insert(&way, &caller, session).await], way.what), 0);
            }

            scene.allow(&way, 7, window).await;
            let sessions = scene.sessions(&caller, 20).await;
            let answers = join_all(sessions.iter().map(|session| by_insert(&way, &caller, *session))).await;
            assert_eq!(through(&answers, way.what), 7, "{} of {} by insert, {window:?}", way.what, way.role);
        }
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn the_same_again_is_not_counted_and_a_refused_request_neither() {
    let scene = Scene::new().await;
    for way in ways().iter().filter(|way| way.repeats) {
        scene.allow(way, 2, Some("1 minute")).await;
        let caller = scene.caller(way.role).await;
        let sessions = scene.sessions_for(way, &caller, 3).await;
        let (function, first) = (way.call)(sessions[0]);
        for n in 0..4 {
            let answer = caller.rpc(function, &first).await;
            assert!(answer.status.is_success(), "{} {n}: {}", way.what, answer.text());
        }
        let answers = join_all(sessions.iter().skip(1).map(|session| by_function(way, &caller, *session))).await;
        assert_eq!(through(&answers, way.what), 1, "{}", way.what);
        // At the limit, a lost answer can still be asked for.
        assert!(caller.rpc(function, &first).await.status.is_success(), "{}", way.what);
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn people_have_a_limit_each_and_all_visitors_have_one_together() {
    let scene = Scene::new().await;
    for way in ways() {
        scene.allow(&way, 1, Some("1 minute")).await;
        let mut answers = Vec::new();
        for n in 0..2 {
            let caller = scene.caller(way.role).await;
            let session = scene.sessions_for(&way, &caller, 1).await[0];
            let (function, arguments) = (way.call)(session);
            let call = caller.rest("POST", &format!("rpc/{function}")).header("user-agent", format!("browser {n}"));
            answers.push(call.json(&arguments).send().await);
        }
        let expected = if way.role == SIGNED_IN { 2 } else { 1 };
        assert_eq!(through(&answers, way.what), expected, "{} of {}", way.what, way.role);
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn an_operator_changes_a_limit_and_it_holds_at_once() {
    let scene = Scene::new().await;
    let service = scene.api.service();
    for way in ways() {
        scene.allow(&way, 1, Some("1 minute")).await;
        let caller = scene.caller(way.role).await;
        let row = format!("rate_limits?what=eq.{}&role=eq.{}", way.what, way.role);
        for (method, change, fits) in [
            ("PATCH", json!({ "at_most": way.amount }), 1),
            ("PATCH", json!({ "at_most": way.amount * 3 }), 2),
            ("PATCH", json!({ "at_most": way.amount * 2 }), 0),
            ("PATCH", json!({ "at_most": way.amount * 70 }), 4),
            ("PATCH", json!({ "at_most": 0 }), 0),
            // No row, no limit.
            ("DELETE", Value::Null, 4),
        ] {
            let changed = service.rest(method, &row).json(&change).send().await;
            assert_eq!(changed.status, 204, "{}", changed.text());
            let mut answers = Vec::new();
            for session in scene.sessions_for(&way, &caller, if fits == 4 { 4 } else { fits + 1 }).await {
                answers.push(by_function(&way, &caller, session).await);
            }
            assert_eq!(through(&answers, way.what), fits, "{} after {change}", way.what);
        }
        let restore = "insert into public.rate_limits values ($1, $2, interval '1 minute', 1)";
        scene.database.execute(restore, &[&way.what, &way.role]).await.unwrap();
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn callers_neither_read_nor_change_a_limit_or_a_count() {
    let scene = Scene::new().await;
    for caller in [scene.api.person().await, scene.api.visitor()] {
        for table in ["rate_limits", "rate_limit_uses"] {
            for (method, query) in
                [("GET", ""), ("PATCH", "?what=eq.sessions"), ("DELETE", "?what=eq.sessions"), ("POST", "")]
            {
                let call = caller.rest(method, &format!("{table}{query}")).json(&json!({ "what": "sessions" }));
                let status = call.send().await.status.as_u16();
                assert!([401, 403].contains(&status), "{method} {table}: {status}");
            }
        }
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn of_a_total_what_was_deleted_is_given_back_however_it_was_deleted() {
    let scene = Scene::new().await;
    let all = ways();
    let way = all.iter().find(|way| way.what == "sessions").unwrap();
    scene.allow(way, 3, None).await;
    let caller = scene.caller(SIGNED_IN).await;
    let sessions: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
    for session in &sessions {
        assert_eq!(by_function(way, &caller, *session).await.status, 201);
    }
    assert_eq!(refused(&by_function(way, &caller, Uuid::new_v4()).await, "sessions"), 86_400);
    assert_eq!(caller.rpc("delete_session", &json!({ "session_id": sessions[0] })).await.status, 200);
    let gone = caller.rest("DELETE", &format!("sessions?session_id=eq.{}", sessions[1])).send().await;
    assert_eq!(gone.status, 204);
    let again: Vec<Uuid> = (0..3).map(|_| Uuid::new_v4()).collect();
    let answers = join_all(again.iter().map(|session| by_function(way, &caller, *session))).await;
    assert_eq!(through(&answers, "sessions"), 2);
    // Cleaned up by the operator: given back, too.
    let old = "update public.sessions set last_activity = now() - interval '9 days' where user_id = $1";
    scene.database.execute(old, &[&caller.user_id]).await.unwrap();
    let cleaned = scene.api.service().rpc("cleanup_old_sessions", &json!({ "idle_days": 7 })).await;
    assert_eq!(cleaned.json(), json!(3), "{}", cleaned.text());
    let more: Vec<Uuid> = (0..5).map(|_| Uuid::new_v4()).collect();
    let answers = join_all(more.iter().map(|session| by_function(way, &caller, *session))).await;
    assert_eq!(through(&answers, "sessions"), 3);
    scene.api.remove().await;
}

#[tokio::test]
async fn whoever_waits_as_long_as_told_gets_through() {
    let scene = Scene::new().await;
    let all = ways();
    let way = all.iter().find(|way| way.what == "log_lines" && way.role == SIGNED_IN).unwrap();
    // Remembered one by one; and in slots, whose ends lie in the future. The longest is not waited for, only reckoned.
    for (at_most, window, waits) in [(2, "2 s", true), (100, "6 s", true), (100, "1 minute", false)] {
        scene.allow(way, at_most, Some(window)).await;
        let caller = scene.caller(SIGNED_IN).await;
        let bulk: Value = (0..at_most).map(|_| line()).collect();
        let (filled, over) = (caller.insert("system_logs", &bulk).await, by_function(way, &caller, Uuid::nil()).await);
        assert_eq!(filled.status, 201, "{}", filled.text());
        let seconds = refused(&over, "log_lines");
        let query = "select ceil(extract(epoch from max(t) - clock_timestamp() + $1::text::interval))::bigint
            from public.rate_limit_uses, unnest(used_at) t";
        let needed: i64 = scene.database.query_one(query, &[&window]).await.unwrap().get(0);
        assert!(seconds.cast_signed() >= needed, "{at_most} in {window}: told {seconds}, needed {needed}");
        if !waits {
            continue;
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        // All of it has expired: it was used in one moment.
        let bulk: Value = (0..at_most).map(|_| line()).collect();
        let through = caller.insert("system_logs", &bulk).await;
        assert_eq!(through.status, 201, "{at_most} in {window}, after {seconds} s: {}", through.text());
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn callers_who_use_everything_at_once_never_wait_for_each_other_in_a_circle() {
    let scene = Scene::new().await;
    scene.database.batch_execute("update public.rate_limits set at_most = 1000000").await.unwrap();
    let person = scene.api.person().await;
    let sessions = scene.sessions(&person, 4).await;
    let all: Vec<Way> = ways().into_iter().filter(|way| way.role == SIGNED_IN).collect();
    let mut calls = Vec::new();
    for round in 0..12 {
        for (place, way) in all.iter().enumerate() {
            let session = if round % 3 == 0 { Uuid::new_v4() } else { sessions[(round + place) % 4] };
            calls.push((way, session, round % 2 == 0));
        }
    }
    let answers = join_all(calls.iter().map(async |(way, session, is_call)| {
        if *is_call { by_function(way, &person, *session).await } else { by_insert(way, &person, *session).await }
    }));
    for (answer, (way, ..)) in answers.await.iter().zip(&calls) {
        // Nothing but what the session's own rules refuse: one summary of a type, moves that are over, no such session.
        let code = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default()["code"].clone();
        let is_rule = ["23505", "PT422", "PT404", "42501", "PT409"].iter().any(|known| code == *known);
        assert!(answer.status.is_success() || is_rule, "{}: {}", way.what, answer.text());
    }
    scene.api.remove().await;
}

#[tokio::test]
async fn the_service_role_is_not_limited() {
    let scene = Scene::new().await;
    scene.database.batch_execute("update public.rate_limits set at_most = 0").await.unwrap();
    let (person, service) = (scene.api.person().await, scene.api.service());
    let session = scene.sessions(&person, 1).await[0];
    for n in 0..3 {
        let mut saved = said(session, "user");
        saved["user_id"] = json!(person.user_id);
        let answer = service.rpc("save_message_as", &saved).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let message_row = said(session, "bot");
        let row = json!({ "session_id": Uuid::new_v4(), "user_id": person.user_id });
        let mut summary = summary(session);
        summary["summary_type"] = json!(["partial", "complete", "llm_context"][n]);
        for (table, row) in [
            ("chat_history", message_row),
            ("sessions", row),
            ("analytics", event(None)),
            ("system_logs", line()),
            ("session_summaries", summary),
        ] {
            let answer = service.insert(table, &row).await;
            assert_eq!(answer.status, 201, "{table}: {}", answer.text());
        }
    }
    // More than five hundred rows in one statement, too.
    let many: Value = (0..600).map(|_| line()).collect();
    assert_eq!(service.insert("system_logs", &many).await.status, 201);
    scene.api.remove().await;
}
