//! `popwatch completions`: what a shell needs to complete the command line, made from its definition.

use crate::args::{Args, CompletionsArgs};
use crate::exit::Exit;
use crate::print;
use clap::CommandFactory;

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "popwatch", &mut script);
    print::raw(&script)?;
    Ok(Exit::Done)
}
