//! Breaks: named differences, each with an owner, a sentence and a next step.
//!
//! A break's id is a hash of its class and keys, so evaluating again never makes it flap. Keys and
//! evidence are ids and positions, never personal data.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Account, Commodity, FieldHash};
use crate::limits;

/// How much a break matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody may have to act.
    Warn,
    /// Money is at stake.
    Money,
}

impl Severity {
    /// All of them, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warn, Self::Money];

    /// Its text in answers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Money => "money",
        }
    }
}

/// Who looks after a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Runs the tills and other devices.
    RigLead,
    /// Keeps the books.
    Finance,
    /// Runs the co-op.
    Coop,
    /// Looks after the goods.
    Stock,
    /// Runs the campaign behind tokens.
    Campaign,
}

impl Owner {
    /// Its text in answers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::RigLead => "rig lead",
            Self::Finance => "finance",
            Self::Coop => "co-op",
            Self::Stock => "stock",
            Self::Campaign => "campaign",
        }
    }
}

macro_rules! classes {
    ($($name:ident = $text:literal, $severity:ident, $doc:literal, $action:literal;)*) => {
        /// What kind of difference a break is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum BreakClass { $( #[doc = $doc] $name, )* }

        impl BreakClass {
            /// All classes in use.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The stable code.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// What it says.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$name => $doc, )* }
            }

            /// How much it matters.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $( Self::$name => Severity::$severity, )* }
            }

            /// What its owner can do about it.
            #[must_use]
            pub const fn action(self) -> &'static str {
                match self { $( Self::$name => $action, )* }
            }

            /// Finds a class by its code.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|class| class.text() == text)
            }
        }
    };
}

