//! The cell: the fold of one rig's records for one popup and one minute, in its one canonical form.
//!
//! A [`Cell`] is its own wire message: tags ascend, rows ascend by their key's bytes, defaults are
//! omitted, no maps, integers only. So equal cells have equal bytes, and [`Cell::digest`] names them.
//! Money is minor units, histograms are microseconds, counts are items.
//!
//! [`join`] of two cells with one key is the greater by (version, digest): a total order, hence
//! idempotent, commutative and associative, whatever route a cell came by.
#![deny(clippy::float_arithmetic)]

mod decode;

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message;

/// Flag: the rig's clock was more than 2 s uncertain.
pub const FLAG_CLOCK_SUSPECT: u32 = 1;
/// Flag: records of this epoch are lost.
pub const FLAG_GAP: u32 = 2;
/// Flag: a sum left 64 bits; the amount is only in the books.
pub const FLAG_OVERFLOW: u32 = 4;

/// One rig, one popup, one epoch, one UTC minute.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Cell {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// The rig.
    #[prost(string, tag = "2")]
    pub rig: String,
    /// The life of its journal.
    #[prost(uint32, tag = "3")]
    pub epoch: u32,
    /// That life's id, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub epoch_id: Vec<u8>,
    /// Minutes since 1970, UTC, of the corrected time.
    #[prost(uint32, tag = "5")]
    pub minute: u32,
    /// The highest seq that changed this cell.
    #[prost(uint64, tag = "6")]
    pub version: u64,
    /// Policy version of the newest record folded.
    #[prost(uint32, tag = "7")]
    pub policy_version: u32,
    /// [`FLAG_CLOCK_SUSPECT`], [`FLAG_GAP`], [`FLAG_OVERFLOW`].
    #[prost(uint32, tag = "8")]
    pub flags: u32,
    /// Money by (currency, origin, method, mode).
    #[prost(message, repeated, tag = "10")]
    pub money: Vec<MoneyRow>,
    /// Money at risk by currency.
    #[prost(message, repeated, tag = "11")]
    pub risk: Vec<RiskRow>,
    /// Stock and sales by SKU.
    #[prost(message, repeated, tag = "12")]
    pub skus: Vec<SkuRow>,
    /// Sales by (creator, currency, evidence).
    #[prost(message, repeated, tag = "13")]
    pub creators: Vec<CreatorRow>,
    /// Checkouts.
    #[prost(message, optional, tag = "14")]
    pub checkout: Option<CheckoutCounts>,
    /// Durations by kind.
    #[prost(message, repeated, tag = "15")]
    pub hists: Vec<HistRow>,
    /// Tokens.
    #[prost(message, optional, tag = "16")]
    pub tokens: Option<TokenCounts>,
    /// What viewers did.
    #[prost(message, optional, tag = "17")]
    pub subjects: Option<Subjects>,
    /// Chat and audience by stream.
    #[prost(message, repeated, tag = "18")]
    pub streams: Vec<StreamRow>,
    /// Flash drops.
    #[prost(message, repeated, tag = "19")]
    pub drops: Vec<DropRow>,
    /// Orders on their way, by (member, step).
    #[prost(message, repeated, tag = "20")]
    pub fulfil: Vec<FulfilRow>,
    /// The host.
    #[prost(message, optional, tag = "21")]
    pub host: Option<HostRow>,
    /// What did not fit or did not match.
    #[prost(message, optional, tag = "22")]
    pub counts: Option<Counts>,
    /// Orders after they were paid.
    #[prost(message, optional, tag = "23")]
    pub orders: Option<OrderCounts>,
    /// What became of payments.
    #[prost(message, optional, tag = "24")]
    pub payments: Option<PaymentCounts>,
}

