//! What a policy's promises mean: defaults, rules, and the plan as sums.
//!
//! Always holds: a [`Promised`] is made of a policy however odd; what [`check`] refuses never gets
//! into a policy of ours, and what comes from elsewhere is brought within the same rules.

use alloc::vec::Vec;

use super::{SLOS, Slo, Tier};
use crate::event::promises::{PlanStep, Promises, SloPromise};
use crate::event::system::PopupPolicy;
use crate::limits::{
    CHECKOUT_LIMIT_MS, OVERRUN_MINUTES_MAX, PLAN_STEPS_MAX, REGION_MINUTES_MAX, REGION_RIGS_MAX,
};
use crate::time::{Minute, WallMs};

/// Millionths in a whole.
pub const WHOLE_PPM: u32 = 1_000_000;
/// Share of bad outcomes an objective leaves at least, millionths: less cannot be told from none in
/// a popup.
pub const EPSILON_PPM_MIN: u32 = 100;
/// Probability of a false page in a popup that all promises together may ask for, millionths.
pub const ALPHA_PPM_MAX: u32 = 200_000;
/// Minutes a popup may run longer where policy says nothing.
pub const OVERRUN_MIN: u32 = 45;
/// Rigs planned where policy says nothing.
pub const RIGS: u32 = 4;
/// Probability of a false page kept for an overrun where policy says nothing, millionths.
pub const RESERVE_PPM: u32 = 15_000;
/// Checkouts an hour a plan may name.
pub const CHECKOUTS_PER_HOUR_MAX: u32 = 1_000_000;

/// Why promises cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromiseFault {
    /// No such promise.
    #[error("there is no promise with the number {0}")]
    Unknown(u32),
    /// Named twice.
    #[error("{} is promised twice; write it once", .0.name())]
    Twice(Slo),
    /// Nobody can keep it, or it promises nothing.
    #[error("the objective of {} must lie between 0 and {WHOLE_PPM} millionths, both outside", .0.name())]
    Objective(Slo),
    /// So little may fail that a popup cannot tell it from nothing.
    #[error("the objective of {} leaves less than {EPSILON_PPM_MIN} millionths to fail; a popup is too short to tell that from none", .0.name())]
    TooStrict(Slo),
    /// No probability.
    #[error("alpha of {} must lie above 0 and below {ALPHA_PPM_MAX} millionths", .0.name())]
    Alpha(Slo),
    /// Too many false pages altogether.
    #[error(
        "all alphas and the reserve are {0} millionths together; more than {ALPHA_PPM_MAX} would page for nothing in one popup of five"
    )]
    AlphaSum(u64),
    /// No such tier.
    #[error("tier must be page, watch or off")]
    Tier,
    /// Plan out of order, too long or too large.
    #[error(
        "the plan must have at most {PLAN_STEPS_MAX} steps, ascending by their minute, each of at most {CHECKOUTS_PER_HOUR_MAX} checkouts an hour, and some checkout at all"
    )]
    Plan,
    /// Beyond its bound.
    #[error("overrun must be at most {OVERRUN_MINUTES_MAX} minutes")]
    Overrun,
    /// Beyond their bound.
    #[error("rigs must be at most {REGION_RIGS_MAX}")]
    Rigs,
}

/// One promise with everything filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Which.
    pub slo: Slo,
    /// Share of good outcomes, millionths, above 0 and at most [`WHOLE_PPM`] − [`EPSILON_PPM_MIN`].
    pub objective_ppm: u32,
    /// Probability of a false page in the popup, millionths.
    pub alpha_ppm: u32,
    /// Whom it wakes.
    pub tier: Tier,
}

impl Promise {
    /// What holds where policy says nothing.
    #[must_use]
    pub const fn default_of(slo: Slo) -> Self {
        let (objective_ppm, alpha_ppm) = match slo {
            Slo::CheckoutSuccess => (990_000, 10_000),
            Slo::CheckoutDeadline => (950_000, 5_000),
            Slo::PaymentSuccess | Slo::ProbeSuccess | Slo::TokenConflict => (990_000, 5_000),
            Slo::RefundRate => (970_000, 5_000),
        };
        Self {
            slo,
            objective_ppm,
            alpha_ppm,
            tier: Tier::Page,
        }
    }

    /// Share of outcomes that may be bad, millionths.
    #[must_use]
    pub const fn epsilon_ppm(&self) -> u32 {
        WHOLE_PPM - self.objective_ppm
    }
}

/// All that is promised and planned for one popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// First minute of the window, since 1970.
    pub starts: u32,
    /// First minute after it.
    pub ends: u32,
    /// Minutes a detector is armed for: those of the window and the overrun.
    pub minutes: u32,
    /// Minutes it may run longer.
    pub overrun: u32,
    /// A checkout that takes longer is late, ms.
    pub limit_ms: u32,
    /// Rigs planned.
    pub rigs: u32,
    /// Probability of a false page kept for an overrun, millionths.
    pub reserve_ppm: u32,
    /// Promises by their place.
    pub slos: [Promise; SLOS],
    /// Minutes after the start and checkouts an hour from then on, ascending; empty when nobody plans.
    plan: Vec<PlanStep>,
}

