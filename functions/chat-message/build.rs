//! Makes one JSON array of the crisis resources in `resources/`, ready to be sent. A faulty file stops the build.

use std::{env, fs, io, path::Path};

use serde_json::{Value, json};

/// What a resource may say. A name, a country and one way to get in touch are the least.
const MEMBERS: [&str; 6] = ["name", "phone", "text", "url", "hours", "country"];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=resources");
    let mut files: Vec<_> = fs::read_dir("resources")?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    let mut resources = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "json")) {
        match read(&fs::read_to_string(file)?) {
            Ok(found) => resources.extend(found),
            Err(fault) => println!("cargo::error={}: {fault}", file.display()),
        }
    }
    if resources.is_empty() {
        println!(
            "cargo::error=resources/ has no crisis resources: a message that shows a risk must be answered with some"
        );
    }
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&folder).join("crisis.json"), json!({ "resources": resources }).to_string())
}

/// The resources of a file's text: `{"resources": [{"name": …, "phone": …, "country": …}, …]}`.
fn read(text: &str) -> Result<Vec<Value>, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
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
