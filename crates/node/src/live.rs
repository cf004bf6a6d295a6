//! What readers get: whole views, swapped at once, rendered once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use popwatch_core::region::{PopupLine, Region};
use popwatch_core::time::Now;
use popwatch_core::view::PopupView;
use popwatch_wire::answer_v1::{self, Rows, Snapshot};
use tokio::sync::watch;

/// Everything a role shows at one moment.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The popups in short.
    pub(crate) lines: Vec<PopupLine>,
    /// The popups by id.
    pub(crate) popups: BTreeMap<String, Arc<PopupLive>>,
}

/// One popup at one moment.
#[derive(Debug)]
pub(crate) struct PopupLive {
    /// The figures, for reads with parameters.
    pub(crate) view: PopupView,
    /// The first screen: what a snapshot and the summary say.
    pub(crate) snapshot: Snapshot,
    /// A hash of all that the view shows but the server's clock.
    pub(crate) state: [u8; 16],
}

/// The writing end: renders what changed and hands it to every reader.
#[derive(Debug)]
pub(crate) struct Publisher {
    sender: watch::Sender<Arc<Live>>,
}

impl Publisher {
    /// A publisher that shows nothing yet, and its readers' end.
    #[must_use]
    pub(crate) fn new() -> (Self, watch::Receiver<Arc<Live>>) {
        let (sender, receiver) = watch::channel(Arc::new(Live::default()));
        (Self { sender }, receiver)
    }

    /// Renders every popup that shows something new; `extra` adds rows of the role's own.
    pub(crate) fn publish(&self, region: &Region, now: Now, extra: &Rows) {
        let before = Arc::clone(&self.sender.borrow());
        let own = hash_of(extra);
        let lines = region.popups();
        let mut popups = BTreeMap::new();
        for line in &lines {
            let Some(state) = region.etag(&line.id, now) else {
                continue;
            };
            let state = if extra.is_empty() {
                state
            } else {
                joined(state, own)
            };
            let shown = before
                .popups
                .get(&line.id)
                .filter(|shown| shown.state == state);
            let shown = match shown {
                Some(shown) => Some(Arc::clone(shown)),
                None => PopupLive::render(region, &line.id, state, now, extra).map(Arc::new),
            };
            popups.extend(shown.map(|shown| (line.id.clone(), shown)));
        }
        let unchanged = lines == before.lines
            && popups.iter().all(|(id, shown)| {
                before
                    .popups
                    .get(id)
                    .is_some_and(|held| Arc::ptr_eq(held, shown))
            });
        if !unchanged {
            self.sender.send_replace(Arc::new(Live { lines, popups }));
        }
    }
}

impl PopupLive {
    fn render(
        region: &Region,
        popup: &str,
        state: [u8; 16],
        now: Now,
        extra: &Rows,
    ) -> Option<Self> {
        let view = region.view(popup, now)?;
        let mut snapshot = answer_v1::snapshot(&view);
        snapshot.rows.extend(extra.clone());
        Some(Self {
            view,
            snapshot,
            state,
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
