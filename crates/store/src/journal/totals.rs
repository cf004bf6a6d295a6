//! Running sums per (popup, currency), and what a lost range was worth.
//!
//! Every money and stock record states its row's sums after itself, seals state the rows that
//! changed. So between two statements of one row nothing can hide:
//!
//! ```text
//! value of what is lost = next statement − its own amounts − last statement before
//! ```
//!
//! Sums saturate; catalogue amounts have 12 digits, so a row would need nine million of the largest
//! sales in one epoch to reach that.

use std::collections::BTreeMap;

use popwatch_core::event::system::{Gap, Seal, SystemEvent, TotalsRow};
use popwatch_core::event::{Class, Event};
use popwatch_core::limits;
use popwatch_core::money::Currency;
use popwatch_core::record::Record;

/// The currency code of rows without money.
pub const NO_CURRENCY: &str = "XXX";

/// The numbers of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// Money and stock records.
    pub n: u64,
    /// Captured, minor units.
    pub captured: i64,
    /// Refunded, minor units.
    pub refunded: i64,
    /// Tips, minor units.
    pub tip: i64,
    /// Tax, minor units.
    pub tax: i64,
    /// Tokens redeemed, minor units.
    pub token_value: i64,
    /// Units sold, in row `XXX` moved.
    pub units: i64,
}

impl Sums {
    /// What one event adds, and to which currency's row; `None` for classes without totals.
    #[must_use]
    pub fn of(event: &Event) -> Option<(Option<Currency>, Self)> {
        let one = Self {
            n: 1,
            ..Self::default()
        };
        match event.class() {
            Class::Money | Class::Stock => {}
            Class::System | Class::Journey | Class::Ambient => return None,
        }
        let moved = |units: i64| (None, Self { units, ..one });
        Some(match event {
            Event::PaymentCaptured(data) => {
                let units = data.lines.iter().flatten().map(|line| line.qty);
                let sums = Self {
                    captured: data.amount.0,
                    tip: data.tip.map_or(0, |tip| tip.0),
                    tax: data.tax.map_or(0, |tax| tax.0),
                    units: units.fold(0, i64::saturating_add),
                    ..one
                };
                (Some(data.currency), sums)
            }
            Event::PaymentRefunded(data) => {
                let refunded = data.amount.0;
                (Some(data.currency), Self { refunded, ..one })
            }
            Event::PaymentAuthorized(data) => (Some(data.currency), one),
            Event::PaymentFailed(data) => (Some(data.currency), one),
            Event::PaymentDisputed(data) => (Some(data.currency), one),
            Event::TokenIssued(data) => (data.currency, one),
            Event::TokenVoided(data) => (data.currency, one),
            Event::TokenRedeemed(data) => {
                let token_value = data.value.map_or(0, |value| value.0);
                (data.currency, Self { token_value, ..one })
            }
            Event::BooksAdjusted(data) => (Some(data.currency), one),
            Event::InventoryReceived(data) => moved(data.qty.0),
            Event::InventoryAllocated(data) => moved(data.qty.0),
            Event::InventoryMoved(data) => moved(data.qty.0),
            Event::InventoryAdjusted(data) => moved(data.qty.0),
            Event::InventoryCounted(_)
            | Event::OrderFulfilled(_)
            | Event::DropOpened(_)
            | Event::DropClosed(_)
            | Event::CheckoutStarted(_)
            | Event::CheckoutCompleted(_)
            | Event::CheckoutAbandoned(_)
            | Event::ChatMessage(_)
            | Event::AudienceSampled(_)
            | Event::ProductViewed(_)
            | Event::CartAdded(_)
            | Event::RigSampled(_)
            | Event::System(_) => (None, one),
        })
    }

    /// The numbers of a row.
    #[must_use]
    pub fn of_row(row: &TotalsRow) -> Self {
        Self {
            n: row.n,
            captured: row.captured,
            refunded: row.refunded,
            tip: row.tip,
            tax: row.tax,
            token_value: row.token_value,
            units: row.units,
        }
    }

