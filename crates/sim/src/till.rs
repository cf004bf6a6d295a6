//! What people at a stall do, as the CloudEvents their till sends.
//!
//! A till makes events under ids of its own and keeps each until its rig answered for it. Now and
//! then somebody types a card number where it does not belong; [`Planted`] remembers which.

use popwatch_core::event::Class;
use popwatch_store::fs::faulty::Dice;
use serde_json::{Map, Value as Json, json};

use crate::model::{Direction, Worth};

/// Card numbers (test numbers of the schemes) as people write them.
const CARDS: [&str; 6] = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "5555555555554444",
    "378282246310005",
    "6011 1111 1111 1117",
];
/// Domain of planted e-mail addresses: its name is searched for in everything that is kept.
pub(crate) const PLANTED_DOMAIN: &str = "planted.example";
const SKUS: [&str; 7] = [
    "mug",
    "cap",
    "CAP",
    "15056BL",
    "BANK CHARGES",
    "tee/xl",
    "post-card",
];
const CREATORS: [&str; 3] = ["ada", "Björk", "co-op two"];
const METHODS: [&str; 3] = ["card", "cash", "wallet"];

/// One event as a till sends it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// CloudEvents `source`.
    pub(crate) source: String,
    /// CloudEvents `id`.
    pub(crate) id: String,
    /// The popup it names.
    pub(crate) popup: String,
    /// How important it is.
    pub(crate) class: Class,
    /// The whole event as JSON.
    pub(crate) body: String,
    /// What it does to the money of the day.
    pub(crate) worth: Option<Worth>,
    /// When it happened, ms of the world.
    pub(crate) at_ms: u64,
}

impl Told {
    /// The event as it is sent at a moment of the world: its age is of that moment.
    #[must_use]
    pub(crate) fn sent(&self, world_ms: u64) -> String {
        let age = format!("{AGE}{}", world_ms.saturating_sub(self.at_ms));
        self.body.replacen(&format!("{AGE}0"), &age, 1)
    }
}

/// How an event's age is written.
const AGE: &str = "\"agems\":";

/// What was typed where it does not belong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planted {
    /// Card numbers, digits only.
    pub(crate) cards: Vec<String>,
}

/// One till.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    name: String,
    dice: Dice,
    count: u64,
    currencies: Vec<&'static str>,
    popups: Vec<String>,
    sales: Vec<(String, String, &'static str, i64)>,
    checkouts: Vec<String>,
}

struct Draft {
    kind: &'static str,
    class: Class,
    data: Map<String, Json>,
    worth: Option<Worth>,
}

impl Draft {
    fn new(kind: &'static str, class: Class, data: Json) -> Self {
        let Json::Object(data) = data else {
            unreachable!("every event's data is an object")
        };
        Self {
            kind,
            class,
            data,
            worth: None,
        }
    }

    fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }
}

