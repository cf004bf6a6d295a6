//! A record's payload: the exact bytes that are journaled, shipped and hashed.
//!
//! One protobuf message; fields ascend, defaults are omitted, unknown fields are skipped when read.
//!
//! ```text
//!  1 type          number of the catalogue or of a system event
//!  3 popup         4 source      5 id
//!  6 mono_ns       steady clock at admission      7 wall_ms   wall clock at admission
//!  8 time_ms       the event's own `time`         9 age_ms    its age when it was sent
//! 10 body          the data's fields by tag      12 content   8 bytes of keyed hash
//! 11 beyond        what a policy keeps beyond the catalogue: 1 sealed part*, 2 value* {1 path, 2 text}
//! 13 policy version                              14 flags
//! 15 totals*       running sums after this record (money and stock)
//! 16 origin        where it stood before it was appended again
//! ```
//!
//! 2 (type name) is reserved for opaque types.

mod body;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, message, sint64, skip_field, uint32, uint64,
};

use crate::event::system::{SystemEvent, TotalsRow};
use crate::event::{Event, EventType, FieldFault};
use crate::id::{EventId, PopupId, Seq, Source};

/// What a record says beside its event.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The fact.
    pub event: Event,
    /// The popup it belongs to; none for what concerns the whole rig.
    pub popup: Option<PopupId>,
    /// CloudEvents `source`.
    pub source: Source,
    /// CloudEvents `id`.
    pub id: EventId,
    /// When it was admitted and what it says of its own time.
    pub stamp: Stamp,
    /// What a policy keeps of it beyond the catalogue.
    pub beyond: Option<Box<Beyond>>,
    /// Keyed hash of the core fields.
    pub content: Content,
    /// Policy version it was redacted under.
    pub policy_version: u32,
    /// Marks.
    pub flags: Flags,
    /// Running sums after this record.
    pub totals: Vec<TotalsRow>,
    /// Where it stood before it was appended again under a new epoch.
    pub origin: Option<Origin>,
}

/// What a policy keeps of an event beyond the catalogue. Folding and booking never look at it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Beyond {
    /// Sealed parts, one per class at most; without its key a part is noise.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub sealed: Vec<Vec<u8>>,
    /// Values of declared fields that everybody who may read the record may read.
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<Extra>,
}

/// The value of a declared field.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub struct Extra {
    /// Its path, such as `buyer.email`.
    #[prost(string, tag = "1")]
    pub path: String,
    /// What is kept of its value.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// What a sealed part says.
#[derive(Clone, PartialEq, Message)]
struct Said {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Extra>,
}

/// Values as a sealed part says them, in the order of their paths.
#[must_use]
pub fn encode_values(mut values: Vec<Extra>) -> Vec<u8> {
    values.sort();
    Said { values }.encode_to_vec()
}

/// Reads what [`encode_values`] wrote.
#[must_use]
pub fn decode_values(bytes: &[u8]) -> Option<Vec<Extra>> {
    Some(Said::decode(bytes).ok()?.values)
}

/// First 8 bytes of the keyed hash of an event's core fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Content(pub [u8; 8]);

/// When a record was admitted and what it says of its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Steady clock at admission, ns (counts sleep).
    pub mono_ns: u64,
    /// Wall clock at admission, ms since 1970.
    pub wall_ms: i64,
    /// The event's own `time`, ms since 1970.
    pub time_ms: Option<i64>,
    /// Its age when it was sent, ms, by the sender's steady clock.
    pub age_ms: Option<u32>,
}

/// A record ready for the journal, all but its place: what the door makes, the second look proves
/// and the journal appends.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The record without totals and origin.
    pub record: Record,
    /// Its encoding by [`encode`]; the journal appends a [`tail`].
    pub bytes: Vec<u8>,
    /// Idempotency key inside this journal, see [`event_key`].
    pub key: [u8; 12],
}

/// Marks of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// It came after its popup was closed: shipped, not folded.
    pub late: bool,
    /// Its sender runs on the rig's own host and shares its clock.
    pub local_sender: bool,
    /// Its `time` was outside 2000 to 2100 and was ignored.
    pub time_ignored: bool,
}

