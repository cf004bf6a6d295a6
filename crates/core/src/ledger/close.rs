//! The certificate of a close: what the books were at one moment, as a pure value with one form in
//! bytes.
//!
//! ```text
//! Certificate ─► Value ─► canonical JSON (RFC 8785) ─► SHA-256 ─┐
//!                  └────► each field's own SHA-256 ─────────────┴─► text of the signed note
//! ```
//!
//! What always holds: equal certificates have equal bytes; the text of the note names popup, n, scope,
//! predecessor, moment and the digest of the whole and of every field, so that whoever holds a
//! certificate, its signature and the public key can tell that something was changed, and what. Signing
//! is not done here: the key is not a value of the books.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::breaks::{Break, BreakState};
use super::{Ranges, hex};
use crate::base64::base64;
use crate::id::{PopupId, RigId};

/// First line of every note about a close.
pub const NOTE_KIND: &str = "popwatch.dev/close/v1";
/// Version of the certificate's fields.
pub const VERSION: i64 = 1;
/// Integers beyond are written as text: a reader whose numbers are doubles would change them.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// What a close vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every rig's records are complete or their loss is named.
    Edge,
    /// That, and every payout is on the bank account.
    Settled,
}

impl Scope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Edge, Self::Settled];

    /// Its name in requests, notes and certificates.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Settled => "settled",
        }
    }

    /// Finds a scope by its name.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.text() == text)
    }
}

/// JSON without floats: all that a certificate is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that a double holds exactly; [`Value::number`] makes one of any integer.
    Number(i64),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// An integer: a number where a double holds it exactly, else its digits as text.
    #[must_use]
    pub fn number(number: i64) -> Self {
        match (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number) {
            true => Self::Number(number),
            false => Self::Text(number.to_string()),
        }
    }

    /// A count.
    #[must_use]
    pub fn count(count: u64) -> Self {
        match i64::try_from(count) {
            Ok(number) => Self::number(number),
            Err(_) => Self::Text(count.to_string()),
        }
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An object of these fields.
    #[must_use]
    pub fn map<K: Into<String>>(fields: impl IntoIterator<Item = (K, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        Self::Map(fields.collect())
    }

    /// The field of an object.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.get(name),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// Its one form in bytes (RFC 8785): keys by UTF-16, no spaces, the shortest escapes.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// SHA-256 of [`Self::canonical`].
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical().as_bytes()).into()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Self::Number(number) => {
                write!(out, "{number}").expect("writing to a string cannot fail");
            }
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push('{');
                for (at, (name, value)) in fields.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// How far one epoch of one rig was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The rig.
    pub rig: RigId,
    /// The epoch.
    pub epoch: u32,
    /// The last seq known to exist.
    pub last: u64,
    /// Seqs known to exist and not held, lost ones among them.
    pub missing: Ranges,
    /// Whether a later word said where the epoch ended.
    pub sealed: bool,
}

/// A file the books were reconciled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Its layout, such as `stripe.itemized`.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub blake3: Vec<u8>,
    /// Its rows.
    pub rows: u64,
}

/// What still waited for time to pass: a message, a row or a payout may come, or a break be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pending {
    /// Groups of facts, such as a payment that no settlement file tells of yet.
    pub groups: u64,
    /// When the last of them is decided, ms since 1970; `None` where nothing waits.
    pub until_ms: Option<i64>,
}

/// Balances by unit (currency, SKU or campaign) and account, debit minus credit.
pub type Balances = BTreeMap<String, BTreeMap<String, i64>>;

