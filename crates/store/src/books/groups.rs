//! The group engine: facts that share a key, evaluated together whenever one of them changes.
//!
//! ```text
//! fact comes, changes, goes ─► its keys dirty ─► per kind: gather ─► evaluate ─► settle ─► words
//!                                  ▲                                                   │
//!                                  └──────────── groups of later kinds ◄───────────────┘
//! ```
//!
//! What always holds after a commit: every group stands as its pure evaluation of its members, the
//! words to it and the moment as of which the books stand; what an earlier evaluation made and this
//! one does not is reversed. A kind is gathered and evaluated whole before any of it is settled, so
//! a cause that moves from one group to another is never taken back after it was posted.

mod around;
pub(super) mod claims;
mod looked;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popwatch_core::id::PopupId;
use popwatch_core::ledger::breaks::{Break, BreakClass};
use popwatch_core::ledger::group::{
    self, Group, GroupKey, GroupKind, Made, Outcome, Word, keys_of, reads, wakes,
};
use popwatch_core::ledger::post::{self, Posted};
use popwatch_core::ledger::{Account, Chart, Commodity, Fact, FactId, hex};
use popwatch_core::limits::GROUP_FACTS_MAX;

use super::db::values;
use super::posting::Poster;
use super::rows::column;
use super::tables::{GROUP_ASKS, GROUP_MEMBERS, GROUP_STATES};
use super::{BooksFault, gaps};
use around::Around;
pub(super) use around::POPUPS;
pub(super) use looked::look;

type Hash = [u8; 16];

/// Marks the group that reads this account's sum, for it has changed.
pub(super) fn stir(marks: &mut Marks, book: &str, account: &Account, commodity: &Commodity) {
    if let Ok(book) = PopupId::of_book(book)
        && let Some(key) = group::stirs(&book, account, commodity)
    {
        marks.mark(key);
    }
}

/// What of the groups a batch has touched.
#[derive(Default)]
pub(super) struct Marks {
    /// To be evaluated, by place of the kind in the order of evaluation.
    dirty: BTreeMap<usize, BTreeSet<Hash>>,
    /// New members that are not stored yet.
    joined: BTreeMap<(u8, Hash), BTreeSet<(bool, FactId)>>,
    /// Groups that a fact left in this batch: something may stand for them.
    left: BTreeSet<(u8, Hash)>,
    /// Keys that no stored fact has, of those that were asked for all at once.
    free: BTreeSet<(u8, Hash)>,
    /// Whether anybody ever said a word to a group of this kind.
    spoken: BTreeMap<u8, bool>,
}

/// A group brought together: who belongs to it and what stood for it.
struct Gathered {
    key: GroupKey,
    members: Vec<Rc<Fact>>,
    /// Every key its members share it by.
    hashes: BTreeSet<Hash>,
    /// Rows of states that stood under these keys.
    stood: Vec<Hash>,
    /// More facts than may be evaluated together.
    beyond: bool,
}

fn place(kind: GroupKind) -> usize {
    let same = |one: &GroupKind| *one == kind;
    GroupKind::ALL.iter().position(same).unwrap_or_default()
}

impl Marks {
    /// Notes that a group must be evaluated.
    pub(super) fn mark(&mut self, key: GroupKey) {
        self.dirty
            .entry(place(key.kind))
            .or_default()
            .insert(key.hash);
    }

    /// Forgets what is marked.
    pub(super) fn clear(&mut self) {
        self.dirty.clear();
    }
}

/// A fact states something now: it joins its groups.
pub(super) fn join(poster: &mut Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    for key in keys_of(fact, &poster.terms.rules) {
        let idle = !reads(key.kind, fact);
        poster.marks.mark(key);
        let members = (poster.marks.joined).entry((key.kind.number(), key.hash));
        members.or_default().insert((idle, fact.id));
    }
    wake(poster, fact)
}

