//! A region that feeds another one: a hub on site, or one of a ring.
//!
//! There is no queue here either. What goes up is what the other region's cuts lack of our own:
//! cells as they came, then the cuts they complete; beacons newer than those told. News alone
//! travels, so regions may feed each other in a ring: what comes back is no news and ends there. A
//! region that forgot answers with another id and is told everything again.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use crate::id::{RegionId, RigId};
use crate::lane::retry::Retry;
use crate::lane::{CellAck, CellBatch, Cut, PROTOCOL, PeerFault};
use crate::limits::{BATCH_BYTES_MAX, BATCH_BYTES_MIN, BATCH_CELLS_MAX, BEACON_MS, CELLS_DELAY_MS};
use crate::region::{Life, Region};
use crate::time::{MonoMs, Now};

/// Bytes of cells in one batch when the other region has no wish.
const CELLS_BYTES_MAX: usize = BATCH_BYTES_MAX / 2;

/// Cells on their way, over one or more batches, and the cuts that the last of them completes.
#[derive(Debug, Clone, Default)]
struct SendingSet {
    todo: VecDeque<(Life, u32)>,
    cuts: VecDeque<(Life, u64, i64)>,
}

/// How far the other region holds a life: (to_seq, clear_ms).
type Held = (u64, i64);

/// The sending end of a region.
#[derive(Debug, Clone)]
pub struct Relay {
    name: RigId,
    upstream: Option<RegionId>,
    have: BTreeMap<Life, Held>,
    /// Beacons told, by (popup, rig): (epoch, number).
    told: BTreeMap<(String, String), (u32, u64)>,
    greeted: bool,
    waiting: bool,
    set: Option<SendingSet>,
    due: MonoMs,
    spoke: MonoMs,
    bytes_max: usize,
    retry: Retry,
}

impl Relay {
    /// A relay that has not spoken yet; `name` says who sends.
    #[must_use]
    pub fn new(name: RigId) -> Self {
        let retry = Retry::new(&name);
        Self {
            name,
            upstream: None,
            have: BTreeMap::new(),
            told: BTreeMap::new(),
            greeted: false,
            waiting: false,
            set: None,
            due: MonoMs(0),
            spoke: MonoMs(0),
            bytes_max: CELLS_BYTES_MAX,
            retry,
        }
    }

    /// The next batch; `None` when there is no news or an answer is awaited.
    pub fn poll(&mut self, region: &Region, now: Now) -> Option<CellBatch> {
        if self.waiting || !self.retry.is_due(now.mono) || now.mono < self.due {
            return None;
        }
        self.due = now.mono.after(CELLS_DELAY_MS);
        let mut batch = CellBatch {
            protocol: PROTOCOL,
            sender: String::from(&self.name),
            ..CellBatch::default()
        };
        if self.greeted {
            self.fill(&mut batch, region);
        } else {
            batch.cuts = region
                .stands()
                .iter()
                .map(|stand| stand.life.cut((0, 0), 0))
                .collect();
        }
        let news = !batch.cells.is_empty() || !batch.cuts.is_empty() || !batch.beacons.is_empty();
        // Without news it is asked now and then whether it still remembers.
        if !news && self.greeted && now.mono.since(self.spoke) < BEACON_MS {
            return None;
        }
        batch.popups = region.policies().cloned().collect();
        batch.voids = region.voids();
        self.waiting = true;
        self.spoke = now.mono;
        Some(batch)
    }

