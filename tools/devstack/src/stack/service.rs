//! A program that runs as long as the stack does.

use std::{
    fs::OpenOptions,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{process::Command, sync::watch, time::timeout};

use super::{home::Home, pids, process_group::ProcessGroup};
use crate::{
    error::{Context as _, Error, Result},
    tools::command::last_lines,
};

/// How long a service may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program, its output in a log.
#[derive(Debug)]
pub struct Service {
    name: String,
    group: ProcessGroup,
    ended: watch::Receiver<Option<ExitStatus>>,
    log: PathBuf,
}

impl Service {
    /// Starts a program under a name.
    pub fn start(home: &Home, name: &str, mut command: Command) -> Result<Self> {
        let log = home.log(name);
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let (out, err) = open().and_then(|out| Ok((out, open()?))).context(|| format!("{}", log.display()))?;
        // A group of its own: Ctrl-C at the terminal reaches us alone, and we stop the services in order.
        let mut child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context(|| format!("{name} did not start"))?;
        let group = ProcessGroup::of(child.id());
        if let Some(pid) = child.id() {
            pids::note(&home.pids(), pid, name);
        }
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = child.wait().await.unwrap_or_default();
            let _ = tell.send(Some(status));
        });
        Ok(Self { name: name.to_owned(), group, ended, log })
    }

    /// The number of its process.
    pub fn pid(&self) -> Result<u32> {
        self.group.pid().ok_or_else(|| Error::new(format!("{} has no process", self.name)))
    }

    /// Resolves when it ends, with what to say if nobody asked it to.
    pub async fn ended(&self) -> Error {
        let mut ended = self.ended.clone();
        let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| *status).unwrap_or_default();
        self.error(&format!("ended unexpectedly ({status})"))
    }

    /// What happened to it, and the end of its log.
    fn error(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = last_lines(&log, 15);
        Error::new(format!("{} {what}. The end of {}:\n{lines}", self.name, self.log.display()))
    }

    /// Waits until `ready` resolves; ending before that is an error, and so is taking longer than `limit`.
    pub async fn until_ready(&self, limit: Duration, ready: impl Future<Output = ()>) -> Result<()> {
        tokio::select! {
            () = ready => Ok(()),
            error = self.ended() => Err(error),
            () = tokio::time::sleep(limit) => Err(self.error(&format!("was not ready after {} s", limit.as_secs()))),
        }
    }

    /// Kills it with everything it started, and waits until all of that is gone.
    pub async fn kill(self) {
        self.kill_all().await;
    }

    /// The same where whoever owns it still needs it.
    pub(super) async fn kill_all(&self) {
        let mut ended = self.ended.clone();
        let gone = async {
            self.group.kill_tree().await;
            ended.wait_for(Option::is_some).await.is_ok()
        };
        let _ = timeout(PATIENCE, gone).await;
    }

    /// Asks it to stop, and waits. (SIGINT is PostgreSQL's "fast" shutdown; the others simply stop.)
    pub async fn stop(mut self) {
        self.group.signal_leader(Signal::INT);
        let _ = timeout(PATIENCE, self.ended.wait_for(Option::is_some)).await;
        // Dropping the group kills whatever is left in it.
    }
}
