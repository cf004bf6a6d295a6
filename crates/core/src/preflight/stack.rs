//! The rows about what must work together: policy, access, providers, retention, the sale, the trail.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Check, Finding, Severity, Window};
use crate::limits::{
    PREFLIGHT_LEASE_MS, PREFLIGHT_LIST_MS_MAX, PREFLIGHT_POLICY_MS, PREFLIGHT_STEP_MS_MAX,
};

/// The policy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyCheck {
    /// A signed bundle was accepted.
    pub is_signed: bool,
    /// The rig runs restricted.
    pub is_restricted: bool,
    /// The rig went back from a newer version.
    pub is_held: bool,
    /// When it ends, ms since 1970; absent when it does not.
    pub expires_ms: Option<i64>,
    /// What the second look had to catch; must be 0.
    pub residual: u64,
    /// The ledger wants another one.
    pub differs: bool,
}

/// Whether the policy covers the popup.
#[must_use]
pub fn policy(seen: &PolicyCheck, window: &Window) -> Finding {
    let needed = "signed, until a day after the popup, the one that the ledger wants";
    let until = window.ends_ms.saturating_add(PREFLIGHT_POLICY_MS);
    let no_go = [
        (!seen.is_signed, "no signed policy"),
        (seen.is_restricted, "the rig runs restricted"),
        (seen.residual > 0, "the second look had to remove something"),
        (
            seen.expires_ms.is_some_and(|at| at < until),
            "it ends too early",
        ),
        (seen.is_held, "a rollback is held"),
    ];
    let todo = "publish a signed policy that covers the popup (popwatch policy), then run again";
    if let Some((_, what)) = no_go.into_iter().find(|(is_so, _)| *is_so) {
        return Finding::new(Check::Policy, Severity::NoGo, what, needed, todo);
    }
    let (severity, measured) = match seen.differs {
        false => (Severity::Pass, "in force"),
        true => (Severity::Warning, "the ledger wants another"),
    };
    let todo = "let this rig fetch it, or bring it there (popwatch policy push)";
    Finding::new(Check::Policy, severity, measured, needed, todo)
}

/// Who may do what only operators may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccessCheck {
    /// No pass is asked of anybody: only this machine is served.
    pub is_open: bool,
    /// Operators with a pass or a second factor here.
    pub operators: usize,
    /// Those among them without a second factor.
    pub without: usize,
    /// A code was shown now and was right; absent when none was shown.
    pub verified: Option<bool>,
    /// Age of the list of revoked passes, ms; absent when there is none.
    pub list_age_ms: Option<u64>,
    /// When the first operator's pass ends, ms since 1970.
    pub pass_ends_ms: Option<i64>,
}

/// Whether operators can prove who they are, at this rig and without a network.
#[must_use]
pub fn access(seen: &AccessCheck, window: &Window) -> Finding {
    let found = |severity, measured: String, todo| {
        let needed = "a second factor for each operator, shown to work";
        Finding::new(Check::Access, severity, measured, needed, todo)
    };
    if seen.is_open {
        let measured = "no pass is asked: this machine alone is served";
        return found(Severity::Pass, measured.into(), "");
    }
    let of = format!("{} operators", seen.operators);
    if seen.without > 0 || seen.verified == Some(false) {
        let what = match seen.verified {
            Some(false) => "the code that was shown is wrong".into(),
            Some(true) | None => format!("{} of {of} without a second factor", seen.without),
        };
        let todo = "popwatch access factor ACTOR at the ledger, then show a code with --code";
        return found(Severity::NoGo, what, todo);
    }
    if seen
        .list_age_ms
        .is_some_and(|age| age > PREFLIGHT_LIST_MS_MAX)
    {
        let todo = "let this rig reach the ledger once, for the list of revoked passes";
        return found(
            Severity::Warning,
            format!("{of}, the list is a day old"),
            todo,
        );
    }
    if seen.pass_ends_ms.is_some_and(|ends| ends < window.ends_ms) {
        let todo = "make a pass that lasts until doors close";
        return found(Severity::Warning, format!("{of}, a pass ends early"), todo);
    }
    match (seen.operators, seen.verified) {
        (_, Some(true | false)) => found(Severity::Pass, format!("{of}, a code was right"), ""),
        (_, None) => found(
            Severity::NotChecked,
            format!("{of}, no code was shown"),
            "run again with --pass FILE and --code CODE of an operator who will be there",
        ),
    }
}

