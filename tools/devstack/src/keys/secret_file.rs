//! Files with secrets in them.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use crate::error::{Context as _, Result};

/// Writes a file that only its owner can read, whole: who sees the file sees all of it.
pub fn write(file: &Path, content: &str) -> Result<()> {
    let part = file.with_extension("part");
    let _ = fs::remove_file(&part);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(&part)
        .and_then(|mut open| open.write_all(content.as_bytes()))
        .and_then(|()| fs::rename(&part, file))
        .context(|| format!("{} cannot be written", file.display()))
}

/// The text of such a file, which is made the first time and kept.
pub fn keep(file: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    if !file.exists() {
        write(file, &make()?)?;
    }
    fs::read_to_string(file).context(|| format!("{} cannot be read", file.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{keep, write};

    #[test]
    fn a_secret_is_private_made_once_and_replaced_whole() -> crate::error::Result<()> {
        let file = std::env::temp_dir().join(format!("selvedge-secret-{}", uuid::Uuid::new_v4().simple()));
        assert_eq!(keep(&file, || Ok("first".to_owned()))?, "first");
        assert_eq!(keep(&file, || Ok("second".to_owned()))?, "first");
        // One from before, which others can read.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        write(&file, "third")?;
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!((fs::read_to_string(&file).unwrap().as_str(), mode), ("third", 0o600));
        fs::remove_file(&file).unwrap();
        Ok(())
    }
}
