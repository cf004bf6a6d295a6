//! `bank`: date, amount, currency, reference, and an id where the bank gives one.

use popwatch_core::event::central::BankLine;

use super::figures::amount;
use super::rows::{Header, Row};
use super::{Desk, Fault, field};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Where the columns stand.
pub(super) struct Columns {
    id: Option<usize>,
    date: Option<usize>,
    amount: Option<usize>,
    currency: Option<usize>,
    reference: Option<usize>,
}

impl Columns {
    pub(super) fn find(header: &Header<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            date: header.need("date")?,
            amount: header.need("amount")?,
            currency: header.need("currency")?,
            reference: header.need("reference")?,
            id: header.may("id"),
        })
    }

    /// The movement of a row.
    pub(super) fn line(
        &self,
        row: &Row<'_>,
        desk: &mut Desk<'_>,
        number: u64,
    ) -> Result<BankLine, Fault> {
        let currency = desk.units.find("currency", &row.get(self.currency))?;
        let amount = amount("amount", &row.get(self.amount), currency)?;
        let date = row.get(self.date);
        // A booking day has no zone: what stands there is the day.
        let day = date.trim_ascii().get(..10).unwrap_or_default();
        let date_ms = desk.time("date", day, Some(0))?;
        if date_ms == 0 || date_ms % DAY_MS != 0 {
            return Err(field("date", "must be a date such as 2021-12-14"));
        }
        let reference = desk.keep.text("reference", &row.get(self.reference))?;
        let mut line = desk.keep.id("id", &row.get(self.id))?;
        if line.is_empty() {
            let parts = [
                &date_ms.to_string(),
                &amount.to_string(),
                currency.code(),
                &reference,
            ];
            line = desk.keyless.id(&parts).map_err(Fault::File)?;
        }
        Ok(BankLine {
            account: desk.of.account.to_owned(),
            line,
            date_ms,
            currency: currency.code().to_owned(),
            amount,
            reference,
            file: desk.of.file_bytes(),
            row: number,
        })
    }
}
