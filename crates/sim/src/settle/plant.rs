//! Faults, planted one by one, each with what must come of it.
//!
//! This is the oracle: it knows what was done to the world and nothing of how books are kept.

use popwatch_core::money::Currency;
use popwatch_core::provider::{ObjectState, ProviderKind};
use popwatch_core::settlement::LineKind;

use super::Fault;
use super::world::World;

/// Plants each fault that the provider's files can show and that finds a place.
pub(super) fn plant(world: &mut World, faults: &[Fault]) {
    for fault in faults {
        if fault.is_possible(world.provider) && !is_nameless(*fault, world.provider) {
            one(world, *fault);
        }
    }
    world.expected.sort();
}

/// Shopify has no rows for fees alone.
fn is_nameless(fault: Fault, provider: ProviderKind) -> bool {
    fault == Fault::FeeWithoutSource && provider == ProviderKind::Shopify
}

/// What went where, or `None` when there was no place left.
fn one(world: &mut World, fault: Fault) -> Option<()> {
    let off = 3 + i64::try_from(world.dice.below(90)).unwrap_or(0);
    match fault {
        Fault::PayoutResidual => {
            let payout = world.spare_payout()?;
            world.payouts[payout].beyond = -off;
            of_payout(world, "B-RESIDUAL", payout, -off);
        }
        Fault::BankMissing => {
            let payout = world.spare_payout()?;
            world.payouts[payout].bank = None;
            let paid = paid(world, payout);
            of_payout(world, "B-BANK-MISSING", payout, paid);
        }
        Fault::BankOther => {
            let payout = world.spare_payout()?;
            world.payouts[payout].bank = Some(-off);
            of_payout(world, "B-BANK-AMT", payout, -off);
        }
        Fault::PayoutFailed => {
            let payout = world.spare_payout()?;
            world.payouts[payout].bank = None;
            world.payouts[payout].state = ObjectState::Failed;
            let paid = paid(world, payout);
            of_payout(world, "B-PAYOUT-FAILED", payout, paid);
        }
        Fault::ReserveHeld => {
            world.plain_row(LineKind::ReserveHold, -1_000 - off);
            world.plain_row(LineKind::ReserveRelease, 1_000 + off);
        }
        Fault::ReserveShort => {
            world.plain_row(LineKind::ReserveHold, -2_000);
            world.plain_row(LineKind::ReserveRelease, 2_000 - off);
            world.expect("B-RESERVE", "", off);
        }
        Fault::UnknownKind => without_object(world, LineKind::Other, -off),
        Fault::FeeWithoutSource => without_object(world, LineKind::Fee, -off),
        Fault::MissingCharge
        | Fault::DuplicateCharge
        | Fault::WrongFee
        | Fault::LostRefund
        | Fault::RepeatedLine
        | Fault::WrongNet
        | Fault::WrongGross
        | Fault::DisputeWithFee
        | Fault::Chargeback
        | Fault::Converted
        | Fault::ConvertedWrong
        | Fault::Unpaid
        | Fault::CorrectedLine => of_sale(world, fault, off)?,
    }
    Some(())
}

