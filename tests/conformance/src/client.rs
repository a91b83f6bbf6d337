//! An HTTP client that sends what it is told and shows all that comes back.

use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::openapi::{self, Exchange};

type Body = BoxBody<Bytes, std::convert::Infallible>;

/// A request being built.
#[derive(Debug)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Body,
    /// The body again, to be checked.
    sent: Bytes,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Bytes,
}

/// Begins a request.
pub fn call(method: &str, url: impl Into<String>) -> Call {
    let (method, body) = (method.parse().unwrap(), Full::default().boxed());
    Call { method, url: url.into(), headers: Vec::new(), body, sent: Bytes::new() }
}

impl Call {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends any body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.sent = body.into();
        self.body = Full::new(self.sent.clone()).boxed();
        self.header("content-type", content_type)
    }

    /// Sends a body in chunks, without saying how long it will be.
    #[must_use]
    pub fn chunks(mut self, content_type: &str, chunks: Vec<Bytes>) -> Self {
        self.sent = chunks.concat().into();
        let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
        self.body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        self.header("content-type", content_type)
    }

    /// Sends the request and reads the whole answer.
    pub async fn send(self) -> Answer {
        let url = self.url.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same, where it may be that no answer comes. One that comes must be as the OpenAPI document says.
    pub async fn try_send(self) -> Result<Answer, String> {
        let mut request = Request::builder().method(&self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let connections: Connections<HttpConnector, Body> = Connections::builder(TokioExecutor::new()).build_http();
        let request = request.body(self.body).expect("a well-formed request");
        let response = connections.request(request).await.map_err(|error| format!("{error:?}"))?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, bytes };
        let exchange = Exchange {
            method: self.method.as_str(),
            url: &self.url,
            headers: &self.headers,
            body: &self.sent,
            answer: &answer,
        };
        openapi::check(&exchange).unwrap_or_else(|violation| panic!("{violation}"));
        Ok(answer)
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A header's value; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
