//! The local stack, for development and tests: PostgreSQL, PostgREST, the functions on a host, and a gateway laid out as
//! Supabase's API, with an issuer of tokens.
//!
//! | module | what |
//! |---|---|
//! | [`stack`] | starts and stops all of it, in order |
//! | [`gateway`] | the one address in front of it |
//! | [`issuer`] | sign-up and sign-in behind `/auth/v1` |
//! | [`keys`] | the signing key, and the tokens it signs |
//! | [`tools`] | the programs it is made of, from npm and rustup |
//! | [`checkout`], [`output`], [`host`], [`fingerprint`] | where things are: the repository, a built function, the two hosts; names for contents |
//! | [`files`] | folders, and what is in them |
//! | [`client`] | the HTTP client of the commands and the tests |
//! | [`wait`] | for what tells nobody when it is so |
//! | [`error`], [`progress`], [`signals`] | what a person at the terminal sees, and Ctrl-C |
//!
//! `cargo xtask` and the tests use it, and it knows nothing of either.

pub mod checkout;
pub mod client;
pub mod error;
pub mod files;
pub mod fingerprint;
pub mod gateway;
pub mod host;
pub mod issuer;
pub mod keys;
pub mod output;
pub mod progress;
pub mod signals;
pub mod stack;
pub mod tools;
pub mod wait;
