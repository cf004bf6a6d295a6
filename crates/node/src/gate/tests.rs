//! Whatever the disk does: no byte without an entry that verifies.

use std::cell::RefCell;

use popwatch_core::access::raw::{Mfa, Purpose, decide_read};
use popwatch_core::access::{Rules, Scope};
use popwatch_core::event::{Event, EventType};
use popwatch_core::id::{Epoch, EventId, PopupId, RigId, Seq, Source};
use popwatch_core::record::{Content, Flags, Stamp};
use popwatch_store::fs::faulty::{Dice, Fault, FaultFs};
use popwatch_wire::audit::Proof;
use popwatch_wire::json::JsonSource;

use super::*;

/// Opens nothing.
struct Shut;

impl OpenParts for Shut {
    fn open(&self, _: &Position, _: &Record, _: PartClass) -> Option<Opened> {
        None
    }
}

const ORIGIN: &str = "acme/audit/till-1";

fn key() -> NoteKey {
    NoteKey::new("acme.audit.popwatch", &[5; 32])
}

fn subject(scope: Scope) -> Subject {
    Subject {
        org: "acme".into(),
        pass: "p".into(),
        actor: "a-1".into(),
        scope,
        extent: "ana".into(),
        members: Vec::new(),
        popup: Some("fri".into()),
    }
}

fn allowed(scope: Scope, id: &str, fields: &[&str], rows_max: u32) -> Allowed {
    let mut rules = Rules::default();
    rules.raw.rows_max = rows_max;
    let mfa = Some(Mfa {
        kind: "totp",
        age_ms: 2_000,
    });
    let request = ReadRequest {
        popup: "fri".into(),
        rigs: vec!["till-1".into()],
        from_ms: 0,
        to_ms: 100_000,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        classes: vec![PartClass::Contact],
        purpose: Purpose::Dispute,
    };
    decide_read(&rules, &subject(scope), mfa, request, id.to_owned()).unwrap()
}

/// A sale at a moment, by an event as a client sends it.
fn record(seq: u64, at_ms: i64, popup: &str, creator: &str) -> (Position, Record) {
    let data = serde_json::json!({
        "payment": format!("p{seq}"), "order": "o", "amount": 450, "currency": "EUR",
        "method": "card", "creator": creator,
        "lines": [{"sku": "mug", "qty": 1, "amount": 450, "creator": "ben"}],
    });
    let of = EventType::PaymentCaptured;
    let event = Event::read(of, &mut JsonSource::new(of, data.as_object().unwrap(), &[])).unwrap();
    let position = Position {
        rig: RigId::new("till-1").unwrap(),
        epoch: Epoch(1),
        seq: Seq(seq),
    };
    let record = Record {
        event,
        popup: Some(PopupId::new(popup).unwrap()),
        source: Source::new("till").unwrap(),
        id: EventId::new(&format!("e{seq}")).unwrap(),
        stamp: Stamp {
            mono_ns: 0,
            wall_ms: at_ms,
            time_ms: None,
            age_ms: None,
        },
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    };
    (position, record)
}

/// Opens the trail, asks for a read and shows all of it, as production does. Answers the bytes shown.
fn read_all(fs: &FaultFs, id: &str) -> (Result<(), Code>, String) {
    let mut shown = String::new();
    let opened = AuditLog::open(fs.clone(), ORIGIN).map_err(|fault| fault.code());
    let granted = opened.and_then(|(mut log, _)| {
        let grant = commit(allowed(Scope::Operator, id, &[], 10), &mut log, &key(), 50)
            .map_err(|fault| fault.code())?;
        Ok((log, grant))
    });
    let (log, grant) = match granted {
        Ok(granted) => granted,
        Err(code) => return (Err(code), shown),
    };
    let log = RefCell::new(log);
    let close = |closing: Closing| {
        let entry = closing.entry(60).encode().unwrap();
        // A disk that takes no more says so in the log of the process; what was shown has its entry.
        drop(log.borrow_mut().append(&[entry], &|text| key().sign(text)));
    };
    let records = [record(1, 5, "fri", "ana"), record(2, 6, "fri", "ben")];
    let mut reader = open_raw(grant, records.into_iter().map(Ok), Shut, 0, close);
    while let Some(line) = reader.next(1) {
        shown.push_str(&line);
    }
    drop(reader);
    (Ok(()), shown)
}

