//! A process and whatever it started, stopped together.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::process_table;
use crate::wait;

/// The group led by a process we started with `process_group(0)`. Dropped before [`Self::finished`], it is killed.
#[derive(Debug)]
pub struct ProcessGroup {
    leader: Option<Pid>,
}

impl ProcessGroup {
    /// The group of a child; none when the child has already gone.
    pub fn of(pid: Option<u32>) -> Self {
        Self { leader: pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) }
    }

    /// The leader's number.
    pub fn pid(&self) -> Option<u32> {
        self.leader.map(|pid| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Signals the leader alone, and leaves it to stop its own.
    pub fn signal_leader(&self, signal: Signal) {
        if let Some(pid) = self.leader {
            // Gone already is as good as stopped.
            let _ = kill_process(pid, signal);
        }
    }

    /// Signals all of it.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.leader {
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Kills the leader and all its descendants, and waits until they are gone. A group is not enough for PostgreSQL,
    /// whose processes lead groups of their own.
    pub async fn kill_tree(&self) {
        let Some(leader) = self.leader else { return };
        // Held still while it is looked at: PostgreSQL may be starting another process just now.
        self.signal_leader(Signal::STOP);
        let tree = process_table::descendants(leader.as_raw_nonzero().get().unsigned_abs());
        // The leader first: it is not to see its own die, and to tidy up after them.
        self.signal(Signal::KILL);
        for pid in tree.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        wait::until(Duration::from_millis(5), || async { !tree.iter().any(|pid| process_table::runs(*pid)) }).await;
    }

    /// The leader has ended by itself: nothing is left to stop.
    pub fn finished(mut self) {
        self.leader = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
