//! `docs/breaks.md`: every class of break, from `core::ledger::breaks`.

use std::fmt::Write as _;

use popwatch_core::ledger::{BreakClass, Owner, Severity};

use super::Generated;

const INTRO: &str = "\
# Breaks

A break is one named difference: between what a till said and what a provider, a bank, a shelf or
another till says. It has an owner, an amount where money or goods are at stake, and a next step.
Breaks go by themselves when a fact explains them; a person can also accept one, and the books then
say who did and why.

The severities: **money**, money may be missing or owed; **warn**, somebody should look; **info**,
good to know. A popup closes without `--allow-open` only when no break of severity money is open.
";

/// The page.
pub(super) fn page() -> Generated {
    let mut text = String::from(INTRO);
    for owner in [
        Owner::RigLead,
        Owner::Finance,
        Owner::Coop,
        Owner::Stock,
        Owner::Campaign,
    ] {
        let classes = BreakClass::ALL
            .iter()
            .filter(|class| class.owner() == owner);
        let mut rows = classes.peekable();
        if rows.peek().is_none() {
            continue;
        }
        let title = match owner {
            Owner::RigLead => "the rig lead",
            Owner::Finance => "finance",
            Owner::Coop => "the co-op",
            Owner::Stock => "whoever keeps the stock",
            Owner::Campaign => "the campaign",
        };
        write!(text, "\n## For {title}\n\n| code | severity | what it says | what to do |\n|---|---|---|---|\n")
            .expect("writing to a string cannot fail");
        for class in rows {
            let severity = match class.severity() {
                Severity::Info => "info",
                Severity::Warn => "warn",
                Severity::Money => "**money**",
            };
            writeln!(
                text,
                "| `{}` | {severity} | {} | {} |",
                class.text(),
                class.doc(),
                class.action()
            )
            .expect("writing to a string cannot fail");
        }
    }
    Generated {
        path: String::from("docs/breaks.md"),
        text,
    }
}