/// Sums of one currency in one cell.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MoneyRow {
    /// ISO 4217 code.
    #[prost(string, tag = "1")]
    pub currency: String,
    /// 0 reported by the till, 1 by the provider.
    #[prost(uint32, tag = "2")]
    pub origin: u32,
    /// Payment method.
    #[prost(string, tag = "3")]
    pub method: String,
    /// Taken while the provider could not be asked.
    #[prost(bool, tag = "4")]
    pub offline: bool,
    /// Captured.
    #[prost(sint64, tag = "5")]
    pub gross: i64,
    /// Refunded, positive.
    #[prost(sint64, tag = "6")]
    pub refund: i64,
    /// Tips.
    #[prost(sint64, tag = "7")]
    pub tip: i64,
    /// Tax.
    #[prost(sint64, tag = "8")]
    pub tax: i64,
    /// Provider fees.
    #[prost(sint64, tag = "9")]
    pub fee: i64,
    /// Authorised.
    #[prost(sint64, tag = "10")]
    pub authorized: i64,
    /// Captures.
    #[prost(uint64, tag = "11")]
    pub captures: u64,
    /// Refunds.
    #[prost(uint64, tag = "12")]
    pub refunds: u64,
    /// Orders first paid here.
    #[prost(uint64, tag = "13")]
    pub conversions: u64,
}

/// Money that failed for a technical reason, and what of it was captured later.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RiskRow {
    /// ISO 4217 code.
    #[prost(string, tag = "1")]
    pub currency: String,
    /// Amounts of orders at their first technical failure.
    #[prost(sint64, tag = "2")]
    pub failed: i64,
    /// The same amounts when captured later.
    #[prost(sint64, tag = "3")]
    pub recovered: i64,
}

/// Gross and refund in one currency.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CurrencySums {
    /// ISO 4217 code.
    #[prost(string, tag = "1")]
    pub currency: String,
    /// Captured.
    #[prost(sint64, tag = "2")]
    pub gross: i64,
    /// Refunded, positive.
    #[prost(sint64, tag = "3")]
    pub refund: i64,
}

/// One SKU in one cell. The empty SKU is the row `other`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SkuRow {
    /// The SKU, byte for byte.
    #[prost(string, tag = "1")]
    pub sku: String,
    /// Units sold.
    #[prost(sint64, tag = "2")]
    pub sold: i64,
    /// Units that came back with refunds.
    #[prost(sint64, tag = "3")]
    pub returned: i64,
    /// Units received.
    #[prost(sint64, tag = "4")]
    pub received: i64,
    /// Units adjusted, signed.
    #[prost(sint64, tag = "5")]
    pub adjusted: i64,
    /// Units moved into the selling stock.
    #[prost(sint64, tag = "6")]
    pub moved_in: i64,
    /// Units moved out of it.
    #[prost(sint64, tag = "7")]
    pub moved_out: i64,
    /// Units allocated to a rig.
    #[prost(sint64, tag = "8")]
    pub allocated: i64,
    /// Line amounts by currency.
    #[prost(message, repeated, tag = "9")]
    pub money: Vec<CurrencySums>,
    /// The newest count of the minute.
    #[prost(message, optional, tag = "10")]
    pub count: Option<CountRow>,
    /// Units that rigs may sell while nobody hears them, as this minute changed them.
    #[prost(message, repeated, tag = "11")]
    pub rights: Vec<RightRow>,
}

/// Change of the units that one rig may sell by itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RightRow {
    /// The rig.
    #[prost(string, tag = "1")]
    pub rig: String,
    /// Units given to it, less those taken from it.
    #[prost(sint64, tag = "2")]
    pub qty: i64,
}

/// A shelf count.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CountRow {
    /// Units counted.
    #[prost(sint64, tag = "1")]
    pub qty: i64,
    /// When, corrected, ms since 1970.
    #[prost(sint64, tag = "2")]
    pub ms: i64,
    /// Which record.
    #[prost(uint64, tag = "3")]
    pub seq: u64,
    /// Net units this rig sold later in the same minute.
    #[prost(sint64, tag = "4")]
    pub sold_after_in_minute: i64,
}

