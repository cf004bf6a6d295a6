//! A disk that fills: levels, refusals, reserve.

use popwatch_core::limits;
use popwatch_core::shed;

use super::*;

/// As [`super::open`], with segments that hold a commit and the bound of its footer.
fn open(fs: &FaultFs, seed: u8) -> (Journal<FaultFs>, Recovery) {
    let opening = Opening {
        segment_bytes: 32 << 10,
        ..opening(seed)
    };
    Journal::open(fs.clone(), opening).unwrap()
}

/// Each call one second later.
fn later(second: &mut u64) -> Stamp {
    *second += 1;
    Stamp {
        mono_ns: *second * 1_000_000_000,
        ..stamp()
    }
}

fn used(fs: &FaultFs) -> u64 {
    let names = fs.names();
    let bytes = names
        .iter()
        .map(|name| fs.bytes(name).unwrap().len() as u64);
    bytes.sum()
}

fn big(id: &str, bytes: usize) -> Redacted<Draft> {
    let mut event = captured(id, 5, "EUR");
    let Event::PaymentCaptured(data) = &mut event else {
        unreachable!("a sale")
    };
    let line = Line {
        sku: Sku::new(&"m".repeat(60)).unwrap(),
        qty: 1,
        amount: 5,
        creator: None,
    };
    data.lines = Some(vec![line; bytes / 68]);
    draft(id, "stall", event, 5)
}

fn looked(journal: &mut Journal<FaultFs>, second: &mut u64) -> Pressure {
    // One segment of reserve a look.
    for _ in 0..limits::RESERVE_SEGMENTS_MAX {
        journal.look_at_disk(later(second));
    }
    journal.look_at_disk(later(second))
}

/// Ambient goes first, then journeys; a repeat is still a repeat, a conflict still one.
#[test]
fn a_filling_disk_refuses_chat_before_anything_else_and_repeats_stay_repeats() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut second = 0;
    assert_eq!(looked(&mut journal, &mut second).level, 0);
    let both = || vec![chat("c0"), sale("s0", 5)];
    journal.append(both(), stamp()).unwrap();
    // 4 % free.
    fs.capacity(used(&fs) * 100 / 96);
    let soon = journal.look_at_disk(Stamp {
        mono_ns: second * 1_000_000_000 + 1,
        ..stamp()
    });
    assert_eq!(soon.level, 0, "asked at most once a second");
    let low = journal.look_at_disk(later(&mut second));
    assert_eq!(low.level, shed::LEVEL_RESERVE, "{low:?}");
    assert_eq!(low.reserve_bytes, 8 * journal.segment_bytes);
    let batch = vec![chat("c0"), chat("c1"), sale("s0", 6), sale("s1", 7)];
    let commit = journal.append(batch, stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Duplicate(_)));
    assert_eq!(commit.verdicts[1], Verdict::Shed(Class::Ambient));
    assert!(matches!(commit.verdicts[2], Verdict::Conflict { .. }));
    assert!(matches!(commit.verdicts[3], Verdict::Accepted(_)));
    // Room again: the marks are left by 10 %.
    fs.capacity(u64::MAX);
    assert_eq!(journal.look_at_disk(later(&mut second)).level, 0);
    let commit = journal.append(vec![chat("c1")], stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
}

/// A small reserve is for money alone.
#[test]
fn stock_waits_when_little_reserve_is_left() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let mut second = 0;
    looked(&mut journal, &mut second);
    fs.capacity(used(&fs));
    assert_eq!(journal.look_at_disk(later(&mut second)).level, 3);
    let batch = vec![stock("d", 3), sale("s", 1)];
    let commit = journal.append(batch, stamp()).unwrap();
    assert_eq!(commit.verdicts[0], Verdict::Shed(Class::Stock));
    assert!(matches!(commit.verdicts[1], Verdict::Accepted(_)));
}

