//! A sale's shares: what creators get of one payment, and what refunds and disputes take back.
//!
//! Rate and vector are those of the policy version on the sale's own record, so they are frozen: they
//! come out the same however often and late they are asked for, and a reversal uses no other. What is
//! given back is cumulative: after each step the creator has lost `C × goods undone ÷ goods`, rounded
//! once, and never more than C.
//!
//! ```text
//! R13  5040 ─► 2030 (or the co-op's 2040)   C          R24, R28  back, step by step
//! R60  2030 ─► 2031                         C − back   once the payment is reconciled to a payout
//!                                                      (cash: the drawer was counted) and held long
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::attribution::{self, Evidence, Witness};
use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::{self, Card, Returned, SaleParts, position_text, push_move};
use super::{Account, Chart, Commodity, Fact, FactId, shares, split};
use super::{put_varint, take_varint, unzigzag, zigzag};
use crate::event::commerce::{Commerce, WHOLE_PPM};
use crate::event::{DisputeState, Event, PaymentCaptured};
use crate::id::{CreatorId, PopupId, Sku};
use crate::money::{Money, div_half_even};

/// The part of a word to a sale that names the creator of its token.
pub(super) const TOKEN_CREATOR: &str = "token.creator";
/// The part of a word to a sale that says when its goods were handed over.
pub(super) const HANDED_OVER: &str = "handed.over";

/// What pairing knows of a payment and its shares depend on: the bytes of a
/// [`super::group::Word`] to [`key`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaleWord {
    /// The claim is paired, and its settlement lines are in a payout.
    pub settled: bool,
    /// A break of severity money is open on it.
    pub troubled: bool,
    /// It was stored offline and the provider will never pay it.
    pub lost: bool,
    /// What went back to the buyer without a refund or dispute of the till's telling it: refunds and
    /// disputes that only the provider tells of. Negative where a dispute was won.
    pub back: Vec<Back>,
}

/// Money that went back to a buyer, as the provider tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Back {
    /// When, ms since 1970.
    pub at_ms: i64,
    /// Minor units of the payment's currency.
    pub amount: i64,
    /// By a dispute.
    pub dispute: bool,
}

impl SaleWord {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let marks = [self.settled, self.troubled, self.lost];
        let bits =
            (marks.iter().enumerate()).fold(0, |bits, (at, mark)| bits | u64::from(*mark) << at);
        put_varint(&mut out, bits);
        put_varint(&mut out, self.back.len() as u64);
        for back in &self.back {
            put_varint(&mut out, zigzag(back.at_ms));
            put_varint(&mut out, zigzag(back.amount));
            put_varint(&mut out, u64::from(back.dispute));
        }
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let bits = take_varint(&mut rest)?;
        let count = take_varint(&mut rest)?;
        let mut back = Vec::new();
        for _ in 0..count {
            back.push(Back {
                at_ms: unzigzag(take_varint(&mut rest)?),
                amount: unzigzag(take_varint(&mut rest)?),
                dispute: take_varint(&mut rest)? != 0,
            });
        }
        rest.is_empty().then_some(Self {
            settled: bits & 1 != 0,
            troubled: bits & 2 != 0,
            lost: bits & 4 != 0,
            back,
        })
    }
}

/// The group of a payment.
#[must_use]
pub fn key(popup: &PopupId, payment: &str) -> GroupKey {
    GroupKey::of(GroupKind::Sale, &[popup.as_str(), payment])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    let payment = if let Event::PaymentCaptured(of) = &fact.event {
        &of.payment
    } else if let Event::PaymentRefunded(of) = &fact.event {
        &of.payment
    } else if let Event::PaymentDisputed(of) = &fact.event {
        &of.payment
    } else {
        return;
    };
    keys.push(key(&fact.popup, payment.as_str()));
}

