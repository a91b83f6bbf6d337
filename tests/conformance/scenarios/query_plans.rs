//! The hot queries read what they answer with and no more, among a million messages.
//!
//! A function's inner queries cannot be explained from outside, so nothing is: the real functions run, as a caller, and
//! PostgreSQL's own counters of this transaction tell which indexes were scanned, how many entries were read of each,
//! and whether any table was read from end to end. The plan's shape, that is, and no time.

use std::collections::BTreeMap;

use conformance::scratch_database::ScratchDatabase;
use conformance::stack::Stack;
use tokio_postgres::{GenericClient, Transaction};

/// 10,000 sessions of a hundred people, the first of whom has a thousand; a million messages, a hundred thousand of
/// them in one session; a risk in each message of twelve hundred sessions; 300,000 events.
const SCENE: &str = "
    set session_replication_role = replica;
    set synchronous_commit = off;
    create function pg_temp.nth(n bigint) returns uuid language sql immutable
      as $$ select lpad(to_hex(n), 32, '0')::uuid $$;
    insert into auth.users (id) select pg_temp.nth(n) from generate_series(1, 100) n;
    insert into public.sessions (session_id, user_id, machine, machine_version, fsm_state, last_activity)
      select pg_temp.nth(n), pg_temp.nth(case when n <= 1000 then 1 else 2 + n % 99 end), 'supportive-yarn', 1, 'welcome',
        now() - n * interval '1 minute'
      from generate_series(1, 10000) n;
    insert into public.chat_history (session_id, id, role, message, seq)
      select pg_temp.nth(1), pg_temp.nth(n), 'bot', 'x', n from generate_series(1, 100000) n;
    insert into public.chat_history (session_id, id, role, message, seq)
      select pg_temp.nth(s), pg_temp.nth(n), 'bot', 'x', n
      from generate_series(2, 10000) s, generate_series(1, 91) n;
    insert into public.risk_detections (session_id, message_id, label, detected_at)
      select session_id, id, 'distress', now() - seq * interval '1 second'
      from public.chat_history where session_id between pg_temp.nth(2) and pg_temp.nth(200)
        or session_id between pg_temp.nth(1001) and pg_temp.nth(2000);
    insert into public.analytics (user_id, event_type, occurred_at)
      select pg_temp.nth(1 + n % 100), (array['session_started', 'step_completed', 'session_completed'])[1 + n % 3],
        now() - n * interval '1 second' from generate_series(1, 300000) n;
    set session_replication_role = origin;
    analyze;";

/// The person with the thousand sessions, and one of those sessions that is not the large one.
const CALLER: &str = "00000000-0000-0000-0000-000000000001";
const LARGE: &str = "'00000000-0000-0000-0000-000000000001'";
const SMALL: &str = "'00000000-0000-0000-0000-000000000005'";

/// How many sessions the caller has.
const SESSIONS: i64 = 1000;

/// A query to watch.
struct Hot {
    name: &'static str,
    /// With `$n` for the number of the call.
    call: String,
    /// The index it is there for.
    index: &'static str,
    /// Entries of all indexes together that one call may read: what it answers with or has to check, a few times over.
    /// To know which rows are the caller's, row level security looks up the session of each.
    entries: i64,
}

fn hot() -> Vec<Hot> {
    let hot = |name, call: String, index, entries| Hot { name, call, index, entries };
    let sessions = "sessions_user_id_last_activity_session_id_idx";
    let risks = "risk_detections_session_id_detected_at_id_idx";
    let history = "chat_history_session_id_seq_key";
    // A place in the middle of each list, other for each call.
    let cursor =
        |second: u32| format!("(extract(epoch from now() - interval '{second} s') * 1000000)::bigint - $n, null");
    vec![
        hot("newest messages", format!("select public.get_history({LARGE}, 50, 50000 - $n)"), history, 250),
        hot(
            "oldest messages",
            format!("select public.get_history({LARGE}, 50, 50000 + $n, null, 'asc')"),
            history,
            250,
        ),
        hot(
            "a message's place",
            format!("select public.save_message({LARGE}, gen_random_uuid(), 'bot', 'm $n')"),
            history,
            50,
        ),
        hot("the first page of messages", format!("select public.get_history({LARGE}, 50)"), history, 250),
        hot("a person's sessions", format!("select public.list_sessions(50, {})", cursor(30_000)), sessions, 200),
        hot("the first page of sessions", "select public.list_sessions(50)".to_owned(), sessions, 200),
        hot(
            "the first page of a session's risks",
            format!("select public.list_risk_detections({SMALL}, 50)"),
            risks,
            250,
        ),
        hot(
            "a session's risks",
            format!("select public.list_risk_detections({SMALL}, 50, {})", cursor(30)),
            risks,
            250,
        ),
        // The newest fifty of each of the person's sessions, of which two hundred have any, and the session of each.
        hot(
            "a person's risks",
            format!("select public.list_risk_detections(null, 50, {})", cursor(30)),
            risks,
            25 * SESSIONS,
        ),
        hot(
            "a person's events",
            "select count(*) from public.analytics where user_id = (select auth.uid())
               and event_type = 'step_completed' and occurred_at > now() - interval '1 day' + $n * interval '1 s'"
                .to_owned(),
            "analytics_user_id_event_type_occurred_at_idx",
            1_000,
        ),
        hot(
            "deleting a session",
            "select public.delete_session(lpad(to_hex(100 + $n), 32, '0')::uuid)".to_owned(),
            "risk_detections_session_id_message_id_key",
            1_000,
        ),
    ]
}

