//! Reconciliation: what the ledger holds against what is known to exist (S0) and against the live
//! summaries (S1).
//!
//! Pure: the same holdings, summaries and moment give the same breaks and the same hash, whatever
//! way they came.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass, BreakState, Severity};
use super::{Commodity, FieldHash, Ranges};
use crate::cell::{Cell, CellKey, Digest};
use crate::id::{PopupId, RigId};
use crate::money::{Currency, Money};

/// What the ledger holds of one epoch of one rig, and what it knows to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochCoverage {
    /// The rig.
    pub rig: RigId,
    /// The epoch.
    pub epoch: u32,
    /// Seqs accounted for on the trunk: money and what explains it.
    pub trunk: Ranges,
    /// Seqs accounted for on the other cursor.
    pub bulk: Ranges,
    /// Seqs the rig named as lost and the ledger does not hold.
    pub lost: Ranges,
    /// The newest record the ledger holds.
    pub held_last: u64,
    /// Where the epoch ended, when a later epoch said so.
    pub ended_at: Option<u64>,
    /// The least such word: after a restored backup two later epochs say different things.
    pub ended_least: Option<u64>,
    /// The newest record a beacon spoke of.
    pub beacon_head: u64,
}

impl EpochCoverage {
    /// The last seq known to exist.
    #[must_use]
    pub fn known_last(&self) -> u64 {
        let heard = self
            .trunk
            .last()
            .max(self.bulk.last())
            .max(self.beacon_head);
        self.ended_at
            .unwrap_or(heard)
            .max(self.trunk.last().max(self.bulk.last()))
    }

    /// Seqs that exist and are neither held nor named as lost.
    #[must_use]
    pub fn lacking(&self) -> Ranges {
        let both = self.trunk.both(&self.bulk);
        both.missing(1, self.known_last()).without(&self.lost)
    }
}

/// What a cell says, as far as comparing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellState {
    /// The highest seq that changed it.
    pub version: u64,
    /// Digest of its canonical bytes.
    pub digest: Digest,
    /// Captured and refunded, minor units.
    pub money: BTreeMap<Currency, (i64, i64)>,
}

impl CellState {
    /// The state of a cell.
    #[must_use]
    pub fn of(cell: &Cell) -> Self {
        let mut money: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
        for row in &cell.money {
            if let Some(currency) = Currency::new(&row.currency) {
                let sums = money.entry(currency).or_default();
                sums.0 = sums.0.saturating_add(row.gross);
                sums.1 = sums.1.saturating_add(row.refund);
            }
        }
        Self {
            version: cell.version,
            digest: cell.digest(),
            money,
        }
    }
}

/// Cells by key.
pub type Cells = BTreeMap<CellKey, CellState>;

/// Captured and refunded of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CurrencyTotals {
    /// Captured, minor units.
    pub captured: i64,
    /// Refunded, minor units, positive.
    pub refunded: i64,
    /// Captures.
    pub sales: u64,
    /// Refunds.
    pub refunds: u64,
}

impl CurrencyTotals {
    /// Captured minus refunded, minor units.
    #[must_use]
    pub fn net(&self) -> i64 {
        self.captured.saturating_sub(self.refunded)
    }
}

/// Everything a reconciliation looks at.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Which popup.
    pub popup: PopupId,
    /// The moment it speaks of, ms since 1970.
    pub as_of_ms: i64,
    /// All epochs of all rigs that took part.
    pub coverage: Vec<EpochCoverage>,
    /// Breaks that posting found.
    pub posted: Vec<Break>,
    /// Ids of breaks without suspense that a person accepted.
    pub accepted: BTreeSet<String>,
    /// Sums of the effective facts.
    pub totals: BTreeMap<Currency, CurrencyTotals>,
    /// What stands in suspense, credit positive.
    pub suspense: BTreeMap<Currency, i64>,
    /// Cells folded again from the records.
    pub refold: Cells,
    /// Cells as the region has them; `None` when nobody asked it.
    pub region: Option<Cells>,
}

/// How the region's cells compare with the records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellComparison {
    /// Cells looked at on either side.
    pub compared: u64,
    /// Of them different at one version.
    pub drifted: u64,
    /// Of them older at the region, or absent there.
    pub stale: u64,
    /// Of them newer at the region, or absent here.
    pub ahead: u64,
    /// Σ |difference| of captured and refunded, minor units per currency; no zeros.
    pub drift_minor: BTreeMap<Currency, i64>,
}

