//! The HTTP client of the commands and the tests: sends a request unchanged, and reads the whole answer.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{Request, Response};
use hyper_util::{
    client::legacy::{Client as Connections, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::error::{Error, Result};

/// A client that keeps its connections, as browsers do. Clones share them.
#[derive(Debug, Clone)]
pub struct Client(Connections<HttpConnector, Body>);

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Connections::builder(TokioExecutor::new()).build(connector))
    }
}

impl Client {
    /// Sends a request, to its URL and as it stands: nothing is added but `Host` and the body's length.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>> {
        let (head, body) =
            self.0.request(request).await.map_err(|error| Error::new(format!("{error:?}")))?.into_parts();
        let body = body.collect().await.map_err(|error| Error::new(format!("{error:?}")))?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}
