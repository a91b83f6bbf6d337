//! Where to turn in a crisis. It goes with every response to a message that showed a risk, above all with those that
//! say that something went wrong.

use shared::answer::{self, Problem};
use shared::host::{Request, Response};
use shared::http::Method;
use shared::request::RequestBody;
use shared::serde_json::{Value, from_str, json};

use crate::Settings;

#[path = "resources.rs"]
mod resources;

/// The helplines, from `resources/`: the build makes one line of JSON of the files.
pub const CRISIS: &str = include_str!(concat!(env!("OUT_DIR"), "/crisis.json"));

/// Reads `CRISIS_RESOURCES`: `{"resources": [{"name": …, "phone": …, "country": …}, …]}`, at least one.
pub(crate) fn read(text: &str) -> Option<String> {
    let resources = resources::read(text).ok().filter(|resources| !resources.is_empty())?;
    Some(json!({ "resources": resources }).to_string())
}

/// The field that makes the response bring help along.
const RISK: &str = "risk";

/// Adds the helplines to every response to a body with `risk`, whatever the path and whatever came of it: nobody in a
/// crisis should hear of a typing error alone. A body that cannot be read may have said so.
pub(crate) fn always(
    settings: &Settings,
    request: &Request,
    body: &RequestBody,
    response: &mut Response,
) -> Result<(), Problem> {
    if matches!(request.method, Method::POST | Method::PUT) && body.has(RISK).unwrap_or(true) {
        answer::add_member(response, "crisis", settings.crisis.as_deref().unwrap_or(CRISIS))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CRISIS, read};

    #[test]
    fn resources_of_the_configuration_are_held_to_the_same_rules_as_the_files() {
        assert!(read(CRISIS).is_some());
        let one = r#"{"resources":[{"name":"Samaritans","phone":"116 123","country":"GB"}]}"#;
        assert!(read(one).unwrap().contains("116 123"));
        for wrong in [
            "",
            "[]",
            r#"{"resources":[]}"#,
            r#"{"resources":[{"name":"x","country":"GB"}]}"#,
            r#"{"resources":[{"name":"x","phone":1,"country":"GB"}]}"#,
            r#"{"resources":[{"name":"x","phone":"1","country":"GB","more":"x"}]}"#,
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
