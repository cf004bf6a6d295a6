//! Single records of a popup, for whoever was granted to read them. Only [`Books::records_after`] gives
//! them out; who calls it shows a grant to the door above it.

use popwatch_core::id::{Epoch, PopupId, Position, RigId, Seq};
use popwatch_core::record::{self, Record};

use super::db::values;
use super::rows::{column, number};
use super::{Books, BooksFault, frame};

impl Books {
    /// Up to `limit` records of a popup behind a position, by rig, epoch and number. Those whose bytes
    /// are gone, or cannot be read, are left out.
    pub fn records_after(
        &self,
        popup: &PopupId,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Option<Record>)>, BooksFault> {
        let (rig, epoch, seq) = match after {
            Some(at) => (at.rig.as_str(), at.epoch.0, at.seq.0),
            None => ("", 0, 0),
        };
        let rows = self.db.rows(
            "SELECT rig, epoch, seq, bytes FROM records
             WHERE book = ?1 AND bytes IS NOT NULL
               AND (rig > ?2 OR rig = ?2 AND (epoch > ?3 OR epoch = ?3 AND seq > ?4))
             ORDER BY rig, epoch, seq LIMIT ?5",
            values![popup.as_str(), rig, epoch, column(seq), limit],
            |row| {
                Ok((
                    row.get::<String>(0)?,
                    row.get::<u32>(1)?,
                    number(row.get(2)?),
                    row.get::<Vec<u8>>(3)?,
                ))
            },
        );
        rows.map_err(BooksFault::sql("read single records"))?
            .into_iter()
            .map(|(rig, epoch, seq, bytes)| {
                let rig = RigId::new(&rig).map_err(|_| BooksFault::Damaged("rig name"))?;
                let position = Position {
                    rig,
                    epoch: Epoch(epoch),
                    seq: Seq(seq),
                };
                let payload = bytes.get(frame::HEADER_BYTES..);
                let read = payload.and_then(|payload| record::decode(payload).ok());
                Ok((position, read))
            })
            .collect()
    }
}
