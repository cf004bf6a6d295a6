//! Which claim and which object are one: keys in strict order, each over what the earlier ones left.
//!
//! Exclusive: a pair consumes both sides. All choices follow canonical order on the till's side and
//! (created, id) on the provider's, never the order of arrival.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::parties::{Asked, Claim, Object, Parties, Place, place_of};
use super::table::Told;
use crate::ledger::Fact;
use crate::limits::SUGGEST_APART_MS;
use crate::provider::{ObjectKind, ObjectState};

/// What a state says of whether money moved.
pub(super) fn told(object: &Object) -> Told {
    match object.state() {
        Some(
            ObjectState::Captured
            | ObjectState::Succeeded
            | ObjectState::Open
            | ObjectState::Won
            | ObjectState::Lost
            | ObjectState::Paid,
        ) => Told::Success,
        Some(
            ObjectState::Created
            | ObjectState::Authorised
            | ObjectState::Requested
            | ObjectState::Pending
            | ObjectState::Inquiry
            | ObjectState::InTransit,
        ) => Told::Pending,
        Some(
            ObjectState::Declined
            | ObjectState::CaptureFailed
            | ObjectState::Voided
            | ObjectState::Expired
            | ObjectState::Failed
            | ObjectState::Canceled,
        ) => Told::Declined,
        None => Told::Nothing,
    }
}

/// Who belongs to whom.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// By claim: the success that is it.
    pub(super) of_claim: Vec<Option<usize>>,
    /// By claim: objects that are no success.
    pub(super) others: Vec<Vec<usize>>,
    /// By refund claim: the success that is it.
    pub(super) of_asked: Vec<Option<usize>>,
    /// By refund claim: objects that are no success.
    pub(super) asked_others: Vec<Vec<usize>>,
    /// By object: the claim, or refund claim, it is.
    pub(super) of_object: Vec<Option<usize>>,
    /// By object: the claim whose buyer it charged again.
    pub(super) double_of: Vec<Option<usize>>,
}

impl Pairs {
    pub(super) fn of(parties: &Parties<'_>) -> Self {
        let mut out = Self {
            of_claim: vec![None; parties.claims.len()],
            others: vec![Vec::new(); parties.claims.len()],
            of_asked: vec![None; parties.asked.len()],
            asked_others: vec![Vec::new(); parties.asked.len()],
            of_object: vec![None; parties.objects.len()],
            double_of: vec![None; parties.objects.len()],
        };
        out.payments(parties);
        out.refunds(parties);
        out
    }

    fn is_free(&self, object: usize) -> bool {
        self.of_object[object].is_none() && self.double_of[object].is_none()
    }

    fn payments(&mut self, parties: &Parties<'_>) {
        for step in [by_stamp as Step, by_id] {
            self.one_each(parties, step);
            self.charged_again(parties, step);
        }
        self.by_order(parties);
        self.accepted(parties);
        for (at, claim) in parties.claims.iter().enumerate() {
            for (of, object) in payments(parties) {
                let named = by_stamp(claim, object) || by_id(claim, object);
                if named && told(object) != Told::Success && is_at(claim, object) {
                    self.others[at].push(of);
                }
            }
        }
        self.declined_by_order(parties);
    }

    /// K1, K2: the first success of a reference is the claim.
    fn one_each(&mut self, parties: &Parties<'_>, step: Step) {
        for (at, claim) in parties.claims.iter().enumerate() {
            if self.of_claim[at].is_some() {
                continue;
            }
            let found = successes(parties).find(|(of, object)| {
                self.is_free(*of) && is_at(claim, object) && step(claim, object)
            });
            if let Some((of, _)) = found {
                self.of_claim[at] = Some(of);
                self.of_object[of] = Some(at);
            }
        }
    }

    /// K1, K2: further successes of a reference.
    fn charged_again(&mut self, parties: &Parties<'_>, step: Step) {
        for (of, object) in successes(parties) {
            if self.is_free(of) {
                self.double_of[of] = (parties.claims.iter())
                    .position(|claim| is_at(claim, object) && step(claim, object));
            }
        }
    }

