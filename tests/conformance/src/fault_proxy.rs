//! A proxy between a function and Supabase that breaks what it is told to break, at the level of TCP.
//!
//! It stands where a function's `SUPABASE_URL` points. Each request whose path begins as `aim` says takes the next
//! fault of the script, or passes; everything else passes. What can be seen from outside only as bytes and closed
//! connections is written here by hand; the way on to Supabase is an ordinary HTTP client.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use devstack::client::Client;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::{HeaderMap, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What may happen to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset before a byte of the request has been read.
    ResetUnread,
    /// Half of the request goes on to Supabase, then both connections are reset.
    ResetHalfWay,
    /// Supabase does it, and the connection is reset instead of an answer.
    ResetAfterCommit,
    /// Supabase does it, and half of its answer comes back, then a reset.
    HalfAnswer,
    /// Supabase does it, and what comes back is not HTTP.
    Garbage,
    /// Supabase does it, and what comes back are headers without end.
    EndlessHeaders,
    /// Supabase does it, and nothing comes back.
    Silence,
    /// Supabase does it, and headers come back, and no body.
    StalledBody,
    /// Supabase does it, and half of its answer comes back, and then nothing.
    StalledHalfWay,
    /// Supabase does it later.
    Slow(Duration),
    /// Supabase never hears of it.
    Answer(Canned),
    /// Supabase does it, and something else is told.
    AnswerAfterCommit(Canned),
}

/// An answer that Supabase did not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canned {
    /// Status code.
    pub status: u16,
    /// Value of `Retry-After`.
    pub retry_after: Option<&'static str>,
    /// Content type and body.
    pub body: (&'static str, String),
}

impl Canned {
    /// What a proxy of Supabase's or Cloudflare's says: a page for people.
    pub fn page(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1>db.internal.example: upstream connect error</body></html>");
        Self { status, retry_after: None, body: ("text/html", body) }
    }

    /// What PostgREST says.
    pub fn postgrest(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "code": code, "details": null, "hint": null, "message": message });
        Self { status, retry_after: None, body: ("application/json; charset=utf-8", body.to_string()) }
    }

    /// With `Retry-After`.
    #[must_use]
    pub fn retry_after(self, seconds: &'static str) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }
}

/// A request that was aimed at.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its first byte came.
    pub at: Instant,
    /// What was done to it; none: it passed.
    pub fault: Option<Fault>,
}

/// The proxy; clones are the same one.
#[derive(Debug, Clone)]
pub struct FaultProxy {
    /// What a function's SUPABASE_URL should be.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    upstream: String,
    aim: &'static str,
    script: Mutex<Script>,
    client: Client,
    /// Told a new number when idle connections are to close.
    idle: watch::Sender<u64>,
    under_way: AtomicUsize,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    seen: Vec<Seen>,
}

