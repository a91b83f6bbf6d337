//! JSON values of about 100 KB that could cost a database far more than their length.

use std::fmt::Write as _;
use std::iter::repeat_n;

/// A value with a name for people.
#[derive(Debug, Clone)]
pub struct Bomb {
    /// What is in it.
    pub name: &'static str,
    /// It, as JSON.
    pub json: String,
}

/// Those that cost most where nobody has looked at them: for places inside of objects.
pub const WORST: [&str; 5] = ["array of 1e131071", "object of 0e-16383", "depth of arrays", "long text", "width"];

/// All of them.
pub fn bombs() -> Vec<Bomb> {
    let list = |item: &str| {
        let count = 100_000 / (item.len() + 1);
        format!("[{}]", repeat_n(item, count).collect::<Vec<_>>().join(","))
    };
    let within = |list: String| format!("{{\"a\":{list}}}");
    let text = |unit: &str, length: usize| format!("\"{}\"", unit.repeat(100_000 / length));
    let long_decimal = format!("0.{}", "7".repeat(16_383));
    let decimals = format!("[{}]", repeat_n(long_decimal.as_str(), 6).collect::<Vec<_>>().join(","));
    vec![
        Bomb { name: "array of 1e131071", json: list("1e131071") },
        Bomb { name: "object of 1e131071", json: within(list("1e131071")) },
        Bomb { name: "object of 0e-16383", json: within(list("0e-16383")) },
        Bomb { name: "object of 1e-16383", json: within(list("1e-16383")) },
        Bomb { name: "object of -1e131071", json: within(list("-1e131071")) },
        Bomb { name: "object of 16,383 decimals", json: within(decimals) },
        Bomb { name: "17,000 decimals", json: format!("0.{}", "7".repeat(17_000)) },
        Bomb { name: "one number of 100,000 digits", json: "9".repeat(100_000) },
        Bomb { name: "1e131071", json: "1e131071".into() },
        Bomb { name: "the same number as a text", json: "\"1e131071\"".into() },
        Bomb { name: "1e400", json: "1e400".into() },
        Bomb { name: "depth of arrays", json: "[".repeat(50_000) + &"]".repeat(50_000) },
        Bomb { name: "depth of objects", json: "{\"a\":".repeat(15_000) + "0" + &"}".repeat(15_000) },
        Bomb { name: "depth within an object", json: within("[".repeat(5000) + &"]".repeat(5000)) },
        Bomb { name: "width", json: wide(20_000) },
        Bomb { name: "members of one name", json: format!("{{{}}}", vec!["\"a\":0"; 17_000].join(",")) },
        Bomb { name: "array of zeros", json: list("0") },
        Bomb { name: "array of empty objects", json: list("{}") },
        Bomb { name: "array of empty arrays", json: list("[]") },
        Bomb { name: "array of nulls", json: list("null") },
        Bomb { name: "array of texts", json: list("\"a\"") },
        Bomb { name: "long text", json: text("a", 1) },
        Bomb { name: "long path", json: text("a/", 2) },
        Bomb { name: "white space", json: text(" ", 1) },
        Bomb { name: "wide white space", json: text("\u{3000}", 3) },
        Bomb { name: "characters of four bytes", json: text("\u{1f9f6}", 4) },
        Bomb { name: "zero bytes", json: text("\\u0000", 6) },
        Bomb { name: "half surrogates", json: text("\\ud800", 6) },
        Bomb { name: "an array as PostgreSQL writes it", json: format!("\"{{{}}}\"", vec!["a"; 50_000].join(",")) },
        Bomb { name: "JSON in a text", json: format!("{:?}", list("1e131071")) },
        Bomb { name: "infinity", json: "\"infinity\"".into() },
        Bomb { name: "before Christ", json: "\"4713-01-01 00:00:00 BC\"".into() },
    ]
}

fn wide(members: usize) -> String {
    let mut made = String::from("{");
    for n in 0..members {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(made, "{comma}\"{n:x}\":0");
    }
    made + "}"
}
