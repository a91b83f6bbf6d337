//! The wasm target of the Rust toolchain in use.

use std::{ffi::OsString, path::Path, path::PathBuf};

use super::command::Tool;
use crate::error::{Error, Result};

/// What every function compiles to.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The cargo that runs us, so that everything is built by one toolchain.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Whether the toolchain has the wasm target.
pub async fn has_wasm(root: &Path) -> Result<bool> {
    let said = Tool::new("rustc", root).args(["--print", "target-libdir", "--target", WASM]).succeed("rustc").await?;
    Ok(PathBuf::from(said.stdout.trim()).is_dir())
}

/// Adds the wasm target where it is missing; true when it was. `rust-toolchain.toml` could ask for it, but automatic
/// installs may be off, so we do.
pub async fn ensure_wasm(root: &Path) -> Result<bool> {
    if has_wasm(root).await? {
        return Ok(false);
    }
    let cure = format!(
        "rustup target add {WASM}\n(needs rustup, https://rustup.rs, and its server; behind a proxy set HTTPS_PROXY)"
    );
    let said = Tool::new("rustup", root)
        .args(["target", "add", WASM])
        .run()
        .await
        .map_err(|error| Error::new(format!("the Rust target {WASM} is missing, and {error}")).cure(&cure))?;
    if said.status.success() && has_wasm(root).await? {
        return Ok(true);
    }
    let what = format!("the Rust target {WASM} could not be installed:\n{}", said.last_lines(10));
    Err(Error::new(what).cure(cure))
}
