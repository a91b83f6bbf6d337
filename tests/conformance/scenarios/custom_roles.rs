//! A role of a project's own, a member of authenticated, may do what authenticated may and nothing else.
//!
//! Everything the attack matrix tries is tried twice, each time by the owner of rows of their own: once in the role
//! authenticated, once in the other. What PostgreSQL says must be the same.

use conformance::attack::{Attacker, Target};
use conformance::catalogue::Catalogue;
use conformance::person::Person;
use conformance::seed::a_row_in_every_table;
use conformance::stack::Stack;
use devstack::keys::token::TokenOptions;
use serde_json::{Value, json};
use uuid::Uuid;

/// A role that PostgREST can become.
struct Custom {
    name: String,
    stack: Stack,
}

impl Custom {
    async fn new(stack: &Stack) -> Self {
        let name = format!("manager_{}", Uuid::new_v4().simple());
        let create =
            format!("create role {name} inherit; grant authenticated to {name}; grant {name} to authenticator;");
        stack.database().await.batch_execute(&create).await.unwrap();
        Self { name, stack: stack.clone() }
    }

    /// A person, with a token of this role.
    fn token_of(&self, person: &Person) -> Person {
        let options =
            TokenOptions { sub: Some(person.user_id.to_string()), role: self.name.clone(), ..TokenOptions::default() };
        Person { token: self.stack.mint(&options), ..person.clone() }
    }

    async fn remove(self) {
        self.stack.database().await.batch_execute(&format!("drop role {}", self.name)).await.unwrap();
    }
}

/// What a request came to, for comparing: its status, and the code and message where it was refused.
fn verdict(outcome: &str, person: &Person) -> String {
    let (status, body) = outcome.split_once(" {").map_or((outcome, String::new()), |(a, b)| (a, format!("{{{b}")));
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    let status = status.split_whitespace().next().unwrap_or_default();
    let text = |member: &str| problem[member].as_str().unwrap_or_default().replace(&person.user_id.to_string(), "me");
    format!("{status} {} {}", text("code"), text("message"))
}

#[tokio::test]
async fn whatever_authenticated_is_refused_a_role_of_the_projects_own_is_refused_in_the_same_words() {
    let stack = Stack::running();
    let custom = Custom::new(&stack).await;
    let database = stack.database().await;
    let catalogue = Catalogue::read(&database).await;
    let given = |verb: &'static str, on: &str, column: &str| {
        catalogue.grants.iter().any(|grant| {
            (grant.role.as_str(), grant.verb.as_str(), grant.on.as_str()) == ("authenticated", verb, on)
                && grant.column.as_deref().is_none_or(|only| only == column)
        })
    };
    let mut sides = Vec::new();
    for is_custom in [false, true] {
        let person = Person::new(&stack).await;
        a_row_in_every_table(&person, Uuid::new_v4(), "secret").await;
        let rows = catalogue.rows_of(&database, person.user_id).await;
        let attacker = Attacker::Owner(if is_custom { custom.token_of(&person) } else { person.clone() });
        let targets = Target::all(&catalogue, &rows);
        let mut verdicts = Vec::new();
        let mut attempts: Vec<_> = targets.iter().flat_map(|target| target.attempts("secret", &given)).collect();
        // Last: without its session nothing is left for a guard to refuse.
        attempts.sort_by_key(|attempt| attempt.label.starts_with("DELETE"));
        for attempt in attempts {
            let outcome = attacker.send(&attempt).await;
            let what = format!("{} by {}", attempt.on, attempt.needs.first().map_or("", |(verb, _)| verb));
            verdicts.push((what, verdict(&outcome.to_string(), &person), attempt.label));
        }
        sides.push(verdicts);
    }
    let (theirs, customs) = (sides.remove(0), sides.remove(0));
    assert!(theirs.len() > 300 && theirs.len() == customs.len(), "{} and {}", theirs.len(), customs.len());
    let refused = theirs.iter().filter(|(_, verdict, _)| verdict.starts_with('4')).count();
    assert!(refused > 100, "{refused}");
    let differ: Vec<_> =
        theirs.iter().zip(&customs).filter(|(one, other)| (&one.0, &one.1) != (&other.0, &other.1)).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    custom.remove().await;
}

