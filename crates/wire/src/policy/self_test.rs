//! What a policy has to show before it runs: events full of secrets go through the door under it, and
//! nothing of them comes out.

use popwatch_core::id::{JournalId, PopupId, RigId};
use popwatch_core::policy::terms::Terms;
use popwatch_redact::apply::Counts;
use popwatch_redact::pseudonym::{Keys, ReferenceKey};
use serde_json::json;

use super::plan::plan;
use crate::door::{Admission, Arrival, Door, Request};

/// Events that are tried.
const EVENTS: usize = 200;
/// What must not come out: a test card of the schemes' own, and an address of a reserved domain.
const PLANTED: [&str; 2] = ["4111111111111111", "buyer@example.org"];

/// Takes events through the door under these terms. `Err` says what failed, in words.
pub fn self_test(terms: &Terms) -> Result<(), String> {
    let name = "self-test";
    let door = Door {
        rig: RigId::new(name).expect("a name of letters"),
        journal_id: JournalId([0; 16]),
        default_popup: PopupId::new(name).ok(),
        keys: Keys::new(ReferenceKey::new([0; 32])),
        plan: plan(terms),
    };
    let body: Vec<String> = (0..EVENTS).map(event).collect();
    let body = body.join("\n");
    let request = Request {
        content_type: Some("application/x-ndjson"),
        body: body.as_bytes(),
        ..Request::default()
    };
    let arrival = Arrival {
        mono_ns: 1,
        wall_ms: 1_800_000_000_000,
        local_sender: true,
    };
    let mut counts = Counts::default();
    let admitted = door
        .admit_counted(&request, arrival, &mut counts)
        .map_err(|_| String::from("the test events were not read"))?;
    if counts.residual > 0 {
        return Err(format!(
            "{} records kept a secret at the second look",
            counts.residual
        ));
    }
    if counts.errors > 0 {
        return Err(format!("redaction failed for {} texts", counts.errors));
    }
    for one in &admitted {
        let Admission::Ready(draft) = one else {
            return Err(String::from(
                "an event with all its required fields was refused",
            ));
        };
        let kept = format!("{:?}", draft.get().record);
        if PLANTED.iter().any(|secret| kept.contains(secret)) {
            return Err(String::from("a planted secret came out"));
        }
    }
    match admitted.len() == EVENTS {
        true => Ok(()),
        false => Err(String::from("an event got lost")),
    }
}

/// One of the test events, a line of JSON.
fn event(number: usize) -> String {
    let [card, mail] = PLANTED;
    let said = format!("card {card} cvv 123, write to {mail}");
    let id = |of: &str| format!("{of}-{number}");
    let (kind, data) = match number % 5 {
        0 => (
            "chat.message",
            json!({"stream": "live", "viewer": mail, "text": said}),
        ),
        1 => (
            "payment.failed",
            json!({
                "payment": id("p"), "order": id("o"), "amount": 1_990, "currency": "EUR",
                "remark": said,
            }),
        ),
        2 => (
            "inventory.adjusted",
            json!({"sku": "mug", "qty": -1, "reason": said}),
        ),
        3 => (
            "checkout.started",
            json!({"checkout": id("c"), "viewer": mail, "buyer": {"email": mail, "pan": card}}),
        ),
        _ => (
            "payment.captured",
            json!({
                "payment": id("p"), "order": id("o"), "amount": 1_990, "currency": "EUR",
                "method": "card", "provider_ref": card,
            }),
        ),
    };
    json!({
        "specversion": "1.0", "id": id("e"), "source": "/self-test",
        "type": format!("popwatch.{kind}"), "data": data,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_that_popwatch_makes_passes() {
        for terms in [
            Terms::floor(),
            Terms::built_in(),
            Terms::of_popup(),
            Terms::restricted(),
        ] {
            assert_eq!(self_test(&terms), Ok(()));
        }
    }
}
