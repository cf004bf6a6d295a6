//! One real trading day, delivered in every way a network can: cut anywhere, in any order, again and
//! again. Books and region end the same.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use popwatch_core::cell::{CellKey, Digest};
use popwatch_core::event::Cursor;
use popwatch_core::fold::EpochFold;
use popwatch_core::id::{JournalId, PopupId, RegionId, RigId, Seq, Source};
use popwatch_core::lane::{CellBatch, FRAME_HEADER_BYTES, PROTOCOL, RecordBatch};
use popwatch_core::ledger::root::Root;
use popwatch_core::limits::{BATCH_BYTES_MAX, SEGMENT_BYTES};
use popwatch_core::record::{self, Record};
use popwatch_core::region::Region;
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_redact::apply::Plan as Kept;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_store::books::Books;
use popwatch_store::fs::faulty::{Dice, FaultFs};
use popwatch_store::journal::{EpochInfo, Journal, ReadItem};
use popwatch_wire::door::{Admission, Arrival, Door, Request};
use popwatch_wire::sales_file::{CurrencyRule, Day, Durations, Plan, RIGS, ShelfPlan};

use crate::table::Row;
use crate::{sample, shell};

const ASSETS: &str = "crates/popwatch/assets";
const POPUP: &str = "rehearsal";
const SHUFFLES: u64 = 200;

/// What a delivery ends in.
#[derive(PartialEq)]
struct End {
    root: Root,
    entries: u64,
    breaks: usize,
    digests: BTreeMap<CellKey, (u64, Digest)>,
    refold: BTreeMap<CellKey, (u64, Digest)>,
}

/// One rig's day.
struct Rig {
    journal: Journal<FaultFs>,
    info: EpochInfo,
    records: Vec<(Seq, Record)>,
}

pub(super) fn rows(quick: bool) -> Result<Vec<Row>> {
    let mut rigs = day()?;
    let shuffles = if quick { SHUFFLES / 20 } else { SHUFFLES };
    let expect = deliver(&mut rigs, None)?;
    let (mut books, mut cells) = (0, 0);
    for seed in 0..shuffles {
        let end = deliver(&mut rigs, Some(Dice(seed)))?;
        let same = (end.root == expect.root, end.entries, end.breaks);
        books += usize::from(same != (true, expect.entries, expect.breaks));
        cells += usize::from(end.digests != expect.digests);
    }
    let records: usize = rigs.iter().map(|rig| rig.records.len()).sum();
    let differ = expect
        .digests
        .iter()
        .filter(|(key, held)| expect.refold.get(key) != Some(held));
    Ok(vec![
        Row::note("deliveries: records of the day", records),
        Row::note(
            "deliveries: entries in the books",
            usize::try_from(expect.entries)?,
        ),
        Row::note(
            "deliveries: shuffles, splits and repeats",
            usize::try_from(shuffles)?,
        ),
        Row::count("deliveries: other books", books, 0),
        Row::count("deliveries: other cells at the region", cells, 0),
        Row::count(
            "deliveries: cells that differ from the re-fold",
            differ.count(),
            0,
        ),
    ])
}

