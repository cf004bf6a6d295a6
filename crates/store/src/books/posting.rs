//! From touched facts to entries, balances and breaks.
//!
//! [`Poster`] collects the facts a batch touches. At the end it works out, for each, what the
//! posting rules make of it now, reverses entries that are no longer made and adds those that are
//! new. A fact can touch others: a delivery makes earlier sales of its SKU stock sales, a sale
//! explains refunds that came before it, anything that moves stock moves what counts were compared
//! with. All of them are posted again; unchanged entries stay untouched.

mod sums;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popwatch_core::event::Event;
use popwatch_core::id::{PopupId, RigId, Sku};
use popwatch_core::ledger::count::{Counted, OnHandMove, evaluate};
use popwatch_core::ledger::entry::{decode_legs, encode_legs};
use popwatch_core::ledger::post::{self, Card, Posted, RefundContext, StockContext};
use popwatch_core::ledger::{Entry, Fact, FactId, Leg};

use super::db::{Db, values};
use super::groups::{self, Marks};
use super::identity::Known;
use super::policies::Promises;
use super::rows::set_breaks_in;
use super::tables::{ENTRIES, STOCK_LINES};
use super::{BooksFault, Terms, decided, gaps, identity};

/// Kinds of rows in `stock_lines`.
mod line {
    pub(super) const GRANT: i64 = 0;
    pub(super) const SUPPLY: i64 = 1;
    pub(super) const MOVE: i64 = 2;
    pub(super) const COUNT: i64 = 6;
}

/// What a batch has touched so far.
pub(super) struct Poster<'a> {
    pub(super) db: &'a Db,
    pub(super) now_ms: i64,
    pub(super) terms: &'a Terms,
    /// As of when groups are evaluated, ms since 1970.
    pub(super) as_of_ms: i64,
    pub(super) marks: Marks,
    /// What facts put into drawers in this batch, by book, account and currency, and when.
    pub(super) drawers: BTreeMap<((String, String, String), i64), i128>,
    /// What is settled is of a fact, not of a group.
    of_facts: bool,
    /// Which correction a book's entries belong to.
    corrections: BTreeMap<String, i64>,
    facts: BTreeMap<FactId, Option<Rc<Fact>>>,
    dirty: BTreeSet<FactId>,
    /// Facts that were never posted: nothing of theirs needs to be looked up or reversed.
    fresh: BTreeSet<FactId>,
    to_post: BTreeSet<FactId>,
    skus: BTreeSet<(PopupId, Sku)>,
    pub(super) gaps: BTreeSet<(RigId, u32)>,
    parts: BTreeSet<(PopupId, RigId, u32)>,
    pub(super) sums: BTreeMap<(String, String, String), (i128, i128)>,
    pub(super) known: Known,
    pub(super) promises: Promises,
    /// Flash drops that groups asked for: none comes while groups are evaluated.
    pub(super) drops: RefCell<Drops>,
    next_entry: Option<i64>,
}

/// Flash drops of a SKU of a popup.
type Drops = BTreeMap<(PopupId, Sku), Vec<Rc<Fact>>>;

impl<'a> Poster<'a> {
    pub(super) fn new(db: &'a Db, terms: &'a Terms, now_ms: i64) -> Self {
        Self {
            db,
            now_ms,
            terms,
            as_of_ms: terms.as_of_ms,
            marks: Marks::default(),
            drawers: BTreeMap::new(),
            of_facts: false,
            corrections: BTreeMap::new(),
            facts: BTreeMap::new(),
            dirty: BTreeSet::new(),
            fresh: BTreeSet::new(),
            to_post: BTreeSet::new(),
            skus: BTreeSet::new(),
            gaps: BTreeSet::new(),
            parts: BTreeSet::new(),
            sums: BTreeMap::new(),
            known: Known::default(),
            promises: Promises::default(),
            drops: RefCell::default(),
            next_entry: None,
        }
    }

    /// A fact nobody stated before.
    pub(super) fn fresh(&mut self, fact: Fact) {
        self.dirty.insert(fact.id);
        self.fresh.insert(fact.id);
        self.facts.insert(fact.id, Some(Rc::new(fact)));
    }

    /// A fact whose record may have changed.
    pub(super) fn again(&mut self, id: FactId) {
        self.facts.remove(&id);
        self.dirty.insert(id);
    }

