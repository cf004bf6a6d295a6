//! Per epoch: which seqs are there, which are lost, and what the lost ones were worth.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use popwatch_core::event::system::{
    Acked, Gap, PopupPolicy, RigStarted, Seal, SystemEvent, TotalsRow,
};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::limits;

use super::NOTHING;
use super::survey::{Found, Survey, last_seal, limit};
use crate::fs::Fs;
use crate::journal::EpochInfo;
use crate::journal::segment::{KeysAt, Sealed, load};
use crate::journal::totals::{Appraiser, Stated, Sums, Valued, rows};

/// What a survey adds up to.
#[derive(Debug, Default)]
pub(in crate::journal) struct Accounts {
    /// All epochs that are known, ascending; none is current.
    pub(in crate::journal) epochs: Vec<EpochInfo>,
    /// Gaps that are recorded already.
    pub(in crate::journal) known: Vec<Gap>,
    /// Gaps found now.
    pub(in crate::journal) found: Vec<Gap>,
    /// Each epoch's totals, where the next one states them.
    pub(in crate::journal) ends: BTreeMap<u32, Vec<TotalsRow>>,
    /// Policies stated in the last epoch.
    pub(in crate::journal) policies: Vec<PopupPolicy>,
    /// What the ledger had acknowledged.
    pub(in crate::journal) acked: Vec<Acked>,
    /// Totals at the end of the last epoch.
    pub(in crate::journal) totals: Stated,
    /// Chains at its end, where known.
    pub(in crate::journal) chains: [Option<[u8; 32]>; 2],
    /// It ended with `rig.stopped`, or there is none.
    pub(in crate::journal) clean: bool,
}

#[derive(Debug, Clone)]
struct Known {
    id: EpochId,
    void: bool,
    trimmed: u64,
    /// Last seq that a peer is known to hold.
    acked: u64,
    /// What the next epoch said of it.
    stated: Option<RigStarted>,
}

/// A range that is missing, before it is known whether a gap names it already.
struct Piece<'a> {
    first: u64,
    last: u64,
    cause: &'static str,
    file: &'a str,
    at: u64,
    bytes: u64,
}

impl Accounts {
    pub(in crate::journal) fn new<F: Fs>(fs: &F, survey: &mut Survey) -> io::Result<Self> {
        let mut known = epochs(survey);
        leave_trimmed(survey, &known);
        bound(fs, survey, &known)?;
        let acked = newest_acked(fs, survey)?;
        for peer in &acked {
            if let Some(of) = known
                .get_mut(&peer.epoch)
                .filter(|of| of.id.0[..] == peer.epoch_id[..])
            {
                of.acked = peer.trunk_seq.max(peer.bulk_seq);
            }
        }
        let mut accounts = Self {
            known: recorded(survey),
            acked,
            clean: true,
            ..Self::default()
        };
        for (epoch, of) in &known {
            accounts.epoch(fs, survey, *epoch, of)?;
        }
        accounts.last(fs, survey)?;
        Ok(accounts)
    }

