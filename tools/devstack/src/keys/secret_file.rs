//! Files with secrets in them.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use crate::error::{Context as _, Result};

/// Writes a new file that only its owner can read.
pub fn write(file: &Path, content: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)
        .and_then(|mut open| open.write_all(content))
        .context(|| format!("{} cannot be written", file.display()))
}
