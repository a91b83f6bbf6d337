//! wasm-opt's part: the same module, smaller.

use std::{fs, path::Path};

use super::{compile::Compiled, features, output::Output};
use crate::{
    error::{Context as _, Result},
    tools::toolbox::Toolbox,
};

/// What wasm-opt does besides allowing features.
pub const PASSES: [&str; 6] = [
    // The first KiB is the very end of Rust's stack, which nothing points into.
    "--low-memory-unused",
    "-Oz",
    // Inlining what is called once makes less wasm, and more once it is compressed.
    "--one-caller-inline-max-function-size=60",
    "--strip-debug",
    "--strip-producers",
    "--strip-target-features",
];

/// Shrinks the module in a folder of glue, in place.
pub async fn shrink(toolbox: &Toolbox, module: &Compiled, folder: &Path, output: &Output) -> Result<()> {
    let large = folder.join(output.wasm_name());
    let small = folder.join("optimised.wasm");
    toolbox
        .wasm_opt()?
        .arg(&large)
        .args(PASSES)
        .args(features::wasm_opt_flags(&module.wasm)?)
        .arg("-o")
        .arg(&small)
        .succeed(&format!("Making {} small", module.function.name))
        .await?;
    fs::rename(&small, &large).context(|| format!("{} cannot be replaced", large.display()))
}
