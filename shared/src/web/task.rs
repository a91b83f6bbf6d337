//! Futures on a JavaScript host, without a queue: each is driven by a loop of its own in `driver.js`, one promise at a
//! time, which is all that a request ever waits for.
//!
//! Why not `wasm-bindgen-futures`: its queue is shared, so that a trap in one request would stop all the others of the
//! isolate for good; and its closures cost each function 2 KB compressed.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(module = "/src/web/driver.js")]
extern "C" {
    fn wait(value: &JsValue);
    fn settled() -> JsValue;
    fn rejected() -> bool;
    fn drive(task: u32, wasm: JsValue) -> Promise;
    /// A promise that is kept after so many milliseconds.
    pub(super) fn sleep(milliseconds: u32) -> Promise;
}

/// A future, and what to answer should it trap.
struct Task {
    future: Option<Pin<Box<dyn Future<Output = JsValue>>>>,
    rescue: Option<Box<dyn FnOnce() -> JsValue>>,
}

thread_local! {
    /// Every future that has not ended. None is borrowed while it runs: it may trap.
    static TASKS: RefCell<Vec<Option<Task>>> = const { RefCell::new(Vec::new()) };
}

/// Runs a future. Should it trap, the promise is kept with what `rescue` makes.
pub fn run(future: impl Future<Output = JsValue> + 'static, rescue: impl FnOnce() -> JsValue + 'static) -> Promise {
    let task = Task { future: Some(Box::pin(future)), rescue: Some(Box::new(rescue)) };
    let place = TASKS.with_borrow_mut(|tasks| {
        let free = tasks.iter().position(Option::is_none);
        let place = free.unwrap_or(tasks.len());
        match tasks.get_mut(place) {
            Some(free) => *free = Some(task),
            None => tasks.push(Some(task)),
        }
        place
    });
    drive(u32::try_from(place).unwrap_or(u32::MAX), wasm_bindgen::exports())
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

/// For `driver.js`: runs a future until it waits (`false`) or ends (`true`).
#[wasm_bindgen(skip_typescript)]
pub fn poll(task: u32) -> bool {
    let Some(mut future) = with(task, |task| task.future.take()) else { return true };
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => {
            with(task, |task| {
                task.future = Some(future);
                None::<()>
            });
            false
        }
        Poll::Ready(value) => {
            end(task);
            wait(&value);
            true
        }
    }
}

/// For `driver.js`: ends a future that has trapped.
#[wasm_bindgen(skip_typescript)]
pub fn rescue(task: u32) {
    let rescue = with(task, |task| task.rescue.take());
    end(task);
    if let Some(rescue) = rescue {
        wait(&rescue());
    }
}

fn with<T>(task: u32, take: impl FnOnce(&mut Task) -> Option<T>) -> Option<T> {
    TASKS.with_borrow_mut(|tasks| take(tasks.get_mut(task as usize)?.as_mut()?))
}

fn end(task: u32) {
    let ended = TASKS.with_borrow_mut(|tasks| tasks.get_mut(task as usize).and_then(Option::take));
    drop(ended);
}
