//! Asking a service whether it is ready.

use std::time::Duration;

use axum::body::Body;
use hyper::StatusCode;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

/// Resolves once a GET answers 200.
pub async fn until_ok(url: &str) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    loop {
        if let Ok(url) = url.parse()
            && let Ok(Ok(response)) = tokio::time::timeout(Duration::from_secs(2), client.get(url)).await
            && response.status() == StatusCode::OK
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