    /// When [`Self::poll`] may have something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        (!self.waiting).then(|| self.due.max(self.retry.due_at()))
    }

    /// The other region answered.
    pub fn acked(&mut self, ack: &CellAck, now: MonoMs) {
        self.waiting = false;
        self.greeted = true;
        self.retry.worked(now, u64::from(ack.delay_ms));
        self.bytes_max = match usize::try_from(ack.max_bytes).unwrap_or(0) {
            0 => self.bytes_max.saturating_mul(2).min(CELLS_BYTES_MAX),
            wish => wish.clamp(BATCH_BYTES_MIN, CELLS_BYTES_MAX),
        };
        let upstream = RegionId::from_slice(&ack.region_id);
        if upstream != self.upstream {
            self.upstream = upstream;
            self.have.clear();
            self.told.clear();
            self.set = None;
        }
        for cut in &ack.have {
            if let Some(life) = Life::of(&cut.popup, &cut.rig, cut.epoch, &cut.epoch_id) {
                self.have.insert(life, (cut.to_seq, cut.clear_ms));
            }
        }
        if !ack.refused.is_empty() {
            // It would refuse the same again; news may change that.
            self.set = None;
            self.due = now.after(BEACON_MS);
        }
    }

    /// The exchange failed; an unfinished set starts again.
    pub fn failed(&mut self, fault: PeerFault, now: MonoMs) {
        self.waiting = false;
        self.set = None;
        self.told.clear();
        match fault {
            PeerFault::Busy(delay_ms) => self.retry.told_to_wait(now, delay_ms),
            PeerFault::TooLarge => {
                self.bytes_max = (self.bytes_max / 2).max(BATCH_BYTES_MIN);
                self.retry.failed(now);
            }
            PeerFault::Unreachable
            | PeerFault::NotAdmitted
            | PeerFault::Forked(_)
            | PeerFault::Refused
            | PeerFault::Nonsense => self.retry.failed(now),
        }
    }

    /// Since when the other region is out of reach, `None` while it answers.
    #[must_use]
    pub fn down_since(&self) -> Option<MonoMs> {
        self.retry.down_since()
    }

    fn fill(&mut self, batch: &mut CellBatch, region: &Region) {
        let mut set = match self.set.take() {
            Some(set) => set,
            None => self.next_set(region),
        };
        let mut bytes = 0;
        while batch.cells.len() < BATCH_CELLS_MAX && bytes < self.bytes_max {
            let Some((life, minute)) = set.todo.pop_front() else {
                break;
            };
            if let Some(cell) = region.cell(&life, minute) {
                bytes += cell.len();
                batch.cells.push(cell.to_vec());
            }
        }
        let complete = set.todo.is_empty();
        let cut = |(life, to_seq, clear_ms): &(Life, u64, i64)| -> Cut {
            let (from, _) = self.have.get(life).copied().unwrap_or_default();
            let to = if complete { *to_seq } else { from };
            life.cut((from, to), if complete { *clear_ms } else { 0 })
        };
        batch.cuts = set.cuts.iter().map(cut).collect();
        if !complete {
            self.set = Some(set);
        }
        for beacon in region.beacons() {
            let key = (beacon.popup.clone(), beacon.rig.clone());
            let newest = (beacon.epoch, beacon.number);
            if self.told.insert(key, newest) != Some(newest) {
                batch.beacons.push(beacon.clone());
            }
        }
    }

    /// What the other region's cuts lack of ours.
    fn next_set(&self, region: &Region) -> SendingSet {
        let mut set = SendingSet::default();
        for stand in region.stands() {
            let (have, clear) = self.have.get(&stand.life).copied().unwrap_or_default();
            if stand.to_seq < have || (stand.to_seq, stand.clear_ms.max(clear)) == (have, clear) {
                continue;
            }
            if stand.to_seq > have {
                let cells = region.cells_above(&stand.life, have);
                let minutes = cells.iter().map(|(minute, ..)| *minute);
                set.todo
                    .extend(minutes.map(|minute| (stand.life.clone(), minute)));
            }
            set.cuts
                .push_back((stand.life, stand.to_seq, stand.clear_ms));
        }
        // The newest minutes first: they are looked at.
        let newest_first = |(_, one): &(Life, u32), (_, other): &(Life, u32)| other.cmp(one);
        set.todo.make_contiguous().sort_by(newest_first);
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::lane::Beacon;
    use crate::time::WallMs;
    use alloc::vec;

    fn at(ms: u64) -> Now {
        Now {
            wall: WallMs(1_700_000_000_000 + i64::try_from(ms).unwrap()),
            mono: MonoMs(ms),
        }
    }

    fn region(id: u8) -> Region {
        Region::new(RegionId([id; 16]))
    }

    fn relay(name: &str) -> Relay {
        Relay::new(RigId::new(name).unwrap())
    }

    /// One rig's batch: a cell per minute with rising versions, up to the cut.
    fn batch(rig: &str, from: u64, to: u64) -> CellBatch {
        let cells = (from + 1..=to).map(|version| {
            let cell = Cell {
                popup: String::from("stall"),
                rig: String::from(rig),
                epoch: 1,
                epoch_id: vec![7; 16],
                minute: 28_333_333 + u32::try_from(version).unwrap(),
                version,
                ..Cell::default()
            };
            cell.encode_canonical()
        });
        let life = Life::of("stall", rig, 1, &[7; 16]).unwrap();
        CellBatch {
            protocol: PROTOCOL,
            cells: cells.collect(),
            cuts: vec![life.cut((from, to), i64::try_from(to).unwrap() + 1)],
            beacons: vec![Beacon {
                popup: String::from("stall"),
                rig: String::from(rig),
                epoch: 1,
                number: to,
                durable_seq: to,
                ..Beacon::default()
            }],
            ..CellBatch::default()
        }
    }

    /// Lets a relay speak until it has nothing to say; the number of batches with cells or cuts
    /// that move.
    fn drain(relay: &mut Relay, from: &Region, to: &mut Region, clock: &mut u64) -> usize {
        let mut moved = 0;
        for _ in 0..50 {
            *clock += CELLS_DELAY_MS;
            let Some(batch) = relay.poll(from, at(*clock)) else {
                return moved;
            };
            moved += usize::from(!batch.cells.is_empty());
            let ack = to.accept(&batch, at(*clock));
            relay.acked(&ack, at(*clock).mono);
        }
        panic!("it never ends");
    }

    #[test]
    fn a_region_above_ends_with_the_same_cells_and_cuts() {
        let (mut hub, mut above, mut clock) = (region(1), region(2), 0);
        for from in [0, 1_000, 2_000] {
            hub.accept(&batch("till-1", from, from + 1_000), at(0));
        }
        hub.accept(&batch("till-2", 0, 5), at(0));
        let mut up = relay("hub");
        assert!(
            drain(&mut up, &hub, &mut above, &mut clock) > 1,
            "several batches"
        );
        assert_eq!(hub.digests("stall"), above.digests("stall"));
        assert_eq!(hub.stands(), above.stands());
        let (here, there) = (hub.view("stall", at(clock)), above.view("stall", at(clock)));
        assert_eq!(here.unwrap().asof.known, there.unwrap().asof.known);
        // Only news travels.
        assert_eq!(drain(&mut up, &hub, &mut above, &mut clock), 0);
        hub.accept(&batch("till-2", 5, 6), at(clock));
        assert_eq!(drain(&mut up, &hub, &mut above, &mut clock), 1);
        assert_eq!(hub.stands(), above.stands());
    }

    #[test]
    fn a_region_above_that_forgot_is_told_everything_again() {
        let (mut hub, mut above, mut clock) = (region(1), region(2), 0);
        hub.accept(&batch("till-1", 0, 9), at(0));
        let mut up = relay("hub");
        drain(&mut up, &hub, &mut above, &mut clock);
        let mut again = region(3);
        clock += BEACON_MS;
        drain(&mut up, &hub, &mut again, &mut clock);
        drain(&mut up, &hub, &mut again, &mut clock);
        assert_eq!(hub.stands(), again.stands());
        assert_eq!(hub.digests("stall"), again.digests("stall"));
    }

    #[test]
    fn what_goes_round_a_ring_ends() {
        let mut ring = [region(1), region(2), region(3)];
        let mut relays = ["a", "b", "c"].map(relay);
        ring[0].accept(&batch("till-1", 0, 4), at(0));
        ring[1].accept(&batch("till-2", 0, 4), at(0));
        let mut clock = 0;
        let mut batches = 0;
        for _ in 0..40 {
            clock += CELLS_DELAY_MS;
            for place in 0..3 {
                let from = ring[place].clone();
                if let Some(batch) = relays[place].poll(&from, at(clock)) {
                    batches += usize::from(!batch.cells.is_empty() || !batch.beacons.is_empty());
                    let ack = ring[(place + 1) % 3].accept(&batch, at(clock));
                    relays[place].acked(&ack, at(clock).mono);
                }
            }
        }
        assert_eq!(ring[0].stands(), ring[1].stands());
        assert_eq!(ring[0].stands(), ring[2].stands());
        assert_eq!(ring[0].digests("stall"), ring[2].digests("stall"));
        assert!(batches < 12, "{batches} batches for two rigs' news");
    }

    #[test]
    fn a_failed_exchange_is_said_again() {
        let (mut hub, mut above, mut clock) = (region(1), region(2), 0);
        hub.accept(&batch("till-1", 0, 3), at(0));
        let mut up = relay("hub");
        let hello = up.poll(&hub, at(CELLS_DELAY_MS)).unwrap();
        assert!(hello.cells.is_empty() && up.poll(&hub, at(900)).is_none());
        up.failed(PeerFault::Unreachable, MonoMs(900));
        assert!(up.down_since().is_some());
        clock += 60_000;
        drain(&mut up, &hub, &mut above, &mut clock);
        assert_eq!(hub.stands(), above.stands());
    }
}
