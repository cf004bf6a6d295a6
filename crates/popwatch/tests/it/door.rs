//! Bad input over raw HTTP: status, code and field of each, and that its neighbours are kept.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::{Answer, Process, Site, http, post, sale, sell};

const POPUP: &str = "stall";

struct Till {
    site: Site,
    _edge: Process,
}

fn till(name: &str) -> Till {
    let site = Site::new(name);
    let config = format!(
        "data = \"{}\"\n[edge]\nlisten = \"{}\"\nrig = \"till-1\"\nhost_probes = false\n",
        site.till().display(),
        site.edge
    );
    let edge = site.started("edge", &config);
    Till { site, _edge: edge }
}

impl Till {
    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http(&self.site.edge, "POST /v1/events", headers, body).unwrap()
    }

    /// The request as a whole is refused, by a problem document.
    #[track_caller]
    fn refused(&self, headers: &[(&str, &str)], body: &[u8], status: u16, code: &str) -> Value {
        let answer = self.send(headers, body);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }

    /// The event is refused between two that are taken.
    #[track_caller]
    fn rejected(&self, event: Value, code: &str, field: Option<&str>) -> Value {
        let mark = event.to_string();
        let neighbour = |side: &str| {
            let id = format!("{side}-{:016x}", hash(&mark));
            sale(POPUP, "neighbour", &id, 100)
        };
        let answer = post(
            &self.site.edge,
            &[neighbour("left"), event, neighbour("right")],
        );
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let results = answer.json()["results"].clone();
        assert_eq!(results[0]["status"], "accepted", "{results}");
        assert_eq!(results[2]["status"], "accepted", "{results}");
        let verdict = &results[1];
        assert_eq!(verdict["status"], "rejected", "{mark}: {results}");
        assert_eq!(verdict["error"]["code"], code, "{mark}: {results}");
        assert_eq!(
            verdict["error"]["field"].as_str(),
            field,
            "{mark}: {results}"
        );
        assert!(verdict.get("seq").is_none(), "{results}");
        verdict.clone()
    }
}

/// FNV-1a: a name for each case.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A good sale with one part changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut event = sale(POPUP, "checkout", "bad", 450);
    match event.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => event[&pointer[1..]] = value,
    }
    event
}

fn without(attribute: &str) -> Value {
    let mut event = sale(POPUP, "checkout", "bad", 450);
    event.as_object_mut().unwrap().remove(attribute).unwrap();
    event
}

const STRUCTURED: (&str, &str) = ("Content-Type", "application/cloudevents+json");
const BATCH: (&str, &str) = ("Content-Type", "application/cloudevents-batch+json");

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

#[test]
fn a_body_that_cannot_be_read_is_refused_whole() {
    let till = till("door-body");
    let problem = till.refused(&[STRUCTURED], b"{\"specversion\": nonsense}", 400, "PW0101");
    assert_eq!(problem["offset"], 17, "{problem}");
    till.refused(&[STRUCTURED], b"{\"specversion\": \"1.0\"", 400, "PW0101");
    till.refused(&[BATCH], b"{}", 400, "PW0101");
    till.refused(&[STRUCTURED], b"", 400, "PW0101");
    till.refused(&[], b"{}", 415, "PW0108");
    till.refused(&[("Content-Type", "text/plain")], b"{}", 415, "PW0108");
    till.refused(
        &[STRUCTURED, ("Content-Encoding", "br")],
        b"{}",
        415,
        "PW0108",
    );
    let packed = gzip(
        sale(POPUP, "checkout", "packed", 450)
            .to_string()
            .as_bytes(),
    );
    let encoding = ("Content-Encoding", "gzip");
    till.refused(
        &[STRUCTURED, encoding],
        &packed[..packed.len() / 2],
        400,
        "PW0101",
    );
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    till.refused(&[STRUCTURED, encoding], &bomb, 413, "PW0107");
    till.refused(&[STRUCTURED], &vec![b' '; (4 << 20) + 1], 413, "PW0107");
    let many: Vec<Value> = (0..1_001).map(|_| json!({})).collect();
    let many = serde_json::to_vec(&many).unwrap();
    till.refused(&[BATCH], &many, 413, "PW0107");
    let good = till.send(&[STRUCTURED, encoding], &packed);
    assert_eq!(good.json()["results"][0]["status"], "accepted");
    // Nothing of the refused bodies was kept: the one sale and what the journal itself writes.
    assert_eq!(till.site.status()["unsent"]["records"], 0);
}

