//! The commands, one module each.

pub(crate) mod access;
mod audit;
mod close;
mod completions;
mod demo;
mod enrol;
mod export;
mod journal;
mod man;
pub(crate) mod policy;
pub(crate) mod preflight;
pub(crate) mod raw;
mod reconcile;
mod replay;
pub(crate) mod report;
mod run;
mod send;
mod statement;
mod top;

pub(crate) use demo::SPEED as DEMO_SPEED;

use crate::args::{Args, Command};
use crate::exit::Exit;

/// Runs the command that was asked for.
pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let format = args.format;
    crate::caller::set(args.pass.as_deref(), args.code.as_deref())?;
    match args.command {
        Command::Demo(args) => demo::run(args, format).await,
        Command::Run(args) => run::run(args).await,
        Command::Send(args) => send::run(&args, format).await,
        Command::Replay(args) => replay::run(&args, format).await,
        Command::Journal(args) => tokio::task::block_in_place(|| journal::run(&args, format)),
        Command::Reconcile(args) => reconcile::run(&args, format).await,
        Command::Statement(args) => statement::run(&args, format).await,
        Command::Close(args) => close::run(&args, format).await,
        Command::Export(args) => export::run(&args).await,
        Command::Audit(args) => audit::run(&args.command, format).await,
        Command::Policy(args) => policy::run(&args, format).await,
        Command::Preflight(args) => preflight::run(&args, format).await,
        Command::Report(args) => report::run(&args, format).await,
        Command::Raw(args) => raw::run(&args).await,
        Command::Access(args) => tokio::task::block_in_place(|| access::run(&args.command, format)),
        Command::Enrol(args) => enrol::run(&args, format).await,
        Command::Top(args) => top::run(&args, format).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => tokio::task::block_in_place(|| man::run(&args)),
    }
}
