//! One attempt of a task, as the engine and a function on the blocking pool share it: when it begins
//! and ends, how it is told to stop, and which functions go on after nobody waits for them.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::unwind::HeldSpan;

/// One attempt of a task that may block, or that has a timeout.
///
/// A function on the blocking pool tells when it begins, as it may have to wait for a thread, and when
/// it has ended, as it can't be stopped.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Attempt {
    /// A token of its own, where it can end before the run does.
    pub(crate) cancellation: Option<CancellationToken>,
    /// How long it may take, and when it was made.
    timeout: Option<(Duration, Instant)>,
    /// The span of the run, which code that is late holds as well.
    pub(crate) run: Option<HeldSpan>,
    is_queued: AtomicBool,
    begun_at: OnceLock<Instant>,
    has_begun: Notify,
    is_running: AtomicBool,
    /// What the function holds as long as it goes on, though nobody waits for it.
    held: Mutex<Vec<OwnedSemaphorePermit>>,
    has_ended: Notify,
}

/// A function that has begun, until it ends: by a value, a panic or anything else.
#[derive(Debug)]
pub(crate) struct Running<'function>(&'function Attempt);

impl Attempt {
    /// One with a time of its own has a token of its own, made of that of the run.
    pub(crate) fn new(
        timeout: Option<Duration>,
        cancellation: &CancellationToken,
        run: HeldSpan,
    ) -> Self {
        Self {
            cancellation: timeout.map(|_| cancellation.child_token()),
            timeout: timeout.map(|timeout| (timeout, Instant::now())),
            run: Some(run),
            ..Self::default()
        }
    }

    /// Tells that the function is to be run as soon as there is a thread for it.
    pub(crate) fn queue(&self) {
        self.is_queued.store(true, Ordering::Release);
    }

    /// Whether there is a function at all.
    pub(crate) fn is_queued(&self) -> bool {
        self.is_queued.load(Ordering::Acquire)
    }

    /// Tells that the function begins.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.is_running.store(true, Ordering::Release);
        let _ = self.begun_at.set(Instant::now());
        self.has_begun.notify_one();
        Running(self)
    }

    /// When the function began, if it has.
    pub(crate) fn begun_at(&self) -> Option<Instant> {
        self.begun_at.get().copied()
    }

    /// One of a task that runs alone, with this token.
    pub(crate) fn cancelled_by(cancellation: CancellationToken) -> Self {
        Self {
            cancellation: Some(cancellation),
            ..Self::default()
        }
    }

    /// When its time is over; `None` where it has none, or that lies beyond all time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (timeout, made) = self.timeout?;
        self.begun_at().unwrap_or(made).checked_add(timeout)
    }

    /// Waits until the function begins, and says when that was.
    pub(crate) async fn begun(&self) -> Instant {
        loop {
            if let Some(begun_at) = self.begun_at() {
                return begun_at;
            }
            // A notification that came in between is kept for this one waiter.
            self.has_begun.notified().await;
        }
    }

    /// Whether the function has begun and not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// Lets the function keep these until it has ended.
    pub(crate) fn hold(&self, permits: Vec<OwnedSemaphorePermit>) {
        self.held().extend(permits);
        // It may have ended just now.
        if !self.is_running() {
            self.held().clear();
        }
    }

    fn held(&self) -> MutexGuard<'_, Vec<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the function has ended, if it has begun.
    pub(crate) async fn ended(&self) {
        while self.is_running() {
            self.has_ended.notified().await;
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
        self.0.held().clear();
        self.0.has_ended.notify_one();
    }
}

/// How many functions are remembered that nobody waits for.
const MOST_LATE: usize = 64;

/// How many of them are named in one message.
const MOST_NAMED: usize = 8;

/// Functions of this process that go on though nobody waits for them: each holds a thread of a
/// blocking pool. Those that have ended since are sorted out when the next one comes.
static LATE: Mutex<Vec<(String, Weak<Attempt>)>> = Mutex::new(Vec::new());

fn is_late(attempt: &Weak<Attempt>) -> bool {
    attempt.upgrade().is_some_and(|late| late.is_running())
}

/// Remembers a function that goes on though nobody waits for it.
pub(crate) fn remember_late(name: String, attempt: &Arc<Attempt>) {
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    late.retain(|(_, known)| is_late(known));
    if late.len() == MOST_LATE {
        late.remove(0);
    }
    late.push((name, Arc::downgrade(attempt)));
}

/// The functions that go on though nobody waits for them, the oldest first, in words; empty where
/// none is known.
pub(crate) fn name_late() -> String {
    let late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut names: Vec<&str> = late
        .iter()
        .filter(|(_, attempt)| is_late(attempt))
        .map(|(name, _)| name.as_str())
        .collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    let mut text = names.join(", ");
    if more > 0 {
        // Writing to a string can't fail.
        let _ = write!(text, " and {more} more");
    }
    text
}
