//! Passes: who somebody is and what they may, as a token that verifies offline and can be handed on
//! with less.
//!
//! ```text
//! pw1.<base64url of a Biscuit>
//! first block     org, pass, actor, scope(kind, extent), member*, popup, issued; expiry as a check
//! up to 4 more    checks only: earlier expiry, one popup, one rig, some actions, one network
//! ```
//!
//! The organisation's access key signs the first block; whoever holds a pass can append a block without
//! any key. What always holds: [`open`] says yes only to what the key signed and to circumstances under
//! which every check of every block holds; a further block that does more than check is refused. Time
//! and entropy are arguments. The token library's types end in this module.

pub mod account;
pub mod revoked;
pub mod totp;

use std::time::Duration;

use biscuit_auth::builder::{
    Algorithm, AuthorizerBuilder, BiscuitBuilder, BlockBuilder, Fact, Term,
};
use biscuit_auth::datalog::{RunLimits, SymbolTable};
use biscuit_auth::error::{self, FailedCheck};
use biscuit_auth::{Biscuit, KeyPair, PrivateKey, PublicKey, UnverifiedBiscuit};
use popwatch_core::access::{Action, Scope, Subject};
use popwatch_core::code::Code;
use popwatch_core::ledger::hex;
use popwatch_core::limits::{
    PASS_BYTES_MAX, PASS_FACTS_MAX, PASS_HANDOVERS_MAX, PASS_MS_MAX, PASS_NAME_BYTES_MAX,
    PASS_ROUNDS_MAX,
};

/// How a pass begins.
pub const PREFIX: &str = "pw1.";
/// Any popup of the organisation, in a pass.
const ANY: &str = "*";
/// How a public access key begins.
const KEY: &str = "ed25519/";

/// Signs passes. The secret is never printed.
pub struct AccessKey(KeyPair);

/// Verifies passes: what rigs carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessPublic(PublicKey);

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKey([key])")
    }
}

impl AccessKey {
    /// The key of 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(pair(secret))
    }

    /// What verifies what it signs.
    #[must_use]
    pub fn public(&self) -> AccessPublic {
        AccessPublic(self.0.public())
    }
}

/// Any 32 bytes are a key of this kind.
fn pair(secret: &[u8; 32]) -> KeyPair {
    let key = PrivateKey::from_bytes(secret, Algorithm::Ed25519);
    KeyPair::from(&key.expect("32 bytes are an Ed25519 key"))
}

impl AccessPublic {
    /// Reads what Display wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix(KEY)?;
        let key = PublicKey::from_bytes_hex(digits, Algorithm::Ed25519);
        key.ok().map(Self)
    }
}

/// `ed25519/<hex>`.
impl std::fmt::Display for AccessPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{KEY}{}", self.0.to_bytes_hex())
    }
}

impl std::fmt::Debug for AccessPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessPublic({self})")
    }
}

/// How a request reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// From the same machine.
    Loopback,
    /// Encrypted.
    Tls,
    /// In the clear, on the venue's network.
    Lan,
}

impl Network {
    /// Its name in a check.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Tls => "tls",
            Self::Lan => "lan",
        }
    }
}

/// What is asked with a pass: what the checks of its blocks look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// Now, ms since 1970.
    pub now_ms: i64,
    /// What is to be done; `None` while only looking who it is.
    pub action: Option<Action>,
    /// To which popup.
    pub popup: Option<&'a str>,
    /// At which rig.
    pub rig: Option<&'a str>,
    /// How it came.
    pub network: Network,
}

/// A pass that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Whom it speaks of.
    pub subject: Subject,
    /// When it was issued, ms since 1970.
    pub issued_ms: i64,
    /// When its first block ends, ms since 1970.
    pub expires_ms: i64,
    /// What names it, and each step of its handing on, in a list of revoked passes.
    pub ids: Vec<String>,
}

/// Less than the pass that is handed on: only what is given is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Less {
    /// Good until, ms since 1970.
    pub expires_ms: Option<i64>,
    /// For this popup alone.
    pub popup: Option<String>,
    /// At this rig alone.
    pub rig: Option<String>,
    /// For these actions alone; empty for all.
    pub actions: Vec<Action>,
    /// On this network alone.
    pub network: Option<Network>,
}

/// Why a pass is not taken, or not made. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassFault {
    /// It has expired.
    #[error("it has expired")]
    Expired,
    /// It is no pass, or the key did not sign it.
    #[error("{0}")]
    Invalid(&'static str),
    /// It is longer than a pass can be.
    #[error("it has more than {PASS_BYTES_MAX} bytes")]
    TooLarge,
    /// One who handed it on allowed less.
    #[error("it was handed on for less than this")]
    Narrowed,
    /// A name cannot stand in a pass.
    #[error("{0} has a form that cannot stand in a pass")]
    Name(&'static str),
    /// It was handed on too often.
    #[error("it was handed on {PASS_HANDOVERS_MAX} times already")]
    HandedOn,
}

impl PassFault {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Expired => Code::PassExpired,
            Self::Invalid(_) => Code::PassInvalid,
            Self::TooLarge => Code::PassTooLarge,
            Self::Narrowed => Code::ScopeRefused,
            Self::Name(_) | Self::HandedOn => Code::ArgumentInvalid,
        }
    }
}

