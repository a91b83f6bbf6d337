//! Everything in `public`, attacked through PostgREST by everybody, as the catalogue lists it.
//!
//! Nothing here names a table but the list of what callers may do. A new table, view or function is attacked as soon
//! as its migration is there, and fails the suite until what it grants has been looked at.

use conformance::attack::{Attacker, Target};
use conformance::catalogue::{Catalogue, May, faults};
use conformance::person::Person;
use conformance::seed::a_row_in_every_table;
use conformance::stack::Stack;
use serde_json::Value;
use uuid::Uuid;

/// All that callers may do past the functions, and why. Everything else is refused to everybody.
const REVIEWED: &[May] = &[
    // All that anon may do is to add (contract, section 7), and to ask whether the database is there.
    May {
        role: "anon",
        verb: "INSERT",
        on: "analytics",
        columns: &["id", "event_type", "event_data", "session_id", "occurred_at"],
        reason: "events of people who are not signed in; they are nobody's, and nobody reads them",
    },
    May {
        role: "anon",
        verb: "INSERT",
        on: "system_logs",
        columns: &["id", "log_level", "component", "message", "session_id", "error_trace"],
        reason: "log lines of people who are not signed in; a trigger leaves out the session",
    },
    May {
        role: "anon",
        verb: "EXECUTE",
        on: "record_events(json, timestamp with time zone)",
        columns: &[],
        reason: "analytics calls it for callers without a token",
    },
    May {
        role: "anon",
        verb: "EXECUTE",
        on: "record_log(uuid, text, text, text, uuid, text)",
        columns: &[],
        reason: "analytics calls it for callers without a token",
    },
    May {
        role: "anon",
        verb: "EXECUTE",
        on: "database_is_there()",
        columns: &[],
        reason: "deep health checks call it as nobody; it reads nothing",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "database_is_there()",
        columns: &[],
        reason: "deep health checks call it; it reads nothing",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "sessions",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "sessions",
        columns: &["session_id", "machine", "title", "meta"],
        reason: "a client names its session and its machine, and gives it a title and meta; the rest comes from defaults",
    },
    May {
        role: "authenticated",
        verb: "UPDATE",
        on: "sessions",
        columns: &[
            "title",
            "meta",
            "machine",
            "machine_version",
            "fsm_state",
            "version",
            "last_activity",
            "completed",
            "completion_time",
        ],
        reason: "title, meta and, until the first move, the machine are the caller's; the others are for triggers that \
                 run as their caller: one puts the server's time in, a guard refuses what is not a move",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "chat_history",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "chat_history",
        columns: &["session_id", "id", "role", "message", "parts", "meta", "written_at"],
        reason: "what a message consists of; seq, written_by and created_at are the server's",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "save_message(uuid, uuid, text, text, json, json, json, json, text, timestamp with time zone)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "get_history(uuid, integer, bigint, bigint, text, text[])",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "fsm_machines",
        columns: &[],
        reason: "machines are no secret, and transition_session reads them as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "fsm_states",
        columns: &[],
        reason: "machines are no secret, and transition_session reads them as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "fsm_transitions",
        columns: &[],
        reason: "machines are no secret, and transition_session reads them as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "session_transitions",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "user_responses",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "analytics",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "session_transitions",
        columns: &["session_id", "id", "event", "response"],
        reason: "a move is a row; the trigger decides whether it is legal and fills in the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "user_responses",
        columns: &["session_id", "step", "response", "attempt_count"],
        reason: "for the trigger of a move, which runs as its caller; a guard refuses everything else",
    },
    May {
        role: "authenticated",
        verb: "UPDATE",
        on: "user_responses",
        columns: &["response", "attempt_count", "updated_at"],
        reason: "for the trigger of a move, which runs as its caller; a guard refuses everything else",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "analytics",
        columns: &["id", "event_type", "event_data", "session_id", "occurred_at"],
        reason: "what an event consists of; whose it is, its source and when it came are set by the server",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "system_logs",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "system_logs",
        columns: &["id", "log_level", "component", "message", "session_id", "error_trace"],
        reason: "what a line consists of; a trigger leaves out a session that is not the caller's",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "sessions_to_cleanup",
        columns: &[],
        reason: "a view with the caller's rights over rows they may read",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "daily_analytics",
        columns: &[],
        reason: "a view with the caller's rights over rows they may read",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "session_outcomes",
        columns: &[],
        reason: "a view with the caller's rights over rows they may read",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "session_completion_stats",
        columns: &[],
        reason: "a view with the caller's rights over rows they may read",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "record_events(json, timestamp with time zone)",
        columns: &[],
        reason: "analytics calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "record_log(uuid, text, text, text, uuid, text)",
        columns: &[],
        reason: "analytics calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "get_analytics_summary(integer, text)",
        columns: &[],
        reason: "analytics calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "transition_session(uuid, uuid, text, text, integer, text)",
        columns: &[],
        reason: "fsm-transition calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "get_session_state(uuid)",
        columns: &[],
        reason: "fsm-transition calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "DELETE",
        on: "sessions",
        columns: &[],
        reason: "people may delete what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "get_session(uuid)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "delete_session(uuid)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "list_sessions(integer, bigint, uuid)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "list_risk_detections(uuid, integer, bigint, uuid)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "put_session_summary(uuid, text, jsonb)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "get_session_summary(uuid, text)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "intent_classifications",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "intent_classifications",
        columns: &["session_id", "message_id", "label", "confidence", "method", "fsm_state", "inference_time_ms"],
        reason: "what a classification consists of; its id and time are the server's",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "risk_detections",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "risk_detections",
        columns: &["session_id", "message_id", "label", "trigger_phrase", "confidence", "method", "model", "details"],
        reason: "what a detection consists of; its id and time are the server's, and a trigger writes its event",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "session_summaries",
        columns: &[],
        reason: "people read what is theirs; RLS leaves out the rest",
    },
    May {
        role: "authenticated",
        verb: "INSERT",
        on: "session_summaries",
        columns: &["session_id", "summary_type", "summary_data"],
        reason: "what a summary consists of; when it was made is the server's",
    },
    May {
        role: "authenticated",
        verb: "UPDATE",
        on: "session_summaries",
        columns: &["summary_data"],
        reason: "a summary may be replaced; a trigger sets when that was",
    },
    May {
        role: "authenticated",
        verb: "EXECUTE",
        on: "update_session(uuid, json)",
        columns: &[],
        reason: "chat-message calls it as its caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "settings",
        columns: &[],
        reason: "no secret is a setting, and triggers read them as their caller",
    },
    May {
        role: "authenticated",
        verb: "SELECT",
        on: "deleted_ids",
        columns: &[],
        reason: "functions tell their caller deleted from not found; RLS leaves out the rest",
    },
    // `cargo xtask new` adds a new function's here.
];

