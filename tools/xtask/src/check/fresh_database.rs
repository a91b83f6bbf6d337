//! A PostgreSQL for one check: new, with what hosted Supabase already has, and gone afterwards.

use tokio_postgres::Client;
use uuid::Uuid;

use devstack::{
    checkout::Checkout,
    error::Result,
    stack::{
        database,
        home::Home,
        ports,
        postgres::{Postgres, PostgresOptions},
    },
    tools::{platform::PostgresLine, toolbox::Toolbox},
};

/// What a check is given.
#[derive(Debug)]
pub struct FreshDatabase {
    /// The tools of this checkout.
    pub toolbox: Toolbox,
    /// The database, as its superuser.
    pub url: String,
    /// A connection to it.
    pub client: Client,
}

/// Runs a check on a PostgreSQL of its own, which stops however the check ends.
pub async fn with<T>(
    checkout: &Checkout,
    line: PostgresLine,
    check: impl AsyncFnOnce(FreshDatabase) -> Result<T>,
) -> Result<T> {
    let toolbox = Toolbox::new(checkout)?;
    let folder = checkout.state().join(format!("test-postgres-{}-{}", line.major(), Uuid::new_v4().simple()));
    let home = Home::open(folder).await?;
    let port = ports::free(1)?.into_iter().next().unwrap_or_default();
    let postgres =
        Postgres::start(&home, &toolbox, PostgresOptions { line, port, ephemeral: true, durable: false }).await?;
    let outcome = async {
        postgres.until_ready().await?;
        let url = postgres.url().to_owned();
        let client = database::connect(&url).await?;
        database::give_what_hosting_has(checkout, &client).await?;
        check(FreshDatabase { toolbox, url, client }).await
    };
    let outcome = outcome.await;
    postgres.stop().await;
    home.remove();
    outcome
}
