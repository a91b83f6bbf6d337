//! The TypeScript there is, type-checked by the Deno that runs it.

use super::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::Result,
    stack::deno,
    tools::{command::Tool, toolbox::Toolbox},
};

/// Checks every entry file and the local server's wrapper.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    let mut files = vec![checkout.path("supabase/local/serve.ts")];
    for function in checkout.functions()? {
        files.push(checkout.path("supabase/functions").join(function.name).join("index.ts"));
    }
    let said = Tool::new(Toolbox::new(checkout)?.deno()?, checkout.root())
        .args(["check", "--no-lock", "--quiet"])
        .args(files)
        .envs(deno::environment(&checkout.state()))
        .run()
        .await?;
    Ok(Outcome::of_one(&said))
}
