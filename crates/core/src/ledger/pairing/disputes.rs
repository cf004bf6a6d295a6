//! Disputes: told by a till, by the provider, or by both, and posted once (R27).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::parties::Objection;
use super::{Desk, Stands, money, plain};
use crate::event::DisputeState;
use crate::id::PopupId;
use crate::ledger::entry::{EntryFault, Rule};
use crate::ledger::group::{Legs, fit};
use crate::ledger::sale::Back;
use crate::ledger::{Chart, FactId};
use crate::money::Currency;
use crate::provider::{ObjectKind, ObjectState};

/// What has become of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Asked,
    Open,
    Won,
    Lost,
}

/// One dispute.
struct Dispute {
    object: Option<usize>,
    /// What tills say, in canonical order.
    said: Vec<usize>,
    /// The disputed payment's claim.
    claim: Option<usize>,
}

pub(super) fn evaluate(desk: &mut Desk<'_, '_>) -> Result<(), EntryFault> {
    for dispute in gather(desk) {
        post(desk, &dispute)?;
    }
    Ok(())
}

/// Brings what tills and provider say of one dispute together: by its id, else by its payment, one
/// with one.
fn gather(desk: &Desk<'_, '_>) -> Vec<Dispute> {
    let (parties, pairs) = (desk.parties, desk.pairs);
    let mut by_id: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (at, one) in parties.objections.iter().enumerate() {
        let key = (one.fact.popup.as_str(), one.dispute.dispute.as_str());
        by_id.entry(key).or_default().push(at);
    }
    let claim_of = |one: &Objection<'_>| {
        (parties.claims.iter()).position(|claim| {
            claim.fact.popup == one.fact.popup && claim.sale.payment == one.dispute.payment
        })
    };
    let mut used = BTreeSet::new();
    let objects =
        || (parties.objects.iter().enumerate()).filter(|(_, one)| one.kind == ObjectKind::Dispute);
    let mut told: Vec<Dispute> = (by_id.into_iter())
        .map(|((_, id), mut said)| {
            said.sort_by(|a, b| {
                let order = |at: &usize| parties.objections[*at].fact.order();
                order(a).cmp(&order(b))
            });
            let claim = said
                .first()
                .and_then(|at| claim_of(&parties.objections[*at]));
            let object = objects()
                .find(|(_, one)| {
                    one.is_named(id) || one.merged.object.stamps.iter().any(|stamp| stamp == id)
                })
                .map(|(of, _)| of);
            Dispute {
                object,
                said,
                claim,
            }
        })
        .collect();
    used.extend(told.iter().filter_map(|one| one.object));
    for dispute in told.iter_mut().filter(|one| one.object.is_none()) {
        let paid = dispute.claim.and_then(|at| pairs.of_claim[at]);
        dispute.object = objects()
            .find(|(of, one)| paid.is_some() && one.parent == paid && !used.contains(of))
            .map(|(of, _)| of);
        used.extend(dispute.object);
    }
    for (of, one) in objects() {
        if !used.contains(&of) {
            told.push(Dispute {
                object: Some(of),
                said: Vec::new(),
                claim: one.parent.and_then(|at| pairs.of_object[at]),
            });
        }
    }
    told
}

fn stage(desk: &Desk<'_, '_>, dispute: &Dispute) -> Stage {
    let by_provider =
        dispute
            .object
            .map_or(Stage::Asked, |of| match desk.parties.objects[of].state() {
                Some(ObjectState::Won) => Stage::Won,
                Some(ObjectState::Lost) => Stage::Lost,
                Some(ObjectState::Open) => Stage::Open,
                Some(_) | None => Stage::Asked,
            });
    let said = (dispute.said.iter()).map(|at| desk.parties.objections[*at].dispute.state);
    let by_till = said.fold(Stage::Asked, |before, state| match state {
        DisputeState::Won => Stage::Won,
        DisputeState::Lost => Stage::Lost,
        DisputeState::Opened => before.max(Stage::Open),
    });
    match by_provider {
        Stage::Won | Stage::Lost => by_provider,
        Stage::Asked | Stage::Open => by_provider.max(by_till),
    }
}

fn amount(desk: &Desk<'_, '_>, dispute: &Dispute) -> Option<(i128, Currency)> {
    let told = dispute.object.map(|of| {
        let object = &desk.parties.objects[of];
        (object.amount(), object.currency)
    });
    let said = dispute.said.first().map(|at| {
        let one = desk.parties.objections[*at].dispute;
        (i128::from(one.amount.0), one.currency)
    });
    told.or(said)
}

fn post(desk: &mut Desk<'_, '_>, dispute: &Dispute) -> Result<(), EntryFault> {
    let stage = stage(desk, dispute);
    let Some((amount, currency)) = amount(desk, dispute).filter(|_| stage != Stage::Asked) else {
        return Ok(());
    };
    let parties = desk.parties;
    let first = dispute.said.first().map(|at| parties.objections[*at].fact);
    let object = dispute.object.map(|of| &parties.objects[of]);
    let Some((fact, book, at_ms)) = anchor(desk, dispute, first) else {
        return Ok(());
    };
    if let Some(of) = dispute.object {
        desk.books[of] = book.clone();
        desk.stands[of] = Stands::Confirmed;
    }
    let (hold, pending) = (Chart::PspDisputeHold, Chart::PspPending);
    let steps = match stage {
        Stage::Asked => Vec::new(),
        Stage::Open => [(hold, pending)].into(),
        Stage::Won => [(hold, pending), (pending, hold)].into(),
        Stage::Lost => [(hold, pending), (Chart::DisputeLoss, hold)].into(),
    };
    for (to, from) in steps {
        let legs: Legs = [
            (plain(to), money(currency), amount),
            (plain(from), money(currency), -amount),
        ]
        .into();
        desk.post(fact, &book, Rule::Dispute, at_ms, legs)?;
    }
    // The till's own word reaches the sale without us.
    let lasts = matches!(stage, Stage::Open | Stage::Lost);
    if let (true, true, Some(object), Some(at)) =
        (lasts, dispute.said.is_empty(), object, dispute.claim)
    {
        desk.back.entry(at).or_default().push(Back {
            at_ms: object.at_ms(),
            amount: fit(amount)?,
            dispute: true,
        });
    }
    Ok(())
}

fn anchor(
    desk: &Desk<'_, '_>,
    dispute: &Dispute,
    first: Option<&crate::ledger::Fact>,
) -> Option<(FactId, PopupId, i64)> {
    if let Some(fact) = first {
        return Some((fact.id, fact.popup.clone(), fact.occurred_ms));
    }
    let of = dispute.object?;
    let object = &desk.parties.objects[of];
    Some((object.anchor, desk.books[of].clone(), object.at_ms()))
}
