//! PostgREST, set up as hosted Supabase sets up its own.

use std::time::Duration;

use tokio::process::Command;

use super::{home::Home, probe, service::Service};
use crate::{error::Result, keys::StackKey, tools::toolbox::Toolbox};

/// What PostgREST needs to know.
#[derive(Debug, Clone)]
pub struct PostgrestOptions {
    /// The database, as `authenticator`.
    pub db_url: String,
    /// Its port.
    pub port: u16,
    /// The port of its own health checks.
    pub admin_port: u16,
    /// How many connections to the database it may hold.
    pub pool: u16,
    /// For how many seconds a request may wait for one of them.
    pub pool_patience: u16,
}

impl PostgrestOptions {
    /// As the local stack runs it; the database is not known yet.
    pub fn new(port: u16, admin_port: u16) -> Self {
        Self { db_url: String::new(), port, admin_port, pool: 20, pool_patience: 10 }
    }
}

/// Starts it, and waits until it has read the schema.
pub async fn start(home: &Home, toolbox: &Toolbox, key: &StackKey, options: &PostgrestOptions) -> Result<Service> {
    let (port, admin_port) = (options.port.to_string(), options.admin_port.to_string());
    let (pool, patience) = (options.pool.to_string(), options.pool_patience.to_string());
    let jwks = key.jwks().to_string();
    let mut command = Command::new(toolbox.postgrest()?);
    command.env_clear().envs([
        ("PGRST_DB_URI", options.db_url.as_str()),
        ("PGRST_DB_ANON_ROLE", "anon"),
        ("PGRST_DB_SCHEMAS", "public"),
        ("PGRST_DB_EXTRA_SEARCH_PATH", "public,extensions"),
        ("PGRST_DB_MAX_ROWS", "1000"),
        ("PGRST_DB_POOL", &pool),
        ("PGRST_DB_POOL_ACQUISITION_TIMEOUT", &patience),
        ("PGRST_JWT_SECRET", &jwks),
        ("PGRST_SERVER_HOST", "127.0.0.1"),
        ("PGRST_SERVER_PORT", &port),
        ("PGRST_ADMIN_SERVER_PORT", &admin_port),
        ("PGRST_LOG_LEVEL", "warn"),
    ]);
    let service = Service::start(home, "postgrest", command)?;
    let ready = format!("http://127.0.0.1:{admin_port}/ready");
    service.until_ready(Duration::from_secs(30), probe::until_ok(&ready)).await?;
    Ok(service)
}
