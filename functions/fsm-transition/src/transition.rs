//! `POST /`: one move of a session, which is made if it is new.

use shared::form::{Field, Kind};
use shared::function::{Exchange, Step};
use shared::http::Response;
use shared::json::digits;
use shared::problem::{Problem, Rule};

use crate::{VERSION_CONFLICT, VERSION_CONFLICT_IF_MATCH, state};

static OTHER_VERSION: Rule = Rule { code: "if_match_mismatch", detail: "differs from the If-Match header" };
static NOT_AN_ETAG: Rule = Rule { code: "invalid_etag", detail: "must be the ETag of the session's state" };

/// Longest answer to a step, in characters: what the database holds.
const RESPONSE_MAX_CHARS: u32 = 1000;

const EXPECTED_VERSION: &str = "expected_version";

static FIELDS: &[Field] = &[
    Field::optional("id", Kind::Id),
    Field::required("session_id", Kind::Id),
    Field::required("event", Kind::Name),
    Field::optional("response", Kind::Text(RESPONSE_MAX_CHARS)),
    Field::optional(EXPECTED_VERSION, Kind::Count),
    Field::optional("machine", Kind::Name),
];

/// Makes a move.
pub(crate) fn transition(exchange: &Exchange<()>) -> Result<Step, Problem> {
    let mut form = exchange.body(FIELDS)?;
    form.identify(exchange.idempotency_key(), &exchange.id);
    let mut by_if_match = false;
    // `*` asks only that there be a state, and there always is one.
    if let Some(etag) = exchange.request.header("if-match").filter(|etag| *etag != "*") {
        match (version_of(etag), form.number(EXPECTED_VERSION)) {
            (None, _) => form.fault(EXPECTED_VERSION, NOT_AN_ETAG.broken()),
            (Some(in_header), Some(in_body)) if in_header != in_body => {
                form.fault(EXPECTED_VERSION, OTHER_VERSION.broken());
            }
            (Some(in_header), in_body) => {
                by_if_match = true;
                if in_body.is_none() {
                    form.put_number(EXPECTED_VERSION, in_header);
                }
            }
        }
    }
    Ok(Step::call("transition_session", form.arguments()?, move |made| {
        let made = made.map_err(|problem| {
            if by_if_match && *problem.code == VERSION_CONFLICT {
                problem.recoded(&VERSION_CONFLICT_IF_MATCH)
            } else {
                problem
            }
        })?;
        let etag = state::etag(&made)?;
        Ok(Response::json(200, made).with("etag", etag))
    }))
}

/// The version an entity tag stands for: a session's tag is its version in quotes, and versions are PostgreSQL's
/// `integer`. A host that compresses an answer makes its tag a weak one (Deno does); it still names the same version.
fn version_of(etag: &str) -> Option<u64> {
    let version =
        etag.strip_prefix("W/").unwrap_or(etag).strip_prefix("\"").and_then(|rest| rest.strip_suffix("\""))?;
    digits(version).filter(|version| i32::try_from(*version).is_ok())
}

#[cfg(test)]
mod tests {
    use super::version_of;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_tag_is_a_version_in_quotes(version in any::<u32>(), text in any::<String>()) {
            let expected = i32::try_from(version).is_ok().then_some(u64::from(version));
            for tag in [format!("\"{version}\""), format!("W/\"{version}\"")] {
                prop_assert_eq!(version_of(&tag), expected, "{}", tag);
            }
            for other in [format!("{version}"), format!("w/\"{version}\""), format!("\"{version}"), format!("\"+{version}\"")] {
                prop_assert_eq!(version_of(&other), None, "{}", other);
            }
            let _ = version_of(&text);
        }
    }
}
