//! The JSON Schema of policy documents, made from the tables that reading uses: editors complete and
//! check by it. It is looser than reading, which knows the floor and what goes together.

use popwatch_core::access::raw::{PartClass, Purpose};
use popwatch_core::access::{Action, Scope};
use popwatch_core::event::EventType;
use popwatch_core::event::commerce::WHOLE_PPM;
use popwatch_core::limits::{
    AMOUNT_MINOR_MAX, COMMERCE_COOPS_MAX, COMMERCE_SHARES_MAX, COOP_MEMBERS_MAX, HOLD_DAYS_MAX,
    PLAN_STEPS_MAX, POLICY_RULES_MAX, POLICY_SIGNERS_MAX,
};
use popwatch_core::policy::limit::{Limit, Strict, Unit};
use popwatch_core::policy::rule::{Detector, Domain};
use popwatch_core::policy::terms::is_observation;
use popwatch_core::slo::{Slo, Tier};
use serde_json::{Map, Value, json};

use super::API;
use super::rules::EXTRA_HOLDS;

/// The schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let mut properties = Map::new();
    let mut put = |name: &str, schema: Value| properties.insert(name.to_owned(), schema);
    put("api", json!({"const": API}));
    put("kind", json!({"enum": ["org_floor", "popup"]}));
    for name in ["org", "popup"] {
        put(name, json!({"type": "string", "minLength": 1}));
    }
    put("version", json!({"type": "integer", "minimum": 1}));
    put(
        "parent",
        json!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}),
    );
    put("floor", json!({"type": "integer", "minimum": 0}));
    for name in ["not_before", "expires"] {
        put(name, json!({"type": "string", "format": "date-time"}));
    }
    put("offline_grace", limit(Limit::OfflineGrace));
    put("window", window());
    put("retention", retention());
    put("fields", fields());
    put("extra", extra());
    put("unknown_types", json!({"enum": ["refuse", "opaque"]}));
    let sampled = EventType::ALL.iter().filter(|of| is_observation(**of));
    let rate = json!({"type": "integer", "minimum": 0, "maximum": WHOLE_PPM});
    put(
        "sampling",
        object(sampled.map(|of| (of.name(), rate.clone())), &[]),
    );
    put("disclosure", limits("disclosure", []));
    put("access", access());
    put("promises", promises(&rate));
    put("commerce", commerce(&rate));
    put("rollout", rollout(&rate));
    put(
        "signing",
        object(
            [
                ("threshold", json!({"type": "integer", "minimum": 1})),
                (
                    "signers",
                    list(&json!({"type": "string"}), POLICY_SIGNERS_MAX),
                ),
            ],
            &["threshold", "signers"],
        ),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://popwatch.dev/schemas/policy.json",
        "title": "A policy of popwatch",
        "type": "object",
        "additionalProperties": false,
        "required": ["api", "kind", "org", "version", "not_before", "expires"],
        "properties": properties,
        "$defs": {"rule": rule()},
    })
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>, required: &[&str]) -> Value {
    let fields = fields.into_iter();
    let fields: Map<_, _> = fields.map(|(name, of)| (name.to_owned(), of)).collect();
    json!({
        "type": "object", "additionalProperties": false, "properties": fields, "required": required,
    })
}

fn list(of: &Value, max: usize) -> Value {
    json!({"type": "array", "items": of, "maxItems": max})
}

fn one<'a>(of: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"enum": of.into_iter().collect::<Vec<_>>()})
}

fn span() -> Value {
    let pattern = "^P(?=.)([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$";
    json!({"type": "string", "pattern": pattern})
}

fn limit(of: Limit) -> Value {
    let says = format!("{} Floor: {}.", of.says(), of.floor_text());
    let mut schema = match of.unit() {
        Unit::Span => span(),
        Unit::Number => {
            let side = match of.strict() {
                Strict::Less => "maximum",
                Strict::More => "minimum",
            };
            json!({"type": "integer", side: of.floor()})
        }
    };
    schema["description"] = Value::String(says);
    schema
}

/// The limits right below a path, and what else stands there.
fn limits<'a>(under: &str, more: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let own = Limit::ALL.iter().filter_map(|of| {
        let name = of.path().strip_prefix(under)?.strip_prefix('.')?;
        (!name.contains('.')).then(|| (name, limit(*of)))
    });
    object(own.chain(more), &[])
}

fn promises(rate: &Value) -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    let slo = object(
        [
            ("slo", one(Slo::ALL.map(Slo::name))),
            ("objective_ppm", rate.clone()),
            ("alpha_ppm", rate.clone()),
            ("tier", one(Tier::ALL.map(Tier::name))),
        ],
        &["slo"],
    );
    let step = [
        ("at_min", count.clone()),
        ("checkouts_per_hour", count.clone()),
    ];
    let step = object(step, &["at_min", "checkouts_per_hour"]);
    let said = object(
        [
            ("slos", list(&slo, Slo::ALL.len())),
            ("plan", list(&step, PLAN_STEPS_MAX)),
            ("overrun_min", count.clone()),
            ("rigs", count),
            ("reserve_ppm", rate.clone()),
            ("checkout_limit", span()),
        ],
        &[],
    );
    json!({"anyOf": [{"type": "array", "maxItems": 0}, said]})
}