impl CellComparison {
    /// The greatest drift of any currency, minor units: 0 is the law.
    #[must_use]
    pub fn drift_minor_max(&self) -> i64 {
        self.drift_minor.values().copied().max().unwrap_or(0)
    }
}

/// What one rig still owes the ledger, or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The rig.
    pub rig: RigId,
    /// The epoch.
    pub epoch: u32,
    /// Known to exist, not here.
    pub missing: Ranges,
    /// Named as lost by the rig.
    pub lost: Ranges,
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Which popup.
    pub popup: PopupId,
    /// The moment it speaks of, ms since 1970.
    pub as_of_ms: i64,
    /// Rigs of which everything known to exist is here.
    pub complete: Vec<RigId>,
    /// Rigs of which something is missing or lost.
    pub lacking: Vec<Lacking>,
    /// Sums per currency.
    pub totals: BTreeMap<Currency, CurrencyTotals>,
    /// Live summaries against records.
    pub cells: CellComparison,
    /// All open breaks, gravest first.
    pub breaks: Vec<Break>,
    /// What stands in suspense, credit positive.
    pub suspense: BTreeMap<Currency, i64>,
    /// Whether the books could be closed now: every rig complete or its losses named, no open
    /// break of severity money, no drift.
    pub closed: bool,
    /// Hash of all of the above but the moment.
    pub hash: [u8; 32],
}

/// Reconciles.
#[must_use]
pub fn reconcile(inputs: Inputs) -> Reconciliation {
    let mut breaks = inputs.posted;
    let mut lacking = Vec::new();
    let mut incomplete = BTreeSet::new();
    for epoch in &inputs.coverage {
        breaks.extend(coverage_breaks(&inputs.popup, epoch));
        let missing = epoch.lacking();
        if !missing.is_empty() || !epoch.lost.is_empty() {
            incomplete.insert(epoch.rig.clone());
            lacking.push(Lacking {
                rig: epoch.rig.clone(),
                epoch: epoch.epoch,
                missing,
                lost: epoch.lost.clone(),
            });
        }
    }
    let rigs: BTreeSet<_> = inputs.coverage.iter().map(|epoch| &epoch.rig).collect();
    let complete: Vec<_> = rigs
        .into_iter()
        .filter(|rig| !incomplete.contains(*rig))
        .cloned()
        .collect();
    let cells = match &inputs.region {
        Some(region) => compare(&inputs.popup, region, &inputs.refold, &mut breaks),
        None => CellComparison::default(),
    };
    breaks.sort_by(|a, b| {
        let rank = |found: &Break| (core::cmp::Reverse(found.severity), found.class);
        (rank(a), &a.keys).cmp(&(rank(b), &b.keys))
    });
    breaks.dedup_by(|a, b| a.id == b.id);
    accept(&mut breaks, &inputs.accepted);
    let closed = lacking.iter().all(|rig| rig.missing.is_empty())
        && (breaks.iter())
            .all(|found| found.severity != Severity::Money || found.state == BreakState::Accepted)
        && cells.drift_minor_max() == 0;
    let mut out = Reconciliation {
        popup: inputs.popup,
        as_of_ms: inputs.as_of_ms,
        complete,
        lacking,
        totals: inputs.totals,
        cells,
        breaks,
        suspense: inputs.suspense,
        closed,
        hash: [0; 32],
    };
    out.hash = hash_of(&out);
    out
}

/// Marks the breaks that a person accepted. Those that hold money in suspense are not among these
/// ids: they are accepted where their money is moved.
pub fn accept(breaks: &mut [Break], accepted: &BTreeSet<String>) {
    for found in breaks {
        if found.suspense == 0 && accepted.contains(found.id.as_str()) {
            found.state = BreakState::Accepted;
        }
    }
}