/// One creator in one cell. The empty creator is the row `other`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CreatorRow {
    /// The creator; `house` where nobody else sold it.
    #[prost(string, tag = "1")]
    pub creator: String,
    /// ISO 4217 code.
    #[prost(string, tag = "2")]
    pub currency: String,
    /// How it is known: 1 line, 2 token, 3 payment, 4 open drop, 5 none.
    #[prost(uint32, tag = "3")]
    pub evidence: u32,
    /// Captured.
    #[prost(sint64, tag = "4")]
    pub gross: i64,
    /// Refunded, positive.
    #[prost(sint64, tag = "5")]
    pub refund: i64,
    /// Orders with a share of this creator, counted in the cell of their first capture.
    #[prost(uint64, tag = "6")]
    pub orders: u64,
    /// Units sold minus returned.
    #[prost(sint64, tag = "7")]
    pub units: i64,
}

/// Checkouts of one cell.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CheckoutCounts {
    /// Started here.
    #[prost(uint64, tag = "1")]
    pub started: u64,
    /// Completed here.
    #[prost(uint64, tag = "2")]
    pub ok: u64,
    /// Abandoned here for a technical reason.
    #[prost(uint64, tag = "3")]
    pub fault: u64,
    /// Abandoned here by the buyer.
    #[prost(uint64, tag = "4")]
    pub left: u64,
    /// Completed here after a failed payment.
    #[prost(uint64, tag = "5")]
    pub recovered: u64,
    /// Closed here without a known start.
    #[prost(uint64, tag = "6")]
    pub unseen: u64,
    /// Closings by the minute of their start.
    #[prost(message, repeated, tag = "7")]
    pub by_start: Vec<StartRow>,
    /// Closings of starts beyond the rows.
    #[prost(message, optional, tag = "8")]
    pub older: Option<StartRow>,
}

/// Closings of checkouts that started in one minute.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct StartRow {
    /// The minute of the start, since 1970.
    #[prost(uint32, tag = "1")]
    pub minute: u32,
    /// Closed here, however.
    #[prost(uint64, tag = "2")]
    pub closed: u64,
    /// Completed within the limit.
    #[prost(uint64, tag = "3")]
    pub in_time: u64,
    /// Left by the buyer within the limit.
    #[prost(uint64, tag = "4")]
    pub left: u64,
    /// Ended by a fault.
    #[prost(uint64, tag = "5")]
    pub fault: u64,
}

/// Which duration a histogram holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum HistKind {
    /// Checkout, provider reachable.
    CheckoutOnline = 1,
    /// Checkout paid offline.
    CheckoutOffline = 2,
    /// Provider latency of a payment.
    Payment = 3,
    /// Paid to handed over.
    Fulfilment = 4,
}

/// A histogram of durations: base-2 exponential, scale 5 (see [`crate::sketch`]).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct HistRow {
    /// See [`HistKind`]. A plain number on the wire, so that the first kind is written too.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// Values.
    #[prost(uint64, tag = "2")]
    pub count: u64,
    /// Their sum, µs.
    #[prost(uint64, tag = "3")]
    pub sum_us: u64,
    /// The least, µs.
    #[prost(uint64, tag = "4")]
    pub min_us: u64,
    /// The greatest, µs.
    #[prost(uint64, tag = "5")]
    pub max_us: u64,
    /// Values of at most 2^-10 s.
    #[prost(uint64, tag = "6")]
    pub zero: u64,
    /// Values beyond 2^17 s (they are in the top bucket too).
    #[prost(uint64, tag = "7")]
    pub over: u64,
    /// Bucket indexes that have values, ascending.
    #[prost(sint32, repeated, tag = "8")]
    pub index: Vec<i32>,
    /// Values per such bucket.
    #[prost(uint64, repeated, tag = "9")]
    pub bucket: Vec<u64>,
}

