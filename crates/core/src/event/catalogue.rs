//! The catalogue: every event a client may report, each field once.
//!
//! `number name "type" class { required fields; optional fields }`, a field being
//! `tag name: type "what it says"`. Numbers and tags are the journal's and are never reused.

use super::{
    Bytes, ChatText, Class, Count, CountSigned, Datum, DisputeState, Field, FieldFault, FieldSink,
    FieldSource, FulfilmentStep, Line, Millis, Minor, MinorSigned, Moment, Reason, Stage,
    Thousandths, required, system, take,
};
use crate::id::{
    ChatStream, CheckoutId, CheckoutStage, CreatorId, DisputeId, FlashDropId, MemberId, OrderId,
    PaymentId, PaymentMethod, ProviderName, ProviderRef, RefundId, Remark, SalesChannel, Sku,
    StockPlace, Subject, TokenId,
};
use crate::money::Currency;
use alloc::vec::Vec;

macro_rules! catalogue {
    ($(
        $doc:literal $number:literal $name:ident $type:literal $class:ident {
            $( $rtag:literal $rfield:ident: $rty:ty = $rdoc:literal, )* ;
            $( $otag:literal $ofield:ident: $oty:ty = $odoc:literal, )*
        }
    )*) => {
        $(
            #[doc = $doc]
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $name {
                $( #[doc = $rdoc] pub $rfield: $rty, )*
                $( #[doc = $odoc] pub $ofield: Option<$oty>, )*
            }

            impl $name {
                /// The fields, in catalogue order: required ones first.
                pub const FIELDS: &'static [Field] = &[
                    $( Field { name: stringify!($rfield), tag: $rtag, kind: <$rty as Datum>::KIND,
                        required: true, doc: $rdoc }, )*
                    $( Field { name: stringify!($ofield), tag: $otag, kind: <$oty as Datum>::KIND,
                        required: false, doc: $odoc }, )*
                ];

                fn read(source: &mut dyn FieldSource) -> Result<Self, FieldFault> {
                    let mut fields = Self::FIELDS.iter();
                    let mut next = || fields.next().expect("one entry per field");
                    Ok(Self {
                        $( $rfield: required(source, next())?, )*
                        $( $ofield: take(source, next())?, )*
                    })
                }

                fn write(&self, sink: &mut dyn FieldSink) {
                    let mut fields = Self::FIELDS.iter();
                    let mut next = || fields.next().expect("one entry per field");
                    $( sink.put(next(), self.$rfield.to_value()); )*
                    $( {
                        let field = next();
                        if let Some(value) = &self.$ofield {
                            sink.put(field, value.to_value());
                        }
                    } )*
                }
            }
        )*

        /// The type of an event a client may report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $( #[doc = $doc] $name = $number, )*
        }

        impl EventType {
            /// All of them, in catalogue order.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The CloudEvents `type` without `popwatch.`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $type, )* }
            }

            /// What an event of this type says.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$name => $doc, )* }
            }

            /// Its number in the journal, 1 to 99.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $( Self::$name => $number, )* }
            }

            /// How important it is.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $( Self::$name => Class::$class, )* }
            }

            /// The fields of its data.
            #[must_use]
            pub const fn fields(self) -> &'static [Field] {
                match self { $( Self::$name => $name::FIELDS, )* }
            }
        }

        /// One fact: what a client reported, or what popwatch wrote about itself.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(
            clippy::large_enum_variant,
            reason = "few events are alive at once, and those of the centre are the rare large ones"
        )]
        pub enum Event {
            $( #[doc = $doc] $name($name), )*
            /// Written by popwatch itself.
            System(system::SystemEvent),
        }

        impl Event {
            /// Reads the data of a client event, field by field.
            pub fn read(of: EventType, source: &mut dyn FieldSource) -> Result<Self, FieldFault> {
                match of { $( EventType::$name => $name::read(source).map(Self::$name), )* }
            }

            /// Writes the data of a client event, field by field; a system event writes nothing.
            pub fn write(&self, sink: &mut dyn FieldSink) {
                match self {
                    $( Self::$name(data) => data.write(sink), )*
                    Self::System(_) => {}
                }
            }

            /// The client type, `None` for popwatch's own.
            #[must_use]
            pub const fn client_type(&self) -> Option<EventType> {
                match self {
                    $( Self::$name(_) => Some(EventType::$name), )*
                    Self::System(_) => None,
                }
            }
        }
    };
}

