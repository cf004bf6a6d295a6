//! Bytes from elsewhere to a cell: only the canonical form of something a fold could have made.

use prost::Message;

use super::StartRow;
use super::{Cell, CellFault, CreatorRow, Edition, FulfilRow, HistKind, MoneyRow, SkuRow};
use super::{FLAG_CLOCK_SUSPECT, FLAG_GAP, FLAG_OVERFLOW};
use super::{OrderCounts, Subjects, TokenCounts, read_touch};
use crate::event::FulfilmentStep;
use crate::id::{
    ChatStream, CreatorId, EpochId, FlashDropId, IdFault, MemberId, PaymentMethod, PopupId, RigId,
    Sku,
};
use crate::limits;
use crate::money::Currency;
use crate::sketch::Histogram;

/// Seqs stay exact in a JSON number.
const VERSION_END: u64 = 1 << 53;

type Checked = Result<(), CellFault>;

impl Cell {
    /// Reads canonical bytes. Refuses what is too long, is not the one form of its content, or holds
    /// identities, numbers or row counts that no fold makes.
    pub fn decode_canonical(bytes: &[u8]) -> Result<Self, CellFault> {
        if bytes.len() > limits::CELL_BYTES_MAX {
            return Err(CellFault::Large(limits::CELL_BYTES_MAX));
        }
        let cell = Self::decode(bytes).map_err(|_| CellFault::Bytes)?;
        if cell.has_empty_part() || cell.encode_canonical() != bytes {
            return Err(CellFault::NotCanonical);
        }
        cell.check_order()?;
        cell.check_head()?;
        cell.check_money()?;
        cell.check_stock()?;
        cell.check_journey()?;
        Ok(cell)
    }

    /// Version and digest.
    #[must_use]
    pub fn edition(&self) -> Edition {
        (self.version, self.digest())
    }

    /// A part that is there and says nothing: another spelling of its absence.
    fn has_empty_part(&self) -> bool {
        fn empty<T: Default + PartialEq>(part: Option<&T>) -> bool {
            part.is_some_and(|part| *part == T::default())
        }
        let older = self.checkout.as_ref().and_then(|part| part.older.as_ref());
        empty(self.checkout.as_ref())
            || empty(older)
            || empty(self.tokens.as_ref())
            || empty(self.host.as_ref())
            || empty(self.counts.as_ref())
            || empty(self.subjects.as_ref())
            || empty(self.orders.as_ref())
            || empty(self.payments.as_ref())
            || self.skus.iter().any(|row| empty(row.count.as_ref()))
    }

    fn check_order(&self) -> Checked {
        let sorted = ascending(&self.money, |row: &MoneyRow| {
            (
                row.currency.as_str(),
                row.origin,
                row.method.as_str(),
                row.offline,
            )
        }) && ascending(&self.risk, |row| row.currency.as_str())
            && ascending(&self.skus, |row: &SkuRow| row.sku.as_str())
            && self
                .skus
                .iter()
                .all(|row| ascending(&row.money, |sums| sums.currency.as_str()))
            && self
                .skus
                .iter()
                .all(|row| ascending(&row.rights, |right| right.rig.as_str()))
            && ascending(&self.creators, |row: &CreatorRow| {
                (row.creator.as_str(), row.currency.as_str(), row.evidence)
            })
            && ascending(&self.hists, |row| row.kind)
            && ascending(&self.streams, |row| row.stream.as_str())
            && ascending(&self.drops, |row| row.drop.as_str())
            && ascending(&self.fulfil, |row: &FulfilRow| {
                (row.member.as_str(), row.step.as_str())
            })
            && self
                .checkout
                .iter()
                .all(|part| ascending(&part.by_start, |row| row.minute))
            && self
                .tokens
                .iter()
                .all(|part| ascending(&part.set, |row| (row.hash, row.kind)))
            && self.subjects.iter().all(|part| {
                let touches = |row: &super::Subject| ascending(&row.touches, |touch| *touch);
                ascending(&part.set, |row| row.hash) && part.set.iter().all(touches)
            })
            && self
                .orders
                .iter()
                .all(|part| ascending(&part.by_paid, |row| row.minute));
        if sorted {
            Ok(())
        } else {
            Err(CellFault::NotCanonical)
        }
    }

