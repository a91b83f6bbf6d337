//! Query parameters, by the rules of HTML's `application/x-www-form-urlencoded`.

use crate::text::{cut, parts};

/// Name and value of each parameter in a query, without its `?`, in the order they were written.
pub fn parse(query: &str) -> impl Iterator<Item = (String, String)> {
    parts(query, b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = cut(pair, b'=');
        (decode(name), decode(value.unwrap_or_default()))
    })
}

/// Decodes `+` and `%XX`. What is no escape stays as it is, and so does a text whose escapes are not UTF-8.
fn decode(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::{decode, parse};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn escapes_are_decoded_and_the_rest_left_alone() {
        for (text, expected) in [("a%2Db+c", "a-b c"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%ff+", "%ff+")] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_come_in_order() {
        let found: Vec<_> = parse("a=1&b&&c=d=e&a=%32").collect();
        let expected = [("a", "1"), ("b", ""), ("c", "d=e"), ("a", "2")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(pairs in proptest::collection::vec(any::<(String, String)>(), 0..4)) {
            let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
            prop_assert_eq!(parse(&query.join("&")).collect::<Vec<_>>(), pairs);
        }

        #[test]
        fn no_query_makes_the_reader_panic(text in any::<String>()) {
            parse(&text).for_each(drop);
        }
    }
}
