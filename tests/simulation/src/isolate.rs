//! Isolates: each runs one function with a configuration and a clock of its own. After a trap it has a new `Edge`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use shared::edge::{Arrival, Edge, Function};
use shared::host::fake::FakeHost;
use shared::host::{BodyError, LocalFuture, Request, Response};
use shared::upstream::DatabaseError;

use crate::host::SimulatedHost;
use crate::issuer::{PUBLISHABLE_KEY, SECRET, URL};
use crate::world::World;

/// Which function an isolate runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    ChatMessage,
    FsmTransition,
    Analytics,
}

/// Its configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) which: Which,
    pub(crate) timeout_ms: u64,
    pub(crate) max_retries: u32,
    /// `SUPABASE_JWKS`.
    pub(crate) key_set: Option<String>,
    pub(crate) has_secret: bool,
    pub(crate) takes_visitors: bool,
}

impl Settings {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "SUPABASE_URL" => URL.to_owned(),
            "SUPABASE_PUBLISHABLE_KEY" => PUBLISHABLE_KEY.to_owned(),
            "SUPABASE_JWKS" => return self.key_set.clone(),
            "SUPABASE_JWT_SECRET" => return self.has_secret.then(|| SECRET.to_owned()),
            "SUPABASE_TIMEOUT" => (self.timeout_ms / 1000).to_string(),
            "SUPABASE_MAX_RETRIES" => self.max_retries.to_string(),
            "ANONYMOUS" => if self.takes_visitors { "on" } else { "off" }.to_owned(),
            "ALLOWED_ORIGINS" => "https://app.example".to_owned(),
            _ => return None,
        };
        Some(value)
    }
}

/// An `Edge`, whatever its function's settings are.
pub(crate) trait Serve {
    fn arrival(&self, request: Request) -> Arrival;
    fn respond(&self, arrival: Rc<Arrival>, body: Result<Vec<u8>, BodyError>) -> LocalFuture<'static, Response>;
    fn trapped(&self, arrival: &Arrival) -> Response;
    fn body_limit(&self) -> usize;
    fn remembered(&self) -> (usize, usize);
}

impl<S: 'static> Serve for Rc<Edge<S>> {
    fn arrival(&self, request: Request) -> Arrival {
        Edge::arrival(self, request)
    }

    fn respond(&self, arrival: Rc<Arrival>, body: Result<Vec<u8>, BodyError>) -> LocalFuture<'static, Response> {
        Box::pin(Edge::respond(Self::clone(self), arrival, body))
    }

    fn trapped(&self, arrival: &Arrival) -> Response {
        Edge::trapped(self, arrival)
    }

    fn body_limit(&self) -> usize {
        Edge::body_limit(self)
    }

    fn remembered(&self) -> (usize, usize) {
        Edge::remembered(self)
    }
}

/// An `Edge` with its host.
pub(crate) struct Instance {
    pub(crate) host: Rc<SimulatedHost>,
    pub(crate) edge: Box<dyn Serve>,
    /// What its database functions raise.
    pub(crate) raises: Vec<&'static DatabaseError>,
}

/// An isolate.
pub(crate) struct Isolate {
    pub(crate) settings: Rc<Settings>,
    /// How far its clock is off, in milliseconds.
    pub(crate) offset_ms: Rc<Cell<i64>>,
    /// The `Edge` that requests get which arrive now.
    pub(crate) current: RefCell<Option<Rc<Instance>>>,
    /// All there have been.
    pub(crate) all: RefCell<Vec<Rc<Instance>>>,
}

impl Isolate {
    pub(crate) fn new(settings: Settings, offset_ms: i64) -> Self {
        let offset_ms = Rc::new(Cell::new(offset_ms));
        Self { settings: Rc::new(settings), offset_ms, current: RefCell::default(), all: RefCell::default() }
    }

    /// The `Edge` for a request that arrives, as `edge/adapter.rs` finds it.
    pub(crate) fn instance(&self, world: &Rc<World>, place: usize) -> Rc<Instance> {
        let mut current = self.current.borrow_mut();
        let made = current.get_or_insert_with(|| {
            let host = SimulatedHost::new(world, place, &self.settings, &self.offset_ms);
            let made = Rc::new(match self.settings.which {
                Which::ChatMessage => self.serve(host, chat_message::function()),
                Which::FsmTransition => self.serve(host, fsm_transition::function()),
                Which::Analytics => self.serve(host, analytics::function()),
            });
            self.all.borrow_mut().push(Rc::clone(&made));
            made
        });
        Rc::clone(made)
    }

    fn serve<S: 'static>(&self, host: Rc<SimulatedHost>, function: Function<S>) -> Instance {
        let raises = function.raises().collect();
        let lookup = |name: &str| self.settings.variable(name);
        let edge = Box::new(Edge::new(Rc::<SimulatedHost>::clone(&host), function, &lookup));
        Instance { host, edge, raises }
    }
}

/// A key set that is older than any rotation here: a configuration that nobody has updated.
pub(crate) fn old_set() -> String {
    FakeHost::key_set(&["old"])
}
