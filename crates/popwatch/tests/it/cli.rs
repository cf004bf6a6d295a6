//! The command line from outside: exit statuses, what goes where, and a day replayed over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

const DAY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/assets/online_retail/2011-12-05.csv"
);

fn popwatch(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_popwatch"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

#[track_caller]
fn check(args: &[&str], input: &str, status: i32, stdout: &str, stderr: &str) {
    let output = popwatch(args, input);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    assert!(out.contains(stdout), "{out}");
    assert!(err.contains(stderr), "{err}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An edge that takes every line that is JSON with an id; its connections end with the test.
fn edge() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

fn serve(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(body) = read_request(&mut reader) {
        let verdict = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(event) => serde_json::json!({ "id": event["id"], "status": "accepted", "seq": 1 }),
            Err(_) => serde_json::json!({ "status": "rejected",
                "error": { "code": "PW0101", "detail": "is no JSON" } }),
        };
        let results: Vec<_> = body.lines().map(verdict).collect();
        let answer = serde_json::json!({ "rig": "till-1", "epoch": 2, "durable_seq": 1,
            "results": results })
        .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        writer.write_all((head + &answer).as_bytes()).unwrap();
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = Some(value.parse::<usize>().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some(text(&body))
}

#[test]
fn misuse_ends_with_two_and_names_the_next_step() {
    check(
        &["send", "no-such-file"],
        "",
        2,
        "",
        "PW1102: cannot read no-such-file",
    );
    check(
        &["send", "-", "--edge", "till:1"],
        "",
        2,
        "",
        "http://host:port",
    );
    check(&["nonsense"], "", 2, "", "unrecognized subcommand");
    check(
        &["send", "-"],
        "[1,",
        2,
        "",
        "PW1102: - is not a JSON array of events",
    );
    let replay = ["replay", DAY, "--edge", "http://127.0.0.1:1", "--popup"];
    check(
        &[&replay[..], &["a b"]].concat(),
        "",
        2,
        "",
        "PW1101: --popup has a character",
    );
    let starts = [&replay[..], &["x", "--starts", "tonight"]].concat();
    check(
        &starts,
        "",
        2,
        "",
        "PW1101: --starts must be an RFC 3339 time",
    );
}

#[test]
fn a_peer_that_is_not_there_ends_with_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let args = ["reconcile", "demo", "--ledger", &url];
    check(&args, "", 1, "", "is a ledger running at");
}

#[test]
fn help_ends_with_zero() {
    check(&["replay", "--help"], "", 0, "Example: popwatch replay", "");
    check(&["--version"], "", 0, "popwatch ", "");
}

#[test]
fn a_rejected_event_ends_with_three_and_costs_no_neighbour() {
    let edge = edge();
    let args = ["send", "-", "--edge", &edge];
    check(
        &args,
        "{\"id\":\"a\"}\n\n{\"id\":\"b\"}\n",
        0,
        "2 events: 2 accepted",
        "",
    );
    let lines = "{\"id\":\"a\"}\nnonsense\n{\"id\":\"b\"}\n";
    check(
        &args,
        lines,
        3,
        "rejected   (no id)  PW0101 event: is no JSON\naccepted   b",
        "",
    );
    let json = [&args[..], &["--format", "json"]].concat();
    check(
        &json,
        "{\n\"id\":\"a\"}",
        0,
        r#""status":"accepted","rig":"till-1","epoch":2,"seq":1"#,
        "",
    );
}

#[test]
fn a_day_is_replayed_to_the_last_penny() {
    let edges = [edge(), edge(), edge(), edge()];
    let mut args = vec!["replay", DAY, "--popup", "demo", "--speed", "0"];
    for edge in &edges {
        args.extend(["--edge", edge.as_str()]);
    }
    let sales =
        "GBP 88,741.96 in 127 sales, GBP 30,990.64 back in 16 refunds\n405 events: 405 accepted";
    check(&args, "", 0, sales, "");
}
