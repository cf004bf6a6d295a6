//! A live stream on its socket: one small task per reader and no queue.
//!
//! ```text
//! request ─► hyper, router, checks ─► Handover ─► Feed::run on the bare socket
//! ```
//!
//! HTTP's machinery is let go once the stream may begin: an idle reader costs its socket and a few
//! hundred bytes. A reader remembers the revision it was sent last; when its socket takes bytes
//! again it gets the frame from there to the newest, which it shares with all who stand there too.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::CONTENT_LENGTH;
use axum::http::response::Parts;
use bytes::{Buf, Bytes};
use popwatch_core::access::Disclosure;
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::limits::{
    FEED_BEHIND_MS, FEED_RETRY_MS_MAX, FEED_RETRY_MS_MIN, FEED_SOCKET_BYTES, FEED_STALL_MS,
    FEED_TICK_MS,
};
use popwatch_core::region::vector::rig_hash;
use popwatch_wire::feed_v1::{self, Audience, Place};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::Sleep;
use tokio_rustls::TlsStream;

use super::lanes::RegionLane;
use crate::ambient::Ambient;
use crate::driver::LiveReader;
use crate::live::{From, PopupLive};
use crate::tls::Stream;

/// Bounds open streams.
#[derive(Debug)]
pub(crate) struct Readers {
    open: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    next: AtomicU64,
    stalled: AtomicU64,
    max: usize,
    /// The oldest makes room for one more; else one more is refused.
    oldest_goes: bool,
}

impl Readers {
    /// None open; beyond `max` one more is refused.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            max,
            oldest_goes: false,
        }
    }

    /// None open; beyond `max` the oldest is closed.
    #[must_use]
    pub(crate) fn newest(max: usize) -> Self {
        Self {
            oldest_goes: true,
            ..Self::new(max)
        }
    }

    /// Streams open now.
    #[must_use]
    pub(crate) fn open(&self) -> usize {
        self.open.lock().expect("no holder panics").len()
    }

    /// Streams closed because their reader did not read.
    #[must_use]
    pub(crate) fn stalled(&self) -> u64 {
        self.stalled.load(Ordering::Relaxed)
    }

    /// A place for one more; `None` when there is none.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Reader> {
        let mut open = self.open.lock().expect("no holder panics");
        if open.len() >= self.max {
            if !self.oldest_goes {
                return None;
            }
            // Its stream ends when the sender is gone.
            drop(open.pop_first());
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (close, closed) = oneshot::channel();
        open.insert(number, close);
        Some(Reader {
            readers: Arc::clone(self),
            number,
            closed,
        })
    }
}

/// One open stream; gives its place back when it ends.
#[derive(Debug)]
pub(super) struct Reader {
    readers: Arc<Readers>,
    number: u64,
    /// Ends when another reader takes the place.
    closed: oneshot::Receiver<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut open = self.readers.open.lock().expect("no holder panics");
        open.remove(&self.number);
    }
}

/// A stream that may begin, on its way from its handler to the task of its connection.
#[derive(Debug, Clone)]
pub(super) struct Handover(Arc<Mutex<Option<Feed>>>);

impl Handover {
    pub(super) fn new(feed: Feed) -> Self {
        Self(Arc::new(Mutex::new(Some(feed))))
    }

    /// The stream, once.
    pub(super) fn take(&self) -> Option<Feed> {
        self.0.lock().expect("no holder panics").take()
    }
}

/// What the reader holds.
#[derive(Debug)]
pub(super) enum Stand {
    /// Nothing.
    New,
    /// What it was shown on an earlier connection.
    Back(Box<Place>),
    /// More than is held here, so it waits until this moment, ms of the steady clock.
    Waits(Box<Place>, u64),
    /// This revision.
    At(u64),
}

/// One reader.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) popup: PopupId,
    pub(super) audience: &'static Audience,
    pub(super) disclosure: Disclosure,
    pub(super) stand: Stand,
    pub(super) live: LiveReader,
    pub(super) lane: RegionLane,
    pub(super) ambient: Ambient,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) reader: Reader,
}

