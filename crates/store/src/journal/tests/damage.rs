use super::*;

/// A stopped journal of a few tiny segments, single-record commits; what stands where.
fn small() -> (FaultFs, Held) {
    filled(40)
}

fn filled(count: i64) -> (FaultFs, Held) {
    let fs = FaultFs::new(1);
    let (mut journal, _) = Journal::open(fs.clone(), opening(1)).unwrap();
    for n in 0..count {
        journal
            .append(vec![sale(&format!("a{n}"), n + 1)], stamp())
            .unwrap();
    }
    let (frames, _) = held(&mut journal);
    drop(journal);
    (fs, frames)
}

/// Opens, reads everything, appends: whatever is wrong with the files.
#[track_caller]
fn survivors(fs: &FaultFs) -> (Held, Named, Recovery) {
    let (mut journal, recovery) = open(fs, 2);
    let (frames, gaps) = held(&mut journal);
    let commit = journal.append(vec![sale("fresh", 1)], stamp()).unwrap();
    assert!(matches!(commit.verdicts[0], Verdict::Accepted(_)));
    (frames, gaps, recovery)
}

#[test]
fn a_flipped_bit_anywhere_costs_at_most_the_record_it_hits_and_is_named() {
    let (fs, before) = small();
    let names = fs.names();
    let last = before.keys().next_back().copied().unwrap();
    for name in names.iter().filter(|name| name.starts_with("journal/")) {
        let len = fs.bytes(name).unwrap().len();
        for at in 0..len {
            let copy = fs.copy(7);
            copy.flip(name, at, u8::try_from(at % 8).unwrap());
            let (frames, gaps, recovery) = survivors(&copy);
            let lost: Vec<_> = before
                .iter()
                .filter(|(place, frame)| frames.get(*place) != Some(*frame))
                .map(|(place, _)| *place)
                .collect();
            assert!(lost.len() <= 1, "{name} byte {at}: {lost:?}");
            for (epoch, seq) in lost {
                let gap = gaps[&epoch].contains(&(seq, seq));
                // The very last commit cannot be told from one that was never acknowledged.
                let torn = (epoch, seq) == last && recovery.bytes_cut > 0;
                assert!(gap || torn, "{name} byte {at}: seq {seq} is not named");
            }
        }
    }
}