/// Tables whose grants are for a trigger that runs as its caller: a guard refuses the owner, too.
const GUARDED: &[&str] = &["user_responses"];

/// Functions that may run with their owner's rights, each with its reason: none.
const DEFINERS: &[&str] = &[];

/// Tables where there is one row for each parent, or for each word of a short list: beside the victim's there is no
/// room, and the owner's second one is refused as a repetition.
const ONE_EACH: &[&str] = &["intent_classifications", "risk_detections", "session_summaries"];

/// What the owner keeps to themselves.
struct Victim {
    person: Person,
    secret: String,
    catalogue: Catalogue,
    rows: Vec<(String, Value)>,
    /// Every id in rows that are theirs.
    ids: Vec<String>,
}

impl Victim {
    async fn on(stack: &Stack) -> Self {
        let (person, secret) = (Person::new(stack).await, format!("secret-{}", Uuid::new_v4()));
        a_row_in_every_table(&person, Uuid::new_v4(), &secret).await;
        let database = stack.database().await;
        let catalogue = Catalogue::read(&database).await;
        let rows = catalogue.rows_of(&database, person.user_id).await;
        let mut ids = Vec::new();
        for table in catalogue.relations.iter().filter(|table| table.is_table() && catalogue.is_personal(table)) {
            let theirs =
                rows.iter().filter(|(name, _)| *name == table.name).flat_map(|(_, rows)| rows.as_array().unwrap());
            let values: Vec<&Value> = theirs.flat_map(|row| row.as_object().unwrap().values()).collect();
            assert!(!values.is_empty(), "{}: nothing to attack; let a_row_in_every_table() make one", table.name);
            let texts = values.into_iter().filter_map(Value::as_str);
            ids.extend(texts.filter(|text| Uuid::try_parse(text).is_ok()).map(str::to_owned));
        }
        Self { person, secret, catalogue, rows, ids }
    }

