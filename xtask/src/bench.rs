//! Speed beside a peer in the same run: work per second, CPU per unit of work, and the bars of the
//! specification.
//!
//! A case is a name and a function that answers rows. Ours and the peer take turns, round by round,
//! and the middle round of each counts: on a shared machine only what ran in the same minutes
//! compares. CPU is user and system time of the process that does the work. Nothing is fetched; a
//! peer that is not installed is named as absent.

mod ack;
mod blast;
mod books;
mod books_postgres;
mod door;
mod fold;
mod footprint;
mod ingest;
mod journal;
mod line;
mod load;
mod meter;
mod peers;
mod reads;
mod recovery;
mod scratch;
mod settlement;
mod streams;
mod webhooks;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::shell;
use line::Line;

/// One thing to measure.
struct Case {
    /// Its name on the command line.
    name: &'static str,
    /// Measures it.
    lines: fn() -> Result<Vec<Line>>,
}

/// All cases, in the order they run.
const CASES: &[Case] = &[
    Case {
        name: "journal",
        lines: journal::lines,
    },
    Case {
        name: "door",
        lines: door::lines,
    },
    Case {
        name: "fold",
        lines: fold::lines,
    },
    Case {
        name: "merge",
        lines: fold::merge_lines,
    },
    Case {
        name: "books",
        lines: books::lines,
    },
    Case {
        name: "books-postgres",
        lines: books_postgres::lines,
    },
    Case {
        name: "webhooks",
        lines: webhooks::lines,
    },
    Case {
        name: "settlement",
        lines: settlement::lines,
    },
    Case {
        name: "recovery",
        lines: recovery::lines,
    },
    Case {
        name: "ingest",
        lines: ingest::lines,
    },
    Case {
        name: "ack",
        lines: ack::lines,
    },
    Case {
        name: "blast",
        lines: blast::lines,
    },
    Case {
        name: "reads",
        lines: reads::lines,
    },
    Case {
        name: "streams",
        lines: streams::lines,
    },
    Case {
        name: "footprint",
        lines: footprint::lines,
    },
    Case {
        name: "idle",
        lines: footprint::idle_lines,
    },
];

/// Runs the named cases or all, in a release build. A bar that is missed is shown, and is no
/// failure: machines differ.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let (chosen, json) = options(args)?;
    if cfg!(debug_assertions) {
        return shell::again_in_release("bench", args);
    }
    let mut lines = Vec::new();
    for case in chosen {
        shell::say(&format!("== bench {}", case.name));
        lines.extend((case.lines)()?);
    }
    for line in line::table(&lines) {
        shell::say(&line);
    }
    let rows = Value::Array(lines.iter().map(Line::json).collect());
    match json {
        Some(path) => {
            let text = format!("{:#}\n", json!({ "rows": rows }));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => shell::say(&rows.to_string()),
    }
    Ok(true)
}

/// `--case NAME…` and `--json FILE`; bare names are cases too.
fn options(args: &[String]) -> Result<(Vec<&'static Case>, Option<PathBuf>)> {
    let (mut names, mut json) = (Vec::new(), None);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--case" => {}
            "--json" => {
                let file = rest.next();
                let file = file.ok_or_else(|| shell::usage("--json needs a file"))?;
                json = Some(PathBuf::from(file));
            }
            name => names.push(name.to_owned()),
        }
    }
    let chosen = crate::table::choose(CASES, |case| case.name, &names)?;
    Ok((chosen, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_the_file_are_read_from_the_command_line() {
        let args = ["--case", "door", "fold", "--json", "out.json"].map(String::from);
        let (chosen, json) = options(&args).unwrap();
        let names: Vec<_> = chosen.iter().map(|case| case.name).collect();
        assert_eq!(names, ["door", "fold"]);
        assert_eq!(json, Some(PathBuf::from("out.json")));
        assert!(options(&[String::from("nothing")]).is_err());
        assert_eq!(options(&[]).unwrap().0.len(), CASES.len());
    }
}
