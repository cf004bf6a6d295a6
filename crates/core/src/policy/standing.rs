//! How a policy stands at one machine: on trial, good, fallen back from, or given up for the
//! restricted rules; and what it comes to as its time runs out.
//!
//! ```text
//! accepted ──► on trial ──2 unclean starts, residual, errors──► fallen back ──unclean──► restricted
//!                  └──the trial's end──► good                        a higher version leaves both
//! ```
//!
//! What always holds: nothing here loosens. Falling back joins ([`Terms::fall_back`]), and the
//! restricted rules are as strict as any; only an accepted document leads out of either.

use alloc::string::String;
use alloc::vec::Vec;

use super::duration::Span;
use super::limit::Limit;
use super::terms::Terms;
use super::{Digest, Effective};
use crate::access::names;
use crate::limits::{
    POLICY_ATTEMPTS_MAX, TRIAL_ERRORS_PER_CENT, TRIAL_EVENTS_MIN, TRIAL_UNCLEAN_STARTS,
};

names! {
    /// What runs.
    Mode {
        BuiltIn = "built_in", "No policy was asked for: the built-in one runs.";
        InForce = "in_force", "The newest accepted policy runs.";
        Grace = "grace", "The policy expired; it runs on for its grace.";
        FellBack = "fell_back", "The newest policy did not work here: what differs is removed.";
        Restricted = "restricted", "Facts alone: no pseudonym, no sealed part, no optional field, no raw read.";
    }
}

names! {
    /// Why a version is fallen back from.
    Trouble {
        Unclean = "unclean_starts", "The process died twice under it.";
        Residual = "residual", "A second look found what must not be there.";
        Errors = "errors", "Redaction failed for too many events.";
        SelfTest = "self_test", "Its self-test failed.";
    }
}

/// Which document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Its version.
    pub version: u32,
    /// Its digest.
    pub digest: Digest,
}

/// Where the newest accepted document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is new here.
    Trial {
        /// Until when, ms since 1970.
        until_ms: i64,
        /// Starts after a death.
        unclean: u32,
    },
    /// It has shown that it works.
    Good,
    /// It did not work; held until a higher version.
    FellBack(Trouble),
    /// Falling back did not help.
    Restricted(Trouble),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The process started.
    Started {
        /// It had ended by itself before.
        clean: bool,
    },
    /// Events went through redaction since the trial began.
    Redacted {
        /// All of them.
        events: u64,
        /// Those whose texts became an error word.
        errors: u64,
        /// Records in which the second look found something.
        residual: u64,
    },
    /// Its self-test failed.
    SelfTestFailed,
    /// Time passed.
    Nothing,
}

