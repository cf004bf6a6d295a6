//! Records as CloudEvents JSON, for export and for people. Chat text is never among it.
//!
//! The position stands in the extensions `poprig`, `popepoch` and `popseq`. Client events read back
//! through the door; popwatch's own are for reading only.

mod central;

use popwatch_core::event::Event;
use popwatch_core::event::commerce::{Commerce, Coop, CoopMember, ShareCard};
use popwatch_core::event::promises::{PlanStep, Promises, SloPromise};
use popwatch_core::event::system::{Acked, LossCount, PopupPolicy, Seal, SystemEvent, TotalsRow};
use popwatch_core::id::Position;
use popwatch_core::record::Record;
use popwatch_core::slo::{Slo, Tier};
use serde_json::{Map, Value as Json, json};

use crate::json::{JsonSink, rfc3339};

/// Prefix of every type.
pub const TYPE_PREFIX: &str = "popwatch.";

/// A record as a structured CloudEvent, with its position where it has one.
#[must_use]
pub fn cloudevent(record: &Record, position: Option<&Position>) -> Json {
    let mut out = Map::new();
    let mut put = |name: &str, value: Json| {
        out.insert(name.to_owned(), value);
    };
    put("specversion", json!("1.0"));
    put("id", json!(record.id.as_str()));
    put("source", json!(record.source.as_str()));
    put(
        "type",
        json!(format!("{TYPE_PREFIX}{}", record.event.type_name())),
    );
    if let Some(ms) = record.stamp.time_ms {
        put("time", json!(rfc3339(ms)));
    }
    if let Some(popup) = &record.popup {
        put("popup", json!(popup.as_str()));
    }
    if let Some(age) = record.stamp.age_ms {
        put("agems", json!(age));
    }
    if let Some(position) = position {
        put("poprig", json!(position.rig.as_str()));
        put("popepoch", json!(position.epoch.0));
        put("popseq", json!(position.seq.0));
    }
    put("datacontenttype", json!("application/json"));
    put("data", data(&record.event));
    Json::Object(out)
}

/// The data of an event.
#[must_use]
pub fn data(event: &Event) -> Json {
    if let Event::System(event) = event {
        return system_data(event);
    }
    let mut sink = JsonSink::default();
    event.write(&mut sink);
    Json::Object(sink.0)
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm per type, each only a list of fields"
)]
fn system_data(event: &SystemEvent) -> Json {
    match event {
        SystemEvent::RigStarted(started) => json!({
            "epoch_id": hex(&started.epoch_id),
            "journal_id": hex(&started.journal_id),
            "previous_epoch": started.previous_epoch,
            "previous_epoch_id": hex(&started.previous_epoch_id),
            "previous_last_seq": started.previous_last_seq,
            "previous_chain_trunk": hex(&started.previous_chain_trunk),
            "previous_chain_bulk": hex(&started.previous_chain_bulk),
            "previous_totals": totals(&started.previous_totals),
            "clean": started.clean,
            "reason": started.reason,
            "boot_id": hex(&started.boot_id),
            "version": started.version,
            "tail_bytes_cut": started.tail_bytes_cut,
            "tail_first": started.tail_first,
            "tail_last": started.tail_last,
            "void_epochs": started.void_epochs,
        }),
        SystemEvent::RigStopped(seal) | SystemEvent::RigSeal(seal) => seal_json(seal),
        SystemEvent::RigGap(gap) => json!({
            "epoch": gap.epoch,
            "epoch_id": hex(&gap.epoch_id),
            "first": gap.first,
            "last": gap.last,
            "cause": gap.cause,
            "file": gap.file,
            "offset": gap.offset,
            "bytes": gap.bytes,
            "value": totals(&gap.value),
            "value_unknown": gap.value_unknown,
        }),
        SystemEvent::RigLoss(loss) => json!({
            "counts": loss.counts.iter().map(loss_json).collect::<Vec<_>>(),
            "since": rfc3339(loss.since_ms),
            "until": rfc3339(loss.until_ms),
            "where": loss.place,
        }),
        SystemEvent::RigTrimmed(trimmed) => json!({
            "first_segment": trimmed.first_segment,
            "last_segment": trimmed.last_segment,
            "upto": acked(&trimmed.upto),
        }),
        SystemEvent::RigProbed(probed) => json!({
            "ok": probed.ok,
            "fault": probed.fault,
            "slowest_ms": probed.slowest_ms,
            "failed": probed.failed,
        }),
        SystemEvent::RigConflict(conflict) => json!({
            "epoch": conflict.epoch,
            "seq": conflict.seq,
            "first_content": hex(&conflict.first_content),
            "other_content": hex(&conflict.other_content),
            "amount": conflict.amount,
            "currency": conflict.currency,
            "popup": conflict.popup,
        }),
        SystemEvent::PolicyApplied(policy) | SystemEvent::PolicyImplied(policy) => {
            policy_json(policy)
        }
        SystemEvent::ClockAnchored(anchor) => json!({
            "boot_id": hex(&anchor.boot_id),
            "mono_ns": anchor.mono_ns,
            "wall_us": anchor.wall_us,
            "u_ms": anchor.u_ms,
            "peer": anchor.peer,
            "rebucket": anchor.rebucket,
        }),
        SystemEvent::ClockStepped(step) => json!({
            "boot_id": hex(&step.boot_id),
            "mono_ns": step.mono_ns,
            "wall_ms": step.wall_ms,
            "by_ms": step.by_ms,
        }),
        SystemEvent::ProviderObject(_)
        | SystemEvent::SettlementFile(_)
        | SystemEvent::SettlementLine(_)
        | SystemEvent::BankLine(_)
        | SystemEvent::MatchAccepted(_)
        | SystemEvent::BreakAccepted(_)
        | SystemEvent::ShareReleased(_)
        | SystemEvent::CreatorPaid(_)
        | SystemEvent::CloseSigned(_)
        | SystemEvent::CashCounted(_)
        | SystemEvent::ProviderRefused(_) => central::data(event).unwrap_or_default(),
    }
}

