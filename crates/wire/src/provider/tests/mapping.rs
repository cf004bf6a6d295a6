//! What messages become, by example.

use super::bodies::sign_item;
use super::*;

fn one(kind: ProviderKind, topic: &str, body: &Json) -> ProviderObject {
    let told = all_of(kind, topic, body);
    assert_eq!(told.objects.len(), 1, "{told:?}");
    told.objects[0].clone()
}

fn all_of(kind: ProviderKind, topic: &str, body: &Json) -> Received {
    let account = account(kind, "00ff");
    let body = body.to_string();
    let headers = signed(&account, body.as_bytes(), topic);
    give(&account, &headers, body.as_bytes()).unwrap()
}

fn stripe(name: &str, object: &Json) -> Json {
    json!({"id": "evt_1", "type": name, "created": 1_700_000_000, "livemode": false, "data": {"object": object}})
}

fn adyen(code: &str, success: &str, original: &str) -> Json {
    let mut item = json!({"eventCode": code, "success": success, "pspReference": "PSP2", "originalReference": original,
        "merchantAccountCode": "Shop", "merchantReference": "pwr-1", "eventDate": "2026-11-28T18:00:00Z",
        "amount": {"value": "1000", "currency": "EUR"}, "reason": "4111111111111111"});
    sign_item(&account(ProviderKind::Adyen, "00ff"), &mut item);
    json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]})
}

#[test]
fn a_charge_is_its_intents_payment() {
    let object = one(
        ProviderKind::Stripe,
        "",
        &stripe(
            "charge.succeeded",
            &json!({"id": "ch_1", "payment_intent": "pi_1", "captured": true, "amount": 500,
            "amount_captured": 450, "currency": "gbp", "metadata": {"pw_ref": "pwr-x", "orderId": "1001", "who": "Bob"},
            "billing_details": {"email": "bob@example.com"}, "created": 1_699_999_999,
            "payment_method_details": {"card_present": {"last4": "4242", "offline": {"stored_at": 1_699_990_000, "type": "deferred"}}}}),
        ),
    );
    assert_eq!(
        (object.object.as_str(), object.aliases.as_slice()),
        ("pi_1", &["ch_1".to_owned()][..])
    );
    assert_eq!(
        (object.state.as_str(), object.amount, object.authorised),
        ("captured", 450, 500)
    );
    assert_eq!(
        (object.currency.as_str(), object.order.as_str()),
        ("GBP", "1001")
    );
    assert_eq!(object.stamps, ["pwr-x"]);
    assert!(object.offline);
    assert_eq!(object.stored_ms, 1_699_990_000_000);
    assert_eq!(
        (object.version, object.created_ms),
        (1_700_000_000, 1_699_999_999_000)
    );
    assert_eq!(
        (object.delivery.as_str(), object.message.as_str()),
        ("evt_1", "charge.succeeded")
    );
}

#[test]
fn what_was_refunded_so_far_is_a_step() {
    let charge = json!({"id": "ch_1", "payment_intent": "pi_1", "amount": 500, "amount_refunded": 200, "currency": "gbp", "captured": true});
    let object = one(
        ProviderKind::Stripe,
        "",
        &stripe("charge.refunded", &charge),
    );
    assert_eq!(
        (object.kind.as_str(), object.object.as_str()),
        ("refund", "ch_1:200")
    );
    assert_eq!((object.parent.as_str(), object.amount), ("pi_1", 200));
    assert!(object.cumulative);
}

#[test]
fn a_dispute_tells_its_fee() {
    let dispute = json!({"id": "dp_1", "charge": "ch_1", "status": "needs_response", "amount": 25000, "currency": "usd",
        "balance_transactions": [{"amount": -25000, "fee": 1500, "net": -26500}]});
    let object = one(
        ProviderKind::Stripe,
        "",
        &stripe("charge.dispute.funds_withdrawn", &dispute),
    );
    assert_eq!(
        (object.state.as_str(), object.amount, object.fee),
        ("open", 25_000, Some(1_500))
    );
}