/// What the books were at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose books.
    pub org: String,
    /// Which popup.
    pub popup: PopupId,
    /// 1 for the close, 2 and on for corrections.
    pub n: u32,
    /// What it vouches for.
    pub scope: Scope,
    /// Digest of certificate n − 1; `None` for the first.
    pub prev: Option<[u8; 32]>,
    /// The moment it speaks of, ms since 1970.
    pub as_of_ms: i64,
    /// How far each epoch was held.
    pub watermark: Vec<Watermark>,
    /// Facts that count.
    pub facts: u64,
    /// Merkle root over their ids.
    pub facts_root: [u8; 32],
    /// Merkle root over the effective entries.
    pub books_root: [u8; 32],
    /// Money, minor units.
    pub balances: Balances,
    /// Stock, items.
    pub stock: Balances,
    /// Tokens, by campaign.
    pub tokens: Balances,
    /// Per creator and currency what is held, available and owed back, minor units.
    pub creators: Balances,
    /// All breaks of the books; the open ones are listed.
    pub breaks: Vec<Break>,
    /// Open ends: what had no break yet and may get one.
    pub pending: Pending,
    /// What stands in suspense, credit positive.
    pub suspense: BTreeMap<String, i64>,
    /// Files that were read.
    pub inputs: Vec<InputFile>,
    /// Digest of the policy in force; empty where none was published.
    pub policy: String,
    /// Version of the posting rules.
    pub rules: u32,
    /// Hash of the reconciliation.
    pub recon_hash: [u8; 32],
}

impl Certificate {
    /// The certificate as JSON.
    #[must_use]
    pub fn value(&self) -> Value {
        let open = self
            .breaks
            .iter()
            .filter(|found| found.state == BreakState::Open);
        Value::map([
            ("v", Value::Number(VERSION)),
            ("popup", Value::text(self.popup.as_str())),
            ("n", Value::Number(self.n.into())),
            ("kind", Value::text(kind(self.n))),
            ("scope", Value::text(self.scope.text())),
            (
                "prev",
                self.prev
                    .map_or(Value::Null, |hash| Value::text(hex(&hash))),
            ),
            ("as_of", Value::number(self.as_of_ms)),
            (
                "watermark",
                Value::List(self.watermark.iter().map(Watermark::value).collect()),
            ),
            (
                "facts",
                Value::map([
                    ("count", Value::count(self.facts)),
                    ("root", Value::text(hex(&self.facts_root))),
                ]),
            ),
            ("books_root", Value::text(hex(&self.books_root))),
            ("balances", balances(&self.balances)),
            ("stock", balances(&self.stock)),
            ("tokens", balances(&self.tokens)),
            ("creators", balances(&self.creators)),
            ("open_breaks", Value::List(open.map(break_value).collect())),
            (
                "pending",
                Value::map([
                    ("groups", Value::count(self.pending.groups)),
                    (
                        "until",
                        self.pending.until_ms.map_or(Value::Null, Value::number),
                    ),
                ]),
            ),
            ("suspense", sums(&self.suspense)),
            (
                "inputs",
                Value::List(self.inputs.iter().map(InputFile::value).collect()),
            ),
            ("policy", Value::text(&*self.policy)),
            ("rules", Value::Number(self.rules.into())),
            ("recon_hash", Value::text(hex(&self.recon_hash))),
        ])
    }

    /// The text to sign.
    #[must_use]
    pub fn note(&self) -> String {
        note(&self.org, &self.value()).expect("a certificate has all fields of a note")
    }
}

/// `close` for the first, `correction` for the rest.
const fn kind(n: u32) -> &'static str {
    match n {
        1 => "close",
        _ => "correction",
    }
}

impl Watermark {
    fn value(&self) -> Value {
        let range = |(first, last): &(u64, u64)| {
            Value::List([Value::count(*first), Value::count(*last)].into())
        };
        Value::map([
            ("rig", Value::text(self.rig.as_str())),
            ("epoch", Value::Number(self.epoch.into())),
            ("last", Value::count(self.last)),
            (
                "missing",
                Value::List(self.missing.as_slice().iter().map(range).collect()),
            ),
            ("sealed", Value::Bool(self.sealed)),
        ])
    }
}

impl InputFile {
    fn value(&self) -> Value {
        Value::map([
            ("file", Value::text(&*self.file)),
            ("blake3", Value::text(hex(&self.blake3))),
            ("rows", Value::count(self.rows)),
        ])
    }
}

fn sums(sums: &BTreeMap<String, i64>) -> Value {
    Value::map(
        sums.iter()
            .map(|(unit, sum)| (unit.clone(), Value::number(*sum))),
    )
}

