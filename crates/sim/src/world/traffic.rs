//! What travels: machines polled, bodies carried, answers brought back, time moved from one moment to
//! the next. As the node's drivers do it, on virtual time.

use popwatch_core::clock::Exchange;
use popwatch_core::invariant::Law;
use popwatch_core::lane::{CellAck, CellBatch, PeerFault, RecordAck, RecordBatch};
use popwatch_core::role::edge::{Input, Output, TimeOf};
use popwatch_wire::lanes::{self, LaneBody};
use prost::Message;

use super::{MOMENTS_MAX, World};
use crate::check::{Checked, Finding};
use crate::net::{Line, Parcel, Peer};
use crate::rig::Rig;
use crate::saboteur::Saboteur;

impl World {
    /// Lets everything happen that is due now.
    pub(super) fn pump(&mut self) -> Checked {
        for _ in 0..MOMENTS_MAX {
            let mut moved = false;
            while let Some(parcel) = self.net.arrived(self.now_ms) {
                self.deliver(parcel)?;
                moved = true;
            }
            for rig in 0..self.rigs.len() {
                let sealed = self.rigs[rig].seal_if_due(self.now_ms);
                if !sealed.is_empty() {
                    self.commit(rig, sealed, true);
                }
                let live = self.rigs[rig].live.as_ref();
                if live.is_some_and(|live| live.look_at_ms <= self.now_ms) {
                    self.trim(rig);
                }
                moved |= self.poll(rig)?;
            }
            if !moved {
                return Ok(());
            }
        }
        Err(Finding::of(
            Law::L11,
            "L11: the world does not come to rest".into(),
        ))
    }

    fn poll(&mut self, rig: usize) -> Result<bool, Finding> {
        let now = self.rigs[rig].now(self.now_ms);
        let mut moved = false;
        while let Some(output) = self.rigs[rig]
            .live
            .as_mut()
            .and_then(|live| live.edge.poll(now))
        {
            moved = true;
            match output {
                Output::Load(want) => self.rigs[rig].load(want, now),
                Output::Reread(ask) => self.rigs[rig].reread(ask, now),
                Output::Records(mut batch) => {
                    batch.sent_mono_ns = now.mono.0 * 1_000_000;
                    self.send((rig, Peer::Ledger), &batch)?;
                }
                Output::Cells(_, mut batch) => {
                    batch.sent_mono_ns = now.mono.0 * 1_000_000;
                    self.send((rig, Peer::Region), &batch)?;
                }
                Output::Fork(next_epoch) => {
                    if let Some(heard) = self.rigs[rig].fork(next_epoch, self.now_ms) {
                        self.commit(rig, heard, true);
                    }
                }
                Output::Note(events) => {
                    if let Some(heard) = self.rigs[rig].note(events, self.now_ms) {
                        self.commit(rig, heard, true);
                    }
                }
                // No rig of the simulated world has a host to look at.
                Output::Seal => {}
                Output::PeerKnows(epoch, seq) => {
                    let sealed = self.rigs[rig].peer_knows((epoch, seq), self.now_ms, now);
                    if !sealed.is_empty() {
                        self.commit(rig, sealed, true);
                    }
                }
            }
        }
        Ok(moved)
    }

    fn send<M: LaneBody + Message>(&mut self, line: Line, batch: &M) -> Checked {
        let body = self.encoded("a body", batch)?;
        self.net.ask(line, body, self.now_ms);
        Ok(())
    }

    fn encoded<M: LaneBody + Message>(
        &mut self,
        what: &str,
        message: &M,
    ) -> Result<Vec<u8>, Finding> {
        self.look(what, &message.encode_to_vec())?;
        let body = lanes::encode(message).map_err(|fault| {
            Finding::of(Law::L11, format!("L11: {what} passes a bound: {fault}"))
        })?;
        self.output.update(&body);
        Ok(body)
    }

    fn deliver(&mut self, parcel: Parcel) -> Checked {
        match parcel {
            Parcel::Body(line, exchange, body) => {
                self.counts.deliveries += 1;
                let outcome = match line.1 {
                    Peer::Region => self.at_region(&body)?,
                    Peer::Ledger => self.at_ledger(&body)?,
                };
                self.net.answer(line, exchange, outcome, self.now_ms);
            }
            Parcel::Answer(line, exchange, outcome) => {
                if self.net.concludes(line, exchange) {
                    self.hear_peer(line, outcome);
                }
            }
            Parcel::Late(line, exchange) => {
                if self.net.concludes(line, exchange) {
                    if self.saboteur == Some(Saboteur::EndlessQueue) {
                        *self.kept.entry(line).or_default() += 1;
                    }
                    self.hear_peer(line, Err(PeerFault::Unreachable));
                }
            }
        }
        Ok(())
    }

