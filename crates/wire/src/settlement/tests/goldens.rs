//! Published samples, and rows whose numbers were seen in public fixtures, written anew.

use super::*;

const SHOPIFY: &str =
    include_str!("../../../../../fixtures/public/settlement/payouts_transactions.json");
const SHOPIFY_PAYOUT: &str = include_str!("../../../../../fixtures/public/settlement/payout.json");
const SQUARE: &str =
    include_str!("../../../../../fixtures/public/settlement/ListPayoutEntriesResponse.json");
const STRIPE_DISPUTE: &str =
    include_str!("../../../../../fixtures/public/settlement/charge.dispute.funds_withdrawn.json");

fn differs(line: &SettlementLine) -> Option<i64> {
    match arithmetic(line) {
        Arithmetic::Agrees => None,
        Arithmetic::Differs { by, .. } => Some(by),
    }
}

#[test]
fn shopifys_sample_of_other_origin_leaves_a_residual() {
    let pages = format!("[{SHOPIFY_PAYOUT},{SHOPIFY}]");
    let kept = kept(Some(ProviderKind::Shopify), &pages);
    assert_eq!((kept.lines.len(), kept.bad.len()), (25, 0));
    let payout = &kept.objects[0];
    assert_eq!(
        (payout.object.as_str(), payout.amount),
        ("623721858", 4_190)
    );
    assert_eq!((payout.state.as_str(), payout.from_file), ("paid", true));
    assert!(kept.lines.iter().all(|line| line.payout == "623721858"));
    assert_eq!(kept.sum(), 8_138);
    assert_eq!(payout.amount - kept.sum(), -3_948);
    let off: Vec<_> = kept
        .lines
        .iter()
        .filter_map(|line| differs(line).map(|by| (line.line.as_str(), by)))
        .collect();
    assert_eq!(off, [("758509248", -50)]);
    let dispute = kept
        .lines
        .iter()
        .find(|line| line.kind == "dispute")
        .unwrap();
    assert_eq!(
        (dispute.gross, dispute.fee, dispute.net),
        (-1_150, 1_500, -2_650)
    );
    assert_eq!(dispute.object, "598735659");
    let reserves: Vec<_> = kept
        .lines
        .iter()
        .filter(|line| line.raw_kind == "reserve")
        .map(|line| line.kind.as_str())
        .collect();
    assert_eq!(reserves, ["reserve_hold", "reserve_release"]);
}

#[test]
fn squares_sample_nets_refunds_of_their_fee() {
    let kept = kept(Some(ProviderKind::Square), SQUARE);
    assert_eq!(kept.nets(), [-48, 81]);
    assert_eq!(kept.sum(), 33);
    assert!(kept.lines.iter().all(|line| differs(line).is_none()));
    let [refund, charge] = &kept.lines[..] else {
        panic!("two lines")
    };
    assert_eq!(
        (refund.kind.as_str(), refund.gross, refund.fee),
        ("refund", -50, -2)
    );
    assert_eq!(refund.parent, "HVdG62HeMlti8YYf94oxrN");
    assert!(refund.object.starts_with("HVdG62HeMlti8YYf94oxrN_dR8"));
    assert_eq!(charge.object, "HVdG62H5K3291d0SGJS6IWd4cSi8YY");
    assert_eq!(charge.payout, "po_4d28e6c4-7dd5-4de4-8ec9-a059277646a6");
    assert_eq!(charge.occurred_ms, 1_639_524_709_000);
}

#[test]
fn stripes_disputed_funds_carry_their_fee() {
    let body: serde_json::Value = serde_json::from_str(STRIPE_DISPUTE).unwrap();
    let list = body["data"]["object"]["balance_transactions"].clone();
    let list = serde_json::json!({ "object": "list", "data": list }).to_string();
    let (kept, summary) = keep(list.as_bytes(), &context(OF_STRIPE)).unwrap();
    let line = &kept.lines[0];
    assert_eq!((line.gross, line.fee, line.net), (-25_000, 1_500, -26_500));
    assert_eq!(
        (line.kind.as_str(), line.raw_kind.as_str()),
        ("dispute", "adjustment")
    );
    assert_eq!(line.object, "dp_1Bl3mMGWCopOTFn1jpVaJDrU");
    assert_eq!(
        (line.currency.as_str(), line.occurred_ms),
        ("USD", 1_516_145_022_000)
    );
    assert_eq!(differs(line), None);
    assert_eq!(
        summary.columns_dropped, 5,
        "description, rate, details, object, status"
    );
}

const STRIPE_ROWS: &str = "\
balance_transaction_id,created,available_on,currency,gross,fee,net,reporting_category,source_id,\
automatic_payout_id,charge_id,payment_metadata[pw_ref]
txn_1,2020-10-05 09:00:00,2020-10-07,usd,25,0.95,24.05,charge,ch_1,po_1,ch_1,pay-1
txn_2,2020-10-05 10:00:00,2020-10-07,USD,-10,0,-10,refund,re_1,po_1,ch_1,
txn_3,2020-10-05 11:00:00,2020-10-07,usd,-0.5,0,-0.5,fee,,po_1,,
txn_4,2020-10-07 00:00:00,2020-10-07,usd,24,0,23.05,payout,po_1,,,
";

