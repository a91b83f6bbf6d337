//! How requests live: they arrive, go on, trap, end, and their callers go away or send them again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use shared::edge::Arrival;
use shared::host::{BodyError, Request, Response};
use shared::http::HeaderName;
use shared::http::header::AUTHORIZATION;

use crate::host::Trap;
use crate::isolate::Instance;
use crate::judge::exchange::Exchange;
use crate::plan::Plan;
use crate::scheduler::{Promise, TaskId};
use crate::task::{Caller, Task};
use crate::world::World;

/// How long the health probe may take, in milliseconds.
const PROBE_MS: u64 = 2000;
/// Besides three times its timeout, no request takes longer than this, in milliseconds.
const PATIENCE_MS: u64 = 10_000;

impl World {
    /// Plans everything that comes from outside: requests, rotations of keys, jumps of clocks, changes of the weather.
    pub(crate) fn begin(self: &Rc<Self>) {
        let span_ms = self.conditions.span_ms;
        let at = |world: &Self| world.random(|random| random.u64(0..span_ms));
        for _ in 0..self.conditions.requests {
            self.after(at(self), |world| {
                let which: Vec<_> = world.isolates.iter().map(|isolate| isolate.settings.which).collect();
                let plan = world.random(|random| {
                    world.planner.borrow_mut().plan(random, &which, &world.issuer.borrow(), world.now_ms())
                });
                world.sends(Rc::new(plan));
            });
        }
        for _ in 0..self.conditions.rotations {
            self.after(at(self), |world| {
                let revoked_after_ms = world.random(|random| random.u64(0..1_200_000));
                world.note(|| format!("a new key signs; the one before is revoked in {revoked_after_ms} ms"));
                world.issuer.borrow_mut().rotate(world.now_ms(), revoked_after_ms);
            });
        }
        for _ in 0..self.conditions.jumps {
            self.after(at(self), |world| world.jumps());
        }
        for _ in 0..8 {
            self.after(at(self), |world| {
                let permille = world.random(|random| random.choice([0, 20, 200, 600, 1000])).unwrap_or(0);
                world.note(|| format!("of a thousand exchanges {permille} go wrong"));
                world.weather_permille.set(permille);
            });
        }
    }

    /// The clock of an isolate jumps.
    fn jumps(&self) {
        let place = self.random(|random| random.usize(0..self.isolates.len()));
        let Some(isolate) = self.isolates.get(place) else { return };
        let most = self.random(|random| random.choice([2000, 60_000, 7_200_000])).unwrap_or(2000);
        let by_ms = self.random(|random| random.i64(-most..=most));
        self.note(|| format!("the clock of isolate {place} jumps by {by_ms} ms"));
        // The deadline begins anew where the clock is set back.
        self.late_ms.set(self.late_ms.get() + isolate.settings.timeout_ms);
        isolate.offset_ms.set(isolate.offset_ms.get() + by_ms);
        for instance in isolate.all.borrow().iter() {
            instance.host.mirror.borrow_mut().clock_jumped(by_ms);
        }
        for task in self.tasks.borrow_mut().values_mut().filter(|task| task.plan.isolate == place) {
            task.exchange.has_jumped = true;
        }
        self.jumped.borrow_mut().push(place);
    }

    /// A request arrives, perhaps twice at once.
    fn sends(self: &Rc<Self>, plan: Rc<Plan>) {
        if plan.id.is_some() && self.chance(50) {
            let again = Plan { request_id: None, ..(*plan).clone() };
            self.arrives(Rc::new(again));
        }
        self.arrives(plan);
    }

    fn arrives(self: &Rc<Self>, plan: Rc<Plan>) {
        let Some(isolate) = self.isolates.get(plan.isolate) else { return };
        let (settings, instance) = (&isolate.settings, isolate.instance(self, plan.isolate));
        let id = self.requests.get();
        self.requests.set(id + 1);
        let mut request = Request::new(plan.method, &format!("https://edge.example{}", plan.target));
        for (name, value) in &plan.headers {
            request.add_header(HeaderName::from_static(name), value);
        }
        if let Some(request_id) = &plan.request_id {
            request.add_header(HeaderName::from_static("x-request-id"), request_id);
        }
        // A beacon has its token in its body.
        if let Some(token) = plan.token.as_ref().filter(|_| !plan.target.contains("beacon")) {
            request.add_header(AUTHORIZATION, &format!("Bearer {}", token.text));
        }
        let arrival = Rc::new(instance.edge.arrival(request));
        self.note(|| {
            format!("request {id} ({}) arrives at isolate {}: {}", arrival.request_id, plan.isolate, plan.line())
        });
        let is_probe = plan.calls == Some("database_is_there");
        let limit_ms = if is_probe { settings.timeout_ms.min(PROBE_MS) } else { settings.timeout_ms };
        let most_ms = plan.upload_ms + 3 * settings.timeout_ms + PATIENCE_MS;
        let task = Task {
            which: settings.which,
            takes_visitors: settings.takes_visitors,
            arrival: Rc::clone(&arrival),
            future: Some(Box::pin(respond(Rc::clone(self), id, Rc::clone(&plan), Rc::clone(&instance), arrival))),
            caller: Caller::Waits,
            exchange: Exchange::new(limit_ms, settings.max_retries),
            is_refused: false,
            lines: 0,
            instance,
            plan,
        };
        self.tasks.borrow_mut().insert(id, task);
        self.scheduler.resume(id);
        let late_ms = self.late_ms.get();
        self.after(most_ms, move |world| world.is_late(id, late_ms));
        if self.chance(self.conditions.leave_permille) {
            let ms = self.random(|random| random.u64(0..2000));
            self.after(ms, move |world| world.leaves(id));
        }
    }

