//! A request on its way through the function.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use http::header::ORIGIN;

use super::services::Services;
use crate::answer::{Problem, code};
use crate::auth::{self, Caller};
use crate::host::Request;
use crate::request::{Id, Parts, RequestBody};
use crate::upstream::{CallStats, DatabaseError};

/// A request that has arrived: what is known of it before its body is read.
pub struct Arrival {
    /// Its head.
    pub request: Rc<Request>,
    /// Its id: the caller's own, or a new one.
    pub request_id: Rc<str>,
    /// When it arrived, in milliseconds since 1970.
    pub started_ms: u64,
}

/// A request with its body, and all there is to answer it with.
pub struct Context<S> {
    pub(super) services: Rc<Services<S>>,
    pub(crate) arrival: Rc<Arrival>,
    pub(crate) body: RequestBody,
    /// The path's parameters.
    pub(crate) params: Vec<String>,
    /// What the database may raise.
    pub(crate) raises: &'static [DatabaseError],
    pub(crate) record: Record,
    pub(crate) id: OnceCell<Id>,
}

/// What becomes known of a request while it is answered.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The resource, as a pattern: never the path itself, which has ids in it.
    pub(crate) route: Cell<&'static str>,
    /// The caller, as a hash.
    pub(crate) user: Cell<Option<u64>>,
    /// How long verifying the caller took, in milliseconds.
    pub(crate) auth_ms: Cell<u64>,
    /// What the call of the database has cost.
    pub(crate) stats: Rc<CallStats>,
}

impl<S> Context<S> {
    /// Verifies a caller's token.
    pub(crate) async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        let host = &self.services.host;
        let started_ms = host.now_ms();
        let caller = self.services.authenticator.authenticate(token).await;
        self.record.auth_ms.set(host.now_ms().saturating_sub(started_ms));
        let caller = caller?;
        self.record.user.set(Some(caller.user));
        Ok(caller)
    }

    /// Verifies the caller by the token in the header; `None` if there is none.
    pub(crate) async fn caller(&self) -> Result<Option<Caller>, Problem> {
        match auth::bearer(&self.arrival.request)? {
            Some(token) => self.verify(token).await.map(Some),
            None => Ok(None),
        }
    }

    /// Whether a visitor without a token may call: visitors are taken, and a write does not come from a page that may not
    /// call. (That page cannot read the response, but it could still fill the database.)
    pub(crate) fn admit_visitor(&self) -> Result<(), Problem> {
        let config = &self.services.config;
        if !config.takes_visitors {
            return Err(auth::missing());
        }
        let request = &self.arrival.request;
        match request.header(ORIGIN) {
            Some(origin) if !request.method.is_safe() && !config.allowed_origins.allows(origin) => Err(Problem::new(
                &code::ORIGIN_NOT_ALLOWED,
                "Pages of this origin may not write without a signed-in user: ALLOWED_ORIGINS does not list it.",
            )),
            _ => Ok(()),
        }
    }

    /// What a request type is read from.
    pub(crate) fn with_parts<T>(&self, read: impl FnOnce(&Parts<'_>) -> T) -> T {
        // Made at most once: whoever reads the request twice reads the same.
        let make_id = || *self.id.get_or_init(|| Id::new(&*self.services.host));
        read(&Parts { request: &self.arrival.request, body: &self.body, params: &self.params, make_id: &make_id })
    }
}
