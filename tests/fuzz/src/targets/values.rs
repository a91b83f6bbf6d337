//! The forms of single values: UUIDs, times, numbers.

use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use shared::request::{Amount, DateTime, Field, Fraction, Id, Value};

use super::Verdict;
use super::reference::{is_uuid, number};
use crate::input::expand_text;

/// Feeds one text as a UUID.
pub(crate) fn uuid(input: &str) -> Verdict {
    let text = expand_text(input);
    let id = Id::parse(&text);
    ensure!(id.is_some() == is_uuid(&text), "a UUID is judged wrong: {text:?}");
    ensure!(id.is_none_or(|id| id.to_string() == text.to_lowercase()), "a UUID is changed: {text:?}");
    let written = id.map(|id| json!(id));
    ensure!(written.is_none_or(|written| written == text.to_lowercase()), "a UUID is written wrong: {text:?}");
    Ok(())
}

/// Feeds one text as a time.
pub(crate) fn date_time(input: &str) -> Verdict {
    let text = expand_text(input);
    let read = DateTime::parse(Value::Json(&Json::from(text.as_str()).to_string()));
    ensure!(read.is_ok() == is_date_time(&text), "a time is judged wrong: {} {text:?}", read.is_ok());
    let Ok(read) = read else { return Ok(()) };
    ensure!(json!(read) == text, "a time is changed: {text:?}");
    Ok(())
}

/// Whether a text has the form of RFC 3339 section 5.6, `jiff` knows the day and the time, and PostgreSQL the offset.
fn is_date_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00").or_else(|| shape.strip_prefix("0000-00-00t00:00:00"))
    else {
        return false;
    };
    let decimals = rest.strip_prefix('.').map_or(0, |rest| rest.len() - rest.trim_start_matches('0').len());
    let offset = rest.get(if rest.starts_with('.') { 1 + decimals } else { 0 }..).unwrap_or_default();
    let is_formed =
        (!rest.starts_with('.') || (1..=9).contains(&decimals)) && matches!(offset, "Z" | "z" | "+00:00" | "-00:00");
    let (local, offset) = text.split_at(text.len() - if is_formed { offset.len() } else { 0 });
    let in_bounds = offset.len() < 6
        || offset.get(1..3).is_some_and(|hours| hours < "16") && offset.get(4..).is_some_and(|minutes| minutes < "60");
    let is_known = local.to_uppercase().parse::<jiff::civil::DateTime>().is_ok();
    is_formed && in_bounds && is_known && !text.starts_with("0000")
}

/// Feeds one JSON value as a fraction and as an amount.
pub(crate) fn numbers(input: &str) -> Verdict {
    let text = expand_text(input);
    let Ok(value) = serde_json::from_str::<&RawValue>(&text) else { return Ok(()) };
    let text = value.get();
    let number = number(text).filter(|number| number.is_finite() && *number >= 0.0);
    let fraction = Fraction::parse(Value::Json(text)).ok();
    let amount = Amount::parse(Value::Json(text)).ok();
    for (name, read, expected) in [
        ("fraction", fraction.map(|Fraction(read)| read), number.filter(|number| *number <= 1.0)),
        ("amount", amount.map(|Amount(read)| read), number),
    ] {
        ensure!(read == expected, "a number is read wrong: {name} {text:?} {read:?} {expected:?}");
        // What is sent is the same number, and never `-0`.
        let sent = read.map(|read| json!(read).to_string());
        let back = sent.as_deref().map(str::parse::<f64>);
        ensure!(back == expected.map(Ok), "a number is written wrong: {name} {text:?} {sent:?}");
        ensure!(sent.is_none_or(|sent| !sent.starts_with('-')), "a number is written wrong: {name} {text:?}");
    }
    // In a query a number stands as in JSON.
    let in_query = Fraction::parse(Value::Text(text)).ok();
    ensure!(in_query == fraction, "a number is read in another way in a query: {text:?} {in_query:?} {fraction:?}");
    Ok(())
}
