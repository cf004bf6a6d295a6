//! A stretch of network between a rig and a peer that can be cut: while cut, connections break and
//! new ones are refused by silence, as on a bad evening.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The relay; dropping it takes it down.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Relays any loopback port to `target`.
    pub(super) async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .context("no loopback port is free for the demo's network")?;
        let address = listener.local_addr().context("a listener has an address")?;
        let (cut, is_cut) = watch::channel(false);
        let task = tokio::spawn(accept(listener, target, is_cut));
        Ok(Self { address, cut, task })
    }

    /// Where the rig connects.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the line or mends it.
    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, is_cut: watch::Receiver<bool>) {
    let mut streams = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if !*is_cut.borrow() {
                    streams.spawn(carry(stream, target, is_cut.clone()));
                }
            }
            Some(_) = streams.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // Either end may close; both streams go with this task.
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
}
