//! Looking into a stopped or damaged journal without changing it: for `journal inspect`, `fsck` and
//! `export`.
//!
//! One segment is in memory at a time. The folder is not locked and nothing is written, so a copy of
//! a journal, or one on a read-only disk, can be looked at. Bodies are never shown; the one way to
//! records is [`records`], behind which the caller has to put the gate for raw reads (L9).

use std::collections::{BTreeMap, VecDeque};
use std::io;

use popwatch_core::event::Class;
use popwatch_core::event::system::{Gap, Seal, TotalsRow};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::money::{Currency, Money};
use popwatch_core::record::Record;

use super::EpochInfo;
use super::format::{chain_frame, chain_index};
use super::recovery::{Accounts, Found, Row, subtract, survey};
use super::segment::{Loaded, QUARANTINE, load};
use super::totals::{self, Appraiser, NO_CURRENCY, seal_of};
use crate::fs::Fs;

/// What a journal holds and lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsckReport {
    /// Whose journal it is, as its segments say; empty when none does.
    pub rig: String,
    /// Segment files of the journal.
    pub segments: usize,
    /// Per epoch, ascending.
    pub epochs: Vec<EpochReport>,
    /// Files in the quarantine.
    pub quarantined: Vec<String>,
    /// Segment files that are no part of this journal or of a later format, and why.
    pub outside: Vec<(String, Row)>,
}

/// What one epoch holds and lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochReport {
    /// Its number.
    pub epoch: Epoch,
    /// Its last seq.
    pub last_seq: Seq,
    /// Records up to here are replicated and were removed on purpose; 0 for none.
    pub trimmed: Seq,
    /// None of it counts.
    pub void: bool,
    /// What is missing, ascending.
    pub gaps: Vec<GapReport>,
    /// Bytes behind the last record that are no record: a commit that was never acknowledged.
    pub torn_bytes: u64,
    /// What contradicts itself.
    pub faults: Vec<Fault>,
}

/// A missing range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapReport {
    /// First missing seq.
    pub first: Seq,
    /// Last missing seq.
    pub last: Seq,
    /// `media`, `torn`, `missing_file` or `thinned`.
    pub cause: String,
    /// What was captured (and refunded) in it over all popups, such as `EUR 412.50`; `no money`,
    /// `value unknown`, or both an amount and that more is unknown.
    pub value: String,
    /// Its value per popup and currency; each row is exact.
    pub rows: Vec<TotalsRow>,
    /// No row is missing in `rows`.
    pub known: bool,
    /// A `rig.gap` names it.
    pub recorded: bool,
}

/// A contradiction between records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The record that shows it.
    pub seq: Seq,
    /// What is wrong.
    pub what: FaultKind,
}

/// What is wrong with a record that both its crcs believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The chain it or its segment states is not the chain of the records before it.
    Chain,
    /// Its totals are not the sum of the records before it.
    Totals,
    /// This version cannot read it.
    Undecodable,
}

impl FsckReport {
    /// Nothing is missing and nothing contradicts itself.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.epochs
            .iter()
            .all(|epoch| epoch.gaps.is_empty() && epoch.faults.is_empty())
    }

    /// One line per epoch, such as
    /// `till-1 epoch 3: 1..18221, missing 412..415 (media, EUR 412.50)`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.epochs
            .iter()
            .map(|epoch| epoch.line(&self.rig))
            .collect()
    }
}

impl EpochReport {
    fn line(&self, rig: &str) -> String {
        let mut line = format!("{rig} epoch {}: 1..{}", self.epoch, self.last_seq);
        if self.void {
            line.push_str(", void");
        }
        if self.trimmed > Seq::NONE {
            line.push_str(&format!(", 1..{} trimmed", self.trimmed));
        }
        for gap in &self.gaps {
            let more = format!(
                ", missing {}..{} ({}, {})",
                gap.first, gap.last, gap.cause, gap.value
            );
            line.push_str(&more);
        }
        if self.torn_bytes > 0 {
            line.push_str(&format!(
                ", {} bytes of an unacknowledged tail",
                self.torn_bytes
            ));
        }
        for fault in &self.faults {
            let what = match fault.what {
                FaultKind::Chain => "chain differs",
                FaultKind::Totals => "totals differ",
                FaultKind::Undecodable => "unreadable for this version",
            };
            line.push_str(&format!(", {what} at {}", fault.seq));
        }
        line
    }
}

/// The parts of a survey that all three need.
struct Opened {
    rig: String,
    found: Vec<Found>,
    rows: Vec<(String, Row)>,
    epochs: Vec<EpochInfo>,
    known: Vec<Gap>,
    fresh: Vec<Gap>,
    ends: BTreeMap<u32, Vec<TotalsRow>>,
}

