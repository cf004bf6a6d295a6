//! Tokens of many cells: how many different ones were issued and redeemed, and by which cohort.
//!
//! Cells carry the smallest token hashes of their minute. While none of them had to cut its set the
//! numbers are exact; after a cut they are scaled from the range that every cell covers, and say so.
//! A cohort is 15 minutes of issue. A token redeemed twice is one redemption; redeemed on two lives
//! of journals it is a conflict too, until the ledger decides. A void leaves both sides.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::live::Live;
use super::summary::full_minutes;
use super::sums::{Shift, touch};
use crate::cell::TokenCounts;
use crate::limits;
use crate::money::div_half_even;
use crate::time::{Minute, WallMs};

const ISSUED: u32 = 1;
const REDEEMED: u32 = 2;
const VOIDED: u32 = 3;
/// Length of a cohort, minutes.
const COHORT_MINUTES: u32 = 15;
/// Full minutes over which the flow is taken.
const FLOW_MINUTES: u32 = 5;

/// What happened to one token: (kind, ms, minute in which it ends), each with how often.
type Touches = BTreeMap<(u32, i64, u32), i128>;

/// All tokens of one popup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    seen: BTreeMap<u64, Touches>,
    /// Where the sets of cells were cut.
    cuts: BTreeMap<u64, i128>,
    /// Tokens redeemed on more than one life of a journal, by the minute of the latest redemption.
    conflicts: BTreeMap<u32, i128>,
    duplicates: i128,
    expired: i128,
    provisional: i128,
}

/// Different tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenView {
    /// Issued and not voided.
    pub issued: u64,
    /// Redeemed, however often, and not voided.
    pub redeemed: u64,
    /// Redeemed in more than one life of a journal, and not voided.
    pub conflicts: u64,
    /// Voided.
    pub voided: u64,
    /// Whether the numbers above are scaled from a part of the tokens.
    pub estimated: bool,
    /// Redemptions of a token already redeemed in the same life of a journal.
    pub duplicates: i128,
    /// Redemptions after the token's end or void.
    pub expired: i128,
    /// Redemptions of a token whose issue is not known on its rig.
    pub provisional: i128,
    /// Redemptions of the last full minutes before the watermark; `None` before the first of them.
    pub flow: Option<Flow>,
    /// By time of issue, ascending.
    pub cohorts: Vec<Cohort>,
}

/// How many in how many full minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// How many.
    pub n: i128,
    /// In how many minutes, at least 1.
    pub minutes: u32,
}

/// Tokens issued in one quarter of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cohort {
    /// Its first minute since 1970, a multiple of 15.
    pub minute: u32,
    /// Different tokens issued and not voided.
    pub issued: u64,
    /// Of them redeemed.
    pub redeemed: u64,
    /// Whether all of them have ended: the ratio can rise no more.
    pub matured: bool,
}

/// One token, read.
struct Told {
    issued_ms: Option<i64>,
    /// The minute in which it ends; 0 when it does not.
    ends: u32,
    redeemed: i128,
    voided: bool,
}

impl Tokens {
    /// Adds or takes the tokens of one cell whose minute starts at `starts_ms`. `cut` is where this
    /// memory stops; it falls when there are too many.
    pub(crate) fn shift(
        &mut self,
        by: Shift,
        cut: &mut Option<u64>,
        starts_ms: i64,
        counts: &TokenCounts,
    ) {
        self.duplicates += by.of(counts.duplicate);
        self.expired += by.of(counts.expired);
        self.provisional += by.of(counts.provisional);
        if counts.cut != 0 {
            touch(&mut self.cuts, counts.cut, |held| *held += by.of(1));
        }
        for token in &counts.set {
            if cut.is_some_and(|cut| token.hash >= cut) {
                continue;
            }
            let key = (
                token.kind,
                starts_ms.saturating_add(token.offset_ms.into()),
                token.expires,
            );
            let (mut was, mut is) = (None, None);
            touch(&mut self.seen, token.hash, |touches| {
                was = conflict(touches);
                touch(touches, key, |held| *held += by.of(1));
                is = conflict(touches);
            });
            self.move_conflict(was, is);
        }
        while self.seen.len() > limits::REGION_TOKENS_MAX {
            if let Some((hash, touches)) = self.seen.pop_last() {
                *cut = Some(hash);
                self.move_conflict(conflict(&touches), None);
            }
        }
    }

