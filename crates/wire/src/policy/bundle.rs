//! A policy on its way: the document, the note its signers signed, and what it has to pass before it
//! is believed.
//!
//! ```text
//! {"note": "<signed note>", "policy": {…}, "revoked": {…}}
//!
//! popwatch.dev/policy/v1
//! <org>/<popup>            <org>/- for the floor of an organisation
//! <version>
//! <base64 of the SHA-256 of the canonical document>
//! <base64 of its parent's>  or -
//! <not before>             ms since 1970
//! <expires>                ms since 1970
//!
//! — <signer> <base64>      once per signer
//! ```
//!
//! What always holds: a [`Verified`] document comes only out of [`accept`] or [`accept_floor`], or is one
//! that did and was kept; what came later in the order of checks was not looked at before all earlier ones passed.

use popwatch_core::base64::from_base64;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::limits::{POLICY_BUNDLE_BYTES_MAX, POLICY_JOINED_MAX, POLICY_SIGNERS_MAX};
use popwatch_core::policy::standing::Mark;
use popwatch_core::policy::{Digest, DocumentKind, Effective, Policy, SIGNED_TITLE, Signing};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Document, PolicyFault, digest_of};
use crate::note::{self, NoteKey, PublicKey};

/// A policy on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The signed note.
    pub note: String,
    /// The document.
    pub policy: Json,
    /// Passes that were revoked; not part of what is signed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Json>,
}

/// A document that passed every check at this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    policy: Policy,
}

/// Why a bundle is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {what}")]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// Which check, in words; never a value.
    pub what: String,
}

/// Whom a machine believes.
#[derive(Debug, Clone)]
pub struct Trust<'a> {
    /// Its organisation.
    pub org: &'a str,
    /// The key of the organisation itself: signs floors, and policies where there is no floor.
    pub org_key: &'a PublicKey,
    /// The floor that is held.
    pub floor: Option<&'a Verified>,
}

/// What a machine holds of one popup, and when it is.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The popup.
    pub popup: &'a PopupId,
    /// Documents whose join runs, newest last.
    pub documents: &'a [Verified],
    /// The trusted time, ms since 1970.
    pub now_ms: i64,
    /// Whether a newer document replaces the older: trusted time says that the window has not begun,
    /// and no record of the popup is journaled.
    pub may_replace: bool,
}

/// What to do with a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is held already.
    Known,
    /// It takes the place of what is held.
    Replace(Verified),
    /// It is joined to what runs: the popup may be running.
    Join(Verified),
    /// Another document has its version: both are joined until a higher one comes.
    Fork(Verified),
}

impl Decision {
    /// What is to be said beside it, though it is taken.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Known | Self::Replace(_) => None,
            Self::Join(_) => Some(Code::PolicyJoined),
            Self::Fork(_) => Some(Code::PolicyForked),
        }
    }
}

impl Verified {
    /// A document that was accepted at this machine before and kept: note, digest and schema are looked
    /// at again, signatures are not. `None` where they do not go together.
    #[must_use]
    pub fn kept(bundle: &Bundle, kind: DocumentKind) -> Option<Self> {
        let claim = claimed(bundle).ok()?;
        let policy = lawful(bundle, &claim, kind).ok()?;
        Some(Self { policy })
    }

    /// The document.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Which one it is.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark {
            version: self.policy.head.version,
            digest: self.policy.carried.digest,
        }
    }
}

/// What runs of these documents; `None` of none.
#[must_use]
pub fn effective(documents: &[Verified], floor: Option<&Verified>) -> Option<Effective> {
    let floor = floor.map(Verified::policy);
    let all = documents.iter();
    all.map(|one| Effective::of(&one.policy, floor))
        .reduce(|sum, next| sum.join(&next))
}

impl Bundle {
    /// The bundle of a document that nobody signed yet.
    #[must_use]
    pub fn unsigned(document: &Document) -> Self {
        let canonical = document.canonical.canonical();
        Self {
            note: format!("{}\n", document.policy.signed_text()),
            policy: serde_json::from_str(&canonical).expect("canonical JSON is JSON"),
            revoked: None,
        }
    }

