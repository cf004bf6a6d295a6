//! `[popups.promises]`: what a popup promises those who buy, checked before it is journaled.

use popwatch_core::event::promises::Promises;
use popwatch_core::id::PopupId;
pub use popwatch_wire::policy::promises::{PlanStepConfig, PromisesConfig, SloConfig};

use super::ConfigFault;

/// As the journal states it.
pub(super) fn checked(of: &PromisesConfig, popup: &PopupId) -> Result<Promises, ConfigFault> {
    of.checked()
        .map_err(|fault| ConfigFault::of_section("promises", popup, fault))
}

#[cfg(test)]
mod tests {
    use popwatch_core::slo::Tier;

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
        super::checked(&config, &popup).map_err(|fault| fault.to_string())
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
