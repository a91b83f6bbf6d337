//! The database as the stack needs it: what hosted Supabase already has, then a password for PostgREST.

use std::{net::IpAddr, time::Duration};

use fs_err as fs;
use tokio_postgres::{Client, Config, NoTls, config::Host};
use uuid::Uuid;

use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result, why},
    files, fingerprint, wait,
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
    wait::until(Duration::from_millis(20), || async { connect(url).await.is_ok() }).await;
}

/// The command's option that says that any database may be changed.
const OVERRIDE: &str = "--yes-change-this-database";

/// Refuses an existing database that is not the stack's to change, before anything is changed: it must be on loopback,
/// and what is in it must be the stack's own.
pub async fn check_may_change(url: &str) -> Result<()> {
    let refuse = |why: &str| {
        let cure = format!("another database in SELVEDGE_DB_URL, or {OVERRIDE} if you mean this one");
        let what = format!(
            "SELVEDGE_DB_URL names a database that {why}. The stack would apply its migrations there, give the role \
             authenticator another password and add a user"
        );
        Err(Error::new(what).cure(cure))
    };
    if !is_on_loopback(url)? {
        return refuse("is not at 127.0.0.1, ::1 or localhost");
    }
    match AuthSchema::of(&connect(url).await?).await? {
        AuthSchema::Stacks { .. } | AuthSchema::Absent { authenticator: false } => Ok(()),
        AuthSchema::Absent { authenticator: true } => {
            refuse("is on a server whose role authenticator serves another database")
        }
        AuthSchema::Foreign => refuse("has a schema auth that is not the local stack's, with real users perhaps"),
    }
}

fn is_on_loopback(url: &str) -> Result<bool> {
    let config: Config = url.parse().context(|| "SELVEDGE_DB_URL cannot be read".into())?;
    let named = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        Host::Unix(_) => false,
    };
    Ok(config.get_hosts().iter().all(named) && config.get_hostaddrs().iter().all(IpAddr::is_loopback))
}

/// Whose schema `auth` is. The stack marks its own with a comment: `selvedge`, and the fingerprint of the files it was
/// made from.
#[derive(Debug, PartialEq, Eq)]
enum AuthSchema {
    /// Nobody's: there is none.
    Absent {
        /// Whether the server has the role nevertheless, because another database of it has been set up.
        authenticator: bool,
    },
    /// The stack's.
    Stacks { fingerprint: String },
    /// Somebody else's.
    Foreign,
}

impl AuthSchema {
    async fn of(client: &Client) -> Result<Self> {
        let asked = "select to_regnamespace('auth') is not null, to_regrole('authenticator') is not null,
            obj_description(to_regnamespace('auth'), 'pg_namespace')";
        let row = client.query_one(asked, &[]).await?;
        let (there, authenticator, mark): (bool, bool, Option<String>) = (row.get(0), row.get(1), row.get(2));
        Ok(match mark.as_deref().and_then(|mark| mark.strip_prefix("selvedge ")) {
            Some(fingerprint) => Self::Stacks { fingerprint: fingerprint.to_owned() },
            None if there => Self::Foreign,
            None => Self::Absent { authenticator },
        })
    }
}

/// What a database was given of what hosted Supabase already has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// All of it: the database was fresh.
    Everything,
    /// `supabase/local` has changed since it was given, so it was given again.
    Changes,
    /// Nothing: it has it already.
    Nothing,
}

/// Gives a database what hosted Supabase already has: the roles and the `auth` schema. All of it or nothing.
pub async fn give_what_hosting_has(checkout: &Checkout, client: &Client) -> Result<Given> {
    let (folder, mut script) = (checkout.path("supabase/local"), String::new());
    for name in files::names(&folder)?.iter().filter(|name| name.ends_with(".sql")) {
        script.push_str(&fs::read_to_string(folder.join(name))?);
        script.push('\n');
    }
    let current = fingerprint::of(&script);
    let given = match AuthSchema::of(client).await? {
        AuthSchema::Absent { .. } => Given::Everything,
        AuthSchema::Stacks { fingerprint } if fingerprint != current => Given::Changes,
        AuthSchema::Stacks { .. } | AuthSchema::Foreign => return Ok(Given::Nothing),
    };
    let script = format!("begin;\n{script}comment on schema auth is 'selvedge {current}';\ncommit;");
    client.batch_execute(&script).await.map_err(|error| {
        Error::new(format!("supabase/local/*.sql: {}", why(&error))).cure("correct the file; nothing was applied")
    })?;
    Ok(given)
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

#[cfg(test)]
mod tests {
    use super::is_on_loopback;

    #[test]
    fn loopback_is_told_from_everywhere_else() {
        for url in [
            "postgresql://postgres@127.0.0.1:54322/postgres",
            "postgresql://postgres@localhost/postgres",
            "postgresql://postgres@[::1]/postgres",
        ] {
            assert!(is_on_loopback(url).unwrap(), "{url}");
        }
        for url in [
            "postgresql://postgres@db.example.com/postgres",
            "postgresql://postgres@127.0.0.1.example.com/postgres",
            "postgresql://postgres@127.0.0.1,db.example.com/postgres",
            "postgresql://postgres@127.0.0.1/postgres?host=db.example.com",
            "postgresql://postgres@localhost/postgres?hostaddr=192.0.2.1",
            "postgresql://postgres@0.0.0.0/postgres",
            "postgresql://postgres@%2Frun%2Fpostgresql/postgres",
        ] {
            assert!(!is_on_loopback(url).unwrap(), "{url}");
        }
        assert!(is_on_loopback("not a url").is_err());
    }
}
