//! What is looked for, where, and in which order.
//!
//! A detector reads a folded text and reports spans. They run in the order of [`Rule`]; an earlier
//! one owns its span. [`clean`] replaces every hit by its fixed word and looks again until nothing
//! hits, so that cleaning twice is cleaning once.

mod card;
mod code;
mod email;
mod handle;
mod iban;
mod ip;
mod phone;
mod schemes;
mod track;
mod url;
mod words;

use crate::region::Region;
use crate::text::Folded;

pub use schemes::{Check, SCHEMES, Scheme};

/// What stands for every string of an event when looking at it failed or passed its bound.
pub const ERROR_WORD: &str = "[redaction-error]";
/// Windows of digits looked at in one event. Beyond: its strings become [`ERROR_WORD`].
pub const CANDIDATES_MAX: u32 = 4_096;
/// Hits of one round in one text. Beyond: the text becomes [`ERROR_WORD`].
const SPANS_MAX: usize = 1_024;
/// Rounds of cleaning one text. Beyond: it becomes [`ERROR_WORD`].
const ROUNDS_MAX: usize = 8;

/// A kind of forbidden content, in the order of detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Magnetic-stripe data.
    Track,
    /// A payment card number.
    Pan,
    /// A card's security code.
    Code,
    /// An e-mail address.
    Email,
    /// A bank account number.
    Iban,
    /// A phone number.
    Phone,
    /// An internet address.
    Ip,
    /// User name, query and fragment of a web address.
    UrlQuery,
    /// A name somebody goes by on another site.
    Handle,
}

impl Rule {
    /// All rules, in the order of detection.
    pub const ALL: [Self; 9] = [
        Self::Track,
        Self::Pan,
        Self::Code,
        Self::Email,
        Self::Iban,
        Self::Phone,
        Self::Ip,
        Self::UrlQuery,
        Self::Handle,
    ];

    /// What stands for a hit. Of a web address scheme, host and path stay, and that says enough.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Track | Self::Pan => "[card]",
            Self::Code => "[code]",
            Self::Email => "[email]",
            Self::Iban => "[iban]",
            Self::Phone => "[phone]",
            Self::Ip => "[ip]",
            Self::UrlQuery => "",
            Self::Handle => "[handle]",
        }
    }

    /// Its name in policies, metrics and statuses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Pan => "pan",
            Self::Code => "code",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Phone => "phone",
            Self::Ip => "ip",
            Self::UrlQuery => "url_query",
            Self::Handle => "handle",
        }
    }

    /// Finds a rule by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// Some of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSet(u16);

impl RuleSet {
    /// No rule.
    pub const NONE: Self = Self(0);
    /// Every rule.
    pub const ALL: Self = Self((1 << Rule::ALL.len()) - 1);
    /// What is looked for in every text, whatever a policy says.
    pub const LEAST: Self = Self(
        1 << Rule::Track as u16
            | 1 << Rule::Pan as u16
            | 1 << Rule::Code as u16
            | 1 << Rule::Email as u16
            | 1 << Rule::Iban as u16
            | 1 << Rule::Phone as u16,
    );

    /// Whether a rule is among them.
    #[must_use]
    pub const fn has(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u16) != 0
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, rule: Rule) -> Self {
        Self(self.0 | 1 << rule as u16)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Where it stands.
    pub place: Place,
    /// For what.
    pub rules: RuleSet,
    /// Whose form of phone numbers counts beside the international one.
    pub region: Option<Region>,
}

impl From<Place> for Look {
    /// For everything, phone numbers in the international form.
    fn from(place: Place) -> Self {
        Self {
            place,
            rules: RuleSet::ALL,
            region: None,
        }
    }
}

/// Where a text stands: what counts as a hit depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// CloudEvents `id` and `source`, a popup.
    Identity,
    /// A reference that travels to providers.
    Reference,
    /// A stock-keeping unit: may be a GTIN.
    Sku,
    /// A name people chose.
    Label,
    /// Free text.
    Text,
}

