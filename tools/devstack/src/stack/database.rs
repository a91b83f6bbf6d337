//! The database as the stack needs it: what hosted Supabase already has, then a password for PostgREST.

use std::{fs, path::PathBuf, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, Config, NoTls, config::Host};
use uuid::Uuid;

use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
};

/// Connects.
pub async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .map_err(|error| Error::new(format!("The database: {}", why(&error))))?;
    // It ends, with or without an error, when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}

/// Resolves once a connection is accepted.
pub async fn until_connected(url: &str) {
    while connect(url).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What PostgreSQL itself said, where it did.
pub fn why(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        None => error.to_string(),
        Some(said) => {
            let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{} [{}]{hint}", said.message(), said.code().code())
        }
    }
}

/// What a fresh database was given: all of it or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It was fresh.
    Now,
    /// It was not.
    Before,
    /// It was not, and `supabase/local` has changed since.
    BeforeAndOutdated,
}

/// Gives a fresh database what hosted Supabase already has: the roles and the `auth` schema.
pub async fn give_what_hosting_has(checkout: &Checkout, client: &Client) -> Result<Given> {
    let files = local_files(checkout)?;
    let mut digest = Sha256::new();
    let mut script = String::from("begin;\n");
    for file in &files {
        let text = fs::read_to_string(file).context(|| format!("{} cannot be read", file.display()))?;
        digest.update(&text);
        script.push_str(&text);
        script.push('\n');
    }
    let mark: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let marked = "select to_regnamespace('auth') is not null, obj_description(to_regnamespace('auth'), 'pg_namespace')";
    let row = client.query_one(marked, &[]).await.map_err(|error| Error::new(why(&error)))?;
    let (there, was): (bool, Option<String>) = (row.get(0), row.get(1));
    if there {
        let outdated = was.and_then(|was| was.strip_prefix("selvedge ").map(|was| was != mark)).unwrap_or_default();
        return Ok(if outdated { Given::BeforeAndOutdated } else { Given::Before });
    }
    script.push_str(&format!("comment on schema auth is 'selvedge {mark}';\ncommit;"));
    client.batch_execute(&script).await.map_err(|error| {
        Error::new(format!("supabase/local/*.sql: {}", why(&error))).cure("correct the file; nothing was applied")
    })?;
    Ok(Given::Now)
}

fn local_files(checkout: &Checkout) -> Result<Vec<PathBuf>> {
    let folder = checkout.path("supabase/local");
    let entries = fs::read_dir(&folder).context(|| format!("{} cannot be read", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "sql"));
    files.sort();
    Ok(files)
}

/// A URL PostgREST can log in with: `authenticator`, with a password made for this run, in case the server asks.
pub async fn authenticator_url(client: &Client, url: &str) -> Result<String> {
    let password = Uuid::new_v4().simple().to_string();
    client
        .batch_execute(&format!("alter role authenticator with login password '{password}'"))
        .await
        .map_err(|error| Error::new(format!("the role authenticator cannot be used: {}", why(&error))))?;
    let config: Config = url.parse().context(|| "The database's URL cannot be read".into())?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.as_str(),
        _ => {
            return Err(
                Error::new("the database's URL names no host").cure("postgresql://user:password@host:port/name")
            );
        }
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let name = config.get_dbname().unwrap_or("postgres");
    Ok(format!("postgresql://authenticator:{password}@{host}:{port}/{name}"))
}