    /// Sum, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            n: self.n.saturating_add(other.n),
            captured: self.captured.saturating_add(other.captured),
            refunded: self.refunded.saturating_add(other.refunded),
            tip: self.tip.saturating_add(other.tip),
            tax: self.tax.saturating_add(other.tax),
            token_value: self.token_value.saturating_add(other.token_value),
            units: self.units.saturating_add(other.units),
        }
    }

    /// Difference, saturating; a count below zero is zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            n: self.n.saturating_sub(other.n),
            captured: self.captured.saturating_sub(other.captured),
            refunded: self.refunded.saturating_sub(other.refunded),
            tip: self.tip.saturating_sub(other.tip),
            tax: self.tax.saturating_sub(other.tax),
            token_value: self.token_value.saturating_sub(other.token_value),
            units: self.units.saturating_sub(other.units),
        }
    }

    fn row(self, popup: &str, currency: &str) -> TotalsRow {
        TotalsRow {
            popup: popup.into(),
            currency: currency.into(),
            n: self.n,
            captured: self.captured,
            refunded: self.refunded,
            tip: self.tip,
            tax: self.tax,
            token_value: self.token_value,
            units: self.units,
        }
    }
}

/// An epoch's running sums, with what a commit changed so that it can be taken back.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    rows: Vec<Running>,
    /// Rows as they were before the commit that is being made, first change first.
    before: Vec<(usize, Sums, bool)>,
    len_before: usize,
}

#[derive(Debug, Clone)]
struct Running {
    popup: String,
    currency: String,
    sums: Sums,
    /// Changed since the last seal.
    changed: bool,
    /// Noted in `before` already.
    noted: bool,
}

impl Totals {
    /// Adds a record; answers its row after it, `None` for classes without totals. Beyond the
    /// bound of rows a new pair gets no statement.
    pub fn add(&mut self, record: &Record) -> Option<TotalsRow> {
        let (currency, sums) = Sums::of(&record.event)?;
        let popup = record.popup.as_ref().map_or("", |popup| popup.as_str());
        let code = currency.as_ref().map_or(NO_CURRENCY, Currency::code);
        let found = self
            .rows
            .iter()
            .position(|row| row.currency == code && row.popup == popup);
        let index = match found {
            Some(index) => index,
            None if self.rows.len() >= limits::TOTALS_ROWS_MAX => return None,
            None => {
                self.rows.push(Running {
                    popup: popup.into(),
                    currency: code.into(),
                    sums: Sums::default(),
                    changed: false,
                    noted: false,
                });
                self.rows.len() - 1
            }
        };
        let row = self.rows.get_mut(index)?;
        if !row.noted {
            row.noted = true;
            self.before.push((index, row.sums, row.changed));
        }
        row.sums = row.sums.plus(sums);
        row.changed = true;
        Some(row.sums.row(&row.popup, &row.currency))
    }

    /// The rows a seal states: all of them, or those changed since the last one.
    #[must_use]
    pub fn statement(&self, complete: bool) -> Vec<TotalsRow> {
        let rows = self.rows.iter().filter(|row| complete || row.changed);
        rows.map(|row| row.sums.row(&row.popup, &row.currency))
            .collect()
    }

    /// Notes that a seal was staged. Undone by [`Totals::undo`].
    pub fn sealed(&mut self) {
        for (index, row) in self.rows.iter_mut().enumerate() {
            if row.changed {
                if !row.noted {
                    row.noted = true;
                    self.before.push((index, row.sums, row.changed));
                }
                row.changed = false;
            }
        }
    }

    /// How many rows there are.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Begins a commit.
    pub fn begin(&mut self) {
        for (index, _, _) in self.before.drain(..) {
            if let Some(row) = self.rows.get_mut(index) {
                row.noted = false;
            }
        }
        self.len_before = self.rows.len();
    }

