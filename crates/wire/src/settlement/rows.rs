//! CSV, row by row, in a buffer of fixed size.
//!
//! A row is split where it lies; a field is copied only when it holds a doubled quote. Fields may be
//! quoted and hold line breaks; the separator is `,`, `;` or a tab, whichever makes the header fit.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use popwatch_core::limits;

use super::intake::Intake;
use super::{
    Desk, Fault, FileContext, FileFault, Item, Layout, Sink, Stopped, Tally, admitted, adyen, bank,
    field, stripe,
};

/// What is held of a file: some rows of the largest kind.
const BUFFER_BYTES: usize = 4 * limits::SETTLEMENT_ROW_BYTES_MAX;
/// What may stand between fields, likeliest first.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// One row, split.
pub(super) struct Row<'a> {
    text: &'a str,
    spans: &'a [Span],
}

/// Where a field lies in its row, quotes left out.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// It holds doubled quotes.
    doubled: bool,
}

impl<'a> Row<'a> {
    /// The field of a column; empty where there is no such column.
    pub(super) fn get(&self, column: Option<usize>) -> Cow<'a, str> {
        let Some(span) = column.and_then(|at| self.spans.get(at)) else {
            return Cow::Borrowed("");
        };
        // A field begins and ends beside an ASCII character, so no character is cut.
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        if span.doubled {
            Cow::Owned(text.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// Finds columns by their names, and counts those that are kept.
pub(super) struct Header<'a> {
    names: &'a [String],
    kept: RefCell<BTreeSet<usize>>,
}

impl Header<'_> {
    /// A column that must be there.
    pub(super) fn need(&self, name: &'static str) -> Result<Option<usize>, &'static str> {
        self.may(name).map(Some).ok_or(name)
    }

    /// A column that may be there; of two with one name the first.
    pub(super) fn may(&self, name: &str) -> Option<usize> {
        let at = self.names.iter().position(|one| one == name)?;
        self.kept.borrow_mut().insert(at);
        Some(at)
    }

    /// All of these that are there.
    pub(super) fn all(&self, names: &[String]) -> Vec<usize> {
        names.iter().filter_map(|name| self.may(name)).collect()
    }
}

/// Where the columns of a layout stand.
enum Columns {
    Stripe(Box<stripe::Columns>),
    Adyen(Box<adyen::Columns>),
    Bank(Box<bank::Columns>),
}

impl Columns {
    /// The columns of a layout, or the first one that is missing.
    fn find(
        layout: Layout,
        header: &Header<'_>,
        of: &FileContext<'_>,
    ) -> Result<Self, &'static str> {
        Ok(match layout {
            Layout::StripeItemized => Self::Stripe(Box::new(stripe::Columns::find(header, of)?)),
            Layout::AdyenSettlement => Self::Adyen(Box::new(adyen::Columns::find(header)?)),
            Layout::Bank => Self::Bank(Box::new(bank::Columns::find(header)?)),
            Layout::SquarePayout | Layout::ShopifyPayments => return Err("that JSON has"),
        })
    }

    fn item(&self, row: &Row<'_>, desk: &mut Desk<'_>, number: u64) -> Result<Item, Fault> {
        match self {
            Self::Stripe(columns) => columns.line(row, desk, number).map(Item::Line),
            Self::Adyen(columns) => columns.line(row, desk, number).map(Item::Line),
            Self::Bank(columns) => columns.line(row, desk, number).map(Item::Bank),
        }
    }
}

/// What a header says.
struct Found {
    layout: Layout,
    columns: Columns,
    width: usize,
    kept: usize,
}

/// Reads a CSV file.
pub(super) fn read<E>(
    intake: &mut Intake<'_>,
    of: &FileContext<'_>,
    sink: Sink<'_, E>,
) -> Result<Tally, Stopped<E>> {
    let mut table = Table::new(intake);
    let found = table.header(of)?;
    let width = found.width;
    let mut tally = Tally::new(found.layout);
    tally.columns_dropped = u32::try_from(width.saturating_sub(found.kept)).unwrap_or(u32::MAX);
    let mut desk = Desk::new(of);
    while table.advance()? {
        tally.next_row()?;
        let number = table.line;
        let row = table.row(number)?;
        let item = if row.spans.len() == width && !table.broken {
            found.columns.item(&row, &mut desk, number)
        } else if table.unended && row.spans.len() < width {
            Err(Fault::File(FileFault::Truncated { row: number }))
        } else if table.broken {
            Err(field("", "must have nothing behind a closing quote"))
        } else {
            Err(field("", "must have as many fields as the header"))
        };
        tally.hand(number, item, sink)?;
    }
    tally.replaced = desk.keep.replaced;
    Ok(tally)
}

/// The rows of a file, one at a time.
struct Table<'a, 'b> {
    intake: &'a mut Intake<'b>,
    buffer: Vec<u8>,
    /// First byte not yet taken.
    at: usize,
    /// The line of the file in which the row that was found last begins, from 1.
    line: u64,
    /// The line of the first byte not yet taken.
    next_line: u64,
    /// Bytes in the buffer.
    held: usize,
    /// The file holds no more than the buffer.
    ended: bool,
    separator: u8,
    /// The row that was found last, in the buffer.
    row: std::ops::Range<usize>,
    spans: Vec<Span>,
    /// Something stands behind a closing quote in it.
    broken: bool,
    /// It ends with the file, without a line break.
    unended: bool,
}

/// What splitting came to.
enum Split {
    /// A row, and where the next one begins.
    Row(usize),
    /// Its end is not in the buffer.
    Open {
        /// Inside quotes.
        quoted: bool,
    },
}

impl<'a, 'b> Table<'a, 'b> {
    fn new(intake: &'a mut Intake<'b>) -> Self {
        Self {
            intake,
            buffer: vec![0; BUFFER_BYTES],
            at: 0,
            line: 1,
            next_line: 1,
            held: 0,
            ended: false,
            separator: b',',
            row: 0..0,
            spans: Vec::new(),
            broken: false,
            unended: false,
        }
    }

