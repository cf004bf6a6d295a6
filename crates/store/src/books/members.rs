//! The register: which key goes by which name, who was revoked, and what of theirs waits for a person.
//!
//! What always holds: a record of a revoked rig, or of a moment after its membership's end, is kept and
//! acknowledged like any other, and posts nothing until somebody accepts it; a name that was revoked
//! never gets another key.

use popwatch_core::id::RigId;
use popwatch_core::limits::MEMBERS_MAX;
use popwatch_core::membership::Membership;
use popwatch_core::time::Now;

use super::db::{Db, values};
use super::rows::number;
use super::{Books, BooksFault, intake};

/// A member as the register has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which key, under which name, for what.
    pub membership: Membership,
    /// When it was enrolled, ms since 1970.
    pub enrolled_ms: i64,
    /// When it was revoked, ms since 1970.
    pub revoked_ms: Option<i64>,
    /// Records that wait to be accepted.
    pub held_back: u64,
}

/// What became of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolled {
    /// It is a member now.
    Done,
    /// The name was revoked and is not given again.
    Revoked,
    /// The register is full.
    Full,
}

impl Books {
    /// All members by name.
    pub fn members(&self) -> Result<Vec<Member>, BooksFault> {
        let rows: Vec<(String, i64, Option<i64>, i64)> = self
            .db
            .rows(
                "SELECT m.text, m.enrolled_ms, m.revoked_ms,
                   (SELECT COUNT(*) FROM held_back h WHERE h.rig = m.rig)
                 FROM members m ORDER BY m.rig",
                values![],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .map_err(BooksFault::sql("read the register"))?;
        rows.into_iter()
            .map(|(text, enrolled_ms, revoked_ms, held_back)| {
                Ok(Member {
                    membership: parsed(&text)?,
                    enrolled_ms,
                    revoked_ms,
                    held_back: number(held_back),
                })
            })
            .collect()
    }

    /// Makes a key the one of its name. A member that is not revoked gets its new key in place of the
    /// old one.
    pub fn enrol(&mut self, membership: &Membership, now: Now) -> Result<Enrolled, BooksFault> {
        let rig = membership.rig.as_str();
        let text = membership.text();
        self.transact(|db| {
            match member(db, &membership.rig)? {
                Some((_, Some(_))) => return Ok(Enrolled::Revoked),
                Some((_, None)) => {}
                None => {
                    let all: i64 = db
                        .one("SELECT COUNT(*) FROM members", values![], |row| row.get(0))
                        .map_err(BooksFault::sql("count the register"))?;
                    if number(all) >= MEMBERS_MAX as u64 {
                        return Ok(Enrolled::Full);
                    }
                }
            }
            db.run(
                "INSERT INTO members (rig, text, enrolled_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (rig) DO UPDATE SET text = excluded.text,
                   enrolled_ms = excluded.enrolled_ms",
                values![rig, text.as_str(), now.wall.0],
            )
            .map_err(BooksFault::sql("write the register"))?;
            Ok(Enrolled::Done)
        })
    }

    /// From now on what arrives of a member is held back. Whether there is such a member; revoking
    /// again changes nothing.
    pub fn revoke(&mut self, rig: &RigId, now: Now) -> Result<bool, BooksFault> {
        self.transact(|db| {
            let known = member(db, rig)?.is_some();
            db.run(
                "UPDATE members SET revoked_ms = ?2 WHERE rig = ?1 AND revoked_ms IS NULL",
                values![rig.as_str(), now.wall.0],
            )
            .map_err(BooksFault::sql("write the register"))?;
            Ok(known)
        })
    }

    /// Books the records of a rig that are held back, as if they came now; how many.
    pub fn accept_held_back(&mut self, rig: &RigId, now: Now) -> Result<u64, BooksFault> {
        let mut all = 0;
        loop {
            let terms = &self.terms;
            let done = self.transact(|db| intake::book_held_back(db, terms, rig, now))?;
            if done == 0 {
                return Ok(all);
            }
            all += done;
        }
    }
}

fn parsed(text: &str) -> Result<Membership, BooksFault> {
    Membership::parse(text).ok_or(BooksFault::Damaged("register"))
}

/// A member, and when it was revoked.
fn member(db: &Db, rig: &RigId) -> Result<Option<(Membership, Option<i64>)>, BooksFault> {
    let found: Option<(String, Option<i64>)> = db
        .row(
            "SELECT text, revoked_ms FROM members WHERE rig = ?1",
            values![rig.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(BooksFault::sql("read the register"))?;
    let read = found.map(|(text, revoked)| Ok((parsed(&text)?, revoked)));
    read.transpose()
}

/// Records of a rig of a later moment than this, ms since 1970, are held back; `None` where none are.
pub(super) fn held_back_after(db: &Db, rig: &RigId) -> Result<Option<i64>, BooksFault> {
    Ok(match member(db, rig)? {
        Some((_, Some(_))) => Some(i64::MIN),
        Some((membership, None)) => membership.not_after_ms,
        None => None,
    })
}