fn opened<F: Fs>(fs: &F) -> io::Result<Opened> {
    let mut survey = survey(fs, None)?;
    let accounts = Accounts::new(fs, &mut survey)?;
    Ok(Opened {
        rig: survey.rig.take().unwrap_or_default(),
        rows: std::mem::take(&mut survey.rows),
        found: survey.found,
        epochs: accounts.epochs,
        known: accounts.known,
        fresh: accounts.found,
        ends: accounts.ends,
    })
}

impl Opened {
    fn of(&self, info: &EpochInfo) -> Vec<&Found> {
        let ours = |found: &&Found| {
            found.sealed.epoch == info.epoch && found.sealed.epoch_id == info.epoch_id
        };
        let mut found: Vec<_> = self.found.iter().filter(ours).collect();
        found.sort_by_key(|found| found.sealed.footer.first_seq);
        found
    }
}

/// Reads every frame and checks crcs, seqs, chains and totals. Fails only when the disk refuses.
pub fn fsck<F: Fs>(fs: &F) -> io::Result<FsckReport> {
    let opened = opened(fs)?;
    let mut epochs = Vec::new();
    for info in &opened.epochs {
        epochs.push(Check::run(fs, &opened, info)?);
    }
    let outside = |row: &Row| matches!(row, Row::R1 | Row::R2 | Row::R3 | Row::R4 | Row::R15);
    Ok(FsckReport {
        rig: opened.rig,
        segments: opened.found.len(),
        epochs,
        quarantined: fs.list(QUARANTINE)?,
        outside: opened
            .rows
            .into_iter()
            .filter(|(_, row)| outside(row))
            .collect(),
    })
}

/// One epoch on its way through its segments.
struct Check<'a> {
    appraiser: Appraiser,
    chains: [Option<[u8; 32]>; 2],
    trimmed: u64,
    expected: u64,
    /// What is missing, each with the record that names it.
    missing: Vec<(u64, u64, Option<&'a Gap>)>,
    /// Gaps that records name, ascending.
    named: Vec<&'a Gap>,
    faults: Vec<Fault>,
    info: &'a EpochInfo,
}

impl<'a> Check<'a> {
    fn run<F: Fs>(fs: &F, opened: &'a Opened, info: &'a EpochInfo) -> io::Result<EpochReport> {
        let ours = |gap: &&Gap| gap.epoch == info.epoch.0 && gap.epoch_id == info.epoch_id.0;
        let mut named: Vec<_> = opened.known.iter().filter(ours).collect();
        named.sort_by_key(|gap| gap.first);
        let trimmed = info.trimmed.0;
        let mut check = Self {
            appraiser: Appraiser::from_start(trimmed > 0),
            chains: [None; 2],
            trimmed,
            expected: trimmed + 1,
            missing: Vec::new(),
            named,
            faults: Vec::new(),
            info,
        };
        let mut torn_bytes = 0;
        if !info.void {
            for found in opened.of(info) {
                let loaded = load(fs, &found.sealed)?;
                check.segment(found, &loaded);
                torn_bytes += found.torn.as_ref().map_or(0, |torn| torn.bytes);
            }
            check.missing(info.last_seq.0.saturating_add(1));
        }
        if let Some(totals) = opened.ends.get(&info.epoch.0) {
            check.appraiser.end(totals);
        }
        Ok(check.report(opened, torn_bytes))
    }

    /// Everything up to `seq` is missing.
    fn missing(&mut self, seq: u64) {
        if seq <= self.expected {
            return;
        }
        let (first, last) = (self.expected, seq - 1);
        let whole = |gap: &&&Gap| gap.first >= first && gap.last <= last;
        let named: Vec<&'a Gap> = self.named.iter().filter(whole).copied().collect();
        let ranges: Vec<_> = named.iter().map(|gap| (gap.first, gap.last)).collect();
        let mut pieces: Vec<_> = named
            .into_iter()
            .map(|gap| (gap.first, gap.last, Some(gap)))
            .collect();
        let unnamed = subtract((first, last), &ranges);
        pieces.extend(unnamed.into_iter().map(|(first, last)| (first, last, None)));
        pieces.sort_by_key(|(first, last, _)| (*first, *last));
        for (first, last, named) in pieces {
            match named {
                Some(gap) => self.appraiser.recorded(gap),
                None => self.appraiser.gap(first, last),
            }
            self.missing.push((first, last, named));
        }
        self.chains = [None; 2];
        self.expected = seq;
    }

