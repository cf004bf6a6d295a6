//! Policies as rigs applied them: what a popup promised, by the record that a sale was taken under.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use popwatch_core::event::commerce::Commerce;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::{Epoch, PopupId, Position, RigId};
use popwatch_core::ledger::group::GroupKind;
use popwatch_core::ledger::post::Card;
use popwatch_core::ledger::{Fact, FactId};
use prost::Message as _;

use super::db::{Db, values};
use super::posting::Poster;
use super::rows::column;
use super::{BooksFault, groups};

/// Notes a policy that a rig applied. Facts that waited for it are posted again; what nobody knew of
/// the popup before wakes its groups.
pub(super) fn note(
    poster: &mut Poster<'_>,
    at: &Position,
    policy: &PopupPolicy,
    applied_ms: i64,
) -> Result<(), BooksFault> {
    let db = poster.db;
    let bytes = policy.encode_to_vec();
    let known: bool = db
        .one(
            "SELECT EXISTS (SELECT 1 FROM policies WHERE book = ?1 AND bytes = ?2)",
            values![policy.popup, bytes],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("look up a policy"))?;
    db.run(
        "INSERT INTO policies (book, rig, epoch, seq, version, applied_ms, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        values![
            policy.popup,
            at.rig.as_str(),
            at.epoch.0,
            column(at.seq.0),
            policy.version,
            applied_ms,
            bytes
        ],
    )
    .map_err(BooksFault::sql("note a policy"))?;
    let of_rig: Vec<FactId> = db
        .rows(
            "SELECT fact_id FROM records
             WHERE rig = ?1 AND epoch = ?2 AND book = ?3 AND fact_id IS NOT NULL",
            values![at.rig.as_str(), at.epoch.0, policy.popup],
            |row| Ok(FactId(row.get(0)?)),
        )
        .map_err(BooksFault::sql("read the facts of a policy"))?;
    for fact in of_rig {
        poster.again(fact);
    }
    if !known {
        for kind in GroupKind::ALL {
            groups::wake_book(poster, kind, &policy.popup)?;
        }
        lost_cards(poster, &policy.popup)?;
    }
    Ok(())
}

/// Facts of a popup whose own policy is not known stand on what the popup opened with.
fn lost_cards(poster: &mut Poster<'_>, book: &str) -> Result<(), BooksFault> {
    let facts: Vec<FactId> = poster
        .db
        .rows(
            "SELECT DISTINCT r.fact_id FROM rig_popups p
             JOIN records r ON r.rig = p.rig AND r.epoch = p.epoch AND r.book = p.book
             WHERE p.book = ?1 AND r.fact_id IS NOT NULL AND NOT EXISTS (
               SELECT 1 FROM policies q
               WHERE q.book = p.book AND q.rig = p.rig AND q.epoch = p.epoch)",
            values![book],
            |row| Ok(FactId(row.get(0)?)),
        )
        .map_err(BooksFault::sql("read the facts of a policy"))?;
    for fact in facts {
        poster.again(fact);
    }
    Ok(())
}

/// What popups promise, asked once each while a batch is posted: no policy comes then.
#[derive(Default)]
pub(super) struct Promises {
    cards: RefCell<BTreeMap<(PopupId, RigId, Epoch, u32), Card>>,
    newest: RefCell<BTreeMap<PopupId, Newest>>,
}

/// What is read of a popup's newest policy.
#[derive(Default, Clone)]
struct Newest {
    commerce: Option<Rc<Commerce>>,
    window: Option<(i64, i64)>,
}

impl Promises {
    /// What the popup promised when a fact was taken.
    pub(super) fn card(&self, db: &Db, fact: &Fact) -> Result<Card, BooksFault> {
        let at = &fact.position;
        let key = (
            fact.popup.clone(),
            at.rig.clone(),
            at.epoch,
            fact.policy_version,
        );
        if let Some(known) = self.cards.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = card(db, fact)?;
        self.cards.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    /// What a popup promises by its newest policy.
    pub(super) fn commerce(
        &self,
        db: &Db,
        book: &PopupId,
    ) -> Result<Option<Rc<Commerce>>, BooksFault> {
        Ok(self.newest(db, book)?.commerce)
    }

    /// When a popup starts and ends by its newest policy, ms since 1970.
    pub(super) fn window(&self, db: &Db, book: &PopupId) -> Result<Option<(i64, i64)>, BooksFault> {
        Ok(self.newest(db, book)?.window)
    }

    fn newest(&self, db: &Db, book: &PopupId) -> Result<Newest, BooksFault> {
        if let Some(known) = self.newest.borrow().get(book) {
            return Ok(known.clone());
        }
        let policy = newest(db, book)?;
        let window = policy.as_ref().map(|of| (of.starts_ms, of.ends_ms));
        let found = Newest {
            window: window.filter(|(starts_ms, ends_ms)| starts_ms < ends_ms),
            commerce: policy.and_then(|policy| policy.commerce).map(Rc::new),
        };
        let mut all = self.newest.borrow_mut();
        all.insert(book.clone(), found.clone());
        Ok(found)
    }
}

/// What the popup promised when a fact was taken.
pub(super) fn card(db: &Db, fact: &Fact) -> Result<Card, BooksFault> {
    if fact.policy_version == 0 {
        return Ok(Card::None);
    }
    let at = &fact.position;
    let own = db
        .rows(
            "SELECT bytes FROM policies
             WHERE book = ?1 AND rig = ?2 AND epoch = ?3 AND version = ?4
             GROUP BY bytes ORDER BY MIN(seq)",
            values![
                fact.popup.as_str(),
                at.rig.as_str(),
                at.epoch.0,
                fact.policy_version
            ],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a policy"))?;
    if let Some(own) = foremost(own)? {
        return Ok(own
            .commerce
            .map_or(Card::None, |of| Card::Known(Rc::new(of))));
    }
    let opening = db
        .row(
            "SELECT bytes FROM policies WHERE book = ?1
             ORDER BY version, applied_ms, rig, epoch, seq LIMIT 1",
            values![fact.popup.as_str()],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a policy"))?;
    Ok(match read(opening)? {
        Some(policy) => policy
            .commerce
            .map_or(Card::None, |of| Card::Opening(Rc::new(of))),
        None => Card::Lost,
    })
}

fn newest(db: &Db, book: &PopupId) -> Result<Option<PopupPolicy>, BooksFault> {
    let found = db
        .rows(
            "SELECT bytes FROM policies
             WHERE book = ?1 AND version = (SELECT MAX(version) FROM policies WHERE book = ?1)
             GROUP BY bytes ORDER BY MIN(applied_ms), MIN(rig), MIN(epoch), MIN(seq)",
            values![book.as_str()],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("read a policy"))?;
    foremost(found)
}

/// Of policies of one version: the first that somebody signed, else the first.
fn foremost(found: Vec<Vec<u8>>) -> Result<Option<PopupPolicy>, BooksFault> {
    let mut first: Option<PopupPolicy> = None;
    for bytes in found {
        let next = read(Some(bytes))?;
        let (was, is) = (first.as_ref(), next.as_ref());
        if is.map(PopupPolicy::rank) > was.map(PopupPolicy::rank) {
            first = next;
        }
    }
    Ok(first)
}

fn read(bytes: Option<Vec<u8>>) -> Result<Option<PopupPolicy>, BooksFault> {
    bytes
        .map(|bytes| PopupPolicy::decode(&bytes[..]))
        .transpose()
        .map_err(|_| BooksFault::Damaged("policy"))
}
