//! One connection to one peer and lane: bodies out, answers back, one exchange at a time.
//!
//! A driver never waits for a peer: it hands a body to the link and hears of the answer as an
//! input. Every exchange ends, at the latest by the client's time limits.

use bytes::Bytes;
use popwatch_core::base64::base64;
use popwatch_core::code::Code;
use popwatch_core::lane::PeerFault;
use popwatch_core::limits::PEER_DELAY_MS_MAX;
use tokio::sync::mpsc;

use crate::ambient::Ambient;
use crate::client::{Answer, Client, ClientFault};
use crate::identity::Identity;
use crate::member::Member;

/// The header in which a member shows its membership, in base64.
pub(crate) const MEMBERSHIP: &str = "popwatch-membership";

/// What came back from a peer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Which link asked.
    pub(crate) link: Link,
    /// The body of a 200, or what went wrong.
    pub(crate) outcome: Result<Bytes, PeerFault>,
    /// Steady clock when it came, ns.
    pub(crate) received_mono_ns: u64,
}

/// Which of an edge's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Records to the ledger.
    Ledger,
    /// Cells to the region with this index.
    Region(usize),
}

/// The sending end of a link.
#[derive(Debug, Clone)]
pub(crate) struct PeerHandle {
    bodies: mpsc::Sender<Bytes>,
    /// Base URL, for statuses.
    pub(crate) url: String,
}

impl PeerHandle {
    /// A link whose exchanges somebody else makes: the handle, and where its bodies come out.
    pub(crate) fn new(url: &str) -> (Self, mpsc::Receiver<Bytes>) {
        let (bodies, queue) = mpsc::channel(1);
        let url = url.to_owned();
        (Self { bodies, url }, queue)
    }

    /// Starts an exchange. The lanes keep one under way per link, so there is always room; a link
    /// that is gone answers nothing, for the process stops.
    pub(crate) fn send(&self, body: Vec<u8>) {
        let sent = self.bodies.try_send(Bytes::from(body));
        debug_assert!(
            !matches!(sent, Err(mpsc::error::TrySendError::Full(_))),
            "a lane keeps one exchange under way"
        );
    }
}

/// As whom a link speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct As<'a> {
    /// The name of the rig or region.
    pub(crate) name: &'a str,
    /// The key it shows.
    pub(crate) identity: &'a Identity,
    /// What says that the key belongs to the organisation.
    pub(crate) member: Option<&'a Member>,
    /// The pass it shows.
    pub(crate) pass: Option<&'a str>,
}

/// Makes a link to `url` + `path`; the second part is its task.
pub(crate) fn link(
    link: Link,
    url: &str,
    path: &str,
    who: As<'_>,
    replies: mpsc::Sender<Reply>,
    ambient: Ambient,
) -> (PeerHandle, impl Future<Output = ()> + Send + use<>) {
    let (handle, mut queue) = PeerHandle::new(url);
    let target = format!("{}{path}", url.trim_end_matches('/'));
    let (rig, identity) = (who.name.to_owned(), who.identity.clone());
    let pass = who.pass.map(str::to_owned);
    let membership = who
        .member
        .map_or_else(String::new, |of| base64(of.note().as_bytes()));
    let task = async move {
        let client = Client::of(identity).with_pass(pass.as_deref());
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "zstd"),
            ("popwatch-protocol", "1"),
            ("popwatch-rig", rig.as_str()),
            (MEMBERSHIP, membership.as_str()),
        ];
        let headers = match membership.is_empty() {
            true => &headers[..headers.len() - 1],
            false => &headers[..],
        };
        while let Some(body) = queue.recv().await {
            let outcome = match client.post(&target, headers, body).await {
                Ok(answer) => judge(answer),
                Err(fault @ ClientFault::Stranger { .. }) => {
                    let code = Code::PeerStranger;
                    tracing::warn!(%code, %fault, "the peer is not the one this rig was told of");
                    Err(PeerFault::Unreachable)
                }
                Err(fault) => {
                    tracing::debug!(%fault, peer = target, "peer not reached");
                    Err(PeerFault::Unreachable)
                }
            };
            let reply = Reply {
                link,
                outcome,
                received_mono_ns: ambient.mono_ns(),
            };
            if replies.send(reply).await.is_err() {
                break;
            }
        }
    };
    (handle, task)
}

/// What an HTTP answer means to a lane.
fn judge(answer: Answer) -> Result<Bytes, PeerFault> {
    match answer.status {
        200 => Ok(answer.body),
        401 | 403 => {
            let code = Code::PeerRefused;
            tracing::warn!(%code, status = answer.status, "the peer does not accept this rig");
            Err(PeerFault::NotAdmitted)
        }
        409 => Err(PeerFault::Forked(next_epoch(&answer))),
        413 => Err(PeerFault::TooLarge),
        429 => Err(PeerFault::Busy(retry_after_ms(&answer))),
        503 if answer.header("retry-after").is_some() => {
            Err(PeerFault::Busy(retry_after_ms(&answer)))
        }
        _ => Err(PeerFault::Refused),
    }
}

fn next_epoch(answer: &Answer) -> u32 {
    answer
        .header("popwatch-next-epoch")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// `Retry-After` in seconds; one second when the peer does not say.
fn retry_after_ms(answer: &Answer) -> u64 {
    let seconds = answer
        .header("retry-after")
        .and_then(|text| text.trim().parse::<u64>().ok());
    seconds
        .map_or(1_000, |seconds| seconds.saturating_mul(1_000))
        .min(PEER_DELAY_MS_MAX)
}
