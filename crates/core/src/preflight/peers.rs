//! The rows about others: the way to each peer, who answers there, the rigs, the phones.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::host::{micros, size};
use super::{Check, Finding, Severity, Window};
use crate::limits::{PREFLIGHT_CERTIFICATE_MS, PREFLIGHT_LOSS_PERCENT_MAX, PREFLIGHT_RTT_US_MAX};

/// The way to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerNet {
    /// What it is called here.
    pub peer: String,
    /// Probes that were sent.
    pub sent: u32,
    /// Probes that came back.
    pub answered: u32,
    /// 95 of 100 of those took at most this, µs.
    pub p95_us: u64,
    /// What went up, bytes a second; unknown when nothing did.
    pub up: Option<u64>,
    /// What the popup is expected to send, bytes a second.
    pub expected: u64,
}

impl PeerNet {
    fn is_lossy(&self) -> bool {
        let lost = u64::from(self.sent.saturating_sub(self.answered));
        lost * 100 > u64::from(self.sent) * PREFLIGHT_LOSS_PERCENT_MAX
    }

    fn is_bad(&self) -> bool {
        let is_slow = self.p95_us > PREFLIGHT_RTT_US_MAX;
        self.is_lossy() || is_slow || self.up.is_some_and(|up| up < self.expected)
    }

    fn said(&self) -> String {
        let up = self.up.map_or_else(
            || "up not measured".into(),
            |up| format!("{}/s up", size(up)),
        );
        match self.answered {
            0 => format!("{}: no way there", self.peer),
            answered => format!(
                "{}: {answered} of {} back, p95 {}, {up}",
                self.peer,
                self.sent,
                micros(self.p95_us)
            ),
        }
    }
}

/// The way to each peer. Never a no-go: a till sells without a network.
#[must_use]
pub fn net(seen: &[PeerNet]) -> Finding {
    if seen.is_empty() {
        return Finding::not_checked(
            Check::Net,
            "no peer is configured",
            "name the region and the ledger in the configuration, or with --peer",
        );
    }
    let bad = seen.iter().any(|peer| peer.answered == 0 || peer.is_bad());
    let severity = if bad {
        Severity::Warning
    } else {
        Severity::Pass
    };
    let measured = list(seen.iter().map(PeerNet::said));
    let needed = format!(
        "loss at most {PREFLIGHT_LOSS_PERCENT_MAX} %, p95 at most {} ms, up above what is sold",
        PREFLIGHT_RTT_US_MAX / 1_000
    );
    let todo =
        "try another network or a cable; selling works without, the centre is behind meanwhile";
    Finding::new(Check::Net, severity, measured, needed, todo)
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" · ")
}

/// What came back when a random word was sent to a peer's `/healthz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Echo {
    /// The word.
    Same,
    /// Something else: a captive portal, or no popwatch.
    Other,
    /// Nothing.
    Silent,
}

/// Whether somebody answers in a peer's place.
#[must_use]
pub fn portal(seen: &[(String, Echo)]) -> Finding {
    let of = |echo: Echo| seen.iter().filter(move |(_, answer)| *answer == echo);
    let needed = "each peer sends our word back";
    let others = list(of(Echo::Other).map(|(peer, _)| peer.clone()));
    if !others.is_empty() {
        return Finding::new(
            Check::Portal,
            Severity::Warning,
            format!("another answer came from {others}"),
            needed,
            "a network's sign-in page stands between: open any page in a browser, sign in, run again",
        );
    }
    match of(Echo::Same).count() {
        0 => Finding::not_checked(
            Check::Portal,
            "no peer answers",
            "run again when a peer is up; open any page in a browser to see whether sign-in is asked",
        ),
        same => Finding::new(
            Check::Portal,
            Severity::Pass,
            format!("{same} of {} peers sent it back", seen.len()),
            needed,
            "",
        ),
    }
}

/// Who answered at a peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// The pinned key, over TLS 1.3.
    Right,
    /// Another key.
    Stranger,
    /// A plain address of this machine.
    Here,
    /// A plain address of another machine.
    Plain,
    /// Nobody.
    Silent,
}

/// A peer and who answered there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTls {
    /// What it is called here.
    pub peer: String,
    /// Who answered.
    pub pin: Pin,
}

/// A certificate that browsers ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Certificate {
    /// When it ends, ms since 1970.
    pub ends_ms: i64,
}

