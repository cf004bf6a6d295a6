//! Groups: facts that are evaluated together because one can change what another means.
//!
//! ```text
//! fact ─► keys of groups ─► members of each touched group ─► evaluate ─► entries, breaks, words
//!                                     ▲                                                  │
//!                                     └──────────── words for other groups ◄─────────────┘
//! ```
//!
//! The store keeps which fact has which keys, and nothing else of the matter. When a fact comes,
//! changes or goes, it evaluates again every group that shares a key with it and makes books and
//! breaks exactly what comes out. A group reads its own members and the words that other groups
//! sent it, so one new fact costs what its groups hold, not what the ledger holds; and because
//! [`evaluate`] is a pure function of the members, doing it all again from nothing gives the same.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::breaks::{Break, BreakClass};
use super::entry::{Balanced, EntryFault, Rule};
use super::post::{Posted, StockContext, position_text};
use super::rules::Rules;
use super::{Account, Chart, Commodity, Fact, FactId, FieldHash};
use super::{cash, coop, orders, pairing, payout, rights, sale, shares, tokens};
use crate::event::Event;
use crate::event::commerce::Commerce;
use crate::event::system::SystemEvent;
use crate::id::{PopupId, RigId, Sku};
use crate::money::Currency;

/// What ties the facts of a group. Kinds are evaluated in this order: words go forward only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// Claims, provider objects and settlement lines of one payment. Transitive: facts that are
    /// joined by a chain of shared keys are one group.
    Pairing,
    /// Redemptions, issue and end of one token.
    Token,
    /// What a rig may sell of a SKU, and what it sold.
    Rights,
    /// Payouts, their lines' sums and bank lines. Transitive.
    Payout,
    /// A till's drawer in one currency of one popup.
    Cash,
    /// The captures of one order and how far it is on its way.
    Order,
    /// One payment with its refunds and disputes: what its creators get of it.
    Sale,
    /// The co-op pools of one popup.
    Coop,
    /// Held and available shares of one creator in one currency of one popup.
    Share,
    /// The lost ranges of one epoch of a rig. It has no facts as members: the store keeps what rigs
    /// state of lost ranges, and posts them ([`super::gap`]) when the words to this group change.
    Gap,
}

impl GroupKind {
    /// All kinds, in the order of evaluation.
    pub const ALL: [Self; 10] = [
        Self::Pairing,
        Self::Token,
        Self::Rights,
        Self::Payout,
        Self::Cash,
        Self::Order,
        Self::Sale,
        Self::Coop,
        Self::Share,
        Self::Gap,
    ];

    /// Its number in the store.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pairing => 1,
            Self::Token => 2,
            Self::Rights => 3,
            Self::Payout => 4,
            Self::Share => 5,
            Self::Coop => 6,
            Self::Cash => 7,
            Self::Order => 8,
            Self::Sale => 9,
            Self::Gap => 10,
        }
    }

    /// Whether facts that are joined by a chain of shared keys are one group, not only those that
    /// share a key.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        matches!(self, Self::Pairing | Self::Payout)
    }

    /// Finds a kind by its number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// One tie: a kind and a hash of what the facts share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// Of which kind.
    pub kind: GroupKind,
    /// Of what is shared.
    pub hash: [u8; 16],
}

impl GroupKey {
    /// The key of these parts.
    #[must_use]
    pub fn of(kind: GroupKind, parts: &[&str]) -> Self {
        let mut hash = FieldHash::new("popwatch.group.v1");
        hash.field(&[kind.number()]);
        for part in parts {
            hash.field(part.as_bytes());
        }
        Self {
            kind,
            hash: hash.finish(),
        }
    }

    /// The cause under which the group itself posts.
    #[must_use]
    pub fn cause(self) -> FactId {
        FactId::of("group", &[&[self.kind.number()], &self.hash])
    }

