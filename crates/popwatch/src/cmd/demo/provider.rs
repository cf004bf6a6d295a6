//! A payment provider for the demo: what Stripe's test mode would have told of the replayed day.
//!
//! The day's sales are real; their charges are made up here, in Stripe's layouts, and labelled test
//! mode. Each capture and refund is told to the ledger as a signed webhook when it happens; when the
//! popup ends, one settlement file and one bank line say what was paid out. The account's secret is
//! drawn for each demo.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use popwatch_core::provider::ProviderKind;
use popwatch_node::client::Client;
use popwatch_wire::json::{rfc3339, rfc3339_ms};
use popwatch_wire::provider::Secrets;
use serde_json::{Value, json};

use crate::till::problem;

/// The account's name in the demo's configuration.
pub(super) const ACCOUNT: &str = "stripe-demo";
/// What the provider takes: 1.5 % and 20 pence, as Stripe lists it for UK cards.
const FEE_PPM: i64 = 15_000;
const FEE_FIXED: i64 = 20;
/// The one payout of the day.
const PAYOUT: &str = "po_demo_1";
/// When the payout comes, after the popup's end, ms.
pub(super) const DAY_MS: i64 = 86_400_000;

/// The provider's memory of the day.
pub(super) struct Provider {
    client: Client,
    ledger: String,
    secrets: Secrets,
    movements: Vec<Movement>,
}

struct Movement {
    category: &'static str,
    source: String,
    charge: String,
    intent: String,
    stamp: String,
    currency: String,
    /// Minor units, positive towards the seller.
    gross: i64,
    fee: i64,
    at_ms: i64,
}

