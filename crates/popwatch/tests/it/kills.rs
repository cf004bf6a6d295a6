//! SIGKILL at random moments of a till's work: what was acknowledged is there, once, where the
//! answer said.
//!
//! `POPWATCH_KILLS` says how many kills; `POPWATCH_SEED` repeats the moments of a run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Process, Site, outcome, post, sale, until};

const SOURCE: &str = "checkout";
/// Events of one request.
const BATCH_MAX: u64 = 12;
/// Longest life of an edge before it is killed, ms.
const LIFE_MS: u64 = 250;
/// Kills within one popup; a region keeps a bounded number of a rig's lives.
const KILLS_PER_POPUP: u64 = 50;

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

pub(crate) fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Where each event stands, as the edge said when it acknowledged it, and its amount.
#[derive(Default)]
struct Acked(BTreeMap<String, (u64, u64, i64)>);

impl Acked {
    /// Takes the verdicts of one answer; a repeat must name the place that was named before.
    #[track_caller]
    fn take(&mut self, answer: &Value, amounts: &BTreeMap<String, i64>) {
        for verdict in answer["results"].as_array().unwrap() {
            let id = verdict["id"].as_str().unwrap();
            let status = verdict["status"].as_str().unwrap();
            assert!(status == "accepted" || status == "duplicate", "{verdict}");
            let epoch = verdict.get("epoch").unwrap_or(&answer["epoch"]);
            let place = (epoch.as_u64().unwrap(), verdict["seq"].as_u64().unwrap());
            let stands = (place.0, place.1, amounts[id]);
            // A first `duplicate` was durable before the kill that kept its answer from us.
            if let Some(before) = self.0.insert(id.to_owned(), stands) {
                assert_eq!(status, "duplicate", "acknowledged anew: {verdict}");
                assert_eq!(before, stands, "{id} moved");
            }
        }
    }
}

/// A checkout that keeps each event until it has a verdict, and sometimes sends it again then.
struct Checkout<'a> {
    edge: &'a str,
    popup: &'a str,
    random: Random,
    waiting: VecDeque<(String, i64)>,
    amounts: BTreeMap<String, i64>,
    acked: Acked,
    repeats: u64,
}

impl Checkout<'_> {
    /// Sends one batch; what gets no answer waits for the next.
    fn step(&mut self, fresh: bool) {
        while fresh && (self.waiting.len() as u64) < 1 + self.random.below(BATCH_MAX) {
            let id = format!("{}-{}", self.popup, self.amounts.len());
            let minor = 100 + i64::try_from(self.random.below(9_900)).unwrap();
            self.amounts.insert(id.clone(), minor);
            self.waiting.push_back((id, minor));
        }
        let mut batch: Vec<(String, i64)> = self.waiting.iter().cloned().collect();
        if !self.acked.0.is_empty() && self.random.below(4) == 0 {
            let nth = self.random.below(self.acked.0.len() as u64);
            let nth = usize::try_from(nth).unwrap();
            let (id, place) = self.acked.0.iter().nth(nth).unwrap();
            batch.push((id.clone(), place.2));
            self.repeats += 1;
        }
        if batch.is_empty() {
            return;
        }
        let events: Vec<Value> = batch
            .iter()
            .map(|(id, minor)| sale(self.popup, SOURCE, id, *minor))
            .collect();
        match post(self.edge, &events) {
            Ok(answer) if answer.status == 200 => {
                self.acked.take(&answer.json(), &self.amounts);
                self.waiting.clear();
            }
            // Killed before or while it answered, or not yet ready: the same ids again.
            Ok(answer) => assert!(answer.status >= 429, "{answer:?}"),
            Err(_) => thread::park_timeout(Duration::from_millis(2)),
        }
    }
}

/// The whole story with this many kills.
fn survives(kills: u64, seed: u64) {
    eprintln!("POPWATCH_KILLS={kills} POPWATCH_SEED={seed}");
    let site = Site::new(&format!("kills-{kills}"));
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let mut edge = site.start_edge();
    let mut random = Random(seed | 1);
    let (mut all, mut left) = (BTreeMap::new(), kills);
    while left > 0 {
        let kills = left.min(KILLS_PER_POPUP);
        let popup = format!("stall-{left}");
        let acked = sold_through(&site, &mut edge, &popup, kills, &mut random);
        site.drained(&popup, acked.len());
        agreed(&site, &popup, &acked);
        all.extend(acked);
        left -= kills;
    }
    assert_eq!(edge.stop(), Some(0));
    whole(&site, &all);
}

