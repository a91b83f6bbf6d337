//! What every Selvedge function stands on.
//!
//! A function is operations: forms, plans and answers ([`function::Function`]); everything else is here: the way of a
//! request ([`edge`]), reading and refusing it ([`form`], [`query`], [`json`]), knowing the caller ([`auth`]), forwarding
//! to PostgREST as the caller, again if need be ([`postgrest`], [`breaker`]), and saying what went wrong ([`problem`],
//! [`code`]).
//!
//! Nothing in this crate is about chat, and nothing but [`adapter`] knows a host: the rest sees the world through
//! [`host::Host`], with one implementation over web standards (`web`) and one for native tests ([`fake`]).
//!
//! Features: `fake` brings the fake host (native tests only).

pub mod adapter;
pub mod auth;
pub mod base64url;
pub mod breaker;
pub mod code;
pub mod config;
pub mod cors;
pub mod edge;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod form;
pub mod function;
mod health;
pub mod host;
pub mod http;
pub mod id;
pub mod json;
mod kind;
mod log;
pub mod postgrest;
pub mod problem;
pub mod query;
pub mod text;
#[cfg(target_arch = "wasm32")]
pub mod web;
