//! The receiving end of the cells lane.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use popwatch_core::code::Code;
use popwatch_core::id::PopupId;
use popwatch_core::lane::{CellBatch, PROTOCOL};
use popwatch_core::limits::BATCH_WIRE_BYTES_MAX;
use popwatch_core::region::vector::Vector;
use popwatch_wire::lanes as bodies;
use popwatch_wire::problem::Problem;
use tokio::sync::{mpsc, oneshot};

use super::live::popup_id;
use super::shared::{BodyFault, Path, ProblemAnswer, problem, read_body};
use crate::access::Caller;
use crate::peer::MEMBERSHIP;
use crate::region::{RegionOrder, RegionReport};
use crate::register::Gate;
use crate::tls::Line;

/// How handlers reach the region's loop.
#[derive(Debug, Clone)]
pub(crate) struct RegionLane(mpsc::Sender<RegionOrder>);

impl RegionLane {
    /// The loop's end of the queue.
    #[must_use]
    pub(crate) fn new(orders: mpsc::Sender<RegionOrder>) -> Self {
        Self(orders)
    }

    /// Minutes of a popup with a cell that a reader of `seen` may not have been shown.
    pub(super) async fn minutes_above(
        &self,
        popup: PopupId,
        seen: Vector,
    ) -> Result<Vec<u32>, ProblemAnswer> {
        self.ask(|answer| RegionOrder::Above(popup, seen, answer))
            .await
    }

    /// Waits until the peers that are heard hold what is here.
    pub(crate) async fn drained(&self) {
        drop(self.ask(RegionOrder::Drained).await);
    }

    /// What monitoring systems are told; nothing while the loop stops.
    pub(crate) async fn report(&self) -> RegionReport {
        self.ask(RegionOrder::Report).await.unwrap_or_default()
    }

    /// Merges a batch that did not come by HTTP; one that meets a stopping region goes with it.
    pub(crate) async fn merge(&self, batch: CellBatch) {
        let asked = self.ask(|answer| RegionOrder::Accept(batch, answer));
        drop(asked.await.ok());
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> RegionOrder,
    ) -> Result<T, ProblemAnswer> {
        let stopping = || problem(Code::RegionFull, "this region is stopping".to_owned());
        let (answer, reply) = oneshot::channel();
        self.0.send(order(answer)).await.map_err(|_| stopping())?;
        reply.await.map_err(|_| stopping())
    }
}

/// Merges cells; answers what the region holds now.
pub(super) async fn cells(
    State(lane): State<RegionLane>,
    Extension(caller): Extension<Caller>,
    Extension(gate): Extension<Gate>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ProblemAnswer> {
    let shown = headers
        .get(MEMBERSHIP)
        .and_then(|shown| shown.to_str().ok());
    gate.admits(line.key, shown, caller.has_pass())?;
    let batch: CellBatch = read_batch(body).await?;
    caller.brings(&batch.sender)?;
    let ack = lane
        .ask(|answer| RegionOrder::Accept(batch, answer))
        .await?;
    batch_answer(&ack)
}

/// The cells held of a popup, in their canonical form, for comparison with other folds.
pub(super) async fn held(
    State(lane): State<RegionLane>,
    Path(popup): Path<String>,
) -> Result<Response, ProblemAnswer> {
    let popup = popup_id(&popup)?;
    let held = lane.ask(|answer| RegionOrder::Cells(popup, answer)).await?;
    let gone = || {
        let detail = "the popup is over and its cells are gone by its policy; the ledger folds them \
                      from its records as long as it holds those";
        Problem::new(Code::PopupOver, detail)
    };
    let cells = held.ok_or_else(gone)?;
    batch_answer(&CellBatch {
        protocol: PROTOCOL,
        cells,
        ..CellBatch::default()
    })
}

/// Reads and decodes the body of a lane.
pub(super) async fn read_batch<M: bodies::LaneBody>(body: Body) -> Result<M, ProblemAnswer> {
    let body = read_body(body, BATCH_WIRE_BYTES_MAX)
        .await
        .map_err(|fault| match fault {
            BodyFault::TooLarge(max) => {
                let detail = format!("a batch holds at most {max} bytes; send fewer items");
                too_large(Problem::new(Code::BatchInvalid, detail))
            }
            BodyFault::Slow => fault.problem(""),
        })?;
    bodies::decode(&body).map_err(|fault| {
        let found = Problem::new(fault.code(), fault.to_string());
        match fault.is_too_large() {
            true => too_large(found),
            false => found.into(),
        }
    })
}

/// A smaller batch may pass: the sender halves its own (PW0302 with 413 in place of 400).
fn too_large(found: Problem) -> ProblemAnswer {
    found.with_status(413).into()
}

/// Encodes the answer of a lane.
pub(super) fn batch_answer<M: bodies::LaneBody>(message: &M) -> Result<Response, ProblemAnswer> {
    let body = bodies::encode(message).map_err(|fault| problem(fault.code(), fault.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, bodies::CONTENT_TYPE),
        (header::CONTENT_ENCODING, bodies::CONTENT_ENCODING),
    ];
    Ok((headers, body).into_response())
}
