//! Checkouts, viewers, tokens, orders on their way, streams, flash drops, the host.
//!
//! A checkout has one outcome, its first closing. A closing without a known start, a redemption
//! without a known issue and the like are folded as far as they go and counted `unmatched`.

use alloc::string::String;

use super::At;
use super::slot::Slot;
use super::tables::{Order, Started, Tables};
use crate::cell::{HistKind, TouchKind};
use crate::event::{
    AudienceSampled, ChatMessage, CheckoutAbandoned, CheckoutCompleted, CheckoutStarted,
    DropClosed, DropOpened, FulfilmentStep, OrderFulfilled, Reason, RigSampled, TokenIssued,
    TokenRedeemed, TokenVoided,
};
use crate::id::{CheckoutId, CreatorId, MemberId, Subject};
use crate::time::{Minute, WallMs};

/// Scores from here down are negative, from its opposite up positive, ten-thousandths.
const NEGATIVE: i16 = -500;

/// A viewer looked at something or put it in the cart.
pub(super) fn viewed(slot: &mut Slot, at: &At, viewer: &Subject, kind: TouchKind) {
    if let Some(viewer) = viewer_hash(viewer) {
        slot.viewer_touch(at, viewer, kind);
    }
}

/// Names a viewer across cells; `None` for one whose pseudonym was removed.
fn viewer_hash(viewer: &Subject) -> Option<u64> {
    let named = !viewer.as_str().starts_with('[');
    named.then(|| hash(viewer.as_str()))
}

pub(super) fn started(slot: &mut Slot, tables: &mut Tables, at: &At, data: &CheckoutStarted) {
    if tables.closed.get(&data.checkout).is_some() {
        return slot.duplicate(at);
    }
    let start = Started {
        minute: at.minute,
        mono_ns: at.mono_ns,
        viewer: data.viewer.as_ref().and_then(viewer_hash),
    };
    match tables.open.insert(&data.checkout, start) {
        None => slot.duplicate(at),
        Some(forgotten) => {
            slot.checkout(at).started += 1;
            if let Some(viewer) = start.viewer {
                slot.viewer_touch(at, viewer, TouchKind::Started);
            }
            if forgotten {
                slot.unmatched(at);
            }
        }
    }
}

pub(super) fn completed(slot: &mut Slot, tables: &mut Tables, at: &At, data: &CheckoutCompleted) {
    let Some(start) = close(slot, tables, at, &data.checkout) else {
        return;
    };
    let order = tables.orders.entry(&data.order);
    if let Some(viewer) = start.and_then(|start| start.viewer) {
        order.viewer.get_or_insert(viewer);
        paid_by_viewer(slot, at, order);
    }
    let checkout = slot.checkout(at);
    checkout.ok += 1;
    checkout.recovered += u64::from(order.failed);
    let told_us = data.duration_ms.map(|ms| u64::from(ms.0) * 1_000);
    let took_us = told_us.or(start.map(|start| took_us(at, start)));
    if let Some(us) = took_us {
        let kind = match order.offline {
            true => HistKind::CheckoutOffline,
            false => HistKind::CheckoutOnline,
        };
        slot.duration(at, kind, us);
    }
    if let Some(start) = start {
        let row = slot.start_row(at, start.minute);
        row.closed += 1;
        row.in_time += u64::from(took_us.is_some_and(|us| us <= limit_us(at)));
    }
}

pub(super) fn abandoned(slot: &mut Slot, tables: &mut Tables, at: &At, data: &CheckoutAbandoned) {
    let Some(start) = close(slot, tables, at, &data.checkout) else {
        return;
    };
    let fault = u64::from(data.reason == Some(Reason::Technical));
    let checkout = slot.checkout(at);
    checkout.fault += fault;
    checkout.left += 1 - fault;
    if let Some(start) = start {
        // One who leaves after the limit was kept waiting: that is late, not a change of mind.
        let in_time = took_us(at, start) <= limit_us(at);
        let row = slot.start_row(at, start.minute);
        row.closed += 1;
        row.fault += fault;
        row.left += (1 - fault) * u64::from(in_time);
    }
}

