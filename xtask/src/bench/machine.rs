//! Where and when figures were taken, and of what.

use std::{fs, thread};

use serde_json::Value;

use super::scene::Scene;
use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    host::Host,
    tools::command::Tool,
};

/// A line for the docs: date, machine, versions.
pub async fn told(checkout: &Checkout, scene: &Scene, hosts: &[Host], rounds: u32) -> Result<String> {
    let date = scene.asked("select to_char(now() at time zone 'utc', 'YYYY-MM-DD')").await?;
    let postgres = scene.asked("select current_setting('server_version')").await?;
    // It tells its version itself: POSTGREST_BIN may be any.
    let postgrest = scene.postgrest_version().await?;
    let mut versions = vec![format!("PostgreSQL {postgres}"), format!("PostgREST {postgrest}")];
    for host in hosts {
        versions.push(match host {
            Host::Workers => format!("workerd {}", npm_version(checkout, "workerd")?),
            Host::Supabase => format!("Deno {}", npm_version(checkout, "deno")?),
        });
    }
    let rustc = Tool::new("rustc", checkout.root()).arg("--version").succeed("Asking rustc for its version").await?;
    let rustc = rustc.stdout.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(format!(
        "{date}, {cores} cores of {} ({} {}). {}, Rust {rustc}. {rounds} rounds; a figure is their median, \
         and in brackets stand the lowest and the highest.",
        processor(checkout).await,
        std::env::consts::OS,
        std::env::consts::ARCH,
        versions.join(", "),
    ))
}

/// The processor as it calls itself.
async fn processor(checkout: &Checkout) -> String {
    let named = match fs::read_to_string("/proc/cpuinfo") {
        Ok(text) => model_name(&text).map(str::to_owned),
        Err(_) => {
            let sysctl = Tool::new("sysctl", checkout.root()).args(["-n", "machdep.cpu.brand_string"]).run().await;
            sysctl.ok().map(|said| said.stdout.trim().to_owned())
        }
    };
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "an unnamed processor".to_owned())
}

fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

fn npm_version(checkout: &Checkout, package: &str) -> Result<String> {
    let file = checkout.path("node_modules").join(package).join("package.json");
    let text = fs::read_to_string(&file).context(|| format!("{} cannot be read", file.display()))?;
    let json: Value = serde_json::from_str(&text).context(|| format!("{} is not JSON", file.display()))?;
    let version = json.get("version").and_then(Value::as_str);
    version.map(str::to_owned).ok_or_else(|| Error::new(format!("{} names no version", file.display())))
}

#[cfg(test)]
mod tests {
    use super::model_name;

    #[test]
    fn a_processor_has_a_name_on_linux() {
        assert_eq!(model_name("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nmodel name\t: x\n"), Some("AMD EPYC 7B13"));
        assert_eq!(model_name("processor\t: 0\n"), None);
    }
}