    /// K3: by order, currency and amount, paired in turn; what is left on an order whose claims are
    /// all paired was charged again.
    fn by_order(&mut self, parties: &Parties<'_>) {
        for (at, claim) in parties.claims.iter().enumerate() {
            if self.of_claim[at].is_some() {
                continue;
            }
            let found = successes(parties).find(|(of, object)| {
                self.is_free(*of) && is_of_order(claim, object) && is_same_money(claim, object)
            });
            if let Some((of, _)) = found {
                self.of_claim[at] = Some(of);
                self.of_object[of] = Some(at);
            }
        }
        for (of, object) in successes(parties) {
            let mut claims = (parties.claims.iter().enumerate())
                .filter(|(_, claim)| is_of_order(claim, object))
                .peekable();
            let first = claims.peek().map(|(at, _)| *at);
            if self.is_free(of) && claims.all(|(at, _)| self.of_claim[at].is_some()) {
                self.double_of[of] = first;
            }
        }
    }

    /// K4: what a person said, where nothing else did.
    fn accepted(&mut self, parties: &Parties<'_>) {
        for one in &parties.accepted {
            let place = (one.provider.clone(), one.account.clone());
            let claim = (parties.claims.iter()).position(|claim| {
                claim.fact.popup.as_str() == one.popup && claim.sale.payment.as_str() == one.claim
            });
            let object = parties.find(&place, ObjectKind::Payment, &one.object);
            if let (Some(at), Some(of)) = (claim, object)
                && self.of_claim[at].is_none()
                && self.is_free(of)
                && told(&parties.objects[of]) == Told::Success
                && is_at(&parties.claims[at], &parties.objects[of])
            {
                self.of_claim[at] = Some(of);
                self.of_object[of] = Some(at);
            }
        }
    }

    /// Objects of an order that are no success, in turn to its claims that nothing else explains.
    fn declined_by_order(&mut self, parties: &Parties<'_>) {
        let mut used: BTreeSet<usize> = self.others.iter().flatten().copied().collect();
        for (at, claim) in parties.claims.iter().enumerate() {
            if self.of_claim[at].is_some() || !self.others[at].is_empty() {
                continue;
            }
            let found = payments(parties).find(|(of, object)| {
                !used.contains(of)
                    && told(object) != Told::Success
                    && is_of_order(claim, object)
                    && is_same_money(claim, object)
            });
            if let Some((of, _)) = found {
                used.insert(of);
                self.others[at].push(of);
            }
        }
    }

    fn refunds(&mut self, parties: &Parties<'_>) {
        let named = |asked: &Asked<'_>, object: &Object| {
            is_stamped(object, asked.refund.refund.as_str(), asked.fact)
        };
        let by_payment = |pairs: &Self, asked: &Asked<'_>, object: &Object| {
            let refund = asked.refund;
            let paid = asked.sale.and_then(|sale| pairs.of_claim[sale]);
            let of_payment = (paid.is_some() && object.parent == paid)
                || (object.merged.object.stamps.iter()).any(|one| one == refund.payment.as_str());
            of_payment
                && object.currency == refund.currency
                && object.amount() == i128::from(refund.amount.0)
        };
        for by_stamp in [true, false] {
            for (at, asked) in parties.asked.iter().enumerate() {
                let found = refund_objects(parties)
                    .filter(|(of, object)| {
                        self.of_object[*of].is_none() && is_asked_at(asked, &object.place)
                    })
                    .filter(|(_, object)| match by_stamp {
                        true => named(asked, object),
                        false => by_payment(self, asked, object),
                    });
                let (good, other): (Vec<_>, Vec<_>) =
                    found.partition(|(_, object)| told(object) == Told::Success);
                if self.of_asked[at].is_none()
                    && let Some((of, _)) = good.first()
                {
                    self.of_asked[at] = Some(*of);
                    self.of_object[*of] = Some(at);
                } else if self.of_asked[at].is_none()
                    && let Some((of, _)) = other.first()
                    && self.asked_others[at].is_empty()
                {
                    self.asked_others[at].push(*of);
                    self.of_object[*of] = Some(at);
                }
            }
        }
        self.accepted_refunds(parties);
    }

    fn accepted_refunds(&mut self, parties: &Parties<'_>) {
        for one in &parties.accepted {
            let place = (one.provider.clone(), one.account.clone());
            let asked = (parties.asked.iter()).position(|asked| {
                asked.fact.popup.as_str() == one.popup && asked.refund.refund.as_str() == one.claim
            });
            let object = parties.find(&place, ObjectKind::Refund, &one.object);
            if let (Some(at), Some(of)) = (asked, object)
                && self.of_asked[at].is_none()
                && self.of_object[of].is_none()
                && told(&parties.objects[of]) == Told::Success
            {
                self.of_asked[at] = Some(of);
                self.of_object[of] = Some(at);
            }
        }
    }
}

type Step = fn(&Claim<'_>, &Object) -> bool;

fn payments<'p>(parties: &'p Parties<'_>) -> impl Iterator<Item = (usize, &'p Object)> {
    (parties.objects.iter().enumerate()).filter(|(_, one)| one.kind == ObjectKind::Payment)
}

