//! The one table of error codes: what a number means, for ever.
//!
//! The first two digits are the area: 01 events · 02 journal, disk · 03 lanes, peers, clock, ledger ·
//! 06 policy · 07 passes, enrolment · 08 audit · 09 providers, settlement files · 10 host, power ·
//! 11 command line, config, input files · 13 preflight · 30 cells · 31 region · 32 reads, feeds ·
//! 33 promises · 99 a defect of ours. A number is never used again for
//! something else. Each code has a page `docs/errors/PWxxxx.md`.

use core::fmt;

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal;)*) => {
        /// A stable code of an error, shown as `PW0103`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name = $number,)*
        }

        impl Code {
            /// All codes, ascending by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What the code means, in a few words without a full stop.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// The number behind `PW`.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }
        }
    };
}

codes! {
    BodyUnparsable = 101, "the request body could not be parsed";
    EnvelopeInvalid = 102, "a CloudEvents attribute is missing or wrong";
    DataInvalid = 103, "a field of the event's data is missing or wrong";
    EventConflict = 104, "this source and id were used before with other content";
    TypeUnknown = 105, "the event type is unknown";
    CardInIdentity = 106, "an identity or number looks like a payment card";
    BodyTooLarge = 107, "the request is too large";
    MediaTypeUnsupported = 108, "the content type or encoding is not supported";
    EventTooLarge = 109, "the event passes a bound";
    TypeReserved = 111, "this event type is written only by popwatch";
    ClassShed = 120, "the disk is too full for events of this class";
    QueueFull = 121, "the admission queue is full";
    OriginForeign = 122, "the request's Host or Origin is not allowed";
    RequestSlow = 123, "the request came too slowly";
    OutboxFull = 131, "the client's outbox is full";
    OutboxVolatile = 132, "the client has nowhere to store events";
    NotDurable = 201, "the event could not be made durable";
    RecordDamaged = 202, "records are damaged and named as a gap";
    TailTorn = 203, "the journal's tail was torn and cut";
    SegmentMissing = 204, "a journal segment is missing";
    FormatNewer = 205, "the journal was written by a newer popwatch";
    JournalLocked = 206, "another process uses this data directory";
    JournalForeign = 207, "the journal belongs to another rig";
    SyncFailed = 208, "a write or sync failed and a new epoch began";
    DiskDoubtful = 210, "what this disk calls durable may not be";
    CacheDamaged = 211, "a cache of the journal is damaged and made anew";
    KeyDamaged = 212, "a stored key is damaged and a new one is used";
    ProtocolUnsupported = 301, "the lane protocol version is not supported";
    BatchInvalid = 302, "the batch is damaged, out of range or too large";
    PeerRefused = 303, "the peer did not accept this rig";
    RigRevoked = 304, "the rig was revoked and its records wait for a person";
    PeerNonsense = 305, "the peer's answer makes no sense";
    EpochForked = 310, "two journals use one rig and epoch";
    PositionOtherBytes = 311, "one position holds two different records";
    ChainBroken = 312, "the journal's hash chain differs from what was acknowledged";
    EpochRewound = 313, "an epoch is held further than its rig says";
    RecordQuarantined = 314, "a record could not be read and is kept in quarantine";
    LedgerUnavailable = 330, "the ledger's store cannot take records now";
    AmountOverflow = 332, "an amount or sum leaves the range of 64 bits";
    BoundPassed = 333, "a bound of the ledger was passed";
    SchemaNewer = 341, "the ledger's database was written by a newer popwatch";
    NeverClosed = 351, "the books of this popup were never closed";
    CloseRunning = 352, "another close of these books is running";
    CloseEarly = 353, "the close would speak of a moment before the newest fact";
    CertificateWrong = 354, "a certificate is not what was signed";
    CloseOpen = 355, "a break about money is open";
    ClockSuspect = 371, "the clock may be wrong";
    TimeReplaced = 372, "an event's own time was out of reason";
    ClockStepped = 373, "the wall clock was set";
    PolicyUnreadable = 601, "a policy document cannot be read";
    PolicyBelowFloor = 602, "a policy is looser than any policy may be";
    PolicyDigestWrong = 610, "a policy bundle is damaged or its digest is not the signed one";
    PolicySignerUnknown = 611, "nobody who may sign policies signed this one";
    PolicyThreshold = 612, "too few signed this policy";
    PolicyForeign = 613, "the policy is of another organisation or popup";
    PolicyForked = 614, "two different policies carry one version";
    PolicyOlder = 615, "the policy is older than the one that is held";
    PolicyJoined = 616, "the policy came while its popup runs and only tightens";
    PolicyUnfit = 617, "the policy cannot run here";
    RedactionFailed = 620, "redaction failed on texts and replaced them";
    KeysDamaged = 631, "the keys of a popup are damaged";
    PartUnopened = 632, "a sealed part does not open under its key";
    KeysLocked = 633, "the clock jumped, so keys neither open nor end until it is confirmed";
    PassExpired = 701, "the pass has expired";
    PassRevoked = 702, "the pass was revoked";
    PassInvalid = 703, "a pass is needed and none that verifies came";
    PassTooLarge = 704, "the pass is larger than a pass can be";
    ScopeRefused = 705, "the pass does not allow this";
    SecondFactorRefused = 706, "a code of the second factor is needed or was wrong";
    RevokedListOld = 707, "the list of revoked passes is too old";
    PlainRefused = 708, "this is not done over an unencrypted connection";
    EnrolRefused = 710, "the enrolment code is not taken";
    EnrolUnproved = 711, "the other end does not know the enrolment code";
    IdentityDamaged = 712, "the stored identity is damaged and a new one is used";
    PeerStranger = 713, "another key answered than the pinned one";
    PlainExposed = 714, "this address speaks TLS with other machines";
    MembershipDamaged = 715, "the stored membership cannot be used";
    MemberUnknown = 716, "no such member is in the register";
    AuditUnwritten = 801, "the audit trail could not be written";
    AuditUnknown = 802, "the audit trail has no such entry or tile";
    ReadUnproved = 803, "the audit entry of a raw read does not verify";
    AuditDamaged = 804, "the audit trail is damaged and another began";
    PartsShut = 805, "sealed parts stay shut in an export";
    AuditUnproved = 806, "the audit trail is not what was signed";
    ProviderUnknown = 901, "no such provider or account is configured";
    SignatureRefused = 902, "the signature of a provider's message does not fit";
    WebhookUnparsable = 903, "a provider's message could not be parsed";
    WebhookTooLarge = 904, "a provider's message is too large";
    WebhookNotDurable = 905, "a provider's message could not be made durable";
    ModeRefused = 906, "a test object came for a live account, or the reverse";
    SettlementFileRefused = 911, "a settlement file is not in a layout that is read";
    SettlementRowRefused = 912, "a row of a settlement file could not be read";
    FileTooLarge = 913, "a file passes a bound";
    AmountInexact = 916, "an amount does not convert exactly to minor units";
    CountRowRefused = 931, "a row of a count sheet could not be taken";
    ProbeFailed = 1051, "a reading of the host cannot be had";
    BatteryLow = 1052, "the battery is low";
    UnderVoltage = 1053, "the power supply is too weak";
    HostHot = 1054, "the host is too hot";
    ArgumentInvalid = 1101, "an argument or setting is wrong";
    InputUnreadable = 1102, "an input file could not be read";
    PreflightPower = 1301, "the power may not last the popup";
    PreflightUps = 1302, "the UPS may not hold the rig";
    PreflightDisk = 1303, "the disk may be too small for the popup";
    PreflightFsync = 1304, "the disk may lose what it calls durable, or is slow";
    PreflightClock = 1305, "the clock may be wrong before doors open";
    PreflightNet = 1306, "the way to a peer is bad or missing";
    PreflightPortal = 1307, "somebody else answers in a peer's place";
    PreflightTls = 1308, "a peer is not proved to be who it should be";
    PreflightPolicy = 1309, "the policy does not cover the popup";
    PreflightAccess = 1310, "operators cannot all prove who they are";
    PreflightRigs = 1311, "the rigs of the popup are not all as they should be";
    PreflightProvider = 1312, "a payment provider is not heard as it should be";
    PreflightRetention = 1313, "keys do not live as long as they must";
    PreflightSale = 1314, "the synthetic sale did not go all the way";
    PreflightPage = 1315, "no phone opened the page";
    PreflightAudit = 1316, "a raw read did not leave all of its proof";
    CellInvalid = 3001, "a cell is damaged or not in its one canonical form";
    CellOutOfRange = 3002, "a cell's minute or version is out of range";
    CellForked = 3005, "two different cells carry one version";
    ViewRepaired = 3006, "a live view differed from its recomputation and was replaced";
    RegionFull = 3121, "a bound of the region was passed";
    MirrorDown = 3124, "the mirror of a region is out of reach or lost what it was given";
    PopupOver = 3125, "a popup is over and its cells are gone";
    FeedPlaceUnknown = 3131, "a live reader came back from a place nobody knows";
    FeedStalled = 3132, "a live reader did not read";
    FeedFull = 3133, "too many live readers";
    PopupUnknown = 3134, "no such popup is known here";
    QueryInvalid = 3135, "a parameter is wrong";
    PathUnknown = 3136, "there is no such resource";
    PromiseRefused = 3301, "a promise of a popup cannot be kept";
    PopupOverrun = 3302, "a popup runs past its plan and overrun";
    AlertUndelivered = 3303, "a page could not be delivered";
    Defect = 9901, "a defect in popwatch; the event was not kept";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PW{:04}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn numbers_rise_and_show_four_digits() {
        assert!(
            Code::ALL
                .windows(2)
                .all(|pair| pair[0].number() < pair[1].number())
        );
        assert_eq!(Code::DataInvalid.to_string(), "PW0103");
    }
}
