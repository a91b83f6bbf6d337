//! Migrations, applied by the real `supabase db push`.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Config};

use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    files,
    tools::{
        command::{Said, Tool},
        toolbox::Toolbox,
    },
};

/// Applies what has not been applied; the number applied. The CLI is not started when there is nothing to do, which
/// saves its two seconds.
pub async fn apply(checkout: &Checkout, toolbox: &Toolbox, client: &Client, url: &str) -> Result<usize> {
    let files = versions(checkout)?;
    let applied = applied(client).await?;
    let pending = files.difference(&applied).count();
    if pending > 0 {
        let said = push(toolbox, url).await?;
        if !said.status.success() {
            let what = format!("a migration failed:\n{}", said.last_lines(20));
            return Err(Error::new(what).cure("correct it; migrations applied before it stay applied"));
        }
    }
    Ok(pending)
}

/// `supabase db push`.
pub async fn push(toolbox: &Toolbox, url: &str) -> Result<Said> {
    aimed_at(toolbox.supabase()?.args(["db", "push", "--yes"]), url)?.run().await
}

/// A command of the Supabase CLI for a database. The password goes into its environment: everybody on the machine can
/// read command lines.
pub fn aimed_at(command: Tool, url: &str) -> Result<Tool> {
    let config: Config = url.parse().context(|| "The database's URL cannot be read".into())?;
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default());
    Ok(command.arg(format!("--remote={}", without_password(url))).env("PGPASSWORD", &*password))
}

fn without_password(url: &str) -> String {
    let parts = url.split_once('@').and_then(|(front, back)| {
        let (scheme, login) = front.split_once("://")?;
        Some(format!("{scheme}://{}@{back}", login.split_once(':')?.0))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

/// The versions of the files in `migrations/`.
fn versions(checkout: &Checkout) -> Result<BTreeSet<String>> {
    let names = files::names(&checkout.path("migrations"))?;
    Ok(names.iter().filter_map(|name| version(name).map(str::to_owned)).collect())
}

fn version(name: &str) -> Option<&str> {
    let (version, rest) = name.split_once('_')?;
    (rest.ends_with(".sql") && version.bytes().all(|byte| byte.is_ascii_digit())).then_some(version)
}

/// The versions the database has.
pub async fn applied(client: &Client) -> Result<BTreeSet<String>> {
    let there = "select to_regclass('supabase_migrations.schema_migrations') is not null";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(BTreeSet::new());
    }
    let rows = client.query("select version from supabase_migrations.schema_migrations", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::{version, without_password};

    #[test]
    fn a_password_is_taken_out_of_a_url() {
        for (url, without) in [
            ("postgresql://postgres:a%40b@127.0.0.1:1/postgres", "postgresql://postgres@127.0.0.1:1/postgres"),
            ("postgresql://postgres@127.0.0.1:1/postgres", "postgresql://postgres@127.0.0.1:1/postgres"),
            ("postgresql://127.0.0.1:1/postgres", "postgresql://127.0.0.1:1/postgres"),
        ] {
            assert_eq!(without_password(url), without);
        }
    }

    #[test]
    fn only_migrations_have_versions() {
        assert_eq!(version("20261121080000_sessions.sql"), Some("20261121080000"));
        assert_eq!(version("README.md"), None);
        assert_eq!(version("notes_on.sql"), None);
    }
}
