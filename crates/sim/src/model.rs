//! What must be true, as a list of facts and nothing clever.
//!
//! A fact is added when a till heard that it is safe, never before. Everything the checks expect is
//! summed from this list anew.

use std::collections::BTreeMap;

use popwatch_core::ledger::fact::occurred_ms;
use popwatch_core::ledger::reconcile::CurrencyTotals;
use popwatch_core::money::Currency;
use popwatch_core::record;

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To the stall.
    Captured,
    /// Back to the buyer.
    Refunded,
}

/// What an event does to the money of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worth {
    /// Which way.
    pub(crate) direction: Direction,
    /// In which currency.
    pub(crate) currency: Currency,
    /// Minor units, positive.
    pub(crate) minor: i64,
}

impl Worth {
    /// An amount in one of the currencies the scripts use.
    #[must_use]
    pub(crate) fn new(direction: Direction, currency: &str, minor: i64) -> Self {
        let currency = Currency::new(currency).expect("scripts use ISO 4217 codes");
        Self {
            direction,
            currency,
            minor,
        }
    }
}

/// Where a record stands: (rig's number in the world, epoch, seq).
pub(crate) type Place = (usize, u32, u64);

/// An event that a till was told is safe.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    /// CloudEvents `source` and `id`.
    pub(crate) key: (String, String),
    /// The popup.
    pub(crate) popup: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// Its journaled payload.
    pub(crate) payload: Vec<u8>,
    /// What it is worth.
    pub(crate) worth: Option<Worth>,
    /// When it happened, ms of the world.
    pub(crate) at_ms: u64,
}

impl Fact {
    /// Its place among facts of one identity that cannot all be right.
    fn order(&self) -> (i64, Place) {
        let moment = record::decode(&self.payload).map_or(i64::MAX, |it| occurred_ms(&it));
        (moment, self.place)
    }
}

/// Sums by popup and currency.
pub(crate) type Sums = BTreeMap<String, BTreeMap<Currency, CurrencyTotals>>;

/// The facts, in the order they were acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    facts: Vec<Fact>,
    at: BTreeMap<Place, usize>,
}

impl Model {
    /// Adds a fact unless one stands at its place already.
    pub(crate) fn acked(&mut self, fact: Fact) {
        if !self.at.contains_key(&fact.place) {
            self.at.insert(fact.place, self.facts.len());
            self.facts.push(fact);
        }
    }

    /// The facts.
    #[must_use]
    pub(crate) fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The fact at a place.
    #[must_use]
    pub(crate) fn at(&self, place: Place) -> Option<&Fact> {
        self.at.get(&place).map(|index| &self.facts[*index])
    }

    /// What the tills' own cells must sum to: every acknowledged record once.
    #[must_use]
    pub(crate) fn told_to_rigs(&self) -> Sums {
        sum(self.facts.iter())
    }

    /// What the books must sum to: every event once, and of one told with two contents the first.
    #[must_use]
    pub(crate) fn in_the_books(&self) -> Sums {
        let mut first: BTreeMap<&(String, String), &Fact> = BTreeMap::new();
        for fact in &self.facts {
            let held = first.entry(&fact.key).or_insert(fact);
            if fact.order() < held.order() {
                *held = fact;
            }
        }
        sum(first.into_values())
    }
}

fn sum<'a>(facts: impl Iterator<Item = &'a Fact>) -> Sums {
    let mut sums = Sums::new();
    for fact in facts {
        let Some(worth) = &fact.worth else { continue };
        let popup = sums.entry(fact.popup.clone()).or_default();
        let totals = popup.entry(worth.currency).or_default();
        match worth.direction {
            Direction::Captured => {
                totals.captured += worth.minor;
                totals.sales += 1;
            }
            Direction::Refunded => {
                totals.refunded += worth.minor;
                totals.refunds += 1;
            }
        }
    }
    sums
}
