//! `popwatch send`: events from a file or standard input to one edge.
//!
//! NDJSON is passed on line by line, unread, so that the edge's verdict is about the very bytes the
//! sender wrote. What comes down a pipe is sent as soon as the pipe pauses.

use crate::args::SendArgs;
use crate::exit::{Exit, Misuse};
use crate::print::{self, Format};
use crate::till::{self, NDJSON, Patience, Tally, Till};
use popwatch_core::limits;
use popwatch_wire::verdict::{Answer, Status, Verdict};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Tries before an edge that does not answer is reported: about half a minute.
const TRIES: u32 = 7;

pub(super) async fn run(args: &SendArgs, format: Format) -> anyhow::Result<Exit> {
    let till = Till::new(&args.edge, Patience::Tries(TRIES));
    let name = args.file.display().to_string();
    let mut input = open(&args.file)?;
    let mut tally = Tally::default();
    if let Some(content_type) = &args.content_type {
        let body = read_whole(&mut input, &name, limits::REQUEST_BYTES_MAX)?;
        let verdicts = till.post(content_type, body.into()).await?;
        show(&verdicts, &mut tally, format)?;
    } else if first_byte(&mut input, &name)? == Some(b'[') {
        let body = read_whole(&mut input, &name, limits::SALES_FILE_BYTES_MAX)?;
        let events: Vec<Value> = serde_json::from_slice(&body).map_err(|error| {
            Misuse::input(format!("{name} is not a JSON array of events: {error}"))
        })?;
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        send_lines(&till, &lines, &mut tally, format).await?;
    } else {
        stream(&till, &mut input, &name, &mut tally, format).await?;
    }
    if format == Format::Text {
        print::line(tally.sentence())?;
    }
    Ok(if tally.rejected_total() == 0 {
        Exit::Done
    } else {
        Exit::No
    })
}

/// Sends lines as they come: a request is full, or nothing more is waiting.
async fn stream(
    till: &Till,
    input: &mut BufReader<Box<dyn Read>>,
    name: &str,
    tally: &mut Tally,
    format: Format,
) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let mut bytes = 0;
    let mut is_first = true;
    while let Some(line) = read_line(input, name)? {
        if std::mem::take(&mut is_first) && is_opened_object(&line) {
            lines = join_objects(line, input, name)?;
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        bytes += line.len();
        lines.push(line);
        let is_full = lines.len() >= limits::SEND_EVENTS_MAX || bytes >= limits::SEND_BYTES_MAX;
        if is_full || input.buffer().is_empty() {
            send_lines(till, &lines, tally, format).await?;
            lines.clear();
            bytes = 0;
        }
    }
    send_lines(till, &lines, tally, format).await
}

async fn send_lines(
    till: &Till,
    lines: &[String],
    tally: &mut Tally,
    format: Format,
) -> anyhow::Result<()> {
    for batch in till::batches(lines) {
        let mut body = batch.join("\n");
        body.push('\n');
        show(&till.post(NDJSON, body.into()).await?, tally, format)?;
    }
    Ok(())
}

fn show(answer: &Answer, tally: &mut Tally, format: Format) -> anyhow::Result<()> {
    for verdict in &answer.results {
        tally.count(verdict);
        match format {
            Format::Text => print::line(sentence(answer, verdict))?,
            Format::Json => print::json(&json!({
                "id": verdict.id,
                "status": verdict.status,
                "rig": answer.rig,
                "epoch": verdict.epoch.unwrap_or(answer.epoch),
                "seq": verdict.seq,
                "error": verdict.error,
            }))?,
        }
    }
    Ok(())
}

/// `accepted   2011-12-05/580538/sale  till-1 epoch 3 seq 1841`.
fn sentence(answer: &Answer, verdict: &Verdict) -> String {
    let id = verdict.id.as_deref().unwrap_or("(no id)");
    let status = match verdict.status {
        Status::Accepted => "accepted",
        Status::Duplicate => "duplicate",
        Status::Rejected => "rejected",
    };
    let mut text = format!("{status:<10} {id}");
    if let Some(seq) = verdict.seq {
        let epoch = verdict.epoch.unwrap_or(answer.epoch);
        text.push_str(&format!("  {} epoch {epoch} seq {seq}", answer.rig));
    }
    if let Some(error) = &verdict.error {
        let field = error.field.as_deref().unwrap_or("event");
        text.push_str(&format!("  {} {field}: {}", error.code, error.detail));
    }
    print::plain(&text)
}