classes! {
    Gap = "E-GAP", Warn, "Records are missing below a held one, or a rig named them lost.",
        "Keep the rig on the network; if it lost them, look for its disk or a backup.";
    Tail = "E-TAIL", Warn, "Records after the newest held one are known to exist.",
        "Keep the rig switched on and on the network until everything has arrived.";
    GapValue = "E-GAP-VALUE", Money, "A lost range of records was worth money.",
        "Compare the till's receipts and the provider's list with the time of the gap.";
    Fork = "E-FORK", Money, "One position or epoch has two histories.",
        "Find out which device is the copy or the restored backup, and switch it off.";
    Rewind = "E-REWIND", Warn, "A rig says its epoch ended before what the ledger holds.",
        "Nothing is lost here; find out why the rig's disk forgot records.";
    Total = "E-TOTAL", Money, "A rig's running totals contradict its records.",
        "Export the rig's journal and report it: the till and its records disagree.";
    Conflict = "E-CONFLICT", Money, "One id was used for two different facts.",
        "Find out which one is true; only the first counts. Make the till use a new id each time.";
    Orphan = "E-ORPHAN", Info, "A refund names a sale the ledger does not know.",
        "Nothing to do when the sale was made elsewhere or earlier.";
    Poison = "E-POISON", Warn, "A record could not be read and is kept in quarantine.",
        "Bring popwatch here to the rig's version, then send again.";
    Basket = "E-BASKET", Warn, "A sale's lines do not add up to what was paid.",
        "Check price, discount and tax of that order at the till.";
    TokenValue = "T-VALUE", Warn, "A sale with a token was paid beyond its lines.",
        "Check the token and the price of that order.";
    Drift = "S-DRIFT", Money, "A live summary differs from the records it was made of.",
        "Count on the books; report it, with the rig and minute named here.";
    Stale = "S-STALE", Info, "A live summary is behind the records.",
        "Wait for the rig's next summary.";
    Ahead = "S-AHEAD", Warn, "A live summary counts records the ledger lacks.",
        "Keep the rig on the network until its records have arrived.";
    Count = "K-COUNT", Warn, "A shelf count differs from what should be there.",
        "Count again; look for unrecorded gifts, breakage or deliveries.";
    PopupImplied = "X-POPUP", Info,
        "Sales named a popup that nobody had announced, or came outside its time.",
        "Announce the popup, or correct its name at the till.";
    Manual = "X-MANUAL", Info, "A manual entry was booked; it is never revenue.",
        "Clear it against what it stands for.";
    Signature = "P-SIG", Warn, "Messages of a provider came with a bad signature.",
        "Compare the account's secrets with the provider's, and this machine's clock; else somebody tries.";
    RateCard = "C-CARD", Warn, "The rate card of a sale is lost, or its creator has none.",
        "Give the creator a rate card, or accept that the share stays with the house.";
    Weights = "C-WEIGHT", Warn, "The weights of a co-op's members are not a whole.",
        "Correct the co-op's weights; until then its shares stay with the house.";
    Split = "C-SPLIT", Money, "A co-op's pool could not be divided at the close.",
        "Correct the co-op's members and weights, then close again.";
    Clawback = "C-CLAWBACK", Money, "A refund took back a share that was already paid out.",
        "Settle it with the creator, or take it off the next payment.";
    Overpaid = "C-OVERPAID", Money, "A creator was paid more than was available.",
        "Settle it with the creator, or take it off the next payment.";
    Oversell = "K-OVERSELL", Warn, "More was sold than was there or set aside.",
        "Look for deliveries that nobody recorded; move rights before the next sale.";
    MovedByOther = "K-RIGHTS", Warn, "Somebody else moved what was set aside for a rig.",
        "Let the rig itself give its goods away, or confirm the move with its seller.";
    Phantom = "K-PHANTOM", Warn, "Something was sold or moved that never arrived.",
        "Record its delivery, or correct the SKU at the till.";
    ReturnNoRefund = "K-RETURN-NO-REFUND", Warn, "Goods came back, and nobody was refunded.",
        "Find out whose goods they were, and refund them.";
    RefundNoReturn = "K-REFUND-NO-RETURN", Info, "A refund names goods that did not come back.",
        "Nothing to do where the buyer kept them.";
    TokenDouble = "T-DOUBLE", Money, "A token was used twice.",
        "See which till took it second; give offline tills their own tokens.";
    TokenUnissued = "T-UNISSUED", Money, "A token was used that nobody handed out.",
        "Find out where it came from; its issue may still be on a rig.";
    TokenLate = "T-EXPIRED-USED", Warn, "A token was used after its end.",
        "Nothing to do where the till meant to honour it.";
    CashOver = "D-OVER", Warn, "A drawer held more than the books say.",
        "Count again; look for sales that nobody rang up and for the float.";
    CashShort = "D-SHORT", Warn, "A drawer held less than the books say.",
        "Count again; look for cash taken out, wrong change and refunds.";
    ClaimMissing = "P-MISSING", Money, "A till says it was paid, and the provider knows nothing of it.",
        "Look the payment up at the provider by the reference; if it is not there, ask the buyer.";
    Unclaimed = "P-UNCLAIMED", Money, "A provider took money that no till tells of.",
        "Find the sale: look at the till's journal, else refund the buyer at the provider.";
    Double = "P-DOUBLE", Money, "A buyer was charged more than once.",
        "Refund the extra charge at the provider; it is owed to the buyer.";
    OtherAmount = "P-AMOUNT", Money, "Till and provider tell different amounts of one payment.",
        "Compare the receipt with the provider's page of the payment, then correct the wrong side.";
    OtherCurrency = "P-CCY", Money, "Till and provider tell different currencies of one payment.",
        "Compare the receipt with the provider's page of the payment, then correct the wrong side.";
    PartialCapture = "P-PARTIAL-CAPTURE", Money, "The provider took less than was promised.",
        "Capture the rest at the provider while its promise lasts, or ask the buyer.";
    OfflineStuck = "P-OFFLINE-STUCK", Money, "A payment stored on a device never reached the provider.",
        "Bring the device online with its payment app open; do not sign out of it.";
    OfflineExpiring = "P-OFFLINE-EXPIRING", Warn, "A payment stored on a device is about to be lost.",
        "Bring the device online now, with its payment app open.";
    OfflineDeclined = "P-OFFLINE-DECLINED", Money, "A payment taken offline was declined later.",
        "Ask the buyer for another payment; the goods are gone.";
    ClaimDeclined = "P-DECLINED", Money, "A till says it was paid, and the provider declined it.",
        "Ask the buyer for another payment, and see why the till took it for paid.";
    RefundMissing = "P-REFUND-MISSING", Money, "A refund was promised, and the provider made none.",
        "Make the refund at the provider; the buyer still waits for it.";
    RefundUnclaimed = "P-REFUND-UNCLAIMED", Warn, "The provider refunded what no till tells of.",
        "Nothing to do where somebody refunded at the provider; else find out who.";
    RefundFailed = "P-REFUND-FAILED", Money, "A refund came undone at the provider.",
        "Refund the buyer another way.";
    OverRefund = "P-OVERREFUND", Money, "More was refunded than was paid.",
        "Ask the buyer for the excess, or accept it.";
    StateConflict = "P-STATE", Warn, "A provider tells two things of one object that exclude each other.",
        "Look at the provider's page of it; the books follow the one that moved money.";
    GapExplained = "P-GAP-EXPLAINED", Info, "A payment stands for a record that a till lost.",
        "Nothing to do; the sale counts by what the provider tells.";
    KeyExpired = "P-KEY-EXPIRED", Warn, "A payment is unconfirmed for so long that repeating it could charge twice.",
        "Search the provider by the reference before the till tries again.";
    WebhookGap = "P-WEBHOOK-GAP", Info, "Something is known from a file alone; no message told of it.",
        "See whether the provider still delivers messages here.";
    Unsettled = "B-MISSING", Money, "What a provider took or gave back is in no settlement file.",
        "Load the settlement file of those days; if it is there, ask the provider.";
    SettledTwice = "B-DUP", Money, "A provider settled one movement twice.",
        "Ask the provider which of the two lines it takes back.";
    SettledOther = "B-GROSS", Money, "A provider settled another amount than it took.",
        "Compare the settlement line with the provider's page of the payment.";
    OtherFee = "B-FEE", Warn, "A provider took another fee than agreed.",
        "Compare with the contract, or correct the fees in the configuration.";
    Arithmetic = "B-ARITH", Money, "A settlement line's own figures do not add up.",
        "Ask the provider; the books follow the net.";
    UnknownLine = "B-UNKNOWN", Money, "A settlement line is of a kind or a thing nobody knows.",
        "Find out what it is, and accept it to the right account.";
    Unpaid = "B-UNPAID", Warn, "A settled line is in no payout yet.",
        "See when the provider pays out; load that payout's file.";
    Residual = "B-RESIDUAL", Money, "A payout is not the sum of its lines.",
        "Load the whole file of the payout; what is then left is the provider's to explain.";
    Balance = "B-BALANCE", Money, "The balances of a file do not follow from its lines.",
        "Load the file of the whole period again, with all kinds of lines.";
    Exchange = "B-FX", Money, "A line between currencies is off by more than rounding.",
        "Compare its rate with the provider's, and ask.";
    OtherDisputeFee = "B-DISPUTE-FEE", Warn, "A provider took a fee for a dispute that nobody agreed on.",
        "Compare with the contract, or set the fee in the configuration.";
    Reserve = "B-RESERVE", Warn, "A provider released another sum than it held back, or is late.",
        "Ask the provider for its reserve and the date of release.";
    PayoutFailed = "B-PAYOUT-FAILED", Money, "A payout failed or came back.",
        "Check the bank details at the provider; the money is still there.";
    BankMissing = "B-BANK-MISSING", Money, "A payout did not reach the bank.",
        "Load the bank's file; if it is not there, ask the provider for the trace.";
    BankOther = "B-BANK-AMT", Money, "The bank got another amount than the provider paid.",
        "Ask the bank for its charges, and the provider for the amount.";
    FileLayout = "B-FILE-LAYOUT", Warn, "A file is in no layout that is read, or damaged.",
        "Export it again in a layout of the documentation; nothing of it was taken.";
    FileDouble = "B-FILE-DUP", Money, "Two files tell one line differently.",
        "Ask the provider which one holds; the first stands.";
}

