use std::collections::BTreeMap;

use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{
    ChatMessage, Count, Event, EventType, FieldFault, FieldSource, InventoryReceived, Line, Minor,
    PaymentCaptured, Value,
};
use popwatch_core::id::{EventId, OrderId, PaymentId, PaymentMethod, PopupId, Sku, Source};
use popwatch_core::invariant;
use popwatch_core::money::Currency;
use popwatch_core::record::{Content, Draft, Flags, Record, Stamp, encode, event_key};
use popwatch_redact::proof::{Redacted, own};

use super::format::parse_frame;
use super::totals::{Stated, Sums};
use super::*;
use crate::fs::faulty::{Dice, Fault, FaultFs};

mod crash;
mod damage;
mod fork;
mod full;
mod harm;
mod loss;
mod resent;
mod rows;
mod shipping;
mod trim;

const JOURNAL: JournalId = JournalId([0xA1; 16]);
const WALL: i64 = 1_700_000_000_000;

fn stamp() -> Stamp {
    Stamp {
        mono_ns: 1,
        wall_ms: WALL,
        time_ms: None,
        age_ms: None,
    }
}

fn opening(seed: u8) -> Opening {
    let mut next = 0u8;
    Opening {
        rig: RigId::new("till-1").unwrap(),
        fresh: Fresh {
            journal_id: JOURNAL,
            epoch_id: Box::new(move || {
                next += 1;
                let mut id = [seed; 16];
                id[15] = next;
                EpochId(id)
            }),
        },
        boot_id: BootId([7; 16]),
        version: "0.1.0".into(),
        stamp: stamp(),
        popups: vec![PopupPolicy {
            popup: "stall".into(),
            version: 1,
            digest: vec![1; 32],
            starts_ms: WALL,
            ends_ms: WALL + 1,
            ..PopupPolicy::default()
        }],
        segment_bytes: 16 << 10,
    }
}

#[track_caller]
fn open(fs: &FaultFs, seed: u8) -> (Journal<FaultFs>, Recovery) {
    Journal::open(fs.clone(), opening(seed)).unwrap()
}

fn key_of(id: &str) -> [u8; 12] {
    let mut key = [0; 32];
    key.iter_mut()
        .zip(JOURNAL.0.iter().cycle())
        .for_each(|(to, from)| *to = *from);
    event_key(&key, &source(), &EventId::new(id).unwrap())
}

fn source() -> Source {
    Source::new("till").unwrap()
}

fn draft(id: &str, popup: &str, event: Event, content: u64) -> Redacted<Draft> {
    let record = Record {
        event,
        popup: Some(PopupId::new(popup).unwrap()),
        source: source(),
        id: EventId::new(id).unwrap(),
        stamp: stamp(),
        beyond: None,
        content: Content((content + 1).to_be_bytes()),
        policy_version: 1,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    };
    own(record, key_of(id))
}

fn captured(id: &str, minor: i64, code: &str) -> Event {
    Event::PaymentCaptured(PaymentCaptured {
        payment: PaymentId::new(id).unwrap(),
        order: OrderId::new(id).unwrap(),
        amount: Minor(minor),
        currency: Currency::new(code).unwrap(),
        method: PaymentMethod::new("cash").unwrap(),
        provider: None,
        provider_ref: None,
        offline: None,
        tip: Some(Minor(minor / 10)),
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: Some(vec![Line {
            sku: Sku::new("mug").unwrap(),
            qty: 2,
            amount: minor,
            creator: None,
        }]),
    })
}

/// A sale of `minor` euro cents.
fn sale(id: &str, minor: i64) -> Redacted<Draft> {
    draft(
        id,
        "stall",
        captured(id, minor, "EUR"),
        u64::try_from(minor).unwrap(),
    )
}

struct Chat;
impl FieldSource for Chat {
    fn take(
        &mut self,
        field: &'static popwatch_core::event::Field,
    ) -> Result<Option<Value>, FieldFault> {
        Ok(field.required.then(|| Value::Text("x".into())))
    }
}

fn chat(id: &str) -> Redacted<Draft> {
    let event = Event::read(EventType::ChatMessage, &mut Chat).unwrap();
    assert!(matches!(event, Event::ChatMessage(ChatMessage { .. })));
    draft(id, "stall", event, 1)
}

fn stock(id: &str, qty: i64) -> Redacted<Draft> {
    let event = Event::InventoryReceived(InventoryReceived {
        sku: Sku::new("mug").unwrap(),
        qty: Count(qty),
        to: None,
        reason: None,
    });
    draft(id, "stall", event, u64::try_from(qty).unwrap())
}

