//! Reading: values that keep their text.

/// The text of one JSON value, known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Reads a value of any type. On a mistake: the byte at which reading stopped.
    pub fn parse(text: &'a str) -> Result<Self, usize> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.end()?;
        Ok(value)
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The text of a JSON string, decoded. `None` for another type or half a surrogate pair.
    pub fn string(self) -> Option<String> {
        decode(self.0.strip_prefix("\"")?.strip_suffix("\"")?)
    }

    /// Whether it is the JSON string `text`.
    pub fn is_string(self, text: &str) -> bool {
        self.string().as_deref() == Some(text)
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The value of a JSON boolean, or `None` for another type.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The items of a JSON array, or `None` for another type.
    pub fn array(self) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        let mut scanner = Scanner::new(self.0);
        scanner.open(b'[').ok()?;
        if scanner.close(b']') {
            return Some(items);
        }
        loop {
            items.push(scanner.value().ok()?);
            if scanner.close(b']') {
                return Some(items);
            }
            scanner.open(b',').ok()?;
        }
    }

    /// What the value would be to PostgreSQL's `jsonb`.
    pub fn measure(self) -> Measure {
        let mut scanner = Scanner::new(self.0);
        let _ = scanner.value();
        scanner.measure
    }
}

/// What a value would be to PostgreSQL's `jsonb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measure {
    /// How deep arrays and objects stand in each other: `1` is 0 levels, `{}` and `[1]` are one.
    pub depth: usize,
    /// Whether something in it cannot be stored: a NUL character, half a surrogate pair, or a number with a decimal
    /// exponent beyond those of an IEEE 754 double.
    pub unstorable: bool,
    /// By how many bytes at most its numbers grow when their exponents are written out, as `jsonb` does.
    pub expansion: usize,
}

/// The members of a JSON object, in the order they were written.
#[derive(Debug, Default)]
pub struct Object<'a> {
    /// Name, decoded, and value of each member.
    pub members: Vec<(String, Raw<'a>)>,
}

impl<'a> Object<'a> {
    /// Reads a text that should be an object. Everything in it is checked to be JSON; no value is decoded yet.
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::read(Raw::parse(text).ok()?)
    }

    /// As [`Object::parse`], for bytes that should be UTF-8.
    pub fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?)
    }

    /// The members of a value that is an object; `None` for another type.
    pub fn read(value: Raw<'a>) -> Option<Self> {
        let mut members = Vec::new();
        let mut scanner = Scanner::new(value.0);
        scanner.open(b'{').ok()?;
        if scanner.close(b'}') {
            return Some(Self { members });
        }
        loop {
            let name = scanner.value().ok()?.string()?;
            scanner.open(b':').ok()?;
            members.push((name, scanner.value().ok()?));
            if scanner.close(b'}') {
                return Some(Self { members });
            }
            scanner.open(b',').ok()?;
        }
    }

    /// The value of a member; of the first, where a name stands twice.
    pub fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// The first name that stands twice, if one does.
    pub fn duplicate(&self) -> Option<&str> {
        self.members.iter().enumerate().find_map(|(place, (name, _))| {
            self.members.iter().take(place).any(|(earlier, _)| earlier == name).then_some(name.as_str())
        })
    }
}

/// The number that decimal digits, and nothing but digits, write.
pub fn digits(text: &str) -> Option<u64> {
    let mut number: u64 = 0;
    for byte in text.bytes() {
        let digit = if byte.is_ascii_digit() { byte - b'0' } else { return None };
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    (!text.is_empty()).then_some(number)
}

/// Line and column of a byte, both from 1.
pub fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    (line, column)
}

