//! Orders: goods that were handed over leave "sold" (R41).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome};
use super::post::{keeps_stock, position_text, push_move};
use super::{Account, Chart, Fact, put_varint, sale, zigzag};
use crate::event::{Event, FulfilmentStep};
use crate::id::{OrderId, PopupId};

fn key(popup: &PopupId, order: &OrderId) -> GroupKey {
    GroupKey::of(GroupKind::Order, &[popup.as_str(), order.as_str()])
}

pub(super) fn keys(fact: &Fact, keys: &mut Vec<GroupKey>) {
    if let Event::PaymentCaptured(sale) = &fact.event {
        keys.push(key(&fact.popup, &sale.order));
    } else if let Event::OrderFulfilled(of) = &fact.event {
        keys.push(key(&fact.popup, &of.order));
    }
}

/// The first time an order was handed over counts; other steps and members move nothing.
pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    let handed = group.members.iter().find_map(|fact| {
        if let Event::OrderFulfilled(of) = &fact.event {
            (of.step == FulfilmentStep::HandedOver).then_some((fact, of))
        } else {
            None
        }
    });
    let Some((handed, of)) = handed else {
        return Ok(making.0);
    };
    let cause = GroupKey::cause_of(GroupKind::Order, handed.id);
    let stock = group.around.stock();
    let mut legs = Legs::new();
    let mut known = false;
    for fact in group.members {
        let Event::PaymentCaptured(data) = &fact.event else {
            continue;
        };
        known = true;
        let card = stock.card(fact);
        for line in data.lines.as_deref().unwrap_or_default() {
            if keeps_stock(stock, &card, &fact.popup, &line.sku) {
                let to = Account::plain(Chart::StockHandedOver);
                push_move(
                    &mut legs,
                    &line.sku,
                    line.qty,
                    to,
                    Account::plain(Chart::StockSold),
                );
            }
        }
        let mut bytes = Vec::new();
        put_varint(&mut bytes, zigzag(handed.occurred_ms));
        let to = sale::key(&fact.popup, data.payment.as_str());
        making.tell(cause, sale::HANDED_OVER, to, bytes);
    }
    making.post(
        cause,
        &handed.popup,
        Rule::StockBack,
        handed.occurred_ms,
        legs,
    )?;
    if !known {
        let after_ms = group.orphan_ms(handed);
        making.due(after_ms, group.as_of_ms);
        if group.as_of_ms >= after_ms {
            let sentence = format!(
                "Order {} was handed over, but its sale is not here.",
                of.order
            );
            let keys = [handed.popup.to_string(), of.order.to_string()];
            let found = Break::new(BreakClass::Orphan, keys.into(), sentence)
                .evident([position_text(handed)].into());
            making.name(cause, &handed.popup, found);
        }
    }
    Ok(making.0)
}
