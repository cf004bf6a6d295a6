//! The files in which provider and bank tell of a world: one writer per layout.
//!
//! Column order, separator and byte order mark differ from seed to seed, as they do from account to
//! account. Files name buyers in columns that must not be kept: whoever finds [`PERSONAL`] in
//! something that was kept has found a leak.

use popwatch_core::event::central::{BankLine, ProviderObject, SettlementLine};
use popwatch_core::id::PopupId;
use popwatch_core::money::Currency;
use popwatch_core::provider::{ObjectState, ProviderKind};
use popwatch_core::settlement::LineKind;
use popwatch_store::fs::faulty::Dice;
use popwatch_wire::json::rfc3339;
use popwatch_wire::settlement::Layout;
use serde_json::{Value as Json, json};

use super::world::{DAY_MS, Payout, Row, World};
use super::{BANK, File, POPUP, Set};

/// What stands in every personal column of a generated file.
pub const PERSONAL: &str = "Ada Overlooked";

/// A row as the file holds it.
struct Written {
    line: SettlementLine,
    rate: Option<String>,
}

/// Writes a world down.
pub(super) fn set(mut world: World) -> Set {
    let mut dice = Dice(world.dice.roll());
    let amounts: Vec<i64> = (0..world.payouts.len())
        .map(|at| amount(&world, at))
        .collect();
    let rows = rows(&mut world, &amounts);
    let stated = stated(&world, &amounts);
    let bank = bank(&world, &amounts);
    if world.provider == ProviderKind::Stripe {
        for (payout, amount) in world.payouts.clone().iter().zip(&amounts) {
            let object = world.payout_object(payout, *amount);
            world.objects.push(object);
        }
    }
    let mut files = vec![file(world.provider, &rows, &stated, &mut dice)];
    if !world.corrected.is_empty() {
        let corrected = world.corrected.iter().cloned();
        let corrected: Vec<_> = corrected.map(|line| Written { line, rate: None }).collect();
        files.push(file(world.provider, &corrected, &[], &mut dice));
    }
    files.push(File {
        layout: Layout::Bank,
        bytes: bank_csv(&bank, &mut dice),
    });
    Set {
        provider: world.provider,
        popup: PopupId::new(POPUP).expect("the name of a popup"),
        claims: world.claims,
        objects: world.objects,
        stated,
        lines: rows.into_iter().map(|row| row.line).collect(),
        bank,
        files,
        expected: world.expected,
        as_of_ms: world.opens_ms + 30 * DAY_MS,
    }
}

/// What a payout pays.
fn amount(world: &World, payout: usize) -> i64 {
    let rows = world.rows.iter();
    let of = rows.filter(|row| row.payout == Some(payout) && !row.lost);
    of.map(|row| row.line.net).sum::<i64>() + world.payouts[payout].beyond
}

/// All rows of the provider's file, payouts last.
fn rows(world: &mut World, amounts: &[i64]) -> Vec<Written> {
    let mut rows = Vec::new();
    for Row {
        line,
        payout,
        lost,
        twice,
        rate,
    } in &world.rows
    {
        let mut line = line.clone();
        if let Some(payout) = payout {
            line.payout.clone_from(&world.payouts[*payout].id);
        }
        for _ in 0..u32::from(!lost) + u32::from(*twice) {
            let rate = rate.clone();
            rows.push(Written {
                line: line.clone(),
                rate,
            });
        }
    }
    if world.provider == ProviderKind::Square {
        return rows;
    }
    for (payout, amount) in world.payouts.clone().iter().zip(amounts) {
        let at = world.plain_row(LineKind::Payout, -amount);
        let mut line = world.rows[at].line.clone();
        line.payout.clone_from(&payout.id);
        if world.provider != ProviderKind::Adyen {
            line.object.clone_from(&payout.id);
        }
        rows.push(Written { line, rate: None });
    }
    rows
}

