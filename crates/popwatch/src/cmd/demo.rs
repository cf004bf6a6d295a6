//! `popwatch demo`: a real trading day through four rigs, a network cut, and books that close.
//!
//! Everything runs in this process, over loopback, through the same messages as in the field: four
//! edges, a region, a ledger. Between each edge and its peers stands a [`relay`], which is how one
//! rig's network is cut. The nodes' wall clock is the replayed day's, so that pages show the popup's
//! own time; steady time stays real.

mod provider;
mod relay;
mod verdict;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use popwatch_core::id::{PopupId, Source};
use popwatch_core::time::WallMs;
use popwatch_node::Node;
use popwatch_node::ambient::{Ambient, ScriptedClock};
use popwatch_node::config::provider::ProviderConfig;
use popwatch_node::config::{Config, EdgeConfig, LedgerConfig, PopupConfig, RegionConfig};
use popwatch_wire::sales_file::{CurrencyRule, Day, Plan, RIGS, ShelfPlan};
use serde_json::Value;

use crate::args::{DemoArgs, Ports};
use crate::assets;
use crate::cmd::run::stop_signal;
use crate::exit::Exit;
use crate::player::{Cue, Player, by_rig};
use crate::print::{self, Format};
use crate::till::{Patience, Tally, Till};

use provider::Provider;
use relay::Relay;

/// The popup lasts this long, hours.
const HOURS: u32 = 3;
/// Faster than life unless told otherwise: three hours in two minutes.
pub(crate) const SPEED: u32 = 90;
/// Which rig loses its network, and between which popup minutes.
const CUT_RIG: usize = 2;
const CUT_FROM_MIN: i64 = 70;
const CUT_UNTIL_MIN: i64 = 110;
/// How long the rigs get to drain after the last event.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);
/// Rigs of one demo share the key their pseudonyms are made with.
const PSEUDONYM_KEY_BYTES: usize = 32;

/// Runs the demo.
pub(crate) async fn run(args: DemoArgs, format: Format) -> anyhow::Result<Exit> {
    let (day, source) = read_day(args.replay.as_deref())?;
    let plan = Plan {
        source: Source::new(&format!("/replay/{source}"))?,
        popup: PopupId::new("demo")?,
        starts: WallMs(doors_open(&day)?),
        hours: HOURS,
        currency: CurrencyRule::Pounds,
    };
    let stage = Stage::set(&args, &plan, &day).await?;
    stage.announce(format);
    let outcome = tokio::select! {
        // First, so that the Ctrl-C it waits for at the end is its own.
        biased;
        outcome = show(&stage, &plan, &day, &args, format) => outcome,
        stopped = stop_signal() => stopped.map(|()| Exit::Failed),
    };
    stage.strike().await;
    outcome
}

/// The day from opening to the closed books, and the pages after it.
async fn show(
    stage: &Stage,
    plan: &Plan,
    day: &Day,
    args: &DemoArgs,
    format: Format,
) -> anyhow::Result<Exit> {
    let tally = stage.play(plan, day, args.speed, format).await?;
    let drained = stage.drain(plan.popup.as_str()).await?;
    let paid_ms = plan.ends().0 + provider::DAY_MS;
    stage.clock.advance_to(paid_ms);
    let provider = stage.provider.lock().await;
    provider.settle(plan.popup.as_str(), paid_ms).await?;
    drop(provider);
    let verdict = verdict::judge(stage, plan.popup.as_str(), &tally, drained).await?;
    verdict.print(format)?;
    if !args.exit {
        print::note("The pages stay up until Ctrl-C.");
        stop_signal().await?;
    }
    Ok(if verdict.closed { Exit::Done } else { Exit::No })
}

