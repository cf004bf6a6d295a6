//! How a fresh machine joins: eight words, two proofs, one answer.
//!
//! ```text
//! words       8 words of 12 bits: 88 random bits, 8 check bits over them
//! K           HKDF-SHA256(the 11 random bytes, "popwatch/v1/enrol")
//! code id     HKDF-SHA256(the 11 random bytes, "popwatch/v1/enrol-id"), 8 bytes: which code is meant
//!
//! rig      ─► {id, key, nonce, mac = HMAC(K, "rig" ‖ rig's key ‖ ledger's key ‖ nonce)}
//! ledger   ◄─ {body, mac = HMAC(K, "ledger" ‖ rig's key ‖ ledger's key ‖ nonce ‖ body)}
//! ```
//!
//! The keys are those with which the two ends spoke TLS, each as the other saw it. What always holds: a
//! machine in between has other keys than the two ends, so without the code no proof passes through it,
//! and neither end keeps anything; the words are never sent.
//!
//! A word is two syllables of a consonant and a vowel: they can be said, typed and heard in any
//! language, and a slip in one of them is seen before anybody is asked.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use popwatch_core::ledger::hex;
use popwatch_core::limits::{ENROL_BODY_BYTES_MAX, ENROL_REGIONS_MAX};
use popwatch_core::membership::{IdKey, Membership};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::note::{NoteKey, PublicKey};

/// Words of a code.
pub const WORDS: usize = 8;
/// Four bits each: none sounds or looks like another.
const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
/// Two bits each.
const VOWELS: &[u8; 4] = b"aiou";

/// The secret of one enrolment. It is shown once, to be typed elsewhere, and never logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EnrolCode([u8; 11]);

impl std::fmt::Debug for EnrolCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnrolCode([key])")
    }
}

impl EnrolCode {
    /// The code of 88 random bits.
    #[must_use]
    pub const fn new(random: [u8; 11]) -> Self {
        Self(random)
    }