/// A creator's frozen share of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// Whose.
    pub creator: CreatorId,
    /// What spoke for them.
    pub evidence: Evidence,
    /// Their goods before tax, minor units.
    pub goods: i128,
    /// Millionths of the goods.
    pub rate_ppm: u32,
    /// C, minor units, not negative.
    pub share: i128,
    /// The co-op whose pool gets it; empty for their own account.
    pub coop: String,
    /// Days it is held after the popup's end, where their card says so.
    pub hold_days: Option<u32>,
    /// The co-op's weights are no whole, so the share stays with the house.
    pub unweighted: bool,
}

/// What each creator gets of a sale by these promises. Creators without a rate card come with none.
#[must_use]
pub fn freeze(
    sale: &Fact,
    data: &PaymentCaptured,
    commerce: &Commerce,
    witness: &dyn Witness,
) -> (Vec<Frozen>, Vec<CreatorId>) {
    let goods = SaleParts::under(data, Some(commerce)).goods;
    let (mut frozen, mut without) = (Vec::new(), Vec::new());
    for part in attribution::divide(sale, data, goods, witness) {
        let Some(creator) = part.creator else {
            continue;
        };
        let Some(card) = commerce.card(creator.as_str()) else {
            without.push(creator);
            continue;
        };
        let share = part.goods.max(0) * i128::from(card.rate_ppm.min(WHOLE_PPM));
        let share = div_half_even(share, i128::from(WHOLE_PPM));
        let cap = card.cap.map_or(share, |cap| i128::from(cap.max(0)));
        let coop = commerce.coop(&card.coop);
        frozen.push(Frozen {
            creator,
            evidence: part.evidence,
            goods: part.goods,
            rate_ppm: card.rate_ppm,
            share: share.min(cap),
            coop: card.coop.clone(),
            hold_days: card.hold_days,
            unweighted: !card.coop.is_empty() && !coop.is_some_and(|coop| coop.is_whole()),
        });
    }
    (frozen, without)
}

impl Frozen {
    /// Where the share stands until it is released or divided.
    #[must_use]
    pub fn account(&self) -> Account {
        match self.coop.as_str() {
            "" => Account::of(Chart::CreatorHeld, self.creator.as_str()),
            coop => Account::of(Chart::CoopPool, coop),
        }
    }
}

/// What other groups said of this sale.
struct Heard<'a> {
    group: &'a Group<'a>,
    sale: &'a Fact,
    token_creator: Option<CreatorId>,
    handed_over_ms: Option<i64>,
    pairing: SaleWord,
}

impl Witness for Heard<'_> {
    fn token_creator(&self) -> Option<&CreatorId> {
        self.token_creator.as_ref()
    }

    fn drop_creator(&self, sku: &Sku, at_ms: i64) -> Option<CreatorId> {
        let drops = self.group.around.drops(&self.sale.popup, sku);
        attribution::open_drop(&drops, at_ms)
    }
}

impl<'a> Heard<'a> {
    fn of(group: &'a Group<'a>, sale: &'a Fact) -> Self {
        let mut heard = Self {
            group,
            sale,
            token_creator: None,
            handed_over_ms: None,
            pairing: SaleWord::default(),
        };
        for word in group.words {
            if word.part == TOKEN_CREATOR {
                let name = core::str::from_utf8(&word.bytes).unwrap_or_default();
                heard.token_creator = CreatorId::new(name).ok();
            } else if word.part == HANDED_OVER {
                let at = take_varint(&mut &word.bytes[..]).map(unzigzag);
                heard.handed_over_ms = [heard.handed_over_ms, at].into_iter().flatten().min();
            } else if let Some(said) = SaleWord::decode(&word.bytes) {
                heard.pairing.settled |= said.settled;
                heard.pairing.troubled |= said.troubled;
                heard.pairing.lost |= said.lost;
                heard.pairing.back.extend(said.back);
            }
        }
        heard.pairing.back.sort_unstable();
        heard
    }
}

