//! The signals that mean "stop".

use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Context as _, Result};

/// Resolves, once, at Ctrl-C, SIGTERM or SIGHUP. From the call on these no longer end the process by themselves.
pub fn stop_requested() -> Result<impl Future<Output = ()>> {
    let on = |kind| signal(kind).context(|| "Signals cannot be watched".into());
    let (mut int, mut term, mut hup) =
        (on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = int.recv() => {}
            _ = term.recv() => {}
            _ = hup.recv() => {}
        }
    })
}
