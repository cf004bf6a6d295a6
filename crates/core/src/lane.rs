//! The two lanes from a rig to its peers: the messages, and the machines that speak them.
//!
//! - **Records lane** (rig → ledger): each record once, in order, acknowledged by position.
//! - **Cells lane** (rig → region): newest version wins; may skip, repeat, arrive by any route.
//!
//! Both are read straight out of the journal: the outbox is the journal plus the acknowledged
//! position. A message of one lane never decodes as the other: they have different first fields and
//! routes. All ids of 16 bytes and hashes travel as raw bytes; money as minor units beside ISO 4217
//! codes.

pub mod cells_up;
pub mod records_up;
pub mod relay;
pub mod retry;

use alloc::string::String;
use alloc::vec::Vec;
use prost::{Message, Oneof};

use crate::event::system::TotalsRow;
use crate::id::Seq;

/// Version of both lanes' messages, sent in `Popwatch-Protocol` and in each batch.
pub const PROTOCOL: u32 = 1;

/// The name under which the ledger itself speaks and writes. Its beacons tell how far the books are.
pub const CENTRAL: &str = "central";

/// One stretch of one epoch for one cursor: every seq in it is a frame or part of a skip.
#[derive(Clone, PartialEq, Message)]
pub struct RecordBatch {
    /// [`PROTOCOL`].
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// Whose records.
    #[prost(string, tag = "2")]
    pub rig: String,
    /// Which journal of that rig, 16 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub journal_id: Vec<u8>,
    /// Which epoch; 0 in a hello.
    #[prost(uint32, tag = "4")]
    pub epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub epoch_id: Vec<u8>,
    /// 1 trunk, 2 bulk (see [`crate::event::Cursor`]).
    #[prost(uint32, tag = "6")]
    pub cursor: u32,
    /// Seq of the first item.
    #[prost(uint64, tag = "7")]
    pub first_seq: u64,
    /// The stretch; empty in a hello, which only asks where the ledger stands.
    #[prost(message, repeated, tag = "8")]
    pub items: Vec<Item>,
    /// The cursor's chain before the first item, 32 bytes; empty between a gap and the next seal.
    #[prost(bytes = "vec", tag = "9")]
    pub chain_before: Vec<u8>,
    /// The cursor's chain after the last item, likewise.
    #[prost(bytes = "vec", tag = "10")]
    pub chain_after: Vec<u8>,
    /// What is known at the rig beyond what is sent.
    #[prost(message, repeated, tag = "11")]
    pub beacons: Vec<Beacon>,
    /// Steady clock when it was sent, ns.
    #[prost(uint64, tag = "12")]
    pub sent_mono_ns: u64,
    /// Boot of that clock, 16 bytes.
    #[prost(bytes = "vec", tag = "13")]
    pub boot_id: Vec<u8>,
    /// The ledger refused this one item three times: it keeps bytes and position now, whatever they
    /// are, so that the records behind it get through.
    #[prost(bool, tag = "15")]
    pub quarantined: bool,
}

/// Bytes of a frame's header, before its payload.
pub const FRAME_HEADER_BYTES: usize = 32;

/// What the journal reads for one batch: a contiguous stretch of one epoch for one cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// Seq of the first item.
    pub first_seq: Seq,
    /// Seq of the last item; before `first_seq` when nothing is there.
    pub last_seq: Seq,
    /// The items.
    pub items: Vec<Item>,
    /// The cursor's chain before the first item; `None` between a gap and the next seal.
    pub chain_before: Option<[u8; 32]>,
    /// The cursor's chain after the last item, likewise.
    pub chain_after: Option<[u8; 32]>,
}

impl Stretch {
    /// Nothing could be read from `from` on.
    #[must_use]
    pub fn nothing_at(from: Seq) -> Self {
        Self {
            first_seq: from,
            last_seq: Seq::NONE,
            items: Vec::new(),
            chain_before: None,
            chain_after: None,
        }
    }
}

