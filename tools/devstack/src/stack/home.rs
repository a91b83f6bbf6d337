//! The folder a stack lives in: its keys, logs, process ids and, where possible, its data.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::pids;
use crate::{
    error::{Context as _, Error, Result},
    keys::secret_file,
};

/// A stack's folder, held by this process alone.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    _lock: File,
}

/// Where a home keeps its signing key.
pub fn signing_key(folder: &Path) -> PathBuf {
    folder.join("signing-key.pem")
}

impl Home {
    /// Opens a folder, alone, after stopping whatever a stack that was killed left running in it.
    pub async fn open(folder: PathBuf) -> Result<Self> {
        // Not private: PostgreSQL, started by root, runs as somebody else and must get through to its data.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder.join("logs"))
            .context(|| format!("{} cannot be made", folder.display()))?;
        let lock = File::create(folder.join("lock")).context(|| format!("{} cannot be used", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("another stack is running in {}", folder.display());
                return Err(Error::new(what).cure("stop it (Ctrl-C where it runs)"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::new(format!("{} cannot be locked: {error}", folder.display())));
            }
        }
        let home = Self { folder, _lock: lock };
        pids::stop_leftovers(&home.pids()).await;
        let _ = fs::remove_file(home.description());
        for log in fs::read_dir(home.folder.join("logs")).into_iter().flatten().flatten() {
            let _ = fs::remove_file(log.path());
        }
        Ok(home)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The list of what was started.
    pub fn pids(&self) -> PathBuf {
        self.folder.join("pids")
    }

    /// stack.json.
    pub fn description(&self) -> PathBuf {
        self.folder.join("stack.json")
    }

    /// One service's log.
    pub fn log(&self, service: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{service}.log"))
    }

    /// The publishable key, made the first time. Not a secret, but kept so that clients keep working.
    pub fn publishable_key(&self) -> Result<String> {
        let key = || Ok(format!("sb_publishable_{}", Uuid::new_v4().simple()));
        secret_file::keep(&self.folder.join("publishable-key"), key)
    }

    /// The password of PostgreSQL's superuser, made the first time.
    pub fn postgres_password(&self) -> Result<String> {
        let password = || Ok(Uuid::new_v4().simple().to_string());
        secret_file::keep(&self.folder.join("postgres-password"), password)
    }

    /// The folder of a home that is not to be kept goes, with everything in it.
    pub fn remove(self) {
        // Data that had to live elsewhere is linked from here.
        if let Ok(data) = fs::read_link(self.folder.join("postgres-ephemeral")) {
            let _ = fs::remove_dir_all(data);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