fn seal_json(seal: &Seal) -> Json {
    json!({
        "counts": seal.counts,
        "chain_trunk": hex(&seal.chain_trunk),
        "chain_bulk": hex(&seal.chain_bulk),
        "totals": totals(&seal.totals),
        "acked": acked(&seal.acked),
        "complete": seal.complete,
    })
}

fn policy_json(policy: &PopupPolicy) -> Json {
    json!({
        "popup": policy.popup,
        "version": policy.version,
        "digest": hex(&policy.digest),
        "starts": rfc3339(policy.starts_ms),
        "ends": rfc3339(policy.ends_ms),
        "zone": policy.zone,
        "currencies": policy.currencies,
        "checkout_limit_ms": policy.checkout_limit_ms,
        "commerce": policy.commerce.as_ref().map(commerce_json),
        "promises": policy.promises.as_ref().map(promises_json),
    })
}

fn promises_json(of: &Promises) -> Json {
    let slo = |said: &SloPromise| {
        let slo = Slo::ALL.into_iter().find(|slo| slo.number() == said.slo);
        json!({
            "slo": slo.map(Slo::name),
            "objective_ppm": said.objective_ppm,
            "alpha_ppm": said.alpha_ppm,
            "tier": Tier::of_number(said.tier).map(Tier::name),
        })
    };
    let step = |step: &PlanStep| json!({"at_min": step.at_min, "checkouts_per_hour": step.checkouts_per_hour});
    json!({
        "slos": of.slos.iter().map(slo).collect::<Json>(),
        "plan": of.plan.iter().map(step).collect::<Json>(),
        "overrun_min": of.overrun_min,
        "rigs": of.rigs,
        "reserve_ppm": of.reserve_ppm,
    })
}

fn commerce_json(of: &Commerce) -> Json {
    let card = |card: &ShareCard| {
        json!({
            "creator": card.creator,
            "rate_ppm": card.rate_ppm,
            "tips_ppm": card.tips_ppm,
            "hold_days": card.hold_days,
            "cap": card.cap,
            "coop": card.coop,
        })
    };
    let coop = |coop: &Coop| {
        let member = |of: &CoopMember| json!({"name": of.name, "weight_ppm": of.weight_ppm});
        json!({
            "name": coop.name,
            "members": coop.members.iter().map(member).collect::<Json>(),
        })
    };
    let either = |yes: bool, one: &'static str, other: &'static str| match yes {
        true => one,
        false => other,
    };
    json!({
        "shares": of.shares.iter().map(card).collect::<Json>(),
        "coops": of.coops.iter().map(coop).collect::<Json>(),
        "stock": either(of.stock_all, "all", "received"),
        "returns": either(of.returns_by_moves, "by_moves", "by_lines"),
        "lines": either(of.lines_gross, "gross", "net"),
        "offline_loss": either(of.offline_owed, "customer", "shop"),
        "offline_reverses_share": of.offline_reverses_share,
        "dispute_keeps_share": of.dispute_keeps_share,
    })
}

fn totals(rows: &[TotalsRow]) -> Json {
    rows.iter()
        .map(|row| {
            json!({
                "popup": row.popup,
                "currency": row.currency,
                "n": row.n,
                "captured": row.captured,
                "refunded": row.refunded,
                "tip": row.tip,
                "tax": row.tax,
                "token_value": row.token_value,
                "units": row.units,
            })
        })
        .collect()
}

fn acked(rows: &[Acked]) -> Json {
    rows.iter()
        .map(|row| {
            json!({
                "epoch": row.epoch,
                "epoch_id": hex(&row.epoch_id),
                "trunk_seq": row.trunk_seq,
                "bulk_seq": row.bulk_seq,
            })
        })
        .collect()
}

fn loss_json(count: &LossCount) -> Json {
    json!({
        "class": count.class,
        "cause": count.cause,
        "popup": count.popup,
        "count": count.count,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
