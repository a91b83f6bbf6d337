//! Requests as somebody makes them, and a caller for those that are sent one by one.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use serde::Serialize;
use uuid::Uuid;

use devstack::{
    client::Client,
    error::{Context as _, Error, Result},
    stack::ports,
};

/// Somebody who is signed in.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// Their access token.
    pub token: String,
    /// Their conversation.
    pub session: Uuid,
}

/// Those who take turns at calling.
pub type People = Arc<[Person]>;

/// A way into the stack.
#[derive(Debug, Clone)]
pub struct Door {
    /// On loopback.
    pub port: u16,
    /// What every path begins with there.
    pub prefix: String,
    /// What goes into `apikey`.
    pub key: String,
}

impl Door {
    /// A request of somebody who is not signed in.
    pub fn request(&self, method: &'static str, path: &str, body: impl Into<String>) -> Wanted {
        let path = format!("{}{path}", self.prefix);
        let wanted = Wanted { port: self.port, method, path, headers: Vec::new(), body: body.into() };
        wanted
            .header("host", &ports::address(self.port).to_string())
            .header("content-type", "application/json")
            .header("apikey", &self.key)
    }

    /// A request with a body of JSON.
    pub fn post(&self, path: &str, body: impl Into<String>) -> Wanted {
        self.request("POST", path, body).signed_in()
    }

    /// A request without a body.
    pub fn get(&self, path: &str) -> Wanted {
        self.request("GET", path, "").signed_in()
    }
}

/// A request that is to be sent. In its path, its headers and its body, `{token}` and `{session}` stand for those of
/// whoever sends it, and each `{uuid}` for a new id.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    #[serde(skip)]
    pub(super) port: u16,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Wanted {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Adds the token of whoever sends it.
    #[must_use]
    pub fn signed_in(self) -> Self {
        self.header("authorization", "Bearer {token}")
    }

    /// The request as this person sends it.
    #[must_use]
    pub fn by(&self, person: &Person) -> Self {
        let fill = |text: &String| {
            let text = text.replace("{token}", &person.token).replace("{session}", &person.session.to_string());
            let mut parts = text.split("{uuid}").map(str::to_owned);
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |text, part| format!("{text}{}{part}", Uuid::new_v4()))
        };
        let headers = self.headers.iter().map(|(name, value)| (*name, fill(value))).collect();
        Self { path: fill(&self.path), headers, body: fill(&self.body), ..self.clone() }
    }

    fn request(&self) -> Result<Request<Body>> {
        let url = format!("http://{}{}", ports::address(self.port), self.path);
        let request = Request::builder().method(self.method).uri(url);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.body(self.body.clone().into()).context(|| format!("{} cannot be asked for", self.path))
    }
}

/// Sends requests one by one, over a connection that is kept.
#[derive(Debug, Default)]
pub struct Caller(Client);

impl Caller {
    /// Sends a request and reads the whole answer, which must be a success: a benchmark of failures is none.
    pub async fn send(&self, wanted: &Wanted) -> Result<Bytes> {
        let what = || format!("{} {}", wanted.method, wanted.path);
        let answer = self.0.send(wanted.request()?).await.context(what)?;
        let (status, body) = (answer.status(), answer.into_body());
        if status.is_success() {
            return Ok(body);
        }
        Err(Error::new(format!("{} was answered with {status}: {}", what(), String::from_utf8_lossy(&body))))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Door, Person};

    #[test]
    fn a_request_is_filled_in_with_a_new_id_in_each_place() {
        let door = Door { port: 1, prefix: "/rest".into(), key: "key".into() };
        let person = Person { token: "a.b.c".into(), session: Uuid::nil() };
        let wanted = door.post("/x?of={session}", "{uuid} {uuid}").by(&person);
        assert_eq!(wanted.path, format!("/rest/x?of={}", Uuid::nil()));
        assert!(wanted.headers.contains(&("authorization", "Bearer a.b.c".into())));
        let (one, other) = wanted.body.split_once(' ').unwrap();
        assert!(one != other && Uuid::parse_str(one).is_ok() && Uuid::parse_str(other).is_ok());
    }
}
