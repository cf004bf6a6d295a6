//! Disputes: the money a buyer's bank holds, and where it ends (R27).
//!
//! A till and the provider may both tell of one dispute; it posts once, by the furthest state.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::entry::{EntryFault, Rule};
use super::super::group::Making;
use super::super::sale::Back;
use super::super::{Account, Chart, FactId};
use super::{Desk, money, tenders};
use crate::event::{DisputeState, Event};
use crate::id::PopupId;
use crate::money::Money;
use crate::provider::{ObjectKind, ObjectState};

struct Dispute {
    cause: FactId,
    book: PopupId,
    money: Money,
    state: ObjectState,
    at_ms: i64,
}

pub(super) fn post(desk: &mut Desk<'_>, making: &mut Making) -> Result<(), EntryFault> {
    for object in 0..desk.objects.len() {
        if desk.objects[object].kind == ObjectKind::Dispute {
            tenders::state_break(desk, making, object);
        }
    }
    for dispute in told(desk) {
        let sum = i128::from(dispute.money.minor);
        let unit = money(dispute.money.currency);
        let held = match dispute.state {
            ObjectState::Open => desk.at(Chart::PspDisputeHold),
            ObjectState::Lost => Account::plain(Chart::DisputeLoss),
            _ => continue,
        };
        let legs = Vec::from([
            (held, unit.clone(), sum),
            (desk.at(Chart::PspPending), unit, -sum),
        ]);
        making.post(
            dispute.cause,
            &dispute.book,
            Rule::Dispute,
            dispute.at_ms,
            legs,
        )?;
    }
    Ok(())
}

/// Every dispute once: the provider's, then those that only a till told of.
fn told(desk: &Desk<'_>) -> Vec<Dispute> {
    let mut all = Vec::new();
    let objects =
        (0..desk.objects.len()).filter(|at| desk.objects[*at].kind == ObjectKind::Dispute);
    let mut known: Vec<String> = Vec::new();
    for at in objects {
        let object = &desk.objects[at];
        known.extend(object.ids.iter().cloned());
        all.push(Dispute {
            cause: desk.cause(object.fact),
            book: desk.book_of(at),
            money: object.money,
            state: object.state,
            at_ms: object.occurred_ms,
        });
    }
    let mut tills: Vec<(String, Dispute)> = Vec::new();
    for fact in desk.group.members {
        let Event::PaymentDisputed(of) = &fact.event else {
            continue;
        };
        let claims = desk.claims.iter();
        let of_sale = |claim: &&super::Claim| {
            claim.is_tender()
                && claim.fact.popup == fact.popup
                && claim.payment == of.payment.as_str()
        };
        if known.iter().any(|id| id == of.dispute.as_str())
            || !claims.clone().any(|one| of_sale(&one))
        {
            continue;
        }
        let state = match of.state {
            DisputeState::Opened => ObjectState::Open,
            DisputeState::Won => ObjectState::Won,
            DisputeState::Lost => ObjectState::Lost,
        };
        let name = format!("{}/{}", fact.popup, of.dispute);
        let found = tills.iter_mut().find(|(id, _)| *id == name);
        match found {
            // The furthest state counts; among decided ones the later in canonical order.
            Some((_, dispute)) if state != ObjectState::Open => dispute.state = state,
            Some(_) => {}
            None => tills.push((
                name,
                Dispute {
                    cause: desk.cause(FactId::of(
                        "dispute",
                        &[
                            fact.popup.as_str().as_bytes(),
                            of.dispute.as_str().as_bytes(),
                        ],
                    )),
                    book: fact.popup.clone(),
                    money: Money::new(of.amount.0, of.currency),
                    state,
                    at_ms: fact.occurred_ms,
                },
            )),
        }
    }
    all.extend(tills.into_iter().map(|(_, dispute)| dispute));
    all
}

/// What disputes that only the provider tells of took back of a payment.
pub(super) fn back(desk: &Desk<'_>, claim: usize, payment: usize) -> Vec<Back> {
    let of = (0..desk.objects.len()).filter(|at| {
        let object = &desk.objects[*at];
        object.kind == ObjectKind::Dispute
            && matches!(object.state, ObjectState::Open | ObjectState::Lost)
            && object.money.currency == desk.claims[claim].money.currency
            && desk.parent_of(*at) == Some(payment)
            && !told_by_till(desk, object.ids.iter())
    });
    of.map(|at| Back {
        at_ms: desk.objects[at].occurred_ms,
        amount: desk.objects[at].money.minor,
        dispute: true,
    })
    .collect()
}

fn told_by_till<'i>(desk: &Desk<'_>, mut ids: impl Iterator<Item = &'i String>) -> bool {
    ids.any(|id| {
        desk.group.members.iter().any(|fact| {
            if let Event::PaymentDisputed(of) = &fact.event {
                of.dispute.as_str() == id
            } else {
                false
            }
        })
    })
}