impl FaultProxy {
    /// Starts one in front of `upstream`, for requests whose path begins with `aim`.
    pub async fn start(upstream: &str, aim: &'static str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            address,
            upstream: upstream.to_owned(),
            aim,
            script: Mutex::default(),
            client: Client::default(),
            idle: watch::Sender::new(0),
            under_way: AtomicUsize::new(0),
            listening: Mutex::default(),
        });
        let proxy = Self { url: format!("http://{address}"), shared };
        proxy.listen(listener);
        proxy
    }

    /// What happens to the next requests, one by one; `None` passes.
    pub fn next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.shared.script.lock().unwrap().next.extend(faults);
    }

    /// What happens to every request that `next` says nothing of.
    pub fn always(&self, fault: Fault) {
        self.shared.script.lock().unwrap().always = Some(fault);
    }

    /// From now on everything passes.
    pub fn clear(&self) {
        let mut script = self.shared.script.lock().unwrap();
        (script.next, script.always) = (VecDeque::new(), None);
    }

    /// How many requests the script still has something for.
    pub fn ahead(&self) -> usize {
        self.shared.script.lock().unwrap().next.len()
    }

    /// Begins to count anew.
    pub fn forget(&self) {
        self.shared.script.lock().unwrap().seen.clear();
    }

    /// The requests aimed at since.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.script.lock().unwrap().seen.clone()
    }

    /// How many connections have a request that is neither answered nor given up.
    pub fn under_way(&self) -> usize {
        self.shared.under_way.load(Ordering::SeqCst)
    }

    /// Closes kept-alive connections on which nothing is under way.
    pub fn drop_idle(&self) {
        self.shared.idle.send_modify(|generation| *generation += 1);
    }

    /// From now on connections are refused, and those that are idle are closed.
    pub async fn refuse(&self) {
        let listening = self.shared.listening.lock().unwrap().take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await; // the listener is closed once the task is gone
        }
        self.drop_idle();
    }

    /// Takes connections again, on the same port.
    pub async fn accept(&self) {
        if self.shared.listening.lock().unwrap().is_none() {
            self.listen(TcpListener::bind(self.shared.address).await.expect("the port it had before"));
        }
    }

    fn listen(&self, listener: TcpListener) {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(shared.clone(), stream));
            }
        });
        *self.shared.listening.lock().unwrap() = Some(task);
    }
}

impl Shared {
    /// What is to happen to a request with this first line.
    fn fate(&self, first_line: &[u8]) -> Option<Fault> {
        let path = first_line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if !path.starts_with(self.aim.as_bytes()) {
            return None;
        }
        let mut script = self.script.lock().unwrap();
        let fault = match script.next.pop_front() {
            Some(fault) => fault,
            None => script.always.clone(),
        };
        script.seen.push(Seen { at: Instant::now(), fault: fault.clone() });
        fault
    }