#[test]
fn stripes_itemised_rows() {
    let stamps = ["payment_metadata[pw_ref]".to_owned()];
    let of = FileContext {
        stamp_columns: &stamps,
        ..context(OF_STRIPE)
    };
    let (read, _) = keep(STRIPE_ROWS.as_bytes(), &of).unwrap();
    assert_eq!(read.nets(), [2_405, -1_000, -50, 2_305]);
    let [charge, refund, fee, payout] = &read.lines[..] else {
        panic!("four lines")
    };
    assert_eq!(
        (charge.object.as_str(), &charge.stamps[..]),
        ("ch_1", &["pay-1".to_owned()][..])
    );
    assert_eq!(
        (refund.object.as_str(), refund.parent.as_str()),
        ("re_1", "ch_1")
    );
    assert_eq!((fee.kind.as_str(), fee.object.as_str()), ("fee", ""));
    assert_eq!(
        (payout.kind.as_str(), payout.payout.as_str()),
        ("payout", "po_1")
    );
    assert_eq!(read.sum(), 1_355);
    let off: Vec<_> = read.lines.iter().map(differs).collect();
    assert_eq!(off, [None, None, None, Some(-95)]);
    assert_eq!(charge.occurred_ms, 1_601_888_400_000);

    let personal = [
        "customer_name",
        "customer_email",
        "customer_phone",
        "customer_address_line1",
    ];
    let values = [
        "Ada Overlooked",
        "ada@overlooked.example",
        "+44 20 7946 0000",
        "1 Nowhere Road",
    ];
    let mut lines = STRIPE_ROWS.lines();
    let mut text = format!("{},{}\n", personal.join(","), lines.next().unwrap());
    for line in lines {
        text.push_str(&format!("{},{line}\n", values.join(",")));
    }
    let (same, summary) = keep(text.as_bytes(), &of).unwrap();
    assert_eq!(same, read);
    assert_eq!(summary.columns_dropped, 4);
    let all = format!("{same:?} {summary:?} {:?}", summary.fact(&of));
    assert!(values.iter().all(|value| !all.contains(value)));
}

/// A row of Adyen's report with these fields, in this order of columns.
fn adyen(order: &[usize], rows: &[[&str; 19]]) -> Kept {
    const HEADERS: [&str; 19] = [
        "Merchant Account",
        "Psp Reference",
        "Merchant Reference",
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
    ];
    let write = |row: &[&str; 19]| {
        order
            .iter()
            .map(|at| row[*at])
            .collect::<Vec<_>>()
            .join(",")
    };
    let mut text = write(&HEADERS) + "\n";
    for row in rows {
        text.push_str(&(write(row) + "\n"));
    }
    kept(Some(ProviderKind::Adyen), &text)
}

fn in_order() -> Vec<usize> {
    (0..19).collect()
}

#[rustfmt::skip]
const SETTLED: [&str; 19] = [
    "Shop", "PSPREF1", "pay-1", "2021-03-01 12:00:00", "CET", "Settled", "MODREF1", "USD", "", "1.00", "1", "USD", "", "0.76",
    "", "", "0.02", "0.22", "7",
];

#[test]
fn adyens_columns_stand_in_any_order() {
    let expect = adyen(&in_order(), &[SETTLED]);
    let line = &expect.lines[0];
    assert_eq!(
        (line.gross, line.fee, line.scheme_fee, line.net),
        (100, 0, 24, 76)
    );
    assert_eq!(differs(line), None);
    assert_eq!(
        (line.object.as_str(), line.movement.as_str()),
        ("PSPREF1", "MODREF1")
    );
    assert_eq!((line.payout.as_str(), line.kind.as_str()), ("7", "charge"));
    assert_eq!(line.stamps, ["pay-1"]);
    assert_eq!(line.occurred_ms, 1_614_596_400_000);
    let mut last = in_order();
    last.remove(1);
    last.push(1);
    assert_eq!(adyen(&last, &[SETTLED]), expect);
}

