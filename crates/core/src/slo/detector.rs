//! The e-detector: evidence against a promise, weighed so that no amount of looking fools it.
//!
//! Each minute opens a bet on every one of a few ways of being worse; each outcome multiplies all
//! open bets by its likelihood ratio:
//!
//! ```text
//! minute:                    R_q <- 1 + R_q
//! n outcomes, b of them bad: R_q <- R_q * (q/e)^b * ((1-q)/(1-e))^(n-b)      M = mean of R_q
//! ```
//!
//! **Why a false page is rare.** Suppose every outcome is bad with probability at most e given all
//! fed before. Each factor then has a conditional mean of at most 1, so a bet opened at a minute is a
//! non-negative supermartingale from 1, and so is one not opened yet. Their sum over all T minutes
//! starts at T and is at least M. By Ville's inequality it ever reaches T/α with probability at most
//! α: the probability of any page in the popup, looked at after every outcome.
//!
//! An outcome counts in its own minute, not in that of its arrival: a bet takes part in it when it
//! was opened by then. Which outcomes a bet takes part in does not hang on their being bad, so the
//! proof stands; and the evidence does not hang on the order or the pieces in which they came (L3).
//! A minute is weighed from whole numbers in one step, in the log domain, so it is the same bit for
//! bit wherever it is computed.
#![allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "likelihood ratios; counts below 2^53 are exact"
)]

use alloc::collections::BTreeMap;

use super::promises::{Promise, WHOLE_PPM};
use super::{Outcomes, Slo};

/// Ways of being worse that are bet on, at most.
const BETS_MAX: usize = 5;
/// Minutes whose counts may still change, and over which a page is resolved.
pub const RECENT_MINUTES: u32 = 15;
/// Minutes over which the rate of orders is taken for refunds.
const RATE_MINUTES: u32 = 60;

/// One way of being worse: ln of the factor of a bad outcome and of a good one. For a rate: of an
/// event, and of one event expected.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Bet {
    bad: f64,
    good: f64,
}

/// What is bet on for one promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bets {
    bets: [Bet; BETS_MAX],
    count: usize,
    /// For a rate: events allowed per order an hour.
    rate: Option<f64>,
}

impl Bets {
    /// The bets of a promise.
    #[must_use]
    pub fn of(promise: &Promise) -> Self {
        let epsilon = f64::from(promise.epsilon_ppm()) / f64::from(WHOLE_PPM);
        match promise.slo {
            Slo::RefundRate => Self::on_a_rate(epsilon),
            Slo::CheckoutSuccess
            | Slo::CheckoutDeadline
            | Slo::PaymentSuccess
            | Slo::ProbeSuccess
            | Slo::TokenConflict => Self::on_a_share(epsilon),
        }
    }

    /// q is 2e, 4e, 10e, 30e, each at most 0.9 and above e, and 0.9, without repeats.
    fn on_a_share(epsilon: f64) -> Self {
        let mut all = Self::none(None);
        let mut before = epsilon;
        for times in [2.0, 4.0, 10.0, 30.0, f64::INFINITY] {
            let q = (times * epsilon).min(0.9_f64.max((1.0 + epsilon) / 2.0));
            if q > before {
                all.push(Bet {
                    bad: libm::log(q / epsilon),
                    good: libm::log((1.0 - q) / (1.0 - epsilon)),
                });
                before = q;
            }
        }
        all
    }

    /// A rate that is 2, 4, 10 times what is allowed.
    fn on_a_rate(per_order: f64) -> Self {
        let mut all = Self::none(Some(per_order));
        for times in [2.0, 4.0, 10.0] {
            all.push(Bet {
                bad: libm::log(times),
                good: 1.0 - times,
            });
        }
        all
    }

    fn none(rate: Option<f64>) -> Self {
        Self {
            bets: [Bet::default(); BETS_MAX],
            count: 0,
            rate,
        }
    }

    fn push(&mut self, bet: Bet) {
        self.bets[self.count] = bet;
        self.count += 1;
    }

    fn all(&self) -> &[Bet] {
        &self.bets[..self.count]
    }

    /// ln of the mean of what each way makes of `bad` bad ones in a row from a clean start.
    fn ln_after(&self, bad: u32) -> f64 {
        let mut logs = [f64::NEG_INFINITY; BETS_MAX];
        for (log, bet) in logs.iter_mut().zip(self.all()) {
            *log = f64::from(bad) * bet.bad;
        }
        ln_mean(&logs[..self.count])
    }

