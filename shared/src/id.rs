//! Identifiers: UUIDs (RFC 9562) in their canonical text form, which is all that ever travels.
//!
//! Not the `uuid` crate: its parsing and formatting cost each function 1 KB compressed, and ids are never computed
//! with here. The tests hold this type to that crate.

use crate::host::Host;

/// Writes a byte as two hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for nibble in [byte >> 4, byte & 15] {
        text.push(char::from(*HEX.get(usize::from(nibble)).unwrap_or(&b'0')));
    }
}

/// A UUID of any version, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// Reads a UUID in its canonical form: 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between them.
    pub fn parse(text: &str) -> Option<Self> {
        let is_canonical = text.len() == 36
            && text.bytes().enumerate().all(|(place, byte)| match place {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        is_canonical.then(|| Self(text.to_ascii_lowercase()))
    }

    /// A new UUID, version 7: its time comes first, so that rows lie in the order they came.
    pub fn new<H: Host>(host: &H) -> Self {
        let mut bytes = [0; 16];
        host.random(&mut bytes);
        let [_, _, millis @ ..] = host.now_ms().to_be_bytes();
        let mut text = String::with_capacity(36);
        for (place, mut byte) in bytes.into_iter().enumerate() {
            match place {
                0..=5 => byte = millis.get(place).copied().unwrap_or(byte),
                6 => byte = byte & 0x0f | 0x70, // version 7
                8 => byte = byte & 0x3f | 0x80, // the RFC's variant
                _ => {}
            }
            if let 4 | 6 | 8 | 10 = place {
                text.push('-');
            }
            push_hex(&mut text, byte);
        }
        Self(text)
    }

    /// The id of one of many things of the same request, which this is the id of; 0 is the request itself. The same each
    /// time, and far from those of a neighbouring id: clients that count their ids upwards must not meet them.
    #[must_use]
    pub fn numbered(&self, place: usize) -> Self {
        // The golden ratio's part of the 48 bits that a UUID's last digits are: its multiples lie far apart.
        const STEP: u64 = 0x9e37_79b9_7f4b;
        let (head, node) = self.0.split_at_checked(24).unwrap_or_default();
        let node = node.chars().fold(0, |node, digit| node << 4 | u64::from(digit.to_digit(16).unwrap_or(0)));
        let mut text = head.to_owned();
        for byte in (node.wrapping_add(STEP.wrapping_mul(place as u64))).to_be_bytes().into_iter().skip(2) {
            push_hex(&mut text, byte);
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::fake::FakeHost;
    use crate::host::Host;
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use uuid::{Uuid, Variant};

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let id = "018f4e9a-7d3c-7cc0-9d0e-3f2b5a6c7d8e";
        assert_eq!(Id::parse(id).unwrap().as_str(), id);
        assert_eq!(Id::parse(&id.to_uppercase()).unwrap().as_str(), id);
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
        let uuid = Uuid::try_parse(Id::new(&host).as_str()).unwrap();
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, Variant::RFC4122));
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds * 1000 + u64::from(nanos / 1_000_000), host.now_ms());
        assert_ne!(Id::new(&host), Id::new(&host));
    }

    #[test]
    fn the_ids_of_many_things_are_ids_and_all_different() {
        let id = Id::new(&FakeHost::default());
        let all: std::collections::HashSet<_> = (0..500).map(|place| id.numbered(place).as_str().to_owned()).collect();
        assert_eq!(all.len(), 500);
        assert!(all.iter().all(|id| Id::parse(id).is_some()));
        assert_eq!(id.numbered(0), id);
    }

    #[test]
    fn the_ids_of_things_of_neighbouring_requests_are_all_different() {
        let all = (0..200).flat_map(|request| {
            let id = Id::parse(&Uuid::from_u128(u128::MAX - request).to_string()).unwrap();
            (0..=500).map(move |place| id.numbered(place).as_str().to_owned())
        });
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 200 * 501);
    }

    proptest! {
        #[test]
        fn every_uuid_reads_as_itself(bits in any::<u128>()) {
            let text = Uuid::from_u128(bits).to_string();
            prop_assert_eq!(Id::parse(&text), Some(Id(text)));
        }
    }
}
