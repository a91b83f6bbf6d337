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
mod analytics;
mod analytics_batches;
mod analytics_browser;
mod analytics_queue;
mod architecture;
mod attack_matrix;
mod catalogue;
mod conversations;
mod cors;
mod costs;
mod custom_roles;
mod database_rules;
mod defects;
mod deletion;
mod deploy;
mod device_clocks;
mod documentation;
mod enumerations;
mod forged_events;
mod forwarding;
mod history;
mod http;
mod key_sets;
mod limits;
mod local_stack;
mod machines;
mod maintenance;
mod operations;
mod pass_through;
mod query_plans;
mod rate_limit;
mod record_events;
mod restore;
mod retention;
mod risk_and_intent;
mod save_message;
mod sessions;
mod statistics;
mod summaries;
mod supabase_js;
mod system_logs;
mod tokens;
mod transitions;
mod traps;
mod validation;
