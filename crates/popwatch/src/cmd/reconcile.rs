//! `popwatch reconcile`: what the ledger found when it laid records, cells and counts side by side.

use crate::args::ReconcileArgs;
use crate::caller;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format, plain};
use crate::till::problem;
use anyhow::{Context, bail};
use popwatch_core::id::PopupId;
use popwatch_core::limits::SETTLEMENT_FILE_BYTES_MAX;
use popwatch_core::money::{Currency, Money};
use popwatch_node::client::{Answer, Client};
use popwatch_wire::json::rfc3339;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A large settlement file is read and posted before the answer.
const UPLOAD_WAIT: Duration = Duration::from_secs(1_800);

/// Refused rows of a file that are printed one by one.
const ROWS_NAMED: usize = 20;

/// The ledger's answer, as far as it is printed.
#[derive(Debug, Deserialize)]
pub(super) struct Reconciliation {
    popup: String,
    complete: bool,
    #[serde(default)]
    rigs: Vec<Rig>,
    #[serde(default)]
    totals: BTreeMap<String, Totals>,
    #[serde(default)]
    cells: Option<Cells>,
    #[serde(default)]
    claims: BTreeMap<String, Claims>,
    #[serde(default)]
    exposure: Vec<Exposure>,
    #[serde(default)]
    suggestions: Vec<Suggestion>,
    #[serde(default)]
    claims_not_compared: u64,
    #[serde(default)]
    payouts: Vec<Payout>,
    #[serde(default)]
    breaks: Vec<Break>,
    #[serde(default)]
    suspense: BTreeMap<String, i64>,
    #[serde(default)]
    pub(super) closed: bool,
}

#[derive(Debug, Deserialize)]
struct Rig {
    rig: String,
    epoch: u32,
    #[serde(default)]
    missing: Vec<Range>,
}

#[derive(Debug, Deserialize)]
struct Range {
    first: u64,
    last: u64,
}

#[derive(Debug, Deserialize)]
struct Totals {
    captured: i64,
    refunded: i64,
    net: i64,
    sales: u64,
    refunds: u64,
}

#[derive(Debug, Deserialize)]
struct Cells {
    compared: u64,
    /// Records of which the bytes are gone.
    #[serde(default)]
    erased: u64,
    #[serde(default)]
    drifted: u64,
    #[serde(default)]
    ahead: u64,
    #[serde(default)]
    stale: u64,
    drift_minor: i64,
}

/// How far what tills claim of providers has come.
#[derive(Debug, Deserialize)]
struct Claims {
    claimed: i64,
    confirmed: i64,
    settled: i64,
    stored_offline: i64,
}

#[derive(Debug, Deserialize)]
struct Exposure {
    rig: String,
    provider: String,
    currency: String,
    count: u64,
    amount: i64,
    #[serde(default)]
    expires_at_ms: Option<i64>,
    #[serde(default)]
    creator_share_at_risk: i64,
}