/// The breaks of one epoch's coverage (S0).
#[must_use]
pub fn coverage_breaks(popup: &PopupId, epoch: &EpochCoverage) -> Vec<Break> {
    let keys = || {
        [
            popup.to_string(),
            epoch.rig.to_string(),
            epoch.epoch.to_string(),
        ]
        .into()
    };
    let rig = &epoch.rig;
    let mut out = Vec::new();
    let missing = epoch.lacking();
    let inside = |held: &Ranges| held.missing(1, held.last()).as_slice().to_vec();
    let holes = [inside(&epoch.trunk), inside(&epoch.bulk)].concat();
    let below = Ranges::of(holes).without(&epoch.lost);
    let tail = missing.without(&below);
    let gone = Ranges::of(
        below
            .as_slice()
            .iter()
            .chain(epoch.lost.as_slice())
            .copied(),
    );
    if !gone.is_empty() {
        let how = match (below.is_empty(), epoch.lost.is_empty()) {
            (true, _) => "lost",
            (_, true) => "has not sent",
            (false, false) => "lost or has not sent",
        };
        let sentence = format!(
            "{rig} {how} {}, from the middle of what it recorded.",
            records(&gone)
        );
        out.push(Break::new(BreakClass::Gap, keys(), sentence).evident(evidence(epoch, &gone)));
    }
    if !tail.is_empty() {
        let sentence = format!("{rig} still has {} to send.", records(&tail));
        out.push(Break::new(BreakClass::Tail, keys(), sentence).evident(evidence(epoch, &tail)));
    }
    let ended = epoch.ended_least.or(epoch.ended_at);
    if let Some(end) = ended.filter(|end| *end < epoch.held_last) {
        let beyond = Ranges::of([(end + 1, epoch.held_last)]);
        let sentence = format!(
            "{rig} no longer knows {} that it sent before; the books keep them.",
            records(&beyond)
        );
        let found = Break::new(BreakClass::Rewind, keys(), sentence);
        out.push(found.evident(evidence(epoch, &beyond)));
    }
    out
}

fn records(ranges: &Ranges) -> String {
    let shown: Vec<String> = ranges
        .as_slice()
        .iter()
        .take(4)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        })
        .collect();
    let more = if ranges.as_slice().len() > 4 {
        ", …"
    } else {
        ""
    };
    let count = ranges.len();
    let word = if count == 1 { "record" } else { "records" };
    format!("{count} {word} ({}{more})", shown.join(", "))
}

fn evidence(epoch: &EpochCoverage, ranges: &Ranges) -> Vec<String> {
    ranges
        .as_slice()
        .iter()
        .map(|(first, last)| format!("{}/{}/{first}-{last}", epoch.rig, epoch.epoch))
        .take(crate::limits::BREAK_EVIDENCE_MAX)
        .collect()
}

fn compare(
    popup: &PopupId,
    region: &Cells,
    refold: &Cells,
    breaks: &mut Vec<Break>,
) -> CellComparison {
    let mut out = CellComparison::default();
    let mut stale: BTreeMap<(&str, u32), u64> = BTreeMap::new();
    let mut ahead: BTreeMap<(&str, u32), u64> = BTreeMap::new();
    let keys: BTreeSet<&CellKey> = region.keys().chain(refold.keys()).collect();
    for key in keys {
        out.compared += 1;
        let (theirs, ours) = (region.get(key), refold.get(key));
        if theirs.map(|cell| (cell.version, cell.digest))
            == ours.map(|cell| (cell.version, cell.digest))
        {
            continue;
        }
        let off = money_between(theirs, ours);
        for (currency, minor) in &off {
            let sum = out.drift_minor.entry(*currency).or_default();
            *sum = sum.saturating_add(*minor);
        }
        let version = |cell: Option<&CellState>| cell.map_or(0, |cell| cell.version);
        let rig = (key.rig.as_str(), key.epoch);
        match version(theirs).cmp(&version(ours)) {
            core::cmp::Ordering::Equal => {
                out.drifted += 1;
                breaks.extend(drift_breaks(key, &off));
            }
            core::cmp::Ordering::Less => *stale.entry(rig).or_default() += 1,
            core::cmp::Ordering::Greater => *ahead.entry(rig).or_default() += 1,
        }
    }
    out.stale = stale.values().sum();
    out.ahead = ahead.values().sum();
    let named = |class, (rig, epoch): (&str, u32), sentence| {
        let keys = [popup.to_string(), rig.to_string(), epoch.to_string()];
        Break::new(class, keys.into(), sentence)
    };
    for (rig, cells) in stale {
        let sentence = format!("{cells} live minutes of {} are behind its records.", rig.0);
        breaks.push(named(BreakClass::Stale, rig, sentence));
    }
    for (rig, cells) in ahead {
        let sentence = format!(
            "{cells} live minutes of {} count records that have not arrived here.",
            rig.0
        );
        breaks.push(named(BreakClass::Ahead, rig, sentence));
    }
    out
}

