//! The demo, run flat out to its end: its closed books must be the day's truth to the minor unit.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Stand;
use crate::shell;

/// What the closed books of 2011-12-05 say, in minor units of GBP and in documents. The sums were
/// taken from the sales file by an independent program.
const TRUTH: &[(&str, i64)] = &[
    ("/totals/GBP/captured", 8_874_196),
    ("/totals/GBP/refunded", 3_099_064),
    ("/totals/GBP/net", 5_775_132),
    ("/totals/GBP/sales", 127),
    ("/totals/GBP/refunds", 16),
    ("/cells/drift_minor", 0),
];

/// Longest the demo may take, its build included.
const LIMIT: Duration = Duration::from_secs(1_800);

/// Runs it in a folder of its own.
pub(super) fn demo(_: &Stand) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("popwatch-demo-{}", std::process::id()));
    let mut demo = shell::cargo(&["run", "--locked", "--quiet", "-p", "popwatch", "--", "demo"]);
    demo.args([
        "--speed", "0", "--exit", "--format", "json", "--ports", "any", "--data",
    ]);
    demo.arg(&folder);
    let printed = shell::capture(&mut demo, LIMIT);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    judge(&printed?)
}

/// Compares what the demo printed with the truth.
fn judge(printed: &str) -> Result<()> {
    let result = parse(printed).context("the demo printed no JSON object")?;
    shell::say(&result.to_string());
    let mut wrong = Vec::new();
    if result.get("closed") != Some(&Value::Bool(true)) {
        wrong.push(String::from("closed is not true"));
    }
    for (name, truth) in TRUTH {
        let found = result.pointer(name).unwrap_or(&Value::Null);
        if *found != json!(truth) {
            wrong.push(format!("{name} is {found}, not {truth}"));
        }
    }
    if result
        .pointer("/cells/compared")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        == 0
    {
        // No drift among no cells would prove nothing.
        wrong.push(String::from("no cell was compared"));
    }
    if !wrong.is_empty() {
        bail!("the demo's books are wrong: {}", wrong.join("; "));
    }
    Ok(())
}

/// The whole output as one object, or its last line.
fn parse(printed: &str) -> Option<Value> {
    let last = printed.lines().rfind(|line| !line.trim().is_empty())?;
    [printed, last]
        .into_iter()
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .find(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = r#"{"closed":true,"cells":{"compared":700,"drift_minor":0},"totals":{"GBP":
        {"captured":8874196,"refunded":3099064,"net":5775132,"sales":127,"refunds":16}}}"#;

    #[test]
    fn the_true_day_passes() {
        judge(DAY).unwrap();
        judge(&format!("four rigs\n{}\n", DAY.replace('\n', ""))).unwrap();
    }

    #[test]
    fn one_penny_an_open_popup_or_a_missing_figure_fails() {
        let penny = judge(&DAY.replace("8874196", "8874197")).unwrap_err();
        assert!(
            penny
                .to_string()
                .contains("captured is 8874197, not 8874196")
        );
        assert!(judge(&DAY.replace("true", "false")).is_err());
        assert!(judge(&DAY.replace("drift_minor", "drift")).is_err());
        assert!(judge(&DAY.replace("700", "0")).is_err());
        assert!(judge("closed\n").is_err());
    }
}
