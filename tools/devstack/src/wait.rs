//! Waiting for what tells nobody when it is so.

use std::time::Duration;

/// Asks again and again, with a pause between, until the answer is yes. A caller who will not wait for ever puts a
/// `timeout` around it.
pub async fn until<F: Future<Output = bool>>(pause: Duration, mut is_so: impl FnMut() -> F) {
    while !is_so().await {
        tokio::time::sleep(pause).await;
    }
}