fn open(file: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file);
        Box::new(opened.map_err(|error| unreadable(&file.display().to_string(), &error))?)
    };
    Ok(BufReader::new(input))
}

fn unreadable(name: &str, error: &io::Error) -> Misuse {
    Misuse::input(format!("cannot read {name}: {error}"))
}

/// The first byte that is no white space and no byte order mark, not taken from the input.
fn first_byte(input: &mut BufReader<Box<dyn Read>>, name: &str) -> anyhow::Result<Option<u8>> {
    let waiting = input.fill_buf().map_err(|error| unreadable(name, &error))?;
    let mark = if waiting.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    input.consume(mark);
    let first = input
        .buffer()
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    Ok(first.copied())
}

fn read_whole(
    input: &mut BufReader<Box<dyn Read>>,
    name: &str,
    max: usize,
) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    let bound = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = input.take(bound).read_to_end(&mut body);
    read.map_err(|error| unreadable(name, &error))?;
    if body.len() > max {
        let message = format!("{name} has more than {max} bytes; give the events as NDJSON");
        return Err(Misuse::input(message).into());
    }
    Ok(body)
}

/// The next line without its end; `None` at the end of the input.
fn read_line(input: &mut BufReader<Box<dyn Read>>, name: &str) -> Result<Option<String>, Misuse> {
    let mut line = Vec::new();
    let bound = u64::try_from(limits::REQUEST_BYTES_MAX).unwrap_or(u64::MAX);
    let read = input.take(bound).read_until(b'\n', &mut line);
    let read = read.map_err(|error| unreadable(name, &error))?;
    if read == 0 {
        return Ok(None);
    }
    if line.len() == limits::REQUEST_BYTES_MAX && line.last() != Some(&b'\n') {
        return Err(Misuse::input(format!(
            "{name} has a line too long for any edge"
        )));
    }
    let line = String::from_utf8(line)
        .map_err(|_| Misuse::input(format!("{name} is not UTF-8; give the events as JSON")))?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Whether a first line begins an object that goes on below: one event, written over many lines.
fn is_opened_object(line: &str) -> bool {
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(line);
    line.trim_start().starts_with('{') && parsed.is_err_and(|error| error.is_eof())
}

/// The events of an input whose first object goes on below its first line, `head`.
fn join_objects(
    head: String,
    input: &mut BufReader<Box<dyn Read>>,
    name: &str,
) -> anyhow::Result<Vec<String>> {
    let mut text = head.into_bytes();
    text.push(b'\n');
    text.extend(read_whole(input, name, limits::SALES_FILE_BYTES_MAX)?);
    let values = serde_json::Deserializer::from_slice(&text).into_iter::<Value>();
    let events = values.map(|value| value.map(|value| value.to_string()));
    let events: Result<_, serde_json::Error> = events.collect();
    Ok(events.map_err(|error| Misuse::input(format!("{name} is not JSON: {error}")))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::code::Code;
    use popwatch_wire::verdict::EventProblem;

    fn input(bytes: &'static [u8]) -> BufReader<Box<dyn Read>> {
        BufReader::new(Box::new(bytes))
    }

    #[test]
    fn one_event_may_span_lines() {
        let mut rest = input(b"  \"id\": \"a\"\n}\n{\"id\":\"b\"}\n");
        assert!(is_opened_object("{") && !is_opened_object("{\"id\":}"));
        let events = join_objects("{".into(), &mut rest, "x").unwrap();
        assert_eq!(events, ["{\"id\":\"a\"}", "{\"id\":\"b\"}"]);
    }

    #[test]
    fn the_form_is_told_by_the_first_byte() {
        for (bytes, expect) in [
            (&b"\xef\xbb\xbf\n [1]"[..], Some(b'[')),
            (b"{}", Some(b'{')),
            (b"", None),
        ] {
            assert_eq!(first_byte(&mut input(bytes), "x").unwrap(), expect);
        }
    }

    #[test]
    fn a_verdict_reads_as_one_line() {
        let answer = Answer {
            rig: "till-1".into(),
            epoch: 3,
            durable_seq: 7,
            results: Vec::new(),
        };
        let taken = Verdict::accepted("a\u{1b}b".into(), 7);
        assert_eq!(
            sentence(&answer, &taken),
            "accepted   a·b  till-1 epoch 3 seq 7"
        );
        let problem = EventProblem::of(Code::DataInvalid, "data.qty", "is missing");
        let refused = Verdict::rejected(Some("a".into()), &problem);
        assert_eq!(
            sentence(&answer, &refused),
            "rejected   a  PW0103 data.qty: is missing"
        );
    }
}