/// The payouts that the file states.
fn stated(world: &World, amounts: &[i64]) -> Vec<ProviderObject> {
    let day_ms = world.opens_ms.div_euclid(DAY_MS) * DAY_MS + 2 * DAY_MS;
    let payouts = world.payouts.iter().zip(amounts);
    let object = |(payout, amount): (&Payout, &i64)| {
        let told = world.payout_object(payout, *amount);
        let version = match world.provider {
            ProviderKind::Square => 2,
            ProviderKind::Stripe | ProviderKind::Shopify | ProviderKind::Adyen => day_ms,
        };
        ProviderObject {
            created_ms: day_ms,
            occurred_ms: day_ms,
            version,
            delivery: String::new(),
            message: "settlement.file".to_owned(),
            from_file: true,
            ..told
        }
    };
    match world.provider {
        ProviderKind::Square | ProviderKind::Shopify => payouts.map(object).collect(),
        ProviderKind::Stripe | ProviderKind::Adyen => Vec::new(),
    }
}

fn bank(world: &World, amounts: &[i64]) -> Vec<BankLine> {
    let date_ms = (world.opens_ms.div_euclid(DAY_MS) + 3) * DAY_MS;
    let mut lines = Vec::new();
    for (payout, amount) in world.payouts.iter().zip(amounts) {
        let Some(off) = payout.bank else { continue };
        let reference = match world.provider {
            ProviderKind::Stripe | ProviderKind::Square => payout.trace.clone(),
            ProviderKind::Shopify => format!("SHOPIFY {}", payout.id),
            ProviderKind::Adyen => format!("ADYEN BATCH {} POPWATCHSHOP", payout.id),
        };
        lines.push(BankLine {
            account: BANK.to_owned(),
            date_ms,
            currency: world.currency.code().to_owned(),
            amount: amount + off,
            reference,
            ..BankLine::default()
        });
    }
    lines
}

fn file(
    provider: ProviderKind,
    rows: &[Written],
    stated: &[ProviderObject],
    dice: &mut Dice,
) -> File {
    let (layout, bytes) = match provider {
        ProviderKind::Stripe => (Layout::StripeItemized, stripe(rows, dice)),
        ProviderKind::Square => (Layout::SquarePayout, square(rows, stated)),
        ProviderKind::Shopify => (Layout::ShopifyPayments, shopify(rows, stated)),
        ProviderKind::Adyen => (Layout::AdyenSettlement, adyen(rows, dice)),
    };
    File { layout, bytes }
}

/// Minor units as a decimal.
fn decimal(minor: i64, currency: &str) -> String {
    let exponent = Currency::new(currency).map_or(2, Currency::exponent);
    let unit = 10_u64.pow(exponent);
    let (whole, part) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let sign = if minor < 0 { "-" } else { "" };
    match exponent {
        0 => format!("{sign}{whole}"),
        digits => format!("{sign}{whole}.{part:0width$}", width = digits as usize),
    }
}

/// A time without zone, in UTC.
fn civil(ms: i64) -> String {
    rfc3339(ms)
        .replace('T', " ")
        .trim_end_matches('Z')
        .to_owned()
}

/// A table with its columns in some order, between some separator.
fn table(columns: &[&str], rows: &[Vec<String>], dice: &mut Dice) -> Vec<u8> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, dice.index(at + 1));
    }
    let separator = [",", ";", "\t"][dice.index(3)];
    let end = ["\n", "\r\n"][dice.index(2)];
    let mut out = String::from(["", "\u{feff}"][dice.index(2)]);
    let mut write = |cells: &[&str]| {
        let cells: Vec<_> = order
            .iter()
            .map(|at| quoted(cells[*at], separator))
            .collect();
        out.push_str(&cells.join(separator));
        out.push_str(end);
    };
    write(columns);
    for row in rows {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        write(&cells);
    }
    out.into_bytes()
}

