//! The allow-list: what of a verified message is kept, and in which form.
//!
//! Every text that is kept is a reference (letters, digits and `. _ : ~ / -`, at most 96 bytes); one
//! that looks like a card number is mapped as at every border. Anything else is not kept, so no
//! name, address or e-mail can pass by standing in an unexpected place.

use popwatch_core::code::Code;
use popwatch_core::event::central::ProviderObject;
use popwatch_core::id::ProviderRef;
use popwatch_core::limits::{WEBHOOK_NAME_BYTES_MAX, WEBHOOK_STAMPS_MAX};
use popwatch_core::money::Currency;
use popwatch_core::provider::{ObjectKind, ObjectState, border};
use popwatch_redact::apply::reference;
use serde_json::Value as Json;

use super::{Account, Received};
use crate::json::rfc3339_ms;

/// One message while its objects are read.
pub(super) struct Message<'a> {
    account: &'a Account,
    /// The key of this delivery; a second object's is followed by `#` and its number.
    delivery: String,
    /// The provider's name of the message.
    name: String,
    /// When what it tells happened, ms since 1970.
    occurred_ms: i64,
    /// The provider's order of its snapshots.
    version: i64,
    unwindowed: bool,
    told: usize,
    received: &'a mut Received,
}

impl<'a> Message<'a> {
    /// A message known by `delivery`. None, counted as unreadable, when that is no reference.
    pub(super) fn new(
        account: &'a Account,
        delivery: &str,
        name: &str,
        unwindowed: bool,
        received: &'a mut Received,
    ) -> Option<Self> {
        if ProviderRef::new(delivery).is_err() {
            received.unreadable += 1;
            return None;
        }
        Some(Self {
            account,
            delivery: delivery.to_owned(),
            name: shown(name),
            occurred_ms: 0,
            version: 0,
            unwindowed,
            told: 0,
            received,
        })
    }

    /// Sets when it happened and its version.
    pub(super) fn at(mut self, occurred_ms: i64, version: i64) -> Self {
        self.occurred_ms = occurred_ms;
        self.version = version;
        self
    }

    /// The provider's name of it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    pub(super) const fn account(&self) -> &'a Account {
        self.account
    }

    /// Whether what it tells is of the account's mode; else it is counted. What says no mode passes.
    pub(super) fn fits(&mut self, is_live: Option<bool>) -> bool {
        let fits = is_live.is_none_or(|live| live == self.account.is_live);
        self.received.test_mode += u64::from(!fits);
        fits
    }

    /// Counts it as one that says nothing to the books.
    pub(super) fn ignore(&mut self, detail: &str) {
        let name = match detail {
            "" => self.name.clone(),
            detail => shown(&format!("{}:{detail}", self.name)),
        };
        self.received.ignored.push(name);
    }

    /// Counts it as one that is not what the provider sends.
    pub(super) fn unreadable(&mut self) {
        self.received.unreadable += 1;
    }

    /// Starts telling of an object.
    pub(super) fn start(&self, kind: ObjectKind, state: ObjectState) -> Telling<'a> {
        Telling {
            account: self.account,
            object: ProviderObject {
                provider: self.account.kind.text().to_owned(),
                account: self.account.name.clone(),
                kind: kind.text().to_owned(),
                state: state.text().to_owned(),
                message: self.name.clone(),
                occurred_ms: self.occurred_ms,
                version: self.version,
                unwindowed: self.unwindowed,
                ..ProviderObject::default()
            },
            kind,
            currency: None,
            exact: true,
            mapped: 0,
        }
    }

    /// Keeps what was told; without an id it is unreadable.
    pub(super) fn tell(&mut self, telling: Telling<'_>) {
        self.received.mapped += telling.mapped;
        if telling.object.object.is_empty() {
            self.unreadable();
            return;
        }
        let exact = telling.exact;
        let mut object = telling.finish();
        object.delivery.clone_from(&self.delivery);
        if self.told > 0 {
            object.delivery.push_str(&format!("#{}", self.told));
        }
        self.told += 1;
        self.received.inexact += u64::from(!exact);
        self.received.objects.push(object);
    }
}

/// One object while it is read.
pub(super) struct Telling<'a> {
    account: &'a Account,
    /// What is kept so far.
    pub(super) object: ProviderObject,
    kind: ObjectKind,
    currency: Option<Currency>,
    exact: bool,
    mapped: u64,
}

