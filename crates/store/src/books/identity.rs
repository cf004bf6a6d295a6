//! Which of several records states a fact.
//!
//! Two identities are compared beyond the position: the event (`source`, `id`) and the business key.
//! Records that share either form a group; inside it the first in canonical order (corrected time,
//! rig, epoch, seq) posts, records with its content are repeats, the others are in conflict. The
//! whole group is decided again whenever a record joins it, so the order of arrival does not show.

use std::collections::{BTreeMap, BTreeSet};

use popwatch_core::event::Event;
use popwatch_core::event::central::SettlementLine;
use popwatch_core::event::system::SystemEvent;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::breaks::{Break, BreakClass};
use popwatch_core::ledger::fact::EventKey;
use popwatch_core::ledger::post;
use popwatch_core::ledger::{Commodity, Fact, FactId, hex};
use popwatch_core::money::{Currency, Money};

use super::BooksFault;
use super::db::values;
use super::posting::Poster;
use super::rows::{column, fact_at, position, set_breaks};
use super::tables::FACTS;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It states its fact.
    Posts,
    /// Another record states the same.
    Repeat,
    /// Another record with the same identity says something else, and was first.
    Conflict,
}

impl Verdict {
    fn column(self) -> i64 {
        match self {
            Self::Repeat => 0,
            Self::Posts => 1,
            Self::Conflict => 2,
        }
    }

    fn read(column: i64) -> Self {
        match column {
            1 => Self::Posts,
            2 => Self::Conflict,
            _ => Self::Repeat,
        }
    }
}

/// What is known, inside this transaction, of keys by which facts meet. Facts and refunds are added
/// and never removed while a batch is taken, so an answer stays right once what is added is noted
/// here too.
#[derive(Default)]
pub(super) struct Known {
    /// Keys of events and facts that were looked up: whether a record states them.
    events: BTreeMap<EventKey, bool>,
    facts: BTreeMap<FactId, bool>,
    /// Sales that were looked up and of which no refund speaks.
    pub(super) unrefunded: BTreeSet<FactId>,
}

impl Known {
    fn states(&self, fact: &Fact) -> bool {
        self.events.get(&fact.event_key) == Some(&true) || self.facts.get(&fact.id) == Some(&true)
    }

    fn add(&mut self, fact: &Fact) {
        self.events.insert(fact.event_key, true);
        self.facts.insert(fact.id, true);
    }
}

/// Looks up all at once what [`identify`] and posting will ask of these facts.
pub(super) fn foresee<'f>(
    poster: &mut Poster<'_>,
    facts: impl Iterator<Item = &'f Fact> + Clone,
) -> Result<(), BooksFault> {
    let looks_up = BooksFault::sql("look up facts");
    let known = &mut poster.known;
    let events: BTreeSet<[u8; 16]> = facts
        .clone()
        .map(|fact| fact.event_key)
        .filter(|key| !known.events.contains_key(key))
        .map(|key| key.0)
        .collect();
    let found = poster
        .db
        .known("SELECT event FROM facts WHERE event = ?1", &events, &[])
        .map_err(&looks_up)?;
    let states = |key: &[u8; 16]| (EventKey(*key), found.contains(key));
    known.events.extend(events.iter().map(states));

    let ids: BTreeSet<[u8; 16]> = facts
        .map(|fact| fact.id)
        .filter(|id| !known.facts.contains_key(id))
        .map(|id| id.0)
        .collect();
    let found = poster
        .db
        .known("SELECT fact_id FROM facts WHERE fact_id = ?1", &ids, &[])
        .map_err(&looks_up)?;
    let states = |id: &[u8; 16]| (FactId(*id), found.contains(id));
    known.facts.extend(ids.iter().map(states));
    Ok(())
}

