//! Our own metrics: names in one place, labels from closed sets, never an event's text.

mod popups;
mod redaction;
pub(crate) mod retention;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use popwatch_core::code::Code;
use popwatch_core::event::Class;
use popwatch_core::host::HostSample;
use popwatch_store::journal::Pressure;
use popwatch_wire::answer_v1::EdgeStatus;
use popwatch_wire::exposition::{Exposition, MetricKind};
use tokio::sync::watch;

use crate::ambient::Ambient;
use crate::driver::LiveReader;
use crate::gauges::{Gauges, SYNC_EDGES_US};
use crate::http::{Readers, RegionLane, SpanMetrics, WebhookCounts};
use crate::keyring::Keyring;
use crate::live::Live;
use crate::probes::Look;
use crate::region::RegionReport;
use crate::store_thread::Fate;
use redaction::RedactionMetrics;

const VERDICTS: [&str; 6] = [
    "accepted",
    "duplicate",
    "conflict",
    "too_large",
    "popups_full",
    "shed",
];

/// Counters of one edge's admission.
#[derive(Debug, Default)]
pub(crate) struct EdgeMetrics {
    fates: [[AtomicU64; 5]; 6],
    rejected: Mutex<BTreeMap<Code, u64>>,
    client_loss_ignored: AtomicU64,
    times_replaced: AtomicU64,
    /// Spans that came by OTLP.
    pub(crate) spans: SpanMetrics,
    /// What redaction did.
    pub(crate) redaction: RedactionMetrics,
}

impl EdgeMetrics {
    /// An event came to this fate.
    pub(crate) fn admitted(&self, fate: Fate, class: Class) {
        let verdict = match fate {
            Fate::Accepted(..) => 0,
            Fate::Duplicate(..) => 1,
            Fate::Conflict(..) => 2,
            Fate::TooLarge => 3,
            Fate::PopupsFull => 4,
            Fate::Shed(_) => 5,
        };
        self.fates[verdict][usize::from(class.byte())].fetch_add(1, Ordering::Relaxed);
    }

    /// An event was refused at the door.
    pub(crate) fn rejected(&self, code: Code) {
        let mut rejected = self.rejected.lock().expect("no holder panics");
        *rejected.entry(code).or_default() += 1;
    }

    /// A client told its losses in a form that nobody knows.
    pub(crate) fn client_loss_ignored(&self) {
        self.client_loss_ignored.fetch_add(1, Ordering::Relaxed);
    }

    /// So many events so far stated a time out of reason (PW0372). Answers how many it was before.
    pub(crate) fn times_replaced(&self, total: u64) -> u64 {
        self.times_replaced.swap(total, Ordering::Relaxed)
    }

    fn render(
        &self,
        status: &EdgeStatus,
        gauges: &Gauges,
        (host, wall_ms): (&HostSample, i64),
        (report, live): (&RegionReport, &Live),
        readers: &Readers,
    ) -> Exposition {
        let mut text = Exposition::new();
        self.render_admission(&mut text, &status.rig);
        self.spans.render(&mut text, &status.rig);
        self.redaction.render(&mut text, &status.rig);
        render_store(&mut text, &status.rig, gauges);
        render_journal(&mut text, status);
        render_lag_and_clock(&mut text, status, wall_ms);
        render_peers(&mut text, status);
        render_host(&mut text, &status.rig, host);
        popups::render(&mut text, &report.exports, live);
        render_readers(&mut text, readers);
        text
    }

    fn render_admission(&self, text: &mut Exposition, rig: &str) {
        let mut family = text.family(
            "popwatch_admission_total",
            MetricKind::Counter,
            "Events that reached the journal's writer, by verdict and class.",
        );
        for (verdict, classes) in VERDICTS.iter().zip(&self.fates) {
            for (class, count) in Class::ALL.iter().zip(classes) {
                let labels = [("rig", rig), ("verdict", verdict), ("class", class.name())];
                family.sample(&labels, count.load(Ordering::Relaxed));
            }
        }
        let mut family = text.family(
            "popwatch_rejected_total",
            MetricKind::Counter,
            "Events refused at the door, by error code.",
        );
        for (code, count) in self.rejected.lock().expect("no holder panics").iter() {
            family.sample(&[("rig", rig), ("code", &code.to_string())], count);
        }
        text.family(
            "popwatch_times_replaced_total",
            MetricKind::Counter,
            "Events whose own time was out of reason; the time they came in counts.",
        )
        .sample(&[("rig", rig)], self.times_replaced.load(Ordering::Relaxed));
        text.family(
            "popwatch_client_loss_ignored_total",
            MetricKind::Counter,
            "Headers Popwatch-Client-Loss that could not be read.",
        )
        .sample(
            &[("rig", rig)],
            self.client_loss_ignored.load(Ordering::Relaxed),
        );
    }
}

