//! What becomes of a request on its way to the database or the issuer, and of the answer on its way back.

use fastrand::Rng;

use crate::database::Reply;

/// A way in which an exchange goes wrong. Each world has some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is refused: nothing arrives.
    Refused,
    /// The request is lost, and nobody says so.
    Lost,
    /// It arrives late, perhaps after its sender has given up.
    Late,
    /// It arrives twice.
    Doubled,
    /// The answer is lost, and nobody says so.
    Silent,
    /// The connection is reset before the answer.
    Reset,
    /// It breaks in the middle of the answer.
    Torn,
    /// Half the answer comes as if it were all of it.
    Cut,
    /// A gateway says that it failed, and the database has perhaps done it.
    Gateway,
    /// PostgREST has no connection, or PostgreSQL went away.
    Connection,
    /// A limit before the database.
    Limited,
    /// PostgREST's clock is behind.
    Early,
    /// PostgREST refuses the token.
    Rejected,
    /// Something lasting is wrong with the database.
    Broken,
    /// A proxy's page instead of an answer, with status 200.
    Page,
}

impl Fault {
    pub(crate) const ALL: [Self; 15] = [
        Self::Refused,
        Self::Lost,
        Self::Late,
        Self::Doubled,
        Self::Silent,
        Self::Reset,
        Self::Torn,
        Self::Cut,
        Self::Gateway,
        Self::Connection,
        Self::Limited,
        Self::Early,
        Self::Rejected,
        Self::Broken,
        Self::Page,
    ];
}

/// What comes back.
#[derive(Debug, Clone)]
pub(crate) enum Back {
    /// The server's own answer.
    Own,
    /// Another one in its place.
    Other(Reply),
    /// Its beginning, as if it were all of it.
    Half,
    /// Its beginning; then the connection breaks.
    Broken,
    /// The connection breaks.
    Reset,
    /// Nothing.
    Nothing,
}

/// What becomes of an exchange.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    /// After how long the request arrives, each time it does, in milliseconds.
    pub(crate) arrives_ms: Vec<u64>,
    /// How long the answer takes after the first arrival, or after the start if there is none.
    pub(crate) back_ms: u64,
    pub(crate) back: Back,
}

impl Fate {
    /// An exchange without a fault.
    fn good(random: &mut Rng) -> Self {
        Self { arrives_ms: vec![latency(random)], back_ms: latency(random), back: Back::Own }
    }

    /// For the trace.
    pub(crate) fn line(&self) -> String {
        let back = match &self.back {
            Back::Other(reply) => format!("status {} in its place", reply.status),
            other => format!("{other:?}"),
        };
        format!("arrives after {:?} ms, and {} ms later comes back: {back}", self.arrives_ms, self.back_ms)
    }

    /// What becomes of an exchange, with this fault if there is one.
    pub(crate) fn of(fault: Option<Fault>, random: &mut Rng) -> Self {
        let mut fate = Self::good(random);
        let is_done = random.bool();
        let Some(fault) = fault else { return fate };
        fate.back = match fault {
            Fault::Refused => {
                fate.arrives_ms.clear();
                Back::Reset
            }
            Fault::Lost => {
                fate.arrives_ms.clear();
                Back::Nothing
            }
            Fault::Late => {
                fate.arrives_ms = vec![random.u64(500..40_000)];
                Back::Own
            }
            Fault::Doubled => {
                fate.arrives_ms.push(random.u64(0..5000));
                Back::Own
            }
            Fault::Silent => Back::Nothing,
            Fault::Reset => Back::Reset,
            Fault::Torn => Back::Broken,
            Fault::Cut => Back::Half,
            other => Back::Other(answer(other, random)),
        };
        if matches!(fate.back, Back::Other(_)) && !is_done {
            fate.arrives_ms.clear();
        }
        fate
    }
}

/// What an exchange takes one way, in milliseconds: mostly little.
fn latency(random: &mut Rng) -> u64 {
    match random.u8(0..20) {
        0 => random.u64(0..450),
        1..5 => random.u64(0..100),
        _ => random.u64(0..10),
    }
}

/// What stands in the place of the server's answer.
fn answer(fault: Fault, random: &mut Rng) -> Reply {
    let pick = |random: &mut Rng, all: &[(u16, &str)]| {
        let (status, body) = random.choice(all).copied().unwrap_or((503, ""));
        Reply::new(status, body)
    };
    let reply = match fault {
        Fault::Gateway => {
            let status = random.choice([502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 540, 544]);
            Reply::new(status.unwrap_or(502), "<html>failed</html>")
        }
        Fault::Connection => pick(
            random,
            &[
                (503, r#"{"code":"PGRST000","message":"Could not connect with the database"}"#),
                (503, r#"{"code":"PGRST001","message":"Could not connect"}"#),
                (503, r#"{"code":"PGRST002","message":"Could not query the schema cache"}"#),
                (504, r#"{"code":"PGRST003","message":"Timed out acquiring connection"}"#),
                (500, r#"{"code":"57P01","message":"terminating connection"}"#),
                (500, r#"{"code":"08006","message":"connection failure"}"#),
                (400, r#"{"code":"","message":""}"#),
            ],
        ),
        Fault::Limited => Reply::new(429, "slow down"),
        Fault::Early => Reply::new(401, r#"{"code":"PGRST303","message":"JWT issued at future"}"#),
        Fault::Rejected => pick(
            random,
            &[
                (401, r#"{"code":"PGRST303","message":"JWT expired"}"#),
                (401, r#"{"code":"PGRST301","message":"No suitable key"}"#),
                (403, r#"{"code":"42501","message":"permission denied"}"#),
            ],
        ),
        Fault::Page => Reply::new(200, "<!doctype html><title>Please wait</title>"),
        _ => pick(
            random,
            &[
                (500, r#"{"code":"57014","message":"canceling statement due to statement timeout"}"#),
                (500, r#"{"code":"XX000","message":"internal error"}"#),
                (404, r#"{"code":"PGRST202","message":"Could not find the function"}"#),
                (409, r#"{"code":"23503","message":"violates foreign key constraint"}"#),
                (400, r#"{"code":"23514","message":"violates check constraint"}"#),
                (302, ""),
                (500, "\u{0}not JSON"),
            ],
        ),
    };
    if !matches!(fault, Fault::Gateway | Fault::Connection | Fault::Limited) || random.bool() {
        return reply;
    }
    let after = random.choice(["0", "1", "2", "7", "3600", "18446744073709551615", "soon"]).unwrap_or("1");
    reply.with("retry-after", after)
}