/// Why a stream ended.
enum Ended {
    /// The reader or the server went away.
    Gone,
    /// Its socket took nothing for too long.
    Stalled,
}

/// A feed and its moments, ms of the steady clock.
struct Run {
    feed: Feed,
    shown: Option<watch::Receiver<Arc<PopupLive>>>,
    tick_at: u64,
    /// No rows before this.
    due_at: u64,
    /// There is news that was not looked at yet.
    owed: bool,
    /// When the timer rings.
    wake_at: u64,
}

impl Feed {
    /// Serves the stream until its reader or the server goes; `head` comes first.
    pub(super) async fn run(self, mut stream: Stream, head: Bytes) {
        // A small buffer in the system keeps old frames from piling up there; it may refuse.
        let small =
            rustix::net::sockopt::set_socket_send_buffer_size(stream.socket(), FEED_SOCKET_BYTES);
        if let Err(fault) = small {
            tracing::debug!(%fault, "a stream keeps the system's buffer");
        }
        let now = self.now();
        let mut run = Run {
            // Readers that came at once are not all spoken to at once.
            tick_at: now + self.chance(FEED_TICK_MS),
            due_at: now,
            owed: false,
            wake_at: 0,
            shown: None,
            feed: self,
        };
        match run.serve(&mut stream, head).await {
            Ended::Gone => {}
            Ended::Stalled => {
                let readers = &run.feed.reader.readers;
                readers.stalled.fetch_add(1, Ordering::Relaxed);
                let code = Code::FeedStalled;
                tracing::debug!(%code, "a live reader did not read; its stream is closed");
            }
        }
    }

    /// The head of the answer; the body ends with the connection.
    pub(super) fn head(&self, parts: &Parts) -> Bytes {
        let mut head = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
        for (name, value) in &parts.headers {
            // Routing took the answer for an empty one; what follows ends with its connection.
            if name == CONTENT_LENGTH {
                continue;
            }
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"connection: close\r\n\r\n");
        let wait_ms = FEED_RETRY_MS_MIN + self.chance(FEED_RETRY_MS_MAX - FEED_RETRY_MS_MIN);
        head.extend_from_slice(feed_v1::retry(wait_ms).as_bytes());
        head.into()
    }

    /// Drawn from 0 to `most`.
    fn chance(&self, most: u64) -> u64 {
        let drawn = u64::from(u16::from_le_bytes(self.ambient.random()));
        drawn * most / u64::from(u16::MAX)
    }

    fn now(&self) -> u64 {
        self.ambient.mono_ns() / 1_000_000
    }
}

impl Run {
    async fn serve(&mut self, stream: &mut Stream, head: Bytes) -> Ended {
        let mut wake = pin!(tokio::time::sleep(Duration::ZERO));
        let mut frame = head;
        loop {
            if let Err(ended) = self.write(stream, frame).await {
                return ended;
            }
            frame = match self.next(stream, wake.as_mut()).await {
                Some(next) => next,
                None => return Ended::Gone,
            };
        }
    }

    /// Writes all of a frame, however long that takes, unless the socket takes nothing at all.
    async fn write(&mut self, stream: &mut Stream, mut frame: Bytes) -> Result<(), Ended> {
        let limit = Duration::from_millis(FEED_STALL_MS);
        let stream = match stream {
            Stream::Plain(stream) => &*stream,
            Stream::Tls(stream) => return self.write_sealed(stream, frame, limit).await,
        };
        while !frame.is_empty() {
            match stream.try_write(&frame) {
                Ok(written) => frame.advance(written),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => tokio::select! {
                    room = tokio::time::timeout(limit, stream.writable()) => match room {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return Err(Ended::Gone),
                        Err(_) => return Err(Ended::Stalled),
                    },
                    _ = &mut self.feed.reader.closed => return Err(Ended::Gone),
                    _ = self.feed.shutdown.changed() => return Err(Ended::Gone),
                },
                Err(_) => return Err(Ended::Gone),
            }
        }
        Ok(())
    }