impl Phase {
    /// A document that was just accepted.
    #[must_use]
    pub fn new(now_ms: i64, trial: Span) -> Self {
        Self::Trial {
            until_ms: now_ms.saturating_add(trial.ms_signed()),
            unclean: 0,
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn after(self, seen: Seen, now_ms: i64) -> Self {
        match (self, seen) {
            (Self::Trial { .. } | Self::Good, Seen::SelfTestFailed) => {
                Self::Restricted(Trouble::SelfTest)
            }
            (Self::Trial { until_ms, .. }, _) if now_ms >= until_ms => Self::Good,
            (Self::Trial { until_ms, unclean }, Seen::Started { clean: false }) => {
                match unclean + 1 >= TRIAL_UNCLEAN_STARTS {
                    true => Self::FellBack(Trouble::Unclean),
                    false => Self::Trial {
                        until_ms,
                        unclean: unclean + 1,
                    },
                }
            }
            (
                Self::Trial { .. },
                Seen::Redacted {
                    events,
                    errors,
                    residual,
                },
            ) => match (residual, too_many(errors, events)) {
                (1.., _) => Self::FellBack(Trouble::Residual),
                (0, true) => Self::FellBack(Trouble::Errors),
                (0, false) => self,
            },
            (Self::FellBack(trouble), Seen::Started { clean: false } | Seen::SelfTestFailed) => {
                Self::Restricted(trouble)
            }
            (Self::Trial { .. }, Seen::Started { clean: true } | Seen::Nothing)
            | (
                Self::FellBack(_),
                Seen::Started { clean: true } | Seen::Redacted { .. } | Seen::Nothing,
            )
            | (Self::Good, Seen::Started { .. } | Seen::Redacted { .. } | Seen::Nothing)
            | (Self::Restricted(_), _) => self,
        }
    }
}

/// Whether so many errors are no accident.
const fn too_many(errors: u64, events: u64) -> bool {
    events >= TRIAL_EVENTS_MIN
        && errors.saturating_mul(100) > events.saturating_mul(TRIAL_ERRORS_PER_CENT)
}

/// All that decides what runs.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The join of what was accepted, under all floors; `None` where nothing was.
    pub newest: Option<&'a Effective>,
    /// What worked before it.
    pub last_good: Option<&'a Effective>,
    /// Where the newest stands.
    pub phase: Phase,
    /// When the newest expires, ms since 1970.
    pub expires_ms: i64,
    /// Whether this machine belongs to an organisation that says its policies.
    pub is_enrolled: bool,
}

impl Standing<'_> {
    /// What runs at a moment, and how that is called.
    #[must_use]
    pub fn running(&self, now_ms: i64) -> (Mode, Terms) {
        let Some(newest) = self.newest else {
            return match self.is_enrolled {
                true => (Mode::Restricted, Terms::restricted()),
                false => (Mode::BuiltIn, Terms::built_in()),
            };
        };
        let grace = newest.terms.span(Limit::OfflineGrace).ms_signed();
        if now_ms >= self.expires_ms.saturating_add(grace) {
            return (Mode::Restricted, newest.terms.join(&Terms::restricted()));
        }
        match self.phase {
            Phase::Restricted(_) => (Mode::Restricted, newest.terms.join(&Terms::restricted())),
            Phase::FellBack(_) => {
                // Without anything that worked before, what differs is all of it.
                let terms = match self.last_good {
                    Some(good) => good.terms.fall_back(&newest.terms),
                    None => newest.terms.join(&Terms::restricted()),
                };
                (Mode::FellBack, terms)
            }
            Phase::Trial { .. } | Phase::Good if now_ms >= self.expires_ms => {
                (Mode::Grace, newest.terms.clone())
            }
            Phase::Trial { .. } | Phase::Good => (Mode::InForce, newest.terms.clone()),
        }
    }
}

/// One document that was brought, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one, as far as it said.
    pub mark: Option<Mark>,
    /// When, ms since 1970.
    pub at_ms: i64,
    /// `accepted`, `joined`, `forked`, `refused` or `fell_back`.
    pub outcome: String,
    /// Code and words; empty when all went well.
    pub reason: String,
}

