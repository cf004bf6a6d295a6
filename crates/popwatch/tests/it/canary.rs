//! Planted secrets through every door of the real binary, which is killed in mid-write: none of them
//! may be in its data, its logs or anything it answers.
//!
//! `POPWATCH_CANARIES` says how many; `POPWATCH_SEED` repeats a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use popwatch_core::provider::ProviderKind;
use popwatch_redact::detect::Rule;
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_redact::samples::{Dice, Secret, secret};
use popwatch_wire::provider::{Account, Secrets, sample};
use serde_json::{Value, json};

use crate::support::{Answer, Process, Site, http, sale, sell, try_get, until};

const POPUP: &str = "stall";
const SECRET: &str = "00ff00ff";
/// Events of one request, and requests between two kills.
const BATCH: usize = 12;
const BATCHES_PER_LIFE: usize = 8;
/// Bytes of a needle by which it is looked up.
const HEAD: usize = 6;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What was planted, by its first bytes.
#[derive(Default)]
struct Needles(BTreeMap<[u8; HEAD], Vec<(String, String)>>);

impl Needles {
    fn plant(&mut self, secret: &Secret) {
        for needle in &secret.needles {
            let head = needle.as_bytes()[..HEAD].try_into().unwrap();
            let planted = (needle.clone(), format!("{:?}", secret.rule));
            self.0.entry(head).or_default().push(planted);
        }
    }

    /// Looks for all of them at every byte.
    #[track_caller]
    fn absent(&self, place: &str, bytes: &[u8]) {
        let mut starts = vec![false; 1 << 16];
        for head in self.0.keys() {
            starts[usize::from(u16::from_le_bytes([head[0], head[1]]))] = true;
        }
        for at in 0..bytes.len().saturating_sub(HEAD - 1) {
            let two = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            if !starts[usize::from(two)] {
                continue;
            }
            let head: [u8; HEAD] = bytes[at..at + HEAD].try_into().unwrap();
            for (needle, kind) in self.0.get(&head).into_iter().flatten() {
                let found = bytes[at..].starts_with(needle.as_bytes());
                let around = &bytes[at.saturating_sub(40)..(at + 80).min(bytes.len())];
                let around = String::from_utf8_lossy(around);
                assert!(!found, "{kind} {needle:?} is in {place}: {around:?}");
            }
        }
    }

    #[track_caller]
    fn absent_below(&self, folder: &Path) -> u64 {
        let mut seen = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            self.absent("a file's name", name.as_bytes());
            if path.is_dir() {
                seen += self.absent_below(&path);
            } else {
                let bytes = fs::read(&path).unwrap();
                self.absent(&name, &bytes);
                seen += bytes.len() as u64;
            }
        }
        seen
    }
}

/// A site whose edge and ledger take messages of a provider.
struct Planted {
    site: Site,
    dice: Dice,
    needles: Needles,
    answers: Vec<(String, Answer)>,
    planted: usize,
    events: usize,
}

impl Planted {
    fn secret(&mut self) -> Secret {
        let secret = secret(&mut self.dice);
        self.needles.plant(&secret);
        self.planted += 1;
        secret
    }

    fn text(&mut self) -> String {
        let secret = self.secret();
        let (before, after) = *self
            .dice
            .one(&[("", ""), ("note: ", " thanks"), ("(", ")")]);
        format!("{before}{}{after}", secret.text)
    }

    /// A secret of what a reference may hold: digits and letters in one run.
    fn bare(&mut self) -> String {
        self.bare_of(&[Rule::Pan, Rule::Ip, Rule::Iban])
    }

    fn bare_of(&mut self, rules: &[Rule]) -> String {
        loop {
            let secret = secret(&mut self.dice);
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:~/-".contains(&byte);
            if rules.contains(&secret.rule) && secret.text.bytes().all(fits) {
                self.needles.plant(&secret);
                self.planted += 1;
                return secret.text;
            }
        }
    }

    /// A secret of what goods are looked through for: trade numbers have up to fourteen digits.
    fn goods(&mut self) -> String {
        loop {
            let secret = secret(&mut self.dice);
            let long = |digits: &String| digits.len() > 14;
            if secret.rule == Rule::Email
                || (secret.rule == Rule::Pan && secret.needles.iter().all(long))
            {
                self.needles.plant(&secret);
                self.planted += 1;
                return secret.text;
            }
        }
    }

