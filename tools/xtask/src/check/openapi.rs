//! The OpenAPI documents: as the code says, and without faults.

use super::report::Outcome;
use crate::openapi;
use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    tools::command::Tool,
};

/// What the linter has to find.
const CONFIG: &str = "docs/openapi/redocly.yaml";

/// Compares each document with its file, then lints the files. A warning is a failure too.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    let documents = openapi::documents(checkout).await?;
    let stale: Vec<_> = documents
        .iter()
        .filter(|document| !document.is_written(checkout))
        .map(|document| document.file.as_str())
        .collect();
    if !stale.is_empty() {
        return Err(Error::new(format!("{} is not what the code says", stale.join(", "))).cure("cargo xtask openapi"));
    }
    let said = Tool::new("node", checkout.root())
        .args(["node_modules/@redocly/cli/bin/cli.js", "lint", "--config", CONFIG, "--format=stylish"])
        .args(documents.iter().map(|document| &document.file))
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .run()
        .await?;
    Ok(Outcome::of_one(&said))
}
