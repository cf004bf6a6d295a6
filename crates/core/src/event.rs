//! Events: the closed set of facts a rig reports, and how their fields are read and written.
//!
//! [`catalogue`] is the one table: JSON, journal bytes, JSON Schemas, content hashes and redaction
//! all walk it through [`FieldSource`] and [`FieldSink`], so a new field is one line there and
//! nothing elsewhere. [`system`] holds what popwatch writes about itself.

mod catalogue;
pub mod central;
pub mod commerce;
pub mod promises;
pub mod system;

pub use catalogue::*;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{self, IdFault};
use crate::limits;
use crate::money::Currency;

/// How important a fact is; the order in which observation degrades is the reverse (L10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// popwatch's own records: epochs, seals, gaps, policy, clocks.
    System = 0,
    /// Payments, tokens, manual bookings.
    Money = 1,
    /// Stock, orders, flash drops.
    Stock = 2,
    /// Checkouts, carts, product views.
    Journey = 3,
    /// Chat, audience, host samples.
    Ambient = 4,
}

impl Class {
    /// All classes, most important first.
    pub const ALL: [Self; 5] = [
        Self::System,
        Self::Money,
        Self::Stock,
        Self::Journey,
        Self::Ambient,
    ];

    /// Reads the byte of a frame header.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.byte() == byte)
    }

    /// The byte in a frame header.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Which cursor of the records lane carries it.
    #[must_use]
    pub const fn cursor(self) -> Cursor {
        match self {
            Self::System | Self::Money | Self::Stock => Cursor::Trunk,
            Self::Journey | Self::Ambient => Cursor::Bulk,
        }
    }

    /// Its name in metrics, statuses and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Money => "money",
            Self::Stock => "stock",
            Self::Journey => "journey",
            Self::Ambient => "ambient",
        }
    }
}

/// The two cursors of the records lane, so that chat never stands before a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cursor {
    /// Money and what explains it.
    Trunk = 1,
    /// Everything else.
    Bulk = 2,
}

impl Cursor {
    /// Both, trunk first.
    pub const ALL: [Self; 2] = [Self::Trunk, Self::Bulk];
}

/// What a field holds: its rule in JSON, in bytes and for redaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An id that travels to providers: `[A-Za-z0-9._:~/-]{1,96}`.
    Reference,
    /// A name people chose; a fact.
    Name,
    /// A person; leaves redaction as a pseudonym or not at all.
    Subject,
    /// A short remark; redacted.
    Remark,
    /// Chat text; scored, never stored.
    Text,
    /// An ISO 4217 code.
    Currency,
    /// Minor units, 0 to [`limits::AMOUNT_MINOR_MAX`].
    Minor,
    /// Minor units of either sign.
    MinorSigned,
    /// A count, 0 to [`limits::QUANTITY_MAX`].
    Count,
    /// A count of either sign.
    CountSigned,
    /// Bytes of a disk, 0 to 2^53.
    Bytes,
    /// Milliseconds, 0 to 2^31 − 1.
    Millis,
    /// A moment, milliseconds since 1970; in JSON an RFC 3339 text.
    Moment,
    /// A measured number kept to three decimals, as thousandths.
    Thousandths,
    /// Yes or no.
    Flag,
    /// One of a closed set; a text outside it is refused.
    Choice(&'static [&'static str]),
    /// One of a closed set whose last member takes everything unknown.
    OpenChoice(&'static [&'static str]),
    /// Lines of a sale or refund.
    Lines,
    /// Named durations.
    Stages,
}

impl Kind {
    /// Whether the value is part of what makes two deliveries of one event the same content:
    /// no times, no durations, nothing that policy may change.
    #[must_use]
    pub const fn is_core(self) -> bool {
        match self {
            Self::Reference
            | Self::Name
            | Self::Currency
            | Self::Minor
            | Self::MinorSigned
            | Self::Count
            | Self::CountSigned
            | Self::Flag
            | Self::Choice(_)
            | Self::OpenChoice(_)
            | Self::Lines => true,
            Self::Subject
            | Self::Remark
            | Self::Text
            | Self::Millis
            | Self::Moment
            | Self::Bytes
            | Self::Thousandths
            | Self::Stages => false,
        }
    }
}

/// One field of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its number in the journaled bytes; never reused within a type.
    pub tag: u32,
    /// What it holds.
    pub kind: Kind,
    /// Whether an event without it is refused.
    pub required: bool,
    /// What it says, for schemas.
    pub doc: &'static str,
}

