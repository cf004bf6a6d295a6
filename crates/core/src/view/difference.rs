//! What a newer version of a cell changes: most of its rows are those of the version before.
//!
//! Always holds: taking the old part away and adding the new one leads where taking the whole old
//! cell away and adding the whole new one does, for what a view makes of a cell is a sum over its
//! rows.
#![deny(clippy::float_arithmetic)]

use alloc::vec::Vec;

use crate::cell::Cell;

/// Leaves in `old` what `new` does not have, and answers what `new` has beyond `old`. Both are cells
/// of one key.
pub(super) fn difference(old: &mut Cell, new: &Cell) -> Cell {
    Cell {
        rig: new.rig.clone(),
        epoch: new.epoch,
        minute: new.minute,
        money: rows(&mut old.money, &new.money, |a, b| {
            (&a.currency, a.origin, &a.method, a.offline)
                < (&b.currency, b.origin, &b.method, b.offline)
        }),
        risk: rows(&mut old.risk, &new.risk, |a, b| a.currency < b.currency),
        skus: rows(&mut old.skus, &new.skus, |a, b| a.sku < b.sku),
        creators: rows(&mut old.creators, &new.creators, |a, b| {
            (&a.creator, &a.currency, a.evidence) < (&b.creator, &b.currency, b.evidence)
        }),
        checkout: part(&mut old.checkout, new.checkout.as_ref()),
        hists: rows(&mut old.hists, &new.hists, |a, b| a.kind < b.kind),
        tokens: part(&mut old.tokens, new.tokens.as_ref()),
        subjects: part(&mut old.subjects, new.subjects.as_ref()),
        streams: rows(&mut old.streams, &new.streams, |a, b| a.stream < b.stream),
        drops: rows(&mut old.drops, &new.drops, |a, b| a.drop < b.drop),
        fulfil: rows(&mut old.fulfil, &new.fulfil, |a, b| {
            (&a.member, &a.step) < (&b.member, &b.step)
        }),
        counts: part(&mut old.counts, new.counts.as_ref()),
        orders: part(&mut old.orders, new.orders.as_ref()),
        ..Cell::default()
    }
}

/// Both ascend by what `before` compares. Equal rows go from `old` and are not answered.
fn rows<T: Clone + PartialEq>(
    old: &mut Vec<T>,
    new: &[T],
    before: impl Fn(&T, &T) -> bool,
) -> Vec<T> {
    let mut fresh = Vec::new();
    let mut olds = core::mem::take(old).into_iter().peekable();
    for row in new {
        while let Some(gone) = olds.next_if(|held| before(held, row)) {
            old.push(gone);
        }
        if olds.next_if(|held| held == row).is_none() {
            fresh.push(row.clone());
        }
    }
    old.extend(olds);
    fresh
}

fn part<T: Clone + PartialEq>(old: &mut Option<T>, new: Option<&T>) -> Option<T> {
    if old.as_ref() == new {
        *old = None;
        return None;
    }
    new.cloned()
}
