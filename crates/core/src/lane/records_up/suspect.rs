//! A batch that the ledger refuses again and again: halved until the record that it cannot take is
//! alone, then sent as `quarantined`, so that its neighbours get through.

use crate::event::Cursor;
use crate::id::{Epoch, Seq};
use crate::limits::{BATCH_ITEMS_MAX, REFUSALS_MAX};

/// What is suspected of holding a record that the ledger cannot take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) epoch: Epoch,
    pub(super) cursor: Cursor,
    /// Seq of its first item.
    from: Seq,
    /// Last seq of the batch that was refused.
    until: Seq,
    refusals: u32,
    /// Items of the next batch of it.
    pub(super) items_max: usize,
    /// The next batch of it is one item that was refused alone.
    pub(super) alone: bool,
}

impl Suspect {
    /// Counts a refusal of `items` items from `from` to `last`. The first ones may have been the
    /// ledger's own trouble; from the third on each halves what is sent.
    pub(super) fn refused(
        held: Option<Self>,
        (epoch, cursor): (Epoch, Cursor),
        (from, last): (Seq, Seq),
        items: usize,
    ) -> Self {
        let fresh = Self {
            epoch,
            cursor,
            from,
            until: last,
            refusals: 0,
            items_max: BATCH_ITEMS_MAX,
            alone: false,
        };
        let same = |of: &Self| {
            (of.epoch, of.cursor) == (epoch, cursor) && (of.from..=of.until).contains(&from)
        };
        let mut now = held.filter(same).unwrap_or(fresh);
        now.from = from;
        now.refusals = now.refusals.saturating_add(1);
        if now.refusals >= REFUSALS_MAX {
            now.alone = items <= 1;
            now.items_max = (items / 2).max(1);
            now.until = now.until.min(last);
        }
        now
    }

    /// The ledger took everything up to `last`; what is left of the suspicion.
    pub(super) fn taken(self, epoch: Epoch, cursor: Cursor, last: Seq) -> Option<Self> {
        if (self.epoch, self.cursor) != (epoch, cursor) {
            return Some(self);
        }
        (last < self.until).then_some(Self {
            from: last.next(),
            alone: false,
            ..self
        })
    }

    /// Whether a batch of this cursor from `from` on is of it.
    pub(super) fn is_at(&self, epoch: Epoch, cursor: Cursor, from: Seq) -> bool {
        (self.epoch, self.cursor, self.from) == (epoch, cursor, from)
    }
}
