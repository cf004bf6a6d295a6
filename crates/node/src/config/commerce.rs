//! `[popups.commerce]`: what a popup promises, checked before it is journaled.

use popwatch_core::event::commerce::Commerce;
use popwatch_core::id::PopupId;
pub use popwatch_wire::policy::commerce::{
    CommerceConfig, CoopConfig, CoopMemberConfig, ShareConfig,
};

use super::ConfigFault;

/// As the journal states it.
pub(super) fn checked(of: &CommerceConfig, popup: &PopupId) -> Result<Commerce, ConfigFault> {
    of.checked()
        .map_err(|fault| ConfigFault::of_section("commerce", popup, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARDS: &str = r#"
        stock = "all"
        returns = "by_moves"
        shares = [
          { creator = "ana", rate_ppm = 125_000, hold_days = 7 },
          { creator = "bo", rate_ppm = 80_000, tips_ppm = 500_000, cap = 900, coop = "north" },
        ]
        [[coops]]
        name = "north"
        members = [{ name = "bo", weight_ppm = 400_000 }, { name = "cy", weight_ppm = 600_000 }]
    "#;

    fn checked(text: &str) -> Result<Commerce, String> {
        let config: CommerceConfig = toml::from_str(text).map_err(|fault| fault.to_string())?;
        let popup = PopupId::new("fri").unwrap();
        super::checked(&config, &popup).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_is_promised_is_stated() {
        let commerce = checked(CARDS).unwrap();
        assert!(commerce.stock_all && commerce.returns_by_moves && !commerce.lines_gross);
        assert_eq!(commerce.card("bo").unwrap().coop, "north");
        assert_eq!(commerce.coop("north").unwrap().members.len(), 2);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for (good, bad, said) in [
            ("600_000", "600_001", "1000000"),
            ("125_000", "1_000_001", "rate_ppm"),
            ("coop = \"north\"", "coop = \"south\"", "shares.coop"),
            ("creator = \"bo\"", "creator = \"ana\"", "twice"),
            ("cap = 900", "cap = -1", "cap"),
            ("hold_days = 7", "hold_days = 9999", "hold_days"),
            ("\"by_moves\"", "\"by_magic\"", "by_magic"),
        ] {
            let fault = checked(&CARDS.replace(good, bad)).unwrap_err();
            assert!(fault.contains(said), "{bad}: {fault}");
        }
    }
}
