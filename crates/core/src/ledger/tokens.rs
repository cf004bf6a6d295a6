//! Tokens: value and units post apart, and the value meets its sale in 2055 per token and order.
//!
//! ```text
//! issued with an order   R30  4010 ─► 2050          without: units alone
//! used, the first time   R31  2050 (promo 4020) ─► 2055      R10 of its sale takes it from 2055
//! used again, too late, or never issued   R32  5031 ─► 2055
//! ended unused           R33  2050 ─► 4050
//! ```
//!
//! The first use in canonical order wins, whenever it arrives. What is left in 2055 of a token and an
//! order is named: by T-VALUE where the sale is known, by E-ORPHAN where it never came.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::{SaleParts, position_text};
use super::{Account, Chart, Commodity, Fact, FactId, sale};
use crate::event::{Event, PaymentCaptured, TokenIssued, TokenRedeemed};
use crate::id::{CreatorId, TokenId};
use crate::money::{Currency, Money};

/// The campaign of tokens that belong to no creator.
pub const HOUSE: &str = "house";

/// The group of a token.
#[must_use]
pub fn key(token: &TokenId) -> GroupKey {
    GroupKey::of(GroupKind::Token, &[token.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    keys.extend(token_of(&fact.event).map(key));
}

fn token_of(event: &Event) -> Option<&TokenId> {
    if let Event::TokenIssued(of) = event {
        Some(&of.token)
    } else if let Event::TokenRedeemed(of) = event {
        Some(&of.token)
    } else if let Event::TokenVoided(of) = event {
        Some(&of.token)
    } else if let Event::PaymentCaptured(of) = event {
        of.token.as_ref()
    } else {
        None
    }
}

/// A sale paid with the token: the fact, what it says, and V.
struct Sale<'a> {
    fact: &'a Rc<Fact>,
    data: &'a PaymentCaptured,
    value: i128,
}

/// Everything known of one token, each kind in canonical order.
struct Life<'a> {
    group: &'a Group<'a>,
    token: &'a TokenId,
    issued: Option<(&'a Rc<Fact>, &'a TokenIssued)>,
    voided: Option<&'a Rc<Fact>>,
    uses: Vec<(&'a Rc<Fact>, &'a TokenRedeemed)>,
    sales: Vec<Sale<'a>>,
    campaign: CreatorId,
}

impl<'a> Life<'a> {
    fn of(group: &'a Group<'a>) -> Option<Self> {
        let token = group
            .members
            .iter()
            .find_map(|fact| token_of(&fact.event))?;
        let (mut issued, mut voided) = (None, None);
        let (mut uses, mut sales) = (Vec::new(), Vec::new());
        for fact in group.members {
            if let Event::TokenIssued(of) = &fact.event {
                issued = issued.or(Some((fact, of)));
            } else if let Event::TokenVoided(_) = &fact.event {
                voided = voided.or(Some(fact));
            } else if let Event::TokenRedeemed(of) = &fact.event {
                uses.push((fact, of));
            } else if let Event::PaymentCaptured(data) = &fact.event {
                let card = group.around.stock().card(fact);
                let value = SaleParts::under(data, card.commerce()).token;
                sales.push(Sale { fact, data, value });
            }
        }
        let named = issued
            .and_then(|(_, of)| of.creator.clone())
            .or_else(|| uses.first().and_then(|(_, of)| of.creator.clone()));
        let campaign = named.unwrap_or_else(|| CreatorId::new(HOUSE).expect("a short plain name"));
        Some(Self {
            group,
            token,
            issued,
            voided,
            uses,
            sales,
            campaign,
        })
    }

    fn sold(&self) -> bool {
        self.issued.is_some_and(|(_, of)| of.order.is_some())
    }

    /// What the token is worth by its issue.
    fn face(&self) -> Option<(Currency, i128)> {
        let (_, of) = self.issued?;
        Some((of.currency?, i128::from(of.value?.0)))
    }

    fn expires_ms(&self) -> Option<i64> {
        self.issued.and_then(|(_, of)| of.expires).map(|at| at.0)
    }

