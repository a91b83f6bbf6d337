//! One request's exchange with PostgREST: its tries, and what each one must be like.

use serde_json::Value;
use shared::host::{FetchError, Outbound};

use super::{Verdict, ensure};
use crate::database::Reply;
use crate::issuer::{PUBLISHABLE_KEY, URL};
use crate::plan::Plan;

/// The headers that may leave.
const HEADERS: [&str; 6] = ["apikey", "authorization", "content-type", "traceparent", "tracestate", "x-request-id"];
/// The wait before the first retry is at most this long, in milliseconds; before each further one, twice as long.
const BACKOFF_MS: u64 = 50;
/// How long the retry after a token of the future waits, in milliseconds.
const EARLY_MS: u64 = 1000;

/// What a try brought, as the contract sorts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// An answer that says something about the request.
    Answer(u16),
    /// The database cannot be reached, or did not answer in time. Seconds of `Retry-After`.
    Failure(Option<u64>),
    /// PostgREST's clock is behind that of the token's issuer.
    Early,
    /// The health probe, which has less time than a request, ran out of it.
    ShortTimeout,
}

impl Brought {
    pub(crate) fn by(result: Result<&Reply, FetchError>, is_short: bool) -> Self {
        let reply = match result {
            Err(FetchError::Timeout) if is_short => return Self::ShortTimeout,
            Err(_) => return Self::Failure(None),
            Ok(reply) => reply,
        };
        let error: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        let is_connection =
            || text("code").is_some_and(|code| code.is_empty() || code.starts_with("08") || code.starts_with("57P0"));
        let after = reply.headers.iter().find(|(name, _)| *name == "retry-after");
        let after = after.and_then(|(_, seconds)| seconds.parse().ok());
        match reply.status {
            502..=504 | 520..=527 | 530 | 540 | 544 => Self::Failure(after),
            400 | 500 if is_connection() => Self::Failure(after),
            401 if text("code") == Some("PGRST303") && text("message") == Some("JWT issued at future") => Self::Early,
            status => Self::Answer(status),
        }
    }
}

/// A try.
#[derive(Debug, Clone)]
struct Try {
    url: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    brought: Option<(Brought, u64)>,
}

/// The exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    tries: Vec<Try>,
    began_ms: u64,
    /// How long all of it may take, in milliseconds.
    pub(crate) limit_ms: u64,
    pub(crate) max_retries: u64,
    /// By how much the host was late with what the request waited for, in milliseconds.
    pub(crate) late_ms: u64,
    /// Whether the isolate's clock jumped meanwhile: then nobody can tell when the time is over.
    pub(crate) has_jumped: bool,
}

impl Exchange {
    pub(crate) fn new(limit_ms: u64, max_retries: u32) -> Self {
        let max_retries = u64::from(max_retries);
        Self { tries: Vec::new(), began_ms: 0, limit_ms, max_retries, late_ms: 0, has_jumped: false }
    }

    /// How many tries there were.
    pub(crate) fn tries(&self) -> usize {
        self.tries.len()
    }

    /// What the last try brought.
    pub(crate) fn last(&self) -> Option<Brought> {
        self.tries.last()?.brought.map(|(brought, _)| brought)
    }

