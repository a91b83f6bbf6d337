//! Memory of a workerd process: whether it grows with requests, with callers who disconnect, and with large pages.

use std::time::Duration;

use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

use super::{
    machine::{megabytes, memory_of},
    table::{Budget, Table},
    workers::{Kind::Selvedge, Operation, Running, Workers},
};
use devstack::{
    error::{Context as _, Error, Result},
    progress::Progress,
    stack::ports,
};

/// Requests, and those before them, which warm the process up.
const REQUESTS: (usize, usize) = (100_000, 50_000);
/// Callers who disconnect, and how many do so at once.
const DISCONNECTED: (usize, usize) = (1000, 20);
/// How large an upload they begin, and how long they stay.
const UPLOAD: (usize, Duration) = (513_000, Duration::from_millis(30));
/// Readers of the largest pages, and how many pages they read in all.
const READERS: (usize, usize) = (20, 2000);
/// How many megabytes the process may have more with them.
const READERS_BUDGET: f64 = 64.0;
/// What a function may take to let go of a caller who has disconnected: twice its timeout, which is a second here.
const RELEASED: Duration = Duration::from_millis(2500);

/// Measures it.
pub async fn measure(workers: &Workers, progress: Progress) -> Result<Table> {
    let mut table = Table::new("Memory of a workerd process", ["memory of the process", "before", "after", "growth"]);

    progress.say("memory: 100,000 requests");
    let worker = workers.start(Selvedge, Operation::Message).await?;
    let side = worker.side(Operation::Message);
    side.send(8, REQUESTS.1).await?;
    let before = memory_of(worker.pid)?.resident;
    side.send(8, REQUESTS.0).await?;
    let after = memory_of(worker.pid)?.resident;
    worker.stop().await;
    row(&mut table, "after 10⁵ requests", before, after, no_growth(before, after));

    progress.say("memory: 1000 callers who disconnect");
    let worker = workers.start_with(Selvedge, Operation::Batch, &[("SUPABASE_TIMEOUT", "1")]).await?;
    // Twice: by then V8's heap has grown as far as this load makes it.
    disconnect(&worker).await?;
    disconnect(&worker).await?;
    let before = memory_of(worker.pid)?.resident;
    disconnect(&worker).await?;
    let after = memory_of(worker.pid)?.resident;
    worker.stop().await;
    row(&mut table, "after 10³ callers who disconnected", before, after, no_growth(before, after));

    progress.say("memory: 20 readers of large pages");
    let worker = workers.start(Selvedge, Operation::LargePage).await?;
    worker.side(Operation::Page).send(8, 8).await?;
    let before = memory_of(worker.pid)?.resident;
    worker.side(Operation::LargePage).send(READERS.0, READERS.1).await?;
    let peak = memory_of(worker.pid)?.peak;
    worker.stop().await;
    let grown = megabytes(peak) - megabytes(before);
    let budget = Budget::new(format!("≤ {READERS_BUDGET} MB"), grown <= READERS_BUDGET);
    row(&mut table, "at most, with 20 readers of pages of 1 MiB", before, peak, budget);

    Ok(table)
}

fn row(table: &mut Table, what: &str, before: u64, after: u64, budget: Budget) {
    let told = |bytes: f64| format!("{bytes:.1} MB");
    let (before, after) = (megabytes(before), megabytes(after));
    table.row(vec![what.into(), told(before), told(after), told(after - before)], Some(budget));
}

fn no_growth(before: u64, after: u64) -> Budget {
    let (before, after) = (megabytes(before), megabytes(after));
    Budget::new("no growth", after <= (before * 1.05).max(before + 4.0))
}

/// Lets callers begin an upload and go, and waits until the function must have let go of them.
async fn disconnect(worker: &Running) -> Result<()> {
    let (door, token) = (&worker.door, &worker.person()?.token);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\napikey: {}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n",
        ports::address(door.port),
        door.key,
        UPLOAD.0
    );
    // The last quarter never comes.
    let begun = [head.as_bytes(), &vec![b' '; UPLOAD.0 / 4 * 3]].concat();
    for _ in 0..DISCONNECTED.0 / DISCONNECTED.1 {
        let mut uploads = JoinSet::new();
        for _ in 0..DISCONNECTED.1 {
            let (port, begun) = (door.port, begun.clone());
            uploads.spawn(async move {
                let mut stream = TcpStream::connect(ports::address(port)).await?;
                stream.write_all(&begun).await?;
                tokio::time::sleep(UPLOAD.1).await;
                Ok::<_, std::io::Error>(())
            });
        }
        while let Some(ended) = uploads.join_next().await {
            let ended = ended.context(|| "An upload broke off".into())?;
            ended.map_err(|error| Error::new(format!("an upload cannot be begun: {error}")))?;
        }
    }
    tokio::time::sleep(RELEASED).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Budget, no_growth};

    #[test]
    fn five_percent_or_four_megabytes_are_no_growth() {
        let met = |before, after| no_growth(before, after) == Budget::new("no growth", true);
        assert!(met(50_000_000, 54_000_000) && !met(50_000_000, 54_100_000));
        assert!(met(200_000_000, 210_000_000) && !met(200_000_000, 210_100_000));
    }
}
