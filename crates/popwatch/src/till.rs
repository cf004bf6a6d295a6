//! How a till talks to its edge: events in bounded requests, verdicts back, the same ids again until
//! the edge has answered.

use crate::print;
use anyhow::{Context, bail};
use bytes::Bytes;
use popwatch_core::limits;
use popwatch_node::client::{Answer, Client};
use popwatch_wire::verdict::{self, Status, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// Media type of one structured event per line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// How often a till asks an edge that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// For ever: a till keeps its sales until the edge has them.
    Endless,
    /// This many times.
    Tries(u32),
}

/// One edge as a till sees it.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    client: Client,
    edge: String,
    patience: Patience,
    first_wait: Duration,
}

/// Verdicts, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events that are new and safe on their till.
    pub(crate) accepted: u64,
    /// Events that were there already.
    pub(crate) duplicate: u64,
    /// Events by the code they were rejected with.
    pub(crate) rejected: BTreeMap<String, u64>,
}

impl Till {
    /// A till at an edge.
    pub(crate) fn new(edge: &str, patience: Patience) -> Self {
        Self {
            client: crate::caller::client(),
            edge: edge.to_owned(),
            patience,
            first_wait: Duration::from_millis(limits::RETRY_MS_MIN),
        }
    }

    /// Reports events, in as many requests as the bounds ask for. The verdicts come back in the
    /// order of the events.
    pub(crate) async fn report(&self, events: &[Value]) -> anyhow::Result<Vec<Verdict>> {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        let mut verdicts = Vec::with_capacity(events.len());
        for batch in batches(&lines) {
            let count = batch.len();
            let mut body = batch.join("\n");
            body.push('\n');
            let answer = self.post(NDJSON, body.into()).await?;
            if answer.results.len() != count {
                bail!(
                    "the edge at {} gave {} verdicts for {count} events; is it a popwatch edge?",
                    self.edge,
                    answer.results.len()
                );
            }
            verdicts.extend(answer.results);
        }
        Ok(verdicts)
    }

    /// Posts one body until the edge has answered it or patience ends.
    pub(crate) async fn post(
        &self,
        content_type: &str,
        body: Bytes,
    ) -> anyhow::Result<verdict::Answer> {
        let url = format!("{}/v1/events", self.edge);
        let headers = [("content-type", content_type)];
        let mut wait = self.first_wait;
        let mut tries = 1u32;
        loop {
            let (reason, asked) = match self.client.post(&url, &headers, body.clone()).await {
                Ok(answer) if answer.status == 200 => {
                    return serde_json::from_slice(&answer.body)
                        .with_context(|| format!("{url} does not answer like a popwatch edge"));
                }
                Ok(answer) if matches!(answer.status, 429 | 503) => {
                    (anyhow::anyhow!(problem(&answer)), answer.retry_after())
                }
                Ok(answer) => bail!("{url} refused the request: {}", problem(&answer)),
                Err(fault) if fault.is_passing() => (fault.into(), None),
                Err(fault) => return Err(fault.into()),
            };
            if matches!(self.patience, Patience::Tries(most) if tries >= most) {
                return Err(reason).with_context(|| {
                    format!(
                        "gave up after {tries} tries; is an edge running at {}?",
                        self.edge
                    )
                });
            }
            if tries == 1 {
                print::note(format!("{url}: {reason:#}; trying again"));
            }
            sleep(asked.unwrap_or(wait)).await;
            wait = (wait * 2).min(Duration::from_millis(limits::RETRY_MS_MAX));
            tries = tries.saturating_add(1);
        }
    }
}

impl Tally {
    /// Counts one verdict.
    pub(crate) fn count(&mut self, verdict: &Verdict) {
        match verdict.status {
            Status::Accepted => self.accepted += 1,
            Status::Duplicate => self.duplicate += 1,
            Status::Rejected => {
                let code = verdict.error.as_ref().map_or("-", |error| &error.code);
                *self.rejected.entry(code.to_owned()).or_default() += 1;
            }
        }
    }

    /// How many were rejected.
    pub(crate) fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// `413 events: 400 accepted, 13 duplicate, 0 rejected`.
    pub(crate) fn sentence(&self) -> String {
        let rejected = self.rejected_total();
        let total = self.accepted + self.duplicate + rejected;
        let mut text = format!(
            "{total} events: {} accepted, {} duplicate, {rejected} rejected",
            self.accepted, self.duplicate
        );
        for (code, count) in &self.rejected {
            text.push_str(&format!(", {count} {}", print::plain(code)));
        }
        text
    }
}

/// Cuts lines into requests within the bounds; a line that is too large goes alone.
pub(crate) fn batches(lines: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |line: &&String| {
            bytes += line.len() + 1;
            bytes <= limits::SEND_BYTES_MAX
        };
        let count = rest
            .iter()
            .take(limits::SEND_EVENTS_MAX)
            .take_while(fits)
            .count();
        let (batch, tail) = rest.split_at(count.max(1));
        batches.push(batch);
        rest = tail;
    }
    batches
}

/// A refusal in words: code, title and detail of its problem document, or its status.
pub(crate) fn problem(answer: &Answer) -> String {
    let status = answer.status;
    let Ok(document) = serde_json::from_slice::<Value>(&answer.body) else {
        return format!("HTTP {status}");
    };
    let text = |field: &str| document.get(field).and_then(Value::as_str);
    let parts: Vec<&str> = ["code", "title", "detail"]
        .into_iter()
        .filter_map(text)
        .collect();
    if parts.is_empty() {
        return format!("HTTP {status}");
    }
    print::plain(&format!("{} (HTTP {status})", parts.join(": ")))
}

#[cfg(test)]
mod tests;