/// Goes over JSON text. It keeps no call stack, so that no nesting is too deep for it.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    measure: Measure,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, measure: Measure::default() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Expects a token, after white space.
    fn open(&mut self, byte: u8) -> Result<(), usize> {
        self.skip_white_space();
        if self.eat(byte) { Ok(()) } else { Err(self.at) }
    }

    /// Whether a token comes, after white space.
    fn close(&mut self, byte: u8) -> bool {
        self.skip_white_space();
        self.eat(byte)
    }

    /// Expects nothing more.
    fn end(&mut self) -> Result<(), usize> {
        self.skip_white_space();
        if self.peek().is_none() { Ok(()) } else { Err(self.at) }
    }

    /// Expects a value of any type, after white space.
    fn value(&mut self) -> Result<Raw<'a>, usize> {
        self.skip_white_space();
        let start = self.at;
        // The closing brackets that must come, innermost last.
        let mut open = Vec::new();
        loop {
            self.skip_white_space();
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    open.push(b'}');
                    self.measure.depth = self.measure.depth.max(open.len());
                    if !self.close(b'}') {
                        self.name()?;
                        continue;
                    }
                    open.pop();
                }
                Some(b'[') => {
                    self.at += 1;
                    open.push(b']');
                    self.measure.depth = self.measure.depth.max(open.len());
                    if !self.close(b']') {
                        continue;
                    }
                    open.pop();
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(self.at),
            }
            // A value has ended, and with it maybe those around it.
            loop {
                let Some(closing) = open.last().copied() else {
                    return self.text.get(start..self.at).map(Raw).ok_or(start);
                };
                if self.close(b',') {
                    if closing == b'}' {
                        self.name()?;
                    }
                    break;
                }
                if !self.eat(closing) {
                    return Err(self.at);
                }
                open.pop();
            }
        }
    }

    /// Expects a member's name and its colon.
    fn name(&mut self) -> Result<(), usize> {
        self.skip_white_space();
        self.string()?;
        self.open(b':')
    }

    fn word(&mut self, word: &str) -> Result<(), usize> {
        for byte in word.bytes() {
            if !self.eat(byte) {
                return Err(self.at);
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), usize> {
        self.open(b'"')?;
        // Whether the first half of a surrogate pair came just before.
        let mut pending = false;
        loop {
            let at = self.at;
            let mut half = None;
            match self.next().ok_or(at)? {
                b'"' => {
                    self.measure.unstorable |= pending;
                    return Ok(());
                }
                b'\\' => {
                    let escape = self.at;
                    match self.next().ok_or(escape)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let mut unit = 0;
                            for _ in 0..4 {
                                let digit = self.at;
                                unit = unit << 4 | self.next().and_then(hex).ok_or(digit)?;
                            }
                            self.measure.unstorable |= unit == 0;
                            half = match unit {
                                0xd800..=0xdbff => Some(true),
                                0xdc00..=0xdfff => Some(false),
                                _ => None,
                            };
                        }
                        _ => return Err(escape),
                    }
                }
                ..=0x1f => return Err(at),
                _ => {}
            }
            // A second half wants a first one before it, and nothing else may follow a first one.
            self.measure.unstorable |= pending != (half == Some(false));
            pending = half == Some(true);
        }
    }

    fn number(&mut self) -> Result<(), usize> {
        self.eat(b'-');
        let mut whole = 1;
        if !self.eat(b'0') {
            whole = self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        let mut exponent = 0;
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            let start = self.at;
            self.digits()?;
            let digits = self.text.get(start..self.at).unwrap_or_default();
            exponent = self::digits(digits).unwrap_or(u64::MAX);
        }
        const LARGEST_EXPONENT: u64 = 308;
        self.measure.unstorable |= exponent.saturating_add(whole as u64 - 1) > LARGEST_EXPONENT;
        self.measure.expansion = self.measure.expansion.saturating_add(usize::try_from(exponent).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Expects digits, and counts them.
    fn digits(&mut self) -> Result<usize, usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(self.at - start) } else { Err(self.at) }
    }
}

fn hex(digit: u8) -> Option<u16> {
    char::from(digit).to_digit(16).and_then(|value| u16::try_from(value).ok())
}

/// Decodes the inside of a string that is well-formed but for its surrogates.
fn decode(inside: &str) -> Option<String> {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        text.push(match rest.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = unit(&mut rest)?;
                if let 0xd800..=0xdbff = code {
                    let (Some('\\'), Some('u')) = (rest.next(), rest.next()) else { return None };
                    let low = unit(&mut rest)?;
                    if !(0xdc00..=0xdfff).contains(&low) {
                        return None;
                    }
                    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(code)?
            }
            other => other,
        });
    }
    Some(text)
}

