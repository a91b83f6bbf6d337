//! Migrations, applied by the real `supabase db push`.

use std::{collections::BTreeSet, fs};

use tokio_postgres::Client;

use super::database::why;
use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    tools::{command::Said, toolbox::Toolbox},
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
    toolbox.supabase()?.args(["db", "push", "--yes"]).arg(format!("--remote={url}")).run().await
}

/// The versions of the files in `migrations/`.
fn versions(checkout: &Checkout) -> Result<BTreeSet<String>> {
    let folder = checkout.path("migrations");
    let entries = fs::read_dir(&folder).context(|| format!("{} cannot be read", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| version(&name).map(str::to_owned)).collect())
}

fn version(name: &str) -> Option<&str> {
    let (version, rest) = name.split_once('_')?;
    (rest.ends_with(".sql") && version.bytes().all(|byte| byte.is_ascii_digit())).then_some(version)
}

/// The versions the database has.
pub async fn applied(client: &Client) -> Result<BTreeSet<String>> {
    let read = async {
        let there = "select to_regclass('supabase_migrations.schema_migrations') is not null";
        if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
            return Ok(BTreeSet::new());
        }
        let rows = client.query("select version from supabase_migrations.schema_migrations", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    read.await.map_err(|error: tokio_postgres::Error| Error::new(why(&error)))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn only_migrations_have_versions() {
        assert_eq!(version("20261121080000_sessions.sql"), Some("20261121080000"));
        assert_eq!(version("README.md"), None);
        assert_eq!(version("notes_on.sql"), None);
    }
}