/// The disk, the commits and what was refused.
fn render_store(text: &mut Exposition, rig: &str, gauges: &Gauges) {
    let shown = gauges.shown();
    let Pressure {
        level,
        free_bytes,
        budget_bytes,
        used_bytes,
        reserve_bytes,
    } = shown.pressure;
    for (name, help, value) in [
        (
            "popwatch_journal_bytes",
            "Bytes of all segments.",
            shown.bytes,
        ),
        (
            "popwatch_journal_segments",
            "Segment files.",
            u64::try_from(shown.segments).unwrap_or(u64::MAX),
        ),
        (
            "popwatch_disk_level",
            "How full the disk is: 0 there is room, 1 low, 2 tight, 3 reserve, 4 nothing left.",
            level.into(),
        ),
        (
            "popwatch_disk_free_bytes",
            "Free on the file system.",
            free_bytes,
        ),
        (
            "popwatch_disk_budget_bytes",
            "What popwatch may take.",
            budget_bytes,
        ),
        (
            "popwatch_disk_used_bytes",
            "What popwatch takes.",
            used_bytes,
        ),
        (
            "popwatch_disk_reserve_bytes",
            "Allocated ahead for a full disk.",
            reserve_bytes,
        ),
    ] {
        text.family(name, MetricKind::Gauge, help)
            .sample(&[("rig", rig)], value);
    }
    let (counts, sum_ns) = gauges.syncs();
    let edges = SYNC_EDGES_US.iter().map(|edge| decimal(*edge, 6));
    let edges = edges.chain([String::from("+Inf")]);
    let buckets: Vec<(String, u64)> = edges.zip(counts).collect();
    text.histogram(
        "popwatch_journal_sync_seconds",
        "Time of a commit: its write and its sync.",
        &[("rig", rig)],
        &buckets,
        decimal(sum_ns, 9),
    );
    render_losses(text, rig, gauges);
}

fn render_losses(text: &mut Exposition, rig: &str, gauges: &Gauges) {
    let mut family = text.family(
        "popwatch_losses_total",
        MetricKind::Counter,
        "Events refused on purpose, by class and cause.",
    );
    for (class, cause, count) in gauges.losses().totals() {
        let labels = [
            ("rig", rig),
            ("class", class.name()),
            ("cause", cause.name()),
        ];
        family.sample(&labels, count);
    }
}

/// `value` × 10^-`digits` as a decimal text.
fn decimal(value: u64, digits: u32) -> String {
    let unit = 10u64.pow(digits);
    let width = usize::try_from(digits).unwrap_or(0);
    let text = format!("{}.{:0width$}", value / unit, value % unit);
    let text = text.trim_end_matches('0');
    match text.strip_suffix('.') {
        Some(whole) => whole.to_owned(),
        None => text.to_owned(),
    }
}

fn render_journal(text: &mut Exposition, status: &EdgeStatus) {
    let rig = status.rig.as_str();
    let replicated = status.replicated.seq;
    for (name, help, value) in [
        (
            "popwatch_journal_epoch",
            "Life of the journal.",
            status.epoch.into(),
        ),
        (
            "popwatch_journal_durable_seq",
            "Head of the journal.",
            status.durable_seq,
        ),
        (
            "popwatch_replicated_seq",
            "Records of this epoch at the ledger.",
            replicated,
        ),
        (
            "popwatch_unreplicated_events",
            "Records not at the ledger yet.",
            status.unsent.records,
        ),
        (
            "popwatch_gap_records",
            "Records lost to damage.",
            status.gap_records,
        ),
    ] {
        text.family(name, MetricKind::Gauge, help)
            .sample(&[("rig", rig)], value);
    }
    let mut family = text.family(
        "popwatch_unreplicated_revenue_minor_units",
        MetricKind::Gauge,
        "Captured minus refunded that the ledger does not hold yet.",
    );
    for amount in &status.unsent.money {
        family.sample(
            &[("rig", rig), ("currency", &amount.currency)],
            amount.minor,
        );
    }
}