    /// The fewest bad outcomes in a row from a clean start that reach `ln_bar`.
    #[must_use]
    pub fn in_a_row(&self, ln_bar: f64) -> u32 {
        (1..1_000)
            .find(|bad| self.ln_after(*bad) >= ln_bar)
            .unwrap_or(1_000)
    }
}

/// ln of a mean, from logs.
fn ln_mean(logs: &[f64]) -> f64 {
    let top = logs
        .iter()
        .fold(f64::NEG_INFINITY, |top, log| top.max(*log));
    if top == f64::NEG_INFINITY {
        return top;
    }
    let sum = logs.iter().fold(0.0, |sum, log| sum + libm::exp(log - top));
    top + libm::log(sum / logs.len() as f64)
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    if x == f64::NEG_INFINITY {
        0.0
    } else if x > 0.0 {
        x + libm::log1p(libm::exp(-x))
    } else {
        libm::log1p(libm::exp(x))
    }
}

/// The bets after one minute.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    minute: u32,
    logs: [f64; BETS_MAX],
    /// Minutes weighed since it was armed last.
    steps: u32,
    /// How often it was armed again.
    rearmed: u32,
}

/// What the outcomes fed so far say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// ln of M.
    pub ln_mean: f64,
    /// How often the minutes it is armed for were used up.
    pub rearmed: u32,
    /// Outcomes fed in the last quarter of an hour.
    pub recent: Outcomes,
    /// ln of the mean over the ways of being worse of the plain product over that time.
    pub ln_recent: f64,
}

/// Bets of one promise, of one popup or one rig of it.
#[derive(Debug, Clone)]
pub struct Detector {
    bets: Bets,
    /// Minutes it is armed for: T.
    armed_for: u32,
    starts: u32,
    /// Everything up to this minute is weighed for good.
    settled: Option<Place>,
    /// Outcomes by minute: those not settled, and for a rate those of the hour before.
    fed: BTreeMap<u32, Outcomes>,
    /// The bets after a minute beyond which nothing was fed since.
    cached: Option<Place>,
}

impl Detector {
    /// A detector that was fed nothing, armed for `minutes` from minute `starts` on.
    #[must_use]
    pub fn new(promise: &Promise, starts: u32, minutes: u32) -> Self {
        Self {
            bets: Bets::of(promise),
            armed_for: minutes.max(1),
            starts,
            settled: None,
            fed: BTreeMap::new(),
            cached: None,
        }
    }

    /// The bets it makes.
    #[must_use]
    pub fn bets(&self) -> &Bets {
        &self.bets
    }

    /// Feeds outcomes of a minute. One that is settled already takes the first that is not.
    pub fn feed(&mut self, minute: u32, outcomes: Outcomes) {
        let open = self
            .settled
            .map_or(0, |place| place.minute.saturating_add(1));
        let minute = minute.max(open);
        let held = self.fed.entry(minute).or_default();
        *held = held.and(outcomes);
        if self.cached.is_some_and(|cached| cached.minute >= minute) {
            self.cached = None;
        }
    }

    /// What is known at the end of minute `now`. Minutes must not go back by more than
    /// [`RECENT_MINUTES`].
    pub fn evidence(&mut self, now: u32) -> Evidence {
        let settled = self.settle(now);
        let mut place = self
            .cached
            .filter(|held| held.minute < now)
            .unwrap_or(settled);
        self.weigh_to(&mut place, now.saturating_sub(1));
        self.cached = Some(place);
        if place.minute < now {
            self.weigh(&mut place);
        }
        let (mut recent, mut product) = (Outcomes::default(), [0.0; BETS_MAX]);
        for minute in now.saturating_sub(RECENT_MINUTES - 1)..=now {
            let (outcomes, good) = self.minute(minute);
            recent = recent.and(outcomes);
            for (log, bet) in product.iter_mut().zip(self.bets.all()) {
                *log += outcomes.bad as f64 * bet.bad + good * bet.good;
            }
        }
        Evidence {
            ln_mean: ln_mean(&place.logs[..self.bets.count]),
            rearmed: place.rearmed,
            recent,
            ln_recent: ln_mean(&product[..self.bets.count]),
        }
    }

