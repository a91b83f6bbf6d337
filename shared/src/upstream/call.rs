//! One call of a database function: one request to PostgREST, repeated while that may help.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use super::Breaker;
use super::error::{clock_skew, timeout, unavailable};
use crate::answer::Problem;
use crate::config::Config;
use crate::host::{FetchError, Host, Inbound, Outbound, Request};
use crate::members::Members;

/// Longest wait before the first retry, in milliseconds; before each further one, twice as long.
const FIRST_BACKOFF_MS: u64 = 50;
/// The wait grows no further than after so many retries.
const MOST_DOUBLINGS: u32 = 5;

/// How long to wait before the one retry of a call that PostgREST refused because its clock is behind the issuer's, in
/// milliseconds: clocks that are kept in time differ by less.
const CLOCK_SKEW_MS: u64 = 1000;

/// Longest `traceparent` or `tracestate` forwarded, in bytes (W3C Trace Context section 3.3.1.5 asks for 512 of the
/// latter). A longer one is dropped: gateways refuse requests with headers that are too long.
const TRACE_MAX_BYTES: usize = 512;

/// Responses to reads of at most so many bytes are read completely before they are passed on, so that a truncated one can
/// be retried; longer ones are streamed after that, so that memory does not grow with pages. Responses to writes are
/// always read completely: they are about as long as what was written.
const BUFFER_BYTES: u32 = 64 * 1024;

/// The way to PostgREST; one per isolate.
pub struct Upstream {
    pub(crate) host: Rc<dyn Host>,
    pub(crate) config: Rc<Config>,
    pub(crate) breaker: Rc<Breaker>,
}

/// What a request's call has cost so far, for the log.
#[derive(Debug, Default)]
pub(crate) struct CallStats {
    /// How often it was retried.
    pub(crate) retries: Cell<u32>,
    /// How long it took, all tries together, in milliseconds.
    pub(crate) db_ms: Cell<u64>,
    /// Whether a try that failed may have been executed all the same.
    pub(crate) may_be_done: Cell<bool>,
}

/// A database function to call, on behalf of a request.
pub(crate) struct Rpc<'a> {
    /// Name.
    pub(crate) function: &'a str,
    /// A JSON object with one member for each of its parameters.
    pub(crate) arguments: &'a str,
    /// The caller's token. Nobody's: the role `anon`.
    pub(crate) token: Option<&'a str>,
    /// The request it is for.
    pub(crate) request: &'a Request,
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// How long all its tries together may take, in milliseconds.
    pub(crate) timeout_ms: u64,
    /// Whether the response is needed completely, however long it is.
    pub(crate) reads_whole: bool,
    /// Where what it costs is counted.
    pub(crate) stats: &'a CallStats,
}

impl Upstream {
    /// Calls a database function, and again while that may help: nothing else of a request leaves the function.
    ///
    /// What leaves is listed here and nowhere else: the caller's token byte for byte, the publishable key, the request
    /// id and the trace headers. No other key exists in this program.
    ///
    /// Every call is safe to repeat (ids are made before the first try), so one that failed for a transient reason is
    /// retried after a while, at most `SUPABASE_MAX_RETRIES` times and never past `SUPABASE_TIMEOUT`, which is for all
    /// of it. Returns the last response, unless there was none.
    pub(crate) async fn call(&self, rpc: Rpc<'_>) -> Result<Inbound, Problem> {
        let started_ms = self.host.now_ms();
        let outcome = self.call_until(started_ms + rpc.timeout_ms, &rpc).await;
        rpc.stats.db_ms.set(self.host.now_ms().saturating_sub(started_ms));
        outcome
    }