    fn segment(&mut self, found: &Found, loaded: &Loaded) {
        let footer = &found.sealed.footer;
        if footer.first_seq > self.info.last_seq {
            return;
        }
        if footer.first_seq.0 > self.expected {
            self.chains = [None; 2];
        }
        if let Some(before) = found.sealed.chains_before {
            self.stated(before.map(Some), footer.first_seq);
        }
        for frame in &loaded.scan.frames {
            let seq = frame.header.seq;
            if seq > self.info.last_seq {
                break;
            }
            self.missing(seq.0);
            self.expected = self.expected.max(seq.0 + 1);
            match loaded.record(frame) {
                None => self.faults.push(Fault {
                    seq,
                    what: FaultKind::Undecodable,
                }),
                Some(record) => {
                    if let Some(seal) = seal_of(&record.event) {
                        self.stated(chains_of(seal), seq);
                    }
                    self.appraiser.record(seq.0, &record);
                }
            }
            let index = chain_index(frame.header.class.cursor());
            if let Some(chain) = self.chains.get_mut(index) {
                *chain = chain.map(|before| chain_frame(before, loaded.frame(frame)));
            }
        }
    }

    fn stated(&mut self, stated: [Option<[u8; 32]>; 2], seq: Seq) {
        let pairs = self.chains.iter().zip(&stated);
        let differs = |(held, stated): (&Option<_>, &Option<_>)| held.is_some() && held != stated;
        if pairs.into_iter().any(differs) {
            self.faults.push(Fault {
                seq,
                what: FaultKind::Chain,
            });
        }
        self.chains = stated;
    }

    fn report(mut self, opened: &Opened, torn_bytes: u64) -> EpochReport {
        let (valued, wrong, _) = self.appraiser.finish();
        self.faults.extend(wrong.into_iter().map(|seq| Fault {
            seq: Seq(seq),
            what: FaultKind::Totals,
        }));
        self.faults.sort_by_key(|fault| fault.seq);
        let ours =
            |gap: &&Gap| gap.epoch == self.info.epoch.0 && gap.epoch_id == self.info.epoch_id.0;
        let all = opened.known.iter().chain(&opened.fresh);
        let stated: Vec<_> = all.filter(ours).collect();
        let gaps = self.missing.iter().map(|(first, last, named)| {
            let over = |other: &&&Gap| other.first <= *last && other.last >= *first;
            let told = stated.iter().find(over);
            let found = valued
                .iter()
                .find(|gap| (gap.first, gap.last) == (*first, *last));
            let (lost, known) = match (named, found) {
                (Some(gap), _) => (gap.value.clone(), !gap.value_unknown),
                (None, Some(gap)) => (totals::rows(&gap.lost), gap.known),
                (None, None) => (Vec::new(), false),
            };
            GapReport {
                first: Seq(*first),
                last: Seq(*last),
                cause: told.map_or_else(|| "media".into(), |gap| gap.cause.clone()),
                value: worth(&lost, known),
                rows: lost,
                known,
                recorded: named.is_some(),
            }
        });
        EpochReport {
            epoch: self.info.epoch,
            last_seq: self.info.last_seq,
            trimmed: Seq(self.trimmed),
            void: self.info.void,
            gaps: gaps.collect(),
            torn_bytes,
            faults: self.faults,
        }
    }
}

fn chains_of(seal: &Seal) -> [Option<[u8; 32]>; 2] {
    [&seal.chain_trunk, &seal.chain_bulk].map(|chain| chain.as_slice().try_into().ok())
}

/// What lost rows were worth, as people read it: per currency, over all popups.
fn worth(lost: &[TotalsRow], known: bool) -> String {
    let mut sums: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
    let mut moved = 0i64;
    for row in lost {
        match Currency::new(&row.currency) {
            Some(currency) => {
                let sum = sums.entry(currency).or_default();
                sum.0 = sum.0.saturating_add(row.captured);
                sum.1 = sum.1.saturating_add(row.refunded);
            }
            None if row.currency == NO_CURRENCY => moved = moved.saturating_add(row.units),
            None => {}
        }
    }
    let mut parts = Vec::new();
    for (currency, (captured, refunded)) in sums {
        parts.push(Money::new(captured, currency).to_string());
        if refunded != 0 {
            parts.push(format!("refunds {}", Money::new(refunded, currency)));
        }
    }
    if moved != 0 {
        parts.push(format!("{moved} units of stock"));
    }
    match (known, parts.is_empty()) {
        (true, true) => "no money".into(),
        (true, false) => parts.join(", "),
        (false, true) => "value unknown".into(),
        (false, false) => format!("{} and an unknown rest", parts.join(", ")),
    }
}

