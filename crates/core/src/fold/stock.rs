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
//! this epoch named as a rig. `received` always arrives inside; `allocated` sets aside rights and
//! moves nothing.

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
}

pub(super) fn moved(slot: &mut Slot, tables: &mut Tables, at: &At, data: &InventoryMoved) {
    let (from, to) = (
        inside(tables, data.from.as_ref()),
        inside(tables, data.to.as_ref()),
    );
    if from == to {
        return;
    }
    let place = slot.sku_at(at, data.sku.as_str());
    let (flags, row) = (&mut slot.cell.flags, &mut slot.cell.skus[place]);
    let sum = if from {
        &mut row.moved_out
    } else {
        &mut row.moved_in
    };
    add(flags, sum, data.qty.0);
}

fn inside(tables: &Tables, place: Option<&StockPlace>) -> bool {
    place.is_none_or(|place| place.as_str() == POOL || tables.is_rig(place))
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
