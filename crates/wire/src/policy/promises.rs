//! What a popup promises those who buy, as people write it: in a policy, or in a configuration.

use popwatch_core::event::promises::{PlanStep, Promises, SloPromise};
use popwatch_core::limits::PLAN_STEPS_MAX;
use popwatch_core::policy::duration::Span;
use popwatch_core::slo::{Slo, Tier, promises};
use serde::Deserialize;

use super::SectionFault;
use super::cursor::{Cursor, Read};
use super::tree::Kind;

/// What a popup promises those who buy: `[popups.promises]` of a configuration, `promises` of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromisesConfig {
    /// Promises that differ from their defaults.
    pub slos: Vec<SloConfig>,
    /// Checkouts planned. Default: none; the traffic so far is carried on.
    pub plan: Vec<PlanStepConfig>,
    /// Minutes it may run longer. Default 45.
    pub overrun_min: Option<u32>,
    /// Rigs planned. Default 4.
    pub rigs: Option<u32>,
    /// Probability of a false page kept for an overrun, millionths. Default 15 000.
    pub reserve_ppm: Option<u32>,
}

/// One entry of `slos`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SloConfig {
    /// Which.
    pub slo: String,
    /// Share of good outcomes, millionths. Default: that of the promise.
    pub objective_ppm: Option<u32>,
    /// Probability of a false page in the popup, millionths. Default: that of the promise.
    pub alpha_ppm: Option<u32>,
    /// `page`, `watch` or `off`. Default `page`.
    pub tier: Option<String>,
}

/// One entry of `plan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStepConfig {
    /// Minutes after the start.
    pub at_min: u32,
    /// Checkouts an hour from then on.
    pub checkouts_per_hour: u32,
}

impl PromisesConfig {
    /// As a journal states it.
    pub fn checked(&self) -> Result<Promises, SectionFault> {
        let slo = |said: &SloConfig| -> Result<SloPromise, SectionFault> {
            let slo = Slo::of_name(&said.slo).ok_or_else(|| {
                let names = Slo::ALL.map(Slo::name).join(", ");
                SectionFault::field("slos.slo", format!("must be one of {names}"))
            })?;
            let tier = said.tier.as_deref().unwrap_or(Tier::Page.name());
            let tier = Tier::ALL.into_iter().find(|known| known.name() == tier);
            let tier = tier.ok_or_else(|| {
                let rule = String::from("must be page, watch or off");
                SectionFault::field("slos.tier", rule)
            })?;
            Ok(SloPromise {
                slo: slo.number(),
                objective_ppm: said.objective_ppm,
                alpha_ppm: said.alpha_ppm,
                tier: tier as u32,
            })
        };
        let step = |step: &PlanStepConfig| PlanStep {
            at_min: step.at_min,
            checkouts_per_hour: step.checkouts_per_hour,
        };
        let stated = Promises {
            slos: self.slos.iter().map(slo).collect::<Result<_, _>>()?,
            plan: self.plan.iter().map(step).collect(),
            overrun_min: self.overrun_min,
            rigs: self.rigs.unwrap_or(0),
            reserve_ppm: self.reserve_ppm,
        };
        promises::check(&stated).map_err(SectionFault::Promise)?;
        Ok(stated)
    }
}

/// The section of a policy, and from when on a checkout is late. An empty list says nothing.
pub(super) fn read(of: &Cursor<'_>) -> Read<(Option<Promises>, Option<Span>)> {
    if matches!(&of.node.kind, Kind::List(items) if items.is_empty()) {
        return Ok((None, None));
    }
    let mut fields = of.map()?;
    let number = |of: Option<Cursor<'_>>| of.map(|of| of.small(0, u32::MAX)).transpose();
    let mut said = PromisesConfig {
        overrun_min: number(fields.take("overrun_min"))?,
        rigs: number(fields.take("rigs"))?,
        reserve_ppm: number(fields.take("reserve_ppm"))?,
        ..PromisesConfig::default()
    };
    if let Some(slos) = fields.take("slos") {
        for slo in slos.list(Slo::ALL.len())? {
            let mut slo = slo.map()?;
            let tier = slo.take("tier");
            said.slos.push(SloConfig {
                slo: slo.need("slo")?.text()?.to_owned(),
                objective_ppm: number(slo.take("objective_ppm"))?,
                alpha_ppm: number(slo.take("alpha_ppm"))?,
                tier: tier
                    .map(|tier| tier.text().map(str::to_owned))
                    .transpose()?,
            });
            slo.done()?;
        }
    }
    if let Some(plan) = fields.take("plan") {
        for step in plan.list(PLAN_STEPS_MAX)? {
            let mut step = step.map()?;
            said.plan.push(PlanStepConfig {
                at_min: step.need("at_min")?.small(0, u32::MAX)?,
                checkouts_per_hour: step.need("checkouts_per_hour")?.small(0, u32::MAX)?,
            });
            step.done()?;
        }
    }
    let limit = fields.take("checkout_limit");
    let limit = limit.map(|limit| match limit.span()? {
        span if (1..=u64::from(u32::MAX)).contains(&span.ms()) => Ok(span),
        _ => limit.refuse("must lie between PT1S and P49D"),
    });
    fields.done()?;
    let stated = said.checked().or_else(|fault| fault.at(of))?;
    Ok((Some(stated), limit.transpose()?))
}