/// Everything durable, by position, gaps and voids aside; and the gaps per epoch.
type Held = BTreeMap<(u32, u64), Vec<u8>>;
/// Lost ranges per epoch.
type Named = BTreeMap<u32, Vec<(u64, u64)>>;
fn held(journal: &mut Journal<FaultFs>) -> (Held, Named) {
    let (mut frames, mut gaps) = (Held::new(), Named::new());
    for info in journal.epochs() {
        let (mut seqs, mut named, mut voids) = (Vec::new(), Vec::new(), Vec::new());
        let mut from = Seq(1);
        loop {
            let items = journal.read(info.epoch, from, 10_000).unwrap();
            if items.is_empty() {
                break;
            }
            for item in items {
                match item {
                    ReadItem::Frame { seq, frame, .. } => {
                        parse_frame(&frame, &info.epoch_id).unwrap();
                        frames.insert((info.epoch.0, seq.0), frame);
                        seqs.push(seq.0);
                        from = seq.next();
                    }
                    ReadItem::Gap(gap) => {
                        named.push((gap.first, gap.last));
                        from = Seq(gap.last + 1);
                    }
                    ReadItem::Void { first, last } => {
                        assert!(info.void);
                        voids.push((first.0, last.0));
                        from = last.next();
                    }
                }
            }
        }
        voids.extend(&named);
        invariant::seqs_dense(info.last_seq.0, seqs, &voids).unwrap();
        gaps.insert(info.epoch.0, named);
    }
    (frames, gaps)
}

/// The ids of all client events that can be read back.
fn ids(frames: &Held) -> Vec<String> {
    let records = frames
        .values()
        .map(|frame| popwatch_core::record::decode(&frame[32..]).unwrap());
    records
        .filter(|record| !matches!(record.event, Event::System(_)))
        .map(|record| record.id.to_string())
        .collect()
}

fn place(verdict: &Verdict) -> (u32, u64) {
    let position = match verdict {
        Verdict::Accepted(position) => position.get(),
        Verdict::Duplicate(position) | Verdict::Conflict { first: position } => position,
        Verdict::TooLarge | Verdict::PopupsFull | Verdict::Shed(_) => panic!("not kept"),
    };
    (position.epoch.0, position.seq.0)
}

fn systems(records: &[Committed]) -> Vec<&'static str> {
    records
        .iter()
        .filter(|one| matches!(one.record.event, Event::System(_)))
        .map(|one| one.record.event.type_name())
        .collect()
}

/// An open `popup` extension must not let a stranger's tool grow the journal's memory for ever.
#[test]
fn a_rig_opens_a_bounded_number_of_popups() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let room = popwatch_core::limits::POPUPS_OPEN_MAX - journal.popups().len();
    let open_one = |number: usize| {
        let (id, popup) = (format!("sale-{number}"), format!("popup-{number}"));
        draft(&id, &popup, captured(&id, 1, "EUR"), 1)
    };
    let drafts = (0..room + 2).map(open_one).collect();
    let verdicts = journal.append(drafts, stamp()).unwrap().verdicts;
    let full: Vec<bool> = verdicts
        .iter()
        .map(|one| *one == Verdict::PopupsFull)
        .collect();
    assert_eq!(full, [vec![false; room], vec![true; 2]].concat());
    let again = journal
        .append(vec![open_one(room), open_one(0)], stamp())
        .unwrap();
    assert_eq!(again.verdicts[0], Verdict::PopupsFull);
    assert!(matches!(again.verdicts[1], Verdict::Duplicate(_)));
}

#[test]
fn a_first_start_states_itself_and_its_policies() {
    let fs = FaultFs::new(1);
    let (journal, recovery) = open(&fs, 1);
    assert_eq!(
        systems(&recovery.records),
        ["rig.started", "policy.applied"]
    );
    assert_eq!(journal.head().get().seq, Seq(2));
    assert_eq!(recovery.previous, None);
    assert_eq!(fs.syncs(), 1);
    drop(journal);
    assert!(fs.lock().is_ok());
    let (second, recovery) = open(&fs, 2);
    assert_eq!(second.head().get().epoch, Epoch(2));
    assert!(!recovery.clean);
    assert!(matches!(
        Journal::open(fs.clone(), opening(3)),
        Err(OpenError::Locked)
    ));
}

