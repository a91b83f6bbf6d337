//! wasm-opt's part: the same module, faster.

use std::path::Path;

use fs_err as fs;

use super::compile::Compiled;
use devstack::output::Output;
use devstack::{error::Result, tools::toolbox::Toolbox};

/// What wasm-opt does. Which WebAssembly features the module may use is in its own `target_features` section.
pub const PASSES: [&str; 4] = ["-O3", "--strip-debug", "--strip-producers", "--strip-target-features"];

/// Optimises the module in a folder of glue, in place.
pub async fn optimise(toolbox: &Toolbox, module: &Compiled, folder: &Path, output: &Output) -> Result<()> {
    let wasm = folder.join(output.wasm_name());
    let optimised = folder.join("optimised.wasm");
    toolbox
        .wasm_opt()?
        .arg(&wasm)
        .args(PASSES)
        .arg("-o")
        .arg(&optimised)
        .succeed(&format!("Optimising {}", module.function.name))
        .await?;
    Ok(fs::rename(&optimised, &wasm)?)
}