catalogue! {
    "A buyer began to check out." 1 CheckoutStarted "checkout.started" Journey {
        1 checkout: CheckoutId = "This passage through the checkout.",;
        2 channel: SalesChannel = "Where the sale comes from.",
        3 creator: CreatorId = "Whose audience the buyer belongs to.",
        4 viewer: Subject = "Who buys; leaves the rig only as a pseudonym.",
    }
    "A checkout ended with an order." 2 CheckoutCompleted "checkout.completed" Journey {
        1 checkout: CheckoutId = "The passage that ended.",
        2 order: OrderId = "The order it made.",;
        3 duration_ms: Millis = "From start to completion, milliseconds.",
        4 stages: Vec<Stage> = "Milliseconds per named stage.",
    }
    "A checkout ended without an order." 3 CheckoutAbandoned "checkout.abandoned" Journey {
        1 checkout: CheckoutId = "The passage that ended.",
        2 stage: CheckoutStage = "How far it had come.",;
        3 reason: Reason = "Why.",
        4 remark: Remark = "In words; redacted.",
    }
    "A payment was authorised." 10 PaymentAuthorized "payment.authorized" Money {
        1 payment: PaymentId = "This attempt to be paid.",
        2 order: OrderId = "What is paid.",
        3 amount: Minor = "Minor units.",
        4 currency: Currency = "ISO 4217 code.",
        5 method: PaymentMethod = "Card, wallet, cash …",;
        6 provider: ProviderName = "Payment provider.",
        7 latency_ms: Millis = "How long the provider took.",
    }
    "A payment was captured: the sale." 11 PaymentCaptured "payment.captured" Money {
        1 payment: PaymentId = "This attempt to be paid.",
        2 order: OrderId = "What is paid.",
        3 amount: Minor = "Minor units, tip and tax included.",
        4 currency: Currency = "ISO 4217 code.",
        5 method: PaymentMethod = "Card, wallet, cash …",;
        6 provider: ProviderName = "Payment provider.",
        7 provider_ref: ProviderRef = "The provider's own id.",
        8 offline: bool = "Taken while the provider could not be asked.",
        9 tip: Minor = "Of the amount, minor units.",
        10 tax: Minor = "Of the amount, minor units.",
        11 fee: Minor = "What the provider will keep, minor units.",
        12 latency_ms: Millis = "How long the provider took.",
        13 checkout: CheckoutId = "The passage through the checkout.",
        14 creator: CreatorId = "Whose audience bought.",
        15 token: TokenId = "The token redeemed with it.",
        16 lines: Vec<Line> = "What was sold.",
    }
    "A payment failed." 12 PaymentFailed "payment.failed" Money {
        1 payment: PaymentId = "This attempt to be paid.",
        2 order: OrderId = "What should have been paid.",
        3 amount: Minor = "Minor units.",
        4 currency: Currency = "ISO 4217 code.",;
        5 reason: Reason = "Why.",
        6 remark: Remark = "In words; redacted.",
        7 latency_ms: Millis = "How long the provider took.",
    }
    "Money went back to a buyer." 13 PaymentRefunded "payment.refunded" Money {
        1 refund: RefundId = "This refund.",
        2 payment: PaymentId = "What it refunds; may be unknown here.",
        3 amount: Minor = "Minor units, positive.",
        4 currency: Currency = "ISO 4217 code.",;
        5 reason: Reason = "Why.",
        6 remark: Remark = "In words; redacted.",
        7 lines: Vec<Line> = "What came back, positive.",
    }
    "A payment is disputed." 14 PaymentDisputed "payment.disputed" Money {
        1 dispute: DisputeId = "This dispute.",
        2 payment: PaymentId = "What is disputed.",
        3 amount: Minor = "Minor units.",
        4 currency: Currency = "ISO 4217 code.",
        5 state: DisputeState = "Where it stands.",;
    }
    "Stock arrived." 20 InventoryReceived "inventory.received" Stock {
        1 sku: Sku = "What.",
        2 qty: Count = "How many.",;
        3 to: StockPlace = "Where it went; the pool if absent.",
        4 reason: Remark = "In words; redacted.",
    }
    "Stock was set aside for a rig." 21 InventoryAllocated "inventory.allocated" Stock {
        1 sku: Sku = "What.",
        2 qty: Count = "How many.",;
        3 from: StockPlace = "From where; the pool if absent.",
        4 to: StockPlace = "For which rig; the reporting one if absent.",
        5 reason: Remark = "In words; redacted.",
    }
    "Stock changed its place." 22 InventoryMoved "inventory.moved" Stock {
        1 sku: Sku = "What.",
        2 qty: Count = "How many.",;
        3 from: StockPlace = "From where.",
        4 to: StockPlace = "To where.",
        5 reason: Remark = "In words; redacted.",
    }
    "Stock was found, lost, damaged or given away." 23 InventoryAdjusted "inventory.adjusted" Stock {
        1 sku: Sku = "What.",
        2 qty: CountSigned = "How many; negative when they are gone.",;
        3 from: StockPlace = "From where.",
        4 to: StockPlace = "To where.",
        5 reason: Remark = "In words; redacted.",
    }
    "Somebody counted a shelf." 24 InventoryCounted "inventory.counted" Stock {
        1 sku: Sku = "What.",
        2 qty: Count = "How many were there.",;
    }
    "An order moved towards its buyer." 25 OrderFulfilled "order.fulfilled" Stock {
        1 order: OrderId = "Which order.",
        2 step: FulfilmentStep = "How far.",;
        3 coop_member: MemberId = "Who did it.",
    }
    "A token was handed out." 30 TokenIssued "token.issued" Money {
        1 token: TokenId = "Which token.",;
        2 creator: CreatorId = "Whose.",
        3 order: OrderId = "The order that bought it; absent for promotions.",
        4 value: Minor = "What it is worth, minor units.",
        5 currency: Currency = "ISO 4217 code of the value.",
        6 expires: Moment = "When it ends.",
    }
    "A token was used." 31 TokenRedeemed "token.redeemed" Money {
        1 token: TokenId = "Which token.",;
        2 creator: CreatorId = "Whose.",
        3 order: OrderId = "What it paid for.",
        4 value: Minor = "What it was worth, minor units.",
        5 currency: Currency = "ISO 4217 code of the value.",
        6 expires: Moment = "When it would have ended.",
    }
    "A token was taken back." 32 TokenVoided "token.voided" Money {
        1 token: TokenId = "Which token.",;
        2 creator: CreatorId = "Whose.",
        3 order: OrderId = "The order it belonged to.",
        4 value: Minor = "What it was worth, minor units.",
        5 currency: Currency = "ISO 4217 code of the value.",
        6 expires: Moment = "When it would have ended.",
    }
    "A manual journal entry; never revenue." 33 BooksAdjusted "books.adjusted" Money {
        1 amount: MinorSigned = "Minor units, may be negative.",
        2 currency: Currency = "ISO 4217 code.",
        3 reason: Remark = "In words; redacted.",;
    }
    "Somebody wrote in a chat." 40 ChatMessage "chat.message" Ambient {
        1 stream: ChatStream = "Where.",
        2 viewer: Subject = "Who; leaves the rig only as a pseudonym.",
        3 text: ChatText = "What; scored on the rig, then dropped.",;
    }
    "How many watch." 41 AudienceSampled "audience.sampled" Ambient {
        1 stream: ChatStream = "Where.",
        2 viewers: Count = "How many.",;
    }
    "A viewer looked at a product." 42 ProductViewed "product.viewed" Journey {
        1 viewer: Subject = "Who; leaves the rig only as a pseudonym.",
        2 sku: Sku = "What.",;
        3 creator: CreatorId = "Through whom.",
    }
    "A viewer put a product in the cart." 43 CartAdded "cart.added" Journey {
        1 viewer: Subject = "Who; leaves the rig only as a pseudonym.",
        2 sku: Sku = "What.",;
        3 creator: CreatorId = "Through whom.",
    }
    "A flash drop opened." 44 DropOpened "drop.opened" Stock {
        1 drop: FlashDropId = "Which offer.",
        2 sku: Sku = "What.",;
        3 creator: CreatorId = "Whose.",
        4 qty: Count = "How many at most.",
        5 price: Minor = "Minor units each.",
    }
    "A flash drop closed." 45 DropClosed "drop.closed" Stock {
        1 drop: FlashDropId = "Which offer.",
        2 sku: Sku = "What.",;
        3 creator: CreatorId = "Whose.",
        4 qty: Count = "How many were left.",
        5 price: Minor = "Minor units each.",
    }
    "What the host measured about itself." 50 RigSampled "rig.sampled" Ambient {
        ;
        1 battery: Thousandths = "Charge, per cent.",
        2 on_battery: bool = "Whether mains is gone.",
        3 power_w: Thousandths = "Draw, watts.",
        4 disk_free: Bytes = "Free disk, bytes.",
        5 rtt_ms: Millis = "Round trip to the nearest peer.",
        6 temperature: Thousandths = "Degrees Celsius.",
    }
}

impl EventType {
    /// Finds a type by its CloudEvents `type`, `popwatch.` included.
    #[must_use]
    pub fn from_cloudevents(text: &str) -> Option<Self> {
        let name = text.strip_prefix("popwatch.")?;
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Finds a type by its journal number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.number() == number)
    }
}

impl Event {
    /// How important it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.client_type().map_or(Class::System, EventType::class)
    }

    /// The type's name without `popwatch.`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        if let Self::System(event) = self {
            event.name()
        } else {
            self.client_type().map_or("", EventType::name)
        }
    }

    /// The type's number in the journal.
    #[must_use]
    pub fn type_number(&self) -> u32 {
        if let Self::System(event) = self {
            event.number()
        } else {
            self.client_type().map_or(0, EventType::number)
        }
    }
}
