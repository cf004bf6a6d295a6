//! The answer to a batch: where the ledger stands with every epoch of the rig, what it lacks below
//! what it holds, and which of the rig's popups are closed.

use popwatch_core::event::Cursor;
use popwatch_core::id::RigId;
use popwatch_core::lane::{EpochHeld, NotOk, PopupWord, Range, RecordAck, RecordBatch};
use popwatch_core::limits::{ACK_RANGES_MAX, FOLD_POPUPS_MAX};
use popwatch_core::time::Now;

use super::super::BooksFault;
use super::super::db::{Db, values};
use super::super::groups::claims::reconciled_to;
use super::super::held::Held;
use super::super::rows::epoch_number;
use super::head::Head;

pub(super) fn ack(
    db: &Db,
    batch: &RecordBatch,
    head: &Head,
    now: Now,
    not_ok: Vec<NotOk>,
) -> Result<RecordAck, BooksFault> {
    let (epochs, want) = epochs_held(db, &head.rig)?;
    let of = epochs.iter().find(|epoch| epoch.epoch == head.epoch);
    let (trunk_seq, bulk_seq) = of.map_or((0, 0), |epoch| (epoch.trunk_seq, epoch.bulk_seq));
    let reconciled_seq = reconciled_to(db, &head.rig, head.epoch, trunk_seq)?;
    Ok(RecordAck {
        reconciled_seq,
        epoch: batch.epoch,
        trunk_seq,
        bulk_seq,
        missing: want.clone(),
        want,
        not_ok,
        epochs,
        popups: closed(db, &head.rig)?,
        echo_mono_ns: batch.sent_mono_ns,
        recv_wall_us: now.wall.0.saturating_mul(1_000),
        send_wall_us: now.wall.0.saturating_mul(1_000),
        ..RecordAck::default()
    })
}

/// The popups of the rig that were closed, those it sold for last first.
fn closed(db: &Db, rig: &RigId) -> Result<Vec<PopupWord>, BooksFault> {
    let most = i64::try_from(FOLD_POPUPS_MAX).unwrap_or(i64::MAX);
    let word = |popup| PopupWord {
        popup,
        closed: true,
        ..PopupWord::default()
    };
    db.rows(
        "SELECT p.book FROM closes c JOIN rig_popups p ON p.book = c.book
         WHERE p.rig = ?1 GROUP BY p.book ORDER BY MAX(p.epoch) DESC, p.book LIMIT ?2",
        values![rig.as_str(), most],
        |row| Ok(word(row.get(0)?)),
    )
    .map_err(BooksFault::sql("read what is closed"))
}

/// How far each epoch is held, and the holes below that, oldest first.
fn epochs_held(db: &Db, rig: &RigId) -> Result<(Vec<EpochHeld>, Vec<Range>), BooksFault> {
    let read = || {
        db.rows::<(i64, Vec<u8>, Vec<u8>, Vec<u8>)>(
            "SELECT epoch, epoch_id, trunk, bulk FROM rig_epochs WHERE rig = ?1 ORDER BY epoch",
            values![rig.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
    };
    let rows = read().map_err(BooksFault::sql("read what is held"))?;
    let (mut epochs, mut want) = (Vec::with_capacity(rows.len()), Vec::new());
    for (epoch, epoch_id, trunk, bulk) in rows {
        let epoch = epoch_number(epoch);
        let mut upto = |cursor: Cursor, bytes: &[u8]| {
            let held = Held::decode(bytes).ok_or(BooksFault::Damaged("held stretches"))?;
            let ranges = held.ranges();
            let holes = ranges.missing(1, ranges.last());
            let inside = holes.as_slice().iter().map(|(first, last)| Range {
                epoch,
                first: *first,
                last: *last,
                cursor: cursor as u32,
            });
            want.extend(inside.take(ACK_RANGES_MAX.saturating_sub(want.len())));
            Ok(ranges.contiguous())
        };
        let (trunk_seq, bulk_seq) = (upto(Cursor::Trunk, &trunk)?, upto(Cursor::Bulk, &bulk)?);
        epochs.push(EpochHeld {
            epoch,
            epoch_id,
            trunk_seq,
            bulk_seq,
        });
    }
    Ok((epochs, want))
}