    /// Takes the header: which layout it is and where its columns stand.
    fn header(&mut self, of: &FileContext<'_>) -> Result<Found, FileFault> {
        let mut missing = None;
        for separator in SEPARATORS {
            self.separator = separator;
            let before = (self.at, self.next_line);
            if !self.advance()? {
                return Err(FileFault::Empty);
            }
            let names = self.names()?;
            let header = Header {
                names: &names,
                kept: RefCell::default(),
            };
            let forced = of.layout.as_slice();
            for layout in if forced.is_empty() {
                &Layout::ALL
            } else {
                forced
            } {
                header.kept.borrow_mut().clear();
                match Columns::find(*layout, &header, of) {
                    Ok(columns) => {
                        admitted(*layout, of)?;
                        return Ok(Found {
                            layout: *layout,
                            columns,
                            width: names.len(),
                            kept: header.kept.borrow().len(),
                        });
                    }
                    // The separator that finds most names tells best what is missing.
                    Err(column) if !header.kept.borrow().is_empty() || missing.is_none() => {
                        missing = Some((*layout, column));
                    }
                    Err(_) => {}
                }
            }
            (self.at, self.next_line) = (self.at.min(before.0), before.1);
        }
        Err(match (of.layout, missing) {
            (Some(_), Some((layout, column))) => FileFault::ColumnMissing { layout, column },
            _ => FileFault::LayoutUnknown,
        })
    }

    fn names(&self) -> Result<Vec<String>, FileFault> {
        let row = self.row(self.line)?;
        let names = (0..row.spans.len()).map(|at| row.get(Some(at)).trim().to_owned());
        Ok(names.collect())
    }

