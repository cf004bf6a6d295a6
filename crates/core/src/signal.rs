//! Signals: what viewers did on their way to a sale, how a chat sounds, what a flash drop changed.
//!
//! Everything here is a pure function of the popup's summed cells and the watermark, so the order in
//! which cells came cannot show. Counts are integers; shares, rates and lifts leave as whole
//! ten-thousandths, so that equal cells give equal bytes. Floats live only inside, and only the
//! operations of IEEE 754 and libm are used: no platform differs from another.
#![allow(
    clippy::float_arithmetic,
    reason = "ratios and their intervals; no amount of money is summed here"
)]

mod beta;
mod chat;
mod drops;
mod funnel;

pub use chat::{ChatState, StreamView};
pub use drops::{DropView, Growth, Lift};
pub use funnel::{Estimate, Funnel, FunnelMinute, WITH_CHAT, WITHOUT_CHAT};

use alloc::vec::Vec;

use crate::time::WallMs;
use crate::view::Live;

/// What is read from cells beyond sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// From the first touch to the payment.
    pub funnel: Funnel,
    /// Streams, ascending by name; the empty name is all streams beyond the bound together.
    pub streams: Vec<StreamView>,
    /// Flash drops, ascending by opening.
    pub drops: Vec<DropView>,
}

pub(crate) fn read(live: &Live, watermark: Option<WallMs>) -> Signals {
    Signals {
        funnel: funnel::read(live, watermark),
        streams: chat::read(live, watermark),
        drops: drops::read(live, watermark),
    }
}
