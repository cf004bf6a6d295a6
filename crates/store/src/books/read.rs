//! What the books answer: accounts, breaks, coverage, reconciliation. Reading changes nothing.

use std::collections::BTreeMap;

use popwatch_core::event::Event;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::fold::{EpochFold, Step};
use popwatch_core::id::{CreatorId, Epoch, EpochId, PopupId, RigId, Seq, Sku};
use popwatch_core::invariant;
use popwatch_core::ledger::breaks::BreakState;
use popwatch_core::ledger::entry::EntryId;
use popwatch_core::ledger::epoch::EpochCheck;
use popwatch_core::ledger::reconcile::{
    CellState, Cells, CurrencyTotals, EpochCoverage, Inputs, Reconciliation, accept,
    coverage_breaks, reconcile,
};
use popwatch_core::ledger::root::{Root, books_root};
use popwatch_core::ledger::{Account, Break, Commodity, Ranges, post};
use popwatch_core::money::Currency;
use popwatch_core::record::{self, Record};
use popwatch_core::time::WallMs;

use super::db::{DbFault, Row, values};
use super::held::Held;
use super::policies::Promises;
use super::rows::{self, breaks_of, column, epoch_number, fact_at, number, position};
use super::{Books, BooksFault, decided, frame, gaps};

/// Records read at once when an epoch is folded again.
const SCAN_PAGE: i64 = 1_000;

/// One line of a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// The account.
    pub account: Account,
    /// Σ debits, minor units or items.
    pub debit: i64,
    /// Σ credits.
    pub credit: i64,
}

impl AccountLine {
    /// Debit minus credit.
    #[must_use]
    pub fn balance(&self) -> i64 {
        self.debit.saturating_sub(self.credit)
    }
}

/// A book in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CurrencyBooks {
    /// Accounts that ever moved, by code.
    pub accounts: Vec<AccountLine>,
    /// Σ debits − Σ credits: 0, always.
    pub trial_balance: i64,
    /// What stands in suspense, credit positive.
    pub suspense: i64,
    /// Σ suspense of the open breaks: equal to `suspense`, always.
    pub open_breaks: i64,
}

/// A book in the items of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockBooks {
    /// Accounts that ever moved, by code.
    pub accounts: Vec<AccountLine>,
    /// Σ debits − Σ credits: 0, always.
    pub trial_balance: i64,
}

impl StockBooks {
    /// Items that can be sold.
    #[must_use]
    pub fn on_hand(&self) -> i64 {
        self.accounts
            .iter()
            .filter(|line| line.account.of.is_on_hand())
            .map(AccountLine::balance)
            .sum()
    }
}

/// How far the ledger holds one epoch of one rig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochWatermark {
    /// The rig.
    pub rig: RigId,
    /// The epoch.
    pub epoch: u32,
    /// Trunk accounted for without a hole up to here.
    pub trunk_seq: u64,
    /// Bulk accounted for without a hole up to here.
    pub bulk_seq: u64,
    /// The last seq known to exist.
    pub last: u64,
    /// Seqs known to exist that are neither here nor named as lost.
    pub missing: Ranges,
    /// Seqs named as lost.
    pub lost: Ranges,
    /// Whether a later word said where the epoch ended.
    pub sealed: bool,
}

/// The books of one popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BooksView {
    /// Which popup.
    pub popup: PopupId,
    /// Money, by currency.
    pub currencies: BTreeMap<Currency, CurrencyBooks>,
    /// Stock, by SKU.
    pub stock: BTreeMap<Sku, StockBooks>,
    /// Tokens, by campaign.
    pub tokens: BTreeMap<CreatorId, StockBooks>,
    /// Captured and refunded, by currency.
    pub totals: BTreeMap<Currency, CurrencyTotals>,
    /// Root over the effective entries.
    pub books_root: Root,
    /// Effective entries.
    pub entries: u64,
    /// How far each epoch is held.
    pub coverage: Vec<EpochWatermark>,
    /// Records whose bytes are gone, since their time was over.
    pub erased: u64,
}

