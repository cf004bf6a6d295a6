//! One cell in the making, canonical after every change.
//!
//! Rows are kept sorted as they are made, so the cell can be encoded at any moment. Each accessor
//! finds or makes one row, keeps to the bounds and stamps the version. Beyond a bound comes the row
//! with the empty key, and the dimension's count of others goes up.

use alloc::string::String;
use alloc::vec::Vec;

use super::At;
use crate::cell::{
    Cell, CheckoutCounts, Counts, CreatorRow, CurrencySums, DropRow, FLAG_OVERFLOW, FulfilRow,
    HistKind, HistRow, HostRow, MoneyRow, OrderCounts, PaidRow, PaymentCounts, RightRow, RiskRow,
    SkuRow, StartRow, StreamRow, TokenCounts, TokenTouch, TouchKind,
};
use crate::id::{Epoch, EpochId, PopupId, RigId, Seq};
use crate::limits;
use crate::money::Currency;
use crate::sketch;
use crate::time::Minute;

/// Origin of money rows: reported by the till.
const TILL: u32 = 0;
/// What the numbers of a named row usually take, bytes.
const ROW_NUMBERS_BYTES: usize = 40;
/// What one currency of a SKU usually takes, bytes.
const CURRENCY_BYTES: usize = 20;

/// A cell and what its making needs.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) cell: Cell,
    /// It changed since the changes were last taken.
    pub(super) changed: bool,
    /// What its named rows take, about, in bytes.
    names_bytes: usize,
    /// Touches of all its viewers.
    touches: usize,
}

/// Adds to a sum; one that would leave 64 bits keeps its value and is flagged.
pub(super) fn add(flags: &mut u32, sum: &mut i64, amount: i64) {
    match sum.checked_add(amount) {
        Some(total) => *sum = total,
        None => *flags |= FLAG_OVERFLOW,
    }
}

/// Takes from a sum, likewise.
pub(super) fn take(flags: &mut u32, sum: &mut i64, amount: i64) {
    match sum.checked_sub(amount) {
        Some(total) => *sum = total,
        None => *flags |= FLAG_OVERFLOW,
    }
}

/// Puts a touch in its place. Too many of them keep the first and last of each run of one kind, and
/// of those the first ones.
fn keep_touch(touches: &mut Vec<u32>, touch: u32) {
    if let Err(place) = touches.binary_search(&touch) {
        touches.insert(place, touch);
    }
    if touches.len() > limits::SUBJECT_TOUCHES_MAX {
        let all = core::mem::take(touches);
        let runs = all.chunk_by(|a, b| a & 7 == b & 7);
        for run in runs {
            touches.extend(run.first());
            touches.extend(run.last().filter(|_| run.len() > 1));
        }
        touches.truncate(limits::SUBJECT_TOUCHES_MAX);
    }
}

impl Slot {
    pub(super) fn new(
        popup: &PopupId,
        rig: &RigId,
        epoch: Epoch,
        epoch_id: EpochId,
        minute: Minute,
    ) -> Self {
        Self {
            cell: Cell {
                popup: String::from(popup),
                rig: String::from(rig),
                epoch: epoch.0,
                epoch_id: epoch_id.0.to_vec(),
                minute: minute.0,
                ..Cell::default()
            },
            changed: false,
            names_bytes: 0,
            touches: 0,
        }
    }

