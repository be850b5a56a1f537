//! Who counts: how many items ended, how many reached their destination, and how many were lost on
//! the way and why.
//!
//! Every destination of every signal has one [`Delivery`]. Whatever ends is in exactly one place at
//! any time: queued, delivered or lost. Once closed, what is still queued is lost, so the counts
//! add up from then on.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::{Duration, Instant},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio_util::sync::CancellationToken;
use tracing::{dispatcher, instrument::WithSubscriber};

use crate::diagnostics::{self, Listener};

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    Span,
    LogRecord,
    /// All metrics at one moment.
    MetricReport,
}

/// The counts of one signal on its way to one destination.
#[derive(Debug)]
pub(crate) struct Delivery {
    item: Item,
    destination: String,
    capacity: u64,
    listener: Listener,
    queued: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
    /// How many of the lost ones found the queue full.
    overflowed: AtomicU64,
    cause: Mutex<Option<String>>,
    /// Whether the last export failed.
    failing: AtomicBool,
    stopping: AtomicBool,
    given_up: AtomicBool,
    closed: CancellationToken,
}

/// An exporter whose outcomes are counted. Each signal has its own trait of exporters.
#[derive(Debug)]
pub(crate) struct Counted<Exporter> {
    pub(crate) exporter: Exporter,
    pub(crate) delivery: Arc<Delivery>,
}

impl Delivery {
    pub(crate) fn new(
        item: Item,
        destination: String,
        capacity: usize,
        listener: &Listener,
    ) -> Self {
        Self {
            item,
            destination,
            capacity: capacity as u64,
            listener: listener.clone(),
            queued: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            cause: Mutex::new(None),
            failing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            closed: CancellationToken::new(),
        }
    }

    /// Counts what becomes of the batches of an exporter.
    pub(crate) fn count<Exporter>(self, exporter: Exporter) -> (Counted<Exporter>, Arc<Self>) {
        let delivery = Arc::new(self);
        let counted = Counted {
            exporter,
            delivery: Arc::clone(&delivery),
        };
        (counted, delivery)
    }

    /// Takes one more into the queue; `false` means that it is full and that this one is lost.
    ///
    /// The queue of the SDK has the same capacity and is never longer than this count, so it never
    /// drops anything by itself, where nobody could count it.
    pub(crate) fn enqueue(&self) -> bool {
        if self.queued.fetch_add(1, Ordering::AcqRel) < self.capacity {
            return true;
        }
        self.queued.fetch_sub(1, Ordering::AcqRel);
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.overflowed.fetch_add(1, Ordering::AcqRel);
        false
    }

    /// Runs the export of a batch of `count` and counts its outcome.
    ///
    /// It always returns `Ok`: the SDK would only log an error, once per batch.
    pub(crate) async fn export(
        &self,
        count: usize,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        let count = count as u64;
        if self.given_up.load(Ordering::Acquire) {
            self.settle(count, 0);
            return Ok(());
        }
        diagnostics::take();
        let export = export.with_subscriber(self.listener.any());
        let exported = self.closed.run_until_cancelled(export).await;
        let heard = diagnostics::take();
        match exported {
            Some(Ok(())) => {
                let rejected = heard.rejected.min(count);
                if rejected > 0 {
                    let reason = heard.cause.unwrap_or_default();
                    self.note(|| format!("the collector rejected them: {reason}"));
                }
                self.settle(count, count - rejected);
                self.works();
            }
            Some(Err(error)) => {
                let cause = heard.cause.unwrap_or_else(|| cause_of(&error));
                self.note(|| cause.clone());
                self.settle(count, 0);
                self.fails(&cause);
            }
            // Closed in the meantime: the batch counts as lost already, since it is queued.
            None => {}
        }
        Ok(())
    }

    /// Takes `count` out of the queue, of which `delivered` arrived.
    fn settle(&self, count: u64, delivered: u64) {
        self.delivered.fetch_add(delivered, Ordering::AcqRel);
        self.lost.fetch_add(count - delivered, Ordering::AcqRel);
        self.queued.fetch_sub(count, Ordering::AcqRel);
    }

