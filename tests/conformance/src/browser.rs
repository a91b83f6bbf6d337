//! A browser on a bad line: sends the same request again, as `docs/errors.md` says one may, and gives up in the end.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use uuid::Uuid;

use crate::client::Answer;
use crate::person::Person;

/// How long one try may take: above a function's own timeout.
const ONE_TRY: Duration = Duration::from_secs(20);
/// When it gives up.
const ALL_TRIES: Duration = Duration::from_secs(40);
/// First and longest pause between tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A client that keeps its connections, as browsers do.
#[derive(Debug, Clone)]
pub struct Browser(Client<HttpConnector, Full<Bytes>>);

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub struct Wanted {
    method: &'static str,
    url: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

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

impl Default for Browser {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Wanted {
    /// A request to a function as a person. `target` is what follows the function's URL.
    pub fn new(person: &Person, method: &'static str, function: &str, target: &str) -> Self {
        let headers = vec![
            ("apikey", person.stack.publishable_key.clone()),
            ("authorization", format!("Bearer {}", person.token)),
        ];
        let url = format!("{}{target}", person.stack.function(function));
        Self { method, url, headers, body: String::new() }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.headers.push(("content-type", "application/json".to_owned()));
        Self { body: body.to_string(), ..self }
    }

    /// Where it goes, and its bytes: the head and the body.
    pub fn written(&self) -> (String, String, &str) {
        let url: hyper::Uri = self.url.parse().expect("a URL");
        let authority = url.authority().expect("a host").to_string();
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\n", self.method);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        (authority, head, &self.body)
    }
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
    pub async fn once(&self, wanted: &Wanted) -> Option<Answer> {
        let mut request = Request::builder().method(wanted.method).uri(&wanted.url);
        for (name, value) in &wanted.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(wanted.body.clone())).expect("a well-formed request");
        let whole = async {
            let (parts, body) = self.0.request(request).await.ok()?.into_parts();
            let bytes = body.collect().await.ok()?.to_bytes();
            Some(Answer { status: parts.status, headers: parts.headers, bytes })
        };
        tokio::time::timeout(ONE_TRY, whole).await.ok().flatten()
    }

    /// Sends it until it succeeds, is refused for good, or patience ends.
    pub async fn insist(&self, wanted: &Wanted) -> Outcome {
        let began = Instant::now();
        let (mut pause, longest) = PAUSE;
        let mut saw = Vec::new();
        loop {
            let answer = self.once(wanted).await;
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