    /// [`Self::write`] through TLS, which keeps what its socket does not take at once.
    async fn write_sealed(
        &mut self,
        stream: &mut TlsStream<TcpStream>,
        mut frame: Bytes,
        limit: Duration,
    ) -> Result<(), Ended> {
        loop {
            let step = async {
                match frame.is_empty() {
                    true => stream.flush().await.map(|()| 0),
                    false => stream.write(&frame).await,
                }
            };
            let written = tokio::select! {
                step = tokio::time::timeout(limit, step) => match step {
                    Ok(Ok(written)) => written,
                    Ok(Err(_)) => return Err(Ended::Gone),
                    Err(_) => return Err(Ended::Stalled),
                },
                _ = &mut self.feed.reader.closed => return Err(Ended::Gone),
                _ = self.feed.shutdown.changed() => return Err(Ended::Gone),
            };
            if frame.is_empty() {
                return Ok(());
            }
            frame.advance(written);
        }
    }

    /// The next frame; `None` when the stream ends.
    async fn next(&mut self, stream: &mut Stream, mut wake: Pin<&mut Sleep>) -> Option<Bytes> {
        loop {
            let now = self.feed.now();
            if let Some(frame) = self.news(now).await {
                return Some(frame);
            }
            if now >= self.tick_at {
                self.tick_at = now + FEED_TICK_MS;
                return Some(self.tick());
            }
            let mut wake_at = self.tick_at;
            // Without news nobody is woken only because there might be some.
            let held_back = self.owed && now < self.due_at;
            if held_back {
                wake_at = wake_at.min(self.due_at);
            }
            if let Stand::Waits(_, until) = self.feed.stand
                && now < until
            {
                wake_at = wake_at.min(until);
            }
            if std::mem::replace(&mut self.wake_at, wake_at) != wake_at {
                let rest = Duration::from_millis(wake_at.saturating_sub(now));
                wake.set(tokio::time::sleep(rest));
            }
            tokio::select! {
                () = wake.as_mut() => self.wake_at = 0,
                is_news = changed(&mut self.shown, &mut self.feed.live), if !held_back => {
                    if !is_news { return None }
                    self.owed = true;
                }
                () = hung_up(stream) => return None,
                _ = &mut self.feed.reader.closed => return None,
            }
        }
    }

    /// What the reader should be shown of the popup now.
    async fn news(&mut self, now: u64) -> Option<Bytes> {
        let told = matches!(self.feed.stand, Stand::At(_)) && self.shown.is_some();
        if told && now < self.due_at {
            return None;
        }
        self.owed = false;
        if self.shown.is_none() {
            let live = self.feed.live.borrow_and_update();
            self.shown = live.popups.get(self.feed.popup.as_str()).cloned();
        }
        let Some(shown) = &mut self.shown else {
            return self.wait(Vec::new(), now);
        };
        let newest = Arc::clone(&shown.borrow_and_update());
        let (audience, revision) = (self.feed.audience, newest.edition.revision());
        let disclosure = &self.feed.disclosure;
        let frame = match &self.feed.stand {
            Stand::At(shown) if *shown == revision => return None,
            Stand::At(shown) => newest.frame(audience, disclosure, From::Revision(*shown)),
            Stand::New => newest.frame(audience, disclosure, From::Nothing),
            Stand::Back(_) | Stand::Waits(..) => return self.resume(&newest, now).await,
        };
        self.feed.stand = Stand::At(revision);
        self.due_at = now + audience.every_ms;
        frame
    }