fn read_day(replay: Option<&Path>) -> anyhow::Result<(Day, String)> {
    let Some(path) = replay else {
        return Ok((Day::read(assets::DAY)?, assets::DAY_STEM.to_owned()));
    };
    let bytes = std::fs::read(path)
        .with_context(|| format!("PW1102: {} cannot be read", path.display()))?;
    let day = Day::read(&bytes).with_context(|| path.display().to_string())?;
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("sales");
    Ok((day, stem.to_owned()))
}

/// The evening of the day itself: 18:00 UTC.
fn doors_open(day: &Day) -> anyhow::Result<i64> {
    let text = format!("{}T18:00:00Z", day.date);
    popwatch_wire::json::rfc3339_ms(&text).with_context(|| format!("{text} is not a time"))
}

/// Everything that runs: the nodes, the relays, the clock.
struct Stage {
    clock: ScriptedClock,
    edges: Vec<Edge>,
    region: SocketAddr,
    ledger: SocketAddr,
    nodes: Vec<Node>,
    data: Data,
    provider: tokio::sync::Mutex<Provider>,
}

struct Edge {
    rig: String,
    address: SocketAddr,
    relays: Vec<Relay>,
}

/// The data directory: the user's, or one of our own that goes with us.
enum Data {
    Given(PathBuf),
    Own(PathBuf),
}

impl Data {
    fn of(args: &DemoArgs) -> Self {
        let own = || std::env::temp_dir().join(format!("popwatch-demo-{}", std::process::id()));
        match &args.data {
            Some(path) => Self::Given(path.clone()),
            None => Self::Own(own()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) | Self::Own(path) => path,
        }
    }
}

impl Stage {
    async fn set(args: &DemoArgs, plan: &Plan, day: &Day) -> anyhow::Result<Self> {
        let begin = plan.starts.0 - ShelfPlan::of(day).minutes_ms();
        let (ambient, clock) = Ambient::scripted(begin);
        let data = Data::of(args);
        let port = |number: u16| {
            let number = if args.ports == Ports::Any { 0 } else { number };
            SocketAddr::from(([127, 0, 0, 1], number))
        };
        let mut nodes = Vec::new();
        let region = RegionConfig {
            listen: port(8720),
            upstream: Vec::new(),
            mirror: None,
            hosts: Vec::new(),
            alerts: Vec::new(),
        };
        let node = Node::start(
            config(data.path(), "region", |c| c.region = Some(region)),
            &ambient,
        );
        let node = node.await?;
        let region = node.region.context("the region listens")?;
        nodes.push(node);
        let key = hex(&ambient.random::<PSEUDONYM_KEY_BYTES>());
        let secret = format!("whsec_{}", hex(&ambient.random::<16>()));
        let ledger = ledger_config(data.path(), port(8730), region, &key, &secret)?;
        let node = Node::start(ledger, &ambient).await?;
        let ledger = node.ledger.context("the ledger listens")?;
        nodes.push(node);
        let provider = Provider::new(&format!("http://{ledger}"), &secret)?;
        let mut edges = Vec::new();
        for index in 0..u16::from(RIGS) {
            let rig = format!("rig-{index}");
            let relays = vec![Relay::start(region).await?, Relay::start(ledger).await?];
            let edge = EdgeConfig {
                listen: port(8711 + index),
                rig: rig.clone(),
                popup: Some(plan.popup.to_string()),
                ledger: Some(format!("http://{}", relays[1].address())),
                regions: vec![format!("http://{}", relays[0].address())],
                pseudonym_key: Some(key.clone()),
                // The day and its tills are another world's; this machine's battery is not theirs.
                host_probes: false,
                checkout_probe: Vec::new(),
                host_root: PathBuf::from("/"),
                host_upsd: None,
                hosts: Vec::new(),
            };
            let mut config = config(data.path(), &rig, |c| c.edge = Some(edge));
            config.popups = vec![popup_config(plan)];
            let node = Node::start(config, &ambient).await?;
            let address = node.edge.context("the edge listens")?;
            nodes.push(node);
            edges.push(Edge {
                rig,
                address,
                relays,
            });
        }
        Ok(Self {
            clock,
            edges,
            region,
            ledger,
            nodes,
            data,
            provider: tokio::sync::Mutex::new(provider),
        })
    }