impl Till {
    /// A till that has sold nothing yet.
    #[must_use]
    pub(crate) fn new(
        name: &str,
        seed: u64,
        currencies: Vec<&'static str>,
        popups: Vec<String>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            dice: Dice(seed),
            count: 0,
            currencies,
            popups,
            sales: Vec::new(),
            checkouts: Vec::new(),
        }
    }

    /// The next thing that happens at this till, `wall_ms` by its clock, `at_ms` of the world.
    pub(crate) fn next(&mut self, wall_ms: i64, at_ms: u64, planted: &mut Planted) -> Told {
        let popup = self.popups[self.dice.index(self.popups.len())].clone();
        let mut draft = match self.dice.below(100) {
            0..40 => self.sale(&popup),
            40..49 => self.refund(),
            49..62 => self.journey(),
            62..78 => self.stock(),
            78..86 => self.tokens_and_books(),
            _ => self.ambient(),
        };
        if self.dice.below(16) == 0 {
            self.plant(&mut draft, planted);
        }
        self.count += 1;
        let mut id = format!("{}-{}", self.name, self.count);
        if self.dice.below(150) == 0 {
            id = self.card(planted);
        }
        self.told(id, popup, draft, (wall_ms, at_ms))
    }

    /// The same id with another content, or `None` when that would not show.
    pub(crate) fn edited(&mut self, told: &Told) -> Option<Told> {
        let mut event: Map<String, Json> = serde_json::from_str(&told.body).ok()?;
        let Some(Json::Object(data)) = event.get_mut("data") else {
            return None;
        };
        let amount = data.get("amount").and_then(Json::as_i64)?;
        let other = amount + 1 + i64::try_from(self.dice.below(50)).unwrap_or(0);
        data.insert("amount".to_owned(), other.into());
        let worth = told.worth.clone().map(|worth| Worth {
            minor: other,
            ..worth
        });
        Some(Told {
            body: Json::Object(event).to_string(),
            worth,
            ..told.clone()
        })
    }

    fn told(&mut self, id: String, popup: String, draft: Draft, at: (i64, u64)) -> Told {
        let (wall_ms, at_ms) = at;
        let source = format!("till:{}", self.name);
        let mut event = Map::new();
        let mut put = |name: &str, value: Json| event.insert(name.to_owned(), value);
        put("specversion", "1.0".into());
        put("type", format!("popwatch.{}", draft.kind).into());
        put("source", source.clone().into());
        put("id", id.clone().into());
        put("popup", popup.clone().into());
        match self.dice.below(4) {
            0 => {}
            1 | 2 => {
                put("agems", 0.into());
            }
            _ => {
                put("time", rfc3339(wall_ms).into());
            }
        }
        put("data", Json::Object(draft.data));
        let body = Json::Object(event).to_string();
        Told {
            source,
            id,
            popup,
            class: draft.class,
            body,
            worth: draft.worth,
            at_ms,
        }
    }

    fn fresh(&mut self, what: &str) -> String {
        format!("{what}.{}.{}", self.name, self.count)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.dice.index(from.len())]
    }

    fn number(&mut self, below: u64) -> i64 {
        i64::try_from(self.dice.below(below)).unwrap_or(0)
    }

    fn sale(&mut self, popup: &str) -> Draft {
        let lines: Vec<(&str, i64, i64)> = (0..self.dice.below(4))
            .map(|_| (self.pick(&SKUS), 1 + self.number(3), self.number(5_000)))
            .collect();
        let goods: i64 = lines.iter().map(|(_, _, amount)| amount).sum();
        let (tip, tax) = (self.number(3) * 50, self.number(3) * 111);
        let amount = if lines.is_empty() {
            1 + self.number(9_000)
        } else {
            goods
        } + tip
            + tax;
        let currency = self.currency();
        let payment = self.fresh("pay");
        let order = self.fresh("ord");
        self.sales
            .push((payment.clone(), popup.to_owned(), currency, amount));
        let mut draft = Draft::new(
            "payment.captured",
            Class::Money,
            json!({ "payment": payment, "order": order, "amount": amount, "currency": currency,
                "method": self.pick(&METHODS), "tip": tip, "tax": tax }),
        );
        if !lines.is_empty() {
            let line = |(sku, qty, amount): &(&str, i64, i64)| json!({ "sku": sku, "qty": qty, "amount": amount });
            draft = draft.with("lines", lines.iter().map(line).collect::<Vec<_>>());
        }
        if self.dice.below(3) == 0 {
            draft = draft.with("creator", self.pick(&CREATORS));
        }
        if self.dice.below(3) == 0 {
            draft = draft.with("provider", "acme").with("fee", self.number(90));
            draft = draft.with("provider_ref", self.fresh("ch"));
        }
        if self.dice.below(5) == 0 {
            draft = draft.with("offline", true);
        }
        if self.dice.below(3) == 0 {
            draft = draft.with("latency_ms", self.dice.below(9_000));
        }
        draft.worth = Some(Worth::new(Direction::Captured, currency, amount));
        draft
    }

    fn currency(&mut self) -> &'static str {
        let index = self.dice.index(self.currencies.len());
        self.currencies[index]
    }

    fn refund(&mut self) -> Draft {
        let refund = self.fresh("ref");
        let known = !self.sales.is_empty() && self.dice.below(5) > 0;
        let (payment, currency, amount) = if known {
            let sale = self.sales[self.dice.index(self.sales.len())].clone();
            (sale.0, sale.2, sale.3)
        } else {
            (self.fresh("elsewhere"), self.currency(), 1_000)
        };
        let back = 1 + self.number(u64::try_from(amount.max(1)).unwrap_or(1));
        let mut draft = Draft::new(
            "payment.refunded",
            Class::Money,
            json!({ "refund": refund, "payment": payment, "amount": back, "currency": currency,
                "reason": "changed_mind", "remark": "came back" }),
        );
        draft.worth = Some(Worth::new(Direction::Refunded, currency, back));
        draft
    }

    fn journey(&mut self) -> Draft {
        let viewer = format!("viewer-{}", self.dice.below(20));
        match self.dice.below(5) {
            0 | 1 => {
                let checkout = self.fresh("chk");
                self.checkouts.push(checkout.clone());
                let data = json!({ "checkout": checkout, "channel": "stall", "viewer": viewer });
                Draft::new("checkout.started", Class::Journey, data)
            }
            2 if !self.checkouts.is_empty() => {
                let checkout = self.checkouts[self.dice.index(self.checkouts.len())].clone();
                let order = self.fresh("ord");
                let data = json!({ "checkout": checkout, "order": order, "duration_ms": self.dice.below(90_000),
                    "stages": { "cart_ms": self.dice.below(900), "pay_ms": self.dice.below(9_000) } });
                Draft::new("checkout.completed", Class::Journey, data)
            }
            3 if !self.checkouts.is_empty() => {
                let checkout = self.checkouts[self.dice.index(self.checkouts.len())].clone();
                let data = json!({ "checkout": checkout, "stage": "pay", "reason": "technical" });
                Draft::new("checkout.abandoned", Class::Journey, data)
            }
            _ => {
                let kind = if self.dice.below(2) == 0 {
                    "product.viewed"
                } else {
                    "cart.added"
                };
                let data = json!({ "viewer": viewer, "sku": self.pick(&SKUS) });
                Draft::new(kind, Class::Journey, data)
            }
        }
    }

    fn stock(&mut self) -> Draft {
        let (sku, qty) = (self.pick(&SKUS), self.number(40));
        let (kind, data) = match self.dice.below(8) {
            0 | 1 => ("inventory.received", json!({ "sku": sku, "qty": qty })),
            2 => (
                "inventory.allocated",
                json!({ "sku": sku, "qty": qty, "to": "till-2" }),
            ),
            3 => (
                "inventory.moved",
                json!({ "sku": sku, "qty": qty, "from": "pool", "to": "shelf" }),
            ),
            4 => (
                "inventory.adjusted",
                json!({ "sku": sku, "qty": qty - 20, "reason": "damaged" }),
            ),
            5 | 6 => ("inventory.counted", json!({ "sku": sku, "qty": qty })),
            _ => {
                let order = format!("ord.{}.{}", self.name, self.dice.below(self.count + 1));
                (
                    "order.fulfilled",
                    json!({ "order": order, "step": "packed", "coop_member": "m1" }),
                )
            }
        };
        Draft::new(kind, Class::Stock, data)
    }

    fn tokens_and_books(&mut self) -> Draft {
        let (token, currency) = (self.fresh("tok"), self.currency());
        let old = format!("tok.{}.{}", self.name, self.dice.below(self.count + 1));
        let (kind, data) = match self.dice.below(8) {
            0 | 1 => (
                "token.issued",
                json!({ "token": token, "creator": "ada", "value": 500, "currency": currency }),
            ),
            2 => (
                "token.redeemed",
                json!({ "token": old, "value": 500, "currency": currency }),
            ),
            3 => ("token.voided", json!({ "token": old })),
            4 => (
                "books.adjusted",
                json!({ "amount": self.number(500) - 250, "currency": currency, "reason": "float" }),
            ),
            5 => (
                "payment.authorized",
                json!({ "payment": self.fresh("aut"), "order": self.fresh("ord"), "amount": 900,
                    "currency": currency, "method": "card" }),
            ),
            6 => (
                "payment.disputed",
                json!({ "dispute": self.fresh("dis"), "payment": self.fresh("aut"), "amount": 300,
                    "currency": currency, "state": "opened" }),
            ),
            _ => (
                "payment.failed",
                json!({ "payment": self.fresh("fai"), "order": self.fresh("ord"), "amount": 700,
                    "currency": currency, "reason": "technical", "remark": "no line" }),
            ),
        };
        Draft::new(kind, Class::Money, data)
    }

    fn ambient(&mut self) -> Draft {
        let viewer = format!("viewer-{}", self.dice.below(20));
        let (kind, class, data) = match self.dice.below(7) {
            0..3 => (
                "chat.message",
                Class::Ambient,
                json!({ "stream": "main", "viewer": viewer, "text": "lovely mug" }),
            ),
            3 => {
                let data = json!({ "stream": "main", "viewers": self.dice.below(900) });
                ("audience.sampled", Class::Ambient, data)
            }
            4 => {
                let data = json!({ "battery": self.dice.below(100), "on_battery": true });
                ("rig.sampled", Class::Ambient, data)
            }
            5 => {
                let data =
                    json!({ "drop": self.fresh("drop"), "sku": "mug", "qty": 9, "price": 700 });
                ("drop.opened", Class::Stock, data)
            }
            _ => (
                "drop.closed",
                Class::Stock,
                json!({ "drop": self.fresh("drop"), "sku": "mug" }),
            ),
        };
        Draft::new(kind, class, data)
    }

    fn card(&mut self, planted: &mut Planted) -> String {
        let card = self.pick(&CARDS);
        let digits = card.chars().filter(char::is_ascii_digit).collect();
        if !planted.cards.contains(&digits) {
            planted.cards.push(digits);
        }
        card.to_owned()
    }

    /// Types a secret into a field that takes text, or into one that nobody knows.
    fn plant(&mut self, draft: &mut Draft, planted: &mut Planted) {
        let card = self.card(planted);
        let mail = format!("jo{}@{PLANTED_DOMAIN}", self.dice.below(9));
        let secret = match self.dice.below(3) {
            0 => mail.clone(),
            1 => format!("took {card}, mail {mail}"),
            _ => format!("card {card} cvc 123"),
        };
        for name in ["remark", "text", "viewer", "provider_ref"] {
            if draft.data.contains_key(name) {
                let value = match name {
                    "viewer" => mail.clone(),
                    "provider_ref" => card.replace(' ', ""),
                    _ => secret.clone(),
                };
                draft.data.insert(name.to_owned(), value.into());
            }
        }
        draft.data.insert("card_number".to_owned(), card.into());
        draft
            .data
            .insert("note_of_the_day".to_owned(), secret.into());
    }
}

/// A moment as RFC 3339, to the millisecond.
fn rfc3339(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (mut year, mut left) = (1970, days);
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + i64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z",
        left + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_wire::json::rfc3339_ms;

    #[test]
    fn moments_are_read_back() {
        for ms in [
            0,
            951_782_400_123,
            1_778_922_000_000,
            1_798_761_599_999,
            4_000_000_000_001,
        ] {
            assert_eq!(rfc3339_ms(&rfc3339(ms)), Some(ms), "{}", rfc3339(ms));
        }
    }

    #[test]
    fn a_till_repeats_itself_by_seed() {
        let day = |seed| {
            let mut till = Till::new("till-1", seed, vec!["GBP"], vec!["stall".into()]);
            let mut planted = Planted::default();
            (0..50)
                .map(|at| till.next(at, 0, &mut planted).body)
                .collect::<Vec<_>>()
        };
        assert_eq!(day(4), day(4));
        assert_ne!(day(4), day(5));
    }
}
