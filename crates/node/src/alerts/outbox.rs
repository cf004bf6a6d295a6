//! What one target knows of each page, and what it has yet to hear.
//!
//! ```text
//! view ─► take ─► held, by fingerprint ─► due ─► sent ─► delivered
//!                  │                                        │
//!                  └── file, whenever a word is new ◄───────┘
//! ```
//!
//! What always holds: a target is told each state of a page once, though the region that tells it
//! ended in between; it holds at most [`ALERTS_MAX`] pages; what it holds of a buyer is nothing, for
//! pages name promises and places only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use popwatch_core::limits::{ALERT_AGAIN_MS, ALERT_UNSEEN_MS, ALERTS_BYTES_MAX, ALERTS_MAX};
use popwatch_core::time::{MonoMs, Now};
use popwatch_wire::alertmanager::Alert;
use serde::{Deserialize, Serialize};

/// One page and what its target knows of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    alert: Alert,
    /// When the region says that it was raised. The target may know it by an earlier moment: a
    /// region that lost its memory raises anew what was open.
    raised_ms: i64,
    /// When it was raised and whether it was over, as last delivered.
    delivered: Option<(i64, bool)>,
    #[serde(skip)]
    at: MonoMs,
    /// Until when it stays open though no region names it.
    #[serde(skip)]
    unseen_until: Option<MonoMs>,
}

impl Held {
    fn word(&self) -> (i64, bool) {
        (self.alert.starts_ms, self.alert.ends_ms.is_some())
    }

    fn is_told(&self) -> bool {
        self.delivered == Some(self.word())
    }
}

/// The newest word on each page for one target.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    held: BTreeMap<String, Held>,
    /// Pages that found no room.
    pub(super) lost: u64,
    /// Whether the file says something else.
    is_news: bool,
}

impl Outbox {
    /// What was held when the process ended.
    ///
    /// # Errors
    /// The file is there and is none of ours, or cannot be read.
    pub(super) fn kept(file: &Path, now: MonoMs) -> io::Result<Self> {
        let mut text = String::new();
        match File::open(file) {
            Ok(file) => file.take(ALERTS_BYTES_MAX).read_to_string(&mut text)?,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(fault) => return Err(fault),
        };
        let held: Vec<Held> = serde_json::from_str(&text)?;
        let held = held.into_iter().take(ALERTS_MAX).map(|mut held| {
            let is_open = held.alert.ends_ms.is_none();
            held.unseen_until = is_open.then(|| now.after(ALERT_UNSEEN_MS));
            (held.alert.fingerprint(), held)
        });
        Ok(Self {
            held: held.collect(),
            ..Self::default()
        })
    }

    /// Writes down what the target has not heard and what is open, if that changed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn keep(&mut self, file: &Path) -> io::Result<()> {
        if !self.is_news {
            return Ok(());
        }
        let wanted = |held: &&Held| !held.is_told() || held.alert.ends_ms.is_none();
        let held: Vec<_> = self.held.values().filter(wanted).collect();
        let text = serde_json::to_vec(&held)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = file.with_extension("new");
        let mut out = File::create(&fresh)?;
        out.write_all(&text)?;
        out.sync_all()?;
        fs::rename(&fresh, file)?;
        self.is_news = false;
        Ok(())
    }

    /// Takes the newest word on a page.
    pub(super) fn take(&mut self, mut alert: Alert) {
        let fingerprint = alert.fingerprint();
        let raised_ms = alert.starts_ms;
        if let Some(held) = self.held.get_mut(&fingerprint) {
            // What is open goes on, whoever raises it again.
            if held.alert.ends_ms.is_none() || held.raised_ms == raised_ms {
                alert.starts_ms = held.alert.starts_ms;
            }
            let before = held.word();
            (held.alert, held.raised_ms, held.unseen_until) = (alert, raised_ms, None);
            self.is_news |= before != held.word();
            return;
        }
        if self.held.len() >= ALERTS_MAX && !self.let_go() {
            self.lost += 1;
            return;
        }
        let held = Held {
            alert,
            raised_ms,
            delivered: None,
            at: MonoMs(0),
            unseen_until: None,
        };
        self.held.insert(fingerprint, held);
        self.is_news = true;
    }

    /// Ends the pages of a region that ended, where this one does not see them.
    pub(super) fn end_unseen(&mut self, now: Now) {
        for held in self.held.values_mut() {
            if held.unseen_until.is_some_and(|until| now.mono >= until) {
                held.unseen_until = None;
                held.alert.ends_ms = Some(now.wall.0.max(held.alert.starts_ms));
                self.is_news = true;
            }
        }
    }

    /// Lets the page go that was over and delivered longest ago; whether there was one.
    fn let_go(&mut self) -> bool {
        let over = |held: &Held| held.is_told() && held.alert.ends_ms.is_some();
        let oldest = self.held.iter().filter(|(_, held)| over(held));
        let oldest = oldest
            .min_by_key(|(_, held)| held.at)
            .map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.held.remove(&key).is_some())
    }

    /// What to send: news, and with `again` also pages that are not over after [`ALERT_AGAIN_MS`].
    pub(super) fn due(&self, again: bool, now: MonoMs) -> Vec<Alert> {
        let is_due = |held: &&Held| {
            let open = held.alert.ends_ms.is_none();
            !held.is_told() || (again && open && now.since(held.at) >= ALERT_AGAIN_MS)
        };
        let due = self.held.values().filter(is_due);
        due.map(|held| held.alert.clone()).collect()
    }

    /// The target took these.
    pub(super) fn delivered(&mut self, alerts: &[Alert], now: MonoMs) {
        for alert in alerts {
            if let Some(held) = self.held.get_mut(&alert.fingerprint()) {
                let word = Some((alert.starts_ms, alert.ends_ms.is_some()));
                self.is_news |= held.delivered != word;
                (held.delivered, held.at) = (word, now);
            }
        }
    }
}

