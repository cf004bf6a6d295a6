//! `/signals`: funnel, chat and flash drops. Ratios have four decimals; times are ms since 1970.

use popwatch_core::cell::TouchKind;
use popwatch_core::signal::{
    DropView, Estimate, Funnel, Lift, StreamView, WITH_CHAT, WITHOUT_CHAT,
};
use popwatch_core::view::PopupView;
use serde::Serialize;

use super::rows::Ratio;
use super::{Asof, asof, start_ms};

/// `/signals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignalsBody {
    /// How complete it is.
    pub asof: Asof,
    /// From the first touch to the payment.
    pub funnel: FunnelRow,
    /// Chat and audience by stream.
    pub streams: Vec<StreamRow>,
    /// Flash drops, ascending by opening.
    pub drops: Vec<DropRow>,
}

/// How far viewers came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunnelRow {
    /// From the chat on.
    pub with_chat: Vec<StepRow>,
    /// The same without the chat.
    pub without_chat: Vec<StepRow>,
    /// By the minute of the first step.
    pub minutes: Vec<FunnelMinuteRow>,
    /// Checkouts started by somebody who cannot be named.
    pub not_linked_started: i128,
    /// Orders paid by somebody who cannot be named.
    pub not_linked_paid: i128,
    /// Whether viewers are scaled from a part of them.
    pub estimated: bool,
}

/// One step of a funnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRow {
    /// `chat`, `viewed`, `cart`, `started` or `paid`.
    pub step: &'static str,
    /// Viewers who reached it.
    pub n: u64,
    /// Half the width of its 95 % interval; 0 where it is exact.
    pub plus_minus: u64,
}

/// Viewers whose first step was in one minute, by step in the order above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunnelMinuteRow {
    /// The minute since 1970.
    pub minute: u32,
    /// Its start.
    pub start_ms: i64,
    /// From the chat on.
    pub with_chat: [u64; 5],
    /// Without the chat.
    pub without_chat: [u64; 4],
    /// Whether nobody of them can come further.
    pub complete: bool,
}

/// One stream. `null` is no data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamRow {
    /// Its name; empty is all streams beyond the bound together.
    pub stream: String,
    /// Messages since the start.
    pub messages: i128,
    /// Of them negative.
    pub negative: i128,
    /// Of them positive.
    pub positive: i128,
    /// Messages in the last full minutes.
    pub recent_messages: i128,
    /// How many minutes those are.
    pub minutes: u32,
    /// Share of them with a word of the lexicon.
    pub covered: Option<Ratio>,
    /// Share of them that are negative.
    pub negative_share: Option<Ratio>,
    /// `no_data`, `not_covered` (nothing may be concluded) or `covered`.
    pub state: &'static str,
    /// Viewers as last sampled.
    pub watching: Option<u64>,
}

/// One flash drop, or several of one SKU that overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropRow {
    /// The drop.
    pub drop: String,
    /// Others that overlap it.
    pub merged: Vec<String>,
    /// What was on offer.
    pub sku: String,
    /// Whose; empty when nobody's.
    pub creator: String,
    /// Its opening.
    pub opened_ms: i64,
    /// Its closing; `null` while open.
    pub closed_ms: Option<i64>,
    /// How many at most.
    pub qty: Option<i64>,
    /// Minor units each.
    pub price: Option<i64>,
    /// What it changed; `null` while there is no data.
    pub lift: Option<LiftRow>,
}

