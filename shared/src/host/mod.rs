//! The world as Selvedge sees it: one small trait, so that nothing else knows where it runs.
//!
//! There are two implementations: `web` over web standards, valid on Cloudflare Workers and on Supabase Edge Functions
//! alike, and [`fake`] for native tests.

mod body;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod request;
#[cfg(target_arch = "wasm32")]
pub mod web;

use std::any::Any;
use std::pin::Pin;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, StatusCode, header};

pub use body::{Body, HeldBody};
pub use request::{BodyError, READ_BY_METHOD, READ_HEADERS, Request};

/// A future of a single-threaded isolate: it never has to be `Send`.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A response on its way to the caller.
pub type Response = http::Response<Body>;

/// What a function may ask of the place it runs in.
pub trait Host {
    /// Sends one request. A response of at most [`Outbound::buffer`] bytes is read to its end before this returns, so
    /// that a truncated one is an error here; the rest of a longer one is streamed.
    fn fetch<'a>(&'a self, request: Outbound<'a>) -> LocalFuture<'a, Result<Inbound, FetchError>>;

    /// Imports a public key given as a JSON Web Key (RFC 7517). `None` when the host cannot use it.
    fn import_key<'a>(&'a self, algorithm: Algorithm, jwk: &'a str) -> LocalFuture<'a, Option<Key>>;

    /// Whether `signature` is one over `data` by the holder of `key`'s private half.
    fn verify<'a>(
        &'a self,
        algorithm: Algorithm,
        key: &'a Key,
        signature: &'a [u8],
        data: &'a [u8],
    ) -> LocalFuture<'a, bool>;

    /// Waits.
    fn sleep(&self, milliseconds: u32) -> LocalFuture<'_, ()>;

    /// Writes a line to the host's log.
    fn log(&self, line: &str);

    /// Milliseconds since 1970-01-01T00:00:00Z. On Workers the clock stands still between two I/O operations.
    fn now_ms(&self) -> u64;

    /// A time in milliseconds since 1970 as RFC 3339 writes it, in UTC.
    fn timestamp(&self, ms: u64) -> String;

    /// Fills `bytes` with cryptographically secure random bytes.
    fn random(&self, bytes: &mut [u8]);
}

/// A public key the host has imported: what it is, only the host knows.
#[derive(Debug, Clone)]
pub struct Key(Rc<dyn Any>);

impl Key {
    /// A key of a host's own type.
    pub fn new<K: 'static>(key: K) -> Self {
        Self(Rc::new(key))
    }

    /// The key as the host's own type; `None` if another host made it.
    pub fn get<K: 'static>(&self) -> Option<&K> {
        self.0.downcast_ref()
    }
}

/// A signature algorithm (RFC 7518 section 3.1). It is always the key's, never the token's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: what Supabase projects sign with.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519 (RFC 8037), where the host's WebCrypto has it.
    EdDsa,
    /// HMAC with SHA-256: legacy projects, and only where `SUPABASE_JWT_SECRET` is set.
    Hs256,
}

impl Algorithm {
    /// The name in a token's `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// A request to another server.
#[derive(Debug)]
pub struct Outbound<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Absolute URL.
    pub url: &'a str,
    /// Header names in lower case, with their values.
    pub headers: &'a [(&'static str, &'a str)],
    /// JSON, or nothing.
    pub body: Option<&'a str>,
    /// How long all of it may take, in milliseconds; then it is aborted.
    pub timeout_ms: u32,
    /// How many bytes of the response are read before it is passed on; the rest is streamed.
    pub buffer: u32,
}

impl Outbound<'_> {
    /// The buffer of a response that is read to its end, however long it is: half the processor time of looking first.
    pub const WHOLE: u32 = u32::MAX;
}

/// The response to an [`Outbound`].
#[derive(Debug)]
pub struct Inbound {
    /// HTTP status code.
    pub status: StatusCode,
    /// Those of the response's headers that a function may use: [`INBOUND_HEADERS`].
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Body,
}

/// The response headers a host reads.
pub static INBOUND_HEADERS: [HeaderName; 3] = [header::LOCATION, header::ETAG, header::RETRY_AFTER];

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// No complete response in time; the request was aborted.
    Timeout,
    /// The connection was refused, reset, or never made.
    Unreachable,
}