    fn ask(&mut self, what: &str, address: &str, headers: &[(&str, &str)], body: &[u8]) {
        // A server that is being killed does not answer.
        if let Ok(answer) = http(address, what, headers, body) {
            self.answers.push((what.to_owned(), answer));
        }
    }

    fn event(&mut self, name: &str, data: &Value) -> Value {
        self.events += 1;
        json!({"specversion": "1.0", "id": format!("e-{}", self.events), "source": "shop",
            "popup": POPUP, "type": format!("popwatch.{name}"), "data": data})
    }

    /// One event with a secret in every field that takes text.
    fn planted_event(&mut self) -> Value {
        let number = self.events;
        let (first, second, third) = (self.text(), self.text(), self.bare());
        let (unknown, goods) = (self.text(), self.goods());
        match self.dice.below(7) {
            0 => {
                let line = json!({"sku": goods, "qty": 1, "amount": 100, "creator": second});
                let data = json!({"payment": third, "order": format!("o-{number}"), "amount": 100,
                    "currency": "EUR", "method": unknown, "lines": [line],
                    "card_number": self.bare(), "customer": {"mail": self.text()}});
                self.event("payment.captured", &data)
            }
            1 => {
                let data = json!({"refund": format!("r-{number}"), "payment": third, "amount": 5,
                    "currency": "EUR", "reason": first, "remark": second});
                self.event("payment.refunded", &data)
            }
            2 => {
                let data = json!({"stream": first, "viewer": second, "text": unknown});
                self.event("chat.message", &data)
            }
            3 => {
                let data = json!({"checkout": third, "stage": first, "reason": "other",
                    "remark": second});
                self.event("checkout.abandoned", &data)
            }
            4 => {
                let data = json!({"sku": goods, "qty": 3, "reason": second, "to": unknown});
                self.event("inventory.received", &data)
            }
            5 => {
                // An identity, a number, a name of a field: refused or removed.
                let mut data = json!({"payment": third, "order": "o", "amount": 5,
                    "currency": first, "method": "cash"});
                data[unknown] = json!(second);
                let mut event = self.event("payment.captured", &data);
                let name = *self.dice.one(&["id", "type", "popup", "time", "subject"]);
                event[name] = json!(self.bare_of(&[Rule::Pan]));
                event
            }
            _ => {
                let data = json!({"viewer": first, "sku": goods, "creator": unknown});
                self.event("product.viewed", &data)
            }
        }
    }

    /// One request of each door at the edge.
    fn knock(&mut self) {
        let edge = self.site.edge.clone();
        let events: Vec<Value> = (0..BATCH).map(|_| self.planted_event()).collect();
        let media = ("Content-Type", "application/cloudevents-batch+json");
        let agent = self
            .text()
            .replace(|c: char| !c.is_ascii() || c.is_ascii_control(), "");
        let headers = [media, ("User-Agent", agent.as_str())];
        let body = serde_json::to_vec(&events).unwrap();
        self.ask("POST /v1/events", &edge, &headers, &body);
        // A body that ends in the middle of a secret's event.
        let cut = body.len() / 2;
        self.ask("POST /v1/events", &edge, &headers, &body[..cut]);
        self.spans(&edge);
        self.provider(&edge);
    }

