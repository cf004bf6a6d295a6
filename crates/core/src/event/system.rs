//! What popwatch writes into a journal about itself. Clients cannot send these types.
//!
//! Each is a protobuf message whose field numbers are the journal's and are never reused. Times are
//! milliseconds since 1970 unless a name says otherwise; ids of 16 bytes are raw bytes.

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message;

use super::central::{
    BankLine, BreakAccepted, CashCounted, CloseSigned, CreatorPaid, MatchAccepted, ProviderObject,
    ProviderRefused, SettlementFile, SettlementLine, ShareReleased,
};
use super::commerce::Commerce;
use super::promises::Promises;

/// Running sums of one (popup, currency) over one epoch, after the record that carries them.
///
/// The row with currency `XXX` counts stock moved; the others count money and units sold.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TotalsRow {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// ISO 4217 code, or `XXX` for events without money.
    #[prost(string, tag = "2")]
    pub currency: String,
    /// Records of the money and stock classes that fell into this row.
    #[prost(uint64, tag = "3")]
    pub n: u64,
    /// Captured, minor units.
    #[prost(sint64, tag = "4")]
    pub captured: i64,
    /// Refunded, minor units.
    #[prost(sint64, tag = "5")]
    pub refunded: i64,
    /// Tips, minor units.
    #[prost(sint64, tag = "6")]
    pub tip: i64,
    /// Tax, minor units.
    #[prost(sint64, tag = "7")]
    pub tax: i64,
    /// Value of tokens redeemed, minor units.
    #[prost(sint64, tag = "8")]
    pub token_value: i64,
    /// Units sold; in row `XXX` units moved.
    #[prost(sint64, tag = "9")]
    pub units: i64,
}

/// A range of lost or void seqs of one epoch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Gap {
    /// The epoch that lost them.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// First lost seq.
    #[prost(uint64, tag = "2")]
    pub first: u64,
    /// Last lost seq.
    #[prost(uint64, tag = "3")]
    pub last: u64,
    /// `media`, `torn`, `missing_file` or `thinned`.
    #[prost(string, tag = "4")]
    pub cause: String,
    /// Segment file the damage was found in.
    #[prost(string, tag = "5")]
    pub file: String,
    /// Byte offset of the damage.
    #[prost(uint64, tag = "6")]
    pub offset: u64,
    /// Damaged bytes.
    #[prost(uint64, tag = "7")]
    pub bytes: u64,
    /// What the lost records were worth, exactly, as far as statements around them tell.
    #[prost(message, repeated, tag = "8")]
    pub value: Vec<TotalsRow>,
    /// No later statement exists, so the value is unknown.
    #[prost(bool, tag = "9")]
    pub value_unknown: bool,
    /// The epoch's id, 16 bytes.
    #[prost(bytes = "vec", tag = "10")]
    pub epoch_id: Vec<u8>,
}

/// How far a peer had acknowledged one epoch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Acked {
    /// The epoch.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub epoch_id: Vec<u8>,
    /// Trunk records replicated up to here.
    #[prost(uint64, tag = "3")]
    pub trunk_seq: u64,
    /// Bulk records replicated up to here.
    #[prost(uint64, tag = "4")]
    pub bulk_seq: u64,
}