/// How old the oldest unsent record is, what damage cost, how far the clock can be believed.
fn render_lag_and_clock(text: &mut Exposition, status: &EdgeStatus, wall_ms: i64) {
    let rig = status.rig.as_str();
    let oldest = status.unsent.oldest_ms.unwrap_or(wall_ms);
    text.family(
        "popwatch_replication_lag_seconds",
        MetricKind::Gauge,
        "Age of the oldest record that the ledger does not hold; 0 when it holds all.",
    )
    .sample(
        &[("rig", rig)],
        seconds_of(wall_ms.saturating_sub(oldest).max(0)),
    );
    let mut family = text.family(
        "popwatch_gaps_total",
        MetricKind::Counter,
        "Ranges of records lost to damage, by cause.",
    );
    for (cause, count) in &status.gaps_by_cause {
        family.sample(&[("rig", rig), ("cause", cause)], count);
    }
    let clock = status.clock.unwrap_or_default();
    for (name, help, ms) in [
        (
            "popwatch_clock_offset_seconds",
            "The rig's wall clock minus true time.",
            clock.offset_ms,
        ),
        (
            "popwatch_clock_uncertainty_seconds",
            "True time lies within this of the corrected clock.",
            clock.u_ms.map(i64::from),
        ),
    ] {
        if let Some(ms) = ms {
            text.family(name, MetricKind::Gauge, help)
                .sample(&[("rig", rig)], seconds_of(ms));
        }
    }
}

/// Milliseconds as seconds in decimals.
fn seconds_of(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", decimal(ms.unsigned_abs(), 3))
}

fn render_peers(text: &mut Exposition, status: &EdgeStatus) {
    let rig = status.rig.as_str();
    let help = "1 for each state the rig is in.";
    let mut family = text.family("popwatch_rig_state", MetricKind::Gauge, help);
    for state in &status.states {
        family.sample(&[("rig", rig), ("state", state)], 1);
    }
    let help = "1 while the peer answers.";
    let mut family = text.family("popwatch_peer_up", MetricKind::Gauge, help);
    for peer in &status.peers {
        let labels = [
            ("rig", rig),
            ("kind", peer.kind),
            ("peer", peer.name.as_str()),
        ];
        family.sample(&labels, u8::from(peer.down_since_ms.is_none()));
    }
}

/// What the probes found; what they did not find has no sample.
fn render_host(text: &mut Exposition, rig: &str, host: &HostSample) {
    let decimal = |number: i64, scale: i64| {
        let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
        let scale = scale.unsigned_abs();
        let digits = scale.ilog10() as usize;
        format!("{sign}{}.{:0digits$}", size / scale, size % scale)
    };
    // Prometheus asks for base units.
    let seconds = |minutes: u32| (u64::from(minutes) * 60).to_string();
    for (name, help, value) in [
        (
            "popwatch_battery_ratio",
            "Charge of the battery or UPS, 0 to 1.",
            host.battery.map(|charge| decimal(charge.into(), 100_000)),
        ),
        (
            "popwatch_on_battery",
            "1 while mains is gone.",
            host.on_battery.map(|gone| u8::from(gone).to_string()),
        ),
        (
            "popwatch_battery_left_seconds",
            "How long the battery lasts at the present draw.",
            host.minutes.map(seconds),
        ),
        (
            "popwatch_under_voltage",
            "1 while the power supply is too weak.",
            host.under_voltage.map(|weak| u8::from(weak).to_string()),
        ),
        (
            "popwatch_temperature_celsius",
            "The hottest sensor that counts.",
            host.temperature.map(|heat| decimal(heat.into(), 1_000)),
        ),
        (
            "popwatch_disk_left_seconds",
            "Until the disk is full at the rate of the last five minutes.",
            host.disk_minutes.map(seconds),
        ),
    ] {
        if let Some(value) = value {
            text.family(name, MetricKind::Gauge, help)
                .sample(&[("rig", rig)], value);
        }
    }
}

/// The live streams.
fn render_readers(text: &mut Exposition, readers: &Readers) {
    text.family(
        "popwatch_live_readers",
        MetricKind::Gauge,
        "Open live streams.",
    )
    .sample(&[], readers.open());
    text.family(
        "popwatch_live_readers_stalled_total",
        MetricKind::Counter,
        "Live streams closed because their reader did not read.",
    )
    .sample(&[], readers.stalled());
}

/// What an edge's exposition is made of.
#[derive(Debug)]
pub(crate) struct EdgeSources {
    /// Admission.
    pub(crate) counters: Arc<EdgeMetrics>,
    /// The journal's thread.
    pub(crate) gauges: Arc<Gauges>,
    /// The status.
    pub(crate) status: watch::Receiver<Arc<EdgeStatus>>,
    /// What the probes found.
    pub(crate) host: watch::Receiver<Look>,
    /// The machine behind the page.
    pub(crate) page: RegionLane,
    /// What the page shows.
    pub(crate) live: LiveReader,
    /// Who reads it.
    pub(crate) readers: Arc<Readers>,
    /// Messages of providers.
    pub(crate) webhooks: Arc<WebhookCounts>,
    /// The keys of popups.
    pub(crate) keyring: Keyring,
    /// Clocks.
    pub(crate) ambient: Ambient,
}

