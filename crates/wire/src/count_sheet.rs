//! Count sheets: what people counted on shelves and in drawers.
//!
//! CSV with the columns `kind,key,qty,amount,currency,location,counted_at,counter` in any order, or
//! JSON: an array of objects with these names, or one object whose `rows` is that array. A row of kind
//! `stock` has a SKU as its key and a whole `qty`; one of kind `cash` has a rig as its key and an
//! `amount`, a decimal as people write it, in a `currency`.
//!
//! What always holds: a bad row is named and left, its neighbours are taken; the same sheet gives the
//! same records, so sending it twice changes nothing; where something lay and who counted it is read
//! and not kept. A SKU that was counted in several places at one moment is one count of their sum.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use popwatch_core::code::Code;
use popwatch_core::event::central::CashCounted;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Count, Event, InventoryCounted};
use popwatch_core::id::{EventId, PopupId, RigId, Sku, Source};
use popwatch_core::limits;
use popwatch_core::money::Currency;
use popwatch_core::record::{Content, Flags, Record, Stamp};
use serde_json::Value as Json;

use crate::settlement::figures::{Clock, Decimal};

/// CloudEvents `source` of what a sheet says.
pub const SOURCE: &str = "popwatch:count-sheet";
/// The columns, in the order of the layout.
const COLUMNS: [&str; 8] = [
    "kind",
    "key",
    "qty",
    "amount",
    "currency",
    "location",
    "counted_at",
    "counter",
];
/// Columns without which there is nothing to read; the others may be missing where no row needs them.
const REQUIRED: [&str; 3] = ["kind", "key", "counted_at"];

/// Whose sheet it is and what is known there.
pub struct SheetContext<'a> {
    /// The popup that was counted.
    pub popup: &'a PopupId,
    /// For times without a zone.
    pub tz: TimeZone,
    /// Wall clock, ms since 1970: nothing was counted after it.
    pub now_ms: i64,
    /// Whether the popup ever had this SKU.
    pub knows_sku: &'a dyn Fn(&Sku) -> bool,
    /// Whether a rig of this name took part in the popup.
    pub knows_rig: &'a dyn Fn(&RigId) -> bool,
}

/// What a sheet says.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// BLAKE3 of its bytes.
    pub blake3: [u8; 32],
    /// Rows read, the header not counted.
    pub rows: u64,
    /// Rows that were not taken, ascending.
    pub bad: Vec<BadCount>,
    /// One record per count, in the order of their first rows: `inventory.counted` or `cash.counted`
    /// of the popup, as rig `central` appends them.
    pub records: Vec<Record>,
}

/// A row that was not taken. Never carries a value of the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}, column {column}: {rule}")]
pub struct BadCount {
    /// Row in the sheet, from 1, the header not counted.
    pub row: u64,
    /// The column; empty for the row as a whole.
    pub column: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl BadCount {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::CountRowRefused
    }
}

/// Why a sheet as a whole is refused. Nothing of it is then kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SheetFault {
    /// Neither CSV with a header nor JSON of rows, or no UTF-8.
    #[error("the sheet is neither CSV with a header nor JSON rows, in UTF-8")]
    Unreadable,
    /// A column that every row needs is missing.
    #[error("the sheet names no column {column}")]
    ColumnMissing {
        /// Its name.
        column: &'static str,
    },
    /// A bound was passed.
    #[error("{what} passes {max}")]
    TooLarge {
        /// What is too large, and its unit.
        what: &'static str,
        /// The bound.
        max: u64,
    },
}

impl SheetFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unreadable | Self::ColumnMissing { .. } => Code::InputUnreadable,
            Self::TooLarge { .. } => Code::FileTooLarge,
        }
    }
}