fn commerce(rate: &Value) -> Value {
    let name = json!({"type": "string", "minLength": 1});
    let flag = json!({"type": "boolean"});
    let member = [("name", name.clone()), ("weight_ppm", rate.clone())];
    let coop = [
        ("name", name.clone()),
        (
            "members",
            list(&object(member, &["name", "weight_ppm"]), COOP_MEMBERS_MAX),
        ),
    ];
    let most = |most: u64| json!({"type": "integer", "minimum": 0, "maximum": most});
    let card = object(
        [
            ("creator", name.clone()),
            ("rate_ppm", rate.clone()),
            ("tips_ppm", rate.clone()),
            ("hold_days", most(HOLD_DAYS_MAX.into())),
            ("cap", most(AMOUNT_MINOR_MAX.unsigned_abs())),
            ("coop", name),
        ],
        &["creator", "rate_ppm"],
    );
    object(
        [
            ("shares", list(&card, COMMERCE_SHARES_MAX)),
            (
                "coops",
                list(&object(coop, &["name", "members"]), COMMERCE_COOPS_MAX),
            ),
            ("stock", one(["received", "all"])),
            ("returns", one(["by_lines", "by_moves"])),
            ("lines", one(["net", "gross"])),
            ("offline_loss", one(["shop", "customer"])),
            ("offline_reverses_share", flag.clone()),
            ("dispute_keeps_share", flag),
        ],
        &[],
    )
}

fn window() -> Value {
    let moment = json!({"type": "string", "format": "date-time"});
    object(
        [
            ("starts", moment.clone()),
            ("ends", moment),
            ("zone", json!({"type": "string"})),
            (
                "currencies",
                json!({"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{3}$"}}),
            ),
            (
                "phone_region",
                json!({"type": "string", "pattern": "^[A-Z]{2}$"}),
            ),
        ],
        &["starts", "ends"],
    )
}

fn retention() -> Value {
    let plain = [
        "raw",
        "pseudonym",
        "contact",
        "freetext",
        "records",
        "audit",
    ];
    let plain = plain.map(|part| (part, limits(&format!("retention.{part}"), [])));
    let rung = object([("after", span()), ("step", span())], &["after", "step"]);
    let ladder = json!({"type": "array", "items": rung, "minItems": 1});
    let cells = limits("retention.cells", [("ladder", ladder)]);
    object(plain.into_iter().chain([("cells", cells)]), &[])
}

fn rule() -> Value {
    let domain = one(Domain::ALL.iter().map(|of| of.text()));
    let bits = |most: u32| json!({"type": "integer", "minimum": 0, "maximum": most});
    let seal = json!({"type": "boolean"});
    let detectors = list(
        &one(Detector::ALL.iter().map(|of| of.text())),
        Detector::ALL.len(),
    );
    let bytes = json!({"type": "integer", "minimum": 1});
    let scan = object(
        [("detectors", detectors), ("max_bytes", bytes)],
        &["detectors", "max_bytes"],
    );
    let truncate = object([("v4", bits(32)), ("v6", bits(128))], &["v4", "v6"]);
    json!({"oneOf": [
        one(["keep", "remove", "redact", "score"]),
        object([("pseudonym", domain), ("seal", seal.clone())], &["pseudonym"]),
        object([("seal", seal.clone())], &["seal"]),
        object([("truncate", truncate)], &["truncate"]),
        object([("generalize", json!({"type": "string"}))], &["generalize"]),
        object([("grid_m", json!({"type": "integer", "minimum": 0}))], &["grid_m"]),
        object([("redact", scan), ("seal", seal)], &["redact", "seal"]),
    ]})
}

fn fields() -> Value {
    let reference = json!({"$ref": "#/$defs/rule"});
    let types = EventType::ALL.iter().map(|of| {
        let fields = of.fields().iter().map(|field| {
            let says = json!({"description": field.doc, "allOf": [reference]});
            (field.name, says)
        });
        (of.name(), object(fields, &[]))
    });
    object(types, &[])
}

fn extra() -> Value {
    let item = object(
        [
            ("on", one(EventType::ALL.iter().map(|of| of.name()))),
            (
                "path",
                json!({"type": "string", "pattern": "^[a-z0-9_]+([.][a-z0-9_]+){0,2}$"}),
            ),
            ("type", one(EXTRA_HOLDS.map(|of| of.text()))),
            ("class", one(PartClass::ALL.iter().map(|of| of.text()))),
            ("do", json!({"$ref": "#/$defs/rule"})),
        ],
        &["on", "path", "type", "class", "do"],
    );
    list(&item, POLICY_RULES_MAX)
}

fn access() -> Value {
    let scopes = Scope::ALL.iter().map(|scope| {
        let open = Action::ALL
            .iter()
            .filter(|action| action.is_open_to(*scope));
        let open = one(open.map(|action| action.text()));
        (scope.text(), json!({"type": "array", "items": open}))
    });
    let actions = one(Action::ALL.iter().map(|action| action.text()));
    let purposes = one(Purpose::ALL.iter().map(|purpose| purpose.text()));
    let array = |of: Value| json!({"type": "array", "items": of});
    object(
        [
            ("scopes", object(scopes, &[])),
            (
                "step_up",
                limits("access.step_up", [("actions", array(actions))]),
            ),
            (
                "raw_read",
                limits("access.raw_read", [("purposes", array(purposes))]),
            ),
            ("passes", limits("access.passes", [])),
        ],
        &[],
    )
}

fn rollout(rate: &Value) -> Value {
    let wave = object([("ppm", rate.clone()), ("bake", span())], &["ppm", "bake"]);
    object(
        [
            ("trial", span()),
            ("waves", json!({"type": "array", "items": wave})),
        ],
        &[],
    )
}