impl Provider {
    /// The provider of a ledger that knows this secret.
    pub(super) fn new(ledger: &str, secret: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(),
            ledger: ledger.to_owned(),
            secrets: Secrets::new(ProviderKind::Stripe, &[secret])?,
            movements: Vec::new(),
        })
    }

    /// Takes note of an event as it happened at a till, and tells the ledger if it moved money.
    pub(super) async fn hear(&mut self, event: &Value, now_ms: i64) -> anyhow::Result<()> {
        let data = &event["data"];
        // Everything follows from the event, so that a day told again tells the same.
        let said = event["time"].as_str().and_then(rfc3339_ms);
        let at_ms = said.unwrap_or(now_ms);
        let (amount, currency) = (
            data["amount"].as_i64().unwrap_or(0),
            data["currency"].as_str().unwrap_or_default(),
        );
        let (kind, object) = match event["type"].as_str() {
            Some("popwatch.payment.captured") => {
                let stamp = data["payment"].as_str().unwrap_or_default();
                let movement = self.charge(stamp, currency, amount, at_ms);
                ("payment_intent.succeeded", intent(movement))
            }
            Some("popwatch.payment.refunded") => {
                let stamp = data["refund"].as_str().unwrap_or_default();
                let movement = self.refund(stamp, currency, amount, at_ms);
                ("refund.created", refund(movement))
            }
            _ => return Ok(()),
        };
        let last = self
            .movements
            .last()
            .map(|movement| movement.source.clone());
        let number = last.unwrap_or_default();
        let message = json!({
            "id": format!("evt_demo_{number}"),
            "object": "event",
            "api_version": "2025-03-31.basil",
            "created": at_ms / 1_000,
            "livemode": false,
            "type": kind,
            "data": { "object": object },
        });
        self.post(&message.to_string(), now_ms).await
    }

    fn charge(&mut self, stamp: &str, currency: &str, amount: i64, at_ms: i64) -> &Movement {
        let number = stamp;
        let scaled = amount.saturating_mul(FEE_PPM);
        let fee = (scaled + 500_000) / 1_000_000 + FEE_FIXED;
        self.push(Movement {
            category: "charge",
            source: format!("ch_demo_{number}"),
            charge: format!("ch_demo_{number}"),
            intent: format!("pi_demo_{number}"),
            stamp: stamp.to_owned(),
            currency: currency.to_ascii_lowercase(),
            gross: amount,
            fee: fee.min(amount),
            at_ms,
        })
    }

    fn refund(&mut self, stamp: &str, currency: &str, amount: i64, at_ms: i64) -> &Movement {
        let number = stamp;
        self.push(Movement {
            category: "refund",
            source: format!("re_demo_{number}"),
            // The day's refunds are of sales made before it.
            charge: format!("ch_before_{number}"),
            intent: String::new(),
            stamp: stamp.to_owned(),
            currency: currency.to_ascii_lowercase(),
            gross: -amount,
            fee: 0,
            at_ms,
        })
    }

    fn push(&mut self, movement: Movement) -> &Movement {
        self.movements.push(movement);
        self.movements.last().expect("just pushed")
    }

    async fn post(&self, body: &str, now_ms: i64) -> anyhow::Result<()> {
        let url = format!("{}/v1/webhooks/stripe?account={ACCOUNT}", self.ledger);
        let at = (now_ms / 1_000).to_string();
        let mac = self.secrets.sign(&[at.as_bytes(), b".", body.as_bytes()]);
        let signed = format!("t={at},v1={}", super::hex(&mac));
        let headers = [
            ("content-type", "application/json"),
            ("stripe-signature", signed.as_str()),
        ];
        let answer = self.client.post(&url, &headers, body.to_owned()).await?;
        if !answer.is_success() {
            bail!("the ledger refused a webhook: {}", problem(&answer));
        }
        Ok(())
    }

    /// The payout reconciliation file of the day, as CSV.
    pub(super) fn settlement(&self, paid_ms: i64) -> String {
        let mut out = String::from(
            "balance_transaction_id,created,available_on,currency,gross,fee,net,\
             reporting_category,source_id,charge_id,payment_intent_id,automatic_payout_id,\
             automatic_payout_effective_at,payment_metadata[pw_ref]\n",
        );
        let paid = stamp(paid_ms);
        for of in &self.movements {
            let row = [
                format!("txn_{}", of.source),
                stamp(of.at_ms),
                paid.clone(),
                of.currency.clone(),
                decimal(of.gross),
                decimal(of.fee),
                decimal(of.gross - of.fee),
                of.category.to_owned(),
                of.source.clone(),
                of.charge.clone(),
                of.intent.clone(),
                PAYOUT.to_owned(),
                paid.clone(),
                of.stamp.clone(),
            ];
            out.push_str(&row.join(","));
            out.push('\n');
        }
        for (currency, net) in self.nets() {
            let row = [
                format!("txn_demo_payout_{currency}"),
                paid.clone(),
                paid.clone(),
                currency,
                decimal(-net),
                "0.00".to_owned(),
                decimal(-net),
                "payout".to_owned(),
                PAYOUT.to_owned(),
                String::new(),
                String::new(),
                PAYOUT.to_owned(),
                paid.clone(),
                String::new(),
            ];
            out.push_str(&row.join(","));
            out.push('\n');
        }
        out
    }

    /// The bank's statement of the payout, as CSV.
    pub(super) fn bank(&self, paid_ms: i64) -> String {
        let mut out = String::from("id,date,amount,currency,reference\n");
        let date = stamp(paid_ms);
        let date = date.split_once(' ').map_or(date.as_str(), |(date, _)| date);
        for (at, (currency, net)) in self.nets().into_iter().enumerate() {
            let row = [
                format!("bank-{}", at + 1),
                date.to_owned(),
                decimal(net),
                currency.to_ascii_uppercase(),
                format!("STRIPE {PAYOUT}"),
            ];
            out.push_str(&row.join(","));
            out.push('\n');
        }
        out
    }

    fn nets(&self) -> BTreeMap<String, i64> {
        let mut nets = BTreeMap::<String, i64>::new();
        for of in &self.movements {
            *nets.entry(of.currency.clone()).or_default() += of.gross - of.fee;
        }
        nets
    }

    /// Hands both files to the ledger.
    pub(super) async fn settle(&self, popup: &str, paid_ms: i64) -> anyhow::Result<()> {
        let query = format!("provider=stripe&account={ACCOUNT}&layout=stripe.itemized");
        self.upload(popup, &query, self.settlement(paid_ms)).await?;
        let query = "provider=bank&account=demo&layout=bank";
        self.upload(popup, query, self.bank(paid_ms)).await
    }

    async fn upload(&self, popup: &str, query: &str, text: String) -> anyhow::Result<()> {
        let url = format!("{}/v1/popups/{popup}/settlements?{query}", self.ledger);
        let answer = self
            .client
            .post(&url, &[("content-type", "text/csv")], text)
            .await
            .with_context(|| format!("{url} cannot be reached"))?;
        if !answer.is_success() {
            bail!(
                "the ledger refused the demo's settlement file: {}",
                problem(&answer)
            );
        }
        Ok(())
    }
}

fn intent(of: &Movement) -> Value {
    json!({
        "id": of.intent,
        "object": "payment_intent",
        "amount": of.gross,
        "amount_received": of.gross,
        "currency": of.currency,
        "created": of.at_ms / 1_000,
        "latest_charge": of.charge,
        "livemode": false,
        "metadata": { "pw_ref": of.stamp },
        "status": "succeeded",
    })
}

fn refund(of: &Movement) -> Value {
    json!({
        "id": of.source,
        "object": "refund",
        "amount": -of.gross,
        "charge": of.charge,
        "currency": of.currency,
        "created": of.at_ms / 1_000,
        "metadata": { "pw_ref": of.stamp },
        "status": "succeeded",
    })
}

/// Minor units as a decimal; the demo's currency has two digits.
fn decimal(minor: i64) -> String {
    let size = minor.unsigned_abs();
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// `2011-12-05 18:03:00`, as the provider's files write UTC.
fn stamp(ms: i64) -> String {
    let text = rfc3339(ms);
    text.get(..19).unwrap_or(&text).replace('T', " ")
}
