//! Migrations, applied twice in a row by the real CLI, on the newest and the oldest PostgreSQL in use.

use uuid::Uuid;

use super::report::{Outcome, Report};
use crate::{
    checkout::Checkout,
    error::{Error, Result},
    stack::{
        database,
        home::Home,
        migrations::{applied, push},
        ports,
        postgres::{self, Postgres, PostgresOptions},
    },
    tools::{platform::PostgresLine, toolbox::Toolbox},
};

/// Checks each version.
pub async fn check(checkout: &Checkout, report: &mut Report) {
    for line in PostgresLine::ALL {
        report.step(&format!("migrations, PostgreSQL {}", line.major()), on(checkout, line)).await;
    }
}

async fn on(checkout: &Checkout, line: PostgresLine) -> Result<Outcome> {
    let toolbox = Toolbox::new(checkout)?;
    let folder = checkout.state().join(format!("test-migrations-{}-{}", line.major(), Uuid::new_v4().simple()));
    let home = Home::open(folder).await?;
    let port = ports::free(1)?.into_iter().next().unwrap_or_default();
    let postgres = Postgres::start(&home, &toolbox, PostgresOptions { line, port, ephemeral: true }).await?;
    let outcome = async {
        postgres.until_ready().await?;
        twice(checkout, &toolbox, &postgres::url(port)).await
    };
    let outcome = outcome.await;
    postgres.stop().await;
    home.remove();
    outcome
}

async fn twice(checkout: &Checkout, toolbox: &Toolbox, url: &str) -> Result<Outcome> {
    let client = database::connect(url).await?;
    database::give_what_hosting_has(checkout, &client).await?;
    let first = Outcome::of_one(&push(toolbox, url).await?);
    if first.failed > 0 {
        return Ok(first);
    }
    let before = applied(&client).await?;
    let mut second = Outcome::of_one(&push(toolbox, url).await?);
    if before.is_empty() || applied(&client).await? != before {
        return Err(Error::new(format!("the second run was not a no-op:\n{}", second.output)));
    }
    second.passed += first.passed;
    Ok(second)
}