    /// Notes that a rig has part in a popup.
    pub(super) fn took_part(
        &mut self,
        popup: &PopupId,
        rig: &RigId,
        epoch: u32,
    ) -> Result<(), BooksFault> {
        let part = (popup.clone(), rig.clone(), epoch);
        if self.parts.contains(&part) {
            return Ok(());
        }
        self.parts.insert(part);
        self.db
            .run(
                "INSERT INTO rig_popups (book, rig, epoch) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                values![popup.as_str(), rig.as_str(), epoch],
            )
            .map_err(BooksFault::sql("note who took part"))
            .and_then(|new| match new {
                0 => Ok(()),
                _ => groups::answer(self, groups::POPUPS),
            })
    }

    /// Posts everything touched, writes the balances and proves the laws.
    pub(super) fn finish(mut self) -> Result<(), BooksFault> {
        self.foresee_refunds()?;
        for id in std::mem::take(&mut self.dirty) {
            self.index(id)?;
        }
        // All that posting asks of shelves is asked before anything is put on one.
        let mut known = Shelves::default();
        for id in self.to_post.clone() {
            if let Some(fact) = self.fact(id)? {
                for sku in post::skus(&fact) {
                    self.learn(&mut known, &fact.popup, &sku)?;
                }
            }
        }
        for id in std::mem::take(&mut self.to_post) {
            self.post(id, &mut known)?;
        }
        gaps::announce(&mut self)?;
        for (popup, sku) in std::mem::take(&mut self.skus) {
            self.counts(&popup, &sku, &mut known)?;
        }
        groups::evaluate(&mut self)?;
        gaps::post(&mut self)?;
        decided::accept(&mut self)?;
        self.write_sums()?;
        self.write_drawers()?;
        self.prove()
    }

    fn foresee_refunds(&mut self) -> Result<(), BooksFault> {
        let mut sales: BTreeMap<PopupId, BTreeSet<[u8; 16]>> = BTreeMap::new();
        let fresh = self
            .fresh
            .iter()
            .filter_map(|id| self.facts.get(id)?.as_ref());
        for fact in fresh.filter(|fact| matches!(fact.event, Event::PaymentCaptured(_))) {
            let of_popup = sales.entry(fact.popup.clone()).or_default();
            of_popup.insert(fact.id.0);
        }
        for (popup, sales) in sales {
            identity::foresee_refunds(self, &popup, &sales)?;
        }
        Ok(())
    }

    /// Which correction entries of a book belong to: 0 before its first close.
    pub(super) fn correction(&mut self, book: &str) -> Result<i64, BooksFault> {
        if let Some(known) = self.corrections.get(book) {
            return Ok(*known);
        }
        let found = decided::correction(self.db, book)?;
        self.corrections.insert(book.to_string(), found);
        Ok(found)
    }

    pub(super) fn fact(&mut self, id: FactId) -> Result<Option<Rc<Fact>>, BooksFault> {
        if let Some(known) = self.facts.get(&id) {
            return Ok(known.clone());
        }
        let found = identity::winner(self, id)?.map(Rc::new);
        self.facts.insert(id, found.clone());
        Ok(found)
    }

    /// Brings the rows up to date by which facts find each other, and lists who must be posted.
    fn index(&mut self, id: FactId) -> Result<(), BooksFault> {
        self.to_post.insert(id);
        if !self.fresh.contains(&id) {
            self.unindex(id)?;
        }
        let Some(fact) = self.fact(id)? else {
            return Ok(());
        };
        groups::join(self, &fact)?;
        decided::note(self, &fact)?;
        if let Some(sku) = post::supplied(&fact) {
            let first = self.lines(&fact.popup, sku, line::SUPPLY)?.is_empty();
            self.put_line(&fact, sku, line::SUPPLY, "", 0)?;
            if first {
                self.post_sku(&fact.popup, sku)?;
            }
        }
        if let Some((sku, rig)) = post::grantee(&fact) {
            let places = self.places(&fact.popup, &sku)?;
            self.put_line(&fact, &sku, line::GRANT, &rig, 0)?;
            if !places.contains(&rig) {
                self.post_sku(&fact.popup, &sku)?;
            }
        }
        if let Event::PaymentCaptured(_) = &fact.event {
            return self.post_refunds(&fact.popup, id);
        }
        if let Event::PaymentRefunded(asked) = &fact.event {
            let sale = FactId::of_capture(&fact.popup, asked.payment.as_str());
            self.put_refund(&fact, sale)?;
            return self.post_refunds(&fact.popup, sale);
        }
        Ok(())
    }

