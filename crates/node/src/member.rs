//! What an enrolled machine knows of its organisation, and how it comes to know it.
//!
//! ```text
//! DATA/membership     JSON, mode 0600: the signed membership, the key that signed it, the peers
//! ```
//!
//! What always holds: nothing is kept of an answer that the code does not prove; what is kept is a
//! membership of this machine's own key. If power fails while it is written, the machine is enrolled or
//! it is not.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use popwatch_core::code::Code;
use popwatch_core::membership::{IdKey, MemberKind, Membership};
use popwatch_wire::enrol::{self, Admission, Answered, EnrolCode, Seen};
use popwatch_wire::note::PublicKey;
use popwatch_wire::problem::Document;
use serde::{Deserialize, Serialize};

use crate::ambient::Ambient;
use crate::client::{Client, ClientFault};
use crate::config::{self, Config, ConfigFault, RoleName};
use crate::identity::{Identity, keep};

/// An enrolled machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its membership.
    pub membership: Membership,
    /// Address of the ledger, with its key.
    pub ledger: String,
    /// Addresses of the regions.
    pub regions: Vec<String>,
    note: String,
    org_key: PublicKey,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    note: String,
    org_key: String,
    ledger: String,
    regions: Vec<String>,
}

/// Why a machine was not enrolled. Nothing was kept, but for its own identity.
#[derive(Debug, thiserror::Error)]
pub enum JoinFault {
    /// The address names nobody.
    #[error("PW1101: {0} is no address of the form https://host:port")]
    Address(String),
    /// The data directory.
    #[error("PW1102: {} cannot be used", .path.display())]
    Data {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The identity.
    #[error(transparent)]
    Identity(#[from] ConfigFault),
    /// The ledger is out of reach.
    #[error("the ledger cannot be asked")]
    Call(#[from] ClientFault),
    /// The ledger said no.
    #[error("{code}: {detail}")]
    Refused {
        /// Its code.
        code: String,
        /// What it says.
        detail: String,
    },
    /// Whoever answered does not know the code.
    #[error(
        "PW0711: whoever answers there does not know the code; somebody may stand between this machine \
         and the ledger"
    )]
    Unproved,
}

impl Member {
    /// What the data directory knows; `None` where this machine was never enrolled. What is damaged, or
    /// of another key than this machine's, is none too, and the log says so: the machine sells on.
    #[must_use]
    pub fn read(data: &Path, key: IdKey) -> Option<Self> {
        let path = data.join("membership");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(fault) if fault.kind() == ErrorKind::NotFound => return None,
            Err(fault) => {
                tracing::error!(code = %Code::MembershipDamaged, %fault, "the membership cannot be read");
                return None;
            }
        };
        let member = decode(&bytes).filter(|member| member.membership.key == key);
        if member.is_none() {
            tracing::error!(
                code = %Code::MembershipDamaged,
                "the membership is damaged or of another key; enrol this machine again"
            );
        }
        member
    }

    /// Fills a configuration with what this machine was told. What the file says of peers stands; a
    /// name that contradicts the membership is refused.
    pub fn apply(&self, config: &mut Config) -> Result<(), ConfigFault> {
        if let Some(edge) = &mut config.edge {
            let name = self.membership.rig.as_str();
            if edge.rig != name && edge.rig != config::default_rig() {
                return Err(ConfigFault::Value {
                    field: String::from("edge.rig"),
                    problem: format!(
                        "is not {name}, as which this machine is enrolled; leave it out"
                    ),
                });
            }
            name.clone_into(&mut edge.rig);
            if edge.ledger.is_none() {
                edge.ledger = Some(self.ledger.clone());
            }
            if edge.regions.is_empty() {
                edge.regions.clone_from(&self.regions);
            }
            if edge.popup.is_none()
                && let [popup] = &self.membership.popups[..]
            {
                edge.popup = Some(popup.to_string());
            }
        }
        self.membership.org.clone_into(&mut config.access.org);
        Ok(())
    }

    /// The configuration of a machine that has none but its membership.
    #[must_use]
    pub(crate) fn alone(&self, data: &Path) -> Config {
        let role = match self.membership.kind {
            MemberKind::Rig => RoleName::Edge,
            MemberKind::Region => RoleName::Region,
        };
        let mut config = Config::all(data).only(&[role]);
        if let Some(edge) = &mut config.edge {
            edge.ledger = None;
            edge.regions.clear();
        }
        config
    }

    /// What it shows to those who ask whether it belongs.
    pub(crate) fn note(&self) -> &str {
        &self.note
    }

    /// Who signs for the organisation.
    pub(crate) fn org_key(&self) -> &PublicKey {
        &self.org_key
    }

    fn of(stored: &Stored) -> Option<Self> {
        let org_key = PublicKey::parse(&stored.org_key)?;
        Some(Self {
            membership: enrol::verified(&stored.note, &org_key)?,
            ledger: stored.ledger.clone(),
            regions: stored.regions.clone(),
            note: stored.note.clone(),
            org_key,
        })
    }
}

/// The configuration of a machine that was given none: all roles, or those of its membership.
#[must_use]
pub fn usual(data: &Path) -> Config {
    let bytes = std::fs::read(data.join("membership"));
    match bytes.ok().and_then(|bytes| decode(&bytes)) {
        Some(member) => member.alone(data),
        None => Config::all(data),
    }
}

fn decode(bytes: &[u8]) -> Option<Member> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    Member::of(&stored)
}

