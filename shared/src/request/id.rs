//! Identifiers: UUIDs (RFC 9562) in their canonical text form, which is all that ever travels.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::{Builder, Uuid};

use super::value::{Field, Value};
use crate::answer::Fault;
use crate::host::Host;

const NOT_A_UUID: Fault = Fault::new("invalid_uuid", "must be a UUID such as 018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e");

/// A UUID of any version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(Uuid);

impl Id {
    /// Reads a UUID in its canonical form: 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between them.
    pub fn parse(text: &str) -> Option<Self> {
        // The crate also takes the simple, braced and URN forms, which are of other lengths.
        (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok())?.map(Self)
    }

    /// A new UUID, version 7: its time comes first, so that rows lie in the order they came.
    pub fn new(host: &dyn Host) -> Self {
        let mut random = [0; 10];
        host.random(&mut random);
        Self(Builder::from_unix_timestamp_millis(host.now_ms(), &random).into_uuid())
    }

    /// The id of one of many things of the same request, which this is the id of; 0 is the request itself. The same each
    /// time, and far from those of a neighbouring id: clients that count their ids upwards must not meet them.
    #[must_use]
    pub fn numbered(self, place: usize) -> Self {
        // The golden ratio's part of the 48 bits of a UUID's last group: its multiples lie far apart.
        const STEP: u128 = 0x9e37_79b9_7f4b;
        const LAST_GROUP: u128 = (1 << 48) - 1;
        let bits = self.0.as_u128();
        let last = bits.wrapping_add(STEP.wrapping_mul(place as u128)) & LAST_GROUP;
        Self(Uuid::from_u128(bits & !LAST_GROUP | last))
    }

    /// The UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl Field for Id {
    fn parse(value: Value<'_>) -> Result<Self, Fault> {
        Self::parse(&value.string()?).ok_or(NOT_A_UUID)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "format": "uuid" })
    }
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::host::Host;
    use crate::host::fake::FakeHost;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use uuid::{Uuid, Variant};

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let id = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
        assert_eq!(Id::parse(id).unwrap().to_string(), id);
        assert_eq!(Id::parse(&id.to_uppercase()).unwrap().to_string(), id);
        for text in [
            "",
            "018f4e9a7d3c7cc09d0e3f2b5a6c7d8e",
            "{018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e}",
            "urn:uuid:018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e",
            "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8g",
            "018f4e9a-7d3c-7cc0-9d0e3-f2b5a6c7d8e",
            "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8\u{e9}",
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_7_that_tells_its_time() {
        let host = FakeHost::default();
        let uuid = Id::new(&host).uuid();
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, Variant::RFC4122));
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds * 1000 + u64::from(nanos / 1_000_000), host.now_ms());
        assert_ne!(Id::new(&host), Id::new(&host));
    }

    #[test]
    fn the_ids_of_many_things_are_ids_and_all_different() {
        let id = Id::new(&FakeHost::default());
        let all: std::collections::HashSet<_> = (0..500).map(|place| id.numbered(place)).collect();
        assert_eq!(all.len(), 500);
        assert!(all.iter().all(|id| Id::parse(&id.to_string()).is_some()));
        assert_eq!(id.numbered(0), id);
    }

    #[test]
    fn the_ids_of_things_of_neighbouring_requests_are_all_different() {
        let all = (0..200).flat_map(|request| {
            let id = Id::parse(&Uuid::from_u128(u128::MAX - request).to_string()).unwrap();
            (0..=500).map(move |place| id.numbered(place))
        });
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 200 * 501);
    }

    proptest! {
        #[test]
        fn every_uuid_reads_as_itself(bits in any::<u128>()) {
            let text = Uuid::from_u128(bits).to_string();
            prop_assert_eq!(Id::parse(&text).map(|id| id.to_string()), Some(text));
        }
    }
}
