//! Opening a journal, whatever happened to its files.
//!
//! ```text
//! survey   read headers, footers and bodies without footer; nothing is changed
//! decide   one row of the table per file
//! account  per epoch: which of 1..=last are there; the rest is lost and gets a value
//! repair   quarantine, cut, rebuild footers; each step may be repeated after a crash
//! begin    a new epoch: rig.started, gaps, policies in one commit; from here on it accepts
//! ```
//!
//! H is the header: ok (either copy), none, foreign (other rig or journal), newer. F the footer: ok,
//! no. B the body (see [`super::scan`]). P the place: last, inner.
//!
//! | | H F B P | decision |
//! |---|---|---|
//! | R1 | newer * * * | untouched; the new epoch lies above it |
//! | R2 | foreign * * * | quarantine |
//! | R3 | none * empty last | all zero: unlink, else quarantine |
//! | R4 | none * empty inner | quarantine; gap from the neighbours |
//! | R5 | none * other * | as ok, if the frames verify under a known epoch |
//! | R6 | ok ok * * | trust the footer; a bad record is found when it is read |
//! | R7 | ok no clean last | keep |
//! | R8 | ok no torn last | keep the prefix, the rest to quarantine |
//! | R9 | ok no holes * | keep both sides, one gap per hole |
//! | R10 | ok no clean inner | rebuild the footer |
//! | R11 | ok no torn inner | gap up to what follows |
//! | R12 | ok no empty last | unlink; the epoch's number stays used |
//! | R13 | ok no empty inner | gap if its epoch goes on, else as R12 |
//! | R14 | a number is missing | gap from the neighbours |
//! | R15 | a number comes twice | the longer stays, the other to quarantine |
//! | R16 | the disk refuses | [`OpenError::Unavailable`]: try again |
//! | R17 | the lock is held | [`OpenError::Locked`] |
//!
//! If power fails during recovery: copies to quarantine come before cuts, footers are written
//! behind the last kept frame, and what is lost is stated only in the commit that begins the new
//! epoch. Running again finds the same.

mod account;
mod repair;
mod survey;

use std::io;

use popwatch_core::event::system::{Gap, PopupPolicy, RigStarted};
use popwatch_core::id::{Epoch, EpochId, Seq};
use popwatch_core::limits;

use super::append::{Head, Previous};
use super::disk::LAST;
use super::scan::Body;
use super::totals::{self, Totals};
use super::{Committed, EpochInfo, Journal, OpenError, Opening, Quarantine};
use crate::fs::Fs;

#[cfg(test)]
pub(super) use repair::bound_quarantine;

pub(super) use account::{Accounts, ranges, subtract, value};
pub(super) use survey::{Found, record_at, survey};

/// State of a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderState {
    /// One copy is sound and ours.
    Ok,
    /// Both copies are damaged.
    None,
    /// It is of another rig or journal.
    Foreign,
    /// It is of a later format.
    Newer,
}

/// State of a segment's footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FooterState {
    /// Trailer and head are sound.
    Ok,
    /// There is none, or it is damaged.
    No,
}

/// Whether a segment has the highest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It has.
    Last,
    /// It has not.
    Inner,
}

/// A row of the recovery table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the rows are described in the module's table")]
pub enum Row {
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    R16,
    R17,
}

/// The row for one file. R14 to R17 are about the folder, not about one file.
#[must_use]
pub const fn decide(header: HeaderState, footer: FooterState, body: Body, place: Place) -> Row {
    use FooterState as F;
    use HeaderState as H;
    match (header, footer, body, place) {
        (H::Newer, _, _, _) => Row::R1,
        (H::Foreign, _, _, _) => Row::R2,
        (H::None, _, Body::Empty, Place::Last) => Row::R3,
        (H::None, _, Body::Empty, Place::Inner) => Row::R4,
        (H::None, _, Body::Clean | Body::Holes | Body::Torn, _) => Row::R5,
        (H::Ok, F::Ok, _, _) => Row::R6,
        (H::Ok, F::No, Body::Clean, Place::Last) => Row::R7,
        (H::Ok, F::No, Body::Torn, Place::Last) => Row::R8,
        (H::Ok, F::No, Body::Holes, _) => Row::R9,
        (H::Ok, F::No, Body::Clean, Place::Inner) => Row::R10,
        (H::Ok, F::No, Body::Torn, Place::Inner) => Row::R11,
        (H::Ok, F::No, Body::Empty, Place::Last) => Row::R12,
        (H::Ok, F::No, Body::Empty, Place::Inner) => Row::R13,
    }
}