/// Tokens of one cell.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TokenCounts {
    /// Issued.
    #[prost(uint64, tag = "1")]
    pub issued: u64,
    /// Redeemed for the first time in this epoch.
    #[prost(uint64, tag = "2")]
    pub redeemed: u64,
    /// Redeemed again.
    #[prost(uint64, tag = "3")]
    pub duplicate: u64,
    /// Redeemed after their end.
    #[prost(uint64, tag = "4")]
    pub expired: u64,
    /// Voided.
    #[prost(uint64, tag = "5")]
    pub voided: u64,
    /// Redeemed without a known issue.
    #[prost(uint64, tag = "6")]
    pub provisional: u64,
    /// The smallest token hashes with what happened to them, ascending.
    #[prost(message, repeated, tag = "7")]
    pub set: Vec<TokenTouch>,
    /// Hashes from here on are not in the set; 0 while it holds all.
    #[prost(fixed64, tag = "8")]
    pub cut: u64,
}

/// What happened to one token.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TokenTouch {
    /// First 8 bytes of the BLAKE3 of its id, big-endian.
    #[prost(fixed64, tag = "1")]
    pub hash: u64,
    /// 1 issued, 2 redeemed, 3 voided.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// When, corrected, ms into the cell's minute.
    #[prost(uint32, tag = "3")]
    pub offset_ms: u32,
    /// The minute in which an issued token ends, since 1970; 0 when it does not.
    #[prost(uint32, tag = "4")]
    pub expires: u32,
}

/// What viewers did in one minute.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Subjects {
    /// The viewers with the smallest hashes, ascending.
    #[prost(message, repeated, tag = "1")]
    pub set: Vec<Subject>,
    /// Hashes from here on are not in the set; 0 while it holds all.
    #[prost(fixed64, tag = "2")]
    pub cut: u64,
    /// Checkouts started by a known viewer.
    #[prost(uint64, tag = "3")]
    pub linked_started: u64,
    /// Orders first paid by a known viewer.
    #[prost(uint64, tag = "4")]
    pub linked_paid: u64,
}

/// What one viewer did.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Subject {
    /// First 8 bytes of the BLAKE3 of the viewer's pseudonym, big-endian.
    #[prost(fixed64, tag = "1")]
    pub hash: u64,
    /// When and what, ascending: see [`touch`].
    #[prost(uint32, repeated, tag = "2")]
    pub touches: Vec<u32>,
}

/// What a viewer did; the numbers are the cell's and the order is the funnel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TouchKind {
    /// Wrote in a chat.
    Chat = 1,
    /// Looked at a product.
    Viewed = 2,
    /// Put one in the cart.
    Cart = 3,
    /// Began to check out.
    Started = 4,
    /// Paid.
    Paid = 5,
}

impl TouchKind {
    /// All kinds, in the funnel's order.
    pub const ALL: [Self; 5] = [
        Self::Chat,
        Self::Viewed,
        Self::Cart,
        Self::Started,
        Self::Paid,
    ];
}

/// One touch as a number: eight times the milliseconds into its minute, and the kind. So touches of
/// one millisecond stand in the funnel's order.
#[must_use]
pub const fn touch(offset_ms: u32, kind: TouchKind) -> u32 {
    (offset_ms << 3) | kind as u32
}

/// Reads a touch: milliseconds into its minute, and the kind; `None` when it is none.
#[must_use]
pub fn read_touch(touch: u32) -> Option<(u32, TouchKind)> {
    let (offset_ms, kind) = (touch >> 3, touch & 7);
    let kind = TouchKind::ALL
        .into_iter()
        .find(|other| *other as u32 == kind)?;
    (offset_ms < 60_000).then_some((offset_ms, kind))
}

/// Orders of one cell on their way from payment to buyer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OrderCounts {
    /// Handed over or shipped for the first time.
    #[prost(uint64, tag = "1")]
    pub out: u64,
    /// Wholly refunded before they were handed over or shipped.
    #[prost(uint64, tag = "2")]
    pub gone: u64,
    /// Refunded for the first time, in part or wholly; a refund of an unknown sale counts.
    #[prost(uint64, tag = "3")]
    pub refunded: u64,
    /// Orders out or gone by the minute in which they were first paid.
    #[prost(message, repeated, tag = "4")]
    pub by_paid: Vec<PaidRow>,
    /// The same for minutes beyond the rows.
    #[prost(uint64, tag = "5")]
    pub older: u64,
}