    fn announce(&self, format: Format) {
        if format == Format::Json {
            return;
        }
        print::note(
            "A real day of a UK shop (5 December 2011, Online Retail, UCI, CC BY 4.0) as a \
             three-hour popup. Opening stock and checkout durations are invented stand-ins.",
        );
        print::note(format!("  all rigs   http://{}/", self.region));
        for edge in &self.edges {
            print::note(format!("  {}      http://{}/", edge.rig, edge.address));
        }
    }

    /// Plays the day: each rig in its own time, one of them without a network for a while.
    async fn play(
        &self,
        plan: &Plan,
        day: &Day,
        speed: u32,
        format: Format,
    ) -> anyhow::Result<Tally> {
        let dealt = by_rig(cues(plan, day)?, self.edges.len());
        let total = dealt.iter().map(Vec::len).sum::<usize>() as u64;
        let bar = match format {
            Format::Text => print::progress(total, "documents"),
            Format::Json => indicatif::ProgressBar::hidden(),
        };
        let player = Player::start(speed);
        let tallies = Arc::new(tokio::sync::Mutex::new(Tally::default()));
        let mut rigs = Vec::new();
        for (index, cues) in dealt.into_iter().enumerate() {
            let edge = &self.edges[index];
            let (bar, tallies, clock) = (bar.clone(), Arc::clone(&tallies), self.clock.clone());
            let till = Till::new(&format!("http://{}", edge.address), Patience::Endless);
            let starts = plan.starts.0;
            rigs.push(async move {
                let mut line = Line {
                    edge,
                    cut: index == CUT_RIG,
                    is_cut: false,
                };
                let played = player.play(cues, async |cue: Cue<Vec<Value>>| {
                    clock.advance_to(starts + cue.offset_ms);
                    line.at(cue.offset_ms, &bar);
                    let verdicts = till.report(&cue.what).await?;
                    let mut provider = self.provider.lock().await;
                    for event in &cue.what {
                        provider.hear(event, clock.wall_ms()).await?;
                    }
                    drop(provider);
                    let mut tally = tallies.lock().await;
                    verdicts.iter().for_each(|verdict| tally.count(verdict));
                    bar.inc(1);
                    anyhow::Ok(())
                });
                played.await?;
                line.at(i64::MAX, &bar);
                anyhow::Ok(())
            });
        }
        let ticking = tick(
            player,
            speed,
            self.clock.clone(),
            plan.starts.0,
            plan.ends().0,
        );
        tokio::select! {
            played = futures_util::future::try_join_all(rigs) => { played?; }
            () = ticking => {}
        }
        self.clock.advance_to(plan.ends().0);
        bar.finish_and_clear();
        let tally = tallies.lock().await.clone();
        if tally.rejected_total() > 0 {
            bail!("the demo's own events were rejected: {}", tally.sentence());
        }
        Ok(tally)
    }

