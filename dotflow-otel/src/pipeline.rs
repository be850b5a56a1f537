//! One signal on its way to one destination: a queue, a thread that empties it, and the counts; the
//! same for spans, metrics and log records.
//!
//! What can be retried is kept and sent again until the queue is full. What is too large for its
//! receiver, or gets no answer in time, is halved. What is refused for good is lost, and costs nothing but itself.

use std::{
    collections::VecDeque,
    fmt::Debug,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use self::queue::Queue;
pub(crate) use self::queue::{Batching, Ended, Queued, Ticket, Waited};
use crate::{delivery::Delivery, error::Error};

#[cfg(test)]
mod tests;
mod queue;

/// The first wait before what failed is sent again; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest of these waits.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Sends items somewhere, on a thread that it has for itself.
pub(crate) trait Exporter: Send + 'static {
    /// What is queued.
    type Item: Queued;
    /// What one request carries.
    type Batch;

    /// Prepares the thread, before anything else.
    fn begin(&mut self) {}

    /// Makes requests of items, each of a size that the receiver should take.
    fn pack(&mut self, items: Vec<Self::Item>) -> Vec<Self::Batch>;

    /// How many items are in a batch.
    fn count(batch: &Self::Batch) -> usize;

    /// Sends a batch and waits for the answer; `None` if `closed` was cancelled before.
    ///
    /// A batch whose refusal may be retried is still whole afterwards.
    fn send(
        &mut self,
        batch: &mut Self::Batch,
        closed: &CancellationToken,
    ) -> Option<Result<Receipt, Refusal>>;

    /// Takes the second half out of a batch; `None` where it can't be divided.
    fn halve(batch: &mut Self::Batch) -> Option<Self::Batch>;

    /// Ends the exporter, after the last batch.
    fn shut_down(&mut self) {}
}

/// A request arrived.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    /// How many of its items the destination rejected all the same.
    pub(crate) rejected: u64,
    /// Why it did.
    pub(crate) reason: String,
}

/// A request failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Why, in the words of the one who refused where there are some.
    pub(crate) cause: String,
    pub(crate) next: Next,
}

/// What to do about a request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing helps.
    GiveUp,
    /// It was too large.
    Halve,
    /// Try again, after the time that the server asks for where it does.
    #[cfg_attr(
        not(feature = "otlp"),
        allow(dead_code, reason = "only OTLP needs this")
    )]
    TryAgain(Option<Duration>),
    /// Try again with less: there was no answer in time, and a part may get one.
    #[cfg_attr(
        not(feature = "otlp"),
        allow(dead_code, reason = "only OTLP needs this")
    )]
    TryLess,
}

/// One signal on its way to one destination.
#[derive(Debug)]
pub(crate) struct Pipeline<Item>(Arc<Queue<Item>>);

impl<Item> Clone for Pipeline<Item> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Item: Queued> Pipeline<Item> {
    /// Starts the thread of a pipeline.
    pub(crate) fn start<E>(
        exporter: E,
        delivery: Delivery,
        batching: Batching,
    ) -> Result<Self, Error>
    where
        E: Exporter<Item = Item>,
    {
        let queue = Arc::new(Queue::new(batching, Arc::new(delivery)));
        let of_thread = Arc::clone(&queue);
        thread::Builder::new()
            .name("dotflow-otel-send".to_owned())
            .spawn(move || {
                let worker = Worker {
                    queue: of_thread,
                    exporter,
                };
                worker.run();
            })
            .map_err(Error::start)?;
        Ok(Self(queue))
    }

    /// Queues an item. Where the queue is full it is lost.
    pub(crate) fn push(&self, item: Item) {
        self.0.push(item);
    }
}

/// What the guard does with a pipeline, whatever is in it. First everything is asked to begin, then
/// it is waited for, so that one dead collector doesn't use up the time of the others.
pub(crate) trait Control: Send + Sync {
    /// The counts.
    fn delivery(&self) -> &Delivery;
    /// Asks for everything that ended so far to be sent at once.
    fn begin_flush(&self) -> Ticket;
    /// Waits until that was done, or has failed.
    fn wait_flushed(&self, ticket: Ticket, deadline: Instant) -> Waited;
    /// Asks for the rest to be sent and for the thread to end.
    fn begin_stop(&self, deadline: Instant);
    /// Waits until that was done, and ends it all the same at the deadline.
    fn stop(&self, deadline: Instant) -> Waited;
}

impl<Item: Queued> Control for Pipeline<Item> {
    fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    fn begin_flush(&self) -> Ticket {
        self.0.begin_flush()
    }

    fn wait_flushed(&self, ticket: Ticket, deadline: Instant) -> Waited {
        self.0.wait_flushed(ticket, deadline)
    }

    fn begin_stop(&self, deadline: Instant) {
        self.0.begin_stop(deadline);
    }

    fn stop(&self, deadline: Instant) -> Waited {
        let waited = self.0.wait_ended(deadline);
        self.0.close();
        waited
    }
}

/// The thread of a pipeline.
struct Worker<E: Exporter> {
    queue: Arc<Queue<E::Item>>,
    exporter: E,
}

impl<E: Exporter> Worker<E> {
    fn run(mut self) {
        self.exporter.begin();
        while let Some(items) = self.queue.next() {
            if !self.deliver(items) {
                break;
            }
        }
        self.exporter.shut_down();
    }

    /// Sends what was queued, however often that takes; `false` if that is given up for good.
    fn deliver(&mut self, items: Vec<E::Item>) -> bool {
        let Self { queue, exporter } = self;
        let delivery = &queue.delivery;
        let mut batches: VecDeque<E::Batch> = exporter.pack(items).into();
        let mut backoff = FIRST_BACKOFF;
        while let Some(mut batch) = batches.pop_front() {
            let count = E::count(&batch);
            let begun = queue.moment();
            let refusal = match exporter.send(&mut batch, delivery.closed()) {
                // Closed in the meantime: what is pending counts as lost already.
                None => return false,
                Some(Ok(receipt)) => {
                    delivery.arrived(count, receipt.rejected, &receipt.reason);
                    queue.settle(count);
                    backoff = FIRST_BACKOFF;
                    continue;
                }
                Some(Err(refusal)) => refusal,
            };
            let again = match refusal.next {
                Next::TryAgain(asked) => Some(asked),
                Next::TryLess => Some(None),
                Next::GiveUp | Next::Halve => None,
            };
            if let Some(asked) = again {
                delivery.delayed(&refusal.cause);
                if refusal.next == Next::TryLess
                    && let Some(second) = E::halve(&mut batch)
                {
                    batches.push_front(second);
                }
                batches.push_front(batch);
                if !queue.pause(begun, asked, backoff) {
                    return false;
                }
                backoff = LONGEST_BACKOFF.min(2 * backoff);
                continue;
            }
            let is_too_large = refusal.next == Next::Halve;
            let second = is_too_large.then(|| E::halve(&mut batch)).flatten();
            if let Some(second) = second {
                batches.push_front(second);
                batches.push_front(batch);
            } else {
                delivery.failed(count, &refusal.cause);
                queue.settle(count);
            }
        }
        true
    }
}

impl<E: Exporter> Drop for Worker<E> {
    fn drop(&mut self) {
        self.queue.end(if thread::panicking() {
            Ended::Panicked
        } else {
            Ended::InOrder
        });
    }
}