    fn move_conflict(&mut self, was: Option<u32>, is: Option<u32>) {
        if was == is {
            return;
        }
        for (minute, by) in [(was, -1), (is, 1)] {
            if let Some(minute) = minute {
                touch(&mut self.conflicts, minute, |held| *held += by);
            }
        }
    }

    /// Tokens redeemed on more than one life of a journal and not voided, by the minute of the latest
    /// redemption; beyond a cut they are not known.
    pub(crate) fn conflicts(&self) -> &BTreeMap<u32, i128> {
        &self.conflicts
    }

    fn told(touches: &Touches) -> Told {
        let issued = touches
            .iter()
            .find(|((kind, ..), n)| *kind == ISSUED && **n > 0);
        let of = |wanted: u32| {
            let found = touches.iter().filter(|((kind, ..), _)| *kind == wanted);
            found.map(|(_, n)| *n).sum::<i128>()
        };
        Told {
            issued_ms: issued.map(|((_, ms, _), _)| *ms),
            ends: issued.map_or(0, |((.., ends), _)| *ends),
            redeemed: of(REDEEMED),
            voided: of(VOIDED) > 0,
        }
    }
}

/// The minute of the latest redemption of a token that was redeemed more than once and not voided.
fn conflict(touches: &Touches) -> Option<u32> {
    let told = Tokens::told(touches);
    if told.voided || told.redeemed <= 1 {
        return None;
    }
    let redeemed = touches
        .iter()
        .filter(|((kind, ..), n)| *kind == REDEEMED && **n > 0);
    let latest = redeemed.map(|((_, ms, _), _)| *ms).max()?;
    Some(Minute::of(WallMs(latest)).0)
}

/// What can be said of a popup's tokens.
pub(crate) fn view(live: &Live, watermark: Option<WallMs>) -> TokenView {
    let tokens = &live.tokens;
    let own = live.names.token_cut;
    let cut = own
        .into_iter()
        .chain(tokens.cuts.keys().next().copied())
        .min();
    let scaled = |n: i128| {
        let n = match cut {
            None => n,
            Some(cut) => div_half_even(n << 64, i128::from(cut).max(1)),
        };
        u64::try_from(n).unwrap_or(u64::MAX)
    };
    let (mut issued, mut redeemed, mut conflicts, mut voided) = (0, 0, 0, 0);
    let mut cohorts: BTreeMap<u32, (i128, i128, bool)> = BTreeMap::new();
    let known = tokens.seen.range(..cut.unwrap_or(u64::MAX));
    for token in known.map(|(_, touches)| Tokens::told(touches)) {
        if token.voided {
            voided += 1;
            continue;
        }
        let used = i128::from(token.redeemed > 0);
        redeemed += used;
        conflicts += i128::from(token.redeemed > 1);
        let Some(issued_ms) = token.issued_ms else {
            continue;
        };
        issued += 1;
        let minute = Minute::of(WallMs(issued_ms)).0;
        let ended = watermark.is_some_and(|now| Minute::of(now).0 > token.ends);
        let start = minute - minute % COHORT_MINUTES;
        let cohort = cohorts.entry(start).or_insert((0, 0, true));
        cohort.0 += 1;
        cohort.1 += used;
        cohort.2 &= token.ends > 0 && ended;
    }
    let cohort = |(minute, (issued, redeemed, matured)): (u32, (i128, i128, bool))| Cohort {
        minute,
        issued: scaled(issued),
        redeemed: scaled(redeemed),
        matured,
    };
    TokenView {
        issued: scaled(issued),
        redeemed: scaled(redeemed),
        conflicts: scaled(conflicts),
        voided: scaled(voided),
        estimated: cut.is_some(),
        duplicates: tokens.duplicates,
        expired: tokens.expired,
        provisional: tokens.provisional,
        flow: flow(live, watermark),
        cohorts: cohorts.into_iter().map(cohort).collect(),
    }
}

fn flow(live: &Live, watermark: Option<WallMs>) -> Option<Flow> {
    let span = full_minutes(live, None, watermark, FLOW_MINUTES);
    let minutes = span.end - span.start;
    let n = live
        .minutes
        .range(span)
        .map(|(_, sums)| sums.redeemed)
        .sum();
    (minutes > 0).then_some(Flow { n, minutes })
}
