//! The counts of one signal on its way to one destination: how many items ended, how many arrived,
//! how many were lost, and why.
//!
//! Whatever ends is in exactly one place at any time: pending, delivered or lost. Once closed, what
//! is still pending counts as lost, so the counts add up from then on.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::dispatch::UserDispatch;

/// What is sent: each has environment variables, an OTLP path and a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// The word for this signal in the names of environment variables.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }
}

/// What is counted.
impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Traces => "spans",
            Self::Metrics => "metric reports",
            Self::Logs => "log records",
        })
    }
}

/// The counts of one signal on its way to one destination.
#[derive(Debug)]
pub(crate) struct Delivery {
    signal: Signal,
    destination: String,
    user: UserDispatch,
    pending: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
    /// How many of the lost ones found the queue full.
    overflowed: AtomicU64,
    /// Why something was lost.
    loss: Mutex<Option<String>>,
    /// Why what is pending could not be sent, where the last request failed.
    obstacle: Mutex<Option<String>>,
    /// Whether a failure was told of, and no success since.
    failing: AtomicBool,
    /// Whether the end has come, at which the guard tells what was lost.
    stopping: AtomicBool,
    closed: CancellationToken,
}

impl Delivery {
    pub(crate) fn new(signal: Signal, destination: String, user: &UserDispatch) -> Self {
        Self {
            signal,
            destination,
            user: user.clone(),
            pending: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            loss: Mutex::new(None),
            obstacle: Mutex::new(None),
            failing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            closed: CancellationToken::new(),
        }
    }

    /// One more waits for delivery.
    pub(crate) fn enqueued(&self) {
        self.pending.fetch_add(1, Ordering::AcqRel);
    }

    /// One more ended while the queue was full.
    pub(crate) fn overflowed(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
        self.overflowed.fetch_add(1, Ordering::AcqRel);
    }

    /// One more ended after the end.
    pub(crate) fn late(&self) {
        self.lost.fetch_add(1, Ordering::AcqRel);
    }

    /// A request with `count` arrived, of which the destination rejected some for a reason.
    pub(crate) fn arrived(&self, count: usize, rejected: u64, reason: &str) {
        let count = count as u64;
        let rejected = rejected.min(count);
        if rejected > 0 {
            self.note_loss(|| format!("the collector rejected them: {reason}"));
        }
        self.settle(count, count - rejected);
        set(&self.obstacle, None);
        if self.failing.swap(false, Ordering::AcqRel) {
            let Self {
                signal,
                destination,
                ..
            } = self;
            self.user
                .inform(&format!("{signal} are delivered to {destination} again"));
        }
    }

    /// A request with `count` failed for good.
    pub(crate) fn failed(&self, count: usize, cause: &str) {
        self.note_loss(|| cause.to_owned());
        self.settle(count as u64, 0);
        self.tell_of_failure(cause);
    }

    /// A request failed and is kept, to be sent again.
    pub(crate) fn delayed(&self, cause: &str) {
        set(&self.obstacle, Some(cause.to_owned()));
        self.tell_of_failure(cause);
    }

    /// Takes `count` out of what is pending, of which `delivered` arrived.
    fn settle(&self, count: u64, delivered: u64) {
        self.delivered.fetch_add(delivered, Ordering::AcqRel);
        self.lost.fetch_add(count - delivered, Ordering::AcqRel);
        self.pending.fetch_sub(count, Ordering::AcqRel);
    }

    /// Tells once that deliveries fail: a service may run for weeks before its guard speaks.
    fn tell_of_failure(&self, cause: &str) {
        if self.stopping.load(Ordering::Acquire) || self.failing.swap(true, Ordering::AcqRel) {
            return;
        }
        let Self {
            signal,
            destination,
            ..
        } = self;
        let text = format!("{signal} can't be delivered to {destination}: {cause}");
        self.user.warn(&text);
    }

    /// From here on failures are only counted.
    pub(crate) fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Ends all deliveries. What is pending by now is lost.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    /// Cancelled by [`close`](Self::close).
    pub(crate) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }

    /// How many arrived.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    /// How many are known to be lost.
    pub(crate) fn lost(&self) -> u64 {
        let lost = self.lost.load(Ordering::Acquire);
        if self.closed.is_cancelled() {
            lost + self.pending.load(Ordering::Acquire)
        } else {
            lost
        }
    }

    /// One sentence that says what was lost and why, or `None` where nothing was.
    pub(crate) fn loss_report(&self) -> Option<String> {
        let lost = self.lost();
        if lost == 0 {
            return None;
        }
        let total = lost + self.delivered();
        let overflowed = self.overflowed.load(Ordering::Acquire);
        let full = (overflowed > 0).then(|| format!("{overflowed} found the queue full"));
        let cause = get(&self.loss).or_else(|| get(&self.obstacle));
        let mut causes: Vec<String> = cause.into_iter().chain(full).collect();
        if causes.is_empty() {
            causes.push("the exporter has stopped".to_owned());
        }
        let causes = causes.join("; ");
        let Self {
            signal,
            destination,
            ..
        } = self;
        Some(format!(
            "{lost} of {total} {signal} were not delivered to {destination}: {causes}"
        ))
    }

    /// One sentence that says what could not be sent yet and why, or `None` where nothing waits.
    pub(crate) fn delay_report(&self) -> Option<String> {
        let pending = self.pending.load(Ordering::Acquire);
        let cause = get(&self.obstacle)?;
        let Self {
            signal,
            destination,
            ..
        } = self;
        (pending > 0).then(|| {
            format!(
                "{pending} {signal} were not delivered to {destination}: {cause}; they are kept \
                 and sent again"
            )
        })
    }

    /// Keeps the first cause: the later ones are mostly its consequences.
    pub(crate) fn note_loss(&self, cause: impl FnOnce() -> String) {
        let mut slot = self.loss.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(cause());
        }
    }
}

fn set(slot: &Mutex<Option<String>>, value: Option<String>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

fn get(slot: &Mutex<Option<String>>) -> Option<String> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
