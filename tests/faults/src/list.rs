//! Every fault, with what its caller sees. docs/faults.md has the same rows; `table.rs` holds the two together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use conformance::client::Answer;
use conformance::fault_proxy::{Canned, Fault as Break};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::scene::Scene;
use crate::{breaker, crowd, database, graceful_stop, health, injected, keys, leaving, processes};

/// Something that goes wrong.
pub(crate) struct Fault {
    /// What, in words.
    pub name: &'static str,
    /// What the caller sees of it.
    pub sees: Sees,
    /// How it comes about.
    pub how: How,
}

/// How a fault comes about.
pub(crate) enum How {
    /// The proxy does this to the requests of one caller, in this order, and then to every other request of several.
    Injected(fn() -> Vec<Break>),
    /// In its own way, which also checks what the caller sees.
    Real(fn(Arc<Scene>) -> BoxFuture<'static, ()>),
}

/// What a caller sees, who sends one new message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sees {
    /// It is stored; the database's API was asked so many times.
    Saved { asked: usize },
    /// It is stored, and had been before the answer that got through.
    Replayed { asked: usize },
    /// A problem. The same request later is stored.
    Problem { status: u16, code: &'static str, asked: usize },
    /// What the fault itself checks.
    Said(&'static str),
}

impl Fault {
    /// Lets it happen.
    pub(crate) fn attempt(&self, scene: Arc<Scene>) -> BoxFuture<'static, ()> {
        match self.how {
            How::Injected(breaks) => Box::pin(injected::attempt(scene, breaks(), self.sees)),
            How::Real(run) => run(scene),
        }
    }
}

impl fmt::Display for Sees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = |asked| match asked {
            1 => "asked once".to_owned(),
            2 => "asked twice".to_owned(),
            more => format!("asked {more} times"),
        };
        match self {
            Self::Saved { asked: times } => write!(f, "201; upstream was {}", asked(*times)),
            Self::Replayed { asked: times } => {
                write!(f, "200 with `replayed: true`; upstream was {}", asked(*times))
            }
            Self::Problem { status, code, asked: times } => {
                let wait = if *status == 503 { " with `Retry-After`" } else { "" };
                write!(f, "{status} `{code}`{wait}; upstream was {}", asked(*times))
            }
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// What no answer may hold: names of hosts, programs and tables, and the database's own words.
const SECRETS: [&str; 9] =
    ["127.0.0.1", "localhost", "db.internal", "<html", "PGRST", "postgresql", "chat_history", "PL/pgSQL", "eyJ"];

impl Sees {
    /// Whether this is what was seen.
    pub(crate) fn check(self, answer: &Answer, times: usize) -> Result<(), String> {
        let saw =
            || format!("expected {self}; saw {} after asking upstream {times} times: {}", answer.status, answer.text());
        let expected = match self {
            Self::Saved { asked } => answer.status == 201 && answer.json()["replayed"] == false && times == asked,
            Self::Replayed { asked } => answer.status == 200 && answer.json()["replayed"] == true && times == asked,
            Self::Problem { status, code, asked } => {
                return if times == asked { problem(answer, status, code) } else { Err(saw()) };
            }
            Self::Said(_) => true,
        };
        if expected { Ok(()) } else { Err(saw()) }
    }
}

/// Whether an answer is this problem, whole, with `Retry-After` where it is a 503, and with nothing it may not tell.
pub(crate) fn problem(answer: &Answer, status: u16, code: &str) -> Result<(), String> {
    let body = serde_json::from_slice(&answer.bytes).unwrap_or(json!(null));
    let waits = answer.header("retry-after").parse().is_ok_and(|seconds: u32| seconds >= 1);
    let whole = answer.status == status
        && answer.header("content-type") == "application/problem+json"
        && (&body["code"], &body["status"]) == (&json!(code), &json!(status))
        && body["type"] == format!("/docs/errors.md#{code}")
        && body["request_id"] == answer.header("x-request-id")
        && (waits || status != 503);
    let leaked = SECRETS.iter().find(|secret| answer.text().to_lowercase().contains(&secret.to_lowercase()));
    match (whole, leaked) {
        (true, None) => Ok(()),
        (true, Some(secret)) => Err(format!("{secret} leaked: {}", answer.text())),
        (false, _) => {
            let wait = answer.header("retry-after");
            Err(format!("expected {status} {code}; saw {}, Retry-After {wait:?}: {}", answer.status, answer.text()))
        }
    }
}

const UNAVAILABLE: Sees = Sees::Problem { status: 503, code: "upstream_unavailable", asked: 4 };
const TIMED_OUT: Sees = Sees::Problem { status: 504, code: "upstream_timeout", asked: 1 };

const fn injected(name: &'static str, sees: Sees, breaks: fn() -> Vec<Break>) -> Fault {
    Fault { name, sees, how: How::Injected(breaks) }
}

const fn real(name: &'static str, sees: &'static str, run: fn(Arc<Scene>) -> BoxFuture<'static, ()>) -> Fault {
    Fault { name, sees: Sees::Said(sees), how: How::Real(run) }
}

fn page(status: u16) -> Break {
    Break::Answer(Canned::page(status))
}

fn postgrest(status: u16, code: &str, message: &str) -> Vec<Break> {
    vec![Break::Answer(Canned::postgrest(status, code, message))]
}

/// All of them, in the order they are tried.
pub(crate) const FAULTS: &[Fault] = &[
    // The connection.
    real(
        "connection refused",
        "503 `upstream_unavailable` with `Retry-After`; once the port is open again 201",
        |scene| Box::pin(injected::refused(scene)),
    ),
    injected("reset before the request is read", Sees::Saved { asked: 2 }, || vec![Break::ResetUnread]),
    real("kept-alive connection turns out dead", "201; upstream was asked twice", |scene| {
        Box::pin(injected::kept_alive(scene))
    }),
    injected("reset half-way through the request", Sees::Saved { asked: 2 }, || vec![Break::ResetHalfWay]),
    injected("reset after the commit, before the answer", Sees::Replayed { asked: 2 }, || {
        vec![Break::ResetAfterCommit]
    }),
    injected("half an answer", Sees::Replayed { asked: 2 }, || vec![Break::HalfAnswer]),
    injected("an answer that is not HTTP", Sees::Replayed { asked: 2 }, || vec![Break::Garbage]),
    injected("endless headers", Sees::Replayed { asked: 2 }, || vec![Break::EndlessHeaders]),
    injected("three resets in a row", Sees::Replayed { asked: 4 }, || {
        vec![Break::ResetUnread, Break::ResetAfterCommit, Break::ResetHalfWay]
    }),
    // Time.
    injected("no answer at all", TIMED_OUT, || vec![Break::Silence]),
    injected("headers, then no body", TIMED_OUT, || vec![Break::StalledBody]),
    injected("slow by 5 s, over the timeout of 2 s", TIMED_OUT, || vec![Break::Slow(Duration::from_secs(5))]),
    real("slow by 5 s, under the default timeout", "201 after those 5 s; upstream was asked once", |scene| {
        Box::pin(injected::slow_under_the_default(scene))
    }),
    // Proxies in front of the database's API.
    injected("two 502", Sees::Saved { asked: 3 }, || vec![page(502); 2]),
    injected("two 503", Sees::Saved { asked: 3 }, || vec![page(503); 2]),
    injected("two 504", Sees::Saved { asked: 3 }, || vec![page(504); 2]),
    injected("two 520", Sees::Saved { asked: 3 }, || vec![page(520); 2]),
    injected("521, 522 and 523 (Cloudflare)", Sees::Saved { asked: 4 }, || [521, 522, 523].map(page).to_vec()),
    injected("524, 527 and 530 (Cloudflare)", Sees::Saved { asked: 4 }, || [524, 527, 530].map(page).to_vec()),
    injected("540 and 544 (Supabase)", Sees::Saved { asked: 3 }, || [540, 544].map(page).to_vec()),
    injected("JWT issued at future, once", Sees::Saved { asked: 2 }, || {
        postgrest(401, "PGRST303", "JWT issued at future")
    }),
    injected("JWT issued at future, twice", Sees::Problem { status: 503, code: "clock_skew", asked: 2 }, || {
        [postgrest(401, "PGRST303", "JWT issued at future"), postgrest(401, "PGRST303", "JWT issued at future")]
            .concat()
    }),
    injected("429 of a gateway", Sees::Problem { status: 429, code: "rate_limited", asked: 1 }, || {
        vec![Break::Answer(Canned::page(429).retry_after("2"))]
    }),
    injected("502 although it was stored", Sees::Replayed { asked: 2 }, || {
        vec![Break::AnswerAfterCommit(Canned::page(502))]
    }),
    injected("504 although it was stored", Sees::Replayed { asked: 2 }, || {
        vec![Break::AnswerAfterCommit(Canned::page(504))]
    }),
    real("503 with Retry-After: 1", "201 a second later; upstream was asked twice", |scene| {
        Box::pin(injected::retry_after(scene))
    }),
    injected(
        "503 with a Retry-After past the deadline",
        Sees::Problem { status: 503, code: "upstream_unavailable", asked: 1 },
        || vec![Break::Answer(Canned::page(503).retry_after("3"))],
    ),
    injected("a storm of 502", UNAVAILABLE, || vec![page(502); 4]),
    injected("a storm of 503", UNAVAILABLE, || vec![page(503); 4]),
    injected("a storm of 504", Sees::Problem { status: 504, code: "upstream_timeout", asked: 4 }, || {
        vec![page(504); 4]
    }),
    injected("a storm of 520", UNAVAILABLE, || vec![page(520); 4]),
    real(
        "a storm that goes on: the circuit breaker",
        "503 `upstream_unavailable` with `Retry-After` at once, and upstream is left alone; after 5 s one request tries",
        |scene| Box::pin(breaker::opens_and_closes(scene)),
    ),
    // PostgREST's own words.
    injected("PGRST000: no connection to the database", Sees::Saved { asked: 2 }, || {
        postgrest(503, "PGRST000", "Could not connect with the database at db.internal")
    }),
    injected("PGRST001: the connection broke inside", Sees::Saved { asked: 2 }, || {
        postgrest(503, "PGRST001", "Database client error. Retrying the connection.")
    }),
    injected("PGRST002: no schema cache", Sees::Saved { asked: 2 }, || {
        postgrest(503, "PGRST002", "Could not query the database for the schema cache. Retrying.")
    }),
    injected("PGRST003: no free connection in the pool", Sees::Saved { asked: 2 }, || {
        postgrest(504, "PGRST003", "Timed out acquiring connection from connection pool.")
    }),
    // Seen of PostgREST 12.0.2 when PostgreSQL was killed: not a client's fault, whatever the status says.
    injected("400 with an empty code: the connection broke in mid-query", Sees::Saved { asked: 2 }, || {
        postgrest(400, "", "")
    }),
    injected("the same although it was stored", Sees::Replayed { asked: 2 }, || {
        vec![Break::AnswerAfterCommit(Canned::postgrest(400, "", ""))]
    }),
    injected(
        "an error of PostgREST's that is none of these",
        Sees::Problem { status: 502, code: "upstream_error", asked: 1 },
        || postgrest(500, "XX000", "PL/pgSQL function chat_history_append() line 3"),
    ),
    // The database's own, raised by a trigger where PostgREST and PostgreSQL are the real ones.
    real("disk full (53100)", "503 `upstream_unavailable` with `Retry-After`; upstream was asked 4 times", |scene| {
        Box::pin(database::raises(scene, "53100", UNAVAILABLE))
    }),
    real(
        "out of memory (53200)",
        "503 `upstream_unavailable` with `Retry-After`; upstream was asked 4 times",
        |scene| Box::pin(database::raises(scene, "53200", UNAVAILABLE)),
    ),
    real(
        "too many connections (53300)",
        "503 `upstream_unavailable` with `Retry-After`; upstream was asked 4 times",
        |scene| Box::pin(database::raises(scene, "53300", UNAVAILABLE)),
    ),
    real(
        "PostgreSQL shutting down (57P01)",
        "503 `upstream_unavailable` with `Retry-After`; upstream was asked 4 times",
        |scene| Box::pin(database::raises(scene, "57P01", UNAVAILABLE)),
    ),
    real("database read-only (25006)", "502 `upstream_error`; upstream was asked once", |scene| {
        let sees = Sees::Problem { status: 502, code: "upstream_error", asked: 1 };
        Box::pin(database::raises(scene, "25006", sees))
    }),
    real("deadlock (40P01)", "502 `upstream_error`; upstream was asked once", |scene| {
        let sees = Sees::Problem { status: 502, code: "upstream_error", asked: 1 };
        Box::pin(database::raises(scene, "40P01", sees))
    }),
    real("statement timeout (57014)", "504 `upstream_timeout`; upstream was asked once", |scene| {
        Box::pin(database::statement_timeout(scene, TIMED_OUT))
    }),
    real(
        "schema cache stale (PGRST202)",
        "502 `upstream_error` until PostgREST has reloaded its schema; upstream was asked once",
        |scene| Box::pin(database::stale_schema(scene)),
    ),
    real(
        "connection pool exhausted",
        "503 or 504 while no connection is free; afterwards the same request is stored",
        |scene| Box::pin(database::pool_exhausted(scene)),
    ),
    // Processes.
    real(
        "PostgREST killed -9 and restarted under load",
        "201, or 503 `upstream_unavailable` with `Retry-After` while it is away",
        |scene| Box::pin(processes::postgrest_killed(scene)),
    ),
    real("PostgreSQL killed -9 and restarted under load", "201, or 503 or 504 while it is away", |scene| {
        Box::pin(processes::postgres_killed(scene))
    }),
    real(
        "workerd or Deno killed -9 and restarted under load",
        "no answer, or the platform's own 502 or 503, while it is away",
        |scene| Box::pin(processes::functions_killed(scene)),
    ),
    // Keys.
    real(
        "key server down, stalled or answering rubbish",
        "503 `keys_unavailable` with `Retry-After`, never 401; with keys from before all goes on",
        |scene| Box::pin(keys::unavailable(scene)),
    ),
    // Callers who go away.
    real(
        "caller who leaves during the upload",
        "upstream is not asked and nothing is stored; the next caller gets 201",
        |scene| Box::pin(leaving::during_the_upload(scene)),
    ),
    real(
        "caller who leaves while the function waits for upstream",
        "the message is stored whole or not at all; after twice the timeout no connection upstream is left; the next caller gets 201",
        |scene| Box::pin(leaving::while_it_waits(scene)),
    ),
    real(
        "caller who leaves in the middle of a streamed page",
        "after twice the timeout no connection upstream is left; the next caller gets the whole page",
        |scene| Box::pin(leaving::in_the_middle_of_a_page(scene)),
    ),
    // What watches, and what must simply hold.
    real(
        "deep health while PostgREST is away",
        "`GET /health?deep=1`: 503 `degraded`, `disconnected`; 200 `ok` once it is back and 10 s have passed",
        |scene| Box::pin(health::deep(scene)),
    ),
    real("100 callers at once for a minute", "nothing but success", |scene| Box::pin(crowd::calls(scene))),
    real(
        "Ctrl-C with requests under way",
        "the answer to each; `cargo xtask dev` ends after them and leaves nothing running",
        |scene| Box::pin(graceful_stop::finishes_what_is_under_way(scene)),
    ),
];
