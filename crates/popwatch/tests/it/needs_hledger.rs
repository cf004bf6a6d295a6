//! hledger reads the exported journal and comes to the balances of the books.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::{Site, get, outcome, sale, sell};

/// Balances by commodity and account as hledger sums them, without zeros.
fn summed(journal: &std::path::Path) -> BTreeMap<(String, String), String> {
    let output = Command::new("hledger")
        .args([
            "-f",
            journal.to_str().unwrap(),
            "balance",
            "--flat",
            "--no-total",
            "-O",
            "csv",
        ])
        .args(["--layout", "bare"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = text.lines().skip(1).map(|line| {
        let cells: Vec<String> = line
            .trim_matches('"')
            .split("\",\"")
            .map(str::to_owned)
            .collect();
        (
            (cells[1].trim_matches('"').to_owned(), cells[0].clone()),
            cells[2].clone(),
        )
    });
    rows.filter(|(_, sum)| !sum.trim_matches(['0', '.', '-']).is_empty())
        .collect()
}

#[test]
#[ignore = "needs: hledger"]
fn hledger_comes_to_the_balances_of_the_books() {
    let site = Site::new("hledger");
    let (_region, _ledger) = (site.start_region(), site.start_ledger());
    let _edge = site.start_edge();
    let sales: Vec<_> = (0..20)
        .map(|at| sale("stall", "checkout", &format!("s{at}"), 450 + at))
        .collect();
    sell(&site.edge, &sales);
    site.drained("stall", 20);
    let ledger = format!("http://{}", site.ledger);
    let (status, journal, said) = outcome(&["export", "stall", "--ledger", &ledger]);
    assert_eq!(status, Some(0), "{said}");
    let path = site.folder.write("stall.journal", &journal);
    let books = get(&site.ledger, "/v1/popups/stall/books");
    let mut expected = BTreeMap::new();
    for (code, currency) in books["currencies"].as_object().unwrap() {
        for line in currency["accounts"].as_array().unwrap() {
            let minor = line["balance"].as_i64().unwrap();
            let sign = if minor < 0 { "-" } else { "" };
            let all = minor.unsigned_abs();
            let text = format!("{sign}{}.{:02}", all / 100, all % 100);
            let account = line["account"].as_str().unwrap().to_owned();
            if minor != 0 {
                expected.insert((code.clone(), account), text);
            }
        }
    }
    assert!(expected.len() >= 2, "{books}");
    let found: BTreeMap<_, _> = summed(&path)
        .into_iter()
        .filter(|((commodity, _), _)| !commodity.contains(':'))
        .collect();
    assert_eq!(found, expected, "{journal}");
}
