//! A browser on a bad line: sends the same request again, as `docs/errors.md` says one may, and gives up in the end.

use std::time::{Duration, Instant};

use devstack::client::Client;
use uuid::Uuid;

use crate::client::{Answer, Call};

/// How long one try may take: above a function's own timeout.
const ONE_TRY: Duration = Duration::from_secs(20);
/// When it gives up.
const ALL_TRIES: Duration = Duration::from_secs(40);
/// First and longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A client that keeps its connections, as browsers do.
#[derive(Debug, Clone, Default)]
pub struct Browser(Client);

/// What one try brought: a status with the problem's code, if it was one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Saw {
    /// Success.
    Good(u16),
    /// A problem of the function's.
    Problem(u16, String),
    /// A failure somebody in front of the function tells.
    Platform(u16),
    /// No answer.
    Nothing,
}

/// What all tries brought.
#[derive(Debug)]
pub struct Outcome {
    /// The last answer, if it was a success.
    pub good: Option<Answer>,
    /// Every try.
    pub saw: Vec<Saw>,
}

impl Saw {
    /// What an answer was.
    pub fn of(answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let code = (answer.header("content-type") == "application/problem+json")
            .then(|| answer.json()["code"].as_str().map(str::to_owned));
        match code.flatten() {
            Some(code) => Self::Problem(status, code),
            None if answer.status.is_success() => Self::Good(status),
            None => Self::Platform(status),
        }
    }

    /// Whether the same request may succeed if it is sent again.
    fn invites_another_try(&self) -> bool {
        match self {
            Self::Problem(status, _) => [429, 503, 504].contains(status),
            Self::Platform(status) => *status >= 500,
            Self::Nothing => true,
            Self::Good(_) => false,
        }
    }
}

impl Browser {
    /// Sends a request once. None: no whole answer came.
    pub async fn once(&self, call: &Call) -> Option<Answer> {
        tokio::time::timeout(ONE_TRY, call.send_on(&self.0)).await.ok()?.ok()
    }

    /// Sends it until it succeeds, is refused for good, or patience ends.
    pub async fn insist(&self, call: &Call) -> Outcome {
        let began = Instant::now();
        let (mut pause, longest) = PAUSE;
        let mut saw = Vec::new();
        loop {
            let answer = self.once(call).await;
            let this = answer.as_ref().map_or(Saw::Nothing, Saw::of);
            let again = this.invites_another_try();
            saw.push(this.clone());
            if matches!(this, Saw::Good(_)) {
                return Outcome { good: answer, saw };
            }
            let asked_to_wait = answer.and_then(|answer| answer.header("retry-after").parse().ok()).unwrap_or_default();
            let wait = pause.mul_f64(chance()).max(Duration::from_secs(asked_to_wait));
            if !again || began.elapsed() + wait > ALL_TRIES {
                return Outcome { good: None, saw };
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0
}
