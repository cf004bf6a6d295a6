//! Raw reads at the border: what is asked for, and a record as a line of the answer.

use popwatch_core::access::raw::{PartClass, Purpose, ReadRequest};
use popwatch_core::code::Code;
use popwatch_core::event::Event;
use popwatch_core::id::Position;
use popwatch_core::record::{Extra, Record};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::event_v1::cloudevent;
use crate::json::rfc3339_ms;
use crate::problem::Problem;

/// The body of a raw read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    purpose: String,
    from: String,
    to: String,
    #[serde(default)]
    rigs: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    classes: Vec<String>,
}

/// Reads what somebody wants to read of a popup.
pub fn request(popup: &str, body: &[u8]) -> Result<ReadRequest, Problem> {
    let wrong = |detail: &str| Problem::new(Code::QueryInvalid, detail);
    let asked: Asked = serde_json::from_slice(body).map_err(|_| {
        wrong(
            "send a JSON object with purpose, from and to (RFC 3339), and if wanted rigs, fields \
             and classes",
        )
    })?;
    let purpose = Purpose::parse(&asked.purpose)
        .ok_or_else(|| wrong("purpose is dispute, fraud, debugging or subject_request"))?;
    let time = |text: &str| rfc3339_ms(text).ok_or_else(|| wrong("from and to are RFC 3339 times"));
    let classes = asked.classes.iter().map(|class| {
        PartClass::parse(class).ok_or_else(|| wrong("classes are raw, contact and freetext"))
    });
    Ok(ReadRequest {
        popup: popup.to_owned(),
        from_ms: time(&asked.from)?,
        to_ms: time(&asked.to)?,
        classes: classes.collect::<Result<_, _>>()?,
        rigs: asked.rigs,
        fields: asked.fields,
        purpose,
    })
}

/// A client's record with the fields of its data that `shows` lets through; what popwatch wrote itself is
/// about no person and is left out. For one creator's eyes: only records
/// that name them, and no lines, which may name others.
#[must_use]
pub fn row(
    record: &Record,
    position: &Position,
    shows: &dyn Fn(&str) -> bool,
    creator: Option<&str>,
) -> Option<Json> {
    if matches!(record.event, Event::System(_)) {
        return None;
    }
    let mut row = cloudevent(record, Some(position));
    let data = row.get_mut("data")?.as_object_mut()?;
    if let Some(creator) = creator {
        if data.get("creator").and_then(Json::as_str) != Some(creator) {
            return None;
        }
        data.remove("lines");
    }
    for value in record.beyond.iter().flat_map(|beyond| &beyond.values) {
        data.insert(value.path.clone(), Json::from(value.text.as_str()));
    }
    data.retain(|field, _| shows(field));
    Some(row)
}

/// A sealed part as a read finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// What it says, by path.
    Says(Vec<Extra>),
    /// It stays shut, and why.
    Shut(String),
}

/// Adds what sealed parts say: an object of values, a sentence where the part is shut, null where the record
/// has none.
pub fn put_parts(row: &mut Json, parts: impl IntoIterator<Item = (&'static str, Option<Opened>)>) {
    let parts: serde_json::Map<String, Json> = parts
        .into_iter()
        .map(|(class, part)| {
            let part = match part {
                None => Json::Null,
                Some(Opened::Shut(why)) => Json::from(why),
                Some(Opened::Says(values)) => {
                    let values = values.into_iter();
                    values
                        .map(|value| (value.path, Json::from(value.text)))
                        .collect()
                }
            };
            (class.to_owned(), part)
        })
        .collect();
    if !parts.is_empty() {
        row["sealed"] = Json::Object(parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_asked_for_in_full_or_not_at_all() {
        let body =
            br#"{"purpose":"dispute","from":"2026-11-28T17:00:00Z","to":"2026-11-28T18:00:00Z",
            "fields":["amount"],"classes":["contact"]}"#;
        let read = request("fri", body).unwrap();
        assert_eq!(read.to_ms - read.from_ms, 3_600_000);
        assert_eq!(
            (read.popup.as_str(), read.purpose),
            ("fri", Purpose::Dispute)
        );
        let text = String::from_utf8(body.to_vec()).unwrap();
        for (from, to) in [
            ("dispute", "because"),
            ("\"contact\"", "\"pan\""),
            ("2026-11-28T17", "yesterday"),
            ("\"fields\"", "\"columns\""),
        ] {
            let fault = request("fri", text.replace(from, to).as_bytes()).unwrap_err();
            assert_eq!(fault.code, Code::QueryInvalid);
            assert!(!fault.detail.contains("because") && !fault.detail.contains("yesterday"));
        }
    }
}