fn money_between(theirs: Option<&CellState>, ours: Option<&CellState>) -> BTreeMap<Currency, i64> {
    let mut sums: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
    for (cell, sign) in [(theirs, 1i64), (ours, -1)] {
        for (currency, (gross, refund)) in cell.iter().flat_map(|cell| &cell.money) {
            let sum = sums.entry(*currency).or_default();
            sum.0 = sum.0.saturating_add(gross.saturating_mul(sign));
            sum.1 = sum.1.saturating_add(refund.saturating_mul(sign));
        }
    }
    sums.into_iter()
        .map(|(currency, (gross, refund))| {
            let off = gross
                .saturating_abs()
                .saturating_add(refund.saturating_abs());
            (currency, off)
        })
        .filter(|(_, off)| *off != 0)
        .collect()
}

fn drift_breaks(key: &CellKey, off: &BTreeMap<Currency, i64>) -> Vec<Break> {
    let keys = |currency: &str| {
        Vec::from([
            key.popup.clone(),
            key.rig.clone(),
            key.epoch.to_string(),
            key.minute.to_string(),
            currency.to_string(),
        ])
    };
    let place = format!("{}/{}/minute {}", key.rig, key.epoch, key.minute);
    let what = format!("The live summary of one minute of {}", key.rig);
    if off.is_empty() {
        let sentence = format!("{what} differs from its records, though not in money.");
        let found = Break::new(BreakClass::Drift, keys(""), sentence);
        return [found.evident([place].into())].into();
    }
    off.iter()
        .map(|(currency, minor)| {
            let by = Money::new(*minor, *currency);
            let sentence = format!("{what} differs from its records by {by}.");
            Break::new(BreakClass::Drift, keys(currency.code()), sentence)
                .amounting(Commodity::Money(*currency), *minor, None)
                .evident([place.clone()].into())
        })
        .collect()
}