/// Enrols this machine at a ledger (`host:port`, `https://host:port` or `https://KEY@host:port`) and
/// keeps what it is told in `data`.
pub async fn join(
    data: &Path,
    code: EnrolCode,
    url: &str,
    ambient: &Ambient,
) -> Result<Member, JoinFault> {
    let identity = Identity::open(data, ambient)?;
    let address = || JoinFault::Address(url.to_owned());
    let place = match url.split_once("://") {
        None => url,
        Some(("https", place)) => place,
        Some(_) => return Err(address()),
    };
    let place = place.trim_end_matches('/');
    let (pin, place) = match place.rsplit_once('@') {
        Some((key, place)) => (Some(IdKey::parse(key).ok_or_else(address)?), place),
        None => (None, place),
    };
    let met = Arc::new(OnceLock::new());
    // A pin is the only key that may answer.
    pin.map(|pin| met.get_or_init(|| pin));
    let client = Client::meeting(identity.clone(), Arc::clone(&met));
    let base = format!("https://{place}");
    // The first word only shows the key; the proof is over it.
    client.get(&format!("{base}/healthz"), &[]).await?;
    let seen = Seen {
        rig: identity.key(),
        ledger: *met.get().ok_or(JoinFault::Unproved)?,
        nonce: ambient.random(),
    };
    let body = serde_json::to_vec(&code.ask(&seen)).expect("texts are JSON");
    let json = [("content-type", "application/json")];
    let answer = client
        .post(&format!("{base}/v1/enrol"), &json, body)
        .await?;
    if !answer.is_success() {
        return Err(refusal(&answer.body));
    }
    let answered: Answered =
        serde_json::from_slice(&answer.body).map_err(|_| JoinFault::Unproved)?;
    let admission = code.open(&seen, &answered).ok_or(JoinFault::Unproved)?;
    let pseudonym: [u8; 32] = enrol::unhex(&admission.pseudonym_key).ok_or(JoinFault::Unproved)?;
    let stored = Stored::of(&admission, &seen, place);
    let member = Member::of(&stored).ok_or(JoinFault::Unproved)?;
    if member.membership.key != identity.key() {
        return Err(JoinFault::Unproved);
    }
    let write = |folder: &Path, name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        keep(folder, &path, bytes).map_err(|source| JoinFault::Data { path, source })
    };
    write(&data.join("keys"), "pseudonym", &pseudonym)?;
    let bytes = serde_json::to_vec_pretty(&stored).expect("texts are JSON");
    write(data, "membership", &bytes)?;
    Ok(member)
}

impl Stored {
    /// What is kept of an admission that was proved, by a ledger at `place` (host and port).
    fn of(admission: &Admission, seen: &Seen, place: &str) -> Self {
        let mut regions = admission.regions.clone();
        if let (Some(port), Some((host, _))) = (admission.region_port, place.rsplit_once(':')) {
            regions.push(format!("https://{}@{host}:{port}", seen.ledger));
        }
        Self {
            note: admission.membership.clone(),
            org_key: admission.org_key.clone(),
            ledger: format!("https://{}@{place}", seen.ledger),
            regions,
        }
    }
}

fn refusal(body: &[u8]) -> JoinFault {
    match serde_json::from_slice::<Document>(body) {
        Ok(Document { code, detail, .. }) => JoinFault::Refused { code, detail },
        Err(_) => JoinFault::Unproved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::id::{PopupId, RigId};
    use popwatch_wire::note::NoteKey;

    fn stored(key: IdKey) -> Stored {
        let org = NoteKey::new("acme.org.popwatch", &[5; 32]);
        let membership = Membership {
            org: "acme".into(),
            rig: RigId::new("till-7").unwrap(),
            key,
            kind: MemberKind::Rig,
            not_after_ms: None,
            popups: [PopupId::new("fri").unwrap()].into(),
        };
        Stored {
            note: enrol::sign(&membership, &org),
            org_key: org.public().to_string(),
            ledger: "https://l".into(),
            regions: ["https://r".into()].into(),
        }
    }

    #[test]
    fn a_member_runs_as_its_name_with_its_peers() {
        let member = Member::of(&stored(IdKey([1; 32]))).unwrap();
        let mut config = member.alone(Path::new("d"));
        assert!(config.region.is_none() && config.ledger.is_none());
        member.apply(&mut config).unwrap();
        let edge = config.edge.as_ref().unwrap();
        assert_eq!((&*edge.rig, &*config.access.org), ("till-7", "acme"));
        assert_eq!(edge.ledger.as_deref(), Some("https://l"));
        assert_eq!(edge.regions, ["https://r"]);
        assert_eq!(edge.popup.as_deref(), Some("fri"));
        let mut other = config.clone();
        "till-9".clone_into(&mut other.edge.as_mut().unwrap().rig);
        assert!(member.apply(&mut other).is_err());
    }

    #[test]
    fn what_is_edited_or_of_another_key_is_no_membership() {
        let good = stored(IdKey([1; 32]));
        let bytes = serde_json::to_vec(&good).unwrap();
        assert!(decode(&bytes).is_some());
        let text = String::from_utf8(bytes).unwrap();
        assert!(decode(text.replace("till-7", "till-8").as_bytes()).is_none());
        assert!(decode(&text.as_bytes()[..text.len() - 1]).is_none());
        let name = format!("popwatch-member-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(Member::read(&folder, IdKey([1; 32])), None);
        std::fs::write(folder.join("membership"), text).unwrap();
        assert!(Member::read(&folder, IdKey([1; 32])).is_some());
        assert_eq!(Member::read(&folder, IdKey([2; 32])), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