    fn check_head(&self) -> Checked {
        hold(PopupId::new(&self.popup).is_ok(), "popup")?;
        hold(RigId::new(&self.rig).is_ok(), "rig")?;
        hold(self.epoch > 0, "epoch")?;
        hold(EpochId::from_slice(&self.epoch_id).is_some(), "epoch id")?;
        hold((1..VERSION_END).contains(&self.version), "version")?;
        let known = FLAG_CLOCK_SUSPECT | FLAG_GAP | FLAG_OVERFLOW;
        hold(self.flags & !known == 0, "flags")
    }

    fn check_money(&self) -> Checked {
        let rows = self.money.chunk_by(|a, b| a.currency == b.currency);
        hold(
            rows.clone().count() <= limits::CELL_CURRENCIES_MAX,
            "currencies",
        )?;
        for rows in rows {
            let named = rows.chunk_by(|a, b| a.method == b.method);
            let methods = named.filter(|rows| !rows[0].method.is_empty()).count();
            // Rows of one method may stand apart by origin: at most twice as many runs as names.
            hold(methods <= 2 * limits::CELL_METHODS_MAX, "methods")?;
        }
        for row in &self.money {
            hold(Currency::new(&row.currency).is_some(), "currency")?;
            hold(row.origin <= 1, "origin")?;
            hold(name_or_other(&row.method, PaymentMethod::new), "method")?;
        }
        hold(self.risk.len() <= limits::CELL_CURRENCIES_MAX, "currencies")?;
        for row in &self.risk {
            hold(Currency::new(&row.currency).is_some(), "currency")?;
        }
        let creators = self.creators.chunk_by(|a, b| a.creator == b.creator);
        let named = creators.filter(|rows| !rows[0].creator.is_empty()).count();
        hold(named <= limits::CELL_CREATORS_MAX, "creators")?;
        for row in &self.creators {
            hold(name_or_other(&row.creator, CreatorId::new), "creator")?;
            hold(Currency::new(&row.currency).is_some(), "currency")?;
            hold((1..=5).contains(&row.evidence), "evidence")?;
        }
        Ok(())
    }

    fn check_stock(&self) -> Checked {
        let named = self.skus.iter().filter(|row| !row.sku.is_empty()).count();
        hold(named <= limits::CELL_SKUS_MAX, "skus")?;
        for row in &self.skus {
            hold(name_or_other(&row.sku, Sku::new), "sku")?;
            hold(row.money.len() <= limits::CELL_CURRENCIES_MAX, "currencies")?;
            for sums in &row.money {
                hold(Currency::new(&sums.currency).is_some(), "currency")?;
            }
            if let Some(count) = &row.count {
                hold(!row.sku.is_empty() && count.qty >= 0, "count")?;
                hold((1..=self.version).contains(&count.seq), "count")?;
            }
            hold(row.rights.len() <= limits::CELL_RIGHTS_MAX, "rights")?;
            for right in &row.rights {
                hold(RigId::new(&right.rig).is_ok(), "rights")?;
            }
        }
        hold(self.drops.len() <= limits::CELL_DROPS_MAX, "drops")?;
        for row in &self.drops {
            hold(FlashDropId::new(&row.drop).is_ok(), "drop")?;
            hold(name_or_other(&row.creator, CreatorId::new), "creator")?;
            hold(Sku::new(&row.sku).is_ok(), "sku")?;
            hold(row.qty >= 0 && row.price >= 0, "drop")?;
        }
        Ok(())
    }