/// A field's value on its way between a typed event and an outside form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Texts of every kind, currencies and choices.
    Text(Arc<str>),
    /// Numbers of every kind.
    Int(i64),
    /// Flags.
    Flag(bool),
    /// Lines of a sale.
    Lines(Vec<Line>),
    /// Named durations.
    Stages(Vec<Stage>),
}

/// Why a field was not taken. Never carries the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {fault}")]
pub struct FieldFault {
    /// The field's path inside `data`, such as `lines[2].qty`.
    pub path: alloc::string::String,
    /// What is wrong with it.
    pub fault: ValueFault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// A required field is absent.
    #[error("is missing")]
    Missing,
    /// Another JSON type than the field's.
    #[error("must be {0}")]
    Type(&'static str),
    /// An identity or text outside its rule.
    #[error("{0}")]
    Id(IdFault),
    /// Not an ISO 4217 code with minor units.
    #[error("is not an ISO 4217 currency with minor units")]
    Currency,
    /// A number outside its range.
    #[error("must lie between {min} and {max}")]
    Range {
        /// Smallest value taken.
        min: i64,
        /// Largest value taken.
        max: i64,
    },
    /// Not a member of the closed set.
    #[error("is not one of the values this field can have")]
    Choice,
    /// More entries than the bound.
    #[error("has more than {0} entries")]
    Many(usize),
    /// Bytes that are not what this field's journaled form can be.
    #[error("is damaged")]
    Damaged,
    /// Holds what no event may hold: a card number where an identity or number belongs.
    #[error("looks like a payment card number")]
    Card,
}

/// Where a typed event reads its fields from.
pub trait FieldSource {
    /// The value of a field, `None` when it is absent. Called once per field, in catalogue order.
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault>;
}

/// Where a typed event writes its fields to.
pub trait FieldSink {
    /// Takes the value of a present field. Called in catalogue order.
    fn put(&mut self, field: &'static Field, value: Value);
}

/// A Rust type that a field can have.
pub trait Datum: Sized {
    /// What the field holds.
    const KIND: Kind;
    /// Checks and converts; the fault says what is wrong.
    fn from_value(value: Value) -> Result<Self, ValueFault>;
    /// The value to write.
    fn to_value(&self) -> Value;
}

macro_rules! text_data {
    ($($kind:ident: $($name:ident),*;)*) => {$($(
        impl Datum for id::$name {
            const KIND: Kind = Kind::$kind;
            fn from_value(value: Value) -> Result<Self, ValueFault> {
                match value {
                    Value::Text(text) => Self::new(&text).map_err(ValueFault::Id),
                    Value::Int(_) | Value::Flag(_) | Value::Lines(_) | Value::Stages(_) => {
                        Err(ValueFault::Type("a string"))
                    }
                }
            }
            fn to_value(&self) -> Value {
                Value::Text(Arc::from(self.as_str()))
            }
        }
    )*)*};
}

text_data! {
    Reference: PaymentId, OrderId, CheckoutId, RefundId, DisputeId, TokenId, FlashDropId, ProviderRef;
    Name: CreatorId, Sku, PaymentMethod, ProviderName, SalesChannel, CheckoutStage, ChatStream,
        StockPlace, MemberId;
    Subject: Subject;
    Remark: Remark;
}

macro_rules! int_data {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $kind:ident, $min:expr, $max:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl Datum for $name {
            const KIND: Kind = Kind::$kind;
            fn from_value(value: Value) -> Result<Self, ValueFault> {
                let (min, max) = ($min, $max);
                match value {
                    Value::Int(number) if (min..=max).contains(&number) => {
                        <$inner>::try_from(number).map(Self).map_err(|_| ValueFault::Range { min, max })
                    }
                    Value::Int(_) => Err(ValueFault::Range { min, max }),
                    Value::Text(_) | Value::Flag(_) | Value::Lines(_) | Value::Stages(_) => {
                        Err(ValueFault::Type("an integer"))
                    }
                }
            }
            fn to_value(&self) -> Value {
                Value::Int(i64::from(self.0))
            }
        }
    )*};
}