    fn spans(&mut self, edge: &str) {
        let number = self.events;
        let attribute =
            |key: &str, text: String| json!({"key": key, "value": {"stringValue": text}});
        let attributes = json!([
            attribute("popwatch.popup", POPUP.into()),
            attribute("popwatch.channel", self.text()),
            attribute("popwatch.creator", self.text()),
            attribute("popwatch.viewer", self.text()),
            attribute("popwatch.order", self.bare()),
            attribute("http.url", self.text()),
        ]);
        let span = json!({"traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"),
            "name": "checkout", "startTimeUnixNano": "1795396001639000000",
            "endTimeUnixNano": "1795396002539000000", "attributes": attributes,
            "events": [{"name": self.text(), "timeUnixNano": "1795396001739000000"}],
            "status": {"code": 2, "message": self.text()}});
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
        let headers = [("Content-Type", "application/json")];
        self.ask("POST /v1/traces", edge, &headers, body.as_bytes());
    }

    fn provider(&mut self, address: &str) {
        let number = self.events;
        let at = now_ms() / 1_000;
        let body = json!({"id": format!("evt_{number}"), "type": "payment_intent.succeeded",
            "created": at, "livemode": true, "data": {"object": {"id": format!("pi_{number}"),
                "created": at, "amount": 100, "amount_received": 100, "currency": "eur",
                "receipt_email": self.text(), "description": self.text(),
                "statement_descriptor": self.text(),
                "metadata": {"pw_ref": self.bare(), "order_id": self.bare(), "note": self.text()},
                "charges": {"data": [{"billing_details": {"phone": self.text()}}]}}}})
        .to_string();
        let signed = sample(&account(), body.as_bytes(), now_ms());
        let headers: Vec<(&str, &str)> = signed.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.ask(
            "POST /v1/webhooks/stripe",
            address,
            &headers,
            body.as_bytes(),
        );
        let forged = [("Stripe-Signature", "t=1,v1=00")];
        self.ask(
            "POST /v1/webhooks/stripe",
            address,
            &forged,
            body.as_bytes(),
        );
    }

    /// What people bring to the ledger.
    fn files(&mut self) {
        let ledger = self.site.ledger.clone();
        self.provider(&ledger);
        let cell = |text: String| text.replace(['"', '\n', '\r'], " ");
        let mut sheet = "kind,key,qty,amount,currency,location,counted_at,counter\n".to_owned();
        let mut bank = "date,amount,currency,reference,id\n".to_owned();
        let mut stripe =
            "balance_transaction_id,created,currency,gross,fee,net,reporting_category,\
            payment_intent_id,source_id,automatic_payout_id,description,customer_email\n"
                .to_owned();
        for row in 0..20 {
            let cells = [(); 4].map(|()| cell(self.text()));
            let [one, two, three, four] = &cells;
            let key = if row % 2 == 0 { "mug" } else { one };
            let when = "2020-01-01T00:00:00Z";
            sheet.push_str(&format!(
                "stock,\"{key}\",1,,,\"{two}\",{when},\"{three}\"\n"
            ));
            bank.push_str(&format!("2026-11-23,10.00,GBP,\"{four}\",b{row}\n"));
            let (id, source) = (self.bare(), self.bare());
            let (more, mail) = (cell(self.text()), cell(self.text()));
            stripe.push_str(&format!(
                "txn_{row},2026-03-06 20:00:00,eur,10.00,0.30,9.70,charge,{id},{source},po_1,\
                 \"{more}\",\"{mail}\"\n"
            ));
        }
        let path = "POST /v1/popups/stall/";
        self.ask(&format!("{path}counts"), &ledger, &[], sheet.as_bytes());
        let of = format!("{path}settlements?provider=bank&account=giro");
        self.ask(&of, &ledger, &[], bank.as_bytes());
        self.ask(&of, &ledger, &[], stripe.as_bytes());
        let of = format!("{path}settlements?provider=stripe&account=main");
        self.ask(&of, &ledger, &[], stripe.as_bytes());
        let decision = json!({"accept": {"break": self.text(), "account": self.text(),
            "why": self.text()}});
        let json = [("Content-Type", "application/json")];
        let body = decision.to_string();
        self.ask(&format!("{path}decisions"), &ledger, &json, body.as_bytes());
    }

    /// Everything a page or machine can read.
    fn reads(&mut self) {
        let popup = format!("/v1/popups/{POPUP}");
        let views = [
            "summary",
            "series",
            "inventory",
            "rigs",
            "signals",
            "slo",
            "cells",
        ];
        let books = [
            "books",
            "breaks",
            "reconciliation",
            "statements/ana",
            "access-log",
            "cells",
        ];
        let (edge, ledger) = (self.site.edge.clone(), self.site.ledger.clone());
        for address in [&edge, &ledger, &self.site.region.clone()] {
            for path in [
                "/v1/status",
                "/metrics",
                "/v1/popups",
                "/v1/audit",
                "/",
                "/v1/rigs",
            ] {
                self.ask(&format!("GET {path}"), address, &[], b"");
            }
            for path in views.iter().chain(&books) {
                self.ask(&format!("GET {popup}/{path}"), address, &[], b"");
            }
            for board in ["creators", "skus", "channels", "rigs"] {
                self.ask(
                    &format!("GET {popup}/leaderboards/{board}"),
                    address,
                    &[],
                    b"",
                );
            }
        }
    }
}