#[derive(Debug, Deserialize)]
struct Suggestion {
    claim: End,
    object: End,
    accept: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct End {
    id: String,
    currency: String,
    amount: i64,
    at_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Payout {
    provider: String,
    account: String,
    payout: String,
    currency: String,
    amount: i64,
    lines: i64,
    residual: i64,
    #[serde(default)]
    bank: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Break {
    id: String,
    class: String,
    severity: String,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    amount: Option<i64>,
    /// The part of the amount that stands in suspense.
    #[serde(default)]
    suspense: i64,
    sentence: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    action: Option<String>,
}

pub(super) async fn run(args: &ReconcileArgs, format: Format) -> anyhow::Result<Exit> {
    let popup = PopupId::new(&args.popup)
        .map_err(|fault| Misuse::argument(format!("the popup's name {fault}")))?;
    bring(args, &popup).await?;
    let url = format!("{}/v1/popups/{popup}/reconciliation", args.ledger);
    let mut asked = vec![format!("full={}", u8::from(args.full))];
    asked.extend(
        args.as_of
            .iter()
            .map(|at| format!("as_of={}", at.replace('+', "%2B"))),
    );
    let url = format!("{url}?{}", asked.join("&"));
    let answer = caller::client()
        .get(&url, &[("accept", "application/json")])
        .await
        .with_context(|| {
            format!(
                "cannot reconcile {popup}; is a ledger running at {}?",
                args.ledger
            )
        })?;
    if !answer.is_success() {
        bail!(
            "the ledger at {} cannot reconcile {popup}: {}",
            args.ledger,
            problem(&answer)
        );
    }
    let unlike = || format!("{url} does not answer like a popwatch ledger");
    let found: Reconciliation = serde_json::from_slice(&answer.body).with_context(unlike)?;
    match format {
        Format::Json => {
            let body: Value = serde_json::from_slice(&answer.body).with_context(unlike)?;
            print::json_pretty(&body)?;
        }
        Format::Text => found.lines().iter().try_for_each(print::line)?,
    }
    Ok(if found.breaks.iter().any(Break::is_open_and_grave) {
        Exit::No
    } else {
        Exit::Done
    })
}

/// Takes files and decisions to the ledger, before it is asked.
async fn bring(args: &ReconcileArgs, popup: &PopupId) -> anyhow::Result<()> {
    let base = format!("{}/v1/popups/{popup}", args.ledger);
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|fault| Misuse::input(format!("{} cannot be read: {fault}", path.display())))
    };
    for text in &args.settlements {
        let (of, path) = text.split_once('=').ok_or_else(|| {
            Misuse::argument("a settlement file is given as stripe=FILE or stripe:main=FILE")
        })?;
        let (provider, account) = of.split_once(':').unwrap_or((of, "main"));
        let url = format!("{base}/settlements?provider={provider}&account={account}");
        print::note(upload(&url, path).await?);
    }
    for path in &args.counts {
        let name = path.display().to_string();
        print::note(upload(&format!("{base}/counts"), &name).await?);
    }
    let mut decisions = Vec::new();
    if let (Some(id), Some(to)) = (&args.accept, &args.to) {
        decisions.push(json!({ "accept": { "break": id, "account": to, "why": args.why } }));
    }
    if let [claim, object] = &args.matched[..] {
        let mut parts = object.splitn(3, ':');
        let (Some(provider), Some(account), Some(object)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Misuse::argument("an object is given as PROVIDER:ACCOUNT:ID").into());
        };
        decisions.push(json!({ "match": { "claim": claim, "provider": provider,
            "account": account, "object": object, "why": args.why } }));
    }
    if let Some(path) = &args.paid {
        let rows: Value = serde_json::from_slice(&read(path)?).map_err(|_| {
            Misuse::input(format!(
                "{} is not a JSON array of payments",
                path.display()
            ))
        })?;
        decisions.push(json!({ "paid": rows }));
    }
    for decision in decisions {
        let url = format!("{base}/decisions");
        take(&url, decision.to_string().into_bytes(), "the decision").await?;
    }
    Ok(())
}

/// Posts a decision; what is not taken is the caller's to mend.
async fn take(url: &str, body: Vec<u8>, what: &str) -> anyhow::Result<Value> {
    let answer = caller::client()
        .post(url, &[("content-type", "application/json")], body)
        .await
        .with_context(|| format!("{what} did not reach the ledger"))?;
    taken(url, &answer, what)
}

/// Posts a file as it lies on the disk, however large; what became of its rows.
async fn upload(url: &str, name: &str) -> anyhow::Result<String> {
    let unreadable = |fault| Misuse::input(format!("{name} cannot be read: {fault}"));
    let file = std::fs::File::open(name).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length > SETTLEMENT_FILE_BYTES_MAX {
        let most = SETTLEMENT_FILE_BYTES_MAX >> 20;
        let detail = format!("{name} has more than {most} MiB; split it by payout or day");
        return Err(Misuse::input(detail).into());
    }
    let bar = print::progress(length, "bytes");
    let (hears, connect) = (bar.clone(), Duration::from_secs(5));
    let sent = move |bytes| {
        hears.set_position(bytes);
        if bytes == length {
            hears.set_message("the ledger reads it");
        }
    };
    let headers = [("content-type", "application/octet-stream")];
    let answer = caller::showing(Client::with_waits(connect, UPLOAD_WAIT))
        .post_file(url, &headers, file, length, sent)
        .await;
    bar.finish_and_clear();
    let answer = answer.with_context(|| format!("{name} did not reach the ledger"))?;
    Ok(tally(name, &taken(url, &answer, name)?).join("\n"))
}