/// Sells at one popup while the edge is killed again and again; answers what was acknowledged.
fn sold_through(
    site: &Site,
    edge: &mut Process,
    popup: &str,
    kills: u64,
    moments: &mut Random,
) -> BTreeMap<String, (u64, u64, i64)> {
    let stop = AtomicBool::new(false);
    let mut checkout = Checkout {
        edge: &site.edge,
        popup,
        random: Random(moments.below(u64::MAX) | 1),
        waiting: VecDeque::new(),
        amounts: BTreeMap::new(),
        acked: Acked::default(),
        repeats: 0,
    };
    let (selling_on, sells) = (&stop, &mut checkout);
    thread::scope(|scope| {
        let selling = scope.spawn(move || {
            while !selling_on.load(Ordering::Relaxed) {
                sells.step(true);
            }
            until("the last events have their verdicts", || {
                sells.step(false);
                sells.waiting.is_empty().then_some(())
            });
        });
        for _ in 0..kills {
            let end = Instant::now() + Duration::from_millis(moments.below(LIFE_MS));
            until("its time has come", || {
                (Instant::now() >= end).then_some(())
            });
            edge.kill();
            *edge = site.start_edge();
            if selling.is_finished() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        selling.join().unwrap();
    });
    let (acked, repeats) = (checkout.acked.0, checkout.repeats);
    assert_eq!(acked.len(), checkout.amounts.len());
    eprintln!(
        "{popup}: {} events, {repeats} sent again on purpose",
        acked.len()
    );
    acked
}

/// Books, region and edge hold each acknowledged event once.
#[track_caller]
fn agreed(site: &Site, popup: &str, acked: &BTreeMap<String, (u64, u64, i64)>) {
    let found = site.reconciliation(popup);
    let sum: i64 = acked.values().map(|place| place.2).sum();
    let totals = json!({
        "captured": sum, "refunded": 0, "net": sum, "sales": acked.len(), "refunds": 0,
    });
    assert_eq!(found["totals"]["EUR"], totals, "{found}");
    let cells = &found["cells"];
    assert!(cells["compared"].as_u64().unwrap() > 0, "{found}");
    for none in ["drifted", "stale", "ahead", "drift_minor"] {
        assert_eq!(cells[none], 0, "{none}: {found}");
    }
    // Nobody announced the popup: that is all there is to say.
    let classes: Vec<&Value> = found["breaks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["class"])
        .collect();
    assert_eq!(classes, ["X-POPUP"], "{found}");
    assert_eq!(found["closed"], true, "{found}");
}

/// The stopped journal holds each acknowledged event once, where the answer said.
#[track_caller]
fn whole(site: &Site, acked: &BTreeMap<String, (u64, u64, i64)>) {
    let till = site.till();
    let till = till.to_str().unwrap();
    let (status, stdout, stderr) = outcome(&["journal", "fsck", till]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    let (status, stdout, stderr) = outcome(&["journal", "export", till]);
    assert_eq!(status, Some(0), "{stderr}");
    let mut places = BTreeMap::new();
    let mut held = BTreeMap::new();
    for line in stdout.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| match &event[name] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap_or_else(|| panic!("{name}: {event}")),
        };
        let place = (number("popepoch"), number("popseq"));
        let id = event["id"].as_str().unwrap().to_owned();
        assert_eq!(places.insert(place, id.clone()), None, "{place:?} twice");
        if event["type"] == "popwatch.payment.captured" {
            let minor = event["data"]["amount"].as_i64().unwrap();
            let before = held.insert(id, (place.0, place.1, minor));
            assert_eq!(before, None, "{event} twice");
        }
    }
    assert_eq!(&held, acked);
}

#[test]
fn what_was_acknowledged_survives_sigkill_once_and_in_its_place() {
    survives(
        from_env("POPWATCH_KILLS", 10),
        from_env("POPWATCH_SEED", u64::from(std::process::id())),
    );
}

#[test]
fn a_second_process_on_one_journal_is_refused() {
    let site = Site::new("locked");
    let first = site.start_edge();
    let config = site.edge_config().replace(&site.edge, "127.0.0.1:0");
    let mut second = Process::run(&site.folder, "second", &config);
    assert_eq!(second.status(), Some(1));
    until("it says why", || {
        second.said().contains("PW0206").then_some(())
    });
    assert_eq!(first.stop(), Some(0));
}
