//! What the screens are told, as TypeScript: read from the structs that are serialised, so that a
//! screen that names a field nobody sends does not build.
//!
//! What always holds: every public struct of the modules below becomes one interface with its own
//! words; a shape this reader does not know faults instead of becoming something looser.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};

use super::Generated;
use crate::shell;

/// Modules of wire whose structs are rows or bodies of reads.
const SOURCES: [&str; 8] = [
    "answer_v1",
    "answer_v1/boards",
    "answer_v1/rows",
    "answer_v1/confidence",
    "answer_v1/signals",
    "answer_v1/slo",
    "answer_v1/status",
    "answer_v1/vitals",
];

/// Where the interfaces go.
const TARGET: &str = "web/src/data/rows.ts";

/// The file of interfaces.
pub(super) fn types() -> Result<Generated> {
    let mut text = String::from(
        "// What the server sends, written by `cargo xtask codegen` from the structs that it serialises.\n",
    );
    for source in SOURCES {
        let path = format!("crates/wire/src/{source}.rs");
        let code = fs::read_to_string(shell::root().join(&path))
            .with_context(|| format!("cannot read {path}"))?;
        let code = code.split("#[cfg(test)]\nmod tests {").next();
        interfaces(code.unwrap_or_default(), &mut text).with_context(|| path)?;
    }
    Ok(Generated {
        path: TARGET.to_owned(),
        text,
    })
}

/// What stands before an item or a field and belongs to it.
#[derive(Default)]
struct Before {
    words: Vec<String>,
    serde: String,
}

/// A struct or enum while it is read.
struct Item {
    name: String,
    words: Vec<String>,
    extends: Vec<String>,
    lines: Vec<String>,
    /// Variants of an enum without fields, by the names they are sent under.
    names: Vec<String>,
    /// Beginnings of keys with their rows, of the one enum that is told by key.
    keyed: Vec<(String, String)>,
    is_enum: bool,
}

fn interfaces(code: &str, text: &mut String) -> Result<()> {
    let mut before = Before::default();
    let mut open: Option<Item> = None;
    for line in code.lines() {
        let line = line.trim_end();
        let bare = line.trim_start();
        if let Some(words) = bare.strip_prefix("/// ") {
            before.words.push(words.to_owned());
        } else if let Some(serde) = bare.strip_prefix("#[serde(") {
            before.serde.push_str(serde);
        } else if bare.starts_with("#[") || bare.starts_with("//") {
            // Other attributes and comments change nothing of what is sent.
        } else if let Some(item) = &mut open {
            if line == "}" {
                write(item, text)?;
                open = None;
            } else {
                let before = std::mem::take(&mut before);
                match item.is_enum {
                    true => variant(item, bare, &before)?,
                    false => field(item, bare, before)?,
                }
            }
        } else {
            open = begun(line, std::mem::take(&mut before));
        }
    }
    Ok(())
}

/// An item that begins on this line, if one does that is sent.
fn begun(line: &str, before: Before) -> Option<Item> {
    let (rest, is_enum) = match line.strip_prefix("pub struct ") {
        Some(rest) => (rest, false),
        None => (line.strip_prefix("pub enum ")?, true),
    };
    Some(Item {
        name: rest.strip_suffix(" {")?.to_owned(),
        words: before.words,
        extends: Vec::new(),
        lines: Vec::new(),
        names: Vec::new(),
        keyed: Vec::new(),
        is_enum,
    })
}

fn field(item: &mut Item, line: &str, before: Before) -> Result<()> {
    let Some((name, kind)) = line
        .strip_prefix("pub ")
        .and_then(|line| line.strip_suffix(','))
        .and_then(|line| line.split_once(": "))
    else {
        bail!("{}: {line} is no public field", item.name);
    };
    if before.serde.starts_with("skip)") {
        return Ok(());
    }
    if before.serde.starts_with("flatten") {
        item.extends.push(match inner(kind, "Option") {
            Some(kind) => format!("Partial<{kind}>"),
            None => kind.to_owned(),
        });
        return Ok(());
    }
    let (mark, kind) = match before.serde.contains("skip_serializing_if") {
        true => ("?", inner(kind, "Option").unwrap_or(kind)),
        false => ("", kind),
    };
    let kind = match before.serde.contains("serialize_with = \"codes\"") {
        true => "string[]".to_owned(),
        false => typescript(kind)?,
    };
    let words = before.words.join(" ");
    let words = if words.is_empty() {
        words
    } else {
        format!(" // {words}")
    };
    item.lines.push(format!("  {name}{mark}: {kind};{words}"));
    Ok(())
}

