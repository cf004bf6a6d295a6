//! From the journal to the edge's memory at a start: closed epochs from their savepoints, the rest
//! record by record.
//!
//! ```text
//! epoch ─► savepoint whole, made of just this? ── yes ─► its cells; then what the ledger lacks,
//!                      │                                 unless that is all of it
//!                      │ no
//!                      └─► every record ─► edge ─► a savepoint for the next start
//! ```
//!
//! What always holds: the memory is the same either way, byte for byte (L12); a savepoint that is
//! missing, damaged or of another fold costs time and nothing else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use popwatch_core::code::Code;
use popwatch_core::event::Event;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::fold::EpochFold;
use popwatch_core::fold::savepoint::{FOLD_VERSION, Heard, Savepoint};
use popwatch_core::id::{Epoch, RigId, Seq};
use popwatch_core::invariant::seqs_dense;
use popwatch_core::lane::FRAME_HEADER_BYTES;
use popwatch_core::lane::records_up::Tally;
use popwatch_core::limits::{SAVEPOINT_HEARD_MAX, SAVEPOINT_RECORDS_MIN};
use popwatch_core::record::{self, Record};
use popwatch_core::role::edge::{Edge, Input, Reread};
use popwatch_core::time::Now;
use popwatch_store::fs::Fs;
use popwatch_store::journal::{EpochInfo, Journal, ReadItem};
use popwatch_store::savepoint::{self, Found, Key};
use prost::Message;

/// Bytes read from the journal at a time.
const READ_BYTES: usize = 1 << 20;

/// What a start had to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refolded {
    /// Records read from the journal.
    pub(crate) records: u64,
    /// Epochs that came from their savepoints.
    pub(crate) restored: usize,
}

/// Feeds every epoch of the journal to the edge, oldest first.
pub(crate) fn refold<F: Fs>(
    journal: &mut Journal<F>,
    edge: &mut Edge,
    now: Now,
) -> io::Result<Refolded> {
    let mut done = Refolded::default();
    let acked = journal.acked().to_vec();
    let kept = kept(journal);
    let epochs = journal.epochs();
    for info in &epochs {
        let held = acked
            .iter()
            .find(|held| held.epoch == info.epoch.0 && held.epoch_id[..] == info.epoch_id.0[..]);
        let acked = held.map_or_else(Default::default, |held| {
            (Seq(held.trunk_seq), Seq(held.bulk_seq))
        });
        let opened = Input::Epoch {
            epoch: info.epoch,
            epoch_id: info.epoch_id,
            acked,
        };
        edge.handle(opened, now);
        let floor = match edge.records() {
            Some(_) => acked.0.min(acked.1),
            None => info.last_seq,
        };
        if let Some(floor) = restore(journal, edge, *info, floor, now) {
            done.restored += 1;
            done.records += one_epoch(journal, edge, *info, floor.next(), now)?.records;
        } else {
            let whole = one_epoch(journal, edge, *info, Seq(1), now)?;
            done.records += whole.records;
            whole.check(*info);
            keep(journal, edge, *info, whole);
        }
        let last = info.last_seq;
        edge.handle(
            Input::Ended {
                epoch: info.epoch,
                last,
            },
            now,
        );
    }
    for (epoch, fold) in kept {
        if epochs.iter().all(|info| info.epoch != epoch) && !edge.is_over(&fold, now.wall) {
            edge.handle(Input::Kept(epoch, Box::new(fold)), now);
        } else if let Err(fault) = savepoint::drop_cells(journal.fs(), epoch) {
            tracing::warn!(%fault, epoch = epoch.0, "cells that nobody needs stay where they are");
        }
    }
    let is_there = |epoch| epochs.iter().any(|info| info.epoch == epoch);
    if let Err(fault) = savepoint::keep_only(journal.fs(), is_there) {
        tracing::warn!(%fault, "savepoints of epochs that are gone stay where they are");
    }
    Ok(done)
}

/// The cells of epochs whose records were trimmed.
fn kept<F: Fs>(journal: &Journal<F>) -> Vec<(Epoch, EpochFold)> {
    let rig = journal.rig();
    let mut kept = Vec::new();
    for (epoch, savepoint) in savepoint::kept_cells(journal.fs(), (rig, journal.journal_id())) {
        let fold = savepoint.and_then(|of| EpochFold::restore(rig.clone(), &of).ok());
        if let Some(fold) = fold {
            kept.push((epoch, fold));
            continue;
        }
        // The file stays: a disk that did not answer may do so at the next start.
        let code = Code::CacheDamaged;
        tracing::warn!(%code, epoch = epoch.0, "kept cells are not read; a region that forgets misses them");
    }
    kept
}

