//! Whether what `cargo xtask new` makes compiles, lints and passes its own tests: made in a copy of the checkout.

use super::report::Outcome;
use devstack::{
    checkout::Checkout,
    error::Result,
    files,
    tools::{command::Tool, rust::cargo},
};
use fs_err as fs;

/// The function that is made. Its name has two words, so that the crate's and the folder's names differ.
const NAME: &str = "try-out";

/// Makes one and checks it. Crates from the registry are compiled as for the checkout, so only once.
pub async fn check(checkout: &Checkout) -> Result<Outcome> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.path("target"), |path| checkout.path(path));
    let copy = checkout.path("target/new");
    copied(checkout, &copy).await?;
    let tool = |program: &std::ffi::OsStr| Tool::new(program, &copy).env("CARGO_TARGET_DIR", &target);
    // The checkout's own program, run in the copy. Not this process's file: an earlier step may have built it anew.
    let new = tool(&cargo()).args(["run", "--quiet", "--package", "xtask", "--manifest-path"]);
    let made = Outcome::of_one(&new.arg(checkout.path("Cargo.toml")).args(["--", "new", NAME]).run().await?);
    if made.failed > 0 {
        return Ok(made);
    }
    let format = tool(&cargo()).args(["fmt", "--all", "--check"]).run().await?;
    let lint =
        tool(&cargo()).args(["clippy", "--package", NAME, "--all-targets", "--", "-D", "warnings"]).run().await?;
    let tests = tool(&cargo()).args(["test", "--package", NAME]).run().await?;
    let mut all = Outcome::of_tests(&tests);
    for one in [made, Outcome::of_one(&format), Outcome::of_one(&lint)] {
        all.passed += one.passed;
        all.failed += one.failed;
        all.output.push_str(&one.output);
    }
    fs::remove_dir_all(&copy)?;
    Ok(all)
}

/// Copies the files that git knows, or would know, and nothing that was built.
async fn copied(checkout: &Checkout, copy: &std::path::Path) -> Result<()> {
    if copy.exists() {
        fs::remove_dir_all(copy)?;
    }
    let git = Tool::new("git", checkout.root());
    let listed = git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).succeed("git").await?;
    for file in listed.stdout.split('\0').filter(|file| checkout.path(file).is_file()) {
        let to = copy.join(file);
        files::make_folder_of(&to)?;
        fs::copy(checkout.path(file), &to)?;
    }
    Ok(())
}
