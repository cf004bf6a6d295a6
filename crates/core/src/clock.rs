//! What a rig learns of true time from its peers, and when it writes that down.
//!
//! ```text
//! rig    m0 ─────────────────────── m3      A = ((w1 − m0) + (w2 − m3)) / 2
//!          ╲                      ╱         u = (m3 − m0 − (w2 − w1)) / 2 + the peer's u + 1 ms
//! peer      w1 ───────────────── w2
//! ```
//!
//! m is the rig's steady clock, w the peer's wall clock. A received time minus a sent time is never
//! taken: it would take the way for a wrong clock. Slow exchanges do not count, the best estimate
//! stays while its uncertainty, which grows by [`limits::CLOCK_DRIFT_PPM`], is the smallest.
//!
//! What always holds: one peer at a time is believed, the ledger before the regions, so two peers
//! that disagree cannot fill a journal; an estimate of one boot is never used in another; the
//! journal gets at most one anchor per [`limits::CLOCK_ANCHOR_PAUSE_MS`] and epoch, the first aside.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use crate::anchor::Anchor;
use crate::event::system::{ClockAnchored, ClockStepped, SystemEvent};
use crate::id::BootId;
use crate::limits;
use crate::time::{MonoMs, Now, WallMs};

/// A record that was handed to the journal and did not come back within this is made again, ms.
const NOTE_WAIT_MS: u64 = 10_000;
/// Two clocks that count in different units may disagree by this much about nothing, µs.
const GRAIN_US: i128 = 1_000;
/// What every estimate may be wrong by beside its way, ms.
const FLOOR_U_MS: u32 = 1;
/// Round trips up to this are never slow, ns.
const QUICK_TRIP_NS: u64 = 1_000_000;

/// The four times of one exchange with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The rig's steady clock when it asked, ns.
    pub sent_mono_ns: u64,
    /// The peer's wall clock when the question came, µs since 1970; 0 when it does not say.
    pub recv_wall_us: i64,
    /// The peer's wall clock when it answered, µs since 1970.
    pub send_wall_us: i64,
    /// The rig's steady clock when the answer came, ns.
    pub received_mono_ns: u64,
    /// What the peer's clock may be wrong by, ms.
    pub peer_u_ms: u32,
}

impl Exchange {
    /// The tie it makes and its round trip in ns; `None` when the times make no sense.
    #[must_use]
    pub fn tie(&self) -> Option<(Anchor, u64)> {
        if self.recv_wall_us == 0 || self.sent_mono_ns == 0 {
            return None;
        }
        let [m0, m3] = [self.sent_mono_ns, self.received_mono_ns].map(|ns| i128::from(ns / 1_000));
        let [w1, w2] = [self.recv_wall_us, self.send_wall_us].map(i128::from);
        let trip_us = (m3 - m0) - (w2 - w1);
        if m3 < m0 || w2 < w1 || trip_us < -GRAIN_US {
            return None;
        }
        let start_us = ((w1 - m0) + (w2 - m3)).div_euclid(2);
        let way_ms = u32::try_from(trip_us.max(0).div_euclid(2_000)).unwrap_or(u32::MAX);
        let u_ms = way_ms
            .saturating_add(self.peer_u_ms)
            .saturating_add(FLOOR_U_MS);
        let wall_us = i64::try_from(start_us + m3).ok()?;
        let trip_ns = u64::try_from(trip_us.max(0) * 1_000).unwrap_or(u64::MAX);
        Some((Anchor::new(self.received_mono_ns, wall_us, u_ms), trip_ns))
    }
}

/// How the clock stands, for status and page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockState {
    /// The wall clock minus true time, ms; `None` before the first contact.
    pub offset_ms: Option<i64>,
    /// What true time may be wrong by, ms; `None` before the first contact.
    pub u_ms: Option<u64>,
    /// There was no contact in this boot, or true time may be wrong by more than
    /// [`limits::CLOCK_SUSPECT_MS`].
    pub suspect: bool,
    /// Age of the newest anchor in the journal's current epoch, ms.
    pub anchor_age_ms: Option<u64>,
}

