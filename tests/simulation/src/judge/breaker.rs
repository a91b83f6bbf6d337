//! The circuit breaker as `docs/architecture.md` and the contract draw it, followed from outside: by what an isolate sends
//! and what it is answered.
//!
//! It goes by the true time. The isolate goes by its clock, so for as long as the breaker may be open after that clock has
//! jumped, either is right.

/// Failures one after another that open it.
const FAILURES: u32 = 5;
/// How long it stays open after the last of them, in milliseconds.
const OPEN_MS: u64 = 5000;

/// Whether a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lets {
    Through,
    Nobody,
    /// The clock has jumped.
    Either,
}

/// One breaker.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    failures: u32,
    /// When the last failure came, or the last probe left.
    since_ms: u64,
    doubtful_until_ms: u64,
}

impl Mirror {
    pub(crate) fn lets(&self, now_ms: u64) -> Lets {
        if self.failures < FAILURES {
            Lets::Through
        } else if now_ms < self.doubtful_until_ms {
            Lets::Either
        } else if now_ms < self.since_ms + OPEN_MS {
            Lets::Nobody
        } else {
            Lets::Through
        }
    }

    /// A request leaves.
    pub(crate) fn leaves(&mut self, now_ms: u64) {
        if self.failures >= FAILURES {
            self.since_ms = now_ms;
        }
    }

    /// The isolate learns that the database answered.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The isolate learns that it cannot be reached.
    pub(crate) fn failed(&mut self, now_ms: u64) {
        self.failures += 1;
        self.since_ms = now_ms;
    }

    /// The isolate's clock jumps.
    pub(crate) fn clock_jumped(&mut self, now_ms: u64) {
        self.doubtful_until_ms = now_ms + OPEN_MS;
    }

    /// What the log calls its state; `None` after the clock has jumped.
    pub(crate) fn state(&self, now_ms: u64) -> Option<&'static str> {
        match self.lets(now_ms) {
            Lets::Through if self.failures < FAILURES => Some("closed"),
            Lets::Through => Some("half_open"),
            Lets::Nobody => Some("open"),
            Lets::Either => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lets, Mirror};

    #[test]
    fn it_opens_at_the_fifth_failure_and_lets_one_probe_through_after_five_seconds() {
        let mut mirror = Mirror::default();
        for _ in 0..4 {
            mirror.failed(1000);
        }
        assert_eq!((mirror.lets(1000), mirror.state(1000)), (Lets::Through, Some("closed")));
        mirror.failed(1000);
        assert_eq!((mirror.lets(5999), mirror.state(5999)), (Lets::Nobody, Some("open")));
        assert_eq!((mirror.lets(6000), mirror.state(6000)), (Lets::Through, Some("half_open")));
        mirror.leaves(6000);
        assert_eq!((mirror.lets(6001), mirror.lets(11_000)), (Lets::Nobody, Lets::Through));
        mirror.clock_jumped(7000);
        assert_eq!((mirror.lets(7000), mirror.lets(12_000)), (Lets::Either, Lets::Through));
        mirror.succeeded();
        assert_eq!(mirror.state(7000), Some("closed"));
    }
}