/// Whether each peer is who it should be, and browsers will believe until after the popup.
#[must_use]
pub fn tls(seen: &[PeerTls], browser: Option<Certificate>, window: &Window) -> Finding {
    let of = |pin: Pin| {
        list(
            seen.iter()
                .filter(|one| one.pin == pin)
                .map(|one| one.peer.clone()),
        )
    };
    let needed = "the pinned key at each peer, TLS 1.3";
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Tls, severity, measured, needed, todo)
    };
    let strangers = of(Pin::Stranger);
    if !strangers.is_empty() {
        return found(
            Severity::NoGo,
            format!("another key answers at {strangers}"),
            "somebody stands between, or the machine was set up anew: enrol this rig again",
        );
    }
    let plain = of(Pin::Plain);
    if !plain.is_empty() {
        return found(
            Severity::Warning,
            format!("no encryption to {plain}"),
            "use https://KEY@host:port as popwatch run prints it there, or enrol this rig",
        );
    }
    let until = window.ends_ms.saturating_add(PREFLIGHT_CERTIFICATE_MS);
    if browser.is_some_and(|certificate| certificate.ends_ms < until) {
        return found(
            Severity::Warning,
            "the certificate for browsers ends too early".into(),
            "renew it before doors open",
        );
    }
    let silent = of(Pin::Silent);
    if !silent.is_empty() || seen.is_empty() {
        let measured = match seen.is_empty() {
            true => "no peer is configured".into(),
            false => format!("nobody answers at {silent}"),
        };
        return found(
            Severity::NotChecked,
            measured,
            "run again when the peers are up",
        );
    }
    let here = seen.iter().filter(|one| one.pin == Pin::Here).count();
    let measured = match here == seen.len() {
        true => "all peers are on this machine".into(),
        false => format!("{} peers with their pinned keys", seen.len() - here),
    };
    found(Severity::Pass, measured, "")
}

/// The rigs of the popup as the centre sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RigsCheck {
    /// How many are enrolled or known.
    pub known: usize,
    /// Known, and not heard now.
    pub silent: Vec<String>,
    /// Running another version than this.
    pub differing: Vec<String>,
    /// Two journals under one name.
    pub forked: Vec<String>,
}

/// Whether all rigs are there.
#[must_use]
pub fn rigs(seen: &RigsCheck) -> Finding {
    let needed = "each rig heard, one journal each, one version";
    let found = |severity, measured: String, todo| {
        Finding::new(Check::Rigs, severity, measured, needed, todo)
    };
    let names = |rigs: &[String]| list(rigs.iter().cloned());
    if !seen.forked.is_empty() {
        return found(
            Severity::NoGo,
            format!("two journals under one name: {}", names(&seen.forked)),
            "one of them is a copy: stop it, and give it its own name and data directory",
        );
    }
    if seen.known == 0 {
        return found(
            Severity::NotChecked,
            "the centre names no rig".into(),
            "run again when ledger and region answer",
        );
    }
    if !seen.silent.is_empty() {
        return found(
            Severity::Warning,
            format!("not heard: {}", names(&seen.silent)),
            "switch them on; revoke those that will not come",
        );
    }
    if !seen.differing.is_empty() {
        return found(
            Severity::Warning,
            format!("another version: {}", names(&seen.differing)),
            "update them before doors open",
        );
    }
    found(
        Severity::Pass,
        format!("{} of {} heard", seen.known, seen.known),
        "",
    )
}

/// The page that phones open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageCheck {
    /// It answers at its own address.
    pub answers: bool,
    /// Only this machine can open it.
    pub local_only: bool,
    /// How long a phone took to open it, ms; unknown when none did.
    pub phone_ms: Option<u64>,
}

/// Whether phones can open the page. Never a no-go: the till sells without.
#[must_use]
pub fn page(seen: &PageCheck) -> Finding {
    let found = |severity, measured: &str, todo| {
        Finding::new(Check::Page, severity, measured, "a phone opens it", todo)
    };
    match (seen.answers, seen.local_only, seen.phone_ms) {
        (false, ..) => found(
            Severity::Warning,
            "it does not answer",
            "start popwatch run on this rig",
        ),
        (true, _, Some(ms)) => found(Severity::Pass, &format!("a phone opened it, {ms} ms"), ""),
        (true, true, None) => found(
            Severity::Warning,
            "it answers on this machine only",
            "let the edge listen on the network's address (edge.listen), then open it with a phone",
        ),
        (true, false, None) => found(
            Severity::NotChecked,
            "it answers; no phone opened it",
            "scan the code on the sheet with a phone of the team",
        ),
    }
}
