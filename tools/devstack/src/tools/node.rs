//! Node.js, which runs npm and what npm brings.

use std::path::Path;

use super::command::Tool;
use crate::error::{Error, Result};

/// The oldest Node.js everything here runs on.
pub const OLDEST: u32 = 20;

/// Node's version, when there is one and it is new enough.
pub async fn check(root: &Path) -> Result<String> {
    let cure = format!("install Node.js {OLDEST} or newer: https://nodejs.org/en/download");
    let said = Tool::new("node", root)
        .arg("--version")
        .run()
        .await
        .map_err(|_| Error::new("there is no Node.js here (`node` is not on PATH)").cure(&cure))?;
    let version = said.stdout.trim().to_owned();
    match major(&version) {
        Some(major) if major >= OLDEST => Ok(version),
        _ => Err(Error::new(format!("Node.js is {version}, older than {OLDEST}")).cure(cure)),
    }
}

fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("nightly"), None);
    }
}