fn hash_of(of: &Reconciliation) -> [u8; 32] {
    let mut hash = FieldHash::new("popwatch.reconciliation.v1");
    hash.field(of.popup.as_str().as_bytes());
    for rig in &of.complete {
        hash.field(b"complete").field(rig.as_str().as_bytes());
    }
    for rig in &of.lacking {
        hash.field(b"lacking").field(rig.rig.as_str().as_bytes());
        hash.field(&rig.epoch.to_le_bytes());
        for (first, last) in rig.missing.as_slice() {
            hash.field(&first.to_le_bytes()).field(&last.to_le_bytes());
        }
        hash.field(b"lost");
        for (first, last) in rig.lost.as_slice() {
            hash.field(&first.to_le_bytes()).field(&last.to_le_bytes());
        }
    }
    for (currency, sums) in &of.totals {
        hash.field(currency.code().as_bytes());
        for number in [sums.captured, sums.refunded] {
            hash.field(&number.to_le_bytes());
        }
        for number in [sums.sales, sums.refunds] {
            hash.field(&number.to_le_bytes());
        }
    }
    hash.field(&of.cells.compared.to_le_bytes());
    for (currency, minor) in of.cells.drift_minor.iter().chain(&of.suspense) {
        hash.field(currency.code().as_bytes());
        hash.field(&minor.to_le_bytes());
    }
    for found in &of.breaks {
        hash.field(found.id.as_str().as_bytes());
        hash.field(&found.amount.to_le_bytes());
        hash.field(&found.suspense.to_le_bytes());
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popup() -> PopupId {
        PopupId::new("fri").unwrap()
    }

    fn coverage(trunk: &[(u64, u64)], bulk: &[(u64, u64)]) -> EpochCoverage {
        EpochCoverage {
            rig: RigId::new("till-2").unwrap(),
            epoch: 1,
            trunk: Ranges::of(trunk.iter().copied()),
            bulk: Ranges::of(bulk.iter().copied()),
            lost: Ranges::default(),
            held_last: trunk.last().map_or(0, |range| range.1),
            ended_at: None,
            ended_least: None,
            beacon_head: 0,
        }
    }

    fn inputs(coverage: Vec<EpochCoverage>) -> Inputs {
        Inputs {
            popup: popup(),
            as_of_ms: 0,
            coverage,
            accepted: BTreeSet::new(),
            posted: Vec::new(),
            totals: BTreeMap::new(),
            suspense: BTreeMap::new(),
            refold: Cells::new(),
            region: None,
        }
    }

    fn classes(of: &Reconciliation) -> Vec<&'static str> {
        of.breaks.iter().map(|found| found.class.text()).collect()
    }

    #[test]
    fn a_whole_epoch_has_no_break() {
        let out = reconcile(inputs([coverage(&[(1, 9)], &[(1, 9)])].into()));
        assert!(out.breaks.is_empty() && out.closed);
        assert_eq!(out.complete.len(), 1);
    }

    #[test]
    fn holes_tails_losses_and_rewinds_have_their_names() {
        let hole = coverage(&[(1, 3), (6, 9)], &[(1, 9)]);
        let out = reconcile(inputs([hole].into()));
        assert_eq!(classes(&out), ["E-GAP"]);
        assert!(!out.closed);
        assert!(out.breaks[0].sentence.contains("2 records (4 to 5)"));

        let mut tail = coverage(&[(1, 9)], &[(1, 9)]);
        tail.beacon_head = 12;
        let out = reconcile(inputs([tail.clone()].into()));
        assert_eq!(classes(&out), ["E-TAIL"]);
        assert!(!out.closed);
        tail.ended_at = Some(9);
        assert!(reconcile(inputs([tail.clone()].into())).closed);
        tail.ended_at = Some(7);
        let out = reconcile(inputs([tail].into()));
        assert_eq!(classes(&out), ["E-REWIND"]);

        let mut lost = coverage(&[(1, 9)], &[(1, 9)]);
        lost.lost = Ranges::of([(4, 5)]);
        let out = reconcile(inputs([lost].into()));
        assert_eq!(classes(&out), ["E-GAP"]);
        assert!(out.closed, "a named loss does not forbid the close");
        assert!(out.complete.is_empty());
    }

    fn cell(minute: u32, version: u64, gross: i64) -> (CellKey, CellState) {
        let key = CellKey {
            popup: "fri".into(),
            rig: "till-2".into(),
            epoch: 1,
            minute,
        };
        let gbp = Currency::new("GBP").unwrap();
        let digest = FieldHash::new("t").field(&gross.to_le_bytes()).finish();
        let state = CellState {
            version,
            digest,
            money: BTreeMap::from([(gbp, (gross, 0))]),
        };
        (key, state)
    }

    #[test]
    fn summaries_that_differ_are_named_by_how() {
        let mut given = inputs([coverage(&[(1, 9)], &[(1, 9)])].into());
        given.refold = Cells::from([cell(1, 5, 100), cell(2, 7, 50), cell(3, 9, 10)]);
        given.region = Some(given.refold.clone());
        let out = reconcile(given.clone());
        assert!(out.closed && out.cells.compared == 3);

        given.region = Some(Cells::from([
            cell(1, 5, 103),
            cell(2, 6, 50),
            cell(4, 3, 1),
        ]));
        let out = reconcile(given);
        assert_eq!(classes(&out), ["S-DRIFT", "S-AHEAD", "S-STALE"]);
        assert_eq!(out.cells.drift_minor_max(), 3 + 10 + 1);
        assert!(!out.closed);
    }

    #[test]
    fn a_break_that_only_reconciling_finds_can_be_accepted() {
        let mut of = inputs([coverage(&[(1, 2), (5, 9)], &[(1, 9)])].into());
        let open = reconcile(of.clone());
        let id = open.breaks[0].id.as_str().to_string();
        assert_eq!(open.breaks[0].state, BreakState::Open);
        of.accepted.insert(id);
        let accepted = reconcile(of);
        assert_eq!(accepted.breaks[0].state, BreakState::Accepted);
        assert_eq!(accepted.breaks.len(), open.breaks.len());
    }

    #[test]
    fn the_hash_follows_the_outcome_and_not_the_moment() {
        let given = inputs([coverage(&[(1, 9)], &[(1, 9)])].into());
        let mut later = given.clone();
        later.as_of_ms = 99;
        assert_eq!(reconcile(given).hash, reconcile(later).hash);
        let other = inputs([coverage(&[(1, 8)], &[(1, 9)])].into());
        assert_ne!(
            reconcile(other).hash,
            reconcile(inputs([coverage(&[(1, 9)], &[(1, 9)])].into())).hash
        );
    }
}
