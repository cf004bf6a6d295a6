//! The token library reads the public samples as the specification of Biscuit says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use biscuit_auth::builder::{Algorithm, AuthorizerBuilder, Term};
use biscuit_auth::datalog::{ExternFunc, RunLimits};
use biscuit_auth::{Biscuit, PublicKey, error};
use popwatch_core::limits::{PASS_FACTS_MAX, PASS_MS_MAX, PASS_ROUNDS_MAX};
use serde_json::Value;

fn limits() -> RunLimits {
    RunLimits {
        max_facts: PASS_FACTS_MAX,
        max_iterations: PASS_ROUNDS_MAX,
        max_time: Duration::from_millis(PASS_MS_MAX),
    }
}

/// The function that one sample calls.
fn extern_test() -> ExternFunc {
    ExternFunc::new(Arc::new(|left, right| match (left, right) {
        (Term::Str(left), Some(Term::Str(right))) => Ok(Term::Str(match left == right {
            true => "equal strings".to_owned(),
            false => "different strings".to_owned(),
        })),
        (left, None) => Ok(left),
        (_, _) => Err("unsupported operands".to_owned()),
    }))
}

fn judged(token: &[u8], root: PublicKey, code: &str) -> (Result<usize, error::Token>, Vec<String>) {
    let token = match Biscuit::from(token, root) {
        Ok(token) => token,
        Err(fault) => return (Err(fault), Vec::new()),
    };
    let ids = token.revocation_identifiers();
    let ids = ids
        .iter()
        .map(|id| popwatch_core::ledger::hex(id))
        .collect();
    let builder = AuthorizerBuilder::new()
        .register_extern_func("test".to_owned(), extern_test())
        .set_limits(limits())
        .code(code);
    let result = builder
        .and_then(|builder| builder.build(&token))
        .and_then(|mut judge| judge.authorize());
    (result, ids)
}

/// `Err(FailedLogic(Unauthorized { .. }))` as the samples' JSON nests it: its outer two names.
fn kind(expected: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = expected;
    while let Some((name, inner)) = at.as_object().and_then(|object| object.iter().next()) {
        names.push(name.clone());
        at = inner;
        if names.len() == 2 {
            break;
        }
    }
    names.extend(at.as_str().map(str::to_owned));
    names
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the samples are files")]
fn all_samples_are_read_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/public/biscuit");
    let text = std::fs::read_to_string(folder.join("samples.json")).unwrap();
    let samples: Value = serde_json::from_str(&text).unwrap();
    let root = samples["root_public_key"].as_str().unwrap();
    let root = PublicKey::from_bytes_hex(root, Algorithm::Ed25519).unwrap();
    let cases = samples["testcases"].as_array().unwrap();
    assert_eq!(cases.len(), 38);
    let mut seen = 0;
    for case in cases {
        let name = case["filename"].as_str().unwrap();
        let token = std::fs::read(folder.join(name)).unwrap();
        for validation in case["validations"].as_object().unwrap().values() {
            let code = validation["authorizer_code"].as_str().unwrap();
            let (result, ids) = judged(&token, root, code);
            match &validation["result"] {
                said if said.get("Ok").is_some() => {
                    let policy = said["Ok"].as_u64().unwrap();
                    assert_eq!(result.unwrap() as u64, policy, "{name}");
                }
                said => {
                    let found = format!("{:?}", result.unwrap_err());
                    for part in kind(&said["Err"]) {
                        assert!(found.contains(&part), "{name}: {found}, not {said}");
                    }
                }
            }
            let expected = validation["revocation_ids"].as_array().unwrap();
            let expected: Vec<_> = expected.iter().map(|id| id.as_str().unwrap()).collect();
            assert_eq!(ids, expected, "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 38, "{seen}");
}
