//! Two journals under one name: a backup put back, a disk cloned, a directory wiped.
//!
//! ```text
//! sell, restart, replicate ─► backup ─► sell on ─┬─ restore: the backup goes on alone
//!                                                ├─ clone:   both go on at once
//!                                                └─ wipe:    an empty disk goes on alone
//! ```
//!
//! What always holds at the end, when every device that still runs is drained: each event that a
//! till was told is safe is in the books once, no record is waited for, and the region's cells sum
//! to the same. What only the disk knew that was put back over is nobody's to keep, so a device is
//! drained before its disk is replaced.

mod forgets;

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::cell::Cell;
use popwatch_core::id::{PopupId, RegionId};
use popwatch_core::invariant::{self, Law};
use popwatch_core::lane::{ItemBody, PeerFault, RecordAck, RecordBatch};
use popwatch_core::money::Currency;
use popwatch_core::region::Region;
use popwatch_core::role::edge::{Input, Output};
use popwatch_store::books::{Books, BooksFault};
use popwatch_store::fs::faulty::{Dice, FaultFs};
use popwatch_store::journal::Committed;

use crate::check::{Checked, Finding};
use crate::model::{Fact, Model};
use crate::peers::true_now;
use crate::rig::{Outcome, Rig, announced};
use crate::till::{Planted, Till, Told};

const POPUP: &str = "market-sat";
const SEGMENT_BYTES: u64 = 24 << 10;
/// Rounds of selling before the disk is copied, and after.
const ROUNDS_MAX: u64 = 6;
/// Exchanges in which a device must be level with its peers.
const EXCHANGES_MAX: usize = 4_000;
/// Times every device gets its turn at the end: one fork may bring about the next.
const LAST_TURNS: usize = 8;

/// What happened in one story, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Events that a till was told are safe.
    pub(crate) acked: u64,
    /// Times a device was sent to another epoch.
    pub(crate) forks: u64,
}

/// One seq of one life of a journal.
type Spot = (Vec<u8>, u64);

/// What the ledger was given and said of it.
#[derive(Default)]
struct Heard {
    /// Records it took.
    records: BTreeSet<Spot>,
    /// How far it said that it holds each life, both cursors.
    whole: BTreeMap<Vec<u8>, u64>,
}

impl Heard {
    fn note(&mut self, batch: &RecordBatch, ack: &RecordAck) {
        let mut seq = batch.first_seq;
        for item in &batch.items {
            if let Some(ItemBody::Frame(_)) = item.body {
                self.records.insert((batch.epoch_id.clone(), seq));
            }
            seq += item.seqs();
        }
        for held in &ack.epochs {
            let whole = held.trunk_seq.min(held.bulk_seq);
            self.whole.insert(held.epoch_id.clone(), whole);
        }
    }
}

struct Story {
    now_ms: u64,
    dice: Dice,
    devices: Vec<Rig>,
    books: Books,
    region: Region,
    model: Model,
    planted: Planted,
    heard: Heard,
    counts: Counted,
}

/// Tells the story of a disk that forgets, by its seed.
pub(crate) use forgets::story as forgets;

/// Tells the story of a seed.
pub(crate) fn story(seed: u64) -> Result<Counted, Finding> {
    let mut story = Story::new(seed)?;
    story.join(FaultFs::new(seed))?;
    story.sell_on()?;
    let kind = story.dice.below(3);
    let copy = story.devices[0].disk.copy(seed ^ 1);
    match kind {
        0 => {
            story.sell_on()?;
            story.leave(0)?;
            story.join(copy)?;
        }
        1 => {
            story.leave(0)?;
            story.join(FaultFs::new(seed ^ 2))?;
        }
        _ => story.join(copy)?,
    }
    story.sell_on()?;
    story.end()?;
    Ok(story.counts)
}

impl Story {
    /// Before anybody sells.
    fn new(seed: u64) -> Result<Self, Finding> {
        Ok(Self {
            now_ms: 1_000,
            dice: Dice(seed ^ 0xf0_4c),
            devices: Vec::new(),
            books: Books::open_memory().map_err(Finding::books)?,
            region: Region::new(RegionId([5; 16])),
            model: Model::default(),
            planted: Planted::default(),
            heard: Heard::default(),
            counts: Counted::default(),
        })
    }

