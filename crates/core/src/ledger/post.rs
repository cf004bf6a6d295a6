//! Posting rules: a fact and what is known around it to balanced entries and breaks.
//!
//! Pure: the same fact and context give the same entries, whenever they are asked for. When a later
//! fact changes the context, the caller posts again and reverses what is no longer made.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::EntryFault;
use super::{Account, Balanced, Chart, Commodity, Entry, Fact, Rule};
use crate::event::central::ProviderRefused;
use crate::event::commerce::{Commerce, WHOLE_PPM};
use crate::event::system::SystemEvent;
use crate::event::{self, Event, Line};
use crate::id::{PopupId, RigId, Sku, StockPlace};
use crate::money::{Money, div_half_even};

mod refund;

pub use refund::{RefundContext, Returned, orphan, refund};
pub(super) use refund::{by_moves, undone};

/// What the books know about stock beyond one fact.
pub trait StockContext {
    /// Whether the popup keeps stock of this SKU: somebody received or allocated it.
    fn stocked(&self, popup: &PopupId, sku: &Sku) -> bool;
    /// Whether items of this SKU were ever set aside for this rig.
    fn granted(&self, popup: &PopupId, sku: &Sku, rig: &RigId) -> bool;
    /// What the popup promised when this fact was taken: the content of the policy version on its
    /// record, as `policy.applied` of its epoch gave it.
    fn card(&self, fact: &Fact) -> Card;
}

/// The promises a fact was taken under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Card {
    /// As its policy version says.
    Known(Rc<Commerce>),
    /// The record of that version is lost; this is the version the popup opened with.
    Opening(Rc<Commerce>),
    /// The record of that version is lost, and so is the opening one.
    Lost,
    /// The popup promised nothing: version 0, or a policy without this part.
    None,
}

impl Card {
    /// What can be posted by.
    #[must_use]
    pub fn commerce(&self) -> Option<&Commerce> {
        match self {
            Self::Known(commerce) | Self::Opening(commerce) => Some(commerce),
            Self::Lost | Self::None => None,
        }
    }
}

/// What one fact makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posted {
    /// Entries, in the order of their rules.
    pub entries: Vec<Balanced<Entry>>,
    /// Differences found in the fact alone.
    pub breaks: Vec<Break>,
}

type Legs = Vec<(Account, Commodity, i128)>;

impl Posted {
    fn add(&mut self, fact: &Fact, rule: Rule, legs: Legs) -> Result<(), EntryFault> {
        let entry = Balanced::new(fact.id, rule, fact.occurred_ms, legs)?;
        self.entries.extend(entry);
        Ok(())
    }
}

/// A sale taken apart: what was paid, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleParts {
    /// Tendered (G).
    pub paid: i128,
    /// Tax in it (X).
    pub tax: i128,
    /// Tip in it (P).
    pub tip: i128,
    /// Goods, before tax (N).
    pub goods: i128,
    /// Paid by a token (V).
    pub token: i128,
    /// What the lines claim beyond what was paid, 0 when they add up.
    pub off: i128,
}

impl SaleParts {
    /// Takes a capture apart. Where lines do not add up, the money tendered is the truth.
    #[must_use]
    pub fn of(sale: &event::PaymentCaptured) -> Self {
        Self::under(sale, None)
    }

    /// Takes a capture apart by what its popup promised: lines may hold tax.
    #[must_use]
    pub fn under(sale: &event::PaymentCaptured, commerce: Option<&Commerce>) -> Self {
        let amount = |value: Option<event::Minor>| value.map_or(0, |minor| i128::from(minor.0));
        let paid = i128::from(sale.amount.0);
        let (tax, tip) = (amount(sale.tax), amount(sale.tip));
        let rest = paid - tax - tip;
        let lines = sale.lines.as_deref().unwrap_or_default();
        let held = match commerce {
            Some(commerce) if commerce.lines_gross => tax,
            Some(_) | None => 0,
        };
        let claimed = sum_lines(lines) - held;
        let (goods, token, off) = match (lines.is_empty(), sale.token.is_some()) {
            (true, _) => (rest, 0, 0),
            (false, true) if claimed >= rest => (claimed, claimed - rest, 0),
            (false, _) => (rest, 0, claimed - rest),
        };
        Self {
            paid,
            tax,
            tip,
            goods,
            token,
            off,
        }
    }
}