impl Telling<'_> {
    /// Takes its id.
    pub(super) fn id(&mut self, value: &Json) {
        self.object.object = self.reference(value);
    }

    /// Takes another id of it.
    pub(super) fn alias(&mut self, value: &Json) {
        let alias = self.reference(value);
        if !alias.is_empty() && alias != self.object.object {
            self.object.aliases.push(alias);
            self.object.aliases.sort_unstable();
            self.object.aliases.dedup();
        }
    }

    /// Takes what it belongs to: the first of these that is there.
    pub(super) fn parent(&mut self, values: &[&Json]) {
        self.object.parent = self.first(values);
    }

    /// Takes the order it names, unless it has one.
    pub(super) fn order(&mut self, value: &Json) {
        if self.object.order.is_empty() {
            self.object.order = self.reference(value);
        }
    }

    /// Takes a reference of ours.
    pub(super) fn stamp(&mut self, value: &Json) {
        let stamp = self.reference(value);
        if !stamp.is_empty() && self.object.stamps.len() < WEBHOOK_STAMPS_MAX {
            self.object.stamps.push(stamp);
            self.object.stamps.sort_unstable();
            self.object.stamps.dedup();
        }
    }

    /// Takes the configured stamps and order out of the provider's object.
    pub(super) fn stamps(&mut self, value: &Json) {
        let account = self.account;
        for key in &account.stamp_keys {
            self.stamp(path(value, key));
        }
        for key in &account.order_keys {
            self.order(path(value, key));
        }
    }

    /// Takes the text by which a bank knows it.
    pub(super) fn trace(&mut self, value: &Json) {
        self.object.trace = self.reference(value);
    }

    /// Takes the code of a failure: the first that is there.
    pub(super) fn failure(&mut self, values: &[&Json]) {
        self.object.failure = self.first(values);
    }

    /// Takes when it was made, whatever the provider's form.
    pub(super) fn created(&mut self, value: &Json) {
        self.object.created_ms = moment(value);
    }

    /// Takes the currency: a code in either case, else the account's only one.
    pub(super) fn currency(&mut self, value: &Json) {
        self.currency = match value {
            Json::String(code) => Currency::new(&code.to_uppercase()),
            Json::Null => self.account.currency,
            Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
        };
        match self.currency {
            Some(currency) => currency.code().clone_into(&mut self.object.currency),
            None => self.exact = false,
        }
    }

    /// A whole number of the provider's, or its text, in minor units; 0 for none.
    pub(super) fn units(&mut self, value: &Json) -> i64 {
        let units = match value {
            Json::Null => return 0,
            Json::Number(number) => number.as_i64(),
            Json::String(text) => text.parse().ok(),
            Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        let account = self.account;
        let minor = units.zip(self.currency).and_then(|(units, currency)| {
            let own = account.exponents.iter().find(|(of, _)| *of == currency);
            let exponent = own.map_or_else(
                || border::exponent(account.kind, currency),
                |(_, exponent)| *exponent,
            );
            border::minor_of(units, exponent, currency)
        });
        self.minor(minor)
    }

    /// A decimal of the provider's in minor units; 0 for none.
    pub(super) fn decimal(&mut self, value: &Json) -> i64 {
        let minor = match value {
            Json::Null => return 0,
            Json::String(text) => self
                .currency
                .and_then(|currency| border::minor_of_decimal(text, currency)),
            Json::Number(number) => self
                .currency
                .and_then(|currency| border::minor_of_decimal(&number.to_string(), currency)),
            Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
        };
        self.minor(minor)
    }

    /// Marks that its amounts cannot be known.
    pub(super) fn inexact(&mut self) {
        self.exact = false;
    }

    fn minor(&mut self, minor: Option<i64>) -> i64 {
        minor.unwrap_or_else(|| {
            self.exact = false;
            0
        })
    }

    fn first(&mut self, values: &[&Json]) -> String {
        for value in values {
            let text = self.reference(value);
            if !text.is_empty() {
                return text;
            }
        }
        String::new()
    }

    /// A reference: a text, a whole number, or the `id` of an object that stands in its place. Empty
    /// for everything else.
    fn reference(&mut self, value: &Json) -> String {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) if number.is_u64() => number.to_string(),
            Json::Object(object) => match object.get("id") {
                Some(Json::String(text)) => text.clone(),
                Some(_) | None => return String::new(),
            },
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return String::new(),
        };
        if ProviderRef::new(&text).is_err() {
            return String::new();
        }
        let kept = reference(&text, &self.account.reference);
        self.mapped += u64::from(kept != text.as_str());
        kept.into_owned()
    }

    /// An object whose amounts are not known exactly is parked: it keeps its names and stands at the
    /// beginning, so that nothing is booked from it.
    fn finish(mut self) -> ProviderObject {
        if !self.exact {
            let first = match self.kind {
                ObjectKind::Payment | ObjectKind::Payout => ObjectState::Created,
                ObjectKind::Refund => ObjectState::Requested,
                ObjectKind::Dispute => ObjectState::Inquiry,
            };
            first.text().clone_into(&mut self.object.state);
            self.object.failure = Code::AmountInexact.to_string();
            self.object.currency.clear();
            (self.object.amount, self.object.authorised) = (0, 0);
            (self.object.tip, self.object.fee) = (0, None);
        }
        self.object
    }
}

/// Nothing: what a missing field reads as.
pub(super) const NULL: &Json = &Json::Null;

/// A field of an object; null when it is not there.
pub(super) fn field<'j>(value: &'j Json, name: &str) -> &'j Json {
    value.get(name).unwrap_or(NULL)
}

/// A field by its path. Where keys hold dots themselves, the longest key counts.
pub(super) fn path<'j>(value: &'j Json, keys: &str) -> &'j Json {
    if let Some(found) = value.get(keys) {
        return found;
    }
    for (at, _) in keys.rmatch_indices('.') {
        let (key, rest) = (&keys[..at], &keys[at + 1..]);
        if let Some(inner) = value.get(key) {
            return path(inner, rest);
        }
    }
    NULL
}

/// A text field; empty when it is none.
pub(super) fn text<'j>(value: &'j Json, name: &str) -> &'j str {
    field(value, name).as_str().unwrap_or_default()
}

/// A moment: RFC 3339 or whole seconds since 1970, in ms; 0 for none.
pub(super) fn moment(value: &Json) -> i64 {
    match value {
        Json::String(text) => rfc3339_ms(text).unwrap_or(0),
        Json::Number(seconds) => seconds.as_i64().unwrap_or(0).saturating_mul(1_000),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => 0,
    }
}

/// A name of a message as it may be shown: bounded, and nothing but letters, digits and marks.
fn shown(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    if name.is_empty() || name.len() > WEBHOOK_NAME_BYTES_MAX || !name.bytes().all(plain) {
        return String::from("other");
    }
    name.to_owned()
}