fn taken(url: &str, answer: &Answer, what: &str) -> anyhow::Result<Value> {
    if matches!(answer.status, 400..=499) {
        return Err(Misuse::input(format!("{what} was not taken: {}", problem(answer))).into());
    }
    if !answer.is_success() {
        bail!("{what} was not taken: {}", problem(answer));
    }
    serde_json::from_slice(&answer.body)
        .with_context(|| format!("{url} does not answer like a popwatch ledger"))
}

/// What became of the rows of a file, those that were refused by place.
fn tally(what: &str, said: &Value) -> Vec<String> {
    let count = |name: &str| said[name].as_u64().unwrap_or(0);
    let (new, known, odd) = (count("new"), count("exists"), count("conflicts"));
    let (rows, refused) = (count("rows"), count("refused"));
    let mut out = vec![format!(
        "{what}: {rows} rows, {new} new, {known} known, {odd} in conflict, {refused} refused"
    )];
    if known > 0 && new + odd == 0 {
        out.push(format!(
            "{what}: all of it was taken before; nothing changed"
        ));
    }
    if odd > 0 {
        out.push(format!(
            "{what}: what was told first stands; a break names each row in conflict"
        ));
    }
    let bad = said["bad"].as_array().map_or(&[][..], Vec::as_slice);
    for row in bad.iter().take(ROWS_NAMED) {
        let text = |name: &str| row[name].as_str().map(plain).unwrap_or_default();
        out.push(format!(
            "{what}: row {}, column {}: {}: {}",
            row["row"],
            text("column"),
            text("code"),
            text("rule"),
        ));
    }
    let named = bad.len().min(ROWS_NAMED) as u64;
    if refused > named {
        out.push(format!("{what}: {} more rows refused", refused - named));
    }
    if refused > 0 {
        out.push(format!(
            "{what}: mend these rows and send the file again; the others stay taken"
        ));
    }
    out
}

impl Break {
    fn is_open(&self) -> bool {
        self.state.as_deref().is_none_or(|state| state == "open")
    }

    /// Severity m (money) or w (warning).
    fn is_open_and_grave(&self) -> bool {
        self.is_open() && (self.severity.starts_with('m') || self.severity.starts_with('w'))
    }

    fn row(&self) -> Vec<String> {
        let amount = self.amount.map(|amount| match &self.currency {
            Some(code) => show(code, amount),
            None => format!("{amount} units"),
        });
        let mut what = plain(&self.sentence);
        if let Some(action) = &self.action {
            what.push_str(&format!(" Next: {}", plain(action)));
        }
        let id = plain(&self.id);
        vec![
            plain(&self.class),
            amount.unwrap_or_default(),
            what,
            plain(&self.owner),
            id,
        ]
    }
}

impl Claims {
    fn line(&self, code: &str) -> String {
        format!(
            "claimed {}   confirmed {}   settled {}   stored offline {}",
            show(code, self.claimed),
            show(code, self.confirmed),
            show(code, self.settled),
            show(code, self.stored_offline),
        )
    }
}

impl Exposure {
    fn line(&self) -> String {
        let payments = match self.count {
            1 => "payment".to_owned(),
            count => format!("{count} payments"),
        };
        let mut out = format!(
            "{} stores {payments} of {} for {} offline",
            plain(&self.rig),
            show(&self.currency, self.amount),
            plain(&self.provider),
        );
        if let Some(at) = self.expires_at_ms {
            out.push_str(&format!("; the first expires at {}", rfc3339(at)));
        }
        if self.creator_share_at_risk != 0 {
            let share = show(&self.currency, self.creator_share_at_risk);
            out.push_str(&format!("; {share} of creators' shares at risk"));
        }
        out
    }
}

