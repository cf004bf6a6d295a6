//! Settlement files: what providers and banks write about money that moved, as normal lines.
//!
//! ```text
//! bytes ─► intake ─► layout, required columns ─► row ─► allow-listed columns ─► normal line ─► sink
//!          BLAKE3      refused: PW0911            bad: PW0912    the rest is never looked at
//! ```
//!
//! What always holds: columns are found by name, in any order; amounts are exact decimals, converted
//! once to minor units of ISO 4217; a column that is not on the layout's list leaves no trace but its
//! count; what is kept of a text went through redaction; memory does not grow with the file, but for
//! 8 bytes per row of a layout whose rows have no id. A row that cannot be read is named and left, its
//! neighbours are taken.
//!
//! A file is taken whole or not at all, and that it is cut off or no UTF-8 can show in its last row.
//! So a caller reads twice: [`inspect`] first, which says whether the file can be taken and what its
//! BLAKE3 is, then [`read`] with that hash.
//!
//! CSV is split by a module of our own ([`rows`]) and not by the `csv` crate because a field of that
//! crate grows with the file.

mod adyen;
mod bank;
pub(crate) mod figures;
mod intake;
mod json;
mod keep;
mod keyless;
mod rows;
mod shopify;
mod square;
mod stripe;

use std::io::{ErrorKind, Read};

use jiff::tz::TimeZone;
use popwatch_core::code::Code;
use popwatch_core::event::central::{
    BankLine, ProviderObject, SettlementFile, SettlementLine, StatedBalance,
};
use popwatch_core::limits;
use popwatch_core::provider::ProviderKind;
use popwatch_redact::pseudonym::ReferenceKey;

use figures::{Clock, Units};
use intake::Intake;
use keep::Keep;
use keyless::Keyless;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layout {
    /// Stripe's itemised reports (payout reconciliation, balance change, ending balance), CSV; or a
    /// list of balance transactions, JSON.
    StripeItemized,
    /// Square's payouts and payout entries, JSON.
    SquarePayout,
    /// Shopify Payments' balance transactions and payouts, JSON.
    ShopifyPayments,
    /// Adyen's settlement detail report, CSV.
    AdyenSettlement,
    /// A bank account's movements, CSV.
    Bank,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::StripeItemized,
        Self::SquarePayout,
        Self::ShopifyPayments,
        Self::AdyenSettlement,
        Self::Bank,
    ];

    /// Its name in `layout=`, answers and records.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::StripeItemized => "stripe.itemized",
            Self::SquarePayout => "square.payout",
            Self::ShopifyPayments => "shopify.payments",
            Self::AdyenSettlement => "adyen.settlement",
            Self::Bank => "bank",
        }
    }

    /// Finds a layout by its name.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.text() == text)
    }

    /// Whose files have it; `None` for a bank's.
    #[must_use]
    pub const fn provider(self) -> Option<ProviderKind> {
        match self {
            Self::StripeItemized => Some(ProviderKind::Stripe),
            Self::SquarePayout => Some(ProviderKind::Square),
            Self::ShopifyPayments => Some(ProviderKind::Shopify),
            Self::AdyenSettlement => Some(ProviderKind::Adyen),
            Self::Bank => None,
        }
    }
}

/// Whose file it is and how its account is configured.
#[derive(Clone)]
pub struct FileContext<'a> {
    /// The provider of the account; `None` for a bank account.
    pub provider: Option<ProviderKind>,
    /// The account's name in the configuration.
    pub account: &'a str,
    /// For times without a zone.
    pub tz: TimeZone,
    /// Columns that hold references stamped by a till, such as `payment_metadata[pw_ref]`.
    pub stamp_columns: &'a [String],
    /// Columns that hold the order, the first that is filled counts.
    pub order_columns: &'a [String],
    /// The layout to read; `None` finds it by the header or shape.
    pub layout: Option<Layout>,
    /// Rows of test payments are taken, and only they.
    pub test: bool,
    /// For ids that look like card numbers, the same key as at every other border.
    pub references: &'a ReferenceKey,
    /// BLAKE3 of the whole file as [`inspect`] found it, put on every line; `None` leaves it empty.
    pub file: Option<[u8; 32]>,
}

/// A time zone by its name in the configuration: `Etc/UTC`, or a rule as POSIX writes it in `TZ`, such
/// as `CET-1CEST,M3.5.0,M10.5.0/3`. `None` for any other: no database of names is built in, so that
/// the same file gives the same instants on every machine.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "Etc/UTC" | "UTC" => Some(TimeZone::UTC),
        rule => TimeZone::posix(rule).ok(),
    }
}

