//! Messages of payment providers: verified over their raw bytes, then read by an allow-list.
//!
//! ```text
//! raw body ─► signature ─► time window ─► JSON ─► allow-list ─► provider objects
//!   │            │            │             │          └─ ids, amounts, states, times; nothing else
//!   └────────────┴────────────┴─────────────┴─► refused, counted by reason, nothing kept
//! ```
//!
//! What always holds: nothing of a body is used before its signature fits, but for the fields the
//! signature itself is made of; *now* is an argument and never read from a message; no name,
//! address, e-mail, number of a card or phone, receipt or client secret leaves this module.

mod adyen;
mod message;
mod shopify;
mod signature;
mod square;
mod stripe;

use popwatch_core::event::Event;
use popwatch_core::event::central::{ProviderObject, ProviderRefused};
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::{EventId, Source};
use popwatch_core::money::Currency;
use popwatch_core::provider::{self, ProviderKind};
use popwatch_core::record::{Content, Flags, Record, Stamp};
use popwatch_redact::pseudonym::ReferenceKey;

pub use signature::{SecretFault, Secrets};

const HOUR_MS: i64 = 3_600_000;

/// A provider account as its messages are read.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name in the configuration.
    pub name: String,
    /// Which provider.
    pub kind: ProviderKind,
    /// Whether real money moves. Messages of the other mode are refused.
    pub is_live: bool,
    /// What its messages are signed with.
    pub secrets: Secrets,
    /// The public URL the provider was given; Square signs it.
    pub notification_url: String,
    /// Where in an object our references stand: paths, dots between keys.
    pub stamp_keys: Vec<String>,
    /// Where in an object the order stands.
    pub order_keys: Vec<String>,
    /// Whether an authorisation is the capture too.
    pub captures_at_once: bool,
    /// The currency of amounts that name none.
    pub currency: Option<Currency>,
    /// Decimals of the provider's whole numbers that differ from the table.
    pub exponents: Vec<(Currency, u32)>,
    /// Under which references that look like card numbers are mapped.
    pub reference: ReferenceKey,
}

/// What a message came to, for its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// An object was taken in.
    Taken,
    /// The same delivery is held already.
    Repeated,
    /// The same delivery is held with other content; the first stays.
    Conflict,
    /// A type that says nothing to the books.
    Ignored,
    /// A test object to a live book, or the reverse (PW0906).
    TestMode,
    /// An amount did not convert exactly; the object is parked (PW0916).
    Inexact,
    /// No signature, or more than one header of it.
    NoSignature,
    /// No secret fits the signature, or it has no form.
    BadSignature,
    /// The signature is older than the window.
    Stale,
    /// The signature is from the future.
    Future,
    /// The body is not what the provider sends.
    Unparsable,
    /// The body is too large.
    TooLarge,
    /// It could not be made durable.
    NotDurable,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 13] = [
        Self::Taken,
        Self::Repeated,
        Self::Conflict,
        Self::Ignored,
        Self::TestMode,
        Self::Inexact,
        Self::NoSignature,
        Self::BadSignature,
        Self::Stale,
        Self::Future,
        Self::Unparsable,
        Self::TooLarge,
        Self::NotDurable,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Conflict => "conflict",
            Self::Ignored => "ignored",
            Self::TestMode => "test_mode",
            Self::Inexact => "inexact",
            Self::NoSignature => "no_signature",
            Self::BadSignature => "bad_signature",
            Self::Stale => "stale",
            Self::Future => "future",
            Self::Unparsable => "unparsable",
            Self::TooLarge => "too_large",
            Self::NotDurable => "not_durable",
        }
    }

    /// Whether it says that a signature was not good (`P-SIG`).
    #[must_use]
    pub const fn is_signature(self) -> bool {
        matches!(
            self,
            Self::NoSignature | Self::BadSignature | Self::Stale | Self::Future
        )
    }
}

/// One message as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Names in lower case and values that are text.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// The wall clock, ms since 1970; none where it cannot say within 150 s. Then the window is
    /// skipped and the objects are marked.
    pub now_ms: Option<i64>,
}

impl<'a> Delivery<'a> {
    /// The value of a header that came once; none for one that came twice.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(key, _)| *key == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(*value)
    }
}

/// What a verified message told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Its objects; each has its own `delivery`.
    pub objects: Vec<ProviderObject>,
    /// Names of what it told beside, that says nothing to the books.
    pub ignored: Vec<String>,
    /// Parts whose signature did not fit.
    pub bad: u64,
    /// Parts of the other mode than the account's.
    pub test_mode: u64,
    /// Objects whose amounts did not convert exactly and that are parked without them.
    pub inexact: u64,
    /// Parts that are not what the provider sends.
    pub unreadable: u64,
    /// References that looked like card numbers and were mapped.
    pub mapped: u64,
}

