//! `cargo xtask dev`: everything that is missing, then the stack, until Ctrl-C.

use std::{path::Path, process::ExitCode};

use uuid::Uuid;

use crate::{
    build::{self, compile},
    cli,
};
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    gateway::Style,
    host::Host,
    issuer::{DEVELOPER_EMAIL, DEVELOPER_PASSWORD},
    progress::{Progress, print},
    signals,
    stack::{Stack, StackOptions, description::Description},
    tools::{node, npm, platform::Platform, rust},
};

/// What `cargo xtask dev` was asked for.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(after_help = ENVIRONMENT)]
pub struct DevOptions {
    /// Where the functions run
    #[arg(long, value_parser = cli::word::<Host>(), default_value_t = Host::Workers)]
    pub host: Host,
    /// Whose gateway the stack's behaves as: that of hosted Supabase, or Kong, which self-hosted Supabase has and which
    /// answers preflights of functions itself
    #[arg(long, value_parser = cli::word::<Style>(), default_value_t = Style::default())]
    pub gateway: Style,
    /// Start with an empty database and leave nothing behind
    #[arg(long)]
    pub ephemeral: bool,
    /// The gateway's port
    #[arg(long, value_name = "PORT", env = "SELVEDGE_API_PORT", default_value_t = 54321)]
    pub api_port: u16,
    /// PostgreSQL's port
    #[arg(long, value_name = "PORT", env = "SELVEDGE_DB_PORT", default_value_t = 54322)]
    pub db_port: u16,
    /// Use the database in SELVEDGE_DB_URL even if it is not on this machine, or has users of its own
    #[arg(long)]
    pub yes_change_this_database: bool,
}

const ENVIRONMENT: &str = "\
Environment:
  SELVEDGE_STATE   the folder for keys, logs and data (default .selvedge)
  SELVEDGE_DB_URL  use a PostgreSQL that is already there, as its superuser: on this machine, and either without a
                   schema auth or with the stack's own
  POSTGREST_BIN    use another PostgREST
  The functions get what docs/configuration.md lists: ALLOWED_ORIGINS, LOG_LEVEL, SUPABASE_TIMEOUT and so on.";

/// The last line that is printed.
const DEVELOPMENT_ONLY: &str =
    "For development only: anybody who reaches it can sign up, and no e-mail address is checked.";

/// Runs the command.
pub async fn run(checkout: &Checkout, options: DevOptions) -> Result<ExitCode> {
    let progress = Progress::start();
    let stop = signals::stop_requested()?;
    tokio::pin!(stop);

    let DevOptions { host, gateway, ephemeral, api_port, db_port, yes_change_this_database } = options;
    let options = StackOptions {
        host,
        gateway,
        api_port,
        db_port,
        ephemeral,
        durable: !ephemeral,
        folder: checkout.state(),
        db_url: std::env::var("SELVEDGE_DB_URL").ok(),
        change_any_database: yes_change_this_database,
    };
    Platform::this()?;
    let mut stack = Stack::reserve(checkout, options).await?;

    let outcome = tokio::select! {
        started = start(checkout, &mut stack, host, progress) => Some(started),
        () = &mut stop => None,
    };
    let outcome = match outcome {
        Some(Ok(welcome)) => {
            print(welcome);
            progress.say("ready; Ctrl-C stops everything");
            tokio::select! {
                error = stack.broken() => Some(error),
                () = &mut stop => None,
            }
        }
        Some(Err(error)) => Some(error),
        None => None,
    };
    progress.say("stopping");
    stack.stop().await;
    progress.say("stopped");
    outcome.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Everything up to ready. What is slow happens side by side: npm's downloads and PostgreSQL's start beside cargo.
async fn start(checkout: &Checkout, stack: &mut Stack, host: Host, progress: Progress) -> Result<String> {
    node::check(checkout.root()).await?;
    if rust::ensure_wasm(checkout.root()).await? {
        progress.say(format!("installed the Rust target {}", rust::WASM));
    }
    let functions = checkout.functions()?;
    let data = async {
        if npm::ensure(checkout).await? {
            progress.say("npm tools installed");
        }
        stack.start_data(progress).await
    };
    let compiled = async {
        let compiled = compile::compile(checkout, host, &functions, progress).await?;
        // What follows needs npm's tools; the wait is on whoever installs them.
        npm::ensure(checkout).await?;
        build::finish(checkout, compiled, progress).await
    };
    tokio::try_join!(data, compiled)?;
    stack.start_functions(progress).await?;
    let token = stack.issuer().await?.sign_in_developer().await;
    let token = token.map_err(|refusal| Error::new(format!("the development user cannot sign in: {refusal}")))?;
    Ok(welcome(stack.description(), &token, &stack.home().folder().join("logs")))
}

/// What to print once it is ready.
fn welcome(described: &Description, token: &str, logs: &Path) -> String {
    let (api, key, db) = (&described.api_url, &described.publishable_key, &described.db_url);
    let mut lines = vec![
        String::new(),
        format!("API              {api}"),
        format!("publishable key  {key}"),
        format!("database         {db}"),
        format!("signed in        {DEVELOPER_EMAIL} (password {DEVELOPER_PASSWORD:?})"),
        format!("token            {token}"),
        format!("logs             {}", logs.display()),
    ];
    for (name, url) in &described.functions {
        lines.push(format!("{name:15}  {url}  (on {})", described.host));
    }
    if let Some(url) = described.functions.get("chat-message") {
        let (id, session) = (Uuid::new_v4(), Uuid::new_v4());
        lines.push(format!(
            "\nSave a message (201; the same again is 200 and a replay):\n\n\
             curl -i {url} \\\n  -H 'apikey: {key}' \\\n  -H 'Authorization: Bearer {token}' \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"id\":\"{id}\",\"session_id\":\"{session}\",\"role\":\"user\",\"message\":\"Hello\"}}'\n"
        ));
    }
    lines.push(DEVELOPMENT_ONLY.to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use devstack::stack::description::Description;

    use super::welcome;

    #[test]
    fn the_last_lines_have_a_request_to_paste_and_say_what_the_stack_is_for() {
        let url = "http://127.0.0.1:1/functions/v1/chat-message".to_owned();
        let described = Description {
            api_url: "http://127.0.0.1:1".into(),
            publishable_key: "sb_publishable_x".into(),
            db_url: "postgresql://postgres:y@127.0.0.1:2/postgres".into(),
            host: "workers".into(),
            functions: [("chat-message".to_owned(), url.clone())].into(),
        };
        let text = welcome(&described, "a.b.c", Path::new("/logs"));
        assert!(text.contains(&format!("curl -i {url}")) && text.contains("Bearer a.b.c"), "{text}");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.contains("development only") && last.contains("sign up"), "{last}");
    }
}
