//! The laws: for each its id, what it promises, and one predicate that tests, simulator and
//! production all call. A predicate answers `Err` with the sentence of the violation.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::event::Class;
use crate::event::system::Loss;
use crate::money::Currency;
use crate::tlog::{Checkpoint, Hash, leaf_hash, verify_inclusion};

/// What a predicate says: the law holds, or a sentence that names where it does not.
pub type Held = Result<(), String>;

/// The laws by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// Acknowledged events survive.
    L1,
    /// Seqs are dense; damage is named.
    L2,
    /// Deliveries in any order and number change nothing.
    L3,
    /// Folds on rig, region and ledger agree.
    L4,
    /// Money is exact per currency.
    L5,
    /// Entries balance; suspense equals open breaks.
    L6,
    /// Nothing forbidden reaches a durable byte, a log, a wire or a screen.
    L7,
    /// A policy in force is never weaker than any that led to it.
    L8,
    /// No entry that verifies, no single record shown.
    L9,
    /// A rig never stops selling; what degrades does so in order and is counted.
    L10,
    /// Memory is bounded.
    L11,
    /// The same journal gives the same cells.
    L12,
}

impl Law {
    /// All laws that have a predicate.
    pub const ALL: [Self; 12] = [
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::L7,
        Self::L8,
        Self::L9,
        Self::L10,
        Self::L11,
        Self::L12,
    ];

    /// The name of its predicate in this module.
    #[must_use]
    pub const fn predicate(self) -> &'static str {
        match self {
            Self::L1 => "acked_survives",
            Self::L2 => "seqs_dense",
            Self::L3 => "delivery_blind",
            Self::L4 => "folds_agree",
            Self::L5 => "money_exact",
            Self::L6 => "books_balance",
            Self::L7 => "nothing_forbidden",
            Self::L8 => "only_tightens",
            Self::L9 => "read_was_audited",
            Self::L10 => "sells_on",
            Self::L11 => "within_limits",
            Self::L12 => "same_cells",
        }
    }
}

/// L1: each acknowledged key is recovered with the same bytes.
pub fn acked_survives<'a, K: Debug + 'a, V: PartialEq + 'a>(
    acked: impl IntoIterator<Item = (&'a K, &'a V)>,
    recovered: impl Fn(&K) -> Option<V>,
) -> Held {
    for (key, value) in acked {
        match recovered(key) {
            Some(found) if found == *value => {}
            Some(_) => {
                return Err(format!(
                    "L1: {key:?} was acknowledged and has other bytes now"
                ));
            }
            None => return Err(format!("L1: {key:?} was acknowledged and is gone")),
        }
    }
    Ok(())
}

/// L2: the seqs 1..=`last` of one epoch are each present exactly once or named by a gap, and none
/// lies beyond. `present` ascends as found; `gaps` are closed ranges.
pub fn seqs_dense(last: u64, present: impl IntoIterator<Item = u64>, gaps: &[(u64, u64)]) -> Held {
    let in_gap = |seq: u64| {
        gaps.iter()
            .any(|(first, end)| (*first..=*end).contains(&seq))
    };
    let mut expect = 1;
    for seq in present {
        if seq < expect {
            return Err(format!("L2: seq {seq} appears again after {}", expect - 1));
        }
        if let Some(missing) = (expect..seq).find(|at| !in_gap(*at)) {
            return Err(format!("L2: seq {missing} is missing and no gap names it"));
        }
        expect = seq + 1;
    }
    if expect > last + 1 {
        return Err(format!("L2: seq {} lies beyond the end {last}", expect - 1));
    }
    match (expect..=last).find(|at| !in_gap(*at)) {
        Some(missing) => Err(format!("L2: seq {missing} is missing and no gap names it")),
        None => Ok(()),
    }
}

/// L3: two deliveries of the same facts ended in the same state.
pub fn delivery_blind<T: PartialEq>(what: &str, one: &T, other: &T) -> Held {
    if one == other {
        Ok(())
    } else {
        Err(format!("L3: {what} depends on the way facts came"))
    }
}