    /// The cause under which a group of this kind posts what concerns one fact.
    #[must_use]
    pub fn cause_of(kind: GroupKind, fact: FactId) -> FactId {
        FactId::of("group.of", &[&[kind.number()], &fact.0])
    }
}

/// A word from one group to another: what the other must know and cannot see in its own members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who says it: a cause of the speaking group. One word per cause, target and part.
    pub cause: FactId,
    /// Which word of that cause to that target.
    pub part: String,
    /// Whom it is for.
    pub to: GroupKey,
    /// What it says, in an encoding that speaker and listener share.
    pub bytes: Vec<u8>,
}

/// What an evaluation may ask beyond the members.
pub trait Surroundings {
    /// Shelves and rights.
    fn stock(&self) -> &dyn StockContext;
    /// The rig whose lost range holds the place a reference points to: the reference is a `pwr-` one
    /// whose anchor stands in or before a gap of its epoch that nothing explains yet.
    fn gap_at(&self, reference: &str) -> Option<crate::id::Position>;
    /// The popup whose tag a `pwr-` reference carries, among those the books know.
    fn popup_of(&self, reference: &str) -> Option<PopupId>;
    /// When a popup starts and ends, ms since 1970, where that was announced.
    fn window(&self, popup: &PopupId) -> Option<(i64, i64)>;
    /// When the records lane of a rig had last caught up, ms since 1970.
    fn caught_up_ms(&self, rig: &crate::id::RigId) -> Option<i64>;
    /// What stands on the accounts of one row of the chart in one book, all commodities or the given
    /// one, debit positive, ascending; without what the group `without` itself made stand there.
    /// What facts and earlier groups of this evaluation make is in it.
    fn balances(
        &self,
        without: GroupKey,
        book: &PopupId,
        of: Chart,
        commodity: Option<&Commodity>,
    ) -> Vec<(Account, Commodity, i128)>;
    /// What shelf counts of a SKU have put on the pool (R42 of K-COUNT), items of either sign.
    fn skew(&self, book: &PopupId, sku: &Sku) -> i128;
    /// What stands on a till's drawer, by facts that happened until then, debit positive.
    fn drawer(&self, book: &PopupId, rig: &RigId, currency: Currency, until_ms: i64) -> i128;
    /// When a till's drawer was counted last, ms since 1970.
    fn counted_ms(&self, book: &PopupId, rig: &RigId, currency: Currency) -> Option<i64>;
    /// The flash drops of a SKU, opened and closed, in canonical order.
    fn drops(&self, book: &PopupId, sku: &Sku) -> Vec<Rc<Fact>>;
    /// What the popup promises by its newest policy: greatest version, then canonical order.
    fn commerce(&self, book: &PopupId) -> Option<Rc<Commerce>>;
}

/// One group, ready to be evaluated.
pub struct Group<'a> {
    /// Its kind.
    pub kind: GroupKind,
    /// The key asked for; of a transitive group the least key of its members.
    pub key: GroupKey,
    /// Its facts in canonical order.
    pub members: &'a [Rc<Fact>],
    /// Words of other groups to it, ascending by cause and part.
    pub words: &'a [Word],
    /// Accounts and timers.
    pub rules: &'a Rules,
    /// The moment it is evaluated for, ms since 1970: timers run out by it.
    pub as_of_ms: i64,
    /// What else may be asked.
    pub around: &'a dyn Surroundings,
}

impl Group<'_> {
    /// When something that waits for its sale is an orphan: once its popup is over, or as long after
    /// it as settlement may take where nobody announced the popup.
    pub(super) fn orphan_ms(&self, fact: &Fact) -> i64 {
        let timers = &self.rules.timers;
        let window = self.around.window(&fact.popup);
        window.map_or(
            fact.occurred_ms.saturating_add(timers.settle_ms),
            |(_, ends_ms)| ends_ms.saturating_add(timers.after_ms),
        )
    }
}

