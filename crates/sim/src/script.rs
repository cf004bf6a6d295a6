//! A seed to a day at the market: what people, networks, disks and clocks do, step by step.

use popwatch_store::fs::faulty::{Dice, Fault};

use crate::net::{Line, Peer, Weather};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// A till makes a few events and calls its rig.
    Sell { rig: usize, events: u64 },
    /// A till sends something again that it was answered for.
    Resend { rig: usize },
    /// A till sends an id again with another content.
    Edit { rig: usize },
    /// A till sends something it was answered for to another rig; perhaps it was edited.
    Elsewhere {
        from: usize,
        to: usize,
        edited: bool,
    },
    /// Power is cut `after` calls of the disk into the till's next call.
    PowerCut { rig: usize, after: u64 },
    /// The process is killed `after` calls of the disk into the till's next call.
    Kill { rig: usize, after: u64 },
    /// The process ends cleanly.
    Stop { rig: usize },
    /// The process starts; power is cut again `cut_after` calls of the disk into it, if at all.
    Start { rig: usize, cut_after: Option<u64> },
    /// A wall clock is set, this far from the truth, ms.
    Clock { rig: usize, off_ms: i64 },
    /// A line is cut for a time.
    Cut { line: Line, ms: u64 },
    /// A line behaves differently from now on.
    Turn { line: Line, weather: Weather },
    /// The region's memory is lost.
    ForgetRegion,
    /// The ledger is out of reach, or asks everyone to wait.
    LedgerAway { ms: u64, busy: bool },
    /// Calls of a disk that change it fail at random, so many of a million.
    BadDisk { rig: usize, ppm: u32 },
    /// A disk has so many bytes left.
    FullDisk {
        rig: usize,
        bytes: u64,
        /// Power is cut so many calls of the disk into what is then let go, if at all.
        cut_after: Option<u64>,
    },
    /// One call of a disk, `after` calls from now, fails once: a read, a write, a sync.
    BadCall {
        rig: usize,
        after: u64,
        fault: Fault,
    },
    /// A disk is well again.
    GoodDisk { rig: usize },
    /// Time passes.
    Wait { ms: u64 },
}

/// What a day is made of.
#[derive(Debug, Clone)]
pub(crate) struct Day {
    /// Rigs that take part.
    pub(crate) rigs: usize,
    /// Currencies they take.
    pub(crate) currencies: Vec<&'static str>,
    /// Popups they sell for.
    pub(crate) popups: Vec<String>,
    /// Whether the popups were announced to the rigs, or begin with their first sale.
    pub(crate) announced: bool,
    /// When an asker gives up, ms.
    pub(crate) answer_ms: u64,
    /// Bytes of a segment file: small, so that a day fills several.
    pub(crate) segment_bytes: u64,
}

/// The steps of a day.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    dice: Dice,
    day: Day,
    left: u64,
}

