//! What the peers tell: the way to each, who answers there, the time, the versions; the rigs and the page.

use std::net::IpAddr;

use popwatch_core::limits::{PREFLIGHT_CLOCK_EXCHANGES, PREFLIGHT_PROBES, PREFLIGHT_UP_BYTES};
use popwatch_core::preflight::{
    self, Check, ClockCheck, Echo, Finding, PageCheck, PeerNet, PeerTls, Pin, RigsCheck,
};

use super::{Peer, Site, authority};
use crate::client::ClientFault;

/// A peer that let this many probes go by in a row is away.
const MISSED_MAX: u32 = 3;

/// Everything that was measured of the ways.
#[derive(Debug, Default)]
pub(super) struct Ways(Vec<Way>);

#[derive(Debug)]
struct Way {
    net: PeerNet,
    echo: Echo,
    pin: Pin,
    version: Option<String>,
    is_ledger: bool,
    /// Round trip and the rig's clock minus the peer's, µs each.
    times: Vec<(u64, i64)>,
}

impl Ways {
    pub(super) fn nets(&self) -> Vec<PeerNet> {
        self.0.iter().map(|way| way.net.clone()).collect()
    }

    pub(super) fn echoes(&self) -> Vec<(String, Echo)> {
        let of = |way: &Way| (way.net.peer.clone(), way.echo);
        self.0.iter().map(of).collect()
    }

    pub(super) fn pins(&self) -> Vec<PeerTls> {
        let of = |way: &Way| PeerTls {
            peer: way.net.peer.clone(),
            pin: way.pin,
        };
        self.0.iter().map(of).collect()
    }

    /// Peers that run another version than this one.
    fn differing(&self) -> Vec<String> {
        let other = |way: &&Way| {
            let version = way.version.as_deref();
            version.is_some_and(|version| version != env!("CARGO_PKG_VERSION"))
        };
        let others = self.0.iter().filter(other);
        others.map(|way| way.net.peer.clone()).collect()
    }
}

/// What came back for one probe.
enum Heard {
    /// Our word: the peer's time, µs since 1970, and version.
    Word(i64, String),
    /// Something else.
    Other,
    /// Another key.
    Stranger,
    /// Nothing.
    Nothing,
}

impl Site {
    /// The way to each peer.
    pub(super) async fn ways(&self) -> Ways {
        let mut ways = Ways::default();
        for peer in &self.peers {
            ways.0.push(self.way(peer).await);
        }
        ways
    }

    async fn way(&self, peer: &Peer) -> Way {
        let mut way = Way {
            net: PeerNet {
                peer: peer.name.clone(),
                sent: 0,
                answered: 0,
                p95_us: 0,
                up: None,
                expected: self.expected_up(),
            },
            echo: Echo::Silent,
            pin: Pin::Silent,
            version: None,
            is_ledger: self.ledger.as_ref() == Some(&peer.url),
            times: Vec::new(),
        };
        let mut missed = 0;
        while way.net.sent < PREFLIGHT_PROBES && missed < MISSED_MAX {
            way.net.sent += 1;
            let wall_us = self.ambient.wall_us();
            let before = self.ambient.mono_ns();
            let heard = self.probe(&peer.url).await;
            let trip_us = self.ambient.mono_ns().saturating_sub(before) / 1_000;
            missed += 1;
            match heard {
                Heard::Word(peer_us, version) => {
                    missed = 0;
                    let half = i64::try_from(trip_us / 2).unwrap_or(i64::MAX);
                    let apart_us = wall_us.saturating_add(half).saturating_sub(peer_us);
                    way.times.push((trip_us, apart_us));
                    way.version = Some(version);
                    way.echo = Echo::Same;
                    way.pin = pin(&peer.url);
                }
                Heard::Other => way.echo = Echo::Other,
                Heard::Stranger => way.pin = Pin::Stranger,
                Heard::Nothing => {}
            }
        }
        way.times.sort_unstable();
        let answered = way.times.len();
        way.net.answered = u32::try_from(answered).unwrap_or(u32::MAX);
        let at = (answered * 95).div_ceil(100).max(1) - 1;
        way.net.p95_us = way.times.get(at).map_or(0, |(trip_us, _)| *trip_us);
        if answered > 0 {
            way.net.up = self.up(&peer.url).await;
        }
        way
    }

