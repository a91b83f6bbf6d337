//! What may go wrong in a world. Every seed allows other things, so that rare combinations come up too.

use fastrand::Rng;

use crate::network::Fault;

/// What may go wrong.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// In exchanges.
    pub(crate) faults: Vec<Fault>,
    /// Of a thousand calls of the host so many trap.
    pub(crate) trap_permille: u32,
    /// Of a thousand timers so many are late.
    pub(crate) late_permille: u32,
    /// Whether importing a key and verifying a signature fail at times.
    pub(crate) host_fails: bool,
    /// Of a thousand callers so many go away.
    pub(crate) leave_permille: u32,
    /// How often a clock jumps, and a key is replaced.
    pub(crate) jumps: u32,
    pub(crate) rotations: u32,
    /// How far an isolate's clock may be off at first, in milliseconds.
    pub(crate) offset_ms: i64,
    /// How many requests come, and within how long.
    pub(crate) requests: u32,
    pub(crate) span_ms: u64,
}

impl Conditions {
    /// Those of a seed.
    pub(crate) fn new(random: &mut Rng) -> Self {
        let is_calm = random.u8(0..8) == 0;
        let some = |random: &mut Rng, most: u32| if is_calm || random.bool() { 0 } else { random.u32(1..=most) };
        let is_any = random.bool();
        let mut faults = Fault::ALL.to_vec();
        faults.retain(|_| !is_calm && (is_any || random.u8(0..3) == 0));
        Self {
            faults,
            trap_permille: if random.u8(0..3) == 0 { some(random, 4) } else { 0 },
            late_permille: some(random, 100),
            host_fails: !is_calm && random.u8(0..4) == 0,
            leave_permille: some(random, 200),
            jumps: if random.bool() { some(random, 6) } else { 0 },
            rotations: some(random, 4),
            offset_ms: if is_calm { 0 } else { random.choice([0, 0, 20_000, 90_000]).unwrap_or(0) },
            requests: random.choice([20, 60, 150, 400]).unwrap_or(60),
            span_ms: random.choice([1000, 20_000, 120_000, 7_200_000]).unwrap_or(20_000),
        }
    }

    /// Whether nothing goes wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.is_empty()
            && self.trap_permille + self.late_permille + self.leave_permille + self.jumps + self.rotations == 0
            && !self.host_fails
            && self.offset_ms == 0
    }
}
