//! Policies at running roles: laid into an inbox, posted, fetched by a till, and obeyed there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::access::{Desk, ask, refused, trail};
use crate::enrolment::{POPUP, code, joins, start};
use crate::support::{Site, get, http, outcome, sale, sell, try_get, until, until_within};

/// A region lets go once nothing has come for 15 s.
const LONG: Duration = Duration::from_secs(30);

/// Runs `popwatch policy` and answers what it printed.
#[track_caller]
fn policy(args: &[&str]) -> String {
    let (status, said, why) = outcome(&[&["policy"], args].concat());
    assert_eq!(status, Some(0), "{said}{why}");
    said
}

/// The built-in document for a popup that is long ahead, as a version of its own.
pub(crate) fn document(
    org: &str,
    popup: &str,
    version: &str,
    edit: impl Fn(String) -> String,
) -> String {
    let text = policy(&["show"])
        .replace("org: local", &format!("org: {org}"))
        .replace("popup: my-popup", &format!("popup: {popup}"))
        .replace("expires: 2026-12-31", "expires: 2098-12-31")
        .replace("2026-11-28T", "2098-11-28T")
        .replace("version: 1 ", version);
    edit(text)
}

/// A bundle that the organisation of this data directory signed.
pub(crate) fn signed(site: &Site, name: &str, text: &str) -> PathBuf {
    let file = site.folder.write(&format!("{name}.yaml"), text);
    let books = site.folder.join("books").display().to_string();
    let args = ["sign", file.to_str().unwrap(), "--as-org", &books];
    site.folder.write(&format!("{name}.json"), &policy(&args))
}

pub(crate) fn lay(bundle: &Path, data: &Path) {
    let (bundle, data) = (bundle.display().to_string(), data.display().to_string());
    policy(&["push", &bundle, "--data", &data]);
}

pub(crate) fn stands(address: &str, popup: &str) -> Option<Value> {
    try_get(address, &format!("/v1/popups/{popup}/policy"))
}

/// A sale with a tip, which is no required fact.
fn tipped(id: &str) -> Value {
    let mut event = sale(POPUP, "a", id, 500);
    event["data"]["tip"] = json!(50);
    event
}

