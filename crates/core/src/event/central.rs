//! Facts that arise at the centre: what providers, settlement files, banks and people at a desk say.
//!
//! They enter through a journal like every other fact, mostly that of rig `central`; clients cannot
//! send them. Money is minor units of ISO 4217, exactly converted at the border; times are
//! milliseconds since 1970, 0 where the source said nothing. Field numbers are never reused.

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message;

/// `provider.object`: a payment, refund, dispute or payout as a provider tells it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ProviderObject {
    /// `stripe`, `square`, `shopify` or `adyen`.
    #[prost(string, tag = "1")]
    pub provider: String,
    /// The account's name in the configuration.
    #[prost(string, tag = "2")]
    pub account: String,
    /// `payment`, `refund`, `dispute` or `payout`; a name of [`crate::provider::ObjectKind`].
    #[prost(string, tag = "3")]
    pub kind: String,
    /// The provider's id; for a step of a cumulative figure the charge, `:` and the figure.
    #[prost(string, tag = "4")]
    pub object: String,
    /// What it belongs to: the payment of a refund or dispute; empty for none.
    #[prost(string, tag = "5")]
    pub parent: String,
    /// Other ids of the same object.
    #[prost(string, repeated, tag = "6")]
    pub aliases: Vec<String>,
    /// References that a till stamped into it.
    #[prost(string, repeated, tag = "7")]
    pub stamps: Vec<String>,
    /// The order it names.
    #[prost(string, tag = "8")]
    pub order: String,
    /// ISO 4217 code.
    #[prost(string, tag = "9")]
    pub currency: String,
    /// Of the object in this state, minor units, not negative.
    #[prost(sint64, tag = "10")]
    pub amount: i64,
    /// Authorised, minor units; 0 when not said.
    #[prost(sint64, tag = "11")]
    pub authorised: i64,
    /// Of the amount, minor units.
    #[prost(sint64, tag = "12")]
    pub tip: i64,
    /// What the provider keeps, minor units, when it says so.
    #[prost(sint64, optional, tag = "13")]
    pub fee: Option<i64>,
    /// A name of [`crate::provider::ObjectState`].
    #[prost(string, tag = "14")]
    pub state: String,
    /// The provider's code of a failure.
    #[prost(string, tag = "15")]
    pub failure: String,
    /// When the provider made the object.
    #[prost(sint64, tag = "16")]
    pub created_ms: i64,
    /// The provider's own order of its snapshots; greater is newer.
    #[prost(sint64, tag = "17")]
    pub version: i64,
    /// When what this message tells happened.
    #[prost(sint64, tag = "18")]
    pub occurred_ms: i64,
    /// The payout it went into.
    #[prost(string, tag = "19")]
    pub payout: String,
    /// Taken while the provider could not be asked.
    #[prost(bool, tag = "20")]
    pub offline: bool,
    /// When the device stored it.
    #[prost(sint64, tag = "21")]
    pub stored_ms: i64,
    /// The key under which this delivery is known.
    #[prost(string, tag = "22")]
    pub delivery: String,
    /// The provider's name of the message.
    #[prost(string, tag = "23")]
    pub message: String,
    /// It came to a rig whose clock could not say whether it was fresh.
    #[prost(bool, tag = "24")]
    pub unwindowed: bool,
    /// The amount is the running sum of what was refunded of `parent`.
    #[prost(bool, tag = "25")]
    pub cumulative: bool,
    /// Of a payout: the text by which a bank knows it.
    #[prost(string, tag = "26")]
    pub trace: String,
    /// Known from a file alone; no message told of it.
    #[prost(bool, tag = "27")]
    pub from_file: bool,
}

/// `settlement.file`: a file that was read, without its rows.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SettlementFile {
    /// The provider, or `bank`.
    #[prost(string, tag = "1")]
    pub provider: String,
    /// The account's name in the configuration.
    #[prost(string, tag = "2")]
    pub account: String,
    /// Which layout it had.
    #[prost(string, tag = "3")]
    pub layout: String,
    /// BLAKE3 of its bytes, 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub blake3: Vec<u8>,
    /// Rows read, headers not counted.
    #[prost(uint64, tag = "5")]
    pub rows: u64,
    /// Rows refused.
    #[prost(uint64, tag = "6")]
    pub refused: u64,
    /// Columns that were not kept.
    #[prost(uint32, tag = "7")]
    pub columns_dropped: u32,
    /// Balances the file states.
    #[prost(message, repeated, tag = "8")]
    pub balances: Vec<StatedBalance>,
}

