//! Statements of creators: the sales behind their entries, found again in the store.
//!
//! The sums are a fold of effective entries; nothing here is stored, and reading changes nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use popwatch_core::id::{CreatorId, PopupId, Sku};
use popwatch_core::ledger::attribution::{self, Witness};
use popwatch_core::ledger::breaks::{BreakId, BreakState, Severity};
use popwatch_core::ledger::entry::{Entry, Rule, decode_legs};
use popwatch_core::ledger::group::{GroupKey, GroupKind};
use popwatch_core::ledger::post::Card;
use popwatch_core::ledger::sale::TOKEN_CREATOR;
use popwatch_core::ledger::statement::{self, RULES, Sales, Statement};
use popwatch_core::ledger::{Chart, Fact, FactId};

use super::db::values;
use super::rows::{breaks_of, fact_at};
use super::{Books, BooksFault, decided, policies};

/// The type of a capture, as the records number it.
const CAPTURED: i64 = 11;

/// Which promises a popup has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyMark {
    /// Version, from 1.
    pub version: u32,
    /// BLAKE3 of the policy's bytes, rate cards among them.
    pub blake3: [u8; 32],
}

impl Books {
    /// What a creator earned in a popup; empty where the books have nothing of theirs.
    pub fn statement(&self, popup: &PopupId, creator: &CreatorId) -> Result<Statement, BooksFault> {
        let entries = self.entries_by(popup, &RULES)?;
        let entries: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| statement::concerns(entry, creator))
            .collect();
        let shop = Shop::open(self, popup, &entries)?;
        let out = statement::statement(entries.iter(), &shop, creator);
        match shop.fault.into_inner() {
            Some(fault) => Err(fault),
            None => Ok(out),
        }
    }

    /// The creators with an account in a popup's books, ascending.
    pub fn creators(&self, popup: &PopupId) -> Result<Vec<CreatorId>, BooksFault> {
        let view = self.books(popup)?;
        let lines = view.currencies.values().flat_map(|of| &of.accounts);
        let parts: BTreeSet<_> = lines
            .filter(|line| {
                matches!(
                    line.account.of,
                    Chart::CreatorHeld | Chart::CreatorAvailable | Chart::CreatorReceivable
                )
            })
            .map(|line| line.account.part.clone())
            .collect();
        Ok(parts
            .iter()
            .filter_map(|part| CreatorId::new(part).ok())
            .collect())
    }

    /// The newest policy of a popup; `None` where no rig told of one.
    pub fn policy_mark(&self, popup: &PopupId) -> Result<Option<PolicyMark>, BooksFault> {
        let found: Option<(u32, Vec<u8>)> = self
            .db
            .row(
                "SELECT version, bytes FROM policies WHERE book = ?1
                 ORDER BY version DESC, applied_ms, rig, epoch, seq LIMIT 1",
                values![popup.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read a policy"))?;
        Ok(found.map(|(version, bytes)| PolicyMark {
            version,
            blake3: *blake3::hash(&bytes).as_bytes(),
        }))
    }

    /// The effective entries of a book that these rules made, in the order they were booked.
    pub(super) fn entries_by(
        &self,
        book: &PopupId,
        rules: &[Rule; 4],
    ) -> Result<Vec<Entry>, BooksFault> {
        let [a, b, c, d] = rules.map(Rule::text);
        self.db
            .rows::<([u8; 16], String, i64, Vec<u8>)>(
                "SELECT fact_id, rule, occurred_ms, legs FROM entries
                 WHERE book = ?1 AND live = 1 AND rule IN (?2, ?3, ?4, ?5) ORDER BY n",
                values![book.as_str(), a, b, c, d],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .map_err(BooksFault::sql("read entries"))?
            .into_iter()
            .map(|(fact, rule, occurred_ms, legs)| {
                Some(Entry {
                    fact: FactId(fact),
                    rule: Rule::from_text(&rule)?,
                    occurred_ms,
                    legs: decode_legs(&legs)?,
                })
            })
            .collect::<Option<_>>()
            .ok_or(BooksFault::Damaged("entry"))
    }

    /// The effective entries of one cause in one book.
    pub(super) fn entries_of(
        &self,
        book: &PopupId,
        cause: FactId,
    ) -> Result<Vec<Vec<popwatch_core::ledger::Leg>>, BooksFault> {
        self.db
            .rows::<Vec<u8>>(
                "SELECT legs FROM entries WHERE fact_id = ?1 AND live = 1 AND book = ?2",
                values![cause.0, book.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read entries"))?
            .iter()
            .map(|legs| decode_legs(legs))
            .collect::<Option<_>>()
            .ok_or(BooksFault::Damaged("entry"))
    }

    /// What still stands as stored offline of a capture, minor units.
    pub(super) fn stored_offline(&self, sale: &Fact) -> Result<i128, BooksFault> {
        let mut sum = 0;
        for cause in [sale.id, GroupKey::cause_of(GroupKind::Pairing, sale.id)] {
            for legs in self.entries_of(&sale.popup, cause)? {
                sum += legs
                    .iter()
                    .filter(|leg| leg.account.of == Chart::OfflineStored)
                    .map(|leg| i128::from(leg.amount))
                    .sum::<i128>();
            }
        }
        Ok(sum)
    }

    /// The record that states a fact, read.
    pub(super) fn stated(&self, id: FactId) -> Result<Option<Fact>, BooksFault> {
        match self.stated_at(id)? {
            Some(at) => fact_at(&self.db, at),
            None => Ok(None),
        }
    }
}

/// The sales of a popup, as statements ask for them.
struct Shop<'a> {
    books: &'a Books,
    popup: &'a PopupId,
    /// Captures by the causes that move their shares.
    captures: BTreeMap<FactId, FactId>,
    /// The group of a capture's shares.
    groups: BTreeMap<FactId, [u8; 16]>,
    /// Open money breaks by the payment they name.
    found: BTreeMap<String, BreakId>,
    /// Creators of used tokens, by the group of the sale.
    tokens: BTreeMap<[u8; 16], CreatorId>,
    /// The first question that could not be answered: it fails the statement.
    fault: RefCell<Option<BooksFault>>,
}

impl<'a> Shop<'a> {
    fn open(books: &'a Books, popup: &'a PopupId, entries: &[Entry]) -> Result<Self, BooksFault> {
        let wanted: BTreeSet<FactId> = entries.iter().map(|entry| entry.fact).collect();
        let kind = GroupKind::Sale;
        let members: Vec<([u8; 16], [u8; 16], i64)> = books
            .db
            .rows(
                "SELECT m.hash, m.fact_id, f.kind FROM group_members m
                 JOIN facts f ON f.fact_id = m.fact_id AND f.state = 1
                 WHERE m.kind = ?1 AND f.book = ?2",
                values![kind.number(), popup.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(BooksFault::sql("read sales"))?;
        let of_group: BTreeMap<[u8; 16], FactId> = members
            .iter()
            .filter(|(_, _, fact)| *fact == CAPTURED)
            .map(|(hash, id, _)| (*hash, FactId(*id)))
            .collect();
        let (mut captures, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for (hash, id, _) in &members {
            let Some(capture) = of_group.get(hash) else {
                continue;
            };
            let group = GroupKey { kind, hash: *hash };
            for cause in [group.cause(), GroupKey::cause_of(kind, FactId(*id))] {
                if wanted.contains(&cause) {
                    captures.insert(cause, *capture);
                    groups.insert(*capture, *hash);
                }
            }
        }
        let tokens: Vec<([u8; 16], Vec<u8>)> = books
            .db
            .rows(
                "SELECT hash, bytes FROM group_words WHERE kind = ?1 AND part = ?2",
                values![kind.number(), TOKEN_CREATOR],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(BooksFault::sql("read words"))?;
        let tokens = tokens.into_iter().filter_map(|(hash, bytes)| {
            let name = CreatorId::new(std::str::from_utf8(&bytes).ok()?).ok()?;
            Some((hash, name))
        });
        let mut found = BTreeMap::new();
        for one in breaks_of(&books.db, popup)? {
            if one.state == BreakState::Open && one.severity == Severity::Money {
                for key in &one.keys {
                    found.entry(key.clone()).or_insert_with(|| one.id.clone());
                }
            }
        }
        Ok(Self {
            books,
            popup,
            captures,
            groups,
            found,
            tokens: tokens.collect(),
            fault: RefCell::new(None),
        })
    }

    fn or<T: Default>(&self, answer: Result<T, BooksFault>) -> T {
        answer.unwrap_or_else(|fault| {
            self.fault.borrow_mut().get_or_insert(fault);
            T::default()
        })
    }

    fn drops(&self, sku: &Sku) -> Result<Vec<Rc<Fact>>, BooksFault> {
        let topic = decided::drop_topic(sku);
        let mut out = Vec::new();
        for id in decided::facts_on(&self.books.db, self.popup.as_str(), &topic)? {
            out.extend(self.books.stated(id)?.map(Rc::new));
        }
        out.sort_by(|a: &Rc<Fact>, b| a.order().cmp(&b.order()));
        Ok(out)
    }
}

impl Sales for Shop<'_> {
    fn sale(&self, cause: FactId) -> Option<Rc<Fact>> {
        let capture = self.captures.get(&cause)?;
        self.or(self.books.stated(*capture)).map(Rc::new)
    }

    fn card(&self, sale: &Fact) -> Card {
        let card = policies::card(&self.books.db, sale);
        self.or(card.map(Some)).unwrap_or(Card::None)
    }

    fn witness<'a>(&'a self, sale: &'a Fact) -> Box<dyn Witness + 'a> {
        let group = self.groups.get(&sale.id);
        Box::new(Heard {
            shop: self,
            token_creator: group.and_then(|hash| self.tokens.get(hash)),
        })
    }

    fn at_risk(&self, sale: &Fact) -> bool {
        self.or(self.books.stored_offline(sale)) != 0
    }

    fn found(&self, sale: &Fact) -> Option<BreakId> {
        let popwatch_core::event::Event::PaymentCaptured(of) = &sale.event else {
            return None;
        };
        self.found.get(of.payment.as_str()).cloned()
    }
}

struct Heard<'a> {
    shop: &'a Shop<'a>,
    token_creator: Option<&'a CreatorId>,
}

impl Witness for Heard<'_> {
    fn token_creator(&self) -> Option<&CreatorId> {
        self.token_creator
    }

    fn drop_creator(&self, sku: &Sku, at_ms: i64) -> Option<CreatorId> {
        let drops = self.shop.or(self.shop.drops(sku));
        attribution::open_drop(&drops, at_ms)
    }
}
