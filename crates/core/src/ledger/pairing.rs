//! Pairing: what tills say of money against what providers say of it, and that against their files.
//!
//! ```text
//! claims ──┐  K1 stamp, K2 id,   ┌─► row of the table ─► R15–R19, R25–R27, R51 and breaks P
//! objects ─┴─ K3 order, K4 said ─┘
//! lines ───── to their object ─────► R20, R21, R62 and breaks B ─► words to the payout
//! ```
//!
//! A webhook may move a claim from 1100 to 1200; only a line of a file moves money to 1210. All of it
//! is a function of the set of facts: who pairs with whom follows canonical order and the provider's
//! own times, and each posting's cause is the fact it concerns, so one more fact changes little.

mod disputes;
mod lines;
mod matching;
mod parties;
mod payments;
mod refunds;
mod table;

pub use matching::{OpenEnd, Suggestion, suggest};
pub use table::{Age, Amounts, Case, Row, Said, Told, row};

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

pub(super) use lines::{Counter, line_legs, payable_ms, unknown_line, unpaid};

use super::breaks::{Break, BreakClass, Severity};
use super::entry::{EntryFault, Rule};
use super::group::{Group, GroupKey, GroupKind, Legs, Making, Outcome, fit};
use super::post::is_cash;
use super::rules::{AccountRules, Rules};
use super::sale::{self, Back, SaleWord};
use super::{Account, Chart, Commodity, Fact, FactId};
use super::{put_text, put_varint, take_text, take_varint, unzigzag, zigzag};
use crate::event::Event;
use crate::event::central::{ProviderObject, SettlementLine};
use crate::event::system::SystemEvent;
use crate::id::PopupId;
use crate::limits::PAIRING_ACCOUNTS_MAX;
use crate::money::{Currency, Money};
use crate::provider::ObjectKind;
use crate::settlement::LineKind;
use matching::Pairs;
use parties::{Claim, Object, Parties};

/// What a settlement line means to its payout: the bytes of a [`super::group::Word`] to
/// [`super::payout::key`]. One word a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PayoutWord {
    /// The provider.
    pub provider: String,
    /// The account's name.
    pub account: String,
    /// The payout.
    pub payout: String,
    /// The book in which the line stands on 1210.
    pub book: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Net of the line, minor units.
    pub net: i64,
}

impl PayoutWord {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let texts = [
            &self.provider,
            &self.account,
            &self.payout,
            &self.book,
            &self.currency,
        ];
        for text in texts {
            put_text(&mut out, text);
        }
        put_varint(&mut out, zigzag(self.net));
        out
    }

    /// Reads what [`Self::encode`] wrote; `None` for damage.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut text = || take_text(&mut rest).map(ToString::to_string);
        let (provider, account, payout) = (text()?, text()?, text()?);
        let (book, currency) = (text()?, text()?);
        let net = unzigzag(take_varint(&mut rest)?);
        rest.is_empty().then_some(Self {
            provider,
            account,
            payout,
            book,
            currency,
            net,
        })
    }
}

/// The keys of a fact that can be paired.
pub(super) fn keys(fact: &Fact, rules: &Rules, keys: &mut Vec<GroupKey>) {
    let popup = fact.popup.as_str();
    let mut put = |parts: &[&str]| keys.push(GroupKey::of(GroupKind::Pairing, parts));
    let event_id = fact.event_id.as_str();
    if let Event::PaymentCaptured(sale) = &fact.event {
        let payment = sale.payment.as_str();
        if !rules.accounts.is_empty() {
            put(&["claim", popup, payment]);
        }
        let provider = sale.provider.as_ref().map(|name| name.as_str());
        if let Some(of) = rules.account_of(provider).filter(|_| !is_cash(sale)) {
            let (kind, name) = (of.provider.text(), of.name.as_str());
            put(&["ref", kind, name, payment]);
            put(&["ref", kind, name, event_id]);
            put(&["order", kind, name, sale.order.as_str()]);
            if let Some(named) = &sale.provider_ref {
                put(&["object", kind, name, named.as_str()]);
            }
        }
    } else if let Event::PaymentRefunded(asked) = &fact.event {
        for of in accounts(rules) {
            put(&["ref", of.provider.text(), &of.name, asked.refund.as_str()]);
            put(&["ref", of.provider.text(), &of.name, event_id]);
        }
        if !rules.accounts.is_empty() {
            put(&["claim", popup, asked.payment.as_str()]);
            put(&["claim", popup, asked.refund.as_str()]);
        }
    } else if let Event::PaymentDisputed(of) = &fact.event {
        put(&["claim", popup, of.payment.as_str()]);
        for account in accounts(rules) {
            let (kind, name) = (account.provider.text(), account.name.as_str());
            put(&["object", kind, name, of.dispute.as_str()]);
        }
    } else if let Event::System(event) = &fact.event {
        keys_of_centre(event, &mut put);
    }
}