    /// A cell that changes no more.
    pub(super) fn whole(cell: Cell) -> Self {
        Self {
            cell,
            changed: false,
            names_bytes: 0,
            touches: 0,
        }
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// The same cell with nothing in it, changed by the record at `seq`.
    pub(super) fn emptied(&self, seq: Seq) -> Self {
        Self {
            cell: Cell {
                popup: self.cell.popup.clone(),
                rig: self.cell.rig.clone(),
                epoch: self.cell.epoch,
                epoch_id: self.cell.epoch_id.clone(),
                minute: self.cell.minute,
                version: seq.0,
                ..Cell::default()
            },
            changed: true,
            names_bytes: 0,
            touches: 0,
        }
    }

    /// Says that the record at `seq` changed it.
    pub(super) fn restamp(&mut self, seq: Seq) {
        self.cell.version = seq.0;
        self.changed = true;
    }

    /// Takes back the version of `old` when nothing else differs.
    pub(super) fn keep_if_same(&mut self, old: &Self) {
        let version = core::mem::replace(&mut self.cell.version, old.cell.version);
        if self.cell == old.cell {
            self.changed = old.changed;
        } else {
            self.cell.version = version;
        }
    }

    /// Says that this record changes the cell.
    pub(super) fn touch(&mut self, at: &At) {
        self.cell.version = at.seq.0;
    }

    /// Sets what the newest record says of clock, gaps and policy.
    pub(super) fn mark(&mut self, flags: u32, policy_version: u32) {
        self.cell.flags |= flags;
        self.cell.policy_version = policy_version;
    }

    pub(super) fn counts(&mut self, at: &At) -> &mut Counts {
        self.touch(at);
        self.cell.counts.get_or_insert_default()
    }

    pub(super) fn unmatched(&mut self, at: &At) {
        self.counts(at).unmatched += 1;
    }

    pub(super) fn duplicate(&mut self, at: &At) {
        self.counts(at).duplicates += 1;
    }

    /// Whether a new row with keys of `bytes` may have its name; if so they are counted.
    fn named(&mut self, room: bool, bytes: usize) -> bool {
        let bytes = self.names_bytes + bytes + ROW_NUMBERS_BYTES;
        let fits = room && bytes <= limits::CELL_NAMES_BYTES_MAX;
        if fits {
            self.names_bytes = bytes;
        }
        fits
    }

    /// The money row's place; `None` for a currency beyond the bound.
    pub(super) fn money_at(
        &mut self,
        at: &At,
        currency: Currency,
        method: &str,
        offline: bool,
    ) -> Option<usize> {
        self.touch(at);
        let place = match self.find_money(currency, method, offline) {
            Ok(place) => return Some(place),
            Err(place) => place,
        };
        let rows = &self.cell.money;
        let known = rows.iter().any(|row| row.currency == currency.code());
        let currencies = rows.chunk_by(|a, b| a.currency == b.currency).count();
        if !known && currencies >= limits::CELL_CURRENCIES_MAX {
            self.counts(at).other_currencies += 1;
            return None;
        }
        let mut methods: Vec<&str> = rows
            .iter()
            .filter(|row| row.currency == currency.code() && !row.method.is_empty())
            .map(|row| row.method.as_str())
            .collect();
        methods.dedup();
        let room = method.is_empty()
            || methods.contains(&method)
            || methods.len() < limits::CELL_METHODS_MAX;
        if self.named(room, 3 + method.len()) || method.is_empty() {
            let row = MoneyRow {
                currency: String::from(currency.code()),
                origin: TILL,
                method: String::from(method),
                offline,
                ..MoneyRow::default()
            };
            self.cell.money.insert(place, row);
            return Some(place);
        }
        self.counts(at).other_methods += 1;
        self.money_at(at, currency, "", offline)
    }

    fn find_money(&self, currency: Currency, method: &str, offline: bool) -> Result<usize, usize> {
        let key = (currency.code(), TILL, method, offline);
        self.cell.money.binary_search_by(|row| {
            (&*row.currency, row.origin, &*row.method, row.offline).cmp(&key)
        })
    }

    pub(super) fn risk(&mut self, at: &At, currency: Currency) -> Option<usize> {
        self.touch(at);
        let rows = &mut self.cell.risk;
        match rows.binary_search_by(|row| (*row.currency).cmp(currency.code())) {
            Ok(place) => Some(place),
            Err(_) if rows.len() >= limits::CELL_CURRENCIES_MAX => {
                self.counts(at).other_currencies += 1;
                None
            }
            Err(place) => {
                let row = RiskRow {
                    currency: String::from(currency.code()),
                    ..RiskRow::default()
                };
                rows.insert(place, row);
                Some(place)
            }
        }
    }

    /// The SKU's row, or the row `other`, at place 0.
    pub(super) fn sku_at(&mut self, at: &At, sku: &str) -> usize {
        self.touch(at);
        let found = self.cell.skus.binary_search_by(|row| (*row.sku).cmp(sku));
        let place = match found {
            Ok(place) => return place,
            Err(place) => place,
        };
        let other = self.cell.skus.first().is_some_and(|row| row.sku.is_empty());
        let room = self.cell.skus.len() - usize::from(other) < limits::CELL_SKUS_MAX;
        let sku = if self.named(room, sku.len()) {
            sku
        } else {
            self.counts(at).other_skus += 1;
            ""
        };
        let place = if sku.is_empty() { 0 } else { place };
        if !(sku.is_empty() && other) {
            let row = SkuRow {
                sku: String::from(sku),
                ..SkuRow::default()
            };
            self.cell.skus.insert(place, row);
        }
        place
    }

    /// The sums of a SKU in a currency, beside the flags; a full cell keeps them in the row `other`.
    pub(super) fn sku_sums(
        &mut self,
        at: &At,
        sku: &str,
        currency: Currency,
    ) -> (&mut u32, &mut CurrencySums) {
        let place = self.sku_at(at, sku);
        let search = |rows: &[CurrencySums]| {
            rows.binary_search_by(|row| (*row.currency).cmp(currency.code()))
        };
        let named = !self.cell.skus[place].sku.is_empty();
        let found = search(&self.cell.skus[place].money);
        let full = self.names_bytes + CURRENCY_BYTES > limits::CELL_NAMES_BYTES_MAX;
        let place = if named && found.is_err() && full {
            self.sku_at(at, "")
        } else {
            place
        };
        let rows = &mut self.cell.skus[place].money;
        let row = search(rows).unwrap_or_else(|row| {
            self.names_bytes += CURRENCY_BYTES;
            let sums = CurrencySums {
                currency: String::from(currency.code()),
                ..CurrencySums::default()
            };
            rows.insert(row, sums);
            row
        });
        (&mut self.cell.flags, &mut rows[row])
    }

    /// The row of a creator's sales, or the one of all other creators.
    pub(super) fn creator_at(
        &mut self,
        at: &At,
        creator: &str,
        currency: Currency,
        evidence: u32,
    ) -> usize {
        self.touch(at);
        let key = (creator, currency.code(), evidence);
        let found = self
            .cell
            .creators
            .binary_search_by(|row| (&*row.creator, &*row.currency, row.evidence).cmp(&key));
        let place = match found {
            Ok(place) => return place,
            Err(place) => place,
        };
        let rows = self.cell.creators.chunk_by(|a, b| a.creator == b.creator);
        let names = rows.filter(|rows| !rows[0].creator.is_empty());
        let (known, named) = names.fold((false, 0), |(known, named), rows| {
            (known || rows[0].creator == creator, named + 1)
        });
        let room = known || named < limits::CELL_CREATORS_MAX;
        if !creator.is_empty() && !self.named(room, creator.len() + 3) {
            self.counts(at).other_creators += 1;
            return self.creator_at(at, "", currency, evidence);
        }
        let row = CreatorRow {
            creator: String::from(creator),
            currency: String::from(currency.code()),
            evidence,
            ..CreatorRow::default()
        };
        self.cell.creators.insert(place, row);
        place
    }

    pub(super) fn payments(&mut self, at: &At) -> &mut PaymentCounts {
        self.touch(at);
        self.cell.payments.get_or_insert_default()
    }

    pub(super) fn checkout(&mut self, at: &At) -> &mut CheckoutCounts {
        self.touch(at);
        self.cell.checkout.get_or_insert_default()
    }

    /// The row of checkouts that started in `minute`, or the one of all further minutes.
    pub(super) fn start_row(&mut self, at: &At, minute: Minute) -> &mut StartRow {
        let checkout = self.checkout(at);
        let rows = &mut checkout.by_start;
        match rows.binary_search_by_key(&minute.0, |row| row.minute) {
            Ok(place) => &mut rows[place],
            Err(_) if rows.len() >= limits::CELL_STARTS_MAX => {
                checkout.older.get_or_insert_default()
            }
            Err(place) => {
                let row = StartRow {
                    minute: minute.0,
                    ..StartRow::default()
                };
                rows.insert(place, row);
                &mut rows[place]
            }
        }
    }

    /// Adds a duration.
    pub(super) fn duration(&mut self, at: &At, kind: HistKind, us: u64) {
        self.touch(at);
        let rows = &mut self.cell.hists;
        let kind = i32::from(kind);
        let place = rows
            .binary_search_by_key(&kind, |row| row.kind)
            .unwrap_or_else(|place| {
                let row = HistRow {
                    kind,
                    ..HistRow::default()
                };
                rows.insert(place, row);
                place
            });
        sketch::insert(&mut rows[place], us);
    }

    pub(super) fn tokens(&mut self, at: &At) -> &mut TokenCounts {
        self.touch(at);
        self.cell.tokens.get_or_insert_default()
    }

    /// Keeps what happened to a token, if its hash is among the smallest. A hash that is cut goes with
    /// all its touches.
    pub(super) fn token_touch(&mut self, at: &At, hash: u64, kind: u32, expires: u32) {
        let offset_ms = at.offset_ms();
        let tokens = self.tokens(at);
        if tokens.cut != 0 && hash >= tokens.cut {
            return;
        }
        let set = &mut tokens.set;
        let Err(place) = set.binary_search_by_key(&(hash, kind), |row| (row.hash, row.kind)) else {
            return;
        };
        let touch = TokenTouch {
            hash,
            kind,
            offset_ms,
            expires,
        };
        set.insert(place, touch);
        if set.len() > limits::CELL_TOKENS_MAX {
            let cut = set.last().map_or(0, |row| row.hash);
            set.retain(|row| row.hash < cut);
            tokens.cut = cut;
        }
    }

    /// Keeps what a viewer did, if its hash is among the smallest.
    pub(super) fn viewer_touch(&mut self, at: &At, hash: u64, kind: TouchKind) {
        self.touch(at);
        let subjects = self.cell.subjects.get_or_insert_default();
        match kind {
            TouchKind::Started => subjects.linked_started += 1,
            TouchKind::Paid => subjects.linked_paid += 1,
            TouchKind::Chat | TouchKind::Viewed | TouchKind::Cart => {}
        }
        if subjects.cut != 0 && hash >= subjects.cut {
            return;
        }
        let set = &mut subjects.set;
        let place = set
            .binary_search_by_key(&hash, |row| row.hash)
            .unwrap_or_else(|place| {
                let touches = Vec::new();
                set.insert(place, crate::cell::Subject { hash, touches });
                place
            });
        let before = set[place].touches.len();
        keep_touch(
            &mut set[place].touches,
            crate::cell::touch(at.offset_ms(), kind),
        );
        self.touches = self.touches + set[place].touches.len() - before;
        while set.len() > limits::CELL_SUBJECTS_MAX || self.touches > limits::CELL_TOUCHES_MAX {
            let Some(gone) = set.pop() else { return };
            self.touches -= gone.touches.len();
            subjects.cut = gone.hash;
        }
    }

    pub(super) fn orders(&mut self, at: &At) -> &mut OrderCounts {
        self.touch(at);
        self.cell.orders.get_or_insert_default()
    }

    /// Counts an order as out or gone by the minute in which it was paid.
    pub(super) fn paid_row(&mut self, at: &At, paid: Minute) {
        let orders = self.orders(at);
        let rows = &mut orders.by_paid;
        match rows.binary_search_by_key(&paid.0, |row| row.minute) {
            Ok(place) => rows[place].closed += 1,
            Err(_) if rows.len() >= limits::CELL_STARTS_MAX => orders.older += 1,
            Err(place) => {
                let (minute, closed) = (paid.0, 1);
                rows.insert(place, PaidRow { minute, closed });
            }
        }
    }

    /// Changes the units that `rig` may sell of the SKU at `place`, by itself.
    pub(super) fn right(&mut self, at: &At, place: usize, rig: &str, qty: i64) {
        let found = |row: &SkuRow| row.rights.binary_search_by(|right| (*right.rig).cmp(rig));
        let row = match found(&self.cell.skus[place]) {
            Ok(row) => row,
            Err(row) => {
                let room = self.cell.skus[place].rights.len() < limits::CELL_RIGHTS_MAX
                    && !self.cell.skus[place].sku.is_empty();
                if !self.named(room, rig.len()) {
                    self.counts(at).other_skus += 1;
                    return;
                }
                let right = RightRow {
                    rig: String::from(rig),
                    qty: 0,
                };
                self.cell.skus[place].rights.insert(row, right);
                row
            }
        };
        let cell = &mut self.cell;
        add(&mut cell.flags, &mut cell.skus[place].rights[row].qty, qty);
    }

    pub(super) fn stream(&mut self, at: &At, stream: &str) -> &mut StreamRow {
        self.touch(at);
        let found = self
            .cell
            .streams
            .binary_search_by(|row| (*row.stream).cmp(stream));
        let place = match found {
            Ok(place) => return &mut self.cell.streams[place],
            Err(place) => place,
        };
        let other = self
            .cell
            .streams
            .first()
            .is_some_and(|row| row.stream.is_empty());
        let room = self.cell.streams.len() - usize::from(other) < limits::CELL_STREAMS_MAX;
        let fits = self.named(room, stream.len());
        if !fits {
            self.counts(at).other_streams += 1;
        }
        let (place, name) = if fits { (place, stream) } else { (0, "") };
        if fits || !other {
            let row = StreamRow {
                stream: String::from(name),
                ..StreamRow::default()
            };
            self.cell.streams.insert(place, row);
        }
        &mut self.cell.streams[place]
    }

    /// The row of a flash drop; `None` beyond the bound: such a drop gets no lift.
    pub(super) fn drop_row(&mut self, at: &At, drop: &str) -> Option<&mut DropRow> {
        self.touch(at);
        let place = match self
            .cell
            .drops
            .binary_search_by(|row| (*row.drop).cmp(drop))
        {
            Ok(place) => place,
            Err(place) => {
                // Its creator and SKU are names too: 64 bytes each at most.
                let room = self.cell.drops.len() < limits::CELL_DROPS_MAX;
                if !self.named(room, drop.len() + 128) {
                    self.counts(at).other_drops += 1;
                    return None;
                }
                let row = DropRow {
                    drop: String::from(drop),
                    ..DropRow::default()
                };
                self.cell.drops.insert(place, row);
                place
            }
        };
        Some(&mut self.cell.drops[place])
    }

    pub(super) fn fulfil(&mut self, at: &At, member: &str, step: &str) -> &mut FulfilRow {
        self.touch(at);
        let search = |rows: &[FulfilRow], member: &str| {
            rows.binary_search_by(|row| (&*row.member, &*row.step).cmp(&(member, step)))
        };
        let mut member = member;
        if search(&self.cell.fulfil, member).is_err() && !member.is_empty() {
            let rows = self.cell.fulfil.chunk_by(|a, b| a.member == b.member);
            let names = rows.filter(|rows| !rows[0].member.is_empty());
            let (known, named) = names.fold((false, 0), |(known, named), rows| {
                (known || rows[0].member == member, named + 1)
            });
            let room = known || named < limits::CELL_MEMBERS_MAX;
            if !self.named(room, member.len() + step.len()) {
                self.counts(at).other_members += 1;
                member = "";
            }
        }
        let rows = &mut self.cell.fulfil;
        let place = search(rows, member).unwrap_or_else(|place| {
            let row = FulfilRow {
                member: String::from(member),
                step: String::from(step),
                ..FulfilRow::default()
            };
            rows.insert(place, row);
            place
        });
        &mut rows[place]
    }

    pub(super) fn host(&mut self, at: &At) -> &mut HostRow {
        self.touch(at);
        self.cell.host.get_or_insert_default()
    }
}