    fn epoch<F: Fs>(&mut self, fs: &F, survey: &Survey, epoch: u32, of: &Known) -> io::Result<()> {
        let segments: Vec<_> = of_epoch(&survey.found, epoch, of.id);
        if of.trimmed > 0 && segments.is_empty() {
            return Ok(());
        }
        let named = ranges(&self.known, epoch, &of.id);
        let seen = segments.iter().map(|found| found.sealed.footer.last_seq.0);
        let seen = seen.max().unwrap_or(0).max(of.trimmed);
        let stated = of.stated.as_ref();
        let stated_last = stated.map_or(seen, |stated| stated.previous_last_seq);
        // Damage to acknowledged bytes at the end looked like a torn write then, or looks so now.
        let told = named.iter().map(|(_, last)| *last).max().unwrap_or(0);
        let told = told.max(of.acked).max(stated_last);
        let last = match told - stated_last <= limits::PEER_TAIL_RECORDS_MAX {
            true => told,
            false => stated_last,
        };
        self.epochs.push(EpochInfo {
            epoch: Epoch(epoch),
            epoch_id: of.id,
            last_seq: Seq(last),
            trimmed: Seq(of.trimmed),
            void: of.void,
            current: false,
            exact: stated.is_some_and(is_exact),
        });
        if let Some(stated) = stated {
            self.ends.insert(epoch, stated.previous_totals.clone());
        }
        if of.void {
            return Ok(());
        }
        let mut found: Vec<Gap> = Vec::new();
        let numbers = survey.found.iter().map(|found| found.sealed.no).collect();
        let pieces = Pieces {
            segments: &segments,
            numbers,
            trimmed: of.trimmed,
        };
        for piece in pieces.missing(stated_last, last) {
            for (first, last) in subtract((piece.first, piece.last), &named) {
                found.push(Gap {
                    epoch,
                    first,
                    last,
                    cause: piece.cause.into(),
                    file: piece.file.into(),
                    offset: piece.at,
                    bytes: piece.bytes,
                    epoch_id: of.id.0.to_vec(),
                    ..Gap::default()
                });
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let sealed: Vec<_> = segments.iter().map(|found| &found.sealed).collect();
        let end = stated.map(|stated| stated.previous_totals.as_slice());
        value(fs, &sealed, &mut found, &self.known, end)?;
        for gap in found.iter_mut().filter(|gap| gap.last > stated_last) {
            // No statement lies behind it.
            gap.value_unknown = true;
        }
        self.found.append(&mut found);
        Ok(())
    }

    /// How the last epoch ended.
    fn last<F: Fs>(&mut self, fs: &F, survey: &Survey) -> io::Result<()> {
        let Some(info) = self.epochs.iter().rfind(|info| !info.void).copied() else {
            return Ok(());
        };
        let segments = of_epoch(&survey.found, info.epoch.0, info.epoch_id);
        let sealed: Vec<_> = segments.iter().map(|found| &found.sealed).collect();
        let seal = match sealed.last() {
            Some(segment) => last_seal(fs, segment)?,
            None => None,
        };
        self.clean = seal.is_some_and(|(seq, ends, _)| ends && seq == info.last_seq.0);
        if let Some(last) = self.epochs.iter_mut().rfind(|info| !info.void) {
            last.exact = self.clean;
        }
        self.chains = sealed
            .last()
            .map_or([None; 2], |segment| segment.footer.chains);
        self.totals = appraise(fs, &sealed, &[], None, u64::MAX)?.1;
        let notes = segments.iter().flat_map(|found| &found.notes);
        let mut policies = BTreeMap::new();
        for (_, note) in notes {
            if let SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy) = note {
                policies.insert(policy.popup.clone(), policy.clone());
            }
        }
        self.policies = policies.into_values().collect();
        Ok(())
    }
}

/// Segments that were stated as gone: power failed before the last of them was removed.
fn leave_trimmed(survey: &mut Survey, known: &BTreeMap<u32, Known>) {
    let gone = |found: &Found| {
        let same = |of: &&Known| of.trimmed > 0 && of.id == found.sealed.epoch_id;
        known
            .get(&found.sealed.epoch.0)
            .filter(same)
            .is_some_and(|of| {
                let last = found.sealed.footer.last_seq.0;
                // Frames above the epoch's end do not count, and a void epoch goes as a whole.
                let stated = of.stated.as_ref().map(|stated| stated.previous_last_seq);
                of.void || last.min(stated.unwrap_or(last)) <= of.trimmed
            })
    };
    let found = std::mem::take(&mut survey.found);
    let (gone, stay): (Vec<_>, Vec<_>) = found.into_iter().partition(gone);
    survey.found = stay;
    survey
        .empty
        .extend(gone.into_iter().map(|found| found.sealed.name));
}

/// What the ledger had acknowledged, as the last seal that says anything says.
fn newest_acked<F: Fs>(fs: &F, survey: &Survey) -> io::Result<Vec<Acked>> {
    for found in survey.found.iter().rev() {
        if let Some((_, _, seal)) = last_seal(fs, &found.sealed)?
            && !seal.acked.is_empty()
        {
            return Ok(seal.acked);
        }
    }
    Ok(Vec::new())
}

/// Whether the start of the next epoch knew where this one ended: from its clean stop, or because
/// one process left it for the next.
fn is_exact(next: &RigStarted) -> bool {
    next.clean || matches!(next.reason.as_str(), "sync_failed" | "fork" | "trim")
}

fn of_epoch(found: &[Found], epoch: u32, id: EpochId) -> Vec<&Found> {
    let same = found.iter();
    let mut same: Vec<_> = same
        .filter(|found| found.sealed.epoch.0 == epoch && found.sealed.epoch_id == id)
        .collect();
    same.sort_by_key(|found| found.sealed.footer.first_seq);
    same
}

/// Every epoch that has a segment or is named by one, with what later ones say of it.
fn epochs(survey: &Survey) -> BTreeMap<u32, Known> {
    let mut known: BTreeMap<u32, Known> = BTreeMap::new();
    let new = |id| Known {
        id,
        void: false,
        trimmed: 0,
        acked: 0,
        stated: None,
    };
    for found in &survey.found {
        let sealed = &found.sealed;
        known
            .entry(sealed.epoch.0)
            .or_insert_with(|| new(sealed.epoch_id));
    }
    // Ascending, so that the newest statement stays.
    for (_, note) in survey.found.iter().flat_map(|found| &found.notes) {
        if let SystemEvent::RigStarted(started) = note {
            for void in &started.void_epochs {
                if let Some(of) = known.get_mut(void) {
                    of.void = true;
                }
            }
            if let Some(id) = EpochId::from_slice(&started.previous_epoch_id) {
                let of = known
                    .entry(started.previous_epoch)
                    .or_insert_with(|| new(id));
                if of.id == id {
                    of.stated = Some(started.clone());
                }
            }
        }
        if let SystemEvent::RigTrimmed(trimmed) = note {
            for upto in &trimmed.upto {
                if let Some(id) = EpochId::from_slice(&upto.epoch_id) {
                    let of = known.entry(upto.epoch).or_insert_with(|| new(id));
                    of.trimmed = of.trimmed.max(upto.trunk_seq).max(upto.bulk_seq);
                }
            }
        }
    }
    known
}

/// Frames above what the next epoch stated are void, and so is everything of a void epoch.
fn bound<F: Fs>(fs: &F, survey: &mut Survey, known: &BTreeMap<u32, Known>) -> io::Result<()> {
    let journal_id = survey.journal_id;
    for found in &mut survey.found {
        let Some(of) = known.get(&found.sealed.epoch.0) else {
            continue;
        };
        let last = match (of.void, &of.stated) {
            (true, _) => NOTHING,
            (false, Some(stated)) => Seq(stated.previous_last_seq),
            (false, None) => continue,
        };
        if of.void {
            found.sealed.keys = KeysAt::Memory(Vec::new());
            found.bare = false;
        } else if found.bare && found.sealed.footer.last_seq > last {
            let loaded = load(fs, &found.sealed)?;
            limit(&mut found.sealed, &loaded, last, journal_id);
            found.notes.retain(|(seq, _)| *seq <= last.0);
        }
    }
    Ok(())
}

fn recorded(survey: &Survey) -> Vec<Gap> {
    let notes = survey.found.iter().flat_map(|found| &found.notes);
    let mut gaps = Vec::new();
    for (_, note) in notes {
        if let SystemEvent::RigGap(gap) = note {
            gaps.push(gap.clone());
        }
    }
    gaps
}

/// The ranges that gaps name in one epoch, ascending.
pub(in crate::journal) fn ranges(gaps: &[Gap], epoch: u32, id: &EpochId) -> Vec<(u64, u64)> {
    let same = gaps
        .iter()
        .filter(|gap| gap.epoch == epoch && gap.epoch_id == id.0);
    let mut all: Vec<_> = same.map(|gap| (gap.first, gap.last)).collect();
    all.sort_unstable();
    all
}

/// What of a range no other range covers. `named` ascends.
pub(in crate::journal) fn subtract(range: (u64, u64), named: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let (mut first, last) = range;
    let mut left = Vec::new();
    for (from, to) in named {
        if *from > last || first > last {
            break;
        }
        if *from > first {
            left.push((first, from - 1));
        }
        first = first.max(to.saturating_add(1));
    }
    if first <= last {
        left.push((first, last));
    }
    left
}

/// One epoch's segments, in order.
struct Pieces<'a> {
    segments: &'a [&'a Found],
    /// Numbers of all segments that are there.
    numbers: BTreeSet<u64>,
    trimmed: u64,
}