/// Orders out or gone that were first paid in one minute.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PaidRow {
    /// The minute of the payment, since 1970.
    #[prost(uint32, tag = "1")]
    pub minute: u32,
    /// Orders.
    #[prost(uint64, tag = "2")]
    pub closed: u64,
}

/// One stream of one cell. The empty stream is the row `other`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StreamRow {
    /// The stream.
    #[prost(string, tag = "1")]
    pub stream: String,
    /// Chat messages.
    #[prost(uint64, tag = "2")]
    pub messages: u64,
    /// Of them negative: scores of -500 and less.
    #[prost(uint64, tag = "3")]
    pub negative: u64,
    /// Of them positive: scores of 500 and more.
    #[prost(uint64, tag = "4")]
    pub positive: u64,
    /// Sum of scores × 10⁴.
    #[prost(sint64, tag = "5")]
    pub score: i64,
    /// Messages with a word of the lexicon.
    #[prost(uint64, tag = "6")]
    pub covered: u64,
    /// Audience samples.
    #[prost(uint64, tag = "7")]
    pub samples: u64,
    /// Sum of viewers over the samples.
    #[prost(uint64, tag = "8")]
    pub viewers_sum: u64,
    /// Most viewers.
    #[prost(uint64, tag = "9")]
    pub viewers_max: u64,
    /// Viewers of the last sample.
    #[prost(uint64, tag = "10")]
    pub viewers_last: u64,
}

/// One flash drop of one cell.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct DropRow {
    /// The drop.
    #[prost(string, tag = "1")]
    pub drop: String,
    /// Opened at, corrected, ms since 1970; 0 when not here.
    #[prost(sint64, tag = "2")]
    pub opened_ms: i64,
    /// Closed at, corrected, ms since 1970; 0 when not here.
    #[prost(sint64, tag = "3")]
    pub closed_ms: i64,
    /// Whose.
    #[prost(string, tag = "4")]
    pub creator: String,
    /// What.
    #[prost(string, tag = "5")]
    pub sku: String,
    /// How many at most, 0 when not said.
    #[prost(sint64, tag = "6")]
    pub qty: i64,
    /// Price each, minor units, 0 when not said.
    #[prost(sint64, tag = "7")]
    pub price: i64,
}

/// Orders that reached one step.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FulfilRow {
    /// The co-op member, empty when not said.
    #[prost(string, tag = "1")]
    pub member: String,
    /// The step's text.
    #[prost(string, tag = "2")]
    pub step: String,
    /// Orders.
    #[prost(uint64, tag = "3")]
    pub orders: u64,
}

/// What the host measured in one minute.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct HostRow {
    /// Probes that passed.
    #[prost(uint64, tag = "1")]
    pub probe_ok: u64,
    /// Probes that failed.
    #[prost(uint64, tag = "2")]
    pub probe_fault: u64,
    /// Least battery charge, thousandths of a per cent.
    #[prost(sint64, optional, tag = "3")]
    pub battery_min: Option<i64>,
    /// Least free disk, bytes.
    #[prost(sint64, optional, tag = "4")]
    pub disk_min: Option<i64>,
}

/// Payments by their first final state. One taken offline has none yet: nobody was asked.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct PaymentCounts {
    /// Captured.
    #[prost(uint64, tag = "1")]
    pub captured: u64,
    /// Failed for another reason than a technical one: declined, cancelled.
    #[prost(uint64, tag = "2")]
    pub refused: u64,
    /// Failed for a technical reason.
    #[prost(uint64, tag = "3")]
    pub fault: u64,
}

