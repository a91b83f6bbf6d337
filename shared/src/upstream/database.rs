//! The database as a handler sees it: good for one call, because a call consumes it.

use std::rc::Rc;

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{problem, unexpected};
use super::{CallStats, DatabaseError, Rpc, Upstream};
use crate::answer::{self, Code, Problem, code};
use crate::host::{Inbound, Request, Response};

/// As whom a call is made.
pub trait Identity {
    /// The access token, byte for byte as the caller sent it. Nobody's: the role `anon`.
    fn token(&self) -> Option<&str>;
}

/// The database, for one request. Each method makes the request's one call, in one transaction.
pub struct Database {
    upstream: Rc<Upstream>,
    request: Rc<Request>,
    request_id: Rc<str>,
    stats: Rc<CallStats>,
    raises: &'static [DatabaseError],
}

impl Database {
    pub(crate) fn new(
        upstream: Rc<Upstream>,
        request: Rc<Request>,
        request_id: Rc<str>,
        stats: Rc<CallStats>,
        raises: &'static [DatabaseError],
    ) -> Self {
        Self { upstream, request, request_id, stats, raises }
    }

    /// Calls a database function with the members of `arguments` as its parameters. Its response passes through: the
    /// function sets status, `Location` and `ETag` itself (PostgREST's `response.status` and `response.headers`).
    pub async fn call(
        self,
        function: &str,
        caller: &impl Identity,
        arguments: &impl Serialize,
    ) -> Result<Response, Problem> {
        let found = self.send(function, caller, arguments, false).await?;
        let mut response = answer::json(found.status, found.body);
        for name in [LOCATION, ETAG] {
            if let Some(value) = found.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        Ok(response)
    }

    /// The same for what is to be gone afterwards: 204. Where a retry hears `deleted`, which the database says of what was
    /// deleted, and an earlier try may have been executed, that try has deleted it.
    pub async fn delete(
        self,
        function: &str,
        caller: &impl Identity,
        arguments: &impl Serialize,
        deleted: &'static Code,
    ) -> Result<Response, Problem> {
        let stats = Rc::clone(&self.stats);
        match self.send(function, caller, arguments, false).await {
            Err(problem) if problem.code != deleted || !stats.may_be_done.get() => Err(problem),
            _ => Ok(answer::empty(StatusCode::NO_CONTENT)),
        }
    }

    /// The same for a handler that has to read what the function returns.
    pub async fn read<T: DeserializeOwned>(
        self,
        function: &str,
        caller: &impl Identity,
        arguments: &impl Serialize,
    ) -> Result<T, Problem> {
        let found = self.send(function, caller, arguments, true).await?;
        let body = found.body.into_bytes().map_err(|_| unexpected())?;
        serde_json::from_slice(&body).map_err(|_| unexpected())
    }

    /// Something between here and the database may answer 200 with a page of its own, or with half an answer: that is
    /// no success.
    async fn send(
        self,
        function: &str,
        caller: &impl Identity,
        arguments: &impl Serialize,
        reads_whole: bool,
    ) -> Result<Inbound, Problem> {
        let arguments = serde_json::to_string(arguments)
            .map_err(|_| Problem::new(&code::INTERNAL, "The arguments of the database function cannot be written."))?;
        let rpc = Rpc {
            function,
            arguments: &arguments,
            token: caller.token(),
            request: &self.request,
            request_id: &self.request_id,
            timeout_ms: self.upstream.config.timeout_ms,
            reads_whole,
            stats: &self.stats,
        };
        let found = self.upstream.call(rpc).await?;
        match found.status {
            StatusCode::OK | StatusCode::CREATED if found.body.is_json_object() => Ok(found),
            StatusCode::OK | StatusCode::CREATED => Err(unexpected()),
            _ => Err(problem(found, self.raises)),
        }
    }
}
