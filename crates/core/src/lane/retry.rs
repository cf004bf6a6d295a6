//! When to try a failed exchange again: exponential with full jitter, without an entropy source.

use crate::id::RigId;
use crate::limits::{PEER_DELAY_MS_MAX, RETRY_MS_MAX, RETRY_MS_MIN};
use crate::time::MonoMs;

/// The waiting state of one connection.
#[derive(Debug, Clone)]
pub struct Retry {
    failures: u32,
    not_before: MonoMs,
    down_since: Option<MonoMs>,
    jitter: u64,
}

impl Retry {
    /// Ready at once. `rig` spreads the jitter so that rigs do not come back as a herd.
    #[must_use]
    pub fn new(rig: &RigId) -> Self {
        let digest = blake3::hash(rig.as_str().as_bytes());
        let seed: [u8; 8] = digest.as_bytes()[..8]
            .try_into()
            .expect("a hash has 32 bytes");
        Self {
            failures: 0,
            not_before: MonoMs(0),
            down_since: None,
            jitter: u64::from_le_bytes(seed) | 1,
        }
    }

    /// Whether a try is due.
    #[must_use]
    pub fn is_due(&self, now: MonoMs) -> bool {
        now >= self.not_before
    }

    /// When the next try is due.
    #[must_use]
    pub fn due_at(&self) -> MonoMs {
        self.not_before
    }

    /// Since when every try failed, `None` while the last one worked.
    #[must_use]
    pub fn down_since(&self) -> Option<MonoMs> {
        self.down_since
    }

    /// An exchange failed.
    pub fn failed(&mut self, now: MonoMs) {
        let ceiling = (RETRY_MS_MIN << self.failures.min(16)).min(RETRY_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        self.down_since.get_or_insert(now);
        self.not_before = now.after(self.draw() % (ceiling + 1));
    }

    /// An exchange worked; the peer wants `delay_ms` of peace.
    pub fn worked(&mut self, now: MonoMs, delay_ms: u64) {
        self.failures = 0;
        self.down_since = None;
        self.not_before = now.after(delay_ms.min(PEER_DELAY_MS_MAX));
    }

    /// The peer lives and asks to wait.
    pub fn told_to_wait(&mut self, now: MonoMs, delay_ms: u64) {
        self.not_before = now.after(delay_ms.min(PEER_DELAY_MS_MAX));
    }

    /// xorshift64: spreads, nothing more is asked of it.
    fn draw(&mut self) -> u64 {
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        self.jitter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_end_with_success() {
        let mut retry = Retry::new(&RigId::new("till-1").unwrap());
        let mut longest = 0;
        for _ in 0..200 {
            retry.failed(MonoMs(1_000));
            longest = longest.max(retry.due_at().since(MonoMs(1_000)));
        }
        assert!(
            longest > RETRY_MS_MAX / 2 && longest <= RETRY_MS_MAX,
            "{longest}"
        );
        assert_eq!(retry.down_since(), Some(MonoMs(1_000)));
        retry.worked(MonoMs(2_000), 0);
        assert!(retry.is_due(MonoMs(2_000)) && retry.down_since().is_none());
    }
}
