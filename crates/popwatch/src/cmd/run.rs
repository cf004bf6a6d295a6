//! `popwatch run`: the roles of this process, until it is told to stop.

use anyhow::Context;
use popwatch_node::Node;
use popwatch_node::ambient::Ambient;
use popwatch_node::config::{Config, RoleName};
use popwatch_node::member;

use crate::args::{RoleChoice, RunArgs};
use crate::exit::Exit;
use crate::print;

/// Runs the roles until Ctrl-C or SIGTERM.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_target(false)
        .init();
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => {
            let usual = std::path::Path::new("popwatch-data");
            member::usual(args.data.as_deref().unwrap_or(usual))
        }
    };
    if let Some(data) = args.data {
        config.data = data;
    }
    if let Some(choice) = args.role {
        config = config.only(roles(choice));
    }
    let node = Node::start(config, &Ambient::system()).await?;
    for (what, address) in [
        ("edge", node.edge),
        ("region", node.region),
        ("ledger", node.ledger),
    ] {
        if let Some(address) = address {
            print::note(format!("{what:<7} {}", node.url(address)));
        }
    }
    stop_signal().await?;
    print::note("stopping: committing what was handed over");
    node.stop().await;
    Ok(Exit::Done)
}

fn roles(choice: RoleChoice) -> &'static [RoleName] {
    match choice {
        RoleChoice::Edge => &[RoleName::Edge],
        RoleChoice::Region => &[RoleName::Region],
        RoleChoice::Ledger => &[RoleName::Ledger],
        RoleChoice::All => &[RoleName::Edge, RoleName::Region, RoleName::Ledger],
    }
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be heard")?;
    tokio::select! {
        heard = tokio::signal::ctrl_c() => heard.context("signals cannot be heard")?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
