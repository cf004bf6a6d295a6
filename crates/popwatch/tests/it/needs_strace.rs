//! A disk that fails one sync of a running till.

use std::process::Command;

use crate::admission::alone;
use crate::support::{BINARY, Process, Site, post, sale, sell};

const POPUP: &str = "stall";

#[test]
#[ignore = "needs: strace"]
fn a_failed_sync_costs_an_epoch_and_no_sale() {
    let site = Site::new("eio");
    let config = alone(&site, &site.till().display().to_string(), "");
    let file = site.folder.write("edge.toml", &config);
    let mut edge = Process::of(
        Command::new("strace")
            .args([
                "-D",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=fdatasync",
            ])
            .args(["-e", "inject=fdatasync:error=EIO:when=20", BINARY])
            .args(["run", "--config", file.to_str().unwrap()]),
    );
    edge.address("edge");
    let events: Vec<_> = (0..60)
        .map(|number| sale(POPUP, "a", &number.to_string(), 100))
        .collect();
    let mut epochs = Vec::new();
    for event in &events {
        let answer = post(&site.edge, std::slice::from_ref(event)).unwrap();
        assert_eq!(answer.json()["results"][0]["status"], "accepted");
        epochs.push(answer.json()["epoch"].as_u64().unwrap());
    }
    assert_eq!(epochs.first(), Some(&1));
    assert_eq!(epochs.last(), Some(&2), "{epochs:?}");
    assert!(edge.said().contains("PW0208"), "{}", edge.said());
    drop(edge);

    let _again = site.started("edge", &config);
    let answer = post(&site.edge, &events).unwrap().json();
    let results = answer["results"].as_array().unwrap();
    assert!(
        results
            .iter()
            .all(|verdict| verdict["status"] == "duplicate"),
        "{answer}"
    );
    sell(&site.edge, &[sale(POPUP, "a", "new", 1)]);
}