    /// Waits until every rig says that it is done and nothing is unsent; false when that takes too long.
    async fn drain(&self, popup: &str) -> anyhow::Result<bool> {
        let limit = tokio::time::Instant::now() + DRAIN_LIMIT;
        loop {
            if verdict::all_drained(self, popup).await? {
                return Ok(true);
            }
            if tokio::time::Instant::now() > limit {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends everything; a data directory of our own goes too.
    async fn strike(self) {
        for node in self.nodes.into_iter().rev() {
            node.stop().await;
        }
        if let Data::Own(path) = &self.data
            && let Err(fault) = std::fs::remove_dir_all(path)
        {
            print::note(format!("{} could not be removed: {fault}", path.display()));
        }
    }
}

/// One rig's network line, cut between two popup minutes.
struct Line<'a> {
    edge: &'a Edge,
    cut: bool,
    is_cut: bool,
}

impl Line<'_> {
    /// The popup has come to `offset_ms`.
    fn at(&mut self, offset_ms: i64, bar: &indicatif::ProgressBar) {
        let minute = offset_ms / 60_000;
        let should = self.cut && (CUT_FROM_MIN..CUT_UNTIL_MIN).contains(&minute);
        if should == self.is_cut {
            return;
        }
        self.is_cut = should;
        for relay in &self.edge.relays {
            relay.set_cut(should);
        }
        let rig = &self.edge.rig;
        bar.set_message(if should {
            format!("{rig} has no network")
        } else {
            format!("{rig} is back")
        });
    }
}

/// Moves the clock smoothly while the day is played in time; never ends by itself flat out.
async fn tick(player: Player, speed: u32, clock: ScriptedClock, starts: i64, ends: i64) {
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let real = i64::try_from(player.elapsed().as_millis()).unwrap_or(i64::MAX);
        let popup = starts.saturating_add(real.saturating_mul(i64::from(speed)));
        if speed > 0 {
            clock.advance_to(popup.min(ends));
        }
    }
}

/// The day as cues: opening delivery, documents without the withheld write-offs, closing count.
fn cues(plan: &Plan, day: &Day) -> anyhow::Result<Vec<Cue<Vec<Value>>>> {
    let durations = assets::durations()?;
    let shelf = ShelfPlan::of(day);
    let mut cues = Vec::new();
    let mut grouped: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for event in shelf
        .opening(plan, day)
        .into_iter()
        .chain(shelf.closing(plan, day))
    {
        grouped
            .entry(event.time.0 - plan.starts.0)
            .or_default()
            .push(event.event);
    }
    for (offset_ms, what) in grouped {
        cues.push(Cue {
            rig_index: usize::from(ShelfPlan::RIG_INDEX),
            offset_ms,
            what,
        });
    }
    for document in &day.documents {
        if document.kind == popwatch_wire::sales_file::DocumentKind::StockAdjust {
            continue;
        }
        let events = plan.events(day, document, &durations)?;
        cues.push(Cue {
            rig_index: usize::from(document.rig_index),
            offset_ms: day.offset_ms(document, plan.hours),
            what: events.into_iter().map(|event| event.event).collect(),
        });
    }
    Ok(cues)
}

fn config(data: &Path, part: &str, set: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        data: data.join(part),
        edge: None,
        region: None,
        ledger: None,
        popups: Vec::new(),
        providers: std::collections::BTreeMap::new(),
        access: popwatch_node::config::AccessConfig::default(),
        plain_http: false,
    };
    set(&mut config);
    config
}

/// The ledger, with one test-mode account whose messages are signed with `secret`.
fn ledger_config(
    data: &Path,
    listen: SocketAddr,
    region: SocketAddr,
    key: &str,
    secret: &str,
) -> anyhow::Result<Config> {
    let file = data.join("provider-secret");
    std::fs::create_dir_all(data)
        .and_then(|()| std::fs::write(&file, secret))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    let ledger = LedgerConfig {
        listen,
        regions: vec![format!("http://{region}")],
        hosts: Vec::new(),
        store: None,
        store_file: None,
        pseudonym_key: Some(key.to_owned()),
    };
    let account = ProviderConfig::test("stripe", file);
    let mut config = config(data, "ledger", |config| config.ledger = Some(ledger));
    config
        .providers
        .insert(provider::ACCOUNT.to_owned(), account);
    Ok(config)
}

fn popup_config(plan: &Plan) -> PopupConfig {
    PopupConfig {
        id: plan.popup.to_string(),
        starts: popwatch_wire::json::rfc3339(plan.starts.0),
        ends: popwatch_wire::json::rfc3339(plan.ends().0),
        zone: String::from("Europe/London"),
        currencies: vec![String::from("GBP")],
        checkout_limit_ms: 60_000,
        commerce: None,
        promises: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
