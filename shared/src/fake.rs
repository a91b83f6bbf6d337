//! A host for native tests: a clock that stands still, a counter for randomness, and answers given beforehand.
//!
//! Verification is faked too, behind the same trait as the real one: a signature is good when it is the key's `x`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::auth::Algorithm;
use crate::base64url;
use crate::edge::Edge;
use crate::function::Function;
use crate::host::{FetchError, Host, Inbound, Outbound};
use crate::http::{Request, Response};
use crate::json::{Object, Raw};

/// A request the function sent, kept for the test to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Method.
    pub method: &'static str,
    /// Absolute URL.
    pub url: String,
    /// Headers, lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// Body, if it had one.
    pub body: Option<String>,
    /// How long it was given, in milliseconds.
    pub timeout_ms: u32,
}

/// The fake host.
#[derive(Debug)]
pub struct FakeHost {
    /// Milliseconds since 1970; tests move it.
    pub now_ms: Cell<u64>,
    /// Answers to come, one for each request sent. With none left a server is unreachable.
    pub answers: RefCell<VecDeque<Result<Inbound, FetchError>>>,
    /// Requests sent so far.
    pub sent: RefCell<Vec<Sent>>,
    /// Lines logged so far.
    pub logged: RefCell<Vec<String>>,
    /// How long the function waited, each time, in milliseconds.
    pub slept: RefCell<Vec<u32>>,
    /// How many signatures were verified.
    pub verified: Cell<usize>,
    random: Cell<u8>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self {
            now_ms: Cell::new(1_800_000_000_000),
            answers: RefCell::default(),
            sent: RefCell::default(),
            logged: RefCell::default(),
            slept: RefCell::default(),
            verified: Cell::new(0),
            random: Cell::new(0),
        }
    }
}

impl FakeHost {
    /// Appends an answer to those to come.
    pub fn answer(&self, status: u16, body: &str) {
        self.answers.borrow_mut().push_back(Ok(Inbound { status, retry_after: None, body: body.as_bytes().to_vec() }));
    }

    /// A key set with one key that [`FakeHost::token`]s signed with the same id verify against.
    pub fn key_set(ids: &[&str]) -> String {
        let keys: Vec<_> = ids
            .iter()
            .map(|id| {
                format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","use":"sig","alg":"ES256","x":"{id}","y":""}}"#)
            })
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// A token with this payload, signed by the key with this id.
    pub fn token(key_id: &str, payload: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{key_id}"}}"#);
        [header.as_bytes(), payload.as_bytes(), key_id.as_bytes()].map(base64url::encode).join(".")
    }
}

impl Host for FakeHost {
    type Key = String;

    async fn fetch(&self, request: Outbound<'_>) -> Result<Inbound, FetchError> {
        self.sent.borrow_mut().push(Sent {
            method: request.method,
            url: request.url.to_owned(),
            headers: request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            body: request.body.map(str::to_owned),
            timeout_ms: request.timeout_ms,
        });
        self.answers.borrow_mut().pop_front().unwrap_or(Err(FetchError::Unreachable))
    }

    async fn import_key(&self, _: Algorithm, jwk: &str) -> Option<String> {
        let jwk = Object::parse(jwk)?;
        jwk.get("x").or_else(|| jwk.get("k")).and_then(Raw::string)
    }

    async fn verify(&self, _: Algorithm, key: &String, signature: &[u8], _: &[u8]) -> bool {
        self.verified.set(self.verified.get() + 1);
        key.as_bytes() == signature
    }

    async fn sleep(&self, milliseconds: u32) {
        self.slept.borrow_mut().push(milliseconds);
        self.now_ms.set(self.now_ms.get() + u64::from(milliseconds));
    }

    fn log(&self, line: &str) {
        self.logged.borrow_mut().push(line.to_owned());
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    fn timestamp(&self, ms: u64) -> String {
        format!("{ms} ms since 1970")
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.random.get();
            self.random.set(self.random.get().wrapping_add(1));
        }
    }
}

/// What a function on the fake host answers to a request.
pub fn answer<F: Function>(edge: &Edge<FakeHost, F>, request: &Request) -> Response {
    run(edge.respond(request, &edge.request_id(request))).unwrap_or_else(|| Response::empty(0))
}

/// Runs a future over fakes to its end: none of them ever waits, so one poll is enough.
pub fn run<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
