//! The synthetic sale: three sales of a popup of their own, by the way that real ones take.
//!
//! ```text
//! POST /v1/events ─► safe on this till ─► at the region ─► replicated ─► posted ─► counted ─► closed
//! ```
//!
//! They are cash, and a count of the drawer settles them: no provider's account is touched. One is
//! refunded, one is sent twice, and what must never be kept is planted in every free text.

use std::time::Duration;

use bytes::Bytes;
use popwatch_core::limits::PREFLIGHT_STEP_WAIT_MS;
use popwatch_core::preflight::{Outcome, POPUP_PREFIX, SaleCheck, Secrets, Step};
use popwatch_wire::json::rfc3339;
use serde_json::{Value, json};

use super::Site;

/// Of the popup's name, what its rehearsal carries.
const NAME_MAX: usize = 32;
/// Between two looks at whether a step is done.
const LOOK: Duration = Duration::from_millis(50);
/// What the sales come to, minor units: captured, refunded.
const CAPTURED: i64 = 5_700;
const REFUNDED: i64 = 1_900;
/// What lies in the drawer then, as a count sheet writes it.
const DRAWER: &str = "38.00";
/// A test card that every provider publishes.
const CARD: &str = "4111 1111 1111 1111";

/// What the sale found.
#[derive(Debug)]
pub(super) struct Sold {
    pub(super) popup: String,
    pub(super) check: SaleCheck,
}

/// What was planted.
#[derive(Debug, Clone)]
pub(super) struct Planted {
    pub(super) values: Vec<String>,
    text: String,
}

impl Planted {
    /// Values that are this run's alone, but for the card.
    fn new(run: &str, number: u32) -> Self {
        let email = format!("ada.{run}@example.org");
        let phone = format!("+49 30 {:07}", number % 10_000_000);
        let code = format!("security code {:04}", number % 10_000);
        let text = format!("paid with {CARD}, {code}, write to {email} or call {phone}");
        let bare = |text: &str| {
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        let values = vec![
            CARD.to_owned(),
            bare(CARD),
            code,
            email,
            phone.clone(),
            format!("+{}", bare(&phone)),
        ];
        Self { values, text }
    }
}

/// A run: its popup, its steps and all that was answered meanwhile.
struct Run<'a> {
    site: &'a Site,
    popup: String,
    run: String,
    planted: Planted,
    edge: String,
    last_seq: u64,
    epoch: u64,
    steps: Vec<Step>,
    answers: Vec<Bytes>,
}

/// Why a step ends the run.
enum Halt {
    Failed(String),
    Stopped(String),
}

impl Site {
    /// Sells, as far as the machines are there, then searches.
    pub(super) async fn sale(&self) -> Sold {
        let draw: [u8; 8] = self.ambient.random();
        let run = popwatch_core::ledger::hex(&draw[..4]);
        let number = u32::from_be_bytes([draw[4], draw[5], draw[6], draw[7]]);
        let of = self.asked.popup.as_deref().unwrap_or("rig");
        let of: String = of.chars().take(NAME_MAX).collect();
        let popup = format!("{POPUP_PREFIX}{of}-{run}");
        let Some(edge) = self.edge.clone() else {
            let steps = vec![Step {
                name: "safe on this till",
                outcome: Outcome::Stopped(String::from("no edge is configured here")),
            }];
            let secrets = Secrets::NotSearched;
            let check = SaleCheck { steps, secrets };
            return Sold { popup, check };
        };
        let mut run = Run {
            site: self,
            popup,
            planted: Planted::new(&run, number),
            run,
            edge,
            last_seq: 0,
            epoch: 0,
            steps: Vec::new(),
            answers: Vec::new(),
        };
        run.all().await;
        let secrets = match run.last_seq {
            // Nothing was kept, so there is nothing to find.
            0 => Secrets::NotSearched,
            _ => run.search().await,
        };
        Sold {
            popup: run.popup,
            check: SaleCheck {
                steps: run.steps,
                secrets,
            },
        }
    }
}

macro_rules! step {
    ($run:ident, $name:literal, $made:expr) => {
        let before = $run.site.ambient.mono_ns();
        let made = $made;
        let took_ms = $run.site.ambient.mono_ns().saturating_sub(before) / 1_000_000;
        if $run.ended($name, took_ms, made) {
            return;
        }
    };
}

