//! Payments: what was taken, what went back, what is at risk.
//!
//! A payment counts once per (provider, payment, state), a refund once per refund, whatever their
//! event ids; repeats are counted and change no sum.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::At;
use super::journey;
use super::shares::{self, Share};
use super::slot::{Slot, add, take};
use super::stock;
use super::tables::{Order, Paid, PaymentState, Sale, Tables};
use crate::cell::HistKind;
use crate::event::{
    Line, Millis, Minor, PaymentAuthorized, PaymentCaptured, PaymentFailed, PaymentRefunded, Reason,
};
use crate::id::{CreatorId, Sku};
use crate::ledger::attribution::{Evidence, Witness, attribute};
use crate::money::Currency;

pub(super) fn authorized(slot: &mut Slot, tables: &mut Tables, at: &At, data: &PaymentAuthorized) {
    let payment = tables.payments.entry(&data.payment);
    if !payment.first(data.provider.as_ref(), PaymentState::Authorized) {
        return slot.duplicate(at);
    }
    if let Some(place) = slot.money_at(at, data.currency, data.method.as_str(), false) {
        let cell = &mut slot.cell;
        add(
            &mut cell.flags,
            &mut cell.money[place].authorized,
            data.amount.0,
        );
    }
    latency(slot, at, data.latency_ms);
}

pub(super) fn captured(slot: &mut Slot, tables: &mut Tables, at: &At, data: &PaymentCaptured) {
    let payment = tables.payments.entry(&data.payment);
    let was_final = payment.is_final();
    if !payment.first(data.provider.as_ref(), PaymentState::Captured) {
        return slot.duplicate(at);
    }
    let offline = data.offline == Some(true);
    if !was_final && !offline {
        slot.payments(at).captured += 1;
    }
    let order = tables.orders.entry(&data.order);
    let conversion = order.paid.is_none();
    let paid = order.paid.get_or_insert(Paid {
        minute: at.minute,
        mono_ns: at.mono_ns,
        currency: data.currency,
    });
    if paid.currency == data.currency {
        order.captured = order.captured.saturating_add(data.amount.0);
    }
    order.offline |= offline;
    if order.viewer.is_none()
        && let Some(checkout) = &data.checkout
    {
        let open = tables.open.get(checkout).and_then(|start| start.viewer);
        order.viewer = open.or_else(|| tables.closed.get(checkout).copied().flatten());
    }
    journey::paid_by_viewer(slot, at, order);
    if let (Some((currency, amount)), false) = (order.at_risk, order.recovered) {
        order.recovered = true;
        if let Some(place) = slot.risk(at, currency) {
            let cell = &mut slot.cell;
            add(&mut cell.flags, &mut cell.risk[place].recovered, amount);
        }
    }
    let shares = shares_of(at, data, tables);

    let named = slot.money_at(at, data.currency, data.method.as_str(), offline);
    if let Some(place) = named {
        let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.money[place]);
        add(flags, &mut row.gross, data.amount.0);
        add(flags, &mut row.tip, minor(data.tip));
        add(flags, &mut row.tax, minor(data.tax));
        add(flags, &mut row.fee, minor(data.fee));
        row.captures += 1;
        row.conversions += u64::from(conversion);
        for share in &shares {
            let place = credit(slot, at, data.currency, share);
            slot.cell.creators[place].orders += u64::from(conversion);
        }
    }
    if let Some(payment) = tables.payments.get_mut(&data.payment) {
        payment.sale.get_or_insert_with(|| {
            Box::new(Sale {
                currency: data.currency,
                order: data.order.clone(),
                method: data.method.clone(),
                offline,
                shares: shares::to_remember(shares),
            })
        });
    }
    for line in data.lines.as_deref().unwrap_or_default() {
        stock::left(slot, tables, at, &line.sku, line.qty);
        if named.is_some() {
            let sums = slot.sku_sums(at, line.sku.as_str(), data.currency);
            add(sums.0, &mut sums.1.gross, line.amount);
        }
    }
    latency(slot, at, data.latency_ms);
}

/// Whose a capture is, by the rule of the books and what this rig knows.
fn shares_of(at: &At, data: &PaymentCaptured, tables: &Tables) -> Vec<Share> {
    let token = data.token.as_ref();
    let heard = Heard {
        at,
        tables,
        token_creator: token.and_then(|token| tables.tokens.get(token)?.creator.as_ref()),
    };
    let besides = minor(data.tip).saturating_add(minor(data.tax));
    let goods = data.amount.0.saturating_sub(besides).max(0);
    let lines = data.lines.as_deref().unwrap_or_default();
    let whose = |line: Option<&Line>| attribute(at.time.0, data, line, &heard);
    shares::of_sale(data.amount.0, goods, lines, whose)
}

/// What the rig knows beyond the sale itself.
struct Heard<'a> {
    at: &'a At,
    tables: &'a Tables,
    token_creator: Option<&'a CreatorId>,
}

