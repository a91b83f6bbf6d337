//! `GET /`: where a session is.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step, unexpected};
use shared::http::Response;
use shared::json::{Object, digits};
use shared::problem::Problem;
use shared::text::{concat, parts};

static PARAMETERS: &[Field] = &[Field::required("session_id", Kind::Id)];

/// Tells a session's state.
pub(crate) fn state(exchange: &Exchange<()>) -> Result<Step, Problem> {
    let known = exchange.request.header("if-none-match").map(str::to_owned);
    Ok(Step::call("get_session_state", exchange.query(PARAMETERS).arguments()?, move |found| {
        let found = found?;
        let etag = etag(&found)?;
        if known.is_some_and(|known| matches(&known, &etag)) {
            return Ok(Response::empty(304).with("etag", etag));
        }
        Ok(Response::json(200, found).with("etag", etag))
    }))
}

/// The entity tag of an answer that has a version.
pub(crate) fn etag(answer: &[u8]) -> Result<String, Problem> {
    let version = Object::of_bytes(answer).and_then(|answer| answer.get("version")).map(|version| version.text());
    match version {
        Some(version) if digits(version).is_some() => Ok(concat(&["\"", version, "\""])),
        _ => Err(unexpected()),
    }
}

/// Whether `If-None-Match` (RFC 9110 section 13.1.2) knows a tag; comparison is weak.
fn matches(known: &str, etag: &str) -> bool {
    parts(known, b',').map(str::trim_ascii).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        for known in ["\"3\"", "W/\"3\"", "\"2\", \"3\"", "*", "\"2\",W/\"3\""] {
            assert!(matches(known, "\"3\""), "{known}");
        }
        for known in ["", "\"33\"", "3", "\"2\""] {
            assert!(!matches(known, "\"3\""), "{known}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_known_wherever_it_stands(others in proptest::collection::vec("\"[0-4]{1,2}\"", 0..4), version in 50..99_u32) {
            let etag = format!("\"{version}\"");
            prop_assert!(!matches(&others.join(", "), &etag));
            let with = [others, vec![format!("W/{etag}")]].concat().join(",");
            prop_assert!(matches(&with, &etag));
        }

        #[test]
        fn no_header_makes_the_reader_panic(text in any::<String>()) {
            prop_assert!(!matches(&text, "\"7\"") || text.contains('*') || text.contains("\"7\""));
        }
    }
}
