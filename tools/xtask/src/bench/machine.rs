//! Where and when figures were taken, and of what.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use super::scene::Scene;
use devstack::{
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
    Ok(format!(
        "{date}, {} cores of {} ({} {}). {}, Rust {rustc}. {rounds} rounds: \
         rates and ratios are the median of the rounds, with the lowest and the highest in brackets; p50 and p99 are of \
         all requests.",
        cores(),
        processor(checkout).await,
        std::env::consts::OS,
        std::env::consts::ARCH,
        versions.join(", "),
    ))
}

/// How many things the machine does at once.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// The processor time this program has used so far; only Linux tells so simply.
pub fn own_processor_time() -> Option<Duration> {
    processor_time(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The processor time another process has used so far, all its threads together.
pub fn processor_time_of(pid: u32) -> Option<Duration> {
    processor_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// How much memory a process has resident now, and how much it had at most, in bytes.
pub fn memory_of(pid: u32) -> Result<Memory> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).context(|| format!("{file} cannot be read"))?;
    memory(&status).ok_or_else(|| Error::new(format!("{file} tells of no memory")))
}

/// The resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// At most, since it began.
    pub peak: u64,
}

fn memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Some(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// `utime` and `stime`, in hundredths of a second. The program's name, in parentheses, may hold anything.
fn processor_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((next()? + next()?) * 10))
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
    use std::time::Duration;

    use super::{Memory, memory, model_name, processor_time};

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tworkerd\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        assert_eq!(memory(status), Some(Memory { now: 1024 * 1024, peak: 2048 * 1024 }));
        assert_eq!(memory("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn processor_time_is_read_past_any_name() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(1500)));
        assert_eq!(processor_time("7 (a) S 1"), None);
    }

    #[test]
    fn a_processor_has_a_name_on_linux() {
        assert_eq!(model_name("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nmodel name\t: x\n"), Some("AMD EPYC 7B13"));
        assert_eq!(model_name("processor\t: 0\n"), None);
    }
}