/// A tail that was cut because the commit it belongs to was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Its epoch.
    pub epoch: Epoch,
    /// The segment file.
    pub file: String,
    /// Offset of the first byte cut.
    pub at: u64,
    /// Bytes cut.
    pub bytes: u64,
    /// Seqs whose headers could still be read in it.
    pub seqs: Vec<u64>,
}

/// What was found at a start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovery {
    /// Which row was applied to which file.
    pub rows: Vec<(String, Row)>,
    /// Losses found now. Known ones are in [`Journal::gaps`].
    pub gaps: Vec<Gap>,
    /// Tails that were cut.
    pub torn: Vec<TornTail>,
    /// Bytes of all cut tails.
    pub bytes_cut: u64,
    /// Files put aside now, by their names in the quarantine.
    pub quarantined: Vec<String>,
    /// What lies in the quarantine.
    pub quarantine: Quarantine,
    /// There are segments of a later format (PW0205).
    pub newer_format: bool,
    /// The previous epoch ended with `rig.stopped`, or there was none.
    pub clean: bool,
    /// The epoch before the new one.
    pub previous: Option<EpochInfo>,
    /// The records of the commit that opened the new epoch.
    pub records: Vec<Committed>,
}

fn unavailable(what: &'static str) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Unavailable { what, source }
}

impl<F: Fs> Journal<F> {
    /// Locks the folder, recovers what is there and begins a new epoch.
    ///
    /// Never gives up over damage: what cannot be read is put aside, named and valued. Fails only
    /// when another process holds the folder or the disk refuses a call.
    pub fn open(fs: F, opening: Opening) -> Result<(Self, Recovery), OpenError> {
        let locked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let lock = fs.lock().map_err(|error| match locked(&error) {
            true => OpenError::Locked,
            false => unavailable("locked")(error),
        })?;
        let mut survey = survey(&fs, Some(&opening.rig)).map_err(unavailable("read"))?;
        let journal_id = survey.journal_id.unwrap_or(opening.fresh.journal_id);
        let accounts = Accounts::new(&fs, &mut survey).map_err(unavailable("read"))?;
        let mut recovery = Recovery {
            newer_format: survey.newer,
            rows: survey.rows.clone(),
            gaps: accounts.found.clone(),
            clean: accounts.clean,
            previous: accounts.previous(),
            ..Recovery::default()
        };
        if let Err(error) = repair::repair(&fs, &mut survey, &mut recovery) {
            if error.kind() == io::ErrorKind::StorageFull {
                // A footer needs room; the next try has this.
                drop(fs.unlink(LAST));
            }
            return Err(unavailable("repaired")(error));
        }
        let previous = accounts.started(&recovery);
        let policies = join(accounts.policies.clone(), opening.popups);
        let mut journal_key = [0; 32];
        for (target, byte) in journal_key.iter_mut().zip(journal_id.0.iter().cycle()) {
            *target = *byte;
        }
        let mut gaps = accounts.known.clone();
        gaps.extend(accounts.found.iter().cloned());
        let mut journal = Self {
            fs,
            _lock: lock,
            rig: opening.rig,
            journal_id,
            journal_key,
            boot_id: opening.boot_id,
            version: opening.version,
            segment_bytes: opening.segment_bytes,
            fresh_epoch: opening.fresh.epoch_id,
            head: head(&previous),
            totals: Totals::default(),
            open: None,
            next_segment_no: survey.next_no,
            next_epoch: survey.highest_epoch.saturating_add(1),
            void_epochs: Vec::new(),
            popups: std::collections::BTreeMap::new(),
            sealed: survey.into_sealed(),
            epochs: accounts.epochs.clone(),
            gaps,
            gaps_waiting: accounts.found.clone(),
            acked: accounts.acked.clone(),
            since_seal: false,
            asked_seal_ms: opening.stamp.wall_ms,
            undelivered: Vec::new(),
            quarantine: recovery.quarantine,
            newer_format: recovery.newer_format,
            memo: [None, None],
            space: super::disk::Space::default(),
            kept_keys: Vec::new(),
            taken_along: None,
            stopped: false,
        };
        journal.load_kept_keys();
        journal.bound_filters();
        recovery.records = journal
            .begin_epoch(Previous { started: previous }, policies, opening.stamp)
            .map_err(unavailable("begun"))?;
        Ok((journal, recovery))
    }
}

fn head(previous: &RigStarted) -> Head {
    let id = EpochId::from_slice(&previous.previous_epoch_id).unwrap_or(EpochId([0; 16]));
    let mut head = Head::new(Epoch(previous.previous_epoch), id);
    head.seq = previous.previous_last_seq;
    head
}