fn balances(of: &Balances) -> Value {
    Value::map(
        of.iter()
            .map(|(unit, accounts)| (unit.clone(), sums(accounts))),
    )
}

fn break_value(found: &Break) -> Value {
    let unit = found.commodity.as_ref();
    Value::map([
        ("id", Value::text(found.id.as_str())),
        ("class", Value::text(found.class.text())),
        (
            "ccy",
            unit.map_or(Value::Null, |unit| Value::text(unit.to_string())),
        ),
        ("amount", Value::number(found.amount)),
        ("suspense", Value::number(found.suspense)),
    ])
}

/// The text of the note about a certificate of `org`; `None` where a field of it is missing or of
/// another kind.
///
/// ```text
/// popwatch.dev/close/v1
/// <org>/<popup>
/// <n>
/// <scope>
/// <base64 SHA-256 of the canonical bytes>
/// <prev or ->
/// <as_of, ms since 1970>
/// <field> <base64 SHA-256 of the field's canonical bytes>      for every field, ascending
/// ```
#[must_use]
pub fn note(org: &str, close: &Value) -> Option<String> {
    let Value::Map(fields) = close else {
        return None;
    };
    let text = |name: &str| match fields.get(name)? {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some("-".to_owned()),
        Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
    };
    let mut out = format!(
        "{NOTE_KIND}\n{org}/{}\n{}\n{}\n{}\n{}\n{}\n",
        text("popup")?,
        text("n")?,
        text("scope")?,
        base64(&close.digest()),
        text("prev")?,
        text("as_of")?,
    );
    for (name, value) in fields {
        writeln!(out, "{name} {}", base64(&value.digest()))
            .expect("writing to a string cannot fail");
    }
    Some(out)
}

/// Which field of a certificate is not what the note says of it; `None` when all are. The note's own
/// signature is checked before, elsewhere.
#[must_use]
pub fn altered(signed: &str, close: &Value) -> Option<String> {
    let mut lines = signed.lines();
    if lines.next() != Some(NOTE_KIND) {
        return Some("note".to_owned());
    }
    let Some((org, _)) = lines.next().and_then(|line| line.split_once('/')) else {
        return Some("note".to_owned());
    };
    let Value::Map(fields) = close else {
        return Some("close".to_owned());
    };
    let told: BTreeMap<&str, &str> = lines
        .skip(5)
        .filter_map(|line| line.split_once(' '))
        .collect();
    for (name, digest) in &told {
        let held = fields.get(*name).map(|value| base64(&value.digest()));
        if held.as_deref() != Some(digest) {
            return Some((*name).to_owned());
        }
    }
    if let Some(name) = fields.keys().find(|name| !told.contains_key(name.as_str())) {
        return Some(name.clone());
    }
    match note(org, close).as_deref() == Some(signed) {
        true => None,
        false => Some("note".to_owned()),
    }
}

