//! A request that is being answered.

use std::rc::Rc;

use shared::edge::Arrival;
use shared::host::{LocalFuture, Response};

use crate::isolate::{Instance, Which};
use crate::judge::exchange::Exchange;
use crate::plan::Plan;

/// Whether somebody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Waits,
    /// The caller has gone away. The request goes on to its end, as on Workers with `waitUntil`.
    Gone,
    /// The same, and the host never keeps the promise the request waits for.
    Forgotten,
}

/// The request.
pub(crate) struct Task {
    pub(crate) plan: Rc<Plan>,
    pub(crate) which: Which,
    pub(crate) takes_visitors: bool,
    /// The `Edge` it began with, and ends with.
    pub(crate) instance: Rc<Instance>,
    pub(crate) arrival: Rc<Arrival>,
    /// Taken out while it is polled.
    pub(crate) future: Option<LocalFuture<'static, Response>>,
    pub(crate) caller: Caller,
    pub(crate) exchange: Exchange,
    /// Whether its token was one to be refused when the function began to look at it.
    pub(crate) is_refused: bool,
    /// How many lines of the log are about it.
    pub(crate) lines: u32,
}
