//! The real trading days through four rigs and a region, delivered as badly as it gets: every minute,
//! SKU, creator and rig ends as the sales file says, to the minor unit.

use std::collections::BTreeMap;

use popwatch_core::event::system::{ClockAnchored, PopupPolicy, RigStarted, SystemEvent};
use popwatch_core::event::{Event, EventType};
use popwatch_core::fold::{EpochFold, Step};
use popwatch_core::id::{Epoch, EpochId, EventId, PopupId, RegionId, RigId, Seq, Source};
use popwatch_core::lane::CellBatch;
use popwatch_core::record::{Content, Flags, Record, Stamp};
use popwatch_core::region::Region;
use popwatch_core::time::{Minute, MonoMs, Now, WallMs};
use popwatch_core::view::PopupView;
use popwatch_wire::json::JsonSource;
use popwatch_wire::sales_file::{CurrencyRule, Day, DocumentKind, Durations, Plan, TimedEvent};

const DAYS: [&[u8]; 2] = [
    include_bytes!("../../../popwatch/assets/online_retail/2011-12-05.csv"),
    include_bytes!("../../../../fixtures/public/online_retail/2011-12-09.csv"),
];
const DURATIONS: &str = include_str!("../../../popwatch/assets/durations/ycsb_counts.csv");
const STARTS: i64 = 29_000_000 * 60_000;
const POPUP: &str = "stall";
/// The rig whose clock is wrong until a peer tells it the time, and by how much.
const FAST: (u8, i64) = (2, 7 * 60_000);
const BOOT: [u8; 16] = [9; 16];

fn plan() -> Plan {
    Plan {
        source: Source::new("/replay").unwrap(),
        popup: PopupId::new(POPUP).unwrap(),
        starts: WallMs(STARTS),
        hours: 3,
        currency: CurrencyRule::Pounds,
    }
}

/// Gross and refund, minor units, and units sold minus returned.
type Sums = (i128, i128, i128);

/// What the file says, by minute, SKU, creator and rig.
#[derive(Debug, Default, PartialEq, Eq)]
struct Truth {
    minutes: BTreeMap<u32, Sums>,
    skus: BTreeMap<String, Sums>,
    creators: BTreeMap<String, Sums>,
    rigs: BTreeMap<String, Sums>,
}

impl Truth {
    fn of(day: &Day) -> Self {
        let mut truth = Self::default();
        for document in &day.documents {
            let sold = document.kind == DocumentKind::Sale;
            if !sold && document.kind != DocumentKind::Refund {
                continue;
            }
            let minute = Minute::of(WallMs(STARTS + day.offset_ms(document, 3))).0;
            let rig = format!("rig-{}", document.rig_index);
            for line in &document.lines {
                let minor = i128::from(line.minor);
                let sums = match sold {
                    true => (minor, 0, i128::from(line.qty)),
                    false => (0, -minor, i128::from(line.qty)),
                };
                add(truth.minutes.entry(minute).or_default(), sums);
                add(truth.skus.entry(line.sku.to_string()).or_default(), sums);
                add(
                    truth.creators.entry(line.creator.to_string()).or_default(),
                    sums,
                );
                add(truth.rigs.entry(rig.clone()).or_default(), sums);
            }
        }
        truth
    }

    /// What the region shows; minutes have no units of their own.
    fn shown(view: &PopupView) -> Self {
        let board = |rows: &[popwatch_core::view::BoardRow]| {
            let row = |row: &popwatch_core::view::BoardRow| {
                let sums = row.sums;
                (row.id.clone(), (sums.gross, sums.refund, sums.units))
            };
            rows.iter().map(row).collect()
        };
        let minutes = view.minutes.iter().filter(|point| !point.money.is_empty());
        let minute = |point: &popwatch_core::view::MinutePoint| {
            let sums = point.money[0].1;
            (point.minute, (sums.gross, sums.refund, 0))
        };
        Self {
            minutes: minutes.map(minute).collect(),
            skus: board(&view.boards.products),
            creators: board(&view.boards.creators),
            rigs: board(&view.boards.rigs),
        }
    }
}

fn add(held: &mut Sums, more: Sums) {
    *held = (held.0 + more.0, held.1 + more.1, held.2 + more.2);
}

/// One rig with the life of its journal.
struct Rig {
    fold: EpochFold,
    records: Vec<Record>,
    index: u8,
    anchored: bool,
}

impl Rig {
    fn new(index: u8, epoch: u8) -> Self {
        let rig = RigId::new(&format!("rig-{index}")).unwrap();
        let mut rig = Self {
            fold: EpochFold::new(rig, Epoch(epoch.into()), EpochId([index * 16 + epoch; 16])),
            records: Vec::new(),
            index,
            anchored: false,
        };
        let started = RigStarted {
            boot_id: BOOT.to_vec(),
            ..RigStarted::default()
        };
        rig.put(STARTS, Event::System(SystemEvent::RigStarted(started)));
        let policy = PopupPolicy {
            popup: POPUP.into(),
            version: 1,
            starts_ms: STARTS,
            ends_ms: STARTS + 3 * 3_600_000,
            ..PopupPolicy::default()
        };
        rig.put(STARTS, Event::System(SystemEvent::PolicyApplied(policy)));
        rig
    }

    /// What its wall clock shows too much.
    fn skew(&self) -> i64 {
        if self.index == FAST.0 { FAST.1 } else { 0 }
    }

