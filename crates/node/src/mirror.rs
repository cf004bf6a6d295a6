//! The mirror of a region in Redis or Valkey: what several region nodes share, and what one that
//! lost its memory starts from. A copy, never the truth.
//!
//! ```text
//! region ─ Relay ─► batch ─► one script: set if newer ─► hash pw1:{popup}:c, then publish
//! region ◄── batch ◄── channel pw1:{popup}:n, and a comparison of all ranks every 10 s
//! ```
//!
//! To the region the mirror is one more region that it feeds: the same machine says what the mirror
//! lacks, and a mirror that forgot answers with another id and is told everything again.
//!
//! What always holds: a value carries its rank (version and digest of a cell, end of a cut, number
//! of a beacon) and only a greater rank replaces it; cells and cuts lie in one hash, so an eviction
//! takes both or none; a value that fails its digest is not used. While the mirror is away the
//! region goes on from memory and says so (PW3124).

use std::collections::BTreeMap;
use std::io::Result;
use std::time::Duration;

use bytes::Bytes;
use popwatch_core::cell::{Cell, digest_of};
use popwatch_core::code::Code;
use popwatch_core::event::system::PopupPolicy;
use popwatch_core::lane::{Beacon, CellAck, CellBatch, Cut, PROTOCOL, PeerFault};
use popwatch_core::limits::{
    MIRROR_COMPARE_MS, MIRROR_FIELDS_MAX, MIRROR_KEEP_MS, MIRROR_RETRY_MS,
};
use popwatch_wire::lanes;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

mod resp;

use resp::{Connection, Value};

use crate::ambient::Ambient;
use crate::driver::LiveReader;
use crate::http::RegionLane;
use crate::peer::{Link, Reply};

const STORE: &str = include_str!("mirror/store.lua");
const RANKS: &str = include_str!("mirror/ranks.lua");
/// Which memory the mirror is.
const ID: &[u8] = b"pw1:id";
/// Names of all keys begin so.
const KEYS: &str = "pw1:";
const RANK_BYTES: usize = 24;
/// The screen is copied for other readers this often, ms.
const SCREEN_MS: u64 = 1_000;

type Rank = [u8; RANK_BYTES];

/// Where a mirror is.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    host: String,
    password: Option<String>,
}

impl Address {
    /// Reads `redis://[:password@]host:port`; `None` when it is none.
    pub(crate) fn read(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("redis://")?.trim_end_matches('/');
        let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (_, port) = host.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        let password = user.split_once(':').map(|(_, password)| password);
        Some(Self {
            host: host.to_owned(),
            password: password.map(str::to_owned),
        })
    }
}

/// The task between a region and its mirror.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// Where it is.
    pub(crate) address: Address,
    /// Which of the region's links it answers as.
    pub(crate) link: Link,
    /// Who sends: what comes back under this name is our own.
    pub(crate) name: String,
    /// Batches of the region.
    pub(crate) bodies: mpsc::Receiver<Bytes>,
    /// Answers to them.
    pub(crate) replies: mpsc::Sender<Reply>,
    /// The region.
    pub(crate) lane: RegionLane,
    /// What it shows.
    pub(crate) live: LiveReader,
    /// Clocks.
    pub(crate) ambient: Ambient,
}

/// One stretch of contact.
struct Session {
    commands: Connection,
    heard: Connection,
    /// The mirror's memory.
    id: Vec<u8>,
    /// Ranks known to lie there, by popup and field.
    known: BTreeMap<(String, Vec<u8>), Rank>,
    /// When what is kept of a popup ends, ms since 1970.
    until: BTreeMap<String, i64>,
    /// Screens as they were copied, by popup.
    screens: BTreeMap<String, [u8; 16]>,
}

impl Mirror {
    /// Runs until the region goes.
    pub(crate) async fn run(mut self) {
        loop {
            let ended = match self.open().await {
                Ok(session) => self.serve(session).await,
                Err(fault) => Err(fault),
            };
            let Err(fault) = ended else { return };
            let code = Code::MirrorDown;
            tracing::warn!(%code, %fault, "the mirror is out of reach; the region goes on from memory");
            if !self.wait().await {
                return;
            }
        }
    }