    /// The order a use paid for: its own, or the only one that names the token.
    fn order_of(&self, of: &TokenRedeemed) -> Option<String> {
        if let Some(order) = &of.order {
            return Some(order.to_string());
        }
        let first = self.sales.first()?.data.order.as_str();
        let only = self
            .sales
            .iter()
            .all(|sale| sale.data.order.as_str() == first);
        only.then(|| first.to_string())
    }

    fn sales_of(&self, order: Option<&str>) -> impl Iterator<Item = &Sale<'a>> {
        let named = move |sale: &&Sale<'a>| Some(sale.data.order.as_str()) == order;
        self.sales.iter().filter(named)
    }

    /// What a use is worth: by the issue, else by its own word, else what its sale left open.
    fn worth(&self, of: &TokenRedeemed) -> Option<(Currency, i128)> {
        let own = || Some((of.currency?, i128::from(of.value?.0)));
        let order = self.order_of(of);
        let open = || {
            let currency = self.sales_of(order.as_deref()).next()?.data.currency;
            let sales = self.sales_of(order.as_deref());
            let same = sales.filter(|sale| sale.data.currency == currency);
            Some((currency, same.map(|sale| sale.value).sum()))
        };
        self.face().or_else(own).or_else(open)
    }

    /// Whether the token was still good when it was used.
    fn alive(&self, used: &Fact) -> bool {
        let in_time = self
            .expires_ms()
            .is_none_or(|at_ms| used.occurred_ms <= at_ms);
        in_time
            && self
                .voided
                .is_none_or(|voided| used.order() < voided.order())
    }

    fn units(&self, to: Chart, from: Chart) -> Legs {
        let tokens = || Commodity::Tokens(self.campaign.clone());
        [
            (Account::plain(to), tokens(), 1),
            (Account::plain(from), tokens(), -1),
        ]
        .into()
    }

    fn value_account(&self) -> Account {
        Account::of(Chart::TokenValue, self.campaign.as_str())
    }
}

fn cause_of(fact: &Fact) -> FactId {
    GroupKey::cause_of(GroupKind::Token, fact.id)
}

fn value(legs: &mut Legs, (currency, amount): (Currency, i128), to: Account, from: Account) {
    legs.push((to, Commodity::Money(currency), amount));
    legs.push((from, Commodity::Money(currency), -amount));
}

pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    let Some(life) = Life::of(group) else {
        return Ok(making.0);
    };
    if life.issued.is_some() || !life.uses.is_empty() {
        issue(&life, &mut making)?;
        let used = redeem(&life, &mut making)?;
        end(&life, used, &mut making)?;
    }
    meet(&life, &mut making)?;
    if life.campaign.as_str() != HOUSE {
        for sale in &life.sales {
            let to = sale::key(&sale.fact.popup, sale.data.payment.as_str());
            let name = life.campaign.as_str().as_bytes().to_vec();
            making.tell(group.key.cause(), sale::TOKEN_CREATOR, to, name);
        }
    }
    Ok(making.0)
}

/// R30: units come into being; of a sold token its value is no revenue yet.
fn issue(life: &Life<'_>, making: &mut Making) -> Result<(), EntryFault> {
    let Some((fact, _)) = life.issued else {
        return Ok(());
    };
    let mut legs = life.units(Chart::TokenOutstanding, Chart::TokenIssuer);
    if let (true, Some(face)) = (life.sold(), life.face()) {
        value(
            &mut legs,
            face,
            Account::plain(Chart::Sales),
            life.value_account(),
        );
    }
    making.post(
        cause_of(fact),
        &fact.popup,
        Rule::TokenIssued,
        fact.occurred_ms,
        legs,
    )
}

