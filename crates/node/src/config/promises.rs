//! `[popups.promises]`: what a popup promises those who buy, checked before it is journaled.

use popwatch_core::event::promises::{PlanStep, Promises, SloPromise};
use popwatch_core::id::PopupId;
use popwatch_core::slo::{Slo, Tier, promises};
use serde::Deserialize;

use super::ConfigFault;

/// `[popups.promises]`.
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
    /// As the journal states it.
    pub(super) fn checked(&self, popup: &PopupId) -> Result<Promises, ConfigFault> {
        let wrong = |field: &str, problem: String| ConfigFault::Value {
            field: format!("popups.promises.{field} of {popup}"),
            problem,
        };
        let slo = |said: &SloConfig| -> Result<SloPromise, ConfigFault> {
            let slo = Slo::of_name(&said.slo).ok_or_else(|| {
                let names = Slo::ALL.map(Slo::name).join(", ");
                wrong("slos.slo", format!("must be one of {names}"))
            })?;
            let tier = said.tier.as_deref().unwrap_or(Tier::Page.name());
            let tier = Tier::ALL.into_iter().find(|known| known.name() == tier);
            let tier = tier.ok_or_else(|| {
                let rule = String::from("must be page, watch or off");
                wrong("slos.tier", rule)
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
        promises::check(&stated).map_err(|fault| ConfigFault::Promise {
            popup: popup.clone(),
            fault,
        })?;
        Ok(stated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISES: &str = r#"
        slos = [
          { slo = "checkout_success", objective_ppm = 995_000, alpha_ppm = 10_000 },
          { slo = "refund_rate", tier = "watch" },
        ]
        plan = [{ at_min = 0, checkouts_per_hour = 400 }, { at_min = 80, checkouts_per_hour = 2_400 }]
        overrun_min = 30
        rigs = 3
    "#;

    fn checked(text: &str) -> Result<Promises, String> {
        let config: PromisesConfig = toml::from_str(text).map_err(|fault| fault.to_string())?;
        let popup = PopupId::new("fri").unwrap();
        config.checked(&popup).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_promised_is_stated() {
        let promises = checked(PROMISES).unwrap();
        assert_eq!((promises.plan.len(), promises.rigs), (2, 3));
        assert_eq!(promises.slos[0].objective_ppm, Some(995_000));
        assert_eq!(promises.slos[1].tier, Tier::Watch as u32);
    }

    #[test]
    fn what_nobody_can_keep_is_refused_in_plain_words() {
        for (good, bad, said) in [
            ("995_000", "1_000_000", "PW3301"),
            ("995_000", "0", "between 0 and 1000000"),
            ("995_000", "999_950", "too short"),
            ("10_000", "190_000", "one popup of five"),
            ("\"refund_rate\"", "\"checkout_success\"", "twice"),
            ("\"refund_rate\"", "\"mood\"", "slos.slo"),
            ("\"watch\"", "\"wake\"", "slos.tier"),
            ("at_min = 80", "at_min = 0", "the plan"),
            ("overrun_min = 30", "overrun_min = 9_999", "overrun"),
        ] {
            let fault = checked(&PROMISES.replace(good, bad)).unwrap_err();
            assert!(fault.contains(said), "{bad}: {fault}");
        }
    }
}