/// What a file says an account held.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatedBalance {
    /// ISO 4217 code.
    #[prost(string, tag = "1")]
    pub currency: String,
    /// Before the file's rows, minor units.
    #[prost(sint64, tag = "2")]
    pub opening: i64,
    /// After them, minor units.
    #[prost(sint64, tag = "3")]
    pub closing: i64,
    /// What the file's rows come to, payouts with them, minor units, positive towards us.
    #[prost(sint64, tag = "4")]
    pub activity: i64,
}

/// `settlement.line`: one movement of money at a provider.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SettlementLine {
    /// The provider.
    #[prost(string, tag = "1")]
    pub provider: String,
    /// The account's name in the configuration.
    #[prost(string, tag = "2")]
    pub account: String,
    /// The provider's id of the row, or one made of its fields and which equal row it is.
    #[prost(string, tag = "3")]
    pub line: String,
    /// A name of [`crate::settlement::LineKind`].
    #[prost(string, tag = "4")]
    pub kind: String,
    /// The provider's own name of the kind.
    #[prost(string, tag = "5")]
    pub raw_kind: String,
    /// What moved: the payment, refund or dispute.
    #[prost(string, tag = "6")]
    pub object: String,
    /// What that belongs to: the payment of a refund or dispute.
    #[prost(string, tag = "7")]
    pub parent: String,
    /// Which movement of the object, where the provider names it.
    #[prost(string, tag = "8")]
    pub movement: String,
    /// References that a till stamped into the object.
    #[prost(string, repeated, tag = "9")]
    pub stamps: Vec<String>,
    /// The order it names.
    #[prost(string, tag = "10")]
    pub order: String,
    /// ISO 4217 code of gross, fees and net.
    #[prost(string, tag = "11")]
    pub currency: String,
    /// Minor units, positive towards us.
    #[prost(sint64, tag = "12")]
    pub gross: i64,
    /// The provider's fee, minor units, positive when it is taken.
    #[prost(sint64, tag = "13")]
    pub fee: i64,
    /// Tax on the fee, minor units.
    #[prost(sint64, tag = "14")]
    pub fee_tax: i64,
    /// Fees of the card scheme, minor units.
    #[prost(sint64, tag = "15")]
    pub scheme_fee: i64,
    /// What is left, minor units; gross minus the three fees but for a fault of the file.
    #[prost(sint64, tag = "16")]
    pub net: i64,
    /// The currency the buyer paid in, when it differs.
    #[prost(string, tag = "17")]
    pub buyer_currency: String,
    /// What the buyer paid, minor units of that currency.
    #[prost(sint64, tag = "18")]
    pub buyer_amount: i64,
    /// The payout (or batch) it belongs to; empty for none yet.
    #[prost(string, tag = "19")]
    pub payout: String,
    /// When it happened.
    #[prost(sint64, tag = "20")]
    pub occurred_ms: i64,
    /// When the money can be paid out.
    #[prost(sint64, tag = "21")]
    pub available_ms: i64,
    /// BLAKE3 of the file, 32 bytes.
    #[prost(bytes = "vec", tag = "22")]
    pub file: Vec<u8>,
    /// Row in the file, from 1, the header not counted.
    #[prost(uint64, tag = "23")]
    pub row: u64,
    /// Rounding between currencies the row itself shows, minor units of `currency`.
    #[prost(sint64, tag = "24")]
    pub rounding: i64,
}

/// `bank.line`: one movement on a bank account.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BankLine {
    /// The bank account's name in the configuration.
    #[prost(string, tag = "1")]
    pub account: String,
    /// The bank's id, or one made of the fields and which equal row it is.
    #[prost(string, tag = "2")]
    pub line: String,
    /// Its date, at midnight UTC.
    #[prost(sint64, tag = "3")]
    pub date_ms: i64,
    /// ISO 4217 code.
    #[prost(string, tag = "4")]
    pub currency: String,
    /// Minor units, positive towards us.
    #[prost(sint64, tag = "5")]
    pub amount: i64,
    /// What the bank wrote beside it, as far as it is a reference.
    #[prost(string, tag = "6")]
    pub reference: String,
    /// BLAKE3 of the file, 32 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub file: Vec<u8>,
    /// Row in the file, from 1.
    #[prost(uint64, tag = "8")]
    pub row: u64,
}

