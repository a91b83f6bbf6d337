//! The circuit breaker: when the database keeps failing, callers hear so at once instead of waiting each for it.

use std::cell::Cell;

/// Failures one after another that open it.
const FAILURES: u32 = 5;
/// How long it then stays open, in milliseconds.
const OPEN_MS: u64 = 5000;

/// A circuit breaker, one for each isolate. Closed, it lets every request through. After five failures in a row it is
/// open and lets none through for five seconds; then it is half-open and lets one through, whose outcome decides.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: Cell<u32>,
    /// When the next request may pass, in milliseconds since 1970; while it is closed, long ago.
    open_until_ms: Cell<u64>,
}

impl Breaker {
    /// Whether a request may pass now, or in how many milliseconds to come back. Who passes says how it went.
    pub fn admit(&self, now_ms: u64) -> Result<(), u64> {
        if self.failures.get() < FAILURES {
            return Ok(());
        }
        let wait = self.wait(now_ms);
        if wait > 0 {
            return Err(wait);
        }
        // One may try. Should it never be heard of again (a caller who goes away takes the request along), the next
        // one may, as long after.
        self.open_until_ms.set(now_ms + OPEN_MS);
        Ok(())
    }

    /// An upstream request went well: the database is there.
    pub fn succeeded(&self) {
        self.failures.set(0);
    }

    /// An upstream request failed in a way that says nothing of the request.
    pub fn failed(&self, now_ms: u64) {
        self.failures.set(self.failures.get().saturating_add(1));
        self.open_until_ms.set(now_ms + OPEN_MS);
    }

    /// For how long it stays open, in milliseconds. For longer than it was opened for only a clock says that was set back.
    fn wait(&self, now_ms: u64) -> u64 {
        let wait = self.open_until_ms.get().saturating_sub(now_ms);
        if wait > OPEN_MS { 0 } else { wait }
    }

    /// `closed`, `open` or `half_open`.
    pub fn state(&self, now_ms: u64) -> &'static str {
        if self.failures.get() < FAILURES {
            "closed"
        } else if self.wait(now_ms) > 0 {
            "open"
        } else {
            "half_open"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, FAILURES, OPEN_MS};

    fn open_at(now: u64) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        assert_eq!(open_at(1000).admit(1001), Err(OPEN_MS - 1));
        let breaker = Breaker::default();
        for _ in 0..3 * FAILURES {
            breaker.failed(1000);
            breaker.succeeded();
        }
        assert_eq!((breaker.admit(1000), breaker.state(1000)), (Ok(()), "closed"));
    }

    #[test]
    fn half_open_lets_one_through_whose_outcome_decides() {
        let breaker = open_at(1000);
        let later = 1000 + OPEN_MS;
        assert_eq!((breaker.state(later - 1), breaker.state(later)), ("open", "half_open"));
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(breaker.admit(later).is_err(), "a second one waits for the first");
        breaker.failed(later + 10);
        assert_eq!(breaker.admit(later + 11), Err(OPEN_MS - 1), "and again, from then on");
        assert_eq!(breaker.admit(later + 10 + OPEN_MS), Ok(()));
        breaker.succeeded();
        assert_eq!((breaker.admit(0), breaker.state(0)), (Ok(()), "closed"));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_open() {
        let breaker = open_at(3_600_000);
        assert_eq!((breaker.state(1000), breaker.admit(1000)), ("half_open", Ok(())));
        assert_eq!(breaker.admit(1001), Err(OPEN_MS - 1), "and one request at a time");
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_does_not_keep_it_open() {
        let breaker = open_at(1000);
        assert_eq!(breaker.admit(1000 + OPEN_MS), Ok(()));
        assert!(breaker.admit(1001 + OPEN_MS).is_err());
        assert_eq!(breaker.admit(1000 + 2 * OPEN_MS), Ok(()));
    }
}