impl Witness for Heard<'_> {
    fn token_creator(&self) -> Option<&CreatorId> {
        self.token_creator
    }

    fn drop_creator(&self, sku: &Sku, _: i64) -> Option<CreatorId> {
        self.tables.drop_creator(self.at, sku)
    }
}

fn minor(amount: Option<Minor>) -> i64 {
    amount.map_or(0, |amount| amount.0)
}

pub(super) fn failed(slot: &mut Slot, tables: &mut Tables, at: &At, data: &PaymentFailed) {
    let payment = tables.payments.entry(&data.payment);
    let was_final = payment.is_final();
    if !payment.first(None, PaymentState::Failed) {
        return slot.duplicate(at);
    }
    if !was_final {
        let fault = u64::from(data.reason == Some(Reason::Technical));
        let payments = slot.payments(at);
        payments.fault += fault;
        payments.refused += 1 - fault;
    }
    let order = tables.orders.entry(&data.order);
    order.failed = true;
    if data.reason == Some(Reason::Technical) && order.at_risk.is_none() {
        order.at_risk = Some((data.currency, data.amount.0));
        if let Some(place) = slot.risk(at, data.currency) {
            let cell = &mut slot.cell;
            add(&mut cell.flags, &mut cell.risk[place].failed, data.amount.0);
        }
    }
    latency(slot, at, data.latency_ms);
}

pub(super) fn refunded(slot: &mut Slot, tables: &mut Tables, at: &At, data: &PaymentRefunded) {
    if tables.refunds.insert(&data.refund, ()).is_none() {
        return slot.duplicate(at);
    }
    let lines = data.lines.as_deref().unwrap_or_default();
    for line in lines {
        stock::came_back(slot, tables, at, &line.sku, line.qty);
    }
    let payment = tables.payments.get(&data.payment);
    let sale = payment
        .and_then(|payment| payment.sale.as_deref())
        .filter(|sale| sale.currency == data.currency);
    match sale {
        Some(sale) => order_refunded(slot, tables.orders.entry(&sale.order), at, data),
        None => {
            slot.unmatched(at);
            slot.counts(at).refunds_unknown += 1;
            slot.orders(at).refunded += 1;
        }
    }
    let method = sale.map_or("", |sale| sale.method.as_str());
    let offline = sale.is_some_and(|sale| sale.offline);
    let Some(place) = slot.money_at(at, data.currency, method, offline) else {
        return;
    };
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.money[place]);
    add(flags, &mut row.refund, data.amount.0);
    row.refunds += 1;
    for line in lines {
        let sums = slot.sku_sums(at, line.sku.as_str(), data.currency);
        add(sums.0, &mut sums.1.refund, line.amount);
    }
    let shares = match sale {
        Some(sale) => shares::of_refund(data.amount.0, lines, &sale.shares),
        None => shares::of_sale(data.amount.0, data.amount.0, lines, of_line),
    };
    for share in shares
        .iter()
        .filter(|share| (share.amount, share.units) != (0, 0))
    {
        debit(slot, at, data.currency, share);
    }
}

/// An order counts as refunded once, and as gone when nothing of it is left to hand over.
fn order_refunded(slot: &mut Slot, order: &mut Order, at: &At, data: &PaymentRefunded) {
    if !core::mem::replace(&mut order.any_refund, true) {
        slot.orders(at).refunded += 1;
    }
    let Some(paid) = order.paid.filter(|paid| paid.currency == data.currency) else {
        return;
    };
    order.refunded = order.refunded.saturating_add(data.amount.0);
    if order.refunded >= order.captured && !order.left {
        order.left = true;
        slot.orders(at).gone += 1;
        slot.paid_row(at, paid.minute);
    }
}

/// Whose a line of an unknown sale is, as far as it says itself.
fn of_line(line: Option<&Line>) -> (Option<CreatorId>, Evidence) {
    match line.and_then(|line| line.creator.clone()) {
        Some(creator) => (Some(creator), Evidence::Line),
        None => (None, Evidence::House),
    }
}

fn credit(slot: &mut Slot, at: &At, currency: Currency, share: &Share) -> usize {
    let place = slot.creator_at(at, share.name(), currency, shares::number(share.evidence));
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.creators[place]);
    add(flags, &mut row.gross, share.amount);
    add(flags, &mut row.units, share.units);
    place
}

fn debit(slot: &mut Slot, at: &At, currency: Currency, share: &Share) {
    let place = slot.creator_at(at, share.name(), currency, shares::number(share.evidence));
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.creators[place]);
    add(flags, &mut row.refund, share.amount);
    take(flags, &mut row.units, share.units);
}

fn latency(slot: &mut Slot, at: &At, latency: Option<Millis>) {
    if let Some(Millis(ms)) = latency {
        slot.duration(at, HistKind::Payment, u64::from(ms) * 1_000);
    }
}
