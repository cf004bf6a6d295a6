//! JSON files: documents as a provider's API answers them, entry by entry.
//!
//! A file is one object or an array of them (pages). Of each, arrays of entries are walked one entry
//! at a time; all else is skipped. Before the parser sees a byte, [`Guard`] has counted how long the
//! entry, name or number is that it belongs to, so nothing larger than a row is ever held.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

use popwatch_core::event::central::ProviderObject;
use popwatch_core::limits;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value as Json;

use super::figures::Unit;
use super::intake::Intake;
use super::{
    Desk, Fault, FileContext, FileFault, Item, Layout, Sink, Stopped, Tally, admitted, field,
    shopify, square, stripe,
};
use crate::json::rfc3339_ms;

/// Reads a JSON file.
pub(super) fn read<E>(
    intake: &mut Intake<'_>,
    of: &FileContext<'_>,
    sink: Sink<'_, E>,
) -> Result<Tally, Stopped<E>> {
    let mut fault = None;
    let mut reading = Reading {
        of,
        desk: Desk::new(of),
        tally: None,
        dropped: BTreeSet::new(),
        sink,
        stopped: None,
    };
    let guard = Guard::new(intake, &mut fault);
    let mut json = serde_json::Deserializer::from_reader(guard);
    let read = Document(&mut reading).deserialize(&mut json);
    let read = read.and_then(|()| json.end());
    drop(json);
    let Reading {
        desk,
        tally,
        dropped,
        stopped,
        ..
    } = reading;
    if let Some(stopped) = stopped {
        return Err(stopped);
    }
    if let Some(fault) = fault {
        return Err(Stopped::File(fault));
    }
    if let Err(error) = read {
        let row = tally.map_or(1, |tally| tally.rows + 1);
        return Err(Stopped::File(if error.is_eof() {
            FileFault::Truncated { row }
        } else {
            FileFault::Json {
                line: error.line(),
                column: error.column(),
            }
        }));
    }
    let mut tally = tally.ok_or(FileFault::LayoutUnknown)?;
    tally.replaced = desk.keep.replaced;
    tally.columns_dropped = u32::try_from(dropped.len()).unwrap_or(u32::MAX);
    Ok(tally)
}

/// What reading a document leads to.
struct Reading<'a, 's, E> {
    of: &'a FileContext<'a>,
    desk: Desk<'a>,
    /// `None` until the layout is known.
    tally: Option<Tally>,
    /// Names of fields that were not kept.
    dropped: BTreeSet<String>,
    sink: Sink<'s, E>,
    /// Why reading ends before the document does.
    stopped: Option<Stopped<E>>,
}

/// What an array of entries holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entries {
    StripeTransactions,
    SquareRows,
    SquarePayouts,
    ShopifyTransactions,
    ShopifyPayouts,
}

impl Entries {
    /// What stands under a name, judged by its first entry: two providers use one name.
    fn of(name: &str, entry: &Json) -> Option<Self> {
        match name {
            "payout_entries" => Some(Self::SquareRows),
            "payout" | "payouts" if entry.get("amount_money").is_some() => {
                Some(Self::SquarePayouts)
            }
            "payout" | "payouts" if entry.get("amount").is_some() => Some(Self::ShopifyPayouts),
            "transactions" if entry.get("payout_id").is_some() => Some(Self::ShopifyTransactions),
            "data" | "balance_transactions" if text(entry, "object") == "balance_transaction" => {
                Some(Self::StripeTransactions)
            }
            _ => None,
        }
    }

    const fn layout(self) -> Layout {
        match self {
            Self::StripeTransactions => Layout::StripeItemized,
            Self::SquareRows | Self::SquarePayouts => Layout::SquarePayout,
            Self::ShopifyTransactions | Self::ShopifyPayouts => Layout::ShopifyPayments,
        }
    }

    /// Fields of an entry that must be there.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::StripeTransactions => &["id", "amount", "fee", "net", "currency"],
            Self::SquareRows => &[
                "id",
                "type",
                "gross_amount_money",
                "fee_amount_money",
                "net_amount_money",
            ],
            Self::SquarePayouts => &["id", "amount_money", "status", "version"],
            Self::ShopifyTransactions => &[
                "id",
                "type",
                "amount",
                "fee",
                "net",
                "currency",
                "payout_id",
            ],
            Self::ShopifyPayouts => &["id", "amount", "status"],
        }
    }

    fn keeps(self, name: &str) -> bool {
        let kept: &[&str] = match self {
            Self::StripeTransactions => &stripe::KEPT,
            Self::SquareRows => return square::keeps(name),
            Self::SquarePayouts => &square::KEPT_OF_PAYOUT,
            Self::ShopifyTransactions => &shopify::KEPT,
            Self::ShopifyPayouts => &shopify::KEPT_OF_PAYOUT,
        };
        kept.contains(&name)
    }
}

