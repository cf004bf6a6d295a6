//! Rules about the three tables of core: codes, limits and laws.

use std::collections::BTreeSet;

use popwatch_core::code::Code;
use popwatch_core::invariant::Law;

use super::{Breaches, File, Tree, has_word, is_test, none, production, speaks};

/// Files that name every code without raising any: the register and its mapping to a status.
const TABLES: [&str; 2] = ["crates/core/src/code.rs", "crates/wire/src/problem.rs"];

/// Laws whose predicate production calls, because going on would write a falsehood or show one.
/// The others compare two runs or two worlds, which only a test has.
const IN_PRODUCTION: [Law; 5] = [Law::L2, Law::L4, Law::L6, Law::L7, Law::L9];

fn pages(tree: &Tree) -> Breaches {
    let mut breaches = Vec::new();
    for code in Code::ALL {
        let page = format!("docs/errors/{code}.md");
        let head = format!("# {code}: {}\n", code.title());
        match tree.text(&page) {
            None => breaches.push(format!(
                "{page} is missing; say there what it means, what was kept and what to do"
            )),
            Some(text) if !text.starts_with(&head) => breaches.push(format!(
                "{page}: begin with the register's title: {}",
                head.trim()
            )),
            Some(text) => {
                let parts = ["**Meaning.**", "**What was kept.**", "**What to do.**"];
                let lacking = parts.iter().filter(|part| !text.contains(**part));
                breaches.extend(lacking.map(|part| format!("{page}: add the part {part}")));
            }
        }
    }
    let known: BTreeSet<_> = Code::ALL.iter().map(ToString::to_string).collect();
    for file in &tree.0 {
        let page = file.path.strip_prefix("docs/errors/PW");
        if page.is_some_and(|page| !known.contains(&format!("PW{}", page.replace(".md", "")))) {
            breaches.push(format!(
                "{} is of no code; remove it or register the code",
                file.path
            ));
        }
    }
    breaches
}

fn raised(tree: &Tree) -> Breaches {
    let production: Vec<&str> = sources(tree)
        .filter(|file| !TABLES.contains(&file.path.as_str()))
        .map(|file| production(&file.text))
        .collect();
    let silent = Code::ALL.iter().filter(|code| {
        let name = format!("Code::{code:?}");
        let text = format!("\"{code}");
        let raises = |file: &&str| has_word(file, &name) || file.contains(&text);
        !production.iter().any(raises)
    });
    silent
        .map(|code| {
            format!("{code} ({code:?}) is raised nowhere; raise it, or take it out of the register and never reuse its number")
        })
        .collect()
}

/// Numbers written as text anywhere have to be in the register.
fn named(path: &str, text: &str) -> Breaches {
    let known: BTreeSet<_> = Code::ALL.iter().map(ToString::to_string).collect();
    let mut breaches = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (start, _) in line.match_indices("PW") {
            let name: String = line[start..].chars().take(6).collect();
            let digits = name[2..].bytes().filter(u8::is_ascii_digit).count();
            if name.len() == 6 && digits == 4 && !known.contains(&name) {
                breaches.push(format!(
                    "{path}:{}: {name} is not in crates/core/src/code.rs; register it or name the right one",
                    at + 1
                ));
            }
        }
    }
    breaches
}

fn limits(tree: &Tree) -> Breaches {
    let path = "crates/core/src/limits.rs";
    let table = tree.text(path).unwrap_or_default();
    let names = table
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let production: Vec<&str> = sources(tree)
        .filter(|file| file.path != path)
        .map(|file| production(&file.text))
        .collect();
    names
        .filter(|name| !production.iter().any(|text| has_word(text, name)))
        .map(|name| {
            format!("{path}: {name} bounds nothing; use it where the thing grows, or remove it")
        })
        .collect()
}

fn laws(tree: &Tree) -> Breaches {
    let mut breaches = Vec::new();
    for law in Law::ALL {
        let call = format!("{}(", law.predicate());
        let others = || {
            tree.rust()
                .filter(|file| file.path != "crates/core/src/invariant.rs")
        };
        let calls = |text: &str| text.contains(&call);
        let in_production = sources(tree)
            .filter(|file| file.path != "crates/core/src/invariant.rs")
            .any(|file| calls(production(&file.text)));
        let in_test = others().any(|file| {
            let tool = is_test(&file.path) || file.path.starts_with("crates/sim/");
            let whole = &file.text;
            calls(if tool {
                whole
            } else {
                &whole[production(whole).len()..]
            })
        });
        if !in_test {
            breaches.push(format!(
                "{law:?}: no test and no simulated day calls {}; show the law there",
                law.predicate()
            ));
        }
        if IN_PRODUCTION.contains(&law) && !in_production {
            breaches.push(format!(
                "{law:?}: production never calls {}; check it before the falsehood is written",
                law.predicate()
            ));
        }
    }
    breaches
}

/// Source files of the crates that are the product.
fn sources(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.rust().filter(|file| {
        let path = &file.path;
        path.starts_with("crates/")
            && path.contains("/src/")
            && !is_test(path)
            && !path.starts_with("crates/sim/")
    })
}

#[test]
fn each_code_has_its_page() {
    speaks(&pages(&Tree::sample(&[])), "what to do");
    let stray = Tree::sample(&[("docs/errors/PW0001.md", "")]);
    speaks(&pages(&stray), "PW0001.md is of no code");
    let other = Tree::sample(&[("docs/errors/PW0103.md", "# PW0103: other\n")]);
    speaks(&pages(&other), "begin with the register's title");
    none(&pages(&Tree::read()));
}

#[test]
fn each_code_is_raised() {
    speaks(
        &raised(&Tree::sample(&[])),
        "PW0103 (DataInvalid) is raised nowhere",
    );
    let table = Tree::sample(&[("crates/wire/src/problem.rs", "Code::DataInvalid")]);
    speaks(&raised(&table), "PW0103");
    none(&raised(&Tree::read()));
}

#[test]
fn each_number_named_is_registered() {
    speaks(&named("a.md", "see PW0000"), "a.md:1: PW0000 is not in");
    none(&named("a.md", "see PW0103 and PWxxxx and PWJSEG1"));
    none(&Tree::read().each(named));
}

#[test]
fn each_bound_bounds_something() {
    let table = (
        "crates/core/src/limits.rs",
        "pub const ROWS_MAX: usize = 1;\n",
    );
    speaks(&limits(&Tree::sample(&[table])), "ROWS_MAX bounds nothing");
    let used = ("crates/core/src/cell.rs", "if rows > limits::ROWS_MAX {}");
    none(&limits(&Tree::sample(&[table, used])));
    none(&limits(&Tree::read()));
}

#[test]
fn each_law_is_called() {
    speaks(&laws(&Tree::sample(&[])), "show the law there");
    speaks(&laws(&Tree::sample(&[])), "before the falsehood");
    none(&laws(&Tree::read()));
}
