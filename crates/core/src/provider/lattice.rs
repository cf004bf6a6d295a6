//! What an object is, from all that was told of it, in whatever order it came.
//!
//! Each state has a place in the order of its kind, and the merged object stands at the least upper
//! bound of all states told. So a merge knows neither order nor repeats: it is a function of the set
//! of tellings. Two states that exclude each other end at the one that moved money, and are named.
//!
//! ```text
//! payment  created < declined < authorised < captured < capture_failed
//!                               authorised < voided < expired            conflict: with captured
//! refund   requested < pending < succeeded < failed
//!                      pending < canceled                                conflict: with succeeded
//! dispute  inquiry < open < won, lost; open after won or lost is the next round
//!                                                                        conflict: won and lost
//! payout   created < in_transit < canceled < paid < failed
//! ```

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use prost::Message as _;

use super::{ObjectKind, ObjectState};
use crate::event::central::ProviderObject;

/// Two states of one object that exclude each other (`P-STATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conflict {
    /// The state the merged object has.
    pub stands: ObjectState,
    /// The state that was told too.
    pub against: ObjectState,
}

/// All tellings of one object, as one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merged {
    /// The least upper bound. Amounts are those of the telling with the greatest state, version and
    /// amount; aliases and stamps are those of all, ascending; what that telling leaves open is
    /// taken from the greatest that says it.
    pub object: ProviderObject,
    /// Two states that exclude each other.
    pub conflict: Option<Conflict>,
    /// All states told, ascending.
    pub seen: Vec<ObjectState>,
    /// Of a dispute: which round this is, from 1. Of others 1.
    pub round: u32,
}

impl Merged {
    /// The state, when its name is one.
    #[must_use]
    pub fn state(&self) -> Option<ObjectState> {
        ObjectState::from_text(&self.object.state)
    }

    /// Whether this state was ever told.
    #[must_use]
    pub fn was(&self, state: ObjectState) -> bool {
        self.seen.contains(&state)
    }
}

/// Merges tellings of one object: same provider, account and kind, and the same id or alias. Of none
/// it is the empty object.
#[must_use]
pub fn merge(tellings: &[&ProviderObject]) -> Merged {
    let mut told: Vec<Telling<'_>> = tellings.iter().map(|one| Telling::of(one)).collect();
    told.sort_unstable();
    told.dedup();
    let seen: BTreeSet<ObjectState> = told.iter().filter_map(|one| one.state).collect();
    let is_dispute = told.iter().any(|one| one.kind == Some(ObjectKind::Dispute));
    let (round, last) = if is_dispute {
        last_round(&told)
    } else {
        (1, told.clone())
    };
    let conflict = if is_dispute {
        let states = last.iter().filter_map(|one| one.state).collect();
        conflict_of(&states)
    } else {
        conflict_of(&seen)
    };
    let newest = match conflict {
        // Of a won and lost dispute the provider's newer word stands.
        Some(_) if is_dispute => last
            .iter()
            .filter(|one| matches!(one.state, Some(ObjectState::Won | ObjectState::Lost)))
            .max_by(|a, b| a.by_version(b)),
        Some(_) | None => last.iter().max(),
    };
    let Some(newest) = newest else {
        return Merged::default();
    };
    let conflict = conflict.map(|conflict| match newest.state {
        Some(state) if state == conflict.against => Conflict {
            stands: conflict.against,
            against: conflict.stands,
        },
        Some(_) | None => conflict,
    });
    Merged {
        object: gather(newest, &told),
        conflict,
        seen: seen.into_iter().collect(),
        round,
    }
}

/// The place of a state in the order of its kind; `None` for a state the kind cannot have.
#[must_use]
pub const fn rank(kind: ObjectKind, state: ObjectState) -> Option<u8> {
    use ObjectKind::{Dispute, Payment, Payout, Refund};
    Some(match (kind, state) {
        (Payment | Payout, ObjectState::Created)
        | (Refund, ObjectState::Requested)
        | (Dispute, ObjectState::Inquiry) => 1,
        (Payment, ObjectState::Declined)
        | (Refund, ObjectState::Pending)
        | (Dispute, ObjectState::Open)
        | (Payout, ObjectState::InTransit) => 2,
        (Payment, ObjectState::Authorised)
        | (Refund | Payout, ObjectState::Canceled)
        | (Dispute, ObjectState::Won | ObjectState::Lost) => 3,
        (Payment, ObjectState::Voided)
        | (Refund, ObjectState::Succeeded)
        | (Payout, ObjectState::Paid) => 4,
        (Payment, ObjectState::Expired) | (Refund | Payout, ObjectState::Failed) => 5,
        (Payment, ObjectState::Captured) => 6,
        (Payment, ObjectState::CaptureFailed) => 7,
        (Payment | Refund | Dispute | Payout, _) => return None,
    })
}