fn sum_lines(lines: &[Line]) -> i128 {
    lines.iter().map(|line| i128::from(line.amount)).sum()
}

/// Posts a fact. Refunds need their own context and come through [`refund`]; counts come through
/// [`count`]. Facts whose rules belong to later stages of the books make nothing.
pub fn post(fact: &Fact, stock: &dyn StockContext) -> Result<Posted, EntryFault> {
    match &fact.event {
        Event::PaymentCaptured(sale) => capture(fact, sale, stock),
        Event::BooksAdjusted(manual) => manual_entry(fact, manual),
        Event::InventoryReceived(of) => {
            let to = place(of.to.as_ref());
            stock_move(fact, Rule::StockIn, &of.sku, of.qty.0, to, world())
        }
        Event::InventoryAllocated(of) => {
            let rig = fact.position.rig.as_str();
            let to = of.to.as_ref().map_or(rig, StockPlace::as_str);
            let (to, from) = (place_named(to), place(of.from.as_ref()));
            stock_move(fact, Rule::StockIn, &of.sku, of.qty.0, to, from)
        }
        Event::InventoryMoved(of) => {
            let (to, from) = (place(of.to.as_ref()), place(of.from.as_ref()));
            stock_move(fact, Rule::StockIn, &of.sku, of.qty.0, to, from)
        }
        Event::InventoryAdjusted(of) => adjust(fact, of),
        Event::System(SystemEvent::ProviderRefused(of)) => Ok(refused(of)),
        Event::CheckoutStarted(_)
        | Event::CheckoutCompleted(_)
        | Event::CheckoutAbandoned(_)
        | Event::PaymentAuthorized(_)
        | Event::PaymentFailed(_)
        | Event::PaymentRefunded(_)
        | Event::PaymentDisputed(_)
        | Event::InventoryCounted(_)
        | Event::OrderFulfilled(_)
        | Event::TokenIssued(_)
        | Event::TokenRedeemed(_)
        | Event::TokenVoided(_)
        | Event::ChatMessage(_)
        | Event::AudienceSampled(_)
        | Event::ProductViewed(_)
        | Event::CartAdded(_)
        | Event::DropOpened(_)
        | Event::DropClosed(_)
        | Event::RigSampled(_)
        | Event::System(_) => Ok(Posted::default()),
    }
}

/// Bad signatures are a break of the account's book: each hour and reason its own.
fn refused(of: &ProviderRefused) -> Posted {
    let why = match of.reason.as_str() {
        "stale" => "that is too old",
        "future" => "from the future",
        "no_signature" => "that is missing",
        _ => "that does not fit",
    };
    let sentence = format!(
        "Within an hour at least one message for the {} account {} came with a signature {why}. \
         Nothing of it was kept.",
        of.provider, of.account
    );
    let keys = [
        of.provider.clone(),
        of.account.clone(),
        of.reason.clone(),
        of.hour_ms.to_string(),
    ];
    Posted {
        entries: Vec::new(),
        breaks: [Break::new(BreakClass::Signature, keys.into(), sentence)].into(),
    }
}

