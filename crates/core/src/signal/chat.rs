//! How a chat sounds: what of it was negative, and whether its language was understood at all.

use alloc::string::String;
use alloc::vec::Vec;

use crate::time::WallMs;
use crate::view::{Live, Shift, StreamSums, full_minutes, ten_thousandths};

/// Full minutes before the watermark that are looked at.
const MINUTES: u32 = 15;
/// With fewer messages nothing is said of their language.
const MESSAGES_MIN: i128 = 50;
/// Under this share of messages with a word of the lexicon the language is not covered,
/// ten-thousandths.
const COVERED_MIN: i64 = 2_000;

/// What the recent negativity of a stream can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatState {
    /// No message in the last full minutes.
    NoData,
    /// Too few words of the lexicon: nothing may be concluded, no alarm.
    NotCovered,
    /// It counts.
    Covered,
}

impl ChatState {
    /// Its text on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::NotCovered => "not_covered",
            Self::Covered => "covered",
        }
    }
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamView {
    /// Its name.
    pub stream: String,
    /// Since the start.
    pub totals: StreamSums,
    /// In the last full minutes.
    pub recent: StreamSums,
    /// How many minutes those are, 0 to 15.
    pub minutes: u32,
    /// Share of recent messages with a word of the lexicon, ten-thousandths; `None` without messages.
    pub covered: Option<i64>,
    /// Share of recent messages that are negative, ten-thousandths; `None` without messages.
    pub negative: Option<i64>,
    /// What that can tell.
    pub state: ChatState,
    /// Viewers as last sampled; `None` when nobody did.
    pub watching: Option<u64>,
}

pub(super) fn read(live: &Live, watermark: Option<WallMs>) -> Vec<StreamView> {
    let span = full_minutes(live, None, watermark, MINUTES);
    let minutes = span.end - span.start;
    let view = |(name, totals): (&String, &StreamSums)| {
        let mut recent = StreamSums::default();
        for (_, minute) in live.minutes.range(span.clone()) {
            if let Some(sums) = minute.streams.get(name) {
                recent.shift(Shift::Add, sums);
            }
        }
        let share = |part| (recent.messages > 0).then(|| ten_thousandths(part, recent.messages));
        let covered = share(recent.covered);
        let foreign = covered.is_some_and(|share| share < COVERED_MIN);
        let state = match covered {
            None => ChatState::NoData,
            Some(_) if foreign && recent.messages >= MESSAGES_MIN => ChatState::NotCovered,
            Some(_) => ChatState::Covered,
        };
        let samples = live.watching.get(name);
        let last = samples.and_then(|samples| samples.last_key_value());
        StreamView {
            stream: name.clone(),
            totals: *totals,
            recent,
            minutes,
            covered,
            negative: share(recent.negative),
            state,
            watching: last.map(|(_, viewers)| *viewers),
        }
    };
    live.streams.iter().map(view).collect()
}