    async fn call_until(&self, mut deadline_ms: u64, rpc: &Rpc<'_>) -> Result<Inbound, Problem> {
        let Self { host, config, breaker } = self;
        let authorization = rpc.token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![
            ("apikey", config.publishable_key.as_str()),
            ("content-type", "application/json"),
            ("x-request-id", rpc.request_id),
        ];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        for name in ["traceparent", "tracestate"] {
            let value = rpc.request.header(name).filter(|value| value.len() <= TRACE_MAX_BYTES);
            headers.extend(value.map(|value| (name, value)));
        }
        let url = format!("{}/rest/v1/rpc/{}", config.supabase_url, rpc.function);
        let retries = &rpc.stats.retries;
        let mut is_skewed = false;
        loop {
            let now = host.now_ms();
            // A clock that was set back gives a try no more time than the whole call had.
            deadline_ms = deadline_ms.min(now + rpc.timeout_ms);
            breaker.admit(now).map_err(|wait| unavailable().retry_after(wait.div_ceil(1000)))?;
            let left = u32::try_from(deadline_ms.saturating_sub(now)).unwrap_or(0).max(1);
            let request = Outbound {
                method: "POST",
                url: &url,
                headers: &headers,
                body: Some(rpc.arguments),
                timeout_ms: left,
                buffer: if rpc.request.method.is_safe() && !rpc.reads_whole { BUFFER_BYTES } else { Outbound::WHOLE },
            };
            // Unless the response says that it was not.
            let mut may_be_executed = true;
            let (failure, after) = match host.fetch(request).await {
                Ok(response) => match transient(response) {
                    Ok(lasting) => {
                        breaker.succeeded();
                        return Ok(lasting);
                    }
                    Err(Transient::ClockSkew) => {
                        // The database is well.
                        breaker.succeeded();
                        if is_skewed || host.now_ms().saturating_add(CLOCK_SKEW_MS) >= deadline_ms {
                            return Err(clock_skew());
                        }
                        is_skewed = true;
                        host.sleep(CLOCK_SKEW_MS as u32).await;
                        if host.now_ms() >= deadline_ms {
                            return Err(clock_skew());
                        }
                        retries.set(retries.get() + 1);
                        continue;
                    }
                    Err(Transient::Timeout(after)) => (timeout(), after),
                    Err(Transient::Unavailable(after)) => (unavailable(), after),
                    Err(Transient::NotExecuted(after)) => {
                        may_be_executed = false;
                        (unavailable(), after)
                    }
                },
                // The health probe is given less time than a request: that it ran out says nothing about requests.
                Err(FetchError::Timeout) if rpc.timeout_ms < config.timeout_ms => return Err(timeout()),
                Err(FetchError::Timeout) => (timeout(), None),
                Err(FetchError::Unreachable) => (unavailable(), None),
            };
            let now = host.now_ms();
            deadline_ms = deadline_ms.min(now + rpc.timeout_ms);
            breaker.failed(now);
            // PostgREST says `Retry-After: 0` while it reconnects; that is no reason to hurry.
            let pause = after.unwrap_or(0).saturating_mul(1000).max(backoff(&**host, retries.get()));
            let failure = match after {
                Some(seconds) => failure.retry_after(seconds.max(1)),
                None => failure,
            };
            if retries.get() >= config.max_retries || now.saturating_add(pause) >= deadline_ms {
                return Err(failure);
            }
            if may_be_executed {
                rpc.stats.may_be_done.set(true);
            }
            host.sleep(u32::try_from(pause).unwrap_or(u32::MAX)).await;
            // A busy host wakes late. A try that leaves after the deadline can only run out of time.
            if host.now_ms() >= deadline_ms {
                return Err(failure);
            }
            retries.set(retries.get() + 1);
        }
    }
}

/// A response that says nothing about the request. Of a failure, its `Retry-After` in seconds.
enum Transient {
    /// Something between here and the database, or the database, cannot be reached.
    Unavailable(Option<u64>),
    /// PostgREST says that it had no connection for the request: nothing was executed.
    NotExecuted(Option<u64>),
    /// Something there did not answer in time.
    Timeout(Option<u64>),
    /// PostgREST's clock is behind that of the token's issuer.
    ClockSkew,
}

