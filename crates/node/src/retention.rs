//! Observations whose time is over go from the books, a few at a time between batches.

use std::collections::BTreeMap;
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::ledger::close::Value;
use popwatch_store::books::BooksFault;
use popwatch_wire::audit::Action;

use crate::ambient::Ambient;
use crate::audit::Trail;
use crate::books_thread::{BooksHandle, Busy};
use crate::keyring::Keyring;
use crate::{Node, until};

/// Between two looks at which popups are due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A popup whose observations are gone is looked at again after this long, ms: late ones come.
const AGAIN_MS: u64 = 3_600_000;

/// What erases, and by what.
#[derive(Debug)]
struct Sweep {
    books: BooksHandle,
    /// Whose clock may be in doubt, and whose policies say when.
    keyring: Keyring,
    trail: Trail,
    ambient: Ambient,
}

/// Why nothing more goes now.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Books(#[from] BooksFault),
}

impl Node {
    /// Lets what is over go from the books from now on.
    pub(crate) fn sweep(&mut self, books: &BooksHandle, trail: &Trail, ambient: &Ambient) {
        let sweep = Sweep {
            books: books.clone(),
            keyring: self.keyring.clone(),
            trail: trail.clone(),
            ambient: ambient.clone(),
        };
        let sweeping = until(self.shutdown.subscribe(), sweep.run());
        self.tasks.spawn(sweeping);
    }
}

impl Sweep {
    /// Erases what is due for as long as it runs.
    async fn run(self) {
        let mut looked: BTreeMap<PopupId, u64> = BTreeMap::new();
        loop {
            let now_ms = self.ambient.mono_ns() / 1_000_000;
            for popup in self.due() {
                let before = looked.get(&popup);
                if before.is_some_and(|before| now_ms.saturating_sub(*before) < AGAIN_MS) {
                    continue;
                }
                match self.erase(&popup).await {
                    Ok(erased) => {
                        self.write_down(&popup, erased).await;
                        looked.insert(popup, now_ms);
                    }
                    Err(fault) => {
                        let code = Code::NotDurable;
                        let popup = popup.as_str();
                        tracing::warn!(%code, popup, %fault, "observations whose time is over stay for the moment");
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn due(&self) -> Vec<PopupId> {
        if self.keyring.is_locked() {
            return Vec::new();
        }
        let now_ms = self.ambient.wall_ms();
        let running = self.keyring.policies().running();
        let due = running.retentions().filter(|(_, retention)| {
            let until_ms = retention.observations_until_ms();
            until_ms.is_some_and(|until_ms| until_ms <= now_ms)
        });
        due.map(|(popup, _)| popup.clone()).collect()
    }

    async fn erase(&self, popup: &PopupId) -> Result<u64, Stuck> {
        let mut all = 0;
        loop {
            let of = popup.clone();
            let erased = self.books.ask(move |books| books.erase_observations(&of));
            match erased.await?? {
                0 if all == 0 => return Ok(0),
                0 => break,
                some => all += some,
            }
        }
        self.books.ask(|books| books.wipe()).await??;
        Ok(all)
    }

    async fn write_down(&self, popup: &PopupId, erased: u64) {
        if erased == 0 {
            return;
        }
        tracing::info!(
            popup = popup.as_str(),
            erased,
            "observations whose time was over were erased"
        );
        let count = i64::try_from(erased).unwrap_or(i64::MAX);
        let detail = Value::map([("records", Value::number(count))]);
        let (trail, popup) = (self.trail.clone(), popup.clone());
        let written = tokio::task::spawn_blocking(move || {
            trail.write(&trail.entry(Action::RecordsErased, popup.as_str(), detail))
        });
        if !matches!(written.await, Ok(Ok(_))) {
            let code = Code::AuditUnwritten;
            tracing::error!(%code, "that observations were erased could not be written down");
        }
    }
}