    /// Removes the rows of every record that could have stated this fact.
    fn unindex(&mut self, id: FactId) -> Result<(), BooksFault> {
        for old in identity::every(self, id)? {
            groups::leave(self, &old)?;
            decided::forget(self, &old)?;
            for sku in post::skus(&old) {
                let book = old.popup.as_str();
                self.db
                    .run(
                        "DELETE FROM stock_lines
                         WHERE book = ?1 AND sku = ?2 AND kind IN (0, 1, 2, 6) AND fact_id = ?3",
                        values![book, sku.as_str(), id.0],
                    )
                    .map_err(BooksFault::sql("forget stock lines"))?;
                self.skus.insert((old.popup.clone(), sku.clone()));
                if post::supplied(&old).is_some() || post::grantee(&old).is_some() {
                    self.post_sku(&old.popup, &sku)?;
                }
            }
            if let Event::PaymentRefunded(asked) = &old.event {
                let sale = FactId::of_capture(&old.popup, asked.payment.as_str());
                self.db
                    .run(
                        "DELETE FROM refunds_of WHERE book = ?1 AND sale = ?2 AND fact_id = ?3",
                        values![old.popup.as_str(), sale.0, id.0],
                    )
                    .map_err(BooksFault::sql("forget a refund"))?;
                self.post_refunds(&old.popup, sale)?;
            }
            if matches!(old.event, Event::PaymentCaptured(_)) {
                self.post_refunds(&old.popup, id)?;
            }
        }
        Ok(())
    }

    fn put_refund(&mut self, fact: &Fact, sale: FactId) -> Result<(), BooksFault> {
        self.known.unrefunded.remove(&sale);
        self.db
            .run(
                "INSERT INTO refunds_of (book, sale, fact_id) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO NOTHING",
                values![fact.popup.as_str(), sale.0, fact.id.0],
            )
            .map(drop)
            .map_err(BooksFault::sql("note a refund"))
    }

    fn refunds(&self, popup: &PopupId, sale: FactId) -> Result<Vec<FactId>, BooksFault> {
        if self.known.unrefunded.contains(&sale) {
            return Ok(Vec::new());
        }
        let read = || {
            self.db.rows(
                "SELECT fact_id FROM refunds_of WHERE book = ?1 AND sale = ?2",
                values![popup.as_str(), sale.0],
                |row| Ok(FactId(row.get(0)?)),
            )
        };
        read().map_err(BooksFault::sql("read refunds"))
    }

    fn post_refunds(&mut self, popup: &PopupId, sale: FactId) -> Result<(), BooksFault> {
        let refunds = self.refunds(popup, sale)?;
        self.to_post.extend(refunds);
        Ok(())
    }

