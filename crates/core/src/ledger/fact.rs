//! Facts: what a record says to the books, with its identities and its place in canonical order.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{FieldHash, central::Central};
use crate::anchor::event_time;
use crate::event::system::SystemEvent;
use crate::event::{Class, Event, Field, FieldSink, Value};
use crate::id::{EventId, PopupId, Position, Source};
use crate::record::Record;

/// 16 bytes that name a fact by its business key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId(pub [u8; 16]);

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FactId({self})")
    }
}

impl FactId {
    /// The id of a kind of fact with this business key.
    #[must_use]
    pub fn of(kind: &str, key: &[&[u8]]) -> Self {
        let mut hash = FieldHash::new("popwatch.fact.v1");
        hash.field(kind.as_bytes());
        for part in key {
            hash.field(part);
        }
        Self(hash.finish())
    }

    /// The id of the capture of a payment.
    #[must_use]
    pub fn of_capture(popup: &PopupId, payment: &str) -> Self {
        let key = [popup.as_str().as_bytes(), payment.as_bytes()];
        Self::of("payment.captured", &key)
    }
}

/// 16 bytes that name an event by (`source`, `id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub [u8; 16]);

impl EventKey {
    /// The key of an event; without the popup, so that one id cannot count in two popups.
    #[must_use]
    pub fn of(source: &Source, id: &EventId) -> Self {
        let mut hash = FieldHash::new("popwatch.event.v1");
        hash.field(source.as_str().as_bytes());
        hash.field(id.as_str().as_bytes());
        Self(hash.finish())
    }
}

/// A fact that a client reported: one record of the money or stock class.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// By its business key.
    pub id: FactId,
    /// By `source` and `id`.
    pub event_key: EventKey,
    /// Its CloudEvents `id`, which a till may have stamped into a provider's object.
    pub event_id: EventId,
    /// The version of its popup's policy that held on the rig.
    pub policy_version: u32,
    /// Hash of popup, type and core fields: no times, no durations.
    pub content: [u8; 16],
    /// The book it lies in.
    pub popup: PopupId,
    /// Where it stands.
    pub position: Position,
    /// When it happened, ms since 1970.
    pub occurred_ms: i64,
    /// What it says.
    pub event: Event,
}

/// The place of a fact in canonical order: corrected time, rig, epoch, seq.
pub type CanonicalOrder<'a> = (i64, &'a str, u32, u64);

impl Fact {
    /// The fact of a record; `None` for records of other classes and for records without a popup.
    #[must_use]
    pub fn of(record: &Record, position: Position) -> Option<Self> {
        if let Event::System(event) = &record.event {
            return Self::of_centre(record, event, position);
        }
        let popup = record.popup.clone()?;
        if !matches!(record.event.class(), Class::Money | Class::Stock) {
            return None;
        }
        let event_key = EventKey::of(&record.source, &record.id);
        Some(Self {
            id: business_id(record, &popup),
            event_key,
            event_id: record.id.clone(),
            policy_version: record.policy_version,
            content: content_of(&record.event, &popup),
            popup,
            position,
            occurred_ms: occurred_ms(record),
            event: record.event.clone(),
        })
    }

    /// The fact of what came from the centre; `None` for what popwatch says of itself.
    fn of_centre(record: &Record, event: &SystemEvent, position: Position) -> Option<Self> {
        let central = Central::of(event)?;
        let mut content = FieldHash::new("popwatch.content.v1");
        content
            .field(event.name().as_bytes())
            .field(&central.content);
        Some(Self {
            id: FactId::of(
                event.name(),
                &central.key.iter().map(String::as_bytes).collect::<Vec<_>>(),
            ),
            event_key: EventKey::of(&record.source, &record.id),
            event_id: record.id.clone(),
            policy_version: record.policy_version,
            content: content.finish(),
            popup: central.book,
            position,
            occurred_ms: central.occurred_ms.unwrap_or_else(|| occurred_ms(record)),
            event: record.event.clone(),
        })
    }

    /// Its place among facts that cannot all be right.
    #[must_use]
    pub fn order(&self) -> CanonicalOrder<'_> {
        let at = &self.position;
        (self.occurred_ms, at.rig.as_str(), at.epoch.0, at.seq.0)
    }
}