    fn at_region(&mut self, body: &[u8]) -> Result<Result<Vec<u8>, PeerFault>, Finding> {
        match lanes::decode::<CellBatch>(body) {
            Ok(batch) => {
                let ack = self.region.accept(batch, self.now_ms);
                if let Some(refused) = ack.refused.first() {
                    let sentence = format!("the region refused a rig's cell: {}", refused.code);
                    return Err(Finding::defect(sentence));
                }
                self.encoded("a region's answer", &ack).map(Ok)
            }
            Err(fault) => Err(Finding::defect(format!(
                "the region cannot read a body: {fault}"
            ))),
        }
    }

    fn at_ledger(&mut self, body: &[u8]) -> Result<Result<Vec<u8>, PeerFault>, Finding> {
        match lanes::decode::<RecordBatch>(body) {
            Ok(batch) => match self.ledger.accept(batch, self.now_ms)? {
                Ok(ack) => self.encoded("a ledger's answer", &ack).map(Ok),
                Err(fault) => Ok(Err(fault)),
            },
            Err(fault) => Err(Finding::defect(format!(
                "the ledger cannot read a body: {fault}"
            ))),
        }
    }

    fn hear_peer(&mut self, (rig, peer): Line, outcome: Result<Vec<u8>, PeerFault>) {
        let now = self.rigs[rig].now(self.now_ms);
        let Some(live) = &mut self.rigs[rig].live else {
            return;
        };
        match peer {
            Peer::Region => {
                let ack = outcome.and_then(read_answer::<CellAck>);
                if let Ok(ack) = &ack {
                    let exchange = Exchange {
                        sent_mono_ns: ack.echo_mono_ns,
                        recv_wall_us: ack.recv_wall_us,
                        send_wall_us: ack.send_wall_us,
                        received_mono_ns: now.mono.0 * 1_000_000,
                        peer_u_ms: ack.wall_u_ms,
                    };
                    let told = Input::Exchange(TimeOf::Region(0), exchange);
                    live.edge.handle(told, now);
                }
                live.edge.handle(Input::Region(0, ack), now);
            }
            Peer::Ledger => {
                let ack = outcome.and_then(read_answer::<RecordAck>);
                let heard = ack.is_ok();
                if let Ok(ack) = &ack {
                    let exchange = Exchange {
                        sent_mono_ns: ack.echo_mono_ns,
                        recv_wall_us: ack.recv_wall_us,
                        send_wall_us: ack.send_wall_us,
                        received_mono_ns: now.mono.0 * 1_000_000,
                        peer_u_ms: ack.wall_u_ms,
                    };
                    live.edge
                        .handle(Input::Exchange(TimeOf::Ledger, exchange), now);
                }
                live.edge.handle(Input::Ledger(ack), now);
                if heard {
                    self.rigs[rig].remember_acked();
                }
            }
        }
    }

    /// Bodies that wait on a line.
    pub(crate) fn waiting(&self, line: Line) -> usize {
        self.net.under_way(line) + self.kept.get(&line).copied().unwrap_or(0)
    }

    pub(super) fn wait(&mut self, ms: u64) -> Checked {
        let end = self.now_ms + ms;
        for _ in 0..MOMENTS_MAX {
            self.pump()?;
            let rigs = self.rigs.iter().filter_map(Rig::deadline);
            let tills = self
                .rigs
                .iter()
                .filter(|rig| rig.live.is_some() && !rig.outbox.is_empty());
            let tills = tills.filter_map(|rig| self.retry_at.get(&rig.no).copied());
            let next = rigs.chain(tills).chain(self.net.next_at()).min();
            let next = next.unwrap_or(end).max(self.now_ms + 1);
            if next > end {
                self.now_ms = end;
                return self.pump();
            }
            self.now_ms = next;
            for rig in 0..self.rigs.len() {
                if self.retry_at.get(&rig).is_some_and(|at| *at <= next) {
                    self.call(rig)?;
                }
            }
        }
        Err(Finding::of(
            Law::L11,
            "L11: the world does not come to rest".into(),
        ))
    }
}

fn read_answer<M: LaneBody>(body: Vec<u8>) -> Result<M, PeerFault> {
    lanes::decode(&body).map_err(|_| PeerFault::Nonsense)
}
