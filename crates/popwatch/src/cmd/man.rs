//! `popwatch man`: the manual's pages, made from the definition of the command line.

use crate::args::{Args, ManArgs};
use crate::exit::Exit;
use anyhow::Context;
use clap::CommandFactory;

/// Writes a page for the program and one for each command.
pub(crate) fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    clap_mangen::generate_to(Args::command(), folder)
        .with_context(|| format!("cannot write the manual to {}", folder.display()))?;
    Ok(Exit::Done)
}
