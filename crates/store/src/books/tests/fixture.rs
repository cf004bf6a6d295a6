//! Rigs that write journals in memory, and ways to deliver them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use popwatch_core::event::system::{Gap, RigStarted, Seal, SystemEvent, TotalsRow};
use popwatch_core::event::{
    BooksAdjusted, Class, Count, CountSigned, Cursor, Event, InventoryAdjusted, InventoryAllocated,
    InventoryCounted, InventoryReceived, Line, Minor, MinorSigned, PaymentCaptured,
    PaymentRefunded,
};
use popwatch_core::fold::{EpochFold, Step};
use popwatch_core::id::{
    Epoch, EpochId, EventId, OrderId, PaymentId, PaymentMethod, PopupId, RefundId, Remark, RigId,
    Seq, Sku, Source,
};
use popwatch_core::lane::{Item, ItemBody, PROTOCOL, RecordBatch, Skip, SkipWhy};
use popwatch_core::ledger::reconcile::{CellState, Cells, Reconciliation};
use popwatch_core::money::Currency;
use popwatch_core::record::{self, Record, Stamp};
use popwatch_core::time::{MonoMs, Now, WallMs};

use crate::books::{Books, BooksView, frame};

pub(super) const T0: i64 = 1_700_000_000_000;

pub(super) fn now() -> Now {
    Now {
        wall: WallMs(T0 + 3_600_000),
        mono: MonoMs(1),
    }
}

pub(super) fn popup() -> PopupId {
    PopupId::new("fri").unwrap()
}

/// One life of one rig's journal.
#[derive(Clone)]
pub(super) struct Rig {
    pub(super) name: &'static str,
    pub(super) epoch: u32,
    pub(super) epoch_id: EpochId,
    /// Cursor and frame by seq − 1.
    pub(super) frames: Vec<(Cursor, Vec<u8>)>,
    totals: BTreeMap<String, TotalsRow>,
    /// Chains after each seq, trunk and bulk; entry 0 is the start.
    chains: Vec<[[u8; 32]; 2]>,
}

impl Rig {
    pub(super) fn new(name: &'static str, epoch: u32, mark: u8) -> Self {
        Self::begun(name, epoch, mark, 0)
    }

    /// The life after this one.
    pub(super) fn next(&self, mark: u8) -> Self {
        Self::begun(self.name, self.epoch + 1, mark, self.last())
    }

    fn begun(name: &'static str, epoch: u32, mark: u8, previous_last_seq: u64) -> Self {
        let epoch_id = EpochId([mark; 16]);
        let chains = vec![Cursor::ALL.map(|cursor| frame::chain_start(epoch_id, cursor))];
        let mut rig = Self {
            name,
            epoch,
            epoch_id,
            frames: Vec::new(),
            totals: BTreeMap::new(),
            chains,
        };
        let started = RigStarted {
            epoch_id: epoch_id.0.to_vec(),
            previous_epoch: epoch - 1,
            previous_last_seq,
            ..RigStarted::default()
        };
        rig.system(SystemEvent::RigStarted(started));
        rig
    }

    pub(super) fn last(&self) -> u64 {
        self.frames.len() as u64
    }

    pub(super) fn raw(&mut self, class: Class, payload: &[u8]) -> u64 {
        let seq = self.last() + 1;
        let bytes = frame::make(class, self.epoch, seq, &self.epoch_id, payload);
        let cursor = class.cursor();
        let mut chains = *self.chains.last().unwrap();
        let parsed = frame::parse(&bytes, frame::seed(&self.epoch_id)).unwrap();
        let at = cursor as usize - 1;
        chains[at] = parsed.chain(chains[at]);
        self.chains.push(chains);
        self.frames.push((cursor, bytes));
        seq
    }

    fn record(&mut self, event: Event, id: &str, time_ms: i64, totals: Vec<TotalsRow>) -> u64 {
        let record = self.made(event, id, time_ms, totals);
        self.raw(record.event.class(), &record::encode(&record))
    }

    fn made(&self, event: Event, id: &str, time_ms: i64, totals: Vec<TotalsRow>) -> Record {
        Record {
            popup: Some(popup()),
            source: Source::new(self.name).unwrap(),
            id: EventId::new(id).unwrap(),
            stamp: Stamp {
                mono_ns: 0,
                wall_ms: time_ms,
                time_ms: None,
                age_ms: None,
            },
            beyond: None,
            content: record::Content::default(),
            policy_version: 0,
            flags: record::Flags::default(),
            totals,
            origin: None,
            event,
        }
    }

    /// An event that was given again because its first place was lost.
    pub(super) fn again(&mut self, id: &str, at_s: i64, event: Event, first: (u32, u64)) -> u64 {
        let totals = self.add_totals(&event);
        let mut record = self.made(event, id, T0 + at_s * 1_000, totals);
        record.origin = Some(record::Origin {
            epoch: first.0,
            seq: first.1,
        });
        self.raw(record.event.class(), &record::encode(&record))
    }

