//! The thread that owns the books: batches in, answers after their commit; reads in between.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use popwatch_core::lane::{RecordAck, RecordBatch};
use popwatch_core::time::MonoMs;
use popwatch_store::books::{Books, BooksFault};
use tokio::sync::oneshot;

use crate::ambient::Ambient;

/// Batches and questions that may wait at once. Beyond: 503 PW0330, the rigs keep their records.
const WAITING_MAX: usize = 256;

/// How often timers of the books are looked at.
const ADVANCE_EVERY: Duration = Duration::from_secs(60);

type Question = Box<dyn FnOnce(&mut Books) + Send>;

enum Order {
    Accept(
        Box<RecordBatch>,
        oneshot::Sender<Result<RecordAck, BooksFault>>,
    ),
    Ask(Question),
    Stop,
}

/// How handlers reach the books.
#[derive(Clone)]
pub(crate) struct BooksHandle {
    orders: SyncSender<Order>,
}

impl std::fmt::Debug for BooksHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BooksHandle")
    }
}

/// The books take nothing at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's store takes nothing at the moment")]
pub(crate) struct Busy;

impl BooksHandle {
    /// Hands a batch over and waits for its commit.
    pub(crate) async fn accept(
        &self,
        batch: RecordBatch,
    ) -> Result<Result<RecordAck, BooksFault>, Busy> {
        let (answer, ack) = oneshot::channel();
        self.order(Order::Accept(Box::new(batch), answer))?;
        ack.await.map_err(|_| Busy)
    }

    /// Asks the books something between two batches.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Books) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (answer, reply) = oneshot::channel();
        self.order(Order::Ask(Box::new(move |books| {
            // A reader that hung up needs no answer.
            drop(answer.send(question(books)));
        })))?;
        reply.await.map_err(|_| Busy)
    }

    /// Ends the thread after what was handed over before.
    pub(crate) fn stop(&self) {
        // A thread that is already gone has nothing left to stop.
        drop(self.orders.send(Order::Stop));
    }

    fn order(&self, order: Order) -> Result<(), Busy> {
        match self.orders.try_send(order) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

/// Starts the thread.
pub(crate) fn spawn_books(
    mut books: Books,
    ambient: Ambient,
) -> std::io::Result<(BooksHandle, JoinHandle<()>)> {
    let (orders, queue): (SyncSender<Order>, Receiver<Order>) = sync_channel(WAITING_MAX);
    let thread = std::thread::Builder::new()
        .name(String::from("books"))
        .spawn(move || {
            let mut advanced: Option<MonoMs> = None;
            loop {
                match queue.recv_timeout(ADVANCE_EVERY) {
                    Ok(Order::Accept(batch, answer)) => {
                        let ack = books.accept(&batch, ambient.now());
                        // A rig that hung up sends the batch again and finds it stored.
                        drop(answer.send(ack));
                    }
                    Ok(Order::Ask(question)) => question(&mut books),
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                }
                let now = ambient.now();
                let every = u64::try_from(ADVANCE_EVERY.as_millis()).unwrap_or(u64::MAX);
                if advanced.is_none_or(|last| now.mono.0.saturating_sub(last.0) >= every) {
                    advanced = Some(now.mono);
                    // What is due and could not be evaluated stays due.
                    drop(books.advance(now.wall.0, now));
                }
            }
        })?;
    Ok((BooksHandle { orders }, thread))
}