/// What a drop changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LiftRow {
    /// How much of its ten minutes is looked at.
    pub window_ms: i64,
    /// Sold out or closed before.
    pub censored: bool,
    /// Not over yet.
    pub running: bool,
    /// Units sold in the window.
    pub during: Ratio,
    /// Units sold in the stretch before.
    pub before: Ratio,
    /// How long that stretch is.
    pub before_ms: i64,
    /// Growth of the audience.
    pub growth: Ratio,
    /// `viewers`, `other_sales` or `nothing`.
    pub growth_from: &'static str,
    /// Rate during over rate before, corrected by the growth; `null` when nothing was sold before.
    pub ratio: Option<Ratio>,
    /// Where it lies with 90 % confidence.
    pub interval: Option<[Ratio; 2]>,
    /// Units beyond what the rate before would have given.
    pub incremental: Ratio,
    /// Their money at the drop's price, minor units.
    pub incremental_minor: Option<i64>,
    /// Units sold in the half hour after.
    pub halo: Ratio,
    /// What the rate before would have given in it.
    pub halo_expected: Ratio,
    /// Whether that half hour is over.
    pub halo_over: bool,
}

/// Funnel, chat and flash drops.
#[must_use]
pub fn signals(view: &PopupView) -> SignalsBody {
    SignalsBody {
        asof: asof(view),
        funnel: funnel_row(&view.signals.funnel),
        streams: view.signals.streams.iter().map(stream_row).collect(),
        drops: view.signals.drops.iter().map(drop_row).collect(),
    }
}

/// The funnel as a row.
#[must_use]
pub fn funnel_row(funnel: &Funnel) -> FunnelRow {
    let step = |(kind, of): (&TouchKind, &Estimate)| StepRow {
        step: step_name(*kind),
        n: of.n,
        plus_minus: of.plus_minus,
    };
    let minutes = funnel.minutes.iter().map(|row| FunnelMinuteRow {
        minute: row.minute,
        start_ms: start_ms(row.minute),
        with_chat: row.with_chat,
        without_chat: row.without_chat,
        complete: row.complete,
    });
    FunnelRow {
        with_chat: WITH_CHAT.iter().zip(&funnel.with_chat).map(step).collect(),
        without_chat: WITHOUT_CHAT
            .iter()
            .zip(&funnel.without_chat)
            .map(step)
            .collect(),
        minutes: minutes.collect(),
        not_linked_started: funnel.not_linked_started,
        not_linked_paid: funnel.not_linked_paid,
        estimated: funnel.estimated,
    }
}

const fn step_name(kind: TouchKind) -> &'static str {
    match kind {
        TouchKind::Chat => "chat",
        TouchKind::Viewed => "viewed",
        TouchKind::Cart => "cart",
        TouchKind::Started => "started",
        TouchKind::Paid => "paid",
    }
}

/// A stream as a row.
#[must_use]
pub fn stream_row(view: &StreamView) -> StreamRow {
    StreamRow {
        stream: view.stream.clone(),
        messages: view.totals.messages,
        negative: view.totals.negative,
        positive: view.totals.positive,
        recent_messages: view.recent.messages,
        minutes: view.minutes,
        covered: view.covered.map(Ratio),
        negative_share: view.negative.map(Ratio),
        state: view.state.text(),
        watching: view.watching,
    }
}

/// A flash drop as a row.
#[must_use]
pub fn drop_row(view: &DropView) -> DropRow {
    DropRow {
        drop: view.drop.clone(),
        merged: view.merged.clone(),
        sku: view.sku.clone(),
        creator: view.creator.clone(),
        opened_ms: view.opened_ms,
        closed_ms: view.closed_ms,
        qty: view.qty,
        price: view.price,
        lift: view.lift.as_ref().map(lift_row),
    }
}

fn lift_row(lift: &Lift) -> LiftRow {
    LiftRow {
        window_ms: lift.window_ms,
        censored: lift.censored,
        running: lift.running,
        during: Ratio(lift.during),
        before: Ratio(lift.before),
        before_ms: lift.before_ms,
        growth: Ratio(lift.growth),
        growth_from: lift.growth_from.text(),
        ratio: lift.ratio.map(Ratio),
        interval: lift.interval.map(|(low, high)| [Ratio(low), Ratio(high)]),
        incremental: Ratio(lift.incremental),
        incremental_minor: lift.incremental_minor,
        halo: Ratio(lift.halo),
        halo_expected: Ratio(lift.halo_expected),
        halo_over: lift.halo_over,
    }
}