impl Flags {
    const fn bits(self) -> u32 {
        self.late as u32 | (self.local_sender as u32) << 1 | (self.time_ignored as u32) << 2
    }

    const fn from_bits(bits: u32) -> Self {
        Self {
            late: bits & 1 != 0,
            local_sender: bits & 2 != 0,
            time_ignored: bits & 4 != 0,
        }
    }
}

/// An earlier position of the same rig.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Origin {
    /// The earlier epoch.
    #[prost(uint32, tag = "1")]
    pub epoch: u32,
    /// The earlier seq.
    #[prost(uint64, tag = "2")]
    pub seq: u64,
}

impl Origin {
    /// The seq as a position's number.
    #[must_use]
    pub fn at(self) -> Seq {
        Seq(self.seq)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Payload {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(string, tag = "3")]
    popup: String,
    #[prost(string, tag = "4")]
    source: String,
    #[prost(string, tag = "5")]
    id: String,
    #[prost(uint64, tag = "6")]
    mono_ns: u64,
    #[prost(sint64, tag = "7")]
    wall_ms: i64,
    #[prost(sint64, optional, tag = "8")]
    time_ms: Option<i64>,
    #[prost(uint32, optional, tag = "9")]
    age_ms: Option<u32>,
    #[prost(bytes = "vec", tag = "10")]
    body: Vec<u8>,
    #[prost(message, optional, tag = "11")]
    beyond: Option<Beyond>,
    #[prost(bytes = "vec", tag = "12")]
    content: Vec<u8>,
    #[prost(uint32, tag = "13")]
    policy_version: u32,
    #[prost(uint32, tag = "14")]
    flags: u32,
    #[prost(message, repeated, tag = "15")]
    totals: Vec<TotalsRow>,
    #[prost(message, optional, tag = "16")]
    origin: Option<Origin>,
}

/// What is appended to an encoded record once its place is known.
#[derive(Clone, PartialEq, Message)]
struct Tail {
    #[prost(message, repeated, tag = "15")]
    totals: Vec<TotalsRow>,
    #[prost(message, optional, tag = "16")]
    origin: Option<Origin>,
}

/// Why journaled bytes are not a record this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Not the protobuf message of a record.
    #[error("the payload is not a record")]
    Payload,
    /// A type number this version does not know.
    #[error("record type {0} is unknown to this version")]
    Type(u32),
    /// A popup, source or id outside its rule.
    #[error("the {0} is damaged")]
    Identity(&'static str),
    /// The data of the event is damaged.
    #[error("the event's data is damaged: {0}")]
    Body(FieldFault),
}

/// Encodes a record. With empty `totals` and no `origin` the result is a prefix to which
/// [`tail`] can be appended.
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
    Payload {
        kind: record.event.type_number(),
        popup: record.popup.as_ref().map(String::from).unwrap_or_default(),
        source: String::from(&record.source),
        id: String::from(&record.id),
        mono_ns: record.stamp.mono_ns,
        wall_ms: record.stamp.wall_ms,
        time_ms: record.stamp.time_ms,
        age_ms: record.stamp.age_ms,
        body: body_of(&record.event),
        beyond: record.beyond.as_deref().cloned(),
        content: if record.content == Content::default() {
            Vec::new()
        } else {
            record.content.0.to_vec()
        },
        policy_version: record.policy_version,
        flags: record.flags.bits(),
        totals: record.totals.clone(),
        origin: record.origin,
    }
    .encode_to_vec()
}

fn body_of(event: &Event) -> Vec<u8> {
    if let Event::System(event) = event {
        event.encode()
    } else {
        body::encode(event)
    }
}

/// BLAKE3 over what an event says and who says it (type, popup, source, id, body; each with its length):
/// what binds a sealed part to its record.
#[must_use]
pub fn digest(record: &Record) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let popup = record.popup.as_ref().map_or("", PopupId::as_str);
    feed(&mut hasher, &record.event.type_number().to_le_bytes());
    feed(&mut hasher, popup.as_bytes());
    feed(&mut hasher, record.source.as_str().as_bytes());
    feed(&mut hasher, record.id.as_str().as_bytes());
    feed(&mut hasher, &body_of(&record.event));
    hasher.finalize().into()
}