    /// Goes on from what the reader was shown on an earlier connection, maybe of another region.
    async fn resume(&mut self, newest: &PopupLive, now: u64) -> Option<Bytes> {
        let stand = std::mem::replace(&mut self.feed.stand, Stand::New);
        let (place, until) = match stand {
            Stand::Back(place) => (place, None),
            Stand::Waits(place, until) => (place, Some(until)),
            Stand::New | Stand::At(_) => return None,
        };
        let at = Stand::At(newest.edition.revision());
        let (state, _) = newest.state.split_at(8);
        if place.state[..] == *state {
            self.feed.stand = at;
            return None;
        }
        let (audience, disclosure) = (self.feed.audience, &self.feed.disclosure);
        let Some(seen) = &place.vector else {
            self.feed.stand = at;
            return newest.frame(audience, disclosure, From::Nothing);
        };
        let lacking = newest.vector.lacks(seen);
        if lacking.is_empty() {
            self.feed.stand = at;
            let key = hash_of(&place);
            if let Some(frame) = newest.resumed_before(audience, disclosure, key) {
                return Some(frame);
            }
            let popup = self.feed.popup.clone();
            let minutes = self.feed.lane.minutes_above(popup, seen.clone()).await;
            return match minutes {
                Ok(minutes) => newest.resumed(audience, disclosure, key, &minutes),
                Err(_) => newest.frame(audience, disclosure, From::Nothing),
            };
        }
        match until {
            Some(until) if now >= until => {
                self.feed.stand = at;
                newest.frame(audience, disclosure, From::Ahead)
            }
            Some(until) => {
                self.feed.stand = Stand::Waits(place, until);
                None
            }
            None => {
                let rigs = newest.view.rigs.iter().map(|rig| &rig.rig);
                let rigs = rigs.filter(|rig| lacking.contains(&rig_hash(rig)));
                self.feed.stand = Stand::Back(place);
                self.wait(rigs.cloned().collect(), now)
            }
        }
    }

    /// Tells a reader that came back that these rigs are not held as it has seen them, or that the
    /// popup is not here yet.
    fn wait(&mut self, rigs: Vec<String>, now: u64) -> Option<Bytes> {
        let stand = std::mem::replace(&mut self.feed.stand, Stand::New);
        let Stand::Back(place) = stand else {
            self.feed.stand = stand;
            return None;
        };
        self.feed.stand = Stand::Waits(place, now + FEED_BEHIND_MS);
        let behind = feed_v1::behind(self.feed.ambient.wall_ms(), &rigs);
        Some(Bytes::from(behind))
    }

    fn tick(&self) -> Bytes {
        let server_ms = self.feed.ambient.wall_ms();
        match (&self.feed.stand, &self.shown) {
            (Stand::At(_), Some(shown)) => shown.borrow().tick(server_ms),
            (Stand::New | Stand::Back(_) | Stand::Waits(..), _) | (Stand::At(_), None) => {
                Bytes::from(feed_v1::tick(server_ms, None))
            }
        }
    }
}

/// Waits for news of the popup, or of its appearance; false when the server stops.
async fn changed(
    shown: &mut Option<watch::Receiver<Arc<PopupLive>>>,
    live: &mut LiveReader,
) -> bool {
    if let Some(popup) = shown {
        if popup.changed().await.is_ok() {
            return true;
        }
        // The popup is no more here, or the server stops; the wider view knows.
        *shown = None;
    }
    live.changed().await.is_ok()
}

/// Waits until the reader closes its end. What it says meanwhile nobody asked for.
async fn hung_up(stream: &mut Stream) {
    let stream = match stream {
        Stream::Plain(stream) => &*stream,
        Stream::Tls(stream) => {
            let mut unasked = [0; 64];
            while matches!(stream.read(&mut unasked).await, Ok(1..)) {}
            return;
        }
    };
    // One waker of the socket is for this task alone: nothing is listed and taken off at each wait.
    let gone = |context: &mut Context<'_>| {
        loop {
            match stream.poll_read_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            match stream.try_read(&mut [0; 64]) {
                Ok(0) => return Poll::Ready(()),
                Ok(_) => {}
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(()),
            }
        }
    };
    poll_fn(gone).await;
}

fn hash_of(place: &Place) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}
