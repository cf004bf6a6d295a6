//! Whether the demo's books close: every rig's fold, the region's cells and the ledger's re-fold
//! laid side by side.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use popwatch_core::cell::{Cell, CellKey, Digest};
use popwatch_core::invariant::folds_agree;
use popwatch_core::lane::CellBatch;
use popwatch_core::ledger::BreakClass;
use popwatch_node::client::Client;
use popwatch_wire::lanes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Stage;
use crate::cmd::reconcile::Reconciliation;
use crate::print::{self, Format};
use crate::till::{Tally, problem};

/// What the demo found.
pub(super) struct Verdict {
    /// Everything is there, agrees and balances.
    pub(super) closed: bool,
    rigs: Vec<RigLine>,
    found: Reconciliation,
    raw: Value,
    tally: Tally,
    reasons: Vec<String>,
    /// What the ledger signed, or why not.
    signed: Value,
}

struct RigLine {
    status: Status,
    cells: usize,
}

/// The part of an edge's status that the demo reads.
#[derive(Debug, Deserialize)]
struct Status {
    rig: String,
    epoch: u32,
    durable_seq: u64,
    replicated: Replicated,
    unsent: Unsent,
    gap_records: u64,
}

#[derive(Debug, Deserialize)]
struct Replicated {
    seq: u64,
}

#[derive(Debug, Deserialize)]
struct Unsent {
    records: u64,
}

type Named = BTreeMap<CellKey, (u64, Digest)>;

/// Whether every rig has said that it is done with the popup, and its records are at the ledger and its
/// cells at the region.
pub(super) async fn all_drained(stage: &Stage, popup: &str) -> anyhow::Result<bool> {
    let summary: Value =
        get_json(&format!("http://{}/v1/popups/demo/summary", stage.region)).await?;
    for edge in &stage.edges {
        let status = status(edge).await?;
        let held = &summary["rows"][format!("rig/{}", edge.rig)]["have_seq"];
        let region_holds = held.as_u64().is_some_and(|held| held >= status.durable_seq);
        if status.unsent.records > 0 || status.replicated.seq < status.durable_seq || !region_holds
        {
            return Ok(false);
        }
    }
    let found: Value = get_json(&books(stage, popup)).await?;
    let mut breaks = found["breaks"].as_array().into_iter().flatten();
    Ok(breaks.all(|one| one["class"] != BreakClass::Unsealed.text()))
}

/// Where the ledger tells how a popup's books stand.
fn books(stage: &Stage, popup: &str) -> String {
    format!("http://{}/v1/popups/{popup}/reconciliation", stage.ledger)
}

/// Lays everything side by side.
pub(super) async fn judge(
    stage: &Stage,
    popup: &str,
    tally: &Tally,
    drained: bool,
) -> anyhow::Result<Verdict> {
    let mut reasons = Vec::new();
    if !drained {
        reasons.push("not every record reached the ledger in time".to_owned());
    }
    let mut rigs = Vec::new();
    let mut on_rigs = Named::new();
    for edge in &stage.edges {
        let cells = cells(&format!("http://{}", edge.address), popup).await?;
        rigs.push(RigLine {
            status: status(edge).await?,
            cells: cells.len(),
        });
        on_rigs.extend(cells);
    }
    let at_region = cells(&format!("http://{}", stage.region), popup).await?;
    if let Err(sentence) = folds_agree("rigs and region", &on_rigs, &at_region) {
        reasons.push(sentence);
    }
    let url = books(stage, popup);
    let raw = get_json(&url).await?;
    let found: Reconciliation = serde_json::from_value(raw.clone())
        .with_context(|| format!("{url} does not answer like a popwatch ledger"))?;
    if !found.closed {
        reasons.push("the ledger's books do not close".to_owned());
    }
    let signed = sign(stage, popup).await?;
    if let Some(why) = signed["refused"].as_str() {
        reasons.push(format!("the ledger did not sign the close: {why}"));
    }
    let closed = reasons.is_empty();
    Ok(Verdict {
        closed,
        signed,
        rigs,
        found,
        raw,
        tally: tally.clone(),
        reasons,
    })
}

