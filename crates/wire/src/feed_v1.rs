//! The live stream as text: events of a popup's rows for readers who may skip any of them.
//!
//! ```text
//! id: v1.<place>                            where the reader is: state, version vector, memory
//! event: snapshot  {"asof","rows"}          all rows; "regressed":true when numbers may go back
//! event: snapshot  {"asof","rows","keep":"min/","gone"}   rows under `keep` stay unless named
//! event: delta     {"asof","rows","gone"}   rows that changed since the last event
//! event: behind    {"server_ms","rigs"}     less is held here than was shown; hold the paint
//! event: tick      {"server_ms","watermark_ms","silent"}
//! ```
//!
//! What always holds: a row is a whole value under its key, made into text once for all readers; a
//! delta from any older revision leads to the same rows; an id that nobody here wrote is not an id.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use popwatch_core::access::Disclosure;
use popwatch_core::base64::{base64, from_base64};
use popwatch_core::limits::{FEED_GONE_MAX, FEED_ID_BYTES_MAX};
use popwatch_core::region::vector::{Reach, Vector};
use serde::Serialize;

use crate::answer_v1::{Asof, Row, Silent, Snapshot};

/// Rows that only cells change: who comes back keeps those without a new cell.
const KEPT: &str = "min/";
/// Version of an id.
const ID: &str = "v1.";

/// Who reads: which rows, how often.
#[derive(Debug, PartialEq, Eq)]
pub struct Audience {
    /// Its name in `?view=`.
    pub name: &'static str,
    /// Between two events with rows, ms, at least.
    pub every_ms: u64,
    /// Beginnings of the keys it is shown; empty for all.
    pub keys: &'static [&'static str],
}

/// All audiences; the first is who does not say.
pub const AUDIENCES: &[Audience] = &[
    Audience {
        name: "operator",
        every_ms: 100,
        keys: &[],
    },
    Audience {
        name: "rig",
        every_ms: 16,
        keys: &[],
    },
    Audience {
        name: "creator",
        every_ms: 100,
        keys: &[
            "popup",
            "now",
            "min/",
            "rig/",
            "sku/",
            "board/creators",
            "cre/",
            "drop/",
            "funnel",
            "chat",
            "alert/",
        ],
    },
    Audience {
        name: "coop",
        every_ms: 100,
        keys: &[
            "popup", "now", "min/", "rig/", "board/", "cre/", "fulfil", "alert/",
        ],
    },
    Audience {
        name: "board",
        every_ms: 1_000,
        keys: &["popup", "board/creators", "board/products"],
    },
];

impl Audience {
    /// The audience of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        AUDIENCES.iter().find(|audience| audience.name == name)
    }

    fn sees(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|start| key.starts_with(start))
    }
}

/// Where a reader is: what its last event showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// A hash of all that was shown but the server's clock.
    pub state: [u8; 8],
    /// How far the popup was held; `None` when it did not fit the id.
    pub vector: Option<Vector>,
}

impl Place {
    /// As `id` of an event and `Last-Event-ID` of a request.
    #[must_use]
    pub fn id(&self) -> String {
        let mut bytes = self.state.to_vec();
        if let Some(vector) = &self.vector {
            bytes.extend(vector.memory);
            for ((rig, epoch), reach) in &vector.lives {
                bytes.extend(rig.to_be_bytes());
                put_varint(&mut bytes, u64::from(*epoch));
                put_varint(&mut bytes, reach.cut);
                put_varint(&mut bytes, reach.top - reach.cut);
            }
            if bytes.len() * 4 / 3 + ID.len() > FEED_ID_BYTES_MAX {
                bytes.truncate(self.state.len());
            }
        }
        let text = base64(&bytes).replace('+', "-").replace('/', "_");
        format!("{ID}{}", text.trim_end_matches('='))
    }

