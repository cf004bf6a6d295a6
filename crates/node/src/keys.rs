//! The key that pseudonyms are made with, in the data directory or shared by configuration.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_wire::close::CloseKey;

use crate::ambient::Ambient;
use crate::config::{Config, ConfigFault, EdgeConfig};

/// All keys of redaction, from the one root secret.
pub(crate) fn keys(
    config: &EdgeConfig,
    data: &Path,
    ambient: &Ambient,
) -> Result<Keys, ConfigFault> {
    let root = root(config.pseudonym_key.as_deref(), data, ambient)?;
    Ok(Keys::new(ReferenceKey::new(root)).with_root(root))
}

/// The key under which card-like references are mapped, for a process that may have no edge: the
/// ledger's must be the rigs' or their references do not meet.
pub(crate) fn reference(config: &Config, ambient: &Ambient) -> Result<ReferenceKey, ConfigFault> {
    let edge = config.edge.as_ref();
    let told = edge.and_then(|edge| edge.pseudonym_key.as_deref());
    let ledger = config.ledger.as_ref();
    let told = told.or_else(|| ledger?.pseudonym_key.as_deref());
    root(told, &config.data, ambient).map(ReferenceKey::new)
}

/// The configured secret, the stored one, or a new one that is then stored with mode 0600.
fn root(told: Option<&str>, data: &Path, ambient: &Ambient) -> Result<[u8; 32], ConfigFault> {
    if let Some(text) = told {
        return parse_hex(text).ok_or_else(|| ConfigFault::Value {
            field: String::from("pseudonym_key"),
            problem: String::from("must be 64 hexadecimal digits"),
        });
    }
    let lost = "pseudonyms made before and after will then differ";
    stored(data, "pseudonym", lost, ambient)
}

/// The key that the ledger signs certificates with.
pub(crate) fn close(data: &Path, org: &str, ambient: &Ambient) -> Result<CloseKey, ConfigFault> {
    let lost = "certificates signed before and after will then need different public keys";
    stored(data, "close", lost, ambient).map(|secret| CloseKey::new(org, &secret))
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
        Ok(bytes) => bytes.try_into().map_err(|_| ConfigFault::Value {
            field: path.display().to_string(),
            problem: format!(
                "is damaged (not 32 bytes); move it away to start with a new key: {lost}"
            ),
        }),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => {
            let key: [u8; 32] = ambient.random();
            std::fs::create_dir_all(&folder).map_err(unreadable)?;
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(unreadable)?;
            file.write_all(&key)
                .and_then(|()| file.sync_all())
                .map_err(unreadable)?;
            Ok(key)
        }
        Err(fault) => Err(unreadable(fault)),
    }
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
