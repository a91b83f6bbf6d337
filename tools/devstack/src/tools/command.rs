//! Running a tool to its end, with its output kept or shown, and no process left behind.

use std::{
    ffi::OsStr,
    io::Write as _,
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::process::Command;

use crate::{
    error::{Context as _, Error, Result},
    stack::process_group::ProcessGroup,
};

/// A tool's command line.
#[derive(Debug)]
pub struct Tool {
    name: String,
    command: Command,
}

/// What a tool said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Both streams, for a person to read.
    pub fn everything(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The last lines of both streams.
    pub fn last_lines(&self, count: usize) -> String {
        last_lines(&self.everything(), count)
    }
}

/// The last lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
}

impl Tool {
    /// A tool, run in `dir`.
    pub fn new(program: impl AsRef<OsStr>, dir: &Path) -> Self {
        let name = Path::new(program.as_ref()).file_name().unwrap_or(program.as_ref());
        let mut command = Command::new(program.as_ref());
        // A group of its own, so that whatever it starts can be stopped with it.
        command.current_dir(dir).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        Self { name: name.to_string_lossy().into_owned(), command }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs(mut self, variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Leaves out an environment variable that this process has.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it, as another user where one is given.
    #[must_use]
    pub fn user(mut self, user: Option<(u32, u32)>) -> Self {
        if let Some((uid, gid)) = user {
            self.command.uid(uid).gid(gid);
        }
        self
    }

    /// Gives it a short text on standard input: no more than a pipe holds, 64 KiB.
    pub fn input(mut self, text: &str) -> Result<Self> {
        let piped = std::io::pipe().and_then(|(reader, mut writer)| writer.write_all(text.as_bytes()).map(|()| reader));
        self.command.stdin(piped.context(|| format!("{} cannot be given its input", self.name))?);
        Ok(self)
    }

    /// Runs to the end and keeps what it says. A tool that cannot be started is an error; one that fails is not.
    pub async fn run(mut self) -> Result<Said> {
        self.command.stderr(Stdio::piped());
        self.run_to_the_end().await
    }

    /// The same for a tool that tells its progress on standard error: that is shown as it comes, and not kept.
    pub async fn run_showing_progress(mut self) -> Result<Said> {
        self.command.stderr(Stdio::inherit());
        self.run_to_the_end().await
    }

    async fn run_to_the_end(mut self) -> Result<Said> {
        let child = self
            .command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Error::new(format!("{} did not start: {error}", self.name)))?;
        let group = ProcessGroup::of(child.id());
        let output =
            child.wait_with_output().await.map_err(|error| Error::new(format!("{} was lost: {error}", self.name)))?;
        group.finished();
        Ok(Said {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs to the end; failing is an error that shows its last lines.
    pub async fn succeed(self, doing: &str) -> Result<Said> {
        let name = self.name.clone();
        let said = self.run().await?;
        if said.status.success() {
            return Ok(said);
        }
        let lines = said.last_lines(30);
        Err(Error::new(format!("{doing} failed ({name}, {}):\n{lines}", said.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Tool, last_lines};

    #[test]
    fn only_the_last_lines_are_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }

    #[tokio::test]
    async fn a_failing_tool_shows_what_it_said() {
        let here = std::env::temp_dir();
        let error = Tool::new("sh", &here).args(["-c", "echo why >&2; exit 3"]).succeed("Trying").await.err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("Trying failed") && text.contains("why"), "{text}");
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_is_named() {
        let here = std::env::temp_dir();
        let error = Tool::new("no-such-tool", &here).run().await.err();
        assert!(error.is_some_and(|error| error.to_string().contains("no-such-tool")));
    }
}