    fn check_journey(&self) -> Checked {
        if let Some(checkout) = &self.checkout {
            hold(
                checkout.by_start.len() <= limits::CELL_STARTS_MAX,
                "start minutes",
            )?;
            hold(
                checkout.older.is_none_or(|row| row.minute == 0),
                "start minutes",
            )?;
            let parts = |row: &StartRow| row.in_time.checked_add(row.left)?.checked_add(row.fault);
            let mut rows = checkout.by_start.iter().chain(&checkout.older);
            let fits = rows.all(|row| parts(row).is_some_and(|parts| parts <= row.closed));
            hold(fits, "start minutes")?;
        }
        for row in &self.hists {
            hold(HistKind::try_from(row.kind).is_ok(), "histogram")?;
            Histogram::from_row(row)?;
        }
        hold(self.tokens.as_ref().is_none_or(tokens_fit), "tokens")?;
        hold(self.subjects.as_ref().is_none_or(subjects_fit), "viewers")?;
        hold(self.orders.as_ref().is_none_or(orders_fit), "orders")?;
        let named = self
            .streams
            .iter()
            .filter(|row| !row.stream.is_empty())
            .count();
        hold(named <= limits::CELL_STREAMS_MAX, "streams")?;
        for row in &self.streams {
            hold(name_or_other(&row.stream, ChatStream::new), "stream")?;
            hold(
                row.covered <= row.messages
                    && row
                        .negative
                        .checked_add(row.positive)
                        .is_some_and(|polar| polar <= row.covered),
                "stream",
            )?;
            hold(row.viewers_last <= row.viewers_max, "stream")?;
        }
        let members = self.fulfil.chunk_by(|a, b| a.member == b.member);
        let named = members.filter(|rows| !rows[0].member.is_empty()).count();
        hold(named <= limits::CELL_MEMBERS_MAX, "members")?;
        for row in &self.fulfil {
            hold(name_or_other(&row.member, MemberId::new), "member")?;
            let step = FulfilmentStep::ALL
                .iter()
                .any(|step| step.text() == row.step);
            hold(step, "step")?;
        }
        Ok(())
    }
}

fn tokens_fit(tokens: &TokenCounts) -> bool {
    tokens.set.len() <= limits::CELL_TOKENS_MAX
        && tokens.set.iter().all(|touch| {
            (1..=3).contains(&touch.kind)
                && touch.offset_ms < 60_000
                && (touch.kind == 1 || touch.expires == 0)
                && (tokens.cut == 0 || touch.hash < tokens.cut)
        })
}

fn subjects_fit(subjects: &Subjects) -> bool {
    let touches: usize = subjects.set.iter().map(|row| row.touches.len()).sum();
    subjects.set.len() <= limits::CELL_SUBJECTS_MAX
        && touches <= limits::CELL_TOUCHES_MAX
        && subjects.set.iter().all(|row| {
            (1..=limits::SUBJECT_TOUCHES_MAX).contains(&row.touches.len())
                && row.touches.iter().all(|touch| read_touch(*touch).is_some())
                && (subjects.cut == 0 || row.hash < subjects.cut)
        })
}

fn orders_fit(orders: &OrderCounts) -> bool {
    let closed = orders.by_paid.iter().map(|row| row.closed);
    let closed = closed.fold(orders.older, u64::saturating_add);
    orders.by_paid.len() <= limits::CELL_STARTS_MAX
        && closed <= orders.out.saturating_add(orders.gone)
}

fn hold(holds: bool, what: &'static str) -> Checked {
    if holds {
        Ok(())
    } else {
        Err(CellFault::Range(what))
    }
}

fn name_or_other<T>(text: &str, rule: impl Fn(&str) -> Result<T, IdFault>) -> bool {
    text.is_empty() || rule(text).is_ok()
}

fn ascending<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> bool {
    rows.windows(2).all(|pair| key(&pair[0]) < key(&pair[1]))
}