/// The stricter of two policies is not decided here: a popup's one of higher rank wins, the given one
/// at a tie.
fn join(known: Vec<PopupPolicy>, given: Vec<PopupPolicy>) -> Vec<PopupPolicy> {
    let mut all = std::collections::BTreeMap::new();
    for policy in known.into_iter().chain(given) {
        let newest = all
            .entry(policy.popup.clone())
            .or_insert_with(|| policy.clone());
        if policy.rank() >= newest.rank() {
            *newest = policy;
        }
    }
    let mut all: Vec<_> = all.into_values().collect();
    // Long over before others: the last to end are stated.
    all.sort_by_key(|policy| std::cmp::Reverse(policy.ends_ms));
    all.truncate(limits::TOTALS_ROWS_MAX);
    all.sort_by(|one, other| one.popup.cmp(&other.popup));
    all
}

impl Accounts {
    /// The epoch before the new one, as it stands now.
    fn previous(&self) -> Option<EpochInfo> {
        self.epochs.iter().rfind(|info| !info.void).copied()
    }

    /// What the new epoch says of it.
    fn started(&self, recovery: &Recovery) -> RigStarted {
        let tail_bytes_cut = recovery.bytes_cut;
        let chain = |chain: Option<[u8; 32]>| chain.map(|chain| chain.to_vec()).unwrap_or_default();
        match self.previous() {
            None => RigStarted {
                reason: "first_start".into(),
                clean: true,
                tail_bytes_cut,
                ..RigStarted::default()
            },
            Some(info) => RigStarted {
                tail_first: tail_seqs(recovery, info.epoch).min().unwrap_or(0),
                tail_last: tail_seqs(recovery, info.epoch).max().unwrap_or(0),
                previous_epoch: info.epoch.0,
                previous_epoch_id: info.epoch_id.0.to_vec(),
                previous_last_seq: info.last_seq.0,
                previous_chain_trunk: chain(self.chains[0]),
                previous_chain_bulk: chain(self.chains[1]),
                previous_totals: totals::rows(&self.totals),
                clean: self.clean,
                reason: "start".into(),
                tail_bytes_cut,
                ..RigStarted::default()
            },
        }
    }
}

/// Seqs of an epoch whose headers could be read in a tail that was cut.
fn tail_seqs(recovery: &Recovery, epoch: Epoch) -> impl Iterator<Item = u64> {
    let tails = recovery.torn.iter().filter(move |torn| torn.epoch == epoch);
    tails.flat_map(|torn| torn.seqs.iter().copied())
}

/// No record yet, for an epoch that is only known by name.
const NOTHING: Seq = Seq::NONE;

#[cfg(test)]
mod tests {
    use super::*;

    /// The table once more, as patterns that must be disjoint and leave nothing out.
    fn rows(header: HeaderState, footer: FooterState, body: Body, place: Place) -> Vec<Row> {
        use HeaderState as H;
        let ok = header == H::Ok;
        let bare = ok && footer == FooterState::No;
        let (empty, last) = (body == Body::Empty, place == Place::Last);
        let table = [
            (Row::R1, header == H::Newer),
            (Row::R2, header == H::Foreign),
            (Row::R3, header == H::None && empty && last),
            (Row::R4, header == H::None && empty && !last),
            (Row::R5, header == H::None && !empty),
            (Row::R6, ok && !bare),
            (Row::R7, bare && body == Body::Clean && last),
            (Row::R8, bare && body == Body::Torn && last),
            (Row::R9, bare && body == Body::Holes),
            (Row::R10, bare && body == Body::Clean && !last),
            (Row::R11, bare && body == Body::Torn && !last),
            (Row::R12, bare && empty && last),
            (Row::R13, bare && empty && !last),
        ];
        table
            .iter()
            .filter(|(_, fits)| *fits)
            .map(|(row, _)| *row)
            .collect()
    }

    #[test]
    fn every_combination_has_exactly_one_row() {
        let mut seen = std::collections::BTreeSet::new();
        for header in [
            HeaderState::Ok,
            HeaderState::None,
            HeaderState::Foreign,
            HeaderState::Newer,
        ] {
            for footer in [FooterState::Ok, FooterState::No] {
                for body in [Body::Clean, Body::Holes, Body::Torn, Body::Empty] {
                    for place in [Place::Last, Place::Inner] {
                        let row = decide(header, footer, body, place);
                        assert_eq!(rows(header, footer, body, place), [row]);
                        seen.insert(row);
                    }
                }
            }
        }
        assert_eq!(seen.len(), 13);
    }
}
