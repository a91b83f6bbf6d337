//! Someone who uses the chat: signed up anonymously, as a browser would.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Call, call};
use crate::stack::Stack;

/// A signed-in person.
#[derive(Debug, Clone)]
pub struct Person {
    /// The stack they are on.
    pub stack: Stack,
    /// `auth.users.id`.
    pub user_id: Uuid,
    /// Their access token.
    pub token: String,
}

impl Person {
    /// Signs someone new up.
    pub async fn new(stack: &Stack) -> Self {
        let answer = call("POST", format!("{}/auth/v1/signup", stack.api_url))
            .header("apikey", &stack.publishable_key)
            .json(&json!({ "data": {} }))
            .send()
            .await;
        let session = answer.json();
        Self {
            stack: stack.clone(),
            user_id: session["user"]["id"].as_str().expect("a user").parse().unwrap(),
            token: session["access_token"].as_str().expect("an access token").to_owned(),
        }
    }

    /// Begins a request to a function, as this person. `target` is what follows the function's URL.
    pub fn call(&self, method: &str, function: &str, target: &str) -> Call {
        call(method, format!("{}{target}", self.stack.function(function)))
            .header("apikey", &self.stack.publishable_key)
            .header("authorization", format!("Bearer {}", self.token))
    }

    /// Begins a request to PostgREST, past the functions, as this person.
    pub fn rest(&self, method: &str, target: &str) -> Call {
        call(method, format!("{}/rest/v1/{target}", self.stack.api_url))
            .header("apikey", &self.stack.publishable_key)
            .header("authorization", format!("Bearer {}", self.token))
    }

    /// Calls a database function past the edge functions, as this person.
    pub async fn rpc(&self, function: &str, arguments: &Value) -> Answer {
        self.rest("POST", &format!("rpc/{function}")).json(arguments).send().await
    }

    /// Saves a message through `chat-message`.
    pub async fn save(&self, message: &Value) -> Answer {
        self.call("POST", "chat-message", "").json(message).send().await
    }

    /// Saves a user's message with a new id, which must succeed.
    pub async fn say(&self, session_id: Uuid, text: &str) -> Value {
        let answer = self.save(&message(session_id, text)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Reads a page of history. `parameters` follow `session_id=…`.
    pub async fn history(&self, session_id: Uuid, parameters: &str) -> Answer {
        self.call("GET", "chat-message", &format!("?session_id={session_id}{parameters}")).send().await
    }
}

/// A user's message with a new id.
pub fn message(session_id: Uuid, text: &str) -> Value {
    json!({ "id": Uuid::new_v4(), "session_id": session_id, "role": "user", "message": text })
}
