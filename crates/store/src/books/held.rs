//! What is held of one cursor of one epoch: stretches of accounted seqs, each with the hash chain
//! before and after it where that is known.
//!
//! A new stretch meets the held ones at shared seqs; where two chains are known for one seq they
//! must agree, else two histories use one epoch.

use std::collections::BTreeMap;

use popwatch_core::ledger::Ranges;
use popwatch_core::limits;

/// A chain value; `None` where lost or withheld records make it unknown.
pub(super) type Chain = Option<[u8; 32]>;

/// A stretch of accounted seqs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) before: Chain,
    pub(super) after: Chain,
}

/// All stretches of one cursor, ascending, never touching.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Held(Vec<Stretch>);

const STRETCH_BYTES: usize = 8 + 8 + 1 + 32 + 32;

impl Held {
    /// The seqs.
    pub(super) fn ranges(&self) -> Ranges {
        Ranges::of(self.0.iter().map(|held| (held.first, held.last)))
    }

    /// Whether a seq is accounted for.
    pub(super) fn has(&self, seq: u64) -> bool {
        let at = self.0.partition_point(|held| held.last < seq);
        self.0.get(at).is_some_and(|held| held.first <= seq)
    }

    /// The chain values known at seqs in `from..=to`: after that seq's record.
    pub(super) fn checkpoints(&self, from: u64, to: u64) -> BTreeMap<u64, [u8; 32]> {
        let ends = self.0.iter().flat_map(|held| {
            [
                (held.first.saturating_sub(1), held.before),
                (held.last, held.after),
            ]
        });
        ends.filter(|(seq, _)| (from..=to).contains(seq))
            .filter_map(|(seq, chain)| Some((seq, chain?)))
            .collect()
    }

    /// Adds a stretch. `false`, and nothing changes, when there are too many separate ones.
    #[must_use]
    pub(super) fn add(&mut self, new: Stretch) -> bool {
        let from = self
            .0
            .partition_point(|held| held.last < new.first.saturating_sub(1));
        let to = self
            .0
            .partition_point(|held| held.first <= new.last.saturating_add(1));
        if from == to && self.0.len() >= limits::LEDGER_STRETCHES_MAX {
            return false;
        }
        let joined = self.0[from..to].iter().fold(new, |sum, held| {
            let before = match held.first.cmp(&sum.first) {
                std::cmp::Ordering::Less => held.before,
                std::cmp::Ordering::Equal => sum.before.or(held.before),
                std::cmp::Ordering::Greater => sum.before,
            };
            let after = match held.last.cmp(&sum.last) {
                std::cmp::Ordering::Greater => held.after,
                std::cmp::Ordering::Equal => sum.after.or(held.after),
                std::cmp::Ordering::Less => sum.after,
            };
            Stretch {
                first: sum.first.min(held.first),
                last: sum.last.max(held.last),
                before,
                after,
            }
        });
        self.0.splice(from..to, [joined]);
        true
    }

    /// As stored.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * STRETCH_BYTES);
        for held in &self.0 {
            out.extend_from_slice(&held.first.to_le_bytes());
            out.extend_from_slice(&held.last.to_le_bytes());
            out.push(u8::from(held.before.is_some()) | u8::from(held.after.is_some()) << 1);
            out.extend_from_slice(&held.before.unwrap_or_default());
            out.extend_from_slice(&held.after.unwrap_or_default());
        }
        out
    }

    /// As read back; `None` for damage.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<STRETCH_BYTES>();
        let read = |chunk: &[u8; STRETCH_BYTES]| {
            let number = |at: usize| -> Option<u64> {
                Some(u64::from_le_bytes(chunk.get(at..at + 8)?.try_into().ok()?))
            };
            let known = *chunk.get(16)?;
            let chain = |bit: u8, at: usize| -> Option<Chain> {
                let value: [u8; 32] = chunk.get(at..at + 32)?.try_into().ok()?;
                Some((known & bit != 0).then_some(value))
            };
            Some(Stretch {
                first: number(0)?,
                last: number(8)?,
                before: chain(1, 17)?,
                after: chain(2, 49)?,
            })
        };
        rest.is_empty()
            .then(|| chunks.iter().map(read).collect::<Option<Vec<_>>>())
            .flatten()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(first: u64, last: u64, before: u8, after: u8) -> Stretch {
        let chain = |mark: u8| (mark != 0).then_some([mark; 32]);
        Stretch {
            first,
            last,
            before: chain(before),
            after: chain(after),
        }
    }

    #[test]
    fn stretches_join_and_keep_their_outer_chains() {
        let mut held = Held::default();
        assert!(held.add(stretch(1, 3, 1, 2)));
        assert!(held.add(stretch(7, 9, 5, 6)));
        assert!(held.has(3) && !held.has(4) && held.has(7));
        assert_eq!(
            held.checkpoints(3, 8),
            BTreeMap::from([(3, [2; 32]), (6, [5; 32])])
        );
        assert!(held.add(stretch(4, 6, 2, 5)));
        assert_eq!(held.0, [stretch(1, 9, 1, 6)]);
        assert!(held.add(stretch(2, 4, 0, 0)));
        assert_eq!(held.0, [stretch(1, 9, 1, 6)]);
        assert_eq!(Held::decode(&held.encode()), Some(held));
        assert_eq!(Held::decode(&[0]), None);
    }

    #[test]
    fn separate_stretches_are_bounded() {
        let mut held = Held::default();
        for at in 0..limits::LEDGER_STRETCHES_MAX as u64 {
            assert!(held.add(stretch(at * 3 + 1, at * 3 + 1, 0, 0)));
        }
        let beyond = limits::LEDGER_STRETCHES_MAX as u64 * 3 + 1;
        assert!(!held.add(stretch(beyond, beyond, 0, 0)));
        assert!(held.add(stretch(2, 2, 0, 0)), "closing holes goes on");
    }
}
