//! The local stack: PostgreSQL, PostgREST, the functions on one host, and the gateway in front. Loopback only.

pub mod database;
pub mod deno;
pub mod description;
pub mod function_env;
pub mod home;
pub mod migrations;
pub mod pids;
pub mod ports;
pub mod postgres;
pub mod postgres_home;
pub mod postgrest;
pub mod probe;
pub mod process_group;
pub mod process_table;
pub mod service;
pub mod workerd;

mod run;

pub use run::{Stack, StackOptions};
