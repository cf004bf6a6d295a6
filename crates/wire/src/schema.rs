//! JSON Schemas of every event a client may report, made from the catalogue.

use popwatch_core::event::{EventType, Field, Kind};
use popwatch_core::limits;
use serde_json::{Map, Value as Json, json};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const BASE: &str = "https://popwatch.dev/schemas/";
/// Strings of names, subjects and remarks have bounds of their own type; the schema states the
/// widest of each kind.
const NAME_MAX: usize = 64;
const SUBJECT_MAX: usize = 128;
const REMARK_MAX: usize = 256;

/// All schemas by file name, in catalogue order: one structured CloudEvent per type.
#[must_use]
pub fn all() -> Vec<(String, Json)> {
    let types = EventType::ALL.iter();
    types.map(|of| (file_name(*of), event(*of))).collect()
}

/// The file a type's schema stands in.
#[must_use]
pub fn file_name(of: EventType) -> String {
    format!("{}.schema.json", of.name())
}

/// The schema of a whole event.
#[must_use]
pub fn event(of: EventType) -> Json {
    let identity = |doc: &str| {
        json!({
            "description": doc,
            "type": "string",
            "minLength": 1,
            "maxLength": limits::EVENT_ID_BYTES_MAX,
        })
    };
    json!({
        "$schema": DIALECT,
        "$id": format!("{BASE}{}", file_name(of)),
        "title": format!("popwatch.{}", of.name()),
        "description": of.doc(),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": identity("The idempotency key, with source: the same for every retry."),
            "source": identity("Who reports: a till, a shop system."),
            "type": {"const": format!("popwatch.{}", of.name())},
            "time": {"description": "The sender's clock.", "type": "string", "format": "date-time"},
            "popup": {
                "description": "The popup; the rig's default if absent.",
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "maxLength": NAME_MAX,
            },
            "agems": {
                "description": "Age when sent, milliseconds by the sender's steady clock.",
                "type": ["integer", "string"],
                "minimum": 0,
                "maximum": i32::MAX,
            },
            "datacontenttype": {"type": "string"},
            "data": data(of),
        },
    })
}

/// The schema of a type's data. Names beyond it are no error: they are removed and counted.
#[must_use]
pub fn data(of: EventType) -> Json {
    let fields = of.fields();
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let properties: Map<String, Json> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field_schema(field)))
        .collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn field_schema(field: &Field) -> Json {
    let mut schema = kind_schema(field.kind);
    schema["description"] = json!(field.doc);
    schema
}

fn kind_schema(kind: Kind) -> Json {
    match kind {
        Kind::Reference => json!({
            "type": "string",
            "pattern": "^[A-Za-z0-9._:~/-]+$",
            "maxLength": limits::REFERENCE_BYTES_MAX,
        }),
        Kind::Name => text(NAME_MAX),
        Kind::Subject => text(SUBJECT_MAX),
        Kind::Remark => text(REMARK_MAX),
        Kind::Text => json!({"type": "string"}),
        Kind::Currency => json!({"type": "string", "pattern": "^[A-Z]{3}$"}),
        Kind::Minor => integer(0, limits::AMOUNT_MINOR_MAX),
        Kind::MinorSigned => integer(-limits::AMOUNT_MINOR_MAX, limits::AMOUNT_MINOR_MAX),
        Kind::Count => integer(0, limits::QUANTITY_MAX),
        Kind::CountSigned => integer(-limits::QUANTITY_MAX, limits::QUANTITY_MAX),
        Kind::Bytes => integer(0, 1 << 53),
        Kind::Millis => integer(0, i64::from(i32::MAX)),
        Kind::Moment => json!({"type": "string", "format": "date-time"}),
        Kind::Thousandths => json!({"type": "number"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Choice(values) => json!({"type": "string", "enum": values}),
        Kind::OpenChoice(values) => json!({"type": "string", "examples": values}),
        Kind::Lines => json!({
            "type": "array",
            "maxItems": limits::EVENT_LINES_MAX,
            "items": {
                "type": "object",
                "required": ["sku", "qty", "amount"],
                "properties": {
                    "sku": text(NAME_MAX),
                    "qty": integer(0, limits::QUANTITY_MAX),
                    "amount": integer(-limits::AMOUNT_MINOR_MAX, limits::AMOUNT_MINOR_MAX),
                    "creator": text(NAME_MAX),
                },
            },
        }),
        Kind::Stages => json!({
            "type": "object",
            "maxProperties": limits::EVENT_STAGES_MAX,
            "additionalProperties": integer(0, i64::from(i32::MAX)),
        }),
    }
}

fn text(max: usize) -> Json {
    json!({"type": "string", "minLength": 1, "maxLength": max})
}

fn integer(min: i64, max: i64) -> Json {
    json!({"type": "integer", "minimum": min, "maximum": max})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_schema_with_every_field() {
        let all = all();
        assert_eq!(all.len(), EventType::ALL.len());
        for (of, (name, schema)) in EventType::ALL.iter().zip(all) {
            assert_eq!(name, format!("{}.schema.json", of.name()));
            let data = &schema["properties"]["data"];
            for field in of.fields() {
                assert!(data["properties"][field.name]["description"].is_string());
                let required = data["required"].as_array().unwrap();
                assert_eq!(required.contains(&json!(field.name)), field.required);
            }
        }
    }
}