/// Sorts out a response that says nothing about the request: the gateway, PostgREST or PostgreSQL failed.
///
/// Besides HTTP's own statuses there are Cloudflare's (520 to 527 and 530: the origin failed in some way; 522 and 524 are
/// timeouts) and Supabase's (540: the project is paused; 544: its gateway timed out).
fn transient(response: Inbound) -> Result<Inbound, Transient> {
    let Inbound { status, headers, body } = response;
    let (is_transient, body) = match status.as_u16() {
        503 => match body.into_bytes() {
            Ok(bytes) if has_no_connection(&bytes) => return Err(Transient::NotExecuted(retry_after(&headers))),
            Ok(bytes) => (true, bytes.into()),
            Err(body) => (true, body),
        },
        502 | 504 | 520..=527 | 530 | 540 | 544 => (true, body),
        // PostgREST says so of a token it will accept in a moment.
        401 => match body.into_bytes() {
            Ok(bytes) if is_early(&bytes) => return Err(Transient::ClockSkew),
            Ok(bytes) => (false, bytes.into()),
            Err(body) => (false, body),
        },
        // PostgreSQL went away during the request: connection exceptions, and shutdowns of all kinds. Where the
        // connection was torn, PostgREST (12.0.2, killed databases) answers 400 with an empty code.
        400 | 500 => match body.into_bytes() {
            Ok(bytes) => (is_connection(&bytes), bytes.into()),
            Err(body) => (false, body),
        },
        _ => (false, body),
    };
    if !is_transient {
        return Ok(Inbound { status, headers, body });
    }
    let after = retry_after(&headers);
    Err(match status.as_u16() {
        504 | 522 | 524 | 544 => Transient::Timeout(after),
        _ => Transient::Unavailable(after),
    })
}

/// The seconds of `Retry-After`.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok())
}

/// Whether PostgREST's error says that it had no connection to PostgreSQL, or does not know its schema yet. (`PGRST001` is
/// not among them: that connection broke, perhaps after the request was executed.)
fn has_no_connection(error: &[u8]) -> bool {
    let error = Members::parse(std::str::from_utf8(error).unwrap_or_default()).ok();
    let code = error.and_then(|error| error.string("code"));
    matches!(code.as_deref(), Some("PGRST000" | "PGRST002" | "PGRST003"))
}

/// Whether PostgREST's error says that the token was issued in the future.
fn is_early(error: &[u8]) -> bool {
    Members::parse(std::str::from_utf8(error).unwrap_or_default()).is_ok_and(|error| {
        error.string("code").as_deref() == Some("PGRST303")
            && error.string("message").as_deref() == Some("JWT issued at future")
    })
}

/// Whether PostgREST's error says that its connection to PostgreSQL broke.
fn is_connection(error: &[u8]) -> bool {
    let error = Members::parse(std::str::from_utf8(error).unwrap_or_default()).ok();
    let sqlstate = error.and_then(|error| error.string("code"));
    sqlstate.is_some_and(|code| code.is_empty() || code.starts_with("08") || code.starts_with("57P0"))
}

