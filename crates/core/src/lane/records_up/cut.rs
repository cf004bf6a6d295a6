//! Parts of a stretch, and what they weigh.

use alloc::vec::Vec;

use crate::id::Seq;
use crate::lane::{Item, ItemBody, Stretch};

/// The items of a stretch that speak of nothing above `last`.
pub(super) fn items_upto(stretch: &Stretch, last: Seq) -> &[Item] {
    let mut seq = stretch.first_seq;
    let beyond = stretch.items.iter().position(|item| {
        let is_beyond = seq > last;
        seq = Seq(seq.0 + item.seqs());
        is_beyond
    });
    stretch
        .items
        .get(..beyond.unwrap_or(stretch.items.len()))
        .unwrap_or_default()
}

pub(super) fn frame_bytes(items: &[Item]) -> u64 {
    let bytes = items.iter().map(|item| match &item.body {
        Some(ItemBody::Frame(frame)) => frame.len() as u64,
        Some(ItemBody::Skip(_)) | None => 0,
    });
    bytes.sum()
}

/// Cuts a stretch behind `last`. What its chain is there is not known then.
pub(super) fn cut_at(stretch: &mut Stretch, last: Seq) {
    if stretch.last_seq <= last {
        return;
    }
    let kept = items_upto(stretch, last).len();
    stretch.items.truncate(kept);
    let whole: u64 = stretch.items.iter().map(Item::seqs).sum();
    let over = (stretch.first_seq.0 + whole).saturating_sub(last.0 + 1);
    if let Some(Item {
        body: Some(ItemBody::Skip(skip)),
    }) = stretch.items.last_mut()
    {
        skip.count = skip.count.saturating_sub(over);
    }
    stretch.last_seq = last;
    stretch.chain_after = None;
}

/// A chain as the wire has it: empty when unknown.
pub(super) fn chain_bytes(chain: Option<[u8; 32]>) -> Vec<u8> {
    chain.map(|chain| chain.to_vec()).unwrap_or_default()
}
