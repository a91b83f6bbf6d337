//! Kinds: what the value of a field must be, and its JSON text where it is.

use crate::form::{Field, members, object_of, read};
use crate::id::Id;
use crate::json::{Object, Raw, digits, push_number, quoted};
use crate::problem::{Fault, FieldError, Rule};
use crate::text::{cut, trim};

static NOT_A_UUID: Rule =
    Rule { code: "invalid_uuid", detail: "must be a UUID such as 018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e" };
static NOT_A_STRING: Rule = Rule { code: "wrong_type", detail: "must be a string" };
pub(crate) static NOT_AN_OBJECT: Rule = Rule { code: "wrong_type", detail: "must be a JSON object" };
static INVALID_STRING: Rule = Rule { code: "invalid_string", detail: "holds half a surrogate pair" };
static BLANK: Rule = Rule { code: "blank", detail: "must not be blank" };
static NUL_CHARACTER: Rule = Rule { code: "nul_character", detail: "must not hold a NUL character" };
pub(crate) static TOO_LONG: Rule = Rule { code: "too_long", detail: "must be at most # characters long" };
static TOO_LARGE: Rule = Rule { code: "too_large", detail: "must be at most # bytes of JSON" };
static TOO_DEEP: Rule = Rule { code: "too_deep", detail: "must be at most # levels deep" };
static NOT_STORABLE: Rule =
    Rule { code: "not_storable", detail: "holds a NUL character, half a surrogate pair or a number out of range" };
static OUT_OF_RANGE: Rule = Rule { code: "out_of_range", detail: "must be a whole number from 1 to #" };
static NOT_A_COUNT: Rule = Rule { code: "out_of_range", detail: "must be a whole number from 0 to #" };
static NOT_A_FRACTION: Rule = Rule { code: "out_of_range", detail: "must be a number from 0 to 1" };
static NOT_AN_AMOUNT: Rule = Rule { code: "out_of_range", detail: "must be a number of at least 0" };
static NOT_A_NAME: Rule =
    Rule { code: "invalid_name", detail: "must be lower-case letters, digits, _ or -, at most 64, a letter first" };

/// Longest number that measures something, in digits and signs.
const LONGEST_NUMBER: usize = 32;

/// Deepest object that is stored, in levels of objects and arrays.
const MAX_DEPTH: usize = 16;

/// What a value must be.
#[derive(Debug)]
pub enum Kind {
    /// A UUID in its canonical text form (RFC 9562 section 4), any version.
    Id,
    /// A text of 1 to so many characters (Unicode scalar values), once the white space around it is taken off.
    Text(u32),
    /// The name of something that names are given to beforehand: lower-case letters, digits, `_` and `-`, at most 64, a
    /// letter first.
    Name,
    /// One of these words. The rule says which.
    Word(&'static [&'static str], &'static Rule),
    /// A string that a function of its own makes into the JSON text to send on, or refuses.
    Parsed(fn(&str) -> Option<String>, &'static Rule),
    /// A whole number from 1 to this, in a query.
    Within(u64),
    /// A JSON number that counts something: 0 to 2 147 483 647, PostgreSQL's `integer`.
    Count,
    /// A JSON number from 0 to 1.
    Fraction,
    /// A JSON number of at least 0 that measures something: PostgreSQL's `double precision`.
    Amount,
    /// A JSON object to be stored as `jsonb`, of at most so many bytes as written and 16 levels.
    Object(u32),
    /// A JSON object with these fields.
    Fields(&'static [Field]),
}

/// The value of a field, not yet known to be of any kind.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A member of a body.
    Json(Raw<'a>),
    /// A query parameter, a header, or a part of the path.
    Text(String),
}

impl Value<'_> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Json(raw) if raw.is_null())
    }

    fn string(&self) -> Result<String, Fault> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Json(raw) => raw.string().ok_or_else(|| {
                let rule = if raw.text().starts_with("\"") { &INVALID_STRING } else { &NOT_A_STRING };
                rule.broken()
            }),
        }
    }

    /// The JSON text; of what is none, an empty one.
    fn json(&self) -> &str {
        match self {
            Self::Json(raw) => raw.text(),
            Self::Text(_) => "",
        }
    }
}

