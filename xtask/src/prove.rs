//! The long proofs: what must hold beyond what a check has time for.
//!
//! A proof is a name and a function that answers rows; it fails when a row does not hold. All run in
//! a release build.

mod cards;
mod damage;
mod deliveries;
mod journal;
mod others;
mod slo;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;
use crate::table::{self, Row};

/// One proof.
struct Proof {
    /// Its name on the command line.
    name: &'static str,
    /// Runs it, a small part of it when told to be quick; `Err` when it could not be run at all.
    rows: fn(bool) -> Result<Vec<Row>>,
}

/// All proofs, in the order they run.
const PROOFS: &[Proof] = &[
    Proof {
        name: "generated",
        rows: |_| generated(),
    },
    Proof {
        name: "shape",
        rows: |_| shape(),
    },
    Proof {
        name: "cards",
        rows: cards::rows,
    },
    Proof {
        name: "flips",
        rows: journal::flips,
    },
    Proof {
        name: "damage",
        rows: damage::damage,
    },
    Proof {
        name: "crashes",
        rows: journal::crashes,
    },
    Proof {
        name: "deliveries",
        rows: deliveries::rows,
    },
    Proof {
        name: "slo",
        rows: slo::rows,
    },
    Proof {
        name: "seeds",
        rows: others::seeds,
    },
    Proof {
        name: "forks",
        rows: others::forks,
    },
    Proof {
        name: "kills",
        rows: others::kills,
    },
    Proof {
        name: "sdk",
        rows: others::sdk,
    },
    Proof {
        name: "canary",
        rows: others::canary,
    },
];

/// What the command line asks for.
struct Options {
    chosen: Vec<&'static Proof>,
    quick: bool,
    json: Option<PathBuf>,
}

/// Runs the named proofs or all; answers whether every row holds.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let options = options(args)?;
    if cfg!(debug_assertions) {
        return shell::again_in_release("prove", args);
    }
    let mut rows = Vec::new();
    for proof in options.chosen {
        shell::say(&format!("== prove {}", proof.name));
        rows.extend((proof.rows)(options.quick)?);
    }
    let holds = table::print(&rows);
    if let Some(path) = options.json {
        fs::write(&path, format!("{:#}\n", table::json(&rows)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(holds)
}

/// `--only NAME…`, `--quick` and `--json FILE`; bare names are proofs too.
fn options(args: &[String]) -> Result<Options> {
    let (mut names, mut quick, mut json) = (Vec::new(), false, None);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--only" => {}
            "--quick" => quick = true,
            "--json" => {
                let file = rest.next();
                let file = file.ok_or_else(|| shell::usage("--json needs a file"))?;
                json = Some(PathBuf::from(file));
            }
            name => names.push(name.to_owned()),
        }
    }
    let chosen = table::choose(PROOFS, |proof| proof.name, &names)?;
    Ok(Options {
        chosen,
        quick,
        json,
    })
}

/// Writing the generated files twice gives the same bytes.
fn generated() -> Result<Vec<Row>> {
    let (one, other) = (crate::codegen::files()?, crate::codegen::files()?);
    let differing = one.iter().zip(&other).filter(|(a, b)| a != b).count();
    Ok(vec![Row::count(
        "generated files that differ between two runs",
        differing,
        0,
    )])
}

/// How large the tree's Rust files and its dependencies are.
fn shape() -> Result<Vec<Row>> {
    let root = shell::root();
    let mut lines = Vec::new();
    for folder in ["crates", "xtask"] {
        count_lines(&root.join(folder), &mut lines)?;
    }
    lines.sort_unstable();
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let packages = lock.matches("[[package]]").count();
    Ok(vec![
        Row::at_most("lines of a Rust file, median", rank(&lines, 50), 250),
        Row::at_most("lines of a Rust file, 90 of 100", rank(&lines, 90), 600),
        Row::at_most("lines of a Rust file, longest", rank(&lines, 100), 800),
        Row::at_most("locked packages", packages, 360),
    ])
}

fn count_lines(folder: &Path, lines: &mut Vec<usize>) -> Result<()> {
    let unreadable = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            count_lines(&path, lines)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            lines.push(text.lines().count());
        }
    }
    Ok(())
}

/// The value at the nearest rank of `percent` in a sorted list; 0 of an empty one.
fn rank(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    let at = rank.saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let sorted = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100];
        assert_eq!(
            [50, 90, 100].map(|percent| rank(&sorted, percent)),
            [5, 9, 100]
        );
        assert_eq!(rank(&[], 50), 0);
    }
}