/// A zstd frame that holds `plain` as it is.
fn zstd(plain: &[u8]) -> Vec<u8> {
    let size = u32::try_from(plain.len()).unwrap();
    let block = size << 3 | 1;
    [
        &[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..],
        &size.to_le_bytes(),
        &block.to_le_bytes()[..3],
        plain,
    ]
    .concat()
}

/// One event in each form and encoding that admission knows: taken once, then always the same.
#[test]
fn every_form_of_a_body_says_the_same_event() {
    let till = till("door-forms");
    let mut event = sale(POPUP, "kasse süd", "form", 450);
    event["agems"] = json!(12);
    let data = event["data"].to_string();
    let mut by_text = event.clone();
    by_text["agems"] = json!("12");
    let one = event.to_string();
    let many = json!([event]).to_string();
    let lines = format!("\u{feff}\r\n  \n{one}\r\n\n");
    let media = |name: &'static str| ("Content-Type", name);
    let binary = [
        media("application/json; charset=utf-8"),
        ("ce-specversion", "1.0"),
        ("ce-id", "form"),
        ("CE-Source", "kasse%20s%C3%BCd"),
        ("ce-type", "popwatch.payment.captured"),
        ("ce-popup", POPUP),
        ("ce-agems", "12"),
    ];
    let gzipped = ("Content-Encoding", "gzip");
    let packed = ("Content-Encoding", "zstd");
    let plain = ("Content-Encoding", "identity");
    let structured = media("application/cloudevents+json; charset=utf-8");
    for (at, (headers, body)) in [
        (&[structured][..], one.as_bytes()),
        (&[structured, plain], by_text.to_string().as_bytes()),
        (&[BATCH], many.as_bytes()),
        (&[media("Application/JSON")], one.as_bytes()),
        (&[media("application/json")], many.as_bytes()),
        (&[media("application/x-ndjson")], lines.as_bytes()),
        (&binary, data.as_bytes()),
        (&[structured, gzipped], &gzip(one.as_bytes())),
        (&[structured, packed], &zstd(one.as_bytes())),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = till.send(headers, body);
        let result = answer.json()["results"].clone();
        let status = ["accepted", "duplicate"][at.min(1)];
        assert_eq!(result[0]["status"], status, "form {at}: {answer:?}");
        assert_eq!(result[0]["id"], "form", "form {at}: {result}");
        assert_eq!(result.as_array().unwrap().len(), 1, "form {at}: {result}");
    }
}

#[test]
fn a_foreign_page_cannot_reach_the_till() {
    let till = till("door-origin");
    let body = sale(POPUP, "checkout", "foreign", 450).to_string();
    let body = body.as_bytes();
    for foreign in [("Host", "evil.example"), ("Origin", "https://evil.example")] {
        till.refused(&[STRUCTURED, foreign], body, 403, "PW0122");
    }
    till.refused(&[STRUCTURED, ("Origin", "null")], body, 403, "PW0122");
    let own = format!("http://{}", till.site.edge);
    let good = till.send(&[STRUCTURED, ("Origin", &own)], body);
    assert_eq!(good.json()["results"][0]["status"], "accepted", "{good:?}");
    // A shop's page that is let in may ask first, and may read the answer.
    assert_eq!(good.header("access-control-allow-origin"), Some(&*own));
    let ask = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
        ];
        http(&till.site.edge, "OPTIONS /v1/events", &headers, b"").unwrap()
    };
    let asked = ask("http://localhost:3000");
    let allowed = asked.header("access-control-allow-headers");
    assert_eq!(asked.status, 200, "{asked:?}");
    assert!(
        allowed.is_some_and(|names| names.contains("content-type")),
        "{asked:?}"
    );
    let refused = ask("https://evil.example");
    assert_eq!(
        (
            refused.status,
            refused.header("access-control-allow-origin")
        ),
        (403, None)
    );
}

