//! What monitoring systems are told of popups: counters from the cells of each rig, gauges from the
//! view. A family is one entry of a table here; its samples are those of every popup and rig.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::cell::HistKind;
use popwatch_core::limits::EXPORT_SKUS_MAX;
use popwatch_core::region::PopupExports;
use popwatch_core::view::exports::{
    CHECKOUT_OUTCOMES, HistTotals, MoneyKey, PAYMENT_FAILURES, POLARITIES, REDEMPTION_OUTCOMES,
    RigTotals,
};
use popwatch_core::view::{MoneySums, PopupView};
use popwatch_wire::answer_v1::{SloRow, slo_row};
use popwatch_wire::exposition::{Exposition, Family, MetricKind, Native};

use crate::live::Live;

/// What sales are told apart by, beside popup and rig.
const EVIDENCE: [&str; 6] = ["unsaid", "line", "token", "payment", "drop", "none"];
/// Steps of the funnel.
const FUNNEL: [&str; 5] = ["chat", "viewed", "cart", "checkout", "paid"];
/// The row of all names beyond a bound; no method or creator may be taken for it.
const OTHER: &str = "_other";

type Labels<'a> = [(&'a str, &'a str); 2];

/// One counter of a rig: its name, what it counts, and its samples.
struct RigCounter {
    name: &'static str,
    help: &'static str,
    samples: fn(&mut Family<'_>, &Labels<'_>, &RigTotals),
}

const RIG_COUNTERS: &[RigCounter] = &[
    RigCounter {
        name: "popwatch_revenue_minor_units_total",
        help: "Money captured (gross) and refunded, by who reports it; till and provider report one sale.",
        samples: |family, labels, totals| {
            money(family, labels, totals, &["gross", "refund"], |sums| {
                [sums.gross, sums.refund]
            });
        },
    },
    RigCounter {
        name: "popwatch_conversions_total",
        help: "Orders first paid.",
        samples: |family, labels, totals| {
            money(family, labels, totals, &[""], |sums| [sums.conversions]);
        },
    },
    RigCounter {
        name: "popwatch_refunds_total",
        help: "Refunds.",
        samples: |family, labels, totals| {
            money(family, labels, totals, &[""], |sums| [sums.refunds]);
        },
    },
    RigCounter {
        name: "popwatch_checkouts_total",
        help: "Checkouts by what became of them.",
        samples: |family, labels, totals| {
            named(
                family,
                labels,
                "outcome",
                &CHECKOUT_OUTCOMES,
                &totals.checkouts,
            );
        },
    },
    RigCounter {
        name: "popwatch_payment_failures_total",
        help: "Payments that failed, by whether technology or the payer's bank refused.",
        samples: |family, labels, totals| {
            let counts = &totals.payment_failures;
            named(family, labels, "reason", &PAYMENT_FAILURES, counts);
        },
    },
    RigCounter {
        name: "popwatch_attributed_revenue_minor_units_total",
        help: "Money of sales by creator and how the creator is known.",
        samples: attributed,
    },
    RigCounter {
        name: "popwatch_tokens_issued_total",
        help: "Tokens issued.",
        samples: |family, labels, totals| {
            family.sample(labels, totals.issued);
        },
    },
    RigCounter {
        name: "popwatch_token_redemptions_total",
        help: "Redemptions by outcome.",
        samples: |family, labels, totals| {
            let counts = &totals.redemptions;
            named(family, labels, "outcome", &REDEMPTION_OUTCOMES, counts);
        },
    },
    RigCounter {
        name: "popwatch_fulfillments_total",
        help: "Orders by the step they reached.",
        samples: |family, labels, totals| {
            for (step, orders) in &totals.fulfilled {
                family.sample(&[&labels[..], &[("step", step)]].concat(), orders);
            }
        },
    },
    RigCounter {
        name: "popwatch_chat_messages_total",
        help: "Chat messages by polarity.",
        samples: |family, labels, totals| {
            named(family, labels, "polarity", &POLARITIES, &totals.chat);
        },
    },
];