/// Has the ledger close the books up to the bank account.
async fn sign(stage: &Stage, popup: &str) -> anyhow::Result<Value> {
    let url = format!("http://{}/v1/popups/{popup}/close", stage.ledger);
    let body = json!({ "scope": "settled", "allow_open": false }).to_string();
    let answer = Client::new()
        .post(&url, &[("content-type", "application/json")], body)
        .await?;
    if !answer.is_success() {
        return Ok(json!({ "refused": problem(&answer) }));
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("{url} does not answer in JSON"))
}

impl Verdict {
    /// Prints it.
    pub(super) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => print::json(&self.document()),
            Format::Text => self
                .lines()
                .iter()
                .try_for_each(print::line)
                .map_err(Into::into),
        }
    }

    fn document(&self) -> Value {
        let rigs: Vec<Value> = self
            .rigs
            .iter()
            .map(|line| {
                let status = &line.status;
                json!({
                    "rig": status.rig,
                    "epoch": status.epoch,
                    "records": status.durable_seq,
                    "durable_seq": status.durable_seq,
                    "replicated_seq": status.replicated.seq,
                    "gaps": status.gap_records,
                })
            })
            .collect();
        json!({
            "popup": self.raw["popup"],
            "rigs": rigs,
            "totals": self.raw["totals"],
            "cells": self.raw["cells"],
            "breaks": self.raw["breaks"],
            "closed": self.closed,
            "certificate": {
                "hash": self.signed["hash"],
                "key": self.signed["key"],
                "scope": self.signed["close"]["scope"],
            },
        })
    }

    fn lines(&self) -> Vec<String> {
        let head = ["rig", "epoch", "records", "at the ledger", "lost", "cells"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for line in &self.rigs {
            let status = &line.status;
            rows.push(vec![
                status.rig.clone(),
                status.epoch.to_string(),
                status.durable_seq.to_string(),
                status.replicated.seq.to_string(),
                status.gap_records.to_string(),
                line.cells.to_string(),
            ]);
        }
        let mut lines = print::table(&rows, &[1, 2, 3, 4, 5]);
        lines.push(String::new());
        lines.push(self.tally.sentence());
        lines.extend(self.found.lines());
        lines.push(String::new());
        if self.signed["refused"].is_null() {
            lines.extend(crate::cmd::close::lines(&self.signed));
        }
        lines.push(if self.closed {
            "The books close: rigs, region and ledger agree to the penny, and so do \
             provider and bank."
                .to_owned()
        } else {
            format!("The books do NOT close: {}.", self.reasons.join("; "))
        });
        lines
    }
}

async fn status(edge: &super::Edge) -> anyhow::Result<Status> {
    let url = format!("http://{}/v1/status", edge.address);
    serde_json::from_value(get_json(&url).await?)
        .with_context(|| format!("{url} does not answer like a popwatch edge"))
}

async fn get_json(url: &str) -> anyhow::Result<Value> {
    let answer = Client::new().get(url, &[]).await?;
    if answer.status == 404 {
        return Ok(Value::Null);
    }
    if !answer.is_success() {
        bail!("{url}: {}", problem(&answer));
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("{url} does not answer in JSON"))
}

/// The cells a role holds of a popup, by name.
async fn cells(base: &str, popup: &str) -> anyhow::Result<Named> {
    let url = format!("{base}/v1/popups/{popup}/cells");
    let answer = Client::new().get(&url, &[]).await?;
    if !answer.is_success() {
        bail!("{url}: {}", problem(&answer));
    }
    let batch: CellBatch = lanes::decode(&answer.body)?;
    batch
        .cells
        .iter()
        .map(|bytes| {
            let cell = Cell::decode_canonical(bytes)?;
            let version = (cell.version, cell.digest());
            Ok((cell.key(), version))
        })
        .collect()
}
