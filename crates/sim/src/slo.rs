//! Popups without a till: seeded streams of outcomes, watched by the product's own guards and, beside
//! them, by the burn-rate rules that are usual elsewhere.
//!
//! A popup is three hours long, its checkouts fall anywhere in them, on one of four rigs. Outcomes are
//! bad by a coin of their own, so what is true is known: whether a page was false, and how long after
//! its incident a true one came. Guards look after every outcome.
//!
//! The rules beside: those of the SRE workbook (14.4 times the budget in an hour and in 5 minutes, or
//! 6 times in 6 hours and in 30 minutes, of a 30-day budget), and the same scaled to the popup, every
//! window shortened by 30 days over 3 hours.

mod report;
mod rules;
#[cfg(test)]
mod tests;

use popwatch_core::event::system::PopupPolicy;
use popwatch_core::slo::guard::{Guard, Look, Share};
use popwatch_core::slo::promises::Promised;
use popwatch_core::slo::{Budget, Outcomes, Slo, SloState};
use popwatch_core::time::{Minute, WallMs};

pub use report::{Detection, False, Report, run};

/// Length of a popup, minutes.
pub const MINUTES: u32 = 180;
/// Rigs of a popup.
pub const RIGS: usize = 4;
/// When incidents begin, ms after the start: after a healthy hour.
pub const INCIDENT_MS: u64 = 60 * 60_000;
/// The first minute of every popup.
const START: u32 = 29_000_000;
/// What a healthy checkout fails with, millionths.
pub const HEALTHY_PPM: u32 = 4_000;
/// The limit of a checkout, ms.
const LIMIT_MS: u64 = 60_000;

/// Numbers that a seed decides.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (splitmix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`, which is far below 2^32: the bias is not seen.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// Whether something of so many millionths happens.
    pub fn happens(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }
}

/// One outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// When, ms after the start.
    pub at_ms: u64,
    /// On which rig.
    pub rig: usize,
    /// What it counts.
    pub outcomes: Outcomes,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// Nothing.
    None,
    /// From [`INCIDENT_MS`] on so many millionths are bad, for so many minutes.
    Bad {
        /// Share of bad outcomes, millionths.
        ppm: u32,
        /// How long, minutes.
        minutes: u64,
    },
}

/// Checkouts of one popup, in the order they ended.
#[must_use]
pub fn popup(dice: &mut Dice, size: u64, healthy_ppm: u32, incident: Incident) -> Vec<Told> {
    let length = u64::from(MINUTES) * 60_000;
    let mut all: Vec<Told> = (0..size)
        .map(|_| {
            let at_ms = dice.below(length);
            let ppm = match incident {
                Incident::Bad { ppm, minutes }
                    if (INCIDENT_MS..INCIDENT_MS + minutes * 60_000).contains(&at_ms) =>
                {
                    ppm
                }
                Incident::Bad { .. } | Incident::None => healthy_ppm,
            };
            Told {
                at_ms,
                rig: usize::try_from(dice.below(RIGS as u64)).unwrap_or(0),
                outcomes: Outcomes {
                    n: 1,
                    bad: u64::from(dice.happens(ppm)),
                },
            }
        })
        .collect();
    all.sort_by_key(|told| told.at_ms);
    all
}

/// Deadlines of checkouts that start as in [`popup`]: each start minute of each rig is judged at once,
/// when its limit and 5 s are over. From `hang_ms` on nothing that starts comes to an end.
#[must_use]
pub fn deadlines(dice: &mut Dice, size: u64, late_ppm: u32, hang_ms: Option<u64>) -> Vec<Told> {
    let starts = popup(dice, size, late_ppm, Incident::None);
    let mut judged = vec![[Outcomes::default(); RIGS]; MINUTES as usize];
    for start in starts {
        let hangs = hang_ms.is_some_and(|from| start.at_ms >= from);
        let minute = usize::try_from(start.at_ms / 60_000).unwrap_or(0);
        let bad = u64::from(hangs).max(start.outcomes.bad);
        let held = &mut judged[minute][start.rig];
        *held = held.and(Outcomes { n: 1, bad });
    }
    let told = judged.iter().zip(1_u64..).flat_map(|(rigs, minutes)| {
        let at_ms = minutes * 60_000 + LIMIT_MS + 5_000;
        let rigs = rigs.iter().enumerate().filter(|(_, held)| held.n > 0);
        rigs.map(move |(rig, outcomes)| Told {
            at_ms,
            rig,
            outcomes: *outcomes,
        })
    });
    told.collect()
}

/// Orders as in [`popup`] and refunds at exactly the rate that is allowed, `per_order_ppm` of the
/// orders of the hour before.
#[must_use]
pub fn refunds(dice: &mut Dice, size: u64, per_order_ppm: u32) -> Vec<Told> {
    let orders = popup(dice, size, 0, Incident::None);
    let mut all = orders.clone();
    for minute in 0..u64::from(MINUTES) {
        let (from, to) = (minute.saturating_sub(60) * 60_000, minute * 60_000);
        let before = orders
            .iter()
            .filter(|told| (from..to).contains(&told.at_ms));
        let rate = before.count() as f64 * f64::from(per_order_ppm) / 1e6 / 60.0;
        for _ in 0..poisson(dice, rate) {
            all.push(Told {
                at_ms: to + dice.below(60_000),
                rig: usize::try_from(dice.below(RIGS as u64)).unwrap_or(0),
                outcomes: Outcomes { n: 0, bad: 1 },
            });
        }
    }
    all.sort_by_key(|told| told.at_ms);
    all
}

/// Knuth's product of uniforms: exact, and fast for the few events of a minute.
fn poisson(dice: &mut Dice, rate: f64) -> u32 {
    let floor = (-rate).exp();
    let (mut product, mut events) = (1.0, 0);
    loop {
        product *= (dice.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        if product <= floor {
            return events;
        }
        events += 1;
    }
}

/// The promises of a popup whose policy says nothing.
#[must_use]
pub fn promised() -> Promised {
    Promised::of(&PopupPolicy {
        starts_ms: Minute(START).start().0,
        ends_ms: Minute(START + MINUTES).start().0,
        ..PopupPolicy::default()
    })
}

/// When the guards page first, at `from_ms` or later, ms after the start. Pages raised before are let
/// stand: `None` then, for nobody is woken twice by one guard.
#[must_use]
pub fn first_page(promised: &Promised, slo: Slo, told: &[Told]) -> Option<u64> {
    let promise = promised.promise(slo);
    let mut whole = Guard::new(promised, promise, Share::Popup);
    let guard = || Guard::new(promised, promise, Share::Rig);
    let mut rigs: Vec<Guard> = (0..RIGS).map(|_| guard()).collect();
    let mut so_far = Outcomes::default();
    for told in told {
        let now_ms = Minute(START).start().0 + i64::try_from(told.at_ms).unwrap_or(0);
        let minute = Minute::of(WallMs(now_ms)).0;
        so_far = so_far.and(told.outcomes);
        // Refunds of the hour after the doors closed are history to a popup of three hours.
        let is_over = minute >= START + promised.minutes;
        let recent = Outcomes::default();
        let budget = Budget::at(promised, promise, minute, so_far, recent);
        let look = Look {
            now_ms,
            minute,
            is_worth_a_page: budget.is_some_and(|budget| budget.is_worth_a_page()),
            is_over,
        };
        for guard in [&mut whole, &mut rigs[told.rig]] {
            guard.feed(minute, told.outcomes);
            if guard.look(&look).0.state == SloState::Page {
                return Some(told.at_ms);
            }
        }
    }
    None
}
