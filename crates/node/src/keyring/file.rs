//! The file of a popup's keys: replaced whole, zeros over the one before.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use popwatch_core::access::raw::PartClass;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::record::Extra;
use popwatch_redact::seal::{ClassKey, Part};
use popwatch_wire::keyring::Ring;

use super::Held;
use crate::access::keep;

const END: &str = ".ring";
/// By this file backup programs know a folder that is not to be copied
/// (the Cache Directory Tagging Specification).
pub(crate) const TAG: &str = "CACHEDIR.TAG";
const TAGGED: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Keys of popups, which end: a copy would outlive them.\n";
/// Where a part is sealed that only tries a key.
const NOWHERE: [u8; 32] = [0; 32];

fn path(folder: &Path, popup: &PopupId) -> PathBuf {
    folder.join(format!("{popup}{END}"))
}

/// Reads all rings of a folder. One that is damaged stays where it is: its keys may be had from whoever
/// holds them too, and no other takes its place.
pub(super) fn read_all(folder: &Path, held: &mut Held) {
    let Ok(names) = std::fs::read_dir(folder) else {
        return;
    };
    for name in names.filter_map(|name| name.ok()?.file_name().into_string().ok()) {
        let popup = name.strip_suffix(END).map(PopupId::new);
        let Some(Ok(popup)) = popup else {
            continue;
        };
        match read(folder, &popup) {
            Some(ring) => drop(held.rings.insert(popup, ring)),
            None => {
                tracing::error!(
                    code = %Code::KeysDamaged,
                    file = %path(folder, &popup).display(),
                    "the keys of a popup cannot be read; what they are for is left out"
                );
                held.damaged.insert(popup);
            }
        }
    }
}

fn read(folder: &Path, popup: &PopupId) -> Option<Ring> {
    let bytes = zeroize::Zeroizing::new(std::fs::read(path(folder, popup)).ok()?);
    Ring::decode(&bytes)
}

/// Lets go of the ring of a popup: only names of keys that are no more stand in it.
pub(super) fn remove(folder: &Path, popup: &PopupId) {
    if let Err(fault) = std::fs::remove_file(path(folder, popup)) {
        tracing::warn!(popup = popup.as_str(), %fault, "a file without any key cannot be removed");
    }
}

/// Makes a ring durable, then writes zeros over the file that it takes the place of. The file has no name any
/// more by then: it goes when it is let go of.
pub(super) fn write(folder: &Path, popup: &PopupId, ring: &Ring) -> io::Result<()> {
    let path = path(folder, popup);
    let tag = folder.join(TAG);
    if !tag.exists() {
        keep(&tag, TAGGED.as_bytes())?;
    }
    let before = OpenOptions::new().write(true).open(&path);
    keep(&path, &ring.encode())?;
    match before {
        Ok(mut before) => overwrite(&mut before),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(fault) => Err(fault),
    }
}

fn overwrite(file: &mut File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

/// A part that a key opens now, for a try when it is gone.
pub(super) struct Probe(Vec<u8>);

impl Probe {
    pub(super) fn new(key: &ClassKey) -> Self {
        let said = vec![Extra {
            path: "probe".to_owned(),
            text: "probe".to_owned(),
        }];
        Self(key.seal(PartClass::Raw, "", &NOWHERE, said))
    }
}

/// Whether no key of the file opens any of these.
pub(super) fn is_gone(folder: &Path, popup: &PopupId, probes: &[Probe]) -> bool {
    let Some(ring) = read(folder, popup) else {
        return false;
    };
    let opens = |probe: &Probe| {
        let part = Part::read(&probe.0);
        let keys = ring.keys().iter();
        let mut alive = keys.filter_map(|kept| ring.find(kept.id)?.ok());
        part.is_some_and(|part| alive.any(|key| part.open(key, "", &NOWHERE).is_some()))
    };
    !probes.iter().any(opens)
}
