//! Whether an event stands in the journal already.
//!
//! A key in a footer outlives the frame it speaks of. So the first time a closed segment's keys
//! answer, its frames are read once: what is damaged becomes a gap, and a key whose record lies in
//! a gap is no answer. The event may come again, and is then kept, with the lost place as its
//! origin.

use popwatch_core::id::{Epoch, Seq};
use popwatch_core::record::Origin;

use crate::fs::Fs;
use crate::journal::keys::{Key, KeyEntry};
use crate::journal::{Journal, ReadItem};

/// Bytes of frames looked at in one go.
const LOOK_BYTES: usize = 256 << 10;

/// What is known of an event's key.
pub(super) enum Known {
    /// It stands here.
    At(KeyEntry),
    /// It stood here, and was lost.
    Lost(Origin),
    /// It never came, or nobody remembers.
    Not,
}

impl<F: Fs> Journal<F> {
    /// Finds the place of an event by its key, newest segment first.
    pub(super) fn find_key(&mut self, key: &Key) -> Known {
        let open = self.open.as_ref().and_then(|open| open.keys.get(key));
        let mut lost = None;
        if let Some(entry) = open.copied() {
            if self.counts(&entry) {
                return Known::At(entry);
            }
            lost = Some(entry);
        }
        for index in (0..self.sealed.len()).rev() {
            let (fs, journal_key) = (&self.fs, &self.journal_key);
            let found = self
                .sealed
                .get_mut(index)
                .and_then(|segment| segment.find(fs, key, journal_key));
            let Some(entry) = found else {
                continue;
            };
            self.verify(index);
            if self.counts(&entry) {
                return Known::At(entry);
            }
            lost = lost.or(Some(entry));
        }
        // Of what was trimmed only sound, replicated records have their keys kept.
        let (fs, journal_key) = (&self.fs, &self.journal_key);
        let mut kept = self.kept_keys.iter_mut().rev();
        if let Some(entry) = kept.find_map(|kept| kept.find(fs, key, journal_key)) {
            return Known::At(entry);
        }
        let void = |entry: &KeyEntry| !self.reaches(entry);
        match lost.filter(|entry| !void(entry)) {
            Some(entry) => Known::Lost(Origin {
                epoch: entry.epoch,
                seq: entry.seq,
            }),
            None => Known::Not,
        }
    }

    /// Whether the record of an entry is part of its epoch: not void.
    fn reaches(&self, entry: &KeyEntry) -> bool {
        let mut epochs = self.epochs.iter();
        epochs
            .rfind(|info| info.epoch.0 == entry.epoch)
            .is_some_and(|info| !info.void && entry.seq <= info.last_seq.0)
    }

    /// Whether the record of an entry is still there, as far as is known.
    pub(in crate::journal) fn counts(&self, entry: &KeyEntry) -> bool {
        let id = self
            .epochs
            .iter()
            .rfind(|info| info.epoch.0 == entry.epoch)
            .map(|info| info.epoch_id);
        let lost = self.gaps.iter().any(|gap| {
            gap.epoch == entry.epoch
                && (gap.first..=gap.last).contains(&entry.seq)
                && id.is_some_and(|id| gap.epoch_id == id.0)
        });
        !lost && self.reaches(entry)
    }

    /// Reads a closed segment's frames, once in a life; what is damaged becomes a gap. When the disk
    /// refuses, its keys are believed until the next time.
    fn verify(&mut self, index: usize) {
        let Some(segment) = self.sealed.get(index).filter(|segment| !segment.verified) else {
            return;
        };
        let (epoch, last) = (segment.epoch, segment.footer.last_seq);
        let first = segment.footer.first_seq;
        if self.look_through(epoch, first, last)
            && let Some(segment) = self.sealed.get_mut(index)
        {
            segment.verified = true;
        }
    }

    fn look_through(&mut self, epoch: Epoch, mut from: Seq, last: Seq) -> bool {
        while from <= last {
            let Ok(items) = self.read(epoch, from, LOOK_BYTES) else {
                return false;
            };
            let Some(reached) = items.last().map(ReadItem::last_seq) else {
                break;
            };
            from = reached.next();
        }
        true
    }
}
