//! This checkout of the repository: where things are, and which functions it has.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::{
    error::{Context as _, Error, Result},
    files,
};

/// The repository on disk.
#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
}

/// One crate under `functions/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// The folder's name, which is also the crate's and the URL's: `chat-message`.
    pub name: String,
}

impl Function {
    /// The name rustc gives the crate's files: `chat_message`.
    pub fn stem(&self) -> String {
        self.name.replace('-', "_")
    }
}

impl Checkout {
    /// The checkout this program runs in: the folder it was started in, or the first above it, that has
    /// `wrangler.toml` and `functions/`. Not the one it was compiled in: a checkout may be a copy, its `target` included.
    pub fn here() -> Result<Self> {
        let here = std::env::current_dir().context(|| "The current folder cannot be read".into())?;
        Self::around(&here).ok_or_else(|| {
            Error::new(format!("{} is in no checkout of Selvedge", here.display())).cure("cd into one, then the same")
        })
    }

    /// The checkout a folder is in.
    fn around(folder: &Path) -> Option<Self> {
        let is_root = |folder: &&Path| folder.join("wrangler.toml").is_file() && folder.join("functions").is_dir();
        folder.ancestors().find(is_root).map(Self::at)
    }

    /// One elsewhere: of it no more has to be there than is used.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A path below the root.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the local stack keeps between runs: `.selvedge`, or the folder `SELVEDGE_STATE` names.
    pub fn state(&self) -> PathBuf {
        std::env::var_os("SELVEDGE_STATE").map_or_else(|| self.path(".selvedge"), |folder| self.path(folder))
    }

    /// Every function, by name.
    pub fn functions(&self) -> Result<Vec<Function>> {
        let folder = self.path("functions");
        let mut names = files::names(&folder)?;
        names.retain(|name| folder.join(name).join("Cargo.toml").is_file());
        let functions: Vec<_> = names.into_iter().map(|name| Function { name }).collect();
        if functions.is_empty() {
            return Err(Error::new(format!("{} holds no function crate", folder.display())));
        }
        Ok(functions)
    }

    /// The functions named, or all when none is.
    pub fn functions_named(&self, names: &[String]) -> Result<Vec<Function>> {
        let all = self.functions()?;
        if let Some(unknown) = names.iter().find(|name| all.iter().all(|function| function.name != **name)) {
            let known: Vec<_> = all.iter().map(|function| function.name.as_str()).collect();
            return Err(Error::new(format!("there is no function {unknown:?}")).cure(known.join(", ")));
        }
        Ok(all.into_iter().filter(|function| names.is_empty() || names.contains(&function.name)).collect())
    }

    /// The version of a crate in Cargo.lock.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        version_in_lock(&fs::read_to_string(self.path("Cargo.lock"))?, package)
            .map(str::to_owned)
            .ok_or_else(|| Error::new(format!("Cargo.lock names no {package}")).cure("cargo build -p xtask"))
    }

    /// `compatibility_date` in wrangler.toml, so that the local Workers runtime behaves as the deployed one.
    pub fn compatibility_date(&self) -> Result<String> {
        fs::read_to_string(self.path("wrangler.toml"))?
            .lines()
            .find_map(|line| line.strip_prefix("compatibility_date = \"")?.strip_suffix('"'))
            .map(str::to_owned)
            .ok_or_else(|| Error::new("wrangler.toml has no line `compatibility_date = \"YYYY-MM-DD\"`"))
    }
}

fn version_in_lock<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::{Checkout, Function, version_in_lock};

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock =
            "[[package]]\nname = \"b-c\"\nversion = \"2.0.0\"\n\n[[package]]\nname = \"b\"\nversion = \"1.2.3\"\n";
        assert_eq!(version_in_lock(lock, "b"), Some("1.2.3"));
        assert_eq!(version_in_lock(lock, "a"), None);
    }

    #[test]
    fn this_checkout_has_functions() {
        let checkout = Checkout::here().unwrap();
        assert!(checkout.functions().unwrap().contains(&Function { name: "chat-message".into() }));
        assert!(checkout.functions_named(&["chat-mesage".into()]).is_err());
    }

    #[test]
    fn a_copy_of_a_checkout_is_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path();
        let inside = copy.join("functions/chat-message/src");
        std::fs::create_dir_all(&inside).unwrap();
        assert!(Checkout::around(&inside).is_none(), "a folder `functions` alone is no checkout");
        std::fs::write(copy.join("wrangler.toml"), "").unwrap();
        assert_eq!(Checkout::around(&inside).unwrap().root(), copy);
    }

    #[test]
    fn a_stem_is_what_rustc_makes_of_the_name() {
        assert_eq!(Function { name: "chat-message".into() }.stem(), "chat_message");
    }
}
