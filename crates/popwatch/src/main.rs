//! The `popwatch` binary: reads the arguments, runs one command, turns its outcome into an exit
//! status.
//!
//! [`args`] is the command line, [`cmd`] the commands, [`caller`] who they are to it,
//! [`till`] and [`player`] how events get to an edge and when, [`mod@print`] the only place that writes to the terminal, [`exit`] the four statuses.

mod args;
mod assets;
mod caller;
mod cmd;
mod exit;
mod player;
mod print;
mod till;

use args::Args;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(cmd::run(args)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            print::failure(&error);
            exit::of(&error).into()
        }
    }
}
