//! Somebody who has not signed in: the publishable key, which everybody has, and no token.

use serde_json::Value;

use crate::client::{Answer, Call, call};
use crate::stack::Stack;

/// A caller without a token.
#[derive(Debug, Clone)]
pub struct Visitor(pub Stack);

impl Visitor {
    /// Begins a request to a function. `target` is what follows the function's URL.
    pub fn call(&self, method: &str, function: &str, target: &str) -> Call {
        call(method, format!("{}{target}", self.0.function(function))).header("apikey", &self.0.publishable_key)
    }

    /// Begins a request to PostgREST, past the functions.
    pub fn rest(&self, method: &str, target: &str) -> Call {
        call(method, format!("{}/rest/v1/{target}", self.0.api_url)).header("apikey", &self.0.publishable_key)
    }

    /// Sends something to `analytics`.
    pub async fn track(&self, body: &Value) -> Answer {
        self.call("POST", "analytics", "").json(body).send().await
    }
}
