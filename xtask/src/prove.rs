//! The long proofs: what must hold beyond what a check has time for.
//!
//! A proof is a name and a function that answers rows; it fails when a row does not hold.

use anyhow::Result;

use crate::shell;
use crate::table::{self, Row};

/// One proof.
struct Proof {
    /// Its name on the command line.
    name: &'static str,
    /// Runs it; `Err` when it could not be run at all.
    rows: fn() -> Result<Vec<Row>>,
}

/// All proofs, in the order they run.
const PROOFS: &[Proof] = &[Proof {
    name: "generated",
    rows: generated,
}];

/// Runs the named proof or all; answers whether every row holds.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let chosen = table::choose(PROOFS, |proof| proof.name, args)?;
    let mut rows = Vec::new();
    for proof in chosen {
        shell::say(&format!("== prove {}", proof.name));
        rows.extend((proof.rows)()?);
    }
    Ok(table::print(&rows))
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