/// The bytes that add `totals` and `origin` to an encoded record without them.
#[must_use]
pub fn tail(totals: Vec<TotalsRow>, origin: Option<Origin>) -> Vec<u8> {
    Tail { totals, origin }.encode_to_vec()
}

/// Reads journaled bytes.
pub fn decode(bytes: &[u8]) -> Result<Record, RecordFault> {
    let parts = Parts::read(bytes).ok_or(RecordFault::Payload)?;
    let event = match EventType::from_number(parts.kind) {
        Some(client) => body::decode(client, parts.body).map_err(RecordFault::Body)?,
        None => SystemEvent::decode(parts.kind, parts.body)
            .map(Event::System)
            .ok_or(RecordFault::Type(parts.kind))?,
    };
    let popup = match parts.popup {
        "" => None,
        text => Some(PopupId::new(text).map_err(|_| RecordFault::Identity("popup"))?),
    };
    let content = match parts.content.len() {
        0 => Content::default(),
        _ => Content(
            parts
                .content
                .try_into()
                .map_err(|_| RecordFault::Identity("content hash"))?,
        ),
    };
    Ok(Record {
        event,
        popup,
        source: Source::new(parts.source).map_err(|_| RecordFault::Identity("source"))?,
        id: EventId::new(parts.id).map_err(|_| RecordFault::Identity("id"))?,
        stamp: parts.stamp,
        beyond: parts.beyond.map(Box::new),
        content,
        policy_version: parts.policy_version,
        flags: Flags::from_bits(parts.flags),
        totals: parts.totals,
        origin: parts.origin,
    })
}

/// A [`Payload`] whose texts and body stay where they lie: records are read far more often than
/// written, by the fold, the ledger and every check of a journal.
#[derive(Debug, PartialEq)]
struct Parts<'a> {
    kind: u32,
    popup: &'a str,
    source: &'a str,
    id: &'a str,
    stamp: Stamp,
    body: &'a [u8],
    beyond: Option<Beyond>,
    content: &'a [u8],
    policy_version: u32,
    flags: u32,
    totals: Vec<TotalsRow>,
    origin: Option<Origin>,
}

impl<'a> Parts<'a> {
    fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut parts = Self {
            kind: 0,
            popup: "",
            source: "",
            id: "",
            stamp: Stamp::default(),
            body: &[],
            beyond: None,
            content: &[],
            policy_version: 0,
            flags: 0,
            totals: Vec::new(),
            origin: None,
        };
        while !rest.is_empty() {
            let (tag, wire) = decode_key(&mut rest).ok()?;
            parts.field(tag, wire, &mut rest)?;
        }
        Some(parts)
    }

    fn field(&mut self, tag: u32, wire: WireType, rest: &mut &'a [u8]) -> Option<()> {
        let context = DecodeContext::default();
        let stamp = &mut self.stamp;
        let merged = match tag {
            1 => uint32::merge(wire, &mut self.kind, rest, context),
            3 => return body::read_text(wire, rest).map(|text| self.popup = text),
            4 => return body::read_text(wire, rest).map(|text| self.source = text),
            5 => return body::read_text(wire, rest).map(|text| self.id = text),
            6 => uint64::merge(wire, &mut stamp.mono_ns, rest, context),
            7 => sint64::merge(wire, &mut stamp.wall_ms, rest, context),
            8 => sint64::merge(wire, stamp.time_ms.get_or_insert(0), rest, context),
            9 => uint32::merge(wire, stamp.age_ms.get_or_insert(0), rest, context),
            10 => return body::read_bytes(wire, rest).map(|bytes| self.body = bytes),
            11 => {
                let beyond = self.beyond.get_or_insert_default();
                message::merge(wire, beyond, rest, context)
            }
            12 => return body::read_bytes(wire, rest).map(|bytes| self.content = bytes),
            13 => uint32::merge(wire, &mut self.policy_version, rest, context),
            14 => uint32::merge(wire, &mut self.flags, rest, context),
            15 => message::merge_repeated(wire, &mut self.totals, rest, context),
            16 => {
                let origin = self.origin.get_or_insert_default();
                message::merge(wire, origin, rest, context)
            }
            _ => skip_field(wire, tag, rest, context),
        };
        merged.ok()
    }
}

