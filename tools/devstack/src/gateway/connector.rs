//! Connections to what is behind the gateway, on which an early answer is not lost.
//!
//! A function that refuses a long body answers and closes before it has read all of it. The next write then fails, and
//! hyper gives up the exchange, though the answer is there to be read. So a failing write is taken as done: what comes
//! next is a read, which finds the answer, or the end of the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::util::{MapResponse, ServiceExt as _};

type Stream = TokioIo<TcpStream>;
/// Opens them.
pub type Connector = MapResponse<HttpConnector, fn(Stream) -> Forgiving>;

/// A connector with every write sent at once.
pub fn connector() -> Connector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.map_response(Forgiving)
}

/// A connection whose failing writes are taken as done.
#[derive(Debug)]
pub struct Forgiving(Stream);

fn forgive<T>(result: io::Result<T>, done: T) -> io::Result<T> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(done),
        other => other,
    }
}

impl Read for Forgiving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Forgiving {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes));
        Poll::Ready(forgive(written, bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.0).poll_flush(context));
        Poll::Ready(forgive(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write_vectored(context, parts));
        Poll::Ready(forgive(written, parts.iter().map(|part| part.len()).sum()))
    }
}

impl Connection for Forgiving {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}
