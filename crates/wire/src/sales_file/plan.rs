//! A document as the events a till would have reported.

use crate::json::rfc3339;

use super::countries::{CurrencyRule, currency_of_country};
use super::{Day, Document, DocumentKind, DocumentLine, Durations, SalesFileFault};
use popwatch_core::id::{PopupId, Source};
use popwatch_core::money::Currency;
use popwatch_core::time::WallMs;
use serde_json::{Value, json};

/// Under which names, when and in which currency a day becomes a popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// CloudEvents `source` of every event, such as `/replay/2011-12-05`.
    pub source: Source,
    /// The popup.
    pub popup: PopupId,
    /// When its doors open.
    pub starts: WallMs,
    /// How long it lasts, hours.
    pub hours: u32,
    /// Which currency amounts are in.
    pub currency: CurrencyRule,
}

/// One structured CloudEvent beside its time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedEvent {
    /// Its `time`.
    pub time: WallMs,
    /// The whole event as JSON.
    pub event: Value,
}

impl Plan {
    /// When the popup's doors close.
    #[must_use]
    pub fn ends(&self) -> WallMs {
        WallMs(self.starts.0 + i64::from(self.hours) * 3_600_000)
    }

    /// The events of one document, in the order a till reports them. Fails where a Country has no
    /// known currency or a document has two.
    ///
    /// A sale is three events; its checkout ends with the payment and starts the dealt duration
    /// earlier, but never before the popup does.
    pub fn events(
        &self,
        day: &Day,
        document: &Document,
        durations: &Durations,
    ) -> Result<Vec<TimedEvent>, SalesFileFault> {
        let at = WallMs(self.starts.0 + day.offset_ms(document, self.hours));
        let id = format!("{}/{}/{}", day.date, document.invoice, document.kind.name());
        let currency = self.currency(document)?;
        Ok(match document.kind {
            DocumentKind::Sale => self.sale(&id, at, document, currency, durations),
            DocumentKind::Refund => vec![self.event(
                &id,
                at,
                "payment.refunded",
                json!({
                    "refund": document.invoice.as_str(),
                    "payment": format!("unknown:{}", document.invoice),
                    "amount": -document.minor(),
                    "currency": currency.code(),
                    "lines": lines(document, -1),
                }),
            )],
            DocumentKind::Manual => vec![self.event(
                &id,
                at,
                "books.adjusted",
                json!({
                    "amount": document.minor(),
                    "currency": currency.code(),
                    "reason": "manual",
                }),
            )],
            DocumentKind::Gift => self.adjustments(&id, at, document, -1, "gift"),
            DocumentKind::StockAdjust => self.adjustments(&id, at, document, 1, "stock_adjust"),
        })
    }

    /// One structured CloudEvent of this popup. `name` is the type without `popwatch.`.
    #[must_use]
    pub fn event(&self, id: &str, at: WallMs, name: &str, data: Value) -> TimedEvent {
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": self.source.as_str(),
            "type": format!("popwatch.{name}"),
            "time": rfc3339(at.0),
            "popup": self.popup.as_str(),
            "datacontenttype": "application/json",
            "data": data,
        });
        TimedEvent { time: at, event }
    }

    fn sale(
        &self,
        id: &str,
        at: WallMs,
        document: &Document,
        currency: Currency,
        durations: &Durations,
    ) -> Vec<TimedEvent> {
        let duration_ms = durations.deal(document.sale_index.unwrap_or(0));
        let started = WallMs((at.0 - i64::from(duration_ms)).max(self.starts.0));
        let invoice = document.invoice.as_str();
        let mut opening = json!({ "checkout": invoice });
        if let Some(buyer) = &document.buyer {
            opening["viewer"] = json!(buyer.as_str());
        }
        vec![
            self.event(
                &format!("{id}/started"),
                started,
                "checkout.started",
                opening,
            ),
            self.event(
                id,
                at,
                "payment.captured",
                json!({
                    "payment": invoice,
                    "order": invoice,
                    "amount": document.minor(),
                    "currency": currency.code(),
                    "method": "card",
                    "checkout": invoice,
                    "lines": lines(document, 1),
                }),
            ),
            self.event(
                &format!("{id}/completed"),
                at,
                "checkout.completed",
                json!({ "checkout": invoice, "order": invoice, "duration_ms": duration_ms }),
            ),
        ]
    }

    /// One `inventory.adjusted` per line of goods, numbered as in the document.
    fn adjustments(
        &self,
        id: &str,
        at: WallMs,
        document: &Document,
        sign: i64,
        reason: &str,
    ) -> Vec<TimedEvent> {
        let numbered = (1u32..).zip(&document.lines);
        numbered
            .filter(|(_, line)| line.is_goods)
            .map(|(number, line)| {
                let data =
                    json!({ "sku": line.sku.as_str(), "qty": sign * line.qty, "reason": reason });
                self.event(&format!("{id}/{number}"), at, "inventory.adjusted", data)
            })
            .collect()
    }

    fn currency(&self, document: &Document) -> Result<Currency, SalesFileFault> {
        let fault = |line: &DocumentLine, rule| SalesFileFault::Field {
            row: line.row,
            column: "Country",
            rule,
        };
        match self.currency {
            CurrencyRule::Pounds => Ok(Currency::new("GBP").expect("GBP is an ISO 4217 code")),
            CurrencyRule::ByCountry => {
                let mut found = None;
                for line in &document.lines {
                    let currency = currency_of_country(&line.country)
                        .ok_or_else(|| fault(line, "has no currency in the table"))?;
                    if found.is_some_and(|first| first != currency) {
                        return Err(fault(line, "gives one document two currencies"));
                    }
                    found = Some(currency);
                }
                Ok(found.expect("a document has a line"))
            }
        }
    }
}

/// The lines of a payment; `sign` turns those of a refund positive.
fn lines(document: &Document, sign: i64) -> Value {
    let line = |line: &DocumentLine| {
        json!({
            "sku": line.sku.as_str(),
            "qty": sign * line.qty,
            "amount": sign * line.minor,
            "creator": line.creator.as_str(),
        })
    };
    Value::Array(document.lines.iter().map(line).collect())
}