impl<E> Reading<'_, '_, E> {
    /// Takes one entry; `false` when reading is over.
    fn entry(&mut self, name: &str, known: &mut Option<Entries>, entry: &Json) -> bool {
        match self.take(name, known, entry) {
            Ok(()) => true,
            Err(stopped) => {
                self.stopped = Some(stopped);
                false
            }
        }
    }

    fn take(
        &mut self,
        name: &str,
        known: &mut Option<Entries>,
        entry: &Json,
    ) -> Result<(), Stopped<E>> {
        let Some(kind) = known.or_else(|| Entries::of(name, entry)) else {
            return Ok(());
        };
        if known.is_none() {
            *known = Some(kind);
            self.settle(kind, entry)?;
        }
        if let Json::Object(fields) = entry {
            let names = fields.keys().filter(|name| !kind.keeps(name));
            for name in names {
                if self.dropped.len() < limits::SETTLEMENT_COLUMNS_MAX {
                    self.dropped.insert(name.clone());
                }
            }
        }
        let Some(tally) = &mut self.tally else {
            return Ok(());
        };
        let item = match kind {
            Entries::SquarePayouts => square::payout(entry, &mut self.desk).map(Item::Object),
            Entries::ShopifyPayouts => shopify::payout(entry, &mut self.desk).map(Item::Object),
            Entries::StripeTransactions => {
                let number = tally.next_row()?;
                stripe::transaction(entry, &mut self.desk, number).map(Item::Line)
            }
            Entries::SquareRows => {
                let number = tally.next_row()?;
                square::line(entry, &mut self.desk, number).map(Item::Line)
            }
            Entries::ShopifyTransactions => {
                let number = tally.next_row()?;
                shopify::line(entry, &mut self.desk, number).map(Item::Line)
            }
        };
        tally.hand(tally.rows, item, self.sink)
    }

    /// Settles which layout this is, once, and that the first entry has what it needs.
    fn settle(&mut self, kind: Entries, entry: &Json) -> Result<(), FileFault> {
        let layout = kind.layout();
        if self.of.layout.is_some_and(|forced| forced != layout)
            || self
                .tally
                .as_ref()
                .is_some_and(|tally| tally.layout != layout)
        {
            return Err(FileFault::LayoutUnknown);
        }
        admitted(layout, self.of)?;
        let missing = kind
            .required()
            .iter()
            .find(|name| entry.get(**name).is_none());
        if let Some(column) = missing {
            return Err(FileFault::ColumnMissing { layout, column });
        }
        if self.tally.is_none() {
            self.tally = Some(Tally::new(layout));
        }
        Ok(())
    }
}

/// One page, or an array of pages.
struct Document<'r, 'a, 's, E>(&'r mut Reading<'a, 's, E>);

