//! Whether Cloudflare's own tool accepts what would be deployed.

use super::report::Outcome;
use devstack::{
    checkout::{Checkout, Function},
    error::Result,
    tools::toolbox::Toolbox,
};

/// Bundles a function as `wrangler deploy` would, and uploads nothing.
pub async fn dry_run(checkout: &Checkout, function: &Function) -> Result<Outcome> {
    let bundle = checkout.path("build/dry-run").join(&function.name);
    let said = Toolbox::new(checkout)?
        .wrangler()?
        .args(["deploy", "--dry-run", "--env", &function.name, "--outdir"])
        .arg(bundle)
        .run()
        .await?;
    let upload = said.stdout.lines().find(|line| line.starts_with("Total Upload")).map(str::to_owned);
    Ok(Outcome { note: upload, ..Outcome::of_one(&said) })
}
