//! One caller: a connection of its own that is kept, and requests that must succeed.

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use devstack::{
    error::{Context as _, Error, Result},
    stack::ports,
};

/// A way into the stack, as somebody.
#[derive(Debug, Clone)]
pub struct Door {
    /// On loopback.
    pub port: u16,
    /// What every path begins with there.
    pub prefix: String,
    /// What goes into `apikey`.
    pub key: String,
}

impl Door {
    /// A request with a body of JSON.
    pub fn post(&self, path: &str, token: &str, body: impl Into<Bytes>) -> Wanted {
        self.request(Method::POST, path, Some(token), body)
    }

    /// A request without a body.
    pub fn get(&self, path: &str, token: &str) -> Wanted {
        self.request(Method::GET, path, Some(token), "")
    }

    /// Any request.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>, body: impl Into<Bytes>) -> Wanted {
        let mut headers = vec![
            ("host", ports::address(self.port).to_string()),
            ("content-type", "application/json".to_owned()),
            ("apikey", self.key.clone()),
        ];
        headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
        Wanted { method, path: format!("{}{path}", self.prefix), headers, body: body.into() }
    }
}

/// A request that is to be sent.
#[derive(Debug, Clone)]
pub struct Wanted {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Wanted {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(&self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone())).context(|| format!("{} cannot be asked for", self.path))
    }
}

/// Somebody with a connection.
///
/// It is the plainest there is, without a pool: what the caller costs is taken from both sides of a comparison, so it
/// should cost little.
#[derive(Debug)]
pub struct Caller {
    port: u16,
    sender: SendRequest<Full<Bytes>>,
}

impl Caller {
    /// Connects.
    pub async fn to(port: u16) -> Result<Self> {
        Ok(Self { port, sender: connect(port).await? })
    }

    /// Sends a request and reads the whole answer, which must be a success: a benchmark of failures is none.
    pub async fn send(&mut self, wanted: &Wanted) -> Result<Bytes> {
        if self.sender.ready().await.is_err() {
            // The other side has closed a connection that was idle between two turns.
            self.sender = connect(self.port).await?;
        }
        let what = || format!("{} {}", wanted.method, wanted.path);
        let answer = self.sender.send_request(wanted.request()?).await.context(what)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.context(what)?.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        Err(Error::new(format!("{} was answered with {status}: {}", what(), String::from_utf8_lossy(&body))))
    }

    /// The same, for an answer of JSON.
    pub async fn ask(&mut self, wanted: &Wanted) -> Result<Value> {
        let body = self.send(wanted).await?;
        serde_json::from_slice(&body).context(|| format!("{} was not answered with JSON", wanted.path))
    }
}

async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let what = || format!("Port {port} does not answer");
    let stream = TcpStream::connect(ports::address(port)).await.context(what)?;
    stream.set_nodelay(true).context(what)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.context(what)?;
    tokio::spawn(connection);
    Ok(sender)
}
