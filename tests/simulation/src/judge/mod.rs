//! What must hold, checked at every step: what leaves for the database, when the breaker lets it, and what callers get.

pub(crate) mod answer;
pub(crate) mod breaker;
pub(crate) mod exchange;

/// How a rule was broken, if it was.
pub(crate) type Verdict = Result<(), String>;

/// Returns an error unless a rule holds.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use ensure;