#[test]
fn an_envelope_that_is_wrong_costs_only_its_own_event() {
    let till = till("door-envelope");
    till.rejected(without("id"), "PW0102", Some("id"));
    till.rejected(with("/id", json!("")), "PW0102", Some("id"));
    till.rejected(without("source"), "PW0102", Some("source"));
    till.rejected(without("specversion"), "PW0102", Some("specversion"));
    till.rejected(
        with("/specversion", json!("0.3")),
        "PW0102",
        Some("specversion"),
    );
    till.rejected(without("type"), "PW0102", Some("type"));
    let mut packed = without("data");
    packed["data_base64"] = json!("e30=");
    till.rejected(packed, "PW0102", Some("data_base64"));
    till.rejected(json!(7), "PW0102", None);
    till.rejected(
        with("/datacontenttype", json!("text/xml")),
        "PW0102",
        Some("datacontenttype"),
    );
    till.rejected(with("/popup", json!("../stall")), "PW0102", Some("popup"));
    till.rejected(
        with("/type", json!("popwatch.payment.dreamt")),
        "PW0105",
        Some("type"),
    );
    for reserved in [
        "popwatch.rig.started",
        "popwatch.policy.applied",
        "popwatch.clock.anchored",
        "popwatch.bank.line",
    ] {
        till.rejected(with("/type", json!(reserved)), "PW0111", Some("type"));
    }
}

#[test]
fn data_that_is_wrong_is_named_by_its_path_and_never_repeated() {
    let till = till("door-data");
    let amount = Some("data.amount");
    till.rejected(with("/data/amount", json!(4.5)), "PW0103", amount);
    till.rejected(with("/data/amount", json!("450")), "PW0103", amount);
    till.rejected(with("/data/amount", json!(-1)), "PW0103", amount);
    till.rejected(
        with("/data/amount", json!(1_000_000_000_000_i64)),
        "PW0103",
        amount,
    );
    till.rejected(
        with("/data/currency", json!("ZZZ")),
        "PW0103",
        Some("data.currency"),
    );
    till.rejected(
        with("/data/lines/0/qty", json!(0.5)),
        "PW0103",
        Some("data.lines[0].qty"),
    );
    till.rejected(
        with("/data", json!({"payment": "p"})),
        "PW0103",
        Some("data.order"),
    );
    till.rejected(with("/data", json!([])), "PW0103", Some("data"));
    // Numbers of test cards: valid by their check digit, issued to nobody.
    let card = "4111111111111111";
    let verdict = till.rejected(with("/id", json!(card)), "PW0106", Some("id"));
    assert!(!verdict.to_string().contains(card), "{verdict}");
    let source = with("/source", json!("pay/5500005555555559"));
    let verdict = till.rejected(source, "PW0106", Some("source"));
    assert!(
        !verdict.to_string().contains("5500005555555559"),
        "{verdict}"
    );
    let amount = with("/data/amount", json!(4_111_111_111_111_111_i64));
    till.rejected(amount, "PW0106", Some("data.amount"));
    let popup = with("/popup", json!("4111111111111111"));
    till.rejected(popup, "PW0106", Some("popup"));
    let lines = json!(vec![json!({"sku": "mug", "qty": 1, "amount": 1}); 2_049]);
    till.rejected(with("/data/lines", lines), "PW0109", Some("data.lines"));
    let method = json!("x".repeat(1_025));
    till.rejected(with("/data/method", method), "PW0109", Some("data.method"));
    let deep = (0..20).fold(json!(1), |inner, _| json!([inner]));
    till.rejected(with("/data/remark", deep), "PW0109", None);
    let wide = with("/data/remark", json!("x".repeat(300 << 10)));
    till.rejected(wide, "PW0109", None);
}

#[test]
fn one_id_with_other_content_is_a_conflict_and_the_first_stays() {
    let till = till("door-conflict");
    let first = sale(POPUP, "checkout", "bad", 450);
    sell(&till.site.edge, std::slice::from_ref(&first));
    till.rejected(with("/data/amount", json!(451)), "PW0104", Some("id"));
    let again = post(&till.site.edge, &[first]).unwrap().json();
    assert_eq!(again["results"][0]["status"], "duplicate", "{again}");
}

#[test]
fn a_bad_line_of_ndjson_is_one_rejected_result() {
    let till = till("door-lines");
    let line = |id| sale(POPUP, "checkout", id, 450).to_string();
    let body = format!("\u{feff}{}\n\n{{\"id\": \n{}\n", line("a"), line("b"));
    let answer = till.send(&[("Content-Type", "application/x-ndjson")], body.as_bytes());
    let results = answer.json()["results"].clone();
    let status: Vec<&str> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|verdict| verdict["status"].as_str().unwrap())
        .collect();
    assert_eq!(status, ["accepted", "rejected", "accepted"], "{results}");
    assert_eq!(results[1]["error"]["code"], "PW0101");
}