    /// Reads an id; `None` when it is not one (PW3131).
    #[must_use]
    pub fn read(id: &str) -> Option<Self> {
        let text = id.strip_prefix(ID)?;
        if id.len() > FEED_ID_BYTES_MAX || text.contains(['+', '/', '=']) {
            return None;
        }
        let mut text = text.replace('-', "+").replace('_', "/");
        text.extend(std::iter::repeat_n(
            '=',
            text.len().next_multiple_of(4) - text.len(),
        ));
        let bytes = from_base64(&text)?;
        let (state, mut rest) = bytes.split_first_chunk::<8>()?;
        let state = *state;
        if rest.is_empty() {
            return Some(Self {
                state,
                vector: None,
            });
        }
        let (memory, lives) = rest.split_first_chunk::<4>()?;
        rest = lives;
        let mut vector = Vector {
            memory: *memory,
            lives: BTreeMap::new(),
        };
        while !rest.is_empty() {
            let (rig, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            let epoch = u32::try_from(take_varint(&mut rest)?).ok()?;
            let cut = take_varint(&mut rest)?;
            let top = cut.checked_add(take_varint(&mut rest)?)?;
            let life = (u64::from_be_bytes(*rig), epoch);
            let ascends = vector
                .lives
                .last_key_value()
                .is_none_or(|(last, _)| *last < life);
            if !ascends {
                return None;
            }
            vector.lives.insert(life, Reach { cut, top });
        }
        Some(Self {
            state,
            vector: Some(vector),
        })
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).expect("seven bits fit") | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).expect("seven bits fit"));
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A row and its text.
#[derive(Debug, Clone)]
struct Held {
    row: Row,
    text: Arc<str>,
    revision: u64,
}

impl Held {
    /// The text for a reader of these disclosure.
    fn told(&self, key: &str, disclosure: &Disclosure) -> Cow<'_, str> {
        match (&self.row, disclosure) {
            (Row::Board(board), Disclosure::Own(_) | Disclosure::Coop(_)) => {
                text_of(&board.told(key, disclosure)).into()
            }
            _ => Cow::from(&*self.text),
        }
    }
}

/// All rows of one popup at one revision, as text.
#[derive(Debug)]
pub struct Edition {
    revision: u64,
    id: String,
    asof: Asof,
    asof_text: String,
    rows: BTreeMap<String, Held>,
    /// Keys that are no more, by the revision that took them.
    gone: BTreeMap<String, u64>,
    /// Deltas from before this revision cannot be told.
    told_from: u64,
}

impl Edition {
    /// The edition after `before`: what did not change keeps its text.
    #[must_use]
    pub fn after(before: Option<&Self>, snapshot: Snapshot, place: &Place) -> Self {
        let revision = before.map_or(1, |before| before.revision + 1);
        let nothing = BTreeMap::new();
        let old = before.map_or(&nothing, |before| &before.rows);
        let mut gone = before.map_or_else(BTreeMap::new, |before| before.gone.clone());
        let mut told_from = before.map_or(revision, |before| before.told_from);
        gone.retain(|key, _| !snapshot.rows.contains_key(key));
        let lost = old.keys().filter(|key| !snapshot.rows.contains_key(*key));
        gone.extend(lost.map(|key| (key.clone(), revision)));
        if gone.len() > FEED_GONE_MAX {
            gone.clear();
            told_from = revision;
        }
        let held = |(key, row): (String, Row)| {
            let held = match old.get(&key) {
                Some(held) if held.row == row => held.clone(),
                Some(_) | None => Held {
                    text: text_of(&row).into(),
                    row,
                    revision,
                },
            };
            (key, held)
        };
        Self {
            revision,
            id: place.id(),
            asof_text: text_of(&snapshot.asof),
            asof: snapshot.asof,
            rows: snapshot.rows.into_iter().map(held).collect(),
            gone,
            told_from,
        }
    }

    /// Rises with every edition.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How complete it is.
    #[must_use]
    pub fn asof(&self) -> &Asof {
        &self.asof
    }

    /// The body of `/summary`: all rows.
    #[must_use]
    pub fn summary(&self) -> String {
        self.body(&Disclosure::Whole, |_, _| true, "")
    }

    /// All that an audience is shown. `regressed`: it may have seen more than this before.
    #[must_use]
    pub fn snapshot(
        &self,
        audience: &Audience,
        disclosure: &Disclosure,
        regressed: bool,
    ) -> String {
        let more = if regressed { ",\"regressed\":true" } else { "" };
        let body = self.body(disclosure, |key, _| audience.sees(key), more);
        self.event("snapshot", &body)
    }