fn account() -> Account {
    Account {
        name: "main".into(),
        kind: ProviderKind::Stripe,
        is_live: true,
        secrets: Secrets::new(ProviderKind::Stripe, &[SECRET]).unwrap(),
        notification_url: String::new(),
        stamp_keys: Vec::new(),
        order_keys: Vec::new(),
        captures_at_once: false,
        currency: None,
        exponents: Vec::new(),
        reference: ReferenceKey::new([0; 32]),
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

#[test]
fn no_planted_secret_is_kept_told_or_logged() {
    let (canaries, seed) = (
        from_env("POPWATCH_CANARIES", 500),
        from_env("POPWATCH_SEED", 1),
    );
    eprintln!("POPWATCH_CANARIES={canaries} POPWATCH_SEED={seed}");
    let canaries = usize::try_from(canaries).unwrap();
    let site = Site::new(&format!("canary-{canaries}"));
    let secrets = site.folder.write("secret", SECRET);
    let provider = format!(
        "[providers.main]\nkind = \"stripe\"\nsecrets_file = \"{}\"\n",
        secrets.display()
    );
    let of_ledger = format!(
        "data = \"{}\"\n[ledger]\nlisten = \"{}\"\nregions = [\"http://{}\"]\n{provider}",
        site.folder.join("books").display(),
        site.ledger,
        site.region
    );
    let of_edge = format!("{}{provider}", site.edge_config());
    let (region, ledger) = (site.start_region(), site.started("ledger", &of_ledger));
    let mut edge = site.started("edge", &of_edge);
    let mut all = Planted {
        site,
        dice: Dice(seed),
        needles: Needles::default(),
        answers: Vec::new(),
        planted: 0,
        events: 0,
    };
    sell(&all.site.edge, &[sale(POPUP, "shop", "first", 100)]);
    let mut said = String::new();
    while all.planted < canaries {
        for _ in 0..BATCHES_PER_LIFE {
            if all.planted < canaries {
                all.knock();
            }
        }
        edge = killed_in_mid_write(&mut all, edge, &mut said, &of_edge);
    }
    arrived(&all.site);
    all.files();
    all.reads();
    for (what, answer) in &all.answers {
        all.needles.absent(what, answer.head.as_bytes());
        all.needles.absent(what, &answer.body);
    }
    let taken = |(_, answer): &&(String, Answer)| answer.status == 200;
    assert!(all.answers.iter().filter(taken).count() * 3 > all.answers.len());
    said.push_str(&edge.said());
    for process in [&region, &ledger] {
        said.push_str(&process.said());
    }
    all.needles
        .absent("what the processes said", said.as_bytes());
    assert_eq!(
        (edge.stop(), ledger.stop(), region.stop()),
        (Some(0), Some(0), Some(0))
    );
    let bytes = all.needles.absent_below(all.site.folder.path());
    eprintln!(
        "{} secrets in {} events, {bytes} bytes looked through",
        all.planted, all.events
    );
}

/// A request is on its way when SIGKILL comes; then the edge starts again.
fn killed_in_mid_write(
    all: &mut Planted,
    mut edge: Process,
    said: &mut String,
    config: &str,
) -> Process {
    let events: Vec<Value> = (0..BATCH).map(|_| all.planted_event()).collect();
    let body = serde_json::to_vec(&events).unwrap();
    let address = all.site.edge.clone();
    let sent = std::thread::spawn(move || {
        let media = [("Content-Type", "application/cloudevents-batch+json")];
        http(&address, "POST /v1/events", &media, &body)
    });
    let moment = std::time::Duration::from_micros(all.dice.roll() % 4_000);
    std::thread::park_timeout(moment);
    edge.kill();
    if let Ok(answer) = sent.join().unwrap() {
        all.answers.push(("the last answer".into(), answer));
    }
    said.push_str(&edge.said());
    all.site.started("edge", config)
}

/// Waits until the ledger holds all the edge holds.
fn arrived(site: &Site) {
    until("all is at the ledger", || {
        let status = try_get(&site.edge, "/v1/status")?;
        (status["unsent"]["records"] == 0 && status["replicated"]["seq"] == status["durable_seq"])
            .then_some(())
    });
}