impl Payout {
    fn line(&self) -> String {
        let money = |minor| show(&self.currency, minor);
        let bank = match self.bank {
            Some(got) => format!("the bank got {}", money(got)),
            None => "not at the bank".to_owned(),
        };
        format!(
            "payout {}:{}:{}   paid {}   its lines {}   unexplained {}   {bank}",
            plain(&self.provider),
            plain(&self.account),
            plain(&self.payout),
            money(self.amount),
            money(self.lines),
            money(self.residual),
        )
    }
}

impl Suggestion {
    /// What may be one payment, and the command that says so.
    fn lines(&self) -> [String; 2] {
        let (claim, object) = (&self.claim, &self.object);
        let apart = claim.at_ms.abs_diff(object.at_ms) / 1_000;
        let words: Vec<String> = self.accept.iter().map(|word| quoted(word)).collect();
        [
            format!(
                "perhaps one payment: {} and {}, {}, {apart} s apart. If so:",
                plain(&claim.id),
                plain(&object.id),
                show(&claim.currency, claim.amount),
            ),
            format!("  {}", words.join(" ")),
        ]
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let word = plain(word);
    let is_simple = |c: char| c.is_ascii_alphanumeric() || "-_.:/~".contains(c);
    match !word.is_empty() && word.chars().all(is_simple) {
        true => word,
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

impl Cells {
    fn sentence(&self) -> String {
        let compared = self.compared;
        if self.erased > 0 {
            return format!(
                "cells are not compared any more: the time of {} records is over, and their bytes are gone",
                self.erased
            );
        }
        if self.drifted > 0 {
            let (drifted, minor) = (self.drifted, self.drift_minor);
            return format!(
                "{compared} cells compared, {drifted} differ, by up to {minor} minor units"
            );
        }
        match (self.ahead, self.stale) {
            (0, 0) => format!("{compared} cells compared, all equal to the re-fold"),
            (ahead, stale) => {
                format!("{compared} cells compared, none differs; {ahead} ahead, {stale} behind")
            }
        }
    }
}

impl Reconciliation {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{}  {}", plain(&self.popup), self.completeness())];
        for (code, totals) in &self.totals {
            lines.push(format!(
                "captured {} ({} sales)   refunded {} ({} refunds)   net {}",
                show(code, totals.captured),
                totals.sales,
                show(code, totals.refunded),
                totals.refunds,
                show(code, totals.net),
            ));
        }
        lines.extend(self.claims.iter().map(|(code, of)| of.line(code)));
        lines.extend(self.exposure.iter().map(Exposure::line));
        lines.extend(self.payouts.iter().map(Payout::line));
        if let Some(cells) = &self.cells {
            lines.push(cells.sentence());
        }
        let open: Vec<&Break> = self.breaks.iter().filter(|found| found.is_open()).collect();
        if open.is_empty() {
            lines.push("no open breaks".to_owned());
        } else {
            let head = ["BREAK", "amount", "what", "who", ""]
                .map(str::to_owned)
                .to_vec();
            let rows: Vec<_> = std::iter::once(head)
                .chain(open.iter().map(|found| found.row()))
                .collect();
            lines.extend(print::table(&rows, &[1]));
        }
        lines.extend(self.suggestions.iter().flat_map(Suggestion::lines));
        if self.claims_not_compared > 0 {
            lines.push(format!(
                "{} older payments without a confirmation were not compared; accept or match the newer ones first",
                self.claims_not_compared
            ));
        }
        lines.push(self.suspense_line());
        lines.push(if self.closed { "closed" } else { "not closed" }.to_owned());
        lines
    }

    /// `complete: till-1 till-3   till-2 lacks 118-121 (epoch 3)`.
    fn completeness(&self) -> String {
        let mut rigs = BTreeMap::<&str, Vec<String>>::new();
        for rig in &self.rigs {
            let gaps = rigs.entry(&rig.rig).or_default();
            let ranges = rig
                .missing
                .iter()
                .map(|range| match range.first == range.last {
                    true => format!("{} (epoch {})", range.first, rig.epoch),
                    false => format!("{}-{} (epoch {})", range.first, range.last, rig.epoch),
                });
            gaps.extend(ranges);
        }
        let (whole, torn): (Vec<_>, Vec<_>) = rigs.iter().partition(|(_, gaps)| gaps.is_empty());
        let mut parts = Vec::new();
        if !whole.is_empty() {
            let names: Vec<String> = whole.iter().map(|(rig, _)| plain(rig)).collect();
            parts.push(format!("complete: {}", names.join(" ")));
        }
        parts.extend(
            torn.iter()
                .map(|(rig, gaps)| format!("{} lacks {}", plain(rig), gaps.join(", "))),
        );
        if !self.complete && torn.is_empty() {
            parts.push("records are still on their way".to_owned());
        }
        if parts.is_empty() {
            parts.push("no rig has reported".to_owned());
        }
        parts.join("   ")
    }

    /// `suspense USD 412.50 = open breaks USD 412.50`: the two sides of L6.
    fn suspense_line(&self) -> String {
        let mut breaks = BTreeMap::<String, i64>::new();
        for found in self.breaks.iter().filter(|found| found.is_open()) {
            if let Some(code) = &found.currency {
                *breaks.entry(code.clone()).or_default() += found.suspense;
            }
        }
        let sum = |side: &BTreeMap<String, i64>| {
            let rows = side.iter().filter(|(_, minor)| **minor != 0);
            let rows: Vec<String> = rows.map(|(code, minor)| show(code, *minor)).collect();
            if rows.is_empty() {
                "0".to_owned()
            } else {
                rows.join(", ")
            }
        };
        let (held, named) = (sum(&self.suspense), sum(&breaks));
        let sign = if held == named { "=" } else { "differs from" };
        format!("suspense {held} {sign} open breaks {named}")
    }
}

pub(super) fn show(code: &str, minor: i64) -> String {
    match Currency::new(code) {
        Some(currency) => Money::new(minor, currency).to_string(),
        None => format!("{minor} {}", plain(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: Value, expect: &str) -> bool {
        let found: Reconciliation = serde_json::from_value(body).unwrap();
        assert_eq!(found.lines().join("\n"), expect.trim_matches('\n'));
        found.breaks.iter().any(Break::is_open_and_grave)
    }

    #[test]
    fn a_popup_with_breaks_reads_as_a_table() {
        let is_no = check(
            json!({
                "popup": "fri-market", "as_of_ms": 1, "complete": false,
                "rigs": [
                    { "rig": "till-1", "epoch": 1, "last": 90, "missing": [] },
                    { "rig": "till-2", "epoch": 3, "last": 200,
                      "missing": [{ "first": 118, "last": 121 }, { "first": 130, "last": 130 }] },
                ],
                "totals": { "USD": { "captured": 841_250, "refunded": 0, "net": 841_250,
                    "sales": 12, "refunds": 0 } },
                "claims": { "USD": { "claimed": 841_250, "confirmed": 800_000, "settled": 731_020,
                    "stored_offline": 0 } },
                "exposure": [{ "rig": "till-2", "provider": "square", "currency": "USD", "count": 2,
                    "amount": 1_700, "oldest_ms": 0, "expires_at_ms": 86_400_000,
                    "creator_share_at_risk": 170 }],
                "payouts": [{ "provider": "stripe", "account": "main", "payout": "po_1",
                    "currency": "USD", "amount": 500, "lines": 499, "residual": 1, "bank": null }],
                "suggestions": [{ "claim": { "id": "pay 17", "currency": "USD", "amount": 29_00,
                        "at_ms": 0 },
                    "object": { "id": "pi_3", "currency": "USD", "amount": 29_00, "at_ms": 61_000 },
                    "accept": ["popwatch", "reconcile", "fri-market", "--match", "pay 17",
                        "stripe:main:pi_3", "--why", "TEXT"] }],
                "cells": { "compared": 40, "drift_minor": 0 },
                "breaks": [
                    { "id": "k3m7", "class": "E-GAP-VALUE", "severity": "m", "currency": "USD",
                      "amount": 41_250, "suspense": 41_250, "sentence": "till-2 lost 4 records.", "owner": "rig lead",
                      "action": "look for the till." },
                    { "id": "q0a2", "class": "K-COUNT", "severity": "w", "currency": null,
                      "amount": -390, "sentence": "fewer than expected.", "owner": "stock" },
                    { "id": "old", "class": "E-GAP", "severity": "w", "state": "resolved",
                      "sentence": "gone.", "owner": "rig lead" },
                ],
                "suspense": { "USD": 41_250 }, "closed": false,
            }),
            "
fri-market  complete: till-1   till-2 lacks 118-121 (epoch 3), 130 (epoch 3)
captured USD 8,412.50 (12 sales)   refunded USD 0.00 (0 refunds)   net USD 8,412.50
claimed USD 8,412.50   confirmed USD 8,000.00   settled USD 7,310.20   stored offline USD 0.00
till-2 stores 2 payments of USD 17.00 for square offline; the first expires at 1970-01-02T00:00:00Z; USD 1.70 of creators' shares at risk
payout stripe:main:po_1   paid USD 5.00   its lines USD 4.99   unexplained USD 0.01   not at the bank
40 cells compared, all equal to the re-fold
BREAK            amount  what                                             who
E-GAP-VALUE  USD 412.50  till-2 lost 4 records. Next: look for the till.  rig lead  k3m7
K-COUNT      -390 units  fewer than expected.                             stock     q0a2
perhaps one payment: pay 17 and pi_3, USD 29.00, 61 s apart. If so:
  popwatch reconcile fri-market --match 'pay 17' stripe:main:pi_3 --why TEXT
suspense USD 412.50 = open breaks USD 412.50
not closed
",
        );
        assert!(is_no);
    }

    #[test]
    fn a_bad_row_is_named_by_place_and_a_known_file_is_said_to_be_known() {
        let bad = json!({ "rows": 3, "new": 2, "exists": 0, "conflicts": 0, "refused": 1, "bad": [
            { "row": 7, "column": "gross", "code": "PW0912", "rule": "is no decimal" }] });
        assert_eq!(
            tally("a.csv", &bad),
            [
                "a.csv: 3 rows, 2 new, 0 known, 0 in conflict, 1 refused",
                "a.csv: row 7, column gross: PW0912: is no decimal",
                "a.csv: mend these rows and send the file again; the others stay taken",
            ]
        );
        let known = json!({ "rows": 3, "new": 0, "exists": 3, "conflicts": 0, "refused": 0 });
        assert_eq!(
            tally("a.csv", &known)[1],
            "a.csv: all of it was taken before; nothing changed"
        );
    }

    #[test]
    fn drift_is_said() {
        let cells = |drifted, ahead| Cells {
            erased: 0,
            compared: 40,
            drifted,
            ahead,
            stale: 0,
            drift_minor: 150,
        };
        let sentence = |drifted, ahead| cells(drifted, ahead).sentence();
        assert_eq!(
            sentence(2, 1),
            "40 cells compared, 2 differ, by up to 150 minor units"
        );
        assert_eq!(
            sentence(0, 3),
            "40 cells compared, none differs; 3 ahead, 0 behind"
        );
    }

    #[test]
    fn a_clean_popup_says_so() {
        let is_no = check(
            json!({ "popup": "demo", "complete": true, "closed": true, "suspense": { "GBP": 0 },
                "rigs": [{ "rig": "rig-0", "epoch": 1 }],
                "breaks": [{ "id": "a", "class": "E-ORPHAN", "severity": "i", "currency": "GBP",
                    "amount": 5, "sentence": "a refund of an unknown sale", "owner": "rig lead" }] }),
            "
demo  complete: rig-0
BREAK       amount  what                         who
E-ORPHAN  GBP 0.05  a refund of an unknown sale  rig lead  a
suspense 0 = open breaks 0
closed
",
        );
        assert!(!is_no);
    }
}
