//! Refunds against the sale they undo (R23, R41).

use alloc::format;
use alloc::vec::Vec;

use super::{
    Card, Legs, Posted, SaleParts, StockContext, is_cash, keeps_stock, keys, position_text,
    push_move, tips, world,
};
use crate::event::commerce::Commerce;
use crate::event::{self, Event};
use crate::ledger::breaks::{Break, BreakClass};
use crate::ledger::entry::EntryFault;
use crate::ledger::{Account, Chart, Commodity, Fact, Rule, split};
use crate::money::Money;

/// What a refund is posted against.
#[derive(Debug, Clone)]
pub struct RefundContext<'a> {
    /// The sale it refunds, when the ledger knows it.
    pub sale: Option<&'a Fact>,
    /// Refunded of that sale by refunds before this one in canonical order, minor units.
    pub before: i128,
}

/// A sale as refunds undo it: what its money was for, in proportion to which each refund falls on
/// goods, tax and tips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    paid: i128,
    /// Goods less what a token paid, tax, then the tip of each payee.
    wholes: Vec<i128>,
    seed: crate::ledger::FactId,
}

impl Returned {
    /// The sale as it can be undone.
    #[must_use]
    pub fn of(sale: &Fact, data: &event::PaymentCaptured, commerce: Option<&Commerce>) -> Self {
        let parts = SaleParts::under(data, commerce);
        let tips = tips(data, parts.tip, commerce);
        let wholes = [parts.goods - parts.token, parts.tax];
        Self {
            paid: parts.paid,
            wholes: wholes
                .into_iter()
                .chain(tips.into_iter().map(|(_, tip)| tip))
                .collect(),
            seed: sale.id,
        }
    }

    /// What is undone once `refunded` of the sale's money went back: goods, tax, each tip. What
    /// goes beyond the sale, or back from a sale that was worth nothing, falls on goods.
    fn upto(&self, refunded: i128) -> Vec<i128> {
        let within = refunded.clamp(0, self.paid.max(0));
        let parts = match self.paid > 0 {
            true => split::by_largest_remainder(self.seed, within, &self.wholes),
            false => None,
        };
        let mut parts = parts.unwrap_or_else(|| {
            let rest = self.wholes.iter().skip(1).map(|_| 0);
            core::iter::once(within).chain(rest).collect()
        });
        if let Some(goods) = parts.first_mut() {
            *goods += refunded - within;
        }
        parts
    }

    /// What a part of each sum that was given for the goods is due back once `refunded` went back,
    /// as a ratio: so much of so much.
    #[must_use]
    pub fn goods_undone(&self, refunded: i128) -> (i128, i128) {
        let splits = self.wholes.iter().all(|whole| *whole >= 0);
        match self.wholes.first() {
            Some(goods) if splits && *goods > 0 => {
                (self.upto(refunded).first().copied().unwrap_or(0), *goods)
            }
            Some(_) | None => (refunded, self.paid),
        }
    }
}

/// What of a sale's goods, tax and tips is undone by `amount` refunded after `before`: legs that sum
/// to it, debit.
pub(in crate::ledger) fn undone(
    sale: &Fact,
    data: &event::PaymentCaptured,
    commerce: Option<&Commerce>,
    (before, amount): (i128, i128),
) -> Legs {
    let undone = Returned::of(sale, data, commerce);
    let (now, then) = (undone.upto(before + amount), undone.upto(before));
    let accounts = [Account::plain(Chart::Returns), Account::plain(Chart::Tax)];
    let tips = tips(data, 0, commerce)
        .into_iter()
        .map(|(account, _)| account);
    let parts = now.iter().zip(then).map(|(now, then)| now - then);
    (accounts.into_iter().chain(tips).zip(parts))
        .map(|(account, part)| (account, Commodity::Money(data.currency), part))
        .collect()
}

/// Posts a refund against its sale, or all to returns while the sale is unknown.
pub fn refund(
    fact: &Fact,
    asked: &event::PaymentRefunded,
    context: &RefundContext<'_>,
    stock: &dyn StockContext,
) -> Result<Posted, EntryFault> {
    let mut posted = Posted::default();
    let amount = i128::from(asked.amount.0);
    let money = || Commodity::Money(asked.currency);
    let sale = context.sale.and_then(|sale| {
        let Event::PaymentCaptured(data) = &sale.event else {
            return None;
        };
        (data.currency == asked.currency).then_some((sale, data))
    });
    let owed = match sale {
        Some((_, data)) if is_cash(data) => {
            Account::of(Chart::CashTill, fact.position.rig.as_str())
        }
        Some(_) | None => Account::plain(Chart::RefundPayable),
    };
    let mut legs: Legs = [(owed, money(), -amount)].into();
    match sale {
        Some((sale, data)) => {
            let card = stock.card(sale);
            legs.extend(undone(
                sale,
                data,
                card.commerce(),
                (context.before, amount),
            ));
        }
        None => legs.push((Account::plain(Chart::Returns), money(), amount)),
    }
    posted.add(fact, Rule::Refund, legs)?;
    posted.add(
        fact,
        Rule::StockBack,
        goods_back(fact, asked, context, stock),
    )?;
    Ok(posted)
}

/// Goods that came back are on the shelf again; they come from "sold" when the sale is known. Where
/// the popup waits until they are moved, a refund says nothing of them.
fn goods_back(
    fact: &Fact,
    asked: &event::PaymentRefunded,
    context: &RefundContext<'_>,
    stock: &dyn StockContext,
) -> Legs {
    let card = stock.card(fact);
    let mut legs = Legs::new();
    if by_moves(&card) {
        return legs;
    }
    for line in asked.lines.as_deref().unwrap_or_default() {
        if keeps_stock(stock, &card, &fact.popup, &line.sku) {
            let from = match context.sale {
                Some(_) => Account::plain(Chart::StockSold),
                None => world(),
            };
            let pool = Account::plain(Chart::StockPool);
            push_move(&mut legs, &line.sku, line.qty, pool, from);
        }
    }
    legs
}

/// Whether goods are back when they are moved, not when a refund names them.
pub(in crate::ledger) fn by_moves(card: &Card) -> bool {
    card.commerce()
        .is_some_and(|commerce| commerce.returns_by_moves)
}

/// A refund of a sale nobody knows (E-ORPHAN).
#[must_use]
pub fn orphan(fact: &Fact, asked: &event::PaymentRefunded) -> Break {
    let amount = asked.amount.0;
    let sentence = format!(
        "Refund {} of {} names a sale that is not in these books.",
        asked.refund,
        Money::new(amount, asked.currency)
    );
    Break::new(
        BreakClass::Orphan,
        keys(fact, asked.refund.as_str()),
        sentence,
    )
    .amounting(
        Commodity::Money(asked.currency),
        amount,
        Some(Account::plain(Chart::Returns)),
    )
    .evident([position_text(fact)].into())
}
