//! Cutting text at an ASCII character, and joining it. The standard library's own methods look for patterns of every
//! kind and join with separators of every length, which costs each function 1.5 KB compressed; the tests hold these to
//! them.

/// What stands before the first `at`, and what stands after it, if there is one. `at` is an ASCII character.
#[inline(never)]
pub fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == at) {
        Some(place) => (text.get(..place).unwrap_or_default(), text.get(place + 1..)),
        None => (text, None),
    }
}

/// What stands between one `at` and the next. `at` is an ASCII character.
pub fn parts(text: &str, at: u8) -> impl Iterator<Item = &str> {
    Parts { rest: Some(text), at }
}

/// The text without the white space around it (Unicode's White_Space).
pub fn trim(text: &str) -> &str {
    let (mut start, mut end) = (text.len(), 0);
    for (place, character) in text.char_indices().filter(|(_, character)| !character.is_whitespace()) {
        start = start.min(place);
        end = place + character.len_utf8();
    }
    text.get(start..end).unwrap_or_default()
}

/// All of them, one after the other.
pub fn concat(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.push_str(part);
    }
    text
}

struct Parts<'a> {
    rest: Option<&'a str>,
    at: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (part, rest) = cut(self.rest?, self.at);
        self.rest = rest;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::{concat, cut, parts, trim};
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn text_is_trimmed_as_the_standard_library_trims_it(text in "[a\u{e9} \n\u{a0}\u{2003}\u{3000}]{0,8}") {
            prop_assert_eq!(trim(&text), text.trim());
        }

        #[test]
        fn text_is_cut_where_the_standard_library_cuts_it(text in "[a,é:]{0,12}") {
            prop_assert_eq!(cut(&text, b','), text.split_once(',').map_or((&*text, None), |(a, b)| (a, Some(b))));
            let all: Vec<_> = parts(&text, b',').collect();
            prop_assert_eq!(concat(&all), all.concat());
            prop_assert_eq!(all, text.split(',').collect::<Vec<_>>());
        }
    }
}
