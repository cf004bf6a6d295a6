//! Provider objects as they are after everything that was told of them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::rules::AccountRules;
use super::super::{Fact, FactId};
use super::lines::{self, Line};
use crate::event::Event;
use crate::event::central::ProviderObject;
use crate::event::system::SystemEvent;
use crate::money::{Currency, Money};
use crate::provider::lattice::{self, Conflict};
use crate::provider::{ObjectKind, ObjectState};

/// One object of a provider.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// The fact that first told of it, in canonical order.
    pub(super) fact: FactId,
    pub(super) occurred_ms: i64,
    pub(super) account: String,
    pub(super) kind: ObjectKind,
    /// Its own id.
    pub(super) id: String,
    /// Its id and aliases.
    pub(super) ids: BTreeSet<String>,
    pub(super) parent: String,
    pub(super) stamps: Vec<String>,
    pub(super) order: String,
    pub(super) money: Money,
    pub(super) authorised: i64,
    pub(super) state: ObjectState,
    pub(super) created_ms: i64,
    pub(super) conflict: Option<Conflict>,
    /// No message told of it, only a file.
    pub(super) from_file: bool,
}

impl Object {
    /// Whether money moved by it and stayed so.
    pub(super) fn succeeded(&self) -> bool {
        matches!(self.state, ObjectState::Captured | ObjectState::Succeeded)
    }

    /// Whether it is decided that no money moves by it.
    pub(super) fn refused(&self) -> bool {
        matches!(
            self.state,
            ObjectState::Declined
                | ObjectState::Expired
                | ObjectState::Voided
                | ObjectState::CaptureFailed
        )
    }
}

/// What the members say of one account's objects, by (created, id), and of its lines.
pub(super) fn objects(members: &[Rc<Fact>], account: &AccountRules) -> (Vec<Object>, Vec<Line>) {
    let mut tellings: Vec<(&Rc<Fact>, &ProviderObject)> = Vec::new();
    let mut sums: Vec<(&Rc<Fact>, &ProviderObject)> = Vec::new();
    for fact in members {
        if let Event::System(SystemEvent::ProviderObject(of)) = &fact.event
            && of.account == account.name
        {
            match of.cumulative {
                true => sums.push((fact, of)),
                false => tellings.push((fact, of)),
            }
        }
    }
    let mut objects = merged(&tellings);
    steps(&sums, &mut objects);
    let mut lines = lines::lines(members, account);
    lines::known_from_file(&mut lines, &mut objects);
    objects.sort_by(|a, b| (a.created_ms, &a.id, a.fact).cmp(&(b.created_ms, &b.id, b.fact)));
    lines::link(&mut lines, &objects);
    (objects, lines)
}

/// Tellings that share an id or alias within a kind are one object.
fn merged(tellings: &[(&Rc<Fact>, &ProviderObject)]) -> Vec<Object> {
    let mut sets: Vec<(ObjectKind, BTreeSet<String>, Vec<usize>)> = Vec::new();
    for (at, (_, of)) in tellings.iter().enumerate() {
        let Some(kind) = ObjectKind::from_text(&of.kind) else {
            continue;
        };
        let mut ids: BTreeSet<String> = of.aliases.iter().cloned().collect();
        ids.insert(of.object.clone());
        let mut told = Vec::from([at]);
        sets.retain(|(other, known, of_known)| {
            let same = *other == kind && !known.is_disjoint(&ids);
            if same {
                ids.extend(known.iter().cloned());
                told.extend(of_known);
            }
            !same
        });
        sets.push((kind, ids, told));
    }
    let built = sets.into_iter().filter_map(|(kind, ids, mut told)| {
        told.sort_unstable();
        let all: Vec<&ProviderObject> = told.iter().map(|at| tellings[*at].1).collect();
        let whole = lattice::merge(&all);
        let first = tellings[*told.first()?].0;
        Object::of(first, kind, ids, &whole.object, whole.conflict)
    });
    built.collect()
}

impl Object {
    fn of(
        first: &Rc<Fact>,
        kind: ObjectKind,
        ids: BTreeSet<String>,
        of: &ProviderObject,
        conflict: Option<Conflict>,
    ) -> Option<Self> {
        let currency = Currency::new(&of.currency)?;
        Some(Self {
            fact: first.id,
            occurred_ms: first.occurred_ms,
            account: of.account.clone(),
            kind,
            id: of.object.clone(),
            ids,
            parent: of.parent.clone(),
            stamps: of.stamps.clone(),
            order: of.order.clone(),
            money: Money::new(of.amount, currency),
            authorised: of.authorised,
            state: ObjectState::from_text(&of.state)?,
            created_ms: match of.created_ms {
                0 => first.occurred_ms,
                said => said,
            },
            conflict,
            from_file: of.from_file,
        })
    }
}

/// Running sums of what was refunded of a charge become steps. Refund objects of that charge stand
/// for as much of the sum as they cover.
fn steps(sums: &[(&Rc<Fact>, &ProviderObject)], objects: &mut Vec<Object>) {
    let mut charges: BTreeMap<&str, BTreeMap<i64, (&Rc<Fact>, &ProviderObject)>> = BTreeMap::new();
    for (fact, of) in sums {
        let values = charges.entry(of.parent.as_str()).or_default();
        values.entry(of.amount).or_insert((fact, of));
    }
    for (charge, values) in charges {
        let payment = objects
            .iter()
            .find(|one| one.kind == ObjectKind::Payment && one.ids.contains(charge));
        let covered = covered(charge, payment, objects);
        let mut before = covered;
        for (value, (fact, of)) in values {
            let amount = value.saturating_sub(before);
            if amount <= 0 {
                continue;
            }
            before = value;
            let step = ProviderObject {
                amount,
                state: String::from(ObjectState::Succeeded.text()),
                ..of.clone()
            };
            let ids = BTreeSet::from([of.object.clone()]);
            objects.extend(Object::of(fact, ObjectKind::Refund, ids, &step, None));
        }
    }
}

fn covered(charge: &str, payment: Option<&Object>, objects: &[Object]) -> i64 {
    let of_charge = |one: &&Object| {
        one.kind == ObjectKind::Refund
            && (one.parent == charge || payment.is_some_and(|of| of.ids.contains(&one.parent)))
            && !matches!(one.state, ObjectState::Failed | ObjectState::Canceled)
    };
    let amounts = objects.iter().filter(of_charge).map(|one| one.money.minor);
    amounts.fold(0, i64::saturating_add)
}