    /// Takes back everything since [`Totals::begin`].
    pub fn undo(&mut self) {
        for (index, sums, changed) in self.before.drain(..) {
            if let Some(row) = self.rows.get_mut(index) {
                row.sums = sums;
                row.changed = changed;
                row.noted = false;
            }
        }
        self.rows.truncate(self.len_before);
    }
}

/// One row's key: popup and currency.
pub type RowKey = (String, String);

/// Rows as they were last stated, by key.
pub type Stated = BTreeMap<RowKey, Sums>;

/// Rows of a map.
#[must_use]
pub fn rows(stated: &Stated) -> Vec<TotalsRow> {
    let all = stated.iter();
    all.map(|((popup, currency), sums)| sums.row(popup, currency))
        .collect()
}

/// The seal in a record, if it is one.
#[must_use]
pub fn seal_of(event: &Event) -> Option<&Seal> {
    if let Event::System(SystemEvent::RigSeal(seal) | SystemEvent::RigStopped(seal)) = event {
        Some(seal)
    } else {
        None
    }
}

/// A lost range of one epoch and what it was worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Valued {
    /// First lost seq.
    pub first: u64,
    /// Last lost seq.
    pub last: u64,
    /// What was lost, per row that a later statement tells of; each exact.
    pub lost: Stated,
    /// No row can be missing from `lost`.
    pub known: bool,
    /// A record names it, which could not say all of its value.
    recorded: bool,
    /// A row changed in it whose earlier sum is not known here.
    blind: bool,
}

/// Walks one epoch's records in order and finds what its gaps were worth.
///
/// A row's value is exact as soon as a later statement of it survives. That no other row was in a
/// gap is known when the statements account for every lost record, or for as many money and stock
/// records as a later seal counts.
///
/// Where two gaps lie between two statements of a row, the earlier one carries the value of both:
/// the sum is exact, the split cannot be known. A gap whose value is recorded keeps it, whatever was
/// lost beside it since.
#[derive(Debug, Default)]
pub struct Appraiser {
    /// By popup and currency: found by texts that lie elsewhere, once or more for each record.
    stated: BTreeMap<String, BTreeMap<String, (Sums, u64)>>,
    gaps: Vec<Valued>,
    /// Rows whose statement differs from the sums although nothing is missing.
    faults: Vec<u64>,
    /// The records before the first one were trimmed: earlier sums are learned, not known.
    trimmed: bool,
}

impl Appraiser {
    /// Starts with the statements of a complete seal at `seq`.
    #[must_use]
    pub fn new(known: &[TotalsRow], seq: u64) -> Self {
        let mut new = Self::default();
        for row in known {
            *new.row(row) = (Sums::of_row(row), seq);
        }
        new
    }

    /// Starts at an epoch's first record, or behind what was trimmed of it.
    #[must_use]
    pub fn from_start(trimmed: bool) -> Self {
        Self {
            trimmed,
            ..Self::default()
        }
    }

    /// A range is missing here.
    pub fn gap(&mut self, first: u64, last: u64) {
        self.gaps.push(Valued {
            first,
            last,
            lost: Stated::new(),
            known: false,
            recorded: false,
            blind: false,
        });
    }

    /// A range is missing here whose value was recorded while there was more to tell it from.
    pub fn recorded(&mut self, gap: &Gap) {
        for row in &gap.value {
            let stated = self.row(row);
            stated.0 = stated.0.plus(Sums::of_row(row));
        }
        if gap.value_unknown {
            self.gap(gap.first, gap.last);
            if let Some(last) = self.gaps.last_mut() {
                last.recorded = true;
            }
        }
    }

