//! What a request costs the PostgreSQL process that serves it, as Linux tells it.

use std::fs;

/// A backend, watched.
#[derive(Debug)]
pub struct Backend {
    pid: i32,
    /// Own memory, and all that is shared with others or with files.
    before: Memory,
}

#[derive(Debug, Clone, Copy)]
struct Memory {
    highest: u64,
    now: u64,
    shared: u64,
}

impl Backend {
    /// Begins to watch: its highest use is counted from now on. None where the system has no such numbers, or does not
    /// let us at them.
    pub fn watched(pid: i32) -> Option<Self> {
        // Resets VmHWM.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").ok()?;
        Some(Self { pid, before: memory(pid)? })
    }

    /// By how many bytes its own memory has grown at its highest. Pages of the shared buffers that it touched for the
    /// first time are not its own.
    pub fn grew(&self) -> u64 {
        let after = memory(self.pid).unwrap_or(self.before);
        let touched = after.shared.saturating_sub(self.before.shared);
        after.highest.saturating_sub(self.before.now).saturating_sub(touched)
    }
}

fn memory(pid: i32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Some(Memory { highest: of("VmHWM")?, now: of("VmRSS")?, shared: of("RssShmem")? + of("RssFile")? })
}
