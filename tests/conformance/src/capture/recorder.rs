//! Writes the record: a file of JSON lines. Tests read it while it grows, and it takes no memory.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use devstack::error::{Context as _, Result};
use devstack::gateway::Watch;

use super::tee::tee;

/// Longest record, in bytes. What does not fit is missing, and the record says so.
const LONGEST_RECORD: usize = 128 * 1024 * 1024;
/// Longest body a function may send, in bytes: well above the largest any of them takes in.
const LONGEST_BODY: usize = 4 * 1024 * 1024;
/// Longest problem read for its code, in bytes.
const LONGEST_PROBLEM: usize = 256 * 1024;

/// The record; clones are the same one.
#[derive(Debug, Clone)]
pub struct Capture {
    path: Arc<PathBuf>,
    file: Arc<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    room: usize,
    full: bool,
}

impl Capture {
    /// An empty record in a file.
    pub fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).context(|| format!("{} cannot be written", path.display()))?;
        let lines = Lines { file, room: LONGEST_RECORD, full: false };
        Ok(Self { path: Arc::new(path), file: Arc::new(Mutex::new(lines)) })
    }

    /// What puts the recorder into a stack's gateway.
    pub fn watch(&self) -> Watch {
        let asked = middleware::from_fn_with_state(self.clone(), client_request);
        let sent = middleware::from_fn_with_state(self.clone(), function_request);
        Watch { clients: Box::new(|app| app.layer(asked)), functions: Box::new(|app| app.layer(sent)) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an entry down, whole, before what it is about goes on.
    fn note(&self, entry: &Value) {
        let mut lines = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{entry}\n");
        if lines.full {
            return;
        }
        // A record that is full stays so: a short entry after a gap would look like all there is.
        lines.full = line.len() > lines.room;
        let line = if lines.full { format!("{}\n", incomplete()) } else { line };
        lines.room = lines.room.saturating_sub(line.len());
        lines.full |= lines.file.write_all(line.as_bytes()).is_err();
    }
}

/// The entry that says that others are missing.
fn incomplete() -> Value {
    json!({ "from": "recorder", "incomplete": true })
}

/// Notes what a function sends.
pub async fn function_request(State(capture): State<Capture>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        let message = "The body broke off, or is longer than anything a function should send";
        capture.note(&incomplete());
        return (StatusCode::PAYLOAD_TOO_LARGE, message).into_response();
    };
    capture.note(&json!({
        "from": "function",
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": all(&parts.headers),
        "body": String::from_utf8_lossy(&body),
    }));
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// Notes what a client asks a function, and the answer.
pub async fn client_request(State(capture): State<Capture>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/functions/") {
        return next.run(request).await;
    }
    let (method, target) = (request.method().to_string(), request.uri().to_string());
    let headers = all(request.headers());
    let (parts, body) = request.into_parts();
    let (body, seen) = tee(body);
    let request = Request::from_parts(parts, body);
    let (response, code) = with_code(next.run(request).await).await;
    let request_id = response.headers().get("x-request-id").map(text);
    capture.note(&json!({
        "from": "client",
        "method": method,
        "target": target,
        "headers": headers,
        "body_token": seen.access_token(),
        "status": response.status().as_u16(),
        "code": code,
        "request_id": request_id,
    }));
    response
}

/// The code of an answer that is a problem.
async fn with_code(response: Response) -> (Response, Option<String>) {
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json");
    if !is_problem {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, LONGEST_PROBLEM).await.unwrap_or_default();
    let problem: Option<Value> = serde_json::from_slice(&bytes).ok();
    let code = problem.and_then(|problem| Some(problem.get("code")?.as_str()?.to_owned()));
    (Response::from_parts(parts, Body::from(bytes)), code)
}

fn all(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, extract::Request, middleware, response::IntoResponse as _};
    use serde_json::{Value, json};
    use tower::Service as _;

    use super::{Capture, LONGEST_BODY, client_request, function_request, incomplete};

    fn record() -> Capture {
        let name = format!("selvedge-capture-{}", uuid::Uuid::new_v4());
        Capture::create(std::env::temp_dir().join(name)).unwrap()
    }

    fn entries(capture: &Capture) -> Vec<Value> {
        let text = std::fs::read_to_string(capture.path()).unwrap();
        let _ = std::fs::remove_file(capture.path());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn send(mut app: Router, target: &str, body: Vec<u8>) -> String {
        let request = Request::post(target).header("cookie", "a=b").body(Body::from(body)).unwrap();
        let answer = app.call(request).await.unwrap().into_body();
        String::from_utf8(axum::body::to_bytes(answer, usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_a_function_sends_is_noted_and_goes_on_unchanged() {
        let capture = record();
        let echo = Router::new().fallback(async |body: String| body);
        let app = echo.layer(middleware::from_fn_with_state(capture.clone(), function_request));
        assert_eq!(send(app.clone(), "/rest/v1/rpc/f?a=b", b"{}".to_vec()).await, "{}");
        send(app, "/", vec![0; LONGEST_BODY + 1]).await;
        let noted = json!({
            "from": "function", "method": "POST", "target": "/rest/v1/rpc/f?a=b",
            "headers": [["cookie", "a=b"]], "body": "{}"
        });
        assert_eq!(entries(&capture), [noted, incomplete()]);
    }

    #[tokio::test]
    async fn what_a_client_asks_a_function_is_noted_with_the_answer_and_nothing_else_is() {
        let capture = record();
        let refuse = Router::new().fallback(async || {
            let kind = [("content-type", "application/problem+json"), ("x-request-id", "r")];
            (hyper::StatusCode::CONFLICT, kind, r#"{"code":"id_reused"}"#).into_response()
        });
        let app = refuse.layer(middleware::from_fn_with_state(capture.clone(), client_request));
        send(app.clone(), "/rest/v1/sessions", Vec::new()).await;
        assert_eq!(send(app, "/functions/v1/f", Vec::new()).await, r#"{"code":"id_reused"}"#);
        let noted = json!({
            "from": "client", "method": "POST", "target": "/functions/v1/f", "headers": [["cookie", "a=b"]],
            "body_token": null, "status": 409, "code": "id_reused", "request_id": "r"
        });
        assert_eq!(entries(&capture), [noted]);
    }

    #[test]
    fn a_full_record_says_so_and_takes_nothing_more() {
        let capture = record();
        capture.file.lock().unwrap().room = 20;
        for entry in [json!({ "a": 1 }), json!({ "long": "x".repeat(20) }), json!({ "b": 2 })] {
            capture.note(&entry);
        }
        assert_eq!(entries(&capture), [json!({ "a": 1 }), incomplete()]);
    }
}
