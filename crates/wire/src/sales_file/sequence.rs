//! The other kind of sales file: one structured CloudEvent per line, replayed in its own order.
//!
//! Ids, sources and data stay as they are; `popup` and `time` become those of the replay. Events of
//! one source keep their order, because one rig reports them all.

use super::SalesFileFault;
use super::plan::{Plan, TimedEvent};
use crate::json::{rfc3339, rfc3339_ms};
use popwatch_core::limits;
use popwatch_core::time::WallMs;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The events of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// In the order of their times; equal ones as in the file.
    pub events: Vec<SequenceEvent>,
    /// Milliseconds from the first time to a second after the last.
    pub span_ms: i64,
}

/// One event of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceEvent {
    /// Which rig reports it: the how manieth source of the file it comes from.
    pub rig_index: usize,
    /// Milliseconds since the first time of the file.
    pub offset_ms: i64,
    event: Value,
}

impl Sequence {
    /// Reads a file. Blank lines and a byte order mark are skipped. Fails on the first line that is
    /// no JSON object, or has no `time` or no `source`.
    pub fn read(bytes: &[u8]) -> Result<Self, SalesFileFault> {
        if bytes.len() > limits::SALES_FILE_BYTES_MAX {
            return Err(SalesFileFault::TooLarge {
                max: limits::SALES_FILE_BYTES_MAX,
            });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut sources = BTreeMap::<String, usize>::new();
        let mut events = Vec::new();
        for (row, line) in (1u64..).zip(bytes.split(|byte| *byte == b'\n')) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (source, time_ms, event) = read_line(row, line)?;
            let fresh = sources.len();
            let rig_index = *sources.entry(source).or_insert(fresh);
            events.push(SequenceEvent {
                rig_index,
                offset_ms: time_ms,
                event,
            });
        }
        events.sort_by_key(|event| event.offset_ms);
        let first_ms = events.first().ok_or(SalesFileFault::Empty)?.offset_ms;
        for event in &mut events {
            event.offset_ms -= first_ms;
        }
        let span_ms = events.last().map_or(0, |event| event.offset_ms) + 1_000;
        Ok(Self { events, span_ms })
    }

    /// When an event happens in a popup of `hours`, milliseconds after its start.
    #[must_use]
    pub fn offset_ms(&self, event: &SequenceEvent, hours: u32) -> i64 {
        let scaled = i128::from(event.offset_ms) * i128::from(hours) * 3_600_000;
        i64::try_from(scaled.div_euclid(i128::from(self.span_ms)))
            .expect("an offset is less than hours of milliseconds")
    }

    /// The event as it is sent.
    #[must_use]
    pub fn event(&self, plan: &Plan, event: &SequenceEvent) -> TimedEvent {
        let time = WallMs(plan.starts.0 + self.offset_ms(event, plan.hours));
        let mut value = event.event.clone();
        value["popup"] = json!(plan.popup.as_str());
        value["time"] = json!(rfc3339(time.0));
        TimedEvent { time, event: value }
    }
}

fn read_line(row: u64, line: &[u8]) -> Result<(String, i64, Value), SalesFileFault> {
    let fault = |column, rule| SalesFileFault::Field { row, column, rule };
    let event: Value = serde_json::from_slice(line)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| fault("event", "must be one JSON object"))?;
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    let source = text("source")
        .ok_or_else(|| fault("source", "must be a string"))?
        .to_owned();
    let time_ms = text("time")
        .and_then(rfc3339_ms)
        .ok_or_else(|| fault("time", "must be an RFC 3339 time"))?;
    Ok((source, time_ms, event))
}
