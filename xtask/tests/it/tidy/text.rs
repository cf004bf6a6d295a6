//! Rules about one file at a time.

use super::{Breaches, Tree, has_word, is_test, none, production, speaks};

/// Longest file, in lines.
const LINES_MAX: usize = 800;

fn lines(path: &str, text: &str) -> Breaches {
    let count = text.lines().count();
    let code = [".rs", ".js", ".mjs", ".ts", ".tsx", ".py"];
    if count <= LINES_MAX || !code.iter().any(|end| path.ends_with(end)) {
        return Vec::new();
    }
    vec![format!(
        "{path} has {count} lines; split what it says into two files, each with one subject"
    )]
}

fn layout(path: &str, text: &str) -> Breaches {
    let mut breaches = Vec::new();
    if path.ends_with("build.rs") && !path.contains("/src/") {
        breaches.push(format!(
            "{path}: no build scripts of ours; let `cargo xtask codegen` write the file and check it in"
        ));
    }
    if path.ends_with("/mod.rs") {
        breaches.push(format!("{path}: name it like its folder, one level up"));
    }
    if path.ends_with(".rs") && !is_test(path) && !text.starts_with("//!") {
        breaches.push(format!(
            "{path}: begin with `//!`: what it is and what always holds"
        ));
    }
    breaches
}

fn machine(path: &str, text: &str) -> Breaches {
    let places = [
        "/work/",
        "/farm",
        "../shared",
        "/tmp/pw",
        "/home/",
        "/Users/",
    ];
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(place) = places.iter().find(|place| line.contains(**place)) {
            breaches.push(format!(
                "{path}:{}: {place} is on one machine only; copy what is needed into the tree or take a path",
                at + 1
            ));
        }
    }
    breaches
}

fn unfinished(path: &str, text: &str) -> Breaches {
    let marks = ["TODO", "FIXME", "HACK", "for now", "simplified"];
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(mark) = marks.iter().find(|mark| has_word(line, mark)) {
            breaches.push(format!(
                "{path}:{}: \"{mark}\" is a plan; finish it, or leave it out and open an issue",
                at + 1
            ));
        }
    }
    breaches
}

/// The words people on site must not read, in documents and on pages.
fn promises(path: &str, text: &str) -> Breaches {
    let read_by_people = path.ends_with(".md")
        || path.starts_with("web/")
        || path.starts_with("crates/popwatch/src/");
    if !read_by_people {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        if let Some(word) = ["saved", "synced"]
            .iter()
            .find(|word| has_word(&lower, word))
        {
            breaches.push(format!(
                "{path}:{}: \"{word}\" says nothing; say safe on this till, at the ledger, or reconciled",
                at + 1
            ));
        }
    }
    breaches
}

fn ignores(path: &str, text: &str) -> Breaches {
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(rest) = line.trim().strip_prefix("#[ignore") else {
            continue;
        };
        let need = rest
            .strip_prefix(" = \"needs: ")
            .and_then(|rest| rest.strip_suffix("\"]"));
        let homed = need.is_some_and(|need| {
            text.contains(&format!("mod needs_{need} {{"))
                || path.ends_with(&format!("needs_{need}.rs"))
                || path.contains(&format!("/needs_{need}/"))
        });
        if !homed {
            breaches.push(format!(
                "{path}:{}: write #[ignore = \"needs: NAME\"] inside a module needs_NAME, so that check can run it",
                at + 1
            ));
        }
    }
    breaches
}

fn spawns(path: &str, text: &str) -> Breaches {
    let allowed = ["lib", "driver", "http", "peer"];
    let homed = allowed.iter().any(|name| {
        path == format!("crates/node/src/{name}.rs")
            || path.starts_with(&format!("crates/node/src/{name}/"))
    });
    // The demo's cable belongs to no node; it takes its task down when it is dropped.
    let homed = homed || path == "crates/popwatch/src/cmd/demo/relay.rs";
    if homed || is_test(path) || !production(text).contains("tokio::spawn") {
        return Vec::new();
    }
    vec![format!(
        "{path}: tokio::spawn stands only in node's lib.rs, driver.rs, http.rs and peer.rs, where shutdown awaits it; hand the work to one of them"
    )]
}

/// Modules of core that see money; no float may stand in them.
const EXACT: [&str; 5] = ["money", "fold", "cell", "inventory", "ledger"];
/// Modules of core whose ratios and quantiles are floats.
const INEXACT: [&str; 5] = ["sketch", "signal", "slo", "creator", "view/durations"];

