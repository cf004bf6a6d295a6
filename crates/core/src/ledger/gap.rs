//! The value of lost records: what a rig's running totals say was taken in a lost range, less what
//! held records and providers tell of it (R50, R51).
//!
//! ```text
//! stated value ── held records ── provider objects anchored in or before the range ──► E-GAP-VALUE
//! ```
//!
//! A provider's payment explains at most what the range took, so it never turns a loss into a gain;
//! which of several ranges it explains follows from seqs alone. A charge without reference that no till
//! claims (P-UNCLAIMED) may be a sale that was lost: where a range can hold all of it, it is taken off
//! the range's value, so that the same money is not named twice.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::EntryFault;
use super::group::{GroupKey, GroupKind};
use super::post::Posted;
use super::{Account, Balanced, Chart, Commodity, FactId, Rule};
use super::{put_text, put_varint, take_text, take_varint, unzigzag, zigzag};
use crate::id::{PopupId, RigId};
use crate::limits::GAP_GUESS_MS;
use crate::money::{Currency, Money};

/// The key under which the lost ranges of an epoch hear what explains them.
#[must_use]
pub fn key(rig: &RigId, epoch: u32) -> GroupKey {
    GroupKey::of(GroupKind::Gap, &[rig.as_str(), &epoch.to_string()])
}

/// The key under which all lost ranges hear of charges that no till claims.
#[must_use]
pub fn unclaimed_key() -> GroupKey {
    GroupKey::of(GroupKind::Gap, &["", "unclaimed"])
}

/// A charge without reference that no till claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unclaimed {
    /// When it was made, ms since 1970.
    pub at_ms: i64,
    /// The provider's id.
    pub object: String,
    /// Minor units.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
}

impl Unclaimed {
    /// As a word to [`unclaimed_key`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, zigzag(self.at_ms));
        put_varint(&mut out, zigzag(self.amount));
        put_text(&mut out, self.currency.code());
        put_text(&mut out, &self.object);
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        Some(Self {
            at_ms: unzigzag(take_varint(rest)?),
            amount: unzigzag(take_varint(rest)?),
            currency: Currency::new(take_text(rest)?)?,
            object: take_text(rest)?.to_string(),
        })
    }
}

/// What a provider tells of a lost record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Explained {
    /// The record that its reference is anchored at; the lost one comes after it.
    pub seq: u64,
    /// The provider's id.
    pub object: String,
    /// In whose books it counts.
    pub book: String,
    /// Minor units: captured, or refunded where negative.
    pub amount: i64,
    /// Of what.
    pub currency: Currency,
}

impl Explained {
    /// As a word to [`key`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.seq);
        put_varint(&mut out, zigzag(self.amount));
        put_text(&mut out, self.currency.code());
        put_text(&mut out, &self.book);
        put_text(&mut out, &self.object);
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        Some(Self {
            seq: take_varint(rest)?,
            amount: unzigzag(take_varint(rest)?),
            currency: Currency::new(take_text(rest)?)?,
            book: take_text(rest)?.to_string(),
            object: take_text(rest)?.to_string(),
        })
    }
}

/// What one lost range took and gave in one currency, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// Its first seq.
    pub first: u64,
    /// Its last seq.
    pub last: u64,
    /// Captured in it, less what held records of it captured; minor units.
    pub captured: i128,
    /// Refunded in it, less what held records of it refunded; minor units, positive.
    pub refunded: i128,
    /// What providers explain of both together; minor units, refunds negative.
    pub explained: i128,
    /// What charges that no till claims may be of it, named by themselves; minor units.
    pub unclaimed: i128,
    /// The objects that explain it.
    pub by: Vec<String>,
}

impl LostRange {
    /// What nobody tells of, minor units.
    #[must_use]
    pub const fn left(&self) -> i128 {
        self.captured - self.refunded
    }

    fn room(&mut self, amount: i64) -> &mut i128 {
        match amount < 0 {
            true => &mut self.refunded,
            false => &mut self.captured,
        }
    }

    fn take(&mut self, of: &Explained) {
        let wanted = i128::from(of.amount.unsigned_abs());
        let room = self.room(of.amount);
        let taken = wanted.min(*room);
        *room -= taken;
        self.explained += if of.amount < 0 { -taken } else { taken };
        self.by.push(of.object.clone());
    }
}

