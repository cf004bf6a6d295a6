//! What an evaluation may ask beyond its members, answered from the store.
//!
//! Evaluation is pure and knows no failure of a store: a failed question is answered with nothing,
//! remembered, and fails the batch when the evaluation has ended.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popwatch_core::event::commerce::Commerce;
use popwatch_core::id::{Epoch, PopupId, Position, RigId, Sku};
use popwatch_core::ledger::entry::decode_legs;
use popwatch_core::ledger::fact::occurred_ms;
use popwatch_core::ledger::group::{GroupKey, GroupKind, Surroundings};
use popwatch_core::ledger::post::{Card, StockContext};
use popwatch_core::ledger::{Account, Chart, Commodity, Fact, FactId};
use popwatch_core::money::Currency;
use popwatch_core::provider::reference::{PopupTag, Reference};

use super::super::db::{Row, values};
use super::super::held::Held;
use super::super::posting::Poster;
use super::super::rows::{self, epoch_number};
use super::super::{BooksFault, decided, gaps, identity};
use super::Hash;

/// The topic of which popups there are.
pub(in crate::books) const POPUPS: &str = "popups";

pub(super) struct Around<'a, 'p> {
    poster: &'a Poster<'p>,
    kind: GroupKind,
    hashes: &'a BTreeSet<Hash>,
    asked: RefCell<BTreeSet<String>>,
    fault: RefCell<Option<BooksFault>>,
}

impl<'a, 'p> Around<'a, 'p> {
    pub(super) fn new(poster: &'a Poster<'p>, kind: GroupKind, hashes: &'a BTreeSet<Hash>) -> Self {
        Self {
            poster,
            kind,
            hashes,
            asked: RefCell::default(),
            fault: RefCell::default(),
        }
    }

    /// Topics it asked about that are no facts; or why a question could not be answered.
    pub(super) fn finish(self) -> Result<BTreeSet<String>, BooksFault> {
        match self.fault.into_inner() {
            Some(fault) => Err(fault),
            None => Ok(self.asked.into_inner()),
        }
    }

    fn or<T: Default>(&self, answer: Result<T, BooksFault>) -> T {
        answer.unwrap_or_else(|fault| {
            self.fault.borrow_mut().get_or_insert(fault);
            T::default()
        })
    }

    fn lost_anchor(&self, reference: &Reference) -> Result<Option<Position>, BooksFault> {
        let rigs: Vec<String> = self
            .poster
            .db
            .rows("SELECT DISTINCT rig FROM rig_epochs", values![], |row| {
                row.get(0)
            })
            .map_err(BooksFault::sql("list rigs"))?;
        for rig in rigs {
            let rig = RigId::new(&rig).map_err(|_| BooksFault::Damaged("rig name"))?;
            if !reference.is_of(&rig) {
                continue;
            }
            let lost = gaps::lost(self.poster.db, &rig, reference.epoch.0)?;
            let anchored = lost
                .as_slice()
                .iter()
                .any(|(_, last)| reference.seq.0 <= *last);
            if anchored {
                return Ok(Some(Position {
                    rig,
                    epoch: Epoch(reference.epoch.0),
                    seq: reference.seq,
                }));
            }
        }
        Ok(None)
    }

