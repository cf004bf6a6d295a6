//! The keys of one popup as a machine keeps them, and what they are worth at a moment.
//!
//! ```text
//! "PWKR" | u8 1 | i64le high mark | i64le last use | u8 n | n × entry | 8 bytes of BLAKE3 over all before
//! entry  = u8 class | u8 state | key id [16] | secret [32], zeros once destroyed | i64le moment | u8 told
//! ```
//!
//! What always holds: a key that was destroyed is never alive again unless whoever lent it lends it anew, and
//! its bytes are zeros in every form made afterwards. The moment is until when a living key lives, or when it was destroyed.

use popwatch_core::policy::retention::KeyClass;
use popwatch_redact::seal::{ClassKey, KeyId, PopupKeys};
use zeroize::Zeroizing;

const MAGIC: &[u8; 4] = b"PWKR";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 22;
const ENTRY_BYTES: usize = 59;
const CHECK_BYTES: usize = 8;
/// Keys of one popup that are remembered, living and destroyed. Beyond: the one destroyed first is forgotten.
pub const RING_KEYS_MAX: usize = 32;

/// A key, alive or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it is for.
    pub class: KeyClass,
    /// Its name, which outlives it.
    pub id: KeyId,
    /// The key while it lives.
    key: Option<ClassKey>,
    /// Until when it lives, or when it was destroyed; ms since 1970.
    pub at_ms: i64,
    /// Whether its end was told to whoever lent it.
    told: bool,
}

impl Kept {
    /// Whether it opens anything.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.key.is_some()
    }
}

/// A key that is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// What it was for.
    pub class: KeyClass,
    /// Its name.
    pub id: KeyId,
    /// When, ms since 1970.
    pub at_ms: i64,
}

/// The keys of one popup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ring {
    keys: Vec<Kept>,
    /// The latest moment that this machine knows to have been, ms since 1970.
    pub high_ms: i64,
    /// When an event was taken last, to the hour; of keys that are lent, when they came. Ms since 1970.
    pub used_ms: i64,
}

impl Ring {
    /// All keys, in the order in which they came.
    #[must_use]
    pub fn keys(&self) -> &[Kept] {
        &self.keys
    }

    /// The living key of a class.
    #[must_use]
    pub fn alive(&self, class: KeyClass) -> Option<&ClassKey> {
        let mut keys = self.keys.iter().filter(|kept| kept.class == class);
        keys.find_map(|kept| kept.key.as_ref())
    }

    /// Whether a class ever had a key.
    #[must_use]
    pub fn had(&self, class: KeyClass) -> bool {
        self.keys.iter().any(|kept| kept.class == class)
    }

    /// A key by its name: itself, or when it was destroyed.
    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<Result<&ClassKey, i64>> {
        let kept = self.keys.iter().find(|kept| kept.id == id)?;
        Some(kept.key.as_ref().ok_or(kept.at_ms))
    }

    /// Takes a key, or another end for one that is held. A destroyed one stays so.
    pub fn put(&mut self, class: KeyClass, key: ClassKey, not_after_ms: i64) {
        let id = key.id();
        if let Some(held) = self.keys.iter_mut().find(|kept| kept.id == id) {
            if held.is_alive() {
                held.at_ms = not_after_ms;
            }
            return;
        }
        if self.keys.len() >= RING_KEYS_MAX
            && let Some(first) = self.keys.iter().position(|kept| !kept.is_alive())
        {
            self.keys.remove(first);
        }
        self.keys.push(Kept {
            class,
            id,
            key: Some(key),
            at_ms: not_after_ms,
            told: false,
        });
    }

    /// Takes a key that is lent: one whose lease was over may be lent again.
    pub fn borrow(&mut self, class: KeyClass, key: ClassKey, not_after_ms: i64) {
        let id = key.id();
        self.keys.retain(|kept| kept.is_alive() || kept.id != id);
        self.put(class, key, not_after_ms);
    }

    /// Says anew until when the keys live.
    pub fn end(&mut self, not_after_ms: impl Fn(&Kept) -> i64) {
        for kept in self.keys.iter_mut().filter(|kept| kept.is_alive()) {
            kept.at_ms = not_after_ms(kept);
        }
    }

    /// Destroys what has reached its end.
    pub fn destroy_due(&mut self, now_ms: i64) -> Vec<Destroyed> {
        self.destroy(now_ms, |kept| now_ms >= kept.at_ms)
    }

    /// Destroys all keys that are not named: whoever lent them lends others now.
    pub fn destroy_others(&mut self, stay: &[KeyId], now_ms: i64) -> Vec<Destroyed> {
        self.destroy(now_ms, |kept| !stay.contains(&kept.id))
    }

    fn destroy(&mut self, now_ms: i64, is_over: impl Fn(&Kept) -> bool) -> Vec<Destroyed> {
        let mut destroyed = Vec::new();
        for kept in self.keys.iter_mut() {
            if kept.is_alive() && is_over(kept) {
                kept.key = None;
                kept.at_ms = now_ms;
                destroyed.push(Destroyed {
                    class: kept.class,
                    id: kept.id,
                    at_ms: now_ms,
                });
            }
        }
        destroyed
    }

    /// Keys whose end was not told yet.
    #[must_use]
    pub fn untold(&self) -> Vec<Destroyed> {
        let keys = self
            .keys
            .iter()
            .filter(|kept| !kept.is_alive() && !kept.told);
        let ends = keys.map(|kept| Destroyed {
            class: kept.class,
            id: kept.id,
            at_ms: kept.at_ms,
        });
        ends.collect()
    }

    /// The ends of these keys were told.
    pub fn tell(&mut self, told: &[Destroyed]) {
        for kept in self.keys.iter_mut().filter(|kept| !kept.is_alive()) {
            kept.told |= told.iter().any(|one| one.id == kept.id);
        }
    }

