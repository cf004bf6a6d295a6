//! What the harness found, as figures: false pages and times to detection, ours and theirs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use popwatch_core::slo::Slo;
use serde_json::{Value as Json, json};

use super::rules::{SCALED, WORKBOOK};
use super::{
    Dice, HEALTHY_PPM, INCIDENT_MS, Incident, Told, deadlines, first_page, popup, promised,
    refunds, rules,
};

/// Checkouts of small, usual and large popups.
const SIZES: [u64; 3] = [300, 1_500, 6_000];
/// Checkouts of the popups in which something happens: 8 a minute.
const USUAL: u64 = 1_500;
/// What `checkout_success` allows, millionths.
const EPSILON_PPM: u32 = 10_000;

/// False pages of popups of one size, per ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct False {
    /// Checkouts.
    pub size: u64,
    /// Popups.
    pub popups: u64,
    /// Of them paged by us with every outcome bad at exactly the objective's rate.
    pub ours: u64,
    /// By the workbook's rules, same popups.
    pub workbook: u64,
    /// By the scaled rules, same popups.
    pub scaled: u64,
    /// By the scaled rules where outcomes are as good as on a usual day.
    pub scaled_healthy: u64,
}

/// How fast an incident is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// What happens.
    pub what: &'static str,
    /// Popups.
    pub popups: u64,
    /// Median from its beginning to the page, ms; `None` when more than half were missed.
    pub ours_ms: Option<u64>,
    /// Popups in which we missed it.
    pub ours_missed: u64,
    /// The same by the workbook's rules; `None` where they do not apply.
    pub workbook_ms: Option<u64>,
    /// Popups in which they missed it.
    pub workbook_missed: Option<u64>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// By size.
    pub falses: Vec<False>,
    /// Popups in which any of all six promises paged, each exactly at its objective.
    pub split: (u64, u64),
    /// By incident.
    pub detections: Vec<Detection>,
}

/// Runs it: `popups` per size, a tenth per incident and for the whole split, at least 20 each.
#[must_use]
pub fn run(popups: u64) -> Report {
    let few = (popups / 10).max(20);
    Report {
        falses: SIZES.iter().map(|size| falses(*size, popups)).collect(),
        split: (few, count(few, split)),
        detections: vec![
            detection("total outage of 5 min", few, 1_000_000, 5),
            detection("30 % bad for 10 min", few, 300_000, 10),
            detection("5 % bad to the end", few, 50_000, 120),
            hang(few),
        ],
    }
}

/// How many seeds below `popups` say yes, on all cores.
fn count(popups: u64, yes: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(0));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= popups {
                        break;
                    }
                    found.fetch_add(u64::from(yes(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    found.into_inner()
}

fn falses(size: u64, popups: u64) -> False {
    let promised = promised();
    let of = |seed: u64, ppm| {
        let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(size));
        popup(&mut dice, size, ppm, Incident::None)
    };
    let theirs = |told: &[Told], by| rules::first_page(by, told, EPSILON_PPM.into(), 0).is_some();
    False {
        size,
        popups,
        ours: count(popups, |seed| {
            let told = of(seed, EPSILON_PPM);
            first_page(&promised, Slo::CheckoutSuccess, &told).is_some()
        }),
        workbook: count(popups, |seed| theirs(&of(seed, EPSILON_PPM), &WORKBOOK)),
        scaled: count(popups, |seed| theirs(&of(seed, EPSILON_PPM), &SCALED)),
        scaled_healthy: count(popups, |seed| theirs(&of(seed, HEALTHY_PPM), &SCALED)),
    }
}

/// Whether any of the six promises pages in a popup in which each is kept only just.
fn split(seed: u64) -> bool {
    let promised = promised();
    let mut dice = Dice::new(seed.wrapping_add(1 << 40));
    let epsilon = |slo| promised.promise(slo).epsilon_ppm();
    Slo::ALL.into_iter().any(|slo| {
        let told = match slo {
            Slo::CheckoutSuccess | Slo::PaymentSuccess => {
                popup(&mut dice, USUAL, epsilon(slo), Incident::None)
            }
            // Six a minute on each of four rigs.
            Slo::ProbeSuccess => popup(&mut dice, 4_320, epsilon(slo), Incident::None),
            Slo::TokenConflict => popup(&mut dice, USUAL / 5, epsilon(slo), Incident::None),
            Slo::CheckoutDeadline => deadlines(&mut dice, USUAL, epsilon(slo), None),
            Slo::RefundRate => refunds(&mut dice, USUAL, epsilon(slo)),
        };
        first_page(&promised, slo, &told).is_some()
    })
}

fn detection(what: &'static str, popups: u64, ppm: u32, minutes: u64) -> Detection {
    let promised = promised();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for seed in 0..popups {
        let mut dice = Dice::new(seed.wrapping_add(2 << 40));
        let incident = Incident::Bad { ppm, minutes };
        let told = popup(&mut dice, USUAL, HEALTHY_PPM, incident);
        let end_ms = INCIDENT_MS + minutes * 60_000;
        let within = |at: &u64| (INCIDENT_MS..end_ms).contains(at);
        ours.extend(first_page(&promised, Slo::CheckoutSuccess, &told).filter(within));
        let page = rules::first_page(&WORKBOOK, &told, EPSILON_PPM.into(), INCIDENT_MS);
        theirs.extend(page.filter(within));
    }
    Detection {
        what,
        popups,
        ours_ms: median(&mut ours, popups),
        ours_missed: popups - ours.len() as u64,
        workbook_ms: median(&mut theirs, popups),
        workbook_missed: Some(popups - theirs.len() as u64),
    }
}

/// From some moment on no checkout ends.
fn hang(popups: u64) -> Detection {
    let promised = promised();
    let mut ours = Vec::new();
    for seed in 0..popups {
        let mut dice = Dice::new(seed.wrapping_add(3 << 40));
        let from_ms = INCIDENT_MS + dice.below(60_000);
        let told = deadlines(&mut dice, USUAL, HEALTHY_PPM, Some(from_ms));
        let page = first_page(&promised, Slo::CheckoutDeadline, &told);
        ours.extend(
            page.and_then(|at| at.checked_sub(from_ms))
                .map(|ms| ms + INCIDENT_MS),
        );
    }
    Detection {
        what: "nothing ends any more (limit 60 s)",
        popups,
        ours_ms: median(&mut ours, popups),
        ours_missed: popups - ours.len() as u64,
        workbook_ms: None,
        workbook_missed: None,
    }
}

/// Median from the incident's beginning over all popups, those that missed it last.
fn median(pages: &mut [u64], popups: u64) -> Option<u64> {
    pages.sort_unstable();
    let place = usize::try_from(popups.saturating_sub(1) / 2).ok()?;
    pages.get(place).map(|at| at - INCIDENT_MS)
}

impl Report {
    /// For machines.
    #[must_use]
    pub fn json(&self) -> Json {
        let falses = self.falses.iter().map(|row| {
            json!({
                "size": row.size, "popups": row.popups, "ours": row.ours, "workbook": row.workbook,
                "scaled": row.scaled, "scaled_healthy": row.scaled_healthy,
            })
        });
        let detections = self.detections.iter().map(|row| {
            json!({
                "what": row.what, "popups": row.popups, "ours_ms": row.ours_ms,
                "ours_missed": row.ours_missed, "workbook_ms": row.workbook_ms,
                "workbook_missed": row.workbook_missed,
            })
        });
        json!({
            "falses": falses.collect::<Json>(),
            "split": {"popups": self.split.0, "paged": self.split.1},
            "detections": detections.collect::<Json>(),
        })
    }
}
