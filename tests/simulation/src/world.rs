//! One world: its time, its network, its database, its isolates, and the requests in flight.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::rc::Rc;

use fastrand::Rng;
use shared::host::{LocalFuture, Response};

use crate::conditions::Conditions;
use crate::database::{Call, Database, Reply};
use crate::isolate::{Isolate, Settings, Which, old_set};
use crate::issuer::Issuer;
use crate::judge::{Verdict, answer};
use crate::network::Fate;
use crate::plan::Planner;
use crate::scheduler::{Action, Next, Scheduler, TaskId};
use crate::task::Task;
use crate::trace::Trace;

/// When it begins, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_800_000_000_000;
/// More steps than any world takes that comes to its end.
const MOST_STEPS: u64 = 2_000_000;

/// What a world did, or how it broke a rule.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Requests that arrived.
    pub requests: u64,
    /// Requests that were made of PostgREST and of the issuer.
    pub exchanges: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// A hash of everything that happened: the same for the same seed.
    pub fingerprint: u64,
    /// The rule that was broken.
    pub broken: Option<String>,
    /// What happened last, where it was asked for.
    pub trace: Vec<String>,
}

/// The world.
pub(crate) struct World {
    pub(crate) scheduler: Scheduler,
    pub(crate) conditions: Conditions,
    pub(crate) issuer: RefCell<Issuer>,
    pub(crate) database: RefCell<Database>,
    pub(crate) isolates: Vec<Isolate>,
    pub(crate) planner: RefCell<Planner>,
    pub(crate) tasks: RefCell<BTreeMap<TaskId, Task>>,
    /// What a trap leaves behind: nothing of it is ever run again, its destructors neither.
    pub(crate) left: RefCell<Vec<LocalFuture<'static, Response>>>,
    pub(crate) requests: Cell<u64>,
    random: RefCell<Rng>,
    /// Of a thousand exchanges so many go wrong, for now.
    pub(crate) weather_permille: Cell<u32>,
    /// The isolates whose clock has jumped.
    pub(crate) jumped: RefCell<Vec<usize>>,
    /// By how much the host was late, all in all, in milliseconds.
    pub(crate) late_ms: Cell<u64>,
    exchanges: Cell<u64>,
    hasher: RefCell<DefaultHasher>,
    broken: RefCell<Option<String>>,
    trace: Trace,
}

impl World {
    /// The world of a seed.
    pub(crate) fn new(seed: u64, is_traced: bool) -> Rc<Self> {
        let mut random = Rng::with_seed(seed);
        let conditions = Conditions::new(&mut random);
        let issuer = Issuer::new();
        let count = random.usize(1..4);
        let isolates = (0..count).map(|_| isolate(&mut random, &conditions, &issuer)).collect();
        let planner = RefCell::new(Planner::new(&mut random));
        let trace = Trace::new(is_traced);
        trace.note(0, || format!("seed {seed}: {conditions:?}"));
        Rc::new(Self {
            scheduler: Scheduler::new(BEGINNING_MS),
            conditions,
            issuer: RefCell::new(issuer),
            database: RefCell::default(),
            isolates,
            planner,
            tasks: RefCell::default(),
            left: RefCell::default(),
            requests: Cell::new(0),
            random: RefCell::new(random),
            weather_permille: Cell::new(0),
            jumped: RefCell::default(),
            late_ms: Cell::new(0),
            exchanges: Cell::new(0),
            hasher: RefCell::default(),
            broken: RefCell::default(),
            trace,
        })
    }

    /// Runs it until nothing is left to happen, or a rule is broken.
    pub(crate) fn run_to_end(self: &Rc<Self>) -> Outcome {
        self.begin();
        let mut steps = 0;
        while self.broken.borrow().is_none() {
            let Some(next) = self.scheduler.next(&|below| self.random(|random| random.usize(0..below))) else { break };
            self.hash(self.now_ms());
            match next {
                Next::Resume(task) => self.resume(task),
                Next::Act(action) => action(self),
            }
            steps += 1;
            if steps > MOST_STEPS {
                self.judge(Err("it never comes to rest".to_owned()));
            }
        }
        self.judge(self.rests());
        let outcome = Outcome {
            requests: self.requests.get(),
            exchanges: self.exchanges.get(),
            steps,
            fingerprint: self.hasher.borrow().finish(),
            broken: self.broken.take(),
            trace: self.trace.lines(),
        };
        self.clear();
        outcome
    }

    /// Everybody who waited has been answered.
    fn rests(&self) -> Verdict {
        let tasks = self.tasks.borrow();
        let waiting = tasks.iter().find(|(_, task)| task.caller == crate::task::Caller::Waits);
        waiting.map_or(Ok(()), |(id, task)| Err(format!("request {id} is never answered: {}", task.plan.line())))
    }