    /// The keys for the door: what is due counts no more.
    #[must_use]
    pub fn for_door(&self) -> PopupKeys {
        let parts = KeyClass::ALL.iter().filter_map(|class| {
            let part = class.part()?;
            Some((part, self.alive(*class)?.clone()))
        });
        PopupKeys {
            pseudonym: self
                .alive(KeyClass::Pseudonym)
                .map(ClassKey::for_pseudonyms),
            parts: parts.collect(),
        }
    }

    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let length = HEAD_BYTES + self.keys.len() * ENTRY_BYTES + CHECK_BYTES;
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.high_ms.to_le_bytes());
        out.extend_from_slice(&self.used_ms.to_le_bytes());
        out.push(u8::try_from(self.keys.len()).expect("a ring is bounded"));
        for kept in &self.keys {
            out.push(number(kept.class));
            out.push(u8::from(kept.is_alive()));
            out.extend_from_slice(&kept.id.0);
            out.extend_from_slice(kept.key.as_ref().map_or(&[0; 32], |key| key.secret()));
            out.extend_from_slice(&kept.at_ms.to_le_bytes());
            out.push(u8::from(kept.told));
        }
        let check = blake3::hash(&out);
        out.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
        out
    }

    /// Reads what was kept; `None` for what no ring is.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        if blake3::hash(body).as_bytes()[..CHECK_BYTES] != *check {
            return None;
        }
        let (head, entries) = body.split_at_checked(HEAD_BYTES)?;
        let count = usize::from(head[21]);
        let is_ring = head[..4] == *MAGIC && head[4] == VERSION;
        if !is_ring || count > RING_KEYS_MAX || entries.len() != count * ENTRY_BYTES {
            return None;
        }
        let moment = |bytes: &[u8]| Some(i64::from_le_bytes(bytes.try_into().ok()?));
        let keys = entries.chunks_exact(ENTRY_BYTES).map(|entry| {
            let mut classes = KeyClass::ALL.iter();
            let secret: [u8; 32] = entry[18..50].try_into().ok()?;
            let key = (entry[1] == 1).then(|| ClassKey::new(secret));
            let id = KeyId(entry[2..18].try_into().ok()?);
            let is_own = key.as_ref().is_none_or(|key| key.id() == id);
            is_own.then_some(Kept {
                class: *classes.find(|class| number(**class) == entry[0])?,
                id,
                key,
                at_ms: moment(&entry[50..58])?,
                told: entry[58] == 1,
            })
        });
        Some(Self {
            high_ms: moment(&head[5..13])?,
            used_ms: moment(&head[13..21])?,
            keys: keys.collect::<Option<_>>()?,
        })
    }
}

const fn number(class: KeyClass) -> u8 {
    match class {
        KeyClass::Raw => 1,
        KeyClass::Contact => 2,
        KeyClass::Freetext => 3,
        KeyClass::Pseudonym => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring() -> Ring {
        let mut ring = Ring {
            high_ms: 5,
            used_ms: 4,
            ..Ring::default()
        };
        for (byte, class) in (1..).zip(KeyClass::ALL) {
            ring.put(*class, ClassKey::new([byte; 32]), i64::from(byte) * 100);
        }
        ring
    }

    #[test]
    fn what_is_destroyed_leaves_its_name_and_no_byte() {
        let mut ring = ring();
        let gone = ring.destroy_due(200);
        let classes: Vec<KeyClass> = gone.iter().map(|one| one.class).collect();
        assert_eq!(classes, [KeyClass::Raw, KeyClass::Contact]);
        assert_eq!(ring.untold(), gone);
        assert_eq!(ring.find(gone[0].id), Some(Err(200)));
        let bytes = ring.encode();
        for secret in [[1; 32], [2; 32]] {
            assert!(!bytes.windows(32).any(|part| part == secret));
        }
        assert!(bytes.windows(32).any(|part| part == [3; 32]));
        let mut back = Ring::decode(&bytes).unwrap();
        assert_eq!(back, ring);
        // Brought again, it stays what it is.
        back.put(KeyClass::Raw, ClassKey::new([1; 32]), 900);
        assert_eq!(back, ring);
        assert!(back.alive(KeyClass::Raw).is_none() && back.had(KeyClass::Raw));
        back.tell(&gone[..1]);
        assert_eq!(back.untold(), gone[1..]);
        let mut lent = back.clone();
        lent.borrow(KeyClass::Raw, ClassKey::new([1; 32]), 900);
        assert!(lent.alive(KeyClass::Raw).is_some() && lent.untold() == gone[1..]);
        assert_eq!(back.for_door().parts.len(), 1);
        assert!(back.for_door().pseudonym.is_some());
    }

    #[test]
    fn a_ring_forgets_only_what_was_destroyed_first() {
        let mut ring = Ring::default();
        for at in 0..100u8 {
            ring.put(KeyClass::Freetext, ClassKey::new([at; 32]), i64::from(at));
            ring.destroy_due(i64::from(at));
        }
        ring.put(KeyClass::Freetext, ClassKey::new([200; 32]), 1_000);
        assert_eq!(ring.keys().len(), RING_KEYS_MAX);
        assert!(ring.alive(KeyClass::Freetext).is_some());
        assert!(ring.find(ClassKey::new([99; 32]).id()).is_some());
        assert!(ring.find(ClassKey::new([0; 32]).id()).is_none());
        assert!(ring.encode().len() <= 4_096);
    }

    proptest! {
        #[test]
        fn no_flipped_bit_is_a_ring(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = ring().encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Ring::decode(&bytes), None);
        }

        #[test]
        fn noise_is_no_ring(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(Ring::decode(&bytes), None);
        }
    }
}