/// From a start to now by the rig's steady clock, µs.
fn took_us(at: &At, start: Started) -> u64 {
    at.mono_ns.saturating_sub(start.mono_ns) / 1_000
}

fn limit_us(at: &At) -> u64 {
    u64::from(at.checkout_limit_ms) * 1_000
}

/// Ends a checkout: its start if that is known, `None` when it had ended before.
fn close(
    slot: &mut Slot,
    tables: &mut Tables,
    at: &At,
    checkout: &CheckoutId,
) -> Option<Option<Started>> {
    let start = tables.open.remove(checkout);
    let viewer = start.and_then(|start| start.viewer);
    if tables.closed.insert(checkout, viewer).is_none() {
        slot.unmatched(at);
        return None;
    }
    if start.is_none() {
        slot.checkout(at).unseen += 1;
        slot.unmatched(at);
    }
    Some(start)
}

/// The viewer who paid an order, once it is both paid and linked to one.
pub(super) fn paid_by_viewer(slot: &mut Slot, at: &At, order: &mut Order) {
    if let (Some(viewer), Some(_), false) = (order.viewer, order.paid, order.linked) {
        order.linked = true;
        slot.viewer_touch(at, viewer, TouchKind::Paid);
    }
}

pub(super) fn fulfilled(slot: &mut Slot, tables: &mut Tables, at: &At, data: &OrderFulfilled) {
    let order = tables.orders.entry(&data.order);
    let bit = 1 << (data.step as u8);
    if order.steps & bit != 0 {
        return slot.duplicate(at);
    }
    order.steps |= bit;
    let member = data.coop_member.as_ref().map_or("", MemberId::as_str);
    slot.fulfil(at, member, data.step.text()).orders += 1;
    if order.paid.is_none() {
        slot.unmatched(at);
    }
    let out = matches!(
        data.step,
        FulfilmentStep::HandedOver | FulfilmentStep::Shipped
    );
    if out && !order.left {
        order.left = true;
        slot.orders(at).out += 1;
        if let Some(paid) = order.paid {
            let us = at.mono_ns.saturating_sub(paid.mono_ns) / 1_000;
            slot.duration(at, HistKind::Fulfilment, us);
            slot.paid_row(at, paid.minute);
        }
    }
}

/// Kinds of a token's touches; the numbers are the cell's.
const ISSUED: u32 = 1;
const REDEEMED: u32 = 2;
const VOIDED: u32 = 3;

pub(super) fn token_issued(slot: &mut Slot, tables: &mut Tables, at: &At, data: &TokenIssued) {
    let token = tables.tokens.entry(&data.token);
    if core::mem::replace(&mut token.issued, true) {
        return slot.duplicate(at);
    }
    token.creator.clone_from(&data.creator);
    token.expires_ms = data.expires.map(|moment| moment.0);
    slot.tokens(at).issued += 1;
    let expires = data
        .expires
        .map_or(0, |moment| Minute::of(WallMs(moment.0)).0);
    slot.token_touch(at, hash(data.token.as_str()), ISSUED, expires);
}

pub(super) fn token_redeemed(slot: &mut Slot, tables: &mut Tables, at: &At, data: &TokenRedeemed) {
    let token = tables.tokens.entry(&data.token);
    if token.creator.is_none() {
        token.creator.clone_from(&data.creator);
    }
    let issued = token.issued;
    let expires_ms = token.expires_ms.or(data.expires.map(|moment| moment.0));
    let ended = token.voided || expires_ms.is_some_and(|end| at.time.0 > end);
    if core::mem::replace(&mut token.redeemed, true) {
        slot.tokens(at).duplicate += 1;
        return slot.duplicate(at);
    }
    let tokens = slot.tokens(at);
    tokens.redeemed += 1;
    tokens.expired += u64::from(ended);
    if !issued {
        tokens.provisional += 1;
        slot.unmatched(at);
    }
    slot.token_touch(at, hash(data.token.as_str()), REDEEMED, 0);
}