/// L4: every cell that two holders have at one version is byte-identical, and neither lacks a cell
/// the other has. The value is (version, digest).
pub fn folds_agree<K: Ord + Debug>(
    what: &str,
    one: &BTreeMap<K, (u64, [u8; 16])>,
    other: &BTreeMap<K, (u64, [u8; 16])>,
) -> Held {
    for (key, cell) in one {
        match other.get(key) {
            Some(found) if found == cell => {}
            Some(_) => return Err(format!("L4: {what}: cell {key:?} differs")),
            None => return Err(format!("L4: {what}: cell {key:?} is on one side only")),
        }
    }
    match other.keys().find(|key| !one.contains_key(key)) {
        Some(key) => Err(format!("L4: {what}: cell {key:?} is on one side only")),
        None => Ok(()),
    }
}

/// L5: the parts sum to the whole, currency by currency, without overflow.
pub fn money_exact(
    what: &str,
    parts: impl IntoIterator<Item = (Currency, i64)>,
    whole: &BTreeMap<Currency, i64>,
) -> Held {
    let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
    for (currency, minor) in parts {
        *sums.entry(currency).or_default() += i128::from(minor);
    }
    let currencies: Vec<_> = sums.keys().chain(whole.keys()).copied().collect();
    for currency in currencies {
        let sum = sums.get(&currency).copied().unwrap_or(0);
        let stated = i128::from(whole.get(&currency).copied().unwrap_or(0));
        if sum != stated {
            return Err(format!(
                "L5: {what}: parts in {currency} sum to {sum}, not {stated}"
            ));
        }
    }
    Ok(())
}

/// L6: legs (commodity, debit minus credit) sum to zero per commodity.
pub fn books_balance<C: Ord + Debug>(legs: impl IntoIterator<Item = (C, i64)>) -> Held {
    let legs = legs.into_iter();
    books_balance_wide(legs.map(|(commodity, amount)| (commodity, i128::from(amount))))
}

/// [`books_balance`] of sums that may be wider than an entry's.
pub fn books_balance_wide<C: Ord + Debug>(legs: impl IntoIterator<Item = (C, i128)>) -> Held {
    let mut sums: BTreeMap<C, i128> = BTreeMap::new();
    for (commodity, amount) in legs {
        *sums.entry(commodity).or_default() += amount;
    }
    match sums.into_iter().find(|(_, sum)| *sum != 0) {
        Some((commodity, sum)) => Err(format!("L6: {commodity:?} is off balance by {sum}")),
        None => Ok(()),
    }
}

/// L6: what stands in suspense equals the sum of open breaks, per commodity.
pub fn suspense_explained<C: Ord + Debug + Clone>(
    suspense: &BTreeMap<C, i64>,
    open_breaks: &BTreeMap<C, i64>,
) -> Held {
    let legs = suspense
        .iter()
        .map(|(commodity, amount)| (commodity.clone(), *amount));
    let breaks = open_breaks
        .iter()
        .map(|(commodity, amount)| (commodity.clone(), -amount));
    books_balance(legs.chain(breaks)).map_err(|fault| format!("suspense and breaks: {fault}"))
}

/// L7: a scan of bytes that are about to leave finds nothing forbidden.
pub fn nothing_forbidden(place: &str, bytes: &[u8], scan: impl Fn(&[u8]) -> usize) -> Held {
    match scan(bytes) {
        0 => Ok(()),
        hits => Err(format!("L7: {hits} forbidden values in {place}")),
    }
}

/// L8: a join of policies is associative, commutative, idempotent, and as strict as each of its parts
/// by an order that is written down apart from it.
pub fn only_tightens<P: PartialEq>(
    parts: &[P; 3],
    join: impl Fn(&P, &P) -> P,
    at_least: impl Fn(&P, &P) -> bool,
) -> Held {
    let [a, b, c] = parts;
    let ab = join(a, b);
    let held = [
        (
            "is weaker than a part",
            at_least(&ab, a) && at_least(&ab, b),
        ),
        ("depends on the order", ab == join(b, a)),
        (
            "depends on the grouping",
            join(&ab, c) == join(a, &join(b, c)),
        ),
        (
            "changes what it met before",
            join(&ab, b) == ab && join(a, a) == *a,
        ),
    ];
    match held.iter().find(|(_, holds)| !holds) {
        Some((broken, _)) => Err(format!("L8: a join of policies {broken}")),
        None => Ok(()),
    }
}

