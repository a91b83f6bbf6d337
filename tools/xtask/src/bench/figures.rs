//! Numbers made of numbers: medians, percentiles, ratios.

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

/// A time in the unit that suits it.
pub fn time(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} µs", seconds * 1e6),
        ..0.01 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} ms", seconds * 1e3),
    }
}

/// The median of several times.
pub fn median_time(seconds: &[f64]) -> String {
    time(Spread::of(seconds).median)
}

#[cfg(test)]
mod tests {
    use super::{Spread, short, time};

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
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(
            (time(0.000_172), time(0.009_3), time(0.031_44)),
            ("172 µs".into(), "9.30 ms".into(), "31.4 ms".into())
        );
    }
}
