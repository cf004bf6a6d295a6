//! Lost ranges: what rigs state about them, and what they are worth (E-GAP-VALUE).
//!
//! A `rig.gap` record is the authority. A skip on the lane counts only where no such record speaks
//! of its range. Of a stated value, what held records of the range explain is taken off: the ledger
//! may have got them before the rig lost them. So does a record that was sent to the rig again and
//! names the lost place as its origin, and so does what a provider tells of a payment whose reference
//! is anchored there. All statements of one epoch are evaluated together whenever one of them, a
//! record of a stated range or a provider's word on it comes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::event::Event;
use popwatch_core::event::system::TotalsRow;
use popwatch_core::id::{PopupId, Position, RigId};
use popwatch_core::lane::Skip;
use popwatch_core::ledger::count::Band;
use popwatch_core::ledger::gap::{self, Explained, LostRange, Unclaimed, gap_value};
use popwatch_core::ledger::post::{Posted, worth};
use popwatch_core::ledger::{FactId, Ranges};
use popwatch_core::money::Currency;
use popwatch_core::provider::reference::RigTag;
use popwatch_core::record::{self, Origin};
use prost::Message as _;

use super::db::{Db, values};
use super::posting::Poster;
use super::rows::{column, number};
use super::{BooksFault, frame, groups};

/// What somebody stated about a lost range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) first: u64,
    pub(super) last: u64,
    /// By a `rig.gap` record, not by a skip.
    pub(super) by_record: bool,
    /// The rig could not tell the value.
    pub(super) unknown: bool,
    pub(super) rows: Vec<TotalsRow>,
    pub(super) at_ms: i64,
}

/// Notes a statement.
pub(super) fn state(
    poster: &mut Poster<'_>,
    rig: &RigId,
    epoch: u32,
    stated: &Stated,
) -> Result<(), BooksFault> {
    if stated.first == 0 || stated.first > stated.last {
        return Ok(());
    }
    let worth = Skip {
        count: u64::from(stated.unknown),
        why: 0,
        value: stated.rows.clone(),
    }
    .encode_to_vec();
    poster
        .db
        .run(
            "INSERT INTO gaps (rig, epoch, first, last, source, worth, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (rig, epoch, first, last, source, worth) DO UPDATE SET
               at_ms = CASE WHEN excluded.at_ms < gaps.at_ms
                            THEN excluded.at_ms ELSE gaps.at_ms END",
            values![
                rig.as_str(),
                epoch,
                column(stated.first),
                column(stated.last),
                i64::from(!stated.by_record),
                worth,
                stated.at_ms
            ],
        )
        .map_err(BooksFault::sql("note a gap"))?;
    poster.gaps.insert((rig.clone(), epoch));
    Ok(())
}

/// A record was appended again: what was stated about its first place is looked at again.
pub(super) fn resent(
    poster: &mut Poster<'_>,
    at: &Position,
    origin: Origin,
) -> Result<(), BooksFault> {
    poster
        .db
        .run(
            "INSERT INTO resent (rig, epoch, seq, at_epoch, at_seq) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            values![
                at.rig.as_str(),
                origin.epoch,
                column(origin.seq),
                at.epoch.0,
                column(at.seq.0)
            ],
        )
        .map_err(BooksFault::sql("note a record's first place"))?;
    touch(poster, &at.rig, origin.epoch, origin.seq, origin.seq)
}

/// A batch brought records or skips of this stretch: what was stated about it is looked at again.
pub(super) fn touch(
    poster: &mut Poster<'_>,
    rig: &RigId,
    epoch: u32,
    first: u64,
    last: u64,
) -> Result<(), BooksFault> {
    let stated: bool = poster
        .db
        .one(
            "SELECT EXISTS (SELECT 1 FROM gaps
                            WHERE rig = ?1 AND epoch = ?2 AND first <= ?4 AND last >= ?3)",
            values![rig.as_str(), epoch, column(first), column(last)],
            |row| row.get(0),
        )
        .map_err(BooksFault::sql("look for gaps"))?;
    if stated {
        poster.gaps.insert((rig.clone(), epoch));
    }
    Ok(())
}