    /// A try leaves.
    pub(crate) fn begins(&mut self, now_ms: u64, request: &Outbound<'_>, plan: &Plan, request_id: &str) -> Verdict {
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let this = Try { url: request.url.to_owned(), headers, body: request.body.map(str::to_owned), brought: None };
        ensure!(request.method == "POST", "a database function is called by {}", request.method);
        let function = request.url.strip_prefix(URL).and_then(|path| path.strip_prefix("/rest/v1/rpc/"));
        ensure!(function == plan.calls, "{} is called in place of {:?}", request.url, plan.calls);
        for (place, (name, _)) in this.headers.iter().enumerate() {
            ensure!(HEADERS.contains(name), "a header leaves that must not: {name}");
            ensure!(this.headers.iter().take(place).all(|(other, _)| other != name), "a header leaves twice: {name}");
        }
        let header = |name| this.headers.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str());
        ensure!(header("apikey") == Some(PUBLISHABLE_KEY), "another key is sent as apikey: {:?}", header("apikey"));
        ensure!(header("x-request-id") == Some(request_id), "the request id is lost");
        let expected = plan.identity().map(|token| format!("Bearer {}", token.text));
        ensure!(header("authorization") == expected.as_deref(), "it is made as somebody else than the caller");
        if let Some(id) = &plan.id {
            let is_there = this.body.as_ref().is_some_and(|body| body.contains(&format!(r#""{id}""#)));
            ensure!(is_there, "it has another id than the caller's");
        }
        for mark in &plan.marks {
            let is_there = this.body.as_ref().is_some_and(|body| body.contains(mark.as_str()));
            ensure!(is_there, "it does not say what the caller said");
        }
        self.may_begin(now_ms, u64::from(request.timeout_ms), &this)?;
        if self.tries.is_empty() {
            self.began_ms = now_ms;
        }
        self.tries.push(this);
        Ok(())
    }

    /// Whether there may be a further try, and with so much time.
    fn may_begin(&self, now_ms: u64, timeout_ms: u64, this: &Try) -> Verdict {
        let Some(last) = self.tries.last() else {
            ensure!(timeout_ms <= self.limit_ms, "it may take {timeout_ms} ms, and only {} are allowed", self.limit_ms);
            return Ok(());
        };
        let is_same = (&last.url, &last.headers, &last.body) == (&this.url, &this.headers, &this.body);
        ensure!(is_same, "a retry is of another thing: {this:?} after {last:?}");
        let Some((brought, at_ms)) = last.brought else { return Err("there are two tries at once".to_owned()) };
        let early = self.tries.iter().filter(|one| matches!(one.brought, Some((Brought::Early, _)))).count() as u64;
        ensure!(early <= 1, "a token of the future is tried again more than once");
        ensure!(
            (self.tries.len() as u64) < 1 + self.max_retries + early,
            "there are more than {} retries",
            self.max_retries
        );
        let wait_ms = match brought {
            Brought::Failure(after) => after.unwrap_or(0).saturating_mul(1000),
            Brought::Early => EARLY_MS,
            Brought::Answer(_) | Brought::ShortTimeout => return Err(format!("a retry after {brought:?}")),
        };
        ensure!(now_ms - at_ms >= wait_ms, "a retry after {} ms, too early after {brought:?}", now_ms - at_ms);
        let until_ms = self.began_ms + self.limit_ms;
        if !self.has_jumped {
            ensure!(now_ms < until_ms, "a retry leaves {} ms after the deadline", now_ms - until_ms);
            ensure!(now_ms + timeout_ms <= until_ms, "a retry may go past the deadline");
        }
        Ok(())
    }

    /// The isolate learns what the last try brought.
    pub(crate) fn learns(&mut self, now_ms: u64, brought: Brought) {
        if let Some(last) = self.tries.last_mut() {
            last.brought = Some((brought, now_ms));
        }
    }

    /// The request is answered, while the breaker would let it try again.
    pub(crate) fn ends(&self, now_ms: u64, may_try: bool) -> Verdict {
        let Some(last) = self.tries.last() else { return Ok(()) };
        if self.has_jumped {
            return Ok(());
        }
        let took_ms = now_ms - self.began_ms;
        ensure!(
            took_ms <= self.limit_ms + self.late_ms,
            "the exchange took {took_ms} ms, and {} are allowed",
            self.limit_ms
        );
        let Some((Brought::Failure(after), at_ms)) = last.brought else { return Ok(()) };
        let early = self.tries.iter().filter(|one| matches!(one.brought, Some((Brought::Early, _)))).count() as u64;
        let retries = self.tries.len() as u64 - 1;
        let longest_ms = after.unwrap_or(0).saturating_mul(1000).max(BACKOFF_MS << retries.min(5));
        let is_possible = retries < self.max_retries.saturating_sub(early)
            && at_ms.saturating_add(longest_ms) < self.began_ms + self.limit_ms;
        ensure!(!(is_possible && may_try && self.late_ms == 0), "it gives up, although it may try again");
        Ok(())
    }
}
