//! A small model of the database behind PostgREST: what it stores, and what it answers.
//!
//! It is idempotent by id, as the SQL in `migrations/` is: the same id and content again is answered from the stored row.
//! Every row has a mark, a text that occurs in one request only, so that a row can be told from any other. Every successful
//! answer has `echo`: for which request it is, and as whom it was made.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A response as PostgREST gives it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A call of a database function.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) function: String,
    pub(crate) arguments: String,
    pub(crate) request_id: String,
    /// The user of its token; `None` is the role `anon`.
    pub(crate) user: Option<String>,
    /// How long a page to answer with, in bytes, where there are pages.
    pub(crate) page_bytes: usize,
}

#[derive(Debug)]
struct Session {
    owner: String,
    version: u64,
    is_deleted: bool,
}

#[derive(Debug)]
struct Row {
    content: String,
    /// What it was answered with.
    answer: Map<String, Value>,
}

/// The model.
#[derive(Debug, Default)]
pub(crate) struct Database {
    sessions: BTreeMap<String, Session>,
    rows: BTreeMap<String, Row>,
    /// How often something with this mark was stored.
    stored: BTreeMap<String, u32>,
}

/// A problem raised on purpose: `raise sqlstate 'PT404' using message = …`.
fn raised(status: u16, name: &str, details: &Value) -> Reply {
    let body = json!({ "code": format!("PT{status}"), "message": name, "details": details.to_string(), "hint": null });
    Reply::new(status, body.to_string())
}

impl Database {
    /// How often something with a mark was stored.
    pub(crate) fn count(&self, mark: &str) -> u32 {
        self.stored.get(mark).copied().unwrap_or(0)
    }

    /// Whether a user has a session: it is theirs, and not deleted.
    pub(crate) fn has(&self, session: &str, user: &str) -> bool {
        self.sessions.get(session).is_some_and(|session| session.owner == user && !session.is_deleted)
    }

