//! The terms of a policy as the plan that the door goes by.

use popwatch_core::policy::rule::Rule;
use popwatch_core::policy::terms::Terms;
use popwatch_redact::apply::Plan;
use popwatch_redact::plan::{Declared, Step, Table, domain_of, rules_of};

/// What these terms do with the fields of events. Beyond what they say: a table of labels that is not known
/// here says `other` of every label.
#[must_use]
pub fn plan(terms: &Terms) -> Plan {
    let mut plan = Plan::default();
    for ((of, field), rule) in &terms.fields {
        let step = match rule {
            Rule::Remove | Rule::Person { domain: None, .. } => Step::Remove,
            Rule::Person {
                domain: Some(domain),
                ..
            } => Step::Pseudonym(domain_of(*domain)),
            Rule::Generalize(_) => Step::Generalize(Table::default()),
            Rule::Scan {
                detectors,
                max_bytes,
            } => Step::Seal {
                rules: rules_of(*detectors),
                bytes_max: usize::try_from(*max_bytes).unwrap_or(usize::MAX),
            },
            Rule::Keep | Rule::Redact | Rule::Truncate { .. } | Rule::Grid { .. } | Rule::Score => {
                continue;
            }
        };
        plan = plan.with(*of, field, step);
    }
    for ((of, path), rule) in terms.extra.kept() {
        let declared = Declared {
            path: path.clone(),
            rule: rule.clone(),
        };
        plan = plan.declaring(*of, declared);
    }
    for (of, ppm) in &terms.sampling {
        plan = plan.sampling(*of, *ppm);
    }
    plan
}

#[cfg(test)]
mod tests {
    use popwatch_core::event::{EventType, Field};
    use popwatch_core::policy::rule;
    use popwatch_redact::pseudonym::Domain;

    use super::*;

    fn field(of: EventType, name: &str) -> &'static Field {
        let mut fields = of.fields().iter();
        fields.find(|field| field.name == name).unwrap()
    }

    #[test]
    fn each_rule_that_the_door_can_carry_out_becomes_its_step() {
        let (chat, failed) = (EventType::ChatMessage, EventType::PaymentFailed);
        let (viewer, remark) = (field(chat, "viewer"), field(failed, "remark"));
        let with = |of, name, rule| {
            let mut terms = Terms::built_in();
            terms.fields.insert((of, name), rule);
            plan(&terms)
        };
        let person = |domain| Rule::Person {
            domain,
            seal: false,
        };
        let usual = plan(&Terms::built_in());
        assert_eq!(usual.domain(chat, viewer), Domain::Viewer);
        let chats = with(chat, "viewer", person(Some(rule::Domain::Chat)));
        assert_eq!(chats.domain(chat, viewer), Domain::Chat);
        assert!(with(chat, "viewer", person(None)).removes(chat, viewer));
        assert!(!usual.removes(failed, remark) && usual.table(failed, remark).is_none());
        let general = with(failed, "remark", Rule::Generalize("banks".into()));
        let said = general
            .table(failed, remark)
            .map(|table| table.general("declined"));
        assert_eq!(said, Some(Table::OTHER));
        assert!(with(failed, "remark", Rule::Remove).removes(failed, remark));
    }
}
