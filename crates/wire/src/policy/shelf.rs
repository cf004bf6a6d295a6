//! What a machine holds of one popup's policy: the documents that run, those that worked before, how
//! the newest stands, and what became of each that was brought.
//!
//! ```text
//! bundle ──accept──► replace: the documents before are what worked; join: one more that runs
//!                └─► on trial ──► good, fallen back from, restricted        (core::policy::standing)
//! ```
//!
//! What always holds (L8): what runs is a join of documents that each passed every check here, and only a
//! document that may replace takes another's place. A shelf that was kept is one that was held: damage
//! to it is found, and never read as fewer documents.

use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::policy::standing::{
    Attempt, Mark, Mode, Phase, Seen, Standing, Trouble, note as note_attempt,
};
use popwatch_core::policy::terms::Terms;
use popwatch_core::policy::{Digest, DocumentKind, Effective};
use serde::{Deserialize, Serialize};

use super::bundle::{Bundle, Decision, Held, Refusal, Trust, Verified, accept, effective};
use super::self_test::self_test;

/// A document and the bundle that it came in.
#[derive(Debug, Clone, PartialEq)]
struct Shelved {
    bundle: Bundle,
    verified: Verified,
}

/// What a machine holds of one popup's policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Shelf {
    popup: PopupId,
    documents: Vec<Shelved>,
    good: Vec<Shelved>,
    phase: Phase,
    attempts: Vec<Attempt>,
    used: bool,
}

/// What became of a bundle that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is held already.
    Known,
    /// It runs.
    Accepted,
    /// The popup may be running: it is joined to what runs.
    Joined,
    /// Another document has its version: both are joined until a higher one comes.
    Forked,
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Accepted => "accepted",
            Self::Joined => "joined",
            Self::Forked => "forked",
        }
    }

    /// What is to be said beside it.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Known | Self::Accepted => None,
            Self::Joined => Some(Code::PolicyJoined),
            Self::Forked => Some(Code::PolicyForked),
        }
    }
}

impl Shelf {
    /// A shelf on which nothing stands yet.
    #[must_use]
    pub fn new(popup: PopupId) -> Self {
        Self {
            popup,
            documents: Vec::new(),
            good: Vec::new(),
            phase: Phase::Good,
            attempts: Vec::new(),
            used: false,
        }
    }

    /// Takes a bundle, or says why not; either is noted among the attempts.
    pub fn offer(
        &mut self,
        bundle: &Bundle,
        trust: &Trust<'_>,
        now_ms: i64,
    ) -> Result<Outcome, Refusal> {
        let documents = self.verified();
        let held = Held {
            popup: &self.popup,
            documents: &documents,
            now_ms,
            may_replace: self.may_replace(now_ms),
        };
        let decided = accept(bundle, trust, &held, |effective| {
            self_test(&effective.terms)
        });
        let attempt = |outcome: &str, reason: String| Attempt {
            mark: bundle.mark(),
            at_ms: now_ms,
            outcome: outcome.to_owned(),
            reason,
        };
        let decision = match decided {
            Ok(decision) => decision,
            Err(refusal) => {
                let attempt = attempt("refused", refusal.to_string());
                note_attempt(&mut self.attempts, attempt);
                return Err(refusal);
            }
        };
        let (outcome, verified) = match decision {
            Decision::Known => return Ok(Outcome::Known),
            Decision::Replace(verified) => (Outcome::Accepted, verified),
            Decision::Join(verified) => (Outcome::Joined, verified),
            Decision::Fork(verified) => (Outcome::Forked, verified),
        };
        let reason = outcome
            .code()
            .map_or_else(String::new, |code| code.to_string());
        note_attempt(&mut self.attempts, attempt(outcome.text(), reason));
        // What worked so far is what is gone back to.
        if matches!(self.phase, Phase::Good) && !self.documents.is_empty() {
            self.good.clone_from(&self.documents);
        }
        if outcome == Outcome::Accepted {
            self.documents.clear();
        }
        self.phase = Phase::new(now_ms, verified.policy().carried.trial);
        self.documents.push(Shelved {
            bundle: bundle.clone(),
            verified,
        });
        Ok(outcome)
    }

    /// What happened to the machine; whether that changes how the newest document stands.
    pub fn see(&mut self, seen: Seen, now_ms: i64) -> bool {
        if self.documents.is_empty() {
            return false;
        }
        let before = self.phase;
        self.phase = before.after(seen, now_ms);
        if let Phase::FellBack(trouble) | Phase::Restricted(trouble) = self.phase
            && before != self.phase
        {
            let attempt = Attempt {
                mark: self.newest().map(Verified::mark),
                at_ms: now_ms,
                outcome: String::from("fell_back"),
                reason: trouble.text().to_owned(),
            };
            note_attempt(&mut self.attempts, attempt);
        }
        before != self.phase
    }

    /// A record of the popup was taken under what runs: from now on it only tightens. Answers whether
    /// that is new.
    pub fn take_use(&mut self) -> bool {
        !std::mem::replace(&mut self.used, true)
    }

