//! The processes of this machine.

use std::{fs, process::Command};

/// Whether there is such a process.
pub fn runs(pid: u32) -> bool {
    identity(pid).is_some()
}

/// Everything a process has started, and what that has started.
pub fn descendants(of: u32) -> Vec<u32> {
    let parents = parents();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, above)| *above == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    if cfg!(target_os = "linux") {
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        return pids.filter_map(|pid: u32| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect();
    }
    let said = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().ok();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let pair = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// What Linux says of a process, from its state on: the name before it, in brackets, may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// When a process began: with its number, that is one process and no later one that got the number again.
pub fn identity(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        // The state is the first field, the start time the 20th.
        let fields = stat(pid)?;
        let running = fields.first().is_some_and(|state| state != "Z");
        return running.then(|| Some(format!("{} {}", boot.trim(), fields.get(19)?)))?;
    }
    let said = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let began = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    (!began.is_empty()).then_some(began)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::{descendants, runs};

    #[test]
    fn what_a_process_started_is_found_however_deep_and_nothing_else() -> std::io::Result<()> {
        let mut shell = Command::new("sh").args(["-c", "sh -c 'sleep 60; true'; true"]).process_group(0).spawn()?;
        let found = loop {
            let found = descendants(shell.id());
            if found.len() == 2 {
                break found;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        assert!(found.iter().all(|pid| runs(*pid)) && !found.contains(&shell.id()));
        assert!(!found.contains(&std::process::id()));
        for pid in found.iter().chain([&shell.id()]) {
            Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
        }
        shell.wait()?;
        assert!(!runs(shell.id()));
        Ok(())
    }
}