/// Puts an epoch's savepoint in place of its records. Answers up to which seq no record need be
/// read; `None` when there is no savepoint that fits.
fn restore<F: Fs>(
    journal: &Journal<F>,
    edge: &mut Edge,
    info: EpochInfo,
    floor: Seq,
    now: Now,
) -> Option<Seq> {
    if info.current || info.void {
        return None;
    }
    let found = match savepoint::load(journal.fs(), info.epoch, &key(journal, info)) {
        Found::Whole(body) => decode(journal.rig(), info, &body),
        Found::Nothing => return None,
        Found::Damaged => None,
    };
    let Some(Restored { fold, heard, whole }) = found else {
        let code = Code::CacheDamaged;
        tracing::warn!(%code, epoch = info.epoch.0, "a savepoint is damaged and made anew");
        return None;
    };
    // Of an epoch the ledger holds nothing of, the sum is known without its records.
    let (floor, backlog) = match floor {
        Seq::NONE => (info.last_seq, whole),
        some => (some, Tally::default()),
    };
    edge.handle(Input::Restored(info.epoch, Box::new(fold), backlog), now);
    for (seq, record) in heard.into_iter().filter(|(seq, _)| *seq <= floor) {
        let (epoch, record) = (info.epoch, Arc::new(record));
        edge.handle(Input::Durable { epoch, seq, record }, now);
    }
    Some(floor)
}

/// What a savepoint says.
struct Restored {
    fold: EpochFold,
    heard: Vec<(Seq, Record)>,
    /// What all records but the heard come to.
    whole: Tally,
}

fn decode(rig: &RigId, info: EpochInfo, body: &[u8]) -> Option<Restored> {
    let savepoint = Savepoint::decode(body).ok()?;
    let fold = EpochFold::restore(rig.clone(), &savepoint).ok()?;
    let of_epoch = (savepoint.epoch, fold.epoch_id(), fold.head())
        == (info.epoch.0, info.epoch_id, info.last_seq);
    let mut whole = savepoint.whole.as_ref()?.tally()?;
    let mut told = Tally::default();
    let heard = savepoint.heard.iter().map(|heard| {
        let record = record::decode(&heard.payload).ok()?;
        told.add(&record.event);
        Some((Seq(heard.seq), record))
    });
    let heard = heard.collect::<Option<Vec<_>>>()?;
    whole.subtract(&told);
    of_epoch.then_some(Restored { fold, heard, whole })
}

/// Keeps a savepoint of an epoch that is closed and worth it.
fn keep<F: Fs>(journal: &Journal<F>, edge: &Edge, info: EpochInfo, whole: Read) {
    let worth = !info.current && !info.void && whole.records >= SAVEPOINT_RECORDS_MIN;
    let Some(fold) = edge.folds().get(&info.epoch).filter(|_| worth) else {
        return;
    };
    if whole.heard.len() > SAVEPOINT_HEARD_MAX || fold.head() != info.last_seq {
        return;
    }
    let body = fold
        .savepoint(whole.heard.into(), &whole.tally)
        .encode_to_vec();
    let kept = savepoint::save(journal.fs(), info.epoch, &key(journal, info), &body);
    if let Err(fault) = kept {
        tracing::warn!(%fault, epoch = info.epoch.0, "no savepoint was kept; the next start folds again");
    }
}

/// All that a savepoint's body depends on.
fn key<F: Fs>(journal: &Journal<F>, info: EpochInfo) -> Key {
    let gaps = journal
        .gaps()
        .iter()
        .filter(|gap| gap.epoch == info.epoch.0);
    let gaps: Vec<u8> = gaps
        .flat_map(|gap| [gap.first.to_le_bytes(), gap.last.to_le_bytes()].concat())
        .collect();
    Key::of(&[
        &FOLD_VERSION.to_le_bytes(),
        env!("CARGO_PKG_VERSION").as_bytes(),
        journal.rig().as_str().as_bytes(),
        &journal.journal_id().0,
        &info.epoch.0.to_le_bytes(),
        &info.epoch_id.0,
        &info.last_seq.0.to_le_bytes(),
        &gaps,
    ])
}

/// What was read of one epoch.
#[derive(Debug, Default)]
struct Read {
    records: u64,
    /// Closed ranges of seqs read.
    frames: Vec<(u64, u64)>,
    /// Closed ranges named as lost.
    gaps: Vec<(u64, u64)>,
    /// Records that others than the fold need at a start, the newest sale last.
    heard: VecDeque<Heard>,
    tally: Tally,
    last_sale: Option<u64>,
}

