//! Tokens verified a moment ago: a busy caller costs one verification, not one per request.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};

/// A token is remembered until its `exp`, and never longer than this, in seconds.
const MAX_SECONDS: u64 = 5 * 60;
/// Most tokens remembered in an isolate: 256 × 48 bytes. One more forgets the oldest.
const CAPACITY: usize = 256;

/// The memory. It holds no token, only fingerprints: SipHash, twice, over a secret of this isolate's own and the
/// token. Without the secret nobody can look for another token with the same one.
#[derive(Debug)]
pub(crate) struct Memory {
    secret: [u8; 16],
    entries: RefCell<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    known: Vec<Entry>,
    /// Where the oldest is, once there are as many as there may be.
    oldest: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    fingerprint: [u64; 2],
    /// Seconds since 1970.
    until: u64,
    /// Whose it is, as the log has them.
    user: u64,
    /// When the key set was fetched with which it was verified. `None` for a key that does not age.
    epoch: Option<u64>,
}

impl Memory {
    /// Remembers nothing yet.
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self { secret, entries: RefCell::default() }
    }

    /// Whose token it is (as the log shows users), if it was verified with a key that does not age or with the key set that
    /// was fetched at `epoch`, and is still valid at `now`, in seconds since 1970. `None` for `epoch`: no set is fresh.
    pub(crate) fn get(&self, token: &str, epoch: Option<u64>, now: u64) -> Option<u64> {
        let fingerprint = self.fingerprint(token);
        let entries = self.entries.borrow();
        let is_trusted = |entry: &Entry| now < entry.until && (entry.epoch.is_none() || entry.epoch == epoch);
        let entry = entries.known.iter().find(|entry| entry.fingerprint == fingerprint && is_trusted(entry))?;
        Some(entry.user)
    }

    /// Remembers a token verified at `now` with a key of the set that was fetched at `epoch`. With the next set it is
    /// verified anew: its key may have been revoked. `None` for `epoch`: the key does not age.
    pub(crate) fn insert(&self, token: &str, epoch: Option<u64>, now: u64, expires: u64, user: u64) {
        let until = expires.min(now + MAX_SECONDS);
        let entry = Entry { fingerprint: self.fingerprint(token), until, user, epoch };
        let mut entries = self.entries.borrow_mut();
        if entries.known.len() < CAPACITY {
            entries.known.push(entry);
            return;
        }
        let oldest = entries.oldest;
        if let Some(place) = entries.known.get_mut(oldest) {
            *place = entry;
        }
        entries.oldest = (oldest + 1) % CAPACITY;
    }

    /// How many tokens it remembers.
    #[cfg(feature = "fake")]
    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().known.len()
    }

    fn fingerprint(&self, token: &str) -> [u64; 2] {
        let half = |number: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&self.secret);
            hasher.write_u8(number);
            hasher.write(token.as_bytes());
            hasher.finish()
        };
        [half(0), half(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, MAX_SECONDS, Memory};

    #[test]
    fn a_token_is_known_for_five_minutes_and_never_past_its_expiry() {
        let memory = Memory::new([7; 16]);
        memory.insert("long", Some(1), 1000, 9000, 7);
        memory.insert("short", Some(1), 1000, 1060, 7);
        assert!(memory.get("long", Some(1), 1000 + MAX_SECONDS - 1).is_some());
        assert!(memory.get("long", Some(1), 1000 + MAX_SECONDS).is_none());
        assert!(memory.get("short", Some(1), 1059).is_some());
        assert!(memory.get("short", Some(1), 1060).is_none());
        assert!(memory.get("other", Some(1), 1000).is_none());
    }

    #[test]
    fn another_key_set_forgets_every_token() {
        let memory = Memory::new([7; 16]);
        memory.insert("token", Some(1), 1000, 9000, 7);
        assert!(memory.get("token", Some(2), 1000).is_none());
    }

    #[test]
    fn a_token_whose_key_does_not_age_is_known_whatever_is_fetched() {
        let memory = Memory::new([7; 16]);
        memory.insert("token", None, 1000, 9000, 7);
        for epoch in [None, Some(1), Some(2)] {
            assert!(memory.get("token", epoch, 1000).is_some());
        }
        memory.insert("other", Some(1), 1000, 9000, 7);
        assert!(memory.get("other", None, 1000).is_none(), "the set with its key is no longer fresh");
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let memory = Memory::new([7; 16]);
        for number in 0..=CAPACITY {
            memory.insert(&number.to_string(), Some(1), 1000, 9000, 7);
        }
        assert_eq!(memory.entries.borrow().known.len(), CAPACITY);
        assert!(memory.get("0", Some(1), 1000).is_none());
        assert!(memory.get("1", Some(1), 1000).is_some() && memory.get(&CAPACITY.to_string(), Some(1), 1000).is_some());
    }

    #[test]
    fn fingerprints_depend_on_the_isolates_secret() {
        let prints = [[7; 16], [8; 16]].map(|secret| Memory::new(secret).fingerprint("token"));
        assert_ne!(prints[0], prints[1]);
        assert_ne!(prints[0][0], prints[0][1]);
    }
}