    /// A device with this disk starts under the one name.
    fn join(&mut self, disk: FaultFs) -> Checked {
        let seed = self.dice.roll();
        let name = format!("t{}", self.devices.len());
        let till = Till::new(&name, seed, vec!["GBP", "EUR"], vec![POPUP.into()]);
        let mut rig = Rig::new(0, seed, till, vec![announced(POPUP, 3)], SEGMENT_BYTES);
        rig.disk = disk;
        self.devices.push(rig);
        self.start(self.devices.len() - 1)
    }

    fn start(&mut self, of: usize) -> Checked {
        let started = self.devices[of].start(self.now_ms);
        let unwell = |fault| Finding::of(Law::L10, format!("L10: a rig does not start: {fault:?}"));
        started.map(drop).map_err(unwell)
    }

    /// A device is drained and switched off for good.
    fn leave(&mut self, of: usize) -> Checked {
        self.exchange(of, usize::MAX)?;
        self.devices[of].kill();
        Ok(())
    }

    fn sell_on(&mut self) -> Checked {
        for _ in 0..2 + self.dice.below(ROUNDS_MAX) {
            for of in 0..self.devices.len() {
                if self.devices[of].live.is_none() {
                    continue;
                }
                for fact in self.sell(of)? {
                    self.model.acked(fact);
                }
                match self.dice.below(6) {
                    0 => {
                        self.devices[of].lose_power(self.now_ms);
                        self.start(of)?;
                    }
                    1 => {
                        let ended = self.devices[of].stop(self.now_ms);
                        drop(ended);
                        self.start(of)?;
                    }
                    2 => self.exchange(of, usize::MAX)?,
                    3 => {
                        let some = 1 + self.dice.index(4);
                        self.exchange(of, some)?;
                    }
                    _ => {}
                }
                self.now_ms += 1_000 + self.dice.below(90_000);
            }
        }
        Ok(())
    }

    /// A device sells; answers what it was told is safe.
    fn sell(&mut self, of: usize) -> Result<Vec<Fact>, Finding> {
        let wall_ms = self.devices[of].now(self.now_ms).wall.0;
        let mut told: Vec<Told> = Vec::new();
        for _ in 0..1 + self.dice.below(12) {
            let next = self.devices[of]
                .till
                .next(wall_ms, self.now_ms, &mut self.planted);
            told.push(next);
        }
        let heard = self.devices[of].call(&told, self.dice.roll(), self.now_ms)?;
        let mut safe = Vec::new();
        for (told, outcome) in told.into_iter().zip(&heard.outcomes) {
            if let Outcome::Safe(epoch, seq, payload) = outcome {
                self.counts.acked += 1;
                safe.push(Fact {
                    key: (told.source, told.id),
                    popup: told.popup,
                    place: (of, *epoch, *seq),
                    payload: payload.clone(),
                    worth: told.worth,
                    at_ms: told.at_ms,
                });
            }
        }
        self.hear(of, heard.committed);
        Ok(safe)
    }

    fn hear(&mut self, of: usize, committed: Vec<Committed>) {
        let now = self.devices[of].now(self.now_ms);
        if let Some(live) = &mut self.devices[of].live {
            live.tell(committed, now);
        }
    }

