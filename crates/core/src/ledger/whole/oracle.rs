//! Random popups against an oracle that shares no code with the rules: it knows what was done, not
//! which facts and entries say so, and works out each account by hand.

use super::*;
use crate::event::central::{CashCounted, CreatorPaid};
use crate::event::commerce::ShareCard;
use std::format;

const SEEDS: u64 = 400;
const RIGS: [&str; 2] = ["till-1", "till-2"];
const CREATORS: [&str; 3] = ["ana", "bo", "house"];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
    fn chance(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
struct Expected(BTreeMap<String, i128>);

impl Expected {
    fn put(&mut self, account: &str, commodity: &str, amount: i64) {
        *self.0.entry(format!("{account} {commodity}")).or_default() += i128::from(amount);
    }
    fn money(&mut self, account: &str, amount: i64) {
        self.put(account, "GBP", amount);
    }
}

/// Half to even, the long way.
fn rounded(numerator: i64, denominator: i64) -> i64 {
    let (twice, whole) = (2 * (numerator % denominator), numerator / denominator);
    if twice > denominator || (twice == denominator && whole % 2 == 1) {
        whole + 1
    } else {
        whole
    }
}

struct Sold {
    payment: String,
    goods: i64,
    tax: i64,
    tip: i64,
    token: i64,
    rig: usize,
    cash: bool,
    payee: usize,
    /// Goods of ana and bo.
    of: [i64; 2],
    refunded: i64,
}

const RATES: [u32; 2] = [123_456, 70_000];

struct Play {
    dice: Dice,
    day: Day,
    expect: Expected,
    /// Received into the pool, granted per rig, and sold per rig, of each SKU.
    granted: [[i64; 2]; 2],
    pool: [i64; 2],
    used: [[i64; 2]; 2],
    back: [i64; 2],
    sold: Vec<Sold>,
}

fn play(seed: u64) -> Play {
    let cards = CREATORS
        .iter()
        .zip(RATES)
        .map(|(creator, rate_ppm)| ShareCard {
            creator: (*creator).into(),
            rate_ppm,
            ..ShareCard::default()
        });
    let commerce = Commerce {
        shares: cards.collect(),
        ..Commerce::default()
    };
    let mut play = Play {
        dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        day: Day {
            cards: BTreeMap::from([(1, Rc::new(commerce))]),
            window: Some((0, 10_000)),
            as_of_ms: 9_000,
            ..Day::default()
        },
        expect: Expected::default(),
        granted: [[0; 2]; 2],
        pool: [0; 2],
        used: [[0; 2]; 2],
        back: [0; 2],
        sold: Vec::new(),
    };
    play.deliver();
    for n in 0..play.dice.below(12) + 1 {
        play.sell(n);
    }
    play.give_back();
    play.count_drawers();
    play.pay();
    play.settle_stock();
    play
}

fn stock_name(sku: usize) -> &'static str {
    ["mug", "cap"][sku]
}

impl Play {
    fn deliver(&mut self) {
        for sku in 0..2 {
            self.pool[sku] = self.dice.below(12);
            let name = Sku::new(stock_name(sku)).unwrap();
            let received = event::InventoryReceived {
                sku: name.clone(),
                qty: event::Count(self.pool[sku]),
                to: None,
                reason: None,
            };
            self.day.add(
                "till-1",
                1,
                1,
                &["in", stock_name(sku)],
                Event::InventoryReceived(received),
            );
            for (rig, name_of_rig) in RIGS.into_iter().enumerate() {
                if self.dice.chance(40) {
                    let qty = self.dice.below(6) + 1;
                    self.granted[sku][rig] = qty;
                    let to = StockPlace::new(name_of_rig).unwrap();
                    let moved = event::InventoryAllocated {
                        sku: name.clone(),
                        qty: event::Count(qty),
                        from: None,
                        to: Some(to),
                        reason: None,
                    };
                    self.day.add(
                        "till-2",
                        2,
                        1,
                        &["to", stock_name(sku), name_of_rig],
                        Event::InventoryAllocated(moved),
                    );
                }
            }
        }
    }

    /// Lines, what they sum to, and the goods of ana and bo in them.
    fn basket(&mut self, rig: usize, payee: usize) -> (Vec<Line>, i64, [i64; 2]) {
        let (mut lines, mut goods, mut of) = (Vec::new(), 0, [0; 2]);
        for _ in 0..self.dice.below(4) + 1 {
            let sku = usize::try_from(self.dice.below(3)).unwrap();
            let (qty, amount) = (self.dice.below(3) + 1, self.dice.below(5_000));
            let named = self
                .dice
                .chance(30)
                .then(|| usize::try_from(self.dice.below(2)).unwrap());
            let theirs = named.unwrap_or(payee);
            if theirs < 2 {
                of[theirs] += amount;
            }
            if sku < 2 {
                self.used[sku][rig] += qty;
            }
            goods += amount;
            lines.push(line(
                ["mug", "cap", "wrap"][sku],
                qty,
                amount,
                named.map(|at| CREATORS[at]),
            ));
        }
        (lines, goods, of)
    }

