//! `cargo xtask`: Selvedge's commands. The two a newcomer needs are `cargo xtask dev` and `cargo xtask test`.
#![allow(unreachable_pub, reason = "a program: nothing of it is reached from outside")]

mod bench;
mod build;
mod check;
mod cli;
mod dev;
mod doctor;
mod fuzz;
mod machines;
mod new;
mod openapi;
mod simulation;
mod token;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};
use devstack::{checkout::Checkout, error::Result, progress::warn};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            warn(error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    let checkout = &Checkout::here()?;
    match command {
        Command::Dev(options) => dev::run(checkout, options).await,
        Command::Test(options) => check::run(checkout, &options).await,
        Command::Build(options) => build::run(checkout, options).await,
        Command::Bench(options) => bench::run(checkout, &options).await,
        Command::Fuzz(options) => fuzz::run(checkout, options).await,
        Command::Token(arguments) => token::run(checkout, arguments).await,
        Command::Machines(passed) => machines::run(checkout, &passed.arguments),
        Command::New(options) => new::run(checkout, &options).await.map(|()| ExitCode::SUCCESS),
        Command::OpenApi => openapi::run(checkout).await.map(|()| ExitCode::SUCCESS),
        Command::Doctor => doctor::run(checkout).await,
    }
}
