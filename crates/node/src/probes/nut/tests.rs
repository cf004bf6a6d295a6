//! The client against daemons that answer, hang, babble and lie.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// Enough for a daemon on this machine.
const LONG: Duration = Duration::from_secs(5);
/// To see a limit pass.
const SHORT: Duration = Duration::from_millis(100);

/// A daemon for one connection: answers each line as `answer` says until the client leaves.
fn daemon(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if stream.write_all(&answer(line.trim_end())).is_err() {
                return;
            }
            line.clear();
        }
    };
    (address, std::thread::spawn(serve))
}

/// What an upsd with these units says.
fn upsd<const N: usize>(
    units: [(&'static str, &'static [&'static str]); N],
) -> impl Fn(&str) -> Vec<u8> {
    move |line| {
        let mut text = String::new();
        if line == "LIST UPS" {
            text.push_str("BEGIN LIST UPS\n");
            for (name, _) in &units {
                text.push_str(&format!("UPS {name} \"The stall's \\\"own\\\" UPS\"\n"));
            }
            text.push_str("END LIST UPS\n");
        } else if line == "LOGOUT" {
            text.push_str("OK Goodbye\n");
        } else if let Some(name) = line.strip_prefix("LIST VAR ")
            && let Some((_, variables)) = units.iter().find(|(unit, _)| *unit == name)
        {
            if variables.is_empty() {
                return b"ERR DRIVER-NOT-CONNECTED\n".to_vec();
            }
            text.push_str(&format!("BEGIN LIST VAR {name}\n"));
            for variable in *variables {
                let (variable, value) = variable.split_once(' ').unwrap();
                text.push_str(&format!("VAR {name} {variable} \"{value}\"\n"));
            }
            text.push_str(&format!("END LIST VAR {name}\n"));
        } else {
            text.push_str("ERR UNKNOWN-COMMAND\n");
        }
        text.into_bytes()
    }
}

async fn ask(limit: Duration, answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Answer {
    let (address, thread) = daemon(answer);
    let found = read(Some(address), limit).await;
    thread.join().unwrap();
    found
}

#[tokio::test]
async fn a_unit_on_battery_tells_its_charge_time_and_load() {
    let unit = &[
        "battery.charge 87.5",
        "battery.runtime 2459",
        "device.mfr American \\\"Power\\\" \\\\ Conversion",
        "ups.realpower 42",
        "ups.status OB DISCHRG",
    ];
    let answer = ask(LONG, upsd([("stall", unit)])).await;
    assert_eq!(answer.faults, []);
    let expected = Ups {
        battery: Some(87_500),
        on_battery: Some(true),
        is_low: false,
        is_worn: false,
        minutes: Some(40),
        power_mw: Some(42_000),
    };
    assert_eq!(answer.ups, Some(expected));
}

#[tokio::test]
async fn low_counts_on_battery_only_and_the_weakest_unit_stands_for_all() {
    let fed = &["ups.status OL CHRG LB", "battery.charge 3"];
    let answer = ask(LONG, upsd([("a", fed)])).await.ups.unwrap();
    assert_eq!((answer.on_battery, answer.is_low), (Some(false), false));
    let full = &["ups.status OL", "battery.charge 100", "ups.realpower 10"];
    let low = &[
        "ups.status OB LB",
        "battery.charge 9",
        "battery.runtime 59",
        "ups.realpower 5",
    ];
    let answer = ask(LONG, upsd([("a", full), ("b", low)]))
        .await
        .ups
        .unwrap();
    assert_eq!((answer.on_battery, answer.is_low), (Some(true), true));
    assert_eq!((answer.battery, answer.minutes), (Some(9_000), Some(0)));
    assert_eq!(answer.power_mw, Some(15_000));
}

#[tokio::test]
async fn a_unit_whose_driver_is_away_is_left_out_and_the_others_count() {
    let answer = ask(LONG, upsd([("gone", &[]), ("stall", &["ups.status OL"])])).await;
    assert_eq!(answer.ups.unwrap().on_battery, Some(false));
    assert_eq!(answer.faults.len(), 1);
    let answer = ask(LONG, upsd([])).await;
    assert_eq!(answer, Answer::default(), "a daemon without units");
}

#[tokio::test]
async fn a_figure_that_cannot_be_true_is_left_out() {
    let unit = &[
        "battery.charge 250",
        "battery.runtime -5",
        "ups.realpower lots",
        "ups.status OL",
    ];
    let answer = ask(LONG, upsd([("stall", unit)])).await;
    assert_eq!(answer.faults.len(), 3);
    let ups = answer.ups.unwrap();
    assert_eq!((ups.battery, ups.minutes, ups.power_mw), (None, None, None));
}

#[tokio::test]
async fn a_daemon_that_is_away_is_a_fault_only_where_one_was_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = read(Some(address), LONG).await;
    assert_eq!((answer.ups, answer.faults.len()), (None, 1));
}

#[tokio::test]
async fn a_daemon_that_hangs_is_given_up_at_the_limit() {
    for silent_at in ["LIST UPS", "LIST VAR stall"] {
        let good = upsd([("stall", &["ups.status OL"])]);
        let answer = ask(SHORT, move |line| match line == silent_at {
            true => Vec::new(),
            false => good(line),
        })
        .await;
        assert_eq!(answer.ups, None);
        assert_eq!(answer.faults, [Fault::Hung]);
    }
}

#[tokio::test]
async fn garbage_is_refused_within_its_bound() {
    let cases: [(&[u8], usize); 8] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 1),
        (b"\xff\xfe\0\0\n", 1),
        (b"BEGIN LIST UPS\nUPS two\\words\n", 1),
        (b"BEGIN LIST UPS\nUPS \"open\n", 1),
        (b"BEGIN LIST UPS\nUPS \"a b\" x\n", 1),
        (b"BEGIN LIST VAR stall\n", 1),
        (b"\n", 1),
        (b"x", 60_000),
    ];
    for (bytes, times) in cases {
        let mut body = bytes.repeat(times);
        if times > 1 {
            body.extend_from_slice(&body.clone());
        }
        let answer = ask(LONG, move |_| body.clone()).await;
        assert_eq!(answer.ups, None);
        assert_eq!(answer.faults.len(), 1, "{bytes:?}");
    }
}

#[test]
fn words_may_be_quoted() {
    let split = |line: &str| words(line).map(|words| words.join("|"));
    assert_eq!(
        split(r#"VAR a b.c "d e""#).as_deref(),
        Some("VAR|a|b.c|d e")
    );
    assert_eq!(split(r#"x "a\"b\\c" """#).as_deref(), Some(r#"x|a"b\c|"#));
    assert_eq!(split("  a\tb ").as_deref(), Some("a|b"));
    assert_eq!(split(r#""open"#), None);
    assert_eq!(split(r#""open\"#), None);
}

#[test]
fn decimals_are_read_exactly() {
    for (text, expected) in [
        ("0", Some(0)),
        ("87", Some(87_000)),
        ("87.5", Some(87_500)),
        ("12.34567", Some(12_345)),
        ("", None),
        (".", None),
        ("1.", None),
        ("-1", None),
        ("1e3", None),
        ("99999999999999999999", None),
        ("9223372036854775", Some(9_223_372_036_854_775_000)),
        ("9223372036854776", None),
    ] {
        assert_eq!(thousandths(text), expected, "{text}");
    }
}
