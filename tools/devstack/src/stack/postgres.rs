//! PostgreSQL: made, started, ready.

use std::{path::Path, time::Duration};

use fs_err as fs;
use tokio::process::Command;

use super::{database, home::Home, postgres_home::PostgresHome, service::Service};
use crate::{
    error::{Error, Result},
    fingerprint,
    tools::{command::Tool, platform::PostgresLine, toolbox::Toolbox},
};

/// A running PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    service: Service,
    place: PostgresHome,
    options: PostgresOptions,
    url: String,
}

/// How to run it.
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions {
    /// Which version.
    pub line: PostgresLine,
    /// On which port.
    pub port: u16,
    /// Whether its data goes with it.
    pub ephemeral: bool,
    /// Whether a commit is on disk before it is told. Only data that goes anyway may do without.
    pub durable: bool,
}

/// The URL of a home's own, as its superuser.
pub fn url(home: &Home, port: u16) -> Result<String> {
    Ok(format!("postgresql://postgres:{}@127.0.0.1:{port}/postgres", home.postgres_password()?))
}

impl Postgres {
    /// Starts it, making the database first where there is none. It is not ready yet.
    pub async fn start(home: &Home, toolbox: &Toolbox, options: PostgresOptions) -> Result<Self> {
        let PostgresOptions { line, ephemeral, port, .. } = options;
        let name = if ephemeral { "postgres-ephemeral" } else { "postgres" };
        let place = PostgresHome::prepare(home, toolbox.postgres(line)?, name).await?;
        if ephemeral {
            let _ = fs::remove_dir_all(&place.data);
        }
        if place.data.exists() {
            check_version(&place.data, line)?;
        } else {
            init(&place, line).await?;
        }
        require_password(&place, &home.postgres_password()?).await?;
        let service = Service::start(home, "postgres", command(&place, options))?;
        Ok(Self { service, place, options, url: url(home, port)? })
    }

    /// Waits until it takes connections.
    pub async fn until_ready(&self) -> Result<()> {
        self.service.until_ready(Duration::from_secs(30), database::until_connected(&self.url)).await
    }

    /// Its URL, as its superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The program, for watching it.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Where it is.
    pub fn place(&self) -> &PostgresHome {
        &self.place
    }

    /// Kills all its processes at once.
    pub async fn kill(&self) {
        self.service.kill_all().await;
    }

    /// Starts it on the data it has, after a kill.
    pub async fn restart(&mut self, home: &Home) -> Result<()> {
        self.service = Service::start(home, "postgres", command(&self.place, self.options))?;
        self.until_ready().await
    }

    /// Stops it cleanly.
    pub async fn stop(self) {
        self.service.stop().await;
        if self.options.ephemeral {
            self.place.remove_data();
        }
    }
}

fn command(place: &PostgresHome, options: PostgresOptions) -> Command {
    let mut settings = vec![
        "listen_addresses=127.0.0.1",
        // No socket file: its path may not be longer than some 100 characters, and nobody needs it.
        "unix_socket_directories=",
        // 100 callers at once, PostgREST's pool, and tests that look inside.
        "max_connections=200",
        "timezone=UTC",
        "log_line_prefix=%m [%p] %u ",
    ];
    if options.ephemeral && !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    let mut command = Command::new(place.programs.join("bin/postgres"));
    command.arg("-D").arg(&place.data).args(["-p", &options.port.to_string()]);
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    // Not in the checkout: whoever PostgreSQL runs as need not be able to enter it.
    command.current_dir("/");
    if let Some((uid, gid)) = place.user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Makes the database beside its place and moves it there whole, so that an interrupted start leaves no half of one.
async fn init(place: &PostgresHome, line: PostgresLine) -> Result<()> {
    let part = place.data.with_extension("part");
    place.make_folder(&part)?;
    let locale: &[&str] = match line {
        // The same order and case rules on every machine, whatever locales it has.
        PostgresLine::V17 => &["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
        PostgresLine::V15 => &["--locale=C"],
    };
    Tool::new(place.programs.join("bin/initdb"), Path::new("/"))
        .arg("-D")
        .arg(&part)
        // Nobody gets in until it asks for a password.
        .args(["--username=postgres", "--auth=reject", "--encoding=UTF8", "--no-sync", "--no-instructions"])
        .args(locale)
        .user(place.user)
        .succeed("Making the database")
        .await?;
    Ok(fs::rename(&part, &place.data)?)
}

/// Sets the superuser's password, and lets nobody in without one (scram-sha-256), before the server starts. Does nothing
/// where that has been done. Data from a version that asked for no password, and data whose password file was deleted,
/// get the new password and keep their rows.
async fn require_password(place: &PostgresHome, password: &str) -> Result<()> {
    let rules_file = place.data.join("pg_hba.conf");
    let rules = rules(password);
    if fs::read_to_string(&rules_file).is_ok_and(|there| there == rules) {
        return Ok(());
    }
    // A server for this one statement: no port, no other client.
    Tool::new(place.programs.join("bin/postgres"), Path::new("/"))
        .arg("--single")
        .arg("-D")
        .arg(&place.data)
        .arg("postgres")
        .input(&format!("alter role postgres password '{password}'\n"))?
        .user(place.user)
        .succeed("Setting the database's password")
        .await?;
    Ok(fs::write(&rules_file, rules)?)
}

/// pg_hba.conf. It says which password was set, by fingerprint, so that another one is noticed.
fn rules(password: &str) -> String {
    let fingerprint = fingerprint::of(password);
    format!("# Written by `cargo xtask`, for the password {fingerprint}\nhost all all 127.0.0.1/32 scram-sha-256\n")
}

fn check_version(data: &Path, line: PostgresLine) -> Result<()> {
    let version = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
    if version.trim() == line.major().to_string() {
        return Ok(());
    }
    let what = format!("{} is PostgreSQL {:?}'s data, not {}'s", data.display(), version.trim(), line.major());
    Err(Error::new(what).cure(format!("rm -r {} (the local data is lost)", data.display())))
}
