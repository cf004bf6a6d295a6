//! The page that is embedded is the one its source makes, and is small.
//!
//! What always holds: the build happens in a copy under the target folder, so a check writes
//! nothing into the tree; packages are those of the lock file, and none of their scripts runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Stand;
use crate::{setup, shell};

/// Longest that fetching packages or building takes.
const LIMIT: Duration = Duration::from_secs(600);
/// What the build reads.
const SOURCE: [&str; 8] = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "budget.mjs",
    "index.html",
    "public",
    "src",
];

/// Builds it anew, compares each file, and weighs it.
pub(super) fn built(_: &Stand) -> Result<()> {
    let web = shell::root().join("web");
    let desk = setup::target().join("check-web");
    for name in SOURCE {
        let at = desk.join(name);
        if at.is_dir() {
            fs::remove_dir_all(&at).with_context(|| format!("cannot empty {}", at.display()))?;
        }
        copy(&web.join(name), &at)?;
    }
    let npm = |args: &[&str]| {
        let mut npm = shell::command("npm");
        shell::run(npm.current_dir(&desk).args(args), LIMIT)
    };
    npm(&[
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
    ])?;
    npm(&["run", "--silent", "build"])?;
    let differing = differing(&web.join("dist"), &desk.join("dist"))?;
    if !differing.is_empty() {
        bail!(
            "web/dist differs from what web/src makes ({}); run `npm ci && npm run build` in web/ and \
             commit it",
            differing.join(", ")
        );
    }
    let mut budget = shell::command("node");
    shell::run(budget.current_dir(&desk).arg("budget.mjs"), LIMIT)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy {}", from.display());
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        return fs::copy(from, to).map(drop).with_context(failed);
    }
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Names of files that are on one side alone or differ.
fn differing(held: &Path, made: &Path) -> Result<Vec<String>> {
    let mut names = listed(held)?;
    names.extend(listed(made)?);
    names.sort();
    names.dedup();
    names.retain(|name| {
        let read = |folder: &Path| fs::read(folder.join(name)).ok();
        read(held) != read(made)
    });
    Ok(names)
}

fn listed(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_or_is_on_one_side_alone_is_named() {
        let folder = setup::target().join(format!("web-test-{}", std::process::id()));
        let (held, made) = (folder.join("held"), folder.join("made"));
        for (side, files) in [
            (&held, [("same", "1"), ("other", "1"), ("old", "1")]),
            (&made, [("same", "1"), ("other", "2"), ("new", "1")]),
        ] {
            fs::create_dir_all(side).unwrap();
            for (name, text) in files {
                fs::write(side.join(name), text).unwrap();
            }
        }
        let found = differing(&held, &made).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, ["new", "old", "other"]);
    }
}
