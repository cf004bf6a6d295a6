//! What readers get: whole views, swapped at once, made into text once for all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use popwatch_core::access::Disclosure;
use popwatch_core::limits::FEED_FRAMES_MAX;
use popwatch_core::region::vector::Vector;
use popwatch_core::region::{PopupLine, Region};
use popwatch_core::time::Now;
use popwatch_core::view::PopupView;
use popwatch_wire::answer_v1::{self, Rows};
use popwatch_wire::feed_v1::{self, Audience, Edition, Place};
use tokio::sync::watch;

/// Ticks made within this of each other are one, ms.
const TICK_SHARED_MS: i64 = 100;

/// Everything a role shows at one moment.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The popups in short.
    pub(crate) lines: Vec<PopupLine>,
    /// The newest of each popup, by id. A reader of one popup hears nothing of the others.
    pub(crate) popups: BTreeMap<String, watch::Receiver<Arc<PopupLive>>>,
}

/// One popup at one moment.
#[derive(Debug)]
pub(crate) struct PopupLive {
    /// The figures, for reads with parameters.
    pub(crate) view: PopupView,
    /// The first screen as text.
    pub(crate) edition: Edition,
    /// A hash of all that the view shows but the server's clock.
    pub(crate) state: [u8; 16],
    /// How far it is held.
    pub(crate) vector: Vector,
    summary: OnceLock<Bytes>,
    frames: Mutex<BTreeMap<Wanted, Option<Bytes>>>,
    tick: Mutex<(i64, Bytes)>,
}

/// What a reader has, and so which frame it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum From {
    /// Nothing.
    Nothing,
    /// More than this popwatch holds; it waited in vain.
    Ahead,
    /// This revision.
    Revision(u64),
    /// What it was shown elsewhere, by a hash of its place.
    Place(u64),
}

