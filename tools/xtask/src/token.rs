//! `cargo xtask token`: tokens for trying things.

use std::{path::PathBuf, process::ExitCode};

use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    issuer::{DEVELOPER_EMAIL, Issuer},
    keys::{
        StackKey,
        token::{Algorithm, TokenOptions, mint},
    },
    progress::print,
    stack::{description::Description, home},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cli;

/// What `cargo xtask token` was asked for.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(after_help = "Environment:\n  SELVEDGE_STACK  the stack.json of another stack")]
pub struct TokenArguments {
    /// Whose token, by email address; somebody new is signed up
    #[arg(long, conflicts_with = "sub")]
    pub email: Option<String>,
    /// Whose token, by id. Rows refer to auth.users: a write as a user who does not exist is refused
    #[arg(long, value_name = "UUID")]
    pub sub: Option<Uuid>,
    /// In which role
    #[arg(long, default_value = "authenticated")]
    pub role: String,
    /// For how many seconds from now; negative for a token that has expired
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, allow_negative_numbers = true)]
    pub ttl: i64,
    /// Signed how. HS256, with the public key as its secret, and none are forgeries, for trying that they are refused
    #[arg(long, value_parser = cli::word::<Algorithm>(), default_value = "ES256")]
    pub alg: Algorithm,
    /// Claims that replace or join the others, as a JSON object; null takes one away
    #[arg(long, value_name = "JSON", value_parser = cli::json_object, default_value = "{}")]
    pub claims: Map<String, Value>,
}

/// Runs the command: the token alone on stdout.
pub async fn run(checkout: &Checkout, arguments: TokenArguments) -> Result<ExitCode> {
    let named = std::env::var_os("SELVEDGE_STACK").filter(|named| !named.is_empty());
    let file = named.map_or_else(|| checkout.state().join("stack.json"), PathBuf::from);
    let stack = Description::read(&file).map_err(|error| error.cure("cargo xtask dev"))?;
    let key = StackKey::load(&home::signing_key(file.parent().unwrap_or(&file)))?;
    let TokenArguments { email, sub, role, ttl, alg: algorithm, claims } = arguments;
    let sub = match sub {
        Some(sub) => sub,
        // Somebody who is there, so that a first write works.
        None => {
            let issuer = Issuer::new(&stack.api_url, &stack.db_url, &key).await?;
            let email = email.as_deref().unwrap_or(DEVELOPER_EMAIL);
            let user = issuer.user_with(email).await;
            user.map_err(|refusal| Error::new(format!("{email} cannot be signed up: {refusal}")))?
        }
    };
    let options = TokenOptions { sub: Some(sub.to_string()), role, ttl, algorithm, claims };
    print(mint(&key, &stack.api_url, &options)?);
    Ok(ExitCode::SUCCESS)
}
