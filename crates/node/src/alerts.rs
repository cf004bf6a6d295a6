//! Pages to whom they wake: one outbox per target, by fingerprint.
//!
//! What always holds: nothing here is waited for by a fold or a view, for it reads what is published;
//! an outbox is bounded and holds the newest word on each page, so what was raised and resolved while
//! the target was away goes out once, as resolved, also when this process ended meanwhile; a redirect
//! is an answer like any other refusal, because pages go only where they were told to.

mod outbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use popwatch_core::code::Code;
use popwatch_core::limits::{
    ALERT_ANSWER_MS, ALERT_RETRY_MS_MAX, ALERT_RETRY_MS_MIN, PEER_CONNECT_MS,
};
use popwatch_core::slo::Overrun;
use popwatch_core::time::{MonoMs, Now};
use popwatch_wire::alertmanager::{self, Alert};
use tokio::sync::watch;

use self::outbox::{Outbox, file_of};
use crate::ambient::Ambient;
use crate::client::Client;
use crate::config::{AlertKind, AlertTarget};
use crate::live::Live;

/// Between two looks at what is published, ms.
const LOOK_MS: u64 = 500;

/// Sends the pages of all popups to one target until `shutdown`. What the target has not heard lies
/// under `data`; `here` is where people look.
pub(crate) async fn run(
    (target, data): (AlertTarget, PathBuf),
    here: String,
    live: watch::Receiver<Arc<Live>>,
    ambient: Ambient,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut desk = Desk::new(target, here, &data, ambient.now().mono);
    let mut overruns = BTreeMap::new();
    loop {
        let all = Arc::clone(&live.borrow());
        let mut pages = Vec::new();
        for (popup, newest) in &all.popups {
            let shown = Arc::clone(&newest.borrow());
            pages.extend(alertmanager::alerts(&shown.view));
            let overrun = shown.view.slos.iter().map(|slo| slo.overrun).max();
            tell_overrun(&mut overruns, popup, overrun.unwrap_or_default());
        }
        let now = ambient.now();
        desk.look(pages, now);
        tokio::select! {
            _ = shutdown.changed() => return,
            () = desk.deliver(now.mono) => {}
        }
        tokio::select! {
            _ = shutdown.changed() => return,
            () = tokio::time::sleep(Duration::from_millis(LOOK_MS)) => {}
        }
    }
}

/// One target and what is on its way to it.
struct Desk {
    client: Client,
    target: AlertTarget,
    here: String,
    file: PathBuf,
    outbox: Outbox,
    wait_ms: u64,
    /// Nothing is sent before.
    not_before: MonoMs,
}

impl Desk {
    fn new(target: AlertTarget, here: String, data: &Path, now: MonoMs) -> Self {
        let kind = match target.kind {
            AlertKind::Webhook => "webhook",
            AlertKind::Alertmanager => "alertmanager",
        };
        let file = file_of(data, kind, &target.url);
        let outbox = Outbox::kept(&file, now).unwrap_or_else(|fault| {
            let code = Code::AlertUndelivered;
            tracing::warn!(%code, %fault, file = %file.display(), "pages of before the start cannot be read and are not sent");
            Outbox::default()
        });
        let [connect, answer] = [PEER_CONNECT_MS, ALERT_ANSWER_MS].map(Duration::from_millis);
        let client = match target.url.starts_with("https:") {
            true => Client::public(connect, answer),
            false => Client::with_waits(connect, answer),
        };
        Self {
            client,
            target,
            here,
            file,
            outbox,
            wait_ms: 0,
            not_before: MonoMs(0),
        }
    }

    /// Takes what is published, and writes down what is new before it is sent.
    fn look(&mut self, pages: Vec<Alert>, now: Now) {
        for page in pages {
            self.outbox.take(page);
        }
        self.outbox.end_unseen(now);
        self.keep();
    }

    fn keep(&mut self) {
        if let Err(fault) = self.outbox.keep(&self.file) {
            let code = Code::AlertUndelivered;
            tracing::warn!(%code, %fault, file = %self.file.display(), "pages would not outlast this process");
        }
    }

    /// Sends what is due; after a failure not before its wait is over.
    async fn deliver(&mut self, now: MonoMs) {
        let again = self.target.kind == AlertKind::Alertmanager;
        let due = self.outbox.due(again, now);
        if due.is_empty() || now < self.not_before {
            return;
        }
        match self.send(&due).await {
            Ok(()) => {
                self.outbox.delivered(&due, now);
                self.wait_ms = 0;
                self.keep();
            }
            Err(why) => {
                let code = Code::AlertUndelivered;
                let (target, lost) = (host_of(&self.target.url), self.outbox.lost);
                tracing::warn!(%code, why, target, pages = due.len(), lost, "a page could not be delivered; it is sent again");
                self.wait_ms = (self.wait_ms * 2).clamp(ALERT_RETRY_MS_MIN, ALERT_RETRY_MS_MAX);
                self.not_before = now.after(self.wait_ms);
            }
        }
    }