    /// Answers for the mirror while it is away; false when the region went.
    async fn wait(&mut self) -> bool {
        let pause = tokio::time::sleep(Duration::from_millis(MIRROR_RETRY_MS));
        let mut pause = std::pin::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return true,
                body = self.bodies.recv() => {
                    if body.is_none() || !self.answer(Err(PeerFault::Unreachable)).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn answer(&self, outcome: std::result::Result<Bytes, PeerFault>) -> bool {
        let reply = Reply {
            link: self.link,
            outcome,
            received_mono_ns: self.ambient.mono_ns(),
        };
        self.replies.send(reply).await.is_ok()
    }

    async fn open(&self) -> Result<Session> {
        let password = self.address.password.as_deref();
        let mut commands = Connection::open(&self.address.host, password).await?;
        let mut heard = Connection::open(&self.address.host, password).await?;
        heard.ask(&[b"PSUBSCRIBE", b"pw1:*:n"]).await?;
        let id = memory(&mut commands, &self.ambient).await?;
        tracing::info!("the mirror answers");
        Ok(Session {
            commands,
            heard,
            id,
            known: BTreeMap::new(),
            until: BTreeMap::new(),
            screens: BTreeMap::new(),
        })
    }

    /// Serves until the mirror is lost (an error) or the region goes.
    async fn serve(&mut self, mut session: Session) -> Result<()> {
        let every = |ms| {
            let mut every = tokio::time::interval(Duration::from_millis(ms));
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            every
        };
        // The first comparison is at once: a region that lost its memory starts from it.
        let (mut compare, mut screen) = (every(MIRROR_COMPARE_MS), every(SCREEN_MS));
        loop {
            tokio::select! {
                body = self.bodies.recv() => {
                    let Some(body) = body else { return Ok(()) };
                    match self.store(&mut session, &body).await {
                        Ok(ack) => {
                            if !self.answer(Ok(ack)).await {
                                return Ok(());
                            }
                        }
                        Err(fault) => {
                            self.answer(Err(PeerFault::Unreachable)).await;
                            return Err(fault);
                        }
                    }
                }
                push = session.heard.next() => self.hear(push?).await,
                _ = compare.tick() => self.compare(&mut session).await?,
                _ = screen.tick() => self.copy_screens(&mut session).await?,
            }
        }
    }

    /// Stores a batch; the answer is that of a region that took it.
    async fn store(&self, session: &mut Session, body: &[u8]) -> Result<Bytes> {
        let batch: CellBatch = lanes::decode(body).map_err(std::io::Error::other)?;
        for (popup, part) in by_popup(&batch) {
            let fields = fields_of(&part);
            let ends = part.popups.iter().map(cells_until_ms).next_back();
            if let Some(ends) = ends.flatten() {
                session.until.insert(popup.clone(), ends);
            }
            let mut is_news = false;
            for fields in fields.chunks(MIRROR_FIELDS_MAX) {
                is_news |= self.put(session, &popup, fields).await?;
            }
            if is_news {
                let message = lanes::encode(&part).map_err(std::io::Error::other)?;
                let channel = key(&popup, "n");
                let tell: [&[u8]; 3] = [b"PUBLISH", channel.as_bytes(), &message];
                session.commands.ask(&tell).await?;
            }
        }
        let ack = CellAck {
            region_id: session.id.clone(),
            have: batch.cuts,
            ..CellAck::default()
        };
        lanes::encode(&ack)
            .map(Bytes::from)
            .map_err(std::io::Error::other)
    }

    /// Whether any of these was newer than what lay there.
    async fn put(
        &self,
        session: &mut Session,
        popup: &str,
        fields: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<bool> {
        let hash = key(popup, "c");
        let keep = i64::try_from(MIRROR_KEEP_MS).unwrap_or(i64::MAX);
        let unwritten = self.ambient.wall_ms().saturating_add(keep);
        let expires = session.until.get(popup).copied().unwrap_or(unwritten);
        let expires = expires.to_string();
        let mut parts: Vec<&[u8]> = vec![b"EVAL", STORE.as_bytes(), b"1", hash.as_bytes()];
        parts.push(expires.as_bytes());
        parts.extend(
            fields
                .iter()
                .flat_map(|(field, value)| [&field[..], &value[..]]),
        );
        let taken = session.commands.ask(&parts).await?;
        for (field, value) in fields {
            if let Some(rank) = rank_of(value) {
                session
                    .known
                    .insert((popup.to_owned(), field.clone()), rank);
            }
        }
        Ok(taken != Value::Number(0))
    }

    /// News of another node: a batch as it sent it.
    async fn hear(&self, push: Value) {
        let Some(message) = push.many().pop().and_then(Value::bytes) else {
            return;
        };
        let batch = lanes::decode::<CellBatch>(&message);
        if let Ok(batch) = batch.as_ref()
            && batch.sender != self.name
        {
            self.lane.merge(batch.clone()).await;
        }
    }

    /// Takes what the mirror has and this node was not told of, and sees whether it still has what
    /// it was given: if not, everything is given again.
    async fn compare(&self, session: &mut Session) -> Result<()> {
        let id = memory(&mut session.commands, &self.ambient).await?;
        if id != session.id {
            (session.id, session.known) = (id, BTreeMap::new());
        }
        let mut there = BTreeMap::new();
        for popup in popups(&mut session.commands).await? {
            let hash = key(&popup, "c");
            let ask: [&[u8]; 4] = [b"EVAL", RANKS.as_bytes(), b"1", hash.as_bytes()];
            let ranks = session.commands.ask(&ask).await?.many();
            let mut fresh = Vec::new();
            let mut pairs = ranks.into_iter().filter_map(Value::bytes);
            while let (Some(field), Some(rank)) = (pairs.next(), pairs.next()) {
                let Some(rank) = rank_of(&rank) else { continue };
                let known = session.known.get(&(popup.clone(), field.clone()));
                if known.is_none_or(|known| *known < rank) {
                    fresh.push((field.clone(), rank));
                }
                there.insert((popup.clone(), field), rank);
            }
            self.fetch(session, &popup, &hash, fresh).await?;
        }
        // What ended by its policy is no loss.
        let now_ms = self.ambient.wall_ms();
        let until = &session.until;
        let lasts = |popup: &String| until.get(popup).is_none_or(|until_ms| *until_ms > now_ms);
        let mut known = session.known.keys();
        let evicted = known.any(|known| lasts(&known.0) && !there.contains_key(known));
        if evicted {
            tracing::warn!(code = %Code::MirrorDown, "the mirror lost what it was given; it is given again");
            session.commands.ask(&[b"DEL", ID]).await?;
            session.id = memory(&mut session.commands, &self.ambient).await?;
        }
        session.known = there;
        Ok(())
    }

    /// Merges values of the mirror, the cuts last: they speak of cells that were there before them.
    async fn fetch(
        &self,
        session: &mut Session,
        popup: &str,
        hash: &str,
        fresh: Vec<(Vec<u8>, Rank)>,
    ) -> Result<()> {
        let (mut cuts, mut foreign) = (Vec::new(), Vec::new());
        for fields in fresh.chunks(MIRROR_FIELDS_MAX) {
            let mut ask: Vec<&[u8]> = vec![b"HMGET", hash.as_bytes()];
            ask.extend(fields.iter().map(|(field, _)| field.as_slice()));
            let values = session.commands.ask(&ask).await?.many();
            let mut batch = self.batch();
            for ((field, rank), value) in fields.iter().zip(values) {
                let Some(value) = value.bytes() else { continue };
                match read(field, &value) {
                    Some(Item::Cell(bytes)) => batch.cells.push(bytes),
                    // One that moved since speaks of cells that were not looked at.
                    Some(Item::Cut(cut)) => {
                        cuts.extend((rank_of(&value) == Some(*rank)).then_some(cut))
                    }
                    Some(Item::Beacon(beacon)) => batch.beacons.push(beacon),
                    Some(Item::Policy(policy)) => batch.popups.push(policy),
                    None => foreign.push(field),
                }
            }
            self.lane.merge(batch).await;
        }
        if !cuts.is_empty() {
            let batch = CellBatch {
                cuts,
                ..self.batch()
            };
            self.lane.merge(batch).await;
        }
        for field in foreign {
            let code = Code::MirrorDown;
            tracing::warn!(%code, popup, "a foreign or torn value in the mirror is taken away");
            session
                .commands
                .ask(&[b"HDEL", hash.as_bytes(), field])
                .await?;
        }
        Ok(())
    }

    fn batch(&self) -> CellBatch {
        CellBatch {
            protocol: PROTOCOL,
            sender: String::from("mirror"),
            ..CellBatch::default()
        }
    }

    /// Copies each first screen that changed, for readers of the mirror alone.
    async fn copy_screens(&self, session: &mut Session) -> Result<()> {
        let live = std::sync::Arc::clone(&self.live.borrow());
        for (popup, shown) in &live.popups {
            let shown = std::sync::Arc::clone(&shown.borrow());
            if session.screens.get(popup) == Some(&shown.state) {
                continue;
            }
            let (name, keep) = (key(popup, "s:operator"), MIRROR_KEEP_MS.to_string());
            let summary = shown.summary();
            let ask: [&[u8]; 5] = [b"SET", name.as_bytes(), &summary, b"PX", keep.as_bytes()];
            session.commands.ask(&ask).await?;
            session.screens.insert(popup.clone(), shown.state);
        }
        Ok(())
    }
}

/// The mirror's id, drawn by whoever finds it without one.
async fn memory(commands: &mut Connection, ambient: &Ambient) -> Result<Vec<u8>> {
    let drawn: [u8; 16] = ambient.random();
    commands.ask(&[b"SET", ID, &drawn, b"NX"]).await?;
    let held = commands.ask(&[b"GET", ID]).await?.bytes();
    held.filter(|id| id.len() == drawn.len())
        .ok_or_else(|| std::io::Error::other("the mirror's id is foreign"))
}

/// Popups with a hash; the empty one holds what rigs say of themselves as a whole.
async fn popups(commands: &mut Connection) -> Result<Vec<String>> {
    let (mut cursor, mut found) = (b"0".to_vec(), Vec::new());
    loop {
        let ask: [&[u8]; 6] = [
            b"SCAN",
            &cursor[..],
            b"MATCH",
            b"pw1:{*}:c",
            b"COUNT",
            b"1000",
        ];
        let mut answer = commands.ask(&ask).await?.many().into_iter();
        cursor = answer.next().and_then(Value::bytes).unwrap_or_default();
        let names = answer.next().map(Value::many).unwrap_or_default();
        for name in names.into_iter().filter_map(Value::bytes) {
            let name = String::from_utf8(name).ok();
            let popup = name.as_deref().and_then(|name| {
                let name = name.strip_prefix(KEYS)?.strip_prefix('{')?;
                name.strip_suffix("}:c")
            });
            found.extend(popup.map(str::to_owned));
        }
        if cursor == b"0" || cursor.is_empty() {
            return Ok(found);
        }
    }
}

fn key(popup: &str, what: &str) -> String {
    format!("{KEYS}{{{popup}}}:{what}")
}

fn rank_of(value: &[u8]) -> Option<Rank> {
    value.first_chunk().copied()
}

/// When the cells of a popup must be gone, ms since 1970; `None` where nobody signed for that.
fn cells_until_ms(policy: &PopupPolicy) -> Option<i64> {
    let age_ms = policy.cells.as_ref()?.cells_ms();
    Some(policy.ends_ms.saturating_add_unsigned(age_ms))
}

/// A batch cut into parts of one popup each.
fn by_popup(batch: &CellBatch) -> BTreeMap<String, CellBatch> {
    let mut parts: BTreeMap<String, CellBatch> = BTreeMap::new();
    for bytes in &batch.cells {
        if let Ok(cell) = Cell::decode_canonical(bytes) {
            part(&mut parts, batch, &cell.popup)
                .cells
                .push(bytes.clone());
        }
    }
    for cut in &batch.cuts {
        part(&mut parts, batch, &cut.popup).cuts.push(cut.clone());
    }
    for beacon in &batch.beacons {
        part(&mut parts, batch, &beacon.popup)
            .beacons
            .push(beacon.clone());
    }
    for policy in &batch.popups {
        part(&mut parts, batch, &policy.popup)
            .popups
            .push(policy.clone());
    }
    parts
}

/// The part of a popup, with what holds for the whole batch.
fn part<'a>(
    parts: &'a mut BTreeMap<String, CellBatch>,
    whole: &CellBatch,
    popup: &str,
) -> &'a mut CellBatch {
    parts.entry(popup.to_owned()).or_insert_with(|| CellBatch {
        protocol: whole.protocol,
        sender: whole.sender.clone(),
        voids: whole.voids.clone(),
        ..CellBatch::default()
    })
}

/// Field and value of all that a batch has to keep.
fn fields_of(batch: &CellBatch) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut fields = Vec::new();
    for bytes in &batch.cells {
        let Ok(cell) = Cell::decode_canonical(bytes) else {
            continue;
        };
        let life = hex(&cell.epoch_id);
        let field = format!("c/{}/{}/{life}/{}", cell.rig, cell.epoch, cell.minute);
        let rank = [&cell.version.to_be_bytes()[..], &digest_of(bytes)].concat();
        fields.push((field.into_bytes(), [&rank[..], bytes].concat()));
    }
    for cut in batch.cuts.iter().filter(|cut| cut.to_seq > 0) {
        let field = format!("t/{}/{}/{}", cut.rig, cut.epoch, hex(&cut.epoch_id));
        let clear = u64::try_from(cut.clear_ms).unwrap_or(0);
        let rank = rank(cut.to_seq, clear);
        fields.push((
            field.into_bytes(),
            [&rank[..], &cut.encode_to_vec()].concat(),
        ));
    }
    for policy in &batch.popups {
        let rank = rank(policy.version.into(), 0);
        fields.push((b"p".to_vec(), [&rank[..], &policy.encode_to_vec()].concat()));
    }
    for beacon in &batch.beacons {
        let rank = rank(beacon.epoch.into(), beacon.number);
        let field = format!("b/{}", beacon.rig).into_bytes();
        fields.push((field, [&rank[..], &beacon.encode_to_vec()].concat()));
    }
    fields
}