/// `rig.started`: seq 1 of every epoch. Closes the previous epoch: frames above its last seq are
/// void.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RigStarted {
    /// This epoch's id, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub epoch_id: Vec<u8>,
    /// The journal's id, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub journal_id: Vec<u8>,
    /// The epoch before, 0 when this is the first.
    #[prost(uint32, tag = "3")]
    pub previous_epoch: u32,
    /// Its id, 16 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub previous_epoch_id: Vec<u8>,
    /// Its last seq that counts.
    #[prost(uint64, tag = "5")]
    pub previous_last_seq: u64,
    /// Its trunk chain after that seq, 32 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub previous_chain_trunk: Vec<u8>,
    /// Its bulk chain after that seq, 32 bytes.
    #[prost(bytes = "vec", tag = "7")]
    pub previous_chain_bulk: Vec<u8>,
    /// Its totals after that seq.
    #[prost(message, repeated, tag = "8")]
    pub previous_totals: Vec<TotalsRow>,
    /// It ended with `rig.stopped`.
    #[prost(bool, tag = "9")]
    pub clean: bool,
    /// `first_start`, `start`, `sync_failed`, `fork` or `trim`.
    #[prost(string, tag = "10")]
    pub reason: String,
    /// This run of the operating system, 16 bytes.
    #[prost(bytes = "vec", tag = "11")]
    pub boot_id: Vec<u8>,
    /// Version of popwatch.
    #[prost(string, tag = "12")]
    pub version: String,
    /// Bytes cut from a torn tail.
    #[prost(uint64, tag = "13")]
    pub tail_bytes_cut: u64,
    /// Epochs whose frames are void as a whole.
    #[prost(uint32, repeated, tag = "14")]
    pub void_epochs: Vec<u32>,
    /// After a fork: ids, 16 bytes each, of the epochs whose events are appended again. They count
    /// nowhere any more, whoever holds some of them.
    #[prost(bytes = "vec", repeated, tag = "15")]
    pub left_ids: Vec<Vec<u8>>,
    /// First seq whose header could be read in that tail; 0 for none.
    #[prost(uint64, tag = "20")]
    pub tail_first: u64,
    /// Last seq whose header could be read in it; 0 for none.
    #[prost(uint64, tag = "21")]
    pub tail_last: u64,
}

/// `rig.seal` and `rig.stopped`: a statement of everything up to here.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Seal {
    /// Records so far per class, by class number.
    #[prost(uint64, repeated, tag = "1")]
    pub counts: Vec<u64>,
    /// Trunk chain before this record, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub chain_trunk: Vec<u8>,
    /// Bulk chain before this record, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub chain_bulk: Vec<u8>,
    /// Totals changed since the last seal; all of them at a roll and at the end.
    #[prost(message, repeated, tag = "4")]
    pub totals: Vec<TotalsRow>,
    /// What the ledger had acknowledged.
    #[prost(message, repeated, tag = "5")]
    pub acked: Vec<Acked>,
    /// All totals are here.
    #[prost(bool, tag = "6")]
    pub complete: bool,
}

/// `rig.conflict`: an event id came again with other content; the first stays.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Conflict {
    /// Epoch of the first.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// Seq of the first.
    #[prost(uint64, tag = "2")]
    pub seq: u64,
    /// Content hash of the first, 8 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub first_content: Vec<u8>,
    /// Content hash of the other, 8 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub other_content: Vec<u8>,
    /// Amount of the other, minor units, 0 when it has none.
    #[prost(sint64, tag = "5")]
    pub amount: i64,
    /// Its currency, empty when it has none.
    #[prost(string, tag = "6")]
    pub currency: String,
    /// The popup of the other.
    #[prost(string, tag = "7")]
    pub popup: String,
}

/// What was shed or refused, counted.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LossCount {
    /// Class name.
    #[prost(string, tag = "1")]
    pub class: String,
    /// A name of [`crate::loss::Cause`].
    #[prost(string, tag = "2")]
    pub cause: String,
    /// The popup, empty when unknown.
    #[prost(string, tag = "3")]
    pub popup: String,
    /// How many events.
    #[prost(uint64, tag = "4")]
    pub count: u64,
}

/// `rig.loss`: events that were refused on purpose since the last such record.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Loss {
    /// The counts.
    #[prost(message, repeated, tag = "1")]
    pub counts: Vec<LossCount>,
    /// Start of the period.
    #[prost(sint64, tag = "2")]
    pub since_ms: i64,
    /// End of the period.
    #[prost(sint64, tag = "3")]
    pub until_ms: i64,
    /// `rig` or `client`.
    #[prost(string, tag = "4")]
    pub place: String,
}

/// `rig.probed`: dry runs of a checkout since the last such record.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Probed {
    /// Those that found the way open.
    #[prost(uint32, tag = "1")]
    pub ok: u32,
    /// Those that did not within 5 s.
    #[prost(uint32, tag = "2")]
    pub fault: u32,
    /// How long the slowest took, ms.
    #[prost(uint32, tag = "3")]
    pub slowest_ms: u32,
    /// Host and port that failed last; empty when none did.
    #[prost(string, tag = "4")]
    pub failed: String,
}

