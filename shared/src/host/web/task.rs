//! Futures on a JavaScript host, without a queue: each is driven by a loop of its own in `glue.js`, one promise at a
//! time, which is all that a request ever waits for.
//!
//! Why not `wasm-bindgen-futures`: its queue is shared, so that a trap in one request would stop all the others of the
//! isolate for good; and its closures cost 25 µs a request.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/host/web/glue.js")]
extern "C" {
    fn wait(value: &JsValue);
    fn settled() -> JsValue;
    fn rejected() -> bool;
    fn drive(task: u32, wasm: JsValue) -> Promise;
    /// A promise that is kept after so many milliseconds.
    pub(super) fn sleep(milliseconds: u32) -> Promise;
    /// What comes of a promise, or null after so many milliseconds.
    pub(super) fn within(promise: &Promise, milliseconds: u32) -> Promise;
}

/// A future that is older than this, in milliseconds, is dropped: the promise it waits for will never be kept. That
/// happens where a host ends a request without a word (workerd does, unless `waitUntil` has the request's promise). No
/// request lives half as long.
const GIVEN_UP_MS: f64 = 15.0 * 60.0 * 1000.0;

/// A future, and what to answer should it trap.
struct Task {
    id: u32,
    began_ms: f64,
    future: Option<Pin<Box<dyn Future<Output = JsValue>>>>,
    rescue: Option<Box<dyn FnOnce() -> JsValue>>,
}

/// Every future that has not ended.
struct Tasks {
    next_id: u32,
    all: Vec<Task>,
}

thread_local! {
    /// It is never borrowed while a future runs: that one may trap.
    static TASKS: RefCell<Tasks> = const { RefCell::new(Tasks { next_id: 0, all: Vec::new() }) };
}

/// Runs a future. Should it trap, the promise is kept with what `rescue` makes.
pub fn run(future: impl Future<Output = JsValue> + 'static, rescue: impl FnOnce() -> JsValue + 'static) -> Promise {
    // Not left to `push` below: were memory to run out there, the tasks would stay borrowed for good.
    if TASKS.with_borrow_mut(|tasks| tasks.all.try_reserve(1)).is_err() {
        return Promise::resolve(&rescue());
    }
    let began_ms = js_sys::Date::now();
    let (future, rescue) = (Some(Box::pin(future) as Pin<Box<_>>), Some(Box::new(rescue) as Box<_>));
    let (id, given_up) = TASKS.with_borrow_mut(|tasks| {
        let id = tasks.next_id;
        tasks.next_id = id.wrapping_add(1);
        tasks.all.push(Task { id, began_ms, future, rescue });
        // The first is the oldest.
        let is_old = |task: &&Task| began_ms - task.began_ms > GIVEN_UP_MS;
        let old = tasks.all.iter().take_while(is_old).count();
        (id, tasks.all.drain(..old).collect::<Vec<_>>())
    });
    // What they hold is released here, where nothing is borrowed.
    drop(given_up);
    drive(id, wasm_bindgen::exports())
}

/// What comes of a promise: its value, or why it was broken.
pub(super) async fn outcome(promise: Promise) -> Result<JsValue, JsValue> {
    wait(&promise);
    let mut is_settled = false;
    std::future::poll_fn(|_| {
        if is_settled {
            Poll::Ready(())
        } else {
            is_settled = true;
            Poll::Pending
        }
    })
    .await;
    if rejected() { Err(settled()) } else { Ok(settled()) }
}

/// For `glue.js`: runs a future until it waits (`false`) or ends (`true`).
#[wasm_bindgen(skip_typescript)]
pub fn poll(id: u32) -> bool {
    let Some(mut future) = with(id, |task| task.future.take()) else {
        // It was given up. What another task waits for must not become its response.
        wait(&JsValue::UNDEFINED);
        return true;
    };
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => {
            with(id, |task| {
                task.future = Some(future);
                None::<()>
            });
            false
        }
        Poll::Ready(value) => {
            end(id);
            wait(&value);
            true
        }
    }
}

/// For `glue.js`: ends a future that has trapped.
#[wasm_bindgen(skip_typescript)]
pub fn rescue(id: u32) {
    let rescue = with(id, |task| task.rescue.take());
    end(id);
    if let Some(rescue) = rescue {
        wait(&rescue());
    }
}

fn with<T>(id: u32, take: impl FnOnce(&mut Task) -> Option<T>) -> Option<T> {
    TASKS.with_borrow_mut(|tasks| take(tasks.all.iter_mut().find(|task| task.id == id)?))
}

fn end(id: u32) {
    let ended = TASKS.with_borrow_mut(|tasks| {
        let place = tasks.all.iter().position(|task| task.id == id)?;
        Some(tasks.all.remove(place))
    });
    drop(ended);
}
