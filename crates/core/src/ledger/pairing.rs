//! Claims against provider objects (S3), and those against settlement lines (S4).
//!
//! A till claims that it was paid; a provider tells of an object; a file proves that the money moved.
//! All that speaks of one payment is one group: it is paired here, exclusively and in a fixed order,
//! and what cannot be paired is named.
//!
//! ```text
//! claim ── K1 stamp ── K2 provider's id ── K3 order and amount ── K4 a person's word ──► object
//!   │                                                                                     │
//!   └─ row of the decision table (M1 … M10) ─► R15 … R19, R26                  lines ─► R20, B-…
//! ```
//!
//! What always holds: a claim and an object pair at most once; outcomes do not depend on the order in
//! which facts came; nothing of a provider's is lost, only parked in the book of its account until a
//! claim explains it.

mod claim;
mod disputes;
mod lines;
mod object;
mod refunds;
mod table;
mod tenders;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::Break;
use super::entry::EntryFault;
use super::group::{Group, GroupKey, GroupKind, Making, Outcome};
use super::rules::{AccountRules, Rules};
use super::{Account, Chart, Commodity, Fact, FactId};
use crate::event::Event;
use crate::event::central::{ProviderObject, SettlementLine};
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::provider::ObjectKind;
use crate::settlement::LineKind;

use claim::Claim;
use lines::Line;
use object::Object;

/// Ties a provider object, its claim and its lines of one account.
fn tie(what: &str, account: &str, of: &str) -> GroupKey {
    GroupKey::of(GroupKind::Pairing, &[what, account, of])
}

/// The keys of a fact: of claims whose account is known, of objects but payouts, of lines.
pub(super) fn keys(fact: &Fact, rules: &Rules, keys: &mut Vec<GroupKey>) {
    if rules.accounts.is_empty() {
        return;
    }
    match &fact.event {
        Event::PaymentCaptured(_) | Event::PaymentRefunded(_) | Event::PaymentDisputed(_) => {
            claim::keys(fact, rules, keys);
        }
        Event::System(SystemEvent::ProviderObject(of)) => object_keys(of, keys),
        Event::System(SystemEvent::SettlementLine(of)) => line_keys(of, keys),
        Event::System(SystemEvent::MatchAccepted(of)) => {
            keys.push(tie("ref", &of.account, &of.claim));
            keys.push(tie("obj", &of.account, &of.object));
        }
        Event::System(_)
        | Event::CheckoutStarted(_)
        | Event::CheckoutCompleted(_)
        | Event::CheckoutAbandoned(_)
        | Event::PaymentAuthorized(_)
        | Event::PaymentFailed(_)
        | Event::InventoryReceived(_)
        | Event::InventoryAllocated(_)
        | Event::InventoryMoved(_)
        | Event::InventoryAdjusted(_)
        | Event::InventoryCounted(_)
        | Event::OrderFulfilled(_)
        | Event::TokenIssued(_)
        | Event::TokenRedeemed(_)
        | Event::TokenVoided(_)
        | Event::BooksAdjusted(_)
        | Event::ChatMessage(_)
        | Event::AudienceSampled(_)
        | Event::ProductViewed(_)
        | Event::CartAdded(_)
        | Event::DropOpened(_)
        | Event::DropClosed(_)
        | Event::RigSampled(_) => {}
    }
}

fn object_keys(of: &ProviderObject, keys: &mut Vec<GroupKey>) {
    if ObjectKind::from_text(&of.kind) == Some(ObjectKind::Payout) {
        return;
    }
    let account = &of.account;
    let own = (!of.cumulative).then_some(&of.object);
    let ids = own.into_iter().chain(&of.aliases).chain([&of.parent]);
    keys.extend(said(ids).map(|id| tie("obj", account, id)));
    keys.extend(said(&of.stamps).map(|stamp| tie("ref", account, stamp)));
    let orders = of.stamps.iter().chain([&of.order]);
    keys.extend(said(orders).map(|order| tie("ord", account, order)));
}

fn line_keys(of: &SettlementLine, keys: &mut Vec<GroupKey>) {
    let account = &of.account;
    match LineKind::from_text(&of.kind) {
        // The row of a payout is the payout's own matter.
        Some(LineKind::Payout | LineKind::PayoutReversal) => return,
        Some(LineKind::ReserveHold | LineKind::ReserveRelease) => {
            keys.push(tie("reserve", account, &of.currency));
            return;
        }
        Some(_) | None => {}
    }
    keys.extend(said([&of.object, &of.parent]).map(|id| tie("obj", account, id)));
    keys.extend(said(&of.stamps).map(|stamp| tie("ref", account, stamp)));
    if keys.is_empty() {
        keys.push(tie("line", account, &of.line));
    }
}

