//! Two real trading days, end to end: tills, a provider's signed messages, its settlement file, the
//! bank's, and the count of the shelves, through the doors and books that the product runs.
//!
//! The sales are real. 2011-12-09 has 49 messages in Stripe's form, signed beforehand, in the
//! currency of each buyer's country; those of 2011-12-05 are made here. Both settlement files are made
//! here. Untouched, a day closes without an unexplained minor unit; what is planted is named, with its
//! amount, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use popwatch_core::event::system::SystemEvent;
use popwatch_core::event::{Cursor, Event};
use popwatch_core::id::{BootId, Epoch, EpochId, EventId, JournalId, Position, RigId, Seq, Source};
use popwatch_core::lane::{PROTOCOL, RecordBatch};
use popwatch_core::ledger::rules::Rules;
use popwatch_core::ledger::{Break, Fact, Severity};
use popwatch_core::limits::{BATCH_BYTES_MAX, SEGMENT_BYTES};
use popwatch_core::provider::ObjectKind;
use popwatch_core::record::{Content, Flags, Record, Stamp};
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_redact::apply::Plan as Kept;
use popwatch_redact::pseudonym::Keys;
use popwatch_store::books::{Books, CENTRAL};
use popwatch_store::fs::faulty::FaultFs;
use popwatch_store::journal::{Fresh, Journal, Opening};
use popwatch_wire::door::{Admission, Arrival, Door, Request};
use popwatch_wire::json::rfc3339;
use popwatch_wire::provider::{Account, Delivery, Secrets, receive, record, sample};
use popwatch_wire::sales_file::{CurrencyRule, Day, Durations, Plan, RIGS, ShelfPlan};
use serde_json::{Value, json};

use super::*;

const DEMO: &[u8] = include_bytes!("../../../../popwatch/assets/online_retail/2011-12-05.csv");
const SIGNED: &[u8] = include_bytes!("../../../../../fixtures/public/online_retail/2011-12-09.csv");
const MESSAGES: &[u8] =
    include_bytes!("../../../../../fixtures/public/providers/stripe_signed.jsonl.gz");
const DECK: &str = include_str!("../../../../popwatch/assets/durations/ycsb_counts.csv");
/// When both popups open, ms since 1970: the moment the signed messages count from.
const STARTS_MS: i64 = 1_796_061_600_000;
/// When the payout is sent, and the bank shows it.
const PAID_MS: i64 = STARTS_MS + 86_400_000;
/// Every timer has run out.
const AS_OF_MS: i64 = STARTS_MS + 30 * 86_400_000;
/// Where the provider writes our reference.
const STAMP: &str = "payment_metadata[pw_ref]";

/// What goes wrong on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    /// A charge that the provider never settles.
    MissingCharge,
    /// A buyer charged twice for one sale, and both charges settled.
    DoubleCharge,
    /// A fee that nobody agreed on.
    WrongFee,
    /// A refund that the provider never settles.
    LostRefund,
    /// A till's disk damages the record of a sale.
    LostRecord,
    /// Three items more are counted than are there.
    Miscount,
}

const ALL: [Planted; 6] = [
    Planted::MissingCharge,
    Planted::DoubleCharge,
    Planted::WrongFee,
    Planted::LostRefund,
    Planted::LostRecord,
    Planted::Miscount,
];