#[test]
fn after_the_first_refused_chat_ten_thousand_sales_are_still_taken() {
    let fs = FaultFs::new(1);
    let mut opening = opening(1);
    opening.segment_bytes = limits::SEGMENT_BYTES;
    let (mut journal, _) = Journal::open(fs.clone(), opening).unwrap();
    let mut second = 0;
    let full = looked(&mut journal, &mut second);
    assert_eq!(full.reserve_bytes, 64 << 20);
    fs.capacity(used(&fs));
    journal.look_at_disk(later(&mut second));
    let refused = journal.append(vec![chat("c")], stamp()).unwrap();
    assert_eq!(refused.verdicts, [Verdict::Shed(Class::Ambient)]);
    let (mut taken, mut levels) = (0, std::collections::BTreeSet::new());
    'full: for batch in 0.. {
        let drafts: Vec<_> = (0..50)
            .map(|n| big(&format!("s{batch}.{n}"), 5_700))
            .collect();
        assert!(
            drafts
                .iter()
                .all(|one| (5_500..6_000).contains(&one.get().bytes.len()))
        );
        match journal.append(drafts, stamp()) {
            Ok(commit) => {
                for verdict in &commit.verdicts {
                    assert!(matches!(verdict, Verdict::Accepted(_)));
                    taken += 1;
                }
            }
            Err(AppendError::NotDurable(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                break 'full;
            }
            Err(AppendError::Stopped) => unreachable!("nobody stopped it"),
        }
        levels.insert(journal.look_at_disk(later(&mut second)).level);
    }
    assert!(taken >= 10_000, "{taken}");
    assert_eq!(levels.into_iter().collect::<Vec<_>>(), [3]);
    let last = journal.look_at_disk(later(&mut second));
    assert_eq!((last.level, last.reserve_bytes), (4, 0));
    assert!(journal.cannot_store());
    // Room again: the same till goes on, and the reserve is filled again.
    fs.capacity(u64::MAX);
    let commit = journal.append(vec![sale("more", 1)], stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    let filled = looked(&mut journal, &mut second);
    assert_eq!((filled.level, filled.reserve_bytes), (0, 64 << 20));
    let epochs = journal.epochs();
    assert_eq!(epochs.len(), 2);
    drop(journal);
    let (journal, recovery) = open(&fs, 2);
    assert!(recovery.gaps.is_empty());
    drop(journal);
}

#[test]
fn the_reserve_outlives_a_crash_at_any_call_of_its_use() {
    let filled = || {
        let fs = FaultFs::new(9);
        let (mut journal, _) = open(&fs, 1);
        looked(&mut journal, &mut 0);
        fs.capacity(used(&fs));
        (fs, journal)
    };
    let run = |journal: &mut Journal<FaultFs>| {
        let mut acked = Vec::new();
        for n in 0..200 {
            let id = format!("s{n}");
            if journal.append(vec![sale(&id, n)], stamp()).is_ok() {
                acked.push(id);
            }
        }
        acked
    };
    let (fs, mut journal) = filled();
    let before = fs.ops();
    assert_eq!(run(&mut journal).len(), 200);
    assert!(journal.pressure().reserve_bytes < 8 * journal.segment_bytes);
    for call in 0..fs.ops() - before {
        for fault in [Fault::Io, Fault::PowerCut] {
            let (fs, mut journal) = filled();
            fs.fail_at(fs.ops() + call, fault);
            let acked = run(&mut journal);
            drop(journal);
            fs.crash();
            fs.capacity(u64::MAX);
            let (mut journal, recovery) = open(&fs, 2);
            assert!(recovery.gaps.is_empty(), "call {call}");
            let found = ids(&held(&mut journal).0);
            // What was in flight when the power went may have survived.
            assert_eq!(found.get(..acked.len()), Some(&*acked), "call {call}");
            assert!(found.len() <= acked.len() + 1, "call {call} {fault:?}");
            let used = looked(&mut journal, &mut 0);
            assert_eq!(used.reserve_bytes, 8 * journal.segment_bytes);
        }
    }
}

#[test]
fn what_popwatch_says_itself_is_numbered_kept_and_shed_by_class() {
    let fs = FaultFs::new(1);
    let (mut journal, _) = open(&fs, 1);
    let anchored = || Event::System(SystemEvent::ClockAnchored(Default::default()));
    let sampled = || {
        let sample = Event::read(EventType::RigSampled, &mut Chat).unwrap();
        (Some(PopupId::new("stall").unwrap()), sample)
    };
    let commit = journal
        .append_own(vec![(None, anchored()), sampled()], stamp())
        .unwrap();
    assert!(commit.verdicts.is_empty());
    let said: Vec<_> = commit
        .records
        .iter()
        .map(|one| one.record.clone())
        .collect();
    assert_eq!(said[0].event.type_name(), "clock.anchored");
    assert_eq!(said[1].event.type_name(), "rig.sampled");
    assert_eq!(said[0].source, said[1].source);
    assert_ne!(said[0].id, said[1].id);
    assert_eq!(said[1].policy_version, 1);
    // A failed sync gives them their place in the next epoch, with the old one as origin.
    fs.fail_at(fs.ops() + 1, Fault::Io);
    let commit = journal
        .append_own(vec![(None, anchored())], stamp())
        .unwrap();
    let last = commit.records.last().unwrap();
    assert_eq!(last.epoch, Epoch(2));
    assert_eq!(last.record.origin.map(|origin| origin.epoch), Some(1));
    let mut second = 0;
    looked(&mut journal, &mut second);
    fs.capacity(used(&fs));
    journal.look_at_disk(later(&mut second));
    let commit = journal
        .append_own(vec![sampled(), (None, anchored())], stamp())
        .unwrap();
    assert_eq!(systems(&commit.records), ["clock.anchored"]);
    assert_eq!(commit.records.len(), 1);
    journal.stop(stamp()).unwrap();
    assert!(matches!(
        journal.append_own(vec![(None, anchored())], stamp()),
        Err(AppendError::Stopped)
    ));
    drop(journal);
    let (mut journal, _) = open(&fs, 2);
    let (frames, gaps) = held(&mut journal);
    assert!(gaps.values().all(Vec::is_empty));
    let names = frames.values().map(|frame| {
        let record = popwatch_core::record::decode(&frame[32..]).unwrap();
        record.event.type_name()
    });
    assert_eq!(names.filter(|name| *name == "clock.anchored").count(), 3);
}

/// A till that was offline until nothing could be kept: level 4, all of it in the current epoch.
fn sold_out() -> (FaultFs, Journal<FaultFs>, Vec<String>, u64) {
    let fs = FaultFs::new(3);
    let mut journal = wide(&fs, 1);
    let mut second = 0;
    looked(&mut journal, &mut second);
    fs.capacity(used(&fs));
    let mut sold = Vec::new();
    let refused = loop {
        let id = format!("s{}", sold.len());
        match journal.append(vec![big(&id, 5_700)], stamp()) {
            Ok(_) => sold.push(id),
            Err(error) => break error,
        }
    };
    let AppendError::NotDurable(error) = refused else {
        panic!("nobody stopped it");
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // What closed segments gave back is taken by others.
    fs.capacity(used(&fs));
    assert_eq!(journal.look_at_disk(later(&mut second)).level, 4);
    (fs, journal, sold, second)
}

/// With segments of which a part is enough to begin an epoch. What has no room is tried again.
fn wide(fs: &FaultFs, life: u8) -> Journal<FaultFs> {
    let opened = || {
        let opening = Opening {
            segment_bytes: 256 << 10,
            ..opening(life)
        };
        Journal::open(fs.clone(), opening)
    };
    opened().or_else(|_| opened()).unwrap().0
}

/// The ledger has everything.
fn ship(journal: &mut Journal<FaultFs>) {
    let all = journal.epochs().into_iter().map(|info| Acked {
        epoch: info.epoch.0,
        epoch_id: info.epoch_id.0.to_vec(),
        trunk_seq: info.last_seq.0,
        bulk_seq: info.last_seq.0,
    });
    journal.set_acked(all.collect());
}

/// The ledger has everything, and what it has goes as the journal's thread lets it go; then a sale.
fn ship_trim_sell(journal: &mut Journal<FaultFs>, id: &str, second: &mut u64) {
    ship(journal);
    let (goes, _) = journal.may_go(later(second)).unwrap();
    assert!(!goes.is_empty());
    let commit = journal.trim_only(&goes, later(second)).unwrap();
    assert_eq!(systems(&commit.records), ["rig.trimmed"]);
    journal.look_at_disk(later(second));
    let commit = journal.append(vec![sale(id, 1)], stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    assert!(!journal.cannot_store());
}

/// Freeing space needed space: the record of a trim, and the end of the epoch that filled the disk.
#[test]
fn a_disk_on_which_nothing_can_be_kept_lets_go_of_what_the_ledger_has() {
    let (fs, mut journal, sold, mut second) = sold_out();
    assert!(sold.len() > 100, "{}", sold.len());
    assert!(journal.may_go(later(&mut second)).unwrap().0.is_empty());
    assert!(journal.append(vec![sale("no", 1)], stamp()).is_err());
    ship_trim_sell(&mut journal, "more", &mut second);
    // It can happen again.
    assert!(fs.names().contains(&"reserve/last.pwj".to_owned()));
    drop(journal);
    let mut journal = wide(&fs, 2);
    assert_eq!(journal.gaps(), []);
    assert_eq!(ids(&held(&mut journal).0), ["more"]);
}

#[test]
fn so_does_one_that_starts_on_such_a_disk_again_and_again() {
    let (fs, journal, sold, mut second) = sold_out();
    drop(journal);
    for life in 2..5 {
        let mut journal = wide(&fs, life);
        assert!(journal.append(vec![sale("no", 1)], stamp()).is_err());
        assert_eq!(journal.look_at_disk(later(&mut second)).level, 4);
        assert_eq!(ids(&held(&mut journal).0), sold);
    }
    let mut journal = wide(&fs, 5);
    journal.look_at_disk(later(&mut second));
    ship_trim_sell(&mut journal, "more", &mut second);
}

#[test]
fn a_crash_while_it_lets_go_loses_nothing_and_it_goes_on() {
    let calls = {
        let (fs, mut journal, _, mut second) = sold_out();
        let before = fs.ops();
        ship_trim_sell(&mut journal, "more", &mut second);
        fs.ops() - before
    };
    for call in 0..calls {
        let (fs, mut journal, sold, mut second) = sold_out();
        fs.fail_at(fs.ops() + call, Fault::PowerCut);
        let acked = journal.epochs().into_iter().map(|info| Acked {
            epoch: info.epoch.0,
            epoch_id: info.epoch_id.0.to_vec(),
            trunk_seq: info.last_seq.0,
            bulk_seq: info.last_seq.0,
        });
        journal.set_acked(acked.collect());
        drop(journal.trim(later(&mut second)));
        journal.look_at_disk(later(&mut second));
        drop(journal.append(vec![sale("more", 1)], stamp()));
        drop(journal);
        fs.crash();
        let mut journal = wide(&fs, 2);
        assert_eq!(journal.gaps(), [], "call {call} of {calls}");
        journal.look_at_disk(later(&mut second));
        let (frames, gaps) = held(&mut journal);
        assert!(gaps.values().all(Vec::is_empty), "call {call}");
        let mut left = ids(&frames);
        left.retain(|id| id != "more");
        assert!(left.is_empty() || left == sold, "call {call}");
        if journal.append(vec![sale("then", 1)], stamp()).is_err() {
            ship_trim_sell(&mut journal, "then", &mut second);
        }
    }
}