impl Place {
    /// Whether people write here in words. Only there are three digits after `cid` a security code
    /// and not an order, and only there is a run of 20 digits or more looked into.
    const fn is_prose(self) -> bool {
        match self {
            Self::Label | Self::Text => true,
            Self::Identity | Self::Reference | Self::Sku => false,
        }
    }

    /// Whether an account number is looked for: not in the rig's own identities nor in goods.
    const fn has_accounts(self) -> bool {
        match self {
            Self::Reference | Self::Label | Self::Text => true,
            Self::Identity | Self::Sku => false,
        }
    }
}

/// One hit: a rule and a span of the original text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// What was found.
    pub rule: Rule,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// How much looking one event may still cost.
#[derive(Debug, Clone, Copy)]
pub struct Budget(u32);

impl Default for Budget {
    fn default() -> Self {
        Self(CANDIDATES_MAX)
    }
}

impl Budget {
    /// Whether the bound was passed: what was not looked at is not clean.
    #[must_use]
    pub const fn spent(self) -> bool {
        self.0 == 0
    }

    fn spend(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

/// Looks at a text. The hits ascend and do not overlap.
#[must_use]
pub fn scan(text: &str, look: impl Into<Look>, budget: &mut Budget) -> Vec<Hit> {
    let look = look.into();
    if !Sieve::of(text).may_hit(look.place) {
        return Vec::new();
    }
    let folded = Folded::new(text);
    let mut spans = Spans(Vec::new());
    detect(&folded, look, budget, &mut spans);
    if spans.0.len() == SPANS_MAX {
        budget.0 = 0;
    }
    let mut hits: Vec<Hit> = spans
        .0
        .into_iter()
        .map(|(rule, start, end)| {
            let (start, end) = folded.origin(start, end);
            Hit { rule, start, end }
        })
        .collect();
    hits.sort_unstable_by_key(|hit| hit.start);
    hits
}

fn detect(folded: &Folded<'_>, look: Look, budget: &mut Budget, spans: &mut Spans) {
    let text = folded.as_str();
    let sieve = Sieve::of(text);
    let Look {
        place,
        rules,
        region,
    } = look;
    if sieve.digits >= 12 {
        track::find(text, spans);
        card::find(text, place, budget, spans);
    }
    if sieve.digits >= 3 && place.is_prose() {
        code::find(text, spans);
    }
    if sieve.at {
        email::find(text, spans);
    }
    // Written in letters alone but for the check digits an account number is none in a reference.
    let digits = if place.is_prose() { 2 } else { 12 };
    if sieve.digits >= digits && place.has_accounts() && rules.has(Rule::Iban) {
        iban::find(text, spans);
    }
    if !place.is_prose() {
        return;
    }
    if sieve.digits >= 7 && rules.has(Rule::Phone) {
        phone::find(text, place, region, spans);
    }
    if (sieve.digits >= 4 || sieve.colon) && rules.has(Rule::Ip) {
        ip::find(text, spans);
    }
    if (sieve.colon || sieve.query) && rules.has(Rule::UrlQuery) {
        url::find(folded, spans);
    }
    if sieve.at && place == Place::Text && rules.has(Rule::Handle) {
        handle::find(text, spans);
    }
}

/// The text with every hit replaced by its fixed word, `None` when nothing hits; calls `each` per
/// hit. Where a bound is passed the whole text becomes [`ERROR_WORD`].
pub fn clean(
    text: &str,
    look: impl Into<Look>,
    budget: &mut Budget,
    mut each: impl FnMut(Rule),
) -> Option<String> {
    let look = look.into();
    let mut out: Option<String> = None;
    for _ in 0..ROUNDS_MAX {
        let looked_at = out.as_deref().unwrap_or(text);
        let hits = scan(looked_at, look, budget);
        if budget.spent() {
            break;
        }
        if hits.is_empty() {
            return out;
        }
        out = Some(replace(looked_at, &hits, &mut each));
    }
    Some(ERROR_WORD.to_owned())
}

fn replace(text: &str, hits: &[Hit], each: &mut impl FnMut(Rule)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for hit in hits {
        out.push_str(&text[from..hit.start]);
        out.push_str(hit.rule.word());
        from = hit.end;
        each(hit.rule);
    }
    out.push_str(&text[from..]);
    out
}

/// Whether a text holds what the second look is for: track, card number, e-mail address.
#[must_use]
pub fn second_look(text: &str, place: Place) -> bool {
    let mut budget = Budget::default();
    let hits = scan(text, place, &mut budget);
    let counts = |hit: &Hit| matches!(hit.rule, Rule::Track | Rule::Pan | Rule::Email);
    budget.spent() || hits.iter().any(counts)
}

/// Whether a text holds a card number or a track.
#[must_use]
pub fn holds_card(text: &str) -> bool {
    let mut budget = Budget::default();
    let hits = scan(text, Place::Text, &mut budget);
    let counts = |hit: &Hit| matches!(hit.rule, Rule::Track | Rule::Pan);
    budget.spent() || hits.iter().any(counts)
}

/// Whether a reference has to be mapped: what the second look is for stands in it, or an account
/// number, or it is an internet address.
#[must_use]
pub fn reference_must_go(text: &str) -> bool {
    let mut budget = Budget::default();
    let hits = scan(text, Place::Reference, &mut budget);
    budget.spent() || !hits.is_empty() || ip::is_whole(text)
}

/// Whether an integer is, by its digits alone, a payment card number.
#[must_use]
pub fn is_card_number(number: i64) -> bool {
    let magnitude = number.unsigned_abs();
    magnitude >= 1_000_000_000_000 && card::is_bare_card(magnitude)
}

/// What one pass over a text tells about which detectors can hit at all.
#[derive(Default)]
struct Sieve {
    digits: usize,
    at: bool,
    colon: bool,
    query: bool,
    folds: bool,
}

impl Sieve {
    fn of(text: &str) -> Self {
        let mut sieve = Self::default();
        for byte in text.bytes() {
            sieve.digits += usize::from(byte.is_ascii_digit());
            sieve.at |= byte == b'@';
            sieve.colon |= byte == b':';
            sieve.query |= matches!(byte, b'?' | b'#');
            sieve.folds |= !byte.is_ascii() || matches!(byte, b'%' | b'\\' | b'&');
        }
        sieve
    }

    fn may_hit(&self, place: Place) -> bool {
        let digits = match place {
            Place::Label | Place::Text => 2,
            Place::Identity | Place::Reference | Place::Sku => 12,
        };
        let written = place.is_prose() && (self.colon || self.query);
        self.digits >= digits || self.at || self.folds || written
    }
}

/// Spans of the folded text, by rule.
struct Spans(Vec<(Rule, usize, usize)>);

impl Spans {
    /// Takes a span unless an earlier detector owns a part of it.
    fn add(&mut self, rule: Rule, start: usize, end: usize) {
        let owned = |&(_, from, to): &(Rule, usize, usize)| start < to && from < end;
        let room = self.0.len() < SPANS_MAX;
        if room && start < end && !self.0.iter().any(owned) {
            self.0.push((rule, start, end));
        }
    }

    /// Takes what of a span no earlier detector owns.
    fn add_rest(&mut self, rule: Rule, start: usize, end: usize) {
        let mut owned: Vec<(usize, usize)> = (self.0.iter())
            .filter(|(_, from, to)| start < *to && *from < end)
            .map(|(_, from, to)| (*from, *to))
            .collect();
        owned.sort_unstable();
        let mut free = start;
        for (from, to) in owned {
            self.add(rule, free, from);
            free = free.max(to);
        }
        self.add(rule, free, end);
    }
}

/// The last `count` characters of a text.
fn tail(text: &str, count: usize) -> &str {
    match text.char_indices().rev().nth(count.saturating_sub(1)) {
        Some((at, _)) => &text[at..],
        None => text,
    }
}

/// The first `count` characters of a text.
fn head(text: &str, count: usize) -> &str {
    match text.char_indices().nth(count) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}
