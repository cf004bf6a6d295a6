//! The laws, looked at after every step, at every start and at the end of the day.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::cell::{Cell, CellKey, Digest};
use popwatch_core::fold::{EpochFold, Step};
use popwatch_core::id::{PopupId, Seq};
use popwatch_core::invariant::{self, Held, Law};
use popwatch_core::ledger::reconcile::CurrencyTotals;
use popwatch_core::money::Currency;
use popwatch_core::record;
use popwatch_core::region::Region;
use popwatch_core::role::edge::{Edge, Remains};
use popwatch_core::time::WallMs;
use popwatch_store::books::{BooksFault, BooksView};
use popwatch_store::fs::faulty::{Dice, FaultFs};

use crate::minutes;
use crate::model::{Model, Sums};
use crate::net::Peer;
use crate::peers::{LedgerSide, RegionSide};
use crate::rig::{EpochRead, Rig, reread};
use crate::till::{PLANTED_DOMAIN, Planted};
use crate::world::World;

/// A law that did not hold, or a defect that shows no law's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Which law; `None` for anything else that must not be.
    pub(crate) law: Option<Law>,
    /// What was found, in words.
    pub(crate) sentence: String,
    /// At which step; filled in by the world.
    pub(crate) step: u64,
}

impl Finding {
    /// A law's own sentence.
    #[must_use]
    pub(crate) fn of(law: Law, sentence: String) -> Self {
        Self {
            law: Some(law),
            sentence,
            step: 0,
        }
    }

    /// Anything else that must not be.
    #[must_use]
    pub(crate) fn defect(sentence: String) -> Self {
        Self {
            law: None,
            sentence,
            step: 0,
        }
    }

    /// What the books could not do.
    #[must_use]
    pub(crate) fn books(fault: BooksFault) -> Self {
        if let BooksFault::Law(sentence) = fault {
            return Self::of(Law::L6, sentence);
        }
        Self::defect(format!("the books failed: {fault} ({fault:?})"))
    }
}

/// What a check answers.
pub(crate) type Checked = Result<(), Finding>;

fn by(law: Law, held: Held) -> Checked {
    held.map_err(|sentence| Finding::of(law, sentence))
}

/// What the step checks remember, so that they need not look at everything again.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    digests: BTreeMap<CellKey, (u64, Digest)>,
    batches_seen: usize,
}

impl Memory {
    /// A rig folds its cells anew.
    pub(crate) fn forget(&mut self) {
        self.digests.clear();
    }
}

impl World {
    /// After every step.
    pub(crate) fn check_step(&mut self) -> Checked {
        for rig in &self.rigs {
            seqs(rig)?;
            gauges(self, rig)?;
        }
        by(
            Law::L11,
            invariant::within_limits(self.region.region.gauges()),
        )?;
        if self.memory.batches_seen != self.region.batches.len() {
            self.memory.batches_seen = self.region.batches.len();
            for popup in self.day.popups.clone() {
                self.region_knows_only_rigs(&popup)?;
            }
        }
        if self.ledger.changed {
            self.ledger.changed = false;
            for popup in popups(&self.day.popups) {
                books_balance(&self.ledger.view(&popup)?)?;
            }
        }
        Ok(())
    }

    /// L4: a cell at the region is the rig's own at that version, and never newer.
    fn region_knows_only_rigs(&mut self, popup: &str) -> Checked {
        let Ok(name) = PopupId::new(popup) else {
            return Ok(());
        };
        let mut memory = std::mem::take(&mut self.memory);
        let (mut here, mut there) = (BTreeMap::new(), BTreeMap::new());
        for (key, (version, digest)) in self.region.region.digests(popup) {
            let rig = self.rigs.iter().find(|rig| rig.id.as_str() == key.rig);
            let Some(live) = rig.and_then(|rig| rig.live.as_ref()) else {
                continue;
            };
            let fold = live.edge.folds().get(&popwatch_core::id::Epoch(key.epoch));
            let minute = popwatch_core::time::Minute(key.minute);
            let Some(cell) = fold.and_then(|fold| fold.cell(&name, minute)) else {
                let sentence = format!("L4: the region has a cell {key:?} that the rig never had");
                return Err(Finding::of(Law::L4, sentence));
            };
            if version > cell.version {
                let sentence = format!("L4: cell {key:?} is newer at the region than on its rig");
                return Err(Finding::of(Law::L4, sentence));
            }
            if version == cell.version {
                let own = digest_of(&mut memory.digests, &key, cell);
                here.insert(key.clone(), (version, own));
                there.insert(key, (version, digest));
            }
        }
        self.memory = memory;
        by(
            Law::L4,
            invariant::folds_agree("rig and region", &here, &there),
        )
    }

