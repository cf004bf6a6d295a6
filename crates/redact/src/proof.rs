//! The second look at the final bytes, and the one type the journal takes.
//!
//! [`Redacted`] has no public constructor: whoever holds one knows that its encoded bytes were
//! walked field by field and that no track, card number or e-mail address stood in any of them.

use std::collections::BTreeMap;

use popwatch_core::access::raw::PartClass;
use popwatch_core::event::{Event, EventType, Field, FieldFault, FieldSink, FieldSource};
use popwatch_core::event::{Kind, Line, Stage, Value};
use popwatch_core::id::{CheckoutStage, CreatorId, EventId, PopupId, Sku, Source};
use popwatch_core::invariant::nothing_forbidden;
use popwatch_core::record::{self, Beyond, Draft, Extra, Record};

use crate::apply::Unsealed;
use crate::detect::Place;
use crate::seal::PopupKeys;

/// What stands for a string that the second look had to take out.
pub const WORD: &str = "[redacted]";

/// A value whose bytes passed the second look (L7).
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value, by itself; what is made of it is no longer proven.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A client record after the second look.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    /// The record, clean.
    pub draft: Redacted<Draft>,
    /// Whether the second look found what the first should have removed. Counted as
    /// `privacy_residual`, which must stay 0.
    pub residual: bool,
}

/// Takes a record that popwatch writes about itself. One with a client's event goes through the
/// second look like any other.
#[must_use]
pub fn own(record: Record, key: [u8; 12]) -> Redacted<Draft> {
    if record.event.client_type().is_none() {
        draft(record, key)
    } else {
        prove(record, key, None).draft
    }
}

/// Takes a client's record, looks at its encoded bytes once more, and seals what is to be sealed. On a hit every string that is
/// no identity becomes [`WORD`], and an identity that is itself the hit becomes `x_` and the
/// event's key in base 32: the fact is kept, the value is not.
#[must_use]
pub fn prove(record: Record, key: [u8; 12], sealing: Option<Sealing<'_>>) -> Proven {
    let seen = draft(record, key);
    let of = seen.0.record.event.client_type();
    let forbidden = |bytes: &[u8]| usize::from(!look::clean(of, bytes));
    let is_clean = nothing_forbidden("a record", &seen.0.bytes, forbidden).is_ok();
    let seen = if is_clean {
        seen
    } else {
        draft(mask(seen.0.record, key), key)
    };
    let (draft, hit) = match sealing {
        Some(sealing) if !sealing.beyond.is_empty() => {
            let mut record = seen.0.record;
            let hit = sealing.put_into(&mut record);
            (draft(record, key), hit)
        }
        Some(_) | None => (seen, false),
    };
    Proven {
        draft,
        residual: hit || !is_clean,
    }
}

/// What is kept of an event beyond the catalogue, and what it is sealed with.
#[derive(Debug)]
pub struct Sealing<'a> {
    /// What is kept.
    pub beyond: Unsealed,
    /// The popup's keys.
    pub keys: Option<&'a PopupKeys>,
    /// Whose record it is.
    pub rig: &'a str,
}

impl Sealing<'_> {
    /// Looks at each text once more, then seals. Answers whether something was found.
    fn put_into(self, record: &mut Record) -> bool {
        let Unsealed {
            mut sealed,
            mut values,
        } = self.beyond;
        let mut hit = false;
        for value in &mut values {
            hit |= mask_value(value, false);
        }
        for (class, value) in &mut sealed {
            // An address may be what a contact part is for; a card never is.
            hit |= mask_value(value, *class == PartClass::Contact);
        }
        values.sort();
        let digest = record::digest(record);
        let mut parts: BTreeMap<PartClass, Vec<Extra>> = BTreeMap::new();
        for (class, value) in sealed {
            parts.entry(class).or_default().push(value);
        }
        let parts = parts.into_iter().filter_map(|(class, said)| {
            let key = self.keys?.parts.get(&class)?;
            Some(key.seal(class, self.rig, &digest, said))
        });
        let sealed: Vec<_> = parts.collect();
        let is_something = !sealed.is_empty() || !values.is_empty();
        record.beyond = is_something.then(|| Box::new(Beyond { sealed, values }));
        hit
    }
}

fn mask_value(value: &mut Extra, may_be_address: bool) -> bool {
    let hit = if may_be_address {
        crate::detect::holds_card(&value.text)
    } else {
        look::forbidden(&value.text, Place::Text)
    };
    if hit {
        value.text = WORD.to_owned();
    }
    hit
}

fn draft(record: Record, key: [u8; 12]) -> Redacted<Draft> {
    let bytes = record::encode(&record);
    Redacted(Draft { record, bytes, key })
}

fn mask(mut record: Record, key: [u8; 12]) -> Record {
    let stand_in = format!("x_{}", crate::base32::lower(&key));
    if let Some(of) = record.event.client_type() {
        let mut fields = Masked {
            stand_in: &stand_in,
            values: Vec::new(),
        };
        record.event.write(&mut fields);
        record.event =
            Event::read(of, &mut fields).expect("a fixed word fits every field that takes text");
    }
    if look::forbidden(record.id.as_str(), Place::Identity) {
        record.id = EventId::new(&stand_in).expect("base 32 is printable");
    }
    if look::forbidden(record.source.as_str(), Place::Identity) {
        record.source = Source::new(&stand_in).expect("base 32 is printable");
    }
    if record
        .popup
        .as_ref()
        .is_some_and(|popup| look::forbidden(popup.as_str(), Place::Identity))
    {
        record.popup = Some(PopupId::new(&stand_in).expect("base 32 is a name"));
    }
    record
}