    /// Reads what travels. Bytes and JSON are all that is checked.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > POLICY_BUNDLE_BYTES_MAX {
            return refuse(Code::PolicyDigestWrong, "the bundle is larger than 1 MiB");
        }
        serde_json::from_slice(bytes).map_err(|_| Refusal {
            code: Code::PolicyDigestWrong,
            what: String::from("the bundle is not JSON with note and policy"),
        })
    }

    /// As it travels.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and JSON are JSON")
    }

    /// Adds a signature. Refuses what checking refuses, and a note that is not of this document.
    pub fn sign(&mut self, key: &NoteKey) -> Result<(), SignFault> {
        let document = Document::from_json(&self.policy)?;
        let text = document.policy.signed_text();
        let (known, signatures) = note::parts(&self.note).ok_or(SignFault::Note)?;
        if known != text {
            return Err(SignFault::Note);
        }
        if key.public().open(&self.note).is_ok() {
            return Err(SignFault::Twice);
        }
        if signatures.lines().count() >= POLICY_SIGNERS_MAX {
            return Err(SignFault::Note);
        }
        let signed = key.sign(&text);
        let (_, line) = note::parts(&signed).expect("a note that was just signed");
        self.note.push_str(line);
        Ok(())
    }

    /// Which document the note speaks of; nothing of it was checked.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        let claim = Claim::parse(&self.note)?;
        Some(Mark {
            version: claim.version,
            digest: claim.digest,
        })
    }
}

/// Why a bundle is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignFault {
    /// The document is not lawful.
    #[error("{code}: {fault}", code = fault.code)]
    Document {
        /// Why.
        #[from]
        fault: PolicyFault,
    },
    /// The note is of another document, or full.
    #[error("PW0610: the note is not of this document")]
    Note,
    /// This key signed already.
    #[error("PW1101: this key signed it already")]
    Twice,
}

/// What a note says.
#[derive(Debug)]
struct Claim<'a> {
    text: &'a str,
    whose: &'a str,
    version: u32,
    digest: Digest,
    parent: Option<Digest>,
    expires_ms: i64,
}

impl<'a> Claim<'a> {
    fn parse(note: &'a str) -> Option<Self> {
        let (text, _) = note::parts(note)?;
        let digest = |line: &str| Some(Digest(from_base64(line)?.try_into().ok()?));
        let mut lines = text.strip_suffix('\n')?.split('\n');
        lines.next().filter(|title| *title == SIGNED_TITLE)?;
        let claim = Self {
            text,
            whose: lines.next()?,
            version: lines.next()?.parse().ok()?,
            digest: digest(lines.next()?)?,
            parent: match lines.next()? {
                "-" => None,
                line => Some(digest(line)?),
            },
            expires_ms: {
                let _not_before: i64 = lines.next()?.parse().ok()?;
                lines.next()?.parse().ok()?
            },
        };
        lines.next().is_none().then_some(claim)
    }
}

fn refuse<T>(code: Code, what: &str) -> Result<T, Refusal> {
    Err(Refusal {
        code,
        what: what.to_owned(),
    })
}

/// Note and digest: what says which document this is.
fn claimed(bundle: &Bundle) -> Result<Claim<'_>, Refusal> {
    let Some(claim) = Claim::parse(&bundle.note) else {
        return refuse(Code::PolicyDigestWrong, "the note is not one of a policy");
    };
    match digest_of(&bundle.policy) == Some(claim.digest) {
        true => Ok(claim),
        false => refuse(
            Code::PolicyDigestWrong,
            "the document has another digest than the note",
        ),
    }
}

/// Whether enough of these signed.
fn signed(note: &str, text: &str, signers: &[String], threshold: u32) -> Result<(), Refusal> {
    let signers = signers.iter().filter_map(|key| PublicKey::parse(key));
    let count = signers
        .filter(|key| key.open(note).is_ok_and(|opened| opened == text))
        .count();
    match u32::try_from(count).unwrap_or(u32::MAX) {
        0 => refuse(Code::PolicySignerUnknown, "no known signer signed it"),
        count if count < threshold => {
            refuse(Code::PolicyThreshold, "too few known signers signed it")
        }
        _ => Ok(()),
    }
}

/// The document behind a claim: lawful, and the one that the note is of.
fn lawful(bundle: &Bundle, claim: &Claim<'_>, kind: DocumentKind) -> Result<Policy, Refusal> {
    let document = Document::from_json(&bundle.policy).map_err(|fault| Refusal {
        code: fault.code,
        what: fault.to_string(),
    })?;
    match document.policy.head.kind == kind && document.policy.signed_text() == claim.text {
        true => Ok(document.policy),
        false => refuse(
            Code::PolicyDigestWrong,
            "the note says something else than the document",
        ),
    }
}