fn capture(
    fact: &Fact,
    sale: &event::PaymentCaptured,
    stock: &dyn StockContext,
) -> Result<Posted, EntryFault> {
    let mut posted = Posted::default();
    let card = stock.card(fact);
    let parts = SaleParts::under(sale, card.commerce());
    let money = || Commodity::Money(sale.currency);
    let (rule, tendered) = tender(fact, sale);
    let legs = [
        (tendered, money(), parts.paid),
        (Account::plain(Chart::TokenClearing), money(), parts.token),
        (Account::plain(Chart::Sales), money(), -parts.goods),
        (Account::plain(Chart::Tax), money(), -parts.tax),
    ];
    let tips = tips(sale, parts.tip, card.commerce());
    let tips = tips
        .into_iter()
        .map(|(account, tip)| (account, money(), -tip));
    posted.add(fact, rule, legs.into_iter().chain(tips).collect())?;
    posted.breaks.extend(basket(fact, sale, &parts));

    let rig = &fact.position.rig;
    let mut legs = Legs::new();
    for line in sale.lines.as_deref().unwrap_or_default() {
        if !keeps_stock(stock, &card, &fact.popup, &line.sku) {
            continue;
        }
        let from = match stock.granted(&fact.popup, &line.sku, rig) {
            true => Account::of(Chart::StockRights, rig.as_str()),
            false => Account::plain(Chart::StockPool),
        };
        push_move(
            &mut legs,
            &line.sku,
            line.qty,
            Account::plain(Chart::StockSold),
            from,
        );
    }
    posted.add(fact, Rule::SaleStock, legs)?;
    Ok(posted)
}

/// Whether the popup keeps stock of a SKU, by deliveries or by promise.
pub(super) fn keeps_stock(
    stock: &dyn StockContext,
    card: &Card,
    popup: &PopupId,
    sku: &Sku,
) -> bool {
    card.commerce().is_some_and(|commerce| commerce.stock_all) || stock.stocked(popup, sku)
}

/// To whom a tip is passed on: the payment's creator, by their rate card, and the house.
pub(super) fn tips(
    sale: &event::PaymentCaptured,
    tip: i128,
    commerce: Option<&Commerce>,
) -> Vec<(Account, i128)> {
    let house = Account::of(Chart::Tips, "house");
    let Some(creator) = &sale.creator else {
        return [(house, tip)].into();
    };
    let theirs = Account::of(Chart::Tips, creator.as_str());
    let rate = commerce
        .and_then(|commerce| commerce.card(creator.as_str()))
        .and_then(|card| card.tips_ppm);
    match rate {
        None => [(theirs, tip)].into(),
        Some(ppm) => {
            let part = div_half_even(tip * i128::from(ppm), i128::from(WHOLE_PPM));
            [(theirs, part), (house, tip - part)].into()
        }
    }
}

/// Where the money of a sale stands until somebody confirms it.
fn tender(fact: &Fact, sale: &event::PaymentCaptured) -> (Rule, Account) {
    let rig = &fact.position.rig;
    let provider = sale.provider.as_ref().map(|name| name.as_str());
    if is_cash(sale) {
        let till = Account::of(Chart::CashTill, rig.as_str());
        (Rule::CapturedCash, till)
    } else if sale.offline == Some(true) {
        let stored = Account::at_provider(Chart::OfflineStored, rig, provider);
        (Rule::CapturedOffline, stored)
    } else {
        let claim = Account::at_provider(Chart::EdgeCaptured, rig, provider);
        (Rule::Captured, claim)
    }
}

pub(super) fn is_cash(sale: &event::PaymentCaptured) -> bool {
    sale.method.as_str().eq_ignore_ascii_case("cash")
}

fn basket(fact: &Fact, sale: &event::PaymentCaptured, parts: &SaleParts) -> Option<Break> {
    if parts.off == 0 {
        return None;
    }
    let off = i64::try_from(parts.off).ok()?;
    let keys = keys(fact, sale.payment.as_str());
    let by = Money::new(off, sale.currency);
    let (class, sentence) = match sale.token {
        Some(_) => (
            BreakClass::TokenValue,
            format!(
                "Order {} was paid beyond its lines although a token was used; the lines differ \
                 by {by}.",
                sale.order
            ),
        ),
        None => (
            BreakClass::Basket,
            format!(
                "Order {}: the lines, tax and tip differ from what was paid by {by}. The books \
                 count what was paid.",
                sale.order
            ),
        ),
    };
    let stands = Account::plain(Chart::Sales);
    Some(
        Break::new(class, keys, sentence)
            .amounting(Commodity::Money(sale.currency), off, Some(stands))
            .evident([position_text(fact)].into()),
    )
}