/// Tips in the till's journal, in the order of sales.
fn tips(till: &Path) -> Vec<Option<i64>> {
    let (status, journal, why) = outcome(&["journal", "export", till.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{why}");
    let rows = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let sales = rows.filter(|row| row["type"] == "popwatch.payment.captured");
    sales.map(|row| row["data"]["tip"].as_i64()).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_till_fetches_the_policy_of_its_ledger_and_obeys_it_offline_and_after_damage() {
    let site = Site::new("policies");
    let books = site.folder.join("books");
    let mut ledger = site.start_ledger();
    let (status, said) = joins(&code(&site, "till-7"), &site.ledger, &site.till());
    assert_eq!(status, Some(0), "{said}");
    let edge = start(&site);
    sell(&site.edge, &[tipped("1")]);
    assert_eq!(edge.stop(), Some(0));

    let without = |text: String| text.replace("    tip: keep\n", "");
    let first = signed(
        &site,
        "first",
        &document("local", POPUP, "version: 1 ", without),
    );
    lay(&first, &books);
    let held = until("the ledger takes it from its inbox", || {
        stands(&site.ledger, POPUP).filter(|told| told["mode"] == "in_force")
    });
    assert_eq!(held["running"]["version"], 1);
    let inbox = books.join("inbox");
    until("what was taken is gone from the inbox", || {
        (fs::read_dir(&inbox).unwrap().count() == 0).then_some(())
    });
    fs::write(inbox.join("bad.json"), "{}").unwrap();
    until("what is no bundle is put aside", || {
        inbox.join("bad.json.refused").exists().then_some(())
    });

    let mut edge = start(&site);
    let fetched = until("the till fetches it", || {
        stands(&site.edge, POPUP).filter(|told| told["mode"] == "in_force")
    });
    assert_eq!(fetched["running"], held["running"]);
    assert_eq!(fetched["bundles"], held["bundles"]);
    sell(&site.edge, &[tipped("2")]);

    // A looser version in between: both are joined, since a sale was taken under the first.
    let digest = held["running"]["digest"].as_str().unwrap();
    let next = format!("version: 2\nparent: {digest} ");
    let second = signed(
        &site,
        "second",
        &document("local", POPUP, &next, |text| text),
    );
    lay(&second, &site.till());
    let joined = until("the till takes it", || {
        stands(&site.edge, POPUP).filter(|told| told["desired"]["version"] == 2)
    });
    let last = joined["attempts"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert_eq!(
        (&last["outcome"], &last["reason"]),
        (&json!("joined"), &json!("PW0616"))
    );
    sell(&site.edge, &[tipped("3")]);

    // No ledger and a power cut: it is kept.
    ledger.kill();
    edge.kill();
    let edge = start(&site);
    let told = until("the till is up", || stands(&site.edge, POPUP));
    assert_eq!(
        (&told["mode"], &told["running"]["version"]),
        (&json!("in_force"), &json!(2))
    );
    sell(&site.edge, &[tipped("4")]);
    // A second process on its data, which cannot start, is no death of the till.
    let listen = format!("listen = \"{}\"", site.edge);
    let config = fs::read_to_string(site.folder.join("edge.toml")).unwrap();
    let config = config.replace(&listen, "listen = \"127.0.0.1:0\"");
    let second = site.folder.write("second.toml", &config);
    for _ in 0..2 {
        let (status, _, why) = outcome(&["run", "--config", second.to_str().unwrap()]);
        assert!(status != Some(0) && why.contains("PW0206"), "{why}");
    }
    assert_eq!(edge.stop(), Some(0));
    let edge = start(&site);
    let told = until("the till is up", || stands(&site.edge, POPUP));
    assert_eq!(told["mode"], "in_force");
    assert_eq!(edge.stop(), Some(0));
    assert_eq!(tips(&site.till()), [Some(50), None, None, None]);

    // A policy that was kept and is damaged is none to run under: facts alone.
    let kept = site.till().join("policies").join(format!("{POPUP}.json"));
    let text = fs::read_to_string(&kept).unwrap();
    fs::write(&kept, text.replace("PT72H", "PT71H")).unwrap();
    let edge = start(&site);
    let told = until("the till is up", || stands(&site.edge, POPUP));
    assert_eq!(
        (&told["mode"], &told["bundles"]),
        (&json!("restricted"), &json!([]))
    );
    assert!(edge.said().contains("PW0610"), "{}", edge.said());
    until("its page says so", || {
        (site.status()["policy"]["mode"] == "restricted").then_some(())
    });
    lay(&first, &site.till());
    until("the bundle brings it back", || {
        stands(&site.edge, POPUP).filter(|told| told["mode"] == "in_force")
    });
    let trail = get(&site.edge, "/v1/audit").to_string();
    assert!(trail.contains("policy.brought"), "{trail}");
    assert_eq!(edge.stop(), Some(0));
}

#[test]
fn a_policy_is_brought_with_a_code_and_signed_by_who_may_and_takes_actions_away() {
    let desk = Desk::new("policies-access");
    let site = &desk.site;
    let _ledger = desk.ledger(&site.ledger, "");
    let lead = desk.pass(&["--scope", "operator", "--actor", "lead"]);
    let auditor = desk.pass(&["--scope", "auditor", "--actor", "eye"]);
    let codes = desk.paper("lead");
    let bearer = format!("Bearer {lead}");
    let bring = |bundle: &[u8], code: &str| {
        let headers = [("Authorization", bearer.as_str()), ("popwatch-code", code)];
        let headers = &headers[..1 + usize::from(!code.is_empty())];
        http(&site.ledger, "POST /v1/policies", headers, bundle).unwrap()
    };
    let books = |pass: &str| ask(&site.ledger, "GET /v1/popups/fri/books", pass, &[]);

    let shut = |text: String| {
        let scopes = "access:\n  scopes: {auditor: [policy.read, audit.read]}\n";
        let at = text.find("access: ").unwrap();
        let line = at + text[at..].find('\n').unwrap() + 1;
        format!("{}{scopes}{}", &text[..at], &text[line..])
    };
    let text = document("acme", "fri", "version: 1 ", shut);
    let bundle = fs::read(signed(site, "shut", &text)).unwrap();
    // Signed by nobody who may: it is of no use, whoever brings it.
    let key = site.folder.join("other.key").display().to_string();
    policy(&["key", "acme/other", "--out", &key]);
    let file = site.folder.join("shut.yaml").display().to_string();
    let foreign = policy(&["sign", &file, "--key", &key]);

    refused(&bring(&bundle, ""), 401, "PW0706");
    until("the second factor is known", || {
        let answer = bring(foreign.as_bytes(), &codes[0]);
        (answer.status != 401).then(|| refused(&answer, 403, "PW0611"))
    });
    assert_ne!(books(&auditor).status, 403);
    let taken = bring(&bundle, &codes[1]);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["outcome"], "accepted");
    refused(&books(&auditor), 403, "PW0705");
    assert_ne!(books(&lead).status, 403);
    refused(&bring(b"{}", &codes[2]), 422, "PW0610");

    let told = ask(&site.ledger, "GET /v1/popups/fri/policy", &auditor, &[]);
    assert_eq!(told.status, 200, "{told:?}");
    let tag = told.header("etag").unwrap();
    let same = [("If-None-Match", tag)];
    let again = ask(&site.ledger, "GET /v1/popups/fri/policy", &auditor, &same);
    assert_eq!(again.status, 304);
    let rows = trail(&site.ledger, &auditor);
    let brought = rows.iter().filter(|row| row.0 == "policy.brought");
    let reasons: Vec<_> = brought.map(|row| (&*row.1, &*row.2)).collect();
    // What is no bundle is no policy, and no entry.
    assert_eq!(reasons, [("lead", "PW0611"), ("lead", "")]);
}

/// A signed document of a popup that began an hour ago, with promises and a share.
fn promising(site: &Site, name: &str, head: &str, objective: u32, rate: u32) -> (PathBuf, i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_s = i64::try_from(now.as_secs()).unwrap();
    let moment = |s: i64| popwatch_wire::json::rfc3339(s * 1_000);
    let (starts, ends) = (moment(now_s - 3_600), moment(now_s + 7_200));
    let edit = |text: String| {
        let begins = text.find("window:").unwrap();
        let window = text.find("retention:").unwrap();
        let window = text[begins..window].to_owned();
        let own = format!(
            "window: {{starts: {starts}, ends: {ends}, zone: Europe/Berlin, currencies: [EUR]}}\n"
        );
        let promises = format!(
            "promises:\n  slos: [{{slo: checkout_success, objective_ppm: {objective}}}]\n  rigs: 2\n"
        );
        let commerce =
            format!("commerce:\n  shares: [{{creator: ana, rate_ppm: {rate}, hold_days: 0}}]\n");
        text.replace(&window, &own)
            .replace("promises: []", &promises)
            .replace("commerce: {}", &commerce)
    };
    let text = document("local", POPUP, head, edit);
    (signed(site, name, &text), now_s)
}

/// A signed document of a popup that was over a minute ago and whose minutes are merged from its end on.
fn over(site: &Site) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_s = i64::try_from(now.as_secs()).unwrap();
    let moment = |s: i64| popwatch_wire::json::rfc3339(s * 1_000);
    let (starts, ends) = (moment(now_s - 7_200), moment(now_s - 60));
    let edit = |text: String| {
        let begins = text.find("window:").unwrap();
        let window = text.find("retention:").unwrap();
        let window = text[begins..window].to_owned();
        let own = format!(
            "window: {{starts: {starts}, ends: {ends}, zone: Europe/Berlin, currencies: [EUR]}}\n"
        );
        text.replace(&window, &own)
            .replace("{after: PT0S, step: PT1M}", "{after: PT0S, step: PT15M}")
    };
    let text = document("local", POPUP, "version: 1 ", edit);
    signed(site, "over", &text)
}

/// What ana earned so far by the books.
fn earned(site: &Site) -> Option<i64> {
    let path = format!("/v1/popups/{POPUP}/statements/ana");
    try_get(&site.ledger, &path)?["currencies"]["EUR"]["earned"].as_i64()
}

/// The objective that a role watches checkouts by.
fn objective(address: &str) -> Option<Value> {
    let told = try_get(address, &format!("/v1/popups/{POPUP}/slo"))?;
    let rows = told["slos"].as_array()?;
    let row = rows.iter().find(|row| row["slo"] == "checkout_success")?;
    Some(row["objective_ppm"].clone())
}

#[test]
fn what_a_signed_policy_promises_holds_at_till_region_and_ledger() {
    let site = Site::new("promised");
    let _region = site.start_region();
    let _ledger = site.start_ledger();
    let (status, said) = joins(&code(&site, "till-7"), &site.ledger, &site.till());
    assert_eq!(status, Some(0), "{said}");
    let edge = start(&site);

    // Brought while the till runs: it goes into the journal, and from there everywhere.
    let (first, now_s) = promising(&site, "first", "version: 1 ", 970_000, 100_000);
    lay(&first, &site.till());
    for address in [&site.edge, &site.region] {
        until("the promise is watched", || {
            objective(address).filter(|it| *it == 970_000)
        });
    }
    let popups = get(&site.region, "/v1/popups");
    let line = popups["popups"].as_array().unwrap()[0].clone();
    assert_eq!(
        line["ends_ms"].as_i64().unwrap() / 60_000,
        (now_s + 7_200) / 60
    );
    let mut by_ana = sale(POPUP, "a", "1", 10_000);
    by_ana["data"]["creator"] = json!("ana");
    sell(&site.edge, &[by_ana]);
    until("the ledger owes ana her share", || {
        earned(&site).filter(|sum| *sum == 1_000)
    });

    // A newer one, brought while the till is off, holds from its next start on.
    let digest = stands(&site.edge, POPUP).unwrap()["running"]["digest"].clone();
    assert_eq!(edge.stop(), Some(0));
    let digest = digest.as_str().unwrap();
    let head = format!("version: 2\nparent: {digest} ");
    let (second, _) = promising(&site, "second", &head, 960_000, 200_000);
    lay(&second, &site.till());
    let edge = start(&site);
    until("the newer promise is watched", || {
        objective(&site.region).filter(|it| *it == 960_000)
    });
    let mut by_ana = sale(POPUP, "b", "2", 10_000);
    by_ana["data"]["creator"] = json!("ana");
    sell(&site.edge, &[by_ana]);
    // The first sale keeps the share that it was taken under.
    until("the ledger owes ana both shares", || {
        earned(&site).filter(|sum| *sum == 3_000)
    });
    assert_eq!(edge.stop(), Some(0));
}

#[test]
fn a_region_lets_cells_go_by_the_signed_ladder_and_the_books_lose_nothing() {
    let site = Site::new("over");
    let region = site.start_region();
    let _ledger = site.start_ledger();
    let (status, said) = joins(&code(&site, "till-7"), &site.ledger, &site.till());
    assert_eq!(status, Some(0), "{said}");
    lay(&over(&site), &site.till());
    let edge = start(&site);
    until("the till has the policy", || {
        stands(&site.edge, POPUP).filter(|told| told["mode"] == "in_force")
    });
    sell(&site.edge, &[sale(POPUP, "a", "1", 500)]);
    let path = format!("/v1/popups/{POPUP}/cells");
    let gone = || {
        let answer = http(&site.region, &format!("GET {path}"), &[], b"").ok()?;
        (answer.status == 410).then(|| serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let of_region = |path: &str| try_get(&site.region, &format!("/v1/popups/{POPUP}/{path}"));
    let merged = || of_region("series?step=5").filter(|series| series["step"] == 15);
    let series = until_within(LONG, "the minutes are merged", merged);
    assert_eq!(gone().unwrap()["code"], "PW3125");
    let points = series["points"].as_array().unwrap();
    assert_eq!(
        (points.len(), &points[0]["money"][0]["gross"]),
        (1, &json!(500))
    );
    assert_eq!(points[0]["minute"].as_u64().unwrap() % 15, 0);

    // What comes late is in the books alone; the till still shows all it has.
    sell(&site.edge, &[sale(POPUP, "a", "2", 300)]);
    until("both sales are in the books", || {
        site.booked(POPUP).filter(|sales| *sales == 2)
    });
    until("the till shows both", || {
        let rows = try_get(&site.edge, &format!("/v1/popups/{POPUP}/series"))?;
        let sums = rows["points"].as_array()?.iter();
        let gross = sums.filter_map(|point| point["money"][0]["gross"].as_i64());
        (gross.sum::<i64>() == 800).then_some(())
    });
    assert_eq!(merged().unwrap()["points"], series["points"]);
    let found = get(&site.ledger, &format!("/v1/popups/{POPUP}/reconciliation"));
    assert!(!found.to_string().contains("E-TOTAL"), "{found}");

    // A region that forgot is told all again, and lets it go again, whole.
    assert_eq!(region.stop(), Some(0));
    let _region = site.start_region();
    let again = until_within(LONG, "the minutes are merged again", merged);
    assert_eq!(again["points"][0]["money"][0]["gross"], 800);
    assert!(gone().is_some());
    assert_eq!(edge.stop(), Some(0));
}
