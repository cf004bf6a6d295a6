//! What `/healthz` and `/readyz` look at: a process that is alive and collects nothing must show.
//!
//! What always holds: the disk is probed only when somebody asks, and at most every ten seconds; a
//! probe that hangs holds up nobody but those who asked.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use popwatch_wire::answer_v1::{EdgeStatus, Failing};
use tokio::sync::{Mutex, watch};

use crate::ambient::Ambient;
use crate::gauges::Gauges;

/// The journal's thread looks around every two seconds; unseen for longer it hangs, ns.
const ALIVE_NS: u64 = 5_000_000_000;
/// A fold further behind than this is not ready, ns.
const FOLD_BEHIND_NS: u64 = 2_000_000_000;
/// Between two probes of the disk, ns.
const PROBE_EVERY_NS: u64 = 10_000_000_000;
/// Longest wait for a probe.
const PROBE_WAIT: Duration = Duration::from_secs(5);
/// What a probe writes, bytes.
const PROBE_BYTES: usize = 4_096;

/// How a role knows whether it is well.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    /// A role without a journal is well while it answers.
    Answers,
    /// An edge whose journal cannot be opened, for this reason.
    Unopened(Arc<str>),
    /// A running edge.
    Edge(Arc<EdgeHealth>),
}

/// What an edge's health is read from.
#[derive(Debug)]
pub(crate) struct EdgeHealth {
    gauges: Arc<Gauges>,
    status: watch::Receiver<Arc<EdgeStatus>>,
    ambient: Ambient,
    probe: PathBuf,
    probed: Mutex<Option<(u64, Result<(), String>)>>,
}

impl EdgeHealth {
    /// Of a journal under `data`.
    pub(crate) fn new(
        gauges: Arc<Gauges>,
        status: watch::Receiver<Arc<EdgeStatus>>,
        ambient: Ambient,
        data: &Path,
    ) -> Self {
        Self {
            gauges,
            status,
            ambient,
            probe: data.join("probe"),
            probed: Mutex::new(None),
        }
    }

    fn alive(&self) -> bool {
        let now = self.ambient.mono_ns();
        now.saturating_sub(self.gauges.ticked_ns()) <= ALIVE_NS
    }

    async fn failing(&self) -> Vec<Failing> {
        let mut failing = Vec::new();
        let mut fails = |check: &'static str, detail: &str| {
            failing.push(Failing {
                check: check.to_owned(),
                detail: detail.to_owned(),
            });
        };
        if !self.alive() {
            fails("journal", "the journal's thread hangs, mostly on the disk");
        }
        if self.gauges.cannot_store() {
            fails("journal", "the disk takes no records");
        }
        if let Err(detail) = self.probed().await {
            fails("disk", &detail);
        }
        let shown = self.gauges.shown();
        let folded = {
            let status = self.status.borrow();
            (status.epoch, status.durable_seq)
        };
        let age_ns = self.ambient.mono_ns().saturating_sub(shown.head_ns);
        if folded < shown.head && age_ns > FOLD_BEHIND_NS {
            fails(
                "fold",
                "the views are more than two seconds behind the journal",
            );
        }
        failing
    }

    async fn probed(&self) -> Result<(), String> {
        let mut probed = self.probed.lock().await;
        let now = self.ambient.mono_ns();
        if let Some((at, outcome)) = probed.as_ref()
            && now.saturating_sub(*at) < PROBE_EVERY_NS
        {
            return outcome.clone();
        }
        let path = self.probe.clone();
        let written = tokio::task::spawn_blocking(move || write_probe(&path));
        let outcome = match tokio::time::timeout(PROBE_WAIT, written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(fault))) => Err(format!("4 KiB could not be written and synced: {fault}")),
            Ok(Err(_)) => Err("the probe of the disk failed".to_owned()),
            Err(_) => Err("4 KiB were not written and synced within five seconds".to_owned()),
        };
        *probed = Some((now, outcome.clone()));
        outcome
    }
}

fn write_probe(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(&[0; PROBE_BYTES])?;
    file.sync_data()
}

impl Health {
    /// Whether the process does its work.
    pub(crate) fn alive(&self) -> bool {
        match self {
            Self::Answers | Self::Unopened(_) => true,
            Self::Edge(edge) => edge.alive(),
        }
    }

    /// What keeps the role from its work.
    pub(crate) async fn failing(&self) -> Vec<Failing> {
        match self {
            Self::Answers => Vec::new(),
            Self::Unopened(reason) => vec![Failing {
                check: "journal".to_owned(),
                detail: reason.to_string(),
            }],
            Self::Edge(edge) => edge.failing().await,
        }
    }
}
