//! Who takes part in a pairing: claims of tills, objects of providers, lines of files.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::event::central::{MatchAccepted, ProviderObject, SettlementLine};
use crate::event::system::SystemEvent;
use crate::event::{Event, PaymentCaptured, PaymentDisputed, PaymentRefunded};
use crate::ledger::post::is_cash;
use crate::ledger::rules::{AccountRules, Rules};
use crate::ledger::{Fact, FactId};
use crate::money::Currency;
use crate::provider::lattice::{Merged, merge};
use crate::provider::{ObjectKind, ObjectState};
use crate::settlement::LineKind;

/// A provider account: provider, name.
pub(super) type Place = (String, String);

pub(super) fn place_of(account: &AccountRules) -> Place {
    (account.provider.text().to_string(), account.name.clone())
}

/// A capture that a till tells of.
pub(super) struct Claim<'a> {
    pub(super) fact: &'a Fact,
    pub(super) sale: &'a PaymentCaptured,
    /// The account that can check it; `None` for cash and for none.
    pub(super) account: Option<&'a AccountRules>,
    pub(super) cash: bool,
}

/// A refund that a till tells of.
pub(super) struct Asked<'a> {
    pub(super) fact: &'a Fact,
    pub(super) refund: &'a PaymentRefunded,
    pub(super) account: Option<&'a AccountRules>,
    /// The sale it refunds, among the claims.
    pub(super) sale: Option<usize>,
}

/// What a till says of a dispute.
pub(super) struct Objection<'a> {
    pub(super) fact: &'a Fact,
    pub(super) dispute: &'a PaymentDisputed,
}

/// A line of a settlement file.
pub(super) struct Line<'a> {
    pub(super) fact: &'a Fact,
    pub(super) line: &'a SettlementLine,
    pub(super) kind: LineKind,
    pub(super) currency: Currency,
    /// The object it moves.
    pub(super) object: Option<usize>,
    /// An earlier line tells the same movement.
    pub(super) again: bool,
}

/// A payment, refund or dispute of the provider, from all that was told of it.
pub(super) struct Object {
    pub(super) place: Place,
    pub(super) kind: ObjectKind,
    pub(super) merged: Merged,
    pub(super) currency: Currency,
    /// The fact under which it posts.
    pub(super) anchor: FactId,
    /// Of a refund or dispute the payment, among the objects.
    pub(super) parent: Option<usize>,
    /// No message told of it.
    pub(super) from_file: bool,
}

impl Object {
    pub(super) fn id(&self) -> &str {
        &self.merged.object.object
    }

    /// Its id and the other ids it goes by.
    pub(super) fn names(&self) -> Vec<String> {
        let object = &self.merged.object;
        let all = [&object.object].into_iter().chain(&object.aliases);
        all.filter(|name| !name.is_empty()).cloned().collect()
    }

    pub(super) fn amount(&self) -> i128 {
        i128::from(self.merged.object.amount)
    }

    pub(super) fn state(&self) -> Option<ObjectState> {
        self.merged.state()
    }

    /// When it came to stand as it does, ms since 1970.
    pub(super) fn at_ms(&self) -> i64 {
        let object = &self.merged.object;
        match object.occurred_ms {
            0 => object.created_ms,
            at_ms => at_ms,
        }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        let object = &self.merged.object;
        !name.is_empty() && (object.object == name || object.aliases.iter().any(|one| one == name))
    }

    /// The order in which equal ones are taken.
    pub(super) fn order(&self) -> (i64, &str) {
        (self.merged.object.created_ms, self.id())
    }
}

/// One telling: by a message, or by what the lines of a file add up to.
struct Telling<'a> {
    object: Cow<'a, ProviderObject>,
    fact: FactId,
    kind: ObjectKind,
    by_lines: bool,
}

/// All who take part.
pub(super) struct Parties<'a> {
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) asked: Vec<Asked<'a>>,
    pub(super) objections: Vec<Objection<'a>>,
    pub(super) accepted: Vec<&'a MatchAccepted>,
    pub(super) objects: Vec<Object>,
    pub(super) lines: Vec<Line<'a>>,
}