impl<'a> FileContext<'a> {
    /// A live account whose times are UTC, without configured columns; the layout is found.
    #[must_use]
    pub fn new(
        provider: Option<ProviderKind>,
        account: &'a str,
        references: &'a ReferenceKey,
    ) -> Self {
        Self {
            provider,
            account,
            tz: TimeZone::UTC,
            stamp_columns: &[],
            order_columns: &[],
            layout: None,
            test: false,
            references,
            file: None,
        }
    }

    /// The provider's name, or `bank`.
    #[must_use]
    pub fn provider_text(&self) -> &'static str {
        self.provider.map_or("bank", ProviderKind::text)
    }

    fn file_bytes(&self) -> Vec<u8> {
        self.file.map(|hash| hash.to_vec()).unwrap_or_default()
    }
}

/// What one row is.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A movement at a provider.
    Line(SettlementLine),
    /// A movement on a bank account.
    Bank(BankLine),
    /// A payout that a file states, marked as known from a file.
    Object(ProviderObject),
    /// A row that was not taken.
    Bad(BadRow),
}

/// A row that was not taken. Never carries a value of the row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}, column {column}: {rule}")]
pub struct BadRow {
    /// Of CSV the line of the file in which the row begins, from 1; of JSON which entry, from 1.
    pub row: u64,
    /// The column or field as the layout names it; empty for the row as a whole.
    pub column: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl BadRow {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::SettlementRowRefused
    }
}

/// What a file was, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// Its layout.
    pub layout: Layout,
    /// BLAKE3 of its bytes.
    pub blake3: [u8; 32],
    /// Its size.
    pub bytes: u64,
    /// Rows read, headers and stated payouts not counted.
    pub rows: u64,
    /// Rows refused.
    pub refused: u64,
    /// Columns that were not kept; of JSON, names of fields of entries that were not kept.
    pub columns_dropped: u32,
    /// Texts that held a card number or an e-mail address and were replaced.
    pub replaced: u64,
    /// Balances the file states.
    pub balances: Vec<StatedBalance>,
}

impl FileSummary {
    /// The fact that this file was read.
    #[must_use]
    pub fn fact(&self, of: &FileContext<'_>) -> SettlementFile {
        SettlementFile {
            provider: of.provider_text().to_owned(),
            account: of.account.to_owned(),
            layout: self.layout.text().to_owned(),
            blake3: self.blake3.to_vec(),
            rows: self.rows,
            refused: self.refused,
            columns_dropped: self.columns_dropped,
            balances: self.balances.clone(),
        }
    }
}

/// Why a file as a whole is refused. Nothing of it may then be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// No byte, or nothing but a byte order mark and blank lines.
    #[error("the file is empty")]
    Empty,
    /// No layout fits its header or shape.
    #[error("the file is in no layout that is read; its first row must name the columns of one")]
    LayoutUnknown,
    /// Its layout belongs to another provider than the account.
    #[error("the file is laid out as {}, which is not this account's", layout.text())]
    LayoutForeign {
        /// What it is.
        layout: Layout,
    },
    /// A required column is missing.
    #[error("a file laid out as {} needs a column {column}", layout.text())]
    ColumnMissing {
        /// What it should be.
        layout: Layout,
        /// The first column that is missing.
        column: &'static str,
    },
    /// It ends inside a row.
    #[error("the file ends inside row {row}; fetch it again")]
    Truncated {
        /// The row, from 1.
        row: u64,
    },
    /// Not UTF-8.
    #[error("row {row} is not UTF-8; export the file as UTF-8")]
    NotUtf8 {
        /// The row, from 1; 0 for the header.
        row: u64,
    },
    /// Not JSON, or JSON of another shape.
    #[error("the file is not JSON of a known shape at line {line}, column {column}")]
    Json {
        /// Line where reading stopped, from 1.
        line: usize,
        /// Column where reading stopped.
        column: usize,
    },
    /// A bound was passed.
    #[error("{what} passes {max}")]
    TooLarge {
        /// What is too large, and its unit.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// The bytes could not be had.
    #[error("the file could not be read")]
    Input(ErrorKind),
}

impl FileFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Empty
            | Self::LayoutUnknown
            | Self::LayoutForeign { .. }
            | Self::ColumnMissing { .. }
            | Self::Truncated { .. }
            | Self::NotUtf8 { .. }
            | Self::Json { .. } => Code::SettlementFileRefused,
            Self::TooLarge { .. } => Code::FileTooLarge,
            Self::Input(_) => Code::InputUnreadable,
        }
    }
}

/// Why reading stopped before the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped<E> {
    /// The file is refused.
    #[error("the file is refused")]
    File(FileFault),
    /// The sink did not take an item.
    #[error("a line could not be handed on")]
    Sink(E),
}

