//! Rules about what may depend on what.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breaches, Tree, none, speaks};

/// Each crate, the crates of ours it may use, and packages it must not use.
const ARROWS: [(&str, &[&str], &[&str]); 8] = [
    ("crates/core", &[], &[]),
    (
        "crates/redact",
        &["core"],
        &[
            "tokio",
            "serde",
            "serde_json",
            "tracing",
            "rustix",
            "rand",
            "getrandom",
            "axum",
        ],
    ),
    (
        "crates/wire",
        &["core", "redact"],
        &[
            "tokio",
            "tracing",
            "rustix",
            "rand",
            "getrandom",
            "axum",
            "hyper",
            "rusqlite",
        ],
    ),
    (
        "crates/store",
        &["core", "redact"],
        &[
            "tokio",
            "tracing",
            "rand",
            "getrandom",
            "axum",
            "hyper",
            "futures-util",
        ],
    ),
    (
        "crates/node",
        &["core", "redact", "wire", "store"],
        &["clap", "anyhow"],
    ),
    (
        "crates/popwatch",
        &["core", "redact", "wire", "store", "node"],
        &[],
    ),
    (
        "crates/sim",
        &["core", "redact", "wire", "store"],
        &["tokio", "axum", "hyper"],
    ),
    ("xtask", &["core", "redact", "wire", "store"], &[]),
];

/// What core may use directly.
const CORE_USES: [&str; 9] = [
    "blake3",
    "ed25519-dalek",
    // A table that is asked and never iterated.
    "hashbrown",
    "hmac",
    "libm",
    "prost",
    "sha2",
    "thiserror",
    "proptest",
];

/// What must not be in the tree below core.
const WORLD: [&str; 7] = [
    "getrandom",
    "rand",
    "rand_core",
    "tokio",
    "chrono",
    "log",
    "serde",
];

/// Packages that only run while others are built; the walk ends at them.
const BUILDERS: [&str; 1] = ["cc"];

/// The packages a manifest names, by section.
fn uses(manifest: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
            if let Some((kind, package)) = name.split_once("dependencies.") {
                let kind = format!("{kind}dependencies");
                found.entry(kind).or_default().insert(package.to_owned());
            }
        } else if section.ends_with("dependencies") {
            let end = line.find(['.', '=', ' ']).unwrap_or(0);
            if end > 0 && !line.starts_with('#') {
                let package = line[..end].to_owned();
                found.entry(section.clone()).or_default().insert(package);
            }
        }
    }
    found
}

fn arrows(path: &str, text: &str) -> Breaches {
    let Some(folder) = path.strip_suffix("/Cargo.toml") else {
        return Vec::new();
    };
    let Some((_, below, banned)) = ARROWS.iter().find(|(name, _, _)| *name == folder) else {
        return vec![format!(
            "{path}: a new crate; say in xtask/tests/it/tidy/arrows.rs what it may use"
        )];
    };
    let mut breaches = Vec::new();
    let sections = uses(text).into_iter();
    let packages = sections.flat_map(|(section, packages)| {
        let dev = section.ends_with("dev-dependencies");
        packages.into_iter().map(move |package| (dev, package))
    });
    for (dev, package) in packages {
        let ours = package.strip_prefix("popwatch-");
        if ours.is_some_and(|ours| !below.contains(&ours)) || package == "popwatch" {
            breaches.push(format!(
                "{path} uses {package}; arrows point down only: move the shared thing below both"
            ));
        }
        if !dev && banned.contains(&package.as_str()) {
            breaches.push(format!(
                "{path} uses {package}; do that in a crate above and hand the value down"
            ));
        }
        if folder == "crates/core" && ours.is_none() && !CORE_USES.contains(&package.as_str()) {
            breaches.push(format!(
                "{path} uses {package}; core takes pure computation only: write the lines, or add it to the list with a reason"
            ));
        }
    }
    breaches
}

