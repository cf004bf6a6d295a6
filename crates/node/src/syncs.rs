//! How long the journal's last commits took, told to the status now and then.

use std::collections::VecDeque;

use popwatch_core::limits::SYNC_SAMPLES_MAX;
use popwatch_wire::answer_v1::{Sync, Vitals};
use tokio::sync::watch;

/// How often the times are told at most, ns.
const TELL_NS: u64 = 1_000_000_000;

/// The times of the last commits.
#[derive(Debug)]
pub(crate) struct Syncs {
    vitals: watch::Sender<Vitals>,
    took_us: VecDeque<u64>,
    told_ns: Option<u64>,
}

impl Syncs {
    /// None so far; they are told through `vitals`.
    pub(crate) fn new(vitals: watch::Sender<Vitals>) -> Self {
        Self {
            vitals,
            took_us: VecDeque::new(),
            told_ns: None,
        }
    }

    /// A commit that reached the disk took from `began_ns` to `ended_ns` by the steady clock.
    pub(crate) fn took(&mut self, began_ns: u64, ended_ns: u64) {
        if self.took_us.len() >= SYNC_SAMPLES_MAX {
            self.took_us.pop_front();
        }
        self.took_us
            .push_back(ended_ns.saturating_sub(began_ns) / 1_000);
        let soon = |told: u64| ended_ns.saturating_sub(told) < TELL_NS;
        if self.told_ns.is_some_and(soon) {
            return;
        }
        self.told_ns = Some(ended_ns);
        let sync = self.quantiles();
        self.vitals.send_modify(|vitals| vitals.sync = sync);
    }

    /// By nearest rank; `None` before the first commit.
    fn quantiles(&self) -> Option<Sync> {
        let mut sorted: Vec<u64> = self.took_us.iter().copied().collect();
        sorted.sort_unstable();
        let nearest = |per_cent: usize| {
            let rank = (sorted.len() * per_cent).div_ceil(100);
            sorted.get(rank.checked_sub(1)?).copied()
        };
        Some(Sync {
            p50_us: nearest(50)?,
            p99_us: nearest(99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_commits_and_told_once_a_second() {
        let (sender, told) = watch::channel(Vitals::default());
        let mut syncs = Syncs::new(sender);
        assert_eq!(syncs.quantiles(), None);
        syncs.took(0, 700_000);
        let first = told.borrow().sync;
        assert_eq!(
            first.map(|sync| (sync.p50_us, sync.p99_us)),
            Some((700, 700))
        );
        for us in 1..=128 {
            syncs.took(1_000_000, 1_000_000 + us * 1_000);
        }
        assert_eq!(told.borrow().sync, first);
        let last = syncs.quantiles().unwrap();
        assert_eq!((last.p50_us, last.p99_us), (64, 127));
    }
}