/// What is held to be true, and whose word it is.
#[derive(Debug, Clone)]
struct Estimate {
    tie: Anchor,
    peer: String,
}

/// The clock of one rig.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The wall clock is true by decree: a replayed day.
    wall_is_true: bool,
    boot: Option<BootId>,
    estimate: Option<Estimate>,
    /// The current epoch's newest anchor and when it became durable.
    anchored: Option<(Anchor, MonoMs)>,
    /// A record is on its way to the journal until then.
    noted_until: Option<MonoMs>,
    /// Events came since the newest anchor.
    traffic: bool,
    /// Rank of the peer that is believed, and when it was last heard.
    reference: Option<(usize, MonoMs)>,
    trips: BTreeMap<usize, VecDeque<u64>>,
    /// Wall minus steady clock at the last look, ms.
    seen: Option<i64>,
    /// Steps of the wall clock that are not journaled yet, added up, ms.
    stepped_ms: i64,
    step_due: MonoMs,
}

impl Clock {
    /// From now on the wall clock is taken as true and nothing is written about it.
    pub fn trust_wall(&mut self) {
        self.wall_is_true = true;
    }

    /// An epoch begins, in this boot. An estimate of the same boot goes on to hold.
    pub fn epoch(&mut self, boot: Option<BootId>) {
        if self.boot != boot {
            *self = Self {
                wall_is_true: self.wall_is_true,
                boot,
                ..Self::default()
            };
        }
        self.anchored = None;
        self.noted_until = None;
    }

    /// An anchor of the current epoch is durable.
    pub fn anchored(&mut self, record: &ClockAnchored, now: MonoMs) {
        let Some(tie) = Anchor::of(record, self.boot) else {
            return;
        };
        self.anchored = Some((tie, now));
        self.noted_until = None;
        self.traffic = false;
        self.estimate.get_or_insert_with(|| Estimate {
            tie,
            peer: record.peer.clone(),
        });
    }

    /// An event came.
    pub fn traffic(&mut self) {
        self.traffic = true;
    }

    /// A peer answered. `rank` orders the peers: 0 is believed before 1.
    pub fn exchanged(&mut self, rank: usize, peer: &str, exchange: &Exchange, now: MonoMs) {
        let Some((tie, trip_ns)) = exchange.tie() else {
            return;
        };
        if !self.is_quick(rank, trip_ns) {
            return;
        }
        if let Some((better, heard)) = self.reference
            && better < rank
            && now.since(heard) < limits::CLOCK_REFERENCE_MS
        {
            return;
        }
        self.reference = Some((rank, now));
        let news = self.estimate.as_ref().is_none_or(|held| {
            let held_u_ms = held.tie.uncertainty_ms(tie.mono_ns());
            let u_ms = u64::from(tie.u_ms());
            // Two ties that exclude each other: the older one was overtaken by events.
            u_ms <= held_u_ms || tie.apart_ms(&held.tie) > u_ms + held_u_ms
        });
        if news {
            let peer = String::from(peer);
            self.estimate = Some(Estimate { tie, peer });
        }
    }

    /// Whether a round trip is at most twice the least of the last ones.
    fn is_quick(&mut self, rank: usize, trip_ns: u64) -> bool {
        let trips = self.trips.entry(rank).or_default();
        if trips.len() >= limits::CLOCK_TRIPS_KEPT {
            trips.pop_front();
        }
        trips.push_back(trip_ns);
        let least = trips.iter().min().copied().unwrap_or(trip_ns);
        trip_ns <= least.saturating_mul(2).max(QUICK_TRIP_NS)
    }

    /// Looks at both clocks; call now and then.
    pub fn look(&mut self, now: Now) {
        let steady = i64::try_from(now.mono.0).unwrap_or(i64::MAX);
        let apart = now.wall.0.saturating_sub(steady);
        if let Some(seen) = self.seen.replace(apart) {
            let by_ms = apart.saturating_sub(seen);
            if by_ms.unsigned_abs() > limits::CLOCK_STEP_MS {
                self.stepped_ms = self.stepped_ms.saturating_add(by_ms);
            }
        }
    }

