//! wasm-pack and wasm-bindgen's test runner, from crates.io, kept outside the checkout.

use std::path::{Path, PathBuf};

use devstack::{
    checkout::Checkout,
    error::{Error, Result},
    progress::Progress,
    tools::{command::Tool, rust::cargo},
};

const WASM_PACK: &str = "0.15.1";

/// The tools, in a folder named after their versions. (Neither downloads anything then: their own way of fetching
/// each other's binaries from GitHub is what we avoid.)
#[derive(Debug)]
pub struct CargoTools {
    folder: PathBuf,
    packages: [String; 2],
}

impl CargoTools {
    /// Of the versions this checkout needs: the test runner must be wasm-bindgen's own.
    pub fn of(checkout: &Checkout) -> Result<Self> {
        let bindgen = checkout.locked_version("wasm-bindgen")?;
        let folder = cache()?.join(format!("tools-wasm-pack-{WASM_PACK}-wasm-bindgen-{bindgen}"));
        let packages = [format!("wasm-bindgen-cli@{bindgen}"), format!("wasm-pack@{WASM_PACK}")];
        Ok(Self { folder, packages })
    }

    /// Where the programs are.
    pub fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Whether both are there.
    pub fn are_installed(&self) -> bool {
        ["wasm-pack", "wasm-bindgen-test-runner"].iter().all(|name| self.bin().join(name).is_file())
    }

    /// Compiles them unless they are there. Unoptimised: compiling takes minutes, running them does not.
    pub async fn ensure(&self, root: &Path, progress: Progress) -> Result<()> {
        if self.are_installed() {
            return Ok(());
        }
        progress.say(format!(
            "installing {} into {} (some minutes, once)",
            self.packages.join(", "),
            self.folder.display()
        ));
        Tool::new(cargo(), root)
            .args(["install", "--debug", "--quiet", "--root"])
            .arg(&self.folder)
            .args(&self.packages)
            // One target folder for both, so that what they share is compiled once.
            .env("CARGO_TARGET_DIR", self.folder.join("target"))
            .succeed("Installing wasm-pack and wasm-bindgen's test runner")
            .await
            .map_err(|error| error.cure("check that crates.io can be reached, then the same command again"))?;
        let _ = std::fs::remove_dir_all(self.folder.join("target"));
        Ok(())
    }
}

/// `$SELVEDGE_CACHE`, or `~/.cache/selvedge`.
fn cache() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("SELVEDGE_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(|home| Path::new(&home).join(".cache/selvedge"))
        .ok_or_else(|| Error::new("there is no home folder to keep wasm-pack in").cure("SELVEDGE_CACHE=<a folder>"))
}