    /// Runs a function in a transaction.
    pub(crate) fn run(&mut self, call: &Call) -> Reply {
        let arguments: Map<String, Value> = serde_json::from_str(&call.arguments).unwrap_or_default();
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_public = ["database_is_there", "record_events", "record_log"].contains(&&*call.function);
        if call.user.is_none() && !is_public {
            return Reply::new(401, r#"{"code":"42501","message":"permission denied for function","details":null}"#);
        }
        let user = call.user.clone().unwrap_or_else(|| "anon".to_owned());
        let session = text("session_id");
        let echo = json!({ "request_id": call.request_id, "user": call.user });
        let answer = |status: u16, mut members: Map<String, Value>| {
            members.insert("echo".to_owned(), echo.clone());
            Reply::new(status, Value::Object(members).to_string())
        };
        let is_own = self.sessions.get(&session).is_some_and(|session| session.owner == user && session.is_deleted);
        let not_found = || match is_own {
            true => raised(410, "session_deleted", &json!({})),
            false => raised(404, "session_not_found", &json!({})),
        };
        match call.function.as_str() {
            "database_is_there" => answer(200, Map::new()),
            "save_message" | "put_session_summary" | "transition_session" => {
                if !self.is_open(&session, &user) {
                    return not_found();
                }
                let expected = arguments.get("expected_version").and_then(Value::as_u64);
                let id = if call.function == "put_session_summary" { text("summary_type") } else { text("id") };
                let key = format!("{} {session} {id}", call.function);
                if call.function == "put_session_summary" {
                    // Stored in place of the one there was, however often.
                    self.rows.remove(&key);
                } else if let Some(row) = self.rows.get(&key) {
                    if row.content != call.arguments {
                        return raised(409, "id_reused", &json!({}));
                    }
                    let mut members = row.answer.clone();
                    members.insert("replayed".to_owned(), true.into());
                    return answer(200, members);
                }
                let version = self.sessions.get(&session).map_or(0, |session| session.version);
                let is_move = call.function == "transition_session";
                if is_move && expected.is_some_and(|expected| expected != version) {
                    let details = json!({ "state": "welcome", "version": version });
                    return raised(409, "version_conflict", &details);
                }
                let owner = Session { owner: user, version: 0, is_deleted: false };
                let kept = self.sessions.entry(session.clone()).or_insert(owner);
                kept.version += u64::from(is_move);
                let version = kept.version;
                let members = json!({ "session_id": session, "id": id, "version": version, "replayed": false });
                let members = members.as_object().cloned().unwrap_or_default();
                self.store(key, call, &arguments, members.clone());
                if is_move {
                    return answer(200, members).with("etag", format!("\"{version}\""));
                }
                answer(201, members).with("location", format!("?session_id={session}&limit=1"))
            }
            "record_events" => {
                let events = arguments.get("events").and_then(Value::as_array).cloned().unwrap_or_default();
                let (mut accepted, mut duplicates) = (0, 0);
                for event in events {
                    let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
                    let key = format!("event {user} {id}");
                    if self.rows.contains_key(&key) {
                        duplicates += 1;
                    } else {
                        accepted += 1;
                        let data = event.get("event_data").and_then(Value::as_object).cloned().unwrap_or_default();
                        self.store(key, call, &data, Map::new());
                    }
                }
                let members = json!({ "accepted": accepted, "duplicates": duplicates });
                answer(201, members.as_object().cloned().unwrap_or_default())
            }
            "record_log" => {
                let key = format!("log {user} {}", text("id"));
                let is_replayed = self.rows.contains_key(&key);
                if !is_replayed {
                    self.store(key, call, &arguments, Map::new());
                }
                let members = json!({ "id": text("id"), "replayed": is_replayed });
                answer(if is_replayed { 200 } else { 201 }, members.as_object().cloned().unwrap_or_default())
            }
            "delete_session" => match self.sessions.get_mut(&session) {
                Some(found) if found.owner == user && !found.is_deleted => {
                    found.is_deleted = true;
                    answer(200, Map::new())
                }
                _ => not_found(),
            },
            "list_sessions" | "list_risk_detections" | "get_analytics_summary" => answer(200, page(call.page_bytes)),
            "get_history" | "get_session" | "get_session_state" | "get_session_summary" => {
                match self.sessions.get(&session) {
                    Some(found) if found.owner == user && !found.is_deleted => {
                        let mut members = page(if call.function == "get_history" { call.page_bytes } else { 0 });
                        let version = found.version;
                        members.insert("state".to_owned(), "welcome".into());
                        members.insert("version".to_owned(), version.into());
                        members.insert("machine".to_owned(), json!({ "id": "supportive-yarn", "version": 1 }));
                        let found = answer(200, members);
                        if call.function == "get_session_state" {
                            return found.with("etag", format!("\"{version}\""));
                        }
                        found
                    }
                    _ => not_found(),
                }
            }
            _ => Reply::new(404, r#"{"code":"PGRST202","message":"Could not find the function"}"#),
        }
    }

    /// Whether a user may write into a session: there is none yet, or it is theirs and not deleted.
    fn is_open(&self, session: &str, user: &str) -> bool {
        self.sessions.get(session).is_none_or(|session| session.owner == user && !session.is_deleted)
    }

    fn store(&mut self, key: String, call: &Call, marked: &Map<String, Value>, answer: Map<String, Value>) {
        self.rows.insert(key, Row { content: call.arguments.clone(), answer });
        // Where a mark is, depends on what it marks.
        let texts = ["mark", "message", "response"].map(|name| marked.get(name).and_then(Value::as_str));
        let summary = marked.get("summary_data").and_then(|data| data.get("mark")).and_then(Value::as_str);
        if let Some(mark) = texts.into_iter().chain([summary]).flatten().next() {
            *self.stored.entry(mark.to_owned()).or_default() += 1;
        }
    }
}

/// A page of so many bytes.
fn page(bytes: usize) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("next".to_owned(), Value::Null);
    if bytes > 0 {
        members.insert("messages".to_owned(), json!(["x".repeat(bytes)]));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::{Call, Database};

    fn call(function: &str, arguments: &str, user: Option<&str>) -> Call {
        let (function, arguments) = (function.to_owned(), arguments.to_owned());
        Call { function, arguments, request_id: "r".to_owned(), user: user.map(str::to_owned), page_bytes: 0 }
    }

    fn statuses(database: &mut Database, calls: &[(&str, &str, Option<&str>)]) -> Vec<u16> {
        calls.iter().map(|(function, arguments, user)| database.run(&call(function, arguments, *user)).status).collect()
    }

    #[test]
    fn the_same_message_again_is_stored_once_and_another_under_its_id_is_refused() {
        let mut database = Database::default();
        let one = r#"{"id":"1","session_id":"s","message":"hello"}"#;
        let other = r#"{"id":"1","session_id":"s","message":"other"}"#;
        let calls =
            [one, one, other].map(|arguments| ("save_message", arguments, Some("u"))).map(|call| [call]).concat();
        assert_eq!(statuses(&mut database, &calls), [201, 200, 409]);
        assert_eq!((database.count("hello"), database.count("other")), (1, 0));
    }

    #[test]
    fn a_session_is_its_owners_and_stays_deleted() {
        let mut database = Database::default();
        let (save, delete) = (r#"{"id":"1","session_id":"s","message":"hello"}"#, r#"{"session_id":"s"}"#);
        let calls = [
            ("save_message", save, Some("u")),
            ("get_history", delete, Some("v")),
            ("delete_session", delete, Some("v")),
            ("delete_session", delete, Some("u")),
            ("save_message", save, Some("u")),
            ("save_message", save, None),
        ];
        assert_eq!(statuses(&mut database, &calls), [201, 404, 404, 200, 410, 401]);
        assert!(!database.has("s", "u"));
    }

    #[test]
    fn an_event_counts_once_for_each_of_its_senders() {
        let mut database = Database::default();
        let events = r#"{"events":[{"id":"1","event_data":{"mark":"m"}},{"id":"1","event_data":{"mark":"n"}}]}"#;
        let mut answer = |user| String::from_utf8(database.run(&call("record_events", events, user)).body).unwrap();
        assert!(answer(Some("u")).contains(r#""accepted":1,"duplicates":1"#));
        assert!(answer(Some("u")).contains(r#""accepted":0,"duplicates":2"#));
        assert!(answer(None).contains(r#""accepted":1,"duplicates":1"#));
        assert_eq!((database.count("m"), database.count("n")), (2, 0));
    }

    #[test]
    fn a_move_needs_the_version_it_expects() {
        let mut database = Database::default();
        let calls = [
            ("transition_session", r#"{"id":"1","session_id":"s","expected_version":0}"#, Some("u")),
            ("transition_session", r#"{"id":"2","session_id":"s","expected_version":0}"#, Some("u")),
            ("transition_session", r#"{"id":"3","session_id":"s","expected_version":1}"#, Some("u")),
        ];
        assert_eq!(statuses(&mut database, &calls), [200, 409, 200]);
    }
}
