//! What readers get: whole views, swapped at once, rendered once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use popwatch_core::id::PopupId;
use popwatch_core::region::Region;
use popwatch_core::time::Now;
use popwatch_core::view::PopupView;
use popwatch_wire::answer_v1::{self, Snapshot};
use tokio::sync::watch;

/// Everything a role shows at one moment.
#[derive(Debug, Default)]
pub struct Live {
    /// By popup.
    pub popups: BTreeMap<PopupId, Arc<PopupLive>>,
}

/// One popup at one moment.
#[derive(Debug)]
pub struct PopupLive {
    /// The figures, for reads with parameters.
    pub view: PopupView,
    /// The first screen: what a snapshot and the summary say.
    pub snapshot: Snapshot,
    /// Weak entity tag over everything the snapshot shows.
    pub etag: String,
    /// The region's revision it was made from.
    pub revision: u64,
}

/// The writing end: renders what changed and hands it to every reader.
#[derive(Debug)]
pub struct Publisher {
    sender: watch::Sender<Arc<Live>>,
}

impl Publisher {
    /// A publisher that shows nothing yet, and its readers' end.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Arc<Live>>) {
        let (sender, receiver) = watch::channel(Arc::new(Live::default()));
        (Self { sender }, receiver)
    }

    /// Renders every popup whose revision moved or whose snapshot `extra` changes; `extra` adds
    /// rows of the role's own.
    pub fn publish(
        &self,
        region: &Region,
        now: Now,
        extra: &BTreeMap<String, serde_json::Value>,
    ) {
        let before = Arc::clone(&self.sender.borrow());
        let mut popups = BTreeMap::new();
        for popup in region.popups().keys() {
            let revision = region.revision(popup);
            let view = region.view(popup, now);
            let mut snapshot = answer_v1::snapshot(&view, now);
            for (key, row) in extra {
                snapshot.rows.insert(key.clone(), row.clone());
            }
            let etag = snapshot.etag();
            let unchanged = before.popups.get(popup).filter(|shown| shown.etag == etag);
            let shown = match unchanged {
                Some(shown) => Arc::clone(shown),
                None => Arc::new(PopupLive { view, snapshot, etag, revision }),
            };
            popups.insert(popup.clone(), shown);
        }
        self.sender.send_replace(Arc::new(Live { popups }));
    }
}
