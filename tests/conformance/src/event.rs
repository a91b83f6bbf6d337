//! Analytics events: made as clients make them, and read as the database holds them.

use serde_json::{Value, json};
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::person::Person;
use crate::stack::Stack;

/// An event with a new id, and a word in it to find it by.
pub fn event(word: &str) -> Value {
    json!({ "id": Uuid::new_v4(), "event_type": "step_completed", "event_data": { "word": word } })
}

/// This many of them.
pub fn events(count: usize, word: &str) -> Vec<Value> {
    (0..count).map(|_| event(word)).collect()
}

/// A time this many seconds from now by the server's clock, as clients write it.
pub async fn seconds_from_now(stack: &Stack, seconds: f64) -> String {
    let query = "select to_json(now() + make_interval(secs => $1)) #>> '{}'";
    stack.database().await.query_one(query, &[&seconds]).await.unwrap().get(0)
}

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The sender's id.
    pub id: Uuid,
    /// Whose it is; nobody's when it came without a token.
    pub user_id: Option<Uuid>,
    /// What it says.
    pub event_data: Value,
    /// How many seconds before its arrival it happened.
    pub age: f64,
    /// Whether its time was brought within bounds.
    pub clamped: bool,
}

/// Every stored event with this word in it, whosever it is, by id.
pub async fn stored(stack: &Stack, word: &str) -> Vec<Stored> {
    let query = "select id, user_id, event_data, extract(epoch from received_at - occurred_at)::float8, clamped
        from public.analytics where event_data ->> 'word' = $1 order by id";
    let rows = stack.database().await.query(query, &[&word]).await.unwrap();
    let read = |row: &tokio_postgres::Row| Stored {
        id: row.get(0),
        user_id: row.get(1),
        event_data: row.get::<_, Json<Value>>(2).0,
        age: row.get(3),
        clamped: row.get(4),
    };
    rows.iter().map(read).collect()
}

/// How many there are with this word.
pub async fn count(stack: &Stack, word: &str) -> usize {
    stored(stack, word).await.len()
}

impl Person {
    /// Sends something to `analytics`.
    pub async fn track(&self, body: &Value) -> crate::client::Answer {
        self.call("POST", "analytics", "").json(body).send().await
    }
}