/// Before groups are evaluated: whoever asked about a touched epoch is evaluated again, and whoever
/// counted goods that its lost records may have moved.
pub(super) fn announce(poster: &mut Poster<'_>) -> Result<(), BooksFault> {
    for (rig, epoch) in poster.gaps.clone() {
        let tag = RigTag::of_rig(&rig);
        groups::answer(poster, &format!("gap:{}", tag.as_str()))?;
        for popup in popups_of(&read(poster.db, &rig, epoch)?) {
            poster.took_part(&popup, &rig, epoch)?;
            poster.recount(&popup)?;
        }
    }
    Ok(())
}

/// What providers tell of the lost ranges under these keys has changed: they are looked at again.
pub(super) fn told(poster: &mut Poster<'_>, hashes: &BTreeSet<[u8; 16]>) -> Result<(), BooksFault> {
    if hashes.is_empty() {
        return Ok(());
    }
    let of_all = hashes.contains(&gap::unclaimed_key().hash);
    let stated = every(poster.db)?.into_iter();
    let told = stated.filter(|(rig, epoch)| of_all || hashes.contains(&gap::key(rig, *epoch).hash));
    poster.gaps.extend(told);
    Ok(())
}

/// One lost range of one popup.
struct Lost {
    popup: PopupId,
    rig: RigId,
    epoch: u32,
    stated_ms: i64,
    range: LostRange,
}

/// The cause under which the losses of an epoch in one popup post.
fn cause(popup: &PopupId, rig: &RigId, epoch: u32) -> FactId {
    let epoch = epoch.to_le_bytes();
    let key = [popup.as_str().as_bytes(), rig.as_str().as_bytes(), &epoch];
    FactId::of("rig.gap", &key)
}

/// After groups were evaluated: posts the value of the lost ranges of every epoch touched.
pub(super) fn post(poster: &mut Poster<'_>) -> Result<(), BooksFault> {
    if poster.gaps.is_empty() {
        return Ok(());
    }
    // Which range a charge that no till claims is taken off depends on all of them.
    let words = groups::words_to(poster, gap::unclaimed_key())?;
    let unclaimed: Option<BTreeSet<Unclaimed>> = words
        .iter()
        .map(|word| Unclaimed::decode(&word.bytes))
        .collect();
    let unclaimed = unclaimed.ok_or(BooksFault::Damaged("words between groups"))?;
    if !unclaimed.is_empty() {
        let all = every(poster.db)?;
        poster.gaps.extend(all);
    }
    let mut posted: BTreeMap<(PopupId, RigId, u32), Posted> = BTreeMap::new();
    let mut lost: BTreeMap<Currency, Vec<Lost>> = BTreeMap::new();
    for (rig, epoch) in std::mem::take(&mut poster.gaps) {
        for (popup, worth) in worth_of(poster, &rig, epoch)? {
            posted.insert((popup, rig.clone(), epoch), Posted::default());
            for (currency, of_epoch) in worth {
                lost.entry(currency).or_default().extend(of_epoch);
            }
        }
    }
    for (currency, mut all) in lost {
        let told = unclaimed.iter().filter(|one| one.currency == currency);
        let told = told.cloned().collect();
        all.sort_by(|a, b| {
            let order = |one: &Lost| (one.popup.clone(), one.rig.clone(), one.epoch);
            (order(a), a.range.first).cmp(&(order(b), b.range.first))
        });
        let mut ranges: Vec<_> = (all.iter_mut())
            .map(|one| (one.stated_ms, &mut one.range))
            .collect();
        gap::guess(&mut ranges, &told);
        for one in all {
            let fact = cause(&one.popup, &one.rig, one.epoch);
            let (popup, rig, at_ms) = (&one.popup, &one.rig, one.stated_ms);
            let made = gap_value(fact, popup, rig, one.epoch, currency, &one.range, at_ms)
                .map_err(BooksFault::Entry)?;
            let of = posted.entry((one.popup, one.rig, one.epoch)).or_default();
            of.entries.extend(made.entries);
            of.breaks.extend(made.breaks);
        }
    }
    for ((popup, rig, epoch), posted) in posted {
        poster.settle(cause(&popup, &rig, epoch), popup.as_str(), &posted, false)?;
    }
    Ok(())
}

