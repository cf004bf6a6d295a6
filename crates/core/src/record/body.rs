//! An event's data as protobuf fields, walked through the catalogue.
//!
//! Texts are strings; numbers and flags are zigzag varints; lines and stages are repeated messages
//! (line: 1 sku, 2 qty, 3 amount, 4 creator; stage: 1 name, 2 ms). Chat text is never written: its
//! score stands in its place, and a text that was not scored reads back as empty.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, bytes, decode_key, message, sint64, skip_field, string,
};

use crate::event::{
    Event, EventType, Field, FieldFault, FieldSink, FieldSource, Kind, Line, Stage, Value,
    ValueFault,
};
use crate::id::{CheckoutStage, CreatorId, Sku};

#[derive(Clone, PartialEq, Message)]
struct LineMessage {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(sint64, tag = "2")]
    qty: i64,
    #[prost(sint64, tag = "3")]
    amount: i64,
    #[prost(string, tag = "4")]
    creator: String,
}

#[derive(Clone, PartialEq, Message)]
struct StageMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    ms: u32,
}

struct BodySink(Vec<u8>);

impl FieldSink for BodySink {
    fn put(&mut self, field: &'static Field, value: Value) {
        if !matches!((field.kind, &value), (Kind::Text, Value::Text(_))) {
            encode_value(field, &value, &mut self.0);
        }
    }
}

/// The data's bytes.
pub(super) fn encode(event: &Event) -> Vec<u8> {
    let mut sink = BodySink(Vec::with_capacity(128));
    event.write(&mut sink);
    sink.0
}

/// Appends one field.
pub(super) fn encode_value(field: &'static Field, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => bytes::encode(field.tag, &text.as_bytes().to_vec(), out),
        Value::Int(number) => sint64::encode(field.tag, number, out),
        Value::Flag(flag) => sint64::encode(field.tag, &i64::from(*flag), out),
        Value::Lines(lines) => {
            for line in lines {
                let line = LineMessage {
                    sku: line.sku.as_str().to_string(),
                    qty: line.qty,
                    amount: line.amount,
                    creator: line.creator.as_ref().map(String::from).unwrap_or_default(),
                };
                message::encode(field.tag, &line, out);
            }
        }
        Value::Stages(stages) => {
            for stage in stages {
                let stage = StageMessage {
                    name: stage.name.as_str().to_string(),
                    ms: stage.ms,
                };
                message::encode(field.tag, &stage, out);
            }
        }
    }
}

/// Values by tag, as read from the bytes.
struct BodySource(Vec<(u32, Value)>);

impl FieldSource for BodySource {
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
        let found = self.0.iter().position(|(tag, _)| *tag == field.tag);
        let value = found.map(|at| self.0.swap_remove(at).1);
        Ok(match (field.kind, value) {
            (Kind::Text, None) => Some(Value::Text(Arc::from(""))),
            (Kind::Flag, Some(Value::Int(number))) => Some(Value::Flag(number != 0)),
            (_, value) => value,
        })
    }
}

/// Reads the data's bytes.
pub(super) fn decode(of: EventType, bytes: &[u8]) -> Result<Event, FieldFault> {
    let mut values = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).map_err(|_| damaged("data"))?;
        match of.fields().iter().find(|field| field.tag == tag) {
            Some(field) => decode_value(field, wire, &mut rest, &mut values)?,
            None => skip_field(wire, tag, &mut rest, DecodeContext::default())
                .map_err(|_| damaged("data"))?,
        }
    }
    Event::read(of, &mut BodySource(values))
}

fn damaged(path: &str) -> FieldFault {
    FieldFault {
        path: path.to_string(),
        fault: ValueFault::Damaged,
    }
}

fn decode_value(
    field: &'static Field,
    wire: WireType,
    rest: &mut &[u8],
    values: &mut Vec<(u32, Value)>,
) -> Result<(), FieldFault> {
    let fault = |_| damaged(field.name);
    let context = DecodeContext::default();
    match field.kind {
        Kind::Minor
        | Kind::MinorSigned
        | Kind::Count
        | Kind::CountSigned
        | Kind::Bytes
        | Kind::Millis
        | Kind::Moment
        | Kind::Thousandths
        | Kind::Text
        | Kind::Flag => {
            let mut number = 0;
            sint64::merge(wire, &mut number, rest, context).map_err(fault)?;
            values.push((field.tag, Value::Int(number)));
        }
        Kind::Lines => {
            let mut line = LineMessage::default();
            message::merge(wire, &mut line, rest, context).map_err(fault)?;
            let line = read_line(line).ok_or_else(|| damaged(field.name))?;
            match values.iter_mut().find(|(tag, _)| *tag == field.tag) {
                Some((_, Value::Lines(lines))) => lines.push(line),
                _ => values.push((field.tag, Value::Lines(Vec::from([line])))),
            }
        }
        Kind::Stages => {
            let mut stage = StageMessage::default();
            message::merge(wire, &mut stage, rest, context).map_err(fault)?;
            let name = CheckoutStage::new(&stage.name).map_err(|_| damaged(field.name))?;
            let stage = Stage { name, ms: stage.ms };
            match values.iter_mut().find(|(tag, _)| *tag == field.tag) {
                Some((_, Value::Stages(stages))) => stages.push(stage),
                _ => values.push((field.tag, Value::Stages(Vec::from([stage])))),
            }
        }
        Kind::Reference
        | Kind::Name
        | Kind::Subject
        | Kind::Remark
        | Kind::Currency
        | Kind::Choice(_)
        | Kind::OpenChoice(_) => {
            let mut text = String::new();
            string::merge(wire, &mut text, rest, context).map_err(fault)?;
            values.push((field.tag, Value::Text(Arc::from(text))));
        }
    }
    Ok(())
}

fn read_line(line: LineMessage) -> Option<Line> {
    let creator = match line.creator.as_str() {
        "" => None,
        text => Some(CreatorId::new(text).ok()?),
    };
    Some(Line {
        sku: Sku::new(&line.sku).ok()?,
        qty: line.qty,
        amount: line.amount,
        creator,
    })
}