/// Reads a sheet. Fails with what is wrong with it as a whole.
pub fn read(bytes: &[u8], of: &SheetContext<'_>) -> Result<Sheet, SheetFault> {
    if bytes.len() > limits::COUNT_SHEET_BYTES_MAX {
        return Err(SheetFault::TooLarge {
            what: "the size in bytes",
            max: u64::try_from(limits::COUNT_SHEET_BYTES_MAX).unwrap_or(u64::MAX),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| SheetFault::Unreadable)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = if text.trim_start().starts_with(['[', '{']) {
        json_rows(text)?
    } else {
        csv_rows(text)?
    };
    let blake3 = *blake3::hash(bytes).as_bytes();
    let mut counts = Counts {
        of,
        clock: Clock::new(&of.tz),
        found: BTreeMap::new(),
    };
    let mut bad = Vec::new();
    let total = rows.len();
    for (row, cells) in (1..).zip(rows) {
        let Cells::Read(cells) = cells else {
            bad.push(BadCount {
                row,
                column: "",
                rule: "must have as many fields as the header, each a text or a number",
            });
            continue;
        };
        if let Err((column, rule)) = counts.take(row, &cells) {
            bad.push(BadCount { row, column, rule });
        }
    }
    Ok(Sheet {
        blake3,
        rows: u64::try_from(total).unwrap_or(u64::MAX),
        bad,
        records: counts.records(blake3),
    })
}

/// The fields of a row, in the order of [`COLUMNS`].
enum Cells {
    Read([String; COLUMNS.len()]),
    /// Another number of fields than the header, or no fields at all.
    Broken,
}

fn bounded(count: usize) -> Result<(), SheetFault> {
    if u64::try_from(count).unwrap_or(u64::MAX) > limits::COUNT_SHEET_ROWS_MAX {
        return Err(SheetFault::TooLarge {
            what: "the number of rows",
            max: limits::COUNT_SHEET_ROWS_MAX,
        });
    }
    Ok(())
}

fn csv_rows(text: &str) -> Result<Vec<Cells>, SheetFault> {
    let header = text.trim_start().lines().next().unwrap_or_default();
    let separator = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|separator| header.bytes().filter(|byte| byte == separator).count());
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .delimiter(separator.unwrap_or(b','))
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|_| SheetFault::Unreadable)?
        .clone();
    let places = COLUMNS.map(|name| header.iter().position(|one| one.trim() == name));
    for (place, column) in places.iter().zip(COLUMNS) {
        if place.is_none() && REQUIRED.contains(&column) {
            return Err(SheetFault::ColumnMissing { column });
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| SheetFault::Unreadable)?;
        let cell = |place: Option<usize>| place.and_then(|at| record.get(at)).unwrap_or_default();
        rows.push(if record.len() == header.len() {
            Cells::Read(places.map(|place| cell(place).trim().to_owned()))
        } else {
            Cells::Broken
        });
        bounded(rows.len())?;
    }
    Ok(rows)
}

fn json_rows(text: &str) -> Result<Vec<Cells>, SheetFault> {
    let document: Json = serde_json::from_str(text).map_err(|_| SheetFault::Unreadable)?;
    let rows = document.get("rows").unwrap_or(&document);
    let rows = rows.as_array().ok_or(SheetFault::Unreadable)?;
    bounded(rows.len())?;
    let read = |row: &Json| {
        let fields = row.as_object()?;
        let mut cells: [String; COLUMNS.len()] = Default::default();
        for (cell, name) in cells.iter_mut().zip(COLUMNS) {
            *cell = match fields.get(name) {
                None | Some(Json::Null) => String::new(),
                Some(Json::String(text)) => text.trim().to_owned(),
                // An amount as a number could be of major or of minor units.
                Some(Json::Number(number)) if number.is_i64() && name != "amount" => {
                    number.to_string()
                }
                Some(Json::Number(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => {
                    return None;
                }
            };
        }
        Some(cells)
    };
    let rows = rows
        .iter()
        .map(|row| read(row).map_or(Cells::Broken, Cells::Read));
    Ok(rows.collect())
}

/// What was counted, at which moment; a sheet says it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Stock(Sku, i64),
    Cash(RigId, Currency, i64),
}

/// The counts of a sheet so far.
struct Counts<'a> {
    of: &'a SheetContext<'a>,
    clock: Clock,
    /// By what was counted: first row, sum, and the places it was counted in.
    found: BTreeMap<Counted, (u64, i64, Vec<String>)>,
}

type Wrong = (&'static str, &'static str);