/// Where the outbox of a target lies. Its address may hold a secret, so the name tells nothing of it.
pub(super) fn file_of(data: &Path, kind: &str, url: &str) -> PathBuf {
    let hash = blake3::hash(format!("popwatch.alerts.v1 {kind} {url}").as_bytes());
    let name = &hash.to_hex()[..16];
    data.join(format!("alerts-{name}.json"))
}

#[cfg(test)]
pub(super) mod tests {
    use popwatch_core::time::WallMs;

    use super::*;

    pub(in super::super) fn alert(slo: &str, starts_ms: i64, ends_ms: Option<i64>) -> Alert {
        Alert {
            labels: BTreeMap::from([("slo".to_owned(), slo.to_owned())]),
            annotations: BTreeMap::new(),
            starts_ms,
            ends_ms,
        }
    }

    /// An empty folder of this process.
    pub(in super::super) fn folder(name: &str) -> PathBuf {
        let name = format!("popwatch-alerts-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        folder
    }

    fn told(outbox: &mut Outbox, now: MonoMs) -> Vec<(i64, bool)> {
        let due = outbox.due(false, now);
        outbox.delivered(&due, now);
        let word = |alert: &Alert| (alert.starts_ms, alert.ends_ms.is_some());
        let mut words: Vec<_> = due.iter().map(word).collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn what_was_raised_and_resolved_while_away_goes_once_and_resolved() {
        let mut outbox = Outbox::default();
        outbox.take(alert("a", 1, None));
        outbox.take(alert("a", 1, Some(2)));
        assert_eq!(told(&mut outbox, MonoMs(5)), [(1, true)]);
        outbox.take(alert("a", 1, Some(2)));
        assert!(outbox.due(true, MonoMs(500_000)).is_empty());
        outbox.take(alert("a", 9, None));
        assert_eq!(told(&mut outbox, MonoMs(6)), [(9, false)], "the next one");
        outbox.take(alert("a", 9, Some(12)));
        outbox.take(alert("a", 20, Some(21)));
        assert_eq!(told(&mut outbox, MonoMs(7)), [(20, true)]);
    }

    #[test]
    fn a_page_that_stays_open_is_pushed_again_and_posted_once() {
        let mut outbox = Outbox::default();
        outbox.take(alert("a", 1, None));
        let due = outbox.due(true, MonoMs(0));
        outbox.delivered(&due, MonoMs(0));
        assert!(outbox.due(true, MonoMs(ALERT_AGAIN_MS - 1)).is_empty());
        assert_eq!(outbox.due(true, MonoMs(ALERT_AGAIN_MS)).len(), 1);
        assert!(outbox.due(false, MonoMs(ALERT_AGAIN_MS)).is_empty());
    }

    #[test]
    fn a_full_outbox_lets_only_what_was_delivered_go() {
        let mut outbox = Outbox::default();
        for n in 0..ALERTS_MAX {
            outbox.take(alert(&n.to_string(), 1, Some(2)));
        }
        outbox.take(alert("more", 1, None));
        assert_eq!((outbox.held.len(), outbox.lost), (ALERTS_MAX, 1));
        let due = outbox.due(false, MonoMs(1));
        outbox.delivered(&due[..1], MonoMs(1));
        outbox.take(alert("more", 1, None));
        assert_eq!((outbox.held.len(), outbox.lost), (ALERTS_MAX, 1));
    }

    /// A region that lost its memory raises what is open anew, at another moment; the receiver is
    /// told of one page, by the first.
    #[test]
    fn an_ended_process_neither_repeats_nor_forgets_a_page() {
        let folder = folder("kept");
        let file = file_of(&folder, "webhook", "http://host/secret");
        assert!(!file.to_string_lossy().contains("secret"));
        let now = MonoMs(0);
        let mut outbox = Outbox::kept(&file, now).unwrap();
        outbox.take(alert("told", 1, None));
        assert_eq!(told(&mut outbox, now), [(1, false)]);
        outbox.take(alert("untold", 2, None));
        outbox.take(alert("over", 3, Some(4)));
        outbox.keep(&file).unwrap();

        let mut outbox = Outbox::kept(&file, now).unwrap();
        outbox.take(alert("told", 50, None));
        assert_eq!(told(&mut outbox, now), [(2, false), (3, true)]);
        outbox.take(alert("told", 50, Some(60)));
        assert_eq!(told(&mut outbox, now), [(1, true)]);
        outbox.take(alert("told", 50, Some(60)));
        assert!(told(&mut outbox, now).is_empty());
        outbox.keep(&file).unwrap();

        // The one that no region names again ends when the evidence for it is as old as it may be.
        let at = |ms| Now {
            mono: MonoMs(ms),
            wall: WallMs(70),
        };
        let mut outbox = Outbox::kept(&file, now).unwrap();
        outbox.end_unseen(at(ALERT_UNSEEN_MS - 1));
        assert!(told(&mut outbox, now).is_empty());
        outbox.end_unseen(at(ALERT_UNSEEN_MS));
        assert_eq!(told(&mut outbox, now), [(2, true)]);
        fs::remove_dir_all(folder).unwrap();
    }
}
