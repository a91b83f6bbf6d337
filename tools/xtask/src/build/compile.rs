//! cargo's part: function crates to wasm.

use std::path::PathBuf;

use fs_err as fs;

use devstack::{
    checkout::{Checkout, Function},
    error::{Context as _, Error, Result},
    host::Host,
    progress::Progress,
    tools::{
        command::Tool,
        rust::{WASM, cargo},
    },
};

/// A function as cargo left it.
#[derive(Debug)]
pub struct Compiled {
    /// Which function.
    pub function: Function,
    /// For which host.
    pub host: Host,
    /// The module, before wasm-bindgen.
    pub wasm: Vec<u8>,
}

/// Where cargo keeps the sources of crates. Panics name their source files, so without a prefix map this path, usually in
/// somebody's home, would be in every module.
fn crates_folder() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    home.join("registry/src/")
}

/// Compiles functions for one host, all in one cargo run.
///
/// Both hosts share one target folder: cargo keeps their artefacts apart by features, so changing hosts rebuilds
/// nothing; only the final file's name is the same for both, hence the read straight away.
pub async fn compile(
    checkout: &Checkout,
    host: Host,
    functions: &[Function],
    progress: Progress,
) -> Result<Vec<Compiled>> {
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    progress.say(format!("compiling {} for {host}", names.join(", ")));
    let said = Tool::new(cargo(), checkout.root())
        .args(["build", "--release", "--target", WASM, "--no-default-features", "--features", host.name()])
        .args(names.iter().flat_map(|name| ["-p", name]))
        .arg("--config")
        .arg(format!("target.{WASM}.rustflags = [{:?}]", format!("--remap-path-prefix={}=", crates_folder().display())))
        // With these set, cargo would not read the flags in .cargo/config.toml, which the functions need.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .run_showing_progress()
        .await?;
    if !said.status.success() {
        return Err(Error::new(format!("the functions do not compile for {host}; cargo's errors are above")));
    }
    let folder = checkout.path("target").join(WASM).join("release");
    functions
        .iter()
        .map(|function| {
            let file = folder.join(format!("{}.wasm", function.stem()));
            let wasm = fs::read(&file).context(|| format!("cargo left no {}", file.display()))?;
            Ok(Compiled { function: function.clone(), host, wasm })
        })
        .collect()
}
