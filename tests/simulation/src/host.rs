//! The simulated host: every call may be late, fail, or trap, as the seed decides.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use serde_json::Value;
use shared::host::{Algorithm, Body, FetchError, HeldBody, Host, Inbound, Key, LocalFuture, Outbound};
use shared::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::conditions::Conditions;
use crate::database::{Call, Reply};
use crate::isolate::Settings;
use crate::issuer::{PUBLISHABLE_KEY, URL, sign};
use crate::judge::breaker::{Lets, Mirror};
use crate::judge::exchange::Brought;
use crate::judge::{Verdict, ensure};
use crate::scheduler::{Promise, TaskId};
use crate::wire::{self, Arrived};
use crate::world::World;

/// What the code panics with where the simulation lets it trap.
pub(crate) struct Trap;

/// How long somebody who fetches the key set is waited for, in milliseconds. Then another one fetches it too.
const KEYS_PATIENCE_MS: u64 = 2000;
/// The path of the key set.
const KEY_SET: &str = "/auth/v1/.well-known/jwks.json";

/// The host of one `Edge`.
pub(crate) struct SimulatedHost {
    world: Rc<World>,
    settings: Rc<Settings>,
    offset_ms: Rc<Cell<i64>>,
    pub(crate) mirror: RefCell<Mirror>,
    /// How many requests for the key set are on their way.
    fetching: Cell<u64>,
    isolate: usize,
}

impl SimulatedHost {
    pub(crate) fn new(
        world: &Rc<World>,
        isolate: usize,
        settings: &Rc<Settings>,
        offset_ms: &Rc<Cell<i64>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            world: Rc::clone(world),
            settings: Rc::clone(settings),
            offset_ms: Rc::clone(offset_ms),
            mirror: RefCell::default(),
            fetching: Cell::new(0),
            isolate,
        })
    }

    /// What its clock shows, in milliseconds since 1970.
    pub(crate) fn clock_ms(&self) -> u64 {
        self.world.now_ms().saturating_add_signed(self.offset_ms.get())
    }

    /// Traps the request that is running, if the seed says so.
    fn may_trap(&self) {
        if let Some(task) = self.world.scheduler.current()
            && self.world.chance(self.world.conditions.trap_permille)
        {
            self.world.note(|| format!("request {task} traps"));
            resume_unwind(Box::new(Trap));
        }
    }

    /// A promise that settles after a moment, or later where the host is slow.
    async fn wait(&self, ms: u64, late_permille: u32) {
        let late_ms = self.world.lateness(late_permille);
        let (promise, settle) = Promise::new(&self.world);
        self.world.after(ms + late_ms, move |world| settle.with(world, ()));
        promise.await;
    }

    /// Calls a database function for the task that is running.
    async fn call(&self, task: TaskId, request: &Outbound<'_>) -> Result<Arrived, FetchError> {
        let world = &self.world;
        let now_ms = world.now_ms();
        world.judge(self.leaves(task, now_ms, request));
        let function = request.url.rsplit('/').next().unwrap_or_default().to_owned();
        let (request_id, user) = world.sender(task);
        let call = Call {
            function: function.clone(),
            arguments: request.body.unwrap_or_default().to_owned(),
            request_id,
            user,
            page_bytes: world.page_bytes(),
        };
        let fate = world.fate();
        world.note(|| {
            format!("request {task} calls {function} with {} ms left: it {}", request.timeout_ms, fate.line())
        });
        let buffer = usize::try_from(request.buffer).unwrap_or(usize::MAX);
        let server = Rc::new(move |world: &Rc<World>| world.run(&call));
        let outcome = wire::send(world, fate, u64::from(request.timeout_ms), buffer, server).await;
        let is_short = world.with(task, |task| task.exchange.limit_ms < self.settings.timeout_ms).unwrap_or_default();
        let reply = outcome.as_ref().map(|arrived| &arrived.reply).map_err(|error| *error);
        let brought = Brought::by(reply, is_short);
        let now_ms = world.now_ms();
        world.note(|| format!("request {task} learns of {brought:?}"));
        match brought {
            Brought::Answer(_) | Brought::Early => self.mirror.borrow_mut().succeeded(),
            Brought::Failure(_) => self.mirror.borrow_mut().failed(now_ms),
            Brought::ShortTimeout => {}
        }
        world.with(task, |task| task.exchange.learns(now_ms, brought));
        outcome
    }

    /// Whether a call may leave, and what it may be.
    fn leaves(&self, task: TaskId, now_ms: u64, request: &Outbound<'_>) -> Verdict {
        let lets = self.mirror.borrow().lets(now_ms);
        ensure!(lets != Lets::Nobody, "request {task} calls the database through an open breaker");
        self.mirror.borrow_mut().leaves(now_ms);
        let judged = self.world.with(task, |task| {
            ensure!(!task.is_refused, "a call is made for a token that must be refused: {}", task.plan.line());
            let visits = task.plan.identity().is_none() && task.plan.calls != Some("database_is_there");
            let is_let_in = self.settings.takes_visitors && task.plan.takes_visitors();
            ensure!(!visits || is_let_in, "a call is made for nobody");
            task.exchange.begins(now_ms, request, &task.plan, &task.arrival.request_id)
        });
        judged.unwrap_or_else(|| Err("nobody's request calls the database".to_owned()))
    }

    /// Fetches the key set.
    async fn key_set(&self, request: &Outbound<'_>) -> Result<Arrived, FetchError> {
        let world = &self.world;
        let is_plain =
            request.method == "GET" && request.body.is_none() && request.headers == [("apikey", PUBLISHABLE_KEY)];
        world.judge(if is_plain { Ok(()) } else { Err(format!("a strange request for the key set: {request:?}")) });
        let fetching = self.fetching.get() + 1;
        self.fetching.set(fetching);
        let most = 1 + self.settings.timeout_ms.div_ceil(KEYS_PATIENCE_MS);
        // Where requests end without a word, theirs are still counted.
        let Conditions { trap_permille, leave_permille, .. } = world.conditions;
        if fetching > most && !world.has_jumped(self.isolate) && trap_permille + leave_permille == 0 {
            world.judge(Err(format!("{fetching} requests for the key set at once")));
        }
        let fate = world.fate();
        world.note(|| format!("the key set is fetched: the request {}", fate.line()));
        let old_ms = world.random(|random| random.choice([0, 0, 0, 30_000])).unwrap_or(0);
        let server = Rc::new(move |world: &Rc<World>| {
            Reply::new(200, world.issuer.borrow().set(world.now_ms().saturating_sub(old_ms)))
        });
        let buffer = usize::try_from(request.buffer).unwrap_or(usize::MAX);
        let outcome = wire::send(world, fate, u64::from(request.timeout_ms), buffer, server).await;
        self.fetching.set(self.fetching.get().saturating_sub(1));
        outcome
    }

    /// Holds a line of the log to what it must say.
    fn judge_line(&self, task: Option<TaskId>, line: &str) -> Verdict {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return Err(format!("a log line is no JSON: {line}"));
        };
        let state = self.mirror.borrow().state(self.world.now_ms());
        let logged = line.get("breaker").and_then(Value::as_str);
        ensure!(state.is_none() || state == logged, "the breaker is {state:?}, and the log says {logged:?}");
        let Some(task) = task else { return Ok(()) };
        let judged = self.world.with(task, |task| {
            let id = line.get("request_id").and_then(Value::as_str);
            ensure!(id == Some(&*task.arrival.request_id), "a line of another request is logged: {line}");
            let retries = line.get("retries").and_then(Value::as_u64).unwrap_or(0);
            let tries = task.exchange.tries() as u64;
            ensure!(retries >= tries.saturating_sub(1), "{tries} tries, and the log says {retries} retries");
            task.lines += 1;
            ensure!(task.lines == 1, "a request has two lines in the log");
            Ok(())
        });
        judged.unwrap_or(Ok(()))
    }
}

