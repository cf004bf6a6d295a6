//! Opening a till's journal: what a start finds, what is tried again, and what is said of it.
//!
//! What always holds here: a journal that cannot be opened is tried again beside the pages that say so,
//! and each loss a start finds is told with its code.

use std::sync::Arc;

use popwatch_core::code::Code;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::JournalId;
use popwatch_core::role::edge::Edge;
use popwatch_store::fs::honest;
use popwatch_store::fs::os::OsFs;
use popwatch_store::journal::{Fresh, Journal, OpenError, Opening, Recovery};
use popwatch_wire::answer_v1::{Quarantine, Vitals};
use tokio::sync::watch;

use crate::access::{Access, Guard};
use crate::ambient::Ambient;
use crate::config::{Config, EdgeConfig};
use crate::http::{self, AllowedHosts};
use crate::identity::Identity;
use crate::keyring::Keyring;
use crate::member::Member;
use crate::{Node, StartFault, chain, refold};

/// Between two tries of a journal that cannot be opened.
const REOPEN_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// An edge whose journal could not be opened: it is tried again while its pages are up.
pub(crate) struct Reopening {
    pub(crate) config: EdgeConfig,
    pub(crate) whole: Config,
    pub(crate) policies: Vec<PopupPolicy>,
    pub(crate) ambient: Ambient,
    pub(crate) routers: watch::Sender<Arc<http::Served>>,
    pub(crate) allowed: AllowedHosts,
    pub(crate) guard: Guard,
    pub(crate) access: Access,
    pub(crate) keyring: Keyring,
    pub(crate) identity: Identity,
    pub(crate) member: Option<Member>,
}

impl Reopening {
    pub(crate) async fn run(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = shutdown.changed() => return,
                () = tokio::time::sleep(REOPEN_EVERY) => {}
            }
            let (access, keyring) = (self.access.clone(), self.keyring.clone());
            let mut node = Node::empty(self.identity.clone(), false, access, keyring);
            node.member.clone_from(&self.member);
            let policies = self.policies.clone();
            match node.open_edge(&self.config, &self.whole, policies, &self.ambient) {
                Ok(router) => {
                    tracing::info!("the journal is open; sales are taken again");
                    let router = http::dressed(router, self.allowed.clone(), self.guard.clone());
                    drop(self.routers.send_replace(router));
                    drop(shutdown.changed().await);
                    return Box::pin(node.stop()).await;
                }
                Err(fault) => {
                    tracing::debug!(fault = chain(&fault), "the journal still cannot be opened");
                }
            }
        }
    }
}

/// Opens the journal and brings its fold back.
pub(crate) fn open_journal(
    config: &EdgeConfig,
    data: &std::path::Path,
    popups: &[PopupPolicy],
    ambient: &Ambient,
) -> Result<(Journal<OsFs>, Edge, Vitals), StartFault> {
    let rig = config.rig_id()?;
    let fs = OsFs::new(data).map_err(|source| StartFault::Data {
        path: data.to_path_buf(),
        source,
    })?;
    let fresh = ambient.clone();
    let opening = Opening {
        rig: rig.clone(),
        fresh: Fresh {
            journal_id: JournalId(ambient.random()),
            epoch_id: Box::new(move || popwatch_core::id::EpochId(fresh.random())),
        },
        boot_id: ambient.boot_id(),
        version: String::from(env!("CARGO_PKG_VERSION")),
        stamp: ambient.stamp(),
        popups: popups.to_vec(),
        segment_bytes: popwatch_core::limits::SEGMENT_BYTES,
    };
    let (mut journal, recovery) =
        Journal::open(fs, opening).map_err(|fault| did_not_open(data, fault))?;
    report(&recovery);
    let mut edge = Edge::new(
        &rig,
        journal.journal_id(),
        config.ledger.is_some(),
        config.regions.len(),
    );
    if ambient.is_scripted() {
        edge.trust_wall();
    }
    let done = refold::refold(&mut journal, &mut edge, ambient.now());
    let done = done.map_err(|source| StartFault::Data {
        path: data.to_path_buf(),
        source,
    })?;
    let (records, restored) = (done.records, done.restored);
    tracing::info!(records, restored, "the journal is folded");
    Ok((journal, edge, found(&recovery)))
}

/// What the status says of a start.
fn found(recovery: &Recovery) -> Vitals {
    let files = recovery.quarantined.len() as u64;
    Vitals {
        quarantine: (files > 0).then_some(Quarantine { files, bytes: None }),
        newer_format: recovery.newer_format,
        ..Vitals::default()
    }
}

fn did_not_open(data: &std::path::Path, fault: OpenError) -> StartFault {
    let path = data.to_path_buf();
    match fault {
        OpenError::Locked => StartFault::Locked { path },
        source @ OpenError::Unavailable { .. } => StartFault::Journal { path, source },
    }
}

/// Says in the log what a start found.
fn report(recovery: &Recovery) {
    for gap in &recovery.gaps {
        let code = match gap.cause.as_str() {
            "missing_file" => Code::SegmentMissing,
            _media => Code::RecordDamaged,
        };
        tracing::error!(
            %code,
            epoch = gap.epoch,
            first = gap.first,
            last = gap.last,
            "records are lost to damage; the books will know which"
        );
    }
    for torn in &recovery.torn {
        let (code, file) = (Code::TailTorn, torn.file.as_str());
        tracing::info!(%code, file, bytes = torn.bytes, "a torn tail was cut: a write that was never acknowledged, unless a peer knows better");
    }
    if recovery.quarantine.dropped > 0 {
        let (dropped, bytes) = (recovery.quarantine.dropped, recovery.quarantine.bytes);
        tracing::warn!(dropped, bytes, "the oldest files in quarantine had to go");
    }
    for file in &recovery.quarantined {
        let code = Code::JournalForeign;
        tracing::warn!(%code, file, "a file that is not this journal's was put aside");
    }
    if recovery.newer_format {
        let code = Code::FormatNewer;
        tracing::error!(%code, "parts of the journal need a newer popwatch; they are left untouched");
    }
}

/// Finds out, beside the work, whether the disk's word can be trusted, and says so if not.
pub(crate) async fn doubt_disk(fs: OsFs, ambient: Ambient, vitals: watch::Sender<Vitals>) {
    let mut now_ns = move || ambient.mono_ns();
    let asked = tokio::task::spawn_blocking(move || honest::doubt(&fs, &mut now_ns));
    match asked.await {
        Ok(Ok(None)) => {
            vitals.send_modify(|vitals| vitals.disk.get_or_insert_default().honest = Some(true))
        }
        Ok(Ok(Some(doubt))) => {
            vitals.send_modify(|vitals| vitals.disk.get_or_insert_default().honest = Some(false));
            let code = Code::DiskDoubtful;
            tracing::warn!(%code, %doubt, "a power cut may take what this disk calls durable");
        }
        Ok(Err(fault)) => tracing::warn!(%fault, "the disk's syncs could not be timed"),
        Err(fault) => tracing::error!(%fault, "timing the disk's syncs failed"),
    }
}
