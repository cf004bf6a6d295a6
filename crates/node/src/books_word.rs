//! What the ledger tells its regions of each popup: how much of the money it holds nobody confirmed yet.
//!
//! ```text
//! books ─ every 5 s ─► beacon of rig `central` ─► a memory like a region's ─ Relay ─► the regions
//! ```
//!
//! It goes the way of all news of a region that feeds others: only what changed travels, a region that
//! forgot is told everything again, and one that is away is tried again.

use std::time::Duration;

use popwatch_core::id::{RegionId, RigId};
use popwatch_core::lane::{Beacon, CENTRAL, CellBatch, MinorIn, PROTOCOL};
use popwatch_core::limits::{BEACON_MS, REGION_CURRENCIES_MAX};
use popwatch_core::region::Region;
use tokio::sync::{mpsc, watch};

use crate::ambient::Ambient;
use crate::books_thread::BooksHandle;
use crate::http::RegionLane;
use crate::live::Publisher;
use crate::region::{REGION_QUEUE_MAX, RegionDriver};
use crate::{DRIVER_QUEUE_MAX, Node};

/// Looking into the books takes at most this share of the time: a twentieth.
const REST: u64 = 20;

impl Node {
    /// Tells these regions from now on how far the books are.
    pub(crate) fn tell_regions(&mut self, urls: &[String], books: BooksHandle, ambient: &Ambient) {
        if urls.is_empty() {
            return;
        }
        let name = RigId::new(CENTRAL).expect("a short printable name");
        let (replies, answered) = mpsc::channel(DRIVER_QUEUE_MAX);
        let (orders, queue) = mpsc::channel(REGION_QUEUE_MAX);
        // Nobody reads it: it has no rig of its own, so it shows no popup.
        let (publisher, _) = Publisher::new();
        let driver = RegionDriver {
            region: Region::new(RegionId(ambient.random())),
            orders: queue,
            ambient: ambient.clone(),
            publisher,
            upstreams: self.link_regions(&name, urls, &replies, ambient),
            replies: answered,
        };
        self.tasks.spawn(driver.run(self.shutdown.subscribe()));
        let (lane, ambient) = (RegionLane::new(orders), ambient.clone());
        self.tasks
            .spawn(tell(books, lane, ambient, self.shutdown.subscribe()));
    }
}

async fn tell(
    books: BooksHandle,
    lane: RegionLane,
    ambient: Ambient,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut said: Vec<Beacon> = Vec::new();
    loop {
        let began = ambient.now();
        // Books that are busy or cannot be read are asked again; until then the last word stands.
        if let Ok(Ok(waiting)) = books.ask(|books| books.waiting()).await {
            let number = u64::try_from(began.wall.0).unwrap_or(0);
            let words = waiting.into_iter().map(|(popup, money)| Beacon {
                popup: popup.as_str().to_owned(),
                rig: CENTRAL.to_owned(),
                waiting_money: (money.into_iter().take(REGION_CURRENCIES_MAX))
                    .map(|(currency, minor)| MinorIn {
                        currency: currency.to_string(),
                        minor,
                    })
                    .collect(),
                ..Beacon::default()
            });
            let words: Vec<_> = words.collect();
            let news = words.iter().filter(|word| !said.contains(word));
            let beacons = news.map(|word| Beacon {
                number,
                ..word.clone()
            });
            let batch = CellBatch {
                protocol: PROTOCOL,
                sender: CENTRAL.to_owned(),
                beacons: beacons.collect(),
                ..CellBatch::default()
            };
            if !batch.beacons.is_empty() {
                lane.merge(batch).await;
            }
            said = words;
        }
        let took_ms = ambient.now().mono.since(began.mono);
        let rest_ms = BEACON_MS.max(took_ms.saturating_mul(REST));
        tokio::select! {
            _ = shutdown.changed() => return,
            () = tokio::time::sleep(Duration::from_millis(rest_ms)) => {}
        }
    }
}
