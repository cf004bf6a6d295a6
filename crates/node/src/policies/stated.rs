//! What signed policies say of their popups goes into the journal: window, promises, shares. Fold,
//! regions and ledger read it there, as they read what a configuration says.

use std::collections::BTreeMap;
use std::time::Duration;

use popwatch_core::event::Event;
use popwatch_core::event::system::{PopupPolicy, SystemEvent};
use popwatch_core::id::PopupId;

use super::{Held, Policies, Shared};
use crate::store_thread::JournalHandle;
use crate::{Node, until};

/// Between two tries where the journal's queue is full.
const AGAIN: Duration = Duration::from_millis(200);

impl Node {
    /// Journals what signed policies say from now on; `told` stands there already.
    pub(crate) fn state_policies(&mut self, journal: &JournalHandle, told: Vec<PopupPolicy>) {
        let stating = self.policies.clone().journaled(journal.clone(), told);
        self.tasks.spawn(until(self.shutdown.subscribe(), stating));
    }
}

impl Policies {
    /// What a configuration says of popups, and in its place what somebody signed.
    pub(crate) fn over(&self, configured: &[PopupPolicy]) -> Vec<PopupPolicy> {
        let signed = self.0.stated.borrow();
        let both = configured.iter().chain(signed.iter());
        let all: BTreeMap<&str, &PopupPolicy> = both.map(|of| (of.popup.as_str(), of)).collect();
        all.into_values().cloned().collect()
    }

    /// Journals what changes for as long as it runs; `told` stands in the journal already.
    async fn journaled(self, journal: JournalHandle, told: Vec<PopupPolicy>) {
        let mut stated = self.0.stated.subscribe();
        let by_popup = |of: PopupPolicy| (of.popup.clone(), of);
        let mut told: BTreeMap<_, _> = told.into_iter().map(by_popup).collect();
        loop {
            let mut news = stated.borrow_and_update().clone();
            news.retain(|of| told.get(&of.popup) != Some(of));
            let records = news.iter().map(|of| {
                let record = SystemEvent::PolicyApplied(of.clone());
                (PopupId::new(&of.popup).ok(), Event::System(record))
            });
            let records: Vec<_> = records.collect();
            if !records.is_empty() && !journal.note(records) {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            told.extend(news.into_iter().map(by_popup));
            if stated.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Shared {
    /// Tells what the newest policies say, where that is news.
    pub(super) fn state(&self, held: &Held) {
        let floor = held.floor.as_ref().map(|(_, floor)| floor);
        let newest = held.shelves.iter().filter_map(|(popup, shelf)| {
            let in_force = shelf.effective(floor)?;
            let carried = &shelf.newest()?.policy().carried;
            carried.popup_policy(popup, &in_force.terms)
        });
        let stated: Vec<PopupPolicy> = newest.collect();
        self.stated.send_if_modified(|told| {
            let is_news = *told != stated;
            *told = stated;
            is_news
        });
    }
}