impl<'a> Parties<'a> {
    pub(super) fn of(members: &'a [Rc<Fact>], rules: &'a Rules) -> Self {
        let mut out = Self {
            claims: Vec::new(),
            asked: Vec::new(),
            objections: Vec::new(),
            accepted: Vec::new(),
            objects: Vec::new(),
            lines: Vec::new(),
        };
        let mut told = Vec::new();
        for fact in members {
            if let Event::PaymentCaptured(sale) = &fact.event {
                let cash = is_cash(sale);
                let provider = sale.provider.as_ref().map(|name| name.as_str());
                out.claims.push(Claim {
                    fact,
                    sale,
                    account: rules.account_of(provider).filter(|_| !cash),
                    cash,
                });
            } else if let Event::PaymentRefunded(refund) = &fact.event {
                out.asked.push(Asked {
                    fact,
                    refund,
                    account: None,
                    sale: None,
                });
            } else if let Event::PaymentDisputed(dispute) = &fact.event {
                out.objections.push(Objection { fact, dispute });
            } else if let Event::System(event) = &fact.event {
                out.take_central(fact, event, &mut told);
            }
        }
        (out.lines).sort_by_key(|one| (one.line.occurred_ms, one.fact.id));
        out.claims
            .sort_by(|a, b| a.fact.order().cmp(&b.fact.order()));
        out.asked
            .sort_by(|a, b| a.fact.order().cmp(&b.fact.order()));
        out.mark_repeats();
        out.join_refunds(rules);
        told.extend(out.told_by_lines());
        out.merge(told);
        out.attach();
        out
    }

    fn take_central(
        &mut self,
        fact: &'a Fact,
        event: &'a SystemEvent,
        told: &mut Vec<Telling<'a>>,
    ) {
        if let SystemEvent::ProviderObject(object) = event {
            told.extend(ObjectKind::from_text(&object.kind).map(|kind| Telling {
                object: Cow::Borrowed(object),
                fact: fact.id,
                kind,
                by_lines: false,
            }));
        } else if let SystemEvent::SettlementLine(line) = event {
            let kind = LineKind::from_text(&line.kind).unwrap_or(LineKind::Other);
            self.lines
                .extend(Currency::new(&line.currency).map(|currency| Line {
                    fact,
                    line,
                    kind,
                    currency,
                    object: None,
                    again: false,
                }));
        } else if let SystemEvent::MatchAccepted(one) = event {
            self.accepted.push(one);
        }
    }

    fn join_refunds(&mut self, rules: &'a Rules) {
        for asked in &mut self.asked {
            let of = &asked.refund.payment;
            asked.sale = (self.claims.iter())
                .position(|one| one.fact.popup == asked.fact.popup && one.sale.payment == *of);
            asked.account = match asked.sale {
                Some(at) => self.claims[at].account,
                None => rules.account_of(None),
            };
        }
    }

    /// Of lines of one kind for one movement only the first counts.
    fn mark_repeats(&mut self) {
        let mut seen = BTreeSet::new();
        for one in &mut self.lines {
            let line = one.line;
            if is_movement(one.kind) && !line.object.is_empty() {
                one.again = !seen.insert((
                    (&line.provider, &line.account),
                    (&line.object, &line.movement),
                    (&line.kind, &line.raw_kind),
                ));
            }
        }
    }

