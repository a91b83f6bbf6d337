//! Numbers.

use serde::{Serialize, Serializer};

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

/// A JSON number that counts something: 0 to 2 147 483 647, PostgreSQL's `integer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count(pub u32);

impl Field for Count {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        whole(value.json(), 0, INTEGER_MAX).map(Self)
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

/// A whole number from 1 to `MAX`, in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Within<const MAX: u32>(pub u32);

impl<const MAX: u32> Field for Within<MAX> {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        whole(&value.string()?, 1, MAX).map(Self)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": 1, "maximum": MAX })
    }
}

/// The finite number at least 0 that JSON writes.
fn at_least_zero(value: Value<'_>) -> Option<f64> {
    let json = value.json();
    let is_number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    // `-0` is 0 (and `+ 0.0` makes it so).
    json.parse()
        .ok()
        .filter(|number: &f64| is_number && number.is_finite() && *number >= 0.0)
        .map(|number| number + 0.0)
}

/// A JSON number from 0 to 1, however it is written.
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

/// A JSON number of at least 0 that measures something: PostgreSQL's `double precision`.
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
