//! The terms of a policy as the rules that other parts of popwatch go by.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;

use super::limit::Limit;
use super::standing::Mark;
use super::terms::Terms;
use crate::access::raw::RawRules;
use crate::access::{Action, Rules, Scope};

/// What may be asked for under these terms. The table's own second factors stay whatever is said.
#[must_use]
pub fn access(terms: &Terms, mark: Option<Mark>) -> Rules {
    let built_in = Rules::default();
    let of = |scope: Scope| -> BTreeSet<Action> {
        let actions = terms.actions.iter().filter(|one| one.0 == scope);
        actions.map(|(_, action)| *action).collect()
    };
    let rows = terms.limit(Limit::RawRows);
    Rules {
        scopes: Scope::ALL
            .iter()
            .map(|scope| (*scope, of(*scope)))
            .collect::<BTreeMap<_, _>>(),
        step_up: built_in.step_up.union(&terms.step_up).copied().collect(),
        max_age_ms: terms.limit(Limit::StepUpAge),
        raw: RawRules {
            purposes: terms.purposes.clone(),
            window_max_ms: terms.span(Limit::RawWindow).ms_signed(),
            rows_max: u32::try_from(rows).unwrap_or(u32::MAX),
        },
        ttl_ms: terms.span(Limit::PassTtl).ms_signed(),
        version: mark.map_or(0, |mark| mark.version),
        digest: mark.map_or_else(Default::default, |mark| mark.digest.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Ask, Denial, Subject, Target, decide};
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn the_built_in_terms_are_the_built_in_rules() {
        let rules = access(&Terms::built_in(), None);
        let usual = Rules::default();
        assert_eq!(
            Rules {
                scopes: BTreeMap::new(),
                ..rules.clone()
            },
            usual
        );
        for (scope, kept) in &rules.scopes {
            for action in Action::ALL {
                assert_eq!(kept.contains(action), action.is_open_to(*scope));
            }
        }
    }

    #[test]
    fn restricted_terms_let_nobody_read_single_records() {
        let rules = access(&Terms::restricted(), None);
        let lead = Subject {
            org: "acme".into(),
            pass: "p".into(),
            actor: "a".into(),
            scope: Scope::Operator,
            extent: String::new(),
            members: Vec::new(),
            popup: None,
        };
        let ask = Ask {
            action: Action::RawRead,
            popup: Some("fri"),
            target: Target::Whole,
            step_up_age_ms: Some(0),
        };
        assert_eq!(decide(&rules, &lead, &ask), Err(Denial::Policy));
        let books = Ask {
            action: Action::Books,
            ..ask
        };
        assert_eq!(decide(&rules, &lead, &books), Ok(()));
    }
}
