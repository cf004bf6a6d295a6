//! Which trail a data directory has, and who it is exchanged with.

use std::sync::Arc;

use popwatch_core::access::Scope;
use popwatch_core::code::Code;
use popwatch_core::id::RigId;
use popwatch_wire::answer_v1::EdgeStatus;
use tokio::sync::watch;

use super::Trail;
use super::cross::Peers;
use crate::ambient::Ambient;
use crate::config::{Config, EdgeConfig};
use crate::http::{RawState, Source};
use crate::{Node, StartFault, chain, keys, until};

/// The trail of what people do to the books. Opening reads a short file.
pub(crate) fn trail(config: &Config, of: &str, ambient: &Ambient) -> Result<Trail, StartFault> {
    let (data, org) = (&config.data, &config.access.org);
    let key = keys::audit(data, org, ambient)?;
    let origin = format!("{org}/audit/{of}");
    Trail::open(data, &origin, key, ambient).map_err(|source| StartFault::Audit {
        path: data.join("audit"),
        source,
    })
}

impl Node {
    /// The trail of this data directory: the ledger's, where one is in this process, else the rig's own.
    /// Without one the till sells on and shows no single record.
    fn rig_trail(&mut self, whole: &Config, rig: &RigId, ambient: &Ambient) -> Option<Trail> {
        if self.trail.is_none() {
            match trail(whole, rig.as_str(), ambient) {
                Ok(opened) => {
                    self.access.set_trail(&opened);
                    self.policies.set_trail(&opened);
                    self.keyring.set_trail(&opened);
                    self.trail = Some(opened);
                }
                Err(fault) => {
                    let fault = chain(&fault);
                    tracing::error!(code = %Code::AuditUnwritten, fault, "the audit trail cannot be opened; no single record is shown");
                }
            }
        }
        self.trail.clone()
    }

    /// What single records of a rig are read with.
    pub(crate) fn rig_raw(
        &mut self,
        whole: &Config,
        config: &EdgeConfig,
        rig: RigId,
        status: watch::Receiver<Arc<EdgeStatus>>,
        ambient: &Ambient,
    ) -> RawState {
        let trail = self.rig_trail(whole, &rig, ambient);
        RawState {
            peers: self.link_trails(whole, config, &rig, trail.as_ref(), ambient),
            trail,
            access: self.access.clone(),
            keyring: self.keyring.clone(),
            source: Source::Journal {
                data: whole.data.clone(),
                rig,
                status,
            },
            ambient: ambient.clone(),
        }
    }

    /// Exchanges heads with a ledger elsewhere, for as long as there is a trail of the rig's own.
    fn link_trails(
        &mut self,
        whole: &Config,
        config: &EdgeConfig,
        rig: &RigId,
        trail: Option<&Trail>,
        ambient: &Ambient,
    ) -> Option<Peers> {
        let ledger = config.ledger.clone().filter(|_| whole.ledger.is_none())?;
        let peers = Peers::new(&whole.data, trail?, ambient);
        let pass = self.access.own_pass(Scope::Till, rig.as_str());
        let task = peers.clone().run(ledger, pass);
        self.tasks.spawn(until(self.shutdown.subscribe(), task));
        Some(peers)
    }
}
