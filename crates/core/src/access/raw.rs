//! The way to single records: asked for with a purpose, decided, written down, and only then open.
//!
//! ```text
//! decide ──► Allowed ──► entry appended, synced, signed, read back ──► AccessGrant ──► one reader
//! ```
//!
//! What always holds (L9): an [`AccessGrant`] comes only out of [`AccessGrant::prove`], which demands
//! that an entry that names this very read is included under a signed head. It opens one reader and is
//! used up by it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Action, Ask, Denial, Rules, Scope, Subject, Target, decide, names};
use crate::invariant;
use crate::limits::{RAW_FIELDS_MAX, RAW_MS_MAX, RAW_RIGS_MAX};
use crate::tlog::{Checkpoint, Hash};

names! {
    /// Why somebody reads.
    Purpose {
        Dispute = "dispute", "A payment is disputed.";
        Fraud = "fraud", "Something looks like fraud.";
        Debugging = "debugging", "Something does not work.";
        SubjectRequest = "subject_request", "The person concerned asked.";
    }
}

names! {
    /// What a sealed part holds.
    PartClass {
        Raw = "raw", "Strings that were not understood.";
        Contact = "contact", "How somebody is reached.";
        Freetext = "freetext", "What somebody wrote.";
    }
}

/// What a policy says of raw reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRules {
    /// For what one may read.
    pub purposes: BTreeSet<Purpose>,
    /// Longest window of one read, ms.
    pub window_max_ms: i64,
    /// Most rows of one read.
    pub rows_max: u32,
}

impl Default for RawRules {
    fn default() -> Self {
        Self {
            purposes: Purpose::ALL.iter().copied().collect(),
            window_max_ms: 2 * 3_600_000,
            rows_max: 10_000,
        }
    }
}

/// What somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    /// Of which popup.
    pub popup: String,
    /// From which rigs; empty for all that are held here.
    pub rigs: Vec<String>,
    /// From when, ms since 1970 by the events' own time.
    pub from_ms: i64,
    /// Until when, exclusive.
    pub to_ms: i64,
    /// Which fields of the data; empty for all.
    pub fields: Vec<String>,
    /// Which sealed parts.
    pub classes: Vec<PartClass>,
    /// What for.
    pub purpose: Purpose,
}

/// How the second factor was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mfa {
    /// `totp` or `one_time`.
    pub kind: &'static str,
    /// How long ago, ms.
    pub age_ms: u64,
}

/// A read that was decided on and is not yet written down. It opens nothing.
#[derive(Debug)]
pub struct Allowed {
    id: String,
    subject: Subject,
    request: ReadRequest,
    mfa: Option<Mfa>,
    rows_max: u32,
    version: u32,
}

/// Whether this may be read. `id` is drawn anew for each read and names it in the trail.
pub fn decide_read(
    rules: &Rules,
    subject: &Subject,
    mfa: Option<Mfa>,
    request: ReadRequest,
    id: String,
) -> Result<Allowed, Denial> {
    let ask = Ask {
        action: Action::RawRead,
        popup: Some(&request.popup),
        target: match subject.scope {
            // What a creator gets is narrowed to what names them.
            Scope::Creator => Target::Own,
            Scope::Operator | Scope::Coop | Scope::Auditor | Scope::Board | Scope::Till => {
                Target::Whole
            }
        },
        step_up_age_ms: mfa.map(|mfa| mfa.age_ms),
    };
    decide(rules, subject, &ask)?;
    if !rules.raw.purposes.contains(&request.purpose) {
        return Err(Denial::Purpose);
    }
    let span = request.to_ms.checked_sub(request.from_ms);
    let is_short = span.is_some_and(|span| (1..=rules.raw.window_max_ms).contains(&span));
    if !is_short || request.rigs.len() > RAW_RIGS_MAX || request.fields.len() > RAW_FIELDS_MAX {
        return Err(Denial::Window);
    }
    Ok(Allowed {
        id,
        subject: subject.clone(),
        request,
        mfa,
        rows_max: rules.raw.rows_max,
        version: rules.version,
    })
}

impl Allowed {
    /// The name of this read in the trail.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who reads.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What.
    #[must_use]
    pub const fn request(&self) -> &ReadRequest {
        &self.request
    }

    /// How their second factor was shown.
    #[must_use]
    pub const fn mfa(&self) -> Option<Mfa> {
        self.mfa
    }

    /// Version of the policy that allowed it.
    #[must_use]
    pub const fn policy_version(&self) -> u32 {
        self.version
    }
}

/// An entry as it was read back from the disk, with what places it in the log.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// Its bytes.
    pub entry: &'a [u8],
    /// Its number.
    pub number: u64,
    /// The hashes beside its way to the root.
    pub hashes: &'a [Hash],
    /// The head, its signature verified.
    pub head: &'a Checkpoint,
}

/// The right to read once, proved to stand in the audit trail.
///
/// It cannot be copied, cloned, made from nothing or read from bytes:
/// ```compile_fail
/// fn twice(grant: popwatch_core::access::raw::AccessGrant) {
///     let again = grant.clone();
/// }
/// ```
/// ```compile_fail
/// fn used(grant: popwatch_core::access::raw::AccessGrant) {
///     let one = grant;
///     drop(grant);
/// }
/// ```
/// ```compile_fail
/// let grant = popwatch_core::access::raw::AccessGrant::default();
/// ```
/// ```compile_fail
/// fn forged(allowed: popwatch_core::access::raw::Allowed) {
///     let grant = popwatch_core::access::raw::AccessGrant { allowed, number: 1 };
/// }
/// ```
#[derive(Debug)]
#[must_use = "a grant that opens nothing shows as unfinished in the trail"]
pub struct AccessGrant {
    allowed: Allowed,
    number: u64,
}