impl Read {
    /// L2: every seq of the epoch is there or named.
    fn check(&self, info: EpochInfo) {
        let present = self.frames.iter().flat_map(|(first, last)| *first..=*last);
        if let Err(sentence) = seqs_dense(info.last_seq.0, present, &self.gaps)
            && !info.void
        {
            let epoch = info.epoch.0;
            tracing::error!(law = "L2", epoch, sentence, "the journal breaks a law");
        }
    }

    fn take(&mut self, seq: Seq, record: &Record, payload: &[u8]) {
        self.records += 1;
        self.tally.add(&record.event);
        match self.frames.last_mut() {
            Some((_, last)) if *last + 1 == seq.0 => *last = seq.0,
            Some(_) | None => self.frames.push((seq.0, seq.0)),
        }
        let heard = if let Event::System(event) = &record.event {
            !matches!(event, SystemEvent::RigSeal(_) | SystemEvent::RigStopped(_))
        } else if let Event::PaymentCaptured(_) = &record.event {
            let before = self.last_sale.replace(seq.0);
            self.heard.retain(|heard| Some(heard.seq) != before);
            true
        } else {
            false
        };
        if heard && self.heard.len() <= SAVEPOINT_HEARD_MAX {
            let (seq, payload) = (seq.0, payload.to_vec());
            self.heard.push_back(Heard { seq, payload });
        }
    }
}

/// Feeds the records of one epoch from `from` on.
fn one_epoch<F: Fs>(
    journal: &mut Journal<F>,
    edge: &mut Edge,
    info: EpochInfo,
    from: Seq,
    now: Now,
) -> io::Result<Read> {
    let mut read = Read::default();
    let epoch: Epoch = info.epoch;
    let mut from = from;
    while from <= info.last_seq {
        let items = journal.read(epoch, from, READ_BYTES)?;
        let Some(last) = items.last().map(ReadItem::last_seq) else {
            break;
        };
        from = last.next();
        for item in items {
            let (seq, frame) = match item {
                ReadItem::Frame { seq, frame, .. } => (seq, frame),
                ReadItem::Gap(gap) => {
                    read.gaps.push((gap.first, gap.last));
                    continue;
                }
                ReadItem::Void { .. } => continue,
            };
            let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
            if let Ok(record) = record::decode(payload) {
                read.take(seq, &record, payload);
                let record = Arc::new(record);
                edge.handle(Input::Durable { epoch, seq, record }, now);
                settle(journal, edge, now)?;
            }
        }
    }
    Ok(read)
}

/// Gives the edge what it needs to fold an epoch again, if an anchor just asked for that.
fn settle<F: Fs>(journal: &mut Journal<F>, edge: &mut Edge, now: Now) -> io::Result<()> {
    while let Some(ask) = edge.reread(now.mono) {
        let (records, next) = piece(journal, ask)?;
        edge.handle(Input::Reread { ask, records, next }, now);
    }
    Ok(())
}

/// A piece of an epoch and where it goes on.
pub(crate) type Piece = (Vec<(Seq, Arc<Record>)>, Seq);

