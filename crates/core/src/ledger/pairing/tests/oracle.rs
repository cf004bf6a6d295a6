//! Generated days with planted faults. What must be found is worked out where a fault is planted,
//! with arithmetic of its own; nothing here asks the evaluation.

use super::*;
use crate::provider::reference::{PopupTag, Purpose, Reference, RigTag};

/// A small generator of its own: the same seed gives the same day.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
    fn below(&mut self, bound: u64) -> i64 {
        i64::try_from(self.roll() % bound).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Missing,
    PendingForever,
    Unclaimed,
    Double,
    DoubleByOrder,
    Amount,
    Currency,
    Partial,
    Declined,
    OfflineExpiring,
    OfflineStuck,
    OfflineDeclined,
    RefundMissing,
    RefundFailed,
    RefundUnclaimed,
    OverRefund,
    State,
    Gap,
    FileOnly,
    UnclaimedGivenBack,
}

const FAULTS: [Fault; 20] = [
    Fault::Missing,
    Fault::PendingForever,
    Fault::Unclaimed,
    Fault::Double,
    Fault::DoubleByOrder,
    Fault::Amount,
    Fault::Currency,
    Fault::Partial,
    Fault::Declined,
    Fault::OfflineExpiring,
    Fault::OfflineStuck,
    Fault::OfflineDeclined,
    Fault::RefundMissing,
    Fault::RefundFailed,
    Fault::RefundUnclaimed,
    Fault::OverRefund,
    Fault::State,
    Fault::Gap,
    Fault::FileOnly,
    Fault::UnclaimedGivenBack,
];

/// A day being made.
struct Day {
    world: World,
    dice: Dice,
    n: u64,
    expected: Vec<(&'static str, String, i64)>,
    /// What the providers hold at the end, by currency.
    pending: BTreeMap<String, i128>,
}

/// One sale in the making.
struct One {
    claim: event::PaymentCaptured,
    object: ProviderObject,
    seq: u64,
    minted: bool,
}

impl Day {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        let stall = account(ProviderKind::Square, "stall", 12 * HOUR);
        world.rules.accounts.push(stall);
        world.as_of_ms = T0 + 22 * HOUR;
        Self {
            world,
            dice: Dice(seed),
            n: 0,
            expected: Vec::new(),
            pending: BTreeMap::new(),
        }
    }

    fn expect(&mut self, class: &'static str, currency: &str, amount: i64) {
        self.expected.push((class, currency.into(), amount));
    }

    fn holds(&mut self, object: &ProviderObject, sign: i128) {
        *self.pending.entry(object.currency.clone()).or_default() +=
            sign * i128::from(object.amount);
    }

    /// A claim and its object that belong together by one of the keys.
    fn one(&mut self, at_stall: bool) -> One {
        self.n += 1;
        let (n, key) = (self.n, self.dice.below(5));
        let minted = key == 0;
        let payment = match minted {
            true => Reference {
                popup: PopupTag::of_popup(&PopupId::new("fri").unwrap()),
                rig: RigTag::of_rig(&RigId::new("till-1").unwrap()),
                epoch: Epoch(1),
                seq: Seq(n),
                purpose: Purpose::Tender(0),
            }
            .mint()
            .unwrap()
            .to_string(),
            false => std::format!("p{n}"),
        };
        let amount = 500 + self.dice.below(9_000);
        let currency = ["USD", "EUR", "JPY"][usize::try_from(self.dice.below(3)).unwrap()];
        let mut claim = sale(&payment, amount);
        claim.currency = Currency::new(currency).unwrap();
        let name = if at_stall { "stall" } else { "stripe" };
        claim.provider = Some(ProviderName::new(name).unwrap());
        let mut told = object(&std::format!("ob_{n}"), "", amount);
        if at_stall {
            (told.provider, told.account) = ("square".into(), "stall".into());
        }
        told.currency = currency.into();
        told.created_ms = T0 + self.dice.below(50_000);
        match key {
            0 | 1 => told.stamps.push(payment),
            2 => told.stamps.push(std::format!("ev-{n}")),
            3 => {
                claim.provider_ref = Some(ProviderRef::new(&std::format!("ch_{n}")).unwrap());
                told.aliases.push(std::format!("ch_{n}"));
            }
            _ => told.order = claim.order.to_string(),
        }
        One {
            claim,
            object: told,
            seq: n,
            minted,
        }
    }

    fn claim(&mut self, one: &One) {
        let id = std::format!("ev-{}", one.seq);
        let at_ms = T0 + self.dice.below(60_000);
        let event = Event::PaymentCaptured(one.claim.clone());
        self.world.till_as(at_ms, one.seq, &id, event);
    }

    /// Tells of an object as it came to be: some of its earlier states, in any order.
    fn tell(&mut self, object: &ProviderObject) {
        let early = match (
            object.kind.as_str(),
            object.state.as_str(),
            self.dice.below(3),
        ) {
            ("payment", "captured", 0) => Some("authorised"),
            ("payment", _, 1) => Some("created"),
            ("refund", _, 0) => Some("pending"),
            _ => None,
        };
        if let Some(state) = early {
            self.world.told(ProviderObject {
                state: state.into(),
                version: object.version - 1,
                ..object.clone()
            });
        }
        self.world.told(object.clone());
    }