    /// What a reader of `revision` needs; `None` when nothing of it concerns this audience, a
    /// snapshot when that revision is too long ago.
    #[must_use]
    pub fn delta(
        &self,
        audience: &Audience,
        disclosure: &Disclosure,
        revision: u64,
    ) -> Option<String> {
        if revision < self.told_from {
            return Some(self.snapshot(audience, disclosure, false));
        }
        let shown = |key: &str, held: &Held| held.revision > revision && audience.sees(key);
        let gone = self.gone.iter().filter(|(_, at)| **at > revision);
        let gone: Vec<_> = gone
            .map(|(key, _)| key)
            .filter(|key| audience.sees(key))
            .collect();
        let idle = gone.is_empty() && !self.rows.iter().any(|(key, held)| shown(key, held));
        if idle && !audience.keys.is_empty() {
            return None;
        }
        let more = format!(",\"gone\":{}", text_of(&gone));
        Some(self.event("delta", &self.body(disclosure, shown, &more)))
    }

    /// What a reader needs that came back: all rows, but of the minutes only those with a new cell.
    #[must_use]
    pub fn resumed(&self, audience: &Audience, disclosure: &Disclosure, minutes: &[u32]) -> String {
        let named: BTreeSet<String> = minutes.iter().map(|at| format!("{KEPT}{at}")).collect();
        let shown = |key: &str, _: &Held| {
            audience.sees(key) && (!key.starts_with(KEPT) || named.contains(key))
        };
        let gone = named.iter().filter(|key| !self.rows.contains_key(*key));
        let gone: Vec<_> = gone.filter(|key| audience.sees(key)).collect();
        let more = format!(",\"keep\":\"{KEPT}\",\"gone\":{}", text_of(&gone));
        self.event("snapshot", &self.body(disclosure, shown, &more))
    }

    fn event(&self, name: &str, body: &str) -> String {
        format!("event: {name}\nid: {}\ndata: {body}\n\n", self.id)
    }

    fn body(
        &self,
        disclosure: &Disclosure,
        shown: impl Fn(&str, &Held) -> bool,
        more: &str,
    ) -> String {
        let asof_text = match disclosure {
            Disclosure::Whole => Cow::from(&self.asof_text),
            Disclosure::Own(_) | Disclosure::Coop(_) => {
                text_of(&self.asof.clone().told(disclosure)).into()
            }
        };
        let mut body = format!("{{\"asof\":{asof_text},\"rows\":{{");
        let mut comma = "";
        for (key, held) in self.rows.iter().filter(|(key, held)| shown(key, held)) {
            write!(
                body,
                "{comma}{}:{}",
                text_of(key),
                held.told(key, disclosure)
            )
            .expect("a String takes every text");
            comma = ",";
        }
        body.push('}');
        body.push_str(more);
        body.push('}');
        body
    }
}

/// A sign of life; `asof` is that of what the reader holds.
#[must_use]
pub fn tick(server_ms: i64, asof: Option<&Asof>) -> String {
    #[derive(Serialize)]
    struct Tick<'a> {
        server_ms: i64,
        watermark_ms: Option<i64>,
        silent: &'a [Silent],
    }
    let tick = Tick {
        server_ms,
        watermark_ms: asof.and_then(|asof| asof.watermark_ms),
        silent: asof.map_or(&[], |asof| &asof.silent),
    };
    format!("event: tick\ndata: {}\n\n", text_of(&tick))
}

/// Less is held here of these rigs than the reader was shown elsewhere.
#[must_use]
pub fn behind(server_ms: i64, rigs: &[String]) -> String {
    let rigs = text_of(&rigs);
    format!("event: behind\ndata: {{\"server_ms\":{server_ms},\"rigs\":{rigs}}}\n\n")
}

/// How long a browser waits before it comes again.
#[must_use]
pub fn retry(wait_ms: u64) -> String {
    format!("retry: {wait_ms}\n\n")
}

fn text_of(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("rows of texts and numbers are JSON")
}

#[cfg(test)]
mod tests;