impl AccessGrant {
    /// The grant of a read whose entry is proved to be in the log. The sentence says what is not.
    pub fn prove(allowed: Allowed, evidence: &Evidence<'_>) -> Result<Self, String> {
        invariant::read_was_audited(
            &allowed.id,
            evidence.entry,
            evidence.number,
            evidence.hashes,
            evidence.head,
        )?;
        Ok(Self {
            number: evidence.number,
            allowed,
        })
    }

    /// Number of its entry.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What was allowed.
    #[must_use]
    pub const fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Most rows it opens.
    #[must_use]
    pub const fn rows_max(&self) -> u32 {
        self.allowed.rows_max
    }

    /// How long it may stay open, ms.
    #[must_use]
    pub const fn open_ms_max(&self) -> u64 {
        RAW_MS_MAX
    }

    /// Whether a record of this popup, rig and moment is within it.
    #[must_use]
    pub fn covers(&self, popup: &str, rig: &str, at_ms: i64) -> bool {
        let request = &self.allowed.request;
        request.popup == popup
            && (request.from_ms..request.to_ms).contains(&at_ms)
            && (request.rigs.is_empty() || request.rigs.iter().any(|one| one == rig))
    }

    /// Whether a field of the data is within it.
    #[must_use]
    pub fn shows(&self, field: &str) -> bool {
        let fields = &self.allowed.request.fields;
        fields.is_empty() || fields.iter().any(|one| one == field)
    }

    /// The one creator whose records it shows; `None` for everybody's.
    #[must_use]
    pub fn creator(&self) -> Option<&str> {
        let subject = &self.allowed.subject;
        (subject.scope == Scope::Creator).then_some(&*subject.extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{Tree, leaf_hash};
    use alloc::format;
    use alloc::vec;

    fn subject(scope: Scope) -> Subject {
        Subject {
            org: "acme".into(),
            pass: "p".into(),
            actor: "a".into(),
            scope,
            extent: "ana".into(),
            members: Vec::new(),
            popup: Some("fri".into()),
        }
    }

    fn request() -> ReadRequest {
        ReadRequest {
            popup: "fri".into(),
            rigs: Vec::new(),
            from_ms: 1_000,
            to_ms: 2_000,
            fields: vec!["amount".into()],
            classes: Vec::new(),
            purpose: Purpose::Dispute,
        }
    }

    const FRESH: Option<Mfa> = Some(Mfa {
        kind: "totp",
        age_ms: 10,
    });

    fn allowed() -> Allowed {
        let rules = Rules::default();
        let id = "0badcafe".into();
        decide_read(&rules, &subject(Scope::Operator), FRESH, request(), id).unwrap()
    }

    #[test]
    fn a_grant_needs_its_own_entry_under_the_head() {
        let entries: Vec<Vec<u8>> = (0..5)
            .map(|n| format!("{{\"id\":\"{n}{n}\"}}").into_bytes())
            .chain([b"{\"id\":\"0badcafe\"}".to_vec()])
            .collect();
        let mut tree = Tree::default();
        for entry in &entries {
            tree.push(leaf_hash(entry)).unwrap();
        }
        let head = Checkpoint {
            origin: "acme/audit/ledger".into(),
            size: 6,
            root: tree.root(6).unwrap(),
        };
        let prove = |entry: &[u8], number: u64, head: &Checkpoint| {
            let hashes = tree.inclusion(number, 6).unwrap();
            let evidence = Evidence {
                entry,
                number,
                hashes: &hashes,
                head,
            };
            AccessGrant::prove(allowed(), &evidence)
        };
        assert!(prove(&entries[5], 5, &head).is_ok());
        // In the log, and of another read.
        assert!(prove(&entries[4], 4, &head).is_err());
        // Of this read, and not in the log.
        assert!(prove(b"{\"id\":\"0badcafe\",\"x\":1}", 5, &head).is_err());
        let other = Checkpoint {
            root: [7; 32],
            ..head.clone()
        };
        assert!(prove(&entries[5], 5, &other).is_err());
    }

    #[test]
    fn a_read_has_a_purpose_a_window_and_a_fresh_second_factor() {
        let rules = Rules {
            raw: RawRules {
                purposes: BTreeSet::from([Purpose::Dispute]),
                ..RawRules::default()
            },
            ..Rules::default()
        };
        let says = |scope, mfa, request| {
            decide_read(&rules, &subject(scope), mfa, request, "x".into()).map(|_| ())
        };
        assert_eq!(says(Scope::Operator, FRESH, request()), Ok(()));
        assert_eq!(says(Scope::Creator, FRESH, request()), Ok(()));
        assert_eq!(says(Scope::Auditor, FRESH, request()), Err(Denial::Scope));
        assert_eq!(
            says(Scope::Operator, None, request()),
            Err(Denial::SecondFactor)
        );
        let fraud = ReadRequest {
            purpose: Purpose::Fraud,
            ..request()
        };
        assert_eq!(says(Scope::Operator, FRESH, fraud), Err(Denial::Purpose));
        for (from_ms, to_ms) in [(5, 5), (0, 7_200_001), (i64::MIN, i64::MAX)] {
            let long = ReadRequest {
                from_ms,
                to_ms,
                ..request()
            };
            assert_eq!(says(Scope::Operator, FRESH, long), Err(Denial::Window));
        }
    }
}
