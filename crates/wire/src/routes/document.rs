//! The `OpenAPI` document of a role, made of the routes it serves.

use popwatch_core::event::EventType;
use popwatch_core::id::{PopupId, RigId};
use serde_json::{Map, Value as Json, json};

use super::bodies::{self, name_schema};
use super::{Body, Kind, Parameter, ROUTES, Role, Route};
use crate::schema;

/// A body of which every content is one.
const BYTES: &str = "application/octet-stream";

/// The `OpenAPI` 3.1 document of a role.
#[must_use]
pub fn openapi(role: Role) -> Json {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.roles.contains(&role)) {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.key()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("popwatch {}", role.name()),
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": format!("http://127.0.0.1:{}", role.port())}],
        "paths": paths,
        "components": {"schemas": components(role)},
    })
}

fn operation(route: &Route) -> Json {
    let answers: Map<String, Json> = route
        .answers
        .iter()
        .map(|answer| {
            let mut out = json!({"description": answer.doc});
            if let Some(body) = answer.body {
                out["content"] = content(&[body]);
            }
            (answer.status.to_string(), out)
        })
        .collect();
    let mut out = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "responses": answers,
    });
    if !route.parameters.is_empty() {
        out["parameters"] = route.parameters.iter().map(parameter).collect();
    }
    if !route.takes.is_empty() {
        // Bytes may be none at all.
        let required = route.takes.iter().any(|body| body.media != BYTES);
        out["requestBody"] = json!({"required": required, "content": content(route.takes)});
    }
    out
}

/// `get_popups_popup_summary`: method and path in one word.
pub(super) fn operation_id(route: &Route) -> String {
    let mut id = route.method.key().to_owned();
    let parts = route.path.split(|c: char| !c.is_ascii_alphanumeric());
    for part in parts.filter(|part| !part.is_empty() && *part != "v1") {
        id.push('_');
        id.push_str(part);
    }
    id
}

fn parameter(parameter: &Parameter) -> Json {
    let mut schema = match parameter.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Number => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
        Kind::Name => name_schema(PopupId::BYTES_MAX),
        Kind::Rig => name_schema(RigId::BYTES_MAX),
    };
    if !parameter.values.is_empty() {
        schema["enum"] = json!(parameter.values);
    }
    json!({
        "name": parameter.name,
        "in": if parameter.in_path { "path" } else { "query" },
        "required": parameter.in_path,
        "description": parameter.doc,
        "schema": schema,
    })
}

fn content(bodies: &[Body]) -> Json {
    let bodies = bodies.iter().map(|body| {
        let media = match body.schema {
            Some(name) => json!({"schema": {"$ref": format!("#/components/schemas/{name}")}}),
            None => json!({}),
        };
        (body.media.to_owned(), media)
    });
    Json::Object(bodies.collect())
}

fn components(role: Role) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("Problem".to_owned(), problem_schema());
    out.insert("Document".to_owned(), json!({"type": "object"}));
    out.insert("SessionWish".to_owned(), bodies::session());
    if role == Role::Ledger {
        out.insert("AuditHead".to_owned(), bodies::audit_head());
        out.insert("CodeProof".to_owned(), bodies::code_proof());
        out.insert("NewRig".to_owned(), bodies::new_rig());
    }
    if role != Role::Region {
        out.insert("RawRead".to_owned(), bodies::raw_read());
        out.insert("Lease".to_owned(), bodies::lease());
        out.insert("PolicyBundle".to_owned(), bodies::policy_bundle());
    }
    if role != Role::Edge {
        return out;
    }
    let mut any = Vec::new();
    for of in EventType::ALL {
        let name = component_name(*of);
        any.push(json!({"$ref": format!("#/components/schemas/{name}")}));
        out.insert(name, schema::event(*of));
    }
    out.insert("Event".to_owned(), json!({"oneOf": any}));
    out.insert(
        "Events".to_owned(),
        json!({"type": "array", "items": {"$ref": "#/components/schemas/Event"}}),
    );
    out.insert("Verdicts".to_owned(), verdicts_schema());
    out.insert("Otlp".to_owned(), bodies::otlp());
    out
}

/// `payment.captured` as `PaymentCaptured`.
fn component_name(of: EventType) -> String {
    let words = of.name().split('.').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect()
}

fn problem_schema() -> Json {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": code_schema(),
            "offset": {"type": "integer", "minimum": 0},
        },
    })
}

fn code_schema() -> Json {
    json!({"type": "string", "pattern": "^PW[0-9]{4}$"})
}

fn verdicts_schema() -> Json {
    json!({
        "type": "object",
        "required": ["rig", "epoch", "durable_seq", "results"],
        "properties": {
            "rig": {"type": "string"},
            "epoch": {"type": "integer"},
            "durable_seq": {"type": "integer"},
            "results": {"type": "array", "items": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"enum": ["accepted", "duplicate", "rejected"]},
                    "epoch": {"type": "integer"},
                    "seq": {"type": "integer"},
                    "late": {"type": "boolean"},
                    "error": {
                        "type": "object",
                        "required": ["code", "detail"],
                        "properties": {
                            "code": code_schema(),
                            "field": {"type": "string"},
                            "detail": {"type": "string"},
                        },
                    },
                },
            }},
        },
    })
}