/// What one cause makes in one book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// [`GroupKey::cause`] of the group, or [`GroupKey::cause_of`] of a member.
    pub cause: FactId,
    /// The book.
    pub book: PopupId,
    /// Entries and breaks. Each entry's `fact` is the cause.
    pub posted: Posted,
}

/// What an evaluation comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Entries and breaks by cause and book. A cause that is not here has none.
    pub made: Vec<Made>,
    /// Words for groups of later kinds.
    pub words: Vec<Word>,
    /// When time alone would change the outcome, ms since 1970.
    pub due_ms: Option<i64>,
    /// Claims that are matched with no money break on them.
    pub reconciled: Vec<FactId>,
}

/// The keys of a fact, at most [`crate::limits::GROUPS_OF_FACT_MAX`].
#[must_use]
pub fn keys_of(fact: &Fact, rules: &Rules) -> Vec<GroupKey> {
    let mut keys = Vec::new();
    pairing::keys(fact, rules, &mut keys);
    payout::keys(fact, &mut keys);
    tokens::keys(fact, &mut keys);
    rights::keys(fact, &mut keys);
    cash::keys(fact, &mut keys);
    orders::keys(fact, &mut keys);
    sale::keys(fact, &mut keys);
    shares::keys(fact, &mut keys);
    coop::keys(fact, &mut keys);
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether evaluating a group of this kind reads the fact. Other facts with its key only make the
/// group be looked at again; of those at most one needs to be among the members, and only where no
/// other is. So a till's drawer or a SKU costs what was counted or delivered, not what was sold.
#[must_use]
pub fn reads(kind: GroupKind, fact: &Fact) -> bool {
    match kind {
        GroupKind::Rights => rights::reads(fact),
        GroupKind::Cash => cash::reads(fact),
        GroupKind::Pairing
        | GroupKind::Token
        | GroupKind::Payout
        | GroupKind::Order
        | GroupKind::Sale
        | GroupKind::Share
        | GroupKind::Coop
        | GroupKind::Gap => true,
    }
}

/// Kinds of which every group in the fact's book is evaluated again when the fact comes, changes or
/// goes. These facts are rare. A policy record of a popup wakes [`GroupKind::Sale`] too.
#[must_use]
pub fn wakes(fact: &Fact) -> &'static [GroupKind] {
    match &fact.event {
        Event::DropOpened(_)
        | Event::DropClosed(_)
        | Event::System(SystemEvent::CashCounted(_)) => &[GroupKind::Sale],
        Event::System(_)
        | Event::CheckoutStarted(_)
        | Event::CheckoutCompleted(_)
        | Event::CheckoutAbandoned(_)
        | Event::PaymentAuthorized(_)
        | Event::PaymentCaptured(_)
        | Event::PaymentFailed(_)
        | Event::PaymentRefunded(_)
        | Event::PaymentDisputed(_)
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
        | Event::RigSampled(_) => &[],
    }
}

/// The group that asks for the sum of the account a leg stands on. When an entry is made or reversed
/// by a fact or by a group of an earlier kind, that group is evaluated again; one without members
/// needs nothing.
#[must_use]
pub fn stirs(book: &PopupId, account: &Account, commodity: &Commodity) -> Option<GroupKey> {
    let part = account.part.as_str();
    match (account.of, commodity) {
        (Chart::CashTill, Commodity::Money(currency)) => {
            Some(cash::key(book, part, currency.code()))
        }
        (
            Chart::CreatorHeld | Chart::CreatorAvailable | Chart::CreatorReceivable,
            Commodity::Money(currency),
        ) => Some(shares::key(book, part, currency.code())),
        (Chart::CoopPool, Commodity::Money(_)) => Some(coop::key(book)),
        (Chart::StockPool | Chart::StockRights, Commodity::Units(sku)) => {
            Some(rights::key(book, sku))
        }
        _ => None,
    }
}