/// R31 for the first good use, R32 for all others. Answers whether there was a good one.
fn redeem(life: &Life<'_>, making: &mut Making) -> Result<bool, EntryFault> {
    let clearing = || Account::plain(Chart::TokenClearing);
    let mut used = false;
    for (fact, of) in &life.uses {
        let worth = life.worth(of);
        let amount = match worth {
            Some((currency, amount)) => Some(Money::new(fit(amount)?, currency)),
            None => None,
        };
        let class = match (life.issued, used, life.alive(fact)) {
            (None, _, _) => Some(BreakClass::TokenUnissued),
            (Some(_), true, _) => Some(BreakClass::TokenDouble),
            (Some(_), false, false) => Some(BreakClass::TokenLate),
            (Some(_), false, true) => None,
        };
        let (rule, units, from) = match class {
            Some(_) => (
                Rule::TokenLost,
                (Chart::TokenConflict, Chart::TokenIssuer),
                Account::plain(Chart::TokenLoss),
            ),
            None => {
                used = true;
                let from = match life.sold() {
                    true => life.value_account(),
                    false => Account::plain(Chart::Promo),
                };
                (
                    Rule::TokenRedeemed,
                    (Chart::TokenRedeemed, Chart::TokenOutstanding),
                    from,
                )
            }
        };
        let mut legs = life.units(units.0, units.1);
        if let Some(worth) = worth {
            value(&mut legs, worth, from, clearing());
        }
        making.post(cause_of(fact), &fact.popup, rule, fact.occurred_ms, legs)?;
        if let Some(class) = class {
            making.name(
                cause_of(fact),
                &fact.popup,
                misused(class, life, fact, of, amount),
            );
        }
        without_lines(life, fact, of, worth, making)?;
    }
    Ok(used)
}

/// R33: a sale without lines cannot say what its goods were worth beyond what was paid, so the
/// token's value is added to it here.
fn without_lines(
    life: &Life<'_>,
    fact: &Fact,
    of: &TokenRedeemed,
    worth: Option<(Currency, i128)>,
    making: &mut Making,
) -> Result<(), EntryFault> {
    let order = life.order_of(of);
    let mut sales = life.sales_of(order.as_deref()).peekable();
    let (Some(worth), true) = (worth, sales.peek().is_some()) else {
        return Ok(());
    };
    if sales.any(|sale| {
        sale.data
            .lines
            .as_ref()
            .is_some_and(|lines| !lines.is_empty())
    }) {
        return Ok(());
    }
    let mut legs = Legs::new();
    let clearing = Account::plain(Chart::TokenClearing);
    value(&mut legs, worth, clearing, Account::plain(Chart::Sales));
    making.post(
        cause_of(fact),
        &fact.popup,
        Rule::TokenEnded,
        fact.occurred_ms,
        legs,
    )
}

/// R33: a token that was taken back or ran out unused. Of a promotion only the units end.
fn end(life: &Life<'_>, used: bool, making: &mut Making) -> Result<(), EntryFault> {
    let (Some((issued, _)), false) = (life.issued, used) else {
        return Ok(());
    };
    let expires_ms = life.expires_ms();
    let voided = life
        .voided
        .filter(|voided| expires_ms.is_none_or(|at_ms| voided.occurred_ms <= at_ms));
    let (fact, cause, at_ms, to) = match (voided, expires_ms) {
        (Some(voided), _) => (
            voided,
            cause_of(voided),
            voided.occurred_ms,
            Chart::TokenVoided,
        ),
        (None, Some(at_ms)) if life.group.as_of_ms > at_ms => {
            (issued, life.group.key.cause(), at_ms, Chart::TokenExpired)
        }
        (None, Some(at_ms)) => {
            making.due(at_ms.saturating_add(1), life.group.as_of_ms);
            return Ok(());
        }
        (None, None) => return Ok(()),
    };
    let mut legs = life.units(to, Chart::TokenOutstanding);
    if let (true, Some(face)) = (life.sold(), life.face()) {
        value(
            &mut legs,
            face,
            life.value_account(),
            Account::plain(Chart::TokenBreakage),
        );
    }
    making.post(cause, &fact.popup, Rule::TokenEnded, at_ms, legs)
}

