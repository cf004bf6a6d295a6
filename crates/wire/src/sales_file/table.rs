//! The rows of a sheet: columns by name, each field checked where it stands.

use super::{DocumentKind, DocumentLine, SalesFileFault};
use csv::ByteRecord;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use popwatch_core::id::{CreatorId, OrderId, Sku, Subject};
use popwatch_core::limits;
use popwatch_core::money::div_half_even;
use std::sync::Arc;

/// One row that could be read.
pub(super) struct Row {
    pub(super) invoice: OrderId,
    pub(super) kind: DocumentKind,
    pub(super) date: String,
    /// Start of its minute, seconds since 1970 read as UTC: only differences count.
    pub(super) minute_s: i64,
    pub(super) buyer: Option<Subject>,
    pub(super) line: DocumentLine,
}

/// Reads all rows, in order.
pub(super) fn rows(bytes: &[u8]) -> Result<Vec<Row>, SalesFileFault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| shape(&error))?;
    let columns = Columns::find(header)?;
    let mut record = ByteRecord::new();
    let mut rows = Vec::new();
    let mut country: Arc<str> = Arc::from("");
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| shape(&error))?
    {
        let row = record.position().map_or(0, csv::Position::line);
        let fields = Fields {
            record: &record,
            row,
        };
        rows.push(read_row(&columns, &fields, &mut country)?);
    }
    Ok(rows)
}

fn shape(error: &csv::Error) -> SalesFileFault {
    let row = error.position().map_or(1, csv::Position::line);
    SalesFileFault::Shape { row }
}

/// Where each column stands.
struct Columns {
    invoice: Column,
    stock_code: Column,
    /// Part of the layout, never read: free text.
    _description: Column,
    quantity: Column,
    date: Column,
    price: Column,
    customer: Column,
    country: Column,
}

#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    index: usize,
}

impl Columns {
    fn find(header: &ByteRecord) -> Result<Self, SalesFileFault> {
        let find = |column: &'static str| {
            header
                .iter()
                .position(|name| name.trim_ascii() == column.as_bytes())
                .map(|index| Column {
                    name: column,
                    index,
                })
                .ok_or(SalesFileFault::ColumnMissing { column })
        };
        Ok(Self {
            invoice: find("InvoiceNo")?,
            stock_code: find("StockCode")?,
            _description: find("Description")?,
            quantity: find("Quantity")?,
            date: find("InvoiceDate")?,
            price: find("UnitPrice")?,
            customer: find("CustomerID")?,
            country: find("Country")?,
        })
    }
}

/// One record beside its place, so that faults can name it.
struct Fields<'a> {
    record: &'a ByteRecord,
    row: u64,
}

impl Fields<'_> {
    fn fault(&self, column: Column, rule: &'static str) -> SalesFileFault {
        SalesFileFault::Field {
            row: self.row,
            column: column.name,
            rule,
        }
    }

    fn text(&self, column: Column) -> Result<&str, SalesFileFault> {
        let bytes = self.record.get(column.index).unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.fault(column, "must be UTF-8"))
    }
}

fn read_row(
    columns: &Columns,
    fields: &Fields<'_>,
    country: &mut Arc<str>,
) -> Result<Row, SalesFileFault> {
    let invoice = OrderId::new(fields.text(columns.invoice)?).map_err(|_| {
        fields.fault(
            columns.invoice,
            "must be 1 to 96 of A-Z a-z 0-9 . _ : ~ / -",
        )
    })?;
    let sku = Sku::new(fields.text(columns.stock_code)?)
        .map_err(|_| fields.fault(columns.stock_code, "must be 1 to 64 printable bytes"))?;
    let qty = quantity(fields.text(columns.quantity)?)
        .ok_or_else(|| fields.fault(columns.quantity, "must be a whole number of units"))?;
    let price = Price::parse(fields.text(columns.price)?)
        .ok_or_else(|| fields.fault(columns.price, "must be a decimal number such as 2.55"))?;
    let minor = price
        .times(qty)
        .ok_or_else(|| fields.fault(columns.price, "makes an amount of more than 12 digits"))?;
    let (date, minute_s) = moment(fields.text(columns.date)?)
        .ok_or_else(|| fields.fault(columns.date, "must be a time such as 2011-12-05 08:38:00"))?;
    let buyer = buyer(fields.text(columns.customer)?)
        .map_err(|()| fields.fault(columns.customer, "must be a customer number or empty"))?;
    let name = fields.text(columns.country)?.trim();
    if &**country != name {
        *country = Arc::from(name);
    }
    Ok(Row {
        kind: kind(invoice.as_str(), &price, buyer.is_some()),
        date,
        minute_s,
        buyer,
        line: DocumentLine {
            creator: creator(sku.as_str()),
            is_goods: is_goods(sku.as_str()),
            sku,
            qty,
            minor,
            country: country.clone(),
            row: fields.row,
        },
        invoice,
    })
}

