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
    Held = "E-HELD", Money, "A revoked rig, or one whose time was over, sent sales that are not booked.",
        "Find out whether they are true: popwatch enrol --accept RIG books them. Else leave them.";
    Unsealed = "E-UNSEALED", Warn, "A rig never said that it was done with a popup that is over.",
        "Switch it on and bring it onto the network; it says so by itself within a minute.";
    Clock = "E-CLOCK", Info, "The clock of a rig cannot be believed for some of its sales.",
        "Nothing is wrong with the amounts; compare times with receipts where they matter.";
    Loss = "E-LOSS", Money, "A rig refused or dropped events that carry money.",
        "Find those sales in the till's own list and enter them; free the rig's disk.";
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
    Late = "X-LATE", Info, "A record arrived after its books were closed.",
        "Close again to sign the correction it belongs to.";
    Manual = "X-MANUAL", Info, "A manual entry was booked; it is never revenue.",
        "Clear it against what it stands for.";
    Signature = "P-SIG", Warn, "Messages of a provider came with a bad signature.",
        "Compare the account's secrets with the provider's, and this machine's clock; else somebody tries.";
    Missing = "P-MISSING", Money, "A till says it was paid, and the provider knows nothing of it.",
        "Look the payment up at the provider by its reference; if it is not there, the sale is unpaid.";
    Unclaimed = "P-UNCLAIMED", Money, "A provider took money that no till claims.",
        "Find the sale by time and amount; if there was none, give the money back.";
    Double = "P-DOUBLE", Money, "A payment was charged more than once.",
        "Refund the extra charge to the customer.";
    OtherAmount = "P-AMOUNT", Money, "Till and provider tell different amounts of one payment.",
        "Compare the receipt with the provider's page; correct the one that is wrong.";
    OtherCurrency = "P-CCY", Money, "Till and provider tell different currencies of one payment.",
        "Compare the receipt with the provider's page; check the terminal's currency.";
    PartialCapture = "P-PARTIAL-CAPTURE", Money, "Less was captured than was authorised and claimed.",
        "Capture the rest while the authorisation lives, or correct the sale.";
    Declined = "P-DECLINED", Money, "A till says it was paid, the provider says declined.",
        "Ask the customer to pay again, or write the sale off.";
    OfflineDeclined = "P-OFFLINE-DECLINED", Money, "A payment taken offline was declined later.",
        "Ask the customer to pay again, or write it off; lower the offline limit if it happens often.";
    OfflineExpiring = "P-OFFLINE-EXPIRING", Warn, "A payment taken offline will soon expire.",
        "Bring the terminal online now.";
    OfflineStuck = "P-OFFLINE-STUCK", Money, "A payment taken offline never reached the provider.",
        "Bring the terminal online; if the payment is gone from it, the sale is unpaid.";
    RefundMissing = "P-REFUND-MISSING", Money, "A refund was promised at a till and not made.",
        "Make the refund at the provider; the buyer waits for it.";
    RefundUnclaimed = "P-REFUND-UNCLAIMED", Warn, "A provider made a refund that no till asked for.",
        "Find out who refunded it and why.";
    RefundFailed = "P-REFUND-FAILED", Money, "A refund failed after it was made.",
        "Pay the buyer another way; the money is still here.";
    OverRefund = "P-OVERREFUND", Money, "More was given back of a payment than was taken.",
        "Ask who refunded it twice; the excess is lost unless the buyer returns it.";
    State = "P-STATE", Warn, "A provider tells two states of one object that exclude each other.",
        "Look at the object on the provider's page.";
    OtherPopup = "X-POPUP-PROV", Money, "A payment's reference names another popup than its sale.",
        "Find out where the sale was made; correct the popup at the till that is wrong.";
    GapExplained = "P-GAP-EXPLAINED", Info, "A provider's payment explains part of a lost range.",
        "Nothing to do: the sale is counted again.";
    KeyExpired = "P-KEY-EXPIRED", Warn, "An unconfirmed payment may no longer be repeated blindly.",
        "Search the provider by the reference before anybody charges again.";
    WebhookGap = "P-WEBHOOK-GAP", Info, "A file tells of a payment of which no message came.",
        "Check that the provider's messages reach popwatch.";
    Unsettled = "B-MISSING", Money, "A captured payment was never settled.",
        "Upload the newest settlement file; if it is not in it, ask the provider.";
    SettledTwice = "B-DUP", Money, "One movement was settled twice.",
        "Ask the provider; the second amount may be taken back.";
    SettledAmount = "B-GROSS", Money, "Settled and captured amounts differ.",
        "Ask the provider which of the two is right.";
    WrongFee = "B-FEE", Warn, "A fee is not what was agreed.",
        "Compare it with the contract; correct the fee model or claim it back.";
    Arithmetic = "B-ARITH", Money, "A row's amount less its fees is not its net.",
        "Export the file again; if it stays, ask the provider.";
    FileTwice = "B-FILE-DUP", Money, "Two files tell one row differently.",
        "Ask the provider which file is right; the row that came first counts.";
    Conversion = "B-FX", Money, "A converted row is off by more than rounding.",
        "Ask the provider for the rate of that row.";
    UnknownLine = "B-UNKNOWN", Money, "A row of a settlement file belongs to no payment.",
        "Find out what it is for, and accept it to an account.";
    Unpaid = "B-UNPAID", Warn, "Settled money was never paid out.",
        "Look at the payout schedule, and upload the newest file.";
    Residual = "B-RESIDUAL", Money, "A payout is not the sum of its rows.",
        "Upload the complete file of that payout; else ask the provider for the rest.";
    DisputeFee = "B-DISPUTE-FEE", Warn, "A fee was taken for a dispute.",
        "Add it to the account's fee model if it is agreed.";
    ReserveDiffers = "B-RESERVE", Warn, "A provider released another sum than it held, or is late.",
        "Ask the provider how the reserve was reckoned.";
    Balance = "B-BALANCE", Money, "The balances of a file do not follow from its rows.",
        "Upload the file of the whole period again, with all kinds of rows.";
    PayoutFailed = "B-PAYOUT-FAILED", Money, "A payout failed or came back.",
        "Check the bank account's details at the provider.";
    BankMissing = "B-BANK-MISSING", Money, "A payout is not on the bank's list.",
        "Upload the newest bank list; if it is not in it, ask the bank.";
    BankAmount = "B-BANK-AMT", Money, "The bank got another amount than was paid out.",
        "Ask the bank for its charges, or the provider for the payout's details.";
    RateCard = "C-CARD", Warn, "The rate card of a sale is lost, or its creator has none.",
        "Give the creator a rate card, or accept that the share stays with the house.";
    Weights = "C-WEIGHT", Warn, "The weights of a co-op's members are not a whole.",
        "Correct the co-op's weights; until then its shares stay with the house.";
    Split = "C-SPLIT", Money, "A co-op's pool could not be divided at the close.",
        "Correct the co-op's members and weights, then close again.";
    Pool = "C-POOL", Money, "A co-op's pool holds what no sale put there.",
        "Take the accepted break off the pool, or divide it with the co-op's consent.";
    LateShare = "C-LATE-ATTR", Info, "What arrived after a close may change whose sales they were.",
        "Close again to sign the correction; tell the creators concerned.";
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
    Liability = "T-LIABILITY", Money, "What is owed for tokens is not what open tokens are worth.",
        "Take the accepted break off the tokens' value, or honour it as tokens.";
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