/// `rig.trimmed`: segments that were deleted because everything in them is replicated.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Trimmed {
    /// First segment number gone.
    #[prost(uint64, tag = "1")]
    pub first_segment: u64,
    /// Last segment number gone.
    #[prost(uint64, tag = "2")]
    pub last_segment: u64,
    /// Last position gone, per epoch.
    #[prost(message, repeated, tag = "3")]
    pub upto: Vec<Acked>,
}

/// `policy.applied`, `policy.implied`: what the fold and the ledger need to know of a popup.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PopupPolicy {
    /// The popup.
    #[prost(string, tag = "1")]
    pub popup: String,
    /// Policy version; 0 when only implied.
    #[prost(uint32, tag = "2")]
    pub version: u32,
    /// Digest of the policy, 32 bytes; empty when only implied.
    #[prost(bytes = "vec", tag = "3")]
    pub digest: Vec<u8>,
    /// Start of the window.
    #[prost(sint64, tag = "4")]
    pub starts_ms: i64,
    /// End of the window, exclusive.
    #[prost(sint64, tag = "5")]
    pub ends_ms: i64,
    /// IANA time zone for people.
    #[prost(string, tag = "6")]
    pub zone: String,
    /// ISO 4217 codes expected.
    #[prost(string, repeated, tag = "7")]
    pub currencies: Vec<String>,
    /// A checkout that takes longer is late, ms.
    #[prost(uint32, tag = "8")]
    pub checkout_limit_ms: u32,
    /// What it promises creators, co-ops, buyers and suppliers; none when the policy says nothing.
    #[prost(message, optional, tag = "9")]
    pub commerce: Option<Commerce>,
    /// What it promises those who buy; the defaults when the policy says nothing.
    #[prost(message, optional, tag = "10")]
    pub promises: Option<Promises>,
    /// How long its cells stay at regions; what is usual when the policy says nothing.
    #[prost(message, optional, tag = "11")]
    pub cells: Option<CellTerms>,
    /// What members of a co-op are told of each other; what is usual when the policy says nothing.
    #[prost(message, optional, tag = "12")]
    pub coop: Option<CoopTerms>,
}

/// What members of a co-op are told of each other's amounts.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CoopTerms {
    /// Members with sales below which there are ranks and no amounts.
    #[prost(uint64, tag = "1")]
    pub min_contributors: u64,
    /// To what amounts are rounded, minor units; 0 and 1 leave them as they are.
    #[prost(uint64, tag = "2")]
    pub money_step: u64,
}

/// How long the cells of a popup stay at regions, and how fine; all ages count from its end.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CellTerms {
    /// Age from which on nothing is shown, ms.
    #[prost(uint64, tag = "1")]
    pub keep_ms: u64,
    /// Age from which on nothing that stands for a person is held, ms.
    #[prost(uint64, tag = "2")]
    pub pseudonyms_ms: u64,
    /// Orders or units below which a row of a creator or SKU goes at the step of a day.
    #[prost(uint64, tag = "3")]
    pub min_group: u64,
    /// How wide the steps are, by age, youngest first.
    #[prost(message, repeated, tag = "4")]
    pub ladder: Vec<CellRung>,
}

/// From an age on, a step.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CellRung {
    /// Age, ms.
    #[prost(uint64, tag = "1")]
    pub after_ms: u64,
    /// Minutes of a step.
    #[prost(uint32, tag = "2")]
    pub step_min: u32,
}

impl PopupPolicy {
    /// Whether somebody stated it; else it is implied by the first event.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.version > 0 || !self.digest.is_empty()
    }

    /// Which of two is in force, the greater: the higher version, and of one version what somebody
    /// signed.
    #[must_use]
    pub fn rank(&self) -> (u32, bool) {
        (self.version, !self.digest.is_empty())
    }
}

