//! What happened last, in words: written only when a world is run again because it failed.

use std::cell::RefCell;
use std::collections::VecDeque;

/// How many lines are kept.
const LINES: usize = 80;

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<RefCell<VecDeque<String>>>);

impl Trace {
    /// Keeps lines, if it is to.
    pub(crate) fn new(is_on: bool) -> Self {
        Self(is_on.then(RefCell::default))
    }

    /// Keeps a line, at so many milliseconds after the beginning.
    pub(crate) fn note(&self, ms: u64, line: impl FnOnce() -> String) {
        if let Self(Some(lines)) = self {
            let mut lines = lines.borrow_mut();
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(format!("{:>6}.{:03} s  {}", ms / 1000, ms % 1000, line()));
        }
    }

    /// Takes the lines out.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.as_ref().map(|lines| lines.take().into()).unwrap_or_default()
    }
}
