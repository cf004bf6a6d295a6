//! Whose sale it was, as far as the rig knows: one amount split into creators' shares that sum to
//! it exactly.
//!
//! Whose a line is, [`crate::ledger::attribution::attribute`] tells. Each creator has the amounts of its lines. What the payment says beyond its lines (tip,
//! tax, postage) is the house's; where lines claim more than was paid, what was paid is dealt out
//! by their proportion, the last minor units by largest remainder.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::event::Line;
use crate::id::CreatorId;
use crate::ledger::attribution::Evidence;
use crate::limits;

/// Who sold what nobody else did.
pub(super) const HOUSE: &str = "house";

/// The number of an evidence in cells.
pub(super) const fn number(evidence: Evidence) -> u32 {
    match evidence {
        Evidence::Line => 1,
        Evidence::Token => 2,
        Evidence::Payment => 3,
        Evidence::Drop => 4,
        Evidence::House => 5,
    }
}

/// One creator's part of a sale or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    /// `None` is the house.
    pub(super) creator: Option<CreatorId>,
    pub(super) evidence: Evidence,
    pub(super) amount: i64,
    pub(super) units: i64,
}

impl Share {
    pub(super) fn name(&self) -> &str {
        self.creator.as_ref().map_or(HOUSE, CreatorId::as_str)
    }
}

/// The shares of `amount`, of which `base` is for goods (no tip, no tax). `whose` tells whose a line
/// is; without a line, the sale. Sums of lines saturate; the shares sum to `amount` in any case.
pub(super) fn of_sale(
    amount: i64,
    base: i64,
    lines: &[Line],
    whose: impl Fn(Option<&Line>) -> (Option<CreatorId>, Evidence),
) -> Vec<Share> {
    let mut shares = Vec::with_capacity(1);
    if lines.is_empty() {
        let (creator, evidence) = whose(None);
        give(&mut shares, (creator.as_ref(), evidence), base, 0);
    }
    for line in lines {
        let (creator, evidence) = whose(Some(line));
        give(
            &mut shares,
            (creator.as_ref(), evidence),
            line.amount,
            line.qty,
        );
    }
    let claimed = sum(&shares);
    if claimed > i128::from(amount) {
        let weights: Vec<i64> = shares.iter().map(|share| share.amount).collect();
        for (share, part) in shares.iter_mut().zip(split(base, &weights)) {
            share.amount = part;
        }
    }
    rest_to_house(&mut shares, amount);
    shares
}

/// The shares that a refund of `amount` takes back from a sale of `sale` shares. A line whose
/// creator has a share in the sale takes from it; the rest goes by the sale's proportions.
pub(super) fn of_refund(amount: i64, lines: &[Line], sale: &[Share]) -> Vec<Share> {
    let mut shares: Vec<Share> = sale
        .iter()
        .map(|share| Share {
            amount: 0,
            units: 0,
            ..share.clone()
        })
        .collect();
    for line in lines {
        let own = shares
            .iter()
            .position(|share| share.creator.is_some() && share.creator == line.creator);
        let place = own.or(if shares.len() == 1 { Some(0) } else { None });
        match place {
            Some(place) => {
                let share = &mut shares[place];
                share.units = share.units.saturating_add(line.qty);
                if own.is_some() {
                    share.amount = share.amount.saturating_add(line.amount);
                }
            }
            None => give(&mut shares, (None, Evidence::House), 0, line.qty),
        }
    }
    let mut rest = i128::from(amount) - sum(&shares);
    if rest < 0 {
        shares.iter_mut().for_each(|share| share.amount = 0);
        rest = i128::from(amount);
    }
    let weights: Vec<i64> = shares
        .iter()
        .map(|share| {
            let same =
                |sold: &&Share| (&sold.creator, sold.evidence) == (&share.creator, share.evidence);
            sale.iter().find(same).map_or(0, |sold| sold.amount)
        })
        .collect();
    let rest = i64::try_from(rest).unwrap_or(amount);
    for (share, part) in shares.iter_mut().zip(split(rest, &weights)) {
        share.amount = share.amount.saturating_add(part);
    }
    rest_to_house(&mut shares, amount);
    shares
}

/// At most [`limits::FOLD_SALE_SHARES_MAX`] shares with the same sum: the smallest become the
/// house's.
pub(super) fn to_remember(mut shares: Vec<Share>) -> Vec<Share> {
    if shares.len() > limits::FOLD_SALE_SHARES_MAX {
        shares.sort_by_key(|share| Reverse(share.amount));
        let rest = shares.split_off(limits::FOLD_SALE_SHARES_MAX - 1);
        shares.sort_by(|a, b| key(a).cmp(&key(b)));
        for share in rest {
            give(
                &mut shares,
                (None, Evidence::House),
                share.amount,
                share.units,
            );
        }
    }
    shares
}

fn key(share: &Share) -> (Option<&CreatorId>, Evidence) {
    (share.creator.as_ref(), share.evidence)
}

fn sum(shares: &[Share]) -> i128 {
    shares.iter().map(|share| i128::from(share.amount)).sum()
}

/// Adds to the share of `whose`; shares stay sorted by creator and evidence.
fn give(shares: &mut Vec<Share>, whose: (Option<&CreatorId>, Evidence), amount: i64, units: i64) {
    match shares.binary_search_by(|share| key(share).cmp(&whose)) {
        Ok(place) => {
            let share = &mut shares[place];
            share.amount = share.amount.saturating_add(amount);
            share.units = share.units.saturating_add(units);
        }
        Err(place) => shares.insert(
            place,
            Share {
                creator: whose.0.cloned(),
                evidence: whose.1,
                amount,
                units,
            },
        ),
    }
}

