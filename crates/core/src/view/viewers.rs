//! Viewers of many cells: what each of the known ones did, in the order of time.
//!
//! Cells carry the viewers with the smallest hashes of their minute; this memory keeps the smallest
//! of those. Where anything was cut, only hashes below the smallest cut are complete.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;

use super::sums::{Shift, touch};
use crate::cell::{Subjects, TouchKind, read_touch};
use crate::limits;

/// What one viewer did, by (ms since 1970, kind): touches of one millisecond stand in the funnel's
/// order. Each with the cells that say so.
pub(crate) type Touches = BTreeMap<(i64, TouchKind), i128>;

/// All viewers of one popup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Viewers {
    /// By hash.
    pub(crate) seen: BTreeMap<u64, Touches>,
    /// Where the sets of cells were cut.
    cuts: BTreeMap<u64, i128>,
    /// Checkouts started by a known viewer.
    pub(crate) linked_started: i128,
    /// Orders paid by a known viewer.
    pub(crate) linked_paid: i128,
}

impl Viewers {
    /// Adds or takes the viewers of one cell whose minute starts at `starts_ms`. `cut` is where this
    /// memory stops; it falls when there are too many.
    pub(crate) fn shift(
        &mut self,
        by: Shift,
        cut: &mut Option<u64>,
        starts_ms: i64,
        subjects: &Subjects,
    ) {
        self.linked_started += by.of(subjects.linked_started);
        self.linked_paid += by.of(subjects.linked_paid);
        if subjects.cut != 0 {
            touch(&mut self.cuts, subjects.cut, |held| *held += by.of(1));
        }
        for subject in &subjects.set {
            if cut.is_some_and(|cut| subject.hash >= cut) {
                continue;
            }
            touch(&mut self.seen, subject.hash, |touches| {
                for (offset_ms, kind) in subject.touches.iter().filter_map(|it| read_touch(*it)) {
                    let key = (starts_ms.saturating_add(offset_ms.into()), kind);
                    touch(touches, key, |held| *held += by.of(1));
                }
            });
        }
        while self.seen.len() > limits::REGION_VIEWERS_MAX {
            *cut = self.seen.pop_last().map(|(hash, _)| hash).or(*cut);
        }
    }

    /// Where the known viewers end, given where this memory stops; `None` when all are known.
    pub(crate) fn cut(&self, own: Option<u64>) -> Option<u64> {
        own.into_iter()
            .chain(self.cuts.keys().next().copied())
            .min()
    }
}