/// What is left in 2055, per order and currency (T-VALUE, E-ORPHAN).
fn meet(life: &Life<'_>, making: &mut Making) -> Result<(), EntryFault> {
    struct Open<'a> {
        last: &'a Rc<Fact>,
        sale: Option<&'a Rc<Fact>>,
        left: i128,
    }
    let mut open: BTreeMap<(String, Currency), Open<'_>> = BTreeMap::new();
    for sale in &life.sales {
        let key = (sale.data.order.to_string(), sale.data.currency);
        let at = open.entry(key).or_insert(Open {
            last: sale.fact,
            sale: None,
            left: 0,
        });
        at.sale = at.sale.or(Some(sale.fact));
        at.left += sale.value;
    }
    for (fact, of) in &life.uses {
        let order = life.order_of(of);
        let mut lines = life
            .sales_of(order.as_deref())
            .map(|sale| sale.data.lines.as_deref());
        let settled = order.is_some()
            && life.sales_of(order.as_deref()).next().is_some()
            && lines.all(|lines| lines.unwrap_or_default().is_empty());
        let Some((currency, worth)) = life.worth(of).filter(|_| !settled) else {
            continue;
        };
        let key = (order.clone().unwrap_or_default(), currency);
        let at = open.entry(key).or_insert(Open {
            last: fact,
            sale: None,
            left: 0,
        });
        at.left -= worth;
        if at.last.order() < fact.order() {
            at.last = fact;
        }
    }
    let timers = &life.group.rules.timers;
    for ((order, currency), found) in open {
        if found.left == 0 {
            continue;
        }
        let from_ms = match found.sale {
            Some(_) => found.last.occurred_ms.saturating_add(timers.confirm_ms),
            None => life.group.orphan_ms(found.last),
        };
        making.due(from_ms, life.group.as_of_ms);
        if life.group.as_of_ms < from_ms {
            continue;
        }
        let amount = Money::new(fit(found.left)?, currency);
        let known = found.sale.is_some();
        let book = &found.sale.unwrap_or(found.last).popup;
        let named = unmet(life, &order, known, amount, book.as_str());
        making.name(life.group.key.cause(), book, named);
    }
    Ok(())
}

fn unmet(life: &Life<'_>, order: &str, known: bool, amount: Money, book: &str) -> Break {
    let token = life.token;
    let (class, sentence) = match known {
        true => (
            BreakClass::TokenValue,
            format!(
                "Order {order}: what its lines leave to token {token} and what the token is worth \
                 differ by {amount}."
            ),
        ),
        false => (
            BreakClass::Orphan,
            format!("Token {token} was used for an order that is not in these books."),
        ),
    };
    let currency = amount.currency.to_string();
    let keys = [
        book.to_string(),
        token.to_string(),
        order.to_string(),
        currency,
    ];
    let evidence = life.group.members.iter().map(|fact| position_text(fact));
    Break::new(class, keys.into(), sentence)
        .amounting(
            Commodity::Money(amount.currency),
            amount.minor,
            Some(Account::plain(Chart::TokenClearing)),
        )
        .evident(evidence.collect())
}

fn misused(
    class: BreakClass,
    life: &Life<'_>,
    fact: &Fact,
    of: &TokenRedeemed,
    amount: Option<Money>,
) -> Break {
    let order = of.order.as_ref().map_or("-", |order| order.as_str());
    let (token, rig) = (life.token, &fact.position.rig);
    let worth = amount.map_or_else(String::new, |amount| format!(" It was worth {amount}."));
    let what = match (
        class == BreakClass::TokenDouble,
        class == BreakClass::TokenLate,
    ) {
        (true, _) => "was used before",
        (_, true) => "had ended by then",
        (false, false) => "was never handed out",
    };
    let sentence = format!("Token {token}, taken on {rig} for order {order}, {what}.{worth}");
    let keys = [fact.popup.to_string(), token.to_string(), order.to_string()];
    let found = Break::new(class, keys.into(), sentence).evident([position_text(fact)].into());
    match amount {
        Some(amount) => found.amounting(
            Commodity::Money(amount.currency),
            amount.minor,
            Some(Account::plain(Chart::TokenLoss)),
        ),
        None => found,
    }
}