fn manual_entry(fact: &Fact, manual: &event::BooksAdjusted) -> Result<Posted, EntryFault> {
    let mut posted = Posted::default();
    let (amount, money) = (manual.amount.0, Commodity::Money(manual.currency));
    let clearing = Account::plain(Chart::ManualClearing);
    let legs = [
        (clearing.clone(), money.clone(), i128::from(amount)),
        (
            Account::plain(Chart::Manual),
            money.clone(),
            -i128::from(amount),
        ),
    ];
    posted.add(fact, Rule::Manual, legs.into())?;
    let sentence = format!(
        "A manual entry of {} was booked on {}. It does not count as revenue.",
        Money::new(amount, manual.currency),
        fact.position.rig
    );
    posted.breaks.push(
        Break::new(
            BreakClass::Manual,
            keys(fact, &fact.id.to_string()),
            sentence,
        )
        .amounting(money, amount, Some(clearing))
        .evident([position_text(fact)].into()),
    );
    Ok(posted)
}

fn adjust(fact: &Fact, of: &event::InventoryAdjusted) -> Result<Posted, EntryFault> {
    let damaged = of
        .reason
        .as_ref()
        .is_some_and(|reason| reason.as_str().eq_ignore_ascii_case("damaged"));
    let qty = of.qty.0;
    let other = match damaged && qty < 0 {
        true => Chart::StockDamaged,
        false => Chart::StockAdjust,
    };
    let shelf = match qty < 0 {
        true => place(of.from.as_ref()),
        false => place(of.to.as_ref()),
    };
    // A place that is not on the shelf cannot gain or lose by an adjustment.
    let shelf = match shelf.of.is_on_hand() {
        true => shelf,
        false => Account::plain(Chart::StockPool),
    };
    stock_move(
        fact,
        Rule::StockAdjust,
        &of.sku,
        qty,
        shelf,
        Account::plain(other),
    )
}

/// Posts the certain skew of a count, and names it.
pub fn count(
    fact: &Fact,
    sku: &Sku,
    expected: i64,
    counted: i64,
    certain: i64,
) -> Result<Posted, EntryFault> {
    if certain == 0 {
        return Ok(Posted::default());
    }
    let adjust = Account::plain(Chart::StockAdjust);
    let pool = Account::plain(Chart::StockPool);
    let mut posted = stock_move(fact, Rule::StockAdjust, sku, certain, pool, adjust.clone())?;
    let (size, word) = (
        certain.unsigned_abs(),
        if certain < 0 { "missing" } else { "too many" },
    );
    let items = if size == 1 { "item" } else { "items" };
    let sentence = format!(
        "{sku}: {counted} counted where {expected} should be; {size} {items} {word}, and no \
         record says why."
    );
    let keys = keys(fact, &fact.id.to_string());
    posted.breaks.push(
        Break::new(BreakClass::Count, keys, sentence)
            .amounting(Commodity::Units(sku.clone()), certain, Some(adjust))
            .evident([position_text(fact)].into()),
    );
    Ok(posted)
}

/// What a fact is worth to whoever compares two of them: captured or refunded money, `None` for
/// facts without.
#[must_use]
pub fn worth(event: &Event) -> Option<Money> {
    if let Event::PaymentCaptured(sale) = event {
        Some(Money::new(sale.amount.0, sale.currency))
    } else if let Event::PaymentRefunded(asked) = event {
        Some(Money::new(asked.amount.0, asked.currency))
    } else if let Event::BooksAdjusted(manual) = event {
        Some(Money::new(manual.amount.0, manual.currency))
    } else {
        None
    }
}

pub(super) fn keys(fact: &Fact, id: &str) -> Vec<String> {
    [fact.popup.to_string(), id.to_string()].into()
}

/// A position as evidence: `rig/epoch/seq`.
#[must_use]
pub fn position_text(fact: &Fact) -> String {
    let at = &fact.position;
    format!("{}/{}/{}", at.rig, at.epoch, at.seq)
}

pub(super) fn world() -> Account {
    Account::plain(Chart::StockWorld)
}

