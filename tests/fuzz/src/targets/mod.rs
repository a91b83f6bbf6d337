//! What is fed, each with the rules that what comes of it must keep: `docs/fuzzing.md`.

/// Returns an error unless a rule holds. Up to the first colon it names the rule.
macro_rules! ensure {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}

mod cursors;
mod objects;
mod reference;
mod request;
mod sent;
mod token;
mod upstream;
mod values;

use std::sync::LazyLock;

/// How an input breaks a rule, if it does.
type Verdict = Result<(), String>;

/// What runs on every input: the environment variable `FUZZ_TARGET` names its folder in `tests/fuzz/corpus`.
static TARGET: LazyLock<fn(&str) -> Verdict> =
    LazyLock::new(|| match std::env::var("FUZZ_TARGET").unwrap_or_default().as_str() {
        "token" => token::run,
        "upstream" => upstream::run,
        "cursors" => cursors::run,
        "objects" => objects::run,
        "uuid" => values::uuid,
        "date-time" => values::date_time,
        "numbers" => values::numbers,
        // A function's: requests say themselves which one they are for.
        _ => request::run,
    });

/// Runs the target on an input, and panics if the input breaks a rule. The line feed at a file's end is no part of it.
#[allow(clippy::panic, reason = "how libFuzzer learns of it")]
pub(crate) fn judge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(rule) = TARGET(text.strip_suffix('\n').unwrap_or(&text)) {
        panic!("{rule}");
    }
}