type Worth = BTreeMap<PopupId, BTreeMap<Currency, Vec<Lost>>>;

/// The lost ranges of an epoch, less what providers tell of payments anchored there.
fn worth_of(poster: &mut Poster<'_>, rig: &RigId, epoch: u32) -> Result<Worth, BooksFault> {
    let stated = read(poster.db, rig, epoch)?;
    let popups = popups_of(&stated);
    let chosen = choose(stated);
    let words = groups::words_to(poster, gap::key(rig, epoch))?;
    let told: Option<Vec<Explained>> = words
        .iter()
        .map(|word| Explained::decode(&word.bytes))
        .collect();
    let told = told.ok_or(BooksFault::Damaged("words between groups"))?;
    let mut out = Worth::new();
    for popup in popups {
        let of_popup = out.entry(popup.clone()).or_default();
        for (currency, mut ranges) in lost_ranges(poster.db, rig, epoch, &chosen, &popup)? {
            let of = |one: &&Explained| one.book == popup.as_str() && one.currency == currency;
            gap::explain(&mut ranges, told.iter().filter(of).cloned().collect());
            let lost = ranges.into_iter().map(|range| Lost {
                popup: popup.clone(),
                rig: rig.clone(),
                epoch,
                stated_ms: (chosen.iter())
                    .find(|one| one.first == range.first)
                    .map_or(0, |one| one.at_ms),
                range,
            });
            of_popup.insert(currency, lost.collect());
        }
    }
    Ok(out)
}

/// Every epoch of which something lost was stated.
pub(super) fn every(db: &Db) -> Result<Vec<(RigId, u32)>, BooksFault> {
    let stated: Vec<(String, u32)> = db
        .rows("SELECT DISTINCT rig, epoch FROM gaps", values![], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(BooksFault::sql("list gaps"))?;
    let rig = |rig: &str| RigId::new(rig).map_err(|_| BooksFault::Damaged("rig name"));
    stated
        .into_iter()
        .map(|(name, epoch)| Ok((rig(&name)?, epoch)))
        .collect()
}

/// The popups that statements tell of.
fn popups_of(stated: &[Stated]) -> BTreeSet<PopupId> {
    stated
        .iter()
        .flat_map(|gap| &gap.rows)
        .filter_map(|row| PopupId::new(&row.popup).ok())
        .collect()
}

/// What the statements say was captured and refunded per currency, less what held records of each
/// range tell.
fn lost_ranges(
    db: &Db,
    rig: &RigId,
    epoch: u32,
    chosen: &[Stated],
    popup: &PopupId,
) -> Result<BTreeMap<Currency, Vec<LostRange>>, BooksFault> {
    let mut out: BTreeMap<Currency, Vec<LostRange>> = BTreeMap::new();
    for gap in chosen {
        let held = held_worth(db, rig, epoch, gap, popup)?;
        let mut of_gap: BTreeMap<Currency, LostRange> = BTreeMap::new();
        for row in gap.rows.iter().filter(|row| row.popup == popup.as_str()) {
            let Some(currency) = Currency::new(&row.currency) else {
                continue;
            };
            let lost = of_gap.entry(currency).or_insert_with(|| LostRange {
                first: gap.first,
                last: gap.last,
                captured: 0,
                refunded: 0,
                explained: 0,
                unclaimed: 0,
                by: Vec::new(),
            });
            lost.captured += i128::from(row.captured);
            lost.refunded += i128::from(row.refunded);
        }
        for (currency, minor) in held {
            if let Some(lost) = of_gap.get_mut(&currency) {
                match minor < 0 {
                    true => lost.refunded += minor,
                    false => lost.captured -= minor,
                }
            }
        }
        for (currency, lost) in of_gap {
            out.entry(currency).or_default().push(lost);
        }
    }
    for ranges in out.values_mut() {
        ranges.sort_by_key(|lost| lost.first);
    }
    Ok(out)
}

/// What the held records of a range are worth, and those that replace one of it, each with its
/// currency; refunds negative.
fn held_worth(
    db: &Db,
    rig: &RigId,
    epoch: u32,
    gap: &Stated,
    popup: &PopupId,
) -> Result<Vec<(Currency, i128)>, BooksFault> {
    let ask = || {
        db.rows(
            "SELECT bytes FROM records
             WHERE rig = ?1 AND epoch = ?2 AND seq BETWEEN ?3 AND ?4
               AND book = ?5 AND fact_id IS NOT NULL AND bytes IS NOT NULL
             UNION ALL
             SELECT now.bytes FROM resent JOIN records AS now
               ON now.rig = resent.rig AND now.epoch = at_epoch AND now.seq = at_seq
             WHERE resent.rig = ?1 AND resent.epoch = ?2 AND resent.seq BETWEEN ?3 AND ?4
               AND now.book = ?5 AND now.fact_id IS NOT NULL AND now.bytes IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM records AS first WHERE first.rig = resent.rig
                               AND first.epoch = resent.epoch AND first.seq = resent.seq)",
            values![
                rig.as_str(),
                epoch,
                column(gap.first),
                column(gap.last),
                popup.as_str()
            ],
            |row| row.get::<Vec<u8>>(0),
        )
    };
    let frames = ask().map_err(BooksFault::sql("read the records of a gap"))?;
    let mut out = Vec::new();
    for bytes in frames {
        let payload = bytes.get(frame::HEADER_BYTES..).unwrap_or_default();
        let Ok(record) = record::decode(payload) else {
            continue;
        };
        let Some(money) = worth(&record.event) else {
            continue;
        };
        let sign = if matches!(record.event, Event::PaymentCaptured(_)) {
            1
        } else if matches!(record.event, Event::PaymentRefunded(_)) {
            -1
        } else {
            0
        };
        out.push((money.currency, i128::from(money.minor) * sign));
    }
    Ok(out)
}

