//! Second factors: who has one, and what becomes of a code that somebody types.
//!
//! What always holds: a step's code is taken once for an account, a code on paper once; after
//! [`CODES_WRONG_MAX`] wrong ones in a row the account rests and then nothing is looked at.

use std::collections::BTreeMap;

use popwatch_core::access::Scope;
use popwatch_core::ledger::hex;
use popwatch_core::limits::{ACCOUNTS_MAX, CODES_REST_MS, CODES_WRONG_MAX, ONE_TIME_CODES};
use serde::{Deserialize, Serialize};

use super::totp::{base32, code, step};

/// Steps before and after now whose code is taken, for a clock that is a little wrong.
const STEPS_BESIDE: u64 = 1;
/// Letters of a code on paper.
const PAPER_LETTERS: usize = 10;

/// All accounts of a machine, as its file holds them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    accounts: BTreeMap<String, Account>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    /// The secret of the codes, in hex.
    secret: String,
    /// The last step whose code was taken: no earlier one is.
    last_step: u64,
    /// Wrong codes in a row.
    wrong: u32,
    /// Nothing is looked at until then, ms since 1970.
    rests_until_ms: i64,
    /// Keyed hashes of the codes on paper that are left.
    paper: Vec<String>,
}

/// Secrets are never printed.
impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Accounts({})", self.accounts.len())
    }
}

/// What a new second factor shows once, and nobody again.
pub struct Enrolled {
    /// The secret that an app takes.
    pub secret: [u8; 20],
    /// The codes to print and put away.
    pub paper: Vec<String>,
}

/// Why a code was not taken. All are PW0706.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeFault {
    /// There is no second factor for this account.
    #[error("there is no second factor for this pass here; popwatch access factor makes one")]
    Unknown,
    /// It is wrong, or was used.
    #[error("the code is wrong or was used before")]
    Wrong,
    /// Too many were wrong.
    #[error("too many codes were wrong; wait a quarter of an hour")]
    Resting,
}

/// Whether somebody of this scope needs a second factor to begin a session, where they have one to
/// show.
#[must_use]
pub const fn begins_with_code(scope: Scope) -> bool {
    matches!(scope, Scope::Operator | Scope::Auditor)
}

impl Accounts {
    /// Makes a second factor for `actor` from fresh entropy; one before is gone. `None` where there are
    /// too many accounts.
    pub fn enrol(&mut self, actor: &str, entropy: &[u8; 32]) -> Option<Enrolled> {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(actor) {
            return None;
        }
        let mut drawn = blake3::Hasher::new_derive_key("popwatch/v1/second-factor")
            .update(entropy)
            .finalize_xof();
        let mut secret = [0; 20];
        drawn.fill(&mut secret);
        let paper: Vec<String> = (0..ONE_TIME_CODES)
            .map(|_| {
                let mut bytes = [0; 7];
                drawn.fill(&mut bytes);
                base32(&bytes)[..PAPER_LETTERS].to_owned()
            })
            .collect();
        let account = Account {
            secret: hex(&secret),
            last_step: 0,
            wrong: 0,
            rests_until_ms: 0,
            paper: paper.iter().map(|code| paper_hash(&secret, code)).collect(),
        };
        drop(self.accounts.insert(actor.to_owned(), account));
        Some(Enrolled { secret, paper })
    }

    /// Whether `actor` has one.
    #[must_use]
    pub fn has(&self, actor: &str) -> bool {
        self.accounts.contains_key(actor)
    }

    /// Takes a code or says why not; answers which kind it was. The caller keeps what changed before it
    /// lets anybody on.
    pub fn take(
        &mut self,
        actor: &str,
        typed: &str,
        now_ms: i64,
    ) -> Result<&'static str, CodeFault> {
        let account = self.accounts.get_mut(actor).ok_or(CodeFault::Unknown)?;
        if now_ms < account.rests_until_ms {
            return Err(CodeFault::Resting);
        }
        let typed: String = typed
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_uppercase())
            .take(64)
            .collect();
        match account.fits(&typed, now_ms) {
            Some(kind) => {
                account.wrong = 0;
                Ok(kind)
            }
            None => {
                account.wrong += 1;
                if account.wrong >= CODES_WRONG_MAX {
                    account.wrong = 0;
                    account.rests_until_ms = now_ms.saturating_add(CODES_REST_MS);
                }
                Err(CodeFault::Wrong)
            }
        }
    }
}