/// Money that went back or came again, with who is the cause of it.
struct Step {
    cause: FactId,
    rule: Rule,
    at_ms: i64,
    amount: i128,
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    for fact in group.members {
        out_of_window(group, fact, &mut making)?;
    }
    let found = group.members.iter().find_map(|fact| {
        if let Event::PaymentCaptured(data) = &fact.event {
            Some((fact, data))
        } else {
            None
        }
    });
    let Some((sale, data)) = found else {
        return Ok(making.0);
    };
    let heard = Heard::of(group, sale);
    came_back(&heard, &mut making)?;
    let card = group.around.stock().card(sale);
    let Some(commerce) = card.commerce() else {
        if card == Card::Lost
            && attribution::attribute(sale.occurred_ms, data, None, &heard)
                .0
                .is_some()
        {
            making.name(cause_of(sale), &sale.popup, card_lost(sale, data));
        }
        return Ok(making.0);
    };
    let (frozen, without) = freeze(sale, data, commerce, &heard);
    if matches!(card, Card::Opening(_)) && !frozen.is_empty() {
        making.name(cause_of(sale), &sale.popup, card_lost(sale, data));
    }
    if !commerce.shares.is_empty() {
        for creator in without {
            making.name(cause_of(sale), &sale.popup, no_card(sale, data, &creator));
        }
    }
    share_out(&heard, data, commerce, &frozen, &mut making)?;
    Ok(making.0)
}

fn cause_of(fact: &Fact) -> FactId {
    GroupKey::cause_of(GroupKind::Sale, fact.id)
}

/// R13, then what was taken back, then what of the rest can be had.
fn share_out(
    heard: &Heard<'_>,
    data: &PaymentCaptured,
    commerce: &Commerce,
    frozen: &[Frozen],
    making: &mut Making,
) -> Result<(), EntryFault> {
    let (group, sale) = (heard.group, heard.sale);
    let money = || Commodity::Money(data.currency);
    let mut given = Legs::new();
    for one in frozen {
        if one.unweighted {
            making.name(cause_of(sale), &sale.popup, unweighted(sale, data, one)?);
            continue;
        }
        given.push((Account::plain(Chart::Commission), money(), one.share));
        given.push((one.account(), money(), -one.share));
    }
    making.post(
        cause_of(sale),
        &sale.popup,
        Rule::Shares,
        sale.occurred_ms,
        given,
    )?;

    let undone = Returned::of(sale, data, Some(commerce));
    let steps = steps(heard, data, commerce);
    // Steps that only the provider tells of have no fact of their own here and share an entry.
    let mut own: [(Legs, i64); 2] = Default::default();
    let mut lost = frozen.iter().map(|_| 0i128).collect::<Vec<_>>();
    let mut refunded = 0i128;
    for step in &steps {
        refunded += step.amount;
        let (reached, total) = undone.goods_undone(refunded);
        let mut legs = Legs::new();
        for (one, lost) in frozen
            .iter()
            .zip(&mut lost)
            .filter(|(one, _)| !one.unweighted)
        {
            let due = split::due(one.share, reached, total).ok_or(EntryFault::Overflow)?;
            legs.push((one.account(), money(), due - *lost));
            legs.push((Account::plain(Chart::Commission), money(), *lost - due));
            *lost = due;
        }
        if step.cause == group.key.cause() {
            let at = usize::from(step.rule == Rule::ShareDispute);
            own[at].0.extend(legs);
            own[at].1 = own[at].1.max(step.at_ms);
        } else {
            making.post(step.cause, &sale.popup, step.rule, step.at_ms, legs)?;
        }
    }
    let rules = [Rule::ShareBack, Rule::ShareDispute];
    for ((legs, at_ms), rule) in own.into_iter().zip(rules) {
        making.post(group.key.cause(), &sale.popup, rule, at_ms, legs)?;
    }
    for (one, lost) in frozen
        .iter()
        .zip(lost)
        .filter(|(one, _)| one.coop.is_empty())
    {
        if lost != 0 {
            let to = shares::key(&sale.popup, one.creator.as_str(), data.currency.code());
            let bytes = fit(lost)?.to_le_bytes().to_vec();
            making.tell(cause_of(sale), one.creator.as_str(), to, bytes);
        }
        release(heard, data, one, one.share - lost, making)?;
    }
    Ok(())
}

