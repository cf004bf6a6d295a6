//! Rules about the tree that no compiler holds. A test, so that nobody can forget to run them.
//!
//! A rule is a function of a path and a text, or of the whole tree; it answers one sentence per
//! breach, and the sentence says what to do. Each rule is shown to speak by a bad sample beside it.

mod arrows;
mod docs;
mod register;
mod text;

use std::fs;
use std::path::Path;

/// One file of the tree.
#[derive(Debug)]
struct File {
    /// Path from the root, with `/`.
    path: String,
    /// Its text; empty when it is not UTF-8.
    text: String,
}

/// All files of the tree but what is built or fetched.
#[derive(Debug)]
struct Tree(Vec<File>);

/// What a rule found: empty when the tree is as it should be.
type Breaches = Vec<String>;

impl Tree {
    fn read() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().expect("the crate lies inside the workspace");
        let mut files = Vec::new();
        collect(root, root, &mut files);
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self(files)
    }

    fn sample(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self(files.iter().map(file).collect())
    }

    fn text(&self, path: &str) -> Option<&str> {
        let found = self.0.iter().find(|file| file.path == path)?;
        Some(&found.text)
    }

    /// Whether a file or a folder of this path is there.
    fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let inside = |file: &File| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().any(inside)
    }

    /// Rust files under `crates/` and `xtask/`, these rules and their samples excepted.
    fn rust(&self) -> impl Iterator<Item = &File> {
        self.0.iter().filter(|file| {
            file.path.ends_with(".rs") && !file.path.starts_with("xtask/tests/it/tidy")
        })
    }

    /// Runs a rule over each file that people wrote, these rules and their samples excepted.
    fn each(&self, rule: fn(&str, &str) -> Breaches) -> Breaches {
        let ours = |file: &&File| {
            let written = [
                "rs", "md", "toml", "js", "mjs", "ts", "tsx", "html", "css", "sql", "py", "sh",
            ];
            let extension = file.path.rsplit('.').next().unwrap_or_default();
            let chosen = written.contains(&extension) || file.path == ".ci/run";
            chosen
                && !file.path.starts_with("xtask/tests/it/tidy")
                && !file.path.starts_with("fixtures/")
        };
        let files = self.0.iter().filter(ours);
        files
            .flat_map(|file| rule(&file.path, &file.text))
            .collect()
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let left_out = [".git", "target", "node_modules", "__pycache__"];
    let entries = fs::read_dir(folder).expect("the tree can be listed");
    for entry in entries {
        let entry = entry.expect("the tree can be listed");
        let name = entry.file_name();
        if left_out.iter().any(|out| name == *out) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let inside = path.strip_prefix(root).expect("it was found there");
        let bytes = fs::read(&path).expect("the tree can be read");
        files.push(File {
            path: inside.to_string_lossy().replace('\\', "/"),
            text: String::from_utf8(bytes).unwrap_or_default(),
        });
    }
}

/// Whether a file holds nothing but tests.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The part of a Rust file before its tests.
fn production(text: &str) -> &str {
    let head = "\n#[cfg(test)]\nmod ";
    let inline = |(at, _): &(usize, &str)| {
        let line = text[at + head.len()..].lines().next();
        line.is_some_and(|line| line.ends_with('{'))
    };
    let tests = text.match_indices(head).find(inline);
    tests.map_or(text, |(at, _)| &text[..at])
}

/// Whether `word` stands in `text` with no letter, digit or underscore at either side.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

/// Fails with every breach on a line of its own.
#[track_caller]
fn none(breaches: &[String]) {
    assert!(
        breaches.is_empty(),
        "{} breaches:\n{}\n",
        breaches.len(),
        breaches.join("\n")
    );
}

/// Fails unless the bad sample made the rule speak, with this remedy in its words.
#[track_caller]
fn speaks(breaches: &[String], remedy: &str) {
    assert!(
        breaches.iter().any(|breach| breach.contains(remedy)),
        "the rule is silent or names no remedy: {breaches:?}"
    );
}

#[test]
fn a_word_is_found_only_as_a_whole() {
    assert!(has_word("is saved.", "saved"));
    assert!(!has_word("savedpoint unsaved", "saved"));
}

#[test]
fn production_ends_at_inline_tests_only() {
    let declared = "use a;\n#[cfg(test)]\nmod tests;\nfn b() {}";
    assert_eq!(production(declared), declared);
    let inline = "use a;\n#[cfg(test)]\nmod tests {\nfn b() {}\n}";
    assert_eq!(production(inline), "use a;");
}

#[test]
fn the_tree_is_read_whole() {
    let tree = Tree::read();
    assert!(tree.holds("crates/core/src/lib.rs"));
    assert!(tree.holds(".ci/run"));
    assert!(!tree.holds("target"));
}