    /// Tells once that deliveries fail: a service may run for weeks before its guard speaks.
    fn fails(&self, cause: &str) {
        if self.stopping.load(Ordering::Acquire) {
            // Whoever waits for the end of the program should wait for one failure, not for one
            // per batch of a long queue. The guard tells it then.
            self.given_up.store(true, Ordering::Release);
        } else if !self.failing.swap(true, Ordering::AcqRel) {
            let Self {
                item, destination, ..
            } = self;
            self.as_listener(|| {
                tracing::warn!("{item} can't be delivered to {destination}: {cause}");
            });
        }
    }

    fn works(&self) {
        if self.failing.swap(false, Ordering::AcqRel) {
            let Self {
                item, destination, ..
            } = self;
            self.as_listener(|| tracing::info!("{item} are delivered to {destination} again"));
        }
    }

    /// Under the subscriber of the user, which need not be this thread's.
    fn as_listener(&self, tell: impl FnOnce()) {
        match self.listener.of_user() {
            Some(dispatch) => dispatcher::with_default(&dispatch, tell),
            None => tell(),
        }
    }

    /// Stops with the help of `stop`, which gets the time that is left until `deadline`.
    ///
    /// A second call does nothing.
    pub(crate) fn stop(
        &self,
        deadline: Instant,
        stop: impl FnOnce(Duration) -> OTelSdkResult,
    ) -> OTelSdkResult {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let started = Instant::now();
        let stopped = stop(deadline.saturating_duration_since(started));
        let in_time =
            !self.closed.is_cancelled() && !matches!(stopped, Err(OTelSdkError::Timeout(_)));
        self.close();
        if !in_time {
            let waited = started.elapsed().as_secs_f64();
            self.note(|| format!("no answer within {waited:.1}s"));
            return Ok(());
        }
        stopped.map_err(|error| {
            let error = if is_without_thread(&error) {
                OTelSdkError::InternalFailure(format!(
                    "the thread that sends {} has ended, as it does when an exporter panics",
                    self.item
                ))
            } else {
                error
            };
            self.note(|| cause_of(&error));
            error
        })
    }

    /// Ends the export that is under way. What is not delivered by now is lost.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    pub(crate) fn item(&self) -> Item {
        self.item
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// How many are known to be lost.
    pub(crate) fn lost(&self) -> u64 {
        let lost = self.lost.load(Ordering::Acquire);
        if self.closed.is_cancelled() {
            lost + self.queued.load(Ordering::Acquire)
        } else {
            lost
        }
    }

    /// One sentence that says what was lost and why, or `None` where nothing was.
    pub(crate) fn complaint(&self) -> Option<String> {
        let lost = self.lost();
        if lost == 0 {
            return None;
        }
        let all = lost + self.delivered();
        let Self {
            item, destination, ..
        } = self;
        let overflowed = self.overflowed.load(Ordering::Acquire);
        let full = (overflowed > 0)
            .then(|| format!("{overflowed} found the queue of {} full", self.capacity));
        let mut causes: Vec<String> = self.cause().into_iter().chain(full).collect();
        if causes.is_empty() {
            causes.push("the exporter has stopped".to_owned());
        }
        let causes = causes.join("; ");
        Some(format!(
            "{lost} of {all} {item} were not delivered to {destination}: {causes}"
        ))
    }

    /// Keeps the first cause: the later ones are mostly its consequences.
    fn note(&self, cause: impl FnOnce() -> String) {
        let mut slot = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(cause());
        }
    }

    fn cause(&self) -> Option<String> {
        self.cause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Span => "spans",
            Self::LogRecord => "log records",
            Self::MetricReport => "metric reports",
        })
    }
}

/// The part of an SDK error that tells a user something.
pub(crate) fn cause_of(error: &OTelSdkError) -> String {
    let text = match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        other => other.to_string(),
    };
    match text.split_once("gRPC code: ") {
        Some((_, code_and_cause)) => code_and_cause.to_owned(),
        None => text,
    }
}

/// Whether the thread of a processor that nobody has stopped before is gone.
fn is_without_thread(error: &OTelSdkError) -> bool {
    match error {
        OTelSdkError::AlreadyShutdown => true,
        // It ended between the request to stop and the answer: then the SDK passes on the text of
        // the channel on which the answer would have come.
        OTelSdkError::InternalFailure(text) => *text == RecvTimeoutError::Disconnected.to_string(),
        OTelSdkError::Timeout(_) => false,
    }
}