/// What did not fit or did not match.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Counts {
    /// Events lost or shed, as declared.
    #[prost(uint64, tag = "1")]
    pub losses: u64,
    /// Completions, refunds, redemptions of something unknown here.
    #[prost(uint64, tag = "2")]
    pub unmatched: u64,
    /// Repeats of a payment or redemption under another event id.
    #[prost(uint64, tag = "3")]
    pub duplicates: u64,
    /// Refunds that count here and name a payment this epoch has not seen.
    #[prost(uint64, tag = "5")]
    pub refunds_unknown: u64,
    /// Amounts in currencies beyond the bound: only in the books.
    #[prost(uint64, tag = "6")]
    pub other_currencies: u64,
    /// Facts in the row `other` of payment methods.
    #[prost(uint64, tag = "7")]
    pub other_methods: u64,
    /// The same of SKUs.
    #[prost(uint64, tag = "8")]
    pub other_skus: u64,
    /// The same of creators.
    #[prost(uint64, tag = "9")]
    pub other_creators: u64,
    /// The same of co-op members.
    #[prost(uint64, tag = "10")]
    pub other_members: u64,
    /// The same of streams.
    #[prost(uint64, tag = "11")]
    pub other_streams: u64,
    /// Words about flash drops beyond the bound: such a drop has no lift.
    #[prost(uint64, tag = "12")]
    pub other_drops: u64,
}

impl Counts {
    /// What went to a row `other` or to no row, all dimensions.
    #[must_use]
    pub fn other(&self) -> u64 {
        [
            self.other_currencies,
            self.other_methods,
            self.other_skus,
            self.other_creators,
            self.other_members,
            self.other_streams,
            self.other_drops,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// First 16 bytes of the BLAKE3 of a cell's bytes.
pub type Digest = [u8; 16];

/// A cell's key: what two cells must share to be joined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The popup.
    pub popup: String,
    /// The rig.
    pub rig: String,
    /// The life of its journal.
    pub epoch: u32,
    /// The minute since 1970.
    pub minute: u32,
}

/// Why bytes are not a cell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellFault {
    /// Not the protobuf message of a cell, or damaged.
    #[error("the bytes are not a cell")]
    Bytes,
    /// Not the canonical form: unknown fields, unsorted rows, explicit defaults.
    #[error("the cell is not in its canonical form")]
    NotCanonical,
    /// Longer than the bound.
    #[error("the cell is larger than {0} bytes")]
    Large(usize),
    /// An identity or number outside its rule.
    #[error("the cell's {0} is out of range")]
    Range(&'static str),
}

impl Cell {
    /// The key.
    #[must_use]
    pub fn key(&self) -> CellKey {
        CellKey {
            popup: self.popup.clone(),
            rig: self.rig.clone(),
            epoch: self.epoch,
            minute: self.minute,
        }
    }

    /// The canonical bytes. Rows must already ascend by key; the fold sees to it.
    #[must_use]
    pub fn encode_canonical(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// The digest of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest_of(&self.encode_canonical())
    }
}

/// What a cell is compared by: its version, then its digest.
pub type Edition = (u64, Digest);

/// Which of two cells of one key stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// They are the same.
    Same,
    /// The one held stays.
    Keep,
    /// The one that came replaces it.
    Take,
}

/// Joins two cells of one key by their editions: the greater one stays. A total order, so joins are
/// idempotent, commutative and associative.
#[must_use]
pub fn join(held: &Edition, came: &Edition) -> Join {
    match came.cmp(held) {
        core::cmp::Ordering::Equal => Join::Same,
        core::cmp::Ordering::Less => Join::Keep,
        core::cmp::Ordering::Greater => Join::Take,
    }
}

/// Whether two editions of one key contradict each other: one version with two contents (PW3005).
#[must_use]
pub fn forked(held: &Edition, came: &Edition) -> bool {
    held.0 == came.0 && held.1 != came.1
}

/// The digest of canonical bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> Digest {
    let mut out = [0; 16];
    blake3::Hasher::new()
        .update(bytes)
        .finalize_xof()
        .fill(&mut out);
    out
}