    /// Its words, with spaces between.
    #[must_use]
    pub fn words(&self) -> String {
        let mut bytes = self.0.to_vec();
        bytes.push(self.check());
        let words = bytes.chunks_exact(3).flat_map(|three| {
            let [first, second, third] = [three[0], three[1], three[2]].map(usize::from);
            [first << 4 | second >> 4, (second & 15) << 8 | third].map(word)
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Reads words that somebody typed, in any case, with spaces, commas or dashes between them.
    /// `None` when they are not eight words of a code or one of them is mistyped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.split(|sign: char| !sign.is_ascii_alphabetic());
        let words = parts.filter(|part| !part.is_empty()).take(WORDS + 1);
        let numbers: Vec<usize> = words.map(number).collect::<Option<_>>()?;
        if numbers.len() != WORDS {
            return None;
        }
        let mut bytes = Vec::with_capacity(12);
        for pair in numbers.chunks_exact(2) {
            let (first, second) = (pair[0], pair[1]);
            for byte in [first >> 4, (first & 15) << 4 | second >> 8, second & 255] {
                bytes.push(u8::try_from(byte).ok()?);
            }
        }
        let check = bytes.pop()?;
        let code = Self(bytes.try_into().ok()?);
        (code.check() == check).then_some(code)
    }

    fn check(&self) -> u8 {
        Sha256::digest(self.0)[0]
    }

    fn derive<const N: usize>(&self, label: &str) -> [u8; N] {
        let mut out = [0; N];
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(label.as_bytes(), &mut out)
            .expect("a few bytes are not too many");
        out
    }

    /// What says which code is meant, and nothing of it: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        hex(&self.derive::<8>("popwatch/v1/enrol-id"))
    }

    /// Proof of one end, over what both saw.
    fn proof(&self, end: &str, seen: &Seen, body: &[u8]) -> Hmac<Sha256> {
        let key: [u8; 32] = self.derive("popwatch/v1/enrol");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
        for part in [
            end.as_bytes(),
            &seen.rig.0,
            &seen.ledger.0,
            &seen.nonce,
            body,
        ] {
            mac.update(part);
        }
        mac
    }

    /// What a rig asks with.
    #[must_use]
    pub fn ask(&self, seen: &Seen) -> Asked {
        Asked {
            id: self.id(),
            key: seen.rig.to_string(),
            nonce: hex(&seen.nonce),
            mac: hex(&self.proof("rig", seen, b"").finalize().into_bytes()),
        }
    }

    /// Whether who asked knows the code and saw the same two keys.
    #[must_use]
    pub fn is_proved(&self, seen: &Seen, asked: &Asked) -> bool {
        let mac = unhex::<32>(&asked.mac);
        mac.is_some_and(|mac| self.proof("rig", seen, b"").verify_slice(&mac).is_ok())
    }

    /// What a ledger answers with.
    #[must_use]
    pub fn answer(&self, seen: &Seen, body: &Admission) -> Answered {
        let body = serde_json::to_string(body).expect("texts and numbers are JSON");
        let mac = self.proof("ledger", seen, body.as_bytes());
        Answered {
            mac: hex(&mac.finalize().into_bytes()),
            body,
        }
    }

    /// What was answered, if who answered knows the code, saw the same two keys and said exactly this.
    #[must_use]
    pub fn open(&self, seen: &Seen, answered: &Answered) -> Option<Admission> {
        let mac = unhex::<32>(&answered.mac)?;
        let body = answered.body.as_bytes();
        self.proof("ledger", seen, body).verify_slice(&mac).ok()?;
        if body.len() > ENROL_BODY_BYTES_MAX {
            return None;
        }
        let admission: Admission = serde_json::from_slice(body).ok()?;
        (admission.regions.len() <= ENROL_REGIONS_MAX).then_some(admission)
    }
}

fn word(number: usize) -> String {
    let syllable = |bits: usize| [CONSONANTS[bits >> 2 & 15], VOWELS[bits & 3]];
    let letters = [syllable(number >> 6), syllable(number)].concat();
    letters.into_iter().map(char::from).collect()
}

fn number(word: &str) -> Option<usize> {
    let letters = word.as_bytes();
    let at = |list: &[u8], index: usize| {
        let letter = letters.get(index)?.to_ascii_lowercase();
        list.iter().position(|known| *known == letter)
    };
    let syllable = |from| Some(at(CONSONANTS, from)? << 2 | at(VOWELS, from + 1)?);
    (letters.len() == 4).then_some(())?;
    Some(syllable(0)? << 6 | syllable(2)?)
}

/// Exactly so many bytes in hexadecimal digits.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// The two ends of a connection as one of them sees it, and what makes this time different.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The rig's key.
    pub rig: IdKey,
    /// The ledger's key.
    pub ledger: IdKey,
    /// Drawn by the rig.
    pub nonce: [u8; 16],
}

impl Seen {
    /// What a ledger with this key saw, of a caller that proved to hold `caller`; `None` when it claims
    /// another key.
    #[must_use]
    pub fn at_ledger(ledger: IdKey, caller: IdKey, asked: &Asked) -> Option<Self> {
        (IdKey::parse(&asked.key)? == caller).then_some(())?;
        Some(Self {
            rig: caller,
            ledger,
            nonce: unhex(&asked.nonce)?,
        })
    }
}

/// The body of `POST /v1/enrol`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Which code.
    pub id: String,
    /// The rig's key.
    pub key: String,
    /// 16 bytes in hexadecimal digits.
    pub nonce: String,
    /// Proof of the code.
    pub mac: String,
}

/// What it is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// An [`Admission`] as JSON, the exact bytes that are proved.
    pub body: String,
    /// Proof of the code.
    pub mac: String,
}

/// What a new member is told, and keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// The signed membership.
    pub membership: String,
    /// The public key that signed it: the organisation's.
    pub org_key: String,
    /// Addresses of the regions that other machines reach.
    pub regions: Vec<String>,
    /// The port of a region on the ledger's own machine, if it has one that other machines reach.
    pub region_port: Option<u16>,
    /// From which pseudonyms and references are keyed, 64 hexadecimal digits.
    pub pseudonym_key: String,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admission({:?}, [key])", self.membership)
    }
}

/// Signs a membership with the organisation's key.
#[must_use]
pub fn sign(membership: &Membership, key: &NoteKey) -> String {
    key.sign(&membership.text())
}