impl<'a> Pieces<'a> {
    /// Every seq of `trimmed + 1..=last` that no segment holds. What lies behind `stated` only peers
    /// or gaps tell of.
    fn missing(&self, stated: u64, last: u64) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut expected = self.trimmed + 1;
        let mut before: Option<&'a Found> = None;
        for found in self.segments {
            let footer = &found.sealed.footer;
            let start = footer.first_seq.0;
            if start > stated {
                break;
            }
            if start > expected {
                pieces.push(self.between(expected, start - 1, before));
            }
            let holes = footer.holes.iter();
            for hole in holes.filter(|hole| hole.first <= stated && hole.last > self.trimmed) {
                pieces.push(Piece {
                    first: hole.first.max(self.trimmed + 1),
                    last: hole.last.min(stated),
                    cause: "media",
                    file: &found.sealed.name,
                    at: hole.at,
                    bytes: hole.bytes,
                });
            }
            expected = expected.max(footer.last_seq.0.saturating_add(1));
            before = Some(found);
        }
        if expected <= stated {
            pieces.push(self.between(expected, stated, before));
        }
        let first = expected.max(stated + 1);
        if first <= last {
            let cause = "media";
            pieces.push(Piece {
                cause,
                ..self.between(first, last, before)
            });
        }
        pieces
    }

    /// Where seqs behind a segment were lost: in its own end, if no file is missing behind it.
    fn between(&self, first: u64, last: u64, before: Option<&'a Found>) -> Piece<'a> {
        let next_is_there =
            |found: &&Found| self.numbers.contains(&found.sealed.no.saturating_add(1));
        let (cause, file, at, bytes) = match before {
            Some(found) => match &found.torn {
                Some(torn) => ("torn", &*found.sealed.name, torn.at, torn.bytes),
                None if next_is_there(&found) => ("torn", &*found.sealed.name, found.sealed.end, 0),
                None => ("missing_file", "", 0, 0),
            },
            None => ("missing_file", "", 0, 0),
        };
        Piece {
            first,
            last,
            cause,
            file,
            at,
            bytes,
        }
    }
}