/// One account at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccount {
    /// Its name in the configuration.
    pub name: String,
    /// Its secret is readable.
    pub has_secret: bool,
    /// A sample signed with it was taken; absent when that could not be tried.
    pub sample_taken: Option<bool>,
    /// A forged one was refused; absent when that could not be tried.
    pub forgery_refused: Option<bool>,
    /// Whether cards are taken without a network was declared.
    pub offline_declared: bool,
}

/// Whether each provider is heard, and only it.
#[must_use]
pub fn provider(seen: &[ProviderAccount]) -> Finding {
    let needed = "a signed sample taken, a forged one refused, offline mode declared";
    let finding = |severity, measured: String, todo| {
        Finding::new(Check::Provider, severity, measured, needed, todo)
    };
    if seen.is_empty() {
        return finding(
            Severity::NotChecked,
            "no account is configured here".into(),
            "run this at the machine that hears the provider; without one, cash only",
        );
    }
    for one in seen {
        let broken = [
            (!one.has_secret, "has no readable secret"),
            (
                one.sample_taken == Some(false),
                "its own signed sample was refused",
            ),
            (
                one.forgery_refused == Some(false),
                "a forged message was taken",
            ),
        ];
        if let Some((_, what)) = broken.into_iter().find(|(is_so, _)| *is_so) {
            let todo = "copy the webhook secret from the provider's dashboard again and restart";
            return finding(Severity::NoGo, format!("{}: {what}", one.name), todo);
        }
    }
    let names = seen.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    let names = names.join(" · ");
    let is_tried =
        |one: &ProviderAccount| one.sample_taken == Some(true) && one.forgery_refused == Some(true);
    if !seen.iter().all(is_tried) {
        let todo = "run again when the machine that hears the provider answers";
        return finding(
            Severity::NotChecked,
            format!("{names}: not tried both ways"),
            todo,
        );
    }
    if seen.iter().any(|one| !one.offline_declared) {
        let todo = "cards stop with the network unless the terminal takes them offline; find out, then say so with --offline-cards";
        return finding(
            Severity::Warning,
            format!("{names}: heard, offline mode unknown"),
            todo,
        );
    }
    finding(
        Severity::Pass,
        format!("{names}: heard, forgeries refused"),
        "",
    )
}

/// Keys of sealed parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionCheck {
    /// Keys that the custodian does not hold.
    pub missing: usize,
    /// When the first lease ends, ms since 1970.
    pub lease_ends_ms: Option<i64>,
    /// The keys lie where backups are made.
    pub in_backup: bool,
}

/// Whether keys live as long as they must, and no longer.
#[must_use]
pub fn retention(seen: &RetentionCheck, window: &Window) -> Finding {
    let needed = "each key at its custodian, leases two hours past the popup, no backup of keys";
    let until = window.ends_ms.saturating_add(PREFLIGHT_LEASE_MS);
    let is_short = seen.lease_ends_ms.is_some_and(|ends| ends < until);
    let (severity, measured, todo) = match (seen.missing, is_short, seen.in_backup) {
        (1.., ..) => (
            Severity::NoGo,
            format!("{} keys are not at the custodian", seen.missing),
            "restore them from a recorded holder, or shred what they sealed",
        ),
        (0, true, _) => (
            Severity::Warning,
            "a lease ends before the popup does".into(),
            "let this rig reach the ledger before doors open",
        ),
        (0, false, true) => (
            Severity::Warning,
            "the folder of keys is in a backup".into(),
            "leave keys/ out of backups: a copy of a key outlives its shredding",
        ),
        (0, false, false) => (Severity::Pass, "keys and leases are in place".into(), ""),
    };
    Finding::new(Check::Retention, severity, measured, needed, todo)
}

/// How one step of the synthetic sale went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and how long it took, ms.
    Done(u64),
    /// It went wrong, and how.
    Failed(String),
    /// A peer that it needs does not answer, or it does not exist here: which.
    Stopped(String),
}

