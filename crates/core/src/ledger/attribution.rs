//! Attribution: whose audience bought a line.
//!
//! The strongest evidence decides: the line's own creator, then the token's, then the payment's, then
//! the one flash drop of the SKU that was open. Where two open drops name different creators, or
//! nothing speaks, it is the house; never a guess. Pure, so that late and re-run answers agree; a
//! rig's fold asks the same function what the books ask.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::{Fact, split};
use crate::event::{Event, Line, PaymentCaptured};
use crate::id::{CreatorId, Sku};

/// What speaks for a creator, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The line names its creator.
    Line,
    /// The token that was used belongs to one.
    Token,
    /// The payment names one.
    Payment,
    /// The SKU was on offer in exactly one creator's flash drop.
    Drop,
    /// Nothing speaks for anybody.
    House,
}

impl Evidence {
    /// Its text in answers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Token => "token",
            Self::Payment => "payment",
            Self::Drop => "drop",
            Self::House => "house",
        }
    }
}

/// What is known beyond the sale itself.
pub trait Witness {
    /// Whose token was used.
    fn token_creator(&self) -> Option<&CreatorId>;
    /// Who alone had a SKU on offer in flash drops at a moment, ms since 1970.
    fn drop_creator(&self, sku: &Sku, at_ms: i64) -> Option<CreatorId>;
}

/// The creator of a line of the sale that happened at `at_ms`, and what speaks for them; without a
/// line, of the sale.
#[must_use]
pub fn attribute(
    at_ms: i64,
    of: &PaymentCaptured,
    line: Option<&Line>,
    witness: &dyn Witness,
) -> (Option<CreatorId>, Evidence) {
    if let Some(creator) = line.and_then(|line| line.creator.as_ref()) {
        return (Some(creator.clone()), Evidence::Line);
    }
    if let (Some(_), Some(creator)) = (&of.token, witness.token_creator()) {
        return (Some(creator.clone()), Evidence::Token);
    }
    if let Some(creator) = &of.creator {
        return (Some(creator.clone()), Evidence::Payment);
    }
    let drop = line.and_then(|line| witness.drop_creator(&line.sku, at_ms));
    match drop {
        Some(creator) => (Some(creator), Evidence::Drop),
        None => (None, Evidence::House),
    }
}

/// The creator of the drops that are open at a moment, when all of them name the same one. `drops`
/// are the words about the drops of one SKU, in canonical order.
#[must_use]
pub fn open_drop(drops: &[Rc<Fact>], at_ms: i64) -> Option<CreatorId> {
    let mut open: BTreeMap<&str, Option<&CreatorId>> = BTreeMap::new();
    for fact in drops.iter().filter(|fact| fact.occurred_ms <= at_ms) {
        if let Event::DropOpened(of) = &fact.event {
            open.insert(of.drop.as_str(), of.creator.as_ref());
        } else if let Event::DropClosed(of) = &fact.event {
            open.remove(of.drop.as_str());
        }
    }
    sole_creator(open.into_values())
}

/// The one creator whom all open drops name.
pub(crate) fn sole_creator<'a>(
    mut creators: impl Iterator<Item = Option<&'a CreatorId>>,
) -> Option<CreatorId> {
    let first = creators.next()??;
    creators
        .all(|other| other == Some(first))
        .then(|| first.clone())
}

/// A creator's part in the goods of one sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Who; `None` is the house.
    pub creator: Option<CreatorId>,
    /// The strongest evidence among the lines.
    pub evidence: Evidence,
    /// Goods before tax, minor units.
    pub goods: i128,
}

/// Divides the goods of a sale among creators and house; Σ = `goods`. Lines that do not add up to
/// it (they hold tax, or differ from what was paid) only say in which proportion.
#[must_use]
pub fn divide(sale: &Fact, of: &PaymentCaptured, goods: i128, witness: &dyn Witness) -> Vec<Part> {
    let mut sums: BTreeMap<Option<CreatorId>, (Evidence, i128)> = BTreeMap::new();
    for line in of.lines.as_deref().unwrap_or_default() {
        let (creator, evidence) = attribute(sale.occurred_ms, of, Some(line), witness);
        let sum = sums.entry(creator).or_insert((evidence, 0));
        sum.0 = sum.0.min(evidence);
        sum.1 += i128::from(line.amount);
    }
    let claimed: i128 = sums.values().map(|(_, sum)| sum).sum();
    let weights: Vec<i128> = sums.values().map(|(_, sum)| (*sum).max(0)).collect();
    let shares = match claimed == goods && !sums.is_empty() {
        true => Some(sums.values().map(|(_, sum)| *sum).collect()),
        false => split::by_largest_remainder(sale.id, goods, &weights),
    };
    let Some(shares) = shares else {
        let (creator, evidence) = attribute(sale.occurred_ms, of, None, witness);
        return [Part {
            creator,
            evidence,
            goods,
        }]
        .into();
    };
    let parts = sums.into_iter().zip(shares);
    parts
        .map(|((creator, (evidence, _)), goods)| Part {
            creator,
            evidence,
            goods,
        })
        .collect()
}