    /// The row that was found last.
    fn row(&self, number: u64) -> Result<Row<'_>, FileFault> {
        let bytes = self.buffer.get(self.row.clone()).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|_| FileFault::NotUtf8 { row: number })?;
        Ok(Row {
            text,
            spans: &self.spans,
        })
    }

    /// Finds the next row that is not blank; whether there is one.
    fn advance(&mut self) -> Result<bool, FileFault> {
        loop {
            match self.split()? {
                Split::Row(next) => {
                    let taken = self.buffer.get(self.at..next).unwrap_or_default();
                    let breaks = taken.iter().filter(|byte| **byte == b'\n').count();
                    self.line = self.next_line;
                    self.next_line += breaks as u64;
                    self.at = next;
                    if !self.row.is_empty() {
                        return Ok(true);
                    }
                }
                Split::Open { .. } if !self.ended => self.refill()?,
                Split::Open { quoted: true } => {
                    return Err(FileFault::Truncated {
                        row: self.next_line,
                    });
                }
                Split::Open { quoted: false } => return Ok(false),
            }
        }
    }

    /// Moves what is left to the front and fills up behind it.
    fn refill(&mut self) -> Result<(), FileFault> {
        if self.held - self.at > limits::SETTLEMENT_ROW_BYTES_MAX {
            return Err(row_too_large());
        }
        self.buffer.copy_within(self.at..self.held, 0);
        self.held -= self.at;
        self.at = 0;
        let room = self.buffer.get_mut(self.held..).unwrap_or_default();
        let wanted = room.len();
        let came = self.intake.fill(room)?;
        self.ended = came < wanted;
        self.held += came;
        Ok(())
    }

    /// Splits the row that begins at the first byte not yet taken.
    fn split(&mut self) -> Result<Split, FileFault> {
        self.spans.clear();
        (self.broken, self.unended) = (false, false);
        let rest = self.buffer.get(self.at..self.held).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Split::Open { quoted: false });
        }
        let mut at = 0;
        loop {
            let mut span = Span {
                start: at,
                end: at,
                doubled: false,
            };
            if rest.get(at) == Some(&b'"') {
                let Some(close) = closing_quote(rest, at + 1, &mut span.doubled) else {
                    return Ok(Split::Open { quoted: true });
                };
                (span.start, span.end, at) = (at + 1, close, close + 1);
            }
            let plain = at;
            let separator = self.separator;
            let stop = rest[plain..]
                .iter()
                .position(|byte| *byte == separator || *byte == b'\n');
            at = match stop {
                Some(stop) => plain + stop,
                None if self.ended => rest.len(),
                None => return Ok(Split::Open { quoted: false }),
            };
            let behind = rest[plain..at]
                .strip_suffix(b"\r")
                .unwrap_or(&rest[plain..at]);
            if plain == span.start {
                span.end = at;
            } else {
                self.broken |= !behind.is_empty();
            }
            self.spans.push(span);
            if self.spans.len() > limits::SETTLEMENT_COLUMNS_MAX {
                return Err(FileFault::TooLarge {
                    what: "the number of columns",
                    max: u64::try_from(limits::SETTLEMENT_COLUMNS_MAX).unwrap_or(u64::MAX),
                });
            }
            if rest.get(at) != Some(&separator) {
                break;
            }
            at += 1;
        }
        self.unended = at == rest.len();
        let text = rest[..at].strip_suffix(b"\r").unwrap_or(&rest[..at]);
        if let Some(last) = self.spans.last_mut() {
            last.end = last.end.min(text.len());
        }
        self.row = self.at..self.at + text.len();
        if text.len() > limits::SETTLEMENT_ROW_BYTES_MAX {
            return Err(row_too_large());
        }
        Ok(Split::Row((self.at + at + 1).min(self.held)))
    }
}

fn row_too_large() -> FileFault {
    FileFault::TooLarge {
        what: "a row in bytes",
        max: u64::try_from(limits::SETTLEMENT_ROW_BYTES_MAX).unwrap_or(u64::MAX),
    }
}

/// The quote that ends a field which began before `at`.
fn closing_quote(bytes: &[u8], mut at: usize, doubled: &mut bool) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        *doubled = true;
        at += 2;
    }
}