/// Scans and entries read so far in this transaction, by table and index.
async fn counters(client: &impl GenericClient) -> BTreeMap<(String, String), (i64, i64)> {
    let query = "select c.relkind::text, c.relname::text,
          coalesce(pg_stat_get_xact_numscans(c.oid), 0), coalesce(pg_stat_get_xact_tuples_returned(c.oid), 0)
        from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i')";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3)))).collect()
}

/// What is wrong with how a query is answered.
async fn faults(transaction: &Transaction<'_>, hot: &Hot) -> Vec<String> {
    const CALLS: i64 = 8;
    let large: Vec<String> = transaction
        .query("select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and reltuples > 1000", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(large.len() >= 4, "{large:?}");
    let before = counters(transaction).await;
    // What another process reads would not be counted here.
    let claims = format!(r#"{{"sub": "{CALLER}", "role": "authenticated"}}"#);
    let become_caller = format!(
        "set local max_parallel_workers_per_gather = 0; set local role authenticated;
         set local \"request.jwt.claims\" = '{claims}';"
    );
    transaction.batch_execute(&become_caller).await.unwrap();
    for n in 1..=CALLS {
        if n > CALLS / 2 {
            // First with plans made for the arguments, then with the one that must serve all.
            transaction.batch_execute("set local plan_cache_mode = force_generic_plan").await.unwrap();
        }
        let call = hot.call.replace("$n", &n.to_string());
        transaction.batch_execute(&call).await.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
    transaction.batch_execute("reset role").await.unwrap();
    let after = counters(transaction).await;

    let (mut found, mut entries, mut scans) = (Vec::new(), 0, 0);
    for ((kind, name), (scans_after, entries_after)) in after {
        let (scans_before, entries_before) = before.get(&(kind.clone(), name.clone())).copied().unwrap_or_default();
        match kind.as_str() {
            "i" => {
                entries += entries_after - entries_before;
                scans += if name == hot.index { scans_after - scans_before } else { 0 };
            }
            _ if scans_after > scans_before && large.contains(&name) => {
                found.push(format!("{name} was read from end to end"))
            }
            _ => {}
        }
    }
    if scans < CALLS {
        found.push(format!("{} was used {scans} times in {CALLS} calls", hot.index));
    }
    if entries > hot.entries * CALLS {
        found.push(format!("{} entries of indexes were read in a call", entries / CALLS));
    }
    found.into_iter().map(|fault| format!("{}: {fault}", hot.name)).collect()
}

#[tokio::test]
async fn hot_queries_use_their_index_among_a_million_messages() {
    let scratch = ScratchDatabase::new(&Stack::running()).await;
    let mut database = scratch.connect().await;
    database.batch_execute(SCENE).await.unwrap();
    let messages: i64 = database.query_one("select count(*) from public.chat_history", &[]).await.unwrap().get(0);
    let (mut wrong, mut unnoticed) = (Vec::new(), Vec::new());
    for hot in hot() {
        let transaction = database.transaction().await.unwrap();
        wrong.extend(faults(&transaction, &hot).await);
        transaction.rollback().await.unwrap();

        // Without its index the same must be found wanting, or this test holds nothing.
        let transaction = database.transaction().await.unwrap();
        let drop = "select coalesce(
            (select format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)
              from pg_constraint where conindid = $1::text::regclass and contype in ('p', 'u')),
            format('drop index %s', $1::text::regclass))";
        let index = format!("public.{}", hot.index);
        let drop: String = transaction.query_one(drop, &[&index]).await.unwrap().get(0);
        transaction.batch_execute(&drop).await.unwrap();
        // Deleting is slow without it, and must not hold the suite up.
        transaction.batch_execute("set local statement_timeout = '20s'").await.unwrap();
        if faults(&transaction, &hot).await.is_empty() {
            unnoticed.push(hot.name);
        }
        transaction.rollback().await.unwrap();
    }
    drop(database);
    scratch.remove().await;
    assert!(messages >= 1_000_000, "{messages}");
    assert_eq!(wrong, [""; 0]);
    assert_eq!(unnoticed, [""; 0], "these do as well without their index");
}