/// A record no longer states a fact, or may not: it leaves its groups.
pub(super) fn leave(poster: &mut Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    for key in keys_of(fact, &poster.terms.rules) {
        poster.marks.mark(key);
        let at = (key.kind.number(), key.hash);
        if let Some(members) = poster.marks.joined.get_mut(&at) {
            members.retain(|(_, id)| *id != fact.id);
        }
        poster.marks.left.insert(at);
        poster
            .db
            .run(
                "DELETE FROM group_members
                 WHERE kind = ?1 AND hash = ?2 AND idle IN (0, 1) AND fact_id = ?3",
                values![at.0, key.hash, fact.id.0],
            )
            .map_err(BooksFault::sql("leave a group"))?;
    }
    stand_in(poster, fact)?;
    claims::forget(poster, fact)?;
    wake(poster, fact)
}

/// What a fact that leaves alone stood for, another that speaks of the same SKU stands for.
fn stand_in(poster: &mut Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    let shelf = Account::plain(Chart::StockPool);
    for sku in post::skus(fact) {
        let key = group::stirs(&fact.popup, &shelf, &Commodity::Units(sku.clone()));
        let Some(key) = key else { continue };
        let others: Vec<FactId> = poster
            .db
            .rows(
                "SELECT fact_id FROM stock_lines
                 WHERE book = ?1 AND sku = ?2 AND fact_id <> ?3 LIMIT 1",
                values![fact.popup.as_str(), sku.as_str(), fact.id.0],
                |row| Ok(FactId(row.get(0)?)),
            )
            .map_err(BooksFault::sql("read stock lines"))?;
        for other in others {
            let idle = match poster.fact(other)? {
                Some(other) => !reads(GroupKind::Rights, &other),
                None => continue,
            };
            let members = (poster.marks.joined).entry((key.kind.number(), key.hash));
            members.or_default().insert((idle, other));
        }
    }
    Ok(())
}

fn wake(poster: &mut Poster<'_>, fact: &Fact) -> Result<(), BooksFault> {
    for kind in wakes(fact) {
        wake_book(poster, *kind, fact.popup.as_str())?;
    }
    Ok(())
}

/// Marks every group of a kind with a member in this book.
pub(super) fn wake_book(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    book: &str,
) -> Result<(), BooksFault> {
    let hashes: Vec<Hash> = poster
        .db
        .rows(
            "SELECT DISTINCT m.hash FROM group_members m JOIN facts f ON f.fact_id = m.fact_id
             WHERE m.kind = ?1 AND f.book = ?2",
            values![kind.number(), book],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("list groups"))?;
    for hash in hashes {
        poster.marks.mark(GroupKey { kind, hash });
    }
    Ok(())
}

