//! Request bodies that somebody else reads, and that are kept as they pass.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame};
use serde_json::Value;

/// Longest body that is kept, in bytes: above the largest a function takes in.
const LONGEST: usize = 1024 * 1024;

/// What has passed of it so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Vec<u8>>>);

/// A body whose reader sees no difference, and what passes of it.
pub(super) fn tee(body: Body) -> (Body, Seen) {
    let seen = Seen::default();
    let kept = seen.clone();
    let keep = move |frame: &Frame<Bytes>| frame.data_ref().into_iter().for_each(|data| kept.add(data));
    (Body::new(body.inspect_frame(keep)), seen)
}

impl Seen {
    fn add(&self, data: &[u8]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() + data.len() <= LONGEST {
            seen.extend_from_slice(data);
        }
    }

    /// The `access_token` in it, where a function takes one from the body: `navigator.sendBeacon` can set no header.
    pub(super) fn access_token(&self) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body: Value = serde_json::from_slice(&seen).ok()?;
        Some(body.get("access_token")?.as_str()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use hyper::body::Body as _;

    use super::{LONGEST, tee};

    async fn passed(text: String) -> (String, Option<String>) {
        let (body, seen) = tee(Body::from(text.clone()));
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let read = to_bytes(body, usize::MAX).await.unwrap();
        (String::from_utf8(read.to_vec()).unwrap(), seen.access_token())
    }

    #[tokio::test]
    async fn a_token_is_seen_and_the_body_goes_on_as_it_came() {
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