/// Reads a piece of an epoch that is to be folded again.
pub(crate) fn piece<F: Fs>(journal: &mut Journal<F>, ask: Reread) -> io::Result<Piece> {
    let items = journal.read(ask.epoch, ask.from, READ_BYTES)?;
    let next = items.last().map_or(ask.from, |item| item.last_seq().next());
    let records = items.into_iter().filter_map(|item| {
        let ReadItem::Frame { seq, frame, .. } = item else {
            return None;
        };
        let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        let record = record::decode(payload).ok()?;
        Some((seq, Arc::new(record)))
    });
    Ok((records.collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::event::{Minor, PaymentCaptured};
    use popwatch_core::id::{BootId, EpochId, JournalId, OrderId, PaymentId, PopupId};
    use popwatch_core::money::Currency;
    use popwatch_core::record::Stamp;
    use popwatch_core::time::{MonoMs, WallMs};
    use popwatch_store::fs::File;
    use popwatch_store::fs::faulty::FaultFs;
    use popwatch_store::journal::{Fresh, Opening};

    const WALL_MS: i64 = 1_795_000_000_000;
    const NOW: Now = Now {
        wall: WallMs(WALL_MS),
        mono: MonoMs(1),
    };

    fn stamp() -> Stamp {
        Stamp {
            wall_ms: WALL_MS,
            mono_ns: 1,
            ..Stamp::default()
        }
    }

    fn open(disk: &FaultFs, life: u8) -> Journal<FaultFs> {
        let opening = Opening {
            rig: RigId::new("till-1").unwrap(),
            fresh: Fresh {
                journal_id: JournalId([1; 16]),
                epoch_id: Box::new(move || EpochId([life; 16])),
            },
            boot_id: BootId([9; 16]),
            version: "1".into(),
            stamp: stamp(),
            popups: Vec::new(),
            segment_bytes: 1 << 20,
        };
        Journal::open(disk.clone(), opening).unwrap().0
    }

    fn sale(number: u64) -> (Option<PopupId>, Event) {
        let sale = PaymentCaptured {
            payment: PaymentId::new(&format!("p{number}")).unwrap(),
            order: OrderId::new(&format!("o{number}")).unwrap(),
            amount: Minor(100),
            currency: Currency::new("EUR").unwrap(),
            method: popwatch_core::id::PaymentMethod::new("card").unwrap(),
            provider: None,
            provider_ref: None,
            offline: None,
            tip: None,
            tax: None,
            fee: None,
            latency_ms: None,
            checkout: None,
            creator: None,
            token: None,
            lines: None,
        };
        let popup = PopupId::new("market").unwrap();
        (Some(popup), Event::PaymentCaptured(sale))
    }

    fn sell(journal: &mut Journal<FaultFs>) {
        let sales = (0..SAVEPOINT_RECORDS_MIN).map(sale).collect();
        journal.append_own(sales, stamp()).unwrap();
    }

    fn start(disk: &FaultFs, life: u8) -> (Edge, Refolded) {
        let mut journal = open(disk, life);
        let mut edge = Edge::new(&RigId::new("till-1").unwrap(), JournalId([1; 16]), true, 1);
        let done = refold(&mut journal, &mut edge, NOW).unwrap();
        (edge, done)
    }

    fn cells(edge: &Edge) -> Vec<Vec<u8>> {
        let folds = edge.folds().values().flat_map(EpochFold::cells);
        folds
            .map(popwatch_core::cell::Cell::encode_canonical)
            .collect()
    }

    #[test]
    fn a_closed_epoch_comes_from_its_savepoint_as_if_it_were_folded() {
        let disk = FaultFs::new(1);
        sell(&mut open(&disk, 1));
        let (folded, done) = start(&disk, 2);
        assert_eq!(done.restored, 0);
        let (restored, again) = start(&disk, 3);
        assert_eq!(again.restored, 1);
        assert!(again.records < 10, "{again:?}");
        let held = |edge: &Edge| (edge.last_sale_ms(), edge.unsent().money, cells(edge));
        assert_eq!(held(&folded), held(&restored));
        assert_eq!(cells(&restored).len(), 1);
        // The third life has begun with a record of its own.
        assert_eq!(restored.unsent().records, folded.unsent().records + 1);
    }

    #[test]
    fn what_the_ledger_holds_is_not_read_again() {
        let disk = FaultFs::new(1);
        let mut journal = open(&disk, 1);
        sell(&mut journal);
        let last = journal.epochs()[0].last_seq;
        drop(journal);
        start(&disk, 2);
        let mut journal = open(&disk, 3);
        let held = popwatch_core::event::system::Acked {
            epoch: 1,
            epoch_id: [1; 16].to_vec(),
            trunk_seq: last.0,
            bulk_seq: last.0,
        };
        journal.set_acked(vec![held]);
        let mut edge = Edge::new(&RigId::new("till-1").unwrap(), JournalId([1; 16]), true, 1);
        let done = refold(&mut journal, &mut edge, NOW).unwrap();
        assert_eq!(done.restored, 1);
        assert!(done.records < 10, "{done:?}");
        assert_eq!(edge.last_sale_ms(), Some(WALL_MS));
    }

    #[test]
    fn a_damaged_savepoint_is_made_anew() {
        let disk = FaultFs::new(1);
        sell(&mut open(&disk, 1));
        let (folded, _) = start(&disk, 2);
        let name = "cache/epoch-0000000001.pws";
        disk.open(name).unwrap().write_at(b"x", 60).unwrap();
        let (again, done) = start(&disk, 3);
        assert_eq!(done.restored, 0);
        assert_eq!(cells(&folded), cells(&again));
        assert_eq!(start(&disk, 4).1.restored, 1);
    }
}