#[test]
fn zeroed_sectors_cost_what_they_hit() {
    let (fs, before) = small();
    for name in fs
        .names()
        .iter()
        .filter(|name| name.starts_with("journal/"))
    {
        let len = fs.bytes(name).unwrap().len();
        for at in (0..len).step_by(512) {
            let copy = fs.copy(7);
            copy.zero(name, at, 512);
            let (frames, gaps, recovery) = survivors(&copy);
            for (place, frame) in &before {
                match frames.get(place) {
                    Some(found) => assert_eq!(found, frame),
                    None => {
                        let named = gaps[&place.0]
                            .iter()
                            .any(|(first, last)| (*first..=*last).contains(&place.1));
                        assert!(named || recovery.bytes_cut > 0, "{name} {at}: {place:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn lost_swapped_doubled_and_foreign_segments_are_named_or_put_aside() {
    let (fs, before) = filled(150);
    let names: Vec<_> = fs
        .names()
        .into_iter()
        .filter(|name| name.starts_with("journal/"))
        .collect();
    assert!(names.len() >= 3, "{names:?}");

    let copy = fs.copy(1);
    copy.remove(&names[1]);
    let (frames, gaps, recovery) = survivors(&copy);
    assert_eq!(recovery.gaps.len(), 1);
    assert_eq!(recovery.gaps[0].cause, "missing_file");
    let (first, last) = gaps[&1][0];
    let lost = u64::try_from(before.len() - frames.keys().filter(|(epoch, _)| *epoch == 1).count())
        .unwrap();
    assert_eq!(lost, last - first + 1);
    let sales: i64 = recovery.gaps[0].value.iter().map(|row| row.captured).sum();
    let amount = |frame: &Vec<u8>| {
        let event = popwatch_core::record::decode(&frame[32..]).unwrap().event;
        let sold = Sums::of(&event);
        sold.map_or(0, |(_, sums)| sums.captured)
    };
    let missing = before
        .iter()
        .filter(|(place, _)| !frames.contains_key(*place));
    assert_eq!(sales, missing.map(|(_, frame)| amount(frame)).sum::<i64>());

    let copy = fs.copy(1);
    let (one, two) = (
        copy.bytes(&names[0]).unwrap(),
        copy.bytes(&names[1]).unwrap(),
    );
    copy.put(&names[0], two);
    copy.put(&names[1], one.clone());
    let (frames, gaps, _) = survivors(&copy);
    assert!(before.keys().all(|place| frames.contains_key(place)));
    assert!(gaps.values().all(Vec::is_empty));

    let copy = fs.copy(1);
    copy.put("journal/000000000090.pwj", one);
    let (frames, _, recovery) = survivors(&copy);
    assert!(before.keys().all(|place| frames.contains_key(place)));
    assert!(
        recovery
            .rows
            .iter()
            .any(|(_, row)| *row == recovery::Row::R15)
    );
    assert_eq!(recovery.quarantined.len(), 1);

    let other = FaultFs::new(9);
    let mut foreign = opening(9);
    foreign.rig = RigId::new("till-2").unwrap();
    drop(Journal::open(other.clone(), foreign).unwrap());
    let copy = fs.copy(1);
    copy.put(
        "journal/000000000091.pwj",
        other.bytes(&segment::segment_name(1)).unwrap(),
    );
    let (frames, _, recovery) = survivors(&copy);
    assert!(before.keys().all(|place| frames.contains_key(place)));
    assert!(
        recovery
            .rows
            .iter()
            .any(|(_, row)| *row == recovery::Row::R2)
    );
}

#[test]
fn a_segment_without_header_is_read_under_a_neighbours_epoch() {
    let (fs, before) = small();
    for name in fs
        .names()
        .iter()
        .filter(|name| name.starts_with("journal/"))
    {
        let copy = fs.copy(1);
        copy.zero(name, 0, 8192);
        let (frames, gaps, recovery) = survivors(&copy);
        assert!(
            before.keys().all(|place| frames.contains_key(place)),
            "{name}"
        );
        assert!(gaps.values().all(Vec::is_empty));
        assert!(
            recovery
                .rows
                .iter()
                .any(|(_, row)| *row == recovery::Row::R5)
        );
    }
    // Alone, its own first record tells the epoch.
    let single = FaultFs::new(1);
    drop(open(&single, 1));
    single.zero(&segment::segment_name(1), 0, 8192);
    let (mut journal, _) = open(&single, 2);
    assert_eq!(held(&mut journal).0.keys().next(), Some(&(1, 1)));
}

#[test]
fn a_later_format_is_left_alone() {
    let (fs, before) = small();
    let mut bytes = fs.bytes(&segment::segment_name(1)).unwrap();
    bytes[8] = 9;
    bytes[12] = 77;
    let sum = format::crc(&bytes[..252]);
    bytes[252..256].copy_from_slice(&sum.to_le_bytes());
    fs.put("journal/000000000500.pwj", bytes.clone());
    let (journal, recovery) = open(&fs, 2);
    assert!(recovery.newer_format);
    assert_eq!(journal.head().get().epoch, Epoch(78));
    assert_eq!(fs.bytes("journal/000000000500.pwj").unwrap(), bytes);
    assert!(!before.is_empty());
}

#[test]
fn random_garbage_in_any_file_never_stops_a_start() {
    let (fs, _) = small();
    let names: Vec<_> = fs
        .names()
        .into_iter()
        .filter(|name| name.starts_with("journal/"))
        .collect();
    for seed in 0..150 {
        let copy = fs.copy(seed);
        let mut dice = Dice(seed);
        for _ in 0..1 + dice.below(4) {
            let name = &names[dice.index(names.len())];
            let mut bytes = copy.bytes(name).unwrap_or_default();
            match dice.below(4) {
                0 => copy.remove(name),
                1 => {
                    bytes.truncate(dice.index(bytes.len()));
                    copy.put(name, bytes);
                }
                2 => copy.put(
                    name,
                    (0..dice.index(9_000))
                        .map(|_| dice.roll().to_le_bytes()[0])
                        .collect(),
                ),
                _ => {
                    let at = dice.index(bytes.len());
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(700)
                        .for_each(|byte| *byte = dice.roll().to_le_bytes()[0]);
                    copy.put(name, bytes);
                }
            }
        }
        survivors(&copy);
        let (_, _, again) = survivors_of(&copy, 3);
        assert_eq!(again.gaps, [], "seed {seed}: found twice");
    }
}

#[track_caller]
fn survivors_of(fs: &FaultFs, life: u8) -> (Held, Named, Recovery) {
    let (mut journal, recovery) = open(fs, life);
    let (frames, gaps) = held(&mut journal);
    (frames, gaps, recovery)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn the_value_of_a_lost_range_is_exact(
        amounts in proptest::collection::vec((1i64..100_000, 0u8..3, proptest::bool::weighted(0.15)), 12..60),
        first in 0usize..8,
        len in 1usize..6,
        sealed in 0usize..60,
    ) {
        let fs = FaultFs::new(1);
        let (mut journal, _) = open(&fs, 1);
        let mut places = Vec::new();
        for (n, (minor, code, other)) in amounts.iter().enumerate() {
            let id = format!("s{n}");
            let code = ["EUR", "GBP", "JPY"][usize::from(*code)];
            let popup = if *other { "stream" } else { "stall" };
            let event = captured(&id, *minor, code);
            let commit = journal.append(vec![draft(&id, popup, event.clone(), 1)], stamp()).unwrap();
            places.push((place(&commit.verdicts[0]).1, popup, code, event));
            if n == sealed {
                journal.seal(stamp()).unwrap();
            }
        }
        let last = journal.stop(stamp()).unwrap().records.last().unwrap().seq.0;
        drop(journal);
        let lost: Vec<_> = places.iter().skip(first).take(len).collect();
        let seqs: Vec<_> = lost.iter().map(|(seq, ..)| *seq).collect();
        for name in fs.names() {
            let bytes = fs.bytes(&name).unwrap();
            let id = { let mut id = [1; 16]; id[15] = 1; EpochId(id) };
            for frame in scan::scan(&bytes, Epoch(1), &id, Seq(1)).frames {
                if seqs.contains(&frame.header.seq.0) {
                    fs.flip(&name, usize::try_from(frame.at).unwrap() + 40, 3);
                }
            }
        }
        let (mut journal, _) = open(&fs, 2);
        let mut found = Stated::new();
        let mut named = Vec::new();
        let mut from = 1;
        while from <= last {
            for item in journal.read(Epoch(1), Seq(from), 1 << 20).unwrap() {
                match item {
                    ReadItem::Frame { seq, .. } => from = seq.0 + 1,
                    ReadItem::Gap(gap) => {
                        proptest::prop_assert!(!gap.value_unknown);
                        for row in &gap.value {
                            let sum = found.entry((row.popup.clone(), row.currency.clone())).or_default();
                            *sum = sum.plus(Sums::of_row(row));
                        }
                        named.extend(gap.first..=gap.last);
                        from = gap.last + 1;
                    }
                    ReadItem::Void { .. } => unreachable!("no epoch is void"),
                }
            }
        }
        proptest::prop_assert_eq!(&named, &seqs);
        let mut expect = Stated::new();
        for (_, popup, code, event) in lost {
            let sum = expect.entry(((*popup).to_string(), (*code).to_string())).or_default();
            *sum = sum.plus(Sums::of(event).unwrap().1);
        }
        proptest::prop_assert_eq!(found, expect);
    }
}

#[test]
fn fsck_names_what_is_missing_and_changes_nothing() {
    let (fs, before) = filled(150);
    let whole = inspect::fsck(&fs).unwrap();
    assert!(whole.is_whole(), "{whole:?}");
    let head = before.keys().next_back().unwrap().1;
    assert_eq!(whole.lines(), [format!("till-1 epoch 1: 1..{head}")]);

    // Two neighbours in the first segment: 3 sales of 10, 11 and 12 cents.
    let name = segment::segment_name(1);
    let bytes = fs.bytes(&name).unwrap();
    for id in ["a9", "a10", "a11"] {
        let wanted = [&[u8::try_from(id.len()).unwrap()], id.as_bytes()].concat();
        let at = bytes
            .windows(wanted.len())
            .position(|part| part == wanted)
            .unwrap();
        fs.flip(&name, at, 0);
    }
    let sum: Vec<_> = fs.names().iter().map(|name| fs.bytes(name)).collect();
    let report = inspect::fsck(&fs).unwrap();
    assert!(!report.is_whole());
    assert_eq!(
        report.lines(),
        [format!(
            "till-1 epoch 1: 1..{head}, missing 12..14 (media, EUR 0.33)"
        )]
    );
    let mut seen = 0;
    let mut missing = Vec::new();
    inspect::inspect(&fs, &mut |what| match what {
        inspect::Seen::Record { .. } => seen += 1,
        inspect::Seen::Missing { first, last } => missing.push((first.0, last.0)),
        inspect::Seen::Segment { .. } | inspect::Seen::Seal { .. } => {}
    })
    .unwrap();
    assert_eq!(missing, [(12, 14)]);
    let exported: Vec<_> = inspect::records(&fs).unwrap().map(Result::unwrap).collect();
    assert_eq!(exported.len(), seen);
    assert_eq!(exported.len(), before.len() - 3);
    assert!(exported.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(
        sum,
        fs.names()
            .iter()
            .map(|name| fs.bytes(name))
            .collect::<Vec<_>>()
    );

    // Once it is recorded, it is still missing, and the new epoch is whole.
    let (_, gaps, _) = survivors(&fs);
    assert_eq!(gaps[&1], [(12, 14)]);
    let report = inspect::fsck(&fs).unwrap();
    assert_eq!(report.epochs.len(), 2);
    assert!(report.epochs[0].gaps[0].recorded);
    assert!(report.epochs[1].gaps.is_empty() && report.epochs[1].faults.is_empty());
}

#[test]
fn fsck_sees_a_record_that_was_exchanged_with_sound_crcs() {
    use crate::journal::format::{FRAME_HEADER_BYTES, FrameHeader, HeaderSeed};
    let (fs, _) = filled(30);
    let name = segment::segment_name(1);
    let mut bytes = fs.bytes(&name).unwrap();
    let id = {
        let mut id = [1; 16];
        id[15] = 1;
        EpochId(id)
    };
    let frames = scan::scan(&bytes, Epoch(1), &id, Seq(1)).frames;
    let frame = frames[10];
    let start = usize::try_from(frame.at).unwrap();
    let mut record = popwatch_core::record::decode(
        &bytes[start + FRAME_HEADER_BYTES..start + frame.header.frame_bytes()],
    )
    .unwrap();
    let Event::PaymentCaptured(data) = &mut record.event else {
        panic!("a sale");
    };
    data.amount = Minor(data.amount.0 + 1);
    let payload = encode(&record);
    let header = FrameHeader {
        len: u32::try_from(payload.len()).unwrap(),
        ..frame.header
    };
    let made = header.encode(&payload, HeaderSeed::new(&id));
    bytes[start..start + 32].copy_from_slice(&made);
    bytes[start + 32..start + 32 + payload.len()].copy_from_slice(&payload);
    fs.put(&name, bytes);
    let (mut journal, _) = open(&fs, 2);
    journal.stop(stamp()).unwrap();
    let report = inspect::fsck(&fs).unwrap();
    let faults = &report.epochs[0].faults;
    assert!(
        faults
            .iter()
            .any(|fault| fault.what == inspect::FaultKind::Totals),
        "{report:?}"
    );
}
