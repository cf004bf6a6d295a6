//! The keys of this machine, in the data directory or shared by configuration.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use popwatch_core::code::Code;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_wire::close;
use popwatch_wire::note::NoteKey;

use crate::ambient::Ambient;
use crate::config::{Config, ConfigFault, EdgeConfig};
use crate::keyring::Custody;
use crate::member::Member;

/// The keys of redaction that are no popup's.
pub(crate) fn keys(
    config: &EdgeConfig,
    data: &Path,
    ambient: &Ambient,
) -> Result<Keys, ConfigFault> {
    let root = root(config.pseudonym_key.as_deref(), data, ambient)?;
    Ok(Keys::new(ReferenceKey::new(root)))
}

/// The key under which card-like references are mapped, for a process that may have no edge: the
/// ledger's must be the rigs' or their references do not meet.
pub(crate) fn reference(config: &Config, ambient: &Ambient) -> Result<ReferenceKey, ConfigFault> {
    shared_root(config, ambient).map(ReferenceKey::new)
}

/// Who holds the keys of popups: the ledger that enrolled this machine, or itself.
pub(crate) fn custody(config: &Config, member: Option<&Member>) -> Custody {
    let edge = config.edge.as_ref();
    let told = edge.and_then(|edge| edge.pseudonym_key.as_deref());
    let ledger = config.ledger.as_ref();
    let told = told.or_else(|| ledger?.pseudonym_key.as_deref());
    match member {
        Some(_) => Custody::Lent,
        None => Custody::Own(told.and_then(parse_hex)),
    }
}

/// The root secret that the rigs of this ledger share.
pub(crate) fn shared_root(config: &Config, ambient: &Ambient) -> Result<[u8; 32], ConfigFault> {
    let edge = config.edge.as_ref();
    let told = edge.and_then(|edge| edge.pseudonym_key.as_deref());
    let ledger = config.ledger.as_ref();
    let told = told.or_else(|| ledger?.pseudonym_key.as_deref());
    root(told, &config.data, ambient)
}

/// The configured secret, the stored one, or a new one that is then stored with mode 0600. A stored
/// one that is damaged is put aside: a till sells on, and mapped references of before and after differ.
fn root(told: Option<&str>, data: &Path, ambient: &Ambient) -> Result<[u8; 32], ConfigFault> {
    if let Some(text) = told {
        return parse_hex(text).ok_or_else(|| ConfigFault::Value {
            field: String::from("pseudonym_key"),
            problem: String::from("must be 64 hexadecimal digits"),
        });
    }
    let lost = "references mapped before and after will then differ";
    stored(data, "pseudonym", lost, ambient)
}

/// The key that the ledger signs certificates with.
pub(crate) fn close(data: &Path, org: &str, ambient: &Ambient) -> Result<NoteKey, ConfigFault> {
    let lost = "certificates signed before and after will then need different public keys";
    stored(data, "close", lost, ambient).map(|secret| NoteKey::new(&close::key_name(org), &secret))
}

/// The key that the audit trail's head is signed with.
pub(crate) fn audit(data: &Path, org: &str, ambient: &Ambient) -> Result<NoteKey, ConfigFault> {
    let lost =
        "heads of the audit trail signed before and after will then need different public keys";
    let secret = stored(data, "audit", lost, ambient)?;
    Ok(NoteKey::new(&format!("{org}.audit.popwatch"), &secret))
}

/// The key that memberships are signed with.
pub(crate) fn org(data: &Path, org: &str, ambient: &Ambient) -> Result<NoteKey, ConfigFault> {
    let lost = "machines enrolled before and after will then know different organisations";
    let secret = stored(data, "org", lost, ambient)?;
    Ok(NoteKey::new(&format!("{org}.org.popwatch"), &secret))
}

/// 32 secret bytes of the data directory, drawn at first and then stored with mode 0600.
fn stored(data: &Path, name: &str, lost: &str, ambient: &Ambient) -> Result<[u8; 32], ConfigFault> {
    let folder = data.join("keys");
    let path = folder.join(name);
    let unreadable = |source| ConfigFault::Unreadable {
        path: path.clone(),
        source,
    };
    match std::fs::read(&path) {
        Ok(bytes) => {
            if let Ok(key) = bytes.try_into() {
                return Ok(key);
            }
            let aside = folder.join(format!("{name}.damaged"));
            std::fs::rename(&path, &aside).map_err(unreadable)?;
            tracing::error!(
                code = %Code::KeyDamaged,
                aside = %aside.display(),
                lost,
                "a key is damaged and was put aside; a new one was made"
            );
            store_new(&folder, &path, ambient).map_err(unreadable)
        }
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
            store_new(&folder, &path, ambient).map_err(unreadable)
        }
        Err(fault) => Err(unreadable(fault)),
    }
}

/// Whole and synced under another name first: a power cut leaves a key of 32 bytes or none.
fn store_new(folder: &Path, path: &Path, ambient: &Ambient) -> std::io::Result<[u8; 32]> {
    let key: [u8; 32] = ambient.random();
    std::fs::create_dir_all(folder)?;
    let fresh = path.with_extension("fresh");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(key)
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_key_is_put_aside_and_a_new_one_stays() {
        let name = format!("popwatch-keys-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let data = folder.as_path();
        let ambient = Ambient::system();
        let first = root(None, data, &ambient).unwrap();
        assert_eq!(root(None, data, &ambient).unwrap(), first);
        let path = data.join("keys/pseudonym");
        std::fs::write(&path, &first[..31]).unwrap();
        let second = root(None, data, &ambient).unwrap();
        assert_ne!(second, first);
        assert_eq!(root(None, data, &ambient).unwrap(), second);
        let aside = std::fs::read(data.join("keys/pseudonym.damaged")).unwrap();
        assert_eq!(aside, &first[..31]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
