//! What the scenarios share: the stack under test, an HTTP client that hides nothing, people, and assertions.
//!
//! `cargo xtask test` starts a stack for each host and runs `scenarios/` against it. By hand: `cargo xtask dev` in
//! one terminal, `SELVEDGE_STACK=.selvedge/stack.json cargo test -p conformance` in another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop there and say where"
)]

pub mod assertions;
pub mod attack;
pub mod browser;
pub mod capture;
pub mod catalogue;
pub mod client;
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
pub mod scratch_database;
pub mod seed;
pub mod stack;
pub mod starved;
pub mod supabase_api;
pub mod visitor;
pub mod writer;
