//! One fetch at a time, for everybody who needs what it brings.

use std::cell::Cell;

use crate::host::Host;

/// How long others wait for a fetch at most, in milliseconds: whoever is fetching may have gone away meanwhile.
pub(super) const PATIENCE_MS: u64 = 2000;
/// How often they look whether it has ended, in milliseconds. On Workers a request may not wait for another's promise.
const WAIT_MS: u32 = 20;

/// Whether somebody is fetching.
#[derive(Debug, Default)]
pub(super) struct SingleFlight {
    /// Somebody is, and is waited for until then, in milliseconds since 1970.
    until_ms: Cell<u64>,
    /// How many fetches have ended.
    ended: Cell<u32>,
}

impl SingleFlight {
    /// Whether somebody is fetching, and has not been at it for too long. For longer than they are waited for only a clock
    /// says that was set back.
    pub(super) fn is_taken(&self, now_ms: u64) -> bool {
        (1..=PATIENCE_MS).contains(&self.until_ms.get().saturating_sub(now_ms))
    }

    /// Waits for a fetch that is under way, as long as `needs` (called with the time) returns true. Returns whether a fetch
    /// ended meanwhile.
    pub(super) async fn join(&self, host: &dyn Host, needs: impl Fn(u64) -> bool) -> bool {
        let before = self.ended.get();
        loop {
            let now = host.now_ms();
            let has_ended = self.ended.get() != before;
            if has_ended || !self.is_taken(now) || !needs(now) {
                return has_ended;
            }
            host.sleep(WAIT_MS).await;
        }
    }

    /// Fetches. Those who wait in [`Self::join`] go on when it has ended.
    pub(super) async fn lead<T>(&self, host: &dyn Host, fetch: impl Future<Output = T>) -> T {
        let until_ms = host.now_ms() + PATIENCE_MS;
        self.until_ms.set(until_ms);
        let fetched = fetch.await;
        // Unless another has begun since, because this took too long.
        if self.until_ms.get() == until_ms {
            self.until_ms.set(0);
        }
        self.ended.set(self.ended.get().wrapping_add(1));
        fetched
    }

    /// All that is left of somebody whose caller went away.
    #[cfg(test)]
    pub(super) fn abandon(&self, now_ms: u64) {
        self.until_ms.set(now_ms + PATIENCE_MS);
    }
}