/// A telling with its place in the order; greater is more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Telling<'a> {
    kind: Option<ObjectKind>,
    state: Option<ObjectState>,
    rank: u8,
    bytes: Vec<u8>,
    object: &'a ProviderObject,
}

impl<'a> Telling<'a> {
    fn of(object: &'a ProviderObject) -> Self {
        let kind = ObjectKind::from_text(&object.kind);
        let state = ObjectState::from_text(&object.state);
        let rank = kind
            .zip(state)
            .and_then(|(kind, state)| rank(kind, state))
            .unwrap_or(0);
        Self {
            kind,
            state,
            rank,
            bytes: object.encode_to_vec(),
            object,
        }
    }

    fn by_version(&self, other: &Self) -> Ordering {
        (self.object.version, self).cmp(&(other.object.version, other))
    }
}

impl PartialOrd for Telling<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Telling<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |one: &Self| (one.rank, one.object.version, one.object.amount);
        // Bytes last: equal tellings are one, and different ones never tie.
        key(self)
            .cmp(&key(other))
            .then_with(|| self.bytes.cmp(&other.bytes))
    }
}

/// The tellings of a dispute's last round, ascending, and its number. Rounds are told apart by the
/// provider's versions, so the order of arrival does not matter.
fn last_round<'a>(told: &[Telling<'a>]) -> (u32, Vec<Telling<'a>>) {
    let mut by_version = told.to_vec();
    by_version.sort_unstable_by(|a, b| a.object.version.cmp(&b.object.version).then(a.cmp(b)));
    let (mut round, mut last) = (1u32, Vec::<Telling<'a>>::new());
    for one in by_version {
        let decided = last.iter().any(|earlier| earlier.rank == 3);
        if decided && one.state == Some(ObjectState::Open) {
            round = round.saturating_add(1);
            last.clear();
        }
        last.push(one);
    }
    last.sort_unstable();
    (round, last)
}

fn conflict_of(seen: &BTreeSet<ObjectState>) -> Option<Conflict> {
    const EXCLUDE: [(ObjectState, ObjectState); 6] = [
        (ObjectState::CaptureFailed, ObjectState::Voided),
        (ObjectState::CaptureFailed, ObjectState::Expired),
        (ObjectState::Captured, ObjectState::Voided),
        (ObjectState::Captured, ObjectState::Expired),
        (ObjectState::Succeeded, ObjectState::Canceled),
        (ObjectState::Won, ObjectState::Lost),
    ];
    EXCLUDE
        .into_iter()
        .find(|(stands, against)| seen.contains(stands) && seen.contains(against))
        .map(|(stands, against)| Conflict { stands, against })
}

/// The newest telling, completed from all.
fn gather(newest: &Telling<'_>, told: &[Telling<'_>]) -> ProviderObject {
    let mut object = newest.object.clone();
    let all = || told.iter().map(|one| one.object);
    if let Some(least) = all().map(|one| &one.object).min() {
        object.object.clone_from(least);
    }
    let names: BTreeSet<&String> = all()
        .flat_map(|one| one.aliases.iter().chain([&one.object]))
        .filter(|name| **name != object.object && !name.is_empty())
        .collect();
    object.aliases = names.into_iter().cloned().collect();
    let stamps: BTreeSet<&String> = all().flat_map(|one| &one.stamps).collect();
    object.stamps = stamps.into_iter().cloned().collect();

    // From the greatest down: what is still open takes the first that says it.
    for one in told.iter().rev().map(|one| one.object) {
        let same_state = one.state == object.state && one.currency == object.currency;
        fill(&mut object.parent, &one.parent);
        fill(&mut object.order, &one.order);
        fill(&mut object.payout, &one.payout);
        fill(&mut object.trace, &one.trace);
        fill(&mut object.currency, &one.currency);
        object.fee = object.fee.or(one.fee.filter(|_| same_state));
        if object.tip == 0 && same_state {
            object.tip = one.tip;
        }
        if object.authorised == 0 && one.currency == object.currency {
            object.authorised = one.authorised;
        }
    }
    object.created_ms = earliest(all().map(|one| one.created_ms));
    object.stored_ms = earliest(all().map(|one| one.stored_ms));
    object.offline = all().any(|one| one.offline);
    object.unwindowed = all().all(|one| one.unwindowed);
    object.from_file = all().all(|one| one.from_file);
    object
}

fn fill(open: &mut String, said: &str) {
    if open.is_empty() {
        open.push_str(said);
    }
}

/// The least that is not 0; 0 when none is.
fn earliest(times: impl Iterator<Item = i64>) -> i64 {
    times.filter(|ms| *ms != 0).min().unwrap_or(0)
}

#[cfg(test)]
mod tests;