    /// After a start: everything a till was told is safe is there, byte for byte; of an epoch that
    /// was let go, at the ledger.
    pub(crate) fn check_start(
        &self,
        rig: usize,
        read: &[EpochRead],
        at_the_ledger: &Payloads,
    ) -> Checked {
        acked_survives(&self.model, rig, read, at_the_ledger)?;
        seqs(&self.rigs[rig])
    }

    /// At the end of the day, when everything has arrived everywhere.
    pub(crate) fn check_end(&mut self) -> Checked {
        for rig in &mut self.rigs {
            same_cells(rig)?;
            let (right, all) = minutes::right(rig, &self.model)?;
            self.counts.minutes_right += right;
            self.counts.minutes_all += all;
        }
        let mut dice = Dice(self.seed ^ 0x5eed);
        self.another_order(&mut dice)?;
        for popup in popups(&self.day.popups) {
            self.folds_agree(&popup)?;
        }
        self.money_exact()?;
        for popup in popups(&self.day.popups) {
            books_balance(&self.ledger.view(&popup)?)?;
            self.nothing_lacks(&popup)?;
        }
        self.nothing_forbidden()
    }

    /// L3: the same batches in another order, some of them twice, end in the same place.
    fn another_order(&self, dice: &mut Dice) -> Checked {
        let mut ledger = LedgerSide::new(self.saboteur)?;
        for index in shuffled(self.ledger.batches.len(), dice) {
            let taken = ledger.accept(self.ledger.batches[index].clone(), self.now_ms)?;
            if taken.is_err() {
                return Err(Finding::defect("a ledger that is there was not".into()));
            }
        }
        let mut region = RegionSide::new(self.seed, None);
        for index in shuffled(self.region.batches.len(), dice) {
            region.accept(self.region.batches[index].clone(), self.now_ms);
        }
        for popup in popups(&self.day.popups) {
            let (one, other) = (self.ledger.state(&popup)?, ledger.state(&popup)?);
            let what = format!("the book of {popup}");
            by(Law::L3, invariant::delivery_blind(&what, &one, &other))
                .map_err(|finding| explain(finding, &one, &other))?;
            let cells = |of: &Region| (of.digests(popup.as_str()), of.cells(popup.as_str()));
            let (one, other) = (cells(&self.region.region), cells(&region.region));
            by(
                Law::L3,
                invariant::delivery_blind("the region", &one, &other),
            )?;
        }
        Ok(())
    }

    /// L4: rig, region and the ledger's own fold hold the same cells.
    fn folds_agree(&self, popup: &PopupId) -> Checked {
        let mut rigs = BTreeMap::new();
        for live in self.rigs.iter().filter_map(|rig| rig.live.as_ref()) {
            rigs.extend(digests(&live.edge, popup));
        }
        let region = self.region.region.digests(popup.as_str());
        by(
            Law::L4,
            invariant::folds_agree("rigs and region", &rigs, &region),
        )?;
        let refold = self.ledger.books.refold(popup).map_err(Finding::books)?;
        let refold = refold
            .into_iter()
            .map(|(key, cell)| (key, (cell.version, cell.digest)));
        let refold: BTreeMap<_, _> = refold.collect();
        by(
            Law::L4,
            invariant::folds_agree("rigs and ledger", &rigs, &refold),
        )
    }