impl EdgeSources {
    /// The edge's exposition.
    pub(crate) async fn tell(self: Arc<Self>) -> Exposition {
        let report = self.page.report().await;
        let live = Arc::clone(&self.live.borrow());
        let host = (&self.host.borrow().sample, self.ambient.wall_ms());
        let status = Arc::clone(&self.status.borrow());
        let page = (&report, &*live);
        let mut text = self
            .counters
            .render(&status, &self.gauges, host, page, &self.readers);
        text.extend(self.webhooks.render());
        text.extend(retention::render(&self.keyring));
        text
    }
}

/// What a region's exposition is made of.
#[derive(Debug)]
pub(crate) struct RegionSources {
    /// The machine.
    pub(crate) lane: RegionLane,
    /// What it shows.
    pub(crate) live: LiveReader,
    /// Who reads it.
    pub(crate) readers: Arc<Readers>,
}

impl RegionSources {
    /// The region's exposition.
    pub(crate) async fn tell(self: Arc<Self>) -> Exposition {
        let report = self.lane.report().await;
        let live = Arc::clone(&self.live.borrow());
        render_region(&report, &live, &self.readers)
    }
}

/// What a region tells of itself and its popups.
fn render_region(report: &RegionReport, live: &Live, readers: &Readers) -> Exposition {
    let mut text = Exposition::new();
    popups::render(&mut text, &report.exports, live);
    let counters = &report.counters;
    let mut family = text.family(
        "popwatch_region_cells_total",
        MetricKind::Counter,
        "Cells that came, by what became of them.",
    );
    for (outcome, count) in [
        ("taken", counters.cells_taken),
        ("stale", counters.cells_stale),
        ("refused", counters.cells_refused),
        ("forked", counters.cells_forked),
        ("void", counters.cells_void),
        ("past", counters.cells_past),
    ] {
        family.sample(&[("outcome", outcome)], count);
    }
    text.family(
        "popwatch_popups_let_go_total",
        MetricKind::Counter,
        "Popups that were over and made room for others before their time.",
    )
    .sample(&[], counters.popups_let_go);
    text.family(
        "popwatch_views_repaired_total",
        MetricKind::Counter,
        "Views that differed from their recomputation and were replaced.",
    )
    .sample(&[], counters.views_repaired);
    let mut held = text.family(
        "popwatch_region_held",
        MetricKind::Gauge,
        "What the region holds of what is bounded, the fullest popup speaking for all.",
    );
    for (what, value, _) in &report.gauges {
        held.sample(&[("what", what)], value);
    }
    let mut bound = text.family(
        "popwatch_region_bound",
        MetricKind::Gauge,
        "The bounds of what the region holds.",
    );
    for (what, _, most) in &report.gauges {
        bound.sample(&[("what", what)], most);
    }
    render_readers(&mut text, readers);
    text
}

/// Counters of one ledger.
#[derive(Debug, Default)]
pub(crate) struct LedgerMetrics {
    batches: AtomicU64,
    items: AtomicU64,
    refused: AtomicU64,
}

impl LedgerMetrics {
    /// A batch was committed.
    pub(crate) fn accepted(&self, items: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
    }

    /// A batch was refused.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The ledger's exposition.
    #[must_use]
    pub(crate) fn render(&self) -> Exposition {
        let mut text = Exposition::new();
        for (name, help, count) in [
            (
                "popwatch_ledger_batches_total",
                "Record batches committed.",
                &self.batches,
            ),
            (
                "popwatch_ledger_items_total",
                "Items of committed batches.",
                &self.items,
            ),
            (
                "popwatch_ledger_refused_total",
                "Record batches refused.",
                &self.refused,
            ),
        ] {
            text.family(name, MetricKind::Counter, help)
                .sample(&[], count.load(Ordering::Relaxed));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(100, 6), "0.0001");
        assert_eq!(decimal(1_000_000, 6), "1");
        assert_eq!(decimal(0, 9), "0");
        assert_eq!(decimal(2_000_200_001, 9), "2.000200001");
    }

    #[test]
    fn what_was_not_measured_has_no_sample_and_fractions_are_exact() {
        let shown = |host: &HostSample| {
            let mut text = Exposition::new();
            render_host(&mut text, "till-1", host);
            let text = text.finish();
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            samples.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(shown(&HostSample::default()), [""; 0]);
        let host = HostSample {
            battery: Some(7_050),
            on_battery: Some(false),
            temperature: Some(-5_025),
            ..HostSample::default()
        };
        let expected = [
            "popwatch_battery_ratio{rig=\"till-1\"} 0.07050",
            "popwatch_on_battery{rig=\"till-1\"} 0",
            "popwatch_temperature_celsius{rig=\"till-1\"} -5.025",
        ];
        assert_eq!(shown(&host), expected);
    }
}
