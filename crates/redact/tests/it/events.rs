use popwatch_core::event::{Event, EventType, Field, FieldFault, FieldSource, Line, Value};
use popwatch_core::id::{EventId, PopupId, Sku, Source};
use popwatch_core::invariant;
use popwatch_core::record::{Content, Flags, Record, Stamp, event_key};
use popwatch_redact::apply::{Counts, Plan, RedactingSource, Rules};
use popwatch_redact::detect::{Place, RuleSet, second_look};
use popwatch_redact::plan::{Step, Table};
use popwatch_redact::proof;
use popwatch_redact::pseudonym::{Domain, Keys, ReferenceKey};
use popwatch_redact::region::Region;

const CARD: &str = "4111111111111111";

#[derive(Clone, Default)]
struct Fields(Vec<(&'static str, Value)>);

impl FieldSource for Fields {
    fn take(&mut self, field: &'static Field) -> Result<Option<Value>, FieldFault> {
        let found = self.0.iter().find(|(name, _)| *name == field.name);
        Ok(found.map(|(_, value)| value.clone()))
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn keys() -> Keys {
    Keys::new(ReferenceKey::new([1; 32])).with_root([2; 32])
}

fn read(
    of: EventType,
    fields: Fields,
    plan: &Plan,
) -> (Result<Event, FieldFault>, Content, Counts) {
    let (keys, popup) = (keys(), PopupId::new("night").unwrap());
    let rules = Rules {
        keys: &keys,
        plan,
        popup_keys: None,
    };
    let mut source = RedactingSource::new(fields, of, Some(&popup), rules, &[3; 32]);
    let event = Event::read(of, &mut source);
    let done = source.finish();
    (event, done.content, done.counts)
}

fn sale(order: &str, sku: &str, method: &str) -> Fields {
    let line = Line {
        sku: Sku::new(sku).unwrap(),
        qty: 1,
        amount: 500,
        creator: None,
    };
    Fields(vec![
        ("payment", text("p-1")),
        ("order", text(order)),
        ("amount", Value::Int(500)),
        ("currency", text("GBP")),
        ("method", text(method)),
        ("lines", Value::Lines(vec![line])),
    ])
}

fn refund(remark: &str, reason: &str) -> Fields {
    Fields(vec![
        ("refund", text("r-1")),
        ("payment", text("p-1")),
        ("amount", Value::Int(500)),
        ("currency", text("GBP")),
        ("reason", text(reason)),
        ("remark", text(remark)),
    ])
}

#[test]
fn a_sale_keeps_its_facts_and_loses_the_card() {
    let plan = Plan::default();
    let (event, _, counts) = read(
        EventType::PaymentCaptured,
        sale(CARD, CARD, "card 4111-1111-1111-1111"),
        &plan,
    );
    let Ok(Event::PaymentCaptured(sale)) = event else {
        panic!("a sale");
    };
    assert!(sale.order.as_str().starts_with("x_"));
    assert_eq!(sale.amount.0, 500);
    assert_eq!(sale.method.as_str(), "card [card]");
    assert_eq!(sale.lines.unwrap()[0].sku.as_str(), "[card]");
    assert_eq!(counts.references_mapped, 1);
    assert_eq!(counts.hits(popwatch_redact::detect::Rule::Pan), 2);
}

#[test]
fn content_comes_after_the_detectors_and_before_the_plan() {
    let all = Plan::default();
    let of = EventType::PaymentCaptured;
    let (_, one, _) = read(of, sale("o-1", CARD, "card"), &all);
    let (_, same, _) = read(of, sale("o-1", "5555555555554444", "card"), &all);
    let (_, planned, _) = read(of, sale("o-1", CARD, "card"), &Plan::restricted());
    let (_, other, _) = read(of, sale("o-2", CARD, "card"), &all);
    assert_eq!(one, same, "two cards are one word");
    assert_eq!(one, planned, "policy cannot fake a conflict");
    assert_ne!(one, other);
    let (_, one, _) = read(EventType::PaymentRefunded, refund("a", "whatever"), &all);
    let (_, other, _) = read(EventType::PaymentRefunded, refund("b", "another"), &all);
    assert_eq!(
        one, other,
        "words beside the facts, and reasons that count as other"
    );
}

#[test]
fn the_plan_removes_optional_fields_and_counts_them() {
    let (event, _, counts) = read(
        EventType::PaymentRefunded,
        refund("a", "fraud"),
        &Plan::restricted(),
    );
    let Ok(Event::PaymentRefunded(refund)) = event else {
        panic!("a refund");
    };
    assert!(refund.remark.is_none() && refund.reason.is_none());
    assert_eq!(counts.planned, 2);
}

#[test]
fn a_plan_says_how_much_of_a_field_is_kept() {
    let of = EventType::PaymentRefunded;
    let remark = |plan: &Plan, text: &str| {
        let (event, _, counts) = read(of, refund(text, "fraud"), plan);
        let Ok(Event::PaymentRefunded(refund)) = event else {
            panic!("a refund");
        };
        (refund.remark.unwrap().as_str().to_owned(), counts)
    };
    let step = Step::Redact {
        rules: RuleSet::LEAST,
        bytes_max: 40,
    };
    let plan = Plan::default().with(of, "remark", step);
    let long = "ask @ada, ada@shop.example or 192.0.2.1 today or tomorrow";
    let (kept, counts) = remark(&plan, long);
    assert_eq!(kept, "ask @ada, [email] or 192.0.2.1 today or ");
    assert_eq!(counts.cut, 1);
    let german = Plan::default().in_region(Region::new("DE"));
    assert_eq!(remark(&german, "ring 0171 2345678").0, "ring [phone]");
    assert_eq!(
        remark(&Plan::default(), "ring 0171 2345678").0,
        "ring 0171 2345678"
    );
}

#[test]
fn a_plan_says_who_somebody_is_and_which_label_is_enough() {
    let of = EventType::CheckoutStarted;
    let fields = || {
        Fields(vec![
            ("checkout", text("c-1")),
            ("channel", text("Shop window 7")),
            ("viewer", text("ada")),
        ])
    };
    let table = Table::new(vec![("shop".to_owned(), "web".to_owned())]);
    let plan = Plan::default()
        .with(of, "viewer", Step::Pseudonym(Domain::Buyer))
        .with(of, "channel", Step::Generalize(table));
    let (event, content, _) = read(of, fields(), &plan);
    let Ok(Event::CheckoutStarted(start)) = event else {
        panic!("a start");
    };
    assert!(start.viewer.unwrap().as_str().starts_with("b_"));
    assert_eq!(start.channel.unwrap().as_str(), "web");
    assert_eq!(content, read(of, fields(), &Plan::default()).1);
}

#[test]
fn restricted_keeps_the_facts_and_nobody() {
    let plan = Plan::restricted();
    let fields = Fields(vec![
        ("stream", text("s")),
        ("viewer", text("ada")),
        ("text", text("so nice")),
    ]);
    let (event, _, counts) = read(EventType::ChatMessage, fields, &plan);
    let Ok(Event::ChatMessage(chat)) = event else {
        panic!("a chat message");
    };
    assert_eq!(chat.viewer.as_str(), "[removed]");
    assert!(!chat.text.score().unwrap().is_covered());
    assert_eq!(counts.planned, 2);
    let (event, ..) = read(
        EventType::PaymentCaptured,
        sale("o-1", "22423", "card"),
        &plan,
    );
    let Ok(Event::PaymentCaptured(sale)) = event else {
        panic!("a sale");
    };
    assert!(sale.amount.0 == 500 && sale.lines.is_none());
}

#[test]
fn a_viewer_leaves_as_a_pseudonym() {
    let fields = Fields(vec![
        ("viewer", text("ada@shop.example")),
        ("sku", text("22423")),
    ]);
    let (event, _, _) = read(EventType::ProductViewed, fields, &Plan::default());
    let Ok(Event::ProductViewed(view)) = event else {
        panic!("a view");
    };
    assert!(view.viewer.as_str().starts_with("v_") && view.viewer.as_str().len() == 28);
}

#[test]
fn an_integer_that_is_a_card_number_is_refused_without_naming_it() {
    let mut fields = sale("o-1", "22423", "card");
    fields.0[2].1 = Value::Int(4_111_111_111_111_111);
    let (event, ..) = read(EventType::PaymentCaptured, fields, &Plan::default());
    let fault = event.unwrap_err().to_string();
    assert_eq!(fault, "amount looks like a payment card number");
}

#[test]
fn of_a_chat_only_its_score_is_kept() {
    let chat = |tail: &str, repeated: usize| {
        let long = format!("{}{tail}", "so nice ".repeat(repeated));
        Fields(vec![
            ("stream", text("s")),
            ("viewer", text("v")),
            ("text", text(&long)),
        ])
    };
    for (tail, cut) in [("not good", 0), ("ada@shop.example.and.more", 1)] {
        let repeated = if cut == 1 { 511 } else { 0 };
        let (event, _, counts) = read(
            EventType::ChatMessage,
            chat(tail, repeated),
            &Plan::default(),
        );
        let Ok(Event::ChatMessage(chat)) = event else {
            panic!("a chat message");
        };
        let score = chat.text.score().unwrap();
        assert_eq!(
            (score.is_covered(), score.ten_thousandths() > 0),
            (true, cut == 1)
        );
        assert_eq!(counts.cut, cut);
        let bytes = popwatch_core::record::encode(&record(Event::ChatMessage(chat)));
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            ["good", "nice", "ada"]
                .iter()
                .all(|word| !text.contains(word))
        );
        let back = popwatch_core::record::decode(&bytes).unwrap();
        let Event::ChatMessage(back) = back.event else {
            panic!("a chat message");
        };
        assert_eq!(back.text.score(), Some(score));
    }
    let number = Fields(vec![
        ("stream", text("s")),
        ("viewer", text("v")),
        ("text", Value::Int(1)),
    ]);
    let (event, ..) = read(EventType::ChatMessage, number, &Plan::default());
    assert_eq!(event.unwrap_err().to_string(), "text must be a string");
}

fn record(event: Event) -> Record {
    Record {
        event,
        popup: Some(PopupId::new("night").unwrap()),
        source: Source::new("till").unwrap(),
        id: EventId::new("1").unwrap(),
        stamp: Stamp::default(),
        beyond: None,
        content: Content::default(),
        policy_version: 0,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    }
}

fn leaks(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    ["4111111111111111", "4111 1111", "ada@"]
        .iter()
        .filter(|leak| text.contains(**leak))
        .count()
}

#[test]
fn the_second_look_catches_what_the_first_let_through() {
    let mut fields = sale(CARD, CARD, "ada@shop.example");
    let event = Event::read(EventType::PaymentCaptured, &mut fields).unwrap();
    let mut record = record(event);
    record.id = EventId::new("4111 1111 1111 1111").unwrap();
    record.source = Source::new("mailto:ada@shop.example").unwrap();
    let key = event_key(&[0; 32], &record.source, &record.id);
    let proven = proof::prove(record, key, None);
    assert!(proven.residual);
    let draft = proven.draft.get();
    invariant::nothing_forbidden("draft", &draft.bytes, leaks).unwrap();
    let Event::PaymentCaptured(sale) = &draft.record.event else {
        panic!("a sale");
    };
    assert_eq!(sale.amount.0, 500);
    assert_eq!(sale.payment.as_str(), "p-1");
    assert_eq!(sale.method.as_str(), "[redacted]");
    assert!(!second_look(draft.record.id.as_str(), Place::Identity));
}

#[test]
fn a_clean_record_passes_whatever_its_lengths_spell() {
    for length in 1..=64 {
        let name = "a.com".chars().cycle().take(length).collect::<String>();
        let mut fields = sale("580538", "12345678", &name);
        let event = Event::read(EventType::PaymentCaptured, &mut fields).unwrap();
        let mut record = record(event);
        record.id = EventId::new(
            &"shop.example"
                .chars()
                .cycle()
                .take(length)
                .collect::<String>(),
        )
        .unwrap();
        assert!(!proof::prove(record, [0; 12], None).residual, "{length}");
    }
}