fn rest_to_house(shares: &mut Vec<Share>, amount: i64) {
    let rest = i128::from(amount) - sum(shares);
    if rest != 0 {
        let rest = i64::try_from(rest).expect("shares are at most what was paid");
        give(shares, (None, Evidence::House), rest, 0);
    }
}

/// `total` dealt out by `weights`: each part is the exact one or its neighbour, and they sum to
/// `total`. Without a positive sum of weights nothing is dealt.
fn split(total: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if whole <= 0 {
        return Vec::new();
    }
    let exact = |weight: &i64| i128::from(total) * i128::from(*weight);
    let mut parts: Vec<i128> = weights.iter().map(|w| exact(w).div_euclid(whole)).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|place| Reverse(exact(&weights[*place]).rem_euclid(whole)));
    let left = i128::from(total) - parts.iter().sum::<i128>();
    let left = usize::try_from(left).expect("each part lacks less than one");
    for place in order.into_iter().take(left) {
        parts[place] += 1;
    }
    let clamp = |part: i128| i64::try_from(part).unwrap_or(i64::MAX);
    parts.into_iter().map(clamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Sku;
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    fn creator(name: &str) -> CreatorId {
        CreatorId::new(name).unwrap()
    }

    fn line(amount: i64, whose: &str) -> Line {
        Line {
            sku: Sku::new("s").unwrap(),
            qty: 1,
            amount,
            creator: (!whose.is_empty()).then(|| creator(whose)),
        }
    }

    /// The line's own creator, else this one.
    fn or(
        fallback: Option<(&CreatorId, Evidence)>,
    ) -> impl Fn(Option<&Line>) -> (Option<CreatorId>, Evidence) {
        let fallback = fallback.map(|(creator, evidence)| (Some(creator.clone()), evidence));
        let fallback = fallback.unwrap_or((None, Evidence::House));
        move |line| match line.and_then(|line| line.creator.clone()) {
            Some(creator) => (Some(creator), Evidence::Line),
            None => fallback.clone(),
        }
    }

    fn show(shares: &[Share]) -> String {
        let row = |share: &Share| {
            format!(
                "{} {:?} {} {}",
                share.name(),
                share.evidence,
                share.amount,
                share.units
            )
        };
        shares.iter().map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn lines_keep_their_amounts_and_the_house_what_is_beyond() {
        let ann = creator("ann");
        let lines = [line(100, "bo"), line(50, ""), line(7, "bo")];
        let shares = of_sale(160, 160, &lines, or(Some((&ann, Evidence::Token))));
        assert_eq!(
            show(&shares),
            "house House 3 0, ann Token 50 1, bo Line 107 2"
        );
    }

    #[test]
    fn without_lines_the_tip_is_not_the_creators() {
        let ann = creator("ann");
        let shares = of_sale(120, 100, &[], or(Some((&ann, Evidence::Payment))));
        assert_eq!(show(&shares), "house House 20 0, ann Payment 100 0");
        assert_eq!(show(&of_sale(120, 100, &[], or(None))), "house House 120 0");
    }

    #[test]
    fn lines_that_claim_more_than_was_paid_share_what_was() {
        let lines = [line(100, "a"), line(100, "b"), line(100, "c")];
        assert_eq!(
            show(&of_sale(100, 100, &lines, or(None))),
            "a Line 34 1, b Line 33 1, c Line 33 1"
        );
    }

    #[test]
    fn a_refund_takes_from_its_lines_creators_then_by_proportion() {
        let sale = of_sale(300, 300, &[line(200, "a"), line(100, "b")], or(None));
        let back = of_refund(100, &[line(100, "b")], &sale);
        assert_eq!(show(&back), "a Line 0 0, b Line 100 1");
        let back = of_refund(101, &[], &sale);
        assert_eq!(show(&back), "a Line 67 0, b Line 34 0");
        let back = of_refund(30, &[line(30, "stranger")], &sale);
        assert_eq!(show(&back), "house House 0 1, a Line 20 0, b Line 10 0");
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_amount(
            amount in 0..1_000_000i64, goods in 0..1_000_000i64, back in 0..1_000_000i64,
            lines in proptest::collection::vec((-5_000i64..50_000, 0..40u8), 0..50),
            back_lines in proptest::collection::vec((0i64..50_000, 0..40u8), 0..5),
        ) {
            let make = |lines: Vec<(i64, u8)>| -> Vec<Line> {
                let name = |n: u8| if n == 0 { String::new() } else { format!("c{n}") };
                lines.into_iter().map(|(amount, n)| line(amount, &name(n))).collect()
            };
            let ann = creator("ann");
            let whose = or(Some((&ann, Evidence::Payment)));
            let shares = of_sale(amount, goods.min(amount), &make(lines), whose);
            prop_assert_eq!(sum(&shares), i128::from(amount));
            let kept = to_remember(shares);
            prop_assert_eq!(sum(&kept), i128::from(amount));
            prop_assert!(kept.len() <= limits::FOLD_SALE_SHARES_MAX);
            let refund = of_refund(back, &make(back_lines), &kept);
            prop_assert_eq!(sum(&refund), i128::from(back));
        }
    }
}
