//! A way to the stack on which answers get lost: what was asked is done, and whoever asked never learns of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::stack::Stack;

/// A TCP proxy in front of the gateway.
#[derive(Debug)]
pub struct LostAnswer {
    /// What stands in for the stack's API URL.
    pub url: String,
    left: Arc<AtomicUsize>,
}

impl LostAnswer {
    /// Starts one that loses the first so many answers to requests of this path.
    pub async fn to(path: &'static str, answers: usize, stack: &Stack) -> Self {
        let gateway = stack.api_url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicUsize::new(answers));
        let counter = left.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(&gateway).await.unwrap();
                let left = counter.clone();
                // However a connection ends, dropping it tells both sides.
                tokio::spawn(async move { drop(pass_on(client, upstream, path, &left).await) });
            }
        });
        Self { url, left }
    }

    /// Whether all it was to lose is lost.
    pub fn is_done(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

/// Passes everything on. When the answer to lose begins, which is after the commit, it hangs up on both.
async fn pass_on(
    mut client: TcpStream,
    mut upstream: TcpStream,
    path: &str,
    left: &AtomicUsize,
) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_asked = false;
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let bytes = &asked[..length?];
                // A request's first line comes in one piece on loopback.
                is_asked |= bytes.windows(path.len()).any(|window| window == path.as_bytes());
                upstream.write_all(bytes).await?;
                if bytes.is_empty() { return Ok(()) }
            }
            length = upstream.read(&mut answered) => {
                let bytes = &answered[..length?];
                let take = |left: usize| left.checked_sub(1);
                if is_asked && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
                if bytes.is_empty() { return Ok(()) }
            }
        }
    }
}