    fn honest(&mut self) -> One {
        let at_stall = self.dice.below(2) == 0;
        let mut one = self.one(at_stall);
        if self.dice.below(6) == 0 {
            one.claim.offline = Some(true);
        }
        self.claim(&one);
        self.tell(&one.object.clone());
        self.holds(&one.object.clone(), 1);
        if self.dice.below(5) == 0 {
            let amount = 1 + self
                .dice
                .below(u64::try_from(one.object.amount).unwrap() / 2);
            self.asked(&one, amount);
            let back = self.back(&one, amount, true, "succeeded");
            self.tell(&back);
            self.holds(&back, -1);
        }
        one
    }

    fn asked(&mut self, one: &One, amount: i64) {
        let n = one.seq;
        let mut asked = refund(&std::format!("r{n}"), one.claim.payment.as_str(), amount);
        asked.currency = one.claim.currency;
        let id = std::format!("er-{n}");
        self.world
            .till_as(T0 + HOUR, 10_000 + n, &id, Event::PaymentRefunded(asked));
    }

    fn back(&mut self, one: &One, amount: i64, stamped: bool, state: &str) -> ProviderObject {
        self.n += 1;
        let stamp = std::format!("r{}", one.seq);
        ProviderObject {
            kind: "refund".into(),
            object: std::format!("re_{}", self.n),
            parent: one.object.object.clone(),
            aliases: Vec::new(),
            order: String::new(),
            stamps: if stamped { [stamp].into() } else { Vec::new() },
            amount,
            state: state.into(),
            ..one.object.clone()
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm per fault reads best in one place"
    )]
    fn plant(&mut self, fault: Fault) {
        let at_stall = match fault {
            Fault::OfflineStuck => true,
            Fault::OfflineExpiring => false,
            _ => self.dice.below(2) == 0,
        };
        let mut one = self.one(at_stall);
        let currency = one.claim.currency.to_string();
        let amount = one.claim.amount.0;
        let off = 1 + self.dice.below(400);
        match fault {
            Fault::Missing | Fault::PendingForever => {
                self.claim(&one);
                if fault == Fault::PendingForever {
                    one.object.state = "authorised".into();
                    self.world.told(one.object.clone());
                }
                self.expect("P-MISSING", &currency, -amount);
                if one.minted {
                    self.expect("P-KEY-EXPIRED", "", 0);
                }
            }
            Fault::Unclaimed => {
                self.tell(&one.object.clone());
                self.holds(&one.object, 1);
                self.expect("P-UNCLAIMED", &currency, amount);
            }
            Fault::UnclaimedGivenBack => {
                self.tell(&one.object.clone());
                self.holds(&one.object, 1);
                let back = self.back(&one, off.min(amount), false, "succeeded");
                self.tell(&back);
                self.holds(&back, -1);
                if off < amount {
                    self.expect("P-UNCLAIMED", &currency, amount - off);
                }
            }
            Fault::Double | Fault::DoubleByOrder => {
                self.claim(&one);
                self.tell(&one.object.clone());
                let mut again = one.object.clone();
                again.object.push_str("_again");
                again.created_ms += 1_000;
                if fault == Fault::DoubleByOrder {
                    again.stamps.clear();
                    again.order = one.claim.order.to_string();
                }
                again.aliases.clear();
                if again.stamps.is_empty() && again.order.is_empty() {
                    again.stamps.push(one.claim.payment.to_string());
                }
                self.tell(&again);
                // By a stamp the second is the claim's where the first is by id alone.
                self.holds(&one.object, 1);
                self.holds(&again, 1);
                self.expect("P-DOUBLE", &currency, amount);
            }
            Fault::Amount | Fault::Partial | Fault::Currency => {
                // Other money never meets by order alone.
                if !one.object.order.is_empty() {
                    one.object.order.clear();
                    one.object.stamps.push(one.claim.payment.to_string());
                }
                match fault {
                    Fault::Amount => {
                        one.object.amount += off;
                        self.expect("P-AMOUNT", &currency, off);
                    }
                    Fault::Partial => {
                        one.object.authorised = amount;
                        one.object.amount -= off;
                        self.expect("P-PARTIAL-CAPTURE", &currency, -off);
                    }
                    _ => {
                        one.object.currency = "CHF".into();
                        self.expect("P-CCY", "CHF", amount);
                        self.expect("P-CCY", &currency, -amount);
                    }
                }
                self.claim(&one);
                self.world.told(one.object.clone());
                self.holds(&one.object, 1);
            }
            Fault::Declined | Fault::OfflineDeclined => {
                one.object.state = ["declined", "voided", "expired"]
                    [usize::try_from(self.dice.below(3)).unwrap()]
                .into();
                one.claim.offline = Some(fault == Fault::OfflineDeclined);
                self.claim(&one);
                self.tell(&one.object.clone());
                match fault {
                    Fault::Declined => self.expect("P-DECLINED", &currency, -amount),
                    _ => self.expect("P-OFFLINE-DECLINED", &currency, amount),
                }
            }
            Fault::OfflineExpiring | Fault::OfflineStuck => {
                one.claim.offline = Some(true);
                self.claim(&one);
                let class = match fault {
                    Fault::OfflineStuck => "P-OFFLINE-STUCK",
                    _ => "P-OFFLINE-EXPIRING",
                };
                self.expect(class, &currency, amount);
                if one.minted {
                    self.expect("P-KEY-EXPIRED", &currency, amount);
                }
            }
            Fault::RefundMissing
            | Fault::RefundFailed
            | Fault::RefundUnclaimed
            | Fault::OverRefund => {
                self.claim(&one);
                self.tell(&one.object.clone());
                self.holds(&one.object, 1);
                self.wrong_refund(fault, &one, off);
            }
            Fault::State => {
                self.claim(&one);
                self.tell(&one.object.clone());
                self.holds(&one.object, 1);
                self.world.told(ProviderObject {
                    state: "voided".into(),
                    ..one.object.clone()
                });
                self.expect("P-STATE", "", 0);
            }
            Fault::Gap => {
                let stamp = std::format!("lost-{}", one.seq);
                let place = Position {
                    rig: RigId::new("till-2").unwrap(),
                    epoch: Epoch(1),
                    seq: Seq(one.seq),
                };
                let popup = PopupId::new("fri").unwrap();
                self.world.lost.insert(stamp.clone(), (popup, place));
                one.object.stamps = [stamp].into();
                self.tell(&one.object.clone());
                self.holds(&one.object, 1);
                self.expect("P-GAP-EXPLAINED", &currency, amount);
            }
            Fault::FileOnly => {
                self.claim(&one);
                one.object.from_file = true;
                self.world.told(one.object.clone());
                self.holds(&one.object, 1);
                self.expect("P-WEBHOOK-GAP", "", 0);
            }
        }
    }

