//! Events that benches and proofs are made of: plain sales, all different, of a stated size.

use anyhow::{Context, Result};
use popwatch_core::event::{Event, Line, Minor, PaymentCaptured};
use popwatch_core::id::{
    BootId, EpochId, EventId, JournalId, OrderId, PaymentId, PaymentMethod, PopupId, RigId, Sku,
    Source,
};
use popwatch_core::money::Currency;
use popwatch_core::record::{Content, Draft, Flags, Record, Stamp, event_key};
use popwatch_core::time::{MonoMs, Now, WallMs};
use popwatch_redact::proof::{Redacted, own};
use popwatch_store::journal::{Fresh, Opening};

/// When the samples' day begins, ms since 1970.
pub(crate) const WALL_MS: i64 = 1_764_352_800_000;
/// Samples come this far apart, ms.
const APART_MS: u64 = 10;
/// SKUs the lines of the samples go through.
const SKUS: u64 = 40;
/// The popup of the samples.
pub(crate) const POPUP: &str = "market-day";

/// The clock at the samples' day's end.
pub(crate) fn now() -> Now {
    Now {
        wall: WallMs(WALL_MS + 3_600_000),
        mono: MonoMs(3_600_000),
    }
}

/// The stamp of the sample with this number.
pub(crate) fn stamp(number: u64) -> Stamp {
    let after_ms = number * APART_MS;
    Stamp {
        mono_ns: after_ms * 1_000_000,
        wall_ms: WALL_MS.saturating_add_unsigned(after_ms),
        time_ms: None,
        age_ms: None,
    }
}

/// A sale with its number in its identities and as many lines as asked for.
pub(crate) fn sale(number: u64, lines: u64) -> Result<Record> {
    let amount = 100 + i64::try_from(number % 5_000)?;
    let line = |at: u64| -> Result<Line> {
        Ok(Line {
            sku: Sku::new(&format!("sku-{:02}", (number + at) % SKUS))?,
            qty: 1 + i64::try_from(at)?,
            amount: amount / i64::try_from(lines)?,
            creator: None,
        })
    };
    let captured = PaymentCaptured {
        payment: PaymentId::new(&format!("p-{number:010}"))?,
        order: OrderId::new(&format!("o-{number:010}"))?,
        amount: Minor(amount),
        currency: Currency::new("EUR").context("the euro has minor units")?,
        method: PaymentMethod::new("card")?,
        provider: None,
        provider_ref: None,
        offline: None,
        tip: None,
        tax: None,
        fee: None,
        latency_ms: None,
        checkout: None,
        creator: None,
        token: None,
        lines: (lines > 0)
            .then(|| (0..lines).map(line).collect::<Result<Vec<_>>>())
            .transpose()?,
    };
    Ok(Record {
        event: Event::PaymentCaptured(captured),
        popup: Some(PopupId::new(POPUP)?),
        source: Source::new("till")?,
        id: EventId::new(&format!("sale-{number:010}"))?,
        stamp: stamp(number),
        beyond: None,
        content: Content((number + 1).to_be_bytes()),
        policy_version: 1,
        flags: Flags::default(),
        totals: Vec::new(),
        origin: None,
    })
}

/// A sale ready for the journal whose key is given.
pub(crate) fn draft(number: u64, lines: u64, journal_key: &[u8; 32]) -> Result<Redacted<Draft>> {
    let record = sale(number, lines)?;
    let key = event_key(journal_key, &record.source, &record.id);
    Ok(own(record, key))
}

/// A sale as the checkout sends it: 250 bytes of JSON, or a few more.
pub(crate) fn cloudevent(number: u64) -> String {
    let amount = 100 + number % 5_000;
    let sku = number % SKUS;
    format!(
        r#"{{"specversion":"1.0","id":"sale-{number:010}","source":"till","type":"popwatch.payment.captured","popup":"{POPUP}","data":{{"payment":"p{number:010}","order":"o{number:09}","amount":{amount},"currency":"EUR","method":"card","lines":[{{"sku":"s{sku:02}","qty":1,"amount":{amount}}}]}}}}"#
    )
}

/// How a journal of samples is opened; `life` tells its epochs apart.
pub(crate) fn opening(rig: &str, life: u8, segment_bytes: u64) -> Result<Opening> {
    let mut drawn = 0_u8;
    let mut journal_id = [0xA1; 16];
    for (to, from) in journal_id.iter_mut().zip(rig.bytes()) {
        *to = from;
    }
    Ok(Opening {
        rig: RigId::new(rig)?,
        fresh: Fresh {
            journal_id: JournalId(journal_id),
            epoch_id: Box::new(move || {
                drawn = drawn.wrapping_add(1);
                let mut id = journal_id;
                (id[14], id[15]) = (life, drawn);
                EpochId(id)
            }),
        },
        boot_id: BootId([7; 16]),
        version: String::from("bench"),
        stamp: stamp(0),
        popups: Vec::new(),
        segment_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::record;

    #[test]
    fn a_sample_survives_the_way_to_bytes_and_back() {
        for lines in [0, 3] {
            let sale = sale(7, lines).unwrap();
            assert_eq!(record::decode(&record::encode(&sale)).unwrap(), sale);
        }
    }

    #[test]
    fn a_sample_as_json_has_about_250_bytes() {
        assert!((245..=265).contains(&cloudevent(4_000).len()));
    }
}
