//! A second reading of the same inputs, with `serde_json`, `base64` and `uuid`: what the judges compare with.

use std::collections::HashSet;
use std::fmt;

use base64::engine::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object in their order; two members of the same name are both kept.
#[derive(Debug)]
pub(crate) struct Pairs<K, V>(pub(crate) Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Pairs<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<K, V> {
            type Value = Pairs<K, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<K, V>, A::Error> {
                let mut pairs = Pairs(Vec::new());
                while let Some(pair) = map.next_entry()? {
                    pairs.0.push(pair);
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(PairsVisitor(std::marker::PhantomData))
    }
}

/// The members of a JSON object, with their names read.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object.
    pub(crate) fn of(json: &'a str) -> Option<Self> {
        // Half a surrogate pair is no text: such a name stays as it was written, and is that of no field.
        let name = |key: &str| serde_json::from_str(key).unwrap_or_else(|_| key.to_owned());
        let Pairs(pairs) = serde_json::from_str::<Pairs<&RawValue, &RawValue>>(json).ok()?;
        Some(Self(pairs.into_iter().map(|(key, value)| (name(key.get()), value)).collect()))
    }

    /// The text of a member's value; of the first one, if the name stands twice.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.get())
    }

    /// A member that is a string.
    pub(crate) fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// Whether a name stands twice.
    pub(crate) fn repeats(&self) -> bool {
        self.0.iter().map(|(name, _)| name).collect::<HashSet<_>>().len() < self.0.len()
    }
}

/// base64url without padding, as `base64` reads it, where it is text.
pub(crate) fn base64url_text(text: &str) -> Option<String> {
    String::from_utf8(base64url(text)?).ok()
}

/// base64url without padding, as `base64` reads it.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Whether a text is a UUID in its canonical form of 36 characters, as `uuid` reads it.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// The number that a JSON value writes. Read by the standard library: serde_json's own conversion may be off by one unit
/// in the last place, and refuses `1e400`.
pub(crate) fn number(json: &str) -> Option<f64> {
    json.parse().ok().filter(|_| json.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
}
