//! The files written from the code. The code is the truth; the files are what SDKs and readers of
//! the repository see of it.
//!
//! ```text
//! docs/breaks.md             every class of break                          core::ledger::breaks
//! docs/SUMMARY.md            the table of contents                         core::code, and what is written
//! docs/errors.md             every code with its title                    core::code
//! docs/http.md               each role's routes                           wire::routes
//! docs/events.md             what each event type may hold                core::event
//! spec/errors.json           every PWxxxx code with its title and page    core::code
//! spec/openapi-ROLE.json     the routes of one role                       wire::routes
//! spec/schemas/*.json        a JSON Schema per event type                 wire::schema
//! spec/vectors/*.json        what every SDK does the same                wire::outbox
//! sdk/*/…/catalogue.*        a typed call per event type                 core::event
//! web/src/data/rows.ts       what the screens are told                    wire::answer_v1
//! ```

mod book;
mod breaks;
mod events;
mod screens;
mod sdks;
mod vectors;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use popwatch_core::code::Code;
use popwatch_wire::routes::{self, Role};
use popwatch_wire::schema;
use serde_json::{Value, json};

use crate::shell;

/// A generated file: its path from the root, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Path from the workspace's root.
    pub(crate) path: String,
    /// Its whole text.
    pub(crate) text: String,
}

/// Writes the files, or with `--check` answers whether they are as the code says.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let check = match args {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err(shell::usage("codegen takes --check or nothing")),
    };
    let files = files()?;
    let differing = differing(&files)?;
    for path in &differing {
        shell::say(&if check {
            format!("{path} differs from the code")
        } else {
            format!("wrote {path}")
        });
    }
    if !check {
        write(&files, &differing)?;
    }
    shell::say(&format!(
        "{} generated files, {} differed",
        files.len(),
        differing.len()
    ));
    Ok(!check || differing.is_empty())
}

/// All generated files, by path. Faults when something they refer to is not there.
pub(crate) fn files() -> Result<Vec<Generated>> {
    let mut files = vec![
        book::summary(),
        book::errors(),
        book::http(),
        breaks::page(),
        events::page(),
        errors()?,
        screens::types()?,
    ];
    for role in Role::ALL {
        let path = format!("spec/openapi-{}.json", role.name());
        files.push(pretty(&path, &routes::openapi(role)));
    }
    for (name, schema) in schema::all() {
        files.push(pretty(&format!("spec/schemas/{name}"), &schema));
    }
    files.extend(sdks::files());
    files.extend(vectors::files());
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The paths whose file is absent or differs, and files in generated folders that no code writes.
pub(crate) fn differing(files: &[Generated]) -> Result<Vec<String>> {
    let root = shell::root();
    let mut paths = Vec::new();
    for file in files {
        if fs::read_to_string(root.join(&file.path)).ok().as_ref() != Some(&file.text) {
            paths.push(file.path.clone());
        }
    }
    for path in strays(&root, files)? {
        paths.push(path);
    }
    Ok(paths)
}

/// Files under `spec/schemas/` that nothing generates any more.
fn strays(root: &Path, files: &[Generated]) -> Result<Vec<String>> {
    let folder = root.join("spec/schemas");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut strays = Vec::new();
    for entry in fs::read_dir(&folder).context("cannot list spec/schemas")? {
        let entry = entry.context("cannot list spec/schemas")?;
        let path = format!("spec/schemas/{}", entry.file_name().to_string_lossy());
        if !files.iter().any(|file| file.path == path) {
            strays.push(path);
        }
    }
    strays.sort();
    Ok(strays)
}

fn write(files: &[Generated], differing: &[String]) -> Result<()> {
    let root = shell::root();
    for path in differing {
        let target = root.join(path);
        let Some(file) = files.iter().find(|file| file.path == *path) else {
            fs::remove_file(&target).with_context(|| format!("cannot remove {path}"))?;
            continue;
        };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create for {path}"))?;
        }
        fs::write(&target, &file.text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// The register of error codes.
fn errors() -> Result<Generated> {
    let root = shell::root();
    let mut codes = Vec::new();
    for code in Code::ALL {
        let page = format!("docs/errors/{code}.md");
        if !root.join(&page).is_file() {
            bail!("{page} is missing; say there what {code} means, what was kept and what to do");
        }
        codes.push(json!({"code": code.to_string(), "title": code.title(), "page": page}));
    }
    Ok(pretty("spec/errors.json", &Value::Array(codes)))
}

/// A JSON file as people read it, ended by a newline.
fn pretty(path: &str, value: &Value) -> Generated {
    Generated {
        path: path.to_owned(),
        text: format!("{value:#}\n"),
    }
}