    async fn send(&self, alerts: &[Alert]) -> Result<(), String> {
        let base = self.target.url.trim_end_matches('/');
        let (url, body) = match self.target.kind {
            AlertKind::Webhook => (
                self.target.url.clone(),
                alertmanager::webhook(alerts, &self.here),
            ),
            AlertKind::Alertmanager => (
                format!("{base}/api/v2/alerts"),
                alertmanager::push(alerts, &self.here),
            ),
        };
        let headers = [("content-type", "application/json")];
        match self.client.post(&url, &headers, body.to_string()).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) if (300..400).contains(&answer.status) => Err(String::from(
                "it redirects; pages go only to the address given",
            )),
            Ok(answer) => Err(format!("it answered {}", answer.status)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

/// An address without its path, which may hold a secret.
fn host_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Says once in the log that a popup used up the minutes its promises are armed for.
fn tell_overrun(told: &mut BTreeMap<String, Overrun>, popup: &str, overrun: Overrun) {
    let before = told.get(popup).copied().unwrap_or_default();
    if overrun <= before {
        return;
    }
    let (code, pages) = (Code::PopupOverrun, overrun != Overrun::WatchOnly);
    tracing::warn!(%code, popup, pages, "the popup runs past its plan and overrun");
    told.insert(popup.to_owned(), overrun);
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use popwatch_core::time::WallMs;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::outbox::tests::{alert, folder};
    use super::*;

    /// How a receiver behaves.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Mood {
        Takes,
        Fails,
        Hangs,
        Redirects,
    }

    /// A receiver of webhooks and the states it took, in order: (slo, status, startsAt).
    #[derive(Clone)]
    struct Receiver {
        mood: Arc<Mutex<Mood>>,
        took: Arc<Mutex<Vec<(String, String)>>>,
    }

    impl Receiver {
        async fn start() -> (Self, String) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/secret", listener.local_addr().unwrap());
            let own = Self {
                mood: Arc::new(Mutex::new(Mood::Takes)),
                took: Arc::default(),
            };
            let receiver = own.clone();
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(receiver.clone().serve(stream));
                }
            });
            (own, url)
        }

        async fn serve(self, mut stream: tokio::net::TcpStream) {
            let mut bytes = Vec::new();
            loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap_or(0);
                if read == 0 {
                    return;
                }
                bytes.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((_, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let Ok(body) = serde_json::from_str::<Value>(body) else {
                    continue;
                };
                bytes.clear();
                let mood = *self.mood.lock().unwrap();
                let answer = match mood {
                    Mood::Takes => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                    Mood::Fails => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
                    Mood::Redirects => {
                        "HTTP/1.1 307 There\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"
                    }
                    Mood::Hangs => "",
                };
                if mood == Mood::Takes {
                    let alerts = body["alerts"].as_array().unwrap().iter();
                    let state = |alert: &Value| {
                        let text = |value: &Value| value.as_str().unwrap().to_owned();
                        (text(&alert["labels"]["slo"]), text(&alert["status"]))
                    };
                    self.took.lock().unwrap().extend(alerts.map(state));
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }

        fn is(&self, mood: Mood) {
            *self.mood.lock().unwrap() = mood;
        }

        fn took(&self) -> Vec<(String, String)> {
            std::mem::take(&mut self.took.lock().unwrap())
        }
    }

    fn state(slo: &str, status: &str) -> (String, String) {
        (slo.to_owned(), status.to_owned())
    }

    fn at(ms: u64) -> Now {
        Now {
            mono: MonoMs(ms),
            wall: WallMs(1_795_816_800_000),
        }
    }

    /// A receiver fails, redirects, hangs and comes back; meanwhile the region ends twice.
    #[tokio::test]
    async fn each_state_is_posted_once_whatever_the_receiver_does() {
        let (receiver, url) = Receiver::start().await;
        let folder = folder("desk");
        let target = AlertTarget {
            kind: AlertKind::Webhook,
            url,
        };
        let desk = |ms| {
            let mut desk = Desk::new(target.clone(), String::new(), &folder, MonoMs(ms));
            let wait = Duration::from_millis(50);
            desk.client = Client::with_waits(wait, wait);
            desk
        };
        let mut first = desk(0);
        for (ms, mood) in [
            (0, Mood::Fails),
            (1_000, Mood::Redirects),
            (3_000, Mood::Hangs),
        ] {
            receiver.is(mood);
            first.look(vec![alert("a", 1, None)], at(ms));
            first.deliver(MonoMs(ms)).await;
            assert!(receiver.took().is_empty());
        }
        receiver.is(Mood::Takes);
        first.deliver(MonoMs(6_999)).await;
        assert!(receiver.took().is_empty(), "waits 1, 2, then 4 s");
        // The process ends before the wait is over. The next one has seen nothing of the page.
        drop(first);
        let mut second = desk(0);
        second.look(Vec::new(), at(0));
        second.deliver(MonoMs(0)).await;
        assert_eq!(receiver.took(), [state("a", "firing")]);
        // It raises the page anew: no news to the receiver. Its end is, once.
        for ms in [1, 2] {
            second.look(vec![alert("a", 70, None)], at(ms));
            second.deliver(MonoMs(ms)).await;
            assert!(receiver.took().is_empty());
        }
        receiver.is(Mood::Fails);
        second.look(vec![alert("a", 70, Some(80))], at(3));
        second.deliver(MonoMs(3)).await;
        drop(second);
        receiver.is(Mood::Takes);
        let mut third = desk(0);
        for ms in [0, 1] {
            third.look(Vec::new(), at(ms));
            third.deliver(MonoMs(ms)).await;
        }
        assert_eq!(receiver.took(), [state("a", "resolved")]);
        drop(third);
        let mut fourth = desk(0);
        fourth.deliver(MonoMs(0)).await;
        assert!(receiver.took().is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_log_line_holds_no_path() {
        assert_eq!(host_of("http://hooks:80/T0/secret"), "hooks:80");
    }
}
