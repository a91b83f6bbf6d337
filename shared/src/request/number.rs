//! Numbers. In a query they stand as they do in JSON.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::value::{Field, Value};
use crate::answer::Fault;

const NOT_A_FRACTION: Fault = Fault::new("out_of_range", "must be a number from 0 to 1");
const NOT_AN_AMOUNT: Fault = Fault::new("out_of_range", "must be a number of at least 0");

/// What PostgreSQL's `integer` holds at most.
const INTEGER_MAX: u32 = i32::MAX as u32;

/// The whole number that decimal digits, and nothing but digits, write, if it is within bounds.
fn whole(digits: &str, least: u32, most: u32) -> Result<u32, Fault> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| is_number && (least..=most).contains(number));
    number.ok_or_else(|| Fault::bounded("out_of_range", format!("must be a whole number from {least} to {most}")))
}

/// A number that counts something: 0 to 2 147 483 647, PostgreSQL's `integer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count(pub u32);

impl Field for Count {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        whole(value.number(), 0, INTEGER_MAX).map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": 0, "maximum": INTEGER_MAX })
    }
}

/// The version of a resource that the caller has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedVersion {
    /// The version.
    pub version: u32,
    /// Whether `If-Match` named it: then another one is 412 (RFC 9110 section 15.5.13), not 409.
    pub is_precondition: bool,
}

impl Serialize for ExpectedVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.version.serialize(serializer)
    }
}

impl Field for ExpectedVersion {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        Count::parse(value).map(|Count(version)| Self { version, is_precondition: false })
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        Count::schema()
    }
}

/// A whole number from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Within<const MAX: u32>(pub u32);

impl<const MAX: u32> Field for Within<MAX> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        whole(value.number(), 1, MAX).map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": 1, "maximum": MAX })
    }
}

/// The finite number at least 0 that JSON writes.
fn at_least_zero(value: Value<'_>) -> Option<f64> {
    let text = value.number();
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok_and(|json| json.get() == text);
    let is_number = is_json && text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    // `-0` is 0 (and `+ 0.0` makes it so).
    text.parse()
        .ok()
        .filter(|number: &f64| is_number && number.is_finite() && *number >= 0.0)
        .map(|number| number + 0.0)
}

/// A number from 0 to 1, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fraction(pub f64);

impl Field for Fraction {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        at_least_zero(value).filter(|number| *number <= 1.0).map(Self).ok_or(NOT_A_FRACTION)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// A number of at least 0 that measures something: PostgreSQL's `double precision`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Amount(pub f64);

impl Field for Amount {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        at_least_zero(value).map(Self).ok_or(NOT_AN_AMOUNT)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::{Amount, Count, ExpectedVersion, Fraction, Within};
    use crate::request::{Field, Value};

    /// Whether a type takes a text from a body and from a query; both take the same.
    fn takes<T: Field>(text: &str) -> bool {
        let [in_body, in_query] = [Value::Json(text), Value::Text(text)].map(|value| T::parse(value).is_ok());
        assert_eq!(in_body, in_query, "{text}");
        in_body
    }

    #[test]
    fn numbers_are_the_same_in_a_body_and_in_a_query() {
        for text in ["0", "7", "2147483647"] {
            assert!(takes::<Count>(text) && takes::<ExpectedVersion>(text), "{text}");
        }
        assert!(takes::<Within<9>>("1") && takes::<Within<9>>("9"));
        for text in ["0", "1", "0.5", "1e0", "1e-100", "-0"] {
            assert!(takes::<Fraction>(text) && takes::<Amount>(text), "{text}");
        }
        for text in ["", "-1", "1.5", "1e0", "+1", "2147483648", "one", "\"1\"", "null", "[1]"] {
            assert!(!takes::<Count>(text) && !takes::<ExpectedVersion>(text) && !takes::<Within<9>>(text), "{text}");
        }
        assert!(!takes::<Within<9>>("0") && !takes::<Within<9>>("10"));
        for text in ["", "-1", "1.5", "+1", "1e400", "inf", "NaN", "\"1\"", "true", "[1]", "{}"] {
            assert!(!takes::<Fraction>(text), "{text}");
        }
        assert!(takes::<Amount>("1.5") && !takes::<Amount>("1e400"));
    }

    #[test]
    fn what_json_does_not_write_is_no_number_in_a_query_either() {
        for text in [" 1", "1 ", "1.", ".5", "01", "0x1", "1_0", "infinity", "-inf"] {
            assert!(Amount::parse(Value::Text(text)).is_err(), "{text}");
        }
    }
}