impl Promised {
    /// What a policy promises. Numbers outside the rules are brought within them.
    #[must_use]
    pub fn of(policy: &PopupPolicy) -> Self {
        let none = Promises::default();
        let said = policy.promises.as_ref().unwrap_or(&none);
        let starts = Minute::of(WallMs(policy.starts_ms)).0;
        let last_ms = policy.ends_ms.saturating_sub(1).max(policy.starts_ms);
        let ends = Minute::of(WallMs(last_ms)).0.saturating_add(1);
        let most = u32::try_from(REGION_MINUTES_MAX).unwrap_or(u32::MAX);
        let planned = (ends - starts).min(most);
        let overrun = said.overrun_min.unwrap_or(OVERRUN_MIN);
        let overrun = overrun.min(OVERRUN_MINUTES_MAX);
        let mut slos = Slo::ALL.map(Promise::default_of);
        for promise in &said.slos {
            if let Some(slo) = known(promise.slo) {
                slos[slo.place()] = filled(slo, promise);
            }
        }
        let limit_ms = match policy.checkout_limit_ms {
            0 => CHECKOUT_LIMIT_MS,
            limit_ms => limit_ms,
        };
        let rigs = match said.rigs {
            0 => RIGS,
            rigs => rigs,
        };
        Self {
            starts,
            ends,
            minutes: planned.saturating_add(overrun).max(1),
            overrun,
            limit_ms,
            rigs,
            reserve_ppm: said.reserve_ppm.unwrap_or(RESERVE_PPM).min(ALPHA_PPM_MAX),
            slos,
            plan: said.plan.iter().take(PLAN_STEPS_MAX).copied().collect(),
        }
    }

    /// The promise of this kind.
    #[must_use]
    pub fn promise(&self, slo: Slo) -> &Promise {
        &self.slos[slo.place()]
    }

    /// Checkouts planned between two minutes of the popup, in sixtieths of one; `None` when nobody
    /// plans. Minutes count from the start and end with the window.
    #[must_use]
    pub fn planned_60ths(&self, from: u32, to: u32) -> Option<u64> {
        if self.plan.is_empty() {
            return None;
        }
        let end = self.ends - self.starts;
        let (from, to) = (from.min(end), to.min(end));
        let ends = self.plan.iter().skip(1).map(|next| next.at_min);
        let steps = self.plan.iter().zip(ends.chain([u32::MAX]));
        let sum = steps.map(|(step, until)| {
            let minutes = to.min(until).saturating_sub(from.max(step.at_min));
            u64::from(minutes) * u64::from(step.checkouts_per_hour)
        });
        Some(sum.sum())
    }
}

fn known(number: u32) -> Option<Slo> {
    Slo::ALL.into_iter().find(|slo| slo.number() == number)
}

fn filled(slo: Slo, said: &SloPromise) -> Promise {
    let other = Promise::default_of(slo);
    let objective_ppm = said.objective_ppm.unwrap_or(other.objective_ppm);
    let alpha_ppm = said.alpha_ppm.unwrap_or(other.alpha_ppm);
    Promise {
        slo,
        objective_ppm: objective_ppm.clamp(1, WHOLE_PPM - EPSILON_PPM_MIN),
        alpha_ppm: alpha_ppm.clamp(1, ALPHA_PPM_MAX),
        tier: Tier::of_number(said.tier).unwrap_or_default(),
    }
}

/// Whether promises can be kept (PW3301).
///
/// # Errors
/// The first thing that is wrong, in words that say what to write instead.
pub fn check(said: &Promises) -> Result<(), PromiseFault> {
    let mut seen = [false; SLOS];
    for promise in &said.slos {
        let slo = known(promise.slo).ok_or(PromiseFault::Unknown(promise.slo))?;
        if core::mem::replace(&mut seen[slo.place()], true) {
            return Err(PromiseFault::Twice(slo));
        }
        if let Some(objective) = promise.objective_ppm {
            if objective == 0 || objective >= WHOLE_PPM {
                return Err(PromiseFault::Objective(slo));
            }
            if WHOLE_PPM - objective < EPSILON_PPM_MIN {
                return Err(PromiseFault::TooStrict(slo));
            }
        }
        if promise
            .alpha_ppm
            .is_some_and(|alpha| !(1..ALPHA_PPM_MAX).contains(&alpha))
        {
            return Err(PromiseFault::Alpha(slo));
        }
        Tier::of_number(promise.tier).ok_or(PromiseFault::Tier)?;
    }
    check_plan(&said.plan)?;
    if said
        .overrun_min
        .is_some_and(|minutes| minutes > OVERRUN_MINUTES_MAX)
    {
        return Err(PromiseFault::Overrun);
    }
    let rigs_max = u32::try_from(REGION_RIGS_MAX).unwrap_or(u32::MAX);
    if said.rigs > rigs_max {
        return Err(PromiseFault::Rigs);
    }
    let alphas = Slo::ALL.into_iter().filter_map(|slo| {
        let promise = said.slos.iter().find(|said| said.slo == slo.number());
        let promise = promise.map_or(Promise::default_of(slo), |said| filled(slo, said));
        (promise.tier == Tier::Page).then_some(u64::from(promise.alpha_ppm))
    });
    let reserve = u64::from(said.reserve_ppm.unwrap_or(RESERVE_PPM));
    let sum = alphas.sum::<u64>().saturating_add(reserve);
    if sum > u64::from(ALPHA_PPM_MAX) {
        return Err(PromiseFault::AlphaSum(sum));
    }
    Ok(())
}

fn check_plan(plan: &[PlanStep]) -> Result<(), PromiseFault> {
    let ascends = plan.windows(2).all(|pair| pair[0].at_min < pair[1].at_min);
    let within = |step: &PlanStep| step.checkouts_per_hour <= CHECKOUTS_PER_HOUR_MAX;
    let some = plan.is_empty() || plan.iter().any(|step| step.checkouts_per_hour > 0);
    if plan.len() <= PLAN_STEPS_MAX && ascends && plan.iter().all(within) && some {
        return Ok(());
    }
    Err(PromiseFault::Plan)
}