/// Writes their values into new gaps of one epoch. `known` are the gaps recorded so far, `end` the
/// epoch's totals as the next one states them.
pub(in crate::journal) fn value<F: Fs>(
    fs: &F,
    segments: &[&Sealed],
    gaps: &mut [Gap],
    known: &[Gap],
    end: Option<&[TotalsRow]>,
) -> io::Result<()> {
    let Some(of) = gaps.first().map(|gap| (gap.epoch, gap.epoch_id.clone())) else {
        return Ok(());
    };
    let same = |gap: &&Gap| gap.epoch == of.0 && gap.epoch_id == of.1;
    let mut lost: Vec<_> = known.iter().filter(same).map(Lost::Recorded).collect();
    lost.extend(gaps.iter().map(|gap| Lost::New(gap.first, gap.last)));
    lost.sort_by_key(Lost::range);
    let from = gaps.iter().map(|gap| gap.first).min().unwrap_or(0);
    let (valued, _) = appraise(fs, segments, &lost, end, from)?;
    for gap in gaps {
        let worth = valued
            .iter()
            .find(|worth| (worth.first, worth.last) == (gap.first, gap.last));
        gap.value_unknown = worth.is_none_or(|worth| !worth.known);
        gap.value = worth.map(|worth| rows(&worth.lost)).unwrap_or_default();
        gap.value.retain(|row| Sums::of_row(row) != Sums::default());
    }
    Ok(())
}

