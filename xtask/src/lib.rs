//! Selvedge's commands, and the local stack as a library.
//!
//! The two commands a newcomer needs are `cargo xtask dev` and `cargo xtask test`. The stack they start
//! ([`stack::Stack`]) is public so that tests can start one of their own and break parts of it.

pub mod bench;
pub mod build;
pub mod check;
pub mod checkout;
pub mod cli;
pub mod dev;
pub mod doctor;
pub mod error;
pub mod fuzz;
pub mod gateway;
pub mod host;
pub mod issuer;
pub mod jwt;
pub mod machines;
pub mod openapi;
pub mod progress;
pub mod rsa_key;
pub mod signals;
pub mod stack;
pub mod token;
pub mod tools;

use std::{ffi::OsString, process::ExitCode};

use cli::Command;
use error::{Context as _, Error};

/// Runs one command line, the program's own name left out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Error> {
    let command = cli::parse(args, &|name| std::env::var(name).ok())?;
    let checkout = checkout::Checkout::this();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context(|| "The asynchronous runtime did not start".into())?;
    runtime.block_on(async {
        match command {
            Command::Help => {
                println!("{}", cli::HELP);
                Ok(ExitCode::SUCCESS)
            }
            Command::Dev(options) => dev::run(&checkout, options).await,
            Command::Fuzz(args) => fuzz::run(&checkout, &args),
            Command::Build(options) => build::run(&checkout, &options).await,
            Command::Token(options) => token::run(&checkout, &options),
            Command::Machines => machines::run(&checkout).map(|()| ExitCode::SUCCESS),
            Command::OpenApi => openapi::run(&checkout).map(|()| ExitCode::SUCCESS),
            Command::Doctor => doctor::run(&checkout).await,
            Command::Bench(options) => bench::run(&checkout, &options).await,
            Command::Test(options) => check::run(&checkout, &options).await,
        }
    })
}
