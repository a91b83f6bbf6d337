//! Makes one JSON array of the crisis resources in `resources/`, ready to be sent. A faulty file stops the build.

use std::{env, fs, io, path::Path};

use serde_json::{Value, from_str, json};

#[path = "src/resources.rs"]
mod resources;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=resources");
    println!("cargo::rerun-if-changed=src/resources.rs");
    let mut files: Vec<_> = fs::read_dir("resources")?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "json")) {
        match resources::read(&fs::read_to_string(file)?) {
            Ok(found) => all.extend(found),
            Err(fault) => println!("cargo::error={}: {fault}", file.display()),
        }
    }
    if all.is_empty() {
        println!(
            "cargo::error=resources/ has no crisis resources: a message that shows a risk must be answered with some"
        );
    }
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&folder).join("crisis.json"), json!({ "resources": all }).to_string())
}