pub(super) fn token_voided(slot: &mut Slot, tables: &mut Tables, at: &At, data: &TokenVoided) {
    let token = tables.tokens.entry(&data.token);
    if core::mem::replace(&mut token.voided, true) {
        return slot.duplicate(at);
    }
    slot.tokens(at).voided += 1;
    slot.token_touch(at, hash(data.token.as_str()), VOIDED, 0);
}

/// First 8 bytes of the BLAKE3 of an id, big-endian.
fn hash(id: &str) -> u64 {
    let mut first = [0; 8];
    blake3::Hasher::new()
        .update(id.as_bytes())
        .finalize_xof()
        .fill(&mut first);
    u64::from_be_bytes(first)
}

pub(super) fn chat(slot: &mut Slot, at: &At, data: &ChatMessage) {
    let row = slot.stream(at, data.stream.as_str());
    row.messages += 1;
    if let Some(score) = data.text.score().filter(|score| score.is_covered()) {
        let score = score.ten_thousandths();
        row.covered += 1;
        row.score = row.score.saturating_add(score.into());
        row.negative += u64::from(score <= NEGATIVE);
        row.positive += u64::from(score >= -NEGATIVE);
    }
    viewed(slot, at, &data.viewer, TouchKind::Chat);
}

pub(super) fn audience(slot: &mut Slot, at: &At, data: &AudienceSampled) {
    let viewers = u64::try_from(data.viewers.0).unwrap_or(0);
    let row = slot.stream(at, data.stream.as_str());
    row.samples += 1;
    row.viewers_sum = row.viewers_sum.saturating_add(viewers);
    row.viewers_max = row.viewers_max.max(viewers);
    row.viewers_last = viewers;
}

/// The first opening in a cell stands.
pub(super) fn drop_opened(slot: &mut Slot, tables: &mut Tables, at: &At, data: &DropOpened) {
    tables.drop_opened(at, data);
    let Some(row) = slot.drop_row(at, data.drop.as_str()) else {
        return;
    };
    if row.opened_ms != 0 {
        return slot.duplicate(at);
    }
    row.opened_ms = at.time.0;
    row.creator = data.creator.as_ref().map_or_else(String::new, creator_text);
    row.sku = String::from(&data.sku);
    row.qty = data.qty.map_or(0, |qty| qty.0);
    row.price = data.price.map_or(0, |price| price.0);
}

/// The first closing in a cell stands. Its `qty` says how many were left, which has no row.
pub(super) fn drop_closed(slot: &mut Slot, tables: &mut Tables, at: &At, data: &DropClosed) {
    tables.drop_closed(at, data);
    let Some(row) = slot.drop_row(at, data.drop.as_str()) else {
        return;
    };
    if row.closed_ms != 0 {
        return slot.duplicate(at);
    }
    row.closed_ms = at.time.0;
    if row.opened_ms == 0 {
        row.creator = data.creator.as_ref().map_or_else(String::new, creator_text);
        row.sku = String::from(&data.sku);
        row.price = data.price.map_or(0, |price| price.0);
    }
}

fn creator_text(creator: &CreatorId) -> String {
    String::from(creator)
}

pub(super) fn sampled(slot: &mut Slot, at: &At, data: &RigSampled) {
    if let Some(battery) = data.battery {
        let least = &mut slot.host(at).battery_min;
        *least = Some(least.map_or(battery.0, |least| least.min(battery.0)));
    }
    if let Some(disk) = data.disk_free {
        let least = &mut slot.host(at).disk_min;
        *least = Some(least.map_or(disk.0, |least| least.min(disk.0)));
    }
}

const _: () = assert!(
    FulfilmentStep::ALL.len() <= 8,
    "a step is one bit of a byte"
);