/// Looks up all at once which of these sales no refund speaks of.
pub(super) fn foresee_refunds(
    poster: &mut Poster<'_>,
    book: &PopupId,
    sales: &BTreeSet<[u8; 16]>,
) -> Result<(), BooksFault> {
    let refunded = poster
        .db
        .known(
            "SELECT sale FROM refunds_of WHERE sale = ?1 AND book = ?2",
            sales,
            values![book.as_str()],
        )
        .map_err(BooksFault::sql("look up refunds"))?;
    let free = sales.difference(&refunded).map(|id| FactId(*id));
    poster.known.unrefunded.extend(free);
    Ok(())
}

/// Notes a new record's fact and decides its group.
pub(super) fn identify(poster: &mut Poster<'_>, fact: Fact) -> Result<Verdict, BooksFault> {
    foresee(poster, std::iter::once(&fact))?;
    let known = poster.known.states(&fact);
    let state = if known {
        Verdict::Repeat
    } else {
        Verdict::Posts
    };
    insert(poster, &fact, state)?;
    if !known {
        poster.fresh(fact);
        return Ok(Verdict::Posts);
    }
    decide(poster, &fact)
}

fn insert(poster: &mut Poster<'_>, fact: &Fact, state: Verdict) -> Result<(), BooksFault> {
    poster.known.add(fact);
    let worth = post::worth(&fact.event);
    let at = &fact.position;
    let kind = fact.event.type_number();
    poster
        .db
        .put(
            &FACTS,
            values![
                fact.id.0,
                at.rig.as_str(),
                at.epoch.0,
                column(at.seq.0),
                fact.popup.as_str(),
                kind,
                fact.event_key.0,
                fact.content,
                state.column(),
                fact.occurred_ms,
                poster.now_ms,
                worth.as_ref().map(|worth| worth.currency.code()),
                worth.as_ref().map(|worth| worth.minor),
            ],
        )
        .map_err(BooksFault::sql("note a fact"))
}

/// One record of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    // Canonical order first.
    occurred_ms: i64,
    rig: String,
    epoch: i64,
    seq: i64,
    fact: FactId,
    event: EventKey,
    content: [u8; 16],
    state: i64,
    book: String,
    currency: Option<String>,
    amount: Option<i64>,
}

impl Candidate {
    fn place(&self) -> String {
        format!("{}/{}/{}", self.rig, self.epoch, self.seq)
    }

    fn cause(&self) -> FactId {
        FactId::of("conflict", &[self.place().as_bytes()])
    }

    fn worth(&self) -> Option<Money> {
        let currency = Currency::new(self.currency.as_deref()?)?;
        Some(Money::new(self.amount?, currency))
    }
}

fn decide(poster: &mut Poster<'_>, fact: &Fact) -> Result<Verdict, BooksFault> {
    let group = group(poster, fact)?;
    let mut by_event: BTreeMap<EventKey, usize> = BTreeMap::new();
    for (at, one) in group.iter().enumerate() {
        by_event.entry(one.event).or_insert(at);
    }
    let mut by_fact: BTreeMap<FactId, usize> = BTreeMap::new();
    for (at, one) in group.iter().enumerate() {
        if by_event.get(&one.event) == Some(&at) {
            by_fact.entry(one.fact).or_insert(at);
        }
    }
    let mut own = Verdict::Repeat;
    let mut breaks: BTreeMap<String, (usize, Break)> = BTreeMap::new();
    for (at, one) in group.iter().enumerate() {
        let of_event = by_event.get(&one.event).copied().unwrap_or(at);
        let beaten_by = match of_event == at {
            true => by_fact.get(&one.fact).copied().unwrap_or(at),
            false => of_event,
        };
        let winner = group.get(beaten_by).unwrap_or(one);
        let verdict = if beaten_by == at {
            Verdict::Posts
        } else if winner.content == one.content {
            Verdict::Repeat
        } else {
            Verdict::Conflict
        };
        if verdict == Verdict::Conflict {
            let found = match file_rows(poster, one, winner)? {
                Some(found) => found,
                None => conflict(one, winner, of_event == at),
            };
            let id = found.id.as_str().to_string();
            breaks.entry(id).or_insert((at, found));
        }
        let here = &fact.position;
        if one.rig == here.rig.as_str()
            && one.epoch == i64::from(here.epoch.0)
            && one.seq == column(here.seq.0)
        {
            own = verdict;
        }
        set_state(poster, one, verdict)?;
    }
    for one in &group {
        set_breaks(poster.db, one.cause(), "", None, &[], poster.now_ms, false)?;
    }
    for (at, found) in breaks.into_values() {
        let one = group.get(at).ok_or(BooksFault::Damaged("conflict group"))?;
        let (cause, now_ms) = (one.cause(), poster.now_ms);
        set_breaks(poster.db, cause, &one.book, None, &[found], now_ms, true)?;
    }
    let facts: BTreeSet<FactId> = group.iter().map(|one| one.fact).collect();
    facts.into_iter().for_each(|id| poster.again(id));
    Ok(own)
}

