//! Times as RFC 3339 writes them, and as PostgreSQL takes them.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::value::{Field, Value};
use crate::answer::Fault;

const NOT_A_DATE_TIME: Fault =
    Fault::new("invalid_date_time", "must be an RFC 3339 time such as 2026-11-21T09:30:00.250Z");

/// Most decimals of a second.
const MOST_DECIMALS: usize = 9;
/// Offsets are less than so many hours: more than any place on Earth has, and more PostgreSQL does not take.
const OFFSET_HOURS: i8 = 16;

/// A time with its offset from UTC (RFC 3339 section 5.6), in the years 1 to 9999, as its sender wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateTime(String);

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Field for DateTime {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        let text = value.string()?;
        if is_date_time(&text) { Ok(Self(text)) } else { Err(NOT_A_DATE_TIME) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "format": "date-time" })
    }
}

fn is_date_time(text: &str) -> bool {
    // `time` knows leap seconds only at the end of a month; PostgreSQL takes `:60` in any minute.
    let of_59 = text
        .get(16..19)
        .filter(|seconds| *seconds == ":60")
        .map(|_| format!("{}:59{}", text.get(..16).unwrap_or_default(), text.get(19..).unwrap_or_default()));
    let is_separated = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'));
    let decimals = text.split_once('.').map_or(1, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    let Ok(parsed) = OffsetDateTime::parse(of_59.as_deref().unwrap_or(text), &Rfc3339) else { return false };
    is_separated
        && (1..=MOST_DECIMALS).contains(&decimals)
        && parsed.offset().whole_hours().abs() < OFFSET_HOURS
        && !text.starts_with("0000")
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
