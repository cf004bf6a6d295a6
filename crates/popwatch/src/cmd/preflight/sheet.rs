//! The preflight as one A4 page: verdict, findings with what to do, the code of the rig's page, lines
//! for who looked at it.
//!
//! What always holds: one file, no request, no script; whatever comes from outside is escaped.

use std::fmt::Write as _;

use popwatch_core::preflight::{Finding, Outcome, Severity, Verdict};
use popwatch_node::preflight::Report;
use popwatch_wire::json::rfc3339;
use qrcodegen::{QrCode, QrCodeEcc};

use crate::print::escape;

const STYLE: &str = "\
@page{size:A4;margin:12mm}
*{box-sizing:border-box}
body{font:10.5px/1.35 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:#16181d;margin:0 auto;\
max-width:186mm;padding:6mm 0;background:#fff;-webkit-print-color-adjust:exact;print-color-adjust:exact}
@media screen{body{padding:10mm}html{background:#eceef1}body{box-shadow:0 1px 8px #0002;max-width:206mm}}
header{display:flex;gap:6mm;align-items:stretch;margin-bottom:5mm}
.verdict{flex:1;border-radius:3mm;padding:5mm 6mm;color:#fff}
.go{background:#1d7a46}.warnings{background:#9a6200}.no-go{background:#b3261e}
.verdict h1{font-size:30px;line-height:1;margin:0 0 3mm;letter-spacing:-.01em}
.verdict p{margin:0;font-size:12px}
.qr{width:32mm;text-align:center;font-size:8.5px;color:#555}
.qr svg{width:28mm;height:28mm;display:block;margin:0 auto 1mm}
table{width:100%;border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:1.3mm 2mm;border-bottom:1px solid #d9dce1}
th{font-size:9px;color:#5d636e;font-weight:600;border-bottom:1.5px solid #16181d}
tr{break-inside:avoid}
td.check{font-weight:600;white-space:nowrap}td.check small{display:block;font-weight:400;color:#5d636e}
.tag{display:inline-block;border-radius:1mm;padding:.2mm 1.6mm;font-weight:600;font-size:9.5px;white-space:nowrap}
.t-pass{background:#e2f3e9;color:#155c35}.t-not{background:#e8eaee;color:#3d434d}
.t-warning{background:#fdefd0;color:#7a4d00}.t-nogo{background:#b3261e;color:#fff}
.todo{font-weight:600}.need{color:#5d636e}
h2{font-size:11px;margin:5mm 0 1.5mm}
.steps{display:flex;flex-wrap:wrap;gap:1.5mm;margin:0;padding:0;list-style:none}
.steps li{border:1px solid #d9dce1;border-radius:1mm;padding:.6mm 2mm}
.steps .bad{border-color:#b3261e;color:#b3261e;font-weight:600}
.sign{display:flex;gap:8mm;margin-top:9mm}.sign span{flex:1;border-top:1px solid #16181d;padding-top:1mm;color:#5d636e;font-size:9px}
footer{margin-top:4mm;color:#5d636e;font-size:8.5px}
@media print{body{padding:0;font-size:9.5px;line-height:1.28;max-width:none}header{margin-bottom:3mm}\
.verdict{padding:3.5mm 5mm}td,th{padding:.9mm 1.6mm}.qr,.qr svg{width:26mm}.qr svg{height:26mm}\
.sign{margin-top:7mm}h2{margin:3mm 0 1mm}}";

/// The page.
pub(super) fn html(report: &Report) -> String {
    let verdict = report.verdict();
    let class = match verdict {
        Verdict::Go => "go",
        Verdict::Warnings => "warnings",
        Verdict::NoGo => "no-go",
    };
    let word = match verdict {
        Verdict::Go => "Go",
        Verdict::Warnings => "Go with warnings",
        Verdict::NoGo => "No-go",
    };
    let popup = escape(report.popup.as_deref().unwrap_or("no popup named"));
    let rig = escape(report.rig.as_deref().unwrap_or("no rig"));
    let at = minute(report.at_ms);
    let window = match report.window_known {
        true => format!(
            "{} to {} UTC",
            minute(report.window.starts_ms),
            minute(report.window.ends_ms)
        ),
        false => String::from("window not announced, the next 8 hours taken"),
    };
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>Preflight {popup} {rig}: {verdict}</title><style>{STYLE}</style>\n\
         <header><div class=\"verdict {class}\"><h1>{word}</h1>\
         <p><b>{popup}</b> on <b>{rig}</b><br>{window}<br>looked at {at} UTC</p></div>{}</header>\n",
        code(report.page.as_deref()),
    );
    out.push_str("<table><tr><th>Check<th>Finding<th>Measured<th>Needed, and what to do</tr>\n");
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings.iter().for_each(|finding| row(&mut out, finding));
    out.push_str("</table>\n");
    steps(&mut out, report);
    out.push_str(
        "<div class=sign><span>Looked at by</span><span>Time</span><span>Doors may open: yes / no</span></div>\n",
    );
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "<footer>popwatch {version}. Stale after a day, or when policy or popwatch change: run it again. \
         Codes are explained in docs/errors.</footer></html>"
    )
    .expect("writing to a string cannot fail");
    out
}

fn row(out: &mut String, finding: &Finding) {
    let tag = match finding.severity {
        Severity::Pass => "pass",
        Severity::NotChecked => "not",
        Severity::Warning => "warning",
        Severity::NoGo => "nogo",
    };
    let needed = match finding.severity {
        Severity::Pass => format!("<span class=need>{}</span>", escape(&finding.needed)),
        Severity::NotChecked | Severity::Warning | Severity::NoGo => format!(
            "<span class=need>{}</span><br><span class=todo>{}</span>",
            escape(&finding.needed),
            escape(&finding.todo)
        ),
    };
    writeln!(
        out,
        "<tr><td class=check>{}<small>{}</small><td><span class=\"tag t-{tag}\">{}</span><td>{}<td>{needed}</tr>",
        finding.check.name(),
        finding.check.code(),
        finding.severity.text(),
        escape(&finding.measured),
    )
    .expect("writing to a string cannot fail");
}

fn steps(out: &mut String, report: &Report) {
    let Some(rehearsal) = &report.rehearsal else {
        return;
    };
    out.push_str("<h2>The synthetic sale, ");
    out.push_str(&escape(rehearsal));
    out.push_str("</h2><ul class=steps>");
    for step in &report.steps {
        let (class, how) = match &step.outcome {
            Outcome::Done(ms) => ("", format!("{ms} ms")),
            Outcome::Failed(why) => (" class=bad", escape(why)),
            Outcome::Stopped(why) => (" class=bad", format!("stopped: {}", escape(why))),
        };
        write!(out, "<li{class}>{} · {how}</li>", step.name)
            .expect("writing to a string cannot fail");
    }
    out.push_str("</ul>\n");
}

/// The code of the rig's page as a drawing.
fn code(page: Option<&str>) -> String {
    let Some(page) = page else {
        return String::new();
    };
    let Ok(code) = QrCode::encode_text(page, QrCodeEcc::Medium) else {
        return String::new();
    };
    let side = code.size();
    let mut path = String::new();
    for y in 0..side {
        for x in (0..side).filter(|x| code.get_module(*x, y)) {
            write!(path, "M{x} {y}h1v1h-1z").expect("writing to a string cannot fail");
        }
    }
    format!(
        "<div class=qr><svg viewBox=\"-2 -2 {0} {0}\" shape-rendering=crispEdges><path d=\"{path}\"/></svg>\
         this rig's page<br>{1}</div>",
        side + 4,
        escape(page)
    )
}

/// `2026-11-23 16:45`.
fn minute(ms: i64) -> String {
    let text = rfc3339(ms);
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn the_page_needs_nothing_and_takes_nothing_at_its_word() {
        let mut report = report();
        report.findings[0].measured = "<script>alert(1)</script>".into();
        let page = html(&report);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
        assert!(page.contains("plug it in &lt;now&gt;"));
        assert!(!page.contains("src=") && !page.contains("href="));
        assert!(page.contains("No-go") && page.contains("preflight-fri-1"));
        assert!(page.contains("<svg viewBox"), "the code of the page");
        assert!(page.len() < 60_000, "{}", page.len());
        let no_go = page.find("t-nogo").unwrap();
        assert!(
            no_go < page.find("t-pass\"").unwrap(),
            "the worst stands first"
        );
    }
}
