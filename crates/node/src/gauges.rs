//! What the journal's thread shows of itself to handlers, health and metrics.
//!
//! What always holds: nothing here is waited for; whoever reads sees the newest whole value.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use popwatch_core::event::system::PopupPolicy;
use popwatch_core::id::{Epoch, PopupId, Seq};
use popwatch_core::limits::{
    ADMISSION_QUEUE_BYTES_MAX, ADMISSION_QUEUE_EVENTS_MAX, WINDOW_AFTER_MS,
};
use popwatch_core::loss::Losses;
use popwatch_store::journal::Pressure;
use popwatch_wire::door::Standing;

/// Upper edges of the buckets of a commit's time, µs; the last one has none.
pub(crate) const SYNC_EDGES_US: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
];

/// The gauges of one journal.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    events: AtomicUsize,
    bytes: AtomicUsize,
    ticked_ns: AtomicU64,
    cannot_store: AtomicBool,
    losses: Mutex<Losses>,
    shown: Mutex<Shown>,
    windows: Mutex<Arc<Windows>>,
    sync: SyncTimes,
}

/// How each popup stands.
pub(crate) type Windows = BTreeMap<PopupId, Standing<'static>>;

/// How long commits took.
#[derive(Debug, Default)]
struct SyncTimes {
    buckets: [AtomicU64; SYNC_EDGES_US.len() + 1],
    sum_ns: AtomicU64,
}

/// What the journal's thread said last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown {
    /// The disk.
    pub(crate) pressure: Pressure,
    /// Bytes of all segments.
    pub(crate) bytes: u64,
    /// Segment files.
    pub(crate) segments: usize,
    /// The last acknowledged position: epoch, seq.
    pub(crate) head: (u32, u64),
    /// When that was, by the steady clock, ns.
    pub(crate) head_ns: u64,
}

/// A request's room in the queue; given back with the value.
#[derive(Debug)]
pub(crate) struct Place {
    gauges: Arc<Gauges>,
    events: usize,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauges.events.fetch_sub(self.events, Ordering::Relaxed);
        self.gauges.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Gauges {
    /// Room for a request in the queue; `None` when it is full. A request never waits for ever: an
    /// empty queue takes any.
    pub(crate) fn enter(self: &Arc<Self>, events: usize, bytes: usize) -> Option<Place> {
        let before = self.events.fetch_add(events, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let place = Place {
            gauges: Arc::clone(self),
            events,
            bytes,
        };
        let fits = before + events <= ADMISSION_QUEUE_EVENTS_MAX
            && bytes_before + bytes <= ADMISSION_QUEUE_BYTES_MAX;
        (before == 0 || fits).then_some(place)
    }

    /// Losses, for a moment: nobody holds them while waiting.
    pub(crate) fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().expect("no holder panics")
    }

    /// The thread is alive.
    pub(crate) fn tick(&self, now_ns: u64) {
        self.ticked_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When it was alive last, by the steady clock, ns.
    pub(crate) fn ticked_ns(&self) -> u64 {
        self.ticked_ns.load(Ordering::Relaxed)
    }

    /// The disk takes records, or does not.
    pub(crate) fn storing(&self, can: bool) {
        self.cannot_store.store(!can, Ordering::Relaxed);
    }

    /// Whether the last commit failed.
    pub(crate) fn cannot_store(&self) -> bool {
        self.cannot_store.load(Ordering::Relaxed)
    }

    /// A commit is about to be answered.
    pub(crate) fn committed(&self, epoch: Epoch, seq: Seq, now_ns: u64) {
        let mut shown = self.shown.lock().expect("no holder panics");
        shown.head = shown.head.max((epoch.0, seq.0));
        shown.head_ns = now_ns;
    }

    /// The disk was looked at.
    pub(crate) fn show(&self, pressure: Pressure, bytes: u64, segments: usize) {
        let mut shown = self.shown.lock().expect("no holder panics");
        (shown.pressure, shown.bytes, shown.segments) = (pressure, bytes, segments);
    }

    /// What was shown last.
    pub(crate) fn shown(&self) -> Shown {
        *self.shown.lock().expect("no holder panics")
    }

    /// A popup's window as it stands in the journal.
    pub(crate) fn window(&self, policy: &PopupPolicy) {
        if let Ok(popup) = PopupId::new(&policy.popup) {
            let mut windows = self.windows.lock().expect("no holder panics");
            let standing = Standing {
                until_ms: Some(policy.ends_ms.saturating_add(WINDOW_AFTER_MS)),
                policy_version: policy.version,
                plan: None,
                keys: None,
            };
            Arc::make_mut(&mut windows).insert(popup, standing);
        }
    }

    /// The ledger closed a popup: what is made after `wall_ms`, when that was first heard, is late.
    /// Answers whether this rig knows the popup.
    pub(crate) fn close(&self, popup: &str, wall_ms: i64) -> bool {
        let mut windows = self.windows.lock().expect("no holder panics");
        let Some(popup) = PopupId::new(popup).ok() else {
            return false;
        };
        let Some(standing) = Arc::make_mut(&mut windows).get_mut(&popup) else {
            return false;
        };
        standing.until_ms = standing.until_ms.map(|until| until.min(wall_ms));
        true
    }

    /// All windows.
    pub(crate) fn windows(&self) -> Arc<Windows> {
        Arc::clone(&self.windows.lock().expect("no holder panics"))
    }

    /// A commit took this long.
    pub(crate) fn synced(&self, ns: u64) {
        let bucket = SYNC_EDGES_US.partition_point(|edge| edge * 1_000 < ns);
        self.sync.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sync.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Commits per bucket and the sum of their times, ns.
    pub(crate) fn syncs(&self) -> ([u64; SYNC_EDGES_US.len() + 1], u64) {
        let mut counts = [0; SYNC_EDGES_US.len() + 1];
        for (count, bucket) in counts.iter_mut().zip(&self.sync.buckets) {
            *count = bucket.load(Ordering::Relaxed);
        }
        (counts, self.sync.sum_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_in_events_and_bytes_and_gives_room_back() {
        let gauges = Arc::new(Gauges::default());
        let first = gauges.enter(ADMISSION_QUEUE_EVENTS_MAX - 96, 10).unwrap();
        assert!(gauges.enter(97, 10).is_none());
        let second = gauges.enter(96, 10).unwrap();
        assert!(gauges.enter(1, 1).is_none());
        drop(second);
        assert!(gauges.enter(1, ADMISSION_QUEUE_BYTES_MAX).is_none());
        drop(first);
        assert!(gauges.enter(1, ADMISSION_QUEUE_BYTES_MAX + 1).is_some());
        assert!(gauges.enter(ADMISSION_QUEUE_EVENTS_MAX, 1).is_some());
    }

    #[test]
    fn a_commit_falls_into_the_bucket_that_holds_it() {
        let gauges = Gauges::default();
        for ns in [100_000, 100_001, 2_000_000_000] {
            gauges.synced(ns);
        }
        let (counts, sum_ns) = gauges.syncs();
        assert_eq!((counts[0], counts[1], counts[12]), (1, 1, 1));
        assert_eq!(sum_ns, 2_000_200_001);
    }
}