/// The day's events, through the door into a journal per rig.
fn day() -> Result<Vec<Rig>> {
    let read = |name: &str| {
        let path = shell::root().join(ASSETS).join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let day = Day::read(&read("online_retail/2011-12-05.csv")?)?;
    let durations = Durations::parse(&String::from_utf8(read("durations/ycsb_counts.csv")?)?)?;
    let plan = Plan {
        source: Source::new("/replay/day")?,
        popup: PopupId::new(POPUP)?,
        starts: WallMs(sample::WALL_MS),
        hours: 3,
        currency: CurrencyRule::Pounds,
    };
    let shelf = ShelfPlan::of(&day);
    let mut dealt: Vec<Vec<_>> = (0..RIGS).map(|_| Vec::new()).collect();
    for document in &day.documents {
        let events = plan.events(&day, document, &durations)?;
        dealt
            .get_mut(usize::from(document.rig_index))
            .context("a rig per document")?
            .extend(events);
    }
    let first = dealt.first_mut().context("a day has a rig")?;
    first.splice(0..0, shelf.opening(&plan, &day));
    first.extend(shelf.closing(&plan, &day));
    let rigs = dealt.into_iter().enumerate();
    let events = rigs.map(|(index, mut events)| {
        events.sort_by_key(|event| event.time);
        let events = events.into_iter().map(|event| event.event.to_string());
        rig(&format!("rig-{index}"), &events.collect::<Vec<_>>())
    });
    events.collect()
}

fn rig(name: &str, events: &[String]) -> Result<Rig> {
    let opening = sample::opening(name, 1, SEGMENT_BYTES)?;
    let (mut journal, _) = Journal::open(FaultFs::new(1), opening)?;
    let door = door(name, journal.journal_id())?;
    for some in events.chunks(100) {
        let body = some.join("\n");
        let request = Request {
            content_type: Some("application/x-ndjson"),
            body: body.as_bytes(),
            ..Request::default()
        };
        let arrival = Arrival {
            mono_ns: 1,
            wall_ms: now().wall.0,
            local_sender: true,
        };
        let Ok(admissions) = door.admit(&request, arrival) else {
            bail!("the door refused a part of the day");
        };
        let drafts = admissions.into_iter().map(|one| match one {
            Admission::Ready(draft) => Ok(draft),
            Admission::Rejected { id, problem } => bail!("{id:?} was refused: {problem:?}"),
        });
        journal.append(drafts.collect::<Result<Vec<_>>>()?, sample::stamp(0))?;
    }
    let info = *journal.epochs().first().context("a journal has an epoch")?;
    let (mut records, mut from) = (Vec::new(), Seq(1));
    while from <= info.last_seq {
        for item in journal.read(info.epoch, from, 1 << 20)? {
            from = item.last_seq().next();
            if let ReadItem::Frame { seq, frame, .. } = item {
                let payload = frame.get(FRAME_HEADER_BYTES..).unwrap_or_default();
                records.push((seq, record::decode(payload)?));
            }
        }
    }
    Ok(Rig {
        journal,
        info,
        records,
    })
}

fn door(rig: &str, journal_id: JournalId) -> Result<Door> {
    Ok(Door {
        rig: RigId::new(rig)?,
        journal_id,
        default_popup: None,
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: Kept::default(),
    })
}

fn now() -> Now {
    Now {
        wall: WallMs(sample::WALL_MS + 4 * 3_600_000),
        mono: MonoMs(1),
    }
}

/// Delivers the day: whole and in order, or cut, repeated and shuffled by the dice.
fn deliver(rigs: &mut [Rig], mut dice: Option<Dice>) -> Result<End> {
    let (mut batches, mut cells) = (Vec::new(), Vec::new());
    for rig in rigs {
        for cursor in Cursor::ALL {
            batches.extend(rig.batches(cursor, &mut dice)?);
        }
        cells.extend(rig.cells(&mut dice)?);
    }
    if let Some(dice) = &mut dice {
        disturb(&mut batches, dice);
        disturb(&mut cells, dice);
    }
    let mut books = Books::open_memory()?;
    for batch in &batches {
        books.accept(batch, now())?;
    }
    let mut region = Region::new(RegionId([9; 16]));
    for batch in &cells {
        let ack = region.accept(batch, now());
        if let Some(refused) = ack.refused.first() {
            bail!("the region refused a cell: {}", refused.code);
        }
    }
    let popup = PopupId::new(POPUP)?;
    let view = books.books(&popup)?;
    let refold = books.refold(&popup)?;
    Ok(End {
        root: view.books_root,
        entries: view.entries,
        breaks: books.breaks(&popup)?.len(),
        digests: region.digests(POPUP),
        refold: refold
            .into_iter()
            .map(|(key, state)| (key, (state.version, state.digest)))
            .collect(),
    })
}

/// Repeats a third and shuffles all.
fn disturb<T: Clone>(things: &mut Vec<T>, dice: &mut Dice) {
    let repeats: Vec<T> = things
        .iter()
        .filter(|_| dice.below(3) == 0)
        .cloned()
        .collect();
    things.extend(repeats);
    for at in (1..things.len()).rev() {
        things.swap(at, dice.index(at + 1));
    }
}

impl Rig {
    fn batches(&mut self, cursor: Cursor, dice: &mut Option<Dice>) -> Result<Vec<RecordBatch>> {
        let (mut from, mut batches) = (Seq(1), Vec::new());
        while from <= self.info.last_seq {
            let items = dice.as_mut().map_or(1_000, |dice| 1 + dice.index(200));
            let bytes = BATCH_BYTES_MAX / 2;
            let parts = self
                .journal
                .batch(self.info.epoch, cursor, from, items, bytes)?;
            from = parts.last_seq.next();
            batches.push(RecordBatch {
                protocol: PROTOCOL,
                rig: self.journal.rig().to_string(),
                journal_id: self.journal.journal_id().0.to_vec(),
                epoch: self.info.epoch.0,
                epoch_id: self.info.epoch_id.0.to_vec(),
                cursor: cursor as u32,
                first_seq: parts.first_seq.0,
                items: parts.items,
                chain_before: parts.chain_before.map(Vec::from).unwrap_or_default(),
                chain_after: parts.chain_after.map(Vec::from).unwrap_or_default(),
                ..RecordBatch::default()
            });
        }
        Ok(batches)
    }

    /// Newest cells, looked at once at the end or now and then.
    fn cells(&self, dice: &mut Option<Dice>) -> Result<Vec<CellBatch>> {
        let rig = self.journal.rig().clone();
        let mut fold = EpochFold::new(rig, self.info.epoch, self.info.epoch_id);
        let mut batches = Vec::new();
        for (seq, record) in &self.records {
            if fold.apply(*seq, record) == popwatch_core::fold::Step::Rebucket {
                bail!("a day without anchors asks for a re-fold");
            }
            if dice.as_mut().is_some_and(|dice| dice.below(50) == 0) {
                batches.push(self.changed(&mut fold));
            }
        }
        batches.push(self.changed(&mut fold));
        Ok(batches)
    }

    fn changed(&self, fold: &mut EpochFold) -> CellBatch {
        let changed = fold.take_changed();
        let cells = changed
            .iter()
            .filter_map(|(popup, minute)| fold.cell(popup, *minute));
        CellBatch {
            protocol: PROTOCOL,
            sender: self.journal.rig().to_string(),
            cells: cells
                .map(popwatch_core::cell::Cell::encode_canonical)
                .collect(),
            ..CellBatch::default()
        }
    }
}
