//! Statements: what a creator earned, as a fold over effective entries; never a stored number.
//!
//! The sums come from entries alone. The lines beneath them are worked out from the sales behind the
//! entries by the same pure functions that posted them, so they say why each sum is what it is.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attribution::{Evidence, Witness, attribute};
use super::breaks::BreakId;
use super::entry::{Entry, Rule};
use super::group::{GroupKey, GroupKind};
use super::post::Card;
use super::{Chart, Fact, FactId, Leg, sale, split};
use crate::event::commerce::WHOLE_PPM;
use crate::event::{Event, PaymentCaptured};
use crate::id::CreatorId;
use crate::money::Currency;

/// Sums of one currency, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Shares of sales and of co-op pools.
    pub earned: i128,
    /// Taken back by refunds, disputes and lost payments.
    pub reversed: i128,
    /// Not yet to be had.
    pub held: i128,
    /// Of the held: shares of payments that are stored offline and not yet confirmed.
    pub at_risk: i128,
    /// To be had now.
    pub available: i128,
    /// Paid out.
    pub paid: i128,
    /// Paid out beyond what was to be had, owed back.
    pub receivable: i128,
}

/// Where the share of a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShareState {
    /// The payment is stored offline.
    AtRisk,
    /// Not yet to be had.
    Held,
    /// To be had, or paid.
    Available,
    /// Taken back altogether.
    Reversed,
    /// In a co-op's pool.
    Pooled,
}

impl ShareState {
    /// Its text in answers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AtRisk => "at_risk",
            Self::Held => "held",
            Self::Available => "available",
            Self::Reversed => "reversed",
            Self::Pooled => "pooled",
        }
    }
}

/// One line of a sale in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementLine {
    /// The payment.
    pub payment: String,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// What was sold; empty for a sale without lines.
    pub sku: String,
    /// How many.
    pub qty: i64,
    /// Of what currency the amounts are.
    pub currency: Currency,
    /// The line's part in the creator's goods before tax, minor units.
    pub goods: i128,
    /// Of the line, millionths: all of it.
    pub weight_ppm: u32,
    /// What spoke for the creator.
    pub evidence: Evidence,
    /// The frozen rate.
    pub rate_ppm: u32,
    /// The line's part in C, minor units; what was taken back is still in it.
    pub share: i128,
    /// Where it stands.
    pub state: ShareState,
    /// The money break on the payment, if one is open.
    pub found: Option<BreakId>,
}

/// What a creator earned in one popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Who.
    pub creator: CreatorId,
    /// Sums by currency.
    pub currencies: BTreeMap<Currency, Sums>,
    /// Lines, by time and payment.
    pub lines: Vec<StatementLine>,
}

/// What a statement asks beside entries.
pub trait Sales {
    /// The capture behind a cause, as [`causes`] of its facts gives them.
    fn sale(&self, cause: FactId) -> Option<Rc<Fact>>;
    /// The promises it was taken under.
    fn card(&self, sale: &Fact) -> Card;
    /// What else is known of it.
    fn witness<'a>(&'a self, sale: &'a Fact) -> alloc::boxed::Box<dyn Witness + 'a>;
    /// Whether it is stored offline and not yet confirmed: its 1110 stands.
    fn at_risk(&self, sale: &Fact) -> bool;
    /// The open money break on it.
    fn found(&self, sale: &Fact) -> Option<BreakId>;
}

/// The causes under which a capture, refund or dispute moves shares of its payment, to find the
/// capture by.
#[must_use]
pub fn causes(fact: &Fact) -> Vec<FactId> {
    let mut keys = Vec::new();
    sale::keys(fact, &mut keys);
    let own = GroupKey::cause_of(GroupKind::Sale, fact.id);
    let groups = keys.into_iter().map(GroupKey::cause);
    groups.chain([own]).collect()
}

/// What of one entry belongs to the creator.
#[derive(Debug, Clone, Copy)]
struct Own {
    currency: Currency,
    held: i128,
    available: i128,
}

/// Folds the effective entries of one popup into what a creator earned.
pub fn statement<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    sales: &dyn Sales,
    creator: &CreatorId,
) -> Statement {
    let mut out = Statement {
        creator: creator.clone(),
        currencies: BTreeMap::new(),
        lines: Vec::new(),
    };
    // What is left of a sale's share in 2030, to say what of it is at risk, and what was released.
    let mut left: BTreeMap<FactId, Own> = BTreeMap::new();
    for entry in entries {
        for leg in entry
            .legs
            .iter()
            .filter(|leg| leg.account.part == creator.as_str())
        {
            count(&mut out.currencies, entry, leg, &mut left);
        }
        if entry.rule == Rule::SharePaid {
            paid(&mut out.currencies, entry, creator);
        }
        if entry.rule == Rule::Shares {
            // A co-op's members see the sale too, in the pool.
            left.entry(entry.fact).or_insert(Own {
                currency: match entry.legs.iter().find_map(|leg| leg.commodity.currency()) {
                    Some(currency) => currency,
                    None => continue,
                },
                held: 0,
                available: 0,
            });
        }
    }
    let mut by_sale: BTreeMap<FactId, (Rc<Fact>, Own)> = BTreeMap::new();
    for (cause, own) in left {
        let Some(sale) = sales.sale(cause) else {
            continue;
        };
        let none = Own {
            held: 0,
            available: 0,
            ..own
        };
        let (_, sum) = by_sale.entry(sale.id).or_insert((sale, none));
        sum.held += own.held;
        sum.available += own.available;
    }
    for (sale, own) in by_sale.into_values() {
        if sales.at_risk(&sale) {
            out.currencies.entry(own.currency).or_default().at_risk += own.held;
        }
        lines(&mut out.lines, &sale, &own, sales, creator);
    }
    out.lines
        .sort_by(|a, b| (a.at_ms, &a.payment, &a.sku).cmp(&(b.at_ms, &b.payment, &b.sku)));
    out
}

