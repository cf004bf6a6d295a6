//! The routes as data agree with themselves.

use super::document::operation_id;
use super::*;
use serde_json::Value as Json;
use std::collections::BTreeSet;

#[test]
fn routes_stand_once_per_role_and_name_their_parameters() {
    for role in Role::ALL {
        let mut seen = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for route in ROUTES.iter().filter(|route| route.roles.contains(&role)) {
            assert!(seen.insert((route.method, route.path)), "{}", route.path);
            assert!(ids.insert(operation_id(route)), "{}", route.path);
            let braces = route.path.matches('{').count();
            let named = route.parameters.iter().filter(|parameter| {
                parameter.in_path && route.path.contains(&format!("{{{}}}", parameter.name))
            });
            assert_eq!(named.count(), braces, "{}", route.path);
            let statuses: BTreeSet<_> = route.answers.iter().map(|a| a.status).collect();
            assert_eq!(statuses.len(), route.answers.len(), "{}", route.path);
        }
    }
}

#[test]
fn every_reference_of_a_document_resolves() {
    fn references(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::Object(object) => {
                for (key, value) in object {
                    match value.as_str().filter(|_| key == "$ref") {
                        Some(target) => out.push(target.to_owned()),
                        None => references(value, out),
                    }
                }
            }
            Json::Array(items) => items.iter().for_each(|item| references(item, out)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
    for role in Role::ALL {
        let document = openapi(role);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
    assert!(openapi(Role::Edge)["paths"]["/v1/events"]["post"].is_object());
}

#[test]
fn what_a_body_or_parameter_must_be_is_told() {
    let ledger = openapi(Role::Ledger);
    for route in ROUTES {
        let json = route
            .takes
            .iter()
            .find(|body| body.media == "application/json");
        let known = ["events", "close", "counts", "settlements", "decisions"];
        let is_file =
            known.iter().any(|end| route.path.ends_with(end)) || route.path.contains("webhooks");
        assert!(
            is_file || json.is_none_or(|body| body.schema.is_some()),
            "{}",
            route.path
        );
    }
    let at = |pointer: &str| {
        ledger
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer}"))
    };
    assert_eq!(
        at("/components/schemas/NewRig/required"),
        &serde_json::json!(["rig"])
    );
    assert_eq!(
        at("/paths/~1v1~1audit/get/parameters/0/schema/type"),
        "integer"
    );
    assert_eq!(at("/paths/~1healthz/post/requestBody/required"), false);
    let edge = openapi(Role::Edge);
    assert_eq!(edge.pointer("/paths/~1v1~1audit~1peers"), None);
    assert!(edge.pointer("/components/schemas/NewRig").is_none());
}