/// When an event happened as its own record tells it, ms since 1970.
#[must_use]
pub fn occurred_ms(record: &Record) -> i64 {
    event_time(&record.stamp, record.flags, None, None).at.0
}

fn business_id(record: &Record, popup: &PopupId) -> FactId {
    let kind = record.event.type_name();
    let book = popup.as_str().as_bytes();
    let step: &str;
    let parts: Vec<&[u8]> = match &record.event {
        Event::PaymentCaptured(sale) => [book, sale.payment.as_str().as_bytes()].into(),
        Event::PaymentFailed(attempt) => [book, attempt.payment.as_str().as_bytes()].into(),
        Event::PaymentRefunded(refund) => [book, refund.refund.as_str().as_bytes()].into(),
        Event::PaymentDisputed(dispute) => {
            step = dispute.state.text();
            [book, dispute.dispute.as_str().as_bytes(), step.as_bytes()].into()
        }
        Event::TokenIssued(token) => [token.token.as_str().as_bytes()].into(),
        Event::TokenVoided(token) => [token.token.as_str().as_bytes()].into(),
        Event::TokenRedeemed(token) => {
            let order = token.order.as_ref().map_or("", |order| order.as_str());
            [token.token.as_str().as_bytes(), order.as_bytes()].into()
        }
        Event::OrderFulfilled(order) => {
            let member = order.coop_member.as_ref().map_or("", |who| who.as_str());
            let (order, step) = (order.order.as_str(), order.step.text());
            [order.as_bytes(), step.as_bytes(), member.as_bytes()].into()
        }
        Event::CheckoutStarted(_)
        | Event::CheckoutCompleted(_)
        | Event::CheckoutAbandoned(_)
        | Event::PaymentAuthorized(_)
        | Event::InventoryReceived(_)
        | Event::InventoryAllocated(_)
        | Event::InventoryMoved(_)
        | Event::InventoryAdjusted(_)
        | Event::InventoryCounted(_)
        | Event::BooksAdjusted(_)
        | Event::ChatMessage(_)
        | Event::AudienceSampled(_)
        | Event::ProductViewed(_)
        | Event::CartAdded(_)
        | Event::DropOpened(_)
        | Event::DropClosed(_)
        | Event::RigSampled(_)
        | Event::System(_) => [
            record.source.as_str().as_bytes(),
            record.id.as_str().as_bytes(),
        ]
        .into(),
    };
    FactId::of(kind, &parts)
}

fn content_of(event: &Event, popup: &PopupId) -> [u8; 16] {
    struct Sink(FieldHash);
    impl FieldSink for Sink {
        fn put(&mut self, field: &'static Field, value: Value) {
            if !field.kind.is_core() {
                return;
            }
            self.0.field(&field.tag.to_le_bytes());
            match value {
                Value::Text(text) => {
                    self.0.field(text.as_bytes());
                }
                Value::Int(number) => {
                    self.0.field(&number.to_le_bytes());
                }
                Value::Flag(flag) => {
                    self.0.field(&[u8::from(flag)]);
                }
                Value::Lines(lines) => {
                    self.0.field(&(lines.len() as u64).to_le_bytes());
                    for line in lines {
                        self.0.field(line.sku.as_str().as_bytes());
                        self.0.field(&line.qty.to_le_bytes());
                        self.0.field(&line.amount.to_le_bytes());
                        let creator = line.creator.as_ref().map_or("", |who| who.as_str());
                        self.0.field(creator.as_bytes());
                    }
                }
                Value::Stages(_) => {}
            }
        }
    }
    let mut sink = Sink(FieldHash::new("popwatch.content.v1"));
    sink.0.field(event.type_name().as_bytes());
    sink.0.field(popup.as_str().as_bytes());
    event.write(&mut sink);
    sink.0.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_facts_stay_what_they_are() {
        let popup = PopupId::new("fri-market").unwrap();
        let id = FactId::of_capture(&popup, "p-1");
        assert_ne!(id, FactId::of_capture(&popup, "p-2"));
        assert_ne!(id, FactId::of("payment.failed", &[b"fri-market", b"p-1"]));
    }
}