#[test]
fn a_payout_tells_how_a_bank_knows_it() {
    let payout = json!({"id": "po_1", "status": "paid", "amount": 1100, "currency": "USD", "trace_id": {"status": "supported", "value": "TR123"}});
    let object = one(
        ProviderKind::Stripe,
        "",
        &stripe("payout.reconciliation_completed", &payout),
    );
    assert_eq!(
        (object.state.as_str(), object.trace.as_str()),
        ("paid", "TR123")
    );
}

#[test]
fn amounts_that_leave_a_remainder_are_parked() {
    let payout = json!({"id": "po_1", "status": "paid", "amount": 1150, "currency": "isk"});
    let told = all_of(ProviderKind::Stripe, "", &stripe("payout.paid", &payout));
    assert_eq!(told.inexact, 1);
    let object = &told.objects[0];
    assert_eq!(
        (
            object.state.as_str(),
            object.failure.as_str(),
            object.amount
        ),
        ("created", "PW0916", 0)
    );
    let object = one(
        ProviderKind::Stripe,
        "",
        &stripe(
            "payout.paid",
            &json!({"id": "po_1", "status": "paid", "amount": 1100, "currency": "isk"}),
        ),
    );
    assert_eq!((object.amount, object.currency.as_str()), (11, "ISK"));
}

#[test]
fn messages_of_the_other_mode_are_refused() {
    let mut event = stripe(
        "payout.paid",
        &json!({"id": "po_1", "status": "paid", "amount": 1, "currency": "usd"}),
    );
    event["livemode"] = json!(true);
    let told = all_of(ProviderKind::Stripe, "", &event);
    assert_eq!((told.objects.len(), told.test_mode), (0, 1));
    let told = all_of(
        ProviderKind::Shopify,
        "order_transactions/create",
        &json!({"id": 1, "kind": "sale", "status": "success", "amount": "1.00", "test": false}),
    );
    assert_eq!((told.objects.len(), told.test_mode), (0, 1));
}

#[test]
fn card_like_ids_are_mapped_everywhere_alike() {
    let body = json!({"id": 4_111_111_111_111_111u64, "kind": "sale", "status": "success", "amount": "1.00", "currency": "USD"});
    let told = all_of(ProviderKind::Shopify, "order_transactions/create", &body);
    assert_eq!(told.mapped, 1);
    let id = &told.objects[0].object;
    assert_eq!(*id, ReferenceKey::new([3; 32]).map("4111111111111111"));
}

#[test]
fn square_tells_payment_and_refunds_so_far() {
    let money = |amount: i64| json!({"amount": amount, "currency": "GBP"});
    let body = json!({"event_id": "e-1", "type": "payment.updated", "created_at": "2026-11-28T18:00:00Z", "data": {"object": {"payment": {
        "id": "P1", "status": "COMPLETED", "total_money": money(500), "tip_money": money(50), "approved_money": money(500),
        "refunded_money": money(120), "reference_id": "pwr-1", "order_id": "O1", "version": 4, "is_offline_payment": true,
        "offline_payment_details": {"client_created_at": "2026-11-28T17:00:00Z"}, "processing_fee": [{"amount_money": money(9)}]}}}});
    let told = all_of(ProviderKind::Square, "", &body);
    let [payment, step] = told.objects.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (payment.amount, payment.tip, payment.fee),
        (500, 50, Some(9))
    );
    assert!(payment.offline && payment.stored_ms > 0);
    assert_eq!(
        (payment.version, payment.stamps.as_slice()),
        (4, &["pwr-1".to_owned()][..])
    );
    assert_eq!(
        (
            step.object.as_str(),
            step.parent.as_str(),
            step.delivery.as_str()
        ),
        ("P1:120", "P1", "e-1#1")
    );
    assert!(step.cumulative);
}

#[test]
fn a_capture_of_shopify_is_of_its_authorisation() {
    let body = json!({"id": 2, "parent_id": 1, "kind": "capture", "status": "success", "amount": "4.50", "currency": "GBP", "order_id": 9});
    let object = one(ProviderKind::Shopify, "order_transactions/create", &body);
    assert_eq!(
        (object.object.as_str(), object.aliases.as_slice()),
        ("1", &["2".to_owned()][..])
    );
    assert_eq!((object.amount, object.order.as_str()), (450, "9"));
    let order = json!({"id": 9, "note_attributes": [{"name": "pw_ref", "value": "pwr-1"}, {"name": "gift", "value": "for Bob"}], "currency": "GBP", "email": "b@x.org"});
    let object = one(ProviderKind::Shopify, "orders/create", &order);
    assert_eq!(
        (object.object.as_str(), object.order.as_str()),
        ("order:9", "9")
    );
    assert_eq!(
        (object.stamps.as_slice(), object.amount),
        (&["pwr-1".to_owned()][..], 0)
    );
}

