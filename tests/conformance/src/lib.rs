//! What the scenarios share: the stack under test, an HTTP client that hides nothing, people, and assertions.
//!
//! The program of this crate starts a stack and runs `scenarios/` against it: `cargo run -p conformance`, and
//! `cargo xtask test` for each host. Against a stack of `cargo xtask dev`:
//! `SELVEDGE_STACK=.selvedge/stack.json cargo test -p conformance`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop there and say where"
)]

pub mod arguments;
pub mod assertions;
pub mod attack;
pub mod backend;
pub mod bombs;
pub mod browser;
pub mod capture;
pub mod catalogue;
pub mod client;
pub mod conversations;
pub mod cursor;
pub mod edge_runtime;
pub mod event;
pub mod fault_proxy;
pub mod forgery;
pub mod isolated;
pub mod key_server;
pub mod ledger;
pub mod lost_answer;
pub mod machine;
pub mod openapi;
pub mod person;
pub mod scratch;
pub mod scratch_api;
pub mod scratch_database;
pub mod seed;
pub mod stack;
pub mod starved;
pub mod supabase_api;
pub mod verdict;
pub mod visitor;
pub mod writer;