/// Why an exchange with a peer failed, as far as a lane cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerFault {
    /// No connection, or no answer in time.
    Unreachable,
    /// The peer asks to wait this long, ms (429, 503 with `Retry-After`).
    Busy(u64),
    /// The batch is too large for it (413).
    TooLarge,
    /// It does not accept this rig (401, 403).
    NotAdmitted,
    /// Another journal uses this rig's name and epoch (409); the next epoch is at least this.
    Forked(u32),
    /// It refused what was sent: any other 4xx, or 5xx that does not ask to wait.
    Refused,
    /// Its answer makes no sense and is ignored (PW0305).
    Nonsense,
}

/// One or more seqs of a batch.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    /// What stands there.
    #[prost(oneof = "ItemBody", tags = "1, 2")]
    pub body: Option<ItemBody>,
}

impl Item {
    /// How many seqs it speaks of.
    #[must_use]
    pub fn seqs(&self) -> u64 {
        match &self.body {
            Some(ItemBody::Skip(skip)) => skip.count,
            Some(ItemBody::Frame(_)) | None => 1,
        }
    }
}

/// What stands at one or more seqs.
#[derive(Clone, PartialEq, Oneof)]
pub enum ItemBody {
    /// The exact journaled bytes of one record with its frame header.
    #[prost(bytes = "vec", tag = "1")]
    Frame(Vec<u8>),
    /// Seqs with nothing to send for this cursor.
    #[prost(message, tag = "2")]
    Skip(Skip),
}

/// Seqs with nothing to send.
#[derive(Clone, PartialEq, Message)]
pub struct Skip {
    /// How many.
    #[prost(uint64, tag = "1")]
    pub count: u64,
    /// See [`SkipWhy`].
    #[prost(enumeration = "SkipWhy", tag = "2")]
    pub why: i32,
    /// For a gap: what the lost records were worth, where that is known.
    #[prost(message, repeated, tag = "3")]
    pub value: Vec<TotalsRow>,
}

/// Why seqs of a batch carry no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum SkipWhy {
    /// Not said: a fault of the sender.
    Unsaid = 0,
    /// They belong to the other cursor.
    OtherCursor = 1,
    /// They are lost; a `rig.gap` names them.
    Gap = 2,
    /// Policy withholds them.
    Withheld = 3,
    /// They stand above the end that the next epoch stated.
    Void = 4,
}

/// A closed range of seqs.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Range {
    /// The epoch.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// First seq.
    #[prost(uint64, tag = "2")]
    pub first: u64,
    /// Last seq.
    #[prost(uint64, tag = "3")]
    pub last: u64,
    /// For which cursor; 0 for both.
    #[prost(uint32, tag = "4")]
    pub cursor: u32,
}

/// How far the ledger holds one epoch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EpochHeld {
    /// The epoch.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_id: Vec<u8>,
    /// Trunk accounted for up to here.
    #[prost(uint64, tag = "3")]
    pub trunk_seq: u64,
    /// Bulk accounted for up to here.
    #[prost(uint64, tag = "4")]
    pub bulk_seq: u64,
}

/// A record that was not plainly stored.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NotOk {
    /// Its seq in the batch's epoch.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// `duplicate`, `conflict`, `quarantined`, `other_bytes`, or `rewind` at a `rig.started`.
    #[prost(string, tag = "2")]
    pub verdict: String,
    /// `PWxxxx`, empty for a duplicate.
    #[prost(string, tag = "3")]
    pub code: String,
    /// In words.
    #[prost(string, tag = "4")]
    pub detail: String,
}