/// Whether the trail on a disk, read anew, holds the entry of this read and proves it with the key alone.
fn is_proved(fs: &FaultFs, id: &str) -> bool {
    let Ok((log, _)) = AuditLog::open(fs.clone(), ORIGIN) else {
        return false;
    };
    (0..log.size()).any(|number| {
        let Ok(Some(proved)) = log.prove(number) else {
            return false;
        };
        let proof = Proof {
            entry: proved.entry,
            index: number,
            hashes: proved.hashes,
            checkpoint: proved.head,
        };
        let text = String::from_utf8(proof.entry.clone()).unwrap();
        text.contains(id) && text.contains("raw.read") && proof.verify(&key().public()).is_ok()
    })
}

fn filled(seed: u64) -> FaultFs {
    let fs = FaultFs::new(seed);
    let (mut log, _) = AuditLog::open(fs.clone(), ORIGIN).unwrap();
    for number in 0..3 {
        let entry = format!("{{\"n\":{number}}}").into_bytes();
        log.append(&[entry], &|text| key().sign(text)).unwrap();
    }
    fs
}

#[test]
fn no_byte_is_shown_without_an_entry_that_verifies() {
    let (mut shown, mut refused) = (0, 0);
    let mut judge = |fs: &FaultFs, what: &str| {
        let id = "feedfacefeedface";
        let (outcome, bytes) = read_all(fs, id);
        match outcome {
            Err(code) => {
                assert!(bytes.is_empty(), "{what}");
                assert!((801..=806).contains(&code.number()), "{what}: {code}");
                refused += 1;
            }
            Ok(()) => {
                assert!(!bytes.is_empty(), "{what}");
                // The power goes at once: what counted is still there.
                fs.fail_rate(0);
                fs.crash();
                assert!(is_proved(fs, id), "{what}: shown without an entry");
                shown += 1;
            }
        }
    };
    for seed in 0..50 {
        let sound = filled(seed);
        let calls = sound.ops();
        judge(&filled(seed), "sound");
        // Each call of the whole way fails once, in each way.
        for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::PowerCut] {
            for call in 0..16 {
                let fs = filled(seed);
                fs.fail_at(calls + call, fault);
                judge(&fs, &format!("seed {seed}: {fault:?} at call {call}"));
            }
        }
        for ppm in [50_000, 400_000, 1_000_000] {
            let fs = filled(seed);
            fs.fail_rate(ppm);
            judge(&fs, &format!("seed {seed}: {ppm} of a million calls fail"));
        }
        let full = filled(seed);
        full.capacity(64 + Dice(seed).below(900));
        judge(&full, "no room");
        for name in ["000001.entries", "000001.head"] {
            let fs = filled(seed);
            let len = fs.bytes(name).unwrap().len();
            fs.flip(name, Dice(seed).index(len), 3);
            judge(&fs, &format!("seed {seed}: {name} is damaged"));
            fs.remove(name);
            judge(&fs, &format!("seed {seed}: {name} is gone"));
        }
    }
    assert!(
        shown >= 250 && refused > 2_500,
        "{shown} shown, {refused} refused"
    );
}