/// A range without records, as an appraisal meets it.
#[derive(Debug, Clone, Copy)]
pub(in crate::journal) enum Lost<'a> {
    /// Its value is wanted.
    New(u64, u64),
    /// Its value stands in a record.
    Recorded(&'a Gap),
}

impl Lost<'_> {
    fn range(&self) -> (u64, u64) {
        match self {
            Self::New(first, last) => (*first, *last),
            Self::Recorded(gap) => (gap.first, gap.last),
        }
    }

    /// Passes it, with `seq` the next surviving record. A recorded one that came back (its file was
    /// found again) is none.
    fn pass(&self, appraiser: &mut Appraiser, seq: u64) {
        match self {
            Self::New(first, last) => appraiser.gap(*first, *last),
            Self::Recorded(gap) if gap.last < seq => appraiser.recorded(gap),
            Self::Recorded(_) => {}
        }
    }
}

/// Walks an epoch's statements from the last complete seal before `from` on. Answers what each lost
/// range was worth and the rows as last stated.
pub(in crate::journal) fn appraise<F: Fs>(
    fs: &F,
    segments: &[&Sealed],
    lost: &[Lost<'_>],
    end: Option<&[TotalsRow]>,
    from: u64,
) -> io::Result<(Vec<Valued>, Stated)> {
    let reach = segments
        .iter()
        .position(|segment| segment.footer.last_seq.0 >= from);
    let reach = reach.unwrap_or(segments.len());
    let mut appraiser = Appraiser::from_start(begins_late(segments, lost));
    let mut start = 0;
    for index in (0..reach).rev() {
        let Some(segment) = segments.get(index) else {
            continue;
        };
        let whole =
            |(seq, _, seal): &(u64, bool, Seal)| seal.complete && *seq == segment.footer.last_seq.0;
        let seal = last_seal(fs, segment)?.filter(whole);
        if let Some((seq, _, seal)) = seal {
            appraiser = Appraiser::new(&seal.totals, seq);
            start = index + 1;
            break;
        }
    }
    let known = match start.checked_sub(1).and_then(|index| segments.get(index)) {
        Some(before) => before.footer.last_seq.0 + 1,
        None => 1,
    };
    let mut gaps = lost
        .iter()
        .filter(|lost| lost.range().0 >= known)
        .peekable();
    for segment in segments.iter().skip(start) {
        let loaded = load(fs, segment)?;
        for frame in &loaded.scan.frames {
            let seq = frame.header.seq.0;
            if seq > segment.footer.last_seq.0 {
                break;
            }
            while let Some(lost) = gaps.next_if(|lost| lost.range().0 < seq) {
                lost.pass(&mut appraiser, seq);
            }
            if let Some(record) = loaded.record(frame) {
                appraiser.record(seq, &record);
            }
        }
        if gaps.peek().is_none() && !lost.is_empty() && appraiser.settled() {
            let (valued, _, stated) = appraiser.finish();
            return Ok((valued, stated));
        }
    }
    for lost in gaps {
        lost.pass(&mut appraiser, u64::MAX);
    }
    if let Some(totals) = end {
        appraiser.end(totals);
    }
    let (valued, _, stated) = appraiser.finish();
    Ok((valued, stated))
}

/// Whether records before the first segment were trimmed: they are neither there nor lost.
fn begins_late(segments: &[&Sealed], lost: &[Lost<'_>]) -> bool {
    let first = segments
        .first()
        .map_or(1, |segment| segment.footer.first_seq.0);
    let named: Vec<_> = lost.iter().map(Lost::range).collect();
    first > 1 && !subtract((1, first - 1), &named).is_empty()
}
