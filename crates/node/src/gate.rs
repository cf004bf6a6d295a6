//! The gate before single records (L9): no verified entry, no grant; no grant, no reader.
//!
//! ```text
//! decide ─► commit: append, sync, sign, read back, verify ─► AccessGrant ─► open_raw ─► rows ─► closed
//! ```
//!
//! What always holds: [`open_raw`] is the only way to a [`RawReader`] and takes the grant away; every
//! failure before it gives a code and no byte; a reader that is dropped says so in the trail. Taking
//! sales waits for nothing here.

use std::fmt::Write as _;

use popwatch_core::access::raw::{AccessGrant, Allowed, Evidence, PartClass, ReadRequest};
use popwatch_core::access::{Denial, Subject};
use popwatch_core::code::Code;
use popwatch_core::id::Position;
use popwatch_core::ledger::close::Value;
use popwatch_core::record::Record;
use popwatch_store::audit::{AuditFault, AuditLog};
use popwatch_store::fs::Fs;
use popwatch_wire::audit::{Access, Action, Decision, Entry, Read, open_checkpoint};
use popwatch_wire::note::NoteKey;
use popwatch_wire::raw::{self, Opened};

/// Why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateFault {
    /// The entry could not be made durable, or what is there is damaged.
    #[error(transparent)]
    Trail(#[from] AuditFault),
    /// What was written is not what is there.
    #[error("the entry of this read does not verify: {0}")]
    Unproved(String),
}

impl GateFault {
    /// The stable code.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Trail(fault) => fault.code(),
            Self::Unproved(_) => Code::ReadUnproved,
        }
    }
}

/// The entry of a read, allowed or not.
fn entry(
    at_ms: i64,
    id: &str,
    subject: &Subject,
    request: &ReadRequest,
    denial: Option<Denial>,
) -> Entry {
    let creator = match subject.scope {
        popwatch_core::access::Scope::Creator => subject.extent.clone(),
        popwatch_core::access::Scope::Operator
        | popwatch_core::access::Scope::Coop
        | popwatch_core::access::Scope::Auditor
        | popwatch_core::access::Scope::Board
        | popwatch_core::access::Scope::Till => String::new(),
    };
    let classes = request.classes.iter().map(|class| class.text()).collect();
    Entry {
        at_ms,
        actor: subject.actor.clone(),
        action: Action::RawRead,
        popup: request.popup.clone(),
        rig: String::new(),
        decision: denial.map_or(Decision::Allowed, |_| Decision::Denied),
        reason: denial.map_or_else(String::new, |denial| denial.code().to_string()),
        detail: Value::map::<&str>([]),
        access: Some(Box::new(Access {
            id: id.to_owned(),
            read: Some(Read {
                rigs: request.rigs.clone(),
                creator,
                from_ms: request.from_ms,
                to_ms: request.to_ms,
                fields: request.fields.clone(),
                classes,
                purpose: request.purpose.text(),
            }),
            ..Access::of(subject)
        })),
    }
}

/// The entry of a read that was denied.
pub(crate) fn denied(
    at_ms: i64,
    id: &str,
    subject: &Subject,
    request: &ReadRequest,
    denial: Denial,
) -> Entry {
    entry(at_ms, id, subject, request, Some(denial))
}

/// Writes an allowed read down, reads it back from the disk, and proves that it is there under a head
/// that the key signed. Blocks for two syncs.
pub(crate) fn commit<F: Fs>(
    allowed: Allowed,
    log: &mut AuditLog<F>,
    key: &NoteKey,
    at_ms: i64,
) -> Result<AccessGrant, GateFault> {
    let mut entry = entry(
        at_ms,
        allowed.id(),
        allowed.subject(),
        allowed.request(),
        None,
    );
    if let Some(access) = &mut entry.access {
        let age = |ms: u64| i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
        access.mfa = allowed.mfa().map(|mfa| (mfa.kind, age(mfa.age_ms)));
        access.policy.0 = allowed.policy_version();
    }
    let bytes = entry.encode().ok_or(AuditFault::Size)?;
    let number = log.append(&[bytes], &|text| key.sign(text))?.start;
    let proved = log.read_back(number)?;
    let head = open_checkpoint(&proved.head, &key.public())
        .map_err(|fault| GateFault::Unproved(fault.to_string()))?;
    let evidence = Evidence {
        entry: &proved.entry,
        number,
        hashes: &proved.hashes,
        head: &head,
    };
    AccessGrant::prove(allowed, &evidence).map_err(GateFault::Unproved)
}

/// Opens sealed parts: what holds their keys.
pub(crate) trait OpenParts {
    /// What the part of this class says of the record at a position, or why it is shut; `None` where the
    /// record has none.
    fn open(&self, at: &Position, record: &Record, class: PartClass) -> Option<Opened>;
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything was read.
    Whole,
    /// The most rows that are allowed were read.
    Rows,
    /// It took too long.
    Slow,
    /// Whoever read went away.
    Left,
    /// The records could not be read on.
    Broken,
}

