//! Progress lines with the time since the start, on stderr.

use std::time::{Duration, Instant};

/// Prints what is being done, and when.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    began: Instant,
}

impl Progress {
    /// Starts the clock.
    pub fn start() -> Self {
        Self { began: Instant::now() }
    }

    /// One line.
    pub fn say(&self, line: impl AsRef<str>) {
        eprintln!("[{:>6.1} s] {}", self.elapsed().as_secs_f64(), line.as_ref());
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