/// What can be had of a share: all that is left of it, once nothing can happen to it any more.
fn release(
    heard: &Heard<'_>,
    data: &PaymentCaptured,
    one: &Frozen,
    left: i128,
    making: &mut Making,
) -> Result<(), EntryFault> {
    let (group, sale) = (heard.group, heard.sale);
    let hold_ms = one.hold_days.map_or(group.rules.timers.hold_ms, |days| {
        i64::from(days) * 86_400_000
    });
    let ends_ms = group
        .around
        .window(&sale.popup)
        .map_or(sale.occurred_ms, |window| window.1);
    let from_ms = ends_ms.saturating_add(hold_ms);
    making.due(from_ms, group.as_of_ms);
    let rig = &sale.position.rig;
    let counted = || group.around.counted_ms(&sale.popup, rig, data.currency);
    let reconciled = match post::is_cash(data) {
        true => counted().is_some_and(|at_ms| at_ms >= sale.occurred_ms),
        false => heard.pairing.settled,
    };
    if left <= 0 || group.as_of_ms < from_ms || !reconciled || heard.pairing.troubled {
        return Ok(());
    }
    let money = || Commodity::Money(data.currency);
    let legs = [
        (one.account(), money(), left),
        (
            Account::of(Chart::CreatorAvailable, one.creator.as_str()),
            money(),
            -left,
        ),
    ];
    making.post(
        cause_of(sale),
        &sale.popup,
        Rule::SharePaid,
        from_ms,
        legs.into(),
    )
}

/// Everything that undoes a part of the sale, in canonical order; what the provider alone tells
/// stands at its own time, before tills' facts of the same moment.
fn steps(heard: &Heard<'_>, data: &PaymentCaptured, commerce: &Commerce) -> Vec<Step> {
    let group = heard.group;
    let mut steps: Vec<((i64, bool, usize), Step)> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for (at, fact) in group.members.iter().enumerate() {
        let (rule, amount) = if let Event::PaymentRefunded(asked) = &fact.event {
            if asked.currency != data.currency {
                continue;
            }
            (Rule::ShareBack, i128::from(asked.amount.0))
        } else if let Event::PaymentDisputed(of) = &fact.event {
            if commerce.dispute_keeps_share || of.currency != data.currency {
                continue;
            }
            let known = open.iter().position(|id| *id == of.dispute.as_str());
            let sign = match (of.state, known) {
                (DisputeState::Opened | DisputeState::Lost, None) => {
                    open.push(of.dispute.as_str());
                    1
                }
                (DisputeState::Won, Some(at)) => {
                    open.swap_remove(at);
                    -1
                }
                (DisputeState::Opened | DisputeState::Lost, Some(_))
                | (DisputeState::Won, None) => 0,
            };
            (Rule::ShareDispute, i128::from(of.amount.0) * sign)
        } else {
            continue;
        };
        let cause = cause_of(fact);
        let step = Step {
            cause,
            rule,
            at_ms: fact.occurred_ms,
            amount,
        };
        steps.push(((fact.occurred_ms, true, at), step));
    }
    for (at, back) in heard.pairing.back.iter().enumerate() {
        if back.dispute && commerce.dispute_keeps_share {
            continue;
        }
        let rule = match back.dispute {
            true => Rule::ShareDispute,
            false => Rule::ShareBack,
        };
        let (cause, amount) = (group.key.cause(), i128::from(back.amount));
        let step = Step {
            cause,
            rule,
            at_ms: back.at_ms,
            amount,
        };
        steps.push(((back.at_ms, false, at), step));
    }
    steps.sort_by_key(|(order, _)| *order);
    let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    if heard.pairing.lost && commerce.offline_reverses_share {
        let gone: i128 = steps.iter().map(|step| step.amount).sum();
        steps.push(Step {
            cause: group.key.cause(),
            rule: Rule::ShareBack,
            at_ms: heard.sale.occurred_ms,
            amount: i128::from(data.amount.0) - gone,
        });
    }
    steps
}