    /// Breaks the circles of references.
    fn clear(&self) {
        self.scheduler.clear();
        drop((self.tasks.take(), self.left.take()));
        for isolate in &self.isolates {
            drop((isolate.current.take(), isolate.all.take()));
        }
        self.scheduler.clear();
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.scheduler.now_ms()
    }

    pub(crate) fn after(&self, ms: u64, action: impl FnOnce(&Rc<Self>) + 'static) {
        let order = self.random(|random| random.u64(..));
        self.scheduler.after(ms, order, Box::new(action) as Action);
    }

    pub(crate) fn random<T>(&self, choose: impl FnOnce(&mut Rng) -> T) -> T {
        choose(&mut self.random.borrow_mut())
    }

    pub(crate) fn chance(&self, permille: u32) -> bool {
        permille > 0 && self.random(|random| random.u32(0..1000)) < permille
    }

    pub(crate) fn hash(&self, number: u64) {
        self.hasher.borrow_mut().write_u64(number);
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        self.trace.note(self.now_ms() - BEGINNING_MS, line);
    }

    /// Keeps the first rule that is broken.
    pub(crate) fn judge(&self, verdict: Verdict) {
        if let Err(rule) = verdict {
            self.broken.borrow_mut().get_or_insert(rule);
        }
    }

    pub(crate) fn with<T>(&self, task: TaskId, look: impl FnOnce(&mut Task) -> T) -> Option<T> {
        self.tasks.borrow_mut().get_mut(&task).map(look)
    }

    /// By how much a timer is late, in milliseconds. The request that waits for it is not to blame.
    pub(crate) fn lateness(&self, permille: u32) -> u64 {
        if self.conditions.late_permille == 0 || !self.chance(permille) {
            return 0;
        }
        let late_ms = self.random(|random| if random.u8(0..8) == 0 { random.u64(0..3000) } else { random.u64(0..50) });
        self.late_ms.set(self.late_ms.get() + late_ms);
        if let Some(task) = self.scheduler.current() {
            self.with(task, |task| task.exchange.late_ms += late_ms);
        }
        late_ms
    }

    /// How long the host's cryptography takes, in milliseconds.
    pub(crate) fn moment(&self) -> u64 {
        self.random(|random| random.u64(0..3))
    }

    /// How long a page of a list is, in bytes: some are longer than what is read before it is passed on.
    pub(crate) fn page_bytes(&self) -> usize {
        self.random(|random| if random.u8(0..8) == 0 { random.usize(60_000..80_000) } else { 100 })
    }

    /// What becomes of the next exchange.
    pub(crate) fn fate(&self) -> Fate {
        self.exchanges.set(self.exchanges.get() + 1);
        let is_bad = self.chance(self.weather_permille.get());
        self.random(|random| {
            let fault = if is_bad { random.choice(&self.conditions.faults).copied() } else { None };
            Fate::of(fault, random)
        })
    }

    /// The request id and the user of a task.
    pub(crate) fn sender(&self, task: TaskId) -> (String, Option<String>) {
        let sender = self.with(task, |task| {
            (task.arrival.request_id.to_string(), task.plan.identity().map(|token| token.user.clone()))
        });
        sender.unwrap_or_default()
    }

    /// A call arrives at PostgREST.
    pub(crate) fn run(&self, call: &Call) -> Reply {
        let reply = self.database.borrow_mut().run(call);
        self.note(|| format!("the database runs {} for {}: {}", call.function, call.request_id, reply.status));
        self.hash(reply.status.into());
        reply
    }

    pub(crate) fn has_jumped(&self, isolate: usize) -> bool {
        self.jumped.borrow().contains(&isolate)
    }

    /// Holds an answer to the rules.
    pub(crate) fn judge_answer(&self, id: TaskId, task: &Task, response: Response, is_trapped: bool) -> bool {
        let status = response.status().as_u16();
        self.hash(status.into());
        self.note(|| format!("request {id} is answered: {status}"));
        match answer::judge(self, task, response, is_trapped) {
            Ok(is_acknowledged) => is_acknowledged,
            Err(rule) => {
                self.judge(Err(format!("request {id} ({}): {rule}", task.plan.line())));
                false
            }
        }
    }
}

/// An isolate with a configuration of its own.
fn isolate(random: &mut Rng, conditions: &Conditions, issuer: &Issuer) -> Isolate {
    let settings = Settings {
        which: random.choice([Which::ChatMessage, Which::FsmTransition, Which::Analytics]).unwrap_or(Which::Analytics),
        timeout_ms: random.choice([1000, 3000, 10_000, 10_000, 30_000]).unwrap_or(10_000),
        max_retries: random.choice([0, 1, 3, 3, 10]).unwrap_or(3),
        key_set: match random.u8(0..4) {
            0 => Some(issuer.set(BEGINNING_MS)),
            1 => Some(old_set()),
            _ => None,
        },
        has_secret: random.u8(0..3) == 0,
        takes_visitors: random.u8(0..4) != 0,
    };
    Isolate::new(settings, random.i64(-conditions.offset_ms..=conditions.offset_ms))
}
