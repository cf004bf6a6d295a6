//! What each stage does. A stage is one or two commands; what they print is shown as it comes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Stand;
use crate::setup::TOOLS;
use crate::{codegen, shell};

/// Longest a stage that compiles may take.
const BUILD_LIMIT: Duration = Duration::from_secs(3_600);
/// Longest the tests may take without a runner that limits each.
const TEST_LIMIT: Duration = Duration::from_secs(1_800);

/// rustfmt in check mode.
pub(super) fn format(_: &Stand) -> Result<()> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]), BUILD_LIMIT)
}

/// clippy on everything, warnings denied.
pub(super) fn lint(_: &Stand) -> Result<()> {
    let mut clippy = shell::cargo(&["clippy", "--workspace", "--all-targets", "--locked"]);
    clippy.args(["--", "-D", "warnings"]);
    shell::run(&mut clippy, BUILD_LIMIT)
}

/// The tests of all crates, tidy among them.
pub(super) fn test(_: &Stand) -> Result<()> {
    if has_nextest() {
        let mut tests = shell::cargo(&["nextest", "run", "--workspace", "--locked"]);
        return shell::run(&mut tests, BUILD_LIMIT);
    }
    // Built first, so that the limit is the tests' own.
    let mut build = shell::cargo(&["test", "--workspace", "--locked", "--no-run"]);
    shell::run(&mut build, BUILD_LIMIT)?;
    let mut tests = shell::cargo(&["test", "--workspace", "--locked", "--all-targets"]);
    shell::run(&mut tests, TEST_LIMIT)
}

/// Examples in the documentation run, and the documentation has no dead link.
pub(super) fn doc(_: &Stand) -> Result<()> {
    let mut examples = shell::cargo(&["test", "--doc", "--workspace", "--locked", "--quiet"]);
    shell::run(&mut examples, BUILD_LIMIT)?;
    let mut pages = shell::cargo(&["doc", "--no-deps", "--workspace", "--locked"]);
    // Only rustdoc hears this, so no crate is built anew because of it.
    pages.env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut pages, BUILD_LIMIT)
}

/// The files written from the code are the ones checked in.
pub(super) fn generated(_: &Stand) -> Result<()> {
    let differing = codegen::differing(&codegen::files()?)?;
    if !differing.is_empty() {
        bail!(
            "{} differ from the code; run `cargo xtask codegen` and commit what it writes",
            differing.join(", ")
        );
    }
    Ok(())
}

/// Simulated days with every law checked after every step. The days are the same at each run, so
/// that a change is judged by itself; `prove` draws fresh ones.
pub(super) fn sim(stand: &Stand) -> Result<()> {
    let mut days = shell::cargo(&["run", "--locked", "--quiet", "-p", "popwatch-sim", "--"]);
    days.args(["--from", "1", "--seeds"])
        .arg(stand.seeds.to_string());
    shell::run(&mut days, TEST_LIMIT)
}

/// The tests that need a program which is not part of Rust.
pub(super) fn needs(stand: &Stand) -> Result<()> {
    for tool in &stand.tools {
        let mut tests = if has_nextest() {
            let mut tests = shell::cargo(&["nextest", "run", "--workspace", "--locked"]);
            let filter = format!("test(/\\bneeds_{tool}\\b/)");
            tests.args(["--run-ignored", "only", "-E"]).arg(filter);
            tests
        } else {
            let mut tests = shell::cargo(&["test", "--workspace", "--locked", "--all-targets"]);
            tests.args(["--", "--ignored"]).arg(format!("needs_{tool}"));
            tests
        };
        shell::run(&mut tests, TEST_LIMIT)?;
    }
    Ok(())
}

/// The programs that some test of the tree says it needs.
pub(super) fn needs_of_tests(root: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for folder in ["crates", "xtask"] {
        visit(&root.join(folder), &mut found)?;
    }
    let known: Vec<_> = TOOLS.iter().map(|tool| tool.name).collect();
    if let Some(other) = found.iter().find(|need| !known.contains(&need.as_str())) {
        bail!("a test needs {other}; add the package that brings it to xtask/src/setup.rs");
    }
    Ok(found)
}

fn visit(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    let unreadable = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            visit(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.extend(needs_in(&text));
        }
    }
    Ok(())
}

/// The names in lines that are an ignore attribute of the allowed form.
fn needs_in(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let reason = line.trim().strip_prefix("#[ignore = \"needs: ")?;
        Some(reason.strip_suffix("\"]")?.to_owned())
    })
}

fn has_nextest() -> bool {
    shell::on_path("cargo-nextest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_read_from_attributes_alone() {
        let text = "    #[ignore = \"needs: chromium\"]\n// #[ignore = \"needs: paper\"]\n";
        assert_eq!(needs_in(text).collect::<Vec<_>>(), ["chromium"]);
    }
}