    /// Sends a random word and looks at what comes back.
    async fn probe(&self, url: &str) -> Heard {
        let word: [u8; 16] = self.ambient.random();
        let word = popwatch_core::ledger::hex(&word);
        let asked = self
            .client
            .get(&format!("{url}/healthz?n={word}"), &[])
            .await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(ClientFault::Stranger { .. }) => return Heard::Stranger,
            Err(_) => return Heard::Nothing,
        };
        let text = String::from_utf8_lossy(&answer.body);
        let mut lines = text.lines().skip(1);
        let said = (lines.next(), lines.next(), lines.next());
        match said {
            (Some(back), Some(wall_us), Some(version)) if back == word => match wall_us.parse() {
                Ok(wall_us) => Heard::Word(wall_us, version.to_owned()),
                Err(_) => Heard::Other,
            },
            _ => Heard::Other,
        }
    }

    /// How fast a megabyte goes up, bytes a second.
    async fn up(&self, url: &str) -> Option<u64> {
        let headers = [("content-type", "application/octet-stream")];
        let body = vec![0; PREFLIGHT_UP_BYTES];
        let before = self.ambient.mono_ns();
        let answer = self
            .client
            .post(&format!("{url}/healthz"), &headers, body)
            .await;
        let took_ns = self.ambient.mono_ns().saturating_sub(before).max(1);
        let is_taken = answer.is_ok_and(|answer| answer.is_success());
        let bits = PREFLIGHT_UP_BYTES as u64 * 1_000_000_000;
        is_taken.then_some(bits / took_ns)
    }

    /// The clock against the ledger's, else any peer's: the exchange with the shortest way counts.
    pub(super) async fn clock(&self, ways: &Ways) -> Finding {
        let mut told = ways.0.iter().filter(|way| !way.times.is_empty());
        let ledger = ways
            .0
            .iter()
            .find(|way| way.is_ledger && !way.times.is_empty());
        let best = ledger.or_else(|| told.next()).map(|way| &way.times);
        let newest_ms = match &self.edge {
            Some(edge) => self.json(&format!("{edge}/v1/status")).await,
            None => None,
        };
        let newest_ms = newest_ms.and_then(|status| status["last_sale_ms"].as_i64());
        let mut check = ClockCheck {
            past_mark_ms: newest_ms.map(|mark| self.ambient.wall_ms().saturating_sub(mark)),
            ..ClockCheck::default()
        };
        if let Some(times) = best
            && let Some((trip_us, apart_us)) = times.first()
        {
            check.error_ms = Some(apart_us / 1_000);
            check.within_ms = u32::try_from(trip_us / 2_000)
                .unwrap_or(u32::MAX)
                .saturating_add(1);
            check.exchanges = times.len();
        }
        if check.error_ms.is_some() && check.exchanges < PREFLIGHT_CLOCK_EXCHANGES {
            check.error_ms = None;
        }
        preflight::clock(&check)
    }

    /// The rigs that the centre knows: those enrolled, and those that sold for this popup.
    pub(super) async fn rigs(&self, ways: &Ways) -> Finding {
        let mut known = std::collections::BTreeSet::new();
        let mut check = RigsCheck {
            differing: ways.differing(),
            ..RigsCheck::default()
        };
        let mut heard = std::collections::BTreeSet::new();
        if let Some(ledger) = &self.ledger
            && let Some(register) = self.json(&format!("{ledger}/v1/rigs")).await
        {
            let rows = register["rigs"].as_array().into_iter().flatten();
            let active = rows.filter(|row| row["revoked_ms"].is_null() && row["kind"] != "region");
            known.extend(active.filter_map(|row| row["rig"].as_str().map(str::to_owned)));
        }
        let popup = self.asked.popup.as_deref();
        if let (Some(region), Some(popup)) = (self.regions.first(), popup)
            && let Some(view) = self.json(&format!("{region}/v1/popups/{popup}/rigs")).await
        {
            for row in view["rigs"].as_array().into_iter().flatten() {
                let Some(rig) = row["rig"].as_str() else {
                    continue;
                };
                known.insert(rig.to_owned());
                let states = row["states"].as_array().into_iter().flatten();
                let states: Vec<_> = states.filter_map(|state| state.as_str()).collect();
                if states.contains(&"fork") {
                    check.forked.push(rig.to_owned());
                }
                if row["state"] != "silent" && !states.contains(&"silent") {
                    heard.insert(rig.to_owned());
                }
            }
        }
        if let Some(edge) = &self.edge
            && let Some(status) = self.json(&format!("{edge}/v1/status")).await
            && let Some(own) = status["rig"].as_str()
        {
            known.insert(own.to_owned());
            heard.insert(own.to_owned());
        }
        check.known = known.len();
        check.silent = known.difference(&heard).cloned().collect();
        match (&self.ledger, self.regions.first()) {
            (None, None) => Finding::not_checked(
                Check::Rigs,
                "no peer is configured, so other rigs are unknown",
                "name the region and the ledger in the configuration",
            ),
            (Some(_), _) | (_, Some(_)) => preflight::rigs(&check),
        }
    }

    /// Whether the rig's page answers, and to whom.
    pub(super) async fn page(&self) -> Finding {
        let (Some(edge), Some(config)) = (&self.edge, &self.asked.config.edge) else {
            let todo = "run this on a rig, with its --config or --data";
            return Finding::not_checked(Check::Page, "no edge is configured here", todo);
        };
        let answer = self.client.get(&format!("{edge}/"), &[]).await;
        preflight::page(&PageCheck {
            answers: answer.is_ok_and(|answer| answer.is_success()),
            local_only: config.listen.ip().to_canonical().is_loopback(),
            phone_ms: None,
        })
    }
}

/// Who a plain or keyed address lets answer, once somebody did.
fn pin(url: &str) -> Pin {
    if url.starts_with("https://") {
        return Pin::Right;
    }
    let host = authority(url);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || address.is_some_and(|ip| ip.to_canonical().is_loopback());
    match is_here {
        true => Pin::Here,
        false => Pin::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_who_may_answer() {
        assert_eq!(pin("https://aa@10.0.0.2:8730"), Pin::Right);
        assert_eq!(pin("http://10.0.0.2:8730"), Pin::Plain);
        assert_eq!(pin("http://127.0.0.1:8730"), Pin::Here);
        assert_eq!(pin("http://[::1]:8730"), Pin::Here);
        assert_eq!(pin("http://localhost:8730"), Pin::Here);
        assert_eq!(authority("https://aa@10.0.0.2:8730"), "10.0.0.2:8730");
    }
}