/// Every package below core, walked through the lock file.
fn below_core(tree: &Tree) -> Breaches {
    let lock = tree.text("Cargo.lock").unwrap_or_default();
    let manifest = tree.text("crates/core/Cargo.toml").unwrap_or_default();
    let mut graph: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let mut name = "";
        let mut needs = Vec::new();
        let mut listing = false;
        for line in package.lines() {
            if line.starts_with("name = ") {
                name = line.split('"').nth(1).unwrap_or_default();
            }
            listing = (listing || line.starts_with("dependencies = [")) && line != "]";
            if listing && let Some(quoted) = line.split('"').nth(1) {
                needs.push(quoted.split(' ').next().unwrap_or_default());
            }
        }
        graph.entry(name).or_default().extend(needs);
    }
    let direct = uses(manifest).remove("dependencies").unwrap_or_default();
    let mut open: Vec<(&str, String)> = direct
        .iter()
        .map(|name| (name.as_str(), name.clone()))
        .collect();
    let mut seen = BTreeSet::new();
    let mut breaches = Vec::new();
    while let Some((name, way)) = open.pop() {
        if BUILDERS.contains(&name) || !seen.insert(name) {
            continue;
        }
        if WORLD.contains(&name) {
            breaches.push(format!(
                "core reaches {name} by {way}; switch that feature off or drop the package"
            ));
        }
        for next in graph.get(name).into_iter().flatten() {
            open.push((next, format!("{way} > {next}")));
        }
    }
    breaches
}

/// A crate's clippy.toml replaces the root's: what stands in the root has to stand in each.
fn clippy_keys(tree: &Tree) -> Breaches {
    let root = tree.text("clippy.toml").unwrap_or_default();
    let mut breaches = Vec::new();
    for file in &tree.0 {
        if !file.path.ends_with("/clippy.toml") {
            continue;
        }
        let lines: BTreeSet<_> = file.text.lines().collect();
        let shared = root.lines().filter(|line| {
            let plain = !line.starts_with('#') && !line.is_empty();
            plain && !lines.contains(line)
        });
        breaches.extend(shared.map(|line| {
            format!(
                "{} lacks the root's line `{}`; copy it there",
                file.path,
                line.trim()
            )
        }));
    }
    breaches
}

fn manifests(rule: fn(&str, &str) -> Breaches) -> Breaches {
    let tree = Tree::read();
    let manifest = |path: &str| path.ends_with("/Cargo.toml");
    let files = tree.0.iter().filter(|file| manifest(&file.path));
    files
        .flat_map(|file| rule(&file.path, &file.text))
        .collect()
}

#[test]
fn arrows_point_down() {
    let sample = "[dependencies]\npopwatch-wire.workspace = true\n";
    speaks(&arrows("crates/core/Cargo.toml", sample), "below both");
    speaks(&arrows("crates/store/Cargo.toml", sample), "below both");
    let sample = "[dependencies]\ntokio = { version = \"1\" }\n";
    speaks(&arrows("crates/wire/Cargo.toml", sample), "a crate above");
    speaks(
        &arrows("crates/core/Cargo.toml", sample),
        "pure computation",
    );
    let sample = "[target.'cfg(unix)'.dependencies.tokio]\nversion = \"1\"\n";
    speaks(&arrows("crates/wire/Cargo.toml", sample), "a crate above");
    speaks(&arrows("crates/new/Cargo.toml", ""), "a new crate");
    let sample = "[dev-dependencies]\nserde_json.workspace = true\n";
    none(&arrows("crates/redact/Cargo.toml", sample));
    none(&manifests(arrows));
}

#[test]
fn nothing_below_core_touches_the_world() {
    let lock = "[[package]]\nname = \"blake3\"\ndependencies = [\n \"rand 0.9\",\n]\n\n\
                [[package]]\nname = \"rand\"\n";
    let core = "[dependencies]\nblake3.workspace = true\n";
    let tree = Tree::sample(&[("Cargo.lock", lock), ("crates/core/Cargo.toml", core)]);
    speaks(&below_core(&tree), "by blake3 > rand; switch");
    none(&below_core(&Tree::read()));
}

#[test]
fn bans_of_the_root_stand_in_each_crate() {
    let tree = Tree::sample(&[
        ("clippy.toml", "a = 1\n"),
        ("crates/core/clippy.toml", "b = 1\n"),
    ]);
    speaks(&clippy_keys(&tree), "copy it");
    none(&clippy_keys(&Tree::read()));
}