impl Script {
    /// The day of a seed.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let rigs = 1 + dice.index(3);
        let mut currencies = vec!["GBP", "EUR", "JPY"];
        currencies.truncate(1 + dice.index(3));
        let mut popups = vec!["market-sat".to_owned(), "stream-7".to_owned()];
        popups.truncate(1 + dice.index(2));
        let announced = dice.below(3) > 0;
        let answer_ms = [2_000, 8_000, 30_000][dice.index(3)];
        let segment_bytes = [16 << 10, 24 << 10, 64 << 10][dice.index(3)];
        let left = 40 + dice.below(60);
        let day = Day {
            rigs,
            currencies,
            popups,
            announced,
            answer_ms,
            segment_bytes,
        };
        Self { dice, day, left }
    }

    /// What the day is made of.
    #[must_use]
    pub(crate) fn day(&self) -> &Day {
        &self.day
    }

    /// A seed for a part of the world.
    pub(crate) fn seed(&mut self) -> u64 {
        self.dice.roll()
    }

    /// The next step; `None` when the day is over.
    #[expect(clippy::too_many_lines, reason = "one table of odds")]
    pub(crate) fn next(&mut self) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        let rig = self.dice.index(self.day.rigs);
        Some(match self.dice.below(100) {
            0..33 => Step::Sell {
                rig,
                events: 1 + self.dice.below(6),
            },
            33..35 => Step::Sell {
                rig,
                events: 10 + self.dice.below(30),
            },
            35..57 => self.wait(),
            57..61 => Step::Resend { rig },
            61..63 => Step::Edit { rig },
            63..66 => {
                let to = self.dice.index(self.day.rigs);
                Step::Elsewhere {
                    from: rig,
                    to,
                    edited: self.dice.below(4) == 0,
                }
            }
            66..69 => Step::PowerCut {
                rig,
                after: self.dice.below(7),
            },
            69..71 => Step::Kill {
                rig,
                after: self.dice.below(7),
            },
            71..72 => Step::Stop { rig },
            72..81 => {
                let cut = self.dice.below(5) == 0;
                Step::Start {
                    rig,
                    cut_after: cut.then(|| self.dice.below(30)),
                }
            }
            81..83 => Step::Clock {
                rig,
                off_ms: self.clock(),
            },
            83..86 => Step::Cut {
                line: self.line(rig),
                ms: 500 + self.dice.below(60_000),
            },
            86..89 => Step::Turn {
                line: self.line(rig),
                weather: self.weather(),
            },
            89..90 => Step::ForgetRegion,
            90..92 => {
                let ms = 500 + self.dice.below(40_000);
                Step::LedgerAway {
                    ms,
                    busy: self.dice.below(2) == 0,
                }
            }
            92..94 => Step::BadDisk {
                rig,
                ppm: [20_000, 200_000, 700_000][self.dice.index(3)],
            },
            94..96 => {
                let cut = self.dice.below(3) == 0;
                Step::FullDisk {
                    rig,
                    bytes: self.dice.below(60_000),
                    cut_after: cut.then(|| self.dice.below(24)),
                }
            }
            96..98 => {
                let fault = [Fault::Io, Fault::Full, Fault::Short][self.dice.index(3)];
                Step::BadCall {
                    rig,
                    after: self.dice.below(12),
                    fault,
                }
            }
            _ => Step::GoodDisk { rig },
        })
    }

    fn wait(&mut self) -> Step {
        let ms = match self.dice.below(4) {
            0 => 1 + self.dice.below(50),
            1 => 1 + self.dice.below(1_000),
            2 => 1 + self.dice.below(8_000),
            _ => 1 + self.dice.below(30_000),
        };
        Step::Wait { ms }
    }

    fn line(&mut self, rig: usize) -> Line {
        (
            rig,
            if self.dice.below(2) == 0 {
                Peer::Region
            } else {
                Peer::Ledger
            },
        )
    }

    fn weather(&mut self) -> Weather {
        Weather {
            loss_ppm: [0, 100_000, 400_000][self.dice.index(3)],
            repeat_ppm: [0, 100_000, 500_000][self.dice.index(3)],
            delay_ms: self.dice.below(400),
            jitter_ms: [0, 300, 6_000][self.dice.index(3)],
        }
    }

    /// Where nobody told a popup's window it is the day of its first sale: a clock may then be wrong
    /// by hours; where it was announced, by two days.
    fn clock(&mut self) -> i64 {
        let hour_ms = 3_600_000;
        let far = if self.day.announced {
            48 * hour_ms
        } else {
            5 * hour_ms
        };
        match self.dice.below(3) {
            0 => 0,
            1 => i64::try_from(self.dice.below(20_000)).unwrap_or(0) - 10_000,
            _ => {
                let width = u64::try_from(2 * far).unwrap_or(0);
                i64::try_from(self.dice.below(width)).unwrap_or(0) - far
            }
        }
    }
}
