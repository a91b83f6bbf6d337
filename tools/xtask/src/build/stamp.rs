//! Whether a built function is still what its inputs would make.

use fs_err as fs;

use super::{compile::Compiled, glue, optimise};
use devstack::output::Output;
use devstack::{checkout::Checkout, error::Result, files, fingerprint};

/// A digest of everything that decides the output: cargo's wasm, the tools' versions, and what we ask of them. (That
/// the wasm is up to date is cargo's business; it is asked every time.)
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp {
    inputs: String,
}

impl Stamp {
    /// Of a compiled function.
    pub fn of(checkout: &Checkout, module: &Compiled) -> Result<Self> {
        let npm = fs::read(checkout.path("package-lock.json"))?;
        let bindgen = checkout.locked_version("wasm-bindgen-cli-support")?;
        let shim = glue::workers_shim(&module.function, &[]);
        let parts = [module.wasm.as_slice(), &npm, bindgen.as_bytes(), shim.as_bytes()].map(fingerprint::of);
        Ok(Self { inputs: fingerprint::of(parts.concat() + &optimise::PASSES.join(" ")) })
    }

    /// Whether the output has this stamp, and is as it was left.
    pub fn is_on(&self, output: &Output) -> bool {
        fs::read_to_string(output.stamp()).is_ok_and(|stamp| self.with(output).is_ok_and(|whole| whole == stamp))
    }

    /// Puts it on.
    pub fn put_on(&self, output: &Output) -> Result<()> {
        let file = output.stamp();
        files::make_folder_of(file)?;
        Ok(fs::write(file, self.with(output)?)?)
    }

    /// Inputs and outputs, so that a file changed or deleted by hand is made again.
    fn with(&self, output: &Output) -> Result<String> {
        let mut lines = format!("inputs {}\n", self.inputs);
        for file in output.loaded_files()? {
            let bytes = fs::read(&file)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            lines.push_str(&format!("{name} {}\n", fingerprint::of(bytes)));
        }
        Ok(lines)
    }
}
