//! Files with secrets in them.

use std::{io::Write as _, path::Path};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::error::{Context as _, Result};

/// Writes a file that only its owner can read, whole: who sees the file sees all of it.
pub fn write(file: &Path, content: &str) -> Result<()> {
    // tempfile makes its files for their owner alone.
    let part = NamedTempFile::new_in(file.parent().unwrap_or(file));
    part.and_then(|mut part| part.write_all(content.as_bytes()).map(|()| part))
        .and_then(|part| Ok(part.persist(file)?))
        .context(|| format!("{} cannot be written", file.display()))?;
    Ok(())
}

/// The text of such a file, which is made the first time and kept.
pub fn keep(file: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    if !file.exists() {
        write(file, &make()?)?;
    }
    Ok(fs::read_to_string(file)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{keep, write};

    #[test]
    fn a_secret_is_private_made_once_and_replaced_whole() -> crate::error::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("secret");
        assert_eq!(keep(&file, || Ok("first".to_owned()))?, "first");
        assert_eq!(keep(&file, || Ok("second".to_owned()))?, "first");
        // One from before, which others can read.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, "third")?;
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode), ("third", 0o600));
        Ok(())
    }
}