/// The guards one by one: each attempt must be refused.
#[tokio::test]
async fn no_guard_lets_a_role_of_the_projects_own_through() {
    let stack = Stack::running();
    let custom = Custom::new(&stack).await;
    let person = Person::new(&stack).await;
    let session_id = Uuid::new_v4();
    a_row_in_every_table(&person, session_id, "secret").await;
    let manager = custom.token_of(&person);
    let mine = format!("session_id=eq.{session_id}");
    let message = json!({ "session_id": session_id, "id": Uuid::new_v4(), "role": "bot", "message": "x" });
    let with = |name: &str, value: Value| {
        let mut row = message.clone();
        row[name] = value;
        row
    };
    let session = |name: &str, value: Value| json!({ "session_id": Uuid::new_v4(), name: value });
    let refused = [
        (
            "PATCH",
            format!("sessions?{mine}"),
            json!({ "fsm_state": "llm_conversation", "version": 77, "completed": true }),
        ),
        ("PATCH", format!("sessions?{mine}"), json!({ "fsm_state": "answered" })),
        ("PATCH", format!("sessions?{mine}"), json!({ "version": 77 })),
        ("PATCH", format!("sessions?{mine}"), json!({ "machine_version": 1 })),
        ("PATCH", format!("sessions?{mine}"), json!({ "completed": true, "completion_time": "2026-01-01T00:00:00Z" })),
        ("PATCH", format!("sessions?{mine}"), json!({ "user_id": Uuid::new_v4() })),
        ("POST", "sessions".to_owned(), session("version", json!(77))),
        ("POST", "sessions".to_owned(), session("user_id", json!(Uuid::new_v4()))),
        ("POST", "user_responses".to_owned(), json!({ "session_id": session_id, "step": "asked", "response": "x" })),
        ("PATCH", format!("user_responses?{mine}"), json!({ "attempt_count": 0 })),
        ("POST", "analytics".to_owned(), json!({ "event_type": "session_completed", "source": "server" })),
        ("POST", "analytics".to_owned(), json!({ "event_type": "x", "user_id": null })),
        ("POST", "chat_history".to_owned(), with("seq", json!(77))),
        ("POST", "chat_history".to_owned(), with("written_by", json!("service"))),
        ("POST", "chat_history".to_owned(), with("created_at", json!("2020-01-01T00:00:00Z"))),
        ("PATCH", format!("chat_history?{mine}"), json!({ "message": "other" })),
        ("DELETE", format!("chat_history?{mine}"), Value::Null),
        ("PATCH", "rate_limits?what=eq.sessions".to_owned(), json!({ "at_most": 1_000_000 })),
        ("DELETE", "rate_limits?what=eq.sessions".to_owned(), Value::Null),
        ("GET", "rate_limit_uses".to_owned(), Value::Null),
        ("PATCH", "rate_limit_uses?what=eq.sessions".to_owned(), json!({ "used": [] })),
        ("DELETE", "rate_limit_uses?what=eq.sessions".to_owned(), Value::Null),
        ("POST", "deleted_ids".to_owned(), json!({ "kind": "session", "id": session_id, "user_id": person.user_id })),
        ("DELETE", format!("deleted_ids?id=eq.{session_id}"), Value::Null),
        ("PATCH", "settings?name=eq.default_machine".to_owned(), json!({ "value": "check-in" })),
        ("POST", "rpc/cleanup_old_sessions".to_owned(), json!({})),
        ("POST", "rpc/save_message_as".to_owned(), with("user_id", json!(person.user_id))),
    ];
    for (method, target, body) in refused {
        let answer = manager.rest(method, &target).json(&body).send().await;
        assert_eq!(answer.status, 403, "{method} {target} {body}: {}", answer.text());
    }
    // More rows than a statement may have, and more than a limit lets through.
    let many: Value = (0..501).map(|_| session("machine", json!("check-in"))).collect();
    // Whichever comes first stops it.
    assert_eq!(manager.rest("POST", "sessions").json(&many).send().await.status, 429);
    let many: Value = (0..61).map(|_| session("machine", json!("check-in"))).collect();
    assert_eq!(manager.rest("POST", "sessions").json(&many).send().await.status, 429);
    // Times are the server's, and what callers may do works.
    let touched = manager.rest("PATCH", &format!("sessions?{mine}")).header("prefer", "return=representation");
    let touched = touched.json(&json!({ "last_activity": "2020-01-01T00:00:00Z" })).send().await;
    assert!(touched.status == 200 && !touched.text().contains("2020-01-01"), "{}", touched.text());
    assert_eq!(manager.rpc("save_message", &message).await.status, 201);
    let moved = json!({ "session_id": session_id, "id": Uuid::new_v4(), "event": "next_step", "response": "x" });
    assert_eq!(manager.rpc("transition_session", &moved).await.status, 200);
    custom.remove().await;
}