    fn put(&mut self, at: i64, event: Event) {
        let system = matches!(event, Event::System(_));
        let wall_ms = at + self.skew();
        let record = Record {
            event,
            popup: (!system).then(|| PopupId::new(POPUP).unwrap()),
            source: Source::new("till").unwrap(),
            id: EventId::new("e").unwrap(),
            stamp: Stamp {
                mono_ns: u64::try_from(at - STARTS + 60_000).unwrap() * 1_000_000,
                wall_ms,
                time_ms: (!system).then_some(wall_ms),
                age_ms: None,
            },
            beyond: None,
            content: Content::default(),
            policy_version: 1,
            flags: Flags {
                local_sender: true,
                ..Flags::default()
            },
            totals: Vec::new(),
            origin: None,
        };
        self.records.push(record);
        let seq = Seq(self.records.len() as u64);
        let record = &self.records[self.records.len() - 1];
        if self.fold.apply(seq, record) == Step::Rebucket {
            let mut again = self.fold.again(seq, record);
            for (seq, record) in (1..).zip(&self.records) {
                again.apply(Seq(seq), record);
            }
            self.fold.adopt(again);
        }
    }

    /// A peer tells it the time.
    fn anchor(&mut self, at: i64) {
        let anchored = ClockAnchored {
            boot_id: BOOT.to_vec(),
            mono_ns: u64::try_from(at - STARTS + 60_000).unwrap() * 1_000_000,
            wall_us: at * 1_000,
            u_ms: 20,
            rebucket: true,
            ..ClockAnchored::default()
        };
        self.anchored = true;
        self.put(at, Event::System(SystemEvent::ClockAnchored(anchored)));
    }

    /// The bytes of the cells changed since the last time.
    fn changed(&mut self) -> Vec<Vec<u8>> {
        let changed = self.fold.take_changed();
        let cells = changed
            .iter()
            .filter_map(|(popup, minute)| self.fold.cell(popup, *minute));
        cells
            .map(popwatch_core::cell::Cell::encode_canonical)
            .collect()
    }
}

fn typed(timed: &TimedEvent) -> Event {
    let name = timed.event["type"].as_str().unwrap();
    let of = EventType::from_cloudevents(name).unwrap();
    let data = timed.event["data"].as_object().unwrap();
    Event::read(of, &mut JsonSource::new(of, data, &[])).unwrap()
}

/// Every version of every cell that the day's rigs publish, in the order of publishing.
fn published(day: &Day) -> Vec<Vec<u8>> {
    let (plan, durations) = (plan(), Durations::parse(DURATIONS).unwrap());
    let mut events: Vec<(u8, TimedEvent)> = Vec::new();
    for document in &day.documents {
        let of = plan.events(day, document, &durations).unwrap();
        events.extend(of.into_iter().map(|event| (document.rig_index, event)));
    }
    events.sort_by_key(|(_, event)| event.time);
    let mut rigs: Vec<Rig> = (0..4).map(|index| Rig::new(index, 1)).collect();
    let mut cells = Vec::new();
    let half = events.len() / 2;
    for (place, (index, event)) in events.iter().enumerate() {
        let rig = &mut rigs[usize::from(*index)];
        if place > half && rig.index == 1 && rig.fold.epoch_id() == EpochId([17; 16]) {
            cells.extend(rig.changed());
            *rig = Rig::new(1, 2);
        }
        if place > half && !rig.anchored {
            rig.anchor(event.time.0);
        }
        rig.put(event.time.0, typed(event));
        if place % 7 == 0 {
            cells.extend(rig.changed());
        }
    }
    for rig in &mut rigs {
        cells.extend(rig.changed());
    }
    cells
}

fn region_with(batches: impl Iterator<Item = Vec<Vec<u8>>>) -> (Region, Now) {
    let mut region = Region::new(RegionId([1; 16]));
    let now = Now {
        wall: WallMs(STARTS + 3 * 3_600_000),
        mono: MonoMs(1),
    };
    for cells in batches {
        let batch = CellBatch {
            sender: "hub".into(),
            cells,
            ..CellBatch::default()
        };
        assert_eq!(region.accept(&batch, now).refused, vec![]);
    }
    (region, now)
}

#[test]
fn real_days_end_as_the_file_says_however_they_are_delivered() {
    for bytes in DAYS {
        let day = Day::read(bytes).unwrap();
        let mut truth = Truth::of(&day);
        truth.minutes.values_mut().for_each(|sums| sums.2 = 0);
        let cells = published(&day);
        let (smooth, now) = region_with(cells.chunks(50).map(<[_]>::to_vec));
        let view = smooth.view(POPUP, now).unwrap();
        assert_eq!(view.counts.other, 0, "every name has its row");
        assert_eq!(Truth::shown(&view), truth);

        // Bursts in reverse, uneven, the half of them twice, cut in the middle and sent again.
        let mut bursts: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut rest = &cells[..];
        for size in (1..).map(|n| 1 + n * 37 % 90) {
            let burst;
            (burst, rest) = rest.split_at(rest.len().min(size));
            bursts.push(burst.to_vec());
            if rest.is_empty() {
                break;
            }
        }
        let (torn, whole) = (bursts.clone().into_iter().rev(), bursts.into_iter().rev());
        let torn = torn.enumerate().filter(|(place, _)| place % 2 == 0);
        let torn = torn.map(|(_, burst)| burst[..burst.len() / 2].to_vec());
        let (hostile, _) = region_with(torn.chain(whole));
        assert_eq!(hostile.recompute(POPUP, now), hostile.view(POPUP, now));
        assert_eq!(Truth::shown(&hostile.view(POPUP, now).unwrap()), truth);
        assert_eq!(hostile.cells(POPUP), smooth.cells(POPUP));
    }
}