impl End {
    const fn text(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Rows => "rows_max",
            Self::Slow => "time",
            Self::Left => "left",
            Self::Broken => "broken",
        }
    }
}

/// What a read showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    /// Number of its grant's entry.
    pub(crate) grant: u64,
    /// Name of the read.
    pub(crate) id: String,
    /// Who read.
    pub(crate) subject: Subject,
    /// Of which popup.
    pub(crate) popup: String,
    rows: u64,
    bytes: u64,
    hash: String,
    end: End,
}

impl Closing {
    /// Its entry.
    pub(crate) fn entry(&self, at_ms: i64) -> Entry {
        let number = |count: u64| Value::number(i64::try_from(count).unwrap_or(i64::MAX));
        Entry {
            at_ms,
            actor: self.subject.actor.clone(),
            action: Action::RawClosed,
            popup: self.popup.clone(),
            rig: String::new(),
            decision: Decision::Allowed,
            reason: String::new(),
            detail: Value::map([
                ("grant", number(self.grant)),
                ("rows", number(self.rows)),
                ("bytes", number(self.bytes)),
                ("blake3", Value::text(&*self.hash)),
                ("end", Value::text(self.end.text())),
            ]),
            access: Some(Box::new(Access {
                id: self.id.clone(),
                ..Access::of(&self.subject)
            })),
        }
    }
}

/// Single records, one line of JSON each, within a grant.
pub(crate) struct RawReader<R, O, C: FnMut(Closing)> {
    grant: AccessGrant,
    records: R,
    parts: O,
    close: C,
    ends_ms: u64,
    rows: u64,
    bytes: u64,
    hash: blake3::Hasher,
    is_open: bool,
}

/// Opens the records of a grant, which is used up. `close` hears once how the read ended.
pub(crate) fn open_raw<R, O, C>(
    grant: AccessGrant,
    records: R,
    parts: O,
    now_ms: u64,
    close: C,
) -> RawReader<R, O, C>
where
    R: Iterator<Item = std::io::Result<(Position, Record)>>,
    O: OpenParts,
    C: FnMut(Closing),
{
    RawReader {
        ends_ms: now_ms.saturating_add(grant.open_ms_max()),
        grant,
        records,
        parts,
        close,
        rows: 0,
        bytes: 0,
        hash: blake3::Hasher::new(),
        is_open: true,
    }
}

impl<R, O, C> RawReader<R, O, C>
where
    R: Iterator<Item = std::io::Result<(Position, Record)>>,
    O: OpenParts,
    C: FnMut(Closing),
{
    /// The next line, its end included; `None` once the read is over, and why stands in the trail.
    /// `now_ms` is by the steady clock.
    pub(crate) fn next(&mut self, now_ms: u64) -> Option<String> {
        while self.is_open {
            if now_ms > self.ends_ms {
                self.finish(End::Slow);
                return None;
            }
            match self.records.next() {
                None => self.finish(End::Whole),
                Some(Err(fault)) => {
                    tracing::warn!(%fault, "single records cannot be read on");
                    self.finish(End::Broken);
                }
                Some(Ok((position, record))) => {
                    let Some(line) = self.line(&position, &record) else {
                        continue;
                    };
                    if self.rows >= u64::from(self.grant.rows_max()) {
                        self.finish(End::Rows);
                        return None;
                    }
                    self.rows += 1;
                    self.bytes += line.len() as u64;
                    self.hash.update(line.as_bytes());
                    return Some(line);
                }
            }
        }
        None
    }

    /// A record's line, if it is within the grant.
    fn line(&self, position: &Position, record: &Record) -> Option<String> {
        let popup = record.popup.as_ref()?;
        let at_ms = record.stamp.time_ms.unwrap_or(record.stamp.wall_ms);
        let grant = &self.grant;
        if !grant.covers(popup.as_str(), position.rig.as_str(), at_ms) {
            return None;
        }
        let shows = |field: &str| grant.shows(field);
        let mut row = raw::row(record, position, &shows, grant.creator())?;
        let classes = &grant.allowed().request().classes;
        raw::put_parts(
            &mut row,
            classes
                .iter()
                .map(|class| (class.text(), self.parts.open(position, record, *class))),
        );
        let mut line = String::new();
        writeln!(line, "{row}").expect("writing to a string cannot fail");
        Some(line)
    }
}

impl<R, O, C: FnMut(Closing)> RawReader<R, O, C> {
    fn finish(&mut self, end: End) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let allowed = self.grant.allowed();
        (self.close)(Closing {
            grant: self.grant.number(),
            id: allowed.id().to_owned(),
            subject: allowed.subject().clone(),
            popup: allowed.request().popup.clone(),
            rows: self.rows,
            bytes: self.bytes,
            hash: self.hash.finalize().to_hex().to_string(),
            end,
        });
    }
}

impl<R, O, C: FnMut(Closing)> Drop for RawReader<R, O, C> {
    fn drop(&mut self) {
        self.finish(End::Left);
    }
}

#[cfg(test)]
mod tests;
