//! The network between rigs and their peers: loses, delays, repeats, reorders, cuts.
//!
//! What travels are the encoded bodies of both lanes. An exchange ends with the first answer that
//! comes back in time, or when the asker gives up; the peer may still take the body afterwards, and
//! an answer that nobody waits for is thrown away.

use std::collections::BTreeMap;

use popwatch_core::lane::PeerFault;
use popwatch_store::fs::faulty::Dice;

/// A rig's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// The region.
    Region,
    /// The ledger.
    Ledger,
}

/// One of a rig's two connections.
pub(crate) type Line = (usize, Peer);

/// How a line behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Bodies and answers lost, of a million.
    pub(crate) loss_ppm: u64,
    /// Bodies delivered twice, of a million.
    pub(crate) repeat_ppm: u64,
    /// Shortest way, ms.
    pub(crate) delay_ms: u64,
    /// Added at random, ms: this is what reorders.
    pub(crate) jitter_ms: u64,
}

impl Weather {
    /// Nothing is lost, little is late.
    pub(crate) const FAIR: Self = Self {
        loss_ppm: 0,
        repeat_ppm: 0,
        delay_ms: 5,
        jitter_ms: 5,
    };
}

/// Something on its way.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    /// A body for a peer.
    Body(Line, u64, Vec<u8>),
    /// What the peer answered.
    Answer(Line, u64, Result<Vec<u8>, PeerFault>),
    /// The asker gives up.
    Late(Line, u64),
}

/// All lines of all rigs.
#[derive(Debug)]
pub(crate) struct Net {
    dice: Dice,
    weather: BTreeMap<Line, Weather>,
    cut_until: BTreeMap<Line, u64>,
    waiting: BTreeMap<Line, u64>,
    on_the_way: BTreeMap<(u64, u64), Parcel>,
    sent: u64,
    answer_ms: u64,
}

impl Net {
    /// Fair weather everywhere; askers give up after `answer_ms`.
    #[must_use]
    pub(crate) fn new(seed: u64, answer_ms: u64) -> Self {
        Self {
            dice: Dice(seed),
            weather: BTreeMap::new(),
            cut_until: BTreeMap::new(),
            waiting: BTreeMap::new(),
            on_the_way: BTreeMap::new(),
            sent: 0,
            answer_ms,
        }
    }

    /// Changes how a line behaves.
    pub(crate) fn weather(&mut self, line: Line, weather: Weather) {
        self.weather.insert(line, weather);
    }

    /// Cuts a line until a moment, ms.
    pub(crate) fn cut(&mut self, line: Line, until_ms: u64) {
        self.cut_until.insert(line, until_ms);
    }

    /// Whether a line is cut.
    #[must_use]
    pub(crate) fn is_cut(&self, line: Line, now_ms: u64) -> bool {
        self.cut_until
            .get(&line)
            .is_some_and(|until| *until > now_ms)
    }

    /// Fair weather everywhere, nothing cut.
    pub(crate) fn heal(&mut self) {
        self.weather.clear();
        self.cut_until.clear();
    }

    /// The rig's process ended: it waits for nothing any more.
    pub(crate) fn forget(&mut self, rig: usize) {
        self.waiting.retain(|line, _| line.0 != rig);
    }

    /// Exchanges under way on a line.
    #[must_use]
    pub(crate) fn under_way(&self, line: Line) -> usize {
        usize::from(self.waiting.contains_key(&line))
    }

    /// Starts an exchange.
    pub(crate) fn ask(&mut self, line: Line, body: Vec<u8>, now_ms: u64) {
        self.sent += 1;
        let exchange = self.sent;
        self.waiting.insert(line, exchange);
        self.post(now_ms + self.answer_ms, Parcel::Late(line, exchange));
        let copies = 1 + u64::from(self.dice.below(1_000_000) < self.of(line).repeat_ppm);
        for _ in 0..copies {
            self.send(line, now_ms, Parcel::Body(line, exchange, body.clone()));
        }
    }

    /// Sends an answer back.
    pub(crate) fn answer(
        &mut self,
        line: Line,
        exchange: u64,
        outcome: Result<Vec<u8>, PeerFault>,
        now_ms: u64,
    ) {
        self.send(line, now_ms, Parcel::Answer(line, exchange, outcome));
    }

    /// Whether the asker still waits for this exchange; it then waits no more.
    pub(crate) fn concludes(&mut self, line: Line, exchange: u64) -> bool {
        let waits = self.waiting.get(&line) == Some(&exchange);
        if waits {
            self.waiting.remove(&line);
        }
        waits
    }

    /// When the next parcel arrives, ms.
    #[must_use]
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next parcel that has arrived.
    pub(crate) fn arrived(&mut self, now_ms: u64) -> Option<Parcel> {
        let first = self.on_the_way.first_entry()?;
        (first.key().0 <= now_ms).then(|| first.remove())
    }

    fn of(&self, line: Line) -> Weather {
        self.weather.get(&line).copied().unwrap_or(Weather::FAIR)
    }

    fn send(&mut self, line: Line, now_ms: u64, parcel: Parcel) {
        let weather = self.of(line);
        let lost = self.dice.below(1_000_000) < weather.loss_ppm;
        let delay_ms = weather.delay_ms + self.dice.below(weather.jitter_ms + 1);
        if !lost && !self.is_cut(line, now_ms) {
            self.post(now_ms + delay_ms, parcel);
        }
    }

    fn post(&mut self, at_ms: u64, parcel: Parcel) {
        self.sent += 1;
        self.on_the_way.insert((at_ms, self.sent), parcel);
    }
}