    fn sell(&mut self, n: i64) {
        let payment = format!("p{n}");
        let (rig, payee) = (self.dice.below(2), self.dice.below(3));
        let (rig, payee) = (
            usize::try_from(rig).unwrap(),
            usize::try_from(payee).unwrap(),
        );
        let (lines, goods, of) = self.basket(rig, payee);
        let (tax, tip) = match self.dice.chance(50) {
            true => (0, 0),
            false => (self.dice.below(900), self.dice.below(300)),
        };
        let with_token = self.dice.chance(30) && goods > 600;
        let token = if with_token { 500 } else { 0 };
        let cash = self.dice.chance(40);
        let offline = !cash && self.dice.chance(30);
        let mut sale = sale(&payment, goods + tax + tip - token, &lines);
        (sale.tax, sale.tip) = (Some(Minor(tax)), Some(Minor(tip)));
        sale.creator = (payee < 2).then(|| CreatorId::new(CREATORS[payee]).unwrap());
        sale.offline = Some(offline);
        if cash {
            sale.method = PaymentMethod::new("cash").unwrap();
        }
        if with_token {
            sale.token = Some(TokenId::new(&format!("t{n}")).unwrap());
        }
        let at_ms = 100 + n * 10;
        self.day.add_sale(RIGS[rig], at_ms, sale);
        let till = match (cash, offline) {
            (true, _) => format!("1010:{}", RIGS[rig]),
            (false, true) => format!("1110:{}:-", RIGS[rig]),
            (false, false) => format!("1100:{}:-", RIGS[rig]),
        };
        self.expect.money(&till, goods + tax + tip - token);
        self.expect.money("2055", token);
        self.expect.money("4010", -goods);
        self.expect.money("2010", -tax);
        self.expect
            .money(&format!("2020:{}", CREATORS[payee]), -tip);
        for (creator, theirs) in of.iter().enumerate() {
            let share = rounded(theirs * i64::from(RATES[creator]), 1_000_000);
            self.expect.money("5040", share);
            self.expect
                .money(&format!("2030:{}", CREATORS[creator]), -share);
        }
        if with_token {
            self.token(n, rig, at_ms);
        }
        self.sold.push(Sold {
            payment,
            goods,
            tax,
            tip,
            token,
            rig,
            cash,
            payee,
            of,
            refunded: 0,
        });
    }

    /// A token worth 500 that was sold, given away or made up, and used once or twice.
    fn token(&mut self, n: i64, rig: usize, at_ms: i64) {
        let token = TokenId::new(&format!("t{n}")).unwrap();
        let order = |text: &str| Some(OrderId::new(text).unwrap());
        let (value, currency) = (Some(Minor(500)), Some(gbp()));
        let way = self.dice.below(3);
        if way < 2 {
            let bought = if way == 0 { order("o-gift") } else { None };
            let issued = event::TokenIssued {
                token: token.clone(),
                creator: None,
                order: bought,
                value,
                currency,
                expires: None,
            };
            self.day.add(
                "till-1",
                50,
                1,
                &[&format!("t{n}")],
                Event::TokenIssued(issued),
            );
            self.expect.put("T100", "t:house", -1);
            if way == 0 {
                self.expect.money("4010", 500);
                self.expect.money("2050:house", -500);
            }
        }
        let own = format!("o-p{n}");
        let twice = self.dice.chance(40);
        let orders = [own.as_str(), "o-elsewhere"];
        for (at, to) in orders.into_iter().enumerate().take(1 + usize::from(twice)) {
            let id = format!("t{n}");
            let used = event::TokenRedeemed {
                token: token.clone(),
                creator: None,
                order: order(to),
                value,
                currency,
                expires: None,
            };
            let when = at_ms + i64::try_from(at).unwrap();
            self.day.add(
                RIGS[(rig + at) % 2],
                when,
                1,
                &[&id, to],
                Event::TokenRedeemed(used),
            );
            self.expect.money("2055", -500);
            let good = way < 2 && at == 0;
            self.expect
                .put(if good { "T130" } else { "T160" }, "t:house", 1);
            match (good, way) {
                (true, 0) => self.expect.money("2050:house", 500),
                (true, _) => self.expect.money("4020", 500),
                (false, _) => {
                    self.expect.money("5031", 500);
                    self.expect.put("T100", "t:house", -1);
                }
            }
        }
    }

    /// Whole refunds in pieces, with the goods; and parts of sales that were goods alone.
    fn give_back(&mut self) {
        for at in 0..self.sold.len() {
            if self.dice.chance(60) {
                continue;
            }
            let sold = &self.sold[at];
            let paid = sold.goods + sold.tax + sold.tip - sold.token;
            let plain = sold.tax == 0 && sold.tip == 0 && sold.token == 0;
            let whole = self.dice.chance(70) || !plain;
            let total = if whole {
                paid
            } else {
                self.dice.below(paid.max(1))
            };
            let mut left = total;
            for piece in 0..=self.dice.below(3) {
                let amount = self.dice.below(left + 1);
                left -= amount;
                let id = format!("r{at}.{piece}");
                self.refund(at, &id, 400 + piece, amount, &[]);
            }
            let goods: &[(&str, i64)] = &[("mug", 1)];
            self.back[0] += 1;
            self.refund(at, &format!("r{at}.last"), 500, left, goods);
            self.after_refunds(at, total, whole);
        }
    }