impl BreakClass {
    /// Who looks after it.
    #[must_use]
    pub fn owner(self) -> Owner {
        match self.text().as_bytes().first() {
            Some(b'E' | b'S') => Owner::RigLead,
            Some(b'C') => Owner::Coop,
            Some(b'K') => Owner::Stock,
            Some(b'T') => Owner::Campaign,
            Some(_) | None => Owner::Finance,
        }
    }
}

/// 16 characters that name a break: base32 without i, l, o and u.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BreakId(String);

impl BreakId {
    /// The id of a class with these keys.
    #[must_use]
    pub fn of(class: BreakClass, keys: &[String]) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut hash = FieldHash::new("popwatch.break.v1");
        hash.field(class.text().as_bytes());
        for key in keys {
            hash.field(key.as_bytes());
        }
        let bytes: [u8; 10] = hash.finish();
        let number = bytes
            .iter()
            .fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let text = (0..16)
            .rev()
            .map(|at| {
                let digit = usize::try_from(number >> (at * 5) & 31).expect("five bits fit");
                char::from(ALPHABET[digit])
            })
            .collect();
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BreakId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a break stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BreakState {
    /// Nothing explains it yet.
    Open,
    /// Facts removed it.
    Resolved,
    /// A person accepted it.
    Accepted,
}

impl BreakState {
    /// Its text in answers.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Accepted => "accepted",
        }
    }
}