fn variant(item: &mut Item, line: &str, before: &Before) -> Result<()> {
    let Some(line) = line.strip_suffix(',') else {
        bail!("{}: {line} is no variant", item.name);
    };
    let Some((_, kind)) = line.split_once('(') else {
        item.names.push(snake(line));
        return Ok(());
    };
    let key = before
        .words
        .first()
        .and_then(|words| words.split('`').nth(1));
    let Some(key) = key else {
        bail!("{}: {line} does not say its key", item.name);
    };
    let kind = typescript(kind.trim_end_matches(')'))?;
    item.keyed.push((key.to_owned(), kind));
    Ok(())
}

fn write(item: &Item, text: &mut String) -> Result<()> {
    writeln!(text)?;
    for words in &item.words {
        writeln!(text, "/** {words} */")?;
    }
    let name = &item.name;
    if !item.names.is_empty() {
        let names: Vec<_> = item
            .names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        writeln!(text, "export type {name} = {};", names.join(" | "))?;
        return Ok(());
    }
    if item.is_enum {
        writeln!(text, "export interface {name}s {{")?;
        for (key, kind) in &item.keyed {
            match key.split_once('<') {
                Some((start, _)) => writeln!(text, "  [key: `{start}${{string}}`]: {kind};")?,
                None => writeln!(text, "  {key}: {kind};")?,
            }
        }
        writeln!(text, "}}")?;
        return Ok(());
    }
    let extends = match item.extends.is_empty() {
        true => String::new(),
        false => format!(" extends {}", item.extends.join(", ")),
    };
    writeln!(text, "export interface {name}{extends} {{")?;
    for line in &item.lines {
        writeln!(text, "{line}")?;
    }
    writeln!(text, "}}")?;
    Ok(())
}

/// A Rust type as it arrives in a browser.
fn typescript(kind: &str) -> Result<String> {
    if let Some(kind) = inner(kind, "Option") {
        return Ok(format!("{} | null", typescript(kind)?));
    }
    if let Some(kind) = inner(kind, "Vec") {
        return Ok(format!("{}[]", typescript(kind)?));
    }
    if let Some(kind) = inner(kind, "Box") {
        return typescript(kind);
    }
    let array = kind
        .strip_prefix('[')
        .and_then(|kind| kind.strip_suffix(']'));
    if let Some((kind, n)) = array.and_then(|array| array.split_once("; ")) {
        let kind = typescript(kind)?;
        return Ok(format!("[{}]", vec![kind; n.parse()?].join(", ")));
    }
    Ok(match kind {
        "i128" | "i64" | "i32" | "u64" | "u32" | "u8" | "Ratio" => "number",
        "bool" => "boolean",
        "String" | "&'static str" | "Currency" => "string",
        "Rows" => "Record<string, unknown>",
        kind if kind.chars().all(char::is_alphanumeric) => kind,
        kind => bail!("{kind} has no form in TypeScript here"),
    }
    .to_owned())
}

fn inner<'a>(kind: &'a str, of: &str) -> Option<&'a str> {
    kind.strip_prefix(of)?.strip_prefix('<')?.strip_suffix('>')
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_becomes_an_interface_with_its_own_words() {
        let code = "/// Row `x`.\n#[derive(Serialize)]\npub struct X {\n    /// How many.\n    \
                    pub n: Option<u64>,\n    #[serde(flatten)]\n    pub part: Y,\n    \
                    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub z: Option<[u64; 2]>,\n}\n\
                    #[serde(rename_all = \"snake_case\")]\npub enum E {\n    /// a\n    NoData,\n    Ok,\n}\n";
        let mut text = String::new();
        interfaces(code, &mut text).unwrap();
        assert_eq!(
            text,
            "\n/** Row `x`. */\nexport interface X extends Y {\n  n: number | null; // How many.\n  \
             z?: [number, number];\n}\n\nexport type E = \"no_data\" | \"ok\";\n"
        );
    }

    #[test]
    fn what_it_cannot_read_faults() {
        let mut text = String::new();
        let code = "pub struct X {\n    pub n: HashMap<u8, u8>,\n}\n";
        interfaces(code, &mut text).unwrap_err();
    }
}