/// `match.accepted`: a person says that a claim and an object are one payment.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MatchAccepted {
    /// The popup of the claim.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// The claim's payment or refund.
    #[prost(string, tag = "2")]
    pub claim: String,
    /// The provider.
    #[prost(string, tag = "3")]
    pub provider: String,
    /// The account's name in the configuration.
    #[prost(string, tag = "4")]
    pub account: String,
    /// The provider's id of the object.
    #[prost(string, tag = "5")]
    pub object: String,
    /// Who.
    #[prost(string, tag = "6")]
    pub who: String,
    /// Why.
    #[prost(string, tag = "7")]
    pub why: String,
}

/// `break.accepted`: a person takes a break as it is; its suspense moves to an account.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BreakAccepted {
    /// The book the break lies in.
    #[prost(string, tag = "1")]
    pub book: String,
    /// The break's id.
    #[prost(string, tag = "2")]
    pub id: String,
    /// The account, as the chart writes it.
    #[prost(string, tag = "3")]
    pub account: String,
    /// Who.
    #[prost(string, tag = "4")]
    pub who: String,
    /// Why.
    #[prost(string, tag = "5")]
    pub why: String,
    /// The suspense that was accepted, minor units: another amount later is not accepted.
    #[prost(sint64, tag = "6")]
    pub amount: i64,
    /// Its currency; empty for none.
    #[prost(string, tag = "7")]
    pub currency: String,
}

/// `share.released`: held shares of a creator become available before their time.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ShareReleased {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// Whose.
    #[prost(string, tag = "2")]
    pub creator: String,
    /// ISO 4217 code.
    #[prost(string, tag = "3")]
    pub currency: String,
    /// Minor units.
    #[prost(sint64, tag = "4")]
    pub amount: i64,
    /// Who.
    #[prost(string, tag = "5")]
    pub who: String,
    /// Why.
    #[prost(string, tag = "6")]
    pub why: String,
}

/// `creator.paid`: a creator got money.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CreatorPaid {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// Who got it.
    #[prost(string, tag = "2")]
    pub creator: String,
    /// ISO 4217 code.
    #[prost(string, tag = "3")]
    pub currency: String,
    /// Minor units.
    #[prost(sint64, tag = "4")]
    pub amount: i64,
    /// When.
    #[prost(sint64, tag = "5")]
    pub paid_ms: i64,
    /// The payer's reference.
    #[prost(string, tag = "6")]
    pub reference: String,
}

/// `close.signed`: books were closed; the certificate itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CloseSigned {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// 1 for the close, 2 and on for corrections.
    #[prost(uint32, tag = "2")]
    pub n: u32,
    /// `edge` or `settled`.
    #[prost(string, tag = "3")]
    pub scope: String,
    /// The file: `{"note": …, "close": …}`.
    #[prost(bytes = "vec", tag = "4")]
    pub certificate: Vec<u8>,
}

/// `cash.counted`: a till's drawer was counted.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CashCounted {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// Whose drawer.
    #[prost(string, tag = "2")]
    pub rig: String,
    /// ISO 4217 code.
    #[prost(string, tag = "3")]
    pub currency: String,
    /// Minor units.
    #[prost(sint64, tag = "4")]
    pub amount: i64,
    /// When.
    #[prost(sint64, tag = "5")]
    pub counted_ms: i64,
    /// BLAKE3 of the count sheet, 32 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub file: Vec<u8>,
    /// Row in the sheet, from 1.
    #[prost(uint64, tag = "7")]
    pub row: u64,
}

/// `provider.refused`: messages whose signature was not good came to an account. The first of an
/// hour is told; metrics count the others.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ProviderRefused {
    /// The provider.
    #[prost(string, tag = "1")]
    pub provider: String,
    /// The account's name in the configuration.
    #[prost(string, tag = "2")]
    pub account: String,
    /// `no_signature`, `bad_signature`, `stale` or `future`.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// Begin of the hour, ms since 1970.
    #[prost(sint64, tag = "4")]
    pub hour_ms: i64,
}