impl<E> From<FileFault> for Stopped<E> {
    fn from(fault: FileFault) -> Self {
        Self::File(fault)
    }
}

/// Where items go.
type Sink<'s, E> = &'s mut dyn FnMut(Item) -> Result<(), E>;

/// Reads a file to its end and hands on nothing: whether it can be taken, and its BLAKE3.
pub fn inspect(input: impl Read, of: &FileContext<'_>) -> Result<FileSummary, FileFault> {
    let nothing = &mut |_| Ok::<(), std::convert::Infallible>(());
    read(input, of, nothing).map_err(|stopped| match stopped {
        Stopped::File(fault) => fault,
        Stopped::Sink(never) => match never {},
    })
}

/// Reads a file and hands on each row as it comes. Fails with what is wrong with the file as a
/// whole, which can show as late as its last row, or with what the sink says.
pub fn read<E>(
    input: impl Read,
    of: &FileContext<'_>,
    sink: Sink<'_, E>,
) -> Result<FileSummary, Stopped<E>> {
    let mut input = input;
    let mut intake = Intake::new(&mut input);
    let first = intake.first_byte()?.ok_or(FileFault::Empty)?;
    let tally = match first {
        b'{' | b'[' => json::read(&mut intake, of, sink)?,
        _ => rows::read(&mut intake, of, sink)?,
    };
    let (blake3, bytes) = intake.finish();
    Ok(FileSummary {
        layout: tally.layout,
        blake3,
        bytes,
        rows: tally.rows,
        refused: tally.refused,
        columns_dropped: tally.columns_dropped,
        replaced: tally.replaced,
        balances: Vec::new(),
    })
}

/// What reading counts.
struct Tally {
    layout: Layout,
    rows: u64,
    refused: u64,
    columns_dropped: u32,
    replaced: u64,
}

impl Tally {
    const fn new(layout: Layout) -> Self {
        Self {
            layout,
            rows: 0,
            refused: 0,
            columns_dropped: 0,
            replaced: 0,
        }
    }

    /// Counts one more row and answers its number.
    fn next_row(&mut self) -> Result<u64, FileFault> {
        self.rows += 1;
        if self.rows > limits::SETTLEMENT_ROWS_MAX {
            return Err(FileFault::TooLarge {
                what: "the number of rows",
                max: limits::SETTLEMENT_ROWS_MAX,
            });
        }
        Ok(self.rows)
    }

    /// Hands on what a row became; `row` is what people know it by.
    fn hand<E>(
        &mut self,
        row: u64,
        item: Result<Item, Fault>,
        sink: Sink<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let item = match item {
            Ok(item) => item,
            Err(Fault::Row { column, rule }) => {
                self.refused += 1;
                Item::Bad(BadRow { row, column, rule })
            }
            Err(Fault::File(fault)) => return Err(Stopped::File(fault)),
        };
        sink(item).map_err(Stopped::Sink)
    }
}

/// What can be wrong while a row is read.
enum Fault {
    /// This row alone.
    Row {
        column: &'static str,
        rule: &'static str,
    },
    /// The whole file.
    File(FileFault),
}

/// The fault of one field.
const fn field(column: &'static str, rule: &'static str) -> Fault {
    Fault::Row { column, rule }
}

/// What the reading of every row needs.
struct Desk<'a> {
    of: &'a FileContext<'a>,
    keep: Keep<'a>,
    clock: Clock,
    units: Units,
    keyless: Keyless,
}

impl<'a> Desk<'a> {
    fn new(of: &'a FileContext<'a>) -> Self {
        Self {
            of,
            keep: Keep::new(of.references),
            clock: Clock::new(&of.tz),
            units: Units::default(),
            keyless: Keyless::new(),
        }
    }

    /// A line of this file's account that says nothing yet.
    fn line(&self, row: u64) -> SettlementLine {
        SettlementLine {
            provider: self.of.provider_text().to_owned(),
            account: self.of.account.to_owned(),
            file: self.of.file_bytes(),
            row,
            ..SettlementLine::default()
        }
    }

    /// A time, 0 where the field is empty.
    fn time(
        &mut self,
        column: &'static str,
        text: &str,
        zone_s: Option<i64>,
    ) -> Result<i64, Fault> {
        if text.trim_ascii().is_empty() {
            return Ok(0);
        }
        let rule = "must be a time such as 2021-12-14 23:31:49";
        self.clock.ms(text, zone_s).ok_or(field(column, rule))
    }
}

/// The layout of a file that has these marks, or why it is refused.
fn admitted(layout: Layout, of: &FileContext<'_>) -> Result<Layout, FileFault> {
    if layout.provider() == of.provider {
        Ok(layout)
    } else {
        Err(FileFault::LayoutForeign { layout })
    }
}

#[cfg(test)]
mod tests;
