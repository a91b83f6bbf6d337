//! Requests whose target has characters that hyper refuses and clients send all the same.
//!
//! PostgREST's operators for JSON have one: `?event_data->>k=eq.7`. curl sends it as it stands, Supabase's gateway takes
//! it, and hyper answers 400 before anybody here has seen the request. So these characters are percent-encoded on the
//! way in. That needs to know where each request begins, and so how long the body before it is.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::serve::Listener;
use bytes::BytesMut;
use httparse::Status;
use tokio::{
    io::{AsyncRead, Join, ReadBuf, join},
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// What the `http` crate refuses in a path or a query, and would not be needed for framing.
const REFUSED: &[u8] = b"\"<>`";
/// Longest head, in bytes, that is waited for: above what hyper takes.
const LONGEST_HEAD: usize = 512 * 1024;

/// Accepts connections whose requests are read leniently.
#[derive(Debug)]
pub struct Connections(pub TcpListener);

impl Listener for Connections {
    type Io = Join<Lenient<OwnedReadHalf>, OwnedWriteHalf>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers go out as they come; waiting to fill a packet would add 40 ms to some of them.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        (join(Lenient::from(read), write), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// The requests of a connection, with their targets encoded.
#[derive(Debug)]
pub struct Lenient<R> {
    reader: R,
    /// What has come and cannot be passed on yet: the beginning of a head.
    came: BytesMut,
    /// What can.
    ready: BytesMut,
    next: Next,
}

/// What the next bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Head,
    /// So many bytes of a body, or of a chunk of one.
    Body {
        left: usize,
        chunked: bool,
    },
    ChunkSize,
    Trailer,
    /// Nothing that is understood: hyper will refuse it.
    Anything,
}

impl<R> From<R> for Lenient<R> {
    fn from(reader: R) -> Self {
        Self { reader, came: BytesMut::new(), ready: BytesMut::new(), next: Next::Head }
    }
}

impl<R> Lenient<R> {
    /// Moves to `ready` what can be passed on.
    fn sort(&mut self) {
        while !self.came.is_empty() {
            let all = self.came.len();
            let part = match self.next {
                Next::Head if all > LONGEST_HEAD => Ok(Status::Complete((all, Next::Anything))),
                Next::Head => head(&self.came),
                Next::Body { left, chunked } => {
                    let length = left.min(all);
                    Ok(Status::Complete((length, body(left - length, chunked))))
                }
                Next::ChunkSize => chunk_size(&self.came),
                Next::Trailer => Ok(trailer(&self.came)),
                Next::Anything => Ok(Status::Complete((all, Next::Anything))),
            };
            match part {
                Ok(Status::Partial) => return,
                Ok(Status::Complete((length, next))) => {
                    let part = self.came.split_to(length);
                    match (self.next == Next::Head).then(|| encoded(&part)).flatten() {
                        Some(encoded) => self.ready.extend_from_slice(&encoded),
                        None => self.ready.unsplit(part),
                    }
                    self.next = next;
                }
                Err(_) => self.next = Next::Anything,
            }
        }
    }
}

type Part = Status<(usize, Next)>;

/// The length of the head that begins here, and what follows it.
fn head(bytes: &[u8]) -> httparse::Result<(usize, Next)> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut request = httparse::Request::new(&mut headers);
    let Status::Complete(length) = request.parse(bytes)? else { return Ok(Status::Partial) };
    let value = |name| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let next = match (value("transfer-encoding"), value("content-length")) {
        (Some(_), _) => Next::ChunkSize,
        (None, None) => Next::Head,
        (None, Some(length)) => match std::str::from_utf8(length.value).map(str::parse) {
            Ok(Ok(left)) => body(left, false),
            _ => Next::Anything,
        },
    };
    Ok(Status::Complete((length, next)))
}

/// What is next when so much of a body, or of a chunk, is left.
fn body(left: usize, chunked: bool) -> Next {
    match (left, chunked) {
        (0, false) => Next::Head,
        (0, true) => Next::ChunkSize,
        _ => Next::Body { left, chunked },
    }
}

fn chunk_size(bytes: &[u8]) -> httparse::Result<(usize, Next)> {
    let size = httparse::parse_chunk_size(bytes).map_err(|_| httparse::Error::Token)?;
    let Status::Complete((length, size)) = size else { return Ok(Status::Partial) };
    let Ok(size) = usize::try_from(size) else { return Err(httparse::Error::Token) };
    // The data end with a line break, which is not counted.
    let next = if size == 0 { Next::Trailer } else { body(size.saturating_add(2), true) };
    Ok(Status::Complete((length, next)))
}

/// A line of what follows the last chunk. An empty one ends the body.
fn trailer(bytes: &[u8]) -> Part {
    match bytes.iter().position(|byte| *byte == b'\n') {
        None => Status::Partial,
        Some(end) => Status::Complete((end + 1, if end <= 1 { Next::Head } else { Next::Trailer })),
    }
}

/// A head with its target encoded, where it needs to be. The target is between the first two spaces.
fn encoded(head: &[u8]) -> Option<Vec<u8>> {
    let mut parts = head.splitn(3, |byte| *byte == b' ');
    let (method, target, rest) = (parts.next()?, parts.next()?, parts.next()?);
    target.iter().any(|byte| REFUSED.contains(byte)).then(|| {
        let target = target.iter().flat_map(|byte| match REFUSED.contains(byte) {
            true => format!("%{byte:02X}").into_bytes(),
            false => vec![*byte],
        });
        [method, b" ", &target.collect::<Vec<u8>>(), b" ", rest].concat()
    })
}

impl<R: AsyncRead + Unpin> AsyncRead for Lenient<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ready.is_empty() {
            let mut chunk = [0; 16 * 1024];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.reader).poll_read(context, &mut chunk))?;
            if chunk.filled().is_empty() {
                if self.came.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                // The head never ends: hyper may say so.
                self.next = Next::Anything;
            }
            self.came.extend_from_slice(chunk.filled());
            self.sort();
        }
        let length = buffer.remaining().min(self.ready.len());
        buffer.put_slice(&self.ready.split_to(length));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::Lenient;

    /// What comes out where this goes in, in pieces of a length.
    async fn passed(text: &str, piece: usize) -> String {
        let (mut client, server) = tokio::io::duplex(text.len() + 1);
        let mut server = Lenient::from(server);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            client.write_all(piece).await.unwrap();
            // So that each piece is looked at by itself.
            let read = std::time::Duration::from_millis(0);
            let mut buffer = [0; 4096];
            while let Ok(Ok(length)) = tokio::time::timeout(read, server.read(&mut buffer)).await {
                out.extend_from_slice(&buffer[..length]);
            }
        }
        drop(client);
        server.read_to_end(&mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn targets_are_encoded_and_nothing_else_however_it_comes() {
        const LINE: &str = "GET /a?b->>c=\"d\" HTTP/1.1\r\n";
        const ENCODED: &str = "GET /a?b-%3E%3Ec=%22d%22 HTTP/1.1\r\n";
        let rest = "x: <y> GET /a?b->>c HTTP/1.1\r\n";
        let requests = [
            format!("{rest}\r\n"),
            format!("{rest}content-length: {}\r\n\r\n{LINE}", LINE.len()),
            // A chunk, a chunk with an extension, trailers.
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{LINE}\r\n3;a=b\r\n>>>\r\n0\r\n\r\n", LINE.len()),
            "transfer-encoding: chunked\r\n\r\n0\r\nx: <y>\r\n\r\n".to_owned(),
            "content-length: 0\r\n\r\n".to_owned(),
        ];
        let with = |line: &str| requests.iter().map(|rest| format!("{line}{rest}")).collect::<String>();
        let (sent, expected) = (with(LINE), with(ENCODED));
        for piece in [1, 2, 7, 64, sent.len()] {
            assert_eq!(passed(&sent, piece).await, expected, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_is_no_request_passes_as_it_is() {
        for text in ["<>", "GET /<> HTTP/9\r\n\r\nGET /<> HTTP/1.1\r\n\r\n", "GET /<> HTTP/1.1\r\nhost: x"] {
            assert_eq!(passed(text, 3).await, text);
        }
    }
}
