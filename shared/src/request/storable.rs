//! What JSON would be to PostgreSQL's `jsonb`, which takes less than JSON says and prints numbers in full.

/// What a JSON text would be to `jsonb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storable {
    /// How deeply arrays and objects are nested: `1` is 0 levels, `{}` and `[1]` are one.
    pub depth: usize,
    /// Whether all of it can be stored: no NUL character, no half of a surrogate pair, no number with a decimal
    /// exponent beyond those of an IEEE 754 double, and none with more than 400 decimals.
    pub is_storable: bool,
    /// By how many bytes at most its numbers grow when their exponents are written out, as `jsonb` does.
    pub expansion: usize,
}

/// Greatest decimal exponent of a number that is stored: that of an IEEE 754 double.
const MAX_EXPONENT: u64 = 308;
/// Most decimals of a number that is stored. A double's digits end before 400; the database has the same limit.
const MAX_DECIMALS: u64 = 400;

impl Storable {
    /// Looks a well-formed JSON text over.
    pub fn of(json: &str) -> Self {
        let mut found = Self { depth: 0, is_storable: true, expansion: 0 };
        let mut depth = 0_usize;
        let mut rest = json.as_bytes();
        while let [first, after @ ..] = rest {
            rest = match first {
                b'{' | b'[' => {
                    depth += 1;
                    found.depth = found.depth.max(depth);
                    after
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    after
                }
                b'"' => found.string(after),
                b'-' | b'0'..=b'9' => found.number(rest),
                _ => after,
            };
        }
        found
    }

    /// Looks a string over from behind its opening quote; returns what comes behind its closing one.
    fn string<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        // Whether the first half of a surrogate pair came just before.
        let mut is_pending = false;
        loop {
            let mut half = None;
            rest = match rest {
                [] => return rest,
                [b'"', after @ ..] => {
                    self.is_storable &= !is_pending;
                    return after;
                }
                [b'\\', b'u', digits @ ..] => {
                    let (digits, after) = digits.split_at_checked(4).unwrap_or((digits, &[]));
                    let unit = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    self.is_storable &= unit != Some(0);
                    half = match unit {
                        Some(0xd800..=0xdbff) => Some(true),
                        Some(0xdc00..=0xdfff) => Some(false),
                        _ => None,
                    };
                    after
                }
                [b'\\', _, after @ ..] | [_, after @ ..] => after,
            };
            // A second half needs a first one before it, and nothing else may follow a first one.
            self.is_storable &= is_pending == (half == Some(false));
            is_pending = half == Some(true);
        }
    }

    /// Looks a number over; returns what comes behind it.
    fn number<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let (number, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let number = std::str::from_utf8(number).unwrap_or_default();
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('-').len() as u64;
        let is_small = exponent.starts_with('-');
        let exponent = exponent.trim_start_matches(['+', '-']).parse::<u64>().unwrap_or(u64::MAX);
        let decimals = (decimals.len() as u64).saturating_add(if is_small { exponent } else { 0 });
        self.is_storable &=
            exponent.saturating_add(whole.saturating_sub(1)) <= MAX_EXPONENT && decimals <= MAX_DECIMALS;
        self.expansion = self.expansion.saturating_add(usize::try_from(exponent).unwrap_or(usize::MAX));
        after
    }
}

#[cfg(test)]
mod tests {
    use super::Storable;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;

    #[test]
    fn depth_counts_levels_outside_of_strings() {
        for (json, depth) in [("1", 0), ("{}", 1), ("[1]", 1), (r#"{"a":[{"[{":"]"}]}"#, 3), (r#"["\"[["]"#, 1)] {
            assert_eq!(Storable::of(json).depth, depth, "{json}");
        }
    }

    #[test]
    fn what_jsonb_cannot_hold_is_found() {
        for json in [
            r#"{"a":"\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"["\ud800"]"#,
            r#"["\udc00"]"#,
            r#"["\ud800\ud800\udc00"]"#,
            r#"["\ud800x\udc00"]"#,
            "[1e309]",
            "[1e400]",
            "[10e308]",
            "[1E-309]",
            "[-1e+99999999999999999999]",
            &format!("[0.{}]", "0".repeat(401)),
            &format!("[0.{}e-300]", "0".repeat(101)),
        ] {
            assert!(!Storable::of(json).is_storable, "{json}");
        }
        for json in [r#"["\ud83e\uddf6","\\u0000","\u0001"]"#, "[1e308,-1.5e-300,0.1]", "[9e307]"] {
            assert!(Storable::of(json).is_storable, "{json}");
        }
    }

    #[test]
    fn exponents_that_are_written_out_are_counted() {
        assert_eq!(Storable::of(r#"{"a":[1e300,2E-8,3e+10,400,"1e99"]}"#).expansion, 318);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf =
            proptest::prop_oneof![(-1e300..1e300_f64).prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let object = proptest::collection::vec((any::<String>(), inner.clone()), 0..4);
            proptest::prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                object.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn has_nul(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
            Value::String(text) => text.contains('\0'),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_tree_is_as_deep_and_as_storable_as_it_looks(value in json()) {
            let found = Storable::of(&value.to_string());
            prop_assert_eq!(found.depth, depth(&value));
            prop_assert_eq!(found.is_storable, !has_nul(&value));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), json in "[\\\\u\"0de1.+\\[{-]{0,16}") {
            prop_assert!(Storable::of(&text).depth <= text.len());
            let _ = Storable::of(&json);
        }
    }
}