/// An event's fields with every string masked.
struct Masked<'a> {
    stand_in: &'a str,
    values: Vec<(u32, Value)>,
}

impl FieldSink for Masked<'_> {
    fn put(&mut self, field: &'static Field, value: Value) {
        let value = match value {
            Value::Text(text) => match field.kind {
                Kind::Name | Kind::Subject | Kind::Remark | Kind::Text => Value::Text(WORD.into()),
                Kind::Reference if look::forbidden(&text, Place::Reference) => {
                    Value::Text(self.stand_in.into())
                }
                Kind::Reference
                | Kind::Currency
                | Kind::Minor
                | Kind::MinorSigned
                | Kind::Count
                | Kind::CountSigned
                | Kind::Bytes
                | Kind::Millis
                | Kind::Moment
                | Kind::Thousandths
                | Kind::Flag
                | Kind::Choice(_)
                | Kind::OpenChoice(_)
                | Kind::Lines
                | Kind::Stages => Value::Text(text),
            },
            Value::Lines(lines) => Value::Lines(lines.into_iter().map(mask_line).collect()),
            Value::Stages(stages) => Value::Stages(stages.into_iter().map(mask_stage).collect()),
            Value::Int(_) | Value::Flag(_) => value,
        };
        self.values.push((field.tag, value));
    }
}

impl FieldSource for Masked<'_> {
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
        let at = self.values.iter().position(|(tag, _)| *tag == field.tag);
        Ok(at.map(|at| self.values.swap_remove(at).1))
    }
}

fn mask_line(line: Line) -> Line {
    Line {
        sku: Sku::new(WORD).expect("a fixed word is a SKU"),
        creator: line
            .creator
            .map(|_| CreatorId::new(WORD).expect("a fixed word is a name")),
        ..line
    }
}

fn mask_stage(stage: Stage) -> Stage {
    Stage {
        name: CheckoutStage::new(WORD).expect("a fixed word is a name"),
        ..stage
    }
}

/// The walk over an encoded record.
///
/// It reads the wire form itself rather than scanning the bytes as one text: tags and lengths are
/// bytes too, and one that happens to be a digit or an `@` would hide a card number or invent an
/// address.
mod look {
    use super::{EventType, Kind, Place};
    use crate::apply;

    const TAG_BODY: u64 = 10;
    const TAG_BEYOND: u64 = 11;
    const TAG_SEALED: u64 = 1;
    const TAG_CONTENT: u64 = 12;
    const TAG_TOTALS: u64 = 15;
    const TAG_LINE_SKU: u64 = 1;

    /// Whether no text of the record holds a track, card number or e-mail address. Bytes that do
    /// not walk are not clean.
    pub(super) fn clean(of: Option<EventType>, bytes: &[u8]) -> bool {
        walk(bytes, &mut |tag, part| match tag {
            TAG_BODY => of.is_none_or(|of| body_clean(of, part)),
            TAG_BEYOND => beyond_clean(part),
            TAG_CONTENT => true,
            TAG_TOTALS => parts_clean(part, |_| Place::Identity),
            _ => text_clean(part, Place::Identity),
        })
        .unwrap_or(false)
    }

    /// Whether a text holds what the second look is for.
    pub(super) fn forbidden(text: &str, place: Place) -> bool {
        crate::detect::second_look(text, place)
    }

    fn body_clean(of: EventType, body: &[u8]) -> bool {
        walk(body, &mut |tag, part| {
            let field = of.fields().iter().find(|field| u64::from(field.tag) == tag);
            match field.map(|field| (field.kind, field)) {
                Some((Kind::Lines, _)) => parts_clean(part, |tag| match tag {
                    TAG_LINE_SKU => Place::Sku,
                    _ => Place::Label,
                }),
                Some((Kind::Stages, _)) => parts_clean(part, |_| Place::Label),
                Some((_, field)) => text_clean(part, apply::place(field)),
                None => text_clean(part, Place::Text),
            }
        })
        .unwrap_or(false)
    }

    /// What is sealed was looked at before: it is noise now.
    fn beyond_clean(beyond: &[u8]) -> bool {
        walk(beyond, &mut |tag, part| match tag {
            TAG_SEALED => true,
            _ => parts_clean(part, |_| Place::Text),
        })
        .unwrap_or(false)
    }

    fn parts_clean(message: &[u8], place: impl Fn(u64) -> Place) -> bool {
        walk(message, &mut |tag, text| text_clean(text, place(tag))).unwrap_or(false)
    }

    fn text_clean(bytes: &[u8], place: Place) -> bool {
        std::str::from_utf8(bytes).is_ok_and(|text| !forbidden(text, place))
    }

    /// Calls `each` with every length-delimited field; `None` when the bytes are no message.
    fn walk(mut rest: &[u8], each: &mut dyn FnMut(u64, &[u8]) -> bool) -> Option<bool> {
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            match key & 7 {
                0 => {
                    varint(&mut rest)?;
                }
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).ok()?;
                    let part = rest.get(..length)?;
                    rest = &rest[length..];
                    if !each(key >> 3, part) {
                        return Some(false);
                    }
                }
                _ => return None,
            }
        }
        Some(true)
    }

    fn varint(rest: &mut &[u8]) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (byte, tail) = rest.split_first()?;
            *rest = tail;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