fn refund_objects<'p>(parties: &'p Parties<'_>) -> impl Iterator<Item = (usize, &'p Object)> {
    (parties.objects.iter().enumerate()).filter(|(_, one)| one.kind == ObjectKind::Refund)
}

fn successes<'p>(parties: &'p Parties<'_>) -> impl Iterator<Item = (usize, &'p Object)> {
    payments(parties).filter(|(_, one)| told(one) == Told::Success)
}

fn is_at(claim: &Claim<'_>, object: &Object) -> bool {
    claim
        .account
        .is_some_and(|account| place_of(account) == object.place)
}

fn is_asked_at(asked: &Asked<'_>, place: &Place) -> bool {
    asked
        .account
        .is_some_and(|account| place_of(account) == *place)
}

fn is_stamped(object: &Object, reference: &str, fact: &Fact) -> bool {
    (object.merged.object.stamps.iter())
        .any(|one| one == reference || one == fact.event_id.as_str())
}

/// K1: a stamp of the object is the claim's reference.
fn by_stamp(claim: &Claim<'_>, object: &Object) -> bool {
    is_stamped(object, claim.sale.payment.as_str(), claim.fact)
}

/// K2: the claim names the object.
fn by_id(claim: &Claim<'_>, object: &Object) -> bool {
    let named = claim.sale.provider_ref.as_ref();
    named.is_some_and(|name| object.is_named(name.as_str()))
}

/// K3: the object's order, or a stamp, is the claim's order.
fn is_of_order(claim: &Claim<'_>, object: &Object) -> bool {
    let order = claim.sale.order.as_str();
    let told = &object.merged.object;
    is_at(claim, object) && (told.order == order || told.stamps.iter().any(|one| one == order))
}

fn is_same_money(claim: &Claim<'_>, object: &Object) -> bool {
    object.currency == claim.sale.currency && object.amount() == i128::from(claim.sale.amount.0)
}

/// A claim or an object that nothing is paired with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEnd {
    /// The book it lies in.
    pub book: String,
    /// The provider.
    pub provider: String,
    /// The account's name.
    pub account: String,
    /// The claim's payment, or the provider's id.
    pub id: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Minor units.
    pub amount: i64,
    /// When, ms since 1970.
    pub at_ms: i64,
}

/// A claim and an object that may be one payment; a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The claim.
    pub claim: OpenEnd,
    /// The object.
    pub object: OpenEnd,
}

/// K4: open claims and objects of one account, currency and amount that lie at most ten minutes
/// apart, nearest first, each at most once.
#[must_use]
pub fn suggest(claims: &[OpenEnd], objects: &[OpenEnd]) -> Vec<Suggestion> {
    let money = |end: &OpenEnd| {
        let [provider, account, currency] =
            [&end.provider, &end.account, &end.currency].map(String::clone);
        (provider, account, currency, end.amount)
    };
    let mut by_money: BTreeMap<_, Vec<(i64, usize)>> = BTreeMap::new();
    for (of, object) in objects.iter().enumerate() {
        let same = by_money.entry(money(object)).or_default();
        same.push((object.at_ms, of));
    }
    by_money.values_mut().for_each(|same| same.sort_unstable());
    let mut near: Vec<(u64, usize, usize)> = Vec::new();
    for (at, claim) in claims.iter().enumerate() {
        let same = by_money.get(&money(claim)).map_or(&[][..], Vec::as_slice);
        let first = claim.at_ms.saturating_sub(SUGGEST_APART_MS);
        let from = same.partition_point(|(at_ms, _)| *at_ms < first);
        for (at_ms, of) in &same[from..] {
            let apart = claim.at_ms.abs_diff(*at_ms);
            if apart > SUGGEST_APART_MS.unsigned_abs() {
                break;
            }
            near.push((apart, at, *of));
        }
    }
    near.sort_by(|a, b| {
        let names = |one: &(u64, usize, usize)| (&claims[one.1].id, &objects[one.2].id);
        (a.0.cmp(&b.0)).then_with(|| names(a).cmp(&names(b)))
    });
    let (mut left, mut right) = (BTreeSet::new(), BTreeSet::new());
    (near.into_iter())
        .filter(|(_, at, of)| {
            let free = !left.contains(at) && !right.contains(of);
            free && left.insert(*at) && right.insert(*of)
        })
        .map(|(_, at, of)| Suggestion {
            claim: claims[at].clone(),
            object: objects[of].clone(),
        })
        .collect()
}