/// Which field of one certificate does not continue the one before it: `n` where one is missing,
/// `prev` where it cites another, `popup` where it is of another popup. `None` when it does; the first
/// needs no predecessor.
#[must_use]
pub fn breaks_chain(before: Option<&Value>, close: &Value) -> Option<&'static str> {
    let n = |value: &Value| match value.field("n") {
        Some(Value::Number(n)) => *n,
        Some(_) | None => 0,
    };
    match before {
        None if n(close) != 1 => Some("n"),
        None => (close.field("prev") != Some(&Value::Null)).then_some("prev"),
        Some(before) if before.field("popup") != close.field("popup") => Some("popup"),
        Some(before) if n(close) != n(before) + 1 => Some("n"),
        Some(before) => {
            let hash = Value::text(hex(&before.digest()));
            (close.field("prev") != Some(&hash)).then_some("prev")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{BreakClass, Commodity};
    use crate::money::Currency;

    fn certificate() -> Certificate {
        let gbp = Currency::new("GBP").unwrap();
        let found = Break::new(BreakClass::Conflict, ["a".into()].into(), "x".into()).amounting(
            Commodity::Money(gbp),
            500,
            None,
        );
        Certificate {
            org: "local".into(),
            popup: PopupId::new("fri").unwrap(),
            n: 1,
            scope: Scope::Edge,
            prev: None,
            as_of_ms: 1_700_000_000_000,
            watermark: [Watermark {
                rig: RigId::new("till-1").unwrap(),
                epoch: 1,
                last: 9,
                missing: Ranges::of([(3, 4)]),
                sealed: true,
            }]
            .into(),
            facts: 2,
            facts_root: [1; 32],
            books_root: [2; 32],
            balances: Balances::from([(
                "GBP".into(),
                BTreeMap::from([("1100:till-1:-".into(), 500), ("4010".into(), -500)]),
            )]),
            stock: Balances::new(),
            tokens: Balances::new(),
            creators: Balances::new(),
            breaks: [found].into(),
            pending: Pending {
                groups: 2,
                until_ms: Some(1_700_000_600_000),
            },
            suspense: BTreeMap::from([("GBP".into(), 0)]),
            inputs: Vec::new(),
            policy: String::new(),
            rules: 1,
            recon_hash: [3; 32],
        }
    }

    #[test]
    fn the_example_of_the_rfc_sorts_by_utf16() {
        let keys = [
            "\u{20ac}",
            "\r",
            "\u{fb33}",
            "1",
            "\u{1f600}",
            "\u{80}",
            "\u{f6}",
        ];
        let value = Value::map(keys.map(|key| (key, Value::Number(0))));
        assert_eq!(
            value.canonical(),
            "{\"\\r\":0,\"1\":0,\"\u{80}\":0,\"\u{f6}\":0,\"\u{20ac}\":0,\"\u{1f600}\":0,\"\u{fb33}\":0}"
        );
    }

    #[test]
    fn texts_have_the_shortest_escapes_and_numbers_stay_exact() {
        let value = Value::List(
            [
                Value::text("\u{20ac}$\u{f}\nA'B\"\\\\\"/"),
                Value::number(-SAFE_INTEGER),
                Value::number(i64::MAX),
                Value::Bool(false),
                Value::Null,
            ]
            .into(),
        );
        assert_eq!(
            value.canonical(),
            "[\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",-9007199254740991,\"9223372036854775807\",false,null]"
        );
    }

    #[test]
    fn an_untouched_certificate_is_what_its_note_says() {
        let held = certificate();
        assert_eq!(altered(&held.note(), &held.value()), None);
        let head: Vec<_> = held.note().lines().take(4).map(ToOwned::to_owned).collect();
        assert_eq!(head, [NOTE_KIND, "local/fri", "1", "edge"]);
    }

    #[test]
    fn each_altered_added_or_missing_field_is_named() {
        let held = certificate();
        let (note, whole) = (held.note(), held.value());
        let Value::Map(fields) = &whole else {
            panic!("an object");
        };
        for name in fields.keys() {
            let mut other = fields.clone();
            other.insert(name.clone(), Value::text("other"));
            assert_eq!(altered(&note, &Value::Map(other)).as_ref(), Some(name));
            let mut less = fields.clone();
            less.remove(name);
            assert_eq!(altered(&note, &Value::Map(less)).as_ref(), Some(name));
        }
        let mut more = fields.clone();
        more.insert("extra".into(), Value::Null);
        assert_eq!(altered(&note, &Value::Map(more)).as_deref(), Some("extra"));
    }

    #[test]
    fn a_chain_without_one_of_its_links_is_noticed() {
        let one = certificate();
        let mut two = certificate();
        (two.n, two.prev) = (2, Some(one.value().digest()));
        assert_eq!(breaks_chain(None, &one.value()), None);
        assert_eq!(breaks_chain(Some(&one.value()), &two.value()), None);
        assert_eq!(breaks_chain(None, &two.value()), Some("n"));
        let mut three = two.clone();
        three.n = 3;
        assert_eq!(breaks_chain(Some(&one.value()), &three.value()), Some("n"));
        two.prev = Some([9; 32]);
        assert_eq!(breaks_chain(Some(&one.value()), &two.value()), Some("prev"));
    }
}
