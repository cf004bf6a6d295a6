//! Sales files: a shop's day as a CSV sheet, read as the documents of a popup.
//!
//! The layout is that of the public Online Retail data set: InvoiceNo, StockCode, Description,
//! Quantity, InvoiceDate, UnitPrice, CustomerID, Country, found by their names in the first row.
//!
//! What always holds: money is integers (a price is read as decimal text and never becomes a
//! float); lines keep the order of the file; identical lines stay apart, because they are real;
//! the same file gives the same events, byte for byte. A sheet is taken whole or not at all: the
//! first row that cannot be read is named with its column.
//!
//! [`Day::read`] turns bytes into documents, [`Plan`] turns a document into CloudEvents,
//! [`ShelfPlan`] invents the opening stock and the closing count of a demo, [`Durations`] deals
//! stand-in checkout durations. [`sequence`] reads the other kind of sales file: NDJSON of events.

mod countries;
mod durations;
mod plan;
pub mod sequence;
mod shelf;
mod table;

pub use countries::{CurrencyRule, currency_of_country};
pub use durations::Durations;
pub use plan::{Plan, TimedEvent};
pub use shelf::{Shelf, ShelfPlan};

use popwatch_core::code::Code;
use popwatch_core::id::{CreatorId, OrderId, Sku, Subject};
use popwatch_core::limits;
use std::collections::BTreeMap;
use std::sync::Arc;
use table::Row;

/// Over how many rigs the documents of a day are dealt.
pub const RIGS: u8 = 4;

/// One trading day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The date of the first line, such as `2011-12-05`; the first part of every event id.
    pub date: String,
    /// Seconds from the first line's minute to the end of the last line's.
    pub span_s: i64,
    /// The documents, in the order of their first lines.
    pub documents: Vec<Document>,
}

/// What one document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// Goods or fees against money.
    Sale,
    /// Money back.
    Refund,
    /// A manual booking, never revenue.
    Manual,
    /// Goods for a known buyer without a price.
    Gift,
    /// Stock that staff wrote on or off.
    StockAdjust,
}

impl DocumentKind {
    /// Its name in event ids.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Refund => "refund",
            Self::Manual => "manual",
            Self::Gift => "gift",
            Self::StockAdjust => "stock_adjust",
        }
    }
}

/// The lines of one (InvoiceNo, kind).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The InvoiceNo.
    pub invoice: OrderId,
    /// What it is.
    pub kind: DocumentKind,
    /// Which rig reports it, 0 to [`RIGS`] − 1.
    pub rig_index: u8,
    /// Seconds since the day's first line, documents of one minute spread over it.
    pub offset_s: i64,
    /// The buyer, as `c` and the digits of CustomerID; must leave a rig only as a pseudonym.
    pub buyer: Option<Subject>,
    /// Which sale of the day it is, from 0; `None` for other kinds. Deals the duration.
    pub sale_index: Option<u32>,
    /// Its lines, in the order of the file.
    pub lines: Vec<DocumentLine>,
    /// Line of the file its first line stands on.
    pub row: u64,
}

/// One line of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLine {
    /// The StockCode, byte for byte.
    pub sku: Sku,
    /// Units, with the file's sign.
    pub qty: i64,
    /// Minor units of the whole line, with the file's sign.
    pub minor: i64,
    /// Whose line it is.
    pub creator: CreatorId,
    /// Whether it moves stock; otherwise it is a fee.
    pub is_goods: bool,
    /// The Country, which may decide the currency.
    pub country: Arc<str>,
    /// Line of the file.
    pub row: u64,
}

/// Why a sales file was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SalesFileFault {
    /// More bytes than [`limits::SALES_FILE_BYTES_MAX`].
    #[error("the file is larger than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// The first row lacks a column.
    #[error("the first row names no column {column}")]
    ColumnMissing {
        /// Its name.
        column: &'static str,
    },
    /// No line after the first row.
    #[error("the file holds no line")]
    Empty,
    /// The CSV itself is broken.
    #[error("row {row} has another number of fields than the first row, or broken quotes")]
    Shape {
        /// Line of the file, from 1.
        row: u64,
    },
    /// A field cannot be read.
    #[error("row {row}, column {column}: {rule}")]
    Field {
        /// Line of the file, from 1.
        row: u64,
        /// Name of the column or field.
        column: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

impl SalesFileFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::InputUnreadable
    }
}

