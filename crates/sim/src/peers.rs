//! The region and the ledger of the world: the real ones, and what was delivered to them.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::cell::Cell;
use popwatch_core::id::{PopupId, RegionId};
use popwatch_core::lane::records_up::Tally;
use popwatch_core::lane::{
    CellAck, CellBatch, FRAME_HEADER_BYTES, ItemBody, PeerFault, RecordAck, RecordBatch,
};
use popwatch_core::ledger::reconcile::{CurrencyTotals, Reconciliation};
use popwatch_core::limits::CLOCK_PEER_U_MS;
use popwatch_core::money::Currency;
use popwatch_core::region::Region;
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_store::books::{Books, BooksFault, BooksView};

use crate::check::{Finding, Payloads};
use crate::rig::WALL_MS;
use crate::saboteur::Saboteur;

/// A clock that is right.
#[must_use]
pub(crate) fn true_now(world_ms: u64) -> Now {
    let wall = WALL_MS + i64::try_from(world_ms).unwrap_or(0);
    Now {
        wall: WallMs(wall),
        mono: MonoMs(world_ms),
    }
}

/// A region and all that ever came to one.
pub(crate) struct RegionSide {
    /// The memory.
    pub(crate) region: Region,
    /// Every batch, in the order taken.
    pub(crate) batches: Vec<CellBatch>,
    saboteur: Option<Saboteur>,
    seed: u64,
    lives: u64,
}

impl RegionSide {
    /// An empty memory.
    #[must_use]
    pub(crate) fn new(seed: u64, saboteur: Option<Saboteur>) -> Self {
        let region = Region::new(region_id(seed, 0));
        Self {
            region,
            batches: Vec::new(),
            saboteur,
            seed,
            lives: 0,
        }
    }

    /// The memory is lost.
    pub(crate) fn forget(&mut self) {
        self.lives += 1;
        self.region = Region::new(region_id(self.seed, self.lives));
    }

    /// Takes a batch.
    pub(crate) fn accept(&mut self, mut batch: CellBatch, world_ms: u64) -> CellAck {
        if self.saboteur == Some(Saboteur::AddingMerge) {
            for bytes in &mut batch.cells {
                self.add_older(bytes);
            }
        }
        let mut ack = self.region.accept(&batch, true_now(world_ms));
        ack.echo_mono_ns = batch.sent_mono_ns;
        ack.recv_wall_us = true_now(world_ms).wall.0 * 1_000;
        (ack.send_wall_us, ack.wall_u_ms) = (ack.recv_wall_us, CLOCK_PEER_U_MS);
        self.batches.push(batch);
        ack
    }

    /// What a merge that adds would keep of a cell.
    fn add_older(&self, bytes: &mut Vec<u8>) {
        let Ok(mut cell) = Cell::decode_canonical(bytes) else {
            return;
        };
        let held = self.region.cells(&cell.popup);
        let held = held
            .iter()
            .filter_map(|bytes| Cell::decode_canonical(bytes).ok());
        let (key, version) = (cell.key(), cell.version);
        for older in held.filter(|held| held.key() == key && held.version < version) {
            for (row, was) in cell.money.iter_mut().zip(&older.money) {
                row.gross += was.gross;
            }
        }
        *bytes = cell.encode_canonical();
    }
}

fn region_id(seed: u64, life: u64) -> RegionId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&seed.to_le_bytes());
    id[8..].copy_from_slice(&life.to_le_bytes());
    RegionId(id)
}

/// A ledger and all that ever came to it.
pub(crate) struct LedgerSide {
    /// The books.
    pub(crate) books: Books,
    /// Every batch with items that was taken, in order.
    pub(crate) batches: Vec<RecordBatch>,
    /// Whether something came since the books were last looked at.
    pub(crate) changed: bool,
    saboteur: Option<Saboteur>,
    away_until_ms: u64,
    busy: bool,
    seen: BTreeSet<(String, u32, u64)>,
    counted_again: BTreeMap<Currency, i64>,
}

/// Everything in a book that must not depend on the way facts came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BookState {
    /// The accounts.
    pub(crate) view: BooksView,
    /// Every break, and how the book would close.
    pub(crate) reconciliation: Reconciliation,
    /// The sums.
    pub(crate) totals: BTreeMap<Currency, CurrencyTotals>,
}

impl LedgerSide {
    /// Empty books.
    pub(crate) fn new(saboteur: Option<Saboteur>) -> Result<Self, Finding> {
        Ok(Self {
            books: Books::open_memory().map_err(Finding::books)?,
            batches: Vec::new(),
            changed: false,
            saboteur,
            away_until_ms: 0,
            busy: false,
            seen: BTreeSet::new(),
            counted_again: BTreeMap::new(),
        })
    }