fn said<'a>(texts: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = &'a str> {
    texts
        .into_iter()
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// Evaluates everything that speaks of one payment.
pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let mut making = Making::default();
    for account in &group.rules.accounts {
        let mut desk = Desk::of(group, account);
        if desk.claims.is_empty() && desk.objects.is_empty() && desk.lines.is_empty() {
            continue;
        }
        tenders::pair(&mut desk);
        refunds::pair(&mut desk);
        tenders::post(&mut desk, &mut making)?;
        refunds::post(&mut desk, &mut making)?;
        disputes::post(&mut desk, &mut making)?;
        lines::post(&mut desk, &mut making)?;
        tenders::tell(&desk, &mut making);
    }
    Ok(making.0)
}

/// All that one account has to do with the payment, on one desk.
struct Desk<'a> {
    group: &'a Group<'a>,
    account: &'a AccountRules,
    /// Captures and refunds that are claims at this account, in canonical order.
    claims: Vec<Claim>,
    /// What the provider tells of, by (created, id).
    objects: Vec<Object>,
    lines: Vec<Line>,
    /// Which object each claim has.
    pairs: Vec<Option<usize>>,
    /// Which claim each object has.
    taken: Vec<Option<usize>>,
    /// Further successes on a claim's reference or order, by object: the claim they are of.
    doubles: Vec<Option<usize>>,
    /// Objects that did not succeed, by claim.
    attempts: Vec<Vec<usize>>,
    /// Whether a break of severity money is open on a claim.
    troubled: Vec<bool>,
}

impl<'a> Desk<'a> {
    fn of(group: &'a Group<'a>, account: &'a AccountRules) -> Self {
        let claims = claim::claims(group, account);
        let (objects, lines) = object::objects(group.members, account);
        let (count, told) = (claims.len(), objects.len());
        Self {
            group,
            account,
            claims,
            objects,
            lines,
            pairs: alloc::vec![None; count],
            taken: alloc::vec![None; told],
            doubles: alloc::vec![None; told],
            attempts: alloc::vec![Vec::new(); count],
            troubled: alloc::vec![false; count],
        }
    }

    /// The book of the account, where what no popup explains is parked.
    fn own_book(&self) -> PopupId {
        PopupId::account_book(self.account.provider.text(), &self.account.name)
    }

    /// The account's part of a row of the chart.
    fn at(&self, of: Chart) -> Account {
        Account::of(of, &self.account.name)
    }

    /// The book an object lies in: its claim's, its payment's, else the account's own.
    fn book_of(&self, object: usize) -> PopupId {
        let own = self.taken[object].or(self.doubles[object]);
        if let Some(claim) = own {
            return self.claims[claim].fact.popup.clone();
        }
        match self.parent_of(object) {
            Some(payment) if payment != object => self.book_of(payment),
            _ => self.own_book(),
        }
    }

    /// The payment an object belongs to.
    fn parent_of(&self, object: usize) -> Option<usize> {
        let parent = &self.objects[object].parent;
        if parent.is_empty() {
            return None;
        }
        let is_parent = |one: &Object| one.kind == ObjectKind::Payment && one.ids.contains(parent);
        self.objects.iter().position(is_parent)
    }

    fn cause(&self, fact: FactId) -> FactId {
        GroupKey::cause_of(GroupKind::Pairing, fact)
    }

    /// Names a difference on a claim.
    fn trouble(&mut self, claim: usize, found: &Break) {
        if found.severity == super::Severity::Money {
            self.troubled[claim] = true;
        }
    }
}

/// `main/pi_1`: how an object is named as evidence.
fn place(object: &Object) -> String {
    let mut text = object.account.clone();
    text.push('/');
    text.push_str(&object.id);
    text
}

fn evidence(claim: Option<&Claim>, objects: &[&Object]) -> Vec<String> {
    let claimed = claim.map(|claim| super::post::position_text(&claim.fact));
    claimed
        .into_iter()
        .chain(objects.iter().map(|one| place(one)))
        .collect()
}

fn money(currency: crate::money::Currency) -> Commodity {
    Commodity::Money(currency)
}

/// The leg that stands on a break's own suspense account; credit positive.
fn suspense(found: &Break, commodity: Commodity, amount: i128) -> (Account, Commodity, i128) {
    let account = Account::of(Chart::Suspense, found.id.as_str());
    (account, commodity, -amount)
}

fn keys_text(book: &PopupId, parts: &[&str]) -> Vec<String> {
    let first = core::iter::once(book.to_string());
    first
        .chain(parts.iter().map(|part| (*part).to_string()))
        .collect()
}
