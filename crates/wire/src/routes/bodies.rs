//! Bodies that requests bring, as JSON Schema: what `/openapi.json` shows to whoever sent another.

use popwatch_core::id::{PopupId, RigId};
use serde_json::{Value as Json, json};

/// A name of letters, digits, `.`, `_` and `-` that begins with a letter or digit.
pub(super) fn name_schema(most: usize) -> Json {
    let pattern = format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", most - 1);
    json!({"type": "string", "pattern": pattern})
}

/// An object in which these properties must stand, and no others than `properties` may.
fn object(required: &[&str], properties: &Json) -> Json {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn texts() -> Json {
    json!({"type": "array", "items": {"type": "string"}})
}

fn or_null(schema: Json) -> Json {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn time() -> Json {
    json!({"type": "string", "format": "date-time"})
}

/// `POST /v1/session`: a pass, a code, or the end.
pub(super) fn session() -> Json {
    let text = or_null(json!({"type": "string"}));
    object(
        &[],
        &json!({"pass": text, "code": text, "end": {"type": "boolean"}}),
    )
}

/// `POST …/raw`: which single records, and what for.
pub(super) fn raw_read() -> Json {
    let properties = json!({
        "purpose": {"enum": ["dispute", "fraud", "debugging", "subject_request"]},
        "from": time(),
        "to": time(),
        "rigs": texts(),
        "fields": texts(),
        "classes": {"type": "array", "items": {"enum": ["raw", "contact", "freetext"]}},
    });
    object(&["purpose", "from", "to"], &properties)
}

/// `POST …/leases`: which keys are no more.
pub(super) fn lease() -> Json {
    let end = object(
        &["class", "key_id", "at_ms"],
        &json!({
            "class": {"enum": ["raw", "contact", "freetext", "pseudonym"]},
            "key_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "at_ms": {"type": "integer"},
        }),
    );
    let ends = json!({"type": "array", "items": end, "maxItems": 64});
    let properties = json!({"destroyed": ends, "used": {"type": "boolean"}});
    object(&["destroyed"], &properties)
}

/// `POST /v1/policies`: what `popwatch policy sign` prints.
pub(super) fn policy_bundle() -> Json {
    let properties = json!({
        "note": {"type": "string"},
        "policy": {"type": "object"},
        "revoked": or_null(json!({"type": "object"})),
    });
    object(&["note", "policy"], &properties)
}

/// `POST /v1/rigs`: the machine that may join.
pub(super) fn new_rig() -> Json {
    let properties = json!({
        "rig": name_schema(RigId::BYTES_MAX),
        "kind": {"enum": ["rig", "region", null]},
        "popups": {"type": "array", "items": name_schema(PopupId::BYTES_MAX)},
        "not_after": or_null(time()),
    });
    object(&["rig"], &properties)
}

/// `POST /v1/enrol`: that a machine knows its code, without the code.
pub(super) fn code_proof() -> Json {
    let text = json!({"type": "string"});
    let properties = json!({"id": text, "key": text, "nonce": text, "mac": text});
    object(&["id", "key", "nonce", "mac"], &properties)
}

/// `POST /v1/audit/peer`: the newest head of a trail.
pub(super) fn audit_head() -> Json {
    let text = json!({"type": "string"});
    let number = json!({"type": "integer", "minimum": 0});
    let head = json!({"key": text, "checkpoint": text, "from": number, "proof": texts()});
    let properties = json!({
        "told": object(&["key", "checkpoint", "from", "proof"], &head),
        "holds": number,
        "convicted": or_null(text),
    });
    object(&["told", "holds"], &properties)
}

/// `POST /v1/traces`, `/v1/logs`, `/v1/metrics` (opentelemetry.io/docs/specs/otlp).
pub(super) fn otlp() -> Json {
    json!({"type": "object", "description": "A message of OTLP 1 in its JSON form."})
}