    /// A caller waits for too long, unless the host was late or a clock jumped meanwhile.
    fn is_late(self: &Rc<Self>, id: TaskId, known_ms: u64) {
        let late_ms = self.late_ms.get();
        let is_waiting = self.with(id, |task| task.caller == Caller::Waits).unwrap_or_default();
        if is_waiting && late_ms > known_ms {
            self.after(late_ms - known_ms, move |world| world.is_late(id, late_ms));
        } else if is_waiting {
            self.judge(Err(format!("request {id} is not answered in time")));
        }
    }

    /// A caller goes away.
    fn leaves(self: &Rc<Self>, id: TaskId) {
        let becomes = self.random(|random| random.u8(0..3));
        self.note(|| format!("the caller of request {id} goes away"));
        // What it leaves behind is worth a second accident.
        if self.conditions.jumps > 0 && self.chance(200) {
            self.jumps();
        }
        if becomes == 0 {
            // What its future holds is released while nothing is borrowed.
            let dropped = self.tasks.borrow_mut().remove(&id);
            drop(dropped);
        } else {
            let caller = if becomes == 1 { Caller::Gone } else { Caller::Forgotten };
            self.with(id, |task| task.caller = caller);
        }
    }

    /// A task goes on, whose promise has settled.
    pub(crate) fn resume(self: &Rc<Self>, id: TaskId) {
        let taken = self.with(id, |task| task.future.take().filter(|_| task.caller != Caller::Forgotten));
        let Some(mut future) = taken.flatten() else { return };
        if self.chance(self.conditions.trap_permille) {
            self.note(|| format!("request {id} traps where it waited"));
            self.left.borrow_mut().push(future);
            return self.trapped(id);
        }
        let (polled, asked) = self.scheduler.poll(id, || {
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(Waker::noop()))))
        });
        match polled {
            Ok(Poll::Pending) => {
                if asked != 1 {
                    self.judge(Err(format!("request {id} waits for {asked} promises of the host's at once")));
                }
                self.with(id, |task| task.future = Some(future));
            }
            Ok(Poll::Ready(response)) => {
                drop(future);
                let Some(task) = self.tasks.borrow_mut().remove(&id) else { return };
                if Rc::strong_count(&task.arrival) > 1 || Rc::strong_count(&task.arrival.request) > 1 {
                    self.judge(Err(format!("request {id} has ended, and something still holds it")));
                }
                if task.caller == Caller::Waits {
                    let is_acknowledged = self.judge_answer(id, &task, response, false);
                    self.reacts(&task.plan, is_acknowledged);
                }
            }
            Err(panic) if panic.is::<Trap>() => {
                self.left.borrow_mut().push(future);
                self.trapped(id);
            }
            Err(panic) => {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                self.judge(Err(format!("request {id} panics: {}", message.unwrap_or_default())));
            }
        }
    }

    /// A request has trapped: the next one gets another `Edge`, as in `edge/adapter.rs`.
    fn trapped(self: &Rc<Self>, id: TaskId) {
        let Some(task) = self.tasks.borrow_mut().remove(&id) else { return };
        if let Some(isolate) = self.isolates.get(task.plan.isolate) {
            isolate.current.take();
        }
        task.instance.host.mirror.borrow_mut().trapped();
        let response = task.instance.edge.trapped(&task.arrival);
        if task.caller == Caller::Waits {
            self.judge_answer(id, &task, response, true);
            self.reacts(&task.plan, false);
        }
    }

    /// A caller whose request was not acknowledged may send it again, with the same ids and a token that may be new.
    fn reacts(self: &Rc<Self>, plan: &Plan, is_acknowledged: bool) {
        if is_acknowledged && !self.chance(20) || plan.again == 0 || plan.calls.is_none() {
            return;
        }
        let again = Plan { again: plan.again - 1, request_id: None, upload_ms: 0, ..plan.clone() };
        let ms = self.random(|random| random.u64(0..3000));
        self.after(ms, move |world| world.sends(Rc::new(again)));
    }
}

/// What the adapter does: reads the body, then lets the `Edge` respond.
async fn respond(
    world: Rc<World>,
    id: TaskId,
    plan: Rc<Plan>,
    instance: Rc<Instance>,
    arrival: Rc<Arrival>,
) -> Response {
    if plan.upload_ms > 0 {
        let (promise, settle) = Promise::new(&world);
        world.after(plan.upload_ms, move |world| settle.with(world, ()));
        promise.await;
    }
    let (now_ms, clock) = (world.now_ms(), instance.host.clock_ms() / 1000);
    let is_bad = plan.token.as_ref().is_some_and(|token| {
        let settings = world.isolates.get(plan.isolate).map(|isolate| &isolate.settings);
        let has_set = settings.is_some_and(|settings| settings.key_set.is_some()) || world.has_jumped(plan.isolate);
        let has_secret = settings.is_some_and(|settings| settings.has_secret);
        token.is_bad(&world.issuer.borrow(), now_ms, clock, has_set, has_secret)
    });
    // The health is asked as nobody, whoever asks.
    let is_public = plan.calls == Some("database_is_there");
    let is_missing = plan.token.is_none() && !plan.takes_visitors() && plan.calls.is_some();
    world.with(id, |task| task.is_refused = !is_public && (is_bad || is_missing));
    let limit = instance.edge.body_limit();
    let body = plan.body.clone().and_then(|body| if body.len() > limit { Err(BodyError::TooLarge) } else { Ok(body) });
    drop((world, plan));
    let edge = Rc::clone(&instance);
    edge.edge.respond(arrival, body).await
}
