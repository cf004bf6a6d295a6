//! Which bank line is which payout (S6): by trace, by the payout's name, else by amount and date
//! where both are unique. Exclusive. Where the account says to which bank it pays out, only that
//! bank's lines are looked at.

use alloc::vec::Vec;

use super::known::{Known, Payout, Stage};
use super::{BankLine, words};
use crate::ledger::rules::Rules;

const DAY_MS: i64 = 86_400_000;

/// How a bank line may be a payout's, strongest first.
const STEPS: [fn(&Payout, &BankLine) -> bool; 3] = [
    |payout, line| is_named(&payout.trace, line),
    |payout, line| is_named(&payout.id, line) && i128::from(line.amount) == payout.amount,
    |payout, line| is_named(&payout.id, line) && is_near(payout, line),
];

/// By payout: its bank line.
pub(super) fn matched(known: &Known<'_>, rules: &Rules) -> Vec<Option<usize>> {
    let mut of_payout: Vec<Option<usize>> = [None].repeat(known.payouts.len());
    let mut taken = [false].repeat(known.bank.len());
    let may = |payout: &Payout, at: usize| {
        let account = rules.account(&payout.account);
        let bank = account.and_then(|account| account.payout_bank.as_deref());
        payout.stage == Stage::Sent
            && known.bank[at].currency == payout.currency
            && bank.is_none_or(|bank| known.bank[at].line.account == bank)
    };
    for step in STEPS {
        for (of, payout) in known.payouts.iter().enumerate() {
            if of_payout[of].is_some() {
                continue;
            }
            let found = (0..known.bank.len())
                .find(|at| !taken[*at] && may(payout, *at) && step(payout, known.bank[*at].line));
            if let Some(at) = found {
                of_payout[of] = Some(at);
                taken[at] = true;
            }
        }
    }
    let fits = |of: usize, at: usize| {
        let (payout, line) = (&known.payouts[of], known.bank[at].line);
        may(payout, at) && i128::from(line.amount) == payout.amount && is_near(payout, line)
    };
    let open: Vec<usize> = (0..known.payouts.len())
        .filter(|of| of_payout[*of].is_none())
        .collect();
    let free: Vec<usize> = (0..known.bank.len()).filter(|at| !taken[*at]).collect();
    for of in &open {
        let mut lines = free.iter().filter(|at| fits(*of, **at));
        if let (Some(at), None) = (lines.next(), lines.next())
            && open.iter().filter(|other| fits(**other, *at)).count() == 1
        {
            of_payout[*of] = Some(*at);
        }
    }
    of_payout
}

/// Whether the bank's text holds every word of a name.
fn is_named(name: &str, line: &BankLine) -> bool {
    let (name, text) = (words(name), words(&line.reference));
    !name.is_empty() && name.iter().all(|word| text.contains(word))
}

/// Between one day before and three days after it was sent.
fn is_near(payout: &Payout, line: &BankLine) -> bool {
    let apart = line.date_ms.div_euclid(DAY_MS) - payout.at_ms.div_euclid(DAY_MS);
    (-1..=3).contains(&apart)
}
