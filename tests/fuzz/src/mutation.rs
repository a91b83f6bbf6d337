//! How an input is changed: by its tokens and JSON values rather than its bytes, so that most of what comes of it still
//! gets past the first check.

use std::ops::Range;

use mutatis::mutators::{self as m, Char, StringMutator};
use mutatis::{Candidates, Context, Mutate};

/// What is hard on parsers: limits, halves of things, characters that are not what they seem.
const WORDS: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "-0",
    "1e308",
    "1e400",
    "1e-7",
    "0.1",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "{}",
    "[]",
    "\"\"",
    "{\"a\":1}",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "\\\"",
    "\\",
    "\u{feff}",
    "\u{a0}",
    "\u{2028}",
    "\u{1f9f6}",
    "\u{e9}",
    "e\u{301}",
    "\u{0}",
    "\u{1f}",
    "\t",
    "\r",
    "\n",
    "\n\n",
    "%00",
    "%ff",
    "%2",
    "%2B",
    "+",
    "&",
    "=",
    "?",
    "/",
    "//",
    "..",
    "*",
    "W/\"3\"",
    "\"3\"",
    "«hex ff»",
    "«hex c0 80»",
    "«9000 times é»",
    "«501 times {},»",
    "«20 times [»",
    "«20 times ]»",
    "«base64url »",
    "«token»",
    "018f4e9a-7d3c-7cc0-9d0e-000000000009",
    "handling=lenient",
    "HEAD",
    "0000-01-01T00:00:00Z",
    "+15:59",
    "retry-after 99999999999",
    "charset=utf-8",
];

/// Parts a text at the borders of words: what a parser takes as one is one.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let is_word = |character: char| character.is_alphanumeric() && character.is_ascii() || character == '_';
    let mut tokens: Vec<String> = Vec::new();
    let mut within = false;
    for character in text.chars() {
        match tokens.last_mut() {
            Some(last) if within && is_word(character) => last.push(character),
            _ => tokens.push(character.to_string()),
        }
        within = is_word(character);
    }
    tokens
}

/// The tokens of the JSON value that begins at a place: a string, all between two brackets, or one token.
fn value_at(tokens: &[String], start: usize) -> Range<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (place, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            _ if is_escaped => is_escaped = false,
            "\\" => is_escaped = in_string,
            "\"" => in_string = !in_string,
            "{" | "[" if !in_string => depth += 1,
            "}" | "]" if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !in_string {
            return start..place + 1;
        }
    }
    start..tokens.len()
}

/// Changes the tokens of an input, with the help of those of others.
#[derive(Debug)]
pub(crate) struct Splice<'a> {
    pub(crate) others: &'a [Vec<String>],
    characters: StringMutator<Char>,
}

impl<'a> Splice<'a> {
    pub(crate) fn with(others: &'a [Vec<String>]) -> Self {
        Self { others, characters: m::string(m::char()) }
    }

    /// One of the words, or a value that stands in another input.
    fn material(&self, context: &mut Context) -> Vec<String> {
        if context.rng().gen_index(3) == Some(0) {
            return context.rng().choose(WORDS).map(|word| tokens(word)).unwrap_or_default();
        }
        let Some(other) = context.rng().choose(self.others) else { return Vec::new() };
        let start = context.rng().gen_index(other.len()).unwrap_or(0);
        other.get(value_at(other, start)).unwrap_or_default().to_vec()
    }
}

impl Mutate<Vec<String>> for Splice<'_> {
    fn mutate(&mut self, c: &mut Candidates, value: &mut Vec<String>) -> mutatis::Result<()> {
        let places = u32::try_from(value.len()).unwrap_or(u32::MAX);
        c.mutation_group(places, |_, at| {
            let range = value_at(value, at as usize);
            value.drain(range);
            Ok(())
        })?;
        c.mutation_group(places, |context, at| {
            let most = value.len().saturating_sub(at as usize).min(16);
            let count = 1 + context.rng().gen_index(most).unwrap_or(0);
            value.drain(at as usize..(at as usize + count).min(value.len()));
            Ok(())
        })?;
        if !c.shrink() {
            c.mutation_group(places + 1, |context, at| {
                value.splice(at as usize..at as usize, self.material(context));
                Ok(())
            })?;
            c.mutation_group(places, |context, at| {
                let range = value_at(value, at as usize);
                value.splice(range, self.material(context));
                Ok(())
            })?;
            c.mutation_group(places, |context, at| {
                let range = value_at(value, at as usize);
                let again = value.get(range).unwrap_or_default().to_vec();
                let to = context.rng().gen_index(value.len() + 1).unwrap_or(0);
                value.splice(to..to, again);
                Ok(())
            })?;
            c.mutation_group(places, |context, at| {
                let other = context.rng().gen_index(value.len()).unwrap_or(0);
                value.swap(at as usize, other);
                Ok(())
            })?;
            c.mutation_group(places, |context, at| {
                if let Some(token) = value.get_mut(at as usize) {
                    *token = disguised(token, context);
                }
                Ok(())
            })?;
        }
        // Within words only: a bracket or a quotation mark that is another one is what the groups above bring about.
        for token in value.iter_mut().filter(|token| token.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            self.characters.mutate(c, token)?;
        }
        Ok(())
    }
}

/// A token written in another way, or many times.
fn disguised(token: &str, context: &mut Context) -> String {
    match context.rng().gen_index(6) {
        Some(0) => token.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        Some(1) => token.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        Some(2) => token.to_uppercase(),
        Some(3) => format!("«base64url {token}»"),
        Some(4) => format!("«{} times {token}»", context.rng().gen_u8()),
        _ => match token.parse::<u64>() {
            Ok(number) if context.rng().gen_bool() => number.wrapping_add(1).to_string(),
            Ok(number) => number.wrapping_sub(1).to_string(),
            Err(_) => format!(" {token} "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Splice, tokens, value_at};
    use mutatis::Session;

    #[test]
    fn a_text_parts_at_the_borders_of_words() {
        assert_eq!(tokens("a_1:\"é\"  -2"), ["a_1", ":", "\"", "é", "\"", " ", " ", "-", "2"]);
    }

    #[test]
    fn a_json_value_is_found_whole() {
        let all = tokens(r#"{"a":[1,"]\""],"b":2}"#);
        assert_eq!(value_at(&all, 0), 0..all.len());
        assert_eq!(all[value_at(&all, 5)].concat(), r#"[1,"]\""]"#);
        assert_eq!(all[value_at(&all, 1)].concat(), r#""a""#);
        assert_eq!(value_at(&all, all.len() - 2), all.len() - 2..all.len() - 1);
    }

    #[test]
    fn the_same_seed_makes_the_same_changes_and_shrinking_never_adds() {
        let others = [tokens(r#"{"b":[2,3]}"#)];
        let changed = |seed| {
            let mut value = tokens(r#"{"a":1}"#);
            let mut session = Session::new().seed(seed);
            for _ in 0..20 {
                session.mutate_with(&mut Splice::with(&others), &mut value).unwrap();
            }
            value.concat()
        };
        assert_eq!(changed(7), changed(7));
        assert_ne!(changed(7), changed(8));
        let mut value = tokens("{\"a\":1,\"b\":[1,2,3]}");
        let mut session = Session::new().seed(1).shrink(true);
        while !value.is_empty() {
            let before = value.concat().chars().count();
            if session.mutate_with(&mut Splice::with(&others), &mut value).is_err() {
                break;
            }
            assert!(value.concat().chars().count() <= before);
        }
    }
}