    /// Facts with rows of a kind for a SKU.
    fn lines(&self, popup: &PopupId, sku: &Sku, kind: i64) -> Result<Vec<FactId>, BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT fact_id FROM stock_lines WHERE book = ?1 AND sku = ?2 AND kind = ?3",
                values![popup.as_str(), sku.as_str(), kind],
                |row| Ok(FactId(row.get(0)?)),
            )
        };
        read().map_err(BooksFault::sql("read stock lines"))
    }

    pub(super) fn places(
        &self,
        popup: &PopupId,
        sku: &Sku,
    ) -> Result<BTreeSet<String>, BooksFault> {
        let found = self
            .db
            .rows(
                "SELECT place FROM stock_lines WHERE book = ?1 AND sku = ?2 AND kind = 0",
                values![popup.as_str(), sku.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read stock lines"))?;
        Ok(found.into_iter().collect())
    }

    fn post_sku(&mut self, popup: &PopupId, sku: &Sku) -> Result<(), BooksFault> {
        let facts = self.lines(popup, sku, line::MOVE)?;
        self.to_post.extend(facts);
        self.skus.insert((popup.clone(), sku.clone()));
        Ok(())
    }

    fn put_line(
        &self,
        fact: &Fact,
        sku: &Sku,
        kind: i64,
        place: &str,
        units: i64,
    ) -> Result<(), BooksFault> {
        self.db
            .put(
                &STOCK_LINES,
                values![
                    fact.popup.as_str(),
                    sku.as_str(),
                    kind,
                    fact.id.0,
                    place,
                    fact.occurred_ms,
                    units
                ],
            )
            .map_err(BooksFault::sql("note a stock line"))
    }

    fn post(&mut self, id: FactId, known: &mut Shelves) -> Result<(), BooksFault> {
        let fresh = self.fresh.remove(&id);
        let Some(fact) = self.fact(id)? else {
            return self.settle(id, "", &Posted::default(), fresh);
        };
        if let Event::InventoryCounted(of) = &fact.event {
            self.put_line(&fact, &of.sku, line::COUNT, "", of.qty.0)?;
            self.skus.insert((fact.popup.clone(), of.sku.clone()));
            return Ok(());
        }
        let skus = post::skus(&fact);
        for sku in &skus {
            self.learn(known, &fact.popup, sku)?;
        }
        if fact.policy_version != 0 {
            let card = self.promises.card(self.db, &fact)?;
            known.1.insert(id, card);
        }
        let mut posted = if let Event::PaymentRefunded(asked) = &fact.event {
            let sale = FactId::of_capture(&fact.popup, asked.payment.as_str());
            let before = self.refunded_before(&fact, sale)?;
            let sale = self.fact(sale)?;
            let context = RefundContext {
                sale: sale.as_deref(),
                before,
            };
            post::refund(&fact, asked, &context, known)
        } else {
            post::post(&fact, known)
        }
        .map_err(BooksFault::Entry)?;
        for sku in skus {
            let units = on_hand(&posted, &sku);
            self.put_line(&fact, &sku, line::MOVE, "", units)?;
            self.skus.insert((fact.popup.clone(), sku));
        }
        known.1.remove(&id);
        posted.breaks.extend(decided::late(self, &fact, fresh)?);
        self.settle(id, fact.popup.as_str(), &posted, fresh)
    }

    fn refunded_before(&mut self, fact: &Fact, sale: FactId) -> Result<i128, BooksFault> {
        let mut before = 0;
        for id in self.refunds(&fact.popup, sale)? {
            if id == fact.id {
                continue;
            }
            let Some(other) = self.fact(id)? else {
                continue;
            };
            if let (Event::PaymentRefunded(theirs), Event::PaymentRefunded(ours)) =
                (&other.event, &fact.event)
                && theirs.currency == ours.currency
                && other.order() < fact.order()
            {
                before += i128::from(theirs.amount.0);
            }
        }
        Ok(before)
    }

    fn learn(&self, known: &mut Shelves, popup: &PopupId, sku: &Sku) -> Result<(), BooksFault> {
        let key = (popup.clone(), sku.clone());
        if known.0.contains_key(&key) {
            return Ok(());
        }
        let stocked = self.is_stocked(popup, sku)?;
        let granted = match stocked {
            true => self.places(popup, sku)?,
            false => BTreeSet::new(),
        };
        known.0.insert(key, Shelf { stocked, granted });
        Ok(())
    }

    /// Whether anybody received or set aside items of this SKU.
    pub(super) fn is_stocked(&self, popup: &PopupId, sku: &Sku) -> Result<bool, BooksFault> {
        self.db
            .one(
                "SELECT EXISTS (SELECT 1 FROM stock_lines
                                WHERE book = ?1 AND sku = ?2 AND kind = 1)",
                values![popup.as_str(), sku.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read stock lines"))
    }

    /// Evaluates the counts of a SKU again.
    fn counts(
        &mut self,
        popup: &PopupId,
        sku: &Sku,
        known: &mut Shelves,
    ) -> Result<(), BooksFault> {
        let ids = self.lines(popup, sku, line::COUNT)?;
        if ids.is_empty() {
            return Ok(());
        }
        self.learn(known, popup, sku)?;
        let mut facts: Vec<Rc<Fact>> = Vec::new();
        for id in ids {
            facts.extend(self.fact(id)?);
        }
        facts.sort_by(|a, b| a.order().cmp(&b.order()));
        let counts: Vec<Counted> = facts
            .iter()
            .filter_map(|fact| {
                let Event::InventoryCounted(of) = &fact.event else {
                    return None;
                };
                Some(Counted {
                    fact: fact.id,
                    at_ms: fact.occurred_ms,
                    units: of.qty.0,
                })
            })
            .collect();
        let band = gaps::band(self.db, popup, &self.granted(popup, sku)?)?;
        let outcomes = evaluate(&self.moves(popup, sku)?, &counts, band);
        for (fact, outcome) in facts.iter().zip(outcomes) {
            let posted = match known.stocked(popup, sku) {
                true => post::count(
                    fact,
                    sku,
                    outcome.expected,
                    outcome.count.units,
                    outcome.certain,
                )
                .map_err(BooksFault::Entry)?,
                // Nobody keeps stock of it here, so nothing was expected.
                false => Posted::default(),
            };
            self.settle(fact.id, popup.as_str(), &posted, false)?;
        }
        Ok(())
    }

    /// Items of a SKU that were ever set aside, by rig.
    fn granted(&mut self, popup: &PopupId, sku: &Sku) -> Result<BTreeMap<String, i64>, BooksFault> {
        let mut out: BTreeMap<String, i64> = BTreeMap::new();
        for id in self.lines(popup, sku, line::GRANT)? {
            if let Some(fact) = self.fact(id)?
                && let Some((_, rig, items)) = post::grant(&fact)
            {
                let sum = out.entry(rig).or_default();
                *sum = sum.saturating_add(items);
            }
        }
        Ok(out)
    }

    fn moves(&self, popup: &PopupId, sku: &Sku) -> Result<Vec<OnHandMove>, BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT occurred_ms, units FROM stock_lines
                     WHERE book = ?1 AND sku = ?2 AND kind = 2 AND units <> 0",
                values![popup.as_str(), sku.as_str()],
                |row| {
                    Ok(OnHandMove {
                        at_ms: row.get(0)?,
                        units: row.get(1)?,
                    })
                },
            )
        };
        read().map_err(BooksFault::sql("read stock lines"))
    }

    /// All SKUs of a popup that were counted must be looked at again.
    pub(super) fn recount(&mut self, popup: &PopupId) -> Result<(), BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT DISTINCT sku FROM stock_lines WHERE book = ?1 AND kind = 6",
                values![popup.as_str()],
                |row| row.get::<String>(0),
            )
        };
        for sku in read().map_err(BooksFault::sql("read counted stock"))? {
            let sku = Sku::new(&sku).map_err(|_| BooksFault::Damaged("SKU"))?;
            self.skus.insert((popup.clone(), sku));
        }
        Ok(())
    }

    /// Makes the effective entries and the breaks of a fact exactly what the rules make of it now.
    pub(super) fn settle(
        &mut self,
        id: FactId,
        book: &str,
        posted: &Posted,
        fresh: bool,
    ) -> Result<(), BooksFault> {
        self.of_facts = true;
        let settled = self.settle_in(id, &[(book, posted)], fresh);
        self.of_facts = false;
        settled
    }

    /// Makes what stands for a cause exactly this, in however many books.
    pub(super) fn settle_in(
        &mut self,
        id: FactId,
        made: &[(&str, &Posted)],
        fresh: bool,
    ) -> Result<(), BooksFault> {
        let mut wanted: Vec<_> = made
            .iter()
            .flat_map(|(book, posted)| posted.entries.iter().map(move |entry| (*book, entry)))
            .map(|(book, entry)| (book, entry.id(), entry.get()))
            .collect();
        if !fresh {
            for old in self.live(id)? {
                let same = wanted.iter().position(|(book, entry_id, entry)| {
                    entry_id.0 == old.entry_id
                        && entry.occurred_ms == old.occurred_ms
                        && *book == old.book
                });
                match same {
                    Some(at) => drop(wanted.swap_remove(at)),
                    None => self.reverse(id, &old)?,
                }
            }
        }
        for (book, entry_id, entry) in wanted {
            self.append(book, &entry_id.0, entry)?;
        }
        let breaks: Vec<(&str, &[_])> = made
            .iter()
            .filter(|(_, posted)| !posted.breaks.is_empty())
            .map(|(book, posted)| (*book, &posted.breaks[..]))
            .collect();
        if fresh && breaks.is_empty() {
            return Ok(());
        }
        set_breaks_in(self.db, id, None, &breaks, self.now_ms, fresh)
    }

    pub(super) fn live(&self, id: FactId) -> Result<Vec<Live>, BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT n, book, entry_id, rule, occurred_ms, legs FROM entries
                     WHERE fact_id = ?1 AND live = 1",
                values![id.0],
                |row| {
                    Ok(Live {
                        n: row.get(0)?,
                        book: row.get(1)?,
                        entry_id: row.get(2)?,
                        rule: row.get(3)?,
                        occurred_ms: row.get(4)?,
                        legs: row.get(5)?,
                    })
                },
            )
        };
        read().map_err(BooksFault::sql("read entries"))
    }

    /// The number of the next entry. Whoever writes is alone, so counting on from the greatest is
    /// enough, in every store.
    fn next_entry(&mut self) -> Result<i64, BooksFault> {
        let next = match self.next_entry {
            Some(next) => next,
            None => {
                let last: i64 = self
                    .db
                    .one(
                        "SELECT COALESCE(MAX(n), 0) FROM entries",
                        values![],
                        |row| row.get(0),
                    )
                    .map_err(BooksFault::sql("number an entry"))?;
                last + 1
            }
        };
        self.next_entry = Some(next + 1);
        Ok(next)
    }

    fn append(&mut self, book: &str, id: &[u8; 16], entry: &Entry) -> Result<(), BooksFault> {
        let nothing: Option<i64> = None;
        let n = self.next_entry()?;
        let correction = self.correction(book)?;
        self.db
            .put(
                &ENTRIES,
                values![
                    n,
                    book,
                    id,
                    entry.fact.0,
                    entry.rule.text(),
                    nothing,
                    correction,
                    1_i64,
                    entry.occurred_ms,
                    self.now_ms,
                    encode_legs(&entry.legs)
                ],
            )
            .map_err(BooksFault::sql("append an entry"))?;
        self.sum(book, &entry.legs, 1);
        self.fill_drawer(book, &entry.legs, entry.occurred_ms, 1);
        Ok(())
    }

    fn reverse(&mut self, id: FactId, old: &Live) -> Result<(), BooksFault> {
        let legs = decode_legs(&old.legs).ok_or(BooksFault::Damaged("entry"))?;
        let turned: Vec<Leg> = legs
            .iter()
            .map(|leg| Leg {
                amount: -leg.amount,
                ..leg.clone()
            })
            .collect();
        let n = self.next_entry()?;
        let correction = self.correction(&old.book)?;
        let write = || {
            self.db
                .run("UPDATE entries SET live = 0 WHERE n = ?1", values![old.n])?;
            self.db.put(
                &ENTRIES,
                values![
                    n,
                    old.book,
                    old.entry_id,
                    id.0,
                    old.rule,
                    old.n,
                    correction,
                    0_i64,
                    old.occurred_ms,
                    self.now_ms,
                    encode_legs(&turned)
                ],
            )
        };
        write().map_err(BooksFault::sql("reverse an entry"))?;
        self.sum(&old.book, &legs, -1);
        self.fill_drawer(&old.book, &legs, old.occurred_ms, -1);
        Ok(())
    }
}

