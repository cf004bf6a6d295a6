//! What is kept of a request's spans: checkouts and their stages, and the few attributes that an
//! event is made of. Every other attribute is passed over unread.

use popwatch_core::limits::{TRACE_MARKS_MAX, TRACE_SPANS_MAX};

/// The name that makes a span a checkout.
const CHECKOUT: &str = "checkout";
/// What the name of a span's event begins with where it opens a stage.
const STAGE: &str = "stage.";
/// `STATUS_CODE_ERROR`.
pub(super) const STATUS_ERROR: u64 = 2;

/// The attributes that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Checkout,
    Popup,
    Order,
    Channel,
    Creator,
    Viewer,
    Outcome,
    Stage,
    ErrorType,
    ServiceName,
    ServiceInstance,
}

const KEYS: [(&str, Key); 11] = [
    ("popwatch.checkout", Key::Checkout),
    ("popwatch.popup", Key::Popup),
    ("popwatch.order", Key::Order),
    ("popwatch.channel", Key::Channel),
    ("popwatch.creator", Key::Creator),
    ("popwatch.viewer", Key::Viewer),
    ("popwatch.outcome", Key::Outcome),
    ("popwatch.stage", Key::Stage),
    ("error.type", Key::ErrorType),
    ("service.name", Key::ServiceName),
    ("service.instance.id", Key::ServiceInstance),
];

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    Text(String),
    Int(i64),
    Flag(bool),
    /// A kind that no attribute of ours has: a float, an array, bytes.
    Other,
}

impl Attribute {
    /// The text; a whole number is one too, since SDKs make numbers of ids that look like some.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Flag(_) | Self::Other => None,
        }
    }

    /// Whether it says no.
    fn is_no(&self) -> bool {
        match self {
            Self::Flag(flag) => !flag,
            Self::Text(text) => text == "false",
            Self::Int(_) | Self::Other => false,
        }
    }
}

/// Those of [`KEYS`] that a span or resource has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes([Option<Attribute>; KEYS.len()]);

impl Attributes {
    /// Whether a key is read at all.
    pub(super) fn knows(key: &str) -> bool {
        KEYS.iter().any(|(name, _)| *name == key)
    }

    /// Keeps the value when the key is one of ours.
    pub(super) fn set(&mut self, key: &str, value: Attribute) {
        let mut places = KEYS.iter().zip(&mut self.0);
        if let Some((_, place)) = places.find(|((name, _), _)| *name == key) {
            *place = Some(value);
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&Attribute> {
        let mut places = KEYS.iter().zip(&self.0);
        places.find(|((_, own), _)| *own == key)?.1.as_ref()
    }
}

/// A moment at which a stage began, by a span's event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) stage: String,
    pub(super) at_ns: u64,
}

impl Mark {
    /// The mark that an event of this name makes.
    pub(super) fn of(name: &str, at_ns: u64) -> Option<Self> {
        let stage = name.strip_prefix(STAGE)?.to_owned();
        Some(Self { stage, at_ns })
    }
}

/// Marks up to their bound, and how many came in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) held: Vec<Mark>,
    came: usize,
}

impl Marks {
    pub(super) fn push(&mut self, mark: Option<Mark>) {
        let Some(mark) = mark else {
            return;
        };
        self.came += 1;
        if self.came <= TRACE_MARKS_MAX {
            self.held.push(mark);
        }
    }

    /// More came than are held.
    pub(super) const fn too_many(&self) -> bool {
        self.came > TRACE_MARKS_MAX
    }
}

/// What is read of a span. Ids that are not of their length are zero, which is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: [u8; 8],
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) error: bool,
    pub(super) attributes: Attributes,
    pub(super) marks: Marks,
    pub(super) named_checkout: bool,
}

impl Span {
    /// Whether the name alone makes it a checkout.
    pub(super) fn is_checkouts_name(name: &str) -> bool {
        name == CHECKOUT
    }

    /// It is a passage through the checkout.
    pub(super) fn is_checkout(&self) -> bool {
        match self.attributes.get(Key::Checkout) {
            Some(value) => !value.is_no(),
            None => self.named_checkout,
        }
    }

    /// It is the stage of this name in its parent.
    pub(super) fn stage(&self) -> Option<&str> {
        match self.attributes.get(Key::Stage) {
            Some(Attribute::Text(stage)) if !self.is_checkout() => Some(stage),
            Some(_) | None => None,
        }
    }

    /// It has both ids.
    pub(super) fn is_named(&self) -> bool {
        self.trace != [0; 16] && self.id != [0; 8]
    }

    /// How long it took, ns, where its two times can be believed.
    pub(super) fn duration_ns(&self) -> Option<u64> {
        self.end_ns
            .checked_sub(self.start_ns)
            .filter(|_| self.start_ns > 0)
    }
}

/// Spans worth keeping, and how many came in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) spans: Vec<Span>,
    pub(super) seen: usize,
}

impl Kept {
    pub(super) fn push(&mut self, span: Span) {
        self.seen += 1;
        let wanted = span.is_checkout() || span.stage().is_some();
        if wanted && self.seen <= TRACE_SPANS_MAX {
            self.spans.push(span);
        }
    }

    /// Takes over what another one kept.
    pub(super) fn append(&mut self, other: Self) {
        let room = TRACE_SPANS_MAX.saturating_sub(self.spans.len());
        self.spans.extend(other.spans.into_iter().take(room));
        self.seen += other.seen;
    }
}
