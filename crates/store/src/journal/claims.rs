//! What peers know of epochs that are over here.
//!
//! Damage to the last bytes of an epoch looks like a write that was torn by a power cut, and is cut
//! as one. A peer that holds a record of those bytes betrays it: what was cut had been acknowledged,
//! and becomes a named gap.

use popwatch_core::event::system::Gap;
use popwatch_core::id::{Epoch, Seq};
use popwatch_core::limits;

use super::Journal;
use crate::fs::Fs;

impl<F: Fs> Journal<F> {
    /// Hears that a peer holds `seq` of a past epoch. If that epoch ended earlier here, and not in a
    /// way that tells its end for certain, the records between are lost: they become a gap without
    /// a known value, answered by reads at once and recorded with the next commit.
    ///
    /// Answers whether that is news. A claim about an epoch whose end is certain, or one further
    /// off than [`limits::PEER_TAIL_RECORDS_MAX`], changes nothing: it is the peer that errs.
    pub fn peer_knows(&mut self, epoch: Epoch, seq: Seq) -> bool {
        let Some(info) = self.epochs.iter_mut().rfind(|info| info.epoch == epoch) else {
            return false;
        };
        let behind = seq.0.saturating_sub(info.last_seq.0);
        if info.void || info.exact || behind == 0 || behind > limits::PEER_TAIL_RECORDS_MAX {
            return false;
        }
        let gap = Gap {
            epoch: epoch.0,
            first: info.last_seq.0 + 1,
            last: seq.0,
            cause: "media".into(),
            value_unknown: true,
            epoch_id: info.epoch_id.0.to_vec(),
            ..Gap::default()
        };
        info.last_seq = seq;
        self.gaps.push(gap.clone());
        self.gaps_waiting.push(gap);
        true
    }
}
