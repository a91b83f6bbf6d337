//! Request bodies that nobody wants to the end.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::timeout;

/// How long a caller may go on sending what is no longer read.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that is read to its end, and thrown away, once it is dropped.
///
/// A function refuses a long body before the end of it. Closing the connection on a caller who is still sending would
/// reset it, and the answer would be lost with it: so the rest is taken in while the answer goes out.
#[derive(Debug)]
pub struct Drained(Body);

impl From<Body> for Drained {
    fn from(body: Body) -> Self {
        Self(body)
    }
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if self.0.is_end_stream() {
            return;
        }
        let mut rest = mem::take(&mut self.0);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(PATIENCE, async { while let Some(Ok(_)) = rest.frame().await {} }).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tokio::sync::mpsc;

    use super::Drained;

    #[tokio::test]
    async fn what_is_dropped_is_still_taken_in() {
        let (send, receive) = mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let chunks = futures_util::stream::unfold(receive, async |mut receive| {
            let chunk = receive.recv().await?;
            Some((chunk, receive))
        });
        drop(Drained::from(Body::from_stream(chunks)));
        for _ in 0..10 {
            assert!(send.send(Ok(vec![0; 1024])).await.is_ok());
        }
    }
}