pub(super) struct Live {
    n: i64,
    pub(super) book: String,
    entry_id: [u8; 16],
    rule: String,
    occurred_ms: i64,
    pub(super) legs: Vec<u8>,
}

struct Shelf {
    stocked: bool,
    granted: BTreeSet<String>,
}

/// What is known of the SKUs this batch touches, and the promises of the fact being posted.
#[derive(Default)]
struct Shelves(BTreeMap<(PopupId, Sku), Shelf>, BTreeMap<FactId, Card>);

impl Shelves {
    fn shelf(&self, popup: &PopupId, sku: &Sku) -> Option<&Shelf> {
        self.0.get(&(popup.clone(), sku.clone()))
    }
}

impl StockContext for Shelves {
    fn stocked(&self, popup: &PopupId, sku: &Sku) -> bool {
        self.shelf(popup, sku).is_some_and(|shelf| shelf.stocked)
    }

    fn granted(&self, popup: &PopupId, sku: &Sku, rig: &RigId) -> bool {
        self.shelf(popup, sku)
            .is_some_and(|shelf| shelf.granted.contains(rig.as_str()))
    }

    fn card(&self, fact: &Fact) -> Card {
        self.1.get(&fact.id).cloned().unwrap_or(Card::None)
    }
}

/// Items of a SKU that a fact's entries bring to the stock that can be sold.
fn on_hand(posted: &Posted, sku: &Sku) -> i64 {
    posted
        .entries
        .iter()
        .flat_map(|entry| &entry.get().legs)
        .filter(|leg| leg.account.of.is_on_hand() && leg.commodity.sku() == Some(sku))
        .map(|leg| leg.amount)
        .sum()
}