impl Counts<'_> {
    fn take(&mut self, row: u64, cells: &[String; COLUMNS.len()]) -> Result<(), Wrong> {
        let [kind, key, qty, amount, currency, location, counted_at, _] = cells;
        let at_ms = self
            .clock
            .ms(counted_at, None)
            .ok_or(("counted_at", "must be a time such as 2026-03-06T21:30:00Z"))?;
        if at_ms > self.of.now_ms {
            return Err(("counted_at", "must not lie in the future"));
        }
        let (counted, figure) = match kind.as_str() {
            "stock" => self.stock(key, qty, at_ms)?,
            "cash" => self.cash(key, amount, currency, at_ms)?,
            _ => return Err(("kind", "must be stock or cash")),
        };
        let is_cash = matches!(counted, Counted::Cash(..));
        let found = self.found.entry(counted).or_insert((row, 0, Vec::new()));
        if found.2.contains(location) || (is_cash && !found.2.is_empty()) {
            return Err((
                "key",
                "must not be counted twice at one moment in one place",
            ));
        }
        found.1 = found
            .1
            .checked_add(figure)
            .filter(|sum| *sum <= limits::QUANTITY_MAX || is_cash)
            .ok_or(("qty", "must not add up to more than 1000000000"))?;
        found.2.push(location.clone());
        Ok(())
    }

    fn stock(&self, key: &str, qty: &str, at_ms: i64) -> Result<(Counted, i64), Wrong> {
        let sku = Sku::new(key).map_err(|_| ("key", "must be a SKU of 1 to 64 printable bytes"))?;
        if !(self.of.knows_sku)(&sku) {
            return Err(("key", "must be a SKU that this popup has"));
        }
        let digits = !qty.is_empty() && qty.bytes().all(|byte| byte.is_ascii_digit());
        let qty = Some(qty)
            .filter(|_| digits)
            .and_then(|qty| qty.parse::<i64>().ok());
        let qty = qty.filter(|qty| *qty <= limits::QUANTITY_MAX);
        let qty = qty.ok_or(("qty", "must be a whole number from 0 to 1000000000"))?;
        Ok((Counted::Stock(sku, at_ms), qty))
    }

    fn cash(
        &self,
        key: &str,
        amount: &str,
        currency: &str,
        at_ms: i64,
    ) -> Result<(Counted, i64), Wrong> {
        let rig = RigId::new(key).map_err(|_| ("key", "must be the name of a rig"))?;
        if !(self.of.knows_rig)(&rig) {
            return Err(("key", "must be a rig of this popup"));
        }
        let currency = Currency::new(&currency.to_ascii_uppercase());
        let currency = currency.ok_or(("currency", "must be a currency of ISO 4217"))?;
        let minor = Decimal::parse(amount).and_then(|amount| amount.minor(currency.exponent()));
        let minor = minor.filter(|minor| *minor >= 0).ok_or((
            "amount",
            "must be a decimal such as 312.50, with no more digits than the currency has",
        ))?;
        Ok((Counted::Cash(rig, currency, at_ms), minor))
    }

    fn records(self, blake3: [u8; 32]) -> Vec<Record> {
        let file: String = blake3.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut found: Vec<_> = self.found.into_iter().collect();
        found.sort_by_key(|(_, (row, ..))| *row);
        let record = |(counted, (row, figure, _)): (Counted, (u64, i64, Vec<String>))| {
            let (event, at_ms) = match counted {
                Counted::Stock(sku, at_ms) => {
                    let qty = Count(figure);
                    (
                        Event::InventoryCounted(InventoryCounted { sku, qty }),
                        at_ms,
                    )
                }
                Counted::Cash(rig, currency, at_ms) => {
                    let counted = CashCounted {
                        popup: String::from(self.of.popup),
                        rig: String::from(&rig),
                        currency: currency.code().to_owned(),
                        amount: figure,
                        counted_ms: at_ms,
                        file: blake3.to_vec(),
                        row,
                    };
                    (Event::System(SystemEvent::CashCounted(counted)), at_ms)
                }
            };
            Record {
                event,
                popup: Some(self.of.popup.clone()),
                source: Source::new(SOURCE).expect("a printable name"),
                id: EventId::new(&format!("{file}/{row}")).expect("a hash and a number"),
                stamp: Stamp {
                    wall_ms: self.of.now_ms,
                    time_ms: Some(at_ms),
                    ..Stamp::default()
                },
                beyond: None,
                content: Content::default(),
                policy_version: 0,
                flags: Flags::default(),
                totals: Vec::new(),
                origin: None,
            }
        };
        found.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests;
