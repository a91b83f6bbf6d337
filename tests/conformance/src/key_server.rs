//! An issuer whose key set a test decides, in front of the stack's real PostgREST.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::call;
use crate::stack::Stack;

/// A server with two sides: `/auth/v1/.well-known/jwks.json` says what the test wants it to say, and `/rest/v1/…` is
/// the stack's. Both are counted.
#[derive(Debug, Clone)]
pub struct KeyServer {
    /// What a function's SUPABASE_URL should be.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    api_url: String,
    answer: Mutex<(u16, String)>,
    delay: Mutex<Duration>,
    counts: Mutex<Counts>,
}

/// What a server has been asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times the key set was fetched.
    pub key_sets: usize,
    /// Requests for PostgREST.
    pub forwarded: usize,
}

impl KeyServer {
    /// Starts one that publishes these keys.
    pub async fn publishing(stack: &Stack, keys: &[Value]) -> Self {
        let shared = Arc::new(Shared {
            api_url: stack.api_url.clone(),
            answer: Mutex::new((200, json!({ "keys": keys }).to_string())),
            // As if it were far away, so that callers come while somebody else's request is on its way.
            delay: Mutex::new(Duration::from_millis(100)),
            counts: Mutex::default(),
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/auth/v1/.well-known/jwks.json", get(key_set))
            .fallback(forward)
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, shared }
    }

    /// Publishes other keys from now on.
    pub fn publish(&self, keys: &[Value]) {
        self.answer(200, json!({ "keys": keys }).to_string());
    }

    /// Answers something else from now on.
    pub fn answer(&self, status: u16, body: impl Into<String>) {
        *self.shared.answer.lock().unwrap() = (status, body.into());
    }

    /// Takes this long for the key set from now on.
    pub fn slow_down(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap() = delay;
    }

    /// What it has been asked for so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.lock().unwrap()
    }
}

async fn key_set(State(shared): State<Arc<Shared>>) -> Response {
    shared.counts.lock().unwrap().key_sets += 1;
    let (status, body) = shared.answer.lock().unwrap().clone();
    let delay = *shared.delay.lock().unwrap();
    tokio::time::sleep(delay).await;
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.counts.lock().unwrap().forwarded += 1;
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let mut onward =
        call(parts.method.as_str(), format!("{}{}", shared.api_url, parts.uri)).body("application/json", body);
    for name in ["authorization", "apikey"] {
        if let Some(value) = parts.headers.get(name) {
            onward = onward.header(name, value.to_str().unwrap());
        }
    }
    let answer = onward.send().await;
    (answer.status, answer.bytes).into_response()
}