/// Whether a floor of the organisation is to be taken. `held` is the one before.
pub fn accept_floor(
    bundle: &Bundle,
    trust: &Trust<'_>,
    now_ms: i64,
) -> Result<Option<Verified>, Refusal> {
    let claim = claimed(bundle)?;
    signed(&bundle.note, claim.text, &[trust.org_key.to_string()], 1)?;
    if claim.whose != format!("{}/-", trust.org) {
        return refuse(Code::PolicyForeign, "it is of another organisation");
    }
    if let Some(held) = trust.floor.map(Verified::mark) {
        if held.version == claim.version && held.digest == claim.digest {
            return Ok(None);
        }
        if held.version >= claim.version {
            return refuse(
                Code::PolicyOlder,
                "a floor of this version or a newer one is held",
            );
        }
        if held.version + 1 == claim.version && claim.parent != Some(held.digest) {
            return refuse(
                Code::PolicyUnfit,
                "it does not follow the floor that is held",
            );
        }
    }
    if claim.expires_ms <= now_ms {
        return refuse(Code::PolicyUnfit, "it has expired");
    }
    let policy = lawful(bundle, &claim, DocumentKind::OrgFloor)?;
    Ok(Some(Verified { policy }))
}

/// Whether a policy of a popup is to be taken, and how. `self_test` runs last and says what failed.
pub fn accept(
    bundle: &Bundle,
    trust: &Trust<'_>,
    held: &Held<'_>,
    self_test: impl Fn(&Effective) -> Result<(), String>,
) -> Result<Decision, Refusal> {
    let claim = claimed(bundle)?;
    let (signers, threshold) = match trust.floor.and_then(|floor| floor.policy.signing.as_ref()) {
        Some(Signing { threshold, signers }) => (signers.clone(), *threshold),
        None => (vec![trust.org_key.to_string()], 1),
    };
    signed(&bundle.note, claim.text, &signers, threshold)?;
    if claim.whose != format!("{}/{}", trust.org, held.popup) {
        return refuse(
            Code::PolicyForeign,
            "it is of another organisation or popup",
        );
    }
    let under = bundle
        .policy
        .get("floor")
        .and_then(Json::as_u64)
        .unwrap_or(0);
    let floor = trust.floor.map_or(0, |floor| floor.policy.head.version);
    if under > u64::from(floor) {
        return refuse(Code::PolicyUnfit, "its floor is not known here yet");
    }
    let decided = follows(&claim, held)?;
    if claim.expires_ms <= held.now_ms {
        return refuse(Code::PolicyUnfit, "it has expired");
    }
    let policy = lawful(bundle, &claim, DocumentKind::Popup)?;
    let verified = Verified { policy };
    let effective = Effective::of(&verified.policy, trust.floor.map(Verified::policy));
    self_test(&effective).map_err(|what| Refusal {
        code: Code::PolicyUnfit,
        what: format!("its self-test failed: {what}"),
    })?;
    Ok(match decided {
        Follows::Known => Decision::Known,
        Follows::Fork => Decision::Fork(verified),
        Follows::Newer if held.may_replace || held.documents.is_empty() => {
            Decision::Replace(verified)
        }
        Follows::Newer if held.documents.len() >= POLICY_JOINED_MAX => {
            return refuse(Code::PolicyUnfit, "too many versions are joined already");
        }
        Follows::Newer => Decision::Join(verified),
    })
}

enum Follows {
    Known,
    Newer,
    Fork,
}

/// How a claim follows what is held.
fn follows(claim: &Claim<'_>, held: &Held<'_>) -> Result<Follows, Refusal> {
    let marks = held.documents.iter().map(Verified::mark);
    if marks
        .clone()
        .any(|mark| (mark.version, mark.digest) == (claim.version, claim.digest))
    {
        return Ok(Follows::Known);
    }
    let Some(newest) = marks.clone().map(|mark| mark.version).max() else {
        return Ok(Follows::Newer);
    };
    let mut heads = marks.filter(|mark| mark.version == newest);
    match claim.version {
        older if older < newest => refuse(Code::PolicyOlder, "a newer version is held"),
        same if same == newest => match held.documents.len() >= POLICY_JOINED_MAX {
            true => refuse(Code::PolicyUnfit, "too many versions are joined already"),
            false => Ok(Follows::Fork),
        },
        next if next == newest + 1 && !heads.any(|mark| claim.parent == Some(mark.digest)) => {
            refuse(
                Code::PolicyUnfit,
                "it does not follow the version that is held",
            )
        }
        _ => Ok(Follows::Newer),
    }
}

#[cfg(test)]
pub(super) mod tests;