#[test]
fn adyens_rates_round_within_one_minor_unit() {
    let mut row = SETTLED;
    (row[7], row[9], row[10]) = ("EUR", "5.35", "1.0656568");
    (row[13], row[14], row[16], row[17]) = ("5.43", "0.27", "", "");
    let euro = &adyen(&in_order(), &[row]).lines[0];
    assert_eq!(
        (euro.gross, euro.fee, euro.net, euro.rounding),
        (570, 27, 543, 0)
    );
    assert_eq!(
        (euro.buyer_currency.as_str(), euro.buyer_amount),
        ("EUR", 535)
    );
    assert_eq!(differs(euro), None);
    row[13] = "5.44";
    let up = &adyen(&in_order(), &[row]).lines[0];
    assert_eq!((up.rounding, differs(up)), (1, None));
    row[13] = "5.46";
    let wrong = &adyen(&in_order(), &[row]).lines[0];
    assert_eq!((wrong.rounding, differs(wrong)), (0, Some(3)));

    let mut row = SETTLED;
    (row[7], row[9], row[10]) = ("INR", "10", "0.011");
    (row[12], row[13], row[15], row[16], row[17]) = ("0.03", "", "0.04", "0.1", "");
    let rupees = &adyen(&in_order(), &[row]).lines[0];
    assert_eq!(
        (rupees.gross, rupees.fee, rupees.scheme_fee, rupees.net),
        (11, 4, 10, -3)
    );
    assert_eq!(differs(rupees), None);
}

#[test]
fn adyens_rows_without_id_are_numbered_and_named() {
    let mut fee = SETTLED;
    (fee[1], fee[2], fee[5], fee[6], fee[7], fee[9]) = ("", "", "Fee", "", "", "");
    (fee[12], fee[13], fee[16], fee[17]) = ("0.10", "", "", "");
    let mut refund = SETTLED;
    (refund[5], refund[6], refund[8], refund[9]) = ("Refunded", "MODREF2", "1.00", "");
    (refund[12], refund[13], refund[16], refund[17]) = ("1.00", "", "", "");
    let mut payout = fee;
    (payout[5], payout[12]) = ("MerchantPayout", "0.66");
    let mut strange = fee;
    strange[5] = "AdvancementCommissioned";
    let rows = [SETTLED, fee, fee, refund, payout, strange];
    let kept = adyen(&in_order(), &rows);
    assert_eq!(kept.nets(), [76, -10, -10, -100, -66, -10]);
    let kinds: Vec<_> = kept.lines.iter().map(|line| line.kind.as_str()).collect();
    assert_eq!(kinds, ["charge", "fee", "fee", "refund", "payout", "other"]);
    assert!(kept.lines.iter().all(|line| differs(line).is_none()));
    assert_eq!(kept.lines[1].gross, -10);
    let (one, nth) = kept.lines[1].line.rsplit_once('.').unwrap();
    assert_eq!((nth, &kept.lines[2].line), ("1", &format!("{one}.2")));
    let refund = &kept.lines[3];
    assert_eq!(
        (refund.object.as_str(), refund.parent.as_str()),
        ("MODREF2", "PSPREF1")
    );
    assert_eq!(kept.lines[5].raw_kind, "AdvancementCommissioned");
}

#[test]
fn squares_kinds_are_those_of_its_list() {
    let entry = |kind: &str, amount: i64| {
        let money = |amount: i64| serde_json::json!({ "amount": amount, "currency_code": "JPY" });
        serde_json::json!({
            "id": format!("poe_{kind}_{amount}"), "type": kind, "gross_amount_money": money(amount),
            "fee_amount_money": money(0), "net_amount_money": money(amount),
        })
    };
    let kinds = [
        ("FEE", -5, "fee"),
        ("UNDO_PROCESSING_FEE_REFUND", -5, "fee"),
        ("THIRD_PARTY_FEE_REFUND", 5, "fee"),
        ("TAX_ON_FEE", -5, "tax"),
        ("OPEN_DISPUTE", -5, "dispute"),
        ("DISPUTE", 5, "dispute_reversal"),
        ("HOLD_ADJUSTMENT", 5, "reserve_release"),
        ("RESERVE_HOLD", -5, "reserve_hold"),
        ("RETURNED_PAYOUT", 5, "payout_reversal"),
        ("ESCHEATMENT", -5, "other"),
    ];
    let entries: Vec<_> = kinds
        .iter()
        .map(|(kind, amount, _)| entry(kind, *amount))
        .collect();
    let text = serde_json::json!({ "payout_entries": entries }).to_string();
    let kept = kept(Some(ProviderKind::Square), &text);
    for (line, (_, amount, kind)) in kept.lines.iter().zip(kinds) {
        assert_eq!(
            (line.kind.as_str(), line.net),
            (kind, amount),
            "{}",
            line.raw_kind
        );
    }
    assert_eq!(kept.lines.len(), kinds.len());
}

#[test]
fn a_test_payment_is_not_taken_into_a_live_account() {
    let text = r#"{"transactions":[{"id":1,"type":"charge","amount":"1.00","fee":"0","net":"1.00",
        "currency":"EUR","payout_id":7,"test":true}]}"#;
    assert_eq!(kept(Some(ProviderKind::Shopify), text).bad, [(1, "test")]);
    let of = FileContext {
        test: true,
        ..context(Some(ProviderKind::Shopify))
    };
    assert_eq!(keep(text.as_bytes(), &of).unwrap().0.lines.len(), 1);
}
