//! What every request handler of the gateway knows.

use std::sync::Arc;

use axum::body::Body;
use hyper_util::client::legacy::Client;

use super::{connector::Connector, route::Routes};
use crate::issuer::Issuer;

/// What every request handler knows.
#[derive(Debug, Clone)]
pub struct Shared {
    pub(super) routes: Arc<Routes>,
    pub(super) issuer: Issuer,
    pub(super) client: Client<Connector, Body>,
}