impl Day {
    /// Reads a sheet. A byte order mark is skipped, quoted fields may hold line breaks, more
    /// columns than needed are ignored. Fails on the first row that cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Self, SalesFileFault> {
        if bytes.len() > limits::SALES_FILE_BYTES_MAX {
            return Err(SalesFileFault::TooLarge {
                max: limits::SALES_FILE_BYTES_MAX,
            });
        }
        let rows = table::rows(bytes)?;
        let first = rows.first().ok_or(SalesFileFault::Empty)?;
        let date = first.date.clone();
        let opened_s = rows.iter().map(|row| row.minute_s).min().unwrap_or(0);
        let closed_s = rows.iter().map(|row| row.minute_s).max().unwrap_or(0);
        let mut documents = group(rows, opened_s);
        spread(&mut documents);
        number_sales(&mut documents);
        documents.iter().try_for_each(check_total)?;
        Ok(Self {
            date,
            span_s: closed_s - opened_s + 60,
            documents,
        })
    }

    /// When a document happens in a popup of `hours`, milliseconds after its start.
    #[must_use]
    pub fn offset_ms(&self, document: &Document, hours: u32) -> i64 {
        let scaled = i128::from(document.offset_s) * i128::from(hours) * 3_600_000;
        let offset_ms = scaled.div_euclid(i128::from(self.span_s));
        i64::try_from(offset_ms).expect("an offset is less than hours of milliseconds")
    }
}

impl Document {
    /// Sum of its lines, minor units, with the file's sign.
    #[must_use]
    pub fn minor(&self) -> i64 {
        self.lines
            .iter()
            .fold(0i64, |sum, line| sum.saturating_add(line.minor))
    }
}

/// Gathers rows into documents, each at the minute of its first line.
fn group(rows: Vec<Row>, opened_s: i64) -> Vec<Document> {
    let mut places = BTreeMap::<(OrderId, DocumentKind), usize>::new();
    let mut documents = Vec::<Document>::new();
    for row in rows {
        let place = *places
            .entry((row.invoice.clone(), row.kind))
            .or_insert_with(|| {
                documents.push(Document {
                    rig_index: rig_index(row.invoice.as_str()),
                    invoice: row.invoice,
                    kind: row.kind,
                    offset_s: row.minute_s - opened_s,
                    buyer: row.buyer,
                    sale_index: None,
                    lines: Vec::new(),
                    row: row.line.row,
                });
                documents.len() - 1
            });
        documents[place].lines.push(row.line);
    }
    documents
}

/// The digits of an InvoiceNo as one number, modulo the rigs.
fn rig_index(invoice: &str) -> u8 {
    invoice
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |rest, digit| (rest * 10 + (digit - b'0')) % RIGS)
}

/// Spreads the documents of each minute over it, by their InvoiceNo in string order.
fn spread(documents: &mut [Document]) {
    let mut minutes = BTreeMap::<i64, Vec<usize>>::new();
    for (place, document) in documents.iter().enumerate() {
        minutes.entry(document.offset_s).or_default().push(place);
    }
    for mut places in minutes.into_values() {
        places.sort_by(|&a, &b| {
            let key = |place: usize| (&documents[place].invoice, documents[place].kind);
            key(a).cmp(&key(b))
        });
        let count = i64::try_from(places.len()).unwrap_or(i64::MAX);
        for (rank, place) in (0i64..).zip(places) {
            documents[place].offset_s += 60 * rank / count;
        }
    }
}

fn number_sales(documents: &mut [Document]) {
    let sales = documents
        .iter_mut()
        .filter(|document| document.kind == DocumentKind::Sale);
    for (index, document) in (0u32..).zip(sales) {
        document.sale_index = Some(index);
    }
}

/// A sale takes money and a refund gives it; the sum of neither may point the other way.
fn check_total(document: &Document) -> Result<(), SalesFileFault> {
    let minor = document.minor();
    let rule = match document.kind {
        DocumentKind::Sale if minor < 0 => "the sum of a sale must not be negative",
        DocumentKind::Refund if minor > 0 => "the sum of a refund must not be positive",
        _ if minor.unsigned_abs() > limits::AMOUNT_MINOR_MAX.unsigned_abs() => {
            "the sum of the document has more than 12 digits of minor units"
        }
        DocumentKind::Sale
        | DocumentKind::Refund
        | DocumentKind::Manual
        | DocumentKind::Gift
        | DocumentKind::StockAdjust => return Ok(()),
    };
    Err(SalesFileFault::Field {
        row: document.row,
        column: "Quantity",
        rule,
    })
}

#[cfg(test)]
mod tests;