#[test]
fn records_carry_seq_totals_and_one_sync_per_commit() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let before = fs.syncs();
    let batch = vec![sale("a", 500), chat("b"), sale("c", 250), stock("d", 7)];
    let commit = journal.append(batch, stamp()).unwrap();
    assert_eq!(fs.syncs(), before + 1);
    let places: Vec<_> = commit.verdicts.iter().map(place).collect();
    assert_eq!(places, [(1, 3), (1, 4), (1, 5), (1, 6)]);
    let totals = |at: usize| commit.records[at].record.totals.clone();
    assert_eq!(
        (totals(0)[0].n, totals(0)[0].captured, totals(0)[0].tip),
        (1, 500, 50)
    );
    assert!(totals(1).is_empty());
    assert_eq!(
        (totals(2)[0].n, totals(2)[0].captured, totals(2)[0].units),
        (2, 750, 4)
    );
    assert_eq!((&*totals(3)[0].currency, totals(3)[0].units), ("XXX", 7));
    // What was handed out is what stands on disk.
    let (frames, _) = held(&mut journal);
    for one in &commit.records {
        let frame = &frames[&(one.epoch.0, one.seq.0)];
        let stored = popwatch_core::record::decode(&frame[32..]).unwrap();
        let (stored, told) = (encode(&stored), encode(&one.record));
        assert_eq!(stored, told);
    }
}

#[test]
fn an_unknown_popup_is_implied_once_for_its_utc_day() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let batch = vec![
        draft("a", "elsewhere", captured("a", 1, "EUR"), 1),
        draft("b", "elsewhere", captured("b", 1, "EUR"), 1),
    ];
    let commit = journal.append(batch, stamp()).unwrap();
    assert_eq!(systems(&commit.records), ["policy.implied"]);
    let Event::System(SystemEvent::PolicyImplied(policy)) = &commit.records[0].record.event else {
        panic!("the policy comes before what it is for");
    };
    assert_eq!(policy.starts_ms, WALL / 86_400_000 * 86_400_000);
    assert_eq!(policy.ends_ms - policy.starts_ms, 86_400_000);
    drop(journal);
    let (_, recovery) = open(&fs, 2);
    assert_eq!(
        systems(&recovery.records),
        ["rig.started", "policy.implied", "policy.applied"]
    );
}

#[test]
fn repeats_and_conflicts_are_known_across_batches_segments_and_restarts() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let commit = journal
        .append(
            vec![sale("a", 5), sale("a", 5), sale("a", 6), sale("a", 6)],
            stamp(),
        )
        .unwrap();
    let first = place(&commit.verdicts[0]);
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    assert!(matches!(commit.verdicts[1], Verdict::Duplicate(_)));
    assert!(matches!(commit.verdicts[2], Verdict::Conflict { .. }));
    assert!(
        commit
            .verdicts
            .iter()
            .all(|verdict| place(verdict) == first)
    );
    assert_eq!(systems(&commit.records), ["rig.conflict"]);
    let Event::System(SystemEvent::RigConflict(conflict)) = &commit.records[1].record.event else {
        panic!("a conflict follows what it conflicts with");
    };
    assert_eq!(
        (conflict.epoch, conflict.seq, conflict.amount),
        (first.0, first.1, 6)
    );
    for n in 0..200 {
        journal
            .append(vec![sale(&format!("n{n}"), n)], stamp())
            .unwrap();
    }
    assert!(journal.segments() > 3);
    drop(journal);
    let (mut journal, _) = open(&fs, 2);
    for (minor, conflicts) in [(5, 0), (6, 0), (7, 1), (7, 0)] {
        let commit = journal.append(vec![sale("a", minor)], stamp()).unwrap();
        assert_eq!(place(&commit.verdicts[0]), first);
        assert_eq!(commit.records.len(), conflicts, "{minor}");
    }
    for n in 0..200 {
        let commit = journal
            .append(vec![sale(&format!("n{n}"), n)], stamp())
            .unwrap();
        assert!(matches!(commit.verdicts[0], Verdict::Duplicate(_)), "{n}");
    }
    // At most sixteen conflicts of one key are written down.
    let others = (100..140).map(|minor| sale("a", minor)).collect();
    let commit = journal.append(others, stamp()).unwrap();
    let written = systems(&commit.records)
        .into_iter()
        .filter(|name| *name == "rig.conflict");
    assert_eq!(
        written.count(),
        popwatch_core::limits::CONFLICTS_PER_KEY_MAX - 2
    );
}