/// One thing in a journal, without any body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A segment file; its records follow.
    Segment {
        /// Its name, folder included.
        name: &'a str,
        /// Its number.
        no: u64,
        /// Its epoch.
        epoch: Epoch,
        /// That epoch's id.
        epoch_id: EpochId,
        /// First and last seq.
        seqs: (Seq, Seq),
        /// Length of the file.
        bytes: u64,
        /// It has a footer.
        closed: bool,
    },
    /// A record.
    Record {
        /// Its seq.
        seq: Seq,
        /// Its class.
        class: Class,
        /// Its type's name; empty when this version cannot read it.
        kind: &'static str,
        /// Offset of its frame.
        at: u64,
        /// Bytes of its payload.
        bytes: u32,
    },
    /// What the seal just shown states.
    Seal {
        /// Records per class before it.
        counts: &'a [u64],
        /// Rows of totals.
        rows: usize,
        /// It states all rows.
        complete: bool,
    },
    /// Seqs that are missing here.
    Missing {
        /// The first.
        first: Seq,
        /// The last.
        last: Seq,
    },
}

/// Shows segments and what stands in them, in order.
pub fn inspect<F: Fs>(fs: &F, visit: &mut dyn FnMut(Seen<'_>)) -> io::Result<()> {
    let survey = survey(fs, None)?;
    for found in &survey.found {
        let sealed = &found.sealed;
        visit(Seen::Segment {
            name: &sealed.name,
            no: sealed.no,
            epoch: sealed.epoch,
            epoch_id: sealed.epoch_id,
            seqs: (sealed.footer.first_seq, sealed.footer.last_seq),
            bytes: sealed.bytes,
            closed: !found.bare,
        });
        let loaded = load(fs, sealed)?;
        let mut expected = sealed.footer.first_seq;
        for frame in &loaded.scan.frames {
            let seq = frame.header.seq;
            if seq > expected {
                visit(Seen::Missing {
                    first: expected,
                    last: Seq(seq.0 - 1),
                });
            }
            expected = seq.next();
            let record = loaded.record(frame);
            visit(Seen::Record {
                seq,
                class: frame.header.class,
                kind: record
                    .as_ref()
                    .map_or("", |record| record.event.type_name()),
                at: frame.at,
                bytes: frame.header.len,
            });
            if let Some(seal) = record.as_ref().and_then(|record| seal_of(&record.event)) {
                visit(Seen::Seal {
                    counts: &seal.counts,
                    rows: seal.totals.len(),
                    complete: seal.complete,
                });
            }
        }
    }
    Ok(())
}

/// A record with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its seq.
    pub seq: Seq,
    /// What it says.
    pub record: Record,
}

/// All sound records that count, by epoch and seq. See [`records`].
pub struct Records<'f, F: Fs> {
    fs: &'f F,
    segments: VecDeque<(Found, Seq)>,
    /// The current segment, its next frame, its epoch and that epoch's last seq.
    current: Option<(Loaded, usize, Epoch, Seq)>,
}

/// Goes through all records that count, by epoch and seq, without those this version cannot read.
/// An item is an error when the disk refuses a file; the next one goes on behind it.
pub fn records<F: Fs>(fs: &F) -> io::Result<Records<'_, F>> {
    let opened = opened(fs)?;
    let last: BTreeMap<_, _> = opened
        .epochs
        .iter()
        .filter(|info| !info.void)
        .map(|info| ((info.epoch, info.epoch_id), info.last_seq))
        .collect();
    let of = |found: &Found| {
        last.get(&(found.sealed.epoch, found.sealed.epoch_id))
            .copied()
    };
    let mut segments: Vec<_> = opened
        .found
        .into_iter()
        .filter_map(|found| of(&found).map(|last| (found, last)))
        .collect();
    segments.sort_by_key(|(found, _)| (found.sealed.epoch, found.sealed.footer.first_seq));
    Ok(Records {
        fs,
        segments: segments.into(),
        current: None,
    })
}

impl<F: Fs> Iterator for Records<'_, F> {
    type Item = io::Result<Placed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((loaded, next, epoch, last)) = &mut self.current
                && let Some(frame) = loaded.scan.frames.get(*next)
            {
                *next += 1;
                let (epoch, seq) = (*epoch, frame.header.seq);
                match loaded.record(frame).filter(|_| seq <= *last) {
                    Some(record) => return Some(Ok(Placed { epoch, seq, record })),
                    None => continue,
                }
            }
            let (found, last) = self.segments.pop_front()?;
            match load(self.fs, &found.sealed) {
                Ok(loaded) => self.current = Some((loaded, 0, found.sealed.epoch, last)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