    /// L5: cells and books sum to the facts, currency by currency.
    fn money_exact(&self) -> Checked {
        let (rigs, books) = (self.model.told_to_rigs(), self.model.in_the_books());
        for popup in popups(&self.day.popups) {
            let mut cells: BTreeMap<Currency, CurrencyTotals> = BTreeMap::new();
            for bytes in self.region.region.cells(popup.as_str()) {
                let cell = Cell::decode_canonical(&bytes)
                    .map_err(|fault| Finding::defect(format!("the region's cell: {fault}")))?;
                for row in &cell.money {
                    let Some(currency) = Currency::new(&row.currency) else {
                        continue;
                    };
                    let totals = cells.entry(currency).or_default();
                    totals.captured += row.gross;
                    totals.refunded += row.refund;
                    totals.sales += row.captures;
                    totals.refunds += row.refunds;
                }
            }
            let view = self.ledger.view(&popup)?;
            money("cells", &popup, &rigs, &cells)?;
            money("books", &popup, &books, &self.ledger.totals(&view))?;
        }
        Ok(())
    }

    /// Every record known to exist is at the ledger or named as lost.
    fn nothing_lacks(&self, popup: &PopupId) -> Checked {
        for epoch in self.ledger.view(popup)?.coverage {
            if !epoch.missing.is_empty() {
                return Err(Finding::defect(format!(
                    "{} is level and the ledger still lacks {:?} of its epoch {}",
                    epoch.rig, epoch.missing, epoch.epoch
                )));
            }
        }
        Ok(())
    }

    /// L7: what was typed where it does not belong is on no disk and in no book.
    fn nothing_forbidden(&self) -> Checked {
        for rig in &self.rigs {
            for name in rig.disk.names() {
                let bytes = rig.disk.bytes(&name).unwrap_or_default();
                let place = format!("{name} of {}", rig.id);
                self.look(&place, &bytes)?;
            }
        }
        for popup in popups(&self.day.popups) {
            let state = self.ledger.state(&popup)?;
            self.look("the books", format!("{state:?}").as_bytes())?;
        }
        Ok(())
    }

    /// L7 for bytes that are about to leave.
    pub(crate) fn look(&self, place: &str, bytes: &[u8]) -> Checked {
        let scan = |bytes: &[u8]| forbidden(bytes, &self.planted);
        by(Law::L7, invariant::nothing_forbidden(place, bytes, scan))
    }
}

/// L2: the seqs of every epoch are dense as they became known.
fn seqs(rig: &Rig) -> Checked {
    let Some(live) = rig.live.as_ref().filter(|_| !rig.lags) else {
        return Ok(());
    };
    for info in live.journal.epochs() {
        let told = rig.told.get(&info.epoch.0).cloned().unwrap_or_default();
        let lost = rig.lost.get(&info.epoch.0).cloned().unwrap_or_default();
        let held = invariant::seqs_dense(info.last_seq.0, told, &lost);
        let named = |sentence| format!("{sentence}, in epoch {} of {}", info.epoch, rig.id);
        by(Law::L2, held.map_err(named))?;
    }
    Ok(())
}

/// L11: bounds of the rig's own page, its lines, its tally.
fn gauges(world: &World, rig: &Rig) -> Checked {
    let Some(live) = &rig.live else { return Ok(()) };
    by(
        Law::L11,
        invariant::within_limits(live.edge.page().gauges()),
    )?;
    let lines = [Peer::Region, Peer::Ledger].map(|peer| (rig.no, peer));
    let waiting = lines.map(|line| ("bodies waiting on a line", world.waiting(line), 1));
    by(Law::L11, invariant::within_limits(waiting))?;
    let durable: u64 = live
        .journal
        .epochs()
        .iter()
        .map(|info| info.last_seq.0)
        .sum();
    let unsent = live.edge.unsent();
    let drained = live.edge.records().is_some_and(|lane| lane.is_drained());
    if unsent.records > durable || (drained && unsent.records > 0) {
        let sentence = format!(
            "L11: {} tells of {} unsent records; {durable} are durable, all sent: {drained}",
            rig.id, unsent.records
        );
        return Err(Finding::of(Law::L11, sentence));
    }
    Ok(())
}

/// Payloads of one rig by epoch and seq.
pub(crate) type Payloads = BTreeMap<(u32, u64), Vec<u8>>;