/// All statements about one epoch.
fn read(db: &Db, rig: &RigId, epoch: u32) -> Result<Vec<Stated>, BooksFault> {
    let ask = || {
        db.rows::<(i64, i64, i64, Vec<u8>, i64)>(
            "SELECT first, last, source, worth, at_ms FROM gaps WHERE rig = ?1 AND epoch = ?2",
            values![rig.as_str(), epoch],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            },
        )
    };
    let rows = ask().map_err(BooksFault::sql("read gaps"))?;
    rows.into_iter()
        .map(|(first, last, source, worth, at_ms)| {
            let worth = Skip::decode(&worth[..]).map_err(|_| BooksFault::Damaged("gap"))?;
            Ok(Stated {
                first: number(first),
                last: number(last),
                by_record: source == 0,
                unknown: worth.count != 0,
                rows: worth.value,
                at_ms,
            })
        })
        .collect()
}

/// The statements that count: none overlaps another. Records before skips, skips that tell a value
/// before those that do not, longer before shorter.
fn choose(mut stated: Vec<Stated>) -> Vec<Stated> {
    let worth = |gap: &Stated| {
        let rows = gap.rows.iter().flat_map(TotalsRow::encode_to_vec);
        rows.collect::<Vec<u8>>()
    };
    stated.sort_by_cached_key(|gap| {
        let silent = !gap.by_record && gap.rows.is_empty();
        let range = (gap.first, Reverse(gap.last));
        (!gap.by_record, silent, range, worth(gap), gap.unknown)
    });
    let mut out: Vec<Stated> = Vec::new();
    for gap in stated {
        let free = out
            .iter()
            .all(|taken| taken.last < gap.first || gap.last < taken.first);
        if free {
            out.push(gap);
        }
    }
    out
}

/// Seqs of an epoch that were stated as lost and are not held.
pub(super) fn lost(db: &Db, rig: &RigId, epoch: u32) -> Result<Ranges, BooksFault> {
    let mut lost = Ranges::default();
    for gap in read(db, rig, epoch)? {
        let held = held_in(db, rig, epoch, gap.first, gap.last)?;
        for (first, last) in held.missing(gap.first, gap.last).as_slice() {
            lost.insert(*first, *last);
        }
    }
    Ok(lost)
}

