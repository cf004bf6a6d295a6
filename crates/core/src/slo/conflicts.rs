//! Tokens that were redeemed on two rigs: outcomes no single rig can tell of.
//!
//! Each redemption was fed as a good one when its rig told of it; that the two contradict each other
//! is fed as a bad one more, to the popup alone, for nobody knows yet which rig was wrong. The proof
//! of the page rule holds with it: a good outcome followed with probability ε by a bad one has the
//! mean factor 1 − q(q − ε)/(1 − ε) ≤ 1.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use core::ops::RangeInclusive;

use super::Outcomes;

/// Conflicts by minute, and how many of them were fed.
#[derive(Debug, Clone, Default)]
pub(super) struct Conflicts {
    known: BTreeMap<u32, i128>,
    counted: BTreeMap<u32, u64>,
    counted_all: u64,
}

impl Conflicts {
    /// Takes what is known now; answers what is new, by minute, `None` where nothing changed. One that
    /// only moved to another minute is not new.
    pub(super) fn learn(&mut self, known: &BTreeMap<u32, i128>) -> Option<BTreeMap<u32, u64>> {
        if self.known == *known {
            return None;
        }
        let mut news = BTreeMap::new();
        self.known.clone_from(known);
        let all = self.all();
        for (minute, held) in known {
            let held = count(*held);
            let counted = self.counted.entry(*minute).or_default();
            let fresh = held
                .saturating_sub(*counted)
                .min(all.saturating_sub(self.counted_all));
            *counted = (*counted).max(held);
            self.counted_all += fresh;
            if fresh > 0 {
                news.insert(*minute, fresh);
            }
        }
        Some(news)
    }

    /// All of them.
    pub(super) fn all(&self) -> u64 {
        self.known.values().copied().map(count).sum()
    }

    /// Those of some minutes.
    pub(super) fn within(&self, span: RangeInclusive<u32>) -> u64 {
        let found = self.known.range(span);
        found.map(|(_, held)| count(*held)).sum()
    }
}

/// Redemptions of which some contradict each other: those are bad, too.
pub(super) fn with(outcomes: Outcomes, conflicts: u64) -> Outcomes {
    Outcomes {
        n: outcomes.n.max(conflicts),
        bad: outcomes
            .bad
            .saturating_add(conflicts)
            .min(outcomes.n.max(conflicts)),
    }
}

fn count(held: i128) -> u64 {
    u64::try_from(held).unwrap_or(0)
}