/// L1 for one rig that was just read back.
fn acked_survives(
    model: &Model,
    rig: usize,
    read: &[EpochRead],
    at_the_ledger: &Payloads,
) -> Checked {
    let mut held = BTreeMap::new();
    let there: BTreeSet<u32> = read.iter().map(|epoch| epoch.info.epoch.0).collect();
    for ((epoch, seq), payload) in at_the_ledger {
        if !there.contains(epoch) {
            held.insert((rig, *epoch, *seq), payload);
        }
    }
    for epoch in read {
        for (seq, payload) in &epoch.frames {
            held.insert((rig, epoch.info.epoch.0, *seq), payload);
        }
    }
    let ours = model.facts().iter().filter(|fact| fact.place.0 == rig);
    let acked = ours.map(|fact| (&fact.place, &fact.payload));
    by(
        Law::L1,
        invariant::acked_survives(acked, |place| held.get(place).map(|it| (*it).clone())),
    )
}

/// L12: a fold from scratch has the cells that were folded record by record. An epoch that is being
/// folded again (its journal could not be read at once) is not compared before that is done; at the
/// day's end all are.
pub(crate) fn same_cells(rig: &mut Rig) -> Checked {
    let Some(live) = &mut rig.live else {
        return Ok(());
    };
    let read = reread(&mut live.journal)
        .map_err(|error| Finding::defect(format!("a journal that works is not read: {error}")))?;
    for EpochRead { info, frames, .. } in read {
        // A disk that was not read yet holds up the fold that an anchor asked for; at the end of a
        // day none is left.
        if live.edge.remains(info.epoch, WallMs(0)) == Remains::NotYet {
            continue;
        }
        let mut fold = EpochFold::new(rig.id.clone(), info.epoch, info.epoch_id);
        let records: Vec<_> = frames
            .iter()
            .filter_map(|(seq, payload)| Some((Seq(*seq), record::decode(payload).ok()?)))
            .collect();
        for (seq, record) in &records {
            if fold.apply(*seq, record) == Step::Rebucket {
                let mut again = fold.again(*seq, record);
                for (seq, record) in &records {
                    again.apply(*seq, record);
                }
                fold.adopt(again);
            }
        }
        let bytes = |fold: &EpochFold| fold.cells().map(Cell::encode_canonical).collect::<Vec<_>>();
        let held = live
            .edge
            .folds()
            .get(&info.epoch)
            .map(bytes)
            .unwrap_or_default();
        by(Law::L12, invariant::same_cells(&bytes(&fold), &held))?;
    }
    Ok(())
}

/// L6, from the accounts as they stand and not from the sums beside them.
fn books_balance(view: &BooksView) -> Checked {
    for (currency, books) in &view.currencies {
        let legs = books
            .accounts
            .iter()
            .map(|line| (*currency, line.balance()));
        by(Law::L6, invariant::books_balance(legs))?;
        let suspense = BTreeMap::from([(*currency, books.suspense)]);
        let open = BTreeMap::from([(*currency, books.open_breaks)]);
        by(Law::L6, invariant::suspense_explained(&suspense, &open))?;
    }
    for (sku, books) in &view.stock {
        let legs = books
            .accounts
            .iter()
            .map(|line| (sku.as_str(), line.balance()));
        by(Law::L6, invariant::books_balance(legs))?;
    }
    Ok(())
}

/// A rig's own digest of a cell, kept per version.
fn digest_of(known: &mut BTreeMap<CellKey, (u64, Digest)>, key: &CellKey, cell: &Cell) -> Digest {
    match known.get(key) {
        Some((version, digest)) if *version == cell.version => *digest,
        Some(_) | None => {
            let digest = cell.digest();
            known.insert(key.clone(), (cell.version, digest));
            digest
        }
    }
}

fn money(
    what: &str,
    popup: &PopupId,
    expect: &Sums,
    found: &BTreeMap<Currency, CurrencyTotals>,
) -> Checked {
    let none = BTreeMap::new();
    let expect = expect.get(popup.as_str()).unwrap_or(&none);
    type Side = fn(&CurrencyTotals) -> i64;
    let sides: [(&str, Side); 4] = [
        ("captured", |totals| totals.captured),
        ("refunded", |totals| totals.refunded),
        ("sales", |totals| {
            i64::try_from(totals.sales).unwrap_or(i64::MAX)
        }),
        ("refunds", |totals| {
            i64::try_from(totals.refunds).unwrap_or(i64::MAX)
        }),
    ];
    for (name, side) in sides {
        let parts = expect
            .iter()
            .map(|(currency, totals)| (*currency, side(totals)));
        let whole = found
            .iter()
            .map(|(currency, totals)| (*currency, side(totals)))
            .collect();
        let what = format!("{name} of {popup} in the {what}");
        by(Law::L5, invariant::money_exact(&what, parts, &whole))?;
    }
    Ok(())
}

