//! The functions on Deno, in the version Supabase's edge runtime follows: a process and a port for each.

use std::{collections::BTreeMap, time::Duration};

use tokio::process::Command;

use super::{function_env, home::Home, probe, service::Service};
use crate::{checkout::Checkout, error::Result, tools::toolbox::Toolbox};

/// Starts a Deno for every function, and waits until each answers.
pub async fn start(
    home: &Home,
    checkout: &Checkout,
    toolbox: &Toolbox,
    ports: &BTreeMap<String, u16>,
    variables: &[(String, String)],
) -> Result<Vec<Service>> {
    let deno = toolbox.deno()?;
    let mut services = Vec::new();
    for (name, port) in ports {
        let folder = checkout.path("supabase/functions").join(name);
        let mut command = Command::new(&deno);
        command
            .current_dir(checkout.root())
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            // Not on the list below, so reading one fails.
            .envs(function_env::NOT_FOR_FUNCTIONS)
            .env("DENO_DIR", home.folder().join("deno"))
            .env("DENO_NO_UPDATE_CHECK", "1")
            .args(["run", "--quiet", "--no-prompt", "--no-lock", "--cached-only", "--allow-net=127.0.0.1"])
            .arg(format!("--allow-env={}", function_env::names().collect::<Vec<_>>().join(",")))
            // Deno counts importing the function's own files as reading them.
            .arg(format!("--allow-read={}", folder.display()))
            .arg("supabase/local/serve.ts")
            .arg(port.to_string())
            .arg(folder.join("index.ts"));
        services.push(Service::start(home, &format!("deno-{name}"), command)?);
    }
    for ((name, port), service) in ports.iter().zip(&services) {
        let health = format!("http://127.0.0.1:{port}/{name}/health");
        service.until_ready(Duration::from_secs(20), probe::until_ok(&health)).await?;
    }
    Ok(services)
}