/// Notes an attempt; the oldest beyond [`POLICY_ATTEMPTS_MAX`] goes. The same refusal again only moves
/// its time.
pub fn note(attempts: &mut Vec<Attempt>, attempt: Attempt) {
    if let Some(last) = attempts.last_mut()
        && (last.mark, &last.outcome, &last.reason)
            == (attempt.mark, &attempt.outcome, &attempt.reason)
    {
        last.at_ms = attempt.at_ms;
        return;
    }
    if attempts.len() >= POLICY_ATTEMPTS_MAX {
        attempts.remove(0);
    }
    attempts.push(attempt);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::close::Value;
    use crate::policy::Carried;

    const MINUTE: i64 = 60_000;

    fn effective(terms: Terms) -> Effective {
        Effective {
            terms,
            carried: Carried {
                version: 1,
                digest: Digest([1; 32]),
                window: None,
                promises: Value::Null,
                commerce: Value::Null,
                stated: crate::policy::Stated::default(),
                rollout: Value::Null,
                trial: Span::minutes(10),
            },
        }
    }

    fn redacted(events: u64, errors: u64, residual: u64) -> Seen {
        Seen::Redacted {
            events,
            errors,
            residual,
        }
    }

    #[test]
    fn two_deaths_on_trial_fall_back_and_a_third_restricts() {
        let died = Seen::Started { clean: false };
        let new = Phase::new(0, Span::minutes(10));
        let once = new.after(died, MINUTE);
        assert!(matches!(once, Phase::Trial { unclean: 1, .. }));
        let twice = once.after(died, 2 * MINUTE);
        assert_eq!(twice, Phase::FellBack(Trouble::Unclean));
        assert_eq!(twice.after(Seen::Started { clean: true }, MINUTE), twice);
        assert_eq!(
            twice.after(died, 3 * MINUTE),
            Phase::Restricted(Trouble::Unclean)
        );
        // After the trial a death says nothing of the policy.
        assert_eq!(once.after(died, 10 * MINUTE), Phase::Good);
        assert_eq!(Phase::Good.after(died, 11 * MINUTE), Phase::Good);
    }

    #[test]
    fn what_redaction_finds_on_trial_falls_back() {
        let new = Phase::new(0, Span::minutes(10));
        for (seen, phase) in [
            (redacted(10_000, 100, 0), new),
            (redacted(10_000, 101, 0), Phase::FellBack(Trouble::Errors)),
            (redacted(99, 99, 0), new),
            (redacted(1, 0, 1), Phase::FellBack(Trouble::Residual)),
        ] {
            assert_eq!(new.after(seen, MINUTE), phase, "{seen:?}");
        }
        assert_eq!(new.after(redacted(1, 0, 1), 10 * MINUTE), Phase::Good);
        let failed = new.after(Seen::SelfTestFailed, 0);
        assert_eq!(failed, Phase::Restricted(Trouble::SelfTest));
    }

    #[test]
    fn time_runs_out_in_steps_and_nothing_ever_loosens() {
        let newest = effective(Terms::of_popup());
        let good = effective(Terms::built_in());
        let standing = Standing {
            newest: Some(&newest),
            last_good: Some(&good),
            phase: Phase::Good,
            expires_ms: 100,
            is_enrolled: true,
        };
        let grace = Span::days(3).ms_signed();
        for (now, mode) in [
            (99, Mode::InForce),
            (100, Mode::Grace),
            (99 + grace, Mode::Grace),
            (100 + grace, Mode::Restricted),
        ] {
            let (is, terms) = standing.running(now);
            assert_eq!(is, mode, "{now}");
            assert!(terms.at_least(&newest.terms));
        }
        let back = Standing {
            phase: Phase::FellBack(Trouble::Errors),
            ..standing
        };
        let (mode, terms) = back.running(0);
        assert_eq!(mode, Mode::FellBack);
        assert!(terms.at_least(&newest.terms) && terms.at_least(&good.terms));
        let nothing = Standing {
            newest: None,
            ..standing
        };
        assert_eq!(nothing.running(0).0, Mode::Restricted);
        let local = Standing {
            is_enrolled: false,
            ..nothing
        };
        assert_eq!(local.running(0), (Mode::BuiltIn, Terms::built_in()));
    }

    #[test]
    fn attempts_are_bounded_and_repeats_do_not_push_others_out() {
        let mut attempts = Vec::new();
        let attempt = |version, at_ms| Attempt {
            mark: Some(Mark {
                version,
                digest: Digest([0; 32]),
            }),
            at_ms,
            outcome: "refused".into(),
            reason: "PW0611".into(),
        };
        for at in 0..50 {
            note(&mut attempts, attempt(1, at));
        }
        assert_eq!((attempts.len(), attempts[0].at_ms), (1, 49));
        for version in 0..50 {
            note(&mut attempts, attempt(version, 0));
        }
        assert_eq!(attempts.len(), POLICY_ATTEMPTS_MAX);
    }
}