    /// Sends a request on and reads the whole answer. None: it could not be had.
    async fn pass_on(&self, asked: &Asked) -> Option<Told> {
        let mut request =
            Request::builder().method(asked.method.as_str()).uri(format!("{}{}", self.upstream, asked.target));
        for (name, value) in &asked.headers {
            let own = [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
            if !own.iter().any(|known| name.eq_ignore_ascii_case(known.as_str())) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Body::from(asked.body.clone())).expect("a request that was one before");
        let (parts, body) = self.client.send(request).await.ok()?.into_parts();
        Some(Told { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// A request as it came.
struct Asked {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    /// All of its bytes.
    raw: Vec<u8>,
}

/// Supabase's answer.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Told {
    /// As bytes: the head, then the body.
    fn written(&self) -> (Vec<u8>, &[u8]) {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
        }
        if self.status != 204 && self.status != 304 {
            head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        (head, &self.body)
    }
}

/// Counts a request as under way until it is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What becomes of a connection after a request.
enum After {
    Keep,
    Reset,
}

/// One connection of a function, until either side closes it.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream) {
    let mut idle = shared.idle.subscribe();
    let mut read = Vec::new();
    loop {
        if read.is_empty() {
            // Looked at, not read: what is reset unread must be unread.
            let mut peeked = [0; 512];
            let peeked = tokio::select! {
                length = stream.peek(&mut peeked) => match length {
                    Ok(length) if length > 0 => &peeked[..length],
                    _ => return,
                },
                _ = idle.changed() => return,
            };
            let fate = shared.fate(peeked);
            if fate == Some(Fault::ResetUnread) {
                return reset(stream);
            }
            let _counted = UnderWay::begin(&shared.under_way);
            let Some(asked) = take(&mut stream, &mut read).await else { return };
            match answer(&shared, &mut stream, &asked, fate).await {
                Some(After::Keep) => {}
                Some(After::Reset) => return reset(stream),
                None => return,
            }
        } else {
            return; // no client of ours sends a request before it has the answer to the one before
        }
    }
}

/// Reads one request. None: there is no whole one.
async fn take(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Asked> {
    let head_ends = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read[..head_ends].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    assert!(header("transfer-encoding").is_none(), "a function always knows how long its body is");
    let length: usize = header("content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while read.len() < head_ends + length {
        if stream.read_buf(read).await.ok()? == 0 {
            return None;
        }
    }
    let rest = read.split_off(head_ends + length);
    let raw = std::mem::replace(read, rest);
    Some(Asked { method, target, headers, body: Bytes::copy_from_slice(&raw[head_ends..]), raw })
}

/// Does to a request what is to be done. None: the connection is of no more use.
async fn answer(shared: &Shared, stream: &mut TcpStream, asked: &Asked, fate: Option<Fault>) -> Option<After> {
    match fate {
        Some(Fault::ResetHalfWay) => {
            let upstream = shared.upstream.strip_prefix("http://").unwrap();
            let mut onward = TcpStream::connect(upstream).await.ok()?;
            onward.write_all(&asked.raw[..asked.raw.len() - asked.body.len() / 2]).await.ok()?;
            reset(onward);
            return Some(After::Reset);
        }
        Some(Fault::Answer(canned)) => {
            stream.write_all(&canned_bytes(&canned)).await.ok()?;
            return Some(After::Keep);
        }
        Some(Fault::Slow(by)) => tokio::select! {
            () = tokio::time::sleep(by) => {}
            () = closed(stream) => return None, // whoever gave up has not asked for it either
        },
        _ => {}
    }
    let Some(told) = shared.pass_on(asked).await else { return Some(After::Reset) };
    let (head, body) = told.written();
    match fate {
        Some(Fault::ResetAfterCommit) => Some(After::Reset),
        Some(Fault::HalfAnswer) => {
            stream.write_all(&[&head, &body[..body.len() / 2]].concat()).await.ok()?;
            // So that what was written is read before the reset arrives.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some(After::Reset)
        }
        Some(Fault::Garbage) => {
            stream.write_all(b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03not http at all\r\n\r\n\x00\x00").await.ok()?;
            None
        }
        Some(Fault::EndlessHeaders) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
            let line = format!("x-endless: {}\r\n", "a".repeat(1000)).repeat(16);
            while stream.write_all(line.as_bytes()).await.is_ok() {}
            None
        }
        Some(Fault::Silence) => {
            closed(stream).await;
            None
        }
        Some(Fault::StalledBody) => {
            stream.write_all(&head).await.ok()?;
            closed(stream).await;
            None
        }
        Some(Fault::StalledHalfWay) => {
            stream.write_all(&[&head, &body[..body.len() / 2]].concat()).await.ok()?;
            closed(stream).await;
            None
        }
        Some(Fault::AnswerAfterCommit(canned)) => {
            stream.write_all(&canned_bytes(&canned)).await.ok()?;
            Some(After::Keep)
        }
        _ => {
            stream.write_all(&[&head, body].concat()).await.ok()?;
            Some(After::Keep)
        }
    }
}

fn canned_bytes(canned: &Canned) -> Vec<u8> {
    let Canned { status, retry_after, body: (kind, body) } = canned;
    let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let length = body.len();
    format!("HTTP/1.1 {status} -\r\n{retry_after}content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

/// Resolves when the other side has closed.
async fn closed(stream: &mut TcpStream) {
    let mut nothing = [0; 64];
    while matches!(stream.read(&mut nothing).await, Ok(length) if length > 0) {}
}

/// Closes a connection so that the other side sees a reset, not an end.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{Canned, Fault, FaultProxy, Instant, Seen, SocketAddr, TcpListener, TcpStream};

    /// A server that says how many requests it has had.
    async fn counting() -> (FaultProxy, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = count.clone();
        let app = Router::new().fallback(async move |body: String| {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            format!("got {body}")
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let proxy = FaultProxy::start(&format!("http://{}", listener.local_addr().unwrap()), "/rest/").await;
        tokio::spawn(async move { axum::serve(listener, app).await });
        (proxy, count)
    }

    /// One request on a connection of its own, and all that comes back, or how it ended.
    async fn ask(proxy: &FaultProxy, path: &str) -> Result<String, std::io::ErrorKind> {
        let mut stream = TcpStream::connect(proxy.shared.address).await.map_err(|error| error.kind())?;
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.kind())?;
        let mut read = vec![0; 4096];
        let mut text = String::new();
        loop {
            match tokio::time::timeout(std::time::Duration::from_millis(200), stream.read(&mut read)).await {
                Err(_) => return Ok(text + " …"),
                Ok(Err(error)) => return Err(error.kind()),
                Ok(Ok(0)) => return Ok(text),
                Ok(Ok(length)) => text += &String::from_utf8_lossy(&read[..length]),
            }
            if text.ends_with("got hello") {
                return Ok(text);
            }
        }
    }

    #[tokio::test]
    async fn each_fault_is_what_it_says_and_upstream_hears_of_it_or_not() {
        use std::sync::atomic::Ordering::SeqCst;
        let (proxy, count) = counting().await;
        let reset = Err(std::io::ErrorKind::ConnectionReset);
        for (fault, heard) in
            [(Fault::ResetUnread, 0), (Fault::ResetHalfWay, 0), (Fault::ResetAfterCommit, 1), (Fault::HalfAnswer, 1)]
        {
            count.store(0, SeqCst);
            proxy.next([Some(fault.clone())]);
            let saw = ask(&proxy, "/rest/v1").await;
            assert!(saw == reset, "{fault:?}: {saw:?}");
            assert_eq!(count.load(SeqCst), heard, "{fault:?}");
        }
        count.store(0, SeqCst);
        for (fault, part) in [
            (Fault::Garbage, "not http"),
            (Fault::Silence, " …"),
            (Fault::StalledBody, "content-length: 9\r\n\r\n …"),
            (Fault::StalledHalfWay, "content-length: 9\r\n\r\ngot  …"),
            (Fault::AnswerAfterCommit(Canned::page(502)), "HTTP/1.1 502"),
            (Fault::Slow(std::time::Duration::from_millis(10)), "got hello"),
        ] {
            proxy.next([Some(fault.clone())]);
            let saw = ask(&proxy, "/rest/v1").await.unwrap();
            assert!(saw.contains(part), "{fault:?}: {saw}");
        }
        assert_eq!(count.load(SeqCst), 6);
        proxy.always(Fault::Answer(Canned::page(503).retry_after("7")));
        assert!(ask(&proxy, "/rest/v1").await.unwrap().contains("retry-after: 7"));
        assert!(ask(&proxy, "/auth/v1").await.unwrap().contains("got hello"), "what it does not aim at passes");
        assert_eq!(count.load(SeqCst), 7);
    }

    #[tokio::test]
    async fn a_script_is_followed_request_by_request_and_noted() {
        let (proxy, _) = counting().await;
        let canned = Fault::Answer(Canned::page(502));
        proxy.next([None, Some(canned.clone()), None]);
        let before = Instant::now();
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(ask(&proxy, "/rest/v1").await.unwrap()[9..12].to_owned());
        }
        assert_eq!(statuses, ["200", "502", "200", "200"]);
        let seen: Vec<Seen> = proxy.seen();
        assert_eq!(seen.iter().map(|seen| seen.fault.clone()).collect::<Vec<_>>(), [None, Some(canned), None, None]);
        assert!(seen.iter().all(|seen| seen.at >= before) && proxy.ahead() == 0);
        proxy.forget();
        assert!(proxy.seen().is_empty());
    }

    #[tokio::test]
    async fn refused_means_refused_until_it_accepts_again() {
        let (proxy, _) = counting().await;
        proxy.refuse().await;
        assert_eq!(ask(&proxy, "/rest/v1").await, Err(std::io::ErrorKind::ConnectionRefused));
        proxy.accept().await;
        assert!(ask(&proxy, "/rest/v1").await.is_ok());
    }
}