/// Marks the groups that asked about something which has changed.
pub(super) fn answer(poster: &mut Poster<'_>, topic: &str) -> Result<(), BooksFault> {
    let asked: Vec<(u8, Hash)> = poster
        .db
        .rows(
            "SELECT kind, hash FROM group_asks WHERE topic = ?1",
            values![topic],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(BooksFault::sql("read who asked"))?;
    if asked.is_empty() {
        return Ok(());
    }
    poster
        .db
        .run("DELETE FROM group_asks WHERE topic = ?1", values![topic])
        .map_err(BooksFault::sql("forget who asked"))?;
    for (kind, hash) in asked {
        if let Some(kind) = GroupKind::from_number(kind) {
            poster.marks.mark(GroupKey { kind, hash });
        }
    }
    Ok(())
}

/// Evaluates everything marked, kind by kind, and makes the books what comes out.
pub(super) fn evaluate(poster: &mut Poster<'_>) -> Result<(), BooksFault> {
    for (at, kind) in GroupKind::ALL.into_iter().enumerate() {
        let dirty = poster.marks.dirty.remove(&at).unwrap_or_default();
        if kind == GroupKind::Gap {
            // They have no facts as members, but what rigs stated.
            gaps::told(poster, &dirty)?;
        } else if !dirty.is_empty() {
            evaluate_kind(poster, kind, dirty)?;
        }
    }
    // Words go forward, so nothing is left.
    poster.marks.dirty.clear();
    Ok(())
}

fn evaluate_kind(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    dirty: BTreeSet<Hash>,
) -> Result<(), BooksFault> {
    let mut seen: BTreeSet<Hash> = BTreeSet::new();
    let mut before: BTreeSet<FactId> = BTreeSet::new();
    let mut done: Vec<(Gathered, Outcome)> = Vec::new();
    foresee(poster, kind, &dirty)?;
    for hash in dirty {
        if seen.contains(&hash) {
            continue;
        }
        let (mut gathered, virgin) = gather(poster, GroupKey { kind, hash })?;
        seen.extend(&gathered.hashes);
        if !virgin {
            for hash in gathered.hashes.clone() {
                if let Some(causes) = state(poster, kind, hash)? {
                    before.extend(causes);
                    gathered.stood.push(hash);
                }
            }
        }
        let outcome = outcome(poster, &gathered)?;
        done.push((gathered, outcome));
    }
    let mut now: BTreeSet<FactId> = BTreeSet::new();
    for (gathered, outcome) in &done {
        for cause in causes_of(outcome) {
            now.insert(cause);
        }
        settle(poster, outcome, &before)?;
        told::say(poster, kind, outcome, &before)?;
        store(poster, gathered, outcome)?;
        claims::note(poster, gathered, outcome)?;
    }
    for gone in before.difference(&now) {
        poster.settle_in(*gone, &[], false)?;
        told::unsay(poster, *gone)?;
    }
    Ok(())
}

/// The words to a group that the store itself listens for.
pub(super) fn words_to(poster: &mut Poster<'_>, to: GroupKey) -> Result<Vec<Word>, BooksFault> {
    told::words(poster, to.kind, &BTreeSet::from([to.hash]))
}

/// Brings a group together; and whether nothing of it was ever stored.
fn gather(poster: &mut Poster<'_>, key: GroupKey) -> Result<(Gathered, bool), BooksFault> {
    let mut gathered = Gathered {
        key,
        members: Vec::new(),
        hashes: BTreeSet::from([key.hash]),
        stood: Vec::new(),
        beyond: false,
    };
    let mut virgin = true;
    let mut known: BTreeSet<FactId> = BTreeSet::new();
    let mut ask = vec![key.hash];
    while let Some(hash) = ask.pop() {
        let (ids, held) = members(poster, key.kind, hash)?;
        virgin &= !held && !poster.marks.left.contains(&(key.kind.number(), hash));
        for id in ids {
            if !known.insert(id) {
                continue;
            }
            if known.len() > GROUP_FACTS_MAX {
                gathered.beyond = true;
                break;
            }
            let Some(fact) = poster.fact(id)? else {
                continue;
            };
            if key.kind.is_transitive() {
                for other in keys_of(&fact, &poster.terms.rules) {
                    if other.kind == key.kind && gathered.hashes.insert(other.hash) {
                        ask.push(other.hash);
                    }
                }
            }
            gathered.members.push(fact);
        }
    }
    gathered.members.sort_by(|a, b| a.order().cmp(&b.order()));
    let least = gathered.hashes.first().copied().unwrap_or(key.hash);
    gathered.key.hash = least;
    // A key that its last member left may still have a state.
    virgin &= !gathered.members.is_empty();
    Ok((gathered, virgin))
}

/// Looks up all at once which of these keys, and of those that new facts bring, no stored fact has. Not
/// for kinds whose keys idle facts share by the thousand.
fn foresee(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    dirty: &BTreeSet<Hash>,
) -> Result<(), BooksFault> {
    if has_idle(kind) {
        return Ok(());
    }
    let number = kind.number();
    let of_kind = (number, [0; 16])..=(number, [0xff; 16]);
    let brought = poster.marks.joined.range(of_kind).map(|(key, _)| key.1);
    let all: BTreeSet<Hash> = dirty.iter().copied().chain(brought).collect();
    let found = poster
        .db
        .known(
            "SELECT DISTINCT hash FROM group_members WHERE hash = ?1 AND kind = ?2",
            &all,
            values![number],
        )
        .map_err(BooksFault::sql("look up groups"))?;
    let free = all.difference(&found).map(|hash| (number, *hash));
    poster.marks.free.extend(free);
    Ok(())
}

/// Whether evaluating a group of this kind leaves some facts with its key unread.
fn has_idle(kind: GroupKind) -> bool {
    matches!(kind, GroupKind::Rights | GroupKind::Cash)
}

/// The facts with a key that are read, at most one more than may be evaluated, or one that is not where
/// none is; new ones are stored. And whether any was stored before.
fn members(
    poster: &mut Poster<'_>,
    kind: GroupKind,
    hash: Hash,
) -> Result<(Vec<FactId>, bool), BooksFault> {
    let key = (kind.number(), hash);
    let mut read = BTreeSet::new();
    let mut idle = BTreeSet::new();
    if !poster.marks.free.remove(&key) {
        read = stored(poster, key, false, GROUP_FACTS_MAX as u64 + 1)?;
        if read.is_empty() && has_idle(kind) {
            idle = stored(poster, key, true, 1)?;
        }
    }
    let mut held = !read.is_empty() || !idle.is_empty();
    let was_held = held;
    for (is_idle, id) in poster.marks.joined.remove(&key).unwrap_or_default() {
        let of = if is_idle { &mut idle } else { &mut read };
        of.insert(id);
        if is_idle && held && kind == GroupKind::Rights {
            continue;
        }
        held = true;
        poster
            .db
            .put(
                &GROUP_MEMBERS,
                values![key.0, hash, i64::from(is_idle), id.0],
            )
            .map_err(BooksFault::sql("join a group"))?;
    }
    let ids = match read.is_empty() {
        true => idle.into_iter().take(1).collect(),
        false => read.into_iter().collect(),
    };
    Ok((ids, was_held))
}

fn stored(
    poster: &Poster<'_>,
    (kind, hash): (u8, Hash),
    idle: bool,
    most: u64,
) -> Result<BTreeSet<FactId>, BooksFault> {
    let found = poster
        .db
        .rows(
            "SELECT fact_id FROM group_members WHERE kind = ?1 AND hash = ?2 AND idle = ?3
             ORDER BY fact_id LIMIT ?4",
            values![kind, hash, i64::from(idle), column(most)],
            |row| Ok(FactId(row.get(0)?)),
        )
        .map_err(BooksFault::sql("read a group"))?;
    Ok(found.into_iter().collect())
}

fn state(
    poster: &Poster<'_>,
    kind: GroupKind,
    hash: Hash,
) -> Result<Option<Vec<FactId>>, BooksFault> {
    let found: Option<Vec<u8>> = poster
        .db
        .row(
            "SELECT causes FROM group_states WHERE kind = ?1 AND hash = ?2",
            values![kind.number(), hash],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a group's state"))?;
    Ok(found.map(|bytes| {
        let (causes, _) = bytes.as_chunks::<16>();
        causes.iter().map(|cause| FactId(*cause)).collect()
    }))
}

fn outcome(poster: &mut Poster<'_>, gathered: &Gathered) -> Result<Outcome, BooksFault> {
    if gathered.members.is_empty() {
        return Ok(Outcome::default());
    }
    if gathered.beyond {
        return Ok(beyond(gathered));
    }
    let words = told::words(poster, gathered.key.kind, &gathered.hashes)?;
    let around = Around::new(poster, gathered.key.kind, &gathered.hashes);
    let outcome = group::evaluate(&Group {
        kind: gathered.key.kind,
        key: gathered.key,
        members: &gathered.members,
        words: &words,
        rules: &poster.terms.rules,
        as_of_ms: poster.as_of_ms,
        around: &around,
    });
    let asked = around.finish()?;
    for topic in asked {
        poster
            .db
            .put(
                &GROUP_ASKS,
                values![topic, gathered.key.kind.number(), gathered.key.hash],
            )
            .map_err(BooksFault::sql("note who asks"))?;
    }
    Ok(outcome)
}

/// A group of more facts than may be evaluated together makes nothing but this break.
fn beyond(gathered: &Gathered) -> Outcome {
    let Some(first) = gathered.members.first() else {
        return Outcome::default();
    };
    let keys = [
        first.popup.to_string(),
        "group".to_string(),
        hex(&gathered.key.hash),
    ];
    let sentence = format!(
        "More than {GROUP_FACTS_MAX} payments, lines or moves share one key; they were not compared."
    );
    let named = Break::new(BreakClass::Poison, keys.into(), sentence)
        .evident([popwatch_core::ledger::post::position_text(first)].into());
    Outcome {
        made: [Made {
            cause: gathered.key.cause(),
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

fn causes_of(outcome: &Outcome) -> BTreeSet<FactId> {
    let made = outcome.made.iter().map(|made| made.cause);
    let said = outcome.words.iter().map(|word| word.cause);
    made.chain(said).collect()
}

/// Makes entries and breaks of every cause what it made, in however many books.
fn settle(
    poster: &mut Poster<'_>,
    outcome: &Outcome,
    before: &BTreeSet<FactId>,
) -> Result<(), BooksFault> {
    let mut by_cause: BTreeMap<FactId, Vec<(&str, &Posted)>> = BTreeMap::new();
    for cause in causes_of(outcome) {
        by_cause.entry(cause).or_default();
    }
    for made in &outcome.made {
        let of = by_cause.entry(made.cause).or_default();
        of.push((made.book.as_str(), &made.posted));
    }
    for (cause, made) in by_cause {
        let fresh = !before.contains(&cause);
        if !fresh || !made.is_empty() {
            poster.settle_in(cause, &made, fresh)?;
        }
    }
    Ok(())
}

/// Remembers what a group stands for, under its key alone.
fn store(poster: &Poster<'_>, gathered: &Gathered, outcome: &Outcome) -> Result<(), BooksFault> {
    let kind = gathered.key.kind.number();
    let causes = causes_of(outcome);
    // A moment that has passed would be asked for for ever.
    let due_ms = outcome.due_ms.filter(|due| *due > poster.as_of_ms);
    let empty = causes.is_empty() && due_ms.is_none();
    for hash in &gathered.stood {
        if empty || *hash != gathered.key.hash {
            poster
                .db
                .run(
                    "DELETE FROM group_states WHERE kind = ?1 AND hash = ?2",
                    values![kind, *hash],
                )
                .map_err(BooksFault::sql("forget a group's state"))?;
        }
    }
    if empty {
        return Ok(());
    }
    let bytes: Vec<u8> = causes.iter().flat_map(|cause| cause.0).collect();
    poster
        .db
        .put(
            &GROUP_STATES,
            values![kind, gathered.key.hash, due_ms, bytes],
        )
        .map_err(BooksFault::sql("write a group's state"))
}

/// Marks up to so many groups whose moment has come; how many.
pub(super) fn due(poster: &mut Poster<'_>, most: usize) -> Result<usize, BooksFault> {
    let due: Vec<(u8, Hash)> = poster
        .db
        .rows(
            "SELECT kind, hash FROM group_states WHERE due_ms IS NOT NULL AND due_ms <= ?1
             ORDER BY due_ms LIMIT ?2",
            values![poster.as_of_ms, column(most as u64)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(BooksFault::sql("read what is due"))?;
    for (kind, hash) in &due {
        let kind = GroupKind::from_number(*kind).ok_or(BooksFault::Damaged("kind of group"))?;
        poster.marks.mark(GroupKey { kind, hash: *hash });
    }
    Ok(due.len())
}