/// Every record connected with this one by an event key or a business key, in canonical order.
fn group(poster: &Poster<'_>, fact: &Fact) -> Result<Vec<Candidate>, BooksFault> {
    let mut found: BTreeSet<Candidate> = BTreeSet::new();
    let (mut events, mut facts) = (BTreeSet::new(), BTreeSet::new());
    let mut ask: Vec<(Option<EventKey>, Option<FactId>)> =
        vec![(Some(fact.event_key), None), (None, Some(fact.id))];
    while let Some((event, id)) = ask.pop() {
        let news = match (event, id) {
            (Some(event), _) => events.insert(event),
            (None, Some(id)) => facts.insert(id),
            (None, None) => false,
        };
        if !news {
            continue;
        }
        for one in candidates(poster, event, id)? {
            ask.push((Some(one.event), None));
            ask.push((None, Some(one.fact)));
            found.insert(one);
        }
    }
    Ok(found.into_iter().collect())
}

fn candidates(
    poster: &Poster<'_>,
    event: Option<EventKey>,
    fact: Option<FactId>,
) -> Result<Vec<Candidate>, BooksFault> {
    const BY_EVENT: &str = "SELECT occurred_ms, rig, epoch, seq, fact_id, event, content, state,
           book, currency, amount FROM facts WHERE event = ?1";
    const BY_FACT: &str = "SELECT occurred_ms, rig, epoch, seq, fact_id, event, content, state,
           book, currency, amount FROM facts WHERE fact_id = ?1";
    let (sql, key) = match (event, fact) {
        (Some(event), _) => (BY_EVENT, event.0),
        (None, Some(fact)) => (BY_FACT, fact.0),
        (None, None) => return Ok(Vec::new()),
    };
    let read = || {
        poster.db.rows(sql, values![key], |row| {
            Ok(Candidate {
                occurred_ms: row.get(0)?,
                rig: row.get(1)?,
                epoch: row.get(2)?,
                seq: row.get(3)?,
                fact: FactId(row.get(4)?),
                event: EventKey(row.get(5)?),
                content: row.get(6)?,
                state: row.get(7)?,
                book: row.get(8)?,
                currency: row.get(9)?,
                amount: row.get(10)?,
            })
        })
    };
    read().map_err(BooksFault::sql("read the records of a fact"))
}

fn set_state(poster: &Poster<'_>, one: &Candidate, verdict: Verdict) -> Result<(), BooksFault> {
    if Verdict::read(one.state) == verdict {
        return Ok(());
    }
    poster
        .db
        .run(
            "UPDATE facts SET state = ?5
             WHERE fact_id = ?1 AND rig = ?2 AND epoch = ?3 AND seq = ?4",
            values![one.fact.0, one.rig, one.epoch, one.seq, verdict.column()],
        )
        .map(drop)
        .map_err(BooksFault::sql("decide a fact"))
}

