//! Opening stock and closing count of a demo, from what a day sold.
//!
//! The opening stock is invented and said to be: a sheet of sales has none. The closing count is
//! not: the day's write-offs are withheld and come to light when staff count the shelf, so the skew
//! on the screen is exactly what the shop's staff wrote off.

use super::plan::{Plan, TimedEvent};
use super::{Day, DocumentKind};
use popwatch_core::id::Sku;
use popwatch_core::time::{Minute, WallMs};
use serde_json::json;
use std::collections::BTreeMap;

/// One SKU's day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shelf {
    /// Units sold.
    pub sold: i64,
    /// Units that came back with refunds.
    pub returned: i64,
    /// Units given away.
    pub given: i64,
    /// Units staff wrote on (positive) or off.
    pub adjusted: i64,
}

/// The shelves of a day and the events that frame it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfPlan {
    shelves: BTreeMap<Sku, Shelf>,
}

impl ShelfPlan {
    /// Units of each SKU that nobody sells that day.
    pub const SPARE: i64 = 24;
    /// Which rig takes the delivery and counts.
    pub const RIG_INDEX: u8 = 0;
    /// SKUs delivered or counted per minute, well inside what one cell can tell apart.
    pub const SKUS_PER_MINUTE: usize = 400;

    /// Adds up what a day did to every SKU of goods.
    #[must_use]
    pub fn of(day: &Day) -> Self {
        let mut shelves = BTreeMap::<Sku, Shelf>::new();
        for document in &day.documents {
            for line in document.lines.iter().filter(|line| line.is_goods) {
                let shelf = shelves.entry(line.sku.clone()).or_default();
                match document.kind {
                    DocumentKind::Sale => shelf.sold += line.qty,
                    DocumentKind::Refund => shelf.returned -= line.qty,
                    DocumentKind::Gift => shelf.given += line.qty,
                    DocumentKind::StockAdjust => shelf.adjusted += line.qty,
                    DocumentKind::Manual => {}
                }
            }
        }
        Self { shelves }
    }

    /// The shelves, by SKU.
    #[must_use]
    pub const fn shelves(&self) -> &BTreeMap<Sku, Shelf> {
        &self.shelves
    }

    /// How long before the start the first delivery comes, and after the end the last shelf has
    /// been counted, milliseconds.
    #[must_use]
    pub fn minutes_ms(&self) -> i64 {
        let minutes = self.shelves.len().div_ceil(Self::SKUS_PER_MINUTE);
        i64::try_from(minutes).unwrap_or(i64::MAX / Minute::MS) * Minute::MS
    }

    /// `inventory.received` per SKU, in the minutes before the doors open.
    #[must_use]
    pub fn opening(&self, plan: &Plan, day: &Day) -> Vec<TimedEvent> {
        let begin = WallMs(plan.starts.0 - self.minutes_ms());
        self.paced(begin, |sku, shelf, at| {
            let data = json!({ "sku": sku.as_str(), "qty": shelf.opening(), "reason": "opening" });
            plan.event(
                &format!("{}/{sku}/opening", day.date),
                at,
                "inventory.received",
                data,
            )
        })
    }

    /// `inventory.counted` per SKU, in the minutes after the doors close.
    #[must_use]
    pub fn closing(&self, plan: &Plan, day: &Day) -> Vec<TimedEvent> {
        self.paced(plan.ends(), |sku, shelf, at| {
            let data = json!({ "sku": sku.as_str(), "qty": shelf.counted() });
            plan.event(
                &format!("{}/{sku}/count", day.date),
                at,
                "inventory.counted",
                data,
            )
        })
    }

    fn paced(
        &self,
        begin: WallMs,
        event: impl Fn(&Sku, &Shelf, WallMs) -> TimedEvent,
    ) -> Vec<TimedEvent> {
        (0usize..)
            .zip(&self.shelves)
            .map(|(place, (sku, shelf))| {
                let minute = i64::try_from(place / Self::SKUS_PER_MINUTE).unwrap_or(0);
                event(sku, shelf, WallMs(begin.0 + minute * Minute::MS))
            })
            .collect()
    }
}

impl Shelf {
    /// Units at the start: what is sold and some to spare, and at least what the write-offs of the
    /// day need, because a shelf cannot hold fewer than none.
    #[must_use]
    pub fn opening(&self) -> i64 {
        let needed = self.sold - self.returned + self.given - self.adjusted;
        needed.max(self.sold + ShelfPlan::SPARE)
    }

    /// Units the books expect at the end, write-offs unknown.
    #[must_use]
    pub fn expected(&self) -> i64 {
        self.opening() - self.sold + self.returned - self.given
    }

    /// Units staff find at the end.
    #[must_use]
    pub fn counted(&self) -> i64 {
        self.expected() + self.adjusted
    }
}
