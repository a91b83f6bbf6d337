//! What a list of crisis resources may be: those in `resources/`, and those of `CRISIS_RESOURCES`. build.rs uses it too.

use super::{Value, from_str};

/// What a resource may say. A name, a country and one way to get in touch are the least.
const MEMBERS: [&str; 6] = ["name", "phone", "text", "url", "hours", "country"];

/// The resources of a text: `{"resources": [{"name": …, "phone": …, "country": …}, …]}`.
pub(super) fn read(text: &str) -> Result<Vec<Value>, String> {
    let file: Value = from_str(text).map_err(|error| error.to_string())?;
    let resources = file.get("resources").and_then(Value::as_array).ok_or("has no array `resources`")?;
    for (place, resource) in resources.iter().enumerate() {
        let members = resource.as_object().ok_or(format!("resources[{place}] is no object"))?;
        if let Some((name, _)) =
            members.iter().find(|(name, value)| !MEMBERS.contains(&name.as_str()) || !value.is_string())
        {
            return Err(format!("resources[{place}].{name} is not one of {MEMBERS:?}, or no string"));
        }
        let has = |name: &str| members.contains_key(name);
        if !has("name") || !has("country") || !["phone", "text", "url"].into_iter().any(has) {
            return Err(format!("resources[{place}] needs name, country, and one of phone, text and url"));
        }
    }
    Ok(resources.clone())
}
