//! How many bad outcomes a popup may have, how many are gone, and the chance that the rest suffices.
//!
//! With Λ the planned checkouts and N the outcomes so far, ρ = (k + N) / (k + Λ(0, t)), k a tenth of
//! Λ in all, and N̂ = N + ρ·Λ(t, end) are expected; the budget is B = ε·N̂, after the end ε·N exactly.
//! Pace is the share of the budget that is gone over the share of the traffic that was: burn per
//! outcome, not per clock. Survival is P(bad + X ≤ B) with X beta-binomial over the outcomes still to
//! come, its prior ε weighed as one bad outcome, updated by the last quarter of an hour.
#![allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "probabilities; every number that leaves is clamped to its whole unit"
)]

use super::promises::{Promise, Promised, WHOLE_PPM};
use super::{Outcomes, Slo};

/// Beyond so many terms survival is told from the normal limit.
const TERMS_MAX: u64 = 20_000;

/// The budget of one promise in one popup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Outcomes expected in the whole popup.
    pub expected: u64,
    /// Bad ones it allows, thousandths.
    pub allowed_milli: u64,
    /// Share of it that is gone, millionths; may pass a whole.
    pub consumed_ppm: u64,
    /// That share over the share of the traffic that was, millionths: a whole is on course.
    pub pace_ppm: u64,
    /// Probability to finish within it, millionths.
    pub survival_ppm: u32,
}

impl Budget {
    /// The budget at a minute, by all outcomes so far and those of the last quarter of an hour.
    /// `None` without an outcome.
    #[must_use]
    pub fn at(
        promised: &Promised,
        promise: &Promise,
        minute: u32,
        so_far: Outcomes,
        recent: Outcomes,
    ) -> Option<Self> {
        if so_far.n == 0 && so_far.bad == 0 {
            return None;
        }
        let epsilon = f64::from(promise.epsilon_ppm()) / f64::from(WHOLE_PPM);
        let n = so_far.n as f64;
        let expected = n + remaining(promised, promise.slo, minute, n);
        let allowed = epsilon * expected;
        let bad = so_far.bad as f64;
        let consumed = if allowed > 0.0 { bad / allowed } else { 1.0 };
        let through = if expected > 0.0 { n / expected } else { 1.0 };
        let pace = if through > 0.0 {
            consumed / through
        } else {
            consumed
        };
        let left = libm::floor(expected - n).max(0.0) as u64;
        let room = libm::floor(allowed + 1e-9) - bad;
        Some(Self {
            expected: libm::round(expected) as u64,
            allowed_milli: (allowed * 1e3) as u64,
            consumed_ppm: (consumed * 1e6) as u64,
            pace_ppm: (pace * 1e6) as u64,
            survival_ppm: (survival(left, room, epsilon, recent) * 1e6) as u32,
        })
    }

    /// Whether so much is gone that a page is worth waking for: a twentieth.
    #[must_use]
    pub fn is_worth_a_page(&self) -> bool {
        self.consumed_ppm >= 50_000
    }
}

/// Outcomes still to come.
fn remaining(promised: &Promised, slo: Slo, minute: u32, n: f64) -> f64 {
    let length = promised.ends - promised.starts;
    let passed = (minute.saturating_add(1).saturating_sub(promised.starts)).min(length);
    let planned = |from, to| Some(promised.planned_60ths(from, to)? as f64 / 60.0);
    let flat = (f64::from(passed), f64::from(length - passed));
    let (before, after) = match (planned(0, passed), planned(passed, length)) {
        (Some(before), Some(after)) => (before, after),
        (Some(_), None) | (None, _) => flat,
    };
    // A plan of checkouts says how many payments there are only by its shape.
    let counted = matches!(slo, Slo::CheckoutSuccess | Slo::CheckoutDeadline);
    let k = match promised.planned_60ths(0, length) {
        Some(all) if counted => all as f64 / 60.0 / 10.0,
        Some(_) | None => 0.0,
    };
    let base = k + before;
    if base > 0.0 {
        (k + n) / base * after
    } else {
        after
    }
}

/// P(X ≤ room) for X beta-binomial over `left` outcomes.
fn survival(left: u64, room: f64, epsilon: f64, recent: Outcomes) -> f64 {
    if room < 0.0 {
        return 0.0;
    }
    let m = left as f64;
    if room >= m {
        return 1.0;
    }
    let bad = recent.bad.min(recent.n) as f64;
    let a = 1.0 + bad;
    let b = 1.0 / epsilon - 1.0 + recent.n as f64 - bad;
    if room > TERMS_MAX as f64 {
        return normal_limit(m, a, b, room);
    }
    // ln P(X = 0), then each term from the one before.
    let mut ln_term = ln_beta(a, b + m) - ln_beta(a, b);
    let (mut sum, mut x) = (0.0, 0.0);
    while x <= room {
        sum += libm::exp(ln_term);
        ln_term += libm::log((m - x) / (x + 1.0) * (a + x) / (b + m - x - 1.0));
        x += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

fn normal_limit(m: f64, a: f64, b: f64, room: f64) -> f64 {
    let (p, s) = (a / (a + b), a + b);
    let variance = m * p * (1.0 - p) * (s + m) / (s + 1.0);
    let z = (room + 0.5 - m * p) / libm::sqrt(variance.max(1e-12));
    0.5 * libm::erfc(-z / core::f64::consts::SQRT_2)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against scipy.stats.betabinom.cdf.
    #[test]
    fn survival_is_the_beta_binomial() {
        for (left, room, epsilon, n, bad, expect) in [
            (0, 0.0, 0.01, 0, 0, 1.0),
            (100, -1.0, 0.01, 0, 0, 0.0),
            (10, 10.0, 0.01, 5, 5, 1.0),
            // a = 1, b = 99: P(X = 0) over m is 99/(99 + m).
            (99, 0.0, 0.01, 0, 0, 0.5),
            (1, 0.0, 0.5, 0, 0, 0.5),
        ] {
            let got = survival(left, room, epsilon, Outcomes { n, bad });
            assert!((got - expect).abs() < 1e-9, "{left} {room}: {got}");
        }
        let exact = survival(400_000, 19_000.0, 0.05, Outcomes { n: 500, bad: 30 });
        let limit = normal_limit(400_000.0, 31.0, 489.0, 19_000.0);
        assert!((exact - limit).abs() < 0.05, "{exact} {limit}");
    }
}