impl Run<'_> {
    async fn all(&mut self) {
        step!(self, "safe on this till", self.sell().await);
        step!(self, "in the till's view", self.viewed().await);
        step!(self, "at the region", self.at_region().await);
        step!(self, "replicated", self.replicated().await);
        step!(self, "posted", self.posted().await);
        step!(self, "cells equal", self.equal().await);
        step!(self, "counted, 0 breaks", self.counted().await);
        step!(self, "closed and signed", self.closed().await);
    }

    /// Notes how a step went; whether it was the last.
    fn ended(&mut self, name: &'static str, took_ms: u64, made: Result<(), Halt>) -> bool {
        let (outcome, is_last) = match made {
            Ok(()) => (Outcome::Done(took_ms), false),
            Err(Halt::Failed(why)) => (Outcome::Failed(why), true),
            Err(Halt::Stopped(why)) => (Outcome::Stopped(why), true),
        };
        self.steps.push(Step { name, outcome });
        is_last
    }

    fn events(&self) -> Vec<Value> {
        let run = &self.run;
        let event = |id: &str, kind: &str, data: Value| {
            json!({
                "specversion": "1.0", "id": id, "source": format!("/preflight/{run}"),
                "popup": self.popup, "type": format!("popwatch.{kind}"), "data": data,
            })
        };
        let sale = |id: &str, minor: i64| {
            event(
                id,
                "payment.captured",
                json!({
                    "payment": format!("pf-{run}-{id}"), "order": format!("po-{run}-{id}"),
                    "amount": minor, "currency": "EUR", "method": "cash",
                    "lines": [{ "sku": "preflight", "qty": 1, "amount": minor }],
                }),
            )
        };
        let text = &self.planted.text;
        vec![
            sale("1", 1_900),
            sale("2", 2_900),
            sale("2", 2_900),
            sale("3", 900),
            event(
                "4",
                "payment.refunded",
                json!({
                    "refund": format!("pr-{run}"), "payment": format!("pf-{run}-1"),
                    "amount": REFUNDED, "currency": "EUR", "reason": "goodwill", "remark": text,
                }),
            ),
            event(
                "5",
                "payment.failed",
                json!({
                    "payment": format!("pf-{run}-5"), "order": format!("po-{run}-5"), "amount": 900,
                    "currency": "EUR", "reason": "declined", "remark": text,
                }),
            ),
            event(
                "6",
                "chat.message",
                json!({
                    "viewer": self.planted.values[3], "stream": "preflight", "text": text,
                }),
            ),
        ]
    }

    async fn sell(&mut self) -> Result<(), Halt> {
        let lines: Vec<String> = self.events().iter().map(Value::to_string).collect();
        let body = lines.join("\n") + "\n";
        let url = format!("{}/v1/events", self.edge);
        let headers = [("content-type", "application/x-ndjson")];
        let posted = self.site.client.post(&url, &headers, body).await;
        let answer = posted.map_err(|fault| Halt::Stopped(format!("this rig: {fault}")))?;
        self.answers.push(answer.body.clone());
        if !answer.is_success() {
            return Err(Halt::Failed(format!("the edge answered {}", answer.status)));
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let verdicts = said["results"].as_array().cloned().unwrap_or_default();
        let status = |at: usize| verdicts.get(at).and_then(|one| one["status"].as_str());
        if status(2) != Some("duplicate") {
            return Err(Halt::Failed("what was sent twice was not known".into()));
        }
        let refused = verdicts.iter().find(|one| one["status"] == "rejected");
        if let Some(refused) = refused {
            let code = refused["error"]["code"].as_str().unwrap_or("no code");
            return Err(Halt::Failed(format!("an event was refused: {code}")));
        }
        self.last_seq = said["durable_seq"].as_u64().unwrap_or(0);
        self.epoch = said["epoch"].as_u64().unwrap_or(0);
        Ok(())
    }

    /// Asks again and again until `is_done`, which says what is missing.
    async fn until(
        &mut self,
        who: &str,
        url: String,
        is_done: impl Fn(&Value) -> Result<(), String>,
    ) -> Result<(), Halt> {
        let begin_ns = self.site.ambient.mono_ns();
        loop {
            let headers = [("accept", "application/json")];
            let missing = match self.site.client.get(&url, &headers).await {
                Ok(answer) if answer.is_success() => {
                    let said = serde_json::from_slice(&answer.body).unwrap_or_default();
                    match is_done(&said) {
                        Ok(()) => {
                            self.answers.push(answer.body);
                            return Ok(());
                        }
                        Err(what) => format!("{who}: {what}"),
                    }
                }
                Ok(answer) if matches!(answer.status, 401 | 403) => {
                    let why = format!("{who} asks for a pass (--pass FILE)");
                    return Err(Halt::Stopped(why));
                }
                // Nothing of this popup came there yet.
                Ok(answer) => format!("{who} answered {}", answer.status),
                Err(fault) => return Err(Halt::Stopped(fault.to_string())),
            };
            let waited_ms = self.site.ambient.mono_ns().saturating_sub(begin_ns) / 1_000_000;
            if waited_ms > PREFLIGHT_STEP_WAIT_MS {
                return Err(Halt::Failed(missing));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn viewed(&mut self) -> Result<(), Halt> {
        let url = format!("{}/v1/popups/{}/summary", self.edge, self.popup);
        self.until("this till", url, shows_sales).await
    }

    async fn at_region(&mut self) -> Result<(), Halt> {
        let Some(region) = self.site.regions.first().cloned() else {
            return Err(Halt::Stopped("no region is configured".into()));
        };
        let url = format!("{region}/v1/popups/{}/summary", self.popup);
        self.until("the region", url, shows_sales).await
    }

    async fn replicated(&mut self) -> Result<(), Halt> {
        let Some(ledger) = self.site.ledger.clone() else {
            return Err(Halt::Stopped("no ledger is configured".into()));
        };
        let asked = self
            .site
            .client
            .get(&format!("{ledger}/healthz"), &[])
            .await;
        if let Err(fault) = asked {
            return Err(Halt::Stopped(fault.to_string()));
        }
        let (epoch, last) = (self.epoch, self.last_seq);
        let url = format!("{}/v1/status", self.edge);
        let is_there = move |status: &Value| {
            let is_held = status["replicated"]["seq"].as_u64() >= Some(last);
            let is_later = status["epoch"].as_u64() > Some(epoch);
            match is_held || is_later {
                true => Ok(()),
                false => Err(String::from("records wait for the ledger")),
            }
        };
        self.until("this till", url, is_there).await
    }

    fn books(&self, what: &str) -> String {
        let ledger = self.site.ledger.as_deref().unwrap_or_default();
        format!("{ledger}/v1/popups/{}/{what}", self.popup)
    }

    async fn posted(&mut self) -> Result<(), Halt> {
        let url = self.books("books");
        let is_booked = |books: &Value| {
            let sums = &books["totals"]["EUR"];
            let is_right = sums["sales"] == 3
                && sums["captured"] == CAPTURED
                && sums["refunded"] == REFUNDED
                && books["currencies"]["EUR"]["trial_balance"] == 0;
            is_right
                .then_some(())
                .ok_or_else(|| String::from("three sales and a refund are not booked"))
        };
        self.until("the ledger", url, is_booked).await
    }

    /// The till's cells, the region's and the ledger's own fold are one.
    async fn equal(&mut self) -> Result<(), Halt> {
        let mut held = Vec::new();
        let region = self.site.regions.first().cloned().unwrap_or_default();
        for base in [self.edge.clone(), region] {
            let url = format!("{base}/v1/popups/{}/cells", self.popup);
            let answer = self.site.client.get(&url, &[]).await;
            let answer = answer.map_err(|fault| Halt::Stopped(fault.to_string()))?;
            self.answers.push(answer.body.clone());
            held.push(answer.body);
        }
        if held[0] != held[1] {
            return Err(Halt::Failed("the region's cells are not the till's".into()));
        }
        let url = self.books("reconciliation?full=1");
        let is_equal = |found: &Value| {
            let cells = &found["cells"];
            let is_one = cells["compared"].as_u64() > Some(0)
                && cells["drifted"] == 0
                && cells["ahead"] == 0;
            is_one
                .then_some(())
                .ok_or_else(|| String::from("its own fold is not the till's"))
        };
        self.until("the ledger", url, is_equal).await
    }

    async fn counted(&mut self) -> Result<(), Halt> {
        let rig = self
            .site
            .asked
            .config
            .edge
            .as_ref()
            .map(|edge| edge.rig.clone());
        let now = self
            .site
            .json(&self.books("books"))
            .await
            .unwrap_or_default();
        // By the ledger's clock: a count of a moment ahead of it is refused.
        let now_ms = now["as_of_ms"].as_i64().unwrap_or(self.site.window.now_ms);
        let sheet = json!([{
            "kind": "cash", "key": rig, "amount": DRAWER, "currency": "EUR",
            "counted_at": rfc3339(now_ms), "counter": "preflight",
        }]);
        let told = self.post("counts", &sheet).await?;
        if told["refused"] != 0 {
            return Err(Halt::Failed("the count of the drawer was refused".into()));
        }
        let url = self.books("reconciliation?full=1");
        let is_whole = |found: &Value| {
            let breaks = found["breaks"].as_array().into_iter().flatten();
            let grave = breaks.filter(|one| one["class"] != "X-POPUP");
            let classes: Vec<_> = grave.filter_map(|one| one["class"].as_str()).collect();
            match (classes.is_empty(), found["closed"] == true) {
                (true, true) => Ok(()),
                (true, false) => Err(String::from("the books are not whole")),
                (false, _) => Err(format!("breaks: {}", classes.join(" "))),
            }
        };
        self.until("the ledger", url, is_whole).await
    }

    async fn closed(&mut self) -> Result<(), Halt> {
        let asked = json!({ "scope": "settled", "allow_open": false });
        let told = self.post("close", &asked).await?;
        match told["hash"].as_str() {
            Some(_) => Ok(()),
            None => Err(Halt::Failed("the close was not signed".into())),
        }
    }

    async fn post(&mut self, what: &str, body: &Value) -> Result<Value, Halt> {
        let headers = [("content-type", "application/json")];
        let posted = self
            .site
            .client
            .post(&self.books(what), &headers, body.to_string())
            .await;
        let answer = posted.map_err(|fault| Halt::Stopped(fault.to_string()))?;
        self.answers.push(answer.body.clone());
        match answer.status {
            200 => Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
            401 | 403 => Err(Halt::Stopped(
                "the ledger asks for a pass (--pass FILE)".into(),
            )),
            status => Err(Halt::Failed(format!(
                "the ledger answered {status} to {what}"
            ))),
        }
    }

    /// Looks for what was planted: in every answer, in the data directory, in the logs.
    async fn search(&mut self) -> Secrets {
        let region = self.site.regions.first().cloned();
        let mut urls = vec![
            format!("{}/v1/status", self.edge),
            format!("{}/metrics", self.edge),
            self.books("books?entries=1"),
            self.books("breaks"),
        ];
        for view in [
            "rigs",
            "series",
            "signals",
            "slo",
            "inventory",
            "leaderboards/creators",
        ] {
            urls.extend(
                region
                    .iter()
                    .map(|base| format!("{base}/v1/popups/{}/{view}", self.popup)),
            );
        }
        for url in urls {
            if let Ok(answer) = self.site.client.get(&url, &[]).await {
                self.answers.push(answer.body);
            }
        }
        let mut places = self.site.asked.logs.clone();
        places.push(self.site.asked.config.data.clone());
        let planted: Vec<Vec<u8>> = self
            .planted
            .values
            .iter()
            .map(|value| value.clone().into_bytes())
            .collect();
        let answers = std::mem::take(&mut self.answers);
        let searched =
            tokio::task::spawn_blocking(move || super::search::search(&planted, &answers, &places));
        searched.await.unwrap_or(Secrets::NotSearched)
    }
}

/// Whether a summary has all sales and the refund.
fn shows_sales(summary: &Value) -> Result<(), String> {
    let rows = summary["rows"]["now"]["currencies"].as_array();
    let euro = rows.and_then(|rows| rows.iter().find(|row| row["currency"] == "EUR"));
    let is_whole = euro.is_some_and(|row| row["gross"] == CAPTURED && row["refund"] == REFUNDED);
    is_whole
        .then_some(())
        .ok_or_else(|| String::from("the view lacks sales"))
}
