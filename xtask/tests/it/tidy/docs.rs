//! Rules that keep documents true.

use super::{Breaches, Tree, has_word, none, speaks};

/// The documents at the root that name files.
const DOCUMENTS: [&str; 4] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// Folders whose paths a document may name.
const FOLDERS: [&str; 9] = [
    "crates/",
    "xtask/",
    "docs/",
    "spec/",
    "web/",
    "fixtures/",
    "sdk/",
    ".ci/",
    ".config/",
];

fn readme(text: &str) -> Breaches {
    let mut breaches = Vec::new();
    let count = text.lines().count();
    if count >= 150 {
        breaches.push(format!(
            "README.md has {count} lines; move what a newcomer does not need first into docs/"
        ));
    }
    for command in ["cargo run --release -- demo", "cargo xtask check", "curl "] {
        if !text.contains(command) {
            breaches.push(format!("README.md: show `{command}` again"));
        }
    }
    breaches
}

/// Files and folders that a document names, in backticks or as a link.
fn named(tree: &Tree) -> Breaches {
    let mut breaches = Vec::new();
    let documents = tree.0.iter().filter(|file| {
        DOCUMENTS.contains(&file.path.as_str())
            || (file.path.starts_with("docs/") && file.path.ends_with(".md"))
    });
    for file in documents {
        let ticked = file.text.split('`').skip(1).step_by(2);
        let ticked = ticked
            .map(|name| name.split("::").next().unwrap_or(name))
            .filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder)))
            .filter(|name| !name.contains(['<', '*', '{', ' ', '\n']) && !name.contains("xxxx"));
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let linked = file.text.split("](").skip(1);
        let linked = linked
            .filter_map(|rest| rest.split([')', '#']).next())
            .filter(|name| !name.is_empty() && !name.contains("://"))
            .map(|name| join(folder, name));
        for name in ticked.map(str::to_owned).chain(linked) {
            if !tree.holds(&name) {
                breaches.push(format!(
                    "{} names {name}, which is not there; name what is, or bring it back",
                    file.path
                ));
            }
        }
    }
    breaches
}

/// A link's target as a path from the root.
fn join(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// Every invariant names the test that shows it, or what holds it without one.
fn invariants(tree: &Tree) -> Breaches {
    let path = "ARCHITECTURE.md";
    let text = tree.text(path).unwrap_or_default();
    let sentences: Vec<&str> = text.split("**Invariant:**").skip(1).collect();
    let mut breaches = Vec::new();
    if sentences.len() < 20 {
        breaches.push(format!(
            "{path} has {} invariants; say what never happens here, about 25 sentences",
            sentences.len()
        ));
    }
    for sentence in sentences {
        let sentence = sentence.split("\n\n").next().unwrap_or(sentence);
        let start: String = sentence.trim().chars().take(50).collect();
        let evidence = sentence
            .split_once("(test: ")
            .or_else(|| sentence.split_once("(held by: "));
        let Some((_, evidence)) = evidence else {
            breaches.push(format!(
                "{path}: \"{start}…\" is only claimed; add (test: `path::name`) or (held by: `path`)"
            ));
            continue;
        };
        for name in evidence.split('`').skip(1).step_by(2) {
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let found = tree
                .text(file)
                .is_some_and(|text| test.is_empty() || has_word(text, &format!("fn {test}")));
            if !found {
                breaches.push(format!(
                    "{path}: \"{start}…\" names {name}, which is not there; name the test that shows it now"
                ));
            }
        }
    }
    breaches
}

/// Commands that documents show in shell blocks exist.
fn commands(tree: &Tree) -> Breaches {
    let mut breaches = Vec::new();
    for file in tree.0.iter().filter(|file| file.path.ends_with(".md")) {
        for block in file.text.split("```sh\n").skip(1) {
            let block = block.split("```").next().unwrap_or(block);
            for line in block.lines().map(str::trim) {
                let rest = line
                    .strip_prefix("popwatch ")
                    .or_else(|| line.strip_prefix("cargo run --release -- "));
                let Some(name) = rest.and_then(|rest| rest.split(' ').next()) else {
                    continue;
                };
                let home = format!("crates/popwatch/src/cmd/{}", name.replace('-', "_"));
                if !name.starts_with('-')
                    && !tree.holds(&home)
                    && !tree.holds(&format!("{home}.rs"))
                {
                    breaches.push(format!(
                        "{} shows `popwatch {name}`, and {home}.rs is not there; show what works",
                        file.path
                    ));
                }
            }
        }
    }
    breaches
}

/// Each setting a process can be given stands in the page about settings.
fn settings(tree: &Tree) -> Breaches {
    let page = tree.text("docs/config.md").unwrap_or_default();
    let code = tree.text("crates/node/src/config.rs").unwrap_or_default();
    let mut breaches = Vec::new();
    for section in code.split("#[serde(deny_unknown_fields)]").skip(1) {
        let section = section.split("\n}").next().unwrap_or(section);
        let names = section
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
        for (name, _) in names {
            let shown = [
                format!("`{name}`"),
                format!("`[{name}]`"),
                format!("`[[{name}]]`"),
            ];
            if !shown.iter().any(|shown| page.contains(shown)) {
                breaches.push(format!(
                    "docs/config.md: say what `{name}` sets and its default"
                ));
            }
        }
    }
    breaches
}

#[test]
fn each_setting_is_explained() {
    let code = "#[serde(deny_unknown_fields)]\npub struct C {\n    pub listen: A,\n}\n";
    let tree = Tree::sample(&[("crates/node/src/config.rs", code)]);
    speaks(&settings(&tree), "what `listen` sets");
    none(&settings(&Tree::read()));
}

#[test]
fn the_readme_is_short_and_shows_the_way_in() {
    speaks(&readme(""), "cargo xtask check");
    speaks(&readme(&"\n".repeat(150)), "into docs/");
    none(&readme(Tree::read().text("README.md").unwrap_or_default()));
}

#[test]
fn documents_name_what_is_there() {
    let tree = Tree::sample(&[("README.md", "see `crates/none.rs` and [x](docs/y.md)")]);
    speaks(&named(&tree), "names crates/none.rs");
    speaks(&named(&tree), "names docs/y.md");
    let tree = Tree::sample(&[("docs/a/b.md", "[x](../c.md#part)"), ("docs/c.md", "")]);
    none(&named(&tree));
    none(&named(&Tree::read()));
}

#[test]
fn each_invariant_names_what_holds_it() {
    speaks(&invariants(&Tree::sample(&[])), "about 25");
    let text = "**Invariant:** a.\n\n**Invariant:** b (test: `a.rs::gone`).\n";
    let tree = Tree::sample(&[("ARCHITECTURE.md", text), ("a.rs", "fn there() {}")]);
    speaks(&invariants(&tree), "only claimed");
    speaks(&invariants(&tree), "names a.rs::gone");
    none(&invariants(&Tree::read()));
}

#[test]
fn commands_shown_exist() {
    let tree = Tree::sample(&[("README.md", "```sh\npopwatch dance\n```\n")]);
    speaks(&commands(&tree), "show what works");
    none(&commands(&Tree::read()));
}