fn is_module(path: &str, names: &[&str]) -> bool {
    names.iter().any(|name| {
        path == format!("crates/core/src/{name}.rs")
            || path.starts_with(&format!("crates/core/src/{name}/"))
    })
}

fn floats(path: &str, text: &str) -> Breaches {
    let mut breaches = Vec::new();
    let top = path.matches('/').count() == 3;
    if is_module(path, &EXACT) && top && !text.contains("\n#![deny(clippy::float_arithmetic)]\n") {
        breaches.push(format!(
            "{path} sees money; put #![deny(clippy::float_arithmetic)] under its header"
        ));
    }
    let judged = path.starts_with("crates/core/src/") && !is_test(path);
    if judged && !is_module(path, &INEXACT) {
        let code = production(text).lines().enumerate();
        let named = code.filter(|(_, line)| {
            let code = line.split("//").next().unwrap_or_default();
            has_word(code, "f64") || has_word(code, "f32")
        });
        breaches.extend(named.map(|(at, _)| {
            format!(
                "{path}:{}: floats are named only in {}; use an integer unit",
                at + 1,
                INEXACT.join(", ")
            )
        }));
    }
    breaches
}

fn no_std(tree: &Tree) -> Breaches {
    let root = tree.text("crates/core/src/lib.rs").unwrap_or_default();
    if root.contains("\n#![no_std]\n") {
        return Vec::new();
    }
    vec![String::from(
        "crates/core/src/lib.rs: put #![no_std] back; core cannot touch the world",
    )]
}

#[test]
fn files_are_short() {
    speaks(&lines("a.rs", &"x\n".repeat(801)), "split");
    none(&lines("a.rs", &"x\n".repeat(800)));
    none(&Tree::read().each(lines));
}

#[test]
fn files_lie_and_begin_as_agreed() {
    speaks(&layout("crates/core/build.rs", "//! x"), "codegen");
    speaks(
        &layout("crates/core/src/fold/mod.rs", "//! x"),
        "one level up",
    );
    speaks(&layout("crates/core/src/fold.rs", "use x;"), "begin with");
    none(&Tree::read().each(layout));
}

#[test]
fn nothing_names_one_machine() {
    speaks(&machine("a.rs", "open(\"/work/x\")"), "a.rs:1");
    speaks(&machine("a.md", "\nsee ../shared/data"), "a.md:2");
    none(&Tree::read().each(machine));
}

#[test]
fn nothing_is_left_for_later() {
    speaks(&unfinished("a.rs", "// TODO: x"), "finish it");
    none(&unfinished("a.rs", "mastodon for nowhere"));
    none(&Tree::read().each(unfinished));
}

#[test]
fn nothing_is_promised_with_an_empty_word() {
    speaks(&promises("README.md", "All is Saved."), "safe on this till");
    none(&promises("crates/store/src/x.rs", "synced"));
    none(&Tree::read().each(promises));
}

#[test]
fn an_ignored_test_says_what_it_needs() {
    speaks(&ignores("a.rs", "#[ignore]"), "needs_NAME");
    speaks(&ignores("a.rs", "#[ignore = \"needs: x\"]"), "needs_NAME");
    none(&ignores(
        "a.rs",
        "mod needs_x {\n    #[ignore = \"needs: x\"]\n",
    ));
    none(&ignores("it/needs_x/a.rs", "#[ignore = \"needs: x\"]"));
    none(&Tree::read().each(ignores));
}

#[test]
fn tasks_are_spawned_where_shutdown_awaits_them() {
    speaks(
        &spawns("crates/node/src/sse.rs", "tokio::spawn(x)"),
        "driver.rs",
    );
    none(&spawns("crates/node/src/peer.rs", "tokio::spawn(x)"));
    none(&Tree::read().each(spawns));
}

#[test]
fn money_sees_no_float() {
    speaks(&floats("crates/core/src/fold.rs", "//! x\n"), "#![deny");
    speaks(
        &floats("crates/core/src/view.rs", "\nlet x: f64 = 1.0;"),
        "view.rs:2",
    );
    none(&floats("crates/core/src/sketch.rs", "let x: f64 = 1.0;"));
    none(&Tree::read().each(floats));
}

#[test]
fn core_cannot_touch_the_world() {
    speaks(&no_std(&Tree::sample(&[])), "#![no_std]");
    none(&no_std(&Tree::read()));
}
