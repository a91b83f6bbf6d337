//! Where a built function goes.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{
    checkout::{Checkout, Function},
    error::Result,
    files,
    host::Host,
};

/// Where wasm-bindgen puts JavaScript that crates bring along.
pub const SNIPPETS: &str = "snippets";

/// The folder one function for one host is built into.
///
/// For Workers that is `build/workers/<function>/`, all of it made; for Supabase `supabase/functions/<function>/`,
/// beside the `index.ts` that is in the repository, because that is where `supabase functions deploy` looks.
#[derive(Debug, Clone)]
pub struct Output {
    folder: PathBuf,
    scratch: PathBuf,
    stamp: PathBuf,
    stem: String,
    /// Which function.
    pub function: Function,
    /// For which host.
    pub host: Host,
}

impl Output {
    /// Of one function for one host.
    pub fn of(checkout: &Checkout, host: Host, function: &Function) -> Self {
        let folder = match host {
            Host::Workers => checkout.path("build/workers"),
            Host::Supabase => checkout.path("supabase/functions"),
        };
        let made = checkout.path("build");
        Self {
            folder: folder.join(&function.name),
            // Two builds at once each work in a folder of their own.
            scratch: made.join("scratch").join(format!("{}-{host}-{}", function.name, std::process::id())),
            stamp: made.join("stamps").join(format!("{}-{host}", function.name)),
            stem: function.stem(),
            function: function.clone(),
            host,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the parts are made before they are moved into place.
    pub fn scratch(&self) -> PathBuf {
        self.scratch.clone()
    }

    /// Where the stamp of the last build is.
    pub fn stamp(&self) -> &Path {
        &self.stamp
    }

    /// The module's file name.
    pub fn wasm_name(&self) -> String {
        format!("{}_bg.wasm", self.stem)
    }

    /// The files a host loads: JavaScript and wasm, by name; snippets of JavaScript that crates bring included.
    pub fn loaded_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = files::below(&self.folder)?;
        files.retain(|file| file.extension().is_some_and(|kind| kind == "js" || kind == "wasm"));
        Ok(files)
    }

    /// Moves the parts from scratch into place.
    pub fn publish(&self, scratch: &Path) -> Result<()> {
        // The names of snippets' folders change with the crates they come from: the old ones would stay.
        let _ = fs::remove_dir_all(self.folder.join(SNIPPETS));
        for file in files::below(scratch)? {
            let to = self.folder.join(file.strip_prefix(scratch).unwrap_or(&file));
            files::make_folder_of(&to)?;
            fs::rename(&file, &to)?;
        }
        let _ = fs::remove_dir_all(scratch);
        Ok(())
    }
}
