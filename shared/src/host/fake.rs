//! A host for native tests: a clock that stands still, a counter for randomness, and responses given beforehand.
//!
//! Verification is faked too, behind the same trait as the real one: a signature is good when it is the key's `x`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Algorithm, FetchError, Host, Inbound, Key, LocalFuture, Outbound};
use crate::members::Members;

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
    /// Responses to come, one for each request sent. With none left a server is unreachable.
    pub responses: RefCell<VecDeque<Result<Inbound, FetchError>>>,
    /// Requests sent so far.
    pub sent: RefCell<Vec<Sent>>,
    /// Lines logged so far.
    pub logged: RefCell<Vec<String>>,
    /// How long the function waited, each time, in milliseconds.
    pub slept: RefCell<Vec<u32>>,
    /// By how much its clock is off after each wait, in milliseconds: it wakes late, or was set back meanwhile.
    pub wakes_off_by_ms: Cell<i64>,
    /// How many signatures were verified.
    pub verified: Cell<usize>,
    /// How many keys were imported.
    pub imported: Cell<usize>,
    /// Whether other servers never answer.
    pub hangs: Cell<bool>,
    random: Cell<u8>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self {
            now_ms: Cell::new(1_800_000_000_000),
            responses: RefCell::default(),
            sent: RefCell::default(),
            logged: RefCell::default(),
            slept: RefCell::default(),
            wakes_off_by_ms: Cell::new(0),
            verified: Cell::new(0),
            imported: Cell::new(0),
            hangs: Cell::new(false),
            random: Cell::new(0),
        }
    }
}

/// A response of a server's.
pub fn inbound(status: u16, headers: &[(&'static str, &str)], body: &str) -> Inbound {
    let headers: HeaderMap = headers
        .iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
        .collect();
    Inbound { status: StatusCode::from_u16(status).unwrap_or_default(), headers, body: body.into() }
}

impl FakeHost {
    /// Appends a response to those to come.
    pub fn answer(&self, status: u16, body: &str) {
        self.answer_with(status, &[], body);
    }

    /// The same with headers.
    pub fn answer_with(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        self.responses.borrow_mut().push_back(Ok(inbound(status, headers, body)));
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
        [header.as_str(), payload, key_id].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    }
}

impl Host for FakeHost {
    fn fetch<'a>(&'a self, request: Outbound<'a>) -> LocalFuture<'a, Result<Inbound, FetchError>> {
        self.sent.borrow_mut().push(Sent {
            method: request.method,
            url: request.url.to_owned(),
            headers: request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            body: request.body.map(str::to_owned),
            timeout_ms: request.timeout_ms,
        });
        if self.hangs.get() {
            return Box::pin(pending());
        }
        let response = self.responses.borrow_mut().pop_front();
        Box::pin(ready(response.unwrap_or(Err(FetchError::Unreachable))))
    }

    fn import_key<'a>(&'a self, _: Algorithm, jwk: &'a str) -> LocalFuture<'a, Option<Key>> {
        self.imported.set(self.imported.get() + 1);
        let jwk = Members::parse(jwk).ok();
        let key = jwk.and_then(|jwk| jwk.string("x").or_else(|| jwk.string("k")));
        Box::pin(ready(key.map(Key::new)))
    }

    fn verify<'a>(&'a self, _: Algorithm, key: &'a Key, signature: &'a [u8], _: &'a [u8]) -> LocalFuture<'a, bool> {
        self.verified.set(self.verified.get() + 1);
        Box::pin(ready(key.get::<String>().is_some_and(|key| key.as_bytes() == signature)))
    }

    fn sleep(&self, milliseconds: u32) -> LocalFuture<'_, ()> {
        self.slept.borrow_mut().push(milliseconds);
        let passed = i64::from(milliseconds).saturating_add(self.wakes_off_by_ms.get());
        self.now_ms.set(self.now_ms.get().saturating_add_signed(passed));
        Box::pin(ready(()))
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

/// Runs a future over fakes to its end: none of them ever waits, unless the host hangs, so one poll is enough.
pub fn run<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