/// The ledger's answer, sent after its commit.
#[derive(Clone, PartialEq, Message)]
pub struct RecordAck {
    /// Epoch the batch was of.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// Trunk of it accounted for up to here.
    #[prost(uint64, tag = "2")]
    pub trunk_seq: u64,
    /// Bulk of it accounted for up to here.
    #[prost(uint64, tag = "3")]
    pub bulk_seq: u64,
    /// Seqs the ledger found missing.
    #[prost(message, repeated, tag = "4")]
    pub missing: Vec<Range>,
    /// Seqs it asks for again.
    #[prost(message, repeated, tag = "5")]
    pub want: Vec<Range>,
    /// Records not plainly stored.
    #[prost(message, repeated, tag = "6")]
    pub not_ok: Vec<NotOk>,
    /// Items it would like per batch, 0 for no wish.
    #[prost(uint32, tag = "7")]
    pub max_items: u32,
    /// Raw bytes it would like per batch, 0 for no wish.
    #[prost(uint32, tag = "8")]
    pub max_bytes: u32,
    /// Wait this long before the next batch, ms.
    #[prost(uint32, tag = "9")]
    pub delay_ms: u32,
    /// All epochs of the rig it holds.
    #[prost(message, repeated, tag = "10")]
    pub epochs: Vec<EpochHeld>,
    /// `sent_mono_ns` of the batch.
    #[prost(uint64, tag = "11")]
    pub echo_mono_ns: u64,
    /// Ledger's wall clock when the batch came, µs since 1970.
    #[prost(sint64, tag = "12")]
    pub recv_wall_us: i64,
    /// Ledger's wall clock when this was sent, µs since 1970.
    #[prost(sint64, tag = "13")]
    pub send_wall_us: i64,
    /// Uncertainty of that clock, ms.
    #[prost(uint32, tag = "14")]
    pub wall_u_ms: u32,
    /// The popups the rig took part in that are closed, the newest first.
    #[prost(message, repeated, tag = "15")]
    pub popups: Vec<PopupWord>,
    /// Highest seq of the batch's epoch up to which every money record is reconciled; 0 until one is.
    #[prost(uint64, tag = "16")]
    pub reconciled_seq: u64,
    /// On a fork (HTTP 409): the rig's next epoch must be at least this.
    #[prost(uint32, tag = "18")]
    pub next_epoch: u32,
}

/// What the ledger says of a popup.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PopupWord {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// Whether it is closed: what is made from now on is late, kept and shipped, not folded.
    #[prost(bool, tag = "2")]
    pub closed: bool,
    /// Version of the policy that should run; 0 for no wish.
    #[prost(uint32, tag = "3")]
    pub policy_version: u32,
    /// Digest of that policy, 32 bytes; empty for no wish.
    #[prost(bytes = "vec", tag = "4")]
    pub policy_digest: Vec<u8>,
}

/// What a rig knows about itself and a popup: heads and unsent money are seen before the facts
/// arrive.
#[derive(Clone, PartialEq, Message)]
pub struct Beacon {
    /// The popup; empty for the rig as a whole.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// The rig.
    #[prost(string, tag = "2")]
    pub rig: String,
    /// Its current epoch.
    #[prost(uint32, tag = "3")]
    pub epoch: u32,
    /// Rises by one per beacon within an epoch; the greater (epoch, number) wins.
    #[prost(uint64, tag = "4")]
    pub number: u64,
    /// Head of the journal.
    #[prost(uint64, tag = "5")]
    pub durable_seq: u64,
    /// Trunk replicated up to here.
    #[prost(uint64, tag = "6")]
    pub trunk_seq: u64,
    /// Bulk replicated up to here.
    #[prost(uint64, tag = "7")]
    pub bulk_seq: u64,
    /// Durable records of all epochs that the ledger does not hold yet.
    #[prost(uint64, tag = "8")]
    pub unsent_records: u64,
    /// Captured minus refunded among them, largest currencies first, at most 6.
    #[prost(message, repeated, tag = "9")]
    pub unsent_money: Vec<MinorIn>,
    /// The rig's states, as named on its page.
    #[prost(string, repeated, tag = "10")]
    pub states: Vec<String>,
    /// Uncertainty of its clock, ms; 0 while nothing is known of it.
    #[prost(uint32, tag = "11")]
    pub clock_u_ms: u32,
    /// Its corrected wall clock, ms since 1970.
    #[prost(sint64, tag = "12")]
    pub wall_ms: i64,
    /// Battery, per cent, absent where there is none.
    #[prost(uint32, optional, tag = "13")]
    pub battery: Option<u32>,
    /// Minutes of disk left at the present rate, absent when not shrinking.
    #[prost(uint32, optional, tag = "14")]
    pub disk_minutes: Option<u32>,
    /// Events refused or shed in this epoch.
    #[prost(uint64, tag = "15")]
    pub losses: u64,
    /// Sales (captures) among the unsent.
    #[prost(uint64, tag = "17")]
    pub unsent_sales: u64,
    /// Lost records named by gaps in all epochs.
    #[prost(uint64, tag = "18")]
    pub gap_records: u64,
    /// Id of the current epoch, 16 bytes.
    #[prost(bytes = "vec", tag = "19")]
    pub epoch_id: Vec<u8>,
    /// Of [`CENTRAL`] alone: what the books hold of the popup and nobody confirmed yet, captured minus
    /// refunded, ascending by currency, at most 64.
    #[prost(message, repeated, tag = "20")]
    pub waiting_money: Vec<MinorIn>,
}