pub(super) fn place(named: Option<&StockPlace>) -> Account {
    place_named(named.map_or("pool", StockPlace::as_str))
}

/// The account of a place: pool, sold, damaged, returned, world, or a rig.
fn place_named(name: &str) -> Account {
    match name {
        "pool" => Account::plain(Chart::StockPool),
        "sold" => Account::plain(Chart::StockSold),
        "handed_over" => Account::plain(Chart::StockHandedOver),
        "returned" => Account::plain(Chart::StockReturned),
        "damaged" => Account::plain(Chart::StockDamaged),
        "world" => world(),
        rig => Account::of(Chart::StockRights, rig),
    }
}

/// The rig that a stock fact sets items aside for.
#[must_use]
pub fn grantee(fact: &Fact) -> Option<(Sku, String)> {
    grant(fact).map(|(sku, rig, _)| (sku, rig))
}

/// The rig that a stock fact sets items aside for, and how many.
#[must_use]
pub fn grant(fact: &Fact) -> Option<(Sku, String, i64)> {
    let (sku, qty, to) = if let Event::InventoryReceived(of) = &fact.event {
        (&of.sku, of.qty, place(of.to.as_ref()))
    } else if let Event::InventoryMoved(of) = &fact.event {
        (&of.sku, of.qty, place(of.to.as_ref()))
    } else if let Event::InventoryAllocated(of) = &fact.event {
        let rig = fact.position.rig.as_str();
        let to = of.to.as_ref().map_or(rig, StockPlace::as_str);
        (&of.sku, of.qty, place_named(to))
    } else {
        return None;
    };
    (to.of == Chart::StockRights).then(|| (sku.clone(), to.part, qty.0))
}

/// The SKU a fact makes stocked.
#[must_use]
pub fn supplied(fact: &Fact) -> Option<&Sku> {
    if let Event::InventoryReceived(of) = &fact.event {
        Some(&of.sku)
    } else if let Event::InventoryAllocated(of) = &fact.event {
        Some(&of.sku)
    } else {
        None
    }
}

/// The SKUs whose stock depends on a fact, in order, each once.
#[must_use]
pub fn skus(fact: &Fact) -> Vec<Sku> {
    let mut skus: Vec<Sku> = if let Event::PaymentCaptured(sale) = &fact.event {
        line_skus(sale.lines.as_deref())
    } else if let Event::PaymentRefunded(asked) = &fact.event {
        line_skus(asked.lines.as_deref())
    } else {
        stock_sku(&fact.event).cloned().into_iter().collect()
    };
    skus.sort_unstable();
    skus.dedup();
    skus
}

fn stock_sku(event: &Event) -> Option<&Sku> {
    if let Event::InventoryReceived(of) = event {
        Some(&of.sku)
    } else if let Event::InventoryAllocated(of) = event {
        Some(&of.sku)
    } else if let Event::InventoryMoved(of) = event {
        Some(&of.sku)
    } else if let Event::InventoryAdjusted(of) = event {
        Some(&of.sku)
    } else if let Event::InventoryCounted(of) = event {
        Some(&of.sku)
    } else {
        None
    }
}

fn line_skus(lines: Option<&[Line]>) -> Vec<Sku> {
    lines
        .unwrap_or_default()
        .iter()
        .map(|line| line.sku.clone())
        .collect()
}

fn stock_move(
    fact: &Fact,
    rule: Rule,
    sku: &Sku,
    qty: i64,
    to: Account,
    from: Account,
) -> Result<Posted, EntryFault> {
    let mut legs = Legs::new();
    push_move(&mut legs, sku, qty, to, from);
    let mut posted = Posted::default();
    posted.add(fact, rule, legs)?;
    Ok(posted)
}

pub(super) fn push_move(legs: &mut Legs, sku: &Sku, qty: i64, to: Account, from: Account) {
    let units = || Commodity::Units(sku.clone());
    legs.push((to, units(), i128::from(qty)));
    legs.push((from, units(), -i128::from(qty)));
}

#[cfg(test)]
mod tests;
