//! The scenarios: Selvedge's behaviour on the real stack, the same for each host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test that cannot go on should stop there and say where"
)]

mod access;
mod cors;
mod database_rules;
mod documentation;
mod history;
mod http;
mod save_message;
mod supabase_js;
mod validation;