/// An amount on the wire.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MinorIn {
    /// ISO 4217 code.
    #[prost(string, tag = "1")]
    pub currency: String,
    /// Minor units.
    #[prost(sint64, tag = "2")]
    pub minor: i64,
}

/// "Here is every cell version made by seqs in (from, to] of this epoch."
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Cut {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// The rig.
    #[prost(string, tag = "2")]
    pub rig: String,
    /// The epoch.
    #[prost(uint32, tag = "3")]
    pub epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub epoch_id: Vec<u8>,
    /// Exclusive start; the receiver moves its cut only if it held this.
    #[prost(uint64, tag = "5")]
    pub from_seq: u64,
    /// Inclusive end; equal to `from_seq` while a set spans several batches.
    #[prost(uint64, tag = "6")]
    pub to_seq: u64,
    /// Corrected time up to which all is sent, ms since 1970.
    #[prost(sint64, tag = "7")]
    pub clear_ms: i64,
}

/// A life of a journal whose cells do not count: its events went on under another epoch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VoidEpoch {
    /// The rig.
    #[prost(string, tag = "1")]
    pub rig: String,
    /// Id of the epoch, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_id: Vec<u8>,
}

/// Newest cells of one or more rigs.
#[derive(Clone, PartialEq, Message)]
pub struct CellBatch {
    /// [`PROTOCOL`].
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// Who sends: a rig, a hub, a region, the ledger.
    #[prost(string, tag = "2")]
    pub sender: String,
    /// Cells in their one canonical form.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub cells: Vec<Vec<u8>>,
    /// What the cells complete.
    #[prost(message, repeated, tag = "4")]
    pub cuts: Vec<Cut>,
    /// What is known beyond the cells.
    #[prost(message, repeated, tag = "5")]
    pub beacons: Vec<Beacon>,
    /// Steady clock when it was sent, ns.
    #[prost(uint64, tag = "6")]
    pub sent_mono_ns: u64,
    /// Boot of that clock, 16 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub boot_id: Vec<u8>,
    /// Popups the sender knows, so that a region can show their windows.
    #[prost(message, repeated, tag = "8")]
    pub popups: Vec<crate::event::system::PopupPolicy>,
    /// Lives whose cells do not count, after a fork; said in every batch, so that a region that
    /// forgot learns of them again.
    #[prost(message, repeated, tag = "9")]
    pub voids: Vec<VoidEpoch>,
}

/// A cell that was not taken.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RefusedCell {
    /// Its place in the batch.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// `PWxxxx`.
    #[prost(string, tag = "2")]
    pub code: String,
}

/// The region's answer.
#[derive(Clone, PartialEq, Message)]
pub struct CellAck {
    /// Its memory's id, 16 bytes; a new one holds nothing yet.
    #[prost(bytes = "vec", tag = "1")]
    pub region_id: Vec<u8>,
    /// Its cuts for every (popup, rig, epoch) the batch named.
    #[prost(message, repeated, tag = "2")]
    pub have: Vec<Cut>,
    /// Cells not taken; their neighbours were.
    #[prost(message, repeated, tag = "3")]
    pub refused: Vec<RefusedCell>,
    /// Raw bytes it would like per batch, 0 for no wish.
    #[prost(uint32, tag = "4")]
    pub max_bytes: u32,
    /// Wait this long before the next batch, ms.
    #[prost(uint32, tag = "5")]
    pub delay_ms: u32,
    /// `sent_mono_ns` of the batch.
    #[prost(uint64, tag = "6")]
    pub echo_mono_ns: u64,
    /// Region's wall clock when the batch came, µs since 1970.
    #[prost(sint64, tag = "7")]
    pub recv_wall_us: i64,
    /// Region's wall clock when this was sent, µs since 1970.
    #[prost(sint64, tag = "8")]
    pub send_wall_us: i64,
    /// Uncertainty of that clock, ms.
    #[prost(uint32, tag = "9")]
    pub wall_u_ms: u32,
}
