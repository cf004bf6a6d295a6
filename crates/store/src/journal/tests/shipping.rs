use popwatch_core::event::Cursor;
use popwatch_core::lane::{ItemBody, SkipWhy};

use super::*;
use crate::journal::format::{chain_frame, chain_start};

/// Ships one cursor of one epoch in small batches; answers frames, skips, and checks the chain.
fn ship(
    journal: &mut Journal<FaultFs>,
    epoch: Epoch,
    cursor: Cursor,
    items: usize,
) -> (Vec<u64>, Vec<(i32, u64)>) {
    let info = journal
        .epochs()
        .into_iter()
        .find(|info| info.epoch == epoch)
        .unwrap();
    let (mut frames, mut skips) = (Vec::new(), Vec::<(i32, u64)>::new());
    let mut from = Seq(1);
    let mut chain = Some(chain_start(info.epoch_id, cursor));
    while from <= info.last_seq {
        let parts = journal.batch(epoch, cursor, from, items, 2_000).unwrap();
        assert_eq!(parts.first_seq, from);
        let mut gap = false;
        let mut seq = from.0;
        if chain.is_some() && parts.chain_before.is_some() {
            assert_eq!(parts.chain_before, chain);
        }
        chain = parts.chain_before;
        for item in parts.items {
            match item.body.unwrap() {
                ItemBody::Frame(frame) => {
                    let header = parse_frame(&frame, &info.epoch_id).unwrap();
                    assert_eq!(header.seq.0, seq);
                    assert_eq!(header.class.cursor(), cursor);
                    chain = chain.map(|before| chain_frame(before, &frame));
                    frames.push(seq);
                    seq += 1;
                }
                ItemBody::Skip(skip) => {
                    seq += skip.count;
                    gap |= skip.why == SkipWhy::Gap as i32;
                    match skips.last_mut() {
                        Some((why, count)) if *why == skip.why => *count += skip.count,
                        _ => skips.push((skip.why, skip.count)),
                    }
                }
            }
        }
        assert_eq!(parts.last_seq.0 + 1, seq);
        if !gap {
            assert_eq!(parts.chain_after, chain);
        }
        chain = parts.chain_after;
        from = parts.last_seq.next();
    }
    (frames, skips)
}

fn filled(fs: &FaultFs, count: i64) -> Journal<FaultFs> {
    let (mut journal, _) = open(fs, 1);
    for n in 0..count {
        let batch = vec![
            sale(&format!("s{n}"), n),
            chat(&format!("c{n}")),
            chat(&format!("d{n}")),
        ];
        journal.append(batch, stamp()).unwrap();
    }
    journal
}

#[test]
fn both_cursors_account_for_every_seq_and_their_chains_hold() {
    let fs = FaultFs::new(1);
    let mut journal = filled(&fs, 60);
    let head = journal.head().get().seq.0;
    for items in [1, 3, 1_000] {
        let (trunk, _) = ship(&mut journal, Epoch(1), Cursor::Trunk, items);
        let (bulk, skips) = ship(&mut journal, Epoch(1), Cursor::Bulk, items);
        assert_eq!(bulk.len(), 120);
        assert_eq!(u64::try_from(trunk.len() + bulk.len()).unwrap(), head);
        assert!(
            skips
                .iter()
                .all(|(why, _)| *why == SkipWhy::OtherCursor as i32)
        );
    }
    // From the middle, without a batch before it.
    let from = Seq(head / 2);
    let whole = journal
        .batch(Epoch(1), Cursor::Trunk, Seq(1), 10_000, 1 << 20)
        .unwrap();
    let late = journal
        .batch(Epoch(1), Cursor::Trunk, from, 10_000, 1 << 20)
        .unwrap();
    assert_eq!(late.chain_after, whole.chain_after);
    assert!(late.chain_before.is_some());
    assert_eq!(
        journal
            .batch(Epoch(9), Cursor::Trunk, Seq(1), 1, 1)
            .unwrap()
            .items,
        []
    );
    assert_eq!(
        journal
            .batch(Epoch(1), Cursor::Trunk, Seq(head + 1), 1, 1)
            .unwrap()
            .items,
        []
    );
}

#[test]
fn sequential_batches_read_each_byte_about_once() {
    let fs = FaultFs::new(1);
    let mut journal = filled(&fs, 100);
    let before = fs.read_bytes();
    let (frames, _) = ship(&mut journal, Epoch(1), Cursor::Trunk, 10_000);
    assert!(frames.len() > 100);
    let (read, used) = (fs.read_bytes() - before, journal.bytes_used());
    // A batch reads up to a segment ahead.
    assert!(read < used * 12, "{read} of {used}");
}

#[test]
fn a_batch_over_a_gap_carries_its_value_and_the_chain_restarts_at_the_seal() {
    let fs = FaultFs::new(1);
    let mut journal = filled(&fs, 6);
    journal.seal(stamp()).unwrap();
    journal.append(vec![sale("z", 9)], stamp()).unwrap();
    let name = segment::segment_name(1);
    let bytes = fs.bytes(&name).unwrap();
    let at = bytes.windows(3).position(|part| part == b"\x02s3").unwrap();
    fs.flip(&name, at, 0);
    let parts = journal
        .batch(Epoch(1), Cursor::Trunk, Seq(1), 1_000, 1 << 20)
        .unwrap();
    let gap = parts
        .items
        .iter()
        .find_map(|item| match item.body.as_ref().unwrap() {
            ItemBody::Skip(skip) if skip.why == SkipWhy::Gap as i32 => Some(skip),
            ItemBody::Skip(_) | ItemBody::Frame(_) => None,
        });
    let gap = gap.unwrap();
    assert_eq!(
        (gap.count, gap.value[0].captured, gap.value[0].n),
        (1, 3, 1)
    );
    let whole = journal.head.chains[0];
    assert_eq!(parts.chain_after, Some(whole));
    // The next commit states it.
    let commit = journal.append(vec![sale("y", 9)], stamp()).unwrap();
    assert_eq!(systems(&commit.records), ["rig.gap"]);
    assert_eq!(journal.gaps().len(), 1);
}

/// The bug: a read that failed on the way to the batch's first record was forgotten, and the batch
/// began with records from before it.
#[test]
fn a_read_that_fails_on_the_way_gives_no_batch_of_other_records() {
    for call in 0..12 {
        let fs = FaultFs::new(3);
        let mut journal = open(&fs, 1).0;
        for i in 0..30 {
            let one = vec![sale(&format!("s{i}"), i)];
            journal.append(one, stamp()).unwrap();
        }
        let epoch = journal.head().get().epoch;
        fs.fail_at(fs.ops() + call, Fault::Io);
        for from in [Seq(20), Seq(7), Seq(26)] {
            let Ok(parts) = journal.batch(epoch, Cursor::Trunk, from, 3, 4_000) else {
                continue;
            };
            let seqs = parts.items.iter().filter_map(|item| match &item.body {
                Some(ItemBody::Frame(frame)) => {
                    Some(u64::from_le_bytes(frame[16..24].try_into().unwrap()))
                }
                _ => None,
            });
            let expect: Vec<u64> = (from.0..=parts.last_seq.0).collect();
            assert_eq!(seqs.collect::<Vec<_>>(), expect, "call {call}");
        }
    }
}
