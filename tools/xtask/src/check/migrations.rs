//! Migrations, applied twice in a row by the real CLI, on the newest and the oldest PostgreSQL in use.

use super::{
    fresh_database::{self, FreshDatabase},
    report::{Outcome, Report},
};
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    stack::migrations::{applied, push},
    tools::platform::PostgresLine,
};

/// Checks each version.
pub async fn check(checkout: &Checkout, report: &mut Report) {
    for line in PostgresLine::ALL {
        let step = fresh_database::with(checkout, line, twice);
        report.step(&format!("migrations, PostgreSQL {}", line.major()), step).await;
    }
}

async fn twice(database: FreshDatabase) -> Result<Outcome> {
    let FreshDatabase { toolbox, url, client } = database;
    let first = Outcome::of_one(&push(&toolbox, &url).await?);
    if first.failed > 0 {
        return Ok(first);
    }
    let before = applied(&client).await?;
    let mut second = Outcome::of_one(&push(&toolbox, &url).await?);
    if before.is_empty() || applied(&client).await? != before {
        return Err(Error::new(format!("the second run was not a no-op:\n{}", second.output)));
    }
    second.passed += first.passed;
    Ok(second)
}