fn quoted(cell: &str, separator: &str) -> String {
    if cell.contains(['"', '\n', '\r']) || cell.contains(separator) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn stripe(rows: &[Written], dice: &mut Dice) -> Vec<u8> {
    let columns = [
        "balance_transaction_id",
        "created",
        "currency",
        "gross",
        "fee",
        "net",
        "reporting_category",
        "automatic_payout_id",
        "charge_id",
        "payment_intent_id",
        "source_id",
        "payment_metadata[pw_ref]",
        "payment_metadata[order]",
        "customer_name",
        "customer_email",
        "description",
    ];
    let row = |Written { line, .. }: &Written| {
        let [charge, intent, source] = match LineKind::from_text(&line.kind) {
            Some(LineKind::Charge) => [&line.object, &line.parent, &line.movement],
            Some(LineKind::Payout) => [&line.movement, &line.movement, &line.object],
            _ => [&line.parent, &line.movement, &line.object],
        };
        // Providers write currencies in either case, both in one file.
        let currency = if line.gross % 2 == 0 {
            line.currency.to_lowercase()
        } else {
            line.currency.clone()
        };
        vec![
            line.line.clone(),
            civil(line.occurred_ms),
            currency,
            decimal(line.gross, &line.currency),
            decimal(line.fee, &line.currency),
            decimal(line.net, &line.currency),
            line.raw_kind.clone(),
            line.payout.clone(),
            charge.clone(),
            intent.clone(),
            source.clone(),
            line.stamps.first().cloned().unwrap_or_default(),
            line.order.clone(),
            PERSONAL.to_owned(),
            "ada@overlooked.example".to_owned(),
            format!("For \"{PERSONAL}\",\nwith; thanks\t"),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    table(&columns, &rows, dice)
}

fn adyen(rows: &[Written], dice: &mut Dice) -> Vec<u8> {
    let columns = [
        "Company Account",
        "Merchant Account",
        "Psp Reference",
        "Merchant Reference",
        "Payment Method",
        "Creation Date",
        "TimeZone",
        "Type",
        "Modification Reference",
        "Gross Currency",
        "Gross Debit (GC)",
        "Gross Credit (GC)",
        "Exchange Rate",
        "Net Currency",
        "Net Debit (NC)",
        "Net Credit (NC)",
        "Commission (NC)",
        "Markup (NC)",
        "Scheme Fees (NC)",
        "Interchange (NC)",
        "Batch Number",
        "Shopper Name",
    ];
    let rows: Vec<_> = rows.iter().map(adyen_row).collect();
    table(&columns, &rows, dice)
}

fn adyen_row(Written { line, rate }: &Written) -> Vec<String> {
    let (psp, modification) = if line.parent.is_empty() {
        (&line.object, &line.movement)
    } else {
        (&line.parent, &line.movement)
    };
    let pair = |minor: i64, currency: &str| {
        let amount = decimal(minor.abs(), currency);
        if minor < 0 {
            [amount, String::new()]
        } else {
            [String::new(), amount]
        }
    };
    let has_gross = matches!(
        LineKind::from_text(&line.kind),
        Some(LineKind::Charge | LineKind::Refund | LineKind::Dispute)
    );
    let (gross_currency, gross) = if line.buyer_currency.is_empty() {
        (&line.currency, line.gross)
    } else {
        (&line.buyer_currency, line.buyer_amount)
    };
    let [gross_debit, gross_credit] = if has_gross {
        pair(gross, gross_currency)
    } else {
        [String::new(), String::new()]
    };
    let [net_debit, net_credit] = pair(line.net, &line.currency);
    // Central European time is an hour ahead in March.
    vec![
        "Generated".to_owned(),
        "GeneratedShop".to_owned(),
        psp.clone(),
        line.order.clone(),
        "visa".to_owned(),
        civil(line.occurred_ms + 3_600_000),
        "CET".to_owned(),
        line.raw_kind.clone(),
        modification.clone(),
        if has_gross {
            gross_currency.clone()
        } else {
            String::new()
        },
        gross_debit,
        gross_credit,
        rate.clone().unwrap_or_else(|| "1".to_owned()),
        line.currency.clone(),
        net_debit,
        net_credit,
        String::new(),
        if line.fee == 0 {
            String::new()
        } else {
            decimal(line.fee, &line.currency)
        },
        String::new(),
        String::new(),
        line.payout.clone(),
        PERSONAL.to_owned(),
    ]
}

fn square(rows: &[Written], stated: &[ProviderObject]) -> Vec<u8> {
    let money = |minor: i64, currency: &str| json!({ "amount": minor, "currency_code": currency });
    let entry = |Written { line, .. }: &Written| {
        let mut entry = json!({
            "id": line.line, "payout_id": line.payout, "type": line.raw_kind,
            "effective_at": rfc3339(line.occurred_ms),
            "gross_amount_money": money(line.gross, &line.currency),
            "fee_amount_money": money(line.fee, &line.currency),
            "net_amount_money": money(line.net, &line.currency),
            "buyer_note": PERSONAL,
        });
        let details = match LineKind::from_text(&line.kind) {
            Some(LineKind::Charge) => {
                Some(("type_charge_details", json!({ "payment_id": line.object })))
            }
            Some(LineKind::Refund) => Some((
                "type_refund_details",
                json!({ "payment_id": line.parent, "refund_id": line.object }),
            )),
            Some(LineKind::Dispute) => Some((
                "type_dispute_details",
                json!({ "payment_id": line.parent, "dispute_id": line.object }),
            )),
            _ => None,
        };
        if let (Some((name, details)), Json::Object(entry)) = (details, &mut entry) {
            entry.insert(name.to_owned(), details);
        }
        entry
    };
    let payout = |of: &ProviderObject| {
        json!({
            "id": of.object, "status": if of.state == ObjectState::Failed.text() { "FAILED" } else { "PAID" },
            "version": of.version, "end_to_end_id": of.trace, "location_id": "L-GENERATED",
            "created_at": rfc3339(of.created_ms), "updated_at": rfc3339(of.occurred_ms),
            "amount_money": money(of.amount, &of.currency),
        })
    };
    let entries: Vec<Json> = rows.iter().map(entry).collect();
    let payouts: Vec<Json> = stated.iter().map(payout).collect();
    json!({ "cursor": "generated", "payouts": payouts, "payout_entries": entries })
        .to_string()
        .into_bytes()
}

fn shopify(rows: &[Written], stated: &[ProviderObject]) -> Vec<u8> {
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => Json::from(number),
        Err(_) if text.is_empty() => Json::Null,
        Err(_) => Json::from(text),
    };
    let transaction = |Written { line, .. }: &Written| {
        json!({
            "id": number(&line.line), "type": line.raw_kind, "test": false,
            "payout_id": number(&line.payout), "payout_status": "paid", "currency": line.currency,
            "amount": decimal(line.gross, &line.currency), "fee": decimal(line.fee, &line.currency),
            "net": decimal(line.net, &line.currency), "source_id": number(&line.object),
            "source_type": PERSONAL, "source_order_id": number(&line.order),
            "source_order_transaction_id": number(&line.movement),
            "processed_at": rfc3339(line.occurred_ms),
        })
    };
    let payout = |of: &ProviderObject| {
        json!({
            "id": number(&of.object), "status": of.state, "currency": of.currency,
            "date": rfc3339(of.created_ms).get(..10), "amount": decimal(of.amount, &of.currency),
        })
    };
    let transactions: Vec<Json> = rows.iter().map(transaction).collect();
    let payouts: Vec<Json> = stated.iter().map(payout).collect();
    json!({ "transactions": transactions, "payouts": payouts })
        .to_string()
        .into_bytes()
}

fn bank_csv(lines: &[BankLine], dice: &mut Dice) -> Vec<u8> {
    let columns = ["date", "amount", "currency", "reference", "counterparty"];
    let row = |line: &BankLine| {
        vec![
            rfc3339(line.date_ms)
                .get(..10)
                .unwrap_or_default()
                .to_owned(),
            decimal(line.amount, &line.currency),
            line.currency.clone(),
            line.reference.clone(),
            PERSONAL.to_owned(),
        ]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    table(&columns, &rows, dice)
}
