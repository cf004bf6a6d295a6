//! RFC 9457 problem documents, and the one match from code to HTTP status.

use popwatch_core::code::Code;
use serde::{Deserialize, Serialize};

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// Where each code has its page.
const PAGES: &str = "https://popwatch.dev/errors/";

/// Why a request as a whole was refused. Never carries a value of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// HTTP status, from [`status`] unless the place knows better.
    pub status: u16,
    /// What happened and what to do next, in plain words.
    pub detail: String,
    /// Byte of the inflated body where reading stopped.
    pub offset: Option<usize>,
    /// Seconds after which the same request may do.
    pub retry_after_s: Option<u32>,
}

/// A problem as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Page of the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what to do next.
    pub detail: String,
    /// The code, such as `PW0101`.
    pub code: String,
    /// Byte of the inflated body where reading stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

impl Problem {
    /// A problem with the status of its code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: status(code),
            detail: detail.into(),
            offset: None,
            retry_after_s: None,
        }
    }

    /// Names the byte of the inflated body where reading stopped.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Takes another status than the code's.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Says when to come again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The document to send.
    #[must_use]
    pub fn document(&self) -> Document {
        Document {
            kind: format!("{PAGES}{}", self.code),
            title: self.code.title().to_owned(),
            status: self.status,
            detail: self.detail.clone(),
            code: self.code.to_string(),
            offset: self.offset,
        }
    }

    /// The document as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.document()).expect("texts and numbers are JSON")
    }
}

/// The HTTP status of a code.
#[must_use]
#[expect(
    clippy::too_many_lines,
    reason = "one table: a line a code, and the compiler asks for the next"
)]
pub const fn status(code: Code) -> u16 {
    match code {
        Code::BodyUnparsable
        | Code::EnvelopeInvalid
        | Code::ProtocolUnsupported
        | Code::BatchInvalid
        | Code::ArgumentInvalid
        | Code::InputUnreadable
        | Code::CellInvalid
        | Code::CellOutOfRange
        | Code::WebhookUnparsable
        | Code::PromiseRefused
        | Code::QueryInvalid => 400,
        Code::SignatureRefused
        | Code::EnrolUnproved
        | Code::PassExpired
        | Code::PassRevoked
        | Code::PassInvalid
        | Code::PassTooLarge
        | Code::SecondFactorRefused => 401,
        Code::OriginForeign
        | Code::PeerRefused
        | Code::PlainExposed
        | Code::EnrolRefused
        | Code::ScopeRefused
        | Code::RevokedListOld
        | Code::PlainRefused
        | Code::PolicySignerUnknown
        | Code::PolicyThreshold
        | Code::PolicyForeign
        | Code::PartsShut => 403,
        Code::PopupUnknown
        | Code::PathUnknown
        | Code::ProviderUnknown
        | Code::NeverClosed
        | Code::MemberUnknown
        | Code::AuditUnknown => 404,
        Code::EventConflict
        | Code::EpochForked
        | Code::PositionOtherBytes
        | Code::ChainBroken
        | Code::EpochRewound
        | Code::CloseRunning
        | Code::CloseEarly
        | Code::CloseOpen
        | Code::PolicyForked
        | Code::PolicyOlder
        | Code::PolicyJoined
        | Code::CellForked => 409,
        Code::PopupOver => 410,
        Code::BodyTooLarge | Code::EventTooLarge | Code::WebhookTooLarge | Code::FileTooLarge => {
            413
        }
        Code::MediaTypeUnsupported => 415,
        Code::DataInvalid
        | Code::TypeUnknown
        | Code::CardInIdentity
        | Code::TypeReserved
        | Code::RecordQuarantined
        | Code::RigRevoked
        | Code::ModeRefused
        | Code::AmountInexact
        | Code::SettlementFileRefused
        | Code::SettlementRowRefused
        | Code::CountRowRefused
        | Code::CertificateWrong
        | Code::PolicyUnreadable
        | Code::PolicyBelowFloor
        | Code::PolicyDigestWrong
        | Code::PolicyUnfit
        | Code::AuditUnproved
        | Code::AmountOverflow => 422,
        Code::RequestSlow => 408,
        Code::ClassShed | Code::QueueFull => 429,
        Code::RecordDamaged
        | Code::TailTorn
        | Code::CacheDamaged
        | Code::KeyDamaged
        | Code::KeysDamaged
        | Code::PartUnopened
        | Code::KeysLocked
        | Code::IdentityDamaged
        | Code::MembershipDamaged
        | Code::SegmentMissing
        | Code::FormatNewer
        | Code::JournalLocked
        | Code::JournalForeign
        | Code::DiskDoubtful
        | Code::SchemaNewer
        | Code::AuditDamaged
        | Code::ReadUnproved
        | Code::ViewRepaired
        | Code::PopupOverrun
        | Code::AlertUndelivered
        | Code::MirrorDown
        | Code::FeedPlaceUnknown
        | Code::FeedStalled
        | Code::ProbeFailed
        | Code::ClockSuspect
        | Code::TimeReplaced
        | Code::ClockStepped
        | Code::BatteryLow
        | Code::UnderVoltage
        | Code::HostHot
        | Code::PreflightPower
        | Code::PreflightUps
        | Code::PreflightDisk
        | Code::PreflightFsync
        | Code::PreflightClock
        | Code::PreflightNet
        | Code::PreflightPortal
        | Code::PreflightTls
        | Code::PreflightPolicy
        | Code::PreflightAccess
        | Code::PreflightRigs
        | Code::PreflightProvider
        | Code::PreflightRetention
        | Code::PreflightSale
        | Code::PreflightPage
        | Code::PreflightAudit
        | Code::RedactionFailed
        | Code::Defect => 500,
        Code::PeerNonsense | Code::PeerStranger => 502,
        Code::NotDurable
        | Code::SyncFailed
        | Code::LedgerUnavailable
        | Code::WebhookNotDurable
        | Code::AuditUnwritten
        | Code::FeedFull => 503,
        Code::BoundPassed | Code::OutboxFull | Code::OutboxVolatile | Code::RegionFull => 507,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_page_and_reads_back() {
        let problem = Problem::new(Code::BodyUnparsable, "not JSON").at(7);
        let json = problem.to_json();
        let read: Document = serde_json::from_str(&json).unwrap();
        assert_eq!(read, problem.document());
        assert_eq!(read.kind, "https://popwatch.dev/errors/PW0101");
        assert_eq!((read.status, read.offset), (400, Some(7)));
    }

    #[test]
    fn every_code_has_a_status_of_an_error() {
        assert!(
            Code::ALL
                .iter()
                .all(|code| (400..600).contains(&status(*code)))
        );
    }
}