/// One named difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// By class and keys.
    pub id: BreakId,
    /// What kind.
    pub class: BreakClass,
    /// How much it matters.
    pub severity: Severity,
    /// What the amount counts: a currency, items of a SKU, or nothing.
    pub commodity: Option<Commodity>,
    /// The difference, minor units or items; 0 where there is no amount.
    pub amount: i64,
    /// What of it stands in this break's own suspense account, credit positive.
    pub suspense: i64,
    /// The account the amount stands on when that is not suspense.
    pub held_in: Option<Account>,
    /// The ids that make it this break.
    pub keys: Vec<String>,
    /// Positions and ids to look at, at most [`limits::BREAK_EVIDENCE_MAX`].
    pub evidence: Vec<String>,
    /// Who looks after it.
    pub owner: Owner,
    /// Where it stands.
    pub state: BreakState,
    /// What happened, for a shop manager.
    pub sentence: String,
    /// What to do.
    pub action: String,
}

impl Break {
    /// An open break of a class without amount.
    #[must_use]
    pub fn new(class: BreakClass, keys: Vec<String>, sentence: String) -> Self {
        Self {
            id: BreakId::of(class, &keys),
            class,
            severity: class.severity(),
            commodity: None,
            amount: 0,
            suspense: 0,
            held_in: None,
            keys,
            evidence: Vec::new(),
            owner: class.owner(),
            state: BreakState::Open,
            sentence,
            action: class.action().to_string(),
        }
    }

    /// With an amount that stands on an account, or nowhere.
    #[must_use]
    pub fn amounting(
        mut self,
        commodity: Commodity,
        amount: i64,
        held_in: Option<Account>,
    ) -> Self {
        self.commodity = Some(commodity);
        self.amount = amount;
        self.held_in = held_in;
        self
    }

    /// With an amount that stands in its own suspense account.
    #[must_use]
    pub fn suspended(mut self, commodity: Commodity, amount: i64) -> Self {
        self.commodity = Some(commodity);
        self.amount = amount;
        self.suspense = amount;
        self.held_in = Some(Account::of(super::Chart::Suspense, self.id.as_str()));
        self
    }

    /// With evidence, sorted and bounded.
    #[must_use]
    pub fn evident(mut self, mut evidence: Vec<String>) -> Self {
        evidence.sort_unstable();
        evidence.dedup();
        evidence.truncate(limits::BREAK_EVIDENCE_MAX);
        self.evidence = evidence;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_class_and_keys_alone() {
        let keys = alloc::vec!["a".to_string(), "b".to_string()];
        let one = Break::new(BreakClass::Gap, keys.clone(), "x".into());
        let same = Break::new(BreakClass::Gap, keys.clone(), "y".into());
        assert_eq!(one.id, same.id);
        assert_ne!(one.id, BreakId::of(BreakClass::Tail, &keys));
        assert_ne!(one.id, BreakId::of(BreakClass::Gap, &["ab".to_string()]));
        assert_eq!(one.id.as_str().len(), 16);
    }

    #[test]
    fn each_class_has_the_owner_of_its_letter() {
        assert_eq!(BreakClass::Gap.owner(), Owner::RigLead);
        assert_eq!(BreakClass::Drift.owner(), Owner::RigLead);
        assert_eq!(BreakClass::Count.owner(), Owner::Stock);
        assert_eq!(BreakClass::Manual.owner(), Owner::Finance);
        assert_eq!(BreakClass::TokenValue.owner(), Owner::Campaign);
        for class in BreakClass::ALL {
            assert_eq!(BreakClass::from_text(class.text()), Some(*class));
        }
    }
}
