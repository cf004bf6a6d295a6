//! The only reader of clocks, entropy and the operating system's identity.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use popwatch_core::id::BootId;
use popwatch_core::record::Stamp;
use popwatch_core::time::{MonoMs, Now, WallMs};
use rustix::time::{ClockId, clock_gettime};

/// Where a node reads time and chance from.
#[derive(Debug, Clone)]
pub struct Ambient {
    wall: Wall,
}

#[derive(Debug, Clone)]
enum Wall {
    System,
    Scripted(Arc<AtomicI64>),
}

/// The hand that moves a scripted wall clock: a replay runs its nodes on the replayed day's time.
/// Steady time stays real.
#[derive(Debug, Clone)]
pub struct ScriptedClock(Arc<AtomicI64>);

impl ScriptedClock {
    /// Moves the clock to `wall_ms` if that is later than where it stands.
    pub fn advance_to(&self, wall_ms: i64) {
        self.0.fetch_max(wall_ms, Ordering::Relaxed);
    }

    /// Where the clock stands, ms since 1970.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Ambient {
    /// The machine's own clocks.
    #[must_use]
    pub fn system() -> Self {
        Self { wall: Wall::System }
    }

    /// A wall clock that stands at `wall_ms` until it is moved.
    #[must_use]
    pub fn scripted(wall_ms: i64) -> (Self, ScriptedClock) {
        let hand = Arc::new(AtomicI64::new(wall_ms));
        (
            Self {
                wall: Wall::Scripted(Arc::clone(&hand)),
            },
            ScriptedClock(hand),
        )
    }

    /// Whether the wall clock is moved by hand, so that it is right by decree.
    #[must_use]
    pub fn is_scripted(&self) -> bool {
        matches!(self.wall, Wall::Scripted(_))
    }

    /// Both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            wall: WallMs(self.wall_ms()),
            mono: MonoMs(self.mono_ns() / 1_000_000),
        }
    }

    /// The wall clock, ms since 1970.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        match &self.wall {
            Wall::System => {
                let time = clock_gettime(ClockId::Realtime);
                time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
            }
            Wall::Scripted(hand) => hand.load(Ordering::Relaxed),
        }
    }

    /// The wall clock, µs since 1970.
    #[must_use]
    pub fn wall_us(&self) -> i64 {
        match &self.wall {
            Wall::System => {
                let time = clock_gettime(ClockId::Realtime);
                time.tv_sec * 1_000_000 + time.tv_nsec / 1_000
            }
            Wall::Scripted(hand) => hand.load(Ordering::Relaxed) * 1_000,
        }
    }

    /// A clock that never steps and counts sleep, ns since boot.
    #[must_use]
    pub fn mono_ns(&self) -> u64 {
        let time = clock_gettime(ClockId::Boottime);
        let ns = time.tv_sec * 1_000_000_000 + time.tv_nsec;
        u64::try_from(ns).expect("time since boot is positive")
    }

    /// What a record admitted now is stamped with.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp {
            mono_ns: self.mono_ns(),
            wall_ms: self.wall_ms(),
            time_ms: None,
            age_ms: None,
        }
    }

    /// This run of the operating system.
    #[must_use]
    pub fn boot_id(&self) -> BootId {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).expect("hex digits are ASCII");
            *byte = u8::from_str_radix(pair, 16).expect("two hex digits are a byte");
        }
        BootId(id)
    }

    /// Fresh random bytes.
    ///
    /// # Panics
    /// When the operating system has no entropy to give: nothing here may run without it.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).expect("the operating system gives entropy");
        bytes
    }
}
