//! Asking a service whether it is ready.

use std::time::Duration;

use axum::body::Body;
use hyper::{Request, StatusCode};
use tokio::time::timeout;

use crate::{client::Client, wait};

/// Resolves once a GET answers 200.
pub async fn until_ok(url: &str) {
    let client = Client::default();
    let is_ok = || async {
        let Ok(request) = Request::get(url).body(Body::empty()) else { return false };
        let asked = timeout(Duration::from_secs(2), client.send(request)).await;
        matches!(asked, Ok(Ok(response)) if response.status() == StatusCode::OK)
    };
    wait::until(Duration::from_millis(20), is_ok).await;
}
