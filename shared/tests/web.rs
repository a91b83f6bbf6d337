//! probe
#![cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test;
#[wasm_bindgen_test]
fn probe() {}