/// The given seqs and those up to `last` at which a record is held.
pub(super) fn with_held(
    db: &Db,
    rig: &RigId,
    epoch: u32,
    mut seqs: Ranges,
    last: u64,
) -> Result<Ranges, BooksFault> {
    for (first, last) in seqs.missing(1, last).as_slice().to_vec() {
        let held = held_in(db, rig, epoch, first, last)?;
        for (first, last) in held.as_slice() {
            seqs.insert(*first, *last);
        }
    }
    Ok(seqs)
}

fn held_in(db: &Db, rig: &RigId, epoch: u32, first: u64, last: u64) -> Result<Ranges, BooksFault> {
    let ask = || {
        db.rows(
            "SELECT seq FROM records WHERE rig = ?1 AND epoch = ?2 AND seq BETWEEN ?3 AND ?4",
            values![rig.as_str(), epoch, column(first), column(last)],
            |row| row.get::<i64>(0),
        )
    };
    let seqs = ask().map_err(BooksFault::sql("read the records of a gap"))?;
    Ok(Ranges::of(
        seqs.into_iter().map(|seq| (number(seq), number(seq))),
    ))
}

/// Seqs of a range whose records are held at another place.
fn resent_of(
    db: &Db,
    rig: &RigId,
    epoch: u32,
    first: u64,
    last: u64,
) -> Result<Vec<u64>, BooksFault> {
    let ask = || {
        db.rows(
            "SELECT seq FROM resent WHERE rig = ?1 AND epoch = ?2 AND seq BETWEEN ?3 AND ?4",
            values![rig.as_str(), epoch, column(first), column(last)],
            |row| row.get::<i64>(0),
        )
    };
    let seqs = ask().map_err(BooksFault::sql("read the records of a gap"))?;
    Ok(seqs.into_iter().map(number).collect())
}

/// How far off a popup's shelf of one SKU may be because of lost records. What a rig lost took at most
/// what was ever set aside for it, where something was: `granted`, items by rig.
pub(super) fn band(
    db: &Db,
    popup: &PopupId,
    granted: &BTreeMap<String, i64>,
) -> Result<Band, BooksFault> {
    let ask = || {
        db.rows::<(String, u32)>(
            "SELECT DISTINCT rig, epoch FROM gaps
             WHERE rig IN (SELECT rig FROM rig_popups WHERE book = ?1)",
            values![popup.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    };
    let mut of_rigs: BTreeMap<String, Band> = BTreeMap::new();
    for (name, epoch) in ask().map_err(BooksFault::sql("read gaps"))? {
        let rig = RigId::new(&name).map_err(|_| BooksFault::Damaged("rig name"))?;
        let of_rig = of_rigs.entry(name).or_insert(Band::NONE);
        for gap in choose(read(db, &rig, epoch)?) {
            let mut held = held_in(db, &rig, epoch, gap.first, gap.last)?;
            for seq in resent_of(db, &rig, epoch, gap.first, gap.last)? {
                held.insert(seq, seq);
            }
            if !held.missing(gap.first, gap.last).is_empty() {
                *of_rig = of_rig.and(band_of(&gap, popup));
            }
        }
    }
    let capped = |(rig, band): (&String, &Band)| match granted.get(rig) {
        Some(rights) => band.at_most(*rights),
        None => *band,
    };
    Ok(of_rigs.iter().map(capped).fold(Band::NONE, Band::and))
}

fn band_of(gap: &Stated, popup: &PopupId) -> Band {
    let silent = !gap.by_record && gap.rows.is_empty();
    if gap.unknown || silent {
        return Band {
            out: None,
            into: None,
        };
    }
    let rows = || gap.rows.iter().filter(|row| row.popup == popup.as_str());
    let units = |row: &TotalsRow| row.units.max(0);
    let moved = rows().filter(|row| row.currency == "XXX").map(units).sum();
    Band {
        out: Some(rows().map(units).sum()),
        into: rows().all(|row| row.refunded == 0).then_some(moved),
    }
}