/// A histogram of a rig: name, help, kinds with the value of their label `mode`.
type RigHistogram = (
    &'static str,
    &'static str,
    &'static [(HistKind, &'static str)],
);

const RIG_HISTOGRAMS: &[RigHistogram] = &[
    (
        "popwatch_checkout_duration_seconds",
        "From the start of a checkout to its completion.",
        &[
            (HistKind::CheckoutOnline, "online"),
            (HistKind::CheckoutOffline, "offline"),
        ],
    ),
    (
        "popwatch_payment_duration_seconds",
        "How long the provider took to answer.",
        &[(HistKind::Payment, "")],
    ),
    (
        "popwatch_fulfillment_duration_seconds",
        "From paid to handed over.",
        &[(HistKind::Fulfilment, "")],
    ),
];

/// One gauge of a popup: its name, what it says, and its samples.
struct PopupGauge {
    name: &'static str,
    help: &'static str,
    samples: fn(&mut Family<'_>, &PopupView, &PopupExports),
}

/// What only rises as long as nothing is refunded or corrected.
const POPUP_COUNTERS: &[PopupGauge] = &[PopupGauge {
    name: "popwatch_drop_units_total",
    help: "Units sold while a drop of their SKU was new.",
    samples: |family, view, of| {
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for drop in &view.signals.drops {
            if let Some(lift) = drop.lift.filter(|_| of.skus.contains(&drop.sku)) {
                *sums.entry(&drop.sku).or_default() += i128::from(lift.during);
            }
        }
        for (sku, units) in sums {
            family.sample(&[("popup", &of.popup), ("sku", sku)], units);
        }
    },
}];

const POPUP_GAUGES: &[PopupGauge] = &[
    PopupGauge {
        name: "popwatch_checkouts_in_flight",
        help: "Checkouts started in the last 30 minutes and not closed.",
        samples: |family, view, of| {
            family.sample(&[("popup", &of.popup)], view.checkout.open);
        },
    },
    PopupGauge {
        name: "popwatch_inventory_expected_items",
        help: "Units that should be there.",
        samples: |family, view, of| {
            stock(family, view, of, |row| row.expected);
        },
    },
    PopupGauge {
        name: "popwatch_inventory_counted_items",
        help: "Units of the last shelf count.",
        samples: |family, view, of| {
            stock(family, view, of, |row| Some(row.count?.counted.into()));
        },
    },
    PopupGauge {
        name: "popwatch_inventory_skew_items",
        help: "Units counted minus units expected then.",
        samples: |family, view, of| {
            stock(family, view, of, |row| Some(row.count?.skew));
        },
    },
    PopupGauge {
        name: "popwatch_refund_velocity_per_hour",
        help: "Refunds an hour at the rate of the last 15 minutes; absent without data.",
        samples: |family, view, of| {
            if let Some(rate) = view.refunds.per_hour {
                family.sample(&[("popup", &of.popup)], ten_thousandths(rate));
            }
        },
    },
    PopupGauge {
        name: "popwatch_fulfillment_backlog_orders",
        help: "Orders paid and neither handed over, shipped nor wholly refunded.",
        samples: |family, view, of| {
            family.sample(&[("popup", &of.popup)], view.fulfilment.backlog);
        },
    },
    PopupGauge {
        name: "popwatch_funnel_subjects",
        help: "Viewers who came at least to this step from the chat, in order, within 15 minutes.",
        samples: |family, view, of| {
            for (step, viewers) in FUNNEL.iter().zip(&view.signals.funnel.with_chat) {
                family.sample(&[("popup", &of.popup), ("step", step)], viewers.n);
            }
        },
    },
    PopupGauge {
        name: "popwatch_drop_lift_ratio",
        help: "How many times faster a drop sold than before it; absent while nothing was sold before.",
        samples: |family, view, of| {
            // The newest of each SKU: one series each.
            let mut seen = BTreeSet::new();
            for drop in view.signals.drops.iter().rev().take(EXPORT_SKUS_MAX) {
                if let Some(ratio) = drop.lift.and_then(|lift| lift.ratio)
                    && seen.insert(&drop.sku)
                {
                    let labels = [("popup", &of.popup[..]), ("sku", &drop.sku)];
                    family.sample(&labels, ten_thousandths(ratio));
                }
            }
        },
    },
    PopupGauge {
        name: "popwatch_slo_budget_remaining_ratio",
        help: "Share of a promise's budget for the whole popup that is left; below 0 it is broken.",
        samples: |family, view, of| {
            slos(family, view, of, |row| {
                let gone = i64::try_from(row.budget.as_ref()?.consumed_ppm).ok()?;
                Some(ten_thousandths((1_000_000 - gone) / 100))
            });
        },
    },
    PopupGauge {
        name: "popwatch_slo_survival_ratio",
        help: "Probability to finish inside the budget.",
        samples: |family, view, of| {
            slos(family, view, of, |row| {
                Some(millionths(row.budget.as_ref()?.survival_ppm.into()))
            });
        },
    },
    PopupGauge {
        name: "popwatch_slo_evidence",
        help: "Evidence against a promise, as the decimal logarithm.",
        samples: |family, view, of| {
            slos(family, view, of, |row| {
                Some(ten_thousandths(
                    row.signal.evidence_milli.saturating_mul(10),
                ))
            });
        },
    },
    PopupGauge {
        name: "popwatch_coverage_ratio",
        help: "Records held in cells of those known to exist; absent while none is known.",
        samples: |family, view, of| {
            if view.asof.known > 0 {
                let ppm = u128::from(view.asof.have) * 1_000_000 / u128::from(view.asof.known);
                family.sample(&[("popup", &of.popup)], millionths(ppm));
            }
        },
    },
    PopupGauge {
        name: "popwatch_coverage_records",
        help: "Records held in cells (have) and known to exist (known).",
        samples: |family, view, of| {
            for (kind, records) in [("have", view.asof.have), ("known", view.asof.known)] {
                family.sample(&[("popup", &of.popup), ("kind", kind)], records);
            }
        },
    },
    PopupGauge {
        name: "popwatch_silent_rigs",
        help: "Rigs unheard for 15 s.",
        samples: |family, view, of| {
            family.sample(&[("popup", &of.popup)], view.asof.silent.len());
        },
    },
];

/// Adds the families of all popups.
pub(super) fn render(text: &mut Exposition, exports: &[PopupExports], live: &Live) {
    let rigs = || {
        exports.iter().flat_map(|of| {
            let rigs = of.rigs.iter();
            rigs.map(move |(rig, totals)| ([("popup", &of.popup[..]), ("rig", rig)], totals))
        })
    };
    for counter in RIG_COUNTERS {
        let mut family = text.family(counter.name, MetricKind::Counter, counter.help);
        for (labels, totals) in rigs() {
            (counter.samples)(&mut family, &labels, totals);
        }
    }
    for (name, help, kinds) in RIG_HISTOGRAMS {
        let mut family = text.family(name, MetricKind::Histogram, help);
        for (labels, totals) in rigs() {
            for (kind, mode) in *kinds {
                let Some(durations) = totals.durations.get(&(*kind as i32)) else {
                    continue;
                };
                let mode = (!mode.is_empty()).then_some(("mode", *mode));
                let labels: Vec<_> = labels.into_iter().chain(mode).collect();
                family.native(&labels, native(durations));
            }
        }
    }
    let tables = [
        (MetricKind::Counter, POPUP_COUNTERS),
        (MetricKind::Gauge, POPUP_GAUGES),
    ];
    for (kind, table) in tables {
        for one in table {
            let mut family = text.family(one.name, kind, one.help);
            for of in exports {
                if let Some(shown) = live.popups.get(&of.popup) {
                    (one.samples)(&mut family, &shown.borrow().view, of);
                }
            }
        }
    }
}

fn money<const N: usize>(
    family: &mut Family<'_>,
    labels: &Labels<'_>,
    totals: &RigTotals,
    kinds: &[&'static str; N],
    of: fn(&MoneySums) -> [i128; N],
) {
    for (key, sums) in &totals.money {
        let apart = apart(key);
        for (kind, amount) in kinds.iter().zip(of(sums)) {
            let kind = (!kind.is_empty()).then_some(("kind", *kind));
            let labels: Vec<_> = labels.iter().copied().chain(apart).chain(kind).collect();
            family.sample(&labels, amount);
        }
    }
}

fn apart(key: &MoneyKey) -> [(&str, &str); 4] {
    [
        ("currency", key.currency.code()),
        ("origin", if key.by_provider { "provider" } else { "till" }),
        (
            "method",
            if key.method.is_empty() {
                OTHER
            } else {
                &key.method
            },
        ),
        ("mode", if key.offline { "offline" } else { "online" }),
    ]
}

fn attributed(family: &mut Family<'_>, labels: &Labels<'_>, totals: &RigTotals) {
    for ((creator, currency, evidence), sums) in &totals.creators {
        let creator = if creator.is_empty() { OTHER } else { creator };
        let known = usize::try_from(*evidence).ok();
        let known = known.and_then(|evidence| EVIDENCE.get(evidence));
        let evidence = known.copied().unwrap_or(OTHER);
        for (kind, amount) in [("gross", sums.gross), ("refund", sums.refund)] {
            let own = [
                ("creator", creator),
                ("currency", currency.code()),
                ("evidence", evidence),
                ("kind", kind),
            ];
            family.sample(&[&labels[..], &own].concat(), amount);
        }
    }
}

fn named<const N: usize>(
    family: &mut Family<'_>,
    labels: &Labels<'_>,
    label: &'static str,
    names: &[&'static str; N],
    counts: &[i128; N],
) {
    for (name, count) in names.iter().zip(counts) {
        family.sample(&[&labels[..], &[(label, *name)]].concat(), count);
    }
}

fn stock(
    family: &mut Family<'_>,
    view: &PopupView,
    of: &PopupExports,
    value: fn(&popwatch_core::view::StockRow) -> Option<i128>,
) {
    for row in view.stock.iter().filter(|row| of.skus.contains(&row.sku)) {
        if let Some(units) = value(row) {
            family.sample(&[("popup", &of.popup), ("sku", &row.sku)], units);
        }
    }
}

fn slos(
    family: &mut Family<'_>,
    view: &PopupView,
    of: &PopupExports,
    value: fn(&SloRow) -> Option<String>,
) {
    for row in view.slos.iter().map(slo_row) {
        if let Some(number) = value(&row) {
            family.sample(&[("popup", &of.popup), ("slo", row.slo)], number);
        }
    }
}

fn native(totals: &HistTotals) -> Native {
    let whole = |number: i128| u64::try_from(number).unwrap_or(0);
    let buckets = totals.buckets.iter();
    Native {
        count: whole(totals.count),
        sum_us: whole(totals.sum_us),
        zero: whole(totals.zero),
        over: whole(totals.over),
        buckets: buckets
            .map(|(index, values)| (*index, whole(*values)))
            .collect(),
    }
}

/// Ten-thousandths as a decimal.
fn ten_thousandths(number: i64) -> String {
    let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    format!("{sign}{}.{:04}", size / 10_000, size % 10_000)
}

/// Parts per million as a decimal.
fn millionths(ppm: u128) -> String {
    format!("{}.{:06}", ppm / 1_000_000, ppm % 1_000_000)
}