/// A break as it must come out: class, currency or SKU, amount.
type Named = (&'static str, String, i64);

/// A day before anything is delivered.
struct Script {
    plan: Plan,
    day: Day,
    /// Events of each rig, in the order of time.
    events: Vec<Vec<Value>>,
    /// Bodies and `Stripe-Signature` of the provider's messages, and when they came.
    messages: Vec<(String, String, i64)>,
}

fn account() -> Account {
    Account {
        name: ACCOUNT.to_owned(),
        kind: ProviderKind::Stripe,
        is_live: false,
        secrets: Secrets::new(ProviderKind::Stripe, &["whsec_H_test_0123456789abcdef"]).unwrap(),
        notification_url: String::new(),
        stamp_keys: vec!["metadata.pw_ref".into(), "metadata.event_id".into()],
        order_keys: Vec::new(),
        captures_at_once: false,
        currency: None,
        exponents: Vec::new(),
        reference: ReferenceKey::new([3; 32]),
    }
}

fn now(wall_ms: i64) -> Now {
    Now {
        wall: WallMs(wall_ms),
        mono: MonoMs(1),
    }
}

fn stamp(wall_ms: i64) -> Stamp {
    Stamp {
        mono_ns: 1,
        wall_ms,
        time_ms: None,
        age_ms: None,
    }
}

impl Script {
    fn of(sheet: &[u8], currency: CurrencyRule) -> Self {
        let day = Day::read(sheet).unwrap();
        let plan = Plan {
            source: Source::new("/replay/day").unwrap(),
            popup: PopupId::new("market").unwrap(),
            starts: WallMs(STARTS_MS),
            hours: 3,
            currency,
        };
        let deck = Durations::parse(DECK).unwrap();
        let mut dealt: Vec<Vec<_>> = (0..RIGS).map(|_| Vec::new()).collect();
        for document in &day.documents {
            let events = plan.events(&day, document, &deck).unwrap();
            dealt[usize::from(document.rig_index)].extend(events);
        }
        let shelf = ShelfPlan::of(&day);
        dealt[0].extend(shelf.opening(&plan, &day));
        dealt[0].extend(shelf.closing(&plan, &day));
        let events = dealt.into_iter().map(|mut events| {
            events.sort_by_key(|event| event.time);
            events.into_iter().map(|event| event.event).collect()
        });
        Self {
            events: events.collect(),
            plan,
            day,
            messages: Vec::new(),
        }
    }

    /// The day whose messages were signed beforehand.
    fn signed() -> Self {
        let mut script = Self::of(SIGNED, CurrencyRule::ByCountry);
        let mut text = String::new();
        let mut packed = flate2::read::GzDecoder::new(MESSAGES);
        packed.read_to_string(&mut text).unwrap();
        for row in text.lines() {
            let row: Value = serde_json::from_str(row).unwrap();
            let at_ms = STARTS_MS + row["offset_ms"].as_i64().unwrap();
            let header = row["headers"]["Stripe-Signature"].as_str().unwrap();
            let body = row["body"].as_str().unwrap();
            (script.messages).push((body.to_owned(), header.to_owned(), at_ms));
        }
        script
    }

    /// The demo's day, told by a provider made here.
    fn demo() -> Self {
        let mut script = Self::of(DEMO, CurrencyRule::Pounds);
        let events: Vec<Value> = script.events.concat();
        for event in &events {
            let data = &event["data"];
            let at_ms = popwatch_wire::json::rfc3339_ms(event["time"].as_str().unwrap()).unwrap();
            let (kind, name) = match event["type"].as_str().unwrap() {
                "popwatch.payment.captured" => ("payment_intent", "payment"),
                "popwatch.payment.refunded" => ("refund", "refund"),
                _ => continue,
            };
            let reference = data[name].as_str().unwrap();
            let mut object = json!({
                "object": kind, "amount": data["amount"], "amount_received": data["amount"],
                "currency": data["currency"].as_str().unwrap().to_lowercase(),
                "created": at_ms / 1_000, "status": "succeeded", "livemode": false,
                "metadata": {"pw_ref": reference},
            });
            let told = if kind == "refund" {
                object["id"] = json!(format!("re_{reference}"));
                object["charge"] = json!(format!("ch_before_{reference}"));
                "refund.created"
            } else {
                object["id"] = json!(format!("pi_{reference}"));
                object["latest_charge"] = json!(format!("ch_{reference}"));
                "payment_intent.succeeded"
            };
            script.tell(&format!("evt_{reference}"), told, object, at_ms);
        }
        script
    }

    fn tell(&mut self, id: &str, kind: &str, object: Value, at_ms: i64) {
        let body = json!({
            "id": id, "object": "event", "created": at_ms / 1_000, "livemode": false,
            "type": kind, "data": {"object": object},
        })
        .to_string();
        let headers = sample(&account(), body.as_bytes(), at_ms);
        self.messages.push((body, headers[0].1.clone(), at_ms));
    }

    /// What the books are told, with these faults in it; and what they must say.
    fn play(mut self, planted: &[Planted]) -> (Outcome, Vec<Named>) {
        let mut named: Vec<Named> = Vec::new();
        if planted.contains(&Planted::DoubleCharge) {
            let (body, _, at_ms) = self.messages[5].clone();
            let mut object: Value = serde_json::from_str(&body).unwrap();
            let mut object = object["data"]["object"].take();
            object["id"] = json!("pi_again");
            object["latest_charge"] = json!("ch_again");
            named.push(("P-DOUBLE", currency_of(&object), amount_of(&object)));
            self.tell(
                "evt_again",
                "payment_intent.succeeded",
                object,
                at_ms + 9_000,
            );
        }
        if planted.contains(&Planted::Miscount) {
            let is_count = |event: &&mut Value| event["type"] == "popwatch.inventory.counted";
            let count = self.events[0].iter_mut().find(is_count).unwrap();
            let data = &mut count["data"];
            data["qty"] = json!(data["qty"].as_i64().unwrap() + 3);
            let sku = format!("u:{}", data["sku"].as_str().unwrap());
            named.push(("K-COUNT", sku, 3));
        }
        let objects = self.objects();
        let mut rows = Row::of(&objects);
        let charges: Vec<usize> = at(&rows, "charge");
        let refunds: Vec<usize> = at(&rows, "refund");
        let mut lost = BTreeSet::new();
        if planted.contains(&Planted::MissingCharge) {
            let row = &rows[charges[3]];
            named.push(("B-MISSING", row.currency.clone(), row.gross));
            lost.insert(charges[3]);
        }
        if planted.contains(&Planted::LostRefund) {
            let row = &rows[refunds[1]];
            named.push(("B-MISSING", row.currency.clone(), row.gross));
            lost.insert(refunds[1]);
        }
        if planted.contains(&Planted::WrongFee) {
            let row = &mut rows[charges[7]];
            row.fee += 37;
            named.push(("B-FEE", row.currency.clone(), 37));
        }
        let mut damaged = None;
        if planted.contains(&Planted::LostRecord) {
            let row = &rows[charges[11]];
            for class in ["E-GAP-VALUE", "P-UNCLAIMED"] {
                named.push((class, row.currency.clone(), row.gross));
            }
            named.push(("E-GAP", String::new(), 0));
            damaged = Some(format!("{}/{}/sale", self.day.date, row.invoice()));
        }
        let mut at = 0;
        rows.retain(|_| {
            at += 1;
            !lost.contains(&(at - 1))
        });
        named.sort();
        (self.book(objects, &rows, damaged.as_deref()), named)
    }

    /// What the signed messages say.
    fn objects(&self) -> Vec<ProviderObject> {
        let account = account();
        let told = self.messages.iter().flat_map(|(body, header, at_ms)| {
            let delivery = Delivery {
                headers: &[("stripe-signature", header)],
                body: body.as_bytes(),
                now_ms: Some(*at_ms),
            };
            let received = receive(&account, &delivery).unwrap();
            assert_eq!((received.inexact, received.test_mode), (0, 0));
            received.objects
        });
        told.collect()
    }

    #[expect(clippy::too_many_lines, reason = "one day, told in order")]
    fn book(&self, objects: Vec<ProviderObject>, rows: &[Row], damaged: Option<&str>) -> Outcome {
        let mut books = Books::open_memory().unwrap();
        let rules = Rules {
            accounts: vec![AccountRules {
                name: ACCOUNT.to_owned(),
                provider: ProviderKind::Stripe,
                fees: Some(FEES),
                dispute_fee: None,
                offline_life_ms: 86_400_000,
                payout_bank: None,
            }],
            ..Rules::default()
        };
        let open = now(STARTS_MS);
        books.set_rules(rules, open).unwrap();
        for (rig, events) in self.events.iter().enumerate() {
            for batch in till(&format!("rig-{rig}"), events, damaged) {
                books.accept(&batch, open).unwrap();
            }
        }
        for object in objects {
            let record = record(object, stamp(STARTS_MS));
            books.append_central(vec![record], open).unwrap();
        }
        let paid = now(PAID_MS);
        let file = File {
            layout: Layout::StripeItemized,
            bytes: settlement(rows).into_bytes(),
        };
        let bank = File {
            layout: Layout::Bank,
            bytes: statement(rows).into_bytes(),
        };
        for file in [file, bank] {
            let kept = kept(&file, ProviderKind::Stripe);
            let lines = kept.lines.into_iter().map(SystemEvent::SettlementLine);
            let banked = kept.bank.into_iter().map(SystemEvent::BankLine);
            let told: Vec<Record> = lines.chain(banked).map(|one| at_desk(one, paid)).collect();
            for some in told.chunks(500) {
                books.append_central(some.to_vec(), paid).unwrap();
            }
        }
        books.advance(AS_OF_MS, now(AS_OF_MS)).unwrap();
        let mut found = books.breaks(&self.plan.popup).unwrap();
        for book in [
            PopupId::account_book("stripe", ACCOUNT),
            PopupId::account_book("bank", BANK),
        ] {
            found.extend(books.breaks(&book).unwrap());
        }
        let as_of = WallMs(AS_OF_MS);
        let stands = books.reconcile(&self.plan.popup, None, as_of).unwrap();
        let anew = books.reconcile_full(&self.plan.popup, None, as_of, now(AS_OF_MS));
        assert_eq!(stands.hash, anew.unwrap().hash, "evaluated from nothing");
        let view = books.books(&self.plan.popup).unwrap();
        for sums in view.currencies.values() {
            assert_eq!((sums.trial_balance, sums.suspense), (0, sums.open_breaks));
        }
        let totals = view.totals.values();
        let totals = totals.fold((0, 0, 0, 0), |sum, one| {
            (
                sum.0 + one.sales,
                sum.1 + one.captured,
                sum.2 + one.refunds,
                sum.3 + one.refunded,
            )
        });
        let account = |code: &str| {
            let money = view.currencies.values().flat_map(|books| &books.accounts);
            money
                .filter(|line| line.account.of.code() == code)
                .map(popwatch_store::books::AccountLine::balance)
                .sum()
        };
        Outcome {
            found,
            totals,
            open: ["1100", "1110", "1200", "2070", "2080"].map(account),
        }
    }
}

/// What stands in the end.
struct Outcome {
    found: Vec<Break>,
    /// Sales, captured, refunds, refunded: over all currencies, as a check of the sheet alone.
    totals: (u64, i64, u64, i64),
    /// What waits on the clearing accounts, and what is owed to buyers.
    open: [i64; 5],
}

impl Outcome {
    /// Money and warnings that stand open.
    fn named(&self) -> Vec<Named> {
        let heavy = self
            .found
            .iter()
            .filter(|one| one.severity != Severity::Info);
        let mut named: Vec<Named> = heavy
            .map(|one| {
                let unit = one.commodity.as_ref().map(ToString::to_string);
                (one.class.text(), unit.unwrap_or_default(), one.amount)
            })
            .collect();
        named.sort();
        named
    }
}

fn currency_of(object: &Value) -> String {
    object["currency"].as_str().unwrap().to_uppercase()
}

fn amount_of(object: &Value) -> i64 {
    object["amount"].as_i64().unwrap()
}

/// One row of the settlement file.
struct Row {
    category: &'static str,
    source: String,
    charge: String,
    intent: String,
    stamp: String,
    currency: String,
    gross: i64,
    fee: i64,
    at_ms: i64,
}

impl Row {
    /// An honest provider's rows for these objects.
    fn of(objects: &[ProviderObject]) -> Vec<Self> {
        let row = |of: &ProviderObject| {
            let refund = of.kind == ObjectKind::Refund.text();
            let charge = match refund {
                true => of.parent.clone(),
                false => of.aliases.first().cloned().unwrap_or_default(),
            };
            Self {
                category: if refund { "refund" } else { "charge" },
                source: match refund {
                    true if of.object.starts_with("re_") => of.object.clone(),
                    true => format!("re_of_{charge}"),
                    false => charge.clone(),
                },
                intent: if refund {
                    String::new()
                } else {
                    of.object.clone()
                },
                charge,
                stamp: of.stamps.first().cloned().unwrap_or_default(),
                currency: of.currency.clone(),
                gross: if refund { -of.amount } else { of.amount },
                fee: if refund { 0 } else { FEES.of(of.amount) },
                at_ms: of.occurred_ms,
            }
        };
        objects.iter().map(row).collect()
    }

    /// The number of its sale on the sheet.
    fn invoice(&self) -> &str {
        self.intent.trim_start_matches("pi_")
    }
}

fn at(rows: &[Row], category: &str) -> Vec<usize> {
    let of = rows.iter().enumerate();
    let of = of.filter(|(_, row)| row.category == category);
    of.map(|(at, _)| at).collect()
}

/// `2026-12-01 18:03:00`, as the files write UTC.
fn civil(ms: i64) -> String {
    rfc3339(ms)[..19].replace('T', " ")
}

fn decimal(minor: i64) -> String {
    let size = minor.unsigned_abs();
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// The nets of the rows: one payout per currency.
fn nets(rows: &[Row]) -> BTreeMap<&str, i64> {
    let mut nets = BTreeMap::new();
    for row in rows {
        *nets.entry(row.currency.as_str()).or_default() += row.gross - row.fee;
    }
    nets
}

fn settlement(rows: &[Row]) -> String {
    let mut out = format!(
        "balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,\
         source_id,charge_id,payment_intent_id,automatic_payout_id,automatic_payout_effective_at,\
         {STAMP}\n"
    );
    let paid = civil(PAID_MS);
    let mut line = |cells: [&str; 14]| out.push_str(&(cells.join(",") + "\n"));
    for row in rows {
        let (id, payout) = (
            format!("txn_{}", row.source),
            format!("po_{}", row.currency),
        );
        let net = decimal(row.gross - row.fee);
        let (gross, fee, at) = (decimal(row.gross), decimal(row.fee), civil(row.at_ms));
        line([
            &id,
            &at,
            &paid,
            &row.currency,
            &gross,
            &fee,
            &net,
            row.category,
            &row.source,
            &row.charge,
            &row.intent,
            &payout,
            &paid,
            &row.stamp,
        ]);
    }
    for (currency, net) in nets(rows) {
        let (id, payout) = (format!("txn_po_{currency}"), format!("po_{currency}"));
        let net = decimal(-net);
        line([
            &id, &paid, &paid, currency, &net, "0.00", &net, "payout", &payout, "", "", &payout,
            &paid, "",
        ]);
    }
    out
}

fn statement(rows: &[Row]) -> String {
    let mut out = String::from("id,date,amount,currency,reference\n");
    for (currency, net) in nets(rows) {
        let date = &civil(PAID_MS)[..10];
        let net = decimal(net);
        out.push_str(&format!(
            "bank-{currency},{date},{net},{currency},STRIPE po_{currency}\n"
        ));
    }
    out
}

/// What somebody at the centre said, as the ledger's own routes record it.
fn at_desk(event: SystemEvent, now: Now) -> Record {
    let mut out = Record {
        popup: None,
        source: Source::new("popwatch:central").unwrap(),
        id: EventId::new("central").unwrap(),
        stamp: stamp(now.wall.0),
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
        event: Event::System(event),
    };
    let nowhere = Position {
        rig: RigId::new(CENTRAL).unwrap(),
        epoch: Epoch(1),
        seq: Seq(1),
    };
    let fact = Fact::of(&out, nowhere).unwrap();
    out.content.0.copy_from_slice(&fact.content[..8]);
    out.id = EventId::new(&fact.id.to_string()).unwrap();
    out
}

/// A till's day through its door into its journal, and from there as batches. Where the record of
/// `damaged` stands on its disk, a bit flips before it starts again and sends.
fn till(name: &str, events: &[Value], damaged: Option<&str>) -> Vec<RecordBatch> {
    let disk = FaultFs::new(1);
    let (mut journal, _) = Journal::open(disk.clone(), opening(name, 1)).unwrap();
    let door = Door {
        rig: RigId::new(name).unwrap(),
        journal_id: journal.journal_id(),
        default_popup: None,
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: Kept::default(),
    };
    let wall_ms = STARTS_MS + 4 * 3_600_000;
    for some in events.chunks(200) {
        let body: Vec<String> = some.iter().map(ToString::to_string).collect();
        let body = body.join("\n");
        let request = Request {
            content_type: Some("application/x-ndjson"),
            body: body.as_bytes(),
            ..Request::default()
        };
        let arrival = Arrival {
            mono_ns: 1,
            wall_ms,
            local_sender: true,
        };
        let admissions = door.admit(&request, arrival).unwrap();
        let drafts = admissions.into_iter().map(|one| match one {
            Admission::Ready(draft) => draft,
            Admission::Rejected { id, problem } => panic!("{id:?} was refused: {problem:?}"),
        });
        journal.append(drafts.collect(), stamp(wall_ms)).unwrap();
    }
    journal.stop(stamp(wall_ms)).unwrap();
    drop(journal);
    disk.kill();
    if let Some(id) = damaged {
        flip(&disk, id);
    }
    let (mut journal, _) = Journal::open(disk, opening(name, 2)).unwrap();
    journal.stop(stamp(wall_ms + 1_000)).unwrap();
    batches(&mut journal)
}

/// Flips a bit inside the record of an event, where this disk has it.
fn flip(disk: &FaultFs, id: &str) {
    for name in disk.names() {
        let bytes = disk.bytes(&name).unwrap();
        let id = id.as_bytes();
        let ends = |at: &usize| !matches!(bytes.get(at + id.len()), Some(b'/'));
        let found = bytes.windows(id.len()).enumerate();
        let mut found = found.filter(|(_, some)| *some == id).map(|(at, _)| at);
        if let Some(at) = found.find(ends) {
            return disk.flip(&name, at, 0);
        }
    }
}

fn opening(name: &str, life: u8) -> Opening {
    let mut journal_id = [0xA1; 16];
    journal_id[..name.len()].copy_from_slice(name.as_bytes());
    let mut drawn = 0;
    Opening {
        rig: RigId::new(name).unwrap(),
        fresh: Fresh {
            journal_id: JournalId(journal_id),
            epoch_id: Box::new(move || {
                drawn += 1;
                let mut id = journal_id;
                (id[14], id[15]) = (life, drawn);
                EpochId(id)
            }),
        },
        boot_id: BootId([7; 16]),
        version: String::from("day"),
        stamp: stamp(STARTS_MS + 4 * 3_600_000),
        popups: Vec::new(),
        segment_bytes: SEGMENT_BYTES,
    }
}

fn batches(journal: &mut Journal<FaultFs>) -> Vec<RecordBatch> {
    let mut out = Vec::new();
    for info in journal.epochs().to_vec() {
        for cursor in Cursor::ALL {
            let mut from = Seq(1);
            while from <= info.last_seq {
                let parts = journal.batch(info.epoch, cursor, from, 1_000, BATCH_BYTES_MAX / 2);
                let parts = parts.unwrap();
                from = parts.last_seq.next();
                out.push(RecordBatch {
                    protocol: PROTOCOL,
                    rig: journal.rig().to_string(),
                    journal_id: journal.journal_id().0.to_vec(),
                    epoch: info.epoch.0,
                    epoch_id: info.epoch_id.0.to_vec(),
                    cursor: cursor as u32,
                    first_seq: parts.first_seq.0,
                    items: parts.items,
                    chain_before: parts.chain_before.map(Vec::from).unwrap_or_default(),
                    chain_after: parts.chain_after.map(Vec::from).unwrap_or_default(),
                    ..RecordBatch::default()
                });
            }
        }
    }
    out
}

#[track_caller]
fn check(script: Script, planted: &[Planted]) -> Outcome {
    let (outcome, named) = script.play(planted);
    assert_eq!(outcome.named(), named, "{planted:?}");
    outcome
}

#[test]
fn the_day_with_signed_messages_closes_without_an_unexplained_unit() {
    let outcome = check(Script::signed(), &[]);
    assert_eq!(outcome.totals, (44, 20_092_060, 5, 16_878_907));
    assert_eq!(outcome.open, [0; 5]);
}

#[test]
fn the_demos_day_closes_without_an_unexplained_unit() {
    let outcome = check(Script::demo(), &[]);
    assert_eq!(outcome.totals, (127, 8_874_196, 16, 3_099_064));
    assert_eq!(outcome.open, [0; 5]);
}

macro_rules! named_and_nothing_else {
    ($($name:ident: $planted:expr;)*) => {$(
        #[test]
        fn $name() {
            check(Script::signed(), &$planted);
        }
    )*};
}
named_and_nothing_else! {
    a_missing_charge_is_named_and_nothing_else: [Planted::MissingCharge];
    a_double_charge_is_named_and_nothing_else: [Planted::DoubleCharge];
    a_wrong_fee_is_named_and_nothing_else: [Planted::WrongFee];
    a_lost_refund_is_named_and_nothing_else: [Planted::LostRefund];
    a_lost_record_is_named_and_nothing_else: [Planted::LostRecord];
    a_miscounted_shelf_is_named_and_nothing_else: [Planted::Miscount];
    all_faults_at_once_are_named_and_nothing_else: ALL;
}

#[test]
fn all_faults_of_the_demos_day_at_once_are_named_and_nothing_else() {
    check(Script::demo(), &ALL);
}
