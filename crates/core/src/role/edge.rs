//! The edge: folds what became durable, feeds its own page and both lanes, knows its own state.
//!
//! What always holds: only durable records come in, so nothing is shown, folded or shipped that a
//! power cut could take back; the page on the rig is fed through the same messages as any region;
//! no peer is ever waited for (L10).

mod beacon;
mod lost;
mod oldest;
mod reread;
mod trimmed;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::clock::{Clock, ClockState, Exchange};
use crate::dry_run::{DryRun, DryRuns};
use crate::event::system::{Gap, RigStarted, SystemEvent};
use crate::event::{Cursor, Event};
use crate::fold::savepoint::Savepoint;
use crate::fold::{EpochFold, Step};
use crate::host::{Asked, HostSample, HostWatch};
use crate::id::{BootId, Epoch, EpochId, JournalId, PopupId, Position, RegionId, RigId, Seq};
use crate::lane::cells_up::{CellsUp, Folds};
use crate::lane::records_up::{Ask, RecordsUp, Standing, Tally, Want};
use crate::lane::{CellAck, CellBatch, PeerFault, RecordAck, RecordBatch, Stretch};
use crate::limits::{CELLS_DELAY_MS, PAGE_DELAY_MS};
use crate::record::Record;
use crate::region::Region;
use crate::role::edge::oldest::Oldest;
use crate::time::{MonoMs, Now, WallMs};
use reread::Rereads;

/// A peer unreachable for longer than this counts as gone, ms.
const OFFLINE_AFTER_MS: u64 = 2_000;
/// A clock nobody confirmed is spoken of this long after the start, ms.
const SUSPECT_AFTER_MS: u64 = 5_000;

/// All that can happen to an edge.
#[derive(Debug, Clone)]
pub enum Input {
    /// An epoch of the journal, oldest first, before any of its records.
    Epoch {
        /// Its number.
        epoch: Epoch,
        /// Its id.
        epoch_id: EpochId,
        /// What the journal remembers of the ledger's word: (trunk, bulk).
        acked: (Seq, Seq),
    },
    /// What a closed epoch folded to, in place of its records, and how much of it the ledger lacks
    /// beyond the records that are told.
    Restored(Epoch, Box<EpochFold>, Tally),
    /// What was kept of an epoch whose records were trimmed: its cells, for regions that forget.
    Kept(Epoch, Box<EpochFold>),
    /// A record became durable (or was read back at start).
    Durable {
        /// Its epoch.
        epoch: Epoch,
        /// Its seq.
        seq: Seq,
        /// What it says.
        record: Arc<Record>,
    },
    /// The seqs of a past epoch end here, whatever is left of its records.
    Ended {
        /// The epoch.
        epoch: Epoch,
        /// Its last seq that counts.
        last: Seq,
    },
    /// The journal can take records again, or cannot.
    Storing(bool),
    /// The probes looked at the host.
    Power(HostSample),
    /// What came of a dry run of a checkout.
    DryRun(DryRun),
    /// What the host's probes, disk and clock say now.
    Host(Host),
    /// The journal was read.
    Loaded(Want, Stretch),
    /// The ledger answered or failed to.
    Ledger(Result<RecordAck, PeerFault>),
    /// A region answered or failed to.
    Region(usize, Result<CellAck, PeerFault>),
    /// An answer of this peer told the time.
    Exchange(TimeOf, Exchange),
    /// The journal was read to fold an epoch again.
    Reread {
        /// What was asked for.
        ask: Reread,
        /// The epoch's records from there on, in order; lost ones are left out.
        records: Vec<(Seq, Arc<Record>)>,
        /// Where to go on; as in `ask` when nothing could be read.
        next: Seq,
    },
}

/// Whose time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeOf {
    /// The ledger's.
    Ledger,
    /// That of the region with this index.
    Region(usize),
}