    fn wrong_refund(&mut self, fault: Fault, one: &One, off: i64) {
        let (currency, amount) = (one.claim.currency.to_string(), one.claim.amount.0);
        match fault {
            Fault::RefundMissing => {
                self.asked(one, off);
                self.expect("P-REFUND-MISSING", &currency, off);
            }
            Fault::RefundFailed => {
                self.asked(one, off);
                let back = self.back(one, off, true, "succeeded");
                self.tell(&back);
                self.world.told(ProviderObject {
                    state: "failed".into(),
                    ..back
                });
                self.expect("P-REFUND-FAILED", &currency, off);
            }
            Fault::RefundUnclaimed => {
                let back = self.back(one, off.min(amount), false, "succeeded");
                self.tell(&back);
                self.holds(&back, -1);
                self.expect("P-REFUND-UNCLAIMED", &currency, off.min(amount));
            }
            _ => {
                let back = self.back(one, amount + off, false, "succeeded");
                self.tell(&back);
                self.holds(&back, -1);
                self.expect("P-REFUND-UNCLAIMED", &currency, amount + off);
                self.expect("P-OVERREFUND", &currency, -off);
            }
        }
    }
}

/// A day of this seed, with one or two faults, and what must be found.
fn day(seed: u64) -> (Day, Vec<Fault>) {
    let mut day = Day::new(seed);
    let count = FAULTS.len() as u64;
    let first = FAULTS[usize::try_from(seed % count).unwrap()];
    let second = FAULTS[usize::try_from((seed / count) % count).unwrap()];
    let faults = if seed.is_multiple_of(3) {
        [first].to_vec()
    } else {
        [first, second].to_vec()
    };
    for at in 0..8 + day.dice.below(8) {
        day.honest();
        if let Some(fault) = usize::try_from(at).ok().and_then(|at| faults.get(at)) {
            day.plant(*fault);
        }
    }
    (day, faults)
}

fn check(seed: u64) {
    let (mut day, faults) = day(seed);
    let books = day.world.books();
    let mut found: Vec<_> = (books.breaks.iter())
        .map(|(_, found)| {
            let currency = found.commodity.as_ref().map(ToString::to_string);
            (
                found.class.text(),
                currency.unwrap_or_default(),
                found.amount,
            )
        })
        .collect();
    found.sort();
    day.expected.sort();
    assert_eq!(found, day.expected, "seed {seed}, {faults:?}");
    day.pending.retain(|_, sum| *sum != 0);
    for (currency, sum) in day.pending {
        let key = std::format!("1200 {currency}");
        assert_eq!(books.at(&key), sum, "seed {seed}: what {key} holds");
    }
    // And in another order of arrival.
    let mut order: Vec<usize> = (0..day.world.facts.len()).collect();
    order.sort_by_key(|at| Dice(seed ^ *at as u64).roll());
    assert_eq!(
        day.world.arrived(&order).books().print(),
        books.print(),
        "seed {seed}"
    );
}

#[test]
fn planted_faults_are_found_and_nothing_else() {
    for seed in 0..1_000 {
        check(seed);
    }
}
