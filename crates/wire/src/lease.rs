//! Keys that the ledger lends to an enrolled rig, and the word that they are no more.

use popwatch_core::base64::{base64, from_base64};
use popwatch_core::policy::retention::KeyClass;
use popwatch_redact::seal::{ClassKey, KeyId};
use serde::{Deserialize, Serialize};

use crate::keyring::Destroyed;

/// Ends that one request tells of, at most.
const ENDS_MAX: usize = 64;

/// What a rig asks: keys of a popup, and which of those it had it destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    destroyed: Vec<End>,
    /// Whether events came since the last time: where no policy says when a popup ends, its keys live on.
    #[serde(default)]
    pub used: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    class: String,
    key_id: String,
    at_ms: i64,
}

/// What the ledger answers.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lent {
    keys: Vec<Loan>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.keys.len())
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Loan {
    class: String,
    key: String,
    not_after_ms: i64,
}

impl Asked {
    /// Asks, and tells what was destroyed.
    #[must_use]
    pub fn new(destroyed: &[Destroyed], used: bool) -> Self {
        let ends = destroyed.iter().take(ENDS_MAX).map(|one| End {
            class: one.class.text().to_owned(),
            key_id: one.id.to_string(),
            at_ms: one.at_ms,
        });
        Self {
            destroyed: ends.collect(),
            used,
        }
    }

    /// What was destroyed; `None` for what cannot be read.
    #[must_use]
    pub fn destroyed(&self) -> Option<Vec<Destroyed>> {
        let ends = self.destroyed.iter().take(ENDS_MAX).map(|end| {
            Some(Destroyed {
                class: KeyClass::parse(&end.class)?,
                id: KeyId::parse(&end.key_id)?,
                at_ms: end.at_ms,
            })
        });
        ends.collect()
    }
}

impl Lent {
    /// Lends one more key until a moment, ms since 1970.
    pub fn put(&mut self, class: KeyClass, key: &ClassKey, not_after_ms: i64) {
        self.keys.push(Loan {
            class: class.text().to_owned(),
            key: base64(key.secret()),
            not_after_ms,
        });
    }

    /// The keys; `None` for what cannot be read.
    #[must_use]
    pub fn keys(&self) -> Option<Vec<(KeyClass, ClassKey, i64)>> {
        let keys = self.keys.iter().map(|loan| {
            let secret = from_base64(&loan.key)?.try_into().ok()?;
            let class = KeyClass::parse(&loan.class)?;
            Some((class, ClassKey::new(secret), loan.not_after_ms))
        });
        keys.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_and_told_arrives_as_it_was() {
        let mut lent = Lent::default();
        let key = ClassKey::new([7; 32]);
        lent.put(KeyClass::Contact, &key, 9);
        let bytes = serde_json::to_vec(&lent).unwrap();
        let back: Lent = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back.keys(), Some(vec![(KeyClass::Contact, key.clone(), 9)]));
        assert!(!format!("{lent:?}").contains("Bw"));
        let gone = Destroyed {
            class: KeyClass::Raw,
            id: key.id(),
            at_ms: 3,
        };
        let bytes = serde_json::to_vec(&Asked::new(&[gone], true)).unwrap();
        let back: Asked = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((back.destroyed(), back.used), (Some(vec![gone]), true));
        let wrong = br#"{"destroyed":[{"class":"raw","key_id":"7","at_ms":1}]}"#;
        let wrong: Asked = serde_json::from_slice(wrong).unwrap();
        assert_eq!(wrong.destroyed(), None);
    }
}
