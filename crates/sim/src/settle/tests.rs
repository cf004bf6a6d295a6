//! What the writers write is what the readers read, and honest sets tie.

mod books;
mod days;

use std::collections::BTreeMap;

use popwatch_core::money::Currency;
use popwatch_core::settlement::{Arithmetic, LineKind, arithmetic};
use popwatch_redact::pseudonym::ReferenceKey;
use popwatch_wire::settlement::{FileContext, Item, inspect, read};

use super::*;

const SEEDS: u64 = 60;

/// Everything that reading a file leads to.
#[derive(Default)]
struct Kept {
    lines: Vec<SettlementLine>,
    bank: Vec<BankLine>,
    objects: Vec<ProviderObject>,
    /// All of it as text, with what the file's fact says.
    text: String,
}

fn kept(file: &File, provider: ProviderKind) -> Kept {
    let key = ReferenceKey::new([7; 32]);
    let is_bank = file.layout == Layout::Bank;
    let account = if is_bank { BANK } else { ACCOUNT };
    let mut of = FileContext::new((!is_bank).then_some(provider), account, &key);
    let (stamps, orders) = (
        STAMP_COLUMNS.map(str::to_owned),
        ORDER_COLUMNS.map(str::to_owned),
    );
    (of.stamp_columns, of.order_columns) = (&stamps, &orders);
    let seen = inspect(&file.bytes[..], &of).unwrap();
    of.file = Some(seen.blake3);
    let mut kept = Kept::default();
    let summary = read(&file.bytes[..], &of, &mut |item| {
        kept.text.push_str(&format!("{item:?}\n"));
        match item {
            Item::Line(line) => kept.lines.push(line),
            Item::Bank(line) => kept.bank.push(line),
            Item::Object(object) => kept.objects.push(object),
            Item::Bad(bad) => return Err(bad),
        }
        Ok(())
    })
    .unwrap();
    assert_eq!((summary.layout, summary.replaced), (file.layout, 0));
    assert_eq!(summary, seen);
    assert_eq!(summary.blake3, *blake3::hash(&file.bytes).as_bytes());
    kept.text.push_str(&format!("{:?}", summary.fact(&of)));
    kept
}

/// A line without what only the file gives it.
fn plain(line: &SettlementLine, keeps_id: bool) -> SettlementLine {
    let mut line = line.clone();
    line.file.clear();
    line.row = 0;
    if !keeps_id {
        line.line.clear();
    }
    line
}

#[test]
fn what_is_written_is_what_is_read_whatever_is_planted() {
    let mut planted = BTreeMap::new();
    for provider in ProviderKind::ALL {
        for seed in 0..SEEDS {
            let set = generate(*provider, seed, &Fault::ALL);
            for expected in &set.expected {
                *planted.entry((*provider, expected.class)).or_insert(0) += 1;
            }
            let first = kept(&set.files[0], *provider);
            let keeps_id = *provider != ProviderKind::Adyen;
            let lines: Vec<_> = first
                .lines
                .iter()
                .map(|line| plain(line, keeps_id))
                .collect();
            assert_eq!(lines, set.lines, "{provider:?} {seed}");
            assert_eq!(first.objects, set.stated, "{provider:?} {seed}");
            for file in &set.files {
                let read = kept(file, *provider);
                assert!(!read.text.contains(PERSONAL), "{provider:?} {seed}");
                assert!(!read.text.contains("overlooked"), "{provider:?} {seed}");
            }
            let last = set.files.last().unwrap();
            let bank = kept(last, *provider).bank.into_iter().map(|line| BankLine {
                line: String::new(),
                file: Vec::new(),
                row: 0,
                ..line
            });
            assert_eq!(bank.collect::<Vec<_>>(), set.bank, "{provider:?} {seed}");
        }
    }
    let classes: std::collections::BTreeSet<_> = planted.keys().map(|key| key.1).collect();
    assert_eq!(classes.len(), 15, "{classes:?}");
    let rare: Vec<_> = planted.iter().filter(|(_, count)| **count < 40).collect();
    assert!(rare.is_empty(), "{rare:?}");
}

#[test]
fn without_faults_every_sum_ties() {
    for provider in ProviderKind::ALL {
        for seed in 0..SEEDS {
            let set = generate(*provider, seed, &[]);
            assert_eq!(set.expected, []);
            let mut sums = BTreeMap::<&str, i64>::new();
            let mut paid = BTreeMap::<&str, i64>::new();
            for line in &set.lines {
                assert_eq!(arithmetic(line), Arithmetic::Agrees);
                let kind = LineKind::from_text(&line.kind).unwrap();
                let (sum, sign) = if kind.counts_in_payout() {
                    (&mut sums, 1)
                } else {
                    (&mut paid, -1)
                };
                *sum.entry(&line.payout).or_default() += sign * line.net;
            }
            for stated in &set.stated {
                paid.insert(&stated.object, stated.amount);
            }
            assert_eq!(sums, paid, "{provider:?} {seed}");
            let mut banked: Vec<_> = set.bank.iter().map(|line| line.amount).collect();
            let mut amounts: Vec<_> = paid.into_values().collect();
            banked.sort_unstable();
            amounts.sort_unstable();
            assert_eq!(banked, amounts, "{provider:?} {seed}");
        }
    }
}

#[test]
fn a_set_is_a_function_of_its_seed_and_of_given_sales() {
    for provider in ProviderKind::ALL {
        assert_eq!(
            generate(*provider, 5, &Fault::ALL),
            generate(*provider, 5, &Fault::ALL)
        );
        let sale = |at: i64| {
            (
                format!("pay-{at}"),
                format!("C{at}"),
                700 + at,
                1_323_080_000_000 + at,
            )
        };
        let sales: Vec<_> = (0..50).map(sale).collect();
        let set = generate_over(*provider, 5, &[Fault::MissingCharge], "GBP", &sales);
        assert_eq!(set.expected.len(), 1);
        let claims = set.claims.iter().filter(|claim| claim.refund_of.is_none());
        assert_eq!(claims.count(), 50);
        let read = kept(&set.files[0], *provider);
        assert_eq!(read.lines.len(), set.lines.len());
        assert!(Currency::new(&set.expected[0].currency).is_some());
    }
}