/// Reads a membership that the organisation's key signed; `None` for anything else.
#[must_use]
pub fn verified(note: &str, key: &PublicKey) -> Option<Membership> {
    Membership::parse(key.open(note).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> EnrolCode {
        EnrolCode::new(*b"\x00\x01\x02\xfd\xfe\xff\x10\x20\x30\x40\x50")
    }

    fn seen() -> Seen {
        Seen {
            rig: IdKey([1; 32]),
            ledger: IdKey([2; 32]),
            nonce: [3; 16],
        }
    }

    fn admission() -> Admission {
        Admission {
            membership: "m".into(),
            org_key: "k".into(),
            regions: vec!["https://r".into()],
            region_port: None,
            pseudonym_key: "07".repeat(32),
        }
    }

    #[test]
    fn a_code_is_eight_words_and_reads_back_however_it_is_typed() {
        for fill in [0, 0x5a, 0xff] {
            let code = EnrolCode::new([fill; 11]);
            assert_eq!(EnrolCode::parse(&code.words()), Some(code));
        }
        let words = code().words();
        assert_eq!(words, "baba dabo zulu vuzu dabo basa hadi bofi");
        let shouted = format!("  {}\n", words.to_uppercase().replace(' ', "-"));
        assert_eq!(EnrolCode::parse(&shouted), Some(code()));
        assert!(!format!("{:?}", code()).contains("zulu"));
    }

    #[test]
    fn a_mistyped_word_is_seen() {
        let words = code().words();
        let (first, rest) = words.split_once(' ').unwrap();
        assert_eq!(EnrolCode::parse(rest), None, "seven words");
        assert_eq!(EnrolCode::parse(&format!("{words} baba")), None);
        assert_eq!(EnrolCode::parse(&format!("bax {rest}")), None);
        assert_eq!(EnrolCode::parse(&format!("{first}ba {rest}")), None);
        let slips = (0..4096).filter(|slip| {
            let typed = format!("{} {rest}", word(*slip));
            word(*slip) != first && EnrolCode::parse(&typed).is_some()
        });
        // One check byte: one slip in 256 passes, and then fails at the ledger.
        assert!(slips.count() < 40);
    }

    #[test]
    fn the_words_do_not_show_in_what_is_sent() {
        let asked = code().ask(&seen());
        let sent = serde_json::to_string(&asked).unwrap();
        assert!(!sent.contains(&hex(&code().0)));
        assert!(code().is_proved(&seen(), &asked));
        let other = EnrolCode::new([9; 11]);
        assert_ne!(other.id(), asked.id);
        assert!(!other.is_proved(&seen(), &asked));
    }

    #[test]
    fn no_proof_passes_between_other_keys() {
        let asked = code().ask(&seen());
        let answered = code().answer(&seen(), &admission());
        assert_eq!(code().open(&seen(), &answered), Some(admission()));
        let between = IdKey([9; 32]);
        for other in [
            Seen {
                rig: between,
                ..seen()
            },
            Seen {
                ledger: between,
                ..seen()
            },
            Seen {
                nonce: [4; 16],
                ..seen()
            },
        ] {
            assert!(!code().is_proved(&other, &asked));
            assert_eq!(code().open(&other, &answered), None);
        }
        // One end's proof is not the other's.
        let echoed = Answered {
            body: String::new(),
            mac: asked.mac.clone(),
        };
        assert_eq!(code().open(&seen(), &echoed), None);
        let mut changed = answered;
        changed.body = changed.body.replace("https://r", "https://x");
        assert_eq!(code().open(&seen(), &changed), None);
    }

    #[test]
    fn a_ledger_takes_only_the_key_it_was_shown() {
        let asked = code().ask(&seen());
        let at = |caller| Seen::at_ledger(seen().ledger, caller, &asked);
        assert_eq!(at(seen().rig), Some(seen()));
        assert_eq!(at(IdKey([9; 32])), None);
    }

    #[test]
    fn only_the_organisations_signature_makes_a_member() {
        let key = NoteKey::new("acme.org.popwatch", &[5; 32]);
        let membership = Membership {
            org: "acme".into(),
            rig: popwatch_core::id::RigId::new("till-1").unwrap(),
            key: IdKey([1; 32]),
            kind: popwatch_core::membership::MemberKind::Rig,
            not_after_ms: None,
            popups: Vec::new(),
        };
        let note = sign(&membership, &key);
        assert_eq!(verified(&note, &key.public()), Some(membership));
        let other = NoteKey::new("acme.org.popwatch", &[6; 32]);
        assert_eq!(verified(&note, &other.public()), None);
        let edited = note.replace("till-1", "till-2");
        assert_eq!(verified(&edited, &key.public()), None);
    }
}