/// What must outlive the records of an epoch that may be trimmed.
#[derive(Debug, Clone, PartialEq)]
pub enum Remains {
    /// It is being folded again: not now.
    NotYet,
    /// Nothing: it made no cells, or those of popups that are long over.
    Nothing,
    /// Its cells.
    Cells(Box<Savepoint>),
}

/// Which records are needed to fold an epoch again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reread {
    /// The epoch.
    pub epoch: Epoch,
    /// The first seq.
    pub from: Seq,
}

/// All that an edge asks of its surroundings.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Read a stretch of the journal, then say [`Input::Loaded`].
    Load(Want),
    /// Send to the ledger.
    Records(RecordBatch),
    /// Send to the region with this index.
    Cells(usize, CellBatch),
    /// Journal what the edge itself has to say.
    Note(Vec<(Option<PopupId>, Event)>),
    /// Read a piece of an epoch, then say [`Input::Reread`].
    Reread(Reread),
    /// Another journal uses this rig's name: go on in an epoch of at least this number, with what
    /// the ledger does not hold.
    Fork(u32),
    /// Seal the journal now: the power may go.
    Seal,
    /// A peer holds an epoch that is over up to this seq, further than it goes here: what was cut
    /// from its end had been acknowledged. Then say [`Input::Ended`].
    PeerKnows(Epoch, Seq),
}

/// What the machine has to know of its host: states that it cannot see itself, and what goes into
/// beacons. A value that nobody measured is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Host {
    /// Not even a sale finds room.
    pub disk_full: bool,
    /// A segment of a later format lies in the journal.
    pub newer_format: bool,
    /// The disk is so full that something is no longer kept.
    pub storage_pressure: bool,
    /// On battery, or with a power supply that is too weak.
    pub power: bool,
    /// No anchor, or too uncertain an one.
    pub clock_suspect: bool,
    /// Uncertainty of the clock, ms.
    pub clock_u_ms: Option<u32>,
    /// Charge, per cent.
    pub battery: Option<u32>,
    /// Minutes of disk left.
    pub disk_minutes: Option<u32>,
}

/// The edge of one rig.
#[derive(Debug)]
pub struct Edge {
    rig: RigId,
    epoch: Epoch,
    folds: Folds,
    records: Option<RecordsUp>,
    regions: Vec<CellsUp>,
    page: Region,
    page_lane: CellsUp,
    beacons: u64,
    was_offline: bool,
    /// When each peer that is out of reach was first missed, by the rig's clock.
    missed_since: BTreeMap<(&'static str, usize), WallMs>,
    can_store: bool,
    watch: HostWatch,
    /// What the last look at the host asks for.
    asked: Asked,
    dry_runs: DryRuns,
    probed: Option<Event>,
    host: Host,
    /// Events refused or shed, by class and cause.
    losses: BTreeMap<(String, String), u64>,
    /// The newest gaps; `gap_records` counts all.
    gaps: VecDeque<Gap>,
    gap_records: u64,
    /// Gaps by cause.
    gap_causes: BTreeMap<&'static str, u64>,
    last_sale_ms: Option<i64>,
    clock: Clock,
    rereads: Rereads,
    began: Option<MonoMs>,
    oldest: Oldest,
    /// Epochs of `folds` whose records are gone.
    kept: BTreeSet<Epoch>,
    /// Times replaced in epochs whose folds are gone.
    times_replaced_before: u64,
    /// The last exchange with each peer.
    talks: BTreeMap<(&'static str, usize), Talk>,
}

/// The last exchange with a peer.
#[derive(Debug, Clone, Copy, Default)]
struct Talk {
    /// When something was sent that is not answered yet.
    sent: Option<MonoMs>,
    last_ok: Option<WallMs>,
    rtt_ms: Option<u64>,
}

/// How a peer stands, for the page and the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerState {
    /// `ledger` or `region`.
    pub kind: &'static str,
    /// Its index among the regions; 0 for the ledger.
    pub index: usize,
    /// Since when it is out of reach by the rig's clock, `None` while it answers.
    pub down_since: Option<WallMs>,
    /// When it last took something, by the rig's clock.
    pub last_ok: Option<WallMs>,
    /// How long its last answer took, ms.
    pub rtt_ms: Option<u64>,
}

impl Edge {
    /// An edge with an empty memory. `with_ledger` and `regions` say which peers it has.
    #[must_use]
    pub fn new(rig: &RigId, journal_id: JournalId, with_ledger: bool, regions: usize) -> Self {
        Self {
            rig: rig.clone(),
            epoch: Epoch(0),
            folds: Folds::new(),
            records: with_ledger.then(|| RecordsUp::new(rig.clone(), journal_id)),
            regions: (0..regions)
                .map(|_| CellsUp::new(rig.clone(), CELLS_DELAY_MS))
                .collect(),
            page: Region::of_rig(RegionId(journal_id.0)),
            page_lane: CellsUp::new(rig.clone(), PAGE_DELAY_MS),
            beacons: 0,
            was_offline: false,
            missed_since: BTreeMap::new(),
            can_store: true,
            watch: HostWatch::default(),
            asked: Asked::default(),
            dry_runs: DryRuns::default(),
            probed: None,
            host: Host::default(),
            losses: BTreeMap::new(),
            gaps: VecDeque::new(),
            gap_records: 0,
            gap_causes: BTreeMap::new(),
            last_sale_ms: None,
            clock: Clock::default(),
            rereads: Rereads::default(),
            began: None,
            oldest: Oldest::default(),
            kept: BTreeSet::new(),
            times_replaced_before: 0,
            talks: BTreeMap::new(),
        }
    }

