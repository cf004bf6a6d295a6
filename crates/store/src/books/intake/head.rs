//! Whose records a batch holds, and what stands at each of its seqs.

use popwatch_core::event::Cursor;
use popwatch_core::id::{Epoch, EpochId, JournalId, Position, RigId, Seq};
use popwatch_core::lane::{self, Item, ItemBody, RecordBatch};
use popwatch_core::limits;

use super::super::BooksFault;
use super::super::frame::{self, Frame};

/// Seqs beyond this are damage: they do not fit a column.
pub(super) const SEQ_MAX: u64 = 1 << 62;

/// Whose records, which life, which cursor.
pub(super) struct Head {
    pub(super) rig: RigId,
    pub(super) epoch: u32,
    pub(super) epoch_id: EpochId,
    pub(super) journal_id: JournalId,
    pub(super) cursor: Cursor,
}

/// What stands at one or more seqs.
pub(super) enum Place<'a> {
    Frame(Frame<'a>),
    Skip {
        first: u64,
        last: u64,
        skip: &'a lane::Skip,
    },
}

impl Place<'_> {
    pub(super) fn last(&self) -> u64 {
        match self {
            Self::Frame(frame) => frame.seq,
            Self::Skip { last, .. } => *last,
        }
    }
}

impl Head {
    pub(super) fn read(batch: &RecordBatch) -> Result<Self, BooksFault> {
        if batch.protocol != lane::PROTOCOL {
            return Err(BooksFault::Protocol(batch.protocol));
        }
        let hello = batch.items.is_empty();
        let rig = RigId::new(&batch.rig).map_err(|_| BooksFault::Batch("names no rig"))?;
        let epoch_id = EpochId::from_slice(&batch.epoch_id);
        let journal_id = JournalId::from_slice(&batch.journal_id);
        let cursor = Cursor::ALL
            .into_iter()
            .find(|cursor| *cursor as u32 == batch.cursor);
        if batch.items.len() > limits::BATCH_ITEMS_MAX {
            return Err(BooksFault::Batch("has too many items"));
        }
        if !hello && (batch.epoch == 0 || epoch_id.is_none() || cursor.is_none()) {
            return Err(BooksFault::Batch(
                "does not say which epoch or cursor it is of",
            ));
        }
        Ok(Self {
            rig,
            epoch: batch.epoch,
            epoch_id: epoch_id.unwrap_or(EpochId([0; 16])),
            journal_id: journal_id.unwrap_or(JournalId([0; 16])),
            cursor: cursor.unwrap_or(Cursor::Trunk),
        })
    }

    /// Checks every item's shape, checksums and number before anything is stored.
    pub(super) fn places<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Place<'a>>, BooksFault> {
        let seed = frame::seed(&self.epoch_id);
        let mut next = batch.first_seq;
        let mut out = Vec::with_capacity(batch.items.len());
        for Item { body } in &batch.items {
            let place = match body {
                Some(ItemBody::Frame(bytes)) => {
                    let frame = frame::parse(bytes, seed)
                        .ok_or(BooksFault::Batch("holds a damaged frame"))?;
                    if frame.epoch != self.epoch || frame.seq != next {
                        return Err(BooksFault::Batch("holds a frame out of its place"));
                    }
                    if frame.class.cursor() != self.cursor {
                        return Err(BooksFault::Batch("holds a frame of the other cursor"));
                    }
                    Place::Frame(frame)
                }
                Some(ItemBody::Skip(skip)) if skip.count > 0 && skip.count < SEQ_MAX => {
                    Place::Skip {
                        first: next,
                        last: next.saturating_add(skip.count - 1),
                        skip,
                    }
                }
                Some(ItemBody::Skip(_)) | None => {
                    return Err(BooksFault::Batch("holds an empty item"));
                }
            };
            next = place.last().saturating_add(1);
            out.push(place);
        }
        let in_range = batch.first_seq > 0 && next < SEQ_MAX;
        if !in_range && !batch.items.is_empty() {
            return Err(BooksFault::Batch("holds seqs out of range"));
        }
        Ok(out)
    }

    pub(super) fn position(&self, seq: u64) -> Position {
        Position {
            rig: self.rig.clone(),
            epoch: Epoch(self.epoch),
            seq: Seq(seq),
        }
    }

    pub(super) fn keys(&self, last: &str) -> Vec<String> {
        [
            self.rig.to_string(),
            self.epoch.to_string(),
            last.to_string(),
        ]
        .into()
    }
}
