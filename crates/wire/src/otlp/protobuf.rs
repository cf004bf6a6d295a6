//! OTLP in protobuf, read where it lies: nothing is built of what is not kept.
//!
//! A message of two bytes would become a struct of hundreds; so fields are walked one by one, by
//! the numbers that `opentelemetry-proto` publishes, and only what becomes an event is copied.

use super::span::{Attribute, Attributes, Kept, Mark, Span};
use super::{Torn, Traces};

/// One field's value, still encoded where it is a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The fields of one message, in the order they stand.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    const fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.split(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.split(length)?)
            }
            5 => self.split(4).map(|_| Wire::Fixed32)?,
            _ => return None,
        };
        let number = key >> 3;
        (number != 0).then_some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let left = self.rest.len();
        Some(self.field().ok_or_else(|| {
            self.rest = &[];
            Torn { left: Some(left) }
        }))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Torn> {
    std::str::from_utf8(bytes).map_err(|_| Torn { left: None })
}

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Traces, Torn> {
    let mut traces = Traces::default();
    for field in Fields::of(body) {
        if let (1, Wire::Bytes(resource_spans)) = field? {
            let (resource, kept) = resource_spans_of(resource_spans)?;
            traces.add(resource, kept);
        }
    }
    Ok(traces)
}

/// `ResourceSpans`: 1 resource, 2 `scope_spans`.
fn resource_spans_of(message: &[u8]) -> Result<(Attributes, Kept), Torn> {
    let (mut resource, mut kept) = (Attributes::default(), Kept::default());
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(bytes)) => repeated_attributes(bytes, 1, &mut resource)?,
            (2, Wire::Bytes(scope_spans)) => {
                for field in Fields::of(scope_spans) {
                    if let (2, Wire::Bytes(bytes)) = field? {
                        kept.push(span(bytes)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok((resource, kept))
}

fn repeated_attributes(message: &[u8], number: u64, out: &mut Attributes) -> Result<(), Torn> {
    for field in Fields::of(message) {
        if let (found, Wire::Bytes(pair)) = field?
            && found == number
        {
            attribute(pair, out)?;
        }
    }
    Ok(())
}

/// `KeyValue`: 1 key, 2 value.
fn attribute(message: &[u8], out: &mut Attributes) -> Result<(), Torn> {
    let (mut key, mut value) = ("", Attribute::Other);
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(bytes)) => key = text(bytes)?,
            (2, Wire::Bytes(bytes)) if Attributes::knows(key) => value = any_value(bytes)?,
            (2, Wire::Bytes(bytes)) if key.is_empty() => value = any_value(bytes)?,
            _ => {}
        }
    }
    out.set(key, value);
    Ok(())
}

/// `AnyValue`: 1 string, 2 bool, 3 int; other kinds are no value of ours.
fn any_value(message: &[u8]) -> Result<Attribute, Torn> {
    let mut value = Attribute::Other;
    for field in Fields::of(message) {
        value = match field? {
            (1, Wire::Bytes(bytes)) => Attribute::Text(text(bytes)?.to_owned()),
            (2, Wire::Varint(flag)) => Attribute::Flag(flag != 0),
            (3, Wire::Varint(number)) => Attribute::Int(number.cast_signed()),
            _ => Attribute::Other,
        };
    }
    Ok(value)
}

/// `Span`: 1 `trace_id`, 2 `span_id`, 4 `parent_span_id`, 5 name, 7 start, 8 end, 9 attributes, 11 events,
/// 15 status.
fn span(message: &[u8]) -> Result<Span, Torn> {
    let mut span = Span::default();
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Bytes(id)) => span.trace = id.try_into().unwrap_or_default(),
            (2, Wire::Bytes(id)) => span.id = id.try_into().unwrap_or_default(),
            (4, Wire::Bytes(id)) => span.parent = id.try_into().unwrap_or_default(),
            (5, Wire::Bytes(name)) => span.named_checkout = Span::is_checkouts_name(text(name)?),
            (7, Wire::Fixed64(ns)) => span.start_ns = ns,
            (8, Wire::Fixed64(ns)) => span.end_ns = ns,
            (9, Wire::Bytes(pair)) => attribute(pair, &mut span.attributes)?,
            (11, Wire::Bytes(bytes)) => span.marks.push(event(bytes)?),
            (15, Wire::Bytes(status)) => span.error = status_is_error(status)?,
            _ => {}
        }
    }
    Ok(span)
}

/// `Span.Event`: 1 time, 2 name.
fn event(message: &[u8]) -> Result<Option<Mark>, Torn> {
    let (mut at_ns, mut name) = (0, "");
    for field in Fields::of(message) {
        match field? {
            (1, Wire::Fixed64(ns)) => at_ns = ns,
            (2, Wire::Bytes(bytes)) => name = text(bytes)?,
            _ => {}
        }
    }
    Ok(Mark::of(name, at_ns))
}

/// `Status`: 3 code; 2 is an error.
fn status_is_error(message: &[u8]) -> Result<bool, Torn> {
    let mut error = false;
    for field in Fields::of(message) {
        if let (3, Wire::Varint(code)) = field? {
            error = code == super::span::STATUS_ERROR;
        }
    }
    Ok(error)
}

/// Counts the messages at the end of `path`; each step is the field numbers that lead on.
pub(super) fn count(message: &[u8], path: &[&[u64]]) -> Result<u64, Torn> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(1);
    };
    let mut found = 0;
    for field in Fields::of(message) {
        if let (number, Wire::Bytes(bytes)) = field?
            && step.contains(&number)
        {
            found += count(bytes, rest)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_walked_and_a_torn_one_ends_the_walk() {
        let bytes = [
            0x08, 0x96, 0x01, 0x12, 1, b'x', 0x1d, 1, 2, 3, 4, 0x21, 9, 0, 0, 0, 0, 0, 0, 0,
        ];
        let found: Vec<_> = Fields::of(&bytes).map(Result::ok).collect();
        assert_eq!(
            found,
            [
                Some((1, Wire::Varint(150))),
                Some((2, Wire::Bytes(b"x"))),
                Some((3, Wire::Fixed32)),
                Some((4, Wire::Fixed64(9))),
            ]
        );
        for torn in [
            &[0x08][..],
            &[0x12, 2, b'x'],
            &[0x0b],
            &[0x00, 0x01],
            &[0xff; 11],
            &[0x09, 1],
        ] {
            let found: Vec<_> = Fields::of(torn).collect();
            assert!(matches!(found[..], [Err(_)]), "{torn:?} {found:?}");
        }
    }
}