    /// What must be journaled now, if anything. Each call answers it once.
    pub fn due(&mut self, now: Now) -> Option<SystemEvent> {
        if self.wall_is_true {
            return None;
        }
        let boot = self.boot?;
        self.step_record(boot, now)
            .or_else(|| self.anchor_record(boot, now.mono))
    }

    fn step_record(&mut self, boot: BootId, now: Now) -> Option<SystemEvent> {
        if self.stepped_ms.unsigned_abs() <= limits::CLOCK_STEP_MS || now.mono < self.step_due {
            return None;
        }
        self.step_due = now.mono.after(limits::CLOCK_STEP_PAUSE_MS);
        Some(SystemEvent::ClockStepped(ClockStepped {
            boot_id: boot.0.to_vec(),
            mono_ns: nanos(now.mono),
            wall_ms: now.wall.0,
            by_ms: core::mem::take(&mut self.stepped_ms),
        }))
    }

    fn anchor_record(&mut self, boot: BootId, now: MonoMs) -> Option<SystemEvent> {
        if self.noted_until.is_some_and(|until| now < until) {
            return None;
        }
        let estimate = self.estimate.as_ref()?;
        let rebucket = match &self.anchored {
            None => true,
            Some((held, since)) => self.says_news(&estimate.tie, held, now.since(*since))?,
        };
        self.noted_until = Some(now.after(NOTE_WAIT_MS));
        Some(SystemEvent::ClockAnchored(ClockAnchored {
            boot_id: boot.0.to_vec(),
            mono_ns: estimate.tie.mono_ns(),
            wall_us: estimate.tie.wall_us(),
            u_ms: estimate.tie.u_ms(),
            peer: estimate.peer.clone(),
            rebucket,
        }))
    }

    /// Whether `tie` is worth a record beside `held`, and if so whether it moves earlier records.
    fn says_news(&self, tie: &Anchor, held: &Anchor, age_ms: u64) -> Option<bool> {
        let moved_ms = tie.apart_ms(held);
        let moved = moved_ms > limits::CLOCK_MOVED_MS;
        let surer = tie.u_ms() <= held.u_ms() / 4;
        let newer = tie.mono_ns() > held.mono_ns();
        let old = age_ms >= limits::CLOCK_ANCHOR_EVERY_MS && self.traffic && newer;
        let rested = age_ms >= limits::CLOCK_ANCHOR_PAUSE_MS;
        (old || (rested && (moved || surer))).then_some(moved_ms > limits::CLOCK_REBUCKET_MS)
    }

    /// True time as far as it is known; the wall clock as it is before the first contact.
    #[must_use]
    pub fn true_now(&self, now: Now) -> Now {
        let wall = match &self.estimate {
            Some(estimate) if !self.wall_is_true => estimate.tie.true_ms(nanos(now.mono)),
            Some(_) | None => now.wall,
        };
        Now { wall, ..now }
    }

    /// How the clock stands.
    #[must_use]
    pub fn state(&self, now: Now) -> ClockState {
        if self.wall_is_true {
            return ClockState {
                offset_ms: Some(0),
                u_ms: Some(0),
                suspect: false,
                anchor_age_ms: None,
            };
        }
        let tie = self.estimate.as_ref().map(|estimate| estimate.tie);
        let u_ms = tie.map(|tie| tie.uncertainty_ms(nanos(now.mono)));
        let WallMs(true_ms) = self.true_now(now).wall;
        ClockState {
            offset_ms: tie.map(|_| now.wall.0.saturating_sub(true_ms)),
            u_ms,
            suspect: u_ms.is_none_or(|u_ms| u_ms > limits::CLOCK_SUSPECT_MS),
            anchor_age_ms: self
                .anchored
                .map(|(tie, _)| nanos(now.mono).saturating_sub(tie.mono_ns()) / 1_000_000),
        }
    }
}

fn nanos(mono: MonoMs) -> u64 {
    mono.0.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests;
