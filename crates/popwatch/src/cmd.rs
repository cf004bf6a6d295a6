//! The commands, one module each.

mod reconcile;
mod replay;
mod send;

use crate::args::{Args, Command};
use crate::exit::Exit;

/// Runs the command that was asked for.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let format = args.format;
    match args.command {
        Command::Send(args) => send::run(&args, format).await,
        Command::Replay(args) => replay::run(&args, format).await,
        Command::Reconcile(args) => reconcile::run(&args, format).await,
    }
}