    /// What runs at a moment, how that is called, and which document names it.
    #[must_use]
    pub fn running(&self, floor: Option<&Verified>, now_ms: i64) -> (Mode, Terms, Option<Mark>) {
        let newest = self.effective(floor);
        let good = effective(&verified(&self.good), floor);
        let expires_ms = self
            .newest()
            .map_or(i64::MAX, |newest| newest.policy().head.expires_ms);
        let standing = Standing {
            newest: newest.as_ref(),
            last_good: good.as_ref(),
            phase: self.phase,
            expires_ms,
            // Nothing hands a policy to every popup yet: restricted, a popup without one would keep too
            // little from the start.
            is_enrolled: false,
        };
        let (mode, mut terms) = standing.running(now_ms);
        if let (None, Some(floor)) = (&newest, floor) {
            terms = terms.join(&floor.policy().terms);
        }
        (mode, terms, self.newest().map(Verified::mark))
    }

    /// What the accepted documents come to under the organisation's floor; `None` without one.
    #[must_use]
    pub fn effective(&self, floor: Option<&Verified>) -> Option<Effective> {
        effective(&self.verified(), floor)
    }

    /// Whose it is.
    #[must_use]
    pub const fn popup(&self) -> &PopupId {
        &self.popup
    }

    /// Where the newest document stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What became of the documents that were brought, oldest first.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The document with the greatest version and digest.
    #[must_use]
    pub fn newest(&self) -> Option<&Verified> {
        let all = self.documents.iter().map(|one| &one.verified);
        all.max_by_key(|one| one.mark())
    }

    /// What worked before it.
    #[must_use]
    pub fn last_good(&self) -> Option<Mark> {
        self.good.iter().map(|one| one.verified.mark()).max()
    }

    /// The bundles that run, in the order in which they were taken.
    pub fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.documents.iter().map(|one| &one.bundle)
    }

    /// Before the window of all that is held, and before any record, a newer document replaces.
    fn may_replace(&self, now_ms: i64) -> bool {
        let windows = self
            .documents
            .iter()
            .map(|one| &one.verified.policy().carried);
        let begins = |carried: &popwatch_core::policy::Carried| {
            carried
                .window
                .as_ref()
                .map_or(i64::MIN, |window| window.starts_ms)
        };
        !self.used && windows.map(begins).all(|begins| now_ms < begins)
    }

    fn verified(&self) -> Vec<Verified> {
        verified(&self.documents)
    }
}

fn verified(of: &[Shelved]) -> Vec<Verified> {
    of.iter().map(|one| one.verified.clone()).collect()
}

/// A shelf as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    popup: String,
    documents: Vec<Bundle>,
    good: Vec<Bundle>,
    phase: StoredPhase,
    used: bool,
    attempts: Vec<StoredAttempt>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum StoredPhase {
    Trial { until_ms: i64, unclean: u32 },
    Good,
    FellBack(String),
    Restricted(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAttempt {
    version: Option<u32>,
    digest: Option<String>,
    at_ms: i64,
    outcome: String,
    reason: String,
}

impl Shelf {
    /// As it is kept.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let bundles = |of: &[Shelved]| of.iter().map(|one| one.bundle.clone()).collect();
        let stored = Stored {
            popup: self.popup.to_string(),
            documents: bundles(&self.documents),
            good: bundles(&self.good),
            phase: match self.phase {
                Phase::Trial { until_ms, unclean } => StoredPhase::Trial { until_ms, unclean },
                Phase::Good => StoredPhase::Good,
                Phase::FellBack(trouble) => StoredPhase::FellBack(trouble.text().to_owned()),
                Phase::Restricted(trouble) => StoredPhase::Restricted(trouble.text().to_owned()),
            },
            used: self.used,
            attempts: self.attempts.iter().map(StoredAttempt::of).collect(),
        };
        serde_json::to_vec_pretty(&stored).expect("texts and numbers are JSON")
    }

    /// Reads what was kept; `None` for what no shelf of this popup is.
    #[must_use]
    pub fn from_json(bytes: &[u8], popup: &PopupId) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let shelved = |bundle: Bundle| {
            let verified = Verified::kept(&bundle, DocumentKind::Popup)?;
            let is_own = verified.policy().head.popup.as_ref() == Some(popup);
            is_own.then_some(Shelved { bundle, verified })
        };
        let all = |of: Vec<Bundle>| of.into_iter().map(shelved).collect::<Option<Vec<_>>>();
        Some(Self {
            popup: Some(popup.clone()).filter(|popup| popup.as_str() == stored.popup)?,
            documents: all(stored.documents)?,
            good: all(stored.good)?,
            phase: match stored.phase {
                StoredPhase::Trial { until_ms, unclean } => Phase::Trial { until_ms, unclean },
                StoredPhase::Good => Phase::Good,
                StoredPhase::FellBack(trouble) => Phase::FellBack(Trouble::parse(&trouble)?),
                StoredPhase::Restricted(trouble) => Phase::Restricted(Trouble::parse(&trouble)?),
            },
            used: stored.used,
            attempts: stored
                .attempts
                .into_iter()
                .map(StoredAttempt::read)
                .collect::<Option<_>>()?,
        })
    }
}

impl StoredAttempt {
    fn of(attempt: &Attempt) -> Self {
        Self {
            version: attempt.mark.map(|mark| mark.version),
            digest: attempt.mark.map(|mark| mark.digest.to_string()),
            at_ms: attempt.at_ms,
            outcome: attempt.outcome.clone(),
            reason: attempt.reason.clone(),
        }
    }

    fn read(self) -> Option<Attempt> {
        let mark = match (self.version, self.digest) {
            (Some(version), Some(digest)) => Some(Mark {
                version,
                digest: Digest::parse(&digest)?,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return None,
        };
        Some(Attempt {
            mark,
            at_ms: self.at_ms,
            outcome: self.outcome,
            reason: self.reason,
        })
    }
}

#[cfg(test)]
mod tests;
