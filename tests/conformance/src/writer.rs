//! People who write, and keep a [`Ledger`] of it: one after the other, each with the same ids until it is acknowledged.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::browser::{Browser, Saw};
use crate::ledger::{Entry, Kind, Ledger};
use crate::person::Person;
use crate::stack::Stack;

impl Kind {
    /// The function that takes it.
    pub fn function(self) -> &'static str {
        match self {
            Self::Message => "chat-message",
            Self::Move => "fsm-transition",
            Self::Event => "analytics",
        }
    }

    /// Those a stack has a function for.
    pub fn on(stack: &Stack) -> Vec<Self> {
        [Self::Message, Self::Move, Self::Event].into_iter().filter(|kind| stack.has(kind.function())).collect()
    }

    /// The body of one write. `place` is how many of the session went before.
    fn body(self, entry: &Entry, place: usize) -> Value {
        let Entry { id, session_id, mark, .. } = entry;
        match self {
            // A bot's: a person's own are limited by the minute.
            Self::Message => json!({ "id": id, "session_id": session_id, "role": "bot", "message": mark }),
            Self::Move if place.is_multiple_of(2) => json!({
                "id": id, "session_id": session_id, "machine": "check-in", "expected_version": place,
                "event": "next_step", "response": mark,
            }),
            Self::Move => json!({
                "id": id, "session_id": session_id, "expected_version": place, "event": "ask_again",
            }),
            Self::Event => json!({ "events": [{ "id": id, "event_type": "ledger", "event_data": { "n": mark } }] }),
        }
    }
}

/// Someone who writes things of one kind into one session.
#[derive(Debug)]
pub struct Writer {
    person: Person,
    kind: Kind,
    session_id: Uuid,
    written: usize,
}

/// How a write went.
#[derive(Debug)]
pub struct Written {
    /// Whether it was acknowledged.
    pub acknowledged: bool,
    /// What every try brought.
    pub saw: Vec<Saw>,
}

impl Writer {
    /// Begins a session.
    pub fn new(person: &Person, kind: Kind) -> Self {
        Self { person: person.clone(), kind, session_id: Uuid::new_v4(), written: 0 }
    }

    /// What it writes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whose session it is, and which.
    pub fn session(&self) -> (&Person, Uuid) {
        (&self.person, self.session_id)
    }

    /// Writes the next one.
    pub async fn write(&mut self, browser: &Browser, ledger: &Ledger) -> Written {
        let place = self.written;
        let entry = Entry::new(self.kind, self.person.user_id, self.session_id, &format!("write {place}"));
        let body = self.kind.body(&entry, place);
        // In the ledger before it leaves: whatever happens, it has been tried.
        let number = ledger.begin(entry);
        let call = self.person.call("POST", self.kind.function(), "").json(&body);
        let outcome = browser.insist(&call).await;
        let acknowledged = outcome.good.is_some();
        if acknowledged {
            ledger.acknowledge(number);
        }
        self.written += 1;
        Written { acknowledged, saw: outcome.saw }
    }
}