#[test]
fn changes_of_adyen_join_their_payment() {
    for (code, success, kind, state, object) in [
        ("AUTHORISATION", "true", "payment", "authorised", "PSP2"),
        ("AUTHORISATION", "false", "payment", "declined", "PSP2"),
        ("CAPTURE", "true", "payment", "captured", "PSP1"),
        (
            "CAPTURE_FAILED",
            "true",
            "payment",
            "capture_failed",
            "PSP1",
        ),
        ("TECHNICAL_CANCEL", "true", "payment", "voided", "PSP1"),
        ("EXPIRE", "true", "payment", "expired", "PSP2"),
        ("REFUND", "true", "refund", "succeeded", "PSP2"),
        ("REFUND", "false", "refund", "failed", "PSP2"),
        ("REFUNDED_REVERSED", "true", "refund", "failed", "PSP2"),
        ("CANCEL_OR_REFUND", "true", "refund", "requested", "PSP2"),
        (
            "NOTIFICATION_OF_CHARGEBACK",
            "true",
            "dispute",
            "inquiry",
            "PSP2",
        ),
        ("CHARGEBACK", "true", "dispute", "open", "PSP2"),
        ("CHARGEBACK_REVERSED", "true", "dispute", "won", "PSP2"),
        ("SECOND_CHARGEBACK", "true", "dispute", "open", "PSP2"),
        ("PREARBITRATION_LOST", "true", "dispute", "lost", "PSP2"),
    ] {
        let original = if code == "AUTHORISATION" || code == "EXPIRE" {
            ""
        } else {
            "PSP1"
        };
        let told = one(ProviderKind::Adyen, "", &adyen(code, success, original));
        assert_eq!(
            (
                told.kind.as_str(),
                told.state.as_str(),
                told.object.as_str()
            ),
            (kind, state, object),
            "{code}"
        );
        assert_eq!(
            (told.amount, told.stamps.as_slice()),
            (1_000, &["pwr-1".to_owned()][..])
        );
        assert_eq!(told.delivery, format!("{code}:PSP2:{success}"));
    }
    for (code, success) in [("CAPTURE", "false"), ("REPORT_AVAILABLE", "true")] {
        let told = all_of(ProviderKind::Adyen, "", &adyen(code, success, "PSP1"));
        assert_eq!((told.objects.len(), told.ignored.len()), (0, 1), "{code}");
    }
}

#[test]
fn of_a_batch_the_items_that_fit_are_taken() {
    let mut batch = adyen("AUTHORISATION", "true", "");
    let mut bad = batch["notificationItems"][0].clone();
    bad["NotificationRequestItem"]["amount"]["value"] = json!(9);
    batch["notificationItems"].as_array_mut().unwrap().push(bad);
    let told = all_of(ProviderKind::Adyen, "", &batch);
    assert_eq!((told.objects.len(), told.bad), (1, 1));
}

#[test]
fn a_message_that_comes_again_makes_the_same_record() {
    let body = stripe(
        "payout.paid",
        &json!({"id": "po_1", "status": "paid", "amount": 5, "currency": "usd"}),
    );
    let first = record(one(ProviderKind::Stripe, "", &body), Stamp::default());
    let mut again = body.clone();
    again["pending_webhooks"] = json!(3);
    let again = record(one(ProviderKind::Stripe, "", &again), Stamp::default());
    assert_eq!(
        (&first.source, &first.id, first.content),
        (&again.source, &again.id, again.content)
    );
    let mut other = body;
    other["data"]["object"]["amount"] = json!(6);
    let other = record(one(ProviderKind::Stripe, "", &other), Stamp::default());
    assert_eq!(first.id, other.id);
    assert_ne!(first.content, other.content);
    assert_eq!(first.source.as_str(), "popwatch:provider/stripe/main");
}