/// One leg on an account of the creator's.
fn count(
    sums: &mut BTreeMap<Currency, Sums>,
    entry: &Entry,
    leg: &Leg,
    left: &mut BTreeMap<FactId, Own>,
) {
    let Some(currency) = leg.commodity.currency() else {
        return;
    };
    let amount = i128::from(leg.amount);
    let is_sale = matches!(
        entry.rule,
        Rule::Shares | Rule::ShareBack | Rule::ShareDispute
    );
    let pooled = (entry.legs.iter()).any(|leg| leg.account.of == Chart::CoopPool);
    let of = leg.account.of;
    let sum = sums.entry(currency).or_default();
    if of == Chart::CreatorHeld {
        sum.held -= amount;
        if entry.rule == Rule::Shares || (entry.rule == Rule::SharePaid && pooled) {
            sum.earned -= amount;
        } else if is_sale {
            sum.reversed += amount;
        }
        let own = left.entry(entry.fact).or_insert(Own {
            currency,
            held: 0,
            available: 0,
        });
        own.held -= amount;
    } else if of == Chart::CreatorAvailable {
        sum.available -= amount;
        let own = left.entry(entry.fact).or_insert(Own {
            currency,
            held: 0,
            available: 0,
        });
        own.available -= amount;
    } else if of == Chart::CreatorReceivable {
        sum.receivable += amount;
    }
}

/// A payment to the creator: their account against the bank.
fn paid(sums: &mut BTreeMap<Currency, Sums>, entry: &Entry, creator: &CreatorId) {
    let theirs = (entry.legs.iter()).any(|leg| {
        leg.account.of == Chart::CreatorAvailable && leg.account.part == creator.as_str()
    });
    for leg in entry
        .legs
        .iter()
        .filter(|leg| theirs && leg.account.of == Chart::Bank)
    {
        if let Some(currency) = leg.commodity.currency() {
            sums.entry(currency).or_default().paid -= i128::from(leg.amount);
        }
    }
}

/// The lines of one sale that belong to the creator.
fn lines(
    out: &mut Vec<StatementLine>,
    sale: &Rc<Fact>,
    own: &Own,
    sales: &dyn Sales,
    creator: &CreatorId,
) {
    let (Event::PaymentCaptured(data), card) = (&sale.event, sales.card(sale)) else {
        return;
    };
    let Some(commerce) = card.commerce() else {
        return;
    };
    let witness = sales.witness(sale);
    let (frozen, _) = sale::freeze(sale, data, commerce, &*witness);
    let Some(share) = frozen.into_iter().find(|one| one.creator == *creator) else {
        return;
    };
    let state = match (
        share.coop.is_empty(),
        sales.at_risk(sale),
        own.held,
        own.available,
    ) {
        (false, ..) => ShareState::Pooled,
        (true, true, 1.., _) => ShareState::AtRisk,
        (true, _, _, 1..) => ShareState::Available,
        (true, _, 1.., _) => ShareState::Held,
        (true, ..) => ShareState::Reversed,
    };
    let theirs = of_creator(sale, data, &*witness, creator);
    let weights: Vec<i128> = theirs
        .iter()
        .map(|(_, _, amount)| (*amount).max(0))
        .collect();
    let divide = |whole: i128| {
        split::by_largest_remainder(sale.id, whole, &weights).unwrap_or_else(|| {
            let rest = weights.iter().skip(1).map(|_| 0);
            core::iter::once(whole).chain(rest).collect()
        })
    };
    let parts = divide(share.goods).into_iter().zip(divide(share.share));
    for ((sku, qty, _), (goods, part)) in theirs.into_iter().zip(parts) {
        out.push(StatementLine {
            payment: data.payment.to_string(),
            at_ms: sale.occurred_ms,
            sku,
            qty,
            currency: data.currency,
            goods,
            weight_ppm: WHOLE_PPM,
            evidence: share.evidence,
            rate_ppm: share.rate_ppm,
            share: part,
            state,
            found: sales.found(sale),
        });
    }
}

/// SKU, quantity and amount of each line of the creator's; one without a SKU for a sale without lines.
fn of_creator(
    sale: &Fact,
    data: &PaymentCaptured,
    witness: &dyn Witness,
    creator: &CreatorId,
) -> Vec<(String, i64, i128)> {
    let lines = data.lines.as_deref().unwrap_or_default();
    let theirs: Vec<_> = lines
        .iter()
        .filter(|line| {
            attribute(sale.occurred_ms, data, Some(line), witness)
                .0
                .as_ref()
                == Some(creator)
        })
        .map(|line| (line.sku.to_string(), line.qty, i128::from(line.amount)))
        .collect();
    match theirs.is_empty() {
        true => [(String::new(), 0, 1)].into(),
        false => theirs,
    }
}
