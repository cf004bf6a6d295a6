//! Who is let in, and to what: passes, sessions, second factors, from outside.

use serde_json::{Value, json};

use crate::support::{Answer, Process, Site, get, http, outcome, sale, sell, try_get, until};

/// An organisation's ledger with its desk, and what passes it issued.
pub(crate) struct Desk {
    pub(crate) site: Site,
    data: String,
    key: String,
}

impl Desk {
    pub(crate) fn new(name: &str) -> Self {
        let site = Site::new(name);
        let data = site.folder.join("books").to_str().unwrap().to_owned();
        let (status, key, why) = outcome(&["access", "keygen", "--data", &data]);
        assert_eq!(status, Some(0), "{why}");
        let key = key.trim().to_owned();
        Self { site, data, key }
    }

    pub(crate) fn access(&self, more: &str) -> String {
        format!("[access]\norg = \"acme\"\nkey = \"{}\"\n{more}", self.key)
    }

    pub(crate) fn ledger(&self, listen: &str, more: &str) -> Process {
        let (access, region) = (self.access(more), &self.site.region);
        let config = format!(
            "data = \"{}\"\n[ledger]\nlisten = \"{listen}\"\nregions = [\"http://{region}\"]\n{access}",
            self.data
        );
        self.site.started("ledger", &config)
    }

    pub(crate) fn region(&self) -> Process {
        let config = format!(
            "data = \"{}\"\n[region]\nlisten = \"{}\"\n{}",
            self.site.folder.join("region").display(),
            self.site.region,
            self.access("")
        );
        self.site.started("region", &config)
    }

    #[track_caller]
    pub(crate) fn pass(&self, args: &[&str]) -> String {
        let issue = ["access", "issue", "--org", "acme", "--data", &self.data];
        let (status, pass, why) = outcome(&[&issue, args].concat());
        assert_eq!(status, Some(0), "{why}");
        pass.trim().to_owned()
    }

