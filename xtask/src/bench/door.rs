//! The door alone: NDJSON to proven drafts, redaction on.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, bail};
use popwatch_core::id::{JournalId, RigId};
use popwatch_redact::apply::Plan;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use popwatch_wire::door::{Admission, Arrival, Door, Request};

use super::line::{Bar, Figure, Line};
use super::meter::{Spent, measure};
use crate::sample;

/// Events of one request.
const EVENTS: u64 = 1_000;
/// CPU the case gets.
const CPU: Duration = Duration::from_secs(2);
/// Events per CPU-second.
const BAR: f64 = 40_000.0;

pub(super) fn lines() -> Result<Vec<Line>> {
    let door = Door {
        rig: RigId::new("till-1")?,
        journal_id: JournalId([7; 16]),
        default_popup: None,
        keys: Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32]),
        plan: Plan::default(),
    };
    let mut body = String::new();
    for number in 0..EVENTS {
        writeln!(body, "{}", sample::cloudevent(number))?;
    }
    let mut spent = Spent::default();
    while spent.cpu < CPU {
        spent.add(measure(|| admit(&door, body.as_bytes()))?);
    }
    let size = body.len() / usize::try_from(EVENTS)?;
    Ok(vec![Line::alone(
        &format!("door, NDJSON of {size} B events"),
        "events/CPU-s",
        Figure {
            number: Some(spent.per_cpu_second()),
            cpu_us: Some(spent.cpu_us()),
            latency_ms: None,
        },
        Some(Bar::Least(BAR)),
    )])
}

fn admit(door: &Door, body: &[u8]) -> Result<u64> {
    let request = Request {
        content_type: Some("application/x-ndjson"),
        body,
        ..Request::default()
    };
    let arrival = Arrival {
        mono_ns: 1,
        wall_ms: sample::WALL_MS,
        local_sender: true,
    };
    let Ok(admissions) = black_box(door.admit(&request, arrival)) else {
        bail!("the door refused the sample");
    };
    let ready = admissions
        .iter()
        .filter(|one| matches!(one, Admission::Ready(_)));
    let count = ready.count() as u64;
    if count != EVENTS {
        bail!("the door took {count} of {EVENTS} samples");
    }
    Ok(count)
}
