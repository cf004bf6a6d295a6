//! Observations whose time is over: their bytes go, and what proves completeness stays.

use popwatch_core::event::Class;
use popwatch_core::id::PopupId;

use super::db::values;
use super::rows::number;
use super::{Books, BooksFault, intake};

/// Records of one step.
const PAGE: u32 = 1_000;

impl Books {
    /// Takes the bytes of a popup's observations away: checkouts, views, chat, host samples; nothing that
    /// states a fact of money or stock. Position, class and hash stay, so that coverage, gaps and repeats are
    /// told as before. Up to so many at once; answers how many, 0 when none is left.
    pub fn erase_observations(&mut self, popup: &PopupId) -> Result<u64, BooksFault> {
        let overwrite = |is_on| {
            let done = self.db.overwrite(is_on);
            done.map_err(BooksFault::sql("write zeros over what goes"))
        };
        overwrite(true)?;
        let erased = self.erase_some(popup);
        overwrite(false)?;
        erased
    }

    fn erase_some(&self, popup: &PopupId) -> Result<u64, BooksFault> {
        let step = self.db.begin().map_err(BooksFault::sql("begin to erase"))?;
        let read = || {
            self.db.rows::<(String, u32, i64, Vec<u8>)>(
                "SELECT rig, epoch, seq, bytes FROM records
                 WHERE book = ?1 AND class >= ?2 AND fact_id IS NULL AND bytes IS NOT NULL
                 ORDER BY rig, epoch, seq LIMIT ?3",
                values![popup.as_str(), Class::Journey.byte(), PAGE],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
        };
        let found = read().map_err(BooksFault::sql("look for observations"))?;
        for (rig, epoch, seq, bytes) in &found {
            self.db
                .run(
                    "UPDATE records SET hash = ?4, bytes = NULL
                     WHERE rig = ?1 AND epoch = ?2 AND seq = ?3",
                    values![rig.as_str(), *epoch, *seq, intake::hash_bytes(bytes)],
                )
                .map_err(BooksFault::sql("erase an observation"))?;
        }
        step.commit()
            .map_err(BooksFault::sql("erase observations"))?;
        Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
    }

    /// Makes sure that what was erased is in no log of the store. A server of PostgreSQL gives the room free and
    /// writes over it when it needs it.
    pub fn wipe(&self) -> Result<(), BooksFault> {
        self.db
            .wipe()
            .map_err(BooksFault::sql("wipe what was erased"))
    }

    /// How many records of a popup have no bytes any more.
    pub fn erased(&self, popup: &PopupId) -> Result<u64, BooksFault> {
        let found: Option<i64> = self
            .db
            .row(
                "SELECT COUNT(*) FROM records
                 WHERE book = ?1 AND bytes IS NULL AND hash IS NOT NULL",
                values![popup.as_str()],
                |row| row.get(0),
            )
            .map_err(BooksFault::sql("count what was erased"))?;
        Ok(found.map_or(0, number))
    }
}