impl Books {
    /// The popups that have a book or a rig that took part.
    pub fn popups(&self) -> Result<Vec<PopupId>, BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT DISTINCT book FROM rig_popups ORDER BY book",
                values![],
                |row| row.get::<String>(0),
            )
        };
        read()
            .map_err(BooksFault::sql("list popups"))?
            .iter()
            .map(|text| PopupId::new(text).map_err(|_| BooksFault::Damaged("popup name")))
            .collect()
    }

    /// The books of a popup; empty ones when it is unknown.
    pub fn books(&self, popup: &PopupId) -> Result<BooksView, BooksFault> {
        let mut view = BooksView {
            popup: popup.clone(),
            currencies: BTreeMap::new(),
            stock: BTreeMap::new(),
            tokens: BTreeMap::new(),
            totals: self.totals(popup)?,
            books_root: [0; 32],
            entries: 0,
            coverage: Vec::new(),
            erased: self.erased(popup)?,
        };
        self.read_accounts(popup, &mut view)?;
        for found in breaks_of(&self.db, popup)? {
            if let Some(currency) = found.commodity.as_ref().and_then(Commodity::currency)
                && found.suspense != 0
                && found.state == BreakState::Open
            {
                view.currencies.entry(currency).or_default().open_breaks += found.suspense;
            }
        }
        let ids = self.effective(popup)?;
        view.entries = ids.len() as u64;
        view.books_root = books_root(ids);
        view.coverage = self
            .coverage(popup)?
            .into_iter()
            .map(|epoch| EpochWatermark {
                trunk_seq: epoch.trunk.contiguous(),
                bulk_seq: epoch.bulk.contiguous(),
                last: epoch.known_last(),
                missing: epoch.lacking(),
                lost: epoch.lost.clone(),
                sealed: epoch.ended_at.is_some(),
                rig: epoch.rig,
                epoch: epoch.epoch,
            })
            .collect();
        Ok(view)
    }

    /// The open breaks of a popup: those posting found, what rigs lack or lost, refunds without a
    /// sale.
    pub fn breaks(&self, popup: &PopupId) -> Result<Vec<Break>, BooksFault> {
        let mut breaks = breaks_of(&self.db, popup)?;
        for epoch in self.coverage(popup)? {
            breaks.extend(coverage_breaks(popup, &epoch));
        }
        breaks.extend(self.orphans(popup)?);
        accept(&mut breaks, &decided::accepted_plain(&self.db, popup)?);
        Ok(breaks)
    }

    /// Reconciles a popup: everything held against everything known to exist, the rigs' own totals,
    /// and, where the region's cells are given, those against cells folded again from the records.
    pub fn reconcile(
        &self,
        popup: &PopupId,
        region: Option<Cells>,
        as_of: WallMs,
    ) -> Result<Reconciliation, BooksFault> {
        let view = self.books(popup)?;
        // Cells say more than records do of which the bytes are gone: they are not held against them.
        let region = region.filter(|_| view.erased == 0);
        let mut posted = breaks_of(&self.db, popup)?;
        posted.extend(self.orphans(popup)?);
        let coverage = self.coverage(popup)?;
        let window = Promises::default().window(&self.db, popup)?;
        let mut refold = Cells::new();
        for epoch in &coverage {
            let check = self.refold_epoch(epoch, popup, &mut refold)?;
            posted.extend(check.breaks(popup));
            let unsealed =
                window.and_then(|(_, ends_ms)| check.unsealed(popup, epoch, ends_ms, as_of.0));
            posted.extend(unsealed);
        }
        let suspense: BTreeMap<Currency, i64> = view
            .currencies
            .iter()
            .map(|(currency, books)| (*currency, books.suspense))
            .collect();
        let open = view
            .currencies
            .iter()
            .map(|(currency, books)| (*currency, books.open_breaks))
            .collect();
        invariant::suspense_explained(&suspense, &open).map_err(BooksFault::Law)?;
        let trial = view
            .currencies
            .iter()
            .map(|(currency, books)| (*currency, books.trial_balance));
        invariant::books_balance(trial).map_err(BooksFault::Law)?;
        Ok(reconcile(Inputs {
            popup: popup.clone(),
            as_of_ms: as_of.0,
            coverage,
            posted,
            accepted: decided::accepted_plain(&self.db, popup)?,
            totals: view.totals,
            suspense,
            refold,
            region,
        }))
    }

    /// The cells of a popup, folded again from the stored records of every epoch.
    pub fn refold(&self, popup: &PopupId) -> Result<Cells, BooksFault> {
        let mut cells = Cells::new();
        for epoch in self.coverage(popup)? {
            self.refold_epoch(&epoch, popup, &mut cells)?;
        }
        Ok(cells)
    }

    fn refold_epoch(
        &self,
        epoch: &EpochCoverage,
        popup: &PopupId,
        cells: &mut Cells,
    ) -> Result<EpochCheck, BooksFault> {
        let mut check = EpochCheck::new(epoch.rig.clone(), epoch.epoch);
        let Some(epoch_id) = self.epoch_id(&epoch.rig, epoch.epoch)? else {
            return Ok(check);
        };
        let mut fold = EpochFold::new(epoch.rig.clone(), Epoch(epoch.epoch), epoch_id);
        self.scan(&epoch.rig, epoch.epoch, |seq, record| {
            check.record(seq, &record);
            if matches!(fold.apply(Seq(seq), &record), Step::Rebucket) {
                let mut again = fold.again(Seq(seq), &record);
                self.scan(&epoch.rig, epoch.epoch, |at, record| {
                    again.apply(Seq(at), &record);
                    Ok(())
                })?;
                fold.adopt(again);
            }
            Ok(())
        })?;
        let of_popup = fold.cells().filter(|cell| cell.popup == popup.as_str());
        cells.extend(of_popup.map(|cell| (cell.key(), CellState::of(cell))));
        Ok(check)
    }

    /// Feeds all readable records of an epoch in seq order.
    fn scan(
        &self,
        rig: &RigId,
        epoch: u32,
        mut each: impl FnMut(u64, Record) -> Result<(), BooksFault>,
    ) -> Result<(), BooksFault> {
        let mut after = 0;
        loop {
            let page: Vec<(u64, Option<Record>)> = self
                .db
                .rows(
                    "SELECT seq, bytes FROM records
                     WHERE rig = ?1 AND epoch = ?2 AND seq > ?3 AND bytes IS NOT NULL
                     ORDER BY seq LIMIT ?4",
                    values![rig.as_str(), epoch, column(after), SCAN_PAGE],
                    held_record,
                )
                .map_err(BooksFault::sql("read the records of an epoch"))?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = *last;
            for (seq, record) in page {
                if let Some(record) = record {
                    each(seq, record)?;
                }
            }
        }
    }

    fn epoch_id(&self, rig: &RigId, epoch: u32) -> Result<Option<EpochId>, BooksFault> {
        self.db
            .row(
                "SELECT epoch_id FROM rig_epochs WHERE rig = ?1 AND epoch = ?2",
                values![rig.as_str(), epoch],
                |row| row.get(0),
            )
            .map(|found| found.map(EpochId))
            .map_err(BooksFault::sql("read an epoch"))
    }

    fn read_accounts(&self, popup: &PopupId, view: &mut BooksView) -> Result<(), BooksFault> {
        let read = || {
            self.db.rows::<(String, String, i64, i64)>(
                "SELECT commodity, account, debit, credit FROM balances
                     WHERE book = ?1 AND (debit <> 0 OR credit <> 0)
                     ORDER BY commodity, account",
                values![popup.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
        };
        for (commodity, account, debit, credit) in
            read().map_err(BooksFault::sql("read balances"))?
        {
            let account = Account::parse(&account).ok_or(BooksFault::Damaged("account"))?;
            let suspense = match account.of == popwatch_core::ledger::Chart::Suspense {
                true => credit.saturating_sub(debit),
                false => 0,
            };
            let line = AccountLine {
                account,
                debit,
                credit,
            };
            let balance = line.balance();
            match Commodity::parse(&commodity).ok_or(BooksFault::Damaged("commodity"))? {
                Commodity::Money(currency) => {
                    let books = view.currencies.entry(currency).or_default();
                    books.trial_balance = books.trial_balance.saturating_add(balance);
                    books.suspense = books.suspense.saturating_add(suspense);
                    books.accounts.push(line);
                }
                Commodity::Tokens(campaign) => {
                    let books = view.tokens.entry(campaign).or_default();
                    books.trial_balance = books.trial_balance.saturating_add(balance);
                    books.accounts.push(line);
                }
                Commodity::Units(sku) => {
                    let books = view.stock.entry(sku).or_default();
                    books.trial_balance = books.trial_balance.saturating_add(balance);
                    books.accounts.push(line);
                }
            }
        }
        Ok(())
    }

    fn totals(&self, popup: &PopupId) -> Result<BTreeMap<Currency, CurrencyTotals>, BooksFault> {
        let (sale, refund) = (11_i64, 13_i64);
        let read = || {
            self.db.rows::<(i64, String, i64, i64)>(
                "SELECT kind, currency, CAST(SUM(amount) AS BIGINT), COUNT(*) FROM facts
                     WHERE book = ?1 AND state = 1 AND kind IN (?2, ?3) GROUP BY kind, currency",
                values![popup.as_str(), sale, refund],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
        };
        let mut out: BTreeMap<Currency, CurrencyTotals> = BTreeMap::new();
        for (kind, currency, amount, count) in read().map_err(BooksFault::sql("sum facts"))? {
            let currency = Currency::new(&currency).ok_or(BooksFault::Damaged("currency"))?;
            let sums = out.entry(currency).or_default();
            if kind == sale {
                (sums.captured, sums.sales) = (amount, number(count));
            } else {
                (sums.refunded, sums.refunds) = (amount, number(count));
            }
        }
        Ok(out)
    }

    fn effective(&self, popup: &PopupId) -> Result<Vec<EntryId>, BooksFault> {
        let read = || {
            self.db.rows(
                "SELECT entry_id FROM entries WHERE book = ?1 AND live = 1",
                values![popup.as_str()],
                |row| row.get(0).map(EntryId),
            )
        };
        read().map_err(BooksFault::sql("read entries"))
    }

    /// Refunds of sales nobody stated.
    fn orphans(&self, popup: &PopupId) -> Result<Vec<Break>, BooksFault> {
        let read = || {
            self.db.rows::<(String, i64, i64)>(
                "SELECT f.rig, f.epoch, f.seq FROM refunds_of r
                     JOIN facts f ON f.fact_id = r.fact_id AND f.state = 1
                     WHERE r.book = ?1 AND NOT EXISTS
                       (SELECT 1 FROM facts s WHERE s.fact_id = r.sale AND s.state = 1)",
                values![popup.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        };
        let mut out = Vec::new();
        for (rig, epoch, seq) in read().map_err(BooksFault::sql("read refunds"))? {
            let fact = fact_at(&self.db, position(&rig, epoch, seq)?)?;
            if let Some(fact) = fact
                && let Event::PaymentRefunded(asked) = &fact.event
            {
                out.push(post::orphan(&fact, asked));
            }
        }
        Ok(out)
    }

    /// All epochs of the rigs that took part, from the first one that did, but those that a rig left
    /// after a fork: their events stand in a later one.
    fn coverage(&self, popup: &PopupId) -> Result<Vec<EpochCoverage>, BooksFault> {
        let read = || {
            self.db.rows(
                "WITH parts AS (
                       SELECT rig, MIN(epoch) AS since FROM rig_popups WHERE book = ?1 GROUP BY rig
                     ), words AS (
                       SELECT w.* FROM epoch_words w JOIN parts p ON p.rig = w.rig
                       LEFT JOIN rig_epochs h ON h.rig = w.rig AND h.epoch = w.epoch
                       WHERE (h.epoch_id IS NULL OR w.epoch_id IN (h.epoch_id, ?2))
                         AND NOT EXISTS (SELECT 1 FROM epoch_voids v
                           WHERE v.rig = w.rig AND v.epoch_id = w.epoch_id)
                     ), said AS (
                       SELECT rig, epoch, MAX(ended) AS ended, MIN(ended_least) AS ended_least,
                         MAX(head) AS head FROM words GROUP BY rig, epoch
                     ), epochs AS (
                       SELECT rig, epoch FROM rig_epochs UNION SELECT rig, epoch FROM said
                     )
                     SELECT e.rig, e.epoch, h.trunk, h.bulk, c.ended, COALESCE(c.head, 0),
                       (SELECT MAX(seq) FROM records r WHERE r.rig = e.rig AND r.epoch = e.epoch),
                       c.ended_least
                     FROM epochs e JOIN parts p ON p.rig = e.rig AND e.epoch >= p.since
                     LEFT JOIN rig_epochs h ON h.rig = e.rig AND h.epoch = e.epoch
                     LEFT JOIN said c ON c.rig = e.rig AND c.epoch = e.epoch
                     WHERE NOT EXISTS (SELECT 1 FROM epoch_voids v
                       WHERE v.rig = h.rig AND v.epoch_id = h.epoch_id)
                     ORDER BY e.rig, e.epoch",
                values![popup.as_str(), [0_u8; 0]],
                |row| {
                    Ok(CoverageRow {
                        rig: row.get(0)?,
                        epoch: row.get(1)?,
                        trunk: row.get::<Option<Vec<u8>>>(2)?.unwrap_or_default(),
                        bulk: row.get::<Option<Vec<u8>>>(3)?.unwrap_or_default(),
                        ended: row.get(4)?,
                        head: row.get(5)?,
                        held_last: row.get::<Option<i64>>(6)?.unwrap_or(0),
                        ended_least: row.get(7)?,
                    })
                },
            )
        };
        let mut found = read().map_err(BooksFault::sql("read coverage"))?;
        for at in (0..found.len()).rev() {
            let row = &found[at];
            if row.held_last == 0 && self.was_void(&row.rig, row.epoch)? {
                found.remove(at);
            }
        }
        found.into_iter().map(|row| self.covered(&row)).collect()
    }

    /// Whether a later run of the rig said that this one never began: its start failed before anything
    /// of it was durable. What a rig tells of such a run (that its seqs are void) may come by one
    /// cursor and, once its file is gone, never by the other.
    fn was_void(&self, rig: &str, epoch: i64) -> Result<bool, BooksFault> {
        let starts: Vec<Vec<u8>> = self
            .db
            .rows(
                "SELECT bytes FROM records
                 WHERE rig = ?1 AND epoch > ?2 AND seq = 1 AND bytes IS NOT NULL",
                values![rig, epoch],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("read starts"))?;
        let epoch = epoch_number(epoch);
        let says = |bytes: &Vec<u8>| {
            let payload = bytes.get(frame::HEADER_BYTES..)?;
            let Event::System(SystemEvent::RigStarted(started)) =
                record::decode(payload).ok()?.event
            else {
                return None;
            };
            Some(started.void_epochs.contains(&epoch))
        };
        Ok(starts.iter().any(|bytes| says(bytes) == Some(true)))
    }

    fn covered(&self, row: &CoverageRow) -> Result<EpochCoverage, BooksFault> {
        let rig = rows::position(&row.rig, row.epoch, 0)?.rig;
        let epoch = epoch_number(row.epoch);
        let ranges = |bytes: &[u8]| {
            Held::decode(bytes)
                .map(|held| held.ranges())
                .ok_or(BooksFault::Damaged("held stretches"))
        };
        // A held record belongs to one cursor, so the other has nothing to send at its seq.
        let (trunk, bulk) = (ranges(&row.trunk)?, ranges(&row.bulk)?);
        let last = number(row.held_last);
        Ok(EpochCoverage {
            trunk: gaps::with_held(&self.db, &rig, epoch, trunk, last)?,
            bulk: gaps::with_held(&self.db, &rig, epoch, bulk, last)?,
            lost: gaps::lost(&self.db, &rig, epoch)?,
            held_last: number(row.held_last),
            ended_at: row.ended.map(number),
            ended_least: row.ended_least.map(number),
            beacon_head: number(row.head),
            rig,
            epoch,
        })
    }
}

/// The record of a row of seq and bytes; `None` where it is unreadable.
fn held_record(row: &Row<'_>) -> Result<(u64, Option<Record>), DbFault> {
    let bytes = row.blob(1)?;
    let payload = bytes.get(frame::HEADER_BYTES..).unwrap_or_default();
    Ok((number(row.get(0)?), record::decode(payload).ok()))
}

struct CoverageRow {
    rig: String,
    epoch: i64,
    trunk: Vec<u8>,
    bulk: Vec<u8>,
    ended: Option<i64>,
    head: i64,
    held_last: i64,
    ended_least: Option<i64>,
}