impl Host for SimulatedHost {
    fn fetch<'a>(&'a self, request: Outbound<'a>) -> LocalFuture<'a, Result<Inbound, FetchError>> {
        Box::pin(async move {
            self.may_trap();
            let task = self.world.scheduler.current().unwrap_or_default();
            let outcome = match request.url.strip_prefix(URL) {
                Some(path) if path.starts_with("/rest/v1/rpc/") => self.call(task, &request).await,
                Some(KEY_SET) => self.key_set(&request).await,
                _ => {
                    self.world.judge(Err(format!("a request to somewhere else: {request:?}")));
                    Err(FetchError::Unreachable)
                }
            };
            let Arrived { reply: Reply { status, headers, body }, is_whole, breaks } = outcome?;
            let headers: HeaderMap = headers
                .iter()
                .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
                .collect();
            let body = Body::Held(Box::new(Stream { bytes: body, is_whole, breaks }));
            Ok(Inbound { status: StatusCode::from_u16(status).unwrap_or_default(), headers, body })
        })
    }

    fn import_key<'a>(&'a self, _: Algorithm, jwk: &'a str) -> LocalFuture<'a, Option<Key>> {
        Box::pin(async move {
            self.wait(self.world.moment(), 20).await;
            if self.world.conditions.host_fails && self.world.chance(20) {
                return None;
            }
            let jwk: Value = serde_json::from_str(jwk).ok()?;
            let material = jwk.get("x").or_else(|| jwk.get("k"))?.as_str()?.to_owned();
            Some(Key::new(material))
        })
    }

    fn verify<'a>(&'a self, _: Algorithm, key: &'a Key, signature: &'a [u8], data: &'a [u8]) -> LocalFuture<'a, bool> {
        Box::pin(async move {
            self.wait(self.world.moment(), 20).await;
            self.may_trap();
            if self.world.conditions.host_fails && self.world.chance(20) {
                return false;
            }
            key.get::<String>().is_some_and(|material| sign(material, data) == signature)
        })
    }

    fn sleep(&self, milliseconds: u32) -> LocalFuture<'_, ()> {
        Box::pin(self.wait(u64::from(milliseconds), self.world.conditions.late_permille))
    }

    fn log(&self, line: &str) {
        self.may_trap();
        self.world.judge(self.judge_line(self.world.scheduler.current(), line));
    }

    fn now_ms(&self) -> u64 {
        self.may_trap();
        self.clock_ms()
    }

    fn timestamp(&self, ms: u64) -> String {
        format!("{ms} ms since 1970")
    }

    fn random(&self, bytes: &mut [u8]) {
        self.may_trap();
        self.world.random(|random| random.fill(bytes));
    }
}

/// A response's body, with the host.
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_whole: bool,
    pub(crate) breaks: bool,
}

impl HeldBody for Stream {
    fn bytes(&self) -> Option<Vec<u8>> {
        self.is_whole.then(|| self.bytes.clone())
    }

    fn ends(&self) -> (Option<u8>, Option<u8>) {
        (self.bytes.first().copied(), self.bytes.last().copied().filter(|_| self.is_whole))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