    /// The wall clock is true by decree: the rig of a replayed day.
    pub fn trust_wall(&mut self) {
        self.clock.trust_wall();
    }

    /// Takes one thing that happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Epoch {
                epoch,
                epoch_id,
                acked,
            } => self.open_epoch(epoch, epoch_id, acked),
            Input::Restored(epoch, fold, backlog) => {
                self.folds.insert(epoch, *fold);
                if let Some(records) = &mut self.records {
                    records.untold(&backlog);
                }
            }
            Input::Kept(epoch, fold) => self.keep(epoch, *fold, now.mono),
            Input::Durable { epoch, seq, record } => self.take(epoch, seq, &record, now.mono),
            Input::Ended { epoch, last } => {
                if let Some(records) = &mut self.records {
                    records.ended(epoch, last);
                }
            }
            Input::Storing(can) => self.can_store = can,
            Input::Power(sample) => self.look_at_host(sample, now),
            Input::DryRun(run) => self.take_dry_run(run, now),
            Input::Host(host) => self.host = host,
            Input::Loaded(want, stretch) => {
                if let Some(records) = &mut self.records {
                    records.loaded(want, stretch, now.mono);
                }
            }
            Input::Ledger(answer) => {
                self.answered(("ledger", 0), answer.is_ok(), now);
                if let Some(records) = &mut self.records {
                    match answer {
                        Ok(ack) => records.acked(&ack, now.mono),
                        Err(fault) => records.failed(fault, now.mono),
                    }
                    let held = |epoch, cursor| {
                        let (trunk, bulk) = records.positions(epoch);
                        match cursor {
                            Cursor::Trunk => trunk,
                            Cursor::Bulk => bulk,
                        }
                    };
                    self.oldest.acked(held);
                }
            }
            Input::Region(index, answer) => {
                self.answered(("region", index), answer.is_ok(), now);
                if let Some(lane) = self.regions.get_mut(index) {
                    match answer {
                        Ok(ack) => lane.acked(&ack, &self.folds, now.mono),
                        Err(fault) => lane.failed(fault, now.mono),
                    }
                }
            }
            Input::Exchange(whose, exchange) => self.hear_time(whose, &exchange, now.mono),
            Input::Reread { ask, records, next } => {
                if self
                    .rereads
                    .read(&mut self.folds, ask, &records, next, now.mono)
                {
                    self.folds_changed(now.mono);
                }
            }
        }
    }

    /// What to do next; call until `None`.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        self.began.get_or_insert(now.mono);
        self.clock.look(now);
        if let Some(event) = self.clock.due(now) {
            return Some(Output::Note(Vec::from([(None, Event::System(event))])));
        }
        if let Some(ask) = self.reread(now.mono) {
            return Some(Output::Reread(ask));
        }
        let now = self.clock.true_now(now);
        self.note_offline(now);
        self.feed_page(now);
        if let Some(next_epoch) = self.records.as_mut().and_then(RecordsUp::take_fork) {
            return Some(Output::Fork(next_epoch));
        }
        if let Some((epoch, seq)) = self.records.as_mut().and_then(RecordsUp::take_claim) {
            return Some(Output::PeerKnows(epoch, seq));
        }
        if let Some(event) = self.probed.take() {
            return Some(Output::Note(vec![(None, event)]));
        }
        if let Some(event) = self.asked.event.take() {
            return Some(Output::Note(vec![(None, event)]));
        }
        if core::mem::take(&mut self.asked.seal) {
            return Some(Output::Seal);
        }
        for index in 0..self.regions.len() {
            if let Some(mut batch) = self.regions[index].poll(&self.folds, now) {
                batch.beacons = self.next_beacons(now);
                self.asked(("region", index), now);
                return Some(Output::Cells(index, batch));
            }
        }
        match self.records.as_mut()?.poll(now.mono)? {
            Ask::Load(want) => Some(Output::Load(want)),
            Ask::Send(mut batch) => {
                batch.beacons = self.next_beacons(now);
                self.asked(("ledger", 0), now);
                Some(Output::Records(batch))
            }
        }
    }

    /// When [`Self::poll`] wants to be called without further input.
    #[must_use]
    pub fn deadline(&self) -> Option<MonoMs> {
        let lanes = self
            .regions
            .iter()
            .chain([&self.page_lane])
            .filter_map(CellsUp::deadline);
        let records = self.records.as_ref().and_then(RecordsUp::deadline);
        lanes.chain(records).chain(self.rereads.deadline()).min()
    }

    /// The next piece of the journal that is needed to fold an epoch again, each once. Also an
    /// output of [`Self::poll`]; a start asks here, before there is anything to poll for.
    pub fn reread(&mut self, now: MonoMs) -> Option<Reread> {
        self.rereads.ask(now)
    }

    /// How the rig's clock stands.
    #[must_use]
    pub fn clock(&self, now: Now) -> ClockState {
        self.clock.state(now)
    }

    /// `now` with true time in place of the wall clock's, as far as it is known.
    #[must_use]
    pub fn true_now(&self, now: Now) -> Now {
        self.clock.true_now(now)
    }

    /// The rig's own page: a region that only this rig feeds.
    #[must_use]
    pub fn page(&self) -> &Region {
        &self.page
    }

    /// The folds, by epoch.
    #[must_use]
    pub fn folds(&self) -> &Folds {
        &self.folds
    }

    /// The head of the journal as far as it was heard of.
    #[must_use]
    pub fn head(&self) -> Position {
        let seq = self
            .folds
            .get(&self.epoch)
            .map_or(Seq::NONE, EpochFold::head);
        let seq = self.rereads.head(self.epoch, seq);
        Position {
            rig: self.rig.clone(),
            epoch: self.epoch,
            seq,
        }
    }

    /// What the ledger holds of the current epoch: (trunk, bulk).
    #[must_use]
    pub fn replicated(&self) -> (Seq, Seq) {
        let none = (Seq::NONE, Seq::NONE);
        self.records
            .as_ref()
            .map_or(none, |records| records.positions(self.epoch))
    }

    /// What the books have reconciled of the current epoch; `None` until the ledger said.
    #[must_use]
    pub fn reconciled(&self) -> Option<Seq> {
        self.records.as_ref()?.reconciled(self.epoch)
    }

    /// The newest policy version that runs here; `None` while all popups are only implied.
    #[must_use]
    pub fn policy_running(&self) -> Option<u32> {
        let popups = self.folds.get(&self.epoch)?.popups();
        let versions = popups.values().map(|policy| policy.version);
        versions.max().filter(|version| *version > 0)
    }

    /// The records lane, if there is a ledger.
    #[must_use]
    pub fn records(&self) -> Option<&RecordsUp> {
        self.records.as_ref()
    }

    /// What the ledger does not hold yet.
    #[must_use]
    pub fn unsent(&self) -> Tally {
        self.records
            .as_ref()
            .map(|records| records.unsent().clone())
            .unwrap_or_default()
    }

    /// Whether ledger and regions hold everything as it is here.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.records.as_ref().is_none_or(RecordsUp::is_drained)
            && self.rereads.is_empty()
            && self.regions.iter().all(|lane| lane.is_level(&self.folds))
    }

    /// Whether a peer that answers does not hold yet what is here: what a stop waits for a moment.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let books = self.records.as_ref().is_some_and(|lane| {
            let is_heard = lane.down_since().is_none() && lane.standing() == Standing::Fine;
            is_heard && !lane.is_drained()
        });
        let mut regions = self.regions.iter();
        books || regions.any(|lane| lane.down_since().is_none() && !lane.is_level(&self.folds))
    }

    /// The lanes to the regions, in the order they were named.
    #[must_use]
    pub fn regions(&self) -> &[CellsUp] {
        &self.regions
    }

    /// How each peer stands.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerState> {
        let state = |(kind, index, _)| {
            let talk = self.talks.get(&(kind, index)).copied().unwrap_or_default();
            PeerState {
                kind,
                index,
                down_since: self.missed_since.get(&(kind, index)).copied(),
                last_ok: talk.last_ok,
                rtt_ms: talk.rtt_ms,
            }
        };
        self.links().map(state).collect()
    }

    /// Each peer with the steady moment since which it is out of reach.
    fn links(&self) -> impl Iterator<Item = (&'static str, usize, Option<MonoMs>)> {
        let ledger = self
            .records
            .iter()
            .map(|lane| ("ledger", 0, lane.down_since()));
        let regions = self.regions.iter().enumerate();
        ledger.chain(regions.map(|(index, lane)| ("region", index, lane.down_since())))
    }

    /// The rig's states, the one that matters most first; `ok` when nothing is wrong.
    #[must_use]
    pub fn states(&self, now: MonoMs) -> Vec<&'static str> {
        let mut states = Vec::new();
        let host = &self.host;
        if !self.can_store || host.disk_full {
            states.push("cannot_store");
        }
        if host.newer_format {
            states.push("newer_format");
        }
        if let Some(records) = &self.records {
            match records.standing() {
                Standing::Forked(_) => states.push("fork"),
                Standing::NotAdmitted => states.push("not_admitted"),
                Standing::Fine => {}
            }
        }
        let power = self.watch.alarms().any() || self.watch.newest().on_battery == Some(true);
        let told = [
            (host.storage_pressure, "storage_pressure"),
            (power, "power"),
            (self.gap_records > 0, "gap"),
            (
                host.clock_suspect || self.is_clock_suspect(now),
                "clock_suspect",
            ),
        ];
        states.extend(told.iter().filter(|(is, _)| *is).map(|(_, state)| *state));
        if self.is_offline(now) {
            states.push("selling_offline");
        } else if self.was_offline && self.unsent().records > 0 {
            states.push("replaying");
        }
        if states.is_empty() {
            states.push("ok");
        }
        states
    }

    /// What the probes found of the host, and what is wrong with it.
    #[must_use]
    pub fn host_watch(&self) -> &HostWatch {
        &self.watch
    }

    /// Events whose own time was out of reason, so that their admission counts, all epochs.
    #[must_use]
    pub fn times_replaced(&self) -> u64 {
        let counts = self.folds.values().map(|fold| fold.skipped());
        let now: u64 = counts.map(|skipped| skipped.times_replaced).sum();
        self.times_replaced_before.saturating_add(now)
    }

    /// When the newest sale was made, by the rig's clock, ms since 1970.
    #[must_use]
    pub fn last_sale_ms(&self) -> Option<i64> {
        self.last_sale_ms
    }

    /// When the oldest record that the ledger does not hold was made, ms since 1970 by the rig's
    /// clock; `None` when there is none, without a ledger, and while it is not known.
    #[must_use]
    pub fn oldest_unsent_ms(&self) -> Option<i64> {
        let waits = self.unsent().records > 0;
        waits.then(|| self.oldest.wall_ms()).flatten()
    }

    fn look_at_host(&mut self, mut sample: HostSample, now: Now) {
        let trips = self.talks.values().filter_map(|talk| talk.rtt_ms);
        sample.rtt_ms = trips.min().and_then(|ms| u32::try_from(ms).ok());
        let open = self.is_open(now);
        self.asked = self.watch.look(sample, open, now.mono);
    }

    /// One that ends after the doors closed is nobody's.
    fn take_dry_run(&mut self, run: DryRun, now: Now) {
        if self.is_open(now) {
            self.probed = self.dry_runs.take(run, now.mono);
        }
    }

    /// Whether a popup's window, as this epoch's policy states it, holds the true time.
    #[must_use]
    pub fn is_open(&self, now: Now) -> bool {
        let wall = self.clock.true_now(now).wall;
        let popups = self.folds.get(&self.epoch).map(EpochFold::popups);
        popups.is_some_and(|popups| {
            let mut windows = popups.values().map(|p| p.starts_ms..p.ends_ms);
            windows.any(|window| window.contains(&wall.0))
        })
    }

    fn keep(&mut self, epoch: Epoch, fold: EpochFold, now: MonoMs) {
        self.kept.insert(epoch);
        self.folds.insert(epoch, fold);
        self.folds_changed(now);
    }

    fn open_epoch(&mut self, epoch: Epoch, epoch_id: EpochId, acked: (Seq, Seq)) {
        self.epoch = self.epoch.max(epoch);
        self.folds
            .insert(epoch, EpochFold::new(self.rig.clone(), epoch, epoch_id));
        if let Some(records) = &mut self.records {
            records.epoch(epoch, epoch_id, acked.0, acked.1);
        }
    }

    fn take(&mut self, epoch: Epoch, seq: Seq, record: &Record, now: MonoMs) {
        let fold = self
            .folds
            .get_mut(&epoch)
            .expect("an epoch is known before its records");
        if !self.rereads.holds_back(epoch, seq) && fold.apply(seq, record) == Step::Rebucket {
            self.rereads.begin(epoch, fold, seq, record);
        }
        if let Event::System(SystemEvent::RigStarted(started)) = &record.event {
            self.void(started, now);
        } else if let Event::System(SystemEvent::RigTrimmed(trimmed)) = &record.event {
            self.trimmed(trimmed, WallMs(record.stamp.wall_ms));
        }
        if let Some(records) = &mut self.records {
            records.durable(epoch, seq, record);
            let (trunk, bulk) = records.positions(epoch);
            let (cursor, wall_ms) = (record.event.class().cursor(), record.stamp.wall_ms);
            let held = match cursor {
                Cursor::Trunk => trunk,
                Cursor::Bulk => bulk,
            };
            if seq > held {
                self.oldest.durable(cursor, epoch, seq, wall_ms);
            }
        }
        self.watch.heard(&record.event);
        if let Event::PaymentCaptured(_) = &record.event {
            self.last_sale_ms = Some(record.stamp.wall_ms);
        } else if let Event::System(SystemEvent::RigGap(gap)) = &record.event {
            self.note_gap(gap);
        } else if let Event::System(SystemEvent::RigLoss(loss)) = &record.event {
            self.note_loss(loss);
        }
        let Event::System(own) = &record.event else {
            self.clock.traffic();
            return self.folds_changed(now);
        };
        if let SystemEvent::RigStarted(started) = own {
            self.clock.epoch(BootId::from_slice(&started.boot_id));
        } else if let SystemEvent::ClockAnchored(anchored) = own {
            self.clock.anchored(anchored, now);
        }
        self.folds_changed(now);
    }

    fn folds_changed(&mut self, now: MonoMs) {
        for lane in self.regions.iter_mut().chain([&mut self.page_lane]) {
            lane.changed(now);
        }
    }

    fn hear_time(&mut self, whose: TimeOf, exchange: &Exchange, now: MonoMs) {
        let (rank, peer) = match whose {
            TimeOf::Ledger => (0, String::from("ledger")),
            TimeOf::Region(index) => (index + 1, format!("region {}", index + 1)),
        };
        self.clock.exchanged(rank, &peer, exchange, now);
    }

    /// A rig without peers has nobody to ask and is not blamed for it.
    fn is_clock_suspect(&self, now: MonoMs) -> bool {
        let asks = self.records.is_some() || !self.regions.is_empty();
        let settled = self
            .began
            .is_some_and(|began| now.since(began) >= SUSPECT_AFTER_MS);
        let wall = WallMs::default();
        asks && settled && self.clock.state(Now { wall, mono: now }).suspect
    }

    /// After a fork the events of the epochs it left stand in this one: their cells go everywhere.
    fn void(&mut self, started: &RigStarted, now: MonoMs) {
        for id in started
            .left_ids
            .iter()
            .filter_map(|id| EpochId::from_slice(id))
        {
            for lane in self.regions.iter_mut().chain([&mut self.page_lane]) {
                lane.void(id, now);
            }
            let of = self.folds.iter().find(|(_, fold)| fold.epoch_id() == id);
            let Some(epoch) = of.map(|(epoch, _)| *epoch) else {
                continue;
            };
            self.folds.remove(&epoch);
            self.rereads.forget(epoch);
            if let Some(records) = &mut self.records {
                records.void(epoch);
            }
        }
    }

    fn asked(&mut self, peer: (&'static str, usize), now: Now) {
        self.talks.entry(peer).or_default().sent = Some(now.mono);
    }

    fn answered(&mut self, peer: (&'static str, usize), well: bool, now: Now) {
        let talk = self.talks.entry(peer).or_default();
        let sent = talk.sent.take();
        if well {
            talk.last_ok = Some(now.wall);
            talk.rtt_ms = sent.map(|sent| now.mono.since(sent));
        }
    }

    /// The page's region is fed as any other, only without a wire.
    fn feed_page(&mut self, now: Now) {
        while let Some(mut batch) = self.page_lane.poll(&self.folds, now) {
            batch.beacons = self.next_beacons(now);
            let ack = self.page.accept(&batch, self.true_now(now));
            self.page_lane.acked(&ack, &self.folds, now.mono);
        }
        self.page.tick(self.true_now(now));
    }

    fn is_offline(&self, now: MonoMs) -> bool {
        let gone =
            |since: Option<MonoMs>| since.is_some_and(|since| now.since(since) >= OFFLINE_AFTER_MS);
        self.records
            .as_ref()
            .is_some_and(|records| gone(records.down_since()))
            || (!self.regions.is_empty() && self.regions.iter().all(|lane| gone(lane.down_since())))
    }

    fn note_offline(&mut self, now: Now) {
        let down: Vec<_> = self
            .links()
            .filter(|(_, _, since)| since.is_some())
            .collect();
        self.missed_since
            .retain(|peer, _| down.iter().any(|(kind, index, _)| (*kind, *index) == *peer));
        for (kind, index, _) in down {
            self.missed_since.entry((kind, index)).or_insert(now.wall);
        }
        if self.is_offline(now.mono) {
            self.was_offline = true;
        } else if self.was_offline && self.unsent().records == 0 {
            self.was_offline = false;
        }
    }
}
