//! What a stack started, written down, so that the next one can stop what a killed one left behind.

use std::{fs, io::Write as _, path::Path, time::Duration};

use rustix::process::Signal;
use tokio::time::timeout;

use super::{process_group::ProcessGroup, process_table::identity};
use crate::{progress::warn, wait};

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
        warn(format_args!("stopping {name} (process {pid}), left behind by an earlier run"));
        let group = ProcessGroup::of(Some(pid));
        // PostgreSQL takes SIGINT for "fast": disconnect everybody, then stop cleanly. The others simply stop.
        group.signal_leader(Signal::INT);
        let gone = wait::until(Duration::from_millis(50), || async { identity(pid).as_deref() != Some(noted) });
        let _ = timeout(Duration::from_secs(5), gone).await;
        drop(group); // and with it whatever did not listen
    }
    let _ = fs::remove_file(file);
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::CommandExt as _, process::Command};

    use super::{identity, note, stop_leftovers};

    #[tokio::test]
    async fn only_the_process_that_was_noted_is_stopped() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pids");
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