/// Faults of one sale.
#[expect(
    clippy::too_many_lines,
    reason = "one short arm per fault, in their order"
)]
fn of_sale(world: &mut World, fault: Fault, off: i64) -> Option<()> {
    let sale = world.spare()?;
    let object = world.rows[sale.row].line.object.clone();
    let amount = world.claims[sale.claim].amount;
    let row = &mut world.rows[sale.row];
    match fault {
        Fault::MissingCharge => {
            row.lost = true;
            let named = world.objects[sale.object].object.clone();
            world.expect("B-MISSING", &named, amount);
        }
        Fault::DuplicateCharge => {
            let (again, payout) = (row.line.clone(), row.payout);
            let net = again.net;
            world.row(again, payout);
            world.expect("B-DUP", &object, net);
        }
        Fault::WrongFee => {
            row.line.fee += off;
            row.line.net -= off;
            world.expect("B-FEE", &object, off);
        }
        Fault::LostRefund => {
            let refund = world.refund(sale, off, true);
            world.expect("B-MISSING", &refund, -off);
        }
        Fault::RepeatedLine => row.twice = true,
        Fault::WrongNet => {
            row.line.net -= off;
            world.expect("B-ARITH", &object, -off);
        }
        Fault::WrongGross => {
            // So little that the agreed fee stays the same: one thing is wrong, not two.
            let by = if World::fee(amount - 1) == World::fee(amount) {
                -1
            } else {
                1
            };
            row.line.gross += by;
            row.line.net += by;
            world.expect("B-GROSS", &object, by);
        }
        Fault::DisputeWithFee => {
            let dispute = world.dispute(sale, 1_500);
            world.expect("B-DISPUTE-FEE", &dispute, 1_500);
        }
        Fault::Chargeback => {
            world.dispute(sale, 0);
        }
        Fault::Converted | Fault::ConvertedWrong => {
            convert(
                world,
                sale,
                if fault == Fault::Converted { 0 } else { -off },
            );
        }
        Fault::Unpaid => {
            row.payout = None;
            let net = row.line.net;
            world.expect("B-UNPAID", &object, net);
        }
        Fault::CorrectedLine => {
            let mut line = row.line.clone();
            line.gross += off;
            line.net += off;
            if let Some(payout) = row.payout {
                line.payout.clone_from(&world.payouts[payout].id);
            }
            world.corrected.push(line);
            world.expect("B-FILE-DUP", &object, off);
        }
        Fault::PayoutResidual
        | Fault::BankMissing
        | Fault::BankOther
        | Fault::PayoutFailed
        | Fault::ReserveHeld
        | Fault::ReserveShort
        | Fault::UnknownKind
        | Fault::FeeWithoutSource => {}
    }
    Some(())
}

fn of_payout(world: &mut World, class: &'static str, payout: usize, amount: i64) {
    let id = world.payouts[payout].id.clone();
    world.expect(class, &id, amount);
}

fn without_object(world: &mut World, kind: LineKind, gross: i64) {
    let row = world.plain_row(kind, gross);
    let raw = world.rows[row].line.raw_kind.clone();
    world.expect("B-UNKNOWN", &raw, gross);
}

/// What a payout with a single sale pays.
fn paid(world: &World, payout: usize) -> i64 {
    let rows = world
        .rows
        .iter()
        .filter(|row| row.payout == Some(payout) && !row.lost);
    rows.map(|row| row.line.net).sum()
}

/// The buyer paid in another currency: claim and object are in it, the line is in ours. Whether the
/// provider cut or raised the last minor unit is its own business; `off` is not.
fn convert(world: &mut World, sale: super::world::Sale, off: i64) {
    let there = if world.currency.code() == "GBP" {
        "USD"
    } else {
        "GBP"
    };
    let there = Currency::new(there).expect("a currency of ISO 4217");
    let amount = world.claims[sale.claim].amount;
    world.claims[sale.claim].currency = there.code().to_owned();
    world.objects[sale.object].currency = there.code().to_owned();
    let mantissa = 800_000 + i128::from(world.dice.below(600_000));
    let exact = i128::from(amount) * mantissa * 10_i128.pow(world.currency.exponent());
    let unit = 1_000_000 * 10_i128.pow(there.exponent());
    let (whole, rest) = (exact / unit, exact % unit);
    let nearest = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    };
    let taken = if rest > 0 && world.dice.below(2) == 0 {
        whole + 1
    } else {
        whole
    };
    let small = |number: i128| i64::try_from(number).expect("an amount of a small sale");
    let (nearest, taken) = (small(nearest), small(taken));
    let fee = World::fee(nearest);
    let row = &mut world.rows[sale.row];
    row.rate = Some(format!(
        "{}.{:06}",
        mantissa / 1_000_000,
        mantissa % 1_000_000
    ));
    row.line.buyer_currency.push_str(there.code());
    row.line.buyer_amount = amount;
    (row.line.gross, row.line.fee) = (nearest, fee);
    if off == 0 {
        row.line.rounding = taken - nearest;
        row.line.net = taken - fee;
    } else {
        row.line.net = nearest - fee + off;
        let object = row.line.object.clone();
        world.expect("B-FX", &object, off);
    }
}