    /// Attacks everything as somebody, and tells what should not have happened.
    async fn attacked_by(&self, attacker: &Attacker) -> Vec<String> {
        let role = attacker.role();
        let may =
            |verb: &str, on: &str, column: Option<&str>| REVIEWED.iter().any(|may| may.covers(role, verb, on, column));
        let targets = Target::all(&self.catalogue, &self.rows);
        let given = |verb: &'static str, on: &str, column: &str| may(verb, on, Some(column));
        let mut wrong = Vec::new();
        for attempt in targets.iter().flat_map(|target| target.attempts(&self.secret, &given)) {
            let allowed = attempt.needs.iter().all(|(verb, column)| may(verb, &attempt.on, column.as_deref()));
            let answer = attacker.send(&attempt).await;
            let told = answer.tells([&self.secret, &self.person.user_id.to_string()])
                || (attempt.only_reads() && answer.tells(&self.ids));
            let fault = match (allowed, answer.is_refused(&attempt)) {
                (true, true) => Some("was refused, though it is on the list"),
                (false, false) => Some("was not refused as it should be"),
                _ if attacker.is_owner() => {
                    let on = attempt.on.as_str();
                    let works = attempt.is_new && !GUARDED.contains(&on) && !ONE_EACH.contains(&on);
                    (works && !answer.is_done()).then_some("did not work")
                }
                _ => told.then_some("told of the owner"),
            };
            wrong.extend(fault.map(|fault| format!("{} by {} {fault}: {answer}", attempt.label, attacker.name())));
        }
        wrong
    }

    /// The owner's rows, and those that are nobody's, must be what they were.
    async fn is_unharmed(&self) {
        let database = self.person.stack.database().await;
        let now = self.catalogue.rows_of(&database, self.person.user_id).await;
        assert_eq!(now, self.rows);
    }
}

#[tokio::test]
async fn without_a_token_nothing_can_be_read_or_changed_and_only_events_and_lines_added() {
    let stack = Stack::running();
    let victim = Victim::on(&stack).await;
    let attacker = Attacker::Anon(stack);
    let wrong = victim.attacked_by(&attacker).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    victim.is_unharmed().await;
    let listed = attacker.listed().await;
    let may = ["/analytics", "/rpc/database_is_there", "/rpc/record_events", "/rpc/record_log", "/system_logs"];
    assert_eq!(listed, may, "PostgREST lists what anon may use");
}

#[tokio::test]
async fn another_user_sees_nothing_of_the_owners_and_changes_none_of_it() {
    let stack = Stack::running();
    let victim = Victim::on(&stack).await;
    let attacker = Attacker::Stranger(Person::new(&stack).await);
    let wrong = victim.attacked_by(&attacker).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    victim.is_unharmed().await;
}

