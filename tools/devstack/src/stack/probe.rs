//! Asking a service whether it is ready.

use std::time::Duration;

use axum::body::Body;
use hyper::StatusCode;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;

use crate::wait;

/// Resolves once a GET answers 200.
pub async fn until_ok(url: &str) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let is_ok = || async {
        let Ok(url) = url.parse() else { return false };
        let asked = timeout(Duration::from_secs(2), client.get(url)).await;
        matches!(asked, Ok(Ok(response)) if response.status() == StatusCode::OK)
    };
    wait::until(Duration::from_millis(20), is_ok).await;
}