fn accounts(rules: &Rules) -> impl Iterator<Item = &AccountRules> {
    rules.accounts.iter().take(PAIRING_ACCOUNTS_MAX)
}

fn keys_of_centre(event: &SystemEvent, put: &mut dyn FnMut(&[&str])) {
    if let SystemEvent::ProviderObject(of) = event {
        if of.kind != ObjectKind::Payout.text() {
            keys_of_object(of, put);
        }
    } else if let SystemEvent::SettlementLine(of) = event {
        keys_of_line(of, put);
    } else if let SystemEvent::MatchAccepted(of) = event {
        put(&["claim", &of.popup, &of.claim]);
        put(&["object", &of.provider, &of.account, &of.object]);
    }
}

fn keys_of_object(of: &ProviderObject, put: &mut dyn FnMut(&[&str])) {
    let (kind, name) = (&*of.provider, &*of.account);
    let names = of.aliases.iter().take(16).chain([&of.object, &of.parent]);
    for id in names.filter(|id| !id.is_empty()) {
        put(&["object", kind, name, id]);
    }
    for stamp in of.stamps.iter().take(8) {
        put(&["ref", kind, name, stamp]);
        put(&["order", kind, name, stamp]);
    }
    if !of.order.is_empty() {
        put(&["order", kind, name, &of.order]);
    }
}

/// Whether a line is evaluated here; the others belong to their payout.
pub(super) fn takes(line: &SettlementLine) -> bool {
    match LineKind::from_text(&line.kind) {
        Some(LineKind::Payout | LineKind::PayoutReversal) => false,
        Some(LineKind::ReserveHold | LineKind::ReserveRelease) => true,
        Some(
            LineKind::Charge
            | LineKind::ChargeReversal
            | LineKind::Refund
            | LineKind::RefundReversal
            | LineKind::Dispute
            | LineKind::DisputeReversal
            | LineKind::Fee
            | LineKind::FeeTax
            | LineKind::Adjustment
            | LineKind::Transfer
            | LineKind::Other,
        )
        | None => !line.object.is_empty(),
    }
}

fn keys_of_line(of: &SettlementLine, put: &mut dyn FnMut(&[&str])) {
    if !takes(of) {
        return;
    }
    let (kind, name) = (&*of.provider, &*of.account);
    if matches!(
        LineKind::from_text(&of.kind),
        Some(LineKind::ReserveHold | LineKind::ReserveRelease)
    ) {
        put(&["reserve", kind, name, &of.currency]);
        return;
    }
    for id in [&of.object, &of.parent, &of.movement] {
        if !id.is_empty() {
            put(&["object", kind, name, id]);
        }
    }
    for stamp in of.stamps.iter().take(8) {
        put(&["ref", kind, name, stamp]);
        put(&["order", kind, name, stamp]);
    }
    if !of.order.is_empty() {
        put(&["order", kind, name, &of.order]);
    }
}

/// Evaluates claims, objects and lines that belong together.
pub(super) fn evaluate(group: &Group<'_>) -> Result<Outcome, EntryFault> {
    let parties = Parties::of(group.members, group.rules);
    let pairs = Pairs::of(&parties);
    let mut desk = Desk {
        rows: Vec::new(),
        stands: alloc::vec![Stands::Nowhere; parties.objects.len()],
        books: Vec::new(),
        troubled: BTreeSet::new(),
        troubled_objects: BTreeSet::new(),
        back: BTreeMap::new(),
        making: Making::default(),
        group,
        parties: &parties,
        pairs: &pairs,
    };
    desk.find_books();
    payments::evaluate(&mut desk)?;
    refunds::evaluate(&mut desk)?;
    disputes::evaluate(&mut desk)?;
    lines::evaluate(&mut desk)?;
    desk.name_objects();
    desk.tell_sales();
    Ok(desk.making.0)
}