#[test]
fn bytes_that_change_between_writing_and_reading_back_open_nothing() {
    for seed in 0..40 {
        let fs = filled(seed);
        let (mut log, _) = AuditLog::open(fs.clone(), ORIGIN).unwrap();
        let id = "feedfacefeedface";
        // The key's holder is asked to sign, and the disk changes under the trail just then.
        let tampering = fs.clone();
        let sign = |text: &str| {
            let len = tampering.bytes("000001.entries").unwrap().len();
            tampering.flip("000001.entries", len - 1 - Dice(seed).index(40), 2);
            key().sign(text)
        };
        let entry = entry(
            5,
            id,
            &subject(Scope::Operator),
            allowed(Scope::Operator, id, &[], 1).request(),
            None,
        );
        let number = log.append(&[entry.encode().unwrap()], &sign).unwrap().start;
        assert!(log.read_back(number).is_err(), "seed {seed}");
    }
    // A head that another key signed, in place of ours.
    let fs = filled(1);
    let (mut log, _) = AuditLog::open(fs.clone(), ORIGIN).unwrap();
    let stranger = NoteKey::new("acme.audit.popwatch", &[6; 32]);
    let read = allowed(Scope::Operator, "feedfacefeedface", &[], 1);
    let entry = entry(5, read.id(), read.subject(), read.request(), None);
    let number = log
        .append(&[entry.encode().unwrap()], &|text| stranger.sign(text))
        .unwrap()
        .start;
    let proved = log.read_back(number).unwrap();
    assert!(open_checkpoint(&proved.head, &key().public()).is_err());
}

/// What a reader showed, and what its end says.
fn shown(
    read: Allowed,
    records: Vec<(Position, Record)>,
    step_ms: u64,
) -> (Vec<String>, Vec<Entry>) {
    let fs = filled(9);
    let (mut log, _) = AuditLog::open(fs, ORIGIN).unwrap();
    let grant = commit(read, &mut log, &key(), 50).unwrap();
    let ends = RefCell::new(Vec::new());
    let close = |closing: Closing| ends.borrow_mut().push(closing.entry(70));
    let mut reader = open_raw(grant, records.into_iter().map(Ok), Shut, 0, close);
    let mut lines = Vec::new();
    let mut now_ms = 0;
    while let Some(line) = reader.next(now_ms) {
        lines.push(line);
        now_ms += step_ms;
        if lines.len() == 7 {
            break;
        }
    }
    drop(reader);
    (lines, ends.into_inner())
}

fn end(entry: &Entry) -> String {
    entry.detail.field("end").unwrap().canonical()
}

#[test]
fn a_reader_shows_what_was_granted_and_says_how_it_ended() {
    let all = |count: u64| {
        (1..=count)
            .map(|n| record(n, 5, "fri", "ana"))
            .collect::<Vec<_>>()
    };
    let operator =
        |fields: &[&str], rows| allowed(Scope::Operator, "feedfacefeedface", fields, rows);
    let mut mixed = all(2);
    mixed.push(record(3, 5, "sat", "ana"));
    mixed.push(record(4, 200_000, "fri", "ana"));
    let (lines, ends) = shown(operator(&["amount"], 10), mixed, 1);
    assert_eq!((lines.len(), ends.len()), (2, 1));
    assert!(
        lines[0].contains("\"data\":{\"amount\":450}"),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("\"sealed\":{\"contact\":null}"),
        "{}",
        lines[0]
    );
    assert_eq!(end(&ends[0]), "\"whole\"");
    let (lines, ends) = shown(operator(&[], 3), all(5), 1);
    assert_eq!((lines.len(), end(&ends[0])), (3, "\"rows_max\"".to_owned()));
    let (lines, ends) = shown(operator(&[], 9), all(5), 200_000);
    assert_eq!((lines.len(), end(&ends[0])), (2, "\"time\"".to_owned()));
    let (lines, ends) = shown(operator(&[], 9), all(9), 1);
    assert_eq!((lines.len(), end(&ends[0])), (7, "\"left\"".to_owned()));
    // A creator sees records that name them, without lines that may name others.
    let both = vec![record(1, 5, "fri", "ana"), record(2, 5, "fri", "ben")];
    let (lines, _) = shown(allowed(Scope::Creator, "feedfacefeedface", &[], 9), both, 1);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].contains("\"ana\"") && !lines[0].contains("ben"),
        "{}",
        lines[0]
    );
}
