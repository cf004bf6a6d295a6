//! The end of a process that was told to end.
//!
//! What always holds: what was handed over before is committed, whatever the peers do; no peer is waited for
//! that does not answer.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::timeout;

use crate::Node;

/// How long a stop waits until the peers hold what is here.
const DRAIN_MAX: Duration = Duration::from_secs(5);

impl Node {
    /// Ends all roles in order and waits for them. Peers that answer get the last sales first, for at
    /// most five seconds.
    pub async fn stop(mut self) {
        if let (Some((journal, _)), Some(page)) = (&self.journal, &self.page) {
            let drained = async {
                // Its answer comes after the news of all that was committed before.
                drop(journal.append(Vec::new()).await);
                page.drained().await;
            };
            if timeout(DRAIN_MAX, drained).await.is_err() {
                tracing::warn!(
                    "the peers do not hold everything yet; it goes there at the next start"
                );
            }
        }
        self.shutdown.send_replace(true);
        if let Some((handle, thread)) = self.journal.take() {
            finish(move || handle.stop(), thread).await;
        }
        if let Some((handle, thread)) = self.books.take() {
            finish(move || handle.stop(), thread).await;
        }
        while self.tasks.join_next().await.is_some() {}
        self.policies.stopped();
    }
}

/// Tells a store's thread to end and waits for it, off the async workers.
async fn finish(stop: impl FnOnce() + Send + 'static, thread: JoinHandle<()>) {
    let ended = tokio::task::spawn_blocking(move || {
        stop();
        thread.join()
    });
    if !matches!(ended.await, Ok(Ok(()))) {
        tracing::error!("a store's thread did not end well");
    }
}
