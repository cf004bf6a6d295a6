//! The cells lane against folds of real records and a region of its own.

use super::*;
use crate::event::system::SystemEvent;
use crate::event::{Event, EventType, FieldFault, FieldSource, Value};
use crate::fold::Step;
use crate::id::{EventId, Source};
use crate::record::{Content, Flags, Record, Stamp};
use crate::region::Region;
use crate::time::WallMs;
use alloc::vec;

const M0: i64 = 60_000 * 29_000_000;

struct Data(Vec<(&'static str, Value)>);

impl FieldSource for Data {
    fn take(&mut self, field: &'static crate::event::Field) -> Result<Option<Value>, FieldFault> {
        let of = self.0.iter().find(|(name, _)| *name == field.name);
        Ok(of.map(|(_, value)| value.clone()))
    }
}

fn popup() -> PopupId {
    PopupId::new("fri").unwrap()
}

fn record(event: Event, minute: i64) -> Record {
    Record {
        event,
        popup: Some(popup()),
        source: Source::new("s").unwrap(),
        id: EventId::new("i").unwrap(),
        stamp: Stamp {
            wall_ms: M0 + minute * 60_000,
            ..Stamp::default()
        },
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    }
}

fn sale(minute: i64, payment: &str) -> Record {
    let text = |text: &str| Value::Text(text.into());
    let data = vec![
        ("payment", text(payment)),
        ("order", text(payment)),
        ("amount", Value::Int(100)),
        ("currency", text("GBP")),
        ("method", text("card")),
    ];
    let event = Event::read(EventType::PaymentCaptured, &mut Data(data)).unwrap();
    record(event, minute)
}

fn start(minute: i64) -> Record {
    let text = |text: &str| Value::Text(text.into());
    let data = vec![("checkout", text("c"))];
    let event = Event::read(EventType::CheckoutStarted, &mut Data(data)).unwrap();
    record(event, minute)
}

fn policy() -> Record {
    let policy = PopupPolicy {
        popup: popup().as_str().into(),
        version: 1,
        starts_ms: M0 - 3_600_000,
        ends_ms: M0 + 86_400_000,
        ..PopupPolicy::default()
    };
    record(Event::System(SystemEvent::PolicyApplied(policy)), 0)
}

fn rig() -> RigId {
    RigId::new("till-1").unwrap()
}

fn fold_of(epoch: u32, records: &[Record]) -> EpochFold {
    let mut fold = EpochFold::new(
        rig(),
        Epoch(epoch),
        EpochId([u8::try_from(epoch).unwrap(); 16]),
    );
    let all = core::iter::once(policy()).chain(records.iter().cloned());
    for (seq, record) in (1..).zip(all) {
        apply(&mut fold, Seq(seq), &record);
    }
    fold
}

fn apply(fold: &mut EpochFold, seq: Seq, record: &Record) {
    assert_eq!(fold.apply(seq, record), Step::Folded);
}

fn now(ms: u64) -> Now {
    Now {
        wall: WallMs(M0),
        mono: MonoMs(ms),
    }
}

fn minutes(batch: &CellBatch) -> Vec<i64> {
    let cells = batch.cells.iter();
    let minute =
        |bytes: &Vec<u8>| i64::from(Cell::decode_canonical(bytes).unwrap().minute) - M0 / 60_000;
    cells.map(minute).collect()
}

/// Greets a region and hands the lane its answer.
fn greeted(folds: &Folds, region: &mut Region) -> CellsUp {
    let mut lane = CellsUp::new(rig(), 100);
    let hello = lane.poll(folds, now(0)).unwrap();
    lane.acked(&region.accept(&hello, now(0)), folds, MonoMs(0));
    lane
}

fn region() -> Region {
    Region::new(RegionId([1; 16]))
}

#[test]
fn the_newest_two_minutes_go_first_then_money_then_the_rest() {
    let records = [
        sale(1, "a"),
        start(2),
        sale(3, "b"),
        start(4),
        start(5),
        start(6),
    ];
    let folds = Folds::from([(Epoch(1), fold_of(1, &records))]);
    let mut lane = greeted(&folds, &mut region());
    let batch = lane.poll(&folds, now(200)).unwrap();
    assert_eq!(minutes(&batch), [6, 5, 3, 1, 4, 2]);
}

/// A till that was away for a day sends many batches; a sale made meanwhile is in the next one.
#[test]
fn a_live_cell_goes_before_the_rest_of_a_long_set() {
    let records: Vec<Record> = (0..1_500).map(start).collect();
    let mut folds = Folds::from([(Epoch(1), fold_of(1, &records))]);
    let mut region = region();
    let mut lane = greeted(&folds, &mut region);
    let first = lane.poll(&folds, now(200)).unwrap();
    assert_eq!(first.cells.len(), BATCH_CELLS_MAX);
    lane.acked(&region.accept(&first, now(210)), &folds, MonoMs(210));
    let fold = folds.get_mut(&Epoch(1)).unwrap();
    let next = fold.head().next();
    apply(fold, next, &sale(1_500, "live"));
    lane.changed(MonoMs(211));
    let second = lane.poll(&folds, now(212)).unwrap();
    assert_eq!(minutes(&second).first(), Some(&1_500));
}

#[test]
fn a_slow_link_is_left_to_the_records_for_three_quarters() {
    let mut folds = Folds::from([(Epoch(1), fold_of(1, &[start(0)]))]);
    let mut region = region();
    let mut lane = greeted(&folds, &mut region);
    let batch = lane.poll(&folds, now(200)).unwrap();
    // The hello took no time; this took a second.
    lane.acked(&region.accept(&batch, now(1_200)), &folds, MonoMs(1_200));
    let fold = folds.get_mut(&Epoch(1)).unwrap();
    let next = fold.head().next();
    apply(fold, next, &start(0));
    lane.changed(MonoMs(1_200));
    assert_eq!(lane.deadline(), Some(MonoMs(1_200 + 3_000)));
    assert_eq!(lane.poll(&folds, now(4_199)), None);
    let batch = lane.poll(&folds, now(4_200)).unwrap();
    lane.acked(&region.accept(&batch, now(60_000)), &folds, MonoMs(60_000));
    let fold = folds.get_mut(&Epoch(1)).unwrap();
    let next = fold.head().next();
    apply(fold, next, &start(0));
    lane.changed(MonoMs(60_000));
    assert_eq!(
        lane.set_due_at(),
        Some(MonoMs(65_000)),
        "never longer than five seconds"
    );
}

#[test]
fn wishes_of_the_region_are_obeyed() {
    let records: Vec<Record> = (0..1_024).map(start).collect();
    let folds = Folds::from([(Epoch(1), fold_of(1, &records))]);
    let mut region = region();
    let mut lane = greeted(&folds, &mut region);
    let batch = lane.poll(&folds, now(200)).unwrap();
    lane.failed(PeerFault::TooLarge, MonoMs(200));
    drop(batch);
    assert_eq!(lane.bytes_max, CELLS_BYTES_MAX / 2);
    let batch = lane.poll(&folds, now(60_000)).unwrap();
    let mut ack = region.accept(&batch, now(60_000));
    (ack.max_bytes, ack.delay_ms) = (70_000, 90_000);
    lane.acked(&ack, &folds, MonoMs(60_000));
    assert_eq!(lane.bytes_max, 70_000);
    assert!(lane.deadline() >= Some(MonoMs(120_000)));
}

/// The bug: a region that held more of a life than a journal restored from a backup was sent that
/// life again and again.
#[test]
fn a_region_that_holds_more_is_left_alone() {
    let whole = Folds::from([(Epoch(1), fold_of(1, &[sale(0, "a"), sale(1, "b")]))]);
    let mut region = region();
    let mut lane = greeted(&whole, &mut region);
    let batch = lane.poll(&whole, now(200)).unwrap();
    lane.acked(&region.accept(&batch, now(200)), &whole, MonoMs(200));
    let restored = Folds::from([
        (Epoch(1), fold_of(1, &[sale(0, "a")])),
        (Epoch(2), fold_of(2, &[])),
    ]);
    let mut lane = greeted(&restored, &mut region);
    let batch = lane.poll(&restored, now(400)).unwrap();
    lane.acked(&region.accept(&batch, now(400)), &restored, MonoMs(400));
    assert!(lane.is_level(&restored));
}

/// A void life counts nowhere, whether its cells come before or after the word.
#[test]
fn a_void_life_counts_nowhere() {
    let forked = Folds::from([(Epoch(1), fold_of(1, &[sale(0, "a")]))]);
    let after = Folds::from([(Epoch(2), fold_of(2, &[sale(0, "a")]))]);
    let mut other = region();
    let late = {
        let mut lane = greeted(&forked, &mut other);
        lane.poll(&forked, now(200)).unwrap()
    };
    let mut region = region();
    let mut lane = greeted(&forked, &mut region);
    let batch = lane.poll(&forked, now(200)).unwrap();
    lane.acked(&region.accept(&batch, now(200)), &forked, MonoMs(200));
    lane.void(EpochId([1; 16]), MonoMs(300));
    assert!(!lane.is_level(&after));
    let batch = lane.poll(&after, now(500)).unwrap();
    lane.acked(&region.accept(&batch, now(500)), &after, MonoMs(500));
    assert!(lane.is_level(&after));
    let told = region.accept(&late, now(600));
    assert_eq!(told.have.len(), 1, "it need not be sent again");
    assert!(told.have[0].to_seq > 0);
    let digests = region.digests("fri");
    assert!(digests.keys().all(|key| key.epoch == 2) && digests.len() == 1);
    assert_eq!(region.counters().cells_void, 1);
    assert!(!region.repair("fri"));
}

/// The bug: a till that was restarted often had more lives than a region kept of one rig.
#[test]
fn lives_without_a_cell_are_not_told_of() {
    let lives = (1..=300).map(|epoch| {
        let of = u32::from(epoch % 100 == 0) * epoch;
        let sold = [sale(i64::from(of), "a")];
        let id = EpochId([u8::try_from(epoch % 251).unwrap(); 16]);
        let mut fold = EpochFold::new(rig(), Epoch(epoch), id);
        apply(&mut fold, Seq(1), &policy());
        if of > 0 {
            apply(&mut fold, Seq(2), &sold[0]);
        }
        (Epoch(epoch), fold)
    });
    let folds: Folds = lives.collect();
    let mut lane = CellsUp::new(rig(), 100);
    let hello = lane.poll(&folds, now(0)).unwrap();
    assert_eq!(hello.cuts.len(), 3);
}