#[tokio::test]
async fn the_owner_may_do_what_is_on_the_list_and_nothing_else() {
    let stack = Stack::running();
    let victim = Victim::on(&stack).await;
    let wrong = victim.attacked_by(&Attacker::Owner(victim.person.clone())).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn nothing_in_the_database_is_open_that_nobody_has_reviewed() {
    let catalogue = Catalogue::read(&Stack::running().database().await).await;
    let found = faults(&catalogue, REVIEWED, DEFINERS);
    assert!(found.is_empty(), "{found:#?}");
    assert!(catalogue.relations.len() >= 2 && catalogue.functions.len() >= 2, "{catalogue:?}");
    assert!(REVIEWED.iter().all(|may| may.reason.split_whitespace().count() > 3));
}

/// Each of these must be noticed by itself. They are made in a transaction that is rolled back, and touch no object
/// that is there already, so that no other test can be disturbed or made to wait.
#[tokio::test]
async fn whatever_a_migration_leaves_open_is_noticed() {
    let closed = "revoke all on public.planted from public, anon, authenticated;";
    let secured = "alter table public.planted enable row level security;
        alter table public.planted force row level security;";
    let policy = "create policy planted on public.planted for select to authenticated using (false);";
    let table = "create table public.planted (id integer);";
    // As a person's.
    let owned = format!("create table public.planted (id uuid references auth.users (id));{secured}{policy}{closed}");
    let function = |options: &str| {
        format!("create function public.planted() returns integer language sql {options} as 'select 1';")
    };
    let shut = "revoke all on function public.planted() from public, anon, authenticated;";
    let cases: Vec<(String, &[&str])> = vec![
        (format!("{table}{secured}{policy}{closed}"), &[]),
        (function("set search_path = ''") + shut, &[]),
        (format!("{owned} alter table public.planted alter id set statistics 0;"), &[]),
        (owned.clone(), &["samples of id"]),
        (
            format!(
                "{owned} alter table public.planted alter id set statistics 0;
                 create index planted_on_text on public.planted ((id::text));"
            ),
            &["samples of planted_on_text"],
        ),
        (
            format!(
                "{owned} alter table public.planted add n integer, alter id set statistics 0, alter n set statistics 0;
                 create statistics public.planted_on_both on id, n from public.planted;"
            ),
            &["samples of planted_on_both"],
        ),
        // As it comes, with the platform's default privileges.
        (format!("{table}{secured}{policy}"), &["anon may SELECT", "anon may DELETE", "authenticated may UPDATE"]),
        (format!("{table}{policy}{closed}"), &["row level security is off", "not forced"]),
        (
            format!("{table}{policy}{closed} alter table public.planted enable row level security;"),
            &["not forced on its owner"],
        ),
        (format!("{table}{secured}{closed}"), &["no policy"]),
        (
            format!("{table}{secured}{closed} create policy planted on public.planted using (true);"),
            &["for everybody; name the role"],
        ),
        (
            format!("{table}{secured}{policy}{closed} grant update (id) on public.planted to authenticated;"),
            &["authenticated may UPDATE of the column id"],
        ),
        (format!("{table}{secured}{policy}{closed} grant insert on public.planted to public;"), &["PUBLIC may INSERT"]),
        (format!("create view public.planted as select 1 as one; {closed}"), &["owner's rights"]),
        (
            "create view public.planted with (security_invoker = true) as select 1 as one;".to_owned(),
            &["anon may SELECT", "authenticated may SELECT"],
        ),
        ("create materialized view public.planted as select 1 as one;".to_owned(), &["anon may SELECT"]),
        ("create sequence public.planted;".to_owned(), &["anon may USAGE", "authenticated may UPDATE"]),
        (function("set search_path = ''"), &["PUBLIC may EXECUTE", "anon may EXECUTE", "authenticated may EXECUTE"]),
        (
            function("set search_path = ''") + shut + "grant execute on function public.planted() to anon;",
            &["anon may EXECUTE"],
        ),
        (function("security definer set search_path = ''") + shut, &["owner's rights"]),
        (function("") + shut, &["search_path is the caller's"]),
        ("grant service_role to authenticated;".to_owned(), &["authenticated is a member of service_role"]),
        ("alter role anon bypassrls;".to_owned(), &["anon is a superuser, bypasses"]),
        ("grant create on schema public to authenticated;".to_owned(), &["authenticated may create objects"]),
    ];
    let mut database = Stack::running().database().await;
    let before = faults(&Catalogue::read(&database).await, REVIEWED, DEFINERS);
    for (made, expected) in cases {
        let transaction = database.transaction().await.unwrap();
        transaction.batch_execute(&made).await.unwrap_or_else(|error| panic!("{made}: {error:?}"));
        let mut found = faults(&Catalogue::read(&transaction).await, REVIEWED, DEFINERS);
        transaction.rollback().await.unwrap();
        found.retain(|fault| !before.contains(fault));
        assert_eq!(found.is_empty(), expected.is_empty(), "{made}: {found:#?}");
        for words in expected {
            assert!(found.iter().any(|fault| fault.contains(words)), "{words} after {made}: {found:#?}");
        }
    }
}

#[tokio::test]
async fn what_is_reviewed_and_no_longer_granted_is_noticed() {
    let catalogue = Catalogue::read(&Stack::running().database().await).await;
    let gone = May { on: "no_such_table", ..REVIEWED[0] };
    let narrower = May { columns: &["no_such_column"], ..REVIEWED[0] };
    for extra in [gone, narrower] {
        let found = faults(&catalogue, &[REVIEWED, &[extra]].concat(), DEFINERS);
        assert!(found.iter().any(|fault| fault.contains("reviewed and not granted")), "{extra:?}: {found:#?}");
    }
}