/// How long to wait before the next try, in milliseconds: anything up to twice what it was before ("full jitter", so
/// that callers who failed together do not come back together).
fn backoff(host: &dyn Host, retries: u32) -> u64 {
    let mut random = [0; 2];
    host.random(&mut random);
    let most = FIRST_BACKOFF_MS << retries.min(MOST_DOUBLINGS);
    u64::from(u16::from_le_bytes(random)) * most / u64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{CallStats, Rpc, Upstream};
    use crate::config::{Config, Variables};
    use crate::host::fake::{FakeHost, inbound, run};
    use crate::host::{FetchError, Request};
    use crate::upstream::Breaker;

    /// Status, `Retry-After` and body of an answer, or why there is none.
    type Coming = Result<(u16, Option<u64>, &'static str), FetchError>;

    /// Calls with these answers to come, and three retries; what came of it, and the host.
    fn called(answers: &[Coming], breaker: &Rc<Breaker>) -> (String, Rc<FakeHost>) {
        called_within(10_000, answers, breaker)
    }

    /// The same within so many milliseconds.
    fn called_within(timeout_ms: u64, answers: &[Coming], breaker: &Rc<Breaker>) -> (String, Rc<FakeHost>) {
        called_for(&Request::new("POST", "/"), timeout_ms, answers, breaker)
    }

    /// The same for a request.
    fn called_for(
        request: &Request,
        timeout_ms: u64,
        answers: &[Coming],
        breaker: &Rc<Breaker>,
    ) -> (String, Rc<FakeHost>) {
        let host = Rc::new(FakeHost::default());
        (called_on(&host, request, timeout_ms, answers, breaker), host)
    }

    /// The same on a host; what came of it.
    fn called_on(
        host: &Rc<FakeHost>,
        request: &Request,
        timeout_ms: u64,
        answers: &[Coming],
        breaker: &Rc<Breaker>,
    ) -> String {
        for answer in answers {
            let response = answer.map(|(status, after, body)| match after {
                Some(after) => inbound(status, &[("retry-after", &after.to_string())], body),
                None => inbound(status, &[], body),
            });
            host.responses.borrow_mut().push_back(response);
        }
        let lookup = |name: &str| match name {
            "SUPABASE_URL" => Some("https://abc.supabase.co".to_owned()),
            "SUPABASE_PUBLISHABLE_KEY" => Some("sb_publishable_x".to_owned()),
            _ => None,
        };
        let config = Rc::new(Config::read(&mut Variables::new(&lookup)));
        let upstream = Upstream { host: Rc::<FakeHost>::clone(host), config, breaker: Rc::clone(breaker) };
        let stats = CallStats::default();
        let rpc = Rpc {
            function: "f",
            arguments: "{}",
            token: None,
            request,
            request_id: "r-1",
            timeout_ms,
            reads_whole: false,
            stats: &stats,
        };
        let outcome = match run(upstream.call(rpc)).unwrap() {
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(problem) => {
                let after = problem.members.iter().find(|(name, _)| *name == "retry_after");
                format!("{} {}", problem.code.name, after.map_or("", |(_, value)| value.get()))
            }
        };
        outcome.trim().to_owned()
    }

    #[test]
    fn transient_failures_are_retried_and_nothing_else_is() {
        let transient = [
            Err(FetchError::Unreachable),
            Ok((502, None, "")),
            Ok((503, None, r#"{"code":"PGRST001"}"#)),
            Ok((504, None, "")),
            Ok((520, None, "")),
            Ok((521, None, "")),
            Ok((522, None, "")),
            Ok((527, None, "")),
            Ok((530, None, "")),
            Ok((540, None, "")),
            Ok((544, None, "")),
            Ok((500, None, r#"{"code":"57P01"}"#)),
            Ok((500, None, r#"{"code":"08006"}"#)),
            Ok((400, None, r#"{"code":"","message":""}"#)),
        ];
        for first in transient {
            let (outcome, host) = called(&[first, Ok((200, None, ""))], &Rc::default());
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("200", 2), "{first:?}");
        }
        let lasting = [
            (500, r#"{"code":"57014"}"#),
            (500, r#"{"code":"XX000"}"#),
            (400, "{}"),
            (401, "{}"),
            (404, "{}"),
            (409, "{}"),
            (429, "{}"),
            (302, ""),
            (501, ""),
            (505, ""),
            (519, ""),
            (528, ""),
        ];
        for (status, body) in lasting {
            let (outcome, host) = called(&[Ok((status, None, body)), Ok((200, None, ""))], &Rc::default());
            assert_eq!((outcome, host.sent.borrow().len()), (status.to_string(), 1), "{status} {body}");
        }
    }

    #[test]
    fn a_probe_that_runs_out_of_its_shorter_time_opens_no_breaker() {
        let breaker = Rc::<Breaker>::default();
        for _ in 0..9 {
            let (outcome, host) = called_within(2000, &[Err(FetchError::Timeout)], &breaker);
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_timeout", 1));
        }
        assert_eq!(breaker.state(0), "closed");
        let refused = [Err(FetchError::Unreachable); 9];
        called_within(2000, &refused, &breaker);
        called_within(2000, &refused, &breaker);
        assert_ne!(breaker.state(0), "closed", "a database that is not there at all is not there for requests either");
    }

    #[test]
    fn retries_are_three_and_wait_longer_each_time() {
        let (outcome, host) = called(&[Ok((503, None, "")); 9], &Rc::default());
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable", 4));
        let slept = host.slept.borrow();
        assert_eq!(slept.len(), 3);
        assert!(slept.iter().zip([50, 100, 200]).all(|(slept, most)| *slept <= most), "{slept:?}");
        assert_eq!(called(&[Ok((504, None, "")); 9], &Rc::default()).0, "upstream_timeout");
    }

    #[test]
    fn retry_after_is_respected_and_passed_on_when_it_is_past_the_deadline() {
        let (outcome, host) = called(&[Ok((503, Some(2), "")), Ok((200, None, ""))], &Rc::default());
        assert_eq!((outcome.as_str(), host.slept.borrow().as_slice()), ("200", &[2000][..]));
        assert_eq!(called(&[Ok((503, Some(0), "")); 9], &Rc::default()).0, "upstream_unavailable 1");
        let (outcome, host) = called(&[Ok((503, Some(10), "")), Ok((200, None, ""))], &Rc::default());
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable 10", 1));
    }

    #[test]
    fn a_token_of_the_future_is_tried_again_once_after_a_second() {
        let early = Ok((401, None, r#"{"code":"PGRST303","message":"JWT issued at future"}"#));
        let (outcome, host) = called(&[early, Ok((200, None, ""))], &Rc::default());
        assert_eq!((outcome.as_str(), host.slept.borrow().as_slice()), ("200", &[1000][..]));
        let breaker = Rc::<Breaker>::default();
        for _ in 0..9 {
            let (outcome, host) = called(&[early; 9], &breaker);
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("clock_skew", 2));
        }
        assert_eq!(breaker.state(0), "closed", "the database is well");
        let expired = Ok((401, None, r#"{"code":"PGRST303","message":"JWT expired"}"#));
        assert_eq!(called(&[expired], &breaker).0, "401");
        assert_eq!(called_within(900, &[early, Ok((200, None, ""))], &breaker).0, "clock_skew");
    }

    #[test]
    fn a_trace_header_that_is_too_long_is_dropped() {
        for (length, is_forwarded) in [(512, true), (513, false), (60_000, false)] {
            let mut request = Request::new("POST", "/");
            request.add_header(http::HeaderName::from_static("tracestate"), &"x".repeat(length));
            let (_, host) = called_for(&request, 10_000, &[Ok((200, None, ""))], &Rc::default());
            let sent = host.sent.borrow();
            assert_eq!(sent[0].headers.iter().any(|(name, _)| *name == "tracestate"), is_forwarded, "{length}");
        }
    }

    #[test]
    fn every_try_has_only_the_time_that_is_left() {
        let (_, host) = called(&[Ok((503, Some(4), "")), Ok((503, Some(4), "")), Ok((200, None, ""))], &Rc::default());
        let left: Vec<_> = host.sent.borrow().iter().map(|sent| sent.timeout_ms).collect();
        assert_eq!(left, [10_000, 6000, 2000]);
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_try_more_time() {
        let host = Rc::new(FakeHost::default());
        host.wakes_off_by_ms.set(-3_600_000);
        let answers = [Ok((503, None, "")), Ok((200, None, ""))];
        called_on(&host, &Request::new("POST", "/"), 10_000, &answers, &Rc::default());
        let left: Vec<_> = host.sent.borrow().iter().map(|sent| sent.timeout_ms).collect();
        assert_eq!(left, [10_000, 10_000]);
    }

    #[test]
    fn no_try_leaves_after_the_deadline_where_the_host_wakes_late() {
        let early = Ok((401, None, r#"{"code":"PGRST303","message":"JWT issued at future"}"#));
        for (first, code) in [(Ok((503, Some(2), "")), "upstream_unavailable 2"), (early, "clock_skew")] {
            let (host, breaker) = (Rc::new(FakeHost::default()), Rc::<Breaker>::default());
            host.wakes_off_by_ms.set(9500);
            let outcome = called_on(&host, &Request::new("POST", "/"), 10_000, &[first, Ok((200, None, ""))], &breaker);
            assert_eq!((outcome.as_str(), host.sent.borrow().len()), (code, 1));
        }
    }

    #[test]
    fn an_open_breaker_answers_at_once() {
        let breaker = Rc::<Breaker>::default();
        assert_eq!(called(&[], &breaker).0, "upstream_unavailable");
        let (outcome, host) = called(&[], &breaker);
        assert_eq!(
            (outcome.as_str(), host.sent.borrow().len()),
            ("upstream_unavailable 5", 1),
            "it opens at the fifth"
        );
        let (outcome, host) = called(&[Ok((200, None, ""))], &breaker);
        assert_eq!((outcome.as_str(), host.sent.borrow().len()), ("upstream_unavailable 5", 0));
    }
}
