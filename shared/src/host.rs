//! The world as Selvedge sees it: one small trait, so that nothing else knows where it runs.
//!
//! There are two implementations: [`crate::web`] over web standards, valid on Cloudflare Workers and on Supabase
//! Edge Functions alike, and [`crate::fake`] for native tests.

use crate::auth::Algorithm;

/// What a function may ask of the place it runs in.
#[expect(async_fn_in_trait, reason = "isolates are single-threaded: no future here has to be Send")]
pub trait Host {
    /// A public key the host has taken in and can verify with.
    type Key: Clone;

    /// Sends one request and reads the whole answer, within `request.timeout_ms`.
    async fn fetch(&self, request: Outbound<'_>) -> Result<Inbound, FetchError>;

    /// Takes in a public key given as a JSON Web Key (RFC 7517). `None` when the host cannot use it.
    async fn import_key(&self, algorithm: Algorithm, jwk: &str) -> Option<Self::Key>;

    /// Whether `signature` is one over `data` by the holder of `key`'s private half.
    async fn verify(&self, algorithm: Algorithm, key: &Self::Key, signature: &[u8], data: &[u8]) -> bool;

    /// Waits.
    async fn sleep(&self, milliseconds: u32);

    /// Writes a line to the host's log.
    fn log(&self, line: &str);

    /// Milliseconds since 1970-01-01T00:00:00Z. On Workers the clock stands still between two I/O operations.
    fn now_ms(&self) -> u64;

    /// A time in milliseconds since 1970 as RFC 3339 writes it, in UTC.
    fn timestamp(&self, ms: u64) -> String;

    /// Fills `bytes` with cryptographically secure random bytes.
    fn random(&self, bytes: &mut [u8]);
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
    /// How long the whole exchange may take, in milliseconds; then it is aborted.
    pub timeout_ms: u32,
}

/// The answer to an [`Outbound`].
#[derive(Debug, Clone)]
pub struct Inbound {
    /// HTTP status code.
    pub status: u16,
    /// `Retry-After` in seconds, where it was given as a number.
    pub retry_after: Option<u64>,
    /// The body, as it came.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// Nothing came back in time, and the request was aborted.
    Timeout,
    /// The connection was refused, reset, or never made.
    Unreachable,
}
