//! Where PostgreSQL's programs and data are, and as whom it runs.
//!
//! PostgreSQL refuses to run as root. Started by root it runs as `nobody`, who must be able to reach its programs and
//! data: a checkout below `/root`, or in a `mktemp -d`, is closed to others, and then both live in `/var/tmp`.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use fs_err::{self as fs, os::unix::fs::symlink};
use serde_json::Value;

use super::home::Home;
use crate::{
    error::{Context as _, Error, Result},
    fingerprint,
    tools::command::Tool,
};

/// A user and group.
pub type User = (u32, u32);

/// Where and as whom.
#[derive(Debug)]
pub struct PostgresHome {
    /// The folder with `bin`, `lib` and `share`.
    pub programs: PathBuf,
    /// The data.
    pub data: PathBuf,
    /// As whom it runs, where that is not ourselves.
    pub user: Option<User>,
    /// Whether it had to go elsewhere.
    pub elsewhere: bool,
    /// Where it is as seen from home: the data itself, or a link to it.
    seen_as: PathBuf,
}

impl PostgresHome {
    /// Decides, and copies the programs where they must be.
    pub async fn prepare(home: &Home, programs: PathBuf, data_name: &str) -> Result<Self> {
        let seen_as = home.folder().join(data_name);
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { programs, data: seen_as.clone(), user: None, elsewhere: false, seen_as });
        }
        let user = Some(nobody().await?);
        let binary = programs.join("bin/postgres");
        if open_to_others(home.folder(), 0o001) && open_to_others(&binary, 0o005) {
            return Ok(Self { programs, data: seen_as.clone(), user, elsewhere: false, seen_as });
        }
        let base = public_folder(&programs)?;
        let copy = base.join(copy_name(&programs)?);
        if !copy.exists() {
            copy_programs(&programs, &copy)?;
        }
        let data = base.join(format!("{data_name}-{}", short_digest(home.folder())));
        // A link shows the way there, to people and to whoever clears up.
        if fs::read_link(&seen_as).is_err() {
            // Whoever deletes .selvedge means its data too.
            let _ = fs::remove_dir_all(&data);
        }
        let _ = fs::remove_file(&seen_as);
        symlink(&data, &seen_as)?;
        Ok(Self { programs: copy, data, user, elsewhere: true, seen_as })
    }

    /// An empty data folder that belongs to whom PostgreSQL runs as.
    pub fn make_folder(&self, folder: &Path) -> Result<()> {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let Some((uid, gid)) = self.user else { return Ok(()) };
        chown(folder, Some(uid), Some(gid))
            .context(|| format!("{} cannot be given to PostgreSQL's user", folder.display()))
    }

    /// Data that is not to be kept goes.
    pub fn remove_data(&self) {
        let _ = fs::remove_dir_all(&self.data);
        let _ = fs::remove_file(&self.seen_as);
    }
}

/// Whether somebody else gets through to a path, with these permission bits at its end.
fn open_to_others(path: &Path, bits: u32) -> bool {
    let allows = |path: &Path, bits| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & bits == bits);
    allows(path, bits) && path.ancestors().skip(1).filter(|above| above.is_absolute()).all(|above| allows(above, 0o001))
}

async fn nobody() -> Result<User> {
    let id = async |flag: &str| {
        let said = Tool::new("id", Path::new("/")).args([flag, "nobody"]).succeed("Looking up the user nobody").await?;
        let id = said.stdout.trim().parse::<i64>().context(|| "The user nobody has an odd number".into())?;
        // macOS prints -2 for what is 4294967294.
        u32::try_from(id.rem_euclid(1 << 32)).context(|| "The user nobody has an odd number".into())
    };
    Ok((id("-u").await?, id("-g").await?))
}

/// `/var/tmp/selvedge-…`, one for each checkout. Anybody may make folders there, so one that somebody else made is
/// refused.
fn public_folder(programs: &Path) -> Result<PathBuf> {
    let base = Path::new("/var/tmp").join(format!("selvedge-{}", short_digest(programs)));
    if !base.exists() {
        fs::create_dir(&base)?;
    }
    let meta = fs::symlink_metadata(&base)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        let what = format!("{} is somebody else's", base.display());
        return Err(Error::new(what).cure(format!("rm -r {}", base.display())));
    }
    fs::set_permissions(&base, Permissions::from_mode(0o755))?;
    Ok(base)
}

fn short_digest(path: &Path) -> String {
    fingerprint::of(path.as_os_str().as_encoded_bytes()).chars().take(16).collect()
}

/// A name for each version, as the package beside the programs gives it.
fn copy_name(programs: &Path) -> Result<String> {
    let file = programs.with_file_name("package.json");
    let package: Value =
        serde_json::from_str(&fs::read_to_string(&file)?).context(|| format!("{} is not JSON", file.display()))?;
    let version = package.get("version").and_then(Value::as_str).unwrap_or("unknown");
    Ok(format!("postgresql-{version}"))
}

fn copy_programs(from: &Path, to: &Path) -> Result<()> {
    let part = to.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    copy_open(from, &part)?;
    Ok(fs::rename(&part, to)?)
}

/// Copies a folder so that everybody can read it, whatever the umask was where it came from.
fn copy_open(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_dir() {
            copy_open(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
            let runs = entry.metadata()?.permissions().mode() & 0o100 != 0;
            fs::set_permissions(&target, Permissions::from_mode(if runs { 0o755 } else { 0o644 }))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{copy_open, open_to_others};

    #[test]
    fn a_closed_folder_on_the_way_is_noticed() -> std::io::Result<()> {
        let closed = tempfile::tempdir()?;
        let inside = closed.path().join("inside");
        fs::create_dir_all(&inside)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755))?;
        assert!(open_to_others(&inside, 0o001));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
        assert!(!open_to_others(&inside, 0o001));
        Ok(())
    }

    #[test]
    fn a_copy_is_readable_by_all() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("bin"))?;
        fs::write(from.join("bin/tool"), "x")?;
        fs::set_permissions(from.join("bin/tool"), fs::Permissions::from_mode(0o700))?;
        copy_open(&from, &to)?;
        assert_eq!(fs::metadata(to.join("bin/tool"))?.permissions().mode() & 0o777, 0o755);
        Ok(())
    }
}