    /// What lines tell of objects: a file is proof without any message.
    fn told_by_lines(&self) -> Vec<Telling<'a>> {
        let mut sums: BTreeMap<(&str, &str, ObjectKind, &str), (usize, i128)> = BTreeMap::new();
        for (at, one) in self.lines.iter().enumerate() {
            let line = one.line;
            if let Some(kind) = moved(one.kind).filter(|_| !line.object.is_empty() && !one.again) {
                let key = (&*line.provider, &*line.account, kind, &*line.object);
                let sum = sums.entry(key).or_insert((at, 0));
                sum.1 += i128::from(moved_amount(line).0);
            }
        }
        (sums.into_iter())
            .filter_map(|((_, _, kind, _), (at, sum))| {
                let (fact, line) = (self.lines[at].fact.id, self.lines[at].line);
                let amount = i64::try_from(if kind == ObjectKind::Payment {
                    sum
                } else {
                    -sum
                });
                let state = match kind {
                    ObjectKind::Payment => ObjectState::Captured,
                    ObjectKind::Refund => ObjectState::Succeeded,
                    ObjectKind::Dispute if sum == 0 => ObjectState::Won,
                    ObjectKind::Dispute | ObjectKind::Payout => ObjectState::Open,
                };
                let amount = amount.ok().filter(|amount| *amount > 0)?;
                let of_payment = kind != ObjectKind::Payment;
                Some(Telling {
                    object: Cow::Owned(ProviderObject {
                        provider: line.provider.clone(),
                        account: line.account.clone(),
                        kind: kind.text().to_string(),
                        object: line.object.clone(),
                        parent: if of_payment {
                            line.parent.clone()
                        } else {
                            String::new()
                        },
                        aliases: [&line.parent, &line.movement]
                            .into_iter()
                            .filter(|name| !of_payment && !name.is_empty())
                            .cloned()
                            .collect(),
                        stamps: line.stamps.clone(),
                        order: line.order.clone(),
                        currency: moved_amount(line).1.to_string(),
                        amount,
                        state: state.text().to_string(),
                        created_ms: line.occurred_ms,
                        occurred_ms: line.occurred_ms,
                        from_file: true,
                        ..ProviderObject::default()
                    }),
                    fact,
                    kind,
                    by_lines: true,
                })
            })
            .collect()
    }

    /// Makes objects of tellings: those of one account and kind that share a name are one.
    fn merge(&mut self, told: Vec<Telling<'a>>) {
        let (steps, told): (Vec<_>, Vec<_>) =
            (told.into_iter()).partition(|one| one.object.cumulative);
        let mut first: BTreeMap<(&str, &str, ObjectKind, &str), usize> = BTreeMap::new();
        let mut root: Vec<usize> = (0..told.len()).collect();
        for (at, one) in told.iter().enumerate() {
            let object = &*one.object;
            let movement = |name: &&String| !name.is_empty();
            for name in (object.aliases.iter())
                .chain([&object.object])
                .filter(movement)
            {
                let key = (&*object.provider, &*object.account, one.kind, name.as_str());
                let other = *first.entry(key).or_insert(at);
                let (here, there) = (find(&root, at), find(&root, other));
                root[here.max(there)] = here.min(there);
            }
        }
        let mut clusters: BTreeMap<usize, Vec<&Telling<'_>>> = BTreeMap::new();
        for (at, one) in told.iter().enumerate() {
            clusters.entry(find(&root, at)).or_default().push(one);
        }
        self.objects = clusters
            .values()
            .filter_map(|told| object_of(told))
            .collect();
        self.find_parents();
        self.add_steps(&steps);
        self.objects.sort_by(|a, b| {
            let key = |one: &Object| (one.kind, one.place.clone());
            (key(a).cmp(&key(b))).then_with(|| a.order().cmp(&b.order()))
        });
        self.find_parents();
    }

    fn find_parents(&mut self) {
        for at in 0..self.objects.len() {
            let (place, name) = {
                let one = &self.objects[at];
                (one.place.clone(), one.merged.object.parent.clone())
            };
            self.objects[at].parent = self.find(&place, ObjectKind::Payment, &name);
        }
    }

    /// The object of a name.
    pub(super) fn find(&self, place: &Place, kind: ObjectKind, name: &str) -> Option<usize> {
        (self.objects.iter())
            .position(|one| one.kind == kind && one.place == *place && one.is_named(name))
    }

    /// Running sums of what was refunded of a charge, as refunds: their steps, as far as refunds of
    /// their own do not cover them.
    fn add_steps(&mut self, told: &[Telling<'_>]) {
        let mut sums: BTreeMap<(Place, String), BTreeMap<i64, &Telling<'_>>> = BTreeMap::new();
        for one in told {
            let object = &*one.object;
            let place = (object.provider.clone(), object.account.clone());
            let payment = self.find(&place, ObjectKind::Payment, &object.parent);
            let parent = payment.map_or(&*object.parent, |at| self.objects[at].id());
            let values = sums.entry((place, parent.to_string())).or_default();
            let least = values.entry(object.amount).or_insert(one);
            if one.fact < least.fact {
                *least = one;
            }
        }
        for ((place, parent), values) in sums {
            let payment = self.find(&place, ObjectKind::Payment, &parent);
            let mut covered: i128 = (self.objects.iter())
                .filter(|one| one.kind == ObjectKind::Refund && one.place == place)
                .filter(|one| one.state() != Some(ObjectState::Canceled))
                .filter(|one| match payment {
                    Some(_) => one.parent == payment,
                    None => one.merged.object.parent == parent,
                })
                .map(Object::amount)
                .sum();
            for (value, one) in values {
                let amount = i64::try_from(i128::from(value) - covered).ok();
                let Some(amount) = amount.filter(|amount| *amount > 0) else {
                    continue;
                };
                covered = i128::from(value);
                let step = ProviderObject {
                    amount,
                    parent: parent.clone(),
                    state: ObjectState::Succeeded.text().to_string(),
                    ..one.object.clone().into_owned()
                };
                let telling = Telling {
                    object: Cow::Owned(step),
                    fact: one.fact,
                    kind: ObjectKind::Refund,
                    by_lines: false,
                };
                self.objects.extend(object_of(&[&telling]));
            }
        }
    }

    /// Lines to the objects they move.
    fn attach(&mut self) {
        for at in 0..self.lines.len() {
            let (kind, line) = (self.lines[at].kind, self.lines[at].line);
            let place = (line.provider.clone(), line.account.clone());
            let names = [&line.object, &line.movement, &line.parent];
            let found = match moved(kind) {
                Some(ObjectKind::Payment) => (names.into_iter())
                    .find_map(|name| self.find(&place, ObjectKind::Payment, name)),
                Some(kind) => {
                    (names.into_iter().take(2)).find_map(|name| self.find(&place, kind, name))
                }
                None => (names.into_iter()).find_map(|name| {
                    [ObjectKind::Payment, ObjectKind::Refund, ObjectKind::Dispute]
                        .into_iter()
                        .find_map(|kind| self.find(&place, kind, name))
                }),
            };
            self.lines[at].object = found;
        }
    }

    /// The lines of an object that count.
    pub(super) fn lines_of(&self, object: usize) -> impl Iterator<Item = &Line<'a>> {
        (self.lines.iter()).filter(move |one| one.object == Some(object) && !one.again)
    }
}

