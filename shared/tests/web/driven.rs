//! Futures of `WebHost` run by the driver they are made for, and waited for by a test.

use std::cell::RefCell;
use std::rc::Rc;

use shared::host::web;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// What a future comes to.
pub(crate) async fn driven<T: 'static>(future: impl Future<Output = T> + 'static) -> T {
    let result = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&result);
    let whole = async move {
        let value = future.await;
        *kept.borrow_mut() = Some(value);
        JsValue::UNDEFINED
    };
    JsFuture::from(web::run(whole, || JsValue::UNDEFINED)).await.expect("a promise that is kept");
    result.take().expect("a future that did not trap")
}