    /// Out of reach until a moment, or asking to wait.
    pub(crate) fn away(&mut self, until_ms: u64, busy: bool) {
        (self.away_until_ms, self.busy) = (until_ms, busy);
    }

    /// Takes a batch as the node's handler does.
    pub(crate) fn accept(
        &mut self,
        batch: RecordBatch,
        world_ms: u64,
    ) -> Result<Result<RecordAck, PeerFault>, Finding> {
        if world_ms < self.away_until_ms {
            let fault = if self.busy {
                PeerFault::Busy(1_000)
            } else {
                PeerFault::Unreachable
            };
            return Ok(Err(fault));
        }
        let mut ack = match self.books.accept(&batch, true_now(world_ms)) {
            Ok(ack) => ack,
            Err(BooksFault::Fork { next_epoch, .. }) => {
                return Err(Finding::defect(format!(
                    "the ledger took {}'s journal for a fork, next epoch {next_epoch}",
                    batch.rig
                )));
            }
            Err(fault) => return Err(Finding::books(fault)),
        };
        if let Some(odd) = ack.not_ok.iter().find(|odd| is_damage(&odd.verdict)) {
            return Err(Finding::defect(format!(
                "the ledger put seq {} of {} aside: {}",
                odd.seq, batch.rig, odd.verdict
            )));
        }
        ack.echo_mono_ns = batch.sent_mono_ns;
        ack.recv_wall_us = true_now(world_ms).wall.0 * 1_000;
        (ack.send_wall_us, ack.wall_u_ms) = (ack.recv_wall_us, CLOCK_PEER_U_MS);
        if !batch.items.is_empty() {
            if self.saboteur == Some(Saboteur::BlindLedger) {
                self.count_again(&batch);
            }
            self.changed = true;
            self.batches.push(batch);
        }
        Ok(Ok(ack))
    }

    /// Every record of a rig that ever came here.
    pub(crate) fn payloads(&self, rig: &str) -> Payloads {
        let mut payloads = Payloads::new();
        for batch in self.batches.iter().filter(|batch| batch.rig == rig) {
            let mut seq = batch.first_seq;
            for item in &batch.items {
                if let Some(ItemBody::Frame(frame)) = &item.body {
                    let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                    payloads.insert((batch.epoch, seq), payload.to_vec());
                }
                seq += item.seqs();
            }
        }
        payloads
    }

    /// The book of a popup as it is answered.
    pub(crate) fn view(&self, popup: &PopupId) -> Result<BooksView, Finding> {
        let mut view = self.books.books(popup).map_err(Finding::books)?;
        if self.saboteur == Some(Saboteur::LostPosting) {
            let lost = view
                .currencies
                .values_mut()
                .find(|books| books.accounts.len() > 1);
            lost.map(|books| books.accounts.pop());
        }
        Ok(view)
    }

    /// Captured and refunded by currency, as they are answered.
    pub(crate) fn totals(&self, view: &BooksView) -> BTreeMap<Currency, CurrencyTotals> {
        let mut totals = view.totals.clone();
        if self.saboteur == Some(Saboteur::MixedSum) {
            let sum = totals.values().map(|totals| totals.captured).sum();
            totals
                .values_mut()
                .take(1)
                .for_each(|first| first.captured = sum);
        }
        for (currency, minor) in &self.counted_again {
            totals.entry(*currency).or_default().captured += minor;
        }
        totals
    }

    /// All there is to compare about a popup.
    pub(crate) fn state(&self, popup: &PopupId) -> Result<BookState, Finding> {
        let view = self.view(popup)?;
        let as_of = WallMs(WALL_MS);
        let reconciliation = self
            .books
            .reconcile(popup, None, as_of)
            .map_err(Finding::books)?;
        let totals = self.totals(&view);
        Ok(BookState {
            view,
            reconciliation,
            totals,
        })
    }

    fn count_again(&mut self, batch: &RecordBatch) {
        let mut seq = batch.first_seq;
        for item in &batch.items {
            let place = (batch.rig.clone(), batch.epoch, seq);
            seq += item.seqs();
            if !self.seen.insert(place) {
                for (currency, minor) in Tally::of_items(std::slice::from_ref(item)).money {
                    *self.counted_again.entry(currency).or_default() += minor;
                }
            }
        }
    }
}

/// What no healthy rig causes, whatever network and disk do.
fn is_damage(verdict: &str) -> bool {
    matches!(verdict, "quarantined" | "other_bytes")
}
