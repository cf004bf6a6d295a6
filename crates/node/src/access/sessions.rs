//! Sessions of browsers: a pass that came once and is looked at anew with each request.

use std::collections::BTreeMap;

use popwatch_core::access::raw::Mfa;
use popwatch_core::limits::SESSIONS_MAX;

/// The sessions, by the hash of their names: what is stored lets nobody in.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<[u8; 32], Session>);

/// One session.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) pass: String,
    /// When, by the steady clock, and how the second factor was shown.
    factor: Option<(u64, &'static str)>,
    began_ns: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub(super) fn new(pass: String, mfa: Option<Mfa>, now_ns: u64) -> Self {
        Self {
            pass,
            factor: mfa.map(|mfa| (now_ns, mfa.kind)),
            began_ns: now_ns,
        }
    }

    /// The second factor as old as it is now.
    pub(super) fn mfa(&self, now_ns: u64) -> Option<Mfa> {
        self.factor.map(|(at_ns, kind)| Mfa {
            kind,
            age_ms: now_ns.saturating_sub(at_ns) / 1_000_000,
        })
    }
}

fn key(name: &str) -> [u8; 32] {
    *blake3::hash(name.as_bytes()).as_bytes()
}

impl Sessions {
    /// Adds one; beyond the bound the oldest ends.
    pub(super) fn begin(&mut self, name: &str, session: Session) {
        if self.0.len() >= SESSIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, session)| session.began_ns);
            if let Some(oldest) = oldest.map(|(name, _)| *name) {
                self.0.remove(&oldest);
            }
        }
        drop(self.0.insert(key(name), session));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Session> {
        self.0.get(&key(name))
    }

    pub(super) fn step_up(&mut self, name: &str, mfa: Mfa, now_ns: u64) {
        if let Some(session) = self.0.get_mut(&key(name)) {
            session.factor = Some((now_ns, mfa.kind));
        }
    }

    pub(super) fn end(&mut self, name: &str) {
        drop(self.0.remove(&key(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_session_ends_when_there_are_too_many() {
        let mut sessions = Sessions::default();
        for number in 0..=SESSIONS_MAX {
            let session = Session::new("pw1.x".into(), None, number as u64);
            sessions.begin(&number.to_string(), session);
        }
        assert!(sessions.get("0").is_none() && sessions.get("1").is_some());
        let mfa = Mfa {
            kind: "totp",
            age_ms: 0,
        };
        sessions.step_up("1", mfa, 5_000_000);
        let found = sessions.get("1").unwrap().mfa(9_000_000).unwrap();
        assert_eq!(found.age_ms, 4);
        sessions.end("1");
        assert!(sessions.get("1").is_none());
    }
}
