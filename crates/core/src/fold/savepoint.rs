//! What a closed epoch folded to, so that the next start need not fold it again.
//!
//! A savepoint is a cache of the journal: the same cells, policies and counts that folding the
//! epoch's records gives, in one message. It holds no tables of what came before, since a closed
//! epoch takes no further record; who holds one only reads cells from it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::slot::Slot;
use super::{EpochFold, Skipped};
use crate::cell::{Cell, CellFault};
use crate::event::system::PopupPolicy;
use crate::id::{BootId, Epoch, EpochId, PopupId, RigId, Seq};
use crate::lane::MinorIn;
use crate::lane::records_up::Tally;
use crate::money::Currency;
use crate::time::Minute;

/// Raised whenever the same records give other cells than before: older savepoints are then void.
pub const FOLD_VERSION: u32 = 3;

/// The fold of a closed epoch, as bytes.
#[derive(Clone, PartialEq, Message)]
pub struct Savepoint {
    /// The epoch.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_id: Vec<u8>,
    /// Its last seq.
    #[prost(uint64, tag = "3")]
    pub head: u64,
    /// Its cells in their one canonical form.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub cells: Vec<Vec<u8>>,
    /// The newest word on each popup.
    #[prost(message, repeated, tag = "5")]
    pub policies: Vec<PopupPolicy>,
    /// [`Skipped`], field by field in its order.
    #[prost(uint64, repeated, tag = "6")]
    pub skipped: Vec<u64>,
    /// Records that others than the fold must hear at a start: payloads by seq, ascending.
    #[prost(message, repeated, tag = "7")]
    pub heard: Vec<Heard>,
    /// Boot of its steady clock, 16 bytes.
    #[prost(bytes = "vec", tag = "8")]
    pub boot_id: Vec<u8>,
    /// What its records come to, for a rig whose ledger holds none of them.
    #[prost(message, optional, tag = "9")]
    pub whole: Option<Worth>,
}

/// A [`Tally`] as bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Worth {
    /// Records of every class.
    #[prost(uint64, tag = "1")]
    pub records: u64,
    /// Captures.
    #[prost(uint64, tag = "2")]
    pub sales: u64,
    /// Captured minus refunded.
    #[prost(message, repeated, tag = "3")]
    pub money: Vec<MinorIn>,
}

impl From<&Tally> for Worth {
    fn from(tally: &Tally) -> Self {
        let money = tally.money.iter().map(|(currency, minor)| MinorIn {
            currency: String::from(currency.code()),
            minor: *minor,
        });
        Self {
            records: tally.records,
            sales: tally.sales,
            money: money.collect(),
        }
    }
}

impl Worth {
    /// The tally; `None` when it names no currency that is one.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        let money = self
            .money
            .iter()
            .map(|row| Some((Currency::new(&row.currency)?, row.minor)));
        Some(Tally {
            records: self.records,
            sales: self.sales,
            money: money.collect::<Option<_>>()?,
        })
    }
}

/// One record beside the cells.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Heard {
    /// Its seq.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Its journaled payload.
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

/// Why a savepoint is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavepointFault {
    /// A cell in it does not decode.
    #[error("a cell of the savepoint is damaged")]
    Cell(#[from] CellFault),
    /// Something else in it is out of rule.
    #[error("the savepoint is damaged")]
    Damaged,
}

impl EpochFold {
    /// The fold as it stands, for an epoch that takes no further record.
    #[must_use]
    pub fn savepoint(&self, heard: Vec<Heard>, whole: &Tally) -> Savepoint {
        let skipped = &self.skipped;
        Savepoint {
            epoch: self.epoch.0,
            epoch_id: self.epoch_id.0.to_vec(),
            head: self.head.0,
            cells: self.cells().map(Cell::encode_canonical).collect(),
            policies: self.policies.values().cloned().collect(),
            skipped: Vec::from([
                skipped.late,
                skipped.out_of_window,
                skipped.popups_beyond,
                skipped.no_popup,
                skipped.times_replaced,
            ]),
            heard,
            whole: Some(whole.into()),
            boot_id: self.boot.map(|boot| boot.0.to_vec()).unwrap_or_default(),
        }
    }

    /// The fold that `savepoint` was made of, to read from: its epoch takes no further record.
    pub fn restore(rig: RigId, savepoint: &Savepoint) -> Result<Self, SavepointFault> {
        let damaged = || SavepointFault::Damaged;
        let epoch_id = EpochId::from_slice(&savepoint.epoch_id).ok_or_else(damaged)?;
        let mut fold = Self::new(rig, Epoch(savepoint.epoch), epoch_id);
        for policy in &savepoint.policies {
            let popup = PopupId::new(&policy.popup).map_err(|_| damaged())?;
            fold.policies.insert(popup, policy.clone());
        }
        for bytes in &savepoint.cells {
            let cell = Cell::decode_canonical(bytes)?;
            let popup = PopupId::new(&cell.popup).map_err(|_| damaged())?;
            let of_epoch = cell.epoch == savepoint.epoch && cell.epoch_id == savepoint.epoch_id;
            if !of_epoch || cell.version > savepoint.head {
                return Err(damaged());
            }
            let no = fold.popups.len();
            let entry = fold.popups.entry(popup);
            let popup = entry.or_insert_with(|| super::Popup {
                no,
                slots: BTreeMap::new(),
                gaps_marked: 0,
            });
            popup.slots.insert(Minute(cell.minute), Slot::whole(cell));
        }
        let mut counts = savepoint.skipped.iter().copied();
        let mut next = || counts.next().unwrap_or(0);
        fold.skipped = Skipped {
            late: next(),
            out_of_window: next(),
            popups_beyond: next(),
            no_popup: next(),
            times_replaced: next(),
        };
        fold.boot = BootId::from_slice(&savepoint.boot_id);
        fold.head = Seq(savepoint.head);
        Ok(fold)
    }
}
