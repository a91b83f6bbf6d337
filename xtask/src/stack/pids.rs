//! What a stack started, written down, so that the next one can stop what a killed one left behind.

use std::{fs, io::Write as _, path::Path, process::Command, time::Duration};

use rustix::process::Signal;

use super::process_group::ProcessGroup;

/// Notes a process.
pub fn note(file: &Path, pid: u32, name: &str) {
    // Only a help for the next start: a process that cannot be noted still runs.
    if let (Some(identity), Ok(mut list)) = (identity(pid), fs::OpenOptions::new().create(true).append(true).open(file))
    {
        let _ = writeln!(list, "{pid}\t{identity}\t{name}");
    }
}

/// Stops every process on the list that is still the one that was noted, and empties the list.
pub async fn stop_leftovers(file: &Path) {
    let list = fs::read_to_string(file).unwrap_or_default();
    for line in list.lines().rev() {
        let mut fields = line.splitn(3, '\t');
        let (Some(pid), Some(noted), Some(name)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let Ok(pid) = pid.parse() else { continue };
        if identity(pid).as_deref() != Some(noted) {
            continue;
        }
        eprintln!("stopping {name} (process {pid}), left behind by an earlier run");
        let group = ProcessGroup::of(Some(pid));
        // PostgreSQL takes SIGINT for "fast": disconnect everybody, then stop cleanly. The others simply stop.
        group.signal_leader(Signal::INT);
        for _ in 0..100 {
            if identity(pid).as_deref() != Some(noted) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(group); // and with it whatever did not listen
    }
    let _ = fs::remove_file(file);
}

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
fn identity(pid: u32) -> Option<String> {
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
    use std::{fs, os::unix::process::CommandExt as _, process::Command};

    use super::{descendants, identity, note, runs, stop_leftovers};

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
        let group = super::ProcessGroup::of(Some(shell.id()));
        assert!(found.iter().all(|pid| runs(*pid)) && !found.contains(&shell.id()));
        assert!(!found.contains(&std::process::id()));
        drop(group);
        shell.wait()?;
        assert!(!runs(shell.id()));
        Ok(())
    }

    #[tokio::test]
    async fn only_the_process_that_was_noted_is_stopped() -> std::io::Result<()> {
        let file = std::env::temp_dir().join(format!("selvedge-pids-{}", uuid::Uuid::new_v4()));
        let mut ours = Command::new("sleep").arg("60").process_group(0).spawn()?;
        let mut other = Command::new("sleep").arg("60").process_group(0).spawn()?;
        note(&file, ours.id(), "ours");
        // A number that has been given to another process since.
        let list = format!("{}{}\tlong ago\tother\n", fs::read_to_string(&file)?, other.id());
        fs::write(&file, list)?;
        stop_leftovers(&file).await;
        assert!(identity(ours.id()).is_none());
        assert!(identity(other.id()).is_some());
        assert!(!file.exists());
        other.kill()?;
        ours.wait().and(other.wait()).map(|_| ())
    }
}
