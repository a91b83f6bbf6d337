//! Request bodies that are read by someone else, and noted as they pass.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use serde_json::Value;

/// Longest body that is kept, in bytes: above the largest a function takes in.
const LONGEST: usize = 1024 * 1024;

/// A body on its way. Its reader sees no difference.
#[derive(Debug)]
pub struct Overheard {
    body: Body,
    heard: Heard,
}

/// What has passed of it so far.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<u8>>>);

impl Overheard {
    /// Wraps a body.
    pub fn new(body: Body) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { body, heard: heard.clone() }, heard)
    }
}

impl Heard {
    fn add(&self, data: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() + data.len() <= LONGEST {
            heard.extend_from_slice(data);
        }
    }

    /// The `access_token` in it, where a function takes one from the body: `navigator.sendBeacon` can set no header.
    pub fn access_token(&self) -> Option<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body: Value = serde_json::from_slice(&heard).ok()?;
        Some(body.get("access_token")?.as_str()?.to_owned())
    }
}

impl HttpBody for Overheard {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.heard.add(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use hyper::body::Body as _;

    use super::{LONGEST, Overheard};

    async fn passed(text: String) -> (String, Option<String>) {
        let (body, heard) = Overheard::new(Body::from(text.clone()));
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let read = to_bytes(Body::new(body), usize::MAX).await.unwrap();
        (String::from_utf8(read.to_vec()).unwrap(), heard.access_token())
    }

    #[tokio::test]
    async fn a_token_is_heard_and_the_body_goes_on_as_it_came() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST));
        for (body, token) in [
            (r#"{"access_token":"a.b.c","events":[]}"#, Some("a.b.c")),
            (r#"{"events":[{"access_token":"a.b.c"}]}"#, None),
            (r#"{"access_token":7}"#, None),
            ("not JSON", None),
            ("", None),
            (long.as_str(), None),
        ] {
            assert_eq!(passed(body.to_owned()).await, (body.to_owned(), token.map(str::to_owned)));
        }
    }
}
