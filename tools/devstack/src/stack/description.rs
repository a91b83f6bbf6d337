//! stack.json: what a client of the stack must know.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Context as _, Error, Result},
    keys::secret_file,
};

/// The stack, for those who use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The gateway.
    pub api_url: String,
    /// The key that goes into `apikey`.
    pub publishable_key: String,
    /// The database, as its superuser.
    pub db_url: String,
    /// Where the functions run.
    pub host: String,
    /// Each function's URL.
    pub functions: BTreeMap<String, String>,
}

impl Description {
    /// Reads stack.json.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file)
            .map_err(|_| Error::new(format!("no stack is running ({} is not there)", file.display())))?;
        serde_json::from_str(&text).context(|| format!("{} is not a stack.json", file.display()))
    }

    /// Writes it. The database's password is in it, so only its owner can read it.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context(|| "stack.json cannot be written".into())?;
        secret_file::write(file, &format!("{text}\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::Description;

    #[test]
    fn what_is_written_is_read_by_its_owner_alone() {
        let text = |text: &str| text.to_owned();
        let description = Description {
            api_url: text("http://127.0.0.1:1"),
            publishable_key: text("sb_publishable_x"),
            db_url: text("postgres://x"),
            host: text("workers"),
            functions: [(text("f"), text("http://127.0.0.1:1/functions/v1/f"))].into(),
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stack.json");
        description.write(&file).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!((Description::read(&file).unwrap(), mode), (description, 0o600));
    }
}