/// An amount as a leg or a break holds it.
pub(super) fn fit(amount: i128) -> Result<i64, EntryFault> {
    i64::try_from(amount).map_err(|_| EntryFault::Overflow)
}

/// Evaluates one group. Pure; an amount beyond 64 bits becomes a break, never a wrong sum.
#[must_use]
pub fn evaluate(group: &Group<'_>) -> Outcome {
    let outcome = match group.kind {
        GroupKind::Pairing => pairing::evaluate(group),
        GroupKind::Payout => payout::evaluate(group),
        GroupKind::Token => tokens::evaluate(group),
        GroupKind::Rights => rights::evaluate(group),
        GroupKind::Cash => cash::evaluate(group),
        GroupKind::Order => orders::evaluate(group),
        GroupKind::Sale => sale::evaluate(group),
        GroupKind::Share => shares::evaluate(group),
        GroupKind::Coop => coop::evaluate(group),
        GroupKind::Gap => Ok(Outcome::default()),
    };
    outcome.unwrap_or_else(|_| beyond_bounds(group))
}

/// A group whose sums leave 64 bits makes nothing but this break.
fn beyond_bounds(group: &Group<'_>) -> Outcome {
    let Some(first) = group.members.first() else {
        return Outcome::default();
    };
    let keys = [first.popup.to_string(), super::hex(&group.key.hash)];
    let sentence = String::from(
        "Amounts that belong together are larger than books can hold; nothing was posted for them.",
    );
    let evidence = group.members.iter().map(|fact| position_text(fact));
    let named = Break::new(BreakClass::Poison, keys.into(), sentence).evident(evidence.collect());
    Outcome {
        made: [Made {
            cause: group.key.cause(),
            book: first.popup.clone(),
            posted: Posted {
                entries: Vec::new(),
                breaks: [named].into(),
            },
        }]
        .into(),
        ..Outcome::default()
    }
}

/// Collects what a group makes.
#[derive(Debug, Default)]
pub(super) struct Making(pub(super) Outcome);

impl Making {
    /// Where a cause posts in a book.
    pub(super) fn at(&mut self, cause: FactId, book: &PopupId) -> &mut Posted {
        let made = &mut self.0.made;
        let found = (made.iter()).position(|one| one.cause == cause && one.book == *book);
        let at = found.unwrap_or_else(|| {
            made.push(Made {
                cause,
                book: book.clone(),
                posted: Posted::default(),
            });
            made.len() - 1
        });
        &mut made[at].posted
    }

    /// Posts legs for a cause; nothing where they cancel out.
    pub(super) fn post(
        &mut self,
        cause: FactId,
        book: &PopupId,
        rule: Rule,
        occurred_ms: i64,
        legs: Vec<(Account, Commodity, i128)>,
    ) -> Result<(), EntryFault> {
        let entry = Balanced::new(cause, rule, occurred_ms, legs)?;
        if let Some(entry) = entry {
            self.at(cause, book).entries.push(entry);
        }
        Ok(())
    }

    /// Names a difference.
    pub(super) fn name(&mut self, cause: FactId, book: &PopupId, found: Break) {
        self.at(cause, book).breaks.push(found);
    }

    /// The outcome changes by itself at this moment, if it lies ahead.
    pub(super) fn due(&mut self, at_ms: i64, as_of_ms: i64) {
        if at_ms > as_of_ms {
            self.0.due_ms = Some(self.0.due_ms.map_or(at_ms, |due| due.min(at_ms)));
        }
    }

    /// Tells a group of a later kind.
    pub(super) fn tell(&mut self, cause: FactId, part: &str, to: GroupKey, bytes: Vec<u8>) {
        self.0.words.push(Word {
            cause,
            part: String::from(part),
            to,
            bytes,
        });
    }
}

/// The account, the commodity, the amount: debit positive.
pub(super) type Legs = Vec<(Account, Commodity, i128)>;