int_data! {
    /// Minor units, never negative.
    Minor(i64), Minor, 0, limits::AMOUNT_MINOR_MAX;
    /// Minor units of either sign.
    MinorSigned(i64), MinorSigned, -limits::AMOUNT_MINOR_MAX, limits::AMOUNT_MINOR_MAX;
    /// Items, never negative.
    Count(i64), Count, 0, limits::QUANTITY_MAX;
    /// Items of either sign.
    CountSigned(i64), CountSigned, -limits::QUANTITY_MAX, limits::QUANTITY_MAX;
    /// Bytes of a disk.
    Bytes(i64), Bytes, 0, 1 << 53;
    /// A duration in milliseconds.
    Millis(u32), Millis, 0, i64::from(i32::MAX);
    /// A moment, milliseconds since 1970 (years 2000 to 2100).
    Moment(i64), Moment, 946_684_800_000, 4_102_444_800_000;
    /// A measured number in thousandths of its unit.
    Thousandths(i64), Thousandths, -1_000_000_000_000_000, 1_000_000_000_000_000;
}

impl Datum for bool {
    const KIND: Kind = Kind::Flag;
    fn from_value(value: Value) -> Result<Self, ValueFault> {
        match value {
            Value::Flag(flag) => Ok(flag),
            Value::Text(_) | Value::Int(_) | Value::Lines(_) | Value::Stages(_) => {
                Err(ValueFault::Type("true or false"))
            }
        }
    }
    fn to_value(&self) -> Value {
        Value::Flag(*self)
    }
}

impl Datum for Currency {
    const KIND: Kind = Kind::Currency;
    fn from_value(value: Value) -> Result<Self, ValueFault> {
        match value {
            Value::Text(code) => Self::new(&code).ok_or(ValueFault::Currency),
            Value::Int(_) | Value::Flag(_) | Value::Lines(_) | Value::Stages(_) => {
                Err(ValueFault::Type("a string"))
            }
        }
    }
    fn to_value(&self) -> Value {
        Value::Text(Arc::from(self.code()))
    }
}

/// How negative or positive a chat message is, ten-thousandths from -10,000 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatScore(Option<i16>);

impl ChatScore {
    /// A message without a word of the lexicon.
    pub const NOT_COVERED: Self = Self(None);
    /// The greatest score.
    const MAX: i16 = 10_000;

    /// A message with a word of the lexicon; a score out of range is taken as its nearest.
    #[must_use]
    pub fn covered(ten_thousandths: i16) -> Self {
        Self(Some(ten_thousandths.clamp(-Self::MAX, Self::MAX)))
    }

    /// Whether a word of the lexicon occurred.
    #[must_use]
    pub const fn is_covered(self) -> bool {
        self.0.is_some()
    }

    /// The score; 0 where it is not covered.
    #[must_use]
    pub fn ten_thousandths(self) -> i16 {
        self.0.unwrap_or(0)
    }

    /// Its journaled number: 0 not covered, else the score and 10,001.
    #[must_use]
    pub fn code(self) -> i64 {
        self.0
            .map_or(0, |score| i64::from(score) + i64::from(Self::MAX) + 1)
    }

    /// Reads the journaled number.
    #[must_use]
    pub fn from_code(code: i64) -> Option<Self> {
        if code == 0 {
            return Some(Self::NOT_COVERED);
        }
        let score = code.checked_sub(i64::from(Self::MAX) + 1)?;
        let score = i16::try_from(score).ok()?;
        (score.abs() <= Self::MAX).then(|| Self::covered(score))
    }
}

/// What stands for the text of a chat message: its score, which is all that a record holds. The text
/// itself only exists on its way to the scorer.
#[derive(Clone, PartialEq, Eq)]
pub enum ChatText {
    /// Not scored yet. It is never written to a record.
    Text(Arc<str>),
    /// Scored; the text is gone.
    Scored(ChatScore),
}

impl ChatText {
    /// The score, if there is one.
    #[must_use]
    pub const fn score(&self) -> Option<ChatScore> {
        match self {
            Self::Text(_) => None,
            Self::Scored(score) => Some(*score),
        }
    }
}

impl core::fmt::Debug for ChatText {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "ChatText({} bytes)", text.len()),
            Self::Scored(score) => write!(f, "ChatText({score:?})"),
        }
    }
}