fn digests(edge: &Edge, popup: &PopupId) -> BTreeMap<CellKey, (u64, Digest)> {
    let cells = edge.folds().values().flat_map(EpochFold::cells);
    let ours = cells.filter(|cell| cell.popup == popup.as_str());
    ours.map(|cell| (cell.key(), (cell.version, cell.digest())))
        .collect()
}

fn popups(names: &[String]) -> Vec<PopupId> {
    names
        .iter()
        .filter_map(|name| PopupId::new(name).ok())
        .collect()
}

/// Every index once in some order, about a third of them once more.
fn shuffled(count: usize, dice: &mut Dice) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let again: BTreeSet<usize> = (0..count / 3).map(|_| dice.index(count)).collect();
    order.extend(again);
    for at in (1..order.len()).rev() {
        order.swap(at, dice.index(at + 1));
    }
    order
}

/// Names what differs, for the reader of a finding.
fn explain(
    finding: Finding,
    one: &crate::peers::BookState,
    other: &crate::peers::BookState,
) -> Finding {
    let parts = [
        ("accounts", one.view.currencies != other.view.currencies),
        ("stock", one.view.stock != other.view.stock),
        ("totals", one.totals != other.totals),
        ("entries", one.view.books_root != other.view.books_root),
        ("coverage", one.view.coverage != other.view.coverage),
        (
            "breaks",
            one.reconciliation.breaks != other.reconciliation.breaks,
        ),
    ];
    let names: Vec<_> = parts
        .iter()
        .filter(|part| part.1)
        .map(|part| part.0)
        .collect();
    let sentence = format!("{}: {}", finding.sentence, names.join(", "));
    Finding {
        sentence,
        ..finding
    }
}

/// How many planted values stand in some bytes. Digits count with single spaces or dashes between.
#[must_use]
pub(crate) fn forbidden(bytes: &[u8], planted: &Planted) -> usize {
    let mut hits = 0;
    let mut run = String::new();
    let mut gap = 0;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                run.push(char::from(*byte));
                gap = 0;
                continue;
            }
            b' ' | b'-' if !run.is_empty() && gap == 0 => {
                gap = 1;
                continue;
            }
            b'@' => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                hits += usize::from(rest.starts_with(PLANTED_DOMAIN.as_bytes()));
            }
            _ => {}
        }
        hits += cards_in(&run, planted);
        run.clear();
        gap = 0;
    }
    hits + cards_in(&run, planted)
}

fn cards_in(run: &str, planted: &Planted) -> usize {
    if run.len() < 13 {
        return 0;
    }
    planted
        .cards
        .iter()
        .filter(|card| run.contains(card.as_str()))
        .count()
}

/// The bytes of a disk that hold a payload: (name, offset).
#[must_use]
pub(crate) fn find_on_disk(disk: &FaultFs, payload: &[u8]) -> Option<(String, usize)> {
    disk.names().into_iter().find_map(|name| {
        let bytes = disk.bytes(&name)?;
        let at = bytes
            .windows(payload.len())
            .position(|window| window == payload)?;
        Some((name, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_values_are_seen_in_every_form() {
        let planted = Planted {
            cards: vec!["4111111111111111".into()],
        };
        for text in [
            "x4111111111111111y",
            "4111 1111 1111 1111",
            "\x014111-1111-1111-1111",
        ] {
            assert_eq!(forbidden(text.as_bytes(), &planted), 1, "{text}");
        }
        assert_eq!(forbidden(b"jo@planted.example", &planted), 1);
        for text in [
            "4111  1111 1111 1111",
            "411111111111111",
            "jo@other.example",
        ] {
            assert_eq!(forbidden(text.as_bytes(), &planted), 0, "{text}");
        }
    }
}
