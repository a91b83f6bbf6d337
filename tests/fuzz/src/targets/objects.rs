//! JSON objects: as a body, whose members are read, and as a value to be stored, whose text must fit `jsonb`.

use serde_json::Value as Json;
use serde_json::value::RawValue;
use shared::host::BodyError;
use shared::request::{Field, JsonObject, RequestBody, Storable, Value};

use super::Verdict;
use super::reference::{Members, Pairs};
use crate::input::expand;

/// The limit of the object that is fed, in bytes.
const MAX_BYTES: usize = 1024;
/// How deep this second reading looks: each level is parsed anew.
const MAX_DEPTH: usize = 30;
/// How many members are compared one by one.
const MAX_MEMBERS: usize = 100;

/// Feeds one text.
pub(crate) fn run(input: &str) -> Verdict {
    let bytes = expand(input);
    body(&bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // No text makes it panic.
    let found = Storable::of(&text);
    let Ok(value) = serde_json::from_str::<&RawValue>(&text) else { return Ok(()) };
    let json = value.get();
    ensure!(Storable::of(json) == found, "white space makes a difference: {found:?}");

    let mut expected = Found { is_storable: true, ..Found::default() };
    look(json, 0, &mut expected);
    let depth = found.depth.min(MAX_DEPTH);
    ensure!(depth == expected.depth, "the depth is wrong: {} {}", found.depth, expected.depth);
    // Below that depth nothing was looked at.
    if depth < MAX_DEPTH {
        ensure!(found.is_storable == expected.is_storable, "storable or not is wrong: {}", found.is_storable);
        ensure!(found.expansion == expected.expansion, "the expansion is wrong: {}", found.expansion);
        ensure!(expected.growth <= found.expansion, "it grows further than expected: {}", expected.growth);
    }

    let is_taken = json.starts_with('{')
        && json.len() <= MAX_BYTES
        && found.depth <= 16
        && found.expansion <= MAX_BYTES / 2
        && found.is_storable;
    let object = JsonObject::<MAX_BYTES>::parse(Value::Json(json));
    ensure!(object.is_ok() == is_taken, "an object is judged wrong: {:?}", object.err());
    if let Ok(object) = &object {
        let written = serde_json::to_string(object).unwrap_or_default();
        ensure!(written == json, "an object is changed: {written}");
    }
    Ok(())
}

/// Holds the reading of a body to what `serde_json` reads.
fn body(bytes: &[u8]) -> Verdict {
    let body = RequestBody::new(Ok(bytes.to_vec()));
    let read = body.members();
    let Ok(text) = std::str::from_utf8(bytes) else {
        ensure!(read.is_err_and(|problem| problem.code.name == "invalid_json"), "bytes are read as JSON: {bytes:?}");
        return Ok(());
    };
    let theirs = Members::of(text);
    match (read, &theirs) {
        (Ok(ours), Some(theirs)) => {
            let all = theirs.0.iter().map(|(name, value)| (name.as_str(), value.get()));
            ensure!(ours.iter().copied().eq(all), "members differ: {ours:?}");
            for (name, _) in theirs.0.iter().take(MAX_MEMBERS) {
                let is_there = theirs.0.iter().any(|(other, value)| other == name && value.get() != "null");
                ensure!(body.has(name) == Some(is_there), "a member is overlooked: {name}");
            }
            let ours =
                shared::members::Members::parse(text).map_err(|error| format!("an object is refused: {error}"))?;
            ensure!(ours.has_duplicates() == theirs.repeats(), "a repeated name is overlooked: {text}");
            for (name, value) in theirs.0.iter().rev().take(MAX_MEMBERS) {
                let first = theirs.get(name).unwrap_or_default();
                ensure!(ours.get(name).is_some_and(|ours| ours.get() == first), "a member differs: {name} {value}");
                ensure!(ours.string(name) == theirs.string(name), "a string is read wrong: {name} {value}");
            }
        }
        (Ok(_), None) => return Err(format!("what is no object is read as one: {text}")),
        (Err(problem), Some(_)) => return Err(format!("an object is refused: {}", problem.detail)),
        (Err(problem), None) => {
            let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
            let code = if is_json { "validation_failed" } else { "invalid_json" };
            ensure!(problem.code.name == code, "a mistake has the wrong name: {} {text}", problem.code.name);
            let place: Vec<usize> =
                problem.detail.split([' ', ',', '.']).filter_map(|word| word.parse().ok()).collect();
            let lines = text.split('\n').count();
            let is_within = matches!(*place, [line, column] if (1..=lines).contains(&line) && (1..=text.len() + 1).contains(&column));
            ensure!(is_json || is_within, "a position beyond the text: {}", problem.detail);
            ensure!(body.has("a").is_none(), "a member of no object: {text}");
        }
    }
    let lost = RequestBody::new(Err(BodyError::TooLarge));
    ensure!(lost.members().is_err_and(|problem| problem.code.status == 413), "a body that is too large is read");
    Ok(())
}

/// What `jsonb` would make of a value, found out token by token.
#[derive(Debug, Default)]
struct Found {
    depth: usize,
    is_storable: bool,
    /// The sum of the exponents.
    expansion: usize,
    /// By how many bytes the numbers grow when they are written without exponents.
    growth: usize,
}

/// Looks a value over, all the way down.
fn look(json: &str, depth: usize, found: &mut Found) {
    if depth == MAX_DEPTH {
        return;
    }
    match json.bytes().next() {
        Some(b'{') => {
            found.depth = found.depth.max(depth + 1);
            if let Ok(Pairs(members)) = serde_json::from_str::<Pairs<&RawValue, &RawValue>>(json) {
                for (name, value) in members {
                    string(name.get(), found);
                    look(value.get(), depth + 1, found);
                }
            }
        }
        Some(b'[') => {
            found.depth = found.depth.max(depth + 1);
            for value in serde_json::from_str::<Vec<&RawValue>>(json).unwrap_or_default() {
                look(value.get(), depth + 1, found);
            }
        }
        Some(b'"') => string(json, found),
        Some(b't' | b'f' | b'n') => {}
        _ => number(json, found),
    }
}

fn string(json: &str, found: &mut Found) {
    found.is_storable &= serde_json::from_str::<String>(json).is_ok_and(|text| !text.contains('\0'));
}

/// A number is storable if neither its exponent nor that of its first digit is beyond those of a double.
fn number(json: &str, found: &mut Found) {
    let lower = json.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i128 = exponent.parse().unwrap_or(i128::from(u64::MAX));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let (whole, fraction) = (whole.len() as i128, fraction.len() as i128);
    let is_storable = exponent.abs() + whole - 1 <= 308;
    found.is_storable &= is_storable;
    let size = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
    found.expansion = found.expansion.saturating_add(size);
    if is_storable {
        // As PostgreSQL prints a `numeric`: all digits before the point, and as many behind it as were written.
        let decimals = (fraction - exponent).max(0);
        let printed = (whole + exponent).max(1) + if decimals > 0 { 1 + decimals } else { 0 };
        let written = json.len() - usize::from(mantissa.starts_with('-'));
        found.growth += usize::try_from(printed).unwrap_or(0).saturating_sub(written);
        // serde_json refuses what is beyond a double. Only numbers near the largest one may be storable all the same.
        let is_largest = exponent + whole - 1 == 308;
        found.is_storable &= is_largest || serde_json::from_str::<Json>(json).is_ok();
    }
}
