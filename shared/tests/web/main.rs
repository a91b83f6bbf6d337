//! The one implementation of `Host` over web standards, and the translation of requests and responses, tried in a
//! JavaScript engine: `cargo xtask test --only wasm` runs this in Node.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop there and say where"
)]

mod clock_and_random;
mod driven;
mod fetch;
mod request;
mod response;
mod signatures;
mod signer;
mod task;
mod upstream;

// The one way in which the runner takes JavaScript of a crate's own along, as ES modules.
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_node_experimental);