    /// Lets all bets go: after a page is over the next incident starts from nothing. Taking bets
    /// away can only make a page rarer.
    pub fn restart(&mut self, now: u32) {
        self.evidence(now);
        if let Some(place) = &mut self.settled {
            while place.minute < now {
                let mut next = *place;
                step(
                    &mut next,
                    &self.bets,
                    self.armed_for,
                    true,
                    Outcomes::default(),
                    0.0,
                );
                *place = next;
            }
            place.logs = [f64::NEG_INFINITY; BETS_MAX];
        }
        self.cached = None;
    }

    /// Weighs for good what lies too far back to change.
    fn settle(&mut self, now: u32) -> Place {
        let first = self.fed.keys().next().copied();
        let from = first.map_or(self.starts, |fed| fed.min(self.starts));
        let mut place = self.settled.unwrap_or(Place {
            minute: from.saturating_sub(1),
            logs: [f64::NEG_INFINITY; BETS_MAX],
            steps: 0,
            rearmed: 0,
        });
        let until = now.saturating_sub(RECENT_MINUTES);
        if place.minute < until {
            self.weigh_to(&mut place, until);
            let kept = if self.bets.rate.is_some() {
                RATE_MINUTES
            } else {
                0
            };
            self.fed = self.fed.split_off(&until.saturating_sub(kept));
            self.cached = self.cached.filter(|cached| cached.minute >= until);
        }
        // Before anything was fed, the start may still move to an earlier minute.
        if self.settled.is_some() || first.is_some() || now >= self.starts {
            self.settled = Some(place);
        }
        place
    }

    /// Goes on up to a minute, however far that is: the same as going minute by minute, without the
    /// minutes of which nothing stays. A popup may say that it began decades ago.
    fn weigh_to(&self, place: &mut Place, until: u32) {
        while place.minute < until {
            let next = place.minute.saturating_add(1);
            if next < self.starts {
                // Before the popup a minute without outcomes changes nothing.
                let fed = self.fed.range(next..).next().map(|(minute, _)| *minute);
                let then = fed.map_or(self.starts, |fed| fed.min(self.starts));
                place.minute = then.saturating_sub(1).min(until);
            } else if place.steps >= self.armed_for {
                // It is armed again now, and would be once more after as many minutes.
                let whole = (until - next) / self.armed_for;
                place.minute = place.minute.saturating_add(whole * self.armed_for);
                place.rearmed = place.rearmed.saturating_add(whole);
            }
            if place.minute < until {
                self.weigh(place);
            }
        }
    }

    /// Goes one minute on.
    fn weigh(&self, place: &mut Place) {
        let minute = place.minute.saturating_add(1);
        let (outcomes, good) = self.minute(minute);
        // Before the popup only minutes in which something happened use up what it is armed for.
        let counts = minute >= self.starts || outcomes != Outcomes::default();
        step(place, &self.bets, self.armed_for, counts, outcomes, good);
    }

    /// The outcomes of a minute, and how many good ones, or events expected, they are weighed with.
    fn minute(&self, minute: u32) -> (Outcomes, f64) {
        let outcomes = self.fed.get(&minute).copied().unwrap_or_default();
        let good = match self.bets.rate {
            None => outcomes.n.saturating_sub(outcomes.bad) as f64,
            Some(per_order) if minute >= self.starts || outcomes != Outcomes::default() => {
                let hour = minute.saturating_sub(RATE_MINUTES)..minute;
                let orders = self.fed.range(hour).map(|(_, fed)| fed.n);
                let orders = orders.fold(0_u64, u64::saturating_add) as f64;
                (per_order * orders / f64::from(RATE_MINUTES)).max(1.0 / f64::from(RATE_MINUTES))
            }
            Some(_) => 0.0,
        };
        (outcomes, good)
    }
}

fn step(place: &mut Place, bets: &Bets, armed_for: u32, counts: bool, fed: Outcomes, good: f64) {
    place.minute = place.minute.saturating_add(1);
    if !counts {
        return;
    }
    if place.steps >= armed_for {
        place.logs = [f64::NEG_INFINITY; BETS_MAX];
        place.steps = 0;
        place.rearmed = place.rearmed.saturating_add(1);
    }
    place.steps += 1;
    for (log, bet) in place.logs.iter_mut().zip(bets.all()) {
        *log = softplus(*log) + (fed.bad as f64 * bet.bad + good * bet.good);
    }
}