    /// Lets a device talk to its peers until it is level, or for so many batches of records.
    fn exchange(&mut self, of: usize, mut batches: usize) -> Checked {
        for _ in 0..EXCHANGES_MAX {
            let now = self.devices[of].now(self.now_ms);
            let Some(live) = &mut self.devices[of].live else {
                return Ok(());
            };
            let Some(output) = live.edge.poll(now) else {
                if live.edge.is_drained() {
                    return Ok(());
                }
                self.now_ms = self.devices[of]
                    .deadline()
                    .unwrap_or(0)
                    .clamp(self.now_ms + 1, self.now_ms + 60_000);
                let sealed = self.devices[of].seal_if_due(self.now_ms);
                self.hear(of, sealed);
                continue;
            };
            match output {
                Output::Load(want) => self.devices[of].load(want, now),
                Output::Reread(ask) => self.devices[of].reread(ask, now),
                Output::Records(batch) => {
                    if batches == 0 {
                        live.edge
                            .handle(Input::Ledger(Err(PeerFault::Unreachable)), now);
                        return Ok(());
                    }
                    batches -= 1;
                    let answer = match self.books.accept(&batch, true_now(self.now_ms)) {
                        Ok(ack) => {
                            self.heard.note(&batch, &ack);
                            Ok(ack)
                        }
                        Err(BooksFault::Fork { next_epoch, .. }) => {
                            Err(PeerFault::Forked(next_epoch))
                        }
                        Err(fault) => return Err(Finding::books(fault)),
                    };
                    let heard = answer.is_ok();
                    live.edge.handle(Input::Ledger(answer), now);
                    if heard {
                        self.devices[of].remember_acked();
                    }
                }
                Output::Cells(index, batch) => {
                    let ack = self.region.accept(&batch, true_now(self.now_ms));
                    live.edge.handle(Input::Region(index, Ok(ack)), now);
                }
                Output::Note(events) => {
                    let noted = self.devices[of].note(events, self.now_ms);
                    self.hear(of, noted.unwrap_or_default());
                }
                Output::Seal => {}
                Output::PeerKnows(epoch, seq) => {
                    let of_epoch = (epoch, seq);
                    let sealed = self.devices[of].peer_knows(of_epoch, self.now_ms, now);
                    self.hear(of, sealed);
                }
                Output::Fork(next_epoch) => self.fork(of, next_epoch)?,
            }
        }
        Err(Finding::defect(format!(
            "device {of} is not level after {EXCHANGES_MAX} exchanges"
        )))
    }

    /// As the journal's thread does it.
    fn fork(&mut self, of: usize, next_epoch: u32) -> Checked {
        self.counts.forks += 1;
        let left = self.devices[of].fork(next_epoch, self.now_ms);
        self.hear(of, left.unwrap_or_default());
        let stamp = self.devices[of].stamp(self.now_ms);
        while let Some(live) = &mut self.devices[of].live
            && live.journal.fork_goes_on()
        {
            let more = live.journal.append(Vec::new(), stamp);
            let more = more.map_err(|fault| Finding::defect(format!("a fork stops: {fault}")))?;
            self.hear(of, more.records);
        }
        Ok(())
    }

    fn end(&mut self) -> Checked {
        for _ in 0..LAST_TURNS {
            for of in 0..self.devices.len() {
                self.exchange(of, usize::MAX)?;
            }
            self.now_ms += 40_000;
        }
        let popup = PopupId::new(POPUP).map_err(|fault| Finding::defect(format!("{fault}")))?;
        let view = self.books.books(&popup).map_err(Finding::books)?;
        let expect = self.model.in_the_books();
        let expect = expect.get(POPUP).cloned().unwrap_or_default();
        if view.totals != expect {
            let sentence = format!(
                "L3: events lost or doubled in the books: {:?}, told {expect:?}",
                view.totals
            );
            return Err(Finding::of(Law::L3, sentence));
        }
        if let Some(epoch) = view.coverage.iter().find(|of| !of.missing.is_empty()) {
            return Err(Finding::defect(format!(
                "the ledger waits for {:?} of epoch {}, which nobody has",
                epoch.missing, epoch.epoch
            )));
        }
        let mut cells: BTreeMap<Currency, i64> = BTreeMap::new();
        for bytes in self.region.cells(POPUP) {
            let cell = Cell::decode_canonical(&bytes)
                .map_err(|fault| Finding::defect(format!("the region's cell: {fault}")))?;
            for row in &cell.money {
                if let Some(currency) = Currency::new(&row.currency) {
                    *cells.entry(currency).or_default() += row.gross;
                }
            }
        }
        let parts = expect.iter().map(|(of, totals)| (*of, totals.captured));
        let what = "captured of the forked rig at the region";
        invariant::money_exact(what, parts, &cells)
            .map_err(|sentence| Finding::of(Law::L5, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fork_loses_or_doubles_an_event() {
        let mut all = Counted::default();
        for seed in 0..60 {
            let told = story(seed).unwrap_or_else(|finding| panic!("seed {seed}: {finding:?}"));
            all.acked += told.acked;
            all.forks += told.forks;
        }
        assert!(all.forks > 20 && all.acked > 2_000, "{all:?}");
    }
}