/// Takes what providers tell off the ranges: each object off the first range at or after its anchor
/// that can hold all of it, else off the first that can hold some. What fits nowhere explains nothing.
/// Ranges ascend and do not overlap; all are of one epoch, book and currency.
pub fn explain(ranges: &mut [LostRange], mut told: Vec<Explained>) {
    told.sort_unstable();
    for one in &told {
        let after = |range: &LostRange| range.last >= one.seq;
        let wanted = i128::from(one.amount.unsigned_abs());
        let whole = ranges
            .iter_mut()
            .position(|range| after(range) && *range.room(one.amount) >= wanted);
        let some = || {
            ranges
                .iter_mut()
                .position(|range| after(range) && *range.room(one.amount) > 0)
        };
        if let Some(at) = whole.or_else(some) {
            ranges[at].take(one);
        }
    }
}

/// Takes charges that no till claims off the ranges: each off the first that was stated at most
/// [`GAP_GUESS_MS`] after it and can hold all of it. Ranges come with the moment they were stated, 0
/// where that is not known, and are of one currency.
pub fn guess(ranges: &mut [(i64, &mut LostRange)], told: &BTreeSet<Unclaimed>) {
    for one in told.iter().filter(|one| one.amount > 0) {
        let amount = i128::from(one.amount);
        let fits = |(stated_ms, range): &&mut (i64, &mut LostRange)| {
            let since = stated_ms.saturating_sub(one.at_ms);
            (0..=GAP_GUESS_MS).contains(&since) && range.captured >= amount
        };
        if let Some((_, range)) = ranges.iter_mut().find(fits) {
            range.captured -= amount;
            range.unclaimed += amount;
            range.by.push(one.object.clone());
        }
    }
}

/// Posts what nobody tells of a lost range (R50) and names it; nothing where all is told.
pub fn gap_value(
    fact: FactId,
    popup: &PopupId,
    rig: &RigId,
    epoch: u32,
    currency: Currency,
    lost: &LostRange,
    occurred_ms: i64,
) -> Result<Posted, EntryFault> {
    let left = super::group::fit(lost.left())?;
    if left == 0 {
        return Ok(Posted::default());
    }
    let money = Commodity::Money(currency);
    let (first, last) = (lost.first, lost.last);
    let keys = [
        popup.to_string(),
        rig.to_string(),
        epoch.to_string(),
        first.to_string(),
        last.to_string(),
        currency.to_string(),
    ];
    let mut evidence: Vec<String> = [format!("{rig}/{epoch}/{first}-{last}")].into();
    evidence.extend(lost.by.iter().cloned());
    let sentence = sentence(rig, epoch, currency, lost)?;
    let named = Break::new(BreakClass::GapValue, keys.into(), sentence)
        .suspended(money.clone(), left)
        .evident(evidence);
    let suspense = named.held_in.clone().expect("a suspended break has one");
    let claim = Account::at_provider(Chart::EdgeCaptured, rig, Some("gap"));
    let legs = [
        (claim, money.clone(), i128::from(left)),
        (suspense, money, -i128::from(left)),
    ];
    let entry = Balanced::new(fact, Rule::GapValue, occurred_ms, legs)?;
    Ok(Posted {
        entries: entry.into_iter().collect(),
        breaks: [named].into(),
    })
}

