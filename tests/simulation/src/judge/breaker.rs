//! The circuit breaker as `docs/architecture.md` and the contract draw it, followed from outside: by what an isolate sends
//! and what it is answered.
//!
//! It goes by the true time, the isolate by its clock. Where that has jumped, the two may differ, and either is right: but
//! no clock keeps it open for longer than five seconds. After a trap it is always in doubt.

/// Failures one after another that open it.
const FAILURES: u32 = 5;
/// How long it stays open after the last of them, in milliseconds.
const OPEN_MS: i64 = 5000;

/// Whether a request may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lets {
    Through,
    Nobody,
    /// Nobody can tell.
    Either,
}

/// One breaker.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    failures: u32,
    /// When the last failure came, or the last probe left.
    since_ms: u64,
    /// By how much the isolate's clock has jumped since then.
    shift_ms: i64,
    is_in_doubt: bool,
}

impl Mirror {
    pub(crate) fn lets(&self, now_ms: u64) -> Lets {
        let passed_ms = i64::try_from(now_ms - self.since_ms).unwrap_or(i64::MAX);
        let is_open = |passed_ms: i64| (0..OPEN_MS).contains(&passed_ms);
        match (is_open(passed_ms), is_open(passed_ms.saturating_add(self.shift_ms))) {
            _ if self.is_in_doubt => Lets::Either,
            _ if self.failures < FAILURES => Lets::Through,
            (true, true) => Lets::Nobody,
            (false, false) => Lets::Through,
            _ => Lets::Either,
        }
    }

    /// A request leaves.
    pub(crate) fn leaves(&mut self, now_ms: u64) {
        if self.failures >= FAILURES {
            (self.since_ms, self.shift_ms) = (now_ms, 0);
        }
    }

    /// The isolate learns that the database answered.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The isolate learns that it cannot be reached.
    pub(crate) fn failed(&mut self, now_ms: u64) {
        self.failures += 1;
        (self.since_ms, self.shift_ms) = (now_ms, 0);
    }

    /// The isolate's clock jumps.
    pub(crate) fn clock_jumped(&mut self, by_ms: i64) {
        self.shift_ms += by_ms;
    }

    /// A request of its isolate trapped, perhaps before the breaker heard what it had learnt.
    pub(crate) fn trapped(&mut self) {
        self.is_in_doubt = true;
    }

    /// What the log calls its state; `None` where that is in doubt.
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
        mirror.clock_jumped(-3_600_000);
        assert_eq!((mirror.lets(7000), mirror.lets(11_000)), (Lets::Either, Lets::Through));
        mirror.succeeded();
        assert_eq!(mirror.state(7000), Some("closed"));
    }
}