/// One step of the synthetic sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// What the search for the planted values found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secrets {
    /// It could not be made.
    NotSearched,
    /// Nothing, in so many bytes.
    None {
        /// Bytes that were searched.
        bytes: u64,
    },
    /// A planted value, in these places; never the value.
    Found(Vec<String>),
}

/// The synthetic sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleCheck {
    /// Its steps, in order, as far as it came.
    pub steps: Vec<Step>,
    /// What the search found.
    pub secrets: Secrets,
}

/// Whether a sale goes all the way, and what was planted in it nowhere.
#[must_use]
pub fn sale(seen: &SaleCheck) -> Finding {
    let needed = format!(
        "each step within {} s, no planted value anywhere",
        PREFLIGHT_STEP_MS_MAX / 1_000
    );
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Sale, severity, measured, needed.clone(), todo)
    };
    if let Secrets::Found(places) = &seen.secrets {
        let measured = format!("a planted value stands in {}", places.join(" · "));
        let todo = "do not open: what customers type would be kept; report it with this sheet";
        return found(Severity::NoGo, measured, todo);
    }
    let mut done = Vec::new();
    let mut slowest = 0;
    let mut stopped = None;
    for step in &seen.steps {
        match &step.outcome {
            Outcome::Done(ms) => {
                slowest = slowest.max(*ms);
                done.push(format!("{} {ms} ms", step.name));
            }
            Outcome::Failed(why) => {
                let measured = format!("failed at {}: {why}", step.name);
                let todo = "see the log of the machine that is named; run again afterwards";
                return found(Severity::NoGo, measured, todo);
            }
            Outcome::Stopped(why) => stopped = stopped.or(Some((step.name, why))),
        }
    }
    if let Some((name, why)) = stopped {
        let measured = format!("stopped before {name}: {why}");
        let todo = "run again when every machine is up; what was sold is safe on this till";
        return found(Severity::NotChecked, measured, todo);
    }
    let searched = match &seen.secrets {
        Secrets::None { bytes } => super::host::size(*bytes),
        Secrets::NotSearched | Secrets::Found(_) => {
            let todo = "run this on the rig itself, with its --data or --config";
            return found(
                Severity::NotChecked,
                "planted values were not searched for".into(),
                todo,
            );
        }
    };
    if done.is_empty() {
        return Finding::not_checked(Check::Sale, "no step was made", "start popwatch run here");
    }
    let severity = if slowest > PREFLIGHT_STEP_MS_MAX {
        Severity::Warning
    } else {
        Severity::Pass
    };
    let measured = format!("{}; planted values: 0 in {searched}", done.join(", "));
    found(
        severity,
        measured,
        "a slow step is a slow disk, machine or network; see those rows",
    )
}

/// A raw read of the synthetic popup, and what it left in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditCheck {
    /// The read was granted; absent when nobody may.
    pub granted: Option<bool>,
    /// Its entries verify in the signed trail; absent when not asked.
    pub proved: Option<bool>,
    /// A peer holds our head; absent without a peer.
    pub witnessed: Option<bool>,
}

/// Whether a raw read leaves its proof.
#[must_use]
pub fn audit(seen: &AuditCheck) -> Finding {
    let needed = "an entry before the read, a proof that verifies, a peer that holds our head";
    let (severity, measured, todo) = match (seen.granted, seen.proved, seen.witnessed) {
        (Some(false), ..) => (
            Severity::NoGo,
            "a raw read failed",
            "see this rig's log: PW08xx",
        ),
        (_, Some(false), _) => (
            Severity::NoGo,
            "the trail does not prove its newest entry",
            "keep a copy of DATA/audit and ask who touched it (popwatch audit verify)",
        ),
        (None, ..) => (
            Severity::NotChecked,
            "no raw read was allowed",
            "run again with --pass FILE and --code CODE of an operator",
        ),
        (Some(true), None, _) => (
            Severity::NotChecked,
            "the trail could not be asked",
            "run this on the rig itself",
        ),
        (Some(true), Some(true), Some(true)) => (
            Severity::Pass,
            "read, proved, and a peer holds our head",
            "",
        ),
        (Some(true), Some(true), Some(false) | None) => (
            Severity::Warning,
            "read and proved; no peer holds our head yet",
            "let this rig reach the ledger once",
        ),
    };
    Finding::new(Check::Audit, severity, measured.to_string(), needed, todo)
}
