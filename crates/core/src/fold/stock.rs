//! Stock: what came, went, was counted.
//!
//! The popup's selling stock is what lies in the pool and on its rigs. Expected on hand is
//! opening + received + moved_in − moved_out + adjusted − sold + returned, so a move counts only
//! where it crosses the edge of that stock:
//!
//! | `inventory.moved` | counts as |
//! |---|---|
//! | from inside to outside (`sold`, a back office, …) | moved_out |
//! | from outside to inside | moved_in |
//! | inside to inside, outside to outside | nothing |
//!
//! Inside are: no place named, `pool`, this rig, and each place that an `inventory.allocated` of
//! this epoch named as a rig. `received` always arrives inside; `allocated` moves nothing: it
//! gives a rig the right to sell so many by itself. A move from or to a rig moves that right too.

use super::At;
use super::slot::{Slot, add};
use super::tables::Tables;
use crate::cell::CountRow;
use crate::event::{
    InventoryAdjusted, InventoryAllocated, InventoryCounted, InventoryMoved, InventoryReceived,
};
use crate::id::{Sku, StockPlace};

/// The place that every rig sells from.
const POOL: &str = "pool";

pub(super) fn received(slot: &mut Slot, at: &At, data: &InventoryReceived) {
    let place = slot.sku_at(at, data.sku.as_str());
    let cell = &mut slot.cell;
    add(&mut cell.flags, &mut cell.skus[place].received, data.qty.0);
}

pub(super) fn allocated(slot: &mut Slot, tables: &mut Tables, at: &At, data: &InventoryAllocated) {
    if let Some(rig) = &data.to {
        tables.learn_rig(rig);
    }
    let place = slot.sku_at(at, data.sku.as_str());
    let cell = &mut slot.cell;
    add(&mut cell.flags, &mut cell.skus[place].allocated, data.qty.0);
    let own = slot.cell.rig.clone();
    let to = data.to.as_ref().map_or(own.as_str(), StockPlace::as_str);
    shift_right(slot, tables, at, place, Some(to), data.qty.0);
    let from = data.from.as_ref().map(StockPlace::as_str);
    shift_right(slot, tables, at, place, from, data.qty.0.saturating_neg());
}

/// Rights of a place that is a rig change by `qty`; any other place has none.
fn shift_right(
    slot: &mut Slot,
    tables: &Tables,
    at: &At,
    sku: usize,
    place: Option<&str>,
    qty: i64,
) {
    if let Some(rig) = place.filter(|place| tables.is_rig(place)) {
        slot.right(at, sku, rig, qty);
    }
}

pub(super) fn moved(slot: &mut Slot, tables: &mut Tables, at: &At, data: &InventoryMoved) {
    let (from, to) = (
        inside(tables, data.from.as_ref()),
        inside(tables, data.to.as_ref()),
    );
    let place_is_rig = |place: &Option<StockPlace>| {
        let place = place.as_ref().map(StockPlace::as_str);
        place.is_some_and(|place| tables.is_rig(place))
    };
    let between_rigs = place_is_rig(&data.from) || place_is_rig(&data.to);
    if from == to && !between_rigs {
        return;
    }
    let place = slot.sku_at(at, data.sku.as_str());
    let names = [&data.from, &data.to].map(|place| place.as_ref().map(StockPlace::as_str));
    shift_right(
        slot,
        tables,
        at,
        place,
        names[0],
        data.qty.0.saturating_neg(),
    );
    shift_right(slot, tables, at, place, names[1], data.qty.0);
    if from == to {
        return;
    }
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.skus[place]);
    let sum = if from {
        &mut row.moved_out
    } else {
        &mut row.moved_in
    };
    add(flags, sum, data.qty.0);
}

fn inside(tables: &Tables, place: Option<&StockPlace>) -> bool {
    place.is_none_or(|place| place.as_str() == POOL || tables.is_rig(place.as_str()))
}

pub(super) fn adjusted(slot: &mut Slot, at: &At, data: &InventoryAdjusted) {
    let place = slot.sku_at(at, data.sku.as_str());
    let cell = &mut slot.cell;
    add(&mut cell.flags, &mut cell.skus[place].adjusted, data.qty.0);
}

/// The newest count by (time, seq) stands; the row `other` has none, since counts do not add.
pub(super) fn counted(slot: &mut Slot, tables: &mut Tables, at: &At, data: &InventoryCounted) {
    let place = slot.sku_at(at, data.sku.as_str());
    let row = &mut slot.cell.skus[place];
    let newer = row
        .count
        .is_none_or(|count| (count.ms, count.seq) < (at.time.0, at.seq.0));
    if newer && !row.sku.is_empty() {
        row.count = Some(CountRow {
            qty: data.qty.0,
            ms: at.time.0,
            seq: at.seq.0,
            sold_after_in_minute: tables.sold_after(at, &data.sku),
        });
    }
}

/// Units left with a sale.
pub(super) fn left(slot: &mut Slot, tables: &mut Tables, at: &At, sku: &Sku, qty: i64) {
    let place = slot.sku_at(at, sku.as_str());
    let cell = &mut slot.cell;
    add(&mut cell.flags, &mut cell.skus[place].sold, qty);
    after_count(slot, tables, at, place, sku, qty);
}

/// Units came back with a refund.
pub(super) fn came_back(slot: &mut Slot, tables: &mut Tables, at: &At, sku: &Sku, qty: i64) {
    let place = slot.sku_at(at, sku.as_str());
    let cell = &mut slot.cell;
    add(&mut cell.flags, &mut cell.skus[place].returned, qty);
    after_count(slot, tables, at, place, sku, qty.saturating_neg());
}

fn after_count(slot: &mut Slot, tables: &mut Tables, at: &At, place: usize, sku: &Sku, net: i64) {
    tables.sold(at, sku, net);
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.skus[place]);
    if let Some(count) = &mut row.count
        && (count.ms, count.seq) < (at.time.0, at.seq.0)
    {
        add(flags, &mut count.sold_after_in_minute, net);
    }
}