    /// The next surviving record.
    pub fn record(&mut self, seq: u64, record: &Record) {
        if let Some((_, own)) = Sums::of(&record.event) {
            for row in &record.totals {
                self.statement(row, own, seq);
            }
        }
        if let Some(seal) = seal_of(&record.event) {
            for row in &seal.totals {
                self.statement(row, Sums::default(), seq);
            }
            let counted = [Class::Money, Class::Stock].map(|class| {
                let count = seal.counts.get(usize::from(class.byte()));
                count.copied().unwrap_or(0)
            });
            let rows = self.stated.values().flat_map(BTreeMap::values);
            let told = rows.map(|(sums, _)| sums.n);
            let told = told.fold(0, u64::saturating_add);
            if seal.complete || told == counted.iter().copied().fold(0, u64::saturating_add) {
                self.know(|gap| !gap.blind);
            }
        }
    }

    fn know(&mut self, which: impl Fn(&Valued) -> bool) {
        for gap in self.gaps.iter_mut().filter(|gap| which(gap)) {
            gap.known = true;
        }
    }

    /// Whether every gap so far has its value.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.gaps.iter().all(|gap| gap.known)
    }

    /// The whole epoch's totals, as the next one stated them when only recorded gaps were missing.
    pub fn end(&mut self, totals: &[TotalsRow]) {
        for row in totals {
            self.statement(row, Sums::default(), u64::MAX);
        }
        self.know(|gap| !gap.recorded && !gap.blind);
    }

    fn statement(&mut self, row: &TotalsRow, own: Sums, seq: u64) {
        let now = Sums::of_row(row);
        let popup = self.stated.get(&row.popup);
        let stated = popup.and_then(|popup| popup.get(&row.currency)).copied();
        if self.trimmed && stated.is_none() {
            if now != own {
                self.gaps.iter_mut().for_each(|gap| gap.blind = true);
            }
        } else {
            let (before, at) = stated.unwrap_or_default();
            if now != before.plus(own) {
                match self.gap_after(at) {
                    Some(gap) => {
                        let lost = gap.lost.entry(key_of(row)).or_default();
                        *lost = lost.plus(now.minus(own).minus(before));
                    }
                    None => self.faults.push(seq),
                }
            }
        }
        *self.row(row) = (now, seq);
        self.count_up();
    }

    /// The last statement of a row, to be changed.
    fn row(&mut self, of: &TotalsRow) -> &mut (Sums, u64) {
        if !self.stated.contains_key(&of.popup) {
            self.stated.insert(of.popup.clone(), BTreeMap::new());
        }
        let popup = self.stated.get_mut(&of.popup);
        let popup = popup.expect("it was just put there");
        if !popup.contains_key(&of.currency) {
            popup.insert(of.currency.clone(), <(Sums, u64)>::default());
        }
        popup.get_mut(&of.currency).expect("it was just put there")
    }

    /// The gap that hides what changed since `at`: one that is not recorded, if there is one.
    fn gap_after(&mut self, at: u64) -> Option<&mut Valued> {
        let fresh = |gap: &Valued| gap.first > at && !gap.recorded;
        let place = self.gaps.iter().position(fresh);
        let place = place.or_else(|| self.gaps.iter().position(|gap| gap.first > at));
        self.gaps.get_mut(place?)
    }

    /// Where the rows account for every record that is lost, no row is missing.
    fn count_up(&mut self) {
        if self.settled() {
            return;
        }
        let len = |gap: &Valued| (gap.last - gap.first).saturating_add(1);
        let lost = self.gaps.iter().map(len).fold(0, u64::saturating_add);
        let told = self.gaps.iter().flat_map(|gap| gap.lost.values());
        if told.map(|sums| sums.n).fold(0, u64::saturating_add) == lost {
            self.know(|_| true);
        }
    }

    /// The gaps with their values, the seqs whose totals contradict the bodies, and the rows as
    /// last stated.
    #[must_use]
    pub fn finish(self) -> (Vec<Valued>, Vec<u64>, Stated) {
        let mut last = Stated::new();
        for (popup, rows) in self.stated {
            let rows = rows.into_iter();
            last.extend(rows.map(|(currency, (sums, _))| ((popup.clone(), currency), sums)));
        }
        (self.gaps, self.faults, last)
    }
}

fn key_of(row: &TotalsRow) -> RowKey {
    (row.popup.clone(), row.currency.clone())
}
