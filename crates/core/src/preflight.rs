//! Whether doors may open: measurements of a rig and its peers to findings to one verdict.
//!
//! ```text
//! measured ──► finding: pass · not checked · warning · no-go ──► verdict: the worst of them
//! ```
//!
//! What always holds: what was not measured is `not checked`, which counts as a warning and never as
//! a pass; a missing peer or network alone is never a no-go, because a till sells without; each
//! finding says what was measured, what is needed and, unless it passed, what to do.

mod host;
mod peers;
mod stack;

use alloc::string::String;
use core::fmt;

pub use host::{Battery, ClockCheck, DiskRoom, FsyncCheck, Place, PowerCheck, UpsCheck};
pub use host::{clock, disk, fsync, power, ups};
pub use peers::{Certificate, Echo, PageCheck, PeerNet, PeerTls, Pin, RigsCheck};
pub use peers::{net, page, portal, rigs, tls};
pub use stack::{
    AccessCheck, AuditCheck, Outcome, PolicyCheck, ProviderAccount, RetentionCheck, SaleCheck,
    Secrets, Step,
};
pub use stack::{access, audit, policy, provider, retention, sale};

use crate::code::Code;

/// What begins the name of each popup that a preflight makes; no real popup may begin so.
pub const POPUP_PREFIX: &str = "preflight-";

/// Whether a popup is a preflight's: its sales are nobody's and stand in no list.
#[must_use]
pub fn is_rehearsal(popup: &str) -> bool {
    popup.starts_with(POPUP_PREFIX)
}

macro_rules! checks {
    ($($name:ident = $text:literal, $code:path, $doc:literal;)*) => {
        /// One row of the preflight.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $doc] $name,)*
        }

        impl Check {
            /// All, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name on screens and in documents.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code of its findings.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

checks! {
    Power = "power", Code::PreflightPower, "Whether power lasts the popup.";
    Ups = "ups", Code::PreflightUps, "What the UPS says of itself.";
    Disk = "disk", Code::PreflightDisk, "Whether the disk has room for the popup.";
    Fsync = "fsync", Code::PreflightFsync, "Whether what the disk calls durable is.";
    Clock = "clock", Code::PreflightClock, "Whether the clock is right.";
    Net = "net", Code::PreflightNet, "How good the way to each peer is.";
    Portal = "portal", Code::PreflightPortal, "Whether somebody else answers in a peer's place.";
    Tls = "tls", Code::PreflightTls, "Whether each peer is who it should be.";
    Policy = "policy", Code::PreflightPolicy, "Whether the policy covers the popup.";
    Access = "access", Code::PreflightAccess, "Whether operators can prove who they are.";
    Rigs = "rigs", Code::PreflightRigs, "Whether all rigs are there.";
    Provider = "provider", Code::PreflightProvider, "Whether payment providers are heard, and only they.";
    Retention = "retention", Code::PreflightRetention, "Whether keys live as long as they must, and no longer.";
    Sale = "sale", Code::PreflightSale, "Whether a sale goes all the way.";
    Page = "page", Code::PreflightPage, "Whether phones can open the page.";
    Audit = "audit", Code::PreflightAudit, "Whether a raw read leaves its proof.";
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As it should be.
    Pass,
    /// It could not be measured: counts as a warning.
    NotChecked,
    /// The popup can be held; somebody should know.
    Warning,
    /// Do not open doors with this.
    NoGo,
}

impl Severity {
    /// Its name on screens.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::NoGo => "no-go",
        }
    }
}

/// What one row found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The row.
    pub check: Check,
    /// How much it weighs.
    pub severity: Severity,
    /// What was measured, with its unit.
    pub measured: String,
    /// What would pass.
    pub needed: String,
    /// What to do; empty when it passed.
    pub todo: String,
}

impl Finding {
    pub(in crate::preflight) fn new(
        check: Check,
        severity: Severity,
        measured: impl Into<String>,
        needed: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        let todo = match severity {
            Severity::Pass => String::new(),
            Severity::NotChecked | Severity::Warning | Severity::NoGo => todo.into(),
        };
        Self {
            check,
            severity,
            measured: measured.into(),
            needed: needed.into(),
            todo,
        }
    }

    /// A row that could not be measured, why not, and how it could.
    #[must_use]
    pub fn not_checked(check: Check, why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(check, Severity::NotChecked, why, "a measurement", todo)
    }
}

/// The answer of a preflight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Every row passed.
    Go,
    /// Nothing forbids it; something should be known.
    Warnings,
    /// Something forbids it.
    NoGo,
}

impl Verdict {
    /// The worst of the findings; a row of [`Check::ALL`] without a finding counts as not checked.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).max();
        let missing = |check: &Check| findings.iter().all(|finding| finding.check != *check);
        match worst {
            Some(Severity::NoGo) => Self::NoGo,
            Some(Severity::Warning | Severity::NotChecked) | None => Self::Warnings,
            Some(Severity::Pass) if Check::ALL.iter().any(missing) => Self::Warnings,
            Some(Severity::Pass) => Self::Go,
        }
    }

    /// Whether the process ends with status 3: on a no-go, and when strict on any warning.
    #[must_use]
    pub const fn is_refusal(self, strict: bool) -> bool {
        match self {
            Self::Go => false,
            Self::Warnings => strict,
            Self::NoGo => true,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Go => "go",
            Self::Warnings => "go with warnings",
            Self::NoGo => "no-go",
        })
    }
}

/// When the popup is held, and when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Now, ms since 1970.
    pub now_ms: i64,
    /// Doors open, ms since 1970.
    pub starts_ms: i64,
    /// Doors close, ms since 1970.
    pub ends_ms: i64,
}

impl Window {
    /// What is left of it, minutes, rounded up; all of it before doors open.
    #[must_use]
    pub fn minutes_left(&self) -> u32 {
        let left_ms = self.ends_ms.saturating_sub(self.now_ms.max(self.starts_ms));
        let minutes = left_ms.max(0).saturating_add(59_999) / 60_000;
        u32::try_from(minutes).unwrap_or(u32::MAX)
    }

    /// How long it is, hours, rounded up, at least 1.
    #[must_use]
    pub fn hours(&self) -> u64 {
        let ms = self.ends_ms.saturating_sub(self.starts_ms);
        u64::try_from(ms).unwrap_or(0).div_ceil(3_600_000).max(1)
    }
}

#[cfg(test)]
mod tests;
