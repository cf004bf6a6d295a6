//! Who this process is: one Ed25519 key, made at the first start and kept in the data directory.
//!
//! ```text
//! DATA/identity   PWIDENT1 | secret, 32 bytes | public key, 32 bytes                  mode 0600
//! ```
//!
//! What always holds: the secret is never printed and leaves the process only into that file; a file
//! whose public key is not that of its secret is no identity, so a flipped bit does not silently make
//! another rig. If power fails while the file is made there is a whole one or none.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use popwatch_core::code::Code;
use popwatch_core::membership::IdKey;
use popwatch_wire::note::NoteKey;

use crate::ambient::Ambient;
use crate::config::ConfigFault;
use crate::keys;
use crate::tls;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"PWIDENT1";

/// An Ed25519 key with the certificate that carries it. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    key: SigningKey,
    certificate: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.key())
    }
}

/// The key with which an organisation signs: memberships, its floor, and policies where there is no floor.
/// It lies below the data directory of its ledger, which makes it at its first start; `None` where there
/// is none yet.
pub fn org_key(data: &Path, org: &str, ambient: &Ambient) -> Result<Option<NoteKey>, ConfigFault> {
    match data.join("keys").join("org").exists() {
        true => keys::org(data, org, ambient).map(Some),
        false => Ok(None),
    }
}

impl Identity {
    /// The identity in `data`, or a new one that is then kept there. A damaged one is put aside
    /// (PW0712): the process goes on under a new key, and its peers do not know it until it is
    /// enrolled again.
    pub fn open(data: &Path, ambient: &Ambient) -> Result<Self, ConfigFault> {
        let path = data.join("identity");
        let unreadable = |source| ConfigFault::Unreadable {
            path: path.clone(),
            source,
        };
        let secret = match std::fs::read(&path) {
            Ok(bytes) => match decode(&bytes) {
                Some(secret) => secret,
                None => {
                    let aside = data.join("identity.damaged");
                    std::fs::rename(&path, &aside).map_err(unreadable)?;
                    tracing::error!(
                        code = %Code::IdentityDamaged,
                        aside = %aside.display(),
                        "the identity is damaged and was put aside; enrol this rig again"
                    );
                    store(data, &path, ambient).map_err(unreadable)?
                }
            },
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                store(data, &path, ambient).map_err(unreadable)?
            }
            Err(fault) => return Err(unreadable(fault)),
        };
        Ok(Self::of(&secret))
    }

    /// The identity of 32 secret bytes.
    #[must_use]
    pub fn of(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let certificate = tls::certificate(&key, tls::FOR_EVER);
        Self(Arc::new(Inner { key, certificate }))
    }

    /// What peers know it by.
    #[must_use]
    pub fn key(&self) -> IdKey {
        IdKey(self.0.key.verifying_key().to_bytes())
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.key.sign(bytes).to_bytes()
    }

    /// The certificate that carries the key, DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.0.certificate
    }

    /// The secret, for whoever speaks TLS with it.
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.0.key.to_bytes()
    }

    /// The same key in a certificate of another time.
    #[cfg(test)]
    pub(crate) fn dated(secret: &[u8; 32], validity: tls::Validity) -> Self {
        let key = SigningKey::from_bytes(secret);
        let certificate = tls::certificate(&key, validity);
        Self(Arc::new(Inner { key, certificate }))
    }
}

fn decode(bytes: &[u8]) -> Option<[u8; 32]> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (secret, public) = rest.split_at_checked(32)?;
    let secret: [u8; 32] = secret.try_into().ok()?;
    let key = SigningKey::from_bytes(&secret);
    (key.verifying_key().as_bytes() == public).then_some(secret)
}

/// Whole and synced under another name first. Of two processes that begin at once the first one's
/// stays, and both have it.
fn store(data: &Path, path: &Path, ambient: &Ambient) -> io::Result<[u8; 32]> {
    let secret: [u8; 32] = ambient.random();
    let public = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
    let bytes = [&MAGIC[..], &secret, &public].concat();
    let fresh = data.join(format!("identity.{}", std::process::id()));
    keep(data, &fresh, &bytes)?;
    let linked = std::fs::hard_link(&fresh, path);
    std::fs::remove_file(&fresh)?;
    match linked {
        Ok(()) => {
            std::fs::File::open(data)?.sync_all()?;
            Ok(secret)
        }
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {
            decode(&std::fs::read(path)?).ok_or_else(|| ErrorKind::InvalidData.into())
        }
        Err(fault) => Err(fault),
    }
}

/// Replaces a file of `data` by these bytes, mode 0600: after a power cut the old ones stand there or
/// the new ones.
pub(crate) fn keep(data: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(data)?;
    let fresh = path.with_extension("fresh");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(data)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_stays_and_a_damaged_one_is_put_aside() {
        let name = format!("popwatch-identity-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let ambient = Ambient::system();
        let first = Identity::open(&folder, &ambient).unwrap();
        assert_eq!(
            Identity::open(&folder, &ambient).unwrap().key(),
            first.key()
        );
        let path = folder.join("identity");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 8 + 32 + 32);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode(&flipped).is_none(), "byte {at}");
            assert!(decode(&bytes[..at]).is_none(), "cut at {at}");
        }
        std::fs::write(&path, &bytes[..71]).unwrap();
        let second = Identity::open(&folder, &ambient).unwrap();
        assert_ne!(second.key(), first.key());
        assert_eq!(
            std::fs::read(folder.join("identity.damaged")).unwrap(),
            &bytes[..71]
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn it_does_not_print_its_secret() {
        let identity = Identity::of(&[7; 32]);
        let shown = format!("{identity:?}");
        assert!(shown.contains(&identity.key().to_string()));
        assert!(!shown.contains("0707"));
    }
}