fn sentence(
    rig: &RigId,
    epoch: u32,
    currency: Currency,
    lost: &LostRange,
) -> Result<String, EntryFault> {
    let money = |amount| super::group::fit(amount).map(|minor| Money::new(minor, currency));
    let records = lost.last - lost.first + 1;
    let worth = money(lost.left() + lost.explained + lost.unclaimed)?;
    let mut out = format!(
        "{rig} lost {records} {} ({} to {} of its run {epoch}); they were worth {worth}.",
        if records == 1 { "record" } else { "records" },
        lost.first,
        lost.last,
    );
    if lost.explained != 0 {
        let told = money(lost.explained)?;
        out.push_str(&format!(" The provider tells of {told} of it"));
    }
    if lost.unclaimed != 0 {
        let begin = if lost.explained == 0 { " " } else { "; " };
        let unclaimed = money(lost.unclaimed)?;
        out.push_str(&format!(
            "{begin}{unclaimed} that no till claims may be of it, and is named by itself"
        ));
    }
    if lost.explained != 0 || lost.unclaimed != 0 {
        let left = money(lost.left())?;
        out.push_str(&format!("; {left} is not explained."));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp() -> Currency {
        Currency::new("GBP").unwrap()
    }

    fn range(first: u64, last: u64, captured: i128, refunded: i128) -> LostRange {
        LostRange {
            first,
            last,
            captured,
            refunded,
            explained: 0,
            unclaimed: 0,
            by: Vec::new(),
        }
    }

    fn told(seq: u64, object: &str, amount: i64) -> Explained {
        Explained {
            seq,
            object: object.into(),
            book: "fri".into(),
            amount,
            currency: gbp(),
        }
    }

    fn left(mut ranges: Vec<LostRange>, told: Vec<Explained>) -> Vec<i128> {
        explain(&mut ranges, told);
        ranges.iter().map(LostRange::left).collect()
    }

    #[test]
    fn a_word_says_what_was_meant() {
        for amount in [500, -500, i64::MAX, i64::MIN] {
            let one = told(7, "pi_1", amount);
            assert_eq!(Explained::decode(&one.encode()), Some(one));
        }
        assert_eq!(Explained::decode(&[7, 1]), None);
    }

    #[test]
    fn an_object_explains_the_range_after_its_anchor_that_can_hold_it() {
        let ranges = [range(3, 4, 100, 0), range(8, 9, 500, 0)];
        assert_eq!(left(ranges.to_vec(), [told(3, "a", 500)].into()), [100, 0]);
        assert_eq!(left(ranges.to_vec(), [told(1, "a", 60)].into()), [40, 500]);
        assert_eq!(left(ranges.to_vec(), [told(5, "a", 60)].into()), [100, 440]);
        assert_eq!(
            left(ranges.to_vec(), [told(10, "a", 60)].into()),
            [100, 500]
        );
    }

    #[test]
    fn a_charge_that_no_till_claims_is_taken_off_the_first_range_that_can_hold_all_of_it() {
        let one = |object: &str, at_ms, amount| Unclaimed {
            at_ms,
            object: object.into(),
            amount,
            currency: gbp(),
        };
        assert_eq!(
            Unclaimed::decode(&one("ch", -5, 7).encode()),
            Some(one("ch", -5, 7))
        );
        let day = GAP_GUESS_MS;
        let left = |told: &[Unclaimed]| {
            let [mut small, mut large] = [range(3, 4, 100, 0), range(8, 9, 500, 0)];
            let told = told.iter().cloned().collect();
            guess(&mut [(day, &mut small), (day, &mut large)], &told);
            [small.left(), large.left()]
        };
        assert_eq!(left(&[one("a", 5, 100)]), [0, 500]);
        assert_eq!(left(&[one("a", 5, 100), one("b", 5, 100)]), [0, 400]);
        assert_eq!(left(&[one("a", 5, 501)]), [100, 500], "more than any lost");
        assert_eq!(left(&[one("a", day + 1, 100)]), [100, 500], "after it");
        assert_eq!(left(&[one("a", -1, 100)]), [100, 500], "long before it");
    }

    #[test]
    fn nothing_explains_more_than_was_lost() {
        let two = || [told(3, "a", 500), told(3, "b", 500)].into();
        assert_eq!(left([range(3, 4, 600, 0)].into(), two()), [0]);
        assert_eq!(left([range(3, 4, 0, 0)].into(), two()), [0]);
        let refund = || [told(3, "r", -200)].into();
        assert_eq!(left([range(3, 4, 500, 200)].into(), refund()), [500]);
        assert_eq!(left([range(3, 4, 500, 0)].into(), refund()), [500]);
    }

    #[test]
    fn the_break_says_what_was_lost_and_what_is_told_of_it() {
        let mut ranges = [range(118, 121, 41_250, 0)];
        explain(&mut ranges, [told(118, "pi_1", 10_000)].into());
        let rig = RigId::new("till-2").unwrap();
        let popup = PopupId::new("fri").unwrap();
        let posted = gap_value(FactId([1; 16]), &popup, &rig, 1, gbp(), &ranges[0], 0).unwrap();
        let found = &posted.breaks[0];
        assert_eq!((found.amount, found.suspense), (31_250, 31_250));
        assert_eq!(
            found.sentence,
            "till-2 lost 4 records (118 to 121 of its run 1); they were worth GBP 412.50. The \
             provider tells of GBP 100.00 of it; GBP 312.50 is not explained."
        );
        assert_eq!(found.evidence, ["pi_1", "till-2/1/118-121"]);
    }
}
