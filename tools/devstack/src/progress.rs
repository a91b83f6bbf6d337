//! What a person at the terminal reads: results on stdout, progress on stderr with the time since the start.

use std::fmt::Display;
use std::io::{Write as _, stderr, stdout};
use std::time::{Duration, Instant};

/// Prints a line on stdout. Where nobody reads it any more (`cargo xtask doctor | head -1`), it is dropped.
pub fn print(line: impl Display) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a line on stderr. Where nobody reads it any more, it is dropped.
pub fn warn(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

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
        warn(format_args!("[{:>6.1} s] {}", self.elapsed().as_secs_f64(), line.as_ref()));
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}