#[test]
fn a_seal_comes_only_after_other_records_and_keeps_what_was_acknowledged() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    // What opens an epoch is no other record: an idle rig writes nothing.
    assert!(journal.seal(stamp()).unwrap().records.is_empty());
    // The end of a popup is: nobody knows else that nothing came after what was heard last.
    let over = Stamp {
        wall_ms: WALL + 1,
        ..stamp()
    };
    let commit = journal.seal(over).unwrap();
    assert_eq!(systems(&commit.records), ["rig.seal"]);
    assert!(journal.seal(over).unwrap().records.is_empty());
    journal.append(vec![sale("a", 5)], stamp()).unwrap();
    let acked = vec![Acked {
        epoch: 1,
        epoch_id: vec![1; 16],
        trunk_seq: 3,
        bulk_seq: 2,
    }];
    journal.set_acked(acked.clone());
    let commit = journal.seal(stamp()).unwrap();
    let Event::System(SystemEvent::RigSeal(seal)) = &commit.records[0].record.event else {
        panic!("a seal");
    };
    assert_eq!(seal.totals.len(), 1);
    assert_eq!(seal.counts, [3, 1, 0, 0, 0]);
    assert_eq!(
        systems(&journal.stop(stamp()).unwrap().records),
        ["rig.stopped"]
    );
    assert!(matches!(
        journal.append(Vec::new(), stamp()),
        Err(AppendError::Stopped)
    ));
    drop(journal);
    let (journal, recovery) = open(&fs, 2);
    assert!(recovery.clean);
    assert_eq!(journal.acked(), acked);
    let Event::System(SystemEvent::RigStarted(started)) = &recovery.records[0].record.event else {
        panic!("a start");
    };
    assert_eq!((started.previous_epoch, started.previous_last_seq), (1, 6));
    assert_eq!(started.previous_totals[0].captured, 5);
    assert_eq!(started.previous_chain_trunk.len(), 32);
}

#[test]
fn a_failed_sync_opens_a_new_epoch_and_appends_again() {
    let fs = FaultFs::new(3);
    let (mut journal, _) = open(&fs, 1);
    let first = journal.append(vec![sale("a", 5)], stamp()).unwrap();
    fs.fail_at(fs.ops() + 1, Fault::Io);
    let commit = journal.append(vec![sale("b", 6)], stamp()).unwrap();
    assert_eq!(place(&commit.verdicts[0]), (2, 3));
    assert_eq!(systems(&commit.records), ["rig.started", "policy.applied"]);
    let Event::System(SystemEvent::RigStarted(started)) = &commit.records[0].record.event else {
        panic!("a start");
    };
    assert_eq!(
        (started.reason.as_str(), started.previous_last_seq),
        ("sync_failed", 3)
    );
    let origin = commit.records[2].record.origin.unwrap();
    assert_eq!((origin.epoch, origin.seq), (1, 4));
    // The void frame of the first try is no repeat and is not read.
    let (frames, _) = held(&mut journal);
    assert_eq!(ids(&frames), ["a", "b"]);
    drop(journal);
    let (mut journal, _) = open(&fs, 2);
    let (frames, _) = held(&mut journal);
    assert_eq!(ids(&frames), ["a", "b"]);
    for (id, at) in [("a", place(&first.verdicts[0])), ("b", (2, 3))] {
        let again = journal
            .append(vec![sale(id, if id == "a" { 5 } else { 6 })], stamp())
            .unwrap();
        assert_eq!(place(&again.verdicts[0]), at);
    }
}

#[test]
fn a_full_disk_burns_no_seq_and_is_left_behind() {
    let fs = FaultFs::new(3);
    let (mut journal, _) = open(&fs, 1);
    let mut n = 0;
    let used: u64 = fs
        .names()
        .iter()
        .map(|name| fs.bytes(name).unwrap().len() as u64)
        .sum();
    fs.capacity(used);
    let refused = loop {
        n += 1;
        match journal.append(vec![sale(&format!("s{n}"), 1)], stamp()) {
            Ok(_) => {}
            Err(AppendError::NotDurable(error)) => break error,
            Err(AppendError::Stopped) => unreachable!("nobody stopped it"),
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert!(journal.cannot_store());
    assert!(journal.append(vec![sale("more", 1)], stamp()).is_err());
    fs.capacity(u64::MAX);
    let commit = journal
        .append(vec![sale(&format!("s{n}"), 1)], stamp())
        .unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    let (frames, gaps) = held(&mut journal);
    assert_eq!(ids(&frames).len(), n);
    assert!(gaps.values().all(Vec::is_empty));
}