fn rank(first: u64, second: u64) -> Rank {
    let mut rank = [0; RANK_BYTES];
    rank[..8].copy_from_slice(&first.to_be_bytes());
    rank[8..16].copy_from_slice(&second.to_be_bytes());
    rank
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value of the mirror.
#[derive(Debug, PartialEq)]
enum Item {
    Cell(Vec<u8>),
    Cut(Cut),
    Beacon(Beacon),
    Policy(PopupPolicy),
}

/// Reads a value; `None` when it is not what its field and rank say.
fn read(field: &[u8], value: &[u8]) -> Option<Item> {
    let (claimed, bytes) = value.split_first_chunk::<RANK_BYTES>()?;
    let batch = match field.first()? {
        b'c' => CellBatch {
            cells: vec![bytes.to_vec()],
            ..CellBatch::default()
        },
        b't' => CellBatch {
            // Everything before it lies in the mirror too.
            cuts: vec![Cut::decode(bytes).ok()?],
            ..CellBatch::default()
        },
        b'p' => CellBatch {
            popups: vec![PopupPolicy::decode(bytes).ok()?],
            ..CellBatch::default()
        },
        b'b' => CellBatch {
            beacons: vec![Beacon::decode(bytes).ok()?],
            ..CellBatch::default()
        },
        _other => return None,
    };
    let (own_field, own_value) = fields_of(&batch).pop()?;
    if own_field != field || rank_of(&own_value)? != *claimed {
        return None;
    }
    let CellBatch {
        cells,
        cuts,
        beacons,
        popups,
        ..
    } = batch;
    let policy = popups.into_iter().next().map(Item::Policy);
    let cell = cells.into_iter().next().map(Item::Cell);
    let cut = cuts.into_iter().next();
    let cut = cut.map(|cut| Item::Cut(Cut { from_seq: 0, ..cut }));
    let beacon = beacons.into_iter().next().map(Item::Beacon);
    cell.or(cut).or(beacon).or(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_a_password() {
        let plain = Address::read("redis://127.0.0.1:6379").unwrap();
        assert_eq!(
            (plain.host.as_str(), plain.password),
            ("127.0.0.1:6379", None)
        );
        let secret = Address::read("redis://user:s3@cache:6379/").unwrap();
        assert_eq!(secret.password.as_deref(), Some("s3"));
        for wrong in ["", "http://a:1", "redis://a", "redis://a:b"] {
            assert!(Address::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_stored_reads_back_and_nothing_else_does() {
        let cell = Cell {
            popup: String::from("stall"),
            rig: String::from("till-1"),
            epoch: 3,
            epoch_id: vec![7; 16],
            minute: 28_333_333,
            version: 9,
            ..Cell::default()
        };
        let cut = Cut {
            popup: String::from("stall"),
            rig: String::from("till-1"),
            epoch: 3,
            epoch_id: vec![7; 16],
            from_seq: 4,
            to_seq: 9,
            clear_ms: 5,
        };
        let batch = CellBatch {
            cells: vec![cell.encode_canonical()],
            cuts: vec![cut.clone()],
            beacons: vec![Beacon {
                popup: String::from("stall"),
                rig: String::from("till-1"),
                ..Beacon::default()
            }],
            ..CellBatch::default()
        };
        let fields = fields_of(&batch);
        assert_eq!(
            read(&fields[0].0, &fields[0].1),
            Some(Item::Cell(cell.encode_canonical()))
        );
        let whole = Cut { from_seq: 0, ..cut };
        assert_eq!(read(&fields[1].0, &fields[1].1), Some(Item::Cut(whole)));
        for (field, value) in &fields {
            assert!(read(field, &value[1..]).is_none() && read(b"x", value).is_none());
            let mut torn = value.clone();
            if let Some(byte) = torn.first_mut() {
                *byte ^= 1;
            }
            assert!(read(field, &torn).is_none(), "another rank");
        }
        let parts = by_popup(&batch);
        assert_eq!(parts.keys().collect::<Vec<_>>(), ["stall"]);
    }
}