impl Datum for ChatText {
    const KIND: Kind = Kind::Text;
    fn from_value(value: Value) -> Result<Self, ValueFault> {
        match value {
            Value::Text(text) => Ok(Self::Text(text)),
            Value::Int(code) => {
                let score = ChatScore::from_code(code);
                score.map(Self::Scored).ok_or(ValueFault::Damaged)
            }
            Value::Flag(_) | Value::Lines(_) | Value::Stages(_) => {
                Err(ValueFault::Type("a string"))
            }
        }
    }
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.clone()),
            Self::Scored(score) => Value::Int(score.code()),
        }
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident $kind:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All values, in their order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            const TEXTS: &'static [&'static str] = &[$($text,)*];

            /// Its text on the wire.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl Datum for $name {
            const KIND: Kind = Kind::$kind(Self::TEXTS);
            fn from_value(value: Value) -> Result<Self, ValueFault> {
                match value {
                    Value::Text(text) => Self::ALL
                        .iter()
                        .copied()
                        .find(|choice| choice.text() == &*text)
                        .or_else(|| match Self::KIND {
                            Kind::OpenChoice(_) => Self::ALL.last().copied(),
                            _ => None,
                        })
                        .ok_or(ValueFault::Choice),
                    Value::Int(_) | Value::Flag(_) | Value::Lines(_) | Value::Stages(_) => {
                        Err(ValueFault::Type("a string"))
                    }
                }
            }
            fn to_value(&self) -> Value {
                Value::Text(Arc::from(self.text()))
            }
        }
    )*};
}

choices! {
    /// Why a payment failed or was refunded. A text outside the set counts as `other`: no reason
    /// to refuse a fact about money.
    Reason OpenChoice {
        /// A machine or network failed.
        Technical = "technical",
        /// The provider declined.
        Declined = "declined",
        /// Not enough funds.
        InsufficientFunds = "insufficient_funds",
        /// Cancelled by the buyer or the till.
        Cancelled = "cancelled",
        /// The buyer changed their mind.
        ChangedMind = "changed_mind",
        /// Fraud.
        Fraud = "fraud",
        /// A fee.
        Fee = "fee",
        /// Goodwill.
        Goodwill = "goodwill",
        /// Anything else.
        Other = "other",
    }
    /// Where a dispute stands.
    DisputeState Choice {
        /// Opened by the buyer's bank.
        Opened = "opened",
        /// Decided for the shop.
        Won = "won",
        /// Decided against the shop.
        Lost = "lost",
    }
    /// How far an order is on its way to the buyer.
    FulfilmentStep Choice {
        /// Packed.
        Packed = "packed",
        /// Handed over on site.
        HandedOver = "handed_over",
        /// Sent.
        Shipped = "shipped",
        /// Arrived.
        Delivered = "delivered",
    }
}

/// One line of a sale or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was sold.
    pub sku: id::Sku,
    /// How many; refund lines count what came back.
    pub qty: i64,
    /// Minor units of the event's currency for the whole line, after discounts, before tax.
    pub amount: i64,
    /// Whose audience bought it.
    pub creator: Option<id::CreatorId>,
}

impl Datum for Vec<Line> {
    const KIND: Kind = Kind::Lines;
    fn from_value(value: Value) -> Result<Self, ValueFault> {
        match value {
            Value::Lines(lines) if lines.len() > limits::EVENT_LINES_MAX => {
                Err(ValueFault::Many(limits::EVENT_LINES_MAX))
            }
            Value::Lines(lines) => Ok(lines),
            Value::Text(_) | Value::Int(_) | Value::Flag(_) | Value::Stages(_) => {
                Err(ValueFault::Type("an array of lines"))
            }
        }
    }
    fn to_value(&self) -> Value {
        Value::Lines(self.clone())
    }
}

/// How long one named stage of a checkout took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The stage.
    pub name: id::CheckoutStage,
    /// Milliseconds.
    pub ms: u32,
}

impl Datum for Vec<Stage> {
    const KIND: Kind = Kind::Stages;
    fn from_value(value: Value) -> Result<Self, ValueFault> {
        match value {
            Value::Stages(stages) if stages.len() > limits::EVENT_STAGES_MAX => {
                Err(ValueFault::Many(limits::EVENT_STAGES_MAX))
            }
            Value::Stages(stages) => Ok(stages),
            Value::Text(_) | Value::Int(_) | Value::Flag(_) | Value::Lines(_) => {
                Err(ValueFault::Type("an object of milliseconds"))
            }
        }
    }
    fn to_value(&self) -> Value {
        Value::Stages(self.clone())
    }
}

fn take<T: Datum>(
    source: &mut dyn FieldSource,
    field: &'static Field,
) -> Result<Option<T>, FieldFault> {
    source
        .take(field)?
        .map(T::from_value)
        .transpose()
        .map_err(|fault| FieldFault {
            path: field.name.into(),
            fault,
        })
}

fn required<T: Datum>(
    source: &mut dyn FieldSource,
    field: &'static Field,
) -> Result<T, FieldFault> {
    take(source, field)?.ok_or_else(|| FieldFault {
        path: field.name.into(),
        fault: ValueFault::Missing,
    })
}