impl Kind {
    /// The JSON text of a value that is of this kind. Faults within it go to `errors`.
    pub(crate) fn read(
        &self,
        value: &Value,
        at: &str,
        name: &str,
        errors: &mut Vec<FieldError>,
    ) -> Result<String, Fault> {
        match self {
            Self::Object(max_bytes) => stored_object(value, *max_bytes as usize),
            Self::Fields(fields) => {
                let Value::Json(raw) = value else { return Err(NOT_AN_OBJECT.broken()) };
                let given = members(Object::read(*raw).ok_or(NOT_AN_OBJECT.broken())?);
                let within = NOT_AN_OBJECT.broken().at(at, name).pointer;
                Ok(object_of(&read(given, fields, &within, errors)))
            }
            Self::Count => {
                const MOST: u64 = i32::MAX as u64;
                let is_count = digits(value.json()).is_some_and(|number| number <= MOST);
                if is_count { Ok(value.json().to_owned()) } else { Err(NOT_A_COUNT.broken_at(MOST)) }
            }
            Self::Fraction => {
                let text = value.json();
                if is_fraction(text) { Ok(text.to_owned()) } else { Err(NOT_A_FRACTION.broken()) }
            }
            Self::Amount => {
                let text = value.json();
                if is_amount(text) { Ok(text.to_owned()) } else { Err(NOT_AN_AMOUNT.broken()) }
            }
            Self::Within(most) => match digits(&value.string()?) {
                Some(number) if (1..=*most).contains(&number) => {
                    let mut json = String::new();
                    push_number(&mut json, number);
                    Ok(json)
                }
                _ => Err(OUT_OF_RANGE.broken_at(*most)),
            },
            Self::Parsed(parse, rule) => parse(&value.string()?).ok_or(rule.broken()),
            Self::Id | Self::Text(_) | Self::Name | Self::Word(..) => {
                self.text(value.string()?).map(|text| quoted(&text))
            }
        }
    }

    fn text(&self, given: String) -> Result<String, Fault> {
        let (is_valid, rule): (bool, &'static Rule) = match self {
            Self::Id => match Id::parse(&given) {
                Some(id) => return Ok(id.as_str().to_owned()),
                None => (false, &NOT_A_UUID),
            },
            Self::Text(limit) => {
                let text = trim(&given);
                if text.is_empty() {
                    return Err(BLANK.broken());
                }
                if text.bytes().any(|byte| byte == 0) {
                    return Err(NUL_CHARACTER.broken());
                }
                if count(text) > *limit as usize {
                    return Err(TOO_LONG.broken_at((*limit).into()));
                }
                return Ok(text.to_owned());
            }
            Self::Word(words, rule) => (words.contains(&given.as_str()), rule),
            _ => (is_name(&given), &NOT_A_NAME),
        };
        if is_valid { Ok(given) } else { Err(rule.broken()) }
    }
}

/// Characters (Unicode scalar values) of a text. (`chars().count()` is fast on megabytes, and takes its room.)
pub(crate) fn count(text: &str) -> usize {
    text.bytes().filter(|byte| byte & 0xc0 != 0x80).count()
}

/// Whether a text is a name as [`Kind::Name`] has it.
fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Whether a JSON number is at least 0 and at most 1. Not by arithmetic: reading floating-point numbers takes 5 KB.
pub(crate) fn is_fraction(json: &str) -> bool {
    // `5e-7`, as JavaScript writes what is small: one digit before the point, a negative exponent after.
    let at = json.bytes().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(json.len());
    let (mantissa, exponent) = (json.get(..at).unwrap_or_default(), json.get(at + 1..).unwrap_or_default());
    let (whole, decimals) = cut(mantissa, b'.');
    let decimals = decimals.unwrap_or_default();
    // More decimals than PostgreSQL's `double precision` takes.
    if json.len() > LONGEST_NUMBER {
        return false;
    }
    let is_zero = |digits: &str| digits.bytes().all(|digit| digit == b'0');
    match exponent.strip_prefix("-") {
        Some(power) if !is_zero(power) && power.len() < 3 => whole.len() == 1 && whole != "-",
        _ if !exponent.is_empty() => is_zero(whole) && is_zero(decimals) && !whole.is_empty(),
        _ => whole == "0" || whole == "1" && is_zero(decimals),
    }
}

/// Whether a JSON number is at least 0, and none that no `double precision` holds.
fn is_amount(json: &str) -> bool {
    let at = json.bytes().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(json.len());
    let exponent = json.len().saturating_sub(at + 1);
    json.as_bytes().first().is_some_and(u8::is_ascii_digit) && json.len() <= LONGEST_NUMBER && exponent <= 3
}

fn stored_object(value: &Value, max_bytes: usize) -> Result<String, Fault> {
    let Value::Json(raw) = value else { return Err(NOT_AN_OBJECT.broken()) };
    if !raw.text().starts_with("{") {
        return Err(NOT_AN_OBJECT.broken());
    }
    if raw.text().len() > max_bytes {
        return Err(TOO_LARGE.broken_at(max_bytes as u64));
    }
    let measure = raw.measure();
    if measure.depth > MAX_DEPTH {
        return Err(TOO_DEEP.broken_at(MAX_DEPTH as u64));
    }
    // `1e300` is 5 bytes here and 301 in the database, which takes twice the limit of what it prints itself.
    if measure.expansion > max_bytes / 2 {
        return Err(TOO_LARGE.broken_at(max_bytes as u64));
    }
    if measure.unstorable {
        return Err(NOT_STORABLE.broken());
    }
    Ok(raw.text().to_owned())
}