/// The keyed hash of an event's core fields, fed field by field in catalogue order.
///
/// `key` is the journal's id twice, so that hashes of two journals do not compare.
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Starts with what every event has: its type and popup.
    #[must_use]
    pub fn new(key: &[u8; 32], of: EventType, popup: Option<&PopupId>) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&of.number().to_le_bytes());
        let popup = popup.map_or("", PopupId::as_str);
        feed(&mut hasher, popup.as_bytes());
        Self(hasher)
    }

    /// Takes one present field; fields that are not core are skipped.
    pub fn field(&mut self, field: &'static crate::event::Field, value: &crate::event::Value) {
        if field.kind.is_core() {
            self.0.update(&field.tag.to_le_bytes());
            let mut bytes = Vec::new();
            body::encode_value(field, value, &mut bytes);
            feed(&mut self.0, &bytes);
        }
    }

    /// The first 8 bytes of the hash.
    #[must_use]
    pub fn finish(self) -> Content {
        let mut out = [0; 8];
        self.0.finalize_xof().fill(&mut out);
        Content(out)
    }
}

/// First 12 bytes of the keyed hash of (`source`, `id`): the idempotency key inside one journal.
#[must_use]
pub fn event_key(key: &[u8; 32], source: &Source, id: &EventId) -> [u8; 12] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    feed(&mut hasher, source.as_str().as_bytes());
    feed(&mut hasher, id.as_str().as_bytes());
    let mut out = [0; 12];
    hasher.finalize_xof().fill(&mut out);
    out
}

fn feed(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a field is bounded by limits");
    hasher.update(&length.to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What [`Parts`] read, as the message they were written with.
    fn message_of(parts: Parts<'_>) -> Payload {
        Payload {
            kind: parts.kind,
            popup: parts.popup.into(),
            source: parts.source.into(),
            id: parts.id.into(),
            mono_ns: parts.stamp.mono_ns,
            wall_ms: parts.stamp.wall_ms,
            time_ms: parts.stamp.time_ms,
            age_ms: parts.stamp.age_ms,
            body: parts.body.into(),
            beyond: parts.beyond,
            content: parts.content.into(),
            policy_version: parts.policy_version,
            flags: parts.flags,
            totals: parts.totals,
            origin: parts.origin,
        }
    }

    proptest! {
        /// Reading in place takes and refuses what reading the message does, damaged or not.
        #[test]
        fn parts_in_place_are_the_message(
            text in "[a-z~\u{e9}]{0,9}",
            number in any::<u64>(),
            some in any::<bool>(),
            blob in prop::collection::vec(any::<u8>(), 0..12),
            harm in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            end in any::<prop::sample::Index>(),
        ) {
            let small = u32::try_from(number % 1_000).unwrap();
            let wall_ms = i64::try_from(number >> 2).unwrap();
            let row = TotalsRow { popup: text.clone(), n: number, ..TotalsRow::default() };
            let payload = Payload {
                kind: small,
                popup: text.clone(),
                source: text.clone(),
                id: text,
                mono_ns: number,
                wall_ms: -wall_ms,
                time_ms: some.then_some(wall_ms),
                age_ms: some.then_some(small),
                body: blob.clone(),
                beyond: some.then(|| Beyond {
                    sealed: std::vec![blob.clone()],
                    values: std::vec![Extra { path: "a".into(), text: "b".into() }],
                }),
                content: blob,
                policy_version: small,
                flags: small,
                totals: std::vec![row; usize::from(some) * 2],
                origin: some.then_some(Origin { epoch: small, seq: number }),
            };
            let mut bytes = payload.encode_to_vec();
            if !bytes.is_empty() {
                for (at, byte) in &harm {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if harm.len() == 2 {
                    bytes.truncate(end.index(bytes.len()));
                }
            }
            let read = Parts::read(&bytes).map(message_of);
            prop_assert_eq!(read, Payload::decode(&*bytes).ok());
        }
    }
}
