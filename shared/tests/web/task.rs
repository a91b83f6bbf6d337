//! Futures and their driver: many at once, each in its own time, and one that traps.

use js_sys::Array;
use shared::host::Host;
use shared::host::web::{self, WebHost};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::driven::driven;

#[wasm_bindgen_test]
async fn futures_that_wait_do_not_wait_for_each_other() {
    let promises = Array::new();
    for number in 0..20_u32 {
        let future = async move {
            for _ in 0..3 {
                WebHost::default().sleep(20 - number).await;
            }
            JsValue::from(number)
        };
        promises.push(&web::run(future, || JsValue::UNDEFINED));
    }
    let values: Array = JsFuture::from(js_sys::Promise::all(&promises)).await.unwrap().into();
    let expected: Vec<_> = (0..20_u32).map(JsValue::from).collect();
    assert_eq!(values.to_vec(), expected, "each gets what it waited for");
}

#[wasm_bindgen_test]
async fn a_future_that_traps_is_answered_for_and_the_others_go_on() {
    let other = web::run(
        async {
            WebHost::default().sleep(30).await;
            JsValue::from("other")
        },
        || JsValue::from("rescued"),
    );
    let trapped = web::run(
        async {
            WebHost::default().sleep(1).await;
            core::arch::wasm32::unreachable()
        },
        || JsValue::from("rescued"),
    );
    assert_eq!(JsFuture::from(trapped).await.unwrap(), JsValue::from("rescued"));
    let at_once = web::run(async { core::arch::wasm32::unreachable() }, || JsValue::from("rescued"));
    assert_eq!(JsFuture::from(at_once).await.unwrap(), JsValue::from("rescued"));
    assert_eq!(JsFuture::from(other).await.unwrap(), JsValue::from("other"));
    assert_eq!(driven(async { 7 }).await, 7, "and new ones begin");
}

/// Traps with 32 KiB of the stack in use.
#[inline(never)]
fn trap_in_a_large_frame() -> JsValue {
    let frame = [0_u8; 32 * 1024];
    std::hint::black_box(&frame);
    core::arch::wasm32::unreachable()
}

#[wasm_bindgen_test]
async fn the_stack_that_a_trap_leaves_behind_is_given_back() {
    // Together twice the stack's 1 MiB.
    for _ in 0..64 {
        // The caller of a first poll is wasm, and puts the stack back itself. So this waits once.
        let future = async {
            WebHost::default().sleep(0).await;
            trap_in_a_large_frame()
        };
        let trapped = web::run(future, || JsValue::from("rescued"));
        assert_eq!(JsFuture::from(trapped).await.unwrap(), JsValue::from("rescued"));
    }
}
