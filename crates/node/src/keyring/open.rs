//! Opens sealed parts for a read that was granted.

use popwatch_core::access::raw::PartClass;
use popwatch_core::code::Code;
use popwatch_core::id::{PopupId, Position};
use popwatch_core::record::{self, Record};
use popwatch_redact::seal::Part;
use popwatch_wire::keyring::Ring;
use popwatch_wire::raw::Opened;

use super::Keyring;
use crate::gate::OpenParts;

/// The keys of one popup for one read.
#[derive(Debug)]
pub(crate) struct Opener {
    ring: Ring,
    is_locked: bool,
}

impl Keyring {
    /// The keys of a popup as they are now: what is destroyed later ends reads that begin later.
    pub(crate) fn opener(&self, popup: &PopupId) -> Opener {
        let held = self.0.held();
        Opener {
            ring: held.rings.get(popup).cloned().unwrap_or_default(),
            is_locked: self.is_locked(),
        }
    }

    /// Whether keys neither open nor end until the clock is confirmed.
    pub(crate) fn is_locked(&self) -> bool {
        self.0.is_locked.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl OpenParts for Opener {
    fn open(&self, at: &Position, record: &Record, class: PartClass) -> Option<Opened> {
        let parts = record.beyond.iter().flat_map(|beyond| &beyond.sealed);
        let part = parts
            .filter_map(|part| Part::read(part))
            .find(|part| part.class == class)?;
        let shut = |why: &str| Some(Opened::Shut(why.to_owned()));
        if self.is_locked {
            return shut("sealed: the clock is not confirmed");
        }
        match self.ring.find(part.key) {
            None => shut("sealed: the key is not here"),
            Some(Err(at_ms)) => {
                let date = popwatch_wire::json::rfc3339(at_ms);
                let date = date.split('T').next().unwrap_or_default();
                shut(&format!("sealed (destroyed {date})"))
            }
            Some(Ok(key)) => match part.open(key, at.rig.as_str(), &record::digest(record)) {
                Some(values) => Some(Opened::Says(values)),
                None => {
                    let code = Code::PartUnopened;
                    let rig = at.rig.as_str();
                    tracing::error!(%code, rig, epoch = at.epoch.0, seq = at.seq.0, "a sealed part does not open under its key");
                    shut(&format!("{code}: it does not open under its key"))
                }
            },
        }
    }
}