    fn refund(&mut self, at: usize, id: &str, at_ms: i64, amount: i64, goods: &[(&str, i64)]) {
        let sold = &self.sold[at];
        self.day.add_refund(at_ms, id, &sold.payment, amount, goods);
        self.expect
            .money(if sold.cash { "1010:till-1" } else { "2070" }, -amount);
    }

    fn after_refunds(&mut self, at: usize, total: i64, whole: bool) {
        let sold = &mut self.sold[at];
        sold.refunded = total;
        if whole {
            self.expect.money("4030", sold.goods - sold.token);
            self.expect.money("2010", sold.tax);
            self.expect
                .money(&format!("2020:{}", CREATORS[sold.payee]), sold.tip);
        } else {
            self.expect.money("4030", total);
        }
        for (creator, theirs) in sold.of.iter().enumerate() {
            let share = rounded(theirs * i64::from(RATES[creator]), 1_000_000);
            let back = if whole && total > 0 {
                share
            } else {
                rounded(share * total, sold.goods.max(1))
            };
            self.expect.money("5040", -back);
            self.expect
                .money(&format!("2030:{}", CREATORS[creator]), back);
        }
    }

    fn count_drawers(&mut self) {
        for (at, rig) in RIGS.into_iter().enumerate() {
            if self.dice.chance(50) {
                continue;
            }
            let taken: i64 = (self.sold.iter())
                .filter(|sold| sold.cash && sold.rig == at)
                .map(|sold| sold.goods + sold.tax + sold.tip - sold.token)
                .sum();
            // Refunds were all made on the first till.
            let given: i64 = self
                .sold
                .iter()
                .filter(|sold| sold.cash && at == 0)
                .map(|sold| sold.refunded)
                .sum();
            let off = self.dice.below(40) - 20;
            let counted = CashCounted {
                popup: "fri".into(),
                rig: rig.into(),
                currency: "GBP".into(),
                amount: taken - given + off,
                counted_ms: 8_000,
                ..CashCounted::default()
            };
            self.day.add_own(8_000, SystemEvent::CashCounted(counted));
            self.expect.money(&format!("1010:{rig}"), off);
            self.expect.money("5050", -off);
        }
    }

    /// Nothing is available before the hold ends, so every payment is beyond it.
    fn pay(&mut self) {
        if self.dice.chance(30) {
            let amount = self.dice.below(900) + 1;
            let paid = CreatorPaid {
                popup: "fri".into(),
                creator: "ana".into(),
                currency: "GBP".into(),
                amount,
                paid_ms: 0,
                reference: "x".into(),
            };
            self.day.add_own(8_500, SystemEvent::CreatorPaid(paid));
            self.expect.money("1310", -amount);
            self.expect.money("1400:ana", amount);
        }
    }

    fn settle_stock(&mut self) {
        for sku in 0..2 {
            let unit = format!("u:{}", stock_name(sku));
            let grants: i64 = self.granted[sku].iter().sum();
            let mut pool = self.pool[sku] - grants + self.back[sku];
            let (mut sold, mut beyond) = (-self.back[sku], 0);
            for (rig, name) in RIGS.into_iter().enumerate() {
                sold += self.used[sku][rig];
                if self.granted[sku][rig] > 0 {
                    let left = self.granted[sku][rig] - self.used[sku][rig];
                    self.expect.put(&format!("S130:{name}"), &unit, left.max(0));
                    beyond += (-left).max(0);
                } else {
                    pool -= self.used[sku][rig];
                }
            }
            beyond += (-pool).max(0);
            self.expect.put("S120", &unit, pool.max(0));
            self.expect.put("S150", &unit, sold);
            self.expect.put("S195", &unit, -beyond);
            self.expect.put("S100", &unit, -self.pool[sku]);
        }
    }
}

#[test]
fn every_account_of_random_popups_is_what_the_oracle_says() {
    for seed in 0..SEEDS {
        let mut play = play(seed);
        play.expect.0.retain(|_, amount| *amount != 0);
        assert_eq!(play.day.books().balances(), play.expect.0, "seed {seed}");
    }
}

#[test]
fn the_order_of_arrival_does_not_show() {
    for seed in 0..40 {
        let mut play = play(seed);
        let mut one: Vec<_> = play
            .day
            .books()
            .entries
            .iter()
            .map(|entry| format!("{entry:?}"))
            .collect();
        play.day.facts.reverse();
        let mut other: Vec<_> = play
            .day
            .books()
            .entries
            .iter()
            .map(|entry| format!("{entry:?}"))
            .collect();
        one.sort_unstable();
        other.sort_unstable();
        assert_eq!(one, other, "seed {seed}");
    }
}