/// `clock.anchored`: how this rig's clock relates to a peer's.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ClockAnchored {
    /// The boot it holds for, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub boot_id: Vec<u8>,
    /// Steady clock of the anchor, ns.
    #[prost(uint64, tag = "2")]
    pub mono_ns: u64,
    /// True wall time at that instant, µs.
    #[prost(sint64, tag = "3")]
    pub wall_us: i64,
    /// Uncertainty, ms.
    #[prost(uint32, tag = "4")]
    pub u_ms: u32,
    /// Which peer.
    #[prost(string, tag = "5")]
    pub peer: String,
    /// It moves the minutes of earlier records too.
    #[prost(bool, tag = "6")]
    pub rebucket: bool,
}

/// `clock.stepped`: somebody or something set the wall clock.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ClockStepped {
    /// The boot, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub boot_id: Vec<u8>,
    /// Steady clock when it was noticed, ns.
    #[prost(uint64, tag = "2")]
    pub mono_ns: u64,
    /// Wall clock after the step, ms.
    #[prost(sint64, tag = "3")]
    pub wall_ms: i64,
    /// How far it moved against the steady clock, ms; positive when it was set ahead.
    #[prost(sint64, tag = "4")]
    pub by_ms: i64,
}

macro_rules! system_events {
    ($( $number:literal $name:ident($data:ty) $type:literal, )*) => {
        /// What popwatch writes about itself.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SystemEvent { $(
            #[doc = concat!("`", $type, "`.")]
            $name($data),
        )* }

        impl SystemEvent {
            /// The type's name without `popwatch.`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$name(_) => $type, )* }
            }

            /// The type's number in the journal, from 100.
            #[must_use]
            pub const fn number(&self) -> u32 {
                match self { $( Self::$name(_) => $number, )* }
            }

            /// The journaled bytes of its data.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $( Self::$name(data) => data.encode_to_vec(), )* }
            }

            /// Reads the data of the type with this number; `None` for damage and unknown numbers.
            #[must_use]
            pub fn decode(number: u32, bytes: &[u8]) -> Option<Self> {
                match number {
                    $( $number => <$data>::decode(bytes).ok().map(Self::$name), )*
                    _ => None,
                }
            }
        }
    };
}

system_events! {
    100 RigStarted(RigStarted) "rig.started",
    101 RigStopped(Seal) "rig.stopped",
    102 RigSeal(Seal) "rig.seal",
    103 RigGap(Gap) "rig.gap",
    104 RigLoss(Loss) "rig.loss",
    105 RigTrimmed(Trimmed) "rig.trimmed",
    106 RigConflict(Conflict) "rig.conflict",
    107 RigProbed(Probed) "rig.probed",
    110 PolicyApplied(PopupPolicy) "policy.applied",
    111 PolicyImplied(PopupPolicy) "policy.implied",
    120 ClockAnchored(ClockAnchored) "clock.anchored",
    121 ClockStepped(ClockStepped) "clock.stepped",
    140 ProviderObject(ProviderObject) "provider.object",
    141 SettlementFile(SettlementFile) "settlement.file",
    142 SettlementLine(SettlementLine) "settlement.line",
    143 BankLine(BankLine) "bank.line",
    144 MatchAccepted(MatchAccepted) "match.accepted",
    145 BreakAccepted(BreakAccepted) "break.accepted",
    146 ShareReleased(ShareReleased) "share.released",
    147 CreatorPaid(CreatorPaid) "creator.paid",
    148 CloseSigned(CloseSigned) "close.signed",
    149 CashCounted(CashCounted) "cash.counted",
    150 ProviderRefused(ProviderRefused) "provider.refused",
}

/// Prefixes of types that clients may not send, beside the types of the ledger.
pub const RESERVED_PREFIXES: &[&str] = &["popwatch.rig.", "popwatch.policy.", "popwatch.clock."];

/// Ledger types that clients may not send.
pub const RESERVED_TYPES: &[&str] = &[
    "popwatch.provider.object",
    "popwatch.settlement.file",
    "popwatch.settlement.line",
    "popwatch.bank.line",
    "popwatch.match.accepted",
    "popwatch.break.accepted",
    "popwatch.share.released",
    "popwatch.creator.paid",
    "popwatch.close.signed",
    "popwatch.cash.counted",
    "popwatch.provider.refused",
];

/// The one `rig.` type that clients and host probes do send.
pub const UNRESERVED_TYPE: &str = "popwatch.rig.sampled";