/// Two rows of settlement files with one id and other content: which differ by how much.
fn file_rows(
    poster: &Poster<'_>,
    one: &Candidate,
    winner: &Candidate,
) -> Result<Option<Break>, BooksFault> {
    let line_of = |of: &Candidate| -> Result<Option<SettlementLine>, BooksFault> {
        if of.rig != super::CENTRAL {
            return Ok(None);
        }
        let at = position(&of.rig, of.epoch, of.seq)?;
        Ok(fact_at(poster.db, at)?.and_then(|fact| {
            if let Event::System(SystemEvent::SettlementLine(line)) = &fact.event {
                Some(line.clone())
            } else {
                None
            }
        }))
    };
    let (Some(second), Some(first)) = (line_of(one)?, line_of(winner)?) else {
        return Ok(None);
    };
    let keys = vec![
        one.book.clone(),
        "file".to_string(),
        hex(&one.fact.0),
        hex(&one.content),
    ];
    let say = |line: &SettlementLine| {
        let currency = Currency::new(&line.currency);
        currency.map_or_else(String::new, |currency| {
            Money::new(line.net, currency).to_string()
        })
    };
    let sentence = format!(
        "Files of account {} tell row {} twice and differently: net {} first, then {}. The first \
         counts.",
        first.account,
        first.line,
        say(&first),
        say(&second)
    );
    let found = Break::new(BreakClass::FileTwice, keys, sentence).evident(vec![
        winner.place(),
        one.place(),
        first.line.clone(),
    ]);
    let same = Currency::new(&second.currency).filter(|_| first.currency == second.currency);
    Ok(Some(match same {
        Some(currency) => {
            let by = second.net.saturating_sub(first.net);
            found.amounting(Commodity::Money(currency), by, None)
        }
        None => found,
    }))
}

fn conflict(one: &Candidate, winner: &Candidate, same_business: bool) -> Break {
    let what = if same_business { "business" } else { "event" };
    let key = match same_business {
        true => one.fact.0,
        false => one.event.0,
    };
    let keys = vec![
        one.book.clone(),
        what.to_string(),
        hex(&key),
        hex(&one.content),
    ];
    let worth = one.worth();
    let amount = worth.map_or_else(|| "no money".to_string(), |worth| worth.to_string());
    let sentence = format!(
        "{} and {} used one id for two different facts; the later one ({amount}) is not counted.",
        winner.rig, one.rig
    );
    let found =
        Break::new(BreakClass::Conflict, keys, sentence).evident(vec![winner.place(), one.place()]);
    let Some(worth) = worth else {
        return found;
    };
    let same = winner
        .worth()
        .filter(|other| other.currency == worth.currency);
    let difference = worth
        .minor
        .saturating_sub(same.map_or(0, |other| other.minor));
    found.amounting(Commodity::Money(worth.currency), difference, None)
}

/// The record that states a fact, decoded; `None` when none does.
pub(super) fn winner(poster: &Poster<'_>, id: FactId) -> Result<Option<Fact>, BooksFault> {
    let states = candidates(poster, None, Some(id))?;
    let Some(one) = states
        .iter()
        .find(|one| Verdict::read(one.state) == Verdict::Posts)
    else {
        return Ok(None);
    };
    let at = super::rows::position(&one.rig, one.epoch, one.seq)?;
    super::rows::fact_at(poster.db, at)?
        .ok_or(BooksFault::Damaged("record behind a fact"))
        .map(Some)
}

/// All records that were ever candidates for a fact, decoded.
pub(super) fn every(poster: &Poster<'_>, id: FactId) -> Result<Vec<Fact>, BooksFault> {
    let mut out = Vec::new();
    for one in candidates(poster, None, Some(id))? {
        let at = super::rows::position(&one.rig, one.epoch, one.seq)?;
        out.extend(super::rows::fact_at(poster.db, at)?);
    }
    Ok(out)
}
