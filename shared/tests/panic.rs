//! A panic in a JavaScript engine. Alone in a module of its own, because std goes on taking the thread to be panicking:
//! the hook cannot be put back for other tests.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::panic, reason = "that is what is tried here")]

use std::cell::Cell;

use shared::host::Host;
use shared::host::web::{self, WebHost};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_node_experimental);

thread_local! {
    static SAID: Cell<bool> = const { Cell::new(false) };
}

// The result is returned, because a failed assertion would say nothing either.
#[wasm_bindgen_test]
async fn a_panic_says_nothing_and_the_next_request_gets_a_host() -> Result<(), JsValue> {
    // As the crate `worker` does when the module starts.
    std::panic::set_hook(Box::new(|_| SAID.set(true)));
    let host = WebHost::new();
    let panics = async move {
        host.sleep(1).await;
        panic!("what a caller wrote")
    };
    let rescued = JsFuture::from(web::run(panics, || JsValue::from("rescued"))).await?;
    if rescued != "rescued" {
        return Err("the panic was not answered for".into());
    }
    if SAID.get() {
        return Err("the hook that was there before was called".into());
    }
    for number in [1_u32, 2] {
        let next = async move {
            // The isolate begins anew after a panic.
            WebHost::new().sleep(1).await;
            JsValue::from(number)
        };
        let answered = JsFuture::from(web::run(next, || JsValue::from("rescued"))).await?;
        if answered != number {
            return Err("no host can be made after a panic".into());
        }
    }
    Ok(())
}