impl<'de, E> DeserializeSeed<'de> for Document<'_, '_, '_, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, E> Visitor<'de> for Document<'_, '_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "payout_entries"
                | "transactions"
                | "payouts"
                | "payout"
                | "data"
                | "balance_transactions" => {
                    let reading = &mut *self.0;
                    map.next_value_seed(List {
                        reading,
                        name: &name,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pages: A) -> Result<(), A::Error> {
        while pages.next_element_seed(Page(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// One page of an array: an object, and never again an array, so that nesting ends.
struct Page<'r, 'a, 's, E>(&'r mut Reading<'a, 's, E>);

impl<'de, E> DeserializeSeed<'de> for Page<'_, '_, '_, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(Document(self.0))
    }
}

/// An array of entries, or a single one.
struct List<'r, 'n, 'a, 's, E> {
    reading: &'r mut Reading<'a, 's, E>,
    name: &'n str,
}

impl<'de, E> DeserializeSeed<'de> for List<'_, '_, '_, '_, E> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, E> Visitor<'de> for List<'_, '_, '_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry or an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut known = None;
        while let Some(entry) = entries.next_element::<Json>()? {
            if !self.reading.entry(self.name, &mut known, &entry) {
                return Err(A::Error::custom("reading is over"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut entry = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            entry.insert(name, map.next_value()?);
            if entry.len() > limits::SETTLEMENT_COLUMNS_MAX {
                self.reading.stopped = Some(Stopped::File(FileFault::TooLarge {
                    what: "the number of fields",
                    max: u64::try_from(limits::SETTLEMENT_COLUMNS_MAX).unwrap_or(u64::MAX),
                }));
                return Err(A::Error::custom("reading is over"));
            }
        }
        if self
            .reading
            .entry(self.name, &mut None, &Json::Object(entry))
        {
            Ok(())
        } else {
            Err(A::Error::custom("reading is over"))
        }
    }

    fn visit_unit<E2: serde::de::Error>(self) -> Result<(), E2> {
        Ok(())
    }
}

/// Hands bytes to the parser, as long as nothing it must hold passes a bound.
struct Guard<'a, 'b> {
    intake: &'a mut Intake<'b>,
    fault: &'a mut Option<FileFault>,
    depth: u32,
    /// Depth at which entries lie: whatever is deeper belongs to one.
    base: u32,
    in_string: bool,
    escaped: bool,
    /// Bytes of the entry, name or value so far.
    run: usize,
    started: bool,
}

impl<'a, 'b> Guard<'a, 'b> {
    fn new(intake: &'a mut Intake<'b>, fault: &'a mut Option<FileFault>) -> Self {
        Self {
            intake,
            fault,
            depth: 0,
            base: 2,
            in_string: false,
            escaped: false,
            run: 0,
            started: false,
        }
    }

    fn pass(&mut self, byte: u8) -> Result<(), FileFault> {
        if !self.started {
            self.started = true;
            self.base = if byte == b'[' { 3 } else { 2 };
        }
        self.run += 1;
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            let between = matches!(byte, b',' | b':' | b'{' | b'[' | b'}' | b']')
                || byte.is_ascii_whitespace();
            if between && self.depth <= self.base {
                self.run = 0;
            }
        }
        if self.run > limits::SETTLEMENT_ROW_BYTES_MAX {
            return Err(FileFault::TooLarge {
                what: "an entry in bytes",
                max: u64::try_from(limits::SETTLEMENT_ROW_BYTES_MAX).unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }
}

impl Read for Guard<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        for slot in buffer {
            let byte = match self.intake.byte() {
                Ok(Some(byte)) => byte,
                Ok(None) => break,
                Err(fault) => {
                    *self.fault = Some(fault);
                    return Err(io::Error::other("the file could not be read"));
                }
            };
            if let Err(fault) = self.pass(byte) {
                *self.fault = Some(fault);
                return Err(io::Error::other("a bound was passed"));
            }
            *slot = byte;
            count += 1;
        }
        Ok(count)
    }
}

/// The text of a field; empty where it is absent or no text.
pub(super) fn text<'j>(entry: &'j Json, name: &str) -> &'j str {
    entry.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// An id, written as a text or as a number; empty where it is absent.
pub(super) fn reference(
    entry: &Json,
    name: &'static str,
    desk: &mut Desk<'_>,
) -> Result<String, Fault> {
    match entry.get(name) {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => desk.keep.id(name, text),
        Some(Json::Number(number)) if number.is_i64() || number.is_u64() => {
            desk.keep.id(name, &number.to_string())
        }
        Some(Json::Number(_) | Json::Bool(_) | Json::Array(_) | Json::Object(_)) => {
            Err(field(name, "must be an id, a text or an integer"))
        }
    }
}

/// An integer; 0 where it is absent.
pub(super) fn integer(name: &'static str, entry: &Json) -> Result<i64, Fault> {
    match entry.get(name) {
        None | Some(Json::Null) => Ok(0),
        Some(value) => value.as_i64().ok_or(field(name, "must be an integer")),
    }
}

/// A moment of RFC 3339; 0 where it is absent.
pub(super) fn moment(name: &'static str, entry: &Json) -> Result<i64, Fault> {
    match text(entry, name) {
        "" => Ok(0),
        text => rfc3339_ms(text).ok_or(field(name, "must be a time such as 2021-12-14T23:31:49Z")),
    }
}

/// A payout that a file states.
pub(super) fn stated_payout(desk: &Desk<'_>, of: Unit, amount: i64) -> ProviderObject {
    ProviderObject {
        provider: desk.of.provider_text().to_owned(),
        account: desk.of.account.to_owned(),
        kind: "payout".to_owned(),
        currency: of.code().to_owned(),
        amount,
        message: "settlement.file".to_owned(),
        from_file: true,
        ..ProviderObject::default()
    }
}
