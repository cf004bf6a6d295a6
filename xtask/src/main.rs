//! `cargo xtask`: the checks, proofs, benches and generated files of this workspace.
//!
//! Nothing here is needed to build or run the product, and nothing of it depends on this crate.

mod bench;
mod check;
mod codegen;
mod prove;
mod sample;
mod setup;
mod shell;
mod table;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask check [--fast] [--only STAGE] [--seeds N] [--no-skip]
    everything CI checks, in CI's order; installs what is missing when it may
cargo xtask codegen [--check]
    writes spec/ from the code, or says which files differ
cargo xtask prove [--only NAME…] [--quick] [--json FILE]
    runs the long proofs and prints a table and JSON
cargo xtask bench [--case NAME…] [--json FILE]
    measures beside its peers and prints a table and JSON
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", args.as_slice()),
    };
    let done = match command {
        "check" => check::run(rest),
        "codegen" => codegen::run(rest),
        "prove" => prove::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            shell::say(USAGE);
            return ExitCode::SUCCESS;
        }
        "" => Err(shell::usage("no command given")),
        other => Err(shell::usage(&format!("no command is called {other}"))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            shell::complain(&format!("xtask: {fault:#}"));
            if fault.is::<shell::Usage>() {
                shell::complain(USAGE);
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