    /// Codes on paper for an actor.
    pub(crate) fn paper(&self, actor: &str) -> Vec<String> {
        let args = [
            "access", "factor", actor, "--data", &self.data, "--format", "json",
        ];
        let (status, said, why) = outcome(&args);
        assert_eq!(status, Some(0), "{why}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let codes = said["paper"].as_array().unwrap().iter();
        codes
            .map(|code| code.as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn ask(address: &str, request: &str, pass: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {pass}");
    let headers = [&[("Authorization", &*bearer)], headers].concat();
    http(address, request, &headers, b"{}").unwrap()
}

#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16, code: &str) {
    let said = answer.json();
    assert_eq!(
        (answer.status, said["code"].as_str()),
        (status, Some(code)),
        "{said}"
    );
}

/// Actions and reasons in the trail.
pub(crate) fn trail(ledger: &str, auditor: &str) -> Vec<(String, String, String)> {
    let page = ask(ledger, "GET /v1/audit", auditor, &[]).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = page["entries"].as_array().unwrap().iter();
    rows.map(|row| {
        let entry = &row["entry"];
        (
            text(&entry["action"]),
            text(&entry["actor"]),
            text(&entry["reason"]),
        )
    })
    .collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn an_organisation_lets_each_in_to_their_own_and_nothing_else() {
    let desk = Desk::new("access");
    let site = &desk.site;
    let (_region, _ledger) = (desk.region(), desk.ledger(&site.ledger, ""));
    let till = desk.pass(&["--scope", "till", "--of", "till-1"]);
    let file = site.folder.write("till.pass", &till);
    let config =
        site.edge_config() + &desk.access(&format!("pass_file = \"{}\"\n", file.display()));
    let _edge = site.started("edge", &config);

    // A checkout needs the till's pass, and the lanes carry it on.
    let events = serde_json::to_vec(&[sale("fri", "checkout", "a", 450)]).unwrap();
    let media = ("Content-Type", "application/cloudevents-batch+json");
    let post =
        |headers: &[(&str, &str)]| http(&site.edge, "POST /v1/events", headers, &events).unwrap();
    let answer = post(&[media]);
    refused(&answer, 401, "PW0703");
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .starts_with("Bearer")
    );
    let bearer = format!("Bearer {till}");
    let taken = post(&[media, ("Authorization", &bearer)]);
    assert_eq!(taken.status, 200, "{taken:?}");
    let other = desk.pass(&["--scope", "till", "--of", "till-2"]);
    let other = format!("Bearer {other}");
    refused(&post(&[media, ("Authorization", &other)]), 403, "PW0705");

    let operator = desk.pass(&["--scope", "operator", "--popup", "fri", "--actor", "lead"]);
    let get =
        |address: &str, path: &str, pass: &str| ask(address, &format!("GET {path}"), pass, &[]);
    until("the sale is in the books and at the region", || {
        let books = get(&site.ledger, "/v1/popups/fri/books", &operator);
        let summary = get(&site.region, "/v1/popups/fri/summary", &operator);
        (books.status == 200 && summary.status == 200).then_some(())
    });
    assert_eq!(
        get(&site.ledger, "/v1/popups/fri/reconciliation", &operator).status,
        200
    );
    refused(
        &get(&site.ledger, "/v1/popups/sat/books", &operator),
        403,
        "PW0705",
    );

    let ana = desk.pass(&["--scope", "creator", "--of", "ana", "--popup", "fri"]);
    let statements = |whose: &str| format!("/v1/popups/fri/statements/{whose}");
    assert_eq!(get(&site.ledger, &statements("ana"), &ana).status, 200);
    for path in [
        &*statements("ben"),
        "/v1/popups/fri/books",
        "/v1/popups/fri/breaks",
        "/v1/audit",
    ] {
        refused(&get(&site.ledger, path, &ana), 403, "PW0705");
    }
    refused(
        &get(&site.region, "/v1/popups/fri/summary", &ana),
        403,
        "PW0705",
    );
    // Ranks are for all, amounts for those who see the whole: the sale is of no creator.
    let net = |pass: &str| {
        let board = get(&site.region, "/v1/popups/fri/leaderboards/products", pass);
        assert_eq!(board.status, 200, "{board:?}");
        let board = board.json();
        assert_eq!(board["rows"][0]["units"], 1);
        [
            board["rows"][0]["net"].clone(),
            board["asof"]["stage"].clone(),
        ]
    };
    assert_eq!(net(&operator)[0], 450);
    assert_eq!(net(&ana), [json!(null), json!([])]);
    let coop = [
        "--scope", "coop", "--of", "stalls", "--member", "ana", "--member", "ben",
    ];
    let coop = desk.pass(&[&coop[..], &["--popup", "fri"]].concat());
    assert_eq!(net(&coop), [json!(null), json!([])]);
    assert_eq!(get(&site.ledger, &statements("ben"), &coop).status, 200);
    refused(&get(&site.ledger, &statements("eve"), &coop), 403, "PW0705");
    let board = desk.pass(&["--scope", "board", "--popup", "fri"]);
    assert_eq!(
        get(&site.region, "/v1/popups/fri/inventory", &board).status,
        200
    );
    refused(
        &get(&site.region, "/v1/popups/fri/stream", &board),
        403,
        "PW0705",
    );

    // What of the board an operator hands on to a screen has no amounts either.
    let wall = [
        "access",
        "issue",
        "--from",
        &operator,
        "--only",
        "view.board",
    ];
    let (status, wall, why) = outcome(&wall);
    assert_eq!(status, Some(0), "{why}");
    assert_eq!(net(wall.trim()), [json!(null), json!([])]);
    for (pass, shown) in [
        (&*operator, json!(450)),
        (&*ana, json!(null)),
        (&*board, json!(null)),
    ] {
        let first = first_event(&site.region, "/v1/popups/fri/stream?view=board", pass);
        assert_eq!(first["rows"]["board/products"]["rows"][0]["net"], shown);
        assert_eq!(first["rows"].get("board/rigs"), None);
    }

    // Handed on with less, without any key.
    let less = [
        "access",
        "issue",
        "--from",
        &operator,
        "--only",
        "view.summary",
        "--ttl",
        "2h",
    ];
    let (status, less, why) = outcome(&less);
    assert_eq!(status, Some(0), "{why}");
    assert_eq!(
        get(&site.region, "/v1/popups/fri/summary", less.trim()).status,
        200
    );
    refused(
        &get(&site.ledger, "/v1/popups/fri/books", less.trim()),
        403,
        "PW0705",
    );

    for (broken, code) in [("pw1.AAAA", "PW0703"), (&*"pw1.".repeat(2_000), "PW0704")] {
        refused(
            &get(&site.ledger, "/v1/popups/fri/books", broken),
            401,
            code,
        );
    }
    assert_eq!(
        outcome(&["access", "revoke", &less, "--data", &desk.data]).0,
        Some(2)
    );
    let revoked = outcome(&["access", "revoke", less.trim(), "--data", &desk.data]);
    assert_eq!(revoked.0, Some(0), "{}", revoked.2);
    assert_eq!(
        get(&site.ledger, "/v1/popups/fri/books", &operator).status,
        200
    );
    outcome(&["access", "revoke", "--actor", "lead", "--data", &desk.data]);
    until("the operator is out", || {
        let answer = get(&site.ledger, "/v1/popups/fri/books", &operator);
        (answer.json()["code"] == "PW0702").then_some(())
    });
    let auditor = desk.pass(&["--scope", "auditor"]);
    until("what the desk did is in the trail", || {
        let issued = trail(&site.ledger, &auditor);
        let count = |name: &str| issued.iter().filter(|row| row.0 == name).count();
        (count("pass.issued") == 7 && count("pass.revoked") == 2).then_some(())
    });
}

#[test]
fn what_is_grave_needs_a_code_and_a_refusal_is_written_down() {
    let desk = Desk::new("access-codes");
    let site = &desk.site;
    let _ledger = desk.ledger(&site.ledger, "");
    let operator = desk.pass(&["--scope", "operator", "--actor", "lead"]);
    let auditor = desk.pass(&["--scope", "auditor", "--actor", "eye"]);
    let codes = desk.paper("lead");
    let close = |headers: &[(&str, &str)]| {
        ask(
            &site.ledger,
            "POST /v1/popups/fri/decisions",
            &operator,
            headers,
        )
    };
    refused(&close(&[]), 401, "PW0706");
    refused(&close(&[("popwatch-code", "000000")]), 401, "PW0706");
    // Taken: what is refused now is the decision.
    let taken = || close(&[("popwatch-code", &codes[0])]);
    until("the second factor is known", || {
        (taken().status != 401).then_some(())
    });
    refused(&taken(), 401, "PW0706");
    let reasons = trail(&site.ledger, &auditor);
    let lead = reasons.iter().filter(|row| row.1 == "lead");
    assert!(
        lead.clone().count() >= 3
            && lead
                .clone()
                .all(|row| row.0 == "step_up" && row.2 == "PW0706"),
        "{reasons:?}"
    );

    // A session: the pass comes once, a cookie stands for it.
    let session = |headers: &[(&str, &str)], body: Value| {
        http(
            &site.ledger,
            "POST /v1/session",
            headers,
            body.to_string().as_bytes(),
        )
        .unwrap()
    };
    refused(&session(&[], json!({ "pass": operator })), 401, "PW0706");
    let begun = session(&[], json!({ "pass": operator, "code": codes[1] }));
    assert_eq!(
        (begun.status, &begun.json()["scope"]),
        (200, &json!("operator")),
        "{begun:?}"
    );
    let cookie = begun.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let cookie = ("Cookie", cookie.split(';').next().unwrap());
    let shown = || http(&site.ledger, "GET /v1/session", &[cookie], b"").unwrap();
    assert_eq!(shown().json()["second_factor_age_s"], 0);
    let decide = || {
        http(
            &site.ledger,
            "POST /v1/popups/fri/decisions",
            &[cookie],
            b"{}",
        )
        .unwrap()
    };
    assert!(![401, 403].contains(&decide().status), "{:?}", decide());
    assert_eq!(session(&[cookie], json!({ "end": true })).status, 200);
    refused(&shown(), 401, "PW0703");
}

/// Whoever sits at the machine needs a pass of the organisation too, and no encryption.
#[test]
fn a_ledger_that_the_venue_reaches_asks_this_machine_for_a_pass() {
    let desk = Desk::new("access-lan");
    let port = desk.site.ledger.rsplit(':').next().unwrap();
    let _ledger = desk.ledger(&format!("0.0.0.0:{port}"), "plain_lan = true\n");
    let pass = desk.pass(&["--scope", "operator"]);
    let ledger = &desk.site.ledger;
    refused(
        &http(ledger, "GET /v1/popups", &[], b"").unwrap(),
        401,
        "PW0703",
    );
    assert_eq!(ask(ledger, "GET /v1/popups", &pass, &[]).status, 200);
    assert_eq!(http(ledger, "GET /healthz", &[], b"").unwrap().status, 200);
    for strange in ["GET /v1/nothing", "DELETE /v1/popups", "GET /audit/nothing"] {
        let answer = http(ledger, strange, &[], b"").unwrap();
        assert_eq!(answer.status, 404, "{strange}");
    }
}

#[test]
fn whoever_sits_at_a_till_of_no_organisation_needs_no_pass() {
    let site = Site::new("access-local");
    let _edge = site.start_edge();
    sell(&site.edge, &[sale("fri", "checkout", "a", 450)]);
    until("the sale shows", || {
        try_get(&site.edge, "/v1/popups/fri/summary")
    });
    assert_eq!(get(&site.edge, "/v1/session"), json!({ "here": true }));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_single_record_is_shown_only_after_its_entry_and_everybody_concerned_sees_who_looked() {
    let desk = Desk::new("access-raw");
    let site = &desk.site;
    let (_region, _ledger) = (desk.region(), desk.ledger(&site.ledger, ""));
    let till = desk.pass(&["--scope", "till", "--of", "till-1"]);
    let file = site.folder.write("till.pass", &till);
    let config =
        site.edge_config() + &desk.access(&format!("pass_file = \"{}\"\n", file.display()));
    let edge = site.started("edge", &config);
    let mut own = sale("fri", "checkout", "a", 450);
    own["data"]["creator"] = json!("ana");
    let events = serde_json::to_vec(&[own, sale("fri", "checkout", "b", 460)]).unwrap();
    let media = ("Content-Type", "application/cloudevents-batch+json");
    let bearer = format!("Bearer {till}");
    let headers = [media, ("Authorization", &*bearer)];
    let taken = http(&site.edge, "POST /v1/events", &headers, &events).unwrap();
    assert_eq!(taken.status, 200, "{taken:?}");

    let operator = desk.pass(&["--scope", "operator", "--popup", "fri", "--actor", "lead"]);
    let creator = desk.pass(&[
        "--scope", "creator", "--of", "ana", "--popup", "fri", "--actor", "a-9",
    ]);
    let (lead, ana) = (desk.paper("lead"), desk.paper("a-9"));
    let now = std::time::SystemTime::now();
    let day = |offset: i64| {
        let since = now
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis();
        popwatch_wire::json::rfc3339(i64::try_from(since).unwrap() + offset)
    };
    let body = json!({
        "purpose": "dispute", "from": day(-3_000_000), "to": day(3_000_000), "fields": ["amount"],
    });
    let read = |address: &str, pass: &str, code: &str, body: &Value| {
        let bearer = format!("Bearer {pass}");
        let headers = [("Authorization", &*bearer), ("popwatch-code", code)];
        http_stream(
            address,
            "POST /v1/popups/fri/raw",
            &headers,
            body.to_string().as_bytes(),
        )
    };
    until("both sales are in the books", || {
        let shown = ask(&site.ledger, "GET /v1/popups/fri/books", &operator, &[]);
        (shown.json()["totals"]["EUR"]["sales"] == 2 || shown.json().to_string().contains("910"))
            .then_some(())
    });
    let (status, said) = read(&site.ledger, &operator, "000000", &body);
    assert_eq!((status, said.contains("PW0706")), (401, true), "{said}");
    let (status, said) = read(&site.ledger, &operator, &lead[0], &body);
    assert_eq!(status, 200, "{said}");
    let rows: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{said}");
    assert!(
        rows.iter()
            .all(|row| row["data"].as_object().unwrap().keys().eq(["amount"]))
    );
    let mut long = body.clone();
    long["from"] = json!(day(-9_000_000));
    let (status, said) = read(&site.ledger, &operator, &lead[1], &long);
    assert_eq!((status, said.contains("PW0705")), (403, true), "{said}");
    let (status, said) = read(&site.ledger, &creator, &ana[0], &body);
    assert_eq!((status, said.lines().count()), (200, 1), "{said}");
    // The end of a read is written after its last line went out.
    let log = until("all reads are closed", || {
        let log = ask(&site.ledger, "GET /v1/popups/fri/access-log", &creator, &[]).json();
        let open = log["reads"]
            .as_array()?
            .iter()
            .any(|read| read["outcome"] == "unfinished");
        (!open).then_some(log)
    });
    let outcomes: Vec<_> = log["reads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|read| {
            (
                read["actor"].as_str().unwrap(),
                read["outcome"].as_str().unwrap(),
                read["rows"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            ("a-9", "whole", Some(1)),
            ("lead", "denied", None),
            ("lead", "whole", Some(2))
        ]
    );
    assert_eq!(log["reads"][2]["purpose"], "dispute");
    // The creator checks the read of their records with the key alone.
    let number = log["reads"][2]["number"].as_u64().unwrap();
    let proof = ask(
        &site.ledger,
        &format!("GET /v1/audit/{number}/proof"),
        &creator,
        &[],
    );
    assert_eq!(proof.status, 200);
    let proof = site
        .folder
        .write("read.tlog-proof", &String::from_utf8(proof.body).unwrap());
    let key = log["key"].as_str().unwrap();
    let (status, said, _) = outcome(&["audit", "verify", proof.to_str().unwrap(), "--key", key]);
    assert_eq!(
        (status, said.contains("raw.read")),
        (Some(0), true),
        "{said}"
    );
    refused(
        &ask(&site.ledger, "GET /v1/audit/0/proof", &creator, &[]),
        403,
        "PW0705",
    );

    // Rig and ledger know each other's heads; a rig whose trail is put back is convicted on both sides.
    let auditor = desk.pass(&["--scope", "auditor"]);
    let seen = until("the ledger holds the rig's head", || {
        let peers = ask(&site.ledger, "GET /v1/audit/peers", &auditor, &[]).json();
        peers["peers"].as_array()?.first().cloned()
    });
    assert_eq!(seen["origin"], "acme/audit/till-1");
    edge.stop();
    std::fs::remove_dir_all(site.till().join("audit")).unwrap();
    let edge = site.started("edge", &config);
    let convicted = until("the ledger convicts the rig's trail", || {
        let peers = ask(&site.ledger, "GET /v1/audit/peers", &auditor, &[]).json();
        peers["peers"][0]["convicted"]["why"]
            .as_str()
            .map(str::to_owned)
    });
    assert!(
        convicted.starts_with("forked") || convicted.starts_with("shrank"),
        "{convicted}"
    );
    let on_rig = || ask(&site.edge, "GET /v1/audit/peers", &auditor, &[]).json();
    until("the rig hears of it", || {
        on_rig()["told_of_us"].as_str().map(|_| ())
    });
    let (status, said) = read(&site.ledger, &operator, &lead[2], &body);
    assert_eq!((status, said.contains("PW0806")), (403, true), "{said}");
    // A person says why; then it is taken anew.
    let accept = [
        "audit",
        "accept",
        "acme/audit/till-1",
        "--why",
        "the disk was replaced",
        "--data",
        &desk.data,
    ];
    assert_eq!(outcome(&accept).0, Some(0));
    edge.stop();
    let _edge = site.started("edge", &config);
    let (status, said) = read(&site.ledger, &operator, &lead[3], &body);
    assert_eq!(status, 200, "{said}");
    let sold = http(&site.edge, "POST /v1/events", &headers, &events).unwrap();
    assert_eq!(sold.status, 200, "selling goes on");
}

#[test]
fn without_a_trail_no_single_record_is_shown_and_selling_goes_on() {
    let site = Site::new("access-no-trail");
    let till = site.till().to_str().unwrap().to_owned();
    assert_eq!(outcome(&["access", "keygen", "--data", &till]).0, Some(0));
    std::fs::create_dir_all(site.till().join("audit/fresh.tmp")).unwrap();
    let _edge = site.start_edge();
    sell(&site.edge, &[sale("fri", "checkout", "a", 450)]);
    let issue = [
        "access", "issue", "--scope", "operator", "--actor", "lead", "--data", &till,
    ];
    let pass = outcome(&issue).1.trim().to_owned();
    let factor = outcome(&[
        "access", "factor", "lead", "--data", &till, "--format", "json",
    ])
    .1;
    let factor: Value = serde_json::from_str(&factor).unwrap();
    let bearer = format!("Bearer {pass}");
    let headers = [
        ("Authorization", &*bearer),
        ("popwatch-code", factor["paper"][0].as_str().unwrap()),
    ];
    let body =
        br#"{"purpose":"debugging","from":"2026-11-23T10:00:00Z","to":"2026-11-23T11:00:00Z"}"#;
    let answer = http(&site.edge, "POST /v1/popups/fri/raw", &headers, body).unwrap();
    refused(&answer, 503, "PW0801");
    refused(
        &http(&site.edge, "POST /v1/popups/fri/raw", &[], body).unwrap(),
        401,
        "PW0703",
    );
    sell(&site.edge, &[sale("fri", "checkout", "b", 450)]);
}

/// The data of a stream's first event.
fn first_event(address: &str, path: &str, bearer: &str) -> Value {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(crate::support::LIMIT))
        .unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer}");
    write!(stream, "{head}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let data = lines.find_map(|line| line.unwrap().strip_prefix("data: ").map(str::to_owned));
    serde_json::from_str(&data.expect("the stream tells something")).unwrap()
}

/// A request whose answer comes in pieces: status and text.
pub(crate) fn http_stream(
    address: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(crate::support::LIMIT))
        .unwrap();
    let mut head = format!("{request} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}