fn find(root: &[usize], mut at: usize) -> usize {
    while root[at] != at {
        at = root[at];
    }
    at
}

fn object_of(told: &[&Telling<'_>]) -> Option<Object> {
    let moved = [
        ObjectState::Captured,
        ObjectState::Succeeded,
        ObjectState::Open,
    ];
    let is_proven = |one: &&&Telling<'_>| {
        !one.by_lines
            && ObjectState::from_text(&one.object.state).is_some_and(|state| {
                moved.contains(&state)
                    || matches!(
                        state,
                        ObjectState::CaptureFailed
                            | ObjectState::Failed
                            | ObjectState::Won
                            | ObjectState::Lost
                    )
            })
    };
    let proven = told.iter().any(|one| is_proven(&one));
    let by_message = told.iter().any(|one| !one.by_lines);
    // What lines add up to speaks only where no message tells that money moved.
    let heard: Vec<&&Telling<'_>> = (told.iter())
        .filter(|one| !proven || !one.by_lines)
        .collect();
    let tellings: Vec<&ProviderObject> = heard.iter().map(|one| &*one.object).collect();
    let mut merged = merge(&tellings);
    for line in told.iter().filter(|one| proven && one.by_lines) {
        let object = &mut merged.object;
        object.stamps.extend(line.object.stamps.iter().cloned());
        object.stamps.sort_unstable();
        object.stamps.dedup();
        if object.order.is_empty() {
            object.order.clone_from(&line.object.order);
        }
    }
    let anchor = (heard.iter())
        .map(|one| (one.by_lines && by_message, one.object.version, one.fact))
        .min()?;
    let currency = Currency::new(&merged.object.currency)?;
    let kind = told.first()?.kind;
    Some(Object {
        place: (
            merged.object.provider.clone(),
            merged.object.account.clone(),
        ),
        kind,
        currency,
        anchor: anchor.2,
        parent: None,
        from_file: told.iter().all(|one| one.object.from_file),
        merged,
    })
}

/// Kinds of which one object has one line per movement.
fn is_movement(kind: LineKind) -> bool {
    moved(kind).is_some()
}

/// The kind of object that a line moves, for the kinds that settle one.
pub(super) fn moved(kind: LineKind) -> Option<ObjectKind> {
    match kind {
        LineKind::Charge | LineKind::ChargeReversal => Some(ObjectKind::Payment),
        LineKind::Refund | LineKind::RefundReversal => Some(ObjectKind::Refund),
        LineKind::Dispute | LineKind::DisputeReversal => Some(ObjectKind::Dispute),
        LineKind::Fee
        | LineKind::FeeTax
        | LineKind::ReserveHold
        | LineKind::ReserveRelease
        | LineKind::Payout
        | LineKind::PayoutReversal
        | LineKind::Adjustment
        | LineKind::Transfer
        | LineKind::Other => None,
    }
}

/// What a line moved in the buyer's currency: minor units, positive towards us, and which.
pub(super) fn moved_amount(line: &SettlementLine) -> (i64, &str) {
    if line.buyer_currency.is_empty() || line.buyer_currency == line.currency {
        return (line.gross, &line.currency);
    }
    let sign = if line.gross < 0 { -1 } else { 1 };
    let magnitude = i64::try_from(line.buyer_amount.unsigned_abs()).unwrap_or(i64::MAX);
    (sign * magnitude, &line.buyer_currency)
}