/// Claims and objects of a group that nothing is paired with, for [`suggest`].
#[must_use]
pub fn open_ends(group: &Group<'_>) -> (Vec<OpenEnd>, Vec<OpenEnd>) {
    let parties = Parties::of(group.members, group.rules);
    let pairs = Pairs::of(&parties);
    let claims = (parties.claims.iter().enumerate())
        .filter(|(at, _)| pairs.of_claim[*at].is_none())
        .filter_map(|(_, claim)| {
            Some(OpenEnd {
                book: claim.fact.popup.to_string(),
                provider: claim.account?.provider.text().to_string(),
                account: claim.account?.name.clone(),
                id: claim.sale.payment.to_string(),
                currency: claim.sale.currency.to_string(),
                amount: claim.sale.amount.0,
                at_ms: claim.fact.occurred_ms,
            })
        });
    let objects = (parties.objects.iter().enumerate())
        .filter(|(_, one)| one.kind == ObjectKind::Payment)
        .filter(|(_, one)| matching::told(one) == Told::Success)
        .filter(|(of, _)| pairs.of_object[*of].is_none() && pairs.double_of[*of].is_none())
        .map(|(_, one)| OpenEnd {
            book: PopupId::account_book(&one.place.0, &one.place.1).to_string(),
            provider: one.place.0.clone(),
            account: one.place.1.clone(),
            id: one.id().to_string(),
            currency: one.currency.to_string(),
            amount: one.merged.object.amount,
            at_ms: one.at_ms(),
        });
    (claims.collect(), objects.collect())
}

/// Where the money of an object stands against 1200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Nothing was posted for it.
    Nowhere,
    /// It confirmed a claim, or explained a gap.
    Confirmed,
    /// It waits for its claim.
    Parked,
    /// It charged a buyer again.
    Double,
    /// Nobody claims it.
    Unclaimed,
}

/// One evaluation under way.
struct Desk<'d, 'a> {
    group: &'d Group<'a>,
    parties: &'d Parties<'d>,
    pairs: &'d Pairs,
    making: Making,
    /// By object: its book.
    books: Vec<PopupId>,
    /// By claim: its row.
    rows: Vec<Row>,
    /// By object.
    stands: Vec<Stands>,
    /// Facts on which a break of severity money is open.
    troubled: BTreeSet<FactId>,
    troubled_objects: BTreeSet<usize>,
    /// By claim: what went back without the till's telling it.
    back: BTreeMap<usize, Vec<Back>>,
}

impl Desk<'_, '_> {
    fn cause(&self, fact: FactId) -> FactId {
        GroupKey::cause_of(GroupKind::Pairing, fact)
    }

    /// Whether a timer is over; if not, the outcome is due when it is.
    fn is_over(&mut self, at_ms: i64) -> bool {
        self.making.due(at_ms, self.group.as_of_ms);
        self.group.as_of_ms >= at_ms
    }

    /// Names a break that concerns a fact.
    fn name(&mut self, fact: FactId, book: &PopupId, found: Break) {
        if found.severity == Severity::Money {
            self.troubled.insert(fact);
        }
        let cause = self.cause(fact);
        self.making.name(cause, book, found);
    }

    /// Names a break that concerns an object.
    fn name_of(&mut self, of: usize, found: Break) {
        if found.severity == Severity::Money {
            self.troubled_objects.insert(of);
        }
        let book = self.books[of].clone();
        let cause = self.cause(self.parties.objects[of].anchor);
        self.making.name(cause, &book, found);
    }

    fn post(
        &mut self,
        fact: FactId,
        book: &PopupId,
        rule: Rule,
        at_ms: i64,
        legs: Legs,
    ) -> Result<(), EntryFault> {
        let cause = self.cause(fact);
        self.making.post(cause, book, rule, at_ms, legs)
    }

    /// Payments first: a refund or dispute lies where its payment lies.
    fn find_books(&mut self) {
        let mut books = Vec::new();
        for (of, object) in self.parties.objects.iter().enumerate() {
            let claim = self.pairs.of_object[of].or(self.pairs.double_of[of]);
            let by_pair = match object.kind {
                ObjectKind::Payment => claim.map(|at| self.parties.claims[at].fact),
                ObjectKind::Refund => claim.map(|at| self.parties.asked[at].fact),
                ObjectKind::Dispute | ObjectKind::Payout => None,
            };
            // Payments sort before refunds and disputes, so their books are known.
            let by_parent = || object.parent.and_then(|at| books.get(at)).cloned();
            let by_tag = || {
                (object.merged.object.stamps.iter())
                    .find_map(|stamp| self.group.around.popup_of(stamp))
            };
            let book = (by_pair.map(|fact| fact.popup.clone()))
                .or_else(by_parent)
                .or_else(by_tag);
            let (provider, account) = &object.place;
            books.push(book.unwrap_or_else(|| PopupId::account_book(provider, account)));
        }
        self.books = books;
    }

