//! Verifying signed messages of 1 KiB, beside the providers' own Python clients.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use popwatch_core::provider::ProviderKind;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::provider::{Account, Delivery, Secrets, sample, sample_item, verify};
use serde_json::{Value, json};

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure};
use crate::{sample as events, shell};

/// Messages verified at a time.
const MESSAGES: u64 = 2_000;
/// CPU each side gets per provider.
const CPU: Duration = Duration::from_secs(1);
/// Longest the peers may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Verifications per CPU-second.
const BAR: f64 = 100_000.0;
/// Ours ÷ theirs.
const RATIO: f64 = 2.0;
const SECRET: &str = "00112233445566778899aabbccddeeff";
const URL: &str = "https://shop.example/hooks";

/// Verifies the bodies it is told with each client that is installed; prints how many a CPU-second.
/// Shopify's client verifies no webhooks.
const PEERS: &str = r#"
import json, sys, time
told = json.load(sys.stdin)
def rate(work):
    end = time.process_time() + told["cpu_s"]
    begin, count = time.process_time(), 0
    while time.process_time() < end:
        for _ in range(200):
            assert work()
        count += 200
    return count / (time.process_time() - begin)
def stripe():
    import stripe
    t = told["stripe"]
    return lambda: stripe.WebhookSignature.verify_header(t["body"], t["header"], t["secret"], None)
def square():
    from square.utils.webhooks_helper import verify_signature
    t = told["square"]
    return lambda: verify_signature(request_body=t["body"], signature_header=t["header"],
                                    signature_key=t["secret"], notification_url=t["url"])
def adyen():
    from Adyen.util import is_valid_hmac_notification
    t = told["adyen"]
    return lambda: is_valid_hmac_notification(json.loads(t["body"]), t["secret"])
out = {}
for name, make in (("stripe", stripe), ("square", square), ("adyen", adyen)):
    try:
        work = make()
    except ImportError:
        continue
    out[name] = rate(work)
print(json.dumps(out))
"#;

pub(super) fn lines() -> Result<Vec<Line>> {
    let messages: Vec<Message> = ProviderKind::ALL
        .iter()
        .map(|kind| Message::new(*kind))
        .collect::<Result<_>>()?;
    let peers = peers(&messages)?;
    messages
        .iter()
        .map(|message| line(message, &peers))
        .collect()
}

/// A signed message of about 1 KiB.
struct Message {
    account: Account,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Message {
    fn new(kind: ProviderKind) -> Result<Self> {
        let account = Account {
            name: String::from("main"),
            kind,
            is_live: false,
            secrets: Secrets::new(kind, &[SECRET])?,
            notification_url: URL.to_owned(),
            stamp_keys: Vec::new(),
            order_keys: Vec::new(),
            captures_at_once: false,
            currency: None,
            exponents: Vec::new(),
            reference: ReferenceKey::new([1; 32]),
        };
        let mut body = json!({"id": "evt_1", "type": "payment_intent.succeeded", "pad": ""});
        if kind == ProviderKind::Adyen {
            body = adyen(&account);
        }
        let pad = 1_024usize.saturating_sub(body.to_string().len());
        body["pad"] = json!("x".repeat(pad));
        let body = body.to_string();
        let headers = sample(&account, body.as_bytes(), events::WALL_MS);
        let message = Self {
            account,
            headers,
            body,
        };
        ensure!(
            message.fits(),
            "the sample of {} does not verify",
            kind.text()
        );
        Ok(message)
    }

    fn fits(&self) -> bool {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let delivery = Delivery {
            headers: &headers,
            body: self.body.as_bytes(),
            now_ms: Some(events::WALL_MS),
        };
        verify(&self.account, black_box(&delivery)).is_ok()
    }

    fn told(&self) -> Value {
        let header = self.headers.first().map_or("", |(_, value)| value.as_str());
        json!({"body": self.body, "header": header, "secret": SECRET, "url": URL})
    }
}

fn adyen(account: &Account) -> Value {
    let mut item = json!({
        "pspReference": "7914073381342284", "merchantAccountCode": "Shop", "originalReference": "",
        "merchantReference": "pwr-1", "amount": {"value": 1_000, "currency": "EUR"},
        "eventCode": "AUTHORISATION", "success": "true",
    });
    let mac = sample_item(account, &item).expect("the sample's fields are texts");
    item["additionalData"] = json!({ "hmacSignature": mac });
    json!({"live": "false", "pad": "", "notificationItems": [{"NotificationRequestItem": item}]})
}

fn line(message: &Message, peers: &Value) -> Result<Line> {
    let mut spent = Spent::default();
    while spent.cpu < CPU {
        spent.add(measure(|| {
            for _ in 0..MESSAGES {
                ensure!(message.fits(), "a good message was refused");
            }
            Ok(MESSAGES)
        })?);
    }
    let kind = message.account.kind;
    let theirs = peers.get(kind.text()).and_then(Value::as_f64);
    let peer = match theirs {
        Some(_) => format!("{} for Python", kind.text()),
        None => format!("{} for Python (absent)", kind.text()),
    };
    let what = format!("webhooks, {} of {} B", kind.text(), message.body.len());
    let ours = Figure {
        number: Some(spent.per_cpu_second()),
        cpu_us: Some(spent.cpu_us()),
        latency_ms: None,
    };
    Ok(Line {
        peer,
        theirs: Figure {
            number: theirs,
            cpu_us: theirs.map(|rate| 1e6 / rate),
            latency_ms: None,
        },
        ratio_bar: Some(Bar::Least(RATIO)),
        ..Line::alone(&what, "verifications/CPU-s", ours, Some(Bar::Least(BAR)))
    })
}

/// What the clients reach that are installed for `python3`, or in the environment that
/// `POPWATCH_BENCH_PYTHON` names; nothing is fetched.
fn peers(messages: &[Message]) -> Result<Value> {
    let python = std::env::var("POPWATCH_BENCH_PYTHON").unwrap_or_else(|_| String::from("python3"));
    if !python.contains('/') && !shell::on_path(&python) {
        return Ok(Value::Null);
    }
    let mut told = json!({"cpu_s": CPU.as_secs_f64()});
    for message in messages {
        told[message.account.kind.text()] = message.told();
    }
    let folder = shell::root().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let input = folder.join("webhooks.json");
    std::fs::write(&input, told.to_string())?;
    let script = folder.join("webhooks.py");
    std::fs::write(&script, PEERS)?;
    let mut command = shell::command(&python);
    command.arg(&script).stdin(std::fs::File::open(&input)?);
    let said = shell::capture(&mut command, LIMIT)?;
    Ok(serde_json::from_str(&said)?)
}