/// Goods that were handed over before they came back came from there, not from "sold" (R41).
fn came_back(heard: &Heard<'_>, making: &mut Making) -> Result<(), EntryFault> {
    let (group, stock) = (heard.group, heard.group.around.stock());
    let Some(handed_ms) = heard.handed_over_ms else {
        return Ok(());
    };
    for fact in group.members {
        let Event::PaymentRefunded(asked) = &fact.event else {
            continue;
        };
        let card = stock.card(fact);
        if fact.occurred_ms < handed_ms || post::by_moves(&card) {
            continue;
        }
        let mut legs = Legs::new();
        for line in asked.lines.as_deref().unwrap_or_default() {
            if post::keeps_stock(stock, &card, &fact.popup, &line.sku) {
                let handed = Account::plain(Chart::StockHandedOver);
                let sold = Account::plain(Chart::StockSold);
                push_move(&mut legs, &line.sku, line.qty, sold, handed);
            }
        }
        making.post(
            cause_of(fact),
            &fact.popup,
            Rule::StockBack,
            fact.occurred_ms,
            legs,
        )?;
    }
    Ok(())
}

/// A capture or refund outside its popup's time (X-POPUP).
fn out_of_window(group: &Group<'_>, fact: &Fact, making: &mut Making) -> Result<(), EntryFault> {
    let Some((starts_ms, ends_ms)) = group.around.window(&fact.popup) else {
        return Ok(());
    };
    let timers = &group.rules.timers;
    let within =
        starts_ms.saturating_sub(timers.before_ms)..ends_ms.saturating_add(timers.after_ms);
    let (Some(worth), false) = (post::worth(&fact.event), within.contains(&fact.occurred_ms))
    else {
        return Ok(());
    };
    let sentence = format!(
        "{worth} was booked on {} at a time when the popup was not open. Look at that device's \
         clock, and at the popup's times.",
        fact.position.rig
    );
    let keys = [fact.popup.to_string(), fact.id.to_string()];
    let mut found = Break::new(BreakClass::PopupImplied, keys.into(), sentence)
        .amounting(Commodity::Money(worth.currency), worth.minor, None)
        .evident([position_text(fact)].into());
    found.severity = super::Severity::Warn;
    making.name(cause_of(fact), &fact.popup, found);
    Ok(())
}

fn card_lost(sale: &Fact, data: &PaymentCaptured) -> Break {
    let sentence = format!(
        "The promises under which order {} was sold are lost; the rates the popup opened with \
         count instead, or none.",
        data.order
    );
    let keys = [sale.popup.to_string(), data.payment.to_string()];
    Break::new(BreakClass::RateCard, keys.into(), sentence).evident([position_text(sale)].into())
}

fn no_card(sale: &Fact, data: &PaymentCaptured, creator: &CreatorId) -> Break {
    let sentence = format!(
        "Order {} belongs to {creator}, who has no rate card; the share stays with the house.",
        data.order
    );
    let keys = [
        sale.popup.to_string(),
        data.payment.to_string(),
        creator.to_string(),
    ];
    Break::new(BreakClass::RateCard, keys.into(), sentence).evident([position_text(sale)].into())
}

fn unweighted(sale: &Fact, data: &PaymentCaptured, one: &Frozen) -> Result<Break, EntryFault> {
    let share = fit(one.share)?;
    let sentence = format!(
        "The weights of co-op {} are not a whole; its {} of order {} stay with the house.",
        one.coop,
        Money::new(share, data.currency),
        data.order
    );
    let keys = [
        sale.popup.to_string(),
        data.payment.to_string(),
        one.creator.to_string(),
    ];
    Ok(Break::new(BreakClass::Weights, keys.into(), sentence)
        .amounting(
            Commodity::Money(data.currency),
            share,
            Some(Account::plain(Chart::Commission)),
        )
        .evident([position_text(sale)].into()))
}