type Wanted = (&'static str, Disclosure, From);

impl PopupLive {
    /// The body of `/summary`.
    pub(crate) fn summary(&self) -> Bytes {
        let made = || Bytes::from(self.edition.summary());
        self.summary.get_or_init(made).clone()
    }

    /// The frame that brings a reader from what it has to this; `None` when nothing of it concerns
    /// the audience. Readers with the same need share its bytes.
    pub(crate) fn frame(
        &self,
        audience: &'static Audience,
        disclosure: &Disclosure,
        from: From,
    ) -> Option<Bytes> {
        let edition = &self.edition;
        self.shared((audience.name, disclosure.clone(), from), || match from {
            From::Nothing | From::Place(_) => Some(edition.snapshot(audience, disclosure, false)),
            From::Ahead => Some(edition.snapshot(audience, disclosure, true)),
            From::Revision(revision) => edition.delta(audience, disclosure, revision),
        })
    }

    /// The frame of a reader that came back, if another one came back from the same place before.
    pub(crate) fn resumed_before(
        &self,
        audience: &'static Audience,
        disclosure: &Disclosure,
        place: u64,
    ) -> Option<Bytes> {
        let frames = self.frames.lock().expect("no holder panics");
        let wanted = (audience.name, disclosure.clone(), From::Place(place));
        frames.get(&wanted).cloned()?
    }

    /// The frame of a reader that came back; `minutes` have a cell it was not shown.
    pub(crate) fn resumed(
        &self,
        audience: &'static Audience,
        disclosure: &Disclosure,
        place: u64,
        minutes: &[u32],
    ) -> Option<Bytes> {
        let made = || Some(self.edition.resumed(audience, disclosure, minutes));
        self.shared(
            (audience.name, disclosure.clone(), From::Place(place)),
            made,
        )
    }

    /// A sign of life under the completeness of this moment.
    pub(crate) fn tick(&self, server_ms: i64) -> Bytes {
        let mut tick = self.tick.lock().expect("no holder panics");
        if tick.1.is_empty() || !(0..TICK_SHARED_MS).contains(&(server_ms - tick.0)) {
            let text = feed_v1::tick(server_ms, Some(self.edition.asof()));
            *tick = (server_ms, Bytes::from(text));
        }
        tick.1.clone()
    }

    fn shared(&self, wanted: Wanted, make: impl FnOnce() -> Option<String>) -> Option<Bytes> {
        let mut frames = self.frames.lock().expect("no holder panics");
        if let Some(frame) = frames.get(&wanted) {
            return frame.clone();
        }
        let frame = make().map(Bytes::from);
        if frames.len() < FEED_FRAMES_MAX {
            frames.insert(wanted, frame.clone());
        }
        frame
    }
}

/// The writing end: renders what changed and hands it to every reader.
#[derive(Debug)]
pub(crate) struct Publisher {
    sender: watch::Sender<Arc<Live>>,
    popups: BTreeMap<String, watch::Sender<Arc<PopupLive>>>,
}

impl Publisher {
    /// A publisher that shows nothing yet, and its readers' end.
    #[must_use]
    pub(crate) fn new() -> (Self, watch::Receiver<Arc<Live>>) {
        let (sender, receiver) = watch::channel(Arc::new(Live::default()));
        let popups = BTreeMap::new();
        (Self { sender, popups }, receiver)
    }

    /// Renders every popup that shows something new; `extra` adds rows of the role's own.
    pub(crate) fn publish(&mut self, region: &Region, now: Now, extra: &Rows) {
        let own = (!extra.is_empty()).then(|| hash_of(extra));
        let lines = region.popups();
        let mut appeared = false;
        for line in &lines {
            let Some(state) = region.etag(&line.id, now) else {
                continue;
            };
            let state = own.map_or(state, |own| joined(state, own));
            let held = self.popups.get(&line.id);
            let before = held.map(|sender| Arc::clone(&sender.borrow()));
            if before.as_ref().is_some_and(|before| before.state == state) {
                continue;
            }
            let next = PopupLive::after(before.as_deref(), region, &line.id, state, now, extra);
            match (next.map(Arc::new), held) {
                (Some(next), Some(sender)) => drop(sender.send_replace(next)),
                (Some(next), None) => {
                    let (sender, _) = watch::channel(next);
                    self.popups.insert(line.id.clone(), sender);
                    appeared = true;
                }
                (None, _) => {}
            }
        }
        let known = self.popups.len();
        self.popups
            .retain(|id, _| lines.iter().any(|line| line.id == *id));
        if appeared || known != self.popups.len() || lines != self.sender.borrow().lines {
            let popups = self.popups.iter();
            let popups = popups.map(|(id, sender)| (id.clone(), sender.subscribe()));
            let popups = popups.collect();
            self.sender.send_replace(Arc::new(Live { lines, popups }));
        }
    }
}

impl PopupLive {
    fn after(
        before: Option<&Self>,
        region: &Region,
        popup: &str,
        state: [u8; 16],
        now: Now,
        extra: &Rows,
    ) -> Option<Self> {
        let view = region.view(popup, now)?;
        let vector = region.vector(popup);
        let mut snapshot = answer_v1::snapshot(&view);
        snapshot.rows.extend(extra.clone());
        let (state_of_id, _) = state.split_at(8);
        let place = Place {
            state: state_of_id.try_into().expect("eight bytes were split off"),
            vector: Some(vector.clone()),
        };
        Some(Self {
            view,
            edition: Edition::after(before.map(|before| &before.edition), snapshot, &place),
            state,
            vector,
            summary: OnceLock::new(),
            frames: Mutex::default(),
            tick: Mutex::default(),
        })
    }
}

/// A hash of the role's own rows as readers see them.
fn hash_of(rows: &Rows) -> [u8; 32] {
    let bytes = serde_json::to_vec(rows).expect("rows of texts and numbers are JSON");
    *blake3::hash(&bytes).as_bytes()
}

fn joined(state: [u8; 16], own: [u8; 32]) -> [u8; 16] {
    let mut both = [0; 16];
    blake3::Hasher::new()
        .update(&state)
        .update(&own)
        .finalize_xof()
        .fill(&mut both);
    both
}