/// Verifies and reads one message. Fails with the outcome it is counted under; of a message that
/// fails nothing is kept.
pub fn receive(account: &Account, delivery: &Delivery<'_>) -> Result<Received, Outcome> {
    let received = match account.kind {
        ProviderKind::Stripe => stripe::receive(account, delivery),
        ProviderKind::Square => square::receive(account, delivery),
        ProviderKind::Shopify => shopify::receive(account, delivery),
        ProviderKind::Adyen => adyen::receive(account, delivery),
    }?;
    let nothing = received.objects.is_empty()
        && received.ignored.is_empty()
        && received.test_mode == 0
        && received.bad == 0;
    if nothing && received.unreadable > 0 {
        return Err(Outcome::Unparsable);
    }
    Ok(received)
}

/// Only checks a message's signature and window: what a bench or a preflight needs.
pub fn verify(account: &Account, delivery: &Delivery<'_>) -> Result<(), Outcome> {
    match account.kind {
        ProviderKind::Stripe => stripe::verify(account, delivery).map(|_| ()),
        ProviderKind::Square => square::verify(account, delivery),
        ProviderKind::Shopify => shopify::verify(account, delivery),
        ProviderKind::Adyen => adyen::verify(account, delivery),
    }
}

/// The headers under which a body verifies: for samples of our own. Adyen signs in the body, see
/// [`sample_item`].
#[must_use]
pub fn sample(account: &Account, body: &[u8], now_ms: i64) -> Vec<(&'static str, String)> {
    let base64 = |parts: &[&[u8]]| signature::base64(&account.secrets.sign(parts));
    match account.kind {
        ProviderKind::Stripe => {
            let time = (now_ms / 1_000).to_string();
            let mac = account.secrets.sign(&[time.as_bytes(), b".", body]);
            let value = format!("t={time},v1={}", signature::hex(&mac));
            vec![("stripe-signature", value)]
        }
        ProviderKind::Square => {
            let value = base64(&[account.notification_url.as_bytes(), body]);
            vec![("x-square-hmacsha256-signature", value)]
        }
        ProviderKind::Shopify => vec![("x-shopify-hmac-sha256", base64(&[body]))],
        ProviderKind::Adyen => Vec::new(),
    }
}

/// The `hmacSignature` under which an item of Adyen's verifies; none when its signed fields are no
/// texts and numbers.
#[must_use]
pub fn sample_item(account: &Account, item: &serde_json::Value) -> Option<String> {
    let signed = adyen::signed(item)?;
    Some(signature::base64(
        &account.secrets.sign(&[signed.as_bytes()]),
    ))
}

/// The record that carries an object: its source and id are the delivery's, so that an event that
/// comes again is known by them, at a till and at the ledger alike.
#[must_use]
pub fn record(object: ProviderObject, stamp: Stamp) -> Record {
    let hash = blake3::derive_key("popwatch.provider.told.v1", &provider::told(&object));
    let mut content = Content::default();
    content.0.copy_from_slice(&hash[..8]);
    let stamp = Stamp {
        time_ms: (object.occurred_ms != 0).then_some(object.occurred_ms),
        age_ms: None,
        ..stamp
    };
    let id = object.delivery.clone();
    let source = (object.provider.clone(), object.account.clone());
    let event = SystemEvent::ProviderObject(object);
    Record {
        content,
        ..of_account(&source.0, &source.1, &id, event, stamp)
    }
}

/// The record that says that messages with a bad signature came to an account in the hour of `now_ms`:
/// once an hour and reason, whoever sends how many. None for outcomes that are no such reason.
#[must_use]
pub fn refused(account: &Account, outcome: Outcome, now_ms: i64, stamp: Stamp) -> Option<Record> {
    if !outcome.is_signature() {
        return None;
    }
    let event = ProviderRefused {
        provider: account.kind.text().to_owned(),
        account: account.name.clone(),
        reason: outcome.text().to_owned(),
        hour_ms: now_ms - now_ms.rem_euclid(HOUR_MS),
    };
    let id = format!("refused/{}/{}", event.reason, event.hour_ms);
    let (provider, name) = (account.kind.text(), &account.name);
    let event = SystemEvent::ProviderRefused(event);
    Some(of_account(provider, name, &id, event, stamp))
}

fn of_account(provider: &str, account: &str, id: &str, event: SystemEvent, stamp: Stamp) -> Record {
    let source = format!("popwatch:provider/{provider}/{account}");
    Record {
        source: Source::new(&source).expect("names of accounts are short and printable"),
        id: EventId::new(id).expect("a delivery is a short reference"),
        stamp,
        popup: None,
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
        event: Event::System(event),
    }
}

#[cfg(test)]
mod tests;