    /// What an object shows by itself.
    fn name_objects(&mut self) {
        for (of, object) in self.parties.objects.iter().enumerate() {
            let keys = || object_keys(object);
            let what = what(object);
            if let Some(conflict) = object.merged.conflict {
                let sentence = alloc::format!(
                    "{} tells that {what} is {} and also that it is {}; the books follow the first.",
                    title(&object.place.0),
                    conflict.stands.text(),
                    conflict.against.text()
                );
                let found = Break::new(BreakClass::State, keys(), sentence);
                self.name_of(of, found.evident(object.names()));
            }
            if object.from_file {
                let sentence = alloc::format!(
                    "{} never sent a message about {what}; it is known from a file alone.",
                    title(&object.place.0)
                );
                let found = Break::new(BreakClass::WebhookGap, keys(), sentence);
                self.name_of(of, found.evident(object.names()));
            }
        }
    }

    /// Tells each sale what its shares depend on, and says which claims are reconciled. What no provider
    /// can check, such as cash, waits for none.
    fn tell_sales(&mut self) {
        let mut reconciled = BTreeSet::new();
        for (at, claim) in self.parties.claims.iter().enumerate() {
            let paired = self.pairs.of_claim[at];
            let troubled = self.troubled.contains(&claim.fact.id)
                || paired.is_some_and(|of| self.troubled_objects.contains(&of));
            if (paired.is_some() || claim.account.is_none()) && !troubled {
                reconciled.insert(claim.fact.id);
            }
            let mut back = self.back.remove(&at).unwrap_or_default();
            back.sort_unstable();
            let word = SaleWord {
                settled: paired.is_some_and(|of| self.is_paid_out(of)),
                troubled,
                lost: self.rows.get(at) == Some(&Row::OfflineDeclined),
                back,
            };
            if word != SaleWord::default() {
                let to = sale::key(&claim.fact.popup, claim.sale.payment.as_str());
                let cause = self.cause(claim.fact.id);
                self.making.tell(cause, "", to, word.encode());
            }
        }
        for (at, asked) in self.parties.asked.iter().enumerate() {
            let paired = self.pairs.of_asked[at];
            let troubled = self.troubled.contains(&asked.fact.id)
                || paired.is_some_and(|of| self.troubled_objects.contains(&of));
            let unchecked = asked.sale.is_some() && asked.account.is_none();
            if (paired.is_some() || unchecked) && !troubled {
                reconciled.insert(asked.fact.id);
            }
        }
        self.making.0.reconciled = reconciled.into_iter().collect();
    }

    /// Whether every line that settles a payment is in a payout.
    fn is_paid_out(&self, of: usize) -> bool {
        let mut charges = (self.parties.lines_of(of))
            .filter(|one| parties::moved(one.kind) == Some(ObjectKind::Payment))
            .peekable();
        charges.peek().is_some() && charges.all(|one| !one.line.payout.is_empty())
    }
}

/// The keys of a break about an object.
fn object_keys(object: &Object) -> Vec<String> {
    let (provider, account) = &object.place;
    [
        provider.clone(),
        account.clone(),
        object.kind.text().to_string(),
        object.id().to_string(),
    ]
    .into()
}

fn claim_keys(claim: &Claim<'_>) -> Vec<String> {
    [claim.fact.popup.to_string(), claim.sale.payment.to_string()].into()
}

/// An object in a sentence: `payment pi_1 of GBP 5.00`.
fn what(object: &Object) -> String {
    let amount = Money::new(object.merged.object.amount, object.currency);
    alloc::format!("{} {} of {amount}", object.kind.text(), object.id())
}

/// A provider's name as it begins a sentence.
pub(super) fn title(provider: &str) -> String {
    let mut letters = provider.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn money(currency: Currency) -> Commodity {
    Commodity::Money(currency)
}

fn plain(of: Chart) -> Account {
    Account::plain(of)
}

/// The suspense account of a break, and the break with this much in it, credit positive.
fn suspend(found: Break, currency: Currency, amount: i128) -> Result<(Account, Break), EntryFault> {
    let found = found.suspended(money(currency), fit(amount)?);
    let account = Account::of(Chart::Suspense, found.id.as_str());
    Ok((account, found))
}

#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the kinds it is about"
)]
mod tests;