impl Account {
    fn fits(&mut self, typed: &str, now_ms: i64) -> Option<&'static str> {
        let secret = unhex(&self.secret)?;
        let now = step(now_ms);
        let first = now.saturating_sub(STEPS_BESIDE).max(self.last_step + 1);
        // Compared as hashes: how long it takes says nothing of the code.
        let said = blake3::hash(typed.as_bytes());
        let fits = |at: &u64| blake3::hash(code(&secret, *at).as_bytes()) == said;
        if let Some(at) = (first..=now + STEPS_BESIDE).find(fits) {
            self.last_step = at;
            return Some("totp");
        }
        let hash = paper_hash(&secret, typed);
        let at = self.paper.iter().position(|held| *held == hash)?;
        drop(self.paper.remove(at));
        Some("one_time")
    }
}

fn paper_hash(secret: &[u8; 20], code: &str) -> String {
    let key = blake3::derive_key("popwatch/v1/paper-code", secret);
    blake3::keyed_hash(&key, code.as_bytes())
        .to_hex()
        .to_string()
}

fn unhex(text: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    if text.len() != 40 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pass::totp::STEP_MS;

    const NOW: i64 = 1_700_000_000_000;

    fn enrolled() -> (Accounts, Enrolled) {
        let mut accounts = Accounts::default();
        let shown = accounts.enrol("ana", &[7; 32]).unwrap();
        (accounts, shown)
    }

    #[test]
    fn a_code_is_taken_once_within_a_step_of_now() {
        let (mut accounts, shown) = enrolled();
        let at = |beside: i64| code(&shown.secret, step(NOW + beside * STEP_MS));
        assert_eq!(accounts.take("ben", &at(0), NOW), Err(CodeFault::Unknown));
        assert_eq!(accounts.take("ana", &at(-2), NOW), Err(CodeFault::Wrong));
        assert_eq!(accounts.take("ana", &at(2), NOW), Err(CodeFault::Wrong));
        assert_eq!(accounts.take("ana", &at(-1), NOW), Ok("totp"));
        let spaced = format!("{} {}", &at(0)[..3], &at(0)[3..]);
        assert_eq!(accounts.take("ana", &spaced, NOW), Ok("totp"));
        assert_eq!(accounts.take("ana", &at(0), NOW), Err(CodeFault::Wrong));
        assert_eq!(accounts.take("ana", &at(1), NOW), Ok("totp"));
        assert_eq!(accounts.take("ana", &at(-1), NOW), Err(CodeFault::Wrong));
    }

    #[test]
    fn after_five_wrong_codes_the_account_rests() {
        let (mut accounts, shown) = enrolled();
        for _ in 0..CODES_WRONG_MAX {
            assert_eq!(accounts.take("ana", "x", NOW), Err(CodeFault::Wrong));
        }
        let right = |now| code(&shown.secret, step(now));
        assert_eq!(
            accounts.take("ana", &right(NOW), NOW),
            Err(CodeFault::Resting)
        );
        let later = NOW + CODES_REST_MS;
        assert_eq!(
            accounts.take("ana", &right(later - 1), later - 1),
            Err(CodeFault::Resting)
        );
        assert_eq!(accounts.take("ana", &right(later), later), Ok("totp"));
    }

    #[test]
    fn a_code_on_paper_is_used_up_and_the_file_does_not_hold_it() {
        let (mut accounts, shown) = enrolled();
        assert_eq!(shown.paper.len(), ONE_TIME_CODES);
        let file = serde_json::to_string(&accounts).unwrap();
        assert!(shown.paper.iter().all(|code| !file.contains(code)));
        let mut read: Accounts = serde_json::from_str(&file).unwrap();
        let typed = shown.paper[3].to_ascii_lowercase();
        assert_eq!(read.take("ana", &typed, NOW), Ok("one_time"));
        assert_eq!(read.take("ana", &typed, NOW), Err(CodeFault::Wrong));
        assert_eq!(accounts.take("ana", &shown.paper[0], NOW), Ok("one_time"));
    }
}
