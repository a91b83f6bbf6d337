//! Tests that run inside a JavaScript engine: `wasm-pack test --node`.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{
    cargo_tools::CargoTools,
    report::{Outcome, Report},
};
use devstack::{checkout::Checkout, error::Result, files, tools::command::Tool};

/// Runs them in every crate that has some.
pub async fn tests(checkout: &Checkout, report: &mut Report) -> Result<()> {
    let mut crates = vec![checkout.path("shared")];
    crates.extend(checkout.functions()?.iter().map(|function| checkout.path("functions").join(&function.name)));
    crates.retain(|folder| ["src", "tests"].iter().any(|part| has_wasm_tests(&folder.join(part))));
    if crates.is_empty() {
        report.progress().say("wasm: no crate has wasm tests");
        return Ok(());
    }
    let tools = CargoTools::of(checkout)?;
    tools.ensure(checkout.root(), report.progress()).await?;
    for folder in crates {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        report.step(&format!("wasm, {name}"), wasm_pack(&tools, &folder)).await;
    }
    Ok(())
}

async fn wasm_pack(tools: &CargoTools, folder: &Path) -> Result<Outcome> {
    let said = Tool::new(tools.bin().join("wasm-pack"), folder)
        .args(["test", "--node", "--mode", "no-install"])
        .env("PATH", path_with(tools.bin()))
        // As in `build::compile`: with it, cargo would not read the flags in .cargo/config.toml.
        .env_remove("RUSTFLAGS")
        .run()
        .await?;
    Ok(Outcome::of_tests(&said))
}

fn path_with(first: PathBuf) -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest))).unwrap_or(rest)
}

fn has_wasm_tests(folder: &Path) -> bool {
    let files = files::below(folder).unwrap_or_default();
    let is_test = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains("wasm_bindgen_test]"));
    files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs")).any(is_test)
}
