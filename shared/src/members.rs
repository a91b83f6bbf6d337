//! The members of a JSON object as they were written: in order, each value as its text, names that stand twice kept.
//!
//! serde's own maps keep one of two members of the same name and parse values; here both would be wrong: two readers
//! that each keep another one is how a check is bypassed, and numbers must not lose digits on their way through.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object.
#[derive(Debug)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a text that should be a JSON object.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The value of a member; of the first, where a name stands twice.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// The value of a member that is a string.
    pub fn string(&self, name: &str) -> Option<String> {
        string(self.get(name)?)
    }

    /// Whether a name stands twice.
    pub fn has_duplicates(&self) -> bool {
        self.0
            .iter()
            .enumerate()
            .any(|(place, (name, _))| self.0.iter().take(place).any(|(earlier, _)| earlier == name))
    }
}

/// The text of a JSON string. `None` for another type, or for half a surrogate pair.
pub fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The items of a JSON array. `None` for another type.
pub fn items(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// A member's name. Half a surrogate pair is none of ours, and no reason to refuse the JSON (RFC 8259 section 8.2): such
/// a name stays as it was written, with its quotes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not as bytes: serde_json then takes control characters, which JSON does not allow in a string.
        let written = <&RawValue>::deserialize(deserializer)?.get();
        let plain = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Ok(Self(match plain.filter(|plain| !plain.contains('\\')) {
            Some(plain) => Cow::Borrowed(plain),
            None => serde_json::from_str(written).map_or(Cow::Borrowed(written), Cow::Owned),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Members;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn members_keep_their_order_their_text_and_their_doubles() {
        let text = r#"{"b":1.50,"a":{"x":[1e400]},"b":null,"\u0061\n":"\ud800"}"#;
        let members = Members::parse(text).unwrap();
        let all: Vec<_> = members.0.iter().map(|(name, value)| (&**name, value.get())).collect();
        assert_eq!(all, [("b", "1.50"), ("a", r#"{"x":[1e400]}"#), ("b", "null"), ("a\n", r#""\ud800""#)]);
        assert!(members.has_duplicates());
        assert_eq!((members.string("b"), members.string("a\n"), members.get("c").is_none()), (None, None, true));
    }

    #[test]
    fn half_a_surrogate_pair_in_a_name_is_a_name_nobody_has() {
        let members = Members::parse(r#"{"\ud800":1,"a":2}"#).unwrap();
        assert_eq!(members.0.len(), 2);
        assert_eq!(members.get("a").unwrap().get(), "2");
    }

    #[test]
    fn a_control_character_in_a_name_is_no_json() {
        for text in ["{\"\t\":1}", "{\"a\u{1f}b\":1}", "{\"\\u0061\n\":1}"] {
            assert!(Members::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Members::parse(r#"{"\t":1}"#).unwrap().get("\t").unwrap().get(), "1");
    }

    #[test]
    fn no_nesting_is_too_deep() {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Members::parse(&text).is_ok());
    }

    proptest! {
        #[test]
        fn what_serde_json_reads_as_an_object_has_these_members(text in any::<String>(), json in "[\\[\\]{}\"a:,1 ]{0,16}") {
            for text in [text, json] {
                let theirs: Result<serde_json::Map<_, serde_json::Value>, _> = serde_json::from_str(&text);
                if let Ok(theirs) = theirs {
                    let ours = Members::parse(&text).unwrap();
                    prop_assert!(theirs.keys().all(|name| ours.get(name).is_some()));
                }
            }
        }
    }
}
