//! Who counts: how many spans or records ended, how many reached their destination, and how many
//! were lost on the way and why.
//!
//! Every destination has one [`Delivery`]. Whatever ends is counted in exactly one place at any
//! time: queued, delivered or lost. Once closed, what is still queued is lost, so the counts add
//! up from then on.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio_util::sync::CancellationToken;

/// The counts of one signal on its way to one destination.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What is delivered, in the plural: `spans`, `log records`.
    what: &'static str,
    destination: String,
    capacity: u64,
    queued: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
    cause: Mutex<Option<String>>,
    stopping: AtomicBool,
    given_up: AtomicBool,
    closed: CancellationToken,
}

impl Delivery {
    pub(crate) fn new(what: &'static str, destination: String, capacity: usize) -> Self {
        Self {
            what,
            destination,
            capacity: capacity as u64,
            queued: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            cause: Mutex::new(None),
            stopping: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            closed: CancellationToken::new(),
        }
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
        self.note(|| format!("the queue of {} was full", self.capacity));
        false
    }

    /// Runs the export of a batch of `count` and counts its outcome.
    ///
    /// It always returns `Ok`: the SDK would only log an error, once per batch, in the midst of
    /// what the user's program prints.
    pub(crate) async fn export(
        &self,
        count: usize,
        export: impl Future<Output = OTelSdkResult>,
    ) -> OTelSdkResult {
        let count = count as u64;
        if self.given_up.load(Ordering::Acquire) {
            self.settle(count, &self.lost);
            return Ok(());
        }
        match self.closed.run_until_cancelled(export).await {
            Some(Ok(())) => self.settle(count, &self.delivered),
            Some(Err(error)) => {
                // Whoever waits for the end of the program should wait for one failure, not for
                // one per batch of a long queue.
                let stopping = self.stopping.load(Ordering::Acquire);
                self.given_up.store(stopping, Ordering::Release);
                self.note(|| cause_of(&error));
                self.settle(count, &self.lost);
            }
            // Closed in the meantime: the batch counts as lost already, since it is queued.
            None => {}
        }
        Ok(())
    }

    fn settle(&self, count: u64, outcome: &AtomicU64) {
        outcome.fetch_add(count, Ordering::AcqRel);
        self.queued.fetch_sub(count, Ordering::AcqRel);
    }

    /// Stops with the help of `stop`, which gets the time that is left until `deadline`.
    pub(crate) fn stop(&self, deadline: Instant, stop: impl FnOnce(Duration) -> OTelSdkResult) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let started = Instant::now();
        let stopped = stop(deadline.saturating_duration_since(started));
        self.closed.cancel();
        if let Err(OTelSdkError::Timeout(_)) = stopped {
            let waited = started.elapsed();
            self.note(|| format!("no answer within {:.1}s", waited.as_secs_f64()));
        } else if let Err(error) = stopped {
            self.note(|| cause_of(&error));
        }
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

    /// One line that says what was lost and why, or `None` where nothing was.
    pub(crate) fn complaint(&self) -> Option<String> {
        let lost = self.lost();
        if lost == 0 {
            return None;
        }
        let all = lost + self.delivered();
        let Self {
            what, destination, ..
        } = self;
        let cause = self
            .cause()
            .unwrap_or_else(|| "the exporter stopped".into());
        Some(format!(
            "{lost} of {all} {what} were not delivered to {destination}: {cause}"
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

/// The part of an SDK error that tells a user something.
fn cause_of(error: &OTelSdkError) -> String {
    let text = match error {
        OTelSdkError::InternalFailure(reason) => reason.clone(),
        other => other.to_string(),
    };
    match text.split_once("gRPC code: ") {
        Some((_, code_and_cause)) => code_and_cause.to_owned(),
        None => text,
    }
}
