//! What some records are worth, for the page: never a list of them.

use alloc::collections::BTreeMap;

use crate::event::Event;
use crate::lane::{FRAME_HEADER_BYTES, Item, ItemBody};
use crate::money::Currency;
use crate::record;

/// Records, sales and money of some set of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records of every class.
    pub records: u64,
    /// Captures.
    pub sales: u64,
    /// Captured minus refunded, minor units per currency.
    pub money: BTreeMap<Currency, i64>,
}

impl Tally {
    /// Counts one record in.
    pub fn add(&mut self, event: &Event) {
        self.records += 1;
        if let Event::PaymentCaptured(sale) = event {
            self.sales += 1;
            self.add_minor(sale.currency, sale.amount.0);
        } else if let Event::PaymentRefunded(refund) = event {
            self.add_minor(refund.currency, -refund.amount.0);
        }
    }

    /// Counts another tally in.
    pub fn add_all(&mut self, part: &Self) {
        self.records += part.records;
        self.sales += part.sales;
        for (currency, minor) in &part.money {
            self.add_minor(*currency, *minor);
        }
    }

    fn add_minor(&mut self, currency: Currency, minor: i64) {
        let sum = self.money.entry(currency).or_default();
        *sum = sum.saturating_add(minor);
    }

    /// Takes a part away again.
    pub fn subtract(&mut self, part: &Self) {
        self.records = self.records.saturating_sub(part.records);
        self.sales = self.sales.saturating_sub(part.sales);
        for (currency, minor) in &part.money {
            self.add_minor(*currency, minor.saturating_neg());
        }
        self.money.retain(|_, minor| *minor != 0);
    }

    /// Counts the frames of a batch; frames that do not decode count as records alone.
    #[must_use]
    pub fn of_items(items: &[Item]) -> Self {
        let mut tally = Self::default();
        for item in items {
            if let Some(ItemBody::Frame(frame)) = &item.body {
                match frame.get(FRAME_HEADER_BYTES..).map(record::decode) {
                    Some(Ok(record)) => tally.add(&record.event),
                    Some(Err(_)) | None => tally.records += 1,
                }
            }
        }
        tally
    }
}
