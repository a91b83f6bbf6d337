//! Times as RFC 3339 writes them, and as PostgreSQL takes them.

use shared::form::Kind;
use shared::json::{digits, quoted};
use shared::problem::Rule;

static NOT_A_DATE_TIME: Rule =
    Rule { code: "invalid_date_time", detail: "must be an RFC 3339 time such as 2026-11-21T09:30:00.250Z" };

/// A time with its offset from UTC.
pub(crate) const KIND: Kind = Kind::Parsed(read, &NOT_A_DATE_TIME);

fn read(text: &str) -> Option<String> {
    is_date_time(text).then(|| quoted(text))
}

/// Whether a text is a `date-time` (RFC 3339 section 5.6) in the years 1 to 9999. Offsets are at most 15:59, more than
/// any place on Earth has, and more PostgreSQL does not take.
fn is_date_time(text: &str) -> bool {
    // Every part has its place: 2026-11-21T09:30:00
    let number = |from: usize, to: usize| text.get(from..to).and_then(digits);
    let is_there = |place: usize, bytes: &[u8]| text.as_bytes().get(place).is_some_and(|byte| bytes.contains(byte));
    let punctuated =
        is_there(4, b"-") && is_there(7, b"-") && is_there(10, b"Tt") && is_there(13, b":") && is_there(16, b":");
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (number(11, 13), number(14, 16), number(17, 19)) else {
        return false;
    };
    // A leap second may be 60.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    punctuated && is_time && (1..=days_of(year, month)).contains(&day) && is_rest(text.get(19..).unwrap_or_default())
}

/// The days of a month; none of what is no month, or in a year that is none.
fn days_of(year: u64, month: u64) -> u64 {
    match month {
        _ if year == 0 => 0,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Whether a text is a fraction of a second, or none, and an offset.
fn is_rest(text: &str) -> bool {
    const MOST_DECIMALS: usize = 9;
    let offset = match text.strip_prefix(".") {
        Some(fraction) => {
            let decimals = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=MOST_DECIMALS).contains(&decimals) {
                return false;
            }
            fraction.get(decimals..).unwrap_or_default()
        }
        None => text,
    };
    if matches!(offset, "Z" | "z") {
        return true;
    }
    let is_signed = matches!(offset.as_bytes(), [b'+' | b'-', _, _, b':', _, _]);
    let part = |from: usize, to: usize, end: u64| offset.get(from..to).and_then(digits).is_some_and(|part| part < end);
    is_signed && part(1, 3, 16) && part(4, 6, 60)
}

#[cfg(test)]
mod tests {
    use super::is_date_time;
    use proptest::prelude::{any, proptest};

    #[test]
    fn date_times_of_rfc_3339_are_taken() {
        for text in [
            "2026-11-21T09:30:00Z",
            "2026-11-21t09:30:00.5z",
            "2024-02-29T23:59:60.123456789+05:45",
            "2000-02-29T00:00:00-15:59",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert!(is_date_time(text), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            "now",
            "infinity",
            "2026-11-21",
            "2026-11-21T09:30Z",
            "2026-11-21T09:30:00",
            "2026-11-21 09:30:00Z",
            "2026-11-21T09:30:00.Z",
            "2026-11-21T09:30:00.1234567890Z",
            "2026-11-21T09:30:00+16:00",
            "2026-11-21T09:30:00+1:00",
            "2026-11-21T09:30:00+0100",
            "2026-11-21T24:00:00Z",
            "2026-11-21T09:60:00Z",
            "2026-11-21T09:30:61Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "-026-01-01T00:00:00Z",
            "2026-11-21T09:30:00Zx",
            "2026-11-21T09:30:00\u{e9}Z",
        ] {
            assert!(!is_date_time(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), time in "[0-9TZ:.+-]{0,30}") {
            let _ = (is_date_time(&text), is_date_time(&time));
        }
    }
}