fn kind(invoice: &str, price: &Price, has_buyer: bool) -> DocumentKind {
    match invoice.as_bytes().first() {
        Some(b'C') => DocumentKind::Refund,
        Some(b'A') => DocumentKind::Manual,
        _ if price.mantissa == 0 && has_buyer => DocumentKind::Gift,
        _ if price.mantissa == 0 => DocumentKind::StockAdjust,
        _ => DocumentKind::Sale,
    }
}

fn quantity(text: &str) -> Option<i64> {
    let qty: i64 = text.trim().parse().ok()?;
    (qty.unsigned_abs() <= limits::QUANTITY_MAX.unsigned_abs()).then_some(qty)
}

/// A decimal number as it was written: `mantissa` ÷ `scale`.
struct Price {
    mantissa: i64,
    /// A power of ten, at most 10^9.
    scale: i64,
}

impl Price {
    /// Reads an optional sign, up to 9 digits and up to 9 decimals.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let scale = 10i64.pow(u32::try_from(decimals.len()).ok()?);
        let part = if decimals.is_empty() {
            0
        } else {
            decimals.parse::<i64>().ok()?
        };
        let mantissa = sign * (whole.parse::<i64>().ok()? * scale + part);
        Some(Self { mantissa, scale })
    }

    /// Minor units of `qty` such things, half-even; `None` beyond the bound of an amount.
    fn times(&self, qty: i64) -> Option<i64> {
        let numerator = i128::from(qty) * i128::from(self.mantissa) * 100;
        let minor = i64::try_from(div_half_even(numerator, i128::from(self.scale))).ok()?;
        (minor.unsigned_abs() <= limits::AMOUNT_MINOR_MAX.unsigned_abs()).then_some(minor)
    }
}

fn moment(text: &str) -> Option<(String, i64)> {
    let at: DateTime = text.trim().parse().ok()?;
    let second = at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some((at.date().to_string(), second - second.rem_euclid(60)))
}

/// `14075.0` → `c14075`: spreadsheets make the number a decimal one.
fn buyer(text: &str) -> Result<Option<Subject>, ()> {
    let text = text.trim();
    let number = text.strip_suffix(".0").unwrap_or(text);
    match number {
        "" => Ok(None),
        number => Subject::new(&format!("c{number}"))
            .map(Some)
            .map_err(|_| ()),
    }
}

fn creator(stock_code: &str) -> CreatorId {
    let name = match stock_code.chars().nth(4) {
        Some(digit) if digit.is_ascii_digit() => format!("c{digit}"),
        Some(_) | None => "house".to_owned(),
    };
    CreatorId::new(&name).expect("a letter and a digit, or house, is a creator's name")
}

fn is_goods(stock_code: &str) -> bool {
    let start = stock_code.as_bytes().get(..5);
    start.is_some_and(|five| five.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(price: &str, qty: i64, expect: Option<i64>) {
        let minor = Price::parse(price).and_then(|price| price.times(qty));
        assert_eq!(minor, expect, "{qty} × {price}");
    }

    #[test]
    fn amounts_are_rounded_half_even_in_integers() {
        check("1.79", 48, Some(8_592));
        check("1.25", -1, Some(-125));
        check("7", 3, Some(2_100));
        check("0.005", 1, Some(0));
        check("0.015", 1, Some(2));
        check("0.025", 1, Some(2));
        check("0.001", 15, Some(2));
        check("-11062.06", 1, Some(-1_106_206));
        check("999999999.99", 1_000_000_000, None);
    }

    #[test]
    fn a_price_is_digits_and_nothing_else() {
        for text in [
            "",
            ".5",
            "1e3",
            "1,50",
            "NaN",
            "+1",
            "1.2.3",
            "--1",
            "0x1",
            "1.0000000000",
        ] {
            check(text, 1, None);
        }
    }

    #[test]
    fn creators_and_goods_follow_the_stock_code() {
        for (code, name, goods) in [
            ("23084", "c4", true),
            ("84876B", "c6", true),
            ("84029G", "c9", true),
            ("POST", "house", false),
            ("AMAZONFEE", "house", false),
            ("C2", "house", false),
            ("15056bl", "c6", true),
        ] {
            assert_eq!(
                (creator(code).as_str(), is_goods(code)),
                (name, goods),
                "{code}"
            );
        }
    }
}
