//! Entity tags (RFC 9110 section 8.8.3): the version of a resource, in quotes.

use std::fmt;

/// The entity tag of a resource whose state its version identifies, a whole number of PostgreSQL's `integer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ETag(pub u32);

impl ETag {
    /// Reads a tag. A host that compresses a response makes its tag a weak one (Deno does): it still names the same
    /// version.
    pub fn parse(text: &str) -> Option<Self> {
        let quoted = text.strip_prefix("W/").unwrap_or(text);
        let digits = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let version = digits.parse().ok().filter(|version| is_number && i32::try_from(*version).is_ok())?;
        Some(Self(version))
    }

    /// Whether an `If-None-Match` (RFC 9110 section 13.1.2) lists a tag; the comparison is weak.
    pub fn is_listed(tag: &str, if_none_match: &str) -> bool {
        let opaque = |tag| str::strip_prefix(tag, "W/").unwrap_or(tag);
        if_none_match.split(',').map(str::trim_ascii).any(|listed| listed == "*" || opaque(listed) == opaque(tag))
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        for known in ["\"3\"", "W/\"3\"", "\"2\", \"3\"", "*", "\"2\",W/\"3\""] {
            assert!(ETag::is_listed("\"3\"", known), "{known}");
        }
        for known in ["", "\"33\"", "3", "\"2\""] {
            assert!(!ETag::is_listed("\"3\"", known), "{known}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_known_wherever_it_stands(others in proptest::collection::vec("\"[0-4]{1,2}\"", 0..4), version in 50..99_u32) {
            let tag = ETag(version).to_string();
            prop_assert!(!ETag::is_listed(&tag, &others.join(", ")));
            let with = [others, vec![format!("W/{tag}")]].concat().join(",");
            prop_assert!(ETag::is_listed(&tag, &with));
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            prop_assert!(!ETag::is_listed("\"7\"", &text) || text.contains('*') || text.contains("\"7\""));
        }

        #[test]
        fn a_tag_is_a_version_in_quotes(version in any::<u32>(), text in any::<String>()) {
            let expected = i32::try_from(version).is_ok().then_some(ETag(version));
            for tag in [format!("\"{version}\""), format!("W/\"{version}\"")] {
                prop_assert_eq!(ETag::parse(&tag), expected, "{}", tag);
            }
            for other in [format!("{version}"), format!("w/\"{version}\""), format!("\"{version}"), format!("\"+{version}\"")] {
                prop_assert_eq!(ETag::parse(&other), None, "{}", other);
            }
            let _ = ETag::parse(&text);
        }
    }
}