/// The four hexadecimal digits of an escape.
fn unit(rest: &mut std::str::Chars) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | rest.next()?.to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::{Measure, Object, Raw, digits, position};
    use crate::json::ObjectWriter;
    use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, proptest};
    use serde_json::Value;

    #[test]
    fn members_keep_the_text_they_were_written_in() {
        let object = Object::parse(r#" {"a": 1.50, "b\u0063": {"d" : []} } "#).unwrap();
        let members: Vec<_> = object.members.iter().map(|(name, value)| (name.as_str(), value.text())).collect();
        assert_eq!(members, [("a", "1.50"), ("bc", r#"{"d" : []}"#)]);
    }

    #[test]
    fn a_syntax_error_has_its_line_and_column() {
        for (text, line, column) in [
            ("{\n  \"a\": x\n}", 2, 8),
            ("", 1, 1),
            ("{} x", 1, 4),
            ("{\"a\":1,}", 1, 8),
            ("{\"a\":[1,]}", 1, 9),
            ("{\"a\":tru\n}", 1, 9),
            ("{\"a\":\"\t\"}", 1, 7),
            ("{\"a\":\"\\x\"}", 1, 8),
            ("{\"a\":01}", 1, 7),
            ("[1", 1, 3),
        ] {
            assert_eq!(position(text, Raw::parse(text).unwrap_err()), (line, column), "{text}");
        }
    }

    #[test]
    fn json_of_another_type_is_no_object() {
        for text in ["[]", "\"x\"", "1", "null", "true"] {
            assert!(Raw::parse(text).is_ok() && Object::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_found() {
        assert_eq!(Object::parse(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap().duplicate(), Some("a"));
        assert_eq!(Object::parse(r#"{"a":1,"b":2}"#).unwrap().duplicate(), None);
    }

    #[test]
    fn depth_counts_arrays_and_objects_however_deep() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        for (text, depth) in [
            ("1", 0),
            ("{}", 1),
            ("[1]", 1),
            (r#"{"a":{"b":[1,{}]},"c":2}"#, 4),
            (r#"{"[[[":"{\"[["}"#, 1),
            (&deep, 30_000),
        ] {
            assert_eq!(Raw::parse(text).unwrap().measure(), Measure { depth, unstorable: false, expansion: 0 });
        }
    }

    #[test]
    fn what_jsonb_cannot_hold_is_not_storable() {
        let unstorable = |text| Raw::parse(text).unwrap().measure().unstorable;
        for text in [
            r#"{"a":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"["\ud800"]"#,
            r#"["\ud800x"]"#,
            r#"["\ud800\ud800\udc00"]"#,
            r#"["\udc00\ud800"]"#,
            r#"{"\udc00":1}"#,
            "[1e400]",
            "[1e-400]",
            "[10e308]",
            "[1e99999999999999999999999]",
        ] {
            assert!(unstorable(text), "{text}");
        }
        for text in [r#"{"a":[1,-1,1.5,1e308,0.0,null,true,"\ud83d\ude00\ud83d\ude00",{}]}"#, "{}"] {
            assert!(!unstorable(text), "{text}");
        }
    }

    #[test]
    fn arrays_give_their_items() {
        let items =
            |text| Raw::parse(text).unwrap().array().map(|all| all.into_iter().map(Raw::text).collect::<Vec<_>>());
        assert_eq!(items("[ ]"), Some(vec![]));
        assert_eq!(items(r#"[1 , [2], "]" ]"#), Some(vec!["1", "[2]", r#""]""#]));
        assert_eq!(items("{}"), None);
    }

    /// Text that is JSON often enough, and nearly JSON otherwise.
    fn jsonish() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            proptest::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                ",",
                ":",
                "\"",
                "\"a\"",
                "\"b\"",
                "0",
                "-",
                "1",
                "12",
                ".5",
                "e3",
                "E-2",
                "true",
                "nul",
                "null",
                "false",
                " ",
                "\n",
                "\t",
                "\\",
                "\\u00e9",
                "\\ud83d",
                "\\ude00",
                "\u{e9}",
                "\u{1F9F6}",
                "\u{0}",
                "/",
            ]),
            0..12,
        )
        .prop_map(|parts| parts.concat())
    }

    /// Agreement with serde_json on one text: what is JSON, and what its strings say.
    fn agrees(text: &str) {
        let ours = Raw::parse(text);
        // serde_json refuses half surrogates, great numbers and deep nesting as syntax; this reader later, by field.
        let theirs = serde_json::from_str::<Value>(text);
        match (ours, theirs) {
            (Ok(raw), Ok(value)) => {
                assert_eq!(raw.string().as_deref(), value.as_str(), "{text}");
                assert_eq!(raw.array().map(|items| items.len()), value.as_array().map(Vec::len), "{text}");
                if let Some(object) = Object::read(raw)
                    && object.duplicate().is_none()
                {
                    assert_eq!(Some(object.members.len()), value.as_object().map(|members| members.len()), "{text}");
                }
            }
            (Ok(raw), Err(error)) => assert!(raw.measure().unstorable, "{text}: {error}"),
            (Err(at), Ok(_)) => panic!("{text}: stopped at {at}"),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn digits_are_a_number_and_nothing_else_is() {
        assert_eq!(digits("18446744073709551615"), Some(u64::MAX));
        assert_eq!(digits("007"), Some(7));
        for text in ["", "18446744073709551616", "+1", "-1", "1.0", " 1", "1e3"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn this_reader_and_serde_json_agree_on_what_is_json(text in jsonish()) {
            agrees(&text);
        }

        #[test]
        fn they_agree_on_objects(name in jsonish(), value in jsonish()) {
            agrees(&format!("{{\"{name}\":{value}}}"));
        }

        #[test]
        fn they_agree_on_any_text(text in any::<String>()) {
            agrees(&text);
        }

        #[test]
        fn any_string_written_reads_back_the_same(text in any::<String>()) {
            let mut writer = ObjectWriter::new();
            writer.string("x", &text);
            let written = writer.finish();
            let object = Object::parse(&written).unwrap();
            prop_assert_eq!(object.get("x").unwrap().string(), Some(text.clone()));
            prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), serde_json::json!({ "x": text }));
        }
    }
}