    pub(super) fn system(&mut self, event: SystemEvent) -> u64 {
        let id = format!("{}/{}", self.epoch, self.last() + 1);
        self.record(Event::System(event), &id, T0, Vec::new())
    }

    pub(super) fn seal(&mut self) -> u64 {
        self.seal_at(0)
    }

    pub(super) fn seal_at(&mut self, at_s: i64) -> u64 {
        let [trunk, bulk] = *self.chains.last().unwrap();
        let seal = Seal {
            chain_trunk: trunk.to_vec(),
            chain_bulk: bulk.to_vec(),
            ..Seal::default()
        };
        self.event(
            &format!("seal {}", self.last() + 1),
            at_s,
            Event::System(SystemEvent::RigSeal(seal)),
        )
    }

    pub(super) fn event(&mut self, id: &str, at_s: i64, event: Event) -> u64 {
        let totals = self.add_totals(&event);
        self.record(event, id, T0 + at_s * 1_000, totals)
    }

    /// Makes the running total of captured money wrong from here on.
    pub(super) fn lie(&mut self, by: i64) {
        for row in self.totals.values_mut() {
            row.captured += by;
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only money has totals here")]
    fn add_totals(&mut self, event: &Event) -> Vec<TotalsRow> {
        let (currency, captured, refunded, units) = match event {
            Event::PaymentCaptured(sale) => {
                let lines = sale.lines.as_deref().unwrap_or_default();
                let units = lines.iter().map(|line| line.qty).sum();
                (sale.currency.code(), sale.amount.0, 0, units)
            }
            Event::PaymentRefunded(asked) => (asked.currency.code(), 0, asked.amount.0, 0),
            _ => return Vec::new(),
        };
        let row = self.totals.entry(currency.to_string()).or_default();
        row.popup = popup().as_str().to_string();
        row.currency = currency.to_string();
        row.n += 1;
        row.captured += captured;
        row.refunded += refunded;
        row.units += units;
        vec![row.clone()]
    }

    /// The batch of one cursor for `first..=last`; seqs of the other cursor are skips.
    pub(super) fn batch(&self, cursor: Cursor, first: u64, last: u64) -> RecordBatch {
        let mut items: Vec<Item> = Vec::new();
        for seq in first..=last {
            let (of, bytes) = &self.frames[usize::try_from(seq).unwrap() - 1];
            if *of == cursor {
                items.push(frame_item(bytes.clone()));
            } else {
                items.push(skip_item(1, SkipWhy::OtherCursor, Vec::new()));
            }
        }
        self.batch_of(cursor, first, last, items)
    }

    pub(super) fn batch_of(
        &self,
        cursor: Cursor,
        first: u64,
        last: u64,
        items: Vec<Item>,
    ) -> RecordBatch {
        let chain =
            |seq: u64| self.chains[usize::try_from(seq).unwrap()][cursor as usize - 1].to_vec();
        RecordBatch {
            protocol: PROTOCOL,
            rig: self.name.to_string(),
            journal_id: vec![9; 16],
            epoch: self.epoch,
            epoch_id: self.epoch_id.0.to_vec(),
            cursor: cursor as u32,
            first_seq: first,
            items,
            chain_before: chain(first - 1),
            chain_after: chain(last),
            ..RecordBatch::default()
        }
    }

    /// Everything so far on the trunk.
    pub(super) fn trunk(&self) -> RecordBatch {
        self.batch(Cursor::Trunk, 1, self.last())
    }

    /// Both cursors, whole.
    pub(super) fn all(&self) -> [RecordBatch; 2] {
        Cursor::ALL.map(|cursor| self.batch(cursor, 1, self.last()))
    }
}

pub(super) fn frame_item(bytes: Vec<u8>) -> Item {
    Item {
        body: Some(ItemBody::Frame(bytes)),
    }
}

pub(super) fn skip_item(count: u64, why: SkipWhy, value: Vec<TotalsRow>) -> Item {
    Item {
        body: Some(ItemBody::Skip(Skip {
            count,
            why: why as i32,
            value,
        })),
    }
}

pub(super) fn gap(epoch: u32, first: u64, last: u64, value: Vec<TotalsRow>) -> SystemEvent {
    SystemEvent::RigGap(Gap {
        epoch,
        first,
        last,
        cause: "media".into(),
        value,
        ..Gap::default()
    })
}

pub(super) fn gbp() -> Currency {
    Currency::new("GBP").unwrap()
}

pub(super) fn lines(of: &[(&str, i64, i64)]) -> Vec<Line> {
    of.iter()
        .map(|(sku, qty, amount)| Line {
            sku: Sku::new(sku).unwrap(),
            qty: *qty,
            amount: *amount,
            creator: None,
        })
        .collect()
}

pub(super) fn sale(payment: &str, amount: i64, of: &[(&str, i64, i64)]) -> PaymentCaptured {
    PaymentCaptured {
        payment: PaymentId::new(payment).unwrap(),
        order: OrderId::new(payment).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
        method: PaymentMethod::new("card").unwrap(),
        provider: None,
        provider_ref: None,
        offline: None,
        tip: None,
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: (!of.is_empty()).then(|| lines(of)),
    }
}

pub(super) fn captured(payment: &str, amount: i64, of: &[(&str, i64, i64)]) -> Event {
    Event::PaymentCaptured(sale(payment, amount, of))
}

pub(super) fn refunded(refund: &str, payment: &str, amount: i64, of: &[(&str, i64, i64)]) -> Event {
    Event::PaymentRefunded(PaymentRefunded {
        refund: RefundId::new(refund).unwrap(),
        payment: PaymentId::new(payment).unwrap(),
        amount: Minor(amount),
        currency: gbp(),
        reason: None,
        remark: None,
        lines: (!of.is_empty()).then(|| lines(of)),
    })
}

pub(super) fn received(sku: &str, qty: i64) -> Event {
    Event::InventoryReceived(InventoryReceived {
        sku: Sku::new(sku).unwrap(),
        qty: Count(qty),
        to: None,
        reason: None,
    })
}

pub(super) fn allocated(sku: &str, qty: i64) -> Event {
    Event::InventoryAllocated(InventoryAllocated {
        sku: Sku::new(sku).unwrap(),
        qty: Count(qty),
        from: None,
        to: None,
        reason: None,
    })
}

pub(super) fn adjusted(sku: &str, qty: i64, reason: &str) -> Event {
    Event::InventoryAdjusted(InventoryAdjusted {
        sku: Sku::new(sku).unwrap(),
        qty: CountSigned(qty),
        from: None,
        to: None,
        reason: Some(Remark::new(reason).unwrap()),
    })
}

pub(super) fn counted(sku: &str, qty: i64) -> Event {
    Event::InventoryCounted(InventoryCounted {
        sku: Sku::new(sku).unwrap(),
        qty: Count(qty),
    })
}

pub(super) fn manual(amount: i64) -> Event {
    Event::BooksAdjusted(BooksAdjusted {
        amount: MinorSigned(amount),
        currency: gbp(),
        reason: Remark::new("float").unwrap(),
    })
}

/// Everything that must not depend on the way facts came.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    pub(super) view: BooksView,
    pub(super) reconciliation: Reconciliation,
}

pub(super) fn state(books: &Books) -> State {
    State {
        view: books.books(&popup()).unwrap(),
        reconciliation: books.reconcile(&popup(), None, now().wall).unwrap(),
    }
}

thread_local! {
    /// Makes the books of a test, where they are not SQLite's in memory.
    static OTHER_STORE: RefCell<Option<Box<dyn FnMut() -> Books>>> = const { RefCell::new(None) };
}

/// Empty books of the store under test.
pub(super) fn fresh_books() -> Books {
    OTHER_STORE.with_borrow_mut(|other| match other {
        Some(make) => make(),
        None => Books::open_memory().unwrap(),
    })
}

/// Runs tests on this thread over another store.
#[cfg(feature = "postgres")]
pub(super) fn over<T>(make: impl FnMut() -> Books + 'static, tests: impl FnOnce() -> T) -> T {
    OTHER_STORE.set(Some(Box::new(make)));
    let out = tests();
    OTHER_STORE.set(None);
    out
}

pub(super) fn deliver<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Books {
    let mut books = fresh_books();
    for batch in batches {
        books.accept(batch, now()).unwrap();
    }
    books
}

/// What stands on an account: debit minus credit.
pub(super) fn balance(books: &Books, account: &str) -> i64 {
    let view = books.books(&popup()).unwrap();
    let money = view.currencies.values().flat_map(|books| &books.accounts);
    let stock = view.stock.values().flat_map(|books| &books.accounts);
    money
        .chain(stock)
        .filter(|line| line.account.to_string() == account)
        .map(crate::books::AccountLine::balance)
        .sum()
}

/// The cells an edge would have sent of these rigs.
pub(super) fn cells(rigs: &[Rig]) -> Cells {
    let mut out = Cells::new();
    for rig in rigs {
        let name = RigId::new(rig.name).unwrap();
        let mut fold = EpochFold::new(name, Epoch(rig.epoch), rig.epoch_id);
        for (at, (_, bytes)) in rig.frames.iter().enumerate() {
            let record = record::decode(&bytes[frame::HEADER_BYTES..]).unwrap();
            let step = fold.apply(Seq(at as u64 + 1), &record);
            assert_eq!(step, Step::Folded);
        }
        out.extend(fold.cells().map(|cell| (cell.key(), CellState::of(cell))));
    }
    out
}

pub(super) fn classes(books: &Books) -> Vec<&'static str> {
    let out = books.reconcile(&popup(), None, now().wall).unwrap();
    out.breaks.iter().map(|found| found.class.text()).collect()
}
