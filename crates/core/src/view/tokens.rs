//! Tokens of many cells: how many different ones were issued and redeemed.
//!
//! Cells carry the smallest token hashes of their minute. While none of them had to cut its set the
//! numbers are exact; after a cut they are scaled from the range that every cell covers, and say so.
#![deny(clippy::float_arithmetic)]

use alloc::collections::BTreeMap;

use super::sums::{Shift, touch};
use crate::cell::TokenCounts;
use crate::limits;
use crate::money::div_half_even;

const ISSUED: u32 = 1;
const REDEEMED: u32 = 2;
const VOIDED: u32 = 3;
/// Touches one token can have. A set that was cut lost all touches of one hash, so it is this near
/// to its bound.
const KINDS: usize = 3;

/// Touches of one token, counted by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Touches {
    issued: i128,
    redeemed: i128,
    voided: i128,
}

/// All tokens of one popup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    seen: BTreeMap<u64, Touches>,
    /// Greatest hash of each set that had to be cut.
    cuts: BTreeMap<u64, i128>,
}

/// Different tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenView {
    /// Issued and not voided.
    pub issued: u64,
    /// Redeemed, however often, and not voided.
    pub redeemed: u64,
    /// Whether the two are scaled from a part of the tokens.
    pub estimated: bool,
}

impl Tokens {
    pub(crate) fn shift(&mut self, by: Shift, counts: Option<&TokenCounts>) {
        let Some(counts) = counts else { return };
        for token in &counts.set {
            touch(&mut self.seen, token.hash, |held| match token.kind {
                ISSUED => held.issued += by.of(1),
                REDEEMED => held.redeemed += by.of(1),
                VOIDED => held.voided += by.of(1),
                _unknown => {}
            });
        }
        if counts.set.len() + KINDS > limits::CELL_TOKENS_MAX {
            let last = counts.set.last().map_or(0, |token| token.hash);
            touch(&mut self.cuts, last, |held| *held += by.of(1));
        }
    }

    /// What can be said of them.
    pub(crate) fn view(&self) -> TokenView {
        let cut = self.cuts.first_key_value().map(|(hash, _)| *hash);
        let (mut issued, mut redeemed) = (0, 0);
        for touches in self.seen.range(..=cut.unwrap_or(u64::MAX)).map(|(_, t)| t) {
            if touches.voided > 0 {
                continue;
            }
            issued += i128::from(touches.issued > 0);
            redeemed += i128::from(touches.redeemed > 0);
        }
        let scaled = |n: i128| match cut {
            None => n,
            Some(hash) => div_half_even(n << 64, i128::from(hash) + 1),
        };
        TokenView {
            issued: u64::try_from(scaled(issued)).unwrap_or(u64::MAX),
            redeemed: u64::try_from(scaled(redeemed)).unwrap_or(u64::MAX),
            estimated: cut.is_some(),
        }
    }
}
