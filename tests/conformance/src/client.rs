//! An HTTP client that sends what it is told and shows all that comes back.

use axum::body::Body;
use devstack::client::Client;
use devstack::error::Result;
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;

use crate::openapi::{self, Exchange};

/// A request being built. It can be sent more than once.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<Bytes>,
    /// Whether the parts of the body are sent one by one, without saying how long it will be.
    is_chunked: bool,
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
    let method = method.parse().unwrap();
    Call { method, url: url.into(), headers: Vec::new(), body: Vec::new(), is_chunked: false }
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
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { body: vec![body.into()], ..self }.header("content-type", content_type)
    }

    /// Sends a body in chunks, without saying how long it will be.
    #[must_use]
    pub fn chunks(self, content_type: &str, chunks: Vec<Bytes>) -> Self {
        Self { body: chunks, is_chunked: true, ..self }.header("content-type", content_type)
    }

    /// Where it goes, and its bytes: the head and the body.
    pub fn written(&self) -> (String, String, Vec<u8>) {
        let url: hyper::Uri = self.url.parse().expect("a URL");
        let authority = url.authority().expect("a host").to_string();
        let target = url.path_and_query().map_or("/", |target| target.as_str());
        let mut head = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\n", self.method);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = self.body.concat();
        head += &format!("content-length: {}\r\n\r\n", body.len());
        (authority, head, body)
    }

    /// Sends the request and reads the whole answer.
    pub async fn send(self) -> Answer {
        let url = self.url.clone();
        self.try_send().await.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// The same, where it may be that no answer comes. One that comes must be as the OpenAPI document says.
    pub async fn try_send(self) -> Result<Answer> {
        let answer = self.send_on(&Client::default()).await?;
        let (body, method) = (self.body.concat(), self.method.as_str());
        let exchange = Exchange { method, url: &self.url, headers: &self.headers, body: &body, answer: &answer };
        openapi::check(&exchange).unwrap_or_else(|violation| panic!("{violation}"));
        Ok(answer)
    }

    /// Sends it on the connections of a client, and does not look at the answer.
    pub async fn send_on(&self, client: &Client) -> Result<Answer> {
        let mut request = Request::builder().method(&self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = if self.is_chunked {
            Body::from_stream(futures_util::stream::iter(self.body.clone().into_iter().map(Ok::<_, std::io::Error>)))
        } else {
            Body::from(self.body.concat())
        };
        let (head, bytes) = client.send(request.body(body).expect("a well-formed request")).await?.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, bytes })
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
