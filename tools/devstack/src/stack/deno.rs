//! Functions on Deno, in the version Supabase's edge runtime follows: a process and a port for each.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use super::{
    function_env::{self, Ground},
    probe,
    service::Service,
};
use crate::error::Result;

/// A function as Deno runs it.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// Its entry file. It may read what lies beside that file, and no more.
    pub entry: PathBuf,
}

/// What Deno needs to know wherever it runs: where to keep what it has compiled, below a folder, and that nobody wants
/// another version.
pub fn environment(folder: &Path) -> [(&'static str, OsString); 2] {
    [("DENO_DIR", folder.join("deno").into()), ("DENO_NO_UPDATE_CHECK", "1".into())]
}

/// Starts a Deno for every function of a checkout, and waits until each answers.
pub async fn start(ground: Ground<'_>, ports: &BTreeMap<String, u16>) -> Result<Vec<Service>> {
    let entry = |name: &str| ground.checkout.path("supabase/functions").join(name).join("index.ts");
    let programs: Vec<_> =
        ports.iter().map(|(name, port)| Program { name: name.clone(), port: *port, entry: entry(name) }).collect();
    serve(ground, &programs).await
}

/// The same for functions whose entry files are anywhere.
pub async fn serve(ground: Ground<'_>, programs: &[Program]) -> Result<Vec<Service>> {
    let Ground { home, checkout, toolbox, variables } = ground;
    let deno = toolbox.deno()?;
    let mut services = Vec::new();
    for Program { name, port, entry } in programs {
        let mut command = Command::new(&deno);
        command
            .current_dir(checkout.root())
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            // Not on the list below, so reading one fails.
            .envs(function_env::NOT_FOR_FUNCTIONS)
            .envs(environment(home.folder()))
            .args(["run", "--quiet", "--no-prompt", "--no-lock", "--cached-only", "--allow-net=127.0.0.1"])
            .arg(format!("--allow-env={}", function_env::names().collect::<Vec<_>>().join(",")))
            // Deno counts importing the function's own files as reading them.
            .arg(format!("--allow-read={}", entry.parent().unwrap_or(entry).display()))
            .arg("supabase/local/serve.ts")
            .arg(port.to_string())
            .arg(entry);
        services.push(Service::start(home, &format!("deno-{name}"), command)?);
    }
    for (Program { name, port, .. }, service) in programs.iter().zip(&services) {
        let health = format!("http://127.0.0.1:{port}/{name}/health");
        service.until_ready(Duration::from_secs(20), probe::until_ok(&health)).await?;
    }
    Ok(services)
}