    /// The time of the newest record of a rig's newest epoch, where nothing before it is missing.
    fn newest(&self, rig: &RigId) -> Result<Option<i64>, BooksFault> {
        let db = self.poster.db;
        let found: Option<(i64, Vec<u8>)> = db
            .row(
                "SELECT epoch, trunk FROM rig_epochs WHERE rig = ?1 ORDER BY epoch DESC LIMIT 1",
                values![rig.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read what is held"))?;
        let Some((epoch, trunk)) = found else {
            return Ok(None);
        };
        let held = Held::decode(&trunk).ok_or(BooksFault::Damaged("held stretches"))?;
        let ranges = held.ranges();
        if ranges.contiguous() != ranges.last() {
            return Ok(None);
        }
        let last: Option<i64> = db
            .one(
                "SELECT MAX(seq) FROM records WHERE rig = ?1 AND epoch = ?2",
                values![rig.as_str(), epoch_number(epoch)],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read the newest record"))?;
        let Some(last) = last else {
            return Ok(None);
        };
        let at = rows::position(rig.as_str(), epoch, last)?;
        Ok(rows::record_at(db, &at)?.map(|record| occurred_ms(&record)))
    }

    /// What stands in the books of a row, and what this batch adds to it.
    fn standing(
        &self,
        book: &str,
        of: Chart,
        commodity: Option<&Commodity>,
    ) -> Result<BTreeMap<(Account, Commodity), i128>, BooksFault> {
        let unit = commodity.map(Commodity::to_string);
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let db = self.poster.db;
        let found = match &unit {
            Some(unit) => db.rows(
                "SELECT account, commodity, debit, credit FROM balances
                 WHERE book = ?1 AND commodity = ?2",
                values![book, unit.as_str()],
                read,
            ),
            None => db.rows(
                "SELECT account, commodity, debit, credit FROM balances WHERE book = ?1",
                values![book],
                read,
            ),
        };
        let rows: Vec<(String, String, i64, i64)> =
            found.map_err(BooksFault::sql("read balances"))?;
        let mut out: BTreeMap<(Account, Commodity), i128> = BTreeMap::new();
        let mut add = |account: &str, unit: &str, amount: i128| {
            let rest = account.strip_prefix(of.code());
            if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
                return;
            }
            if let (Some(account), Some(unit)) = (Account::parse(account), Commodity::parse(unit))
                && commodity.is_none_or(|only| *only == unit)
            {
                *out.entry((account, unit)).or_default() += amount;
            }
        };
        for (account, unit, debit, credit) in &rows {
            add(account, unit, i128::from(*debit) - i128::from(*credit));
        }
        let from = (
            book.to_string(),
            unit.clone().unwrap_or_default(),
            String::new(),
        );
        let here = self
            .poster
            .sums
            .range(from..)
            .take_while(|((of, in_unit, _), _)| {
                of == book && unit.as_ref().is_none_or(|only| only == in_unit)
            });
        for ((_, in_unit, account), (debit, credit)) in here {
            add(account, in_unit, debit - credit);
        }
        Ok(out)
    }

    fn without(
        &self,
        book: &str,
        of: Chart,
        commodity: Option<&Commodity>,
    ) -> Result<Vec<(Account, Commodity, i128)>, BooksFault> {
        let mut sums = self.standing(book, of, commodity)?;
        for hash in self.hashes {
            for cause in super::state(self.poster, self.kind, *hash)?.unwrap_or_default() {
                for own in self.poster.live(cause)? {
                    if own.book != book {
                        continue;
                    }
                    for leg in decode_legs(&own.legs).ok_or(BooksFault::Damaged("entry"))? {
                        if let Some(sum) = sums.get_mut(&(leg.account, leg.commodity)) {
                            *sum -= i128::from(leg.amount);
                        }
                    }
                }
            }
        }
        let standing = sums.into_iter().filter(|(_, amount)| *amount != 0);
        Ok(standing
            .map(|((account, unit), amount)| (account, unit, amount))
            .collect())
    }

    fn counted_off(&self, book: &PopupId, sku: &Sku) -> Result<i128, BooksFault> {
        let counts: Vec<FactId> = self
            .poster
            .db
            .rows(
                "SELECT fact_id FROM stock_lines WHERE book = ?1 AND sku = ?2 AND kind = 6",
                values![book.as_str(), sku.as_str()],
                |row| Ok(FactId(row.get(0)?)),
            )
            .map_err(BooksFault::sql("read stock lines"))?;
        let mut skew = 0;
        for count in counts {
            for entry in self.poster.live(count)? {
                let legs = decode_legs(&entry.legs).ok_or(BooksFault::Damaged("entry"))?;
                skew += legs
                    .iter()
                    .filter(|leg| leg.account.of == Chart::StockPool)
                    .filter(|leg| leg.commodity.sku() == Some(sku))
                    .map(|leg| i128::from(leg.amount))
                    .sum::<i128>();
            }
        }
        Ok(skew)
    }

    fn in_drawer(
        &self,
        book: &PopupId,
        rig: &RigId,
        currency: Currency,
        until_ms: i64,
    ) -> Result<i128, BooksFault> {
        let account = Account::of(Chart::CashTill, rig.as_str()).to_string();
        let unit = Commodity::Money(currency).to_string();
        let stored: Vec<i64> = self
            .poster
            .db
            .rows(
                "SELECT amount FROM drawers WHERE book = ?1 AND account = ?2 AND commodity = ?3
                   AND occurred_ms <= ?4",
                values![book.as_str(), account, unit, until_ms],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read a drawer"))?;
        let new = self
            .poster
            .drawers
            .iter()
            .filter(|((at, _), _)| at.0 == book.as_str() && at.1 == account && at.2 == unit);
        let new: i128 = new
            .filter(|((_, at_ms), _)| *at_ms <= until_ms)
            .map(|(_, amount)| *amount)
            .sum();
        Ok(stored.into_iter().map(i128::from).sum::<i128>() + new)
    }

    fn facts_on(&self, book: &PopupId, topic: &str) -> Result<Vec<Rc<Fact>>, BooksFault> {
        let mut out = Vec::new();
        for id in decided::facts_on(self.poster.db, book.as_str(), topic)? {
            out.extend(identity::winner(self.poster, id)?.map(Rc::new));
        }
        out.sort_by(|a: &Rc<Fact>, b| a.order().cmp(&b.order()));
        Ok(out)
    }
}

impl StockContext for Around<'_, '_> {
    fn stocked(&self, popup: &PopupId, sku: &Sku) -> bool {
        self.or(self.poster.is_stocked(popup, sku))
    }

    fn granted(&self, popup: &PopupId, sku: &Sku, rig: &RigId) -> bool {
        let places = self.or(self.poster.places(popup, sku));
        places.contains(rig.as_str())
    }

    fn card(&self, fact: &Fact) -> Card {
        let card = self.poster.promises.card(self.poster.db, fact);
        self.or(card.map(Some)).unwrap_or(Card::None)
    }
}

impl Around<'_, '_> {
    /// Every popup of which a rig told, ascending.
    fn popups(&self) -> Result<Vec<PopupId>, BooksFault> {
        let books: Vec<String> = self
            .poster
            .db
            .rows(
                "SELECT DISTINCT book FROM rig_popups ORDER BY book",
                values![],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("list popups"))?;
        Ok(books
            .iter()
            .filter_map(|book| PopupId::new(book).ok())
            .collect())
    }
}

impl Surroundings for Around<'_, '_> {
    fn stock(&self) -> &dyn StockContext {
        self
    }

    fn gap_at(&self, reference: &str) -> Option<Position> {
        let reference = Reference::read(reference)?;
        let topic = format!("gap:{}", reference.rig.as_str());
        self.asked.borrow_mut().insert(topic);
        self.or(self.lost_anchor(&reference))
    }

    fn popup_of(&self, reference: &str) -> Option<PopupId> {
        let reference = Reference::read(reference)?;
        self.asked.borrow_mut().insert(POPUPS.to_string());
        let popups = self.or(self.popups());
        popups
            .into_iter()
            .find(|popup| PopupTag::of_popup(popup) == reference.popup)
    }

    fn window(&self, popup: &PopupId) -> Option<(i64, i64)> {
        self.or(self.poster.promises.window(self.poster.db, popup))
    }

    fn caught_up_ms(&self, rig: &RigId) -> Option<i64> {
        self.asked.borrow_mut().insert(format!("rig:{rig}"));
        self.or(self.newest(rig))
    }

    fn balances(
        &self,
        _without: GroupKey,
        book: &PopupId,
        of: Chart,
        commodity: Option<&Commodity>,
    ) -> Vec<(Account, Commodity, i128)> {
        self.or(self.without(book.as_str(), of, commodity))
    }

    fn skew(&self, book: &PopupId, sku: &Sku) -> i128 {
        self.or(self.counted_off(book, sku))
    }

    fn drawer(&self, book: &PopupId, rig: &RigId, currency: Currency, until_ms: i64) -> i128 {
        self.or(self.in_drawer(book, rig, currency, until_ms))
    }

    fn counted_ms(&self, book: &PopupId, rig: &RigId, currency: Currency) -> Option<i64> {
        let topic = decided::drawer_topic(rig.as_str(), currency.code());
        self.or(decided::newest_on(self.poster.db, book.as_str(), &topic))
    }

    fn drops(&self, book: &PopupId, sku: &Sku) -> Vec<Rc<Fact>> {
        let key = (book.clone(), sku.clone());
        if let Some(known) = self.poster.drops.borrow().get(&key) {
            return known.clone();
        }
        let found = self.or(self.facts_on(book, &decided::drop_topic(sku)));
        self.poster.drops.borrow_mut().insert(key, found.clone());
        found
    }

    fn commerce(&self, book: &PopupId) -> Option<Rc<Commerce>> {
        self.or(self.poster.promises.commerce(self.poster.db, book))
    }
}
