//! Virtual time, and the one queue of everything that is to happen.
//!
//! Why an executor of our own: the order must come from a seed. That of `futures::executor::LocalPool` and of tokio's
//! paused clock does not. And a request must be driven as `shared/src/host/web/task.rs` drives it: with a waker that does
//! nothing, and polled again only when the one promise it waits for settles. A future that waits for anything else would
//! run on an ordinary executor, and hang on a real host; here it is found.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::world::World;

/// A request that is being answered.
pub(crate) type TaskId = u64;

/// Something that happens at a moment.
pub(crate) type Action = Box<dyn FnOnce(&Rc<World>)>;

/// What happens next.
pub(crate) enum Next {
    /// A task whose promise has settled goes on.
    Resume(TaskId),
    /// Something that was to happen now.
    Act(Action),
}

/// The queue.
pub(crate) struct Scheduler {
    now_ms: Cell<u64>,
    /// By time; among those of the same moment, in random order.
    timers: RefCell<BTreeMap<(u64, u64), Action>>,
    /// Tasks whose promise has settled.
    ready: RefCell<Vec<TaskId>>,
    /// The task that is being polled.
    current: Cell<Option<TaskId>>,
    /// How many promises it has asked for in this poll.
    asked: Cell<u32>,
}

impl Scheduler {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            now_ms: Cell::new(now_ms),
            timers: RefCell::default(),
            ready: RefCell::default(),
            current: Cell::new(None),
            asked: Cell::new(0),
        }
    }

    /// The true time, in milliseconds since 1970. What an isolate's clock shows may be another.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    pub(crate) fn current(&self) -> Option<TaskId> {
        self.current.get()
    }

    /// Does something after so many milliseconds. `order` decides among what happens at the same moment.
    pub(crate) fn after(&self, ms: u64, order: u64, action: Action) {
        let mut place = (self.now_ms.get() + ms, order);
        let mut timers = self.timers.borrow_mut();
        while timers.contains_key(&place) {
            place.1 = place.1.wrapping_add(1);
        }
        timers.insert(place, action);
    }

    pub(crate) fn resume(&self, task: TaskId) {
        self.ready.borrow_mut().push(task);
    }

    /// Takes out what happens next, and moves the time there. `choose` gives a random number below another.
    pub(crate) fn next(&self, choose: &dyn Fn(usize) -> usize) -> Option<Next> {
        let mut ready = self.ready.borrow_mut();
        let mut timers = self.timers.borrow_mut();
        let is_due = timers.keys().next().is_some_and(|(due_ms, _)| *due_ms <= self.now_ms.get());
        if !ready.is_empty() && (!is_due || choose(2) == 0) {
            let place = choose(ready.len());
            return Some(Next::Resume(ready.swap_remove(place)));
        }
        let ((due_ms, _), action) = timers.pop_first()?;
        self.now_ms.set(due_ms.max(self.now_ms.get()));
        Some(Next::Act(action))
    }

    /// Polls a task's future as the current one. Also returns for how many promises it asked.
    pub(crate) fn poll<T>(&self, task: TaskId, poll: impl FnOnce() -> T) -> (T, u32) {
        self.current.set(Some(task));
        self.asked.set(0);
        let outcome = poll();
        self.current.set(None);
        (outcome, self.asked.get())
    }

    /// Drops everything that has not happened.
    pub(crate) fn clear(&self) {
        let timers = self.timers.take();
        self.ready.take();
        drop(timers);
    }
}

/// A promise of the host's: settled once, by something that happens.
pub(crate) struct Promise<T>(Rc<Settle<T>>, Rc<World>);

/// The other end of a promise.
pub(crate) struct Settle<T> {
    value: RefCell<Option<T>>,
    is_settled: Cell<bool>,
    waiting: Cell<Option<TaskId>>,
}

impl<T> Promise<T> {
    pub(crate) fn new(world: &Rc<World>) -> (Self, Rc<Settle<T>>) {
        let settle =
            Rc::new(Settle { value: RefCell::new(None), is_settled: Cell::new(false), waiting: Cell::new(None) });
        (Self(Rc::clone(&settle), Rc::clone(world)), settle)
    }
}

impl<T> Settle<T> {
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.get()
    }

    /// Settles it, unless it is already, and lets the task go on that waits for it.
    pub(crate) fn with(&self, world: &World, value: T) {
        if self.is_settled.replace(true) {
            return;
        }
        self.value.replace(Some(value));
        if let Some(task) = self.waiting.get() {
            world.scheduler.resume(task);
        }
    }
}

impl<T> Future for Promise<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let Self(settle, world) = &*self;
        match settle.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                let scheduler = &world.scheduler;
                settle.waiting.set(scheduler.current());
                scheduler.asked.set(scheduler.asked.get() + 1);
                Poll::Pending
            }
        }
    }
}