/// Names stand in checks as they are, so they hold nothing that the language of checks would read.
fn name<'a>(what: &'static str, text: &'a str) -> Result<&'a str, PassFault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:~@/-".contains(&byte);
    match text.len() <= PASS_NAME_BYTES_MAX && text.bytes().all(is_plain) {
        true => Ok(text),
        false => Err(PassFault::Name(what)),
    }
}

/// A moment as the token's language writes it; whole seconds.
fn moment(ms: i64) -> Result<String, PassFault> {
    let at = jiff::Timestamp::from_second(ms.div_euclid(1_000));
    at.map(|at| at.to_string())
        .map_err(|_| PassFault::Name("the moment"))
}

fn unmade(_: error::Token) -> PassFault {
    PassFault::Invalid("it could not be made")
}

/// A new pass. `seed` is drawn anew for each.
pub fn issue(
    key: &AccessKey,
    subject: &Subject,
    issued_ms: i64,
    expires_ms: i64,
    seed: &[u8; 32],
) -> Result<String, PassFault> {
    let text = |what, value: &str| name(what, value).map(|value| Term::Str(value.to_owned()));
    let popup = subject.popup.as_deref().unwrap_or(ANY);
    let mut facts = vec![
        ("org", vec![text("the organisation", &subject.org)?]),
        ("pass", vec![text("the pass's id", &subject.pass)?]),
        ("actor", vec![text("the actor", &subject.actor)?]),
        (
            "scope",
            vec![
                Term::Str(subject.scope.text().to_owned()),
                text("the extent", &subject.extent)?,
            ],
        ),
        (
            "popup",
            vec![match popup {
                ANY => Term::Str(ANY.to_owned()),
                popup => text("the popup", popup)?,
            }],
        ),
        ("issued", vec![Term::Integer(issued_ms)]),
        ("expires", vec![Term::Integer(expires_ms)]),
    ];
    for member in &subject.members {
        facts.push(("member", vec![text("a member", member)?]));
    }
    let mut builder = BiscuitBuilder::new();
    for (name, terms) in facts {
        builder = builder
            .fact(Fact::new(name.to_owned(), terms))
            .map_err(unmade)?;
    }
    let until = format!("check if time($t), $t <= {}", moment(expires_ms)?);
    let token = builder
        .check(until.as_str())
        .and_then(|builder| {
            builder.build_with_key_pair(&key.0, SymbolTable::default(), &pair(seed))
        })
        .map_err(unmade)?;
    written(token.to_base64().map_err(unmade)?)
}

/// A pass with less in it, made without any key. `seed` is drawn anew for each.
pub fn hand_on(pass: &str, less: &Less, seed: &[u8; 32]) -> Result<String, PassFault> {
    let token = UnverifiedBiscuit::from_base64(padded(pass)?)
        .map_err(|_| PassFault::Invalid("it is no pass"))?;
    if token.block_count() > PASS_HANDOVERS_MAX {
        return Err(PassFault::HandedOn);
    }
    let mut checks = Vec::new();
    if let Some(until) = less.expires_ms {
        checks.push(format!("check if time($t), $t <= {}", moment(until)?));
    }
    for (what, only) in [("popup", &less.popup), ("rig", &less.rig)] {
        if let Some(only) = only {
            checks.push(format!("check if at_{what}(\"{}\")", name(what, only)?));
        }
    }
    if let Some(network) = less.network {
        checks.push(format!("check if at_network(\"{}\")", network.text()));
    }
    if !less.actions.is_empty() {
        let names = less.actions.iter().map(|one| format!("\"{}\"", one.text()));
        let names = names.collect::<Vec<_>>().join(", ");
        checks.push(format!("check if at_action($a), {{{names}}}.contains($a)"));
    }
    let mut block = BlockBuilder::new();
    for check in &checks {
        block = block.check(check.as_str()).map_err(unmade)?;
    }
    let token = token
        .append_with_keypair(&pair(seed), block)
        .map_err(|_| PassFault::Invalid("it cannot be handed on"))?;
    written(token.to_base64().map_err(unmade)?)
}

fn written(text: String) -> Result<String, PassFault> {
    let pass = format!("{PREFIX}{}", text.trim_end_matches('='));
    match pass.len() <= PASS_BYTES_MAX {
        true => Ok(pass),
        false => Err(PassFault::TooLarge),
    }
}

/// The base64 of a pass, filled up as the library wants it.
fn padded(pass: &str) -> Result<String, PassFault> {
    if pass.len() > PASS_BYTES_MAX {
        return Err(PassFault::TooLarge);
    }
    let text = pass
        .strip_prefix(PREFIX)
        .filter(|text| !text.contains('='))
        .ok_or(PassFault::Invalid("it does not begin like a pass"))?;
    let missing = text.len().next_multiple_of(4) - text.len();
    Ok(format!("{text}{}", &"==="[..missing]))
}

