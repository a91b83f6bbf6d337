//! Lists the functions, so that a new one is fuzzed without a line here: every folder of `functions/`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const FUNCTIONS: &str = "../../functions";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FUNCTIONS}");
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(FUNCTIONS))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().replace('-', "_"));
        }
    }
    names.sort();
    let file = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("functions.rs");
    fs::write(file, format!("functions! {{ {} }}\n", names.join(" ")))
}
