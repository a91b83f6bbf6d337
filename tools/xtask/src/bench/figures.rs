//! Numbers made of numbers: medians, percentiles, ratios.

use std::time::Duration;

/// A figure of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of one figure a round.
    pub fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let ends = (sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN));
        let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
        let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
        Self { median: f64::midpoint(lower, upper), low: ends.0, high: ends.1 }
    }

    /// Of one side against the other, round by round: what a round's neighbours on the machine did to one turn, they
    /// did to the next.
    pub fn of_ratios(these: &[f64], those: &[f64]) -> Self {
        let ratios: Vec<f64> = these.iter().zip(those).map(|(this, that)| this / that).collect();
        Self::of(&ratios)
    }

    /// As a ratio, with its ends.
    pub fn times(&self) -> String {
        format!("{} × ({} to {})", short(self.median), short(self.low), short(self.high))
    }
}

/// A ratio in as many digits as mean something.
pub fn short(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

/// The time that a part of all stayed below (0.5: the median), by nearest rank: one that was really measured.
pub fn percentile(times: &[Duration], part: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52")]
    let rank = (part * sorted.len() as f64).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is between 0 and their number")]
    let rank = rank as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// In milliseconds.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// A time as short as a request's processor time may be.
pub fn seconds(time: f64) -> String {
    if time < 0.001 { format!("{:.0} µs", time * 1e6) } else { format!("{:.2} ms", time * 1e3) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Spread, milliseconds, percentile, seconds, short};

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(Spread::of(&[3.0, 1.0, 8.0]), Spread { median: 3.0, low: 1.0, high: 8.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let spread = Spread::of_ratios(&[10.0, 30.0, 80.0], &[1.0, 2.0, 4.0]);
        assert_eq!(spread, Spread { median: 15.0, low: 10.0, high: 20.0 });
        assert_eq!(spread.times(), "15 × (10 to 20)");
        assert_eq!(short(0.7449), "0.74");
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&times, 1.0), Duration::from_millis(100));
        assert_eq!(percentile(&times[..1], 0.01), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        assert_eq!(milliseconds(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!((seconds(0.000_172), seconds(0.009_3)), ("172 µs".into(), "9.30 ms".into()));
    }
}
