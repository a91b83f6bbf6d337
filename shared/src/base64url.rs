//! base64url without padding (RFC 4648 section 5), as JSON Web Tokens and page cursors use it.
//!
//! Not the `base64ct` crate: nothing decoded here is secret, and constant time costs each function 1 KB compressed.
//! The tests hold these functions to that crate.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encodes bytes.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=group.len() {
            let index = bits >> (18 - 6 * place) & 63;
            text.push(char::from(*ALPHABET.get(index as usize).unwrap_or(&b'A')));
        }
    }
    text
}

/// Decodes text, or `None` where it is padded, has other characters, or bits left over: one value, one text.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    // The bits not yet part of a whole byte, and how many they are.
    let (mut bits, mut count) = (0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // 6 bits over is a lone character; bits that are not zero would be a second spelling of the same bytes.
    (count < 6 && bits == 0).then_some(bytes)
}

/// As [`decode`], for bytes that are UTF-8.
pub fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(decode(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use base64ct::{Base64UrlUnpadded, Encoding};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn only_the_one_spelling_decodes() {
        assert_eq!(decode("_-8"), Some(vec![0xff, 0xef]));
        for text in ["_-8=", "/+8", "_-9", "_", "a b", "\u{e9}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_encode_as_the_crate_encodes_them(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(encode(&bytes), Base64UrlUnpadded::encode_string(&bytes));
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_decodes_as_the_crate_decodes_it(text in "[A-Za-z0-9_=+/-]{0,12}") {
            prop_assert_eq!(decode(&text), Base64UrlUnpadded::decode_vec(&text).ok());
        }
    }
}