/// L9: `entry` names the read and is entry `number` of the log under the signed `head`.
pub fn read_was_audited(
    read: &str,
    entry: &[u8],
    number: u64,
    hashes: &[Hash],
    head: &Checkpoint,
) -> Held {
    let is_named = !read.is_empty()
        && entry
            .windows(read.len())
            .any(|window| window == read.as_bytes());
    if !is_named {
        return Err(format!("L9: entry {number} is not of this read"));
    }
    verify_inclusion(&leaf_hash(entry), number, head.size, hashes, &head.root)
        .map_err(|fault| format!("L9: entry {number} is not under the signed head: {fault}"))
}

/// L10: money is never refused while a less important class is taken. `refused` holds the classes
/// that were refused in one moment, `taken` those accepted in it.
pub fn sells_on(refused: &[Class], taken: &[Class]) -> Held {
    for lost in refused {
        if let Some(kept) = taken.iter().find(|kept| *kept > lost) {
            return Err(format!(
                "L10: {} was refused while {} was kept",
                lost.name(),
                kept.name()
            ));
        }
    }
    Ok(())
}

/// L10: every refusal is in the reports: `refused` by (class, cause) is what the reports sum to.
pub fn losses_named(refused: &BTreeMap<(&str, &str), u64>, reports: &[Loss]) -> Held {
    let mut named: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for row in reports.iter().flat_map(|loss| &loss.counts) {
        *named.entry((&row.class, &row.cause)).or_default() += row.count;
    }
    let rows = refused.keys().chain(named.keys());
    for (class, cause) in rows {
        let count = |of: &BTreeMap<(&str, &str), u64>| of.get(&(*class, *cause)).copied();
        let (lost, said) = (count(refused).unwrap_or(0), count(&named).unwrap_or(0));
        if lost != said {
            return Err(format!(
                "L10: {lost} {class} events were refused ({cause}), {said} are named"
            ));
        }
    }
    Ok(())
}

/// L11: each gauge (name, value, bound) lies within its bound.
pub fn within_limits<'a>(gauges: impl IntoIterator<Item = (&'a str, usize, usize)>) -> Held {
    for (name, value, bound) in gauges {
        if value > bound {
            return Err(format!("L11: {name} is {value}, its bound {bound}"));
        }
    }
    Ok(())
}

/// L12: two folds of one journal gave the same bytes.
pub fn same_cells(one: &[Vec<u8>], other: &[Vec<u8>]) -> Held {
    if one == other {
        Ok(())
    } else {
        Err(String::from("L12: one journal gave different cells"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_means_each_seq_once_or_in_a_gap() {
        assert!(seqs_dense(5, [1, 2, 3, 4, 5], &[]).is_ok());
        assert!(seqs_dense(5, [1, 2, 5], &[(3, 4)]).is_ok());
        assert!(seqs_dense(5, [1, 2, 5], &[(3, 3)]).is_err());
        assert!(seqs_dense(3, [1, 2, 2, 3], &[]).is_err());
        assert!(seqs_dense(3, [1, 2, 3, 4], &[]).is_err());
        assert!(seqs_dense(4, [1, 2, 3], &[]).is_err());
        assert!(seqs_dense(0, [], &[]).is_ok());
    }

    #[test]
    fn balance_is_per_commodity() {
        assert!(books_balance([("GBP", 5), ("GBP", -5), ("sku", 1), ("sku", -1)]).is_ok());
        assert!(books_balance([("GBP", 5), ("EUR", -5)]).is_err());
    }

    #[test]
    fn a_sale_is_never_refused_while_chat_is_kept() {
        assert!(sells_on(&[Class::Ambient], &[Class::Money, Class::Stock]).is_ok());
        assert!(sells_on(&[Class::Money], &[Class::Ambient]).is_err());
    }

    #[test]
    fn money_sums_per_currency() {
        let gbp = Currency::new("GBP").unwrap();
        let eur = Currency::new("EUR").unwrap();
        let whole = BTreeMap::from([(gbp, 3), (eur, 4)]);
        assert!(money_exact("t", [(gbp, 1), (eur, 4), (gbp, 2)], &whole).is_ok());
        assert!(money_exact("t", [(gbp, 7)], &whole).is_err());
    }
}