/// What every judgement keeps to.
fn limits() -> RunLimits {
    RunLimits {
        max_facts: PASS_FACTS_MAX,
        max_iterations: PASS_ROUNDS_MAX,
        max_time: Duration::from_millis(PASS_MS_MAX),
    }
}

/// Opens a pass: verifies who signed it and that all its checks hold under these circumstances. What its
/// scope may is not looked at here, nor whether it was revoked.
pub fn open(pass: &str, key: &AccessPublic, at: &Circumstances<'_>) -> Result<Opened, PassFault> {
    let token = Biscuit::from_base64(padded(pass)?, key.0)
        .map_err(|_| PassFault::Invalid("the organisation's key did not sign it"))?;
    only_checks(&token)?;
    let fact = |name: &str, term| Fact::new(name.to_owned(), vec![term]);
    let seconds = u64::try_from(at.now_ms.div_euclid(1_000)).unwrap_or(0);
    let mut facts = vec![
        fact("time", Term::Date(seconds)),
        fact("at_network", Term::Str(at.network.text().to_owned())),
    ];
    let named = [
        ("at_action", at.action.map(Action::text)),
        ("at_popup", at.popup),
        ("at_rig", at.rig),
    ];
    for (name, text) in named {
        facts.extend(text.map(|text| fact(name, Term::Str(text.to_owned()))));
    }
    let mut builder = AuthorizerBuilder::new().set_limits(limits());
    for fact in facts {
        builder = builder.fact(fact).map_err(unread)?;
    }
    let mut judge = builder
        .policy("allow if true")
        .and_then(|builder| builder.build(&token))
        .map_err(unread)?;
    judge.authorize().map_err(refused)?;
    let (org, id, actor, kind, extent, popup): (String, String, String, String, String, String) =
        judge
            .query_exactly_one(
                "data($o, $i, $a, $k, $e, $p) <- org($o), pass($i), actor($a), scope($k, $e), popup($p)",
            )
            .map_err(unread)?;
    let (issued_ms, expires_ms): (i64, i64) = judge
        .query_exactly_one("data($i, $e) <- issued($i), expires($e)")
        .map_err(unread)?;
    let members: Vec<(String,)> = judge.query("data($m) <- member($m)").map_err(unread)?;
    let subject = Subject {
        org,
        pass: id,
        actor,
        scope: Scope::parse(&kind).ok_or(PassFault::Invalid("it is of an unknown scope"))?,
        extent,
        members: members.into_iter().map(|(name,)| name).collect(),
        popup: (popup != ANY).then_some(popup),
    };
    let ids = token.revocation_identifiers();
    Ok(Opened {
        subject,
        issued_ms,
        expires_ms,
        ids: ids.iter().map(|id| hex(id)).collect(),
    })
}

/// A block behind the first holds checks and nothing else, and nobody else signed it.
fn only_checks(token: &Biscuit) -> Result<(), PassFault> {
    let strange = PassFault::Invalid("a block of it does more than check");
    if token.block_count() > 1 + PASS_HANDOVERS_MAX
        || token.external_public_keys().iter().any(Option::is_some)
    {
        return Err(strange);
    }
    for block in 1..token.block_count() {
        let source = token.print_block_source(block).map_err(unread)?;
        if source.lines().any(|line| !line.starts_with("check if ")) {
            return Err(strange);
        }
    }
    Ok(())
}

fn unread(_: error::Token) -> PassFault {
    PassFault::Invalid("it does not say what a pass says")
}

/// Which check failed: that of time, or one that somebody handed it on with.
fn refused(fault: error::Token) -> PassFault {
    let error::Token::FailedLogic(
        error::Logic::Unauthorized { checks, .. } | error::Logic::NoMatchingPolicy { checks },
    ) = fault
    else {
        return unread(fault);
    };
    let is_time = checks.iter().any(|check| match check {
        FailedCheck::Block(check) => check.rule.contains("time("),
        FailedCheck::Authorizer(_) => false,
    });
    match is_time {
        true => PassFault::Expired,
        false => PassFault::Narrowed,
    }
}

/// The blocks of a pass as text, unverified, for people who ask what is in it.
pub fn blocks(pass: &str) -> Result<Vec<String>, PassFault> {
    let token = UnverifiedBiscuit::from_base64(padded(pass)?)
        .map_err(|_| PassFault::Invalid("it is no pass"))?;
    (0..token.block_count())
        .map(|block| token.print_block_source(block).map_err(unread))
        .collect()
}

/// What names an unverified pass in a list of revoked ones: the last step of its handing on.
pub fn revocation_id(pass: &str) -> Result<String, PassFault> {
    let token = UnverifiedBiscuit::from_base64(padded(pass)?)
        .map_err(|_| PassFault::Invalid("it is no pass"))?;
    let ids = token.revocation_identifiers();
    ids.last()
        .map(|id| hex(id))
        .ok_or(PassFault::Invalid("it is no pass"))
}

#[cfg(test)]
mod tests;
